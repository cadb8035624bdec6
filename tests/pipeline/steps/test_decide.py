import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifest.model import Bound
from pipeline.steps.decide import decide_frame


def decided(rules, unreadable=None, **measures):
    count = len(next(iter(measures.values())))
    frame = pl.DataFrame(
        {f"m:{name}": values for name, values in measures.items()}
        | {"unreadable": pl.Series(unreadable or [None] * count, dtype=pl.String)},
        strict=False,
    )
    return decide_frame(frame, {name: Bound(**bound) for name, bound in rules.items()}).rows()


KEPT = ("kept", *[None] * 5)


def test_bounds_are_inclusive():
    rules = {"kana_share": {"at_least": 0.25, "at_most": 0.75}}
    assert decided(rules, kana_share=[0.25, 0.5, 0.75]) == [KEPT] * 3
    assert decided(rules, kana_share=[0.2499, 0.7501]) == [
        ("dropped", "kana_share", 0.2499, None, 0.25, ">= 0.25"),
        ("dropped", "kana_share", 0.7501, None, 0.75, "<= 0.75"),
    ]
    assert decided({"chars": {"at_least": 50}}, chars=[49, 50]) == [("dropped", "chars", 49, None, 50, ">= 50"), KEPT]


@pytest.mark.parametrize("bound", [{"at_least": 0.1}, {"at_most": 0.9}, {"at_least": 0.1, "at_most": 0.9}])
@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_missing_value_is_out_of_bounds(bound, value):
    [found, fine] = decided({"kana_share": bound}, kana_share=[value, 0.5])
    assert found[:4] == ("dropped", "kana_share", None, "missing") and found[4] in (0.1, 0.9) and found[5]
    assert fine == KEPT


def test_words():
    rows = decided({"language": {"any_of": ["ja", "ko"]}}, language=["ja", "ko", "zh", None])
    assert rows[:2] == [KEPT] * 2
    assert rows[2] == ("dropped", "language", None, "zh", None, "one of ja, ko")
    assert rows[3] == ("dropped", "language", None, "missing", None, "one of ja, ko")
    assert decided({"language": {"none_of": ["zh"]}}, language=["ja", "zh"]) == [
        KEPT,
        ("dropped", "language", None, "zh", None, "none of zh"),
    ]


def test_a_word_that_reads_like_no_number_is_a_word():
    frame = pl.DataFrame({"keep:s": ["NaN", "nan", "x", None], "unreadable": pl.Series([None] * 4, dtype=pl.String)})
    none = decide_frame(frame, {"s": Bound(none_of=["NaN", "nan"], missing="keep")})
    assert none["verdict"].to_list() == ["dropped", "dropped", "kept", "kept"]
    assert decide_frame(frame, {"s": Bound(any_of=["x"], missing="keep")})["verdict"].to_list() == [
        "dropped",
        "dropped",
        "kept",
        "kept",
    ]


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64, pl.Float64])
def test_whole_numbers_are_compared_exactly(kind):
    frame = pl.DataFrame(
        {"keep:n": pl.Series([2**53 - 1, 2**53, 2**53 + 2], dtype=kind), "unreadable": pl.Series([None] * 3, dtype=pl.String)}
    )
    assert decide_frame(frame, {"n": Bound(at_most=2**53)})["verdict"].to_list() == ["kept", "kept", "dropped"]
    assert decide_frame(frame, {"n": Bound(at_least=2**53, at_most=1e300)})["verdict"].to_list() == ["dropped", "kept", "kept"]
    assert decide_frame(frame, {"n": Bound(at_least=-1)})["verdict"].to_list() == ["kept"] * 3
    if kind == pl.Int64:
        odd = pl.DataFrame({"keep:n": [2**53 + 1], "unreadable": pl.Series([None], dtype=pl.String)})
        assert decide_frame(odd, {"n": Bound(at_most=2**53)})["verdict"].to_list() == ["dropped"]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 10**400])
def test_a_whole_number_that_no_float_holds_is_no_bound(value):
    with pytest.raises(ValueError, match="from where on bounds are not exact"):
        Bound(at_least=value)


def test_the_first_rule_in_the_manifests_order_is_named():
    rules = {"chars": {"at_least": 50}, "digit_share": {"at_most": 0.5}}
    values = {"chars": [10, 10, 100, 100], "digit_share": [0.9, 0.1, 0.9, 0.1]}
    assert [r[1] for r in decided(rules, **values)] == ["chars", "chars", "digit_share", None]
    assert [r[1] for r in decided(dict(reversed(rules.items())), **values)] == ["digit_share", "chars", "digit_share", None]


def test_unreadable_records_break_no_rule():
    rows = decided({"chars": {"at_least": 50}}, unreadable=["bad", None], chars=[0, 0])
    assert rows == [("unreadable", *[None] * 5), ("dropped", "chars", 0, None, 50, ">= 50")]


def test_without_rules_all_is_kept():
    assert decided({}, chars=[0, 1]) == [KEPT] * 2
    assert decided({"chars": {"at_least": 1}}, chars=[]) == []


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20),
    st.floats(0, 1).flatmap(lambda low: st.tuples(st.just(low), st.floats(low, 1))),
)
def test_what_is_dropped_lies_beyond_its_bound_as_a_number(values, bounds):
    """Measures are float32, bounds are not: a value that breaks one must not look equal to it."""
    low, high = bounds
    frame = pl.DataFrame(
        {"m:kana_share": pl.Series(values, dtype=pl.Float32), "unreadable": pl.Series([None] * len(values), dtype=pl.String)}
    )
    found = decide_frame(frame, {"kana_share": Bound(at_least=low, at_most=high)})
    for value, (verdict, _, shown, _, bound, text) in zip(values, found.rows()):
        if verdict == "kept":
            assert shown is None and np.float32(low) <= value <= np.float32(high)
        else:
            assert shown == value and (shown < bound == low if text.startswith(">=") else shown > bound == high)


def test_a_band_that_was_fitted_has_its_ends():
    frame = pl.DataFrame({"m:chars": [2.0, 4.0, 8.0, 8.1], "low:chars": [4.0] * 4, "high:chars": [8.0] * 4})
    frame = frame.with_columns(unreadable=pl.lit(None, pl.String))
    found = decide_frame(frame, {"chars": Bound(iqr=1.5)}).rows()
    assert found == [("dropped", "chars", 2.0, None, 4.0, ">= 4.0"), KEPT, KEPT, ("dropped", "chars", 8.1, None, 8.0, "<= 8.0")]
