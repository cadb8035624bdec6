import lz4.block
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from filters.kernels import buffers
from filters.text import repetition
from filters.text.repetition import COUNTERS, DUPLICATE_SIZES, TOP_SIZES

INVISIBLE = " \u3000\n\x07"


def count(*texts, columns=COUNTERS):
    return repetition.count(*buffers(pl.Series(texts, dtype=pl.String)), columns)


def count_one(text):
    return {name: int(values[0]) for name, values in count(text).items()}


def window_of(text):
    window = []
    for c in text:
        if c not in INVISIBLE and window[-3:] != [c] * 3:
            window.append(c)
    return "".join(window)


def top(window, n):
    tally = {}
    for i in range(len(window) - n + 1):
        tally[window[i : i + n]] = tally.get(window[i : i + n], 0) + 1
    most = max(tally.values(), default=0)
    return min(most * n, len(window)) if most > 1 else 0


def duplicate(window, n):
    seen, covered = set(), set()
    for i in range(len(window) - n + 1):
        if window[i : i + n] in seen:
            covered.update(range(i, i + n))
        seen.add(window[i : i + n])
    return len(covered)


def lz_bytes(window):
    """A greedy parse: matches with the latest place where the same five characters began, three bytes each."""
    latest, before = {}, []
    for i in range(len(window)):
        gram = window[i : i + 5]
        before.append(latest.get(gram) if len(gram) == 5 else None)
        latest[gram] = i
    cost = i = 0
    while i < len(window):
        j = before[i]
        if j is None:
            cost += len(window[i].encode())
            i += 1
            continue
        length = 5
        while i + length < len(window) and window[i + length] == window[j + length]:
            length += 1
        cost += 3
        i += length
    return cost


def repeats(items):
    seen, times, chars = set(), 0, 0
    for item in items:
        if item in seen:
            times += 1
            chars += sum(map(len, item))
        seen.add(item)
    return times, chars


def reference(text):
    lines = ["".join(c for c in line if c not in INVISIBLE) for line in text.split("\n")]
    paragraphs = [()]
    for line in lines:
        if line:
            paragraphs[-1] += (line,)
        elif paragraphs[-1]:
            paragraphs.append(())
    paragraphs = [p for p in paragraphs if p]
    lines = [line for line in lines if line]
    window = window_of(text)
    n_lines, line_chars = repeats(lines)
    n_paragraphs, paragraph_chars = repeats(paragraphs)
    return {
        "n_line_total": len(lines),
        "n_line_chars": sum(map(len, lines)),
        "n_duplicate_lines": n_lines,
        "n_duplicate_line_chars": line_chars,
        "n_paragraphs": len(paragraphs),
        "n_duplicate_paragraphs": n_paragraphs,
        "n_duplicate_paragraph_chars": paragraph_chars,
        "n_window": len(window),
        "n_window_bytes": len(window.encode()),
        "n_lz_bytes": lz_bytes(window),
        **{f"n_top_{n}gram": top(window, n) for n in TOP_SIZES},
        **{f"n_duplicate_{n}gram": duplicate(window, n) for n in DUPLICATE_SIZES},
    }


@given(texts=st.lists(st.text(st.sampled_from("あaいé𠮷\n\n  \u3000\x07"), max_size=120), max_size=4))
@settings(max_examples=150, deadline=None)
def test_agrees_with_a_plain_count(texts):
    found = count(*texts)
    for d, text in enumerate(texts):
        assert {name: int(found[name][d]) for name in COUNTERS} == reference(text)


@given(
    pieces=st.lists(st.sampled_from(["吾輩は猫である。", "名前はまだ無い。", "どこで", "\n", "\n\n", " ", "猫"]), max_size=40)
)
@settings(max_examples=150, deadline=None)
def test_agrees_on_phrases_that_come_back(pieces):
    text = "".join(pieces)
    assert count_one(text) == reference(text)


@pytest.mark.parametrize("letters", [2, 30, 400, 5000])
def test_agrees_on_long_texts(letters):
    # Long enough for n-grams to share slots of the tallies, from constant repetition to none.
    random = np.random.default_rng(letters)
    text = "".join(map(chr, 0x4E00 + random.integers(0, letters, 6000)))
    assert count_one(text) == reference(text)


@given(text=st.text(st.sampled_from("あいう\n"), max_size=80), columns=st.sets(st.sampled_from(COUNTERS), min_size=1))
@settings(max_examples=100, deadline=None)
def test_what_is_asked_for_does_not_change_the_answer(text, columns):
    found = count(text, columns=columns)
    assert set(found) == columns
    everything = count_one(text)
    assert {name: int(values[0]) for name, values in found.items()} == {name: everything[name] for name in columns}


def test_scratch_is_clean_between_documents():
    texts = ["あいうえおかきくけこ" * 50, "かきくけこさしすせそ", "", "あ", "あいうえおかきくけこ" * 3]
    together = count(*texts)
    for d, text in enumerate(texts):
        assert {name: int(values[d]) for name, values in together.items()} == count_one(text)


def test_cases_by_hand():
    found = count_one("あい\n\nうえ\n\nあ い\n\nうえ")
    assert (found["n_duplicate_lines"], found["n_duplicate_paragraphs"], found["n_duplicate_paragraph_chars"]) == (2, 2, 4)
    assert count_one("ababab")["n_top_2gram"] == 6
    assert count_one("abcdefg")["n_top_2gram"] == 0
    assert count_one("あいうえお" * 2)["n_duplicate_5gram"] == 5
    assert count_one("-" * 500)["n_window"] == 3  # a drawn rule is no repetition of phrases


def test_lines_split_differently_make_other_paragraphs():
    assert count_one("あい\nう\n\nあ\nいう")["n_duplicate_paragraphs"] == 0
    assert count_one("あい\nう\n\nあい\nう")["n_duplicate_paragraphs"] == 1


def ratio(text):
    found = count_one(text)
    return found["n_lz_bytes"] / found["n_window_bytes"]


def some_text(random, length, letters=3000):
    return "".join(map(chr, 0x4E00 + random.integers(0, letters, length)))


def test_compression_ratio_falls_with_repetition():
    random = np.random.default_rng(1)
    fresh = some_text(random, 2400)
    ratios = [ratio(fresh[: 2400 // times] * times) for times in (1, 2, 4, 8, 16)]
    assert ratios[0] == 1
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[1] == pytest.approx(0.5, abs=0.01)


def test_compression_ratio_ranks_as_lz4_does():
    random = np.random.default_rng(2)
    texts = []
    for _ in range(60):
        stock = [some_text(random, int(random.integers(6, 40))) for _ in range(12)]
        share = random.random()
        parts = [stock[random.integers(12)] if random.random() < share else some_text(random, 20) for _ in range(150)]
        texts.append("".join(parts))
    ours = [ratio(text) for text in texts]
    theirs = [len(lz4.block.compress(text.encode(), store_size=False)) / len(text.encode()) for text in texts]
    assert spearmanr(ours, theirs).statistic > 0.95
