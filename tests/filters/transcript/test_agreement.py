from itertools import product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import measure_frame, normalise
from filters.transcript.agreement import count_edits, reading_error_rates
from filters.transcript.edit_distance import error_rates
from filters.transcript.spoken import spoken
from pipeline.manifest.loading import load

PAIRS = Path(__file__).parents[2] / "data" / "transcript_pairs.tsv"
STRETCH = st.lists(st.text(alphabet="コカウオイエーッヲン", max_size=3), min_size=1, max_size=3).map(tuple)
STRETCHES = st.lists(STRETCH, max_size=4)


@pytest.mark.parametrize("dictionary", ["unidic", "sudachi"])
@pytest.mark.parametrize("same", [1, 0])
def test_equal_transcripts_are_kept_and_others_dropped(same, dictionary):
    """Pairs made by hand: the same said in two ways of writing, and not the same."""
    rules = load("speech-ja").rules
    rows = pl.read_csv(PAIRS, separator="\t", quote_char=None).filter(same=same)
    assert len(rows) >= (60 if same else 30)
    sides = [spoken(normalise(rows[side], width="fold")) for side in ("reference", "hypothesis")]
    differs = reading_error_rates(sides[0], sides[1], dictionary) > rules["reading_error_rate"].at_most
    wrong = rows.filter(differs if same else ~differs)
    assert len(wrong) <= 0.02 * len(rows), wrong.rows()
    for side in sides:
        measures = measure_frame(side.to_frame("text"), ["japanese_word_share", "looped_share"])
        assert (measures["japanese_word_share"] >= rules["japanese_word_share"].at_least).all()
        assert (measures["looped_share"] <= rules["looped_share"].at_most).all()


@settings(deadline=None)
@given(STRETCHES, STRETCHES)
def test_edits_are_the_least_of_all_readings(one, other):
    ways = [["".join(way) for way in product(*stretches)] for stretches in (one, other)]
    combinations = list(product(*ways))
    a, b = (pl.Series([way[i] for way in combinations], dtype=pl.String) for i in (0, 1))
    rates = error_rates(a, b, by_sound=True)
    least = min(round(rate * max(1, len(first))) for rate, first in zip(rates, a, strict=True))
    assert count_edits(one, other) == least


def test_many_readings_take_no_longer():
    """Twenty-eight words with several readings each: 10^13 combinations."""
    text = "明日は市場で7時、" * 14
    assert reading_error_rates(pl.Series([text]), pl.Series(["あすはいちばでななじ、" * 14]))[0] == 0


def test_null_stays_null_and_nothing_to_read_counts_edits():
    found = reading_error_rates(
        pl.Series([None, "猫", "…", "猫"], dtype=pl.String), pl.Series(["猫", None, "猫", "猫"], dtype=pl.String)
    )
    assert found.to_list() == [None, None, 2, 0]
    assert len(reading_error_rates(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String))) == 0
