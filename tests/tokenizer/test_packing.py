"""No token is lost or doubled, whatever the documents' lengths; what a mode leaves out is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokenizer.packing import PackedSequences, order_keys, pack

PAD = 99_999
LENGTHS = st.lists(st.integers(1, 70), max_size=60)
MODES = ["concatenate", "best-fit"]


def pack_numbered(lengths: list[int], length: int, mode: str, seed: int = 1) -> tuple[np.ndarray, PackedSequences]:
    """Pack tokens that all have different ids, in order from 0; returns these and what came of them."""
    ids = np.arange(sum(lengths), dtype=np.int32)
    return ids, pack(ids, np.array(lengths, np.int64), length, mode, PAD, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, length=st.integers(2, 40))
@example(lengths=[], length=8)
@example(lengths=[8], length=8)
@example(lengths=[8 * 1000], length=8)
@example(lengths=[7, 1, 9, 16, 8], length=8)
@example(lengths=[1] * 50, length=8)
def test_tokens_are_conserved(lengths: list[int], length: int, mode: str) -> None:
    ids, result = pack_numbered(lengths, length, mode)
    assert result.input_ids.shape[1:] == (length,) and result.input_ids.dtype == np.int32
    found = result.input_ids[result.input_ids != PAD]
    assert len(found) == len(np.unique(found)) == result.tokens
    assert result.tokens + result.left_out == len(ids)
    assert result.input_ids.size == result.tokens + result.padding
    if mode == "concatenate":
        assert result.padding == 0 and result.left_out < length
        assert np.array_equal(result.input_ids.reshape(-1), ids[: result.tokens])
    else:
        assert result.left_out == 0
        assert np.array_equal(np.sort(found), ids)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, length=st.integers(2, 40))
def test_starts_are_where_documents_or_their_rests_begin(lengths: list[int], length: int, mode: str) -> None:
    ids, result = pack_numbered(lengths, length, mode)
    document = np.repeat(np.arange(len(lengths)), lengths)
    for row, (a, b) in zip(result.input_ids, zip(result.start_offsets, result.start_offsets[1:])):
        starts = result.starts[a:b].tolist()
        assert starts[0] == 0 and starts == sorted(set(starts)) and starts[-1] < length
        for first, last in zip(starts, [*starts[1:], length]):
            here = row[first:last]
            if here[0] == PAD:
                assert (here == PAD).all() and last == length
            else:  # one stretch of one document
                assert np.array_equal(here, np.arange(here[0], here[0] + len(here)))
                assert len(set(document[here].tolist())) == 1


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, length=st.integers(2, 40))
def test_best_fit_cuts_no_document_that_fits(lengths: list[int], length: int) -> None:
    _, result = pack_numbered(lengths, length, "best-fit")
    begins = np.cumsum(lengths) - lengths
    for begin, size in zip(begins.tolist(), lengths):
        row, column = np.argwhere(result.input_ids == begin)[0]
        kept = min(size, length)
        assert np.array_equal(result.input_ids[row, column : column + kept], np.arange(begin, begin + kept))
    # First-fit and best-fit decreasing use at most 11/9 of the best, and a bit (Johnson 1974); so never many sequences half empty.
    least = -(-sum(lengths) // length)
    assert len(result.input_ids) <= 11 / 9 * max(least, 1) * 1.5 + 1


def test_best_fit_is_as_tight_as_a_slow_one() -> None:
    random = np.random.default_rng(3)
    lengths = random.integers(1, 65, 400).tolist()
    _, result = pack_numbered(lengths, 64, "best-fit")
    rooms: list[int] = []
    for size in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= size]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - size)
        else:
            rooms.append(64 - size)
    assert len(result.input_ids) == len(rooms)


def test_seeds_order_sequences_and_documents() -> None:
    one, two, again = (pack_numbered([5, 9, 3, 16, 12, 4] * 5, 16, "best-fit", seed)[1].input_ids for seed in (1, 2, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, two)
    assert np.array_equal(np.sort(one.ravel()), np.sort(two.ravel()))
    assert len(np.unique(order_keys(0, 10_000, 1))) == 10_000
    assert np.array_equal(order_keys(0, 100, 7)[40:], order_keys(40, 60, 7))
    assert not np.array_equal(order_keys(0, 100, 7), order_keys(0, 100, 8))
