"""Numbers as they are shown: two that differ never read the same, but for measures, which are float32."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.numbers import show_fitted, show_number
from pipeline.core.terminal import Terminal
from pipeline.explain import terminal as explain
from pipeline.inspect.rendering import format_value
from pipeline.inspect.view import parse_view
from pipeline.manifest.model import Bound
from pipeline.steps.decide import decide_frame
from pipeline.whatif.near import Neighbour
from pipeline.whatif.terminal import print_neighbours
from seimai import Rules

DAYS = (20240114.0, 20240115.0)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0.25, "0.25"), (0.025, "0.025"), (1e-05, "1e-05"), (50.0, "50"), (0.0, "0"), (-3.0, "-3"), (7, "7"), (2**60, f"{2**60}"),
        (1234567.0, "1234567"), (20240114.0, "20240114"), (1732870000.125, "1732870000.125"), (0.1234567, "0.1234567"),
        (float(2**60), f"{2**60}"), (-9.2e18, "-9.2e+18"), (1e300, "1e+300"), (12345.25, "12345.25"), (math.inf, "inf"),
        (math.nan, "nan"), (float(np.float32(0.4)), "0.4"), (float(np.float32(1 / 3)), "0.333333"),
    ],
)  # fmt: skip
def test_a_number_has_the_digits_it_needs(number, shown):
    assert show_number(number) == shown


def test_a_measure_has_the_digits_asked_for():
    assert show_number(float(np.float32(1 / 3)), 4) == "0.3333" and show_number(1234567.0, 4) == "1234567"
    assert [show_fitted(limit) for limit in (0.123456, 20240500.4321)] == ["0.1235", "20240500.4"]


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_no_two_numbers_read_the_same(number):
    with np.errstate(over="ignore"):
        is_measure = isinstance(number, float) and abs(number) < 1000 and float(np.float32(number)) == number
    shown = show_number(number)
    assert math.isclose(float(shown), number, rel_tol=1e-5) if is_measure else type(number)(shown) == number


def test_a_day_is_told_from_the_day_beside_it(capsys):
    """In the ledger, in explain, in whatif and on the pages of inspect."""
    frame = pl.DataFrame({"keep:day": [20240114, 20240115], "unreadable": pl.Series([None] * 2, dtype=pl.String)})
    dropped, kept = decide_frame(frame, {"day": Bound(at_least=20240115)}).rows(named=True)
    assert (dropped["value"], dropped["bound_text"], kept["verdict"]) == (20240114, ">= 20240115", "kept")
    fitted = pl.DataFrame({"keep:day": [1], "low:day": [20240500.43], "high:day": [20240600.0], "unreadable": [None]})
    assert decide_frame(fitted, {"day": Bound(iqr=1.5)})["bound_text"].to_list() == [">= 20240500.4"]
    row = dropped | {"step": "decide"}
    assert "day 20240114 (>= 20240115)" in explain._describe_verdict(row)
    print_neighbours(Terminal(), "day", [Neighbour(DAYS[1], day == DAYS[1], day, "a", "kept", None, "") for day in DAYS])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("20240115") and [line.split()[0] for line in lines[1:]] == ["20240114", "20240115"]
    assert [format_value(day) for day in DAYS] == ["20240114", "20240115"]
    view = parse_view([("min.day", "20240115"), ("sort", "day~20240114")], pl.Schema({"day": pl.Int64()}))
    assert view.conditions[0].words == "day >= 20240115" and view.order.words == "|day - 20240114|"


def test_a_bound_in_the_card_and_in_python_has_all_its_digits():
    rules = Rules("ja-web", set={"rules.chars.at_least": 1234567})
    assert "at_least 1234567" in repr(rules.explain("猫である。"))
