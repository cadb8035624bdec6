"""Licenses are summed by name, the rarest without one where there are too many."""

import polars as pl
import pytest

from pipeline.modalities import licenses
from pipeline.modalities.licenses import LicenseCounts, sum_licenses


def count(*names: str | None) -> list[list]:
    counts = LicenseCounts()
    for name in names:
        counts.add(pl.Series([name], dtype=pl.String), pl.Series([10]))
    return counts.rows()


def test_counts_are_sorted_by_records_and_name():
    assert count("b", "a", "c", "c") == [["c", 2, 20], ["a", 1, 10], ["b", 1, 10]]
    assert count() == [] == sum_licenses([]) == sum_licenses([[], []])


def test_of_too_many_the_most_frequent_have_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(licenses, "REMEMBERED", 2)
    monkeypatch.setattr(licenses, "SHOWN", 1)
    counted = count("a", "b", "b", "c")
    assert counted == [["b", 2, 20], ["a", 1, 10], [None, 1, 10]]
    assert sum_licenses([counted, [["a", 3, 30]]]) == [["a", 4, 40], [None, 3, 30]]
