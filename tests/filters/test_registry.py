import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import filters
from filters.caption import labels as caption_labels
from filters.caption import tokens as caption_tokens
from filters.kernels import buffers
from filters.registry import MEASURES, _run_passes, compute, measure, measure_frame, measure_text, order_measures
from filters.text import characters, language_lines, mojibake, phrases, repetition

GIVEN = {"n_boilerplate_chars", "n_joined_spaces"}
OF_TEXT = [name for name, found in MEASURES.items() if found.kind == "text"]
# Null where no line is Japanese, of short texts, of long texts, where nothing is advertised.
NULLABLE = ("language_lines_share", "quality_score", "fluency_score", "short_prose_share", "advertising_quality")
BOUNDED = [name for name in OF_TEXT if name.endswith("_share")] + ["compression_ratio", "language_score", "quality"]
COUNTERS = {
    "text": {
        *characters.COUNTERS,
        *mojibake.COUNTERS,
        *repetition.COUNTERS,
        *phrases.COUNTERS,
        *language_lines.COUNTERS,
        *GIVEN,
        "text",
    },
    "caption": {*characters.COUNTERS, *caption_labels.LANGUAGE_COUNTERS, *caption_tokens.COUNTERS},
}
PIECES = [
    "吾輩は猫である。",
    "送料無料",
    "アダルト動画",
    "http://a.jp/http://b.jp",
    *"「。」…\n .",
    "3.14",
    "・・・",
    "-" * 9,
    "\ufffd",
]
pieces = st.one_of(st.sampled_from(PIECES), st.text(st.characters(codec="utf-8"), max_size=10))
some_text = st.lists(pieces, max_size=12).map("".join)


@pytest.fixture
def registered():
    """Puts the registry back as it was."""
    before = dict(MEASURES)
    yield MEASURES
    MEASURES.clear()
    MEASURES.update(before)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_says_what_it_is_and_where_it_comes_from(name):
    found = MEASURES[name]
    assert found.name == name
    assert found.description and "\n" not in found.description
    assert found.columns and found.columns <= COUNTERS.get(found.kind, found.columns)


@given(texts=st.lists(some_text, max_size=4))
@settings(max_examples=150, deadline=None)
def test_values_are_finite_and_shares_are_shares(texts):
    found = measure_frame(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))
    given_always = found.drop(*NULLABLE)
    assert given_always.null_count().sum_horizontal().item() == 0
    numbers = found.drop("text", *(name for name in OF_TEXT if MEASURES[name].words)).with_columns(
        pl.col(*NULLABLE).fill_null(0)
    )
    assert numbers.select(pl.all().is_finite().all()).row(0) == (True,) * numbers.width
    assert numbers.select((pl.all() >= 0).all()).row(0) == (True,) * numbers.width
    bounded = found.select(BOUNDED)
    assert not {name for name in BOUNDED if (bounded[name] > 1).any()}


@given(texts=st.lists(some_text, min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_row_does_not_depend_on_the_others(texts):
    found = measure_frame(pl.DataFrame({"text": texts}))
    assert found.equals(pl.concat(measure_frame(pl.DataFrame({"text": [t]})) for t in texts))


def test_rows_and_columns_stay():
    frame = pl.DataFrame({"id": [3, 1, 2], "body": ["あ。", "", "b"], "text": ["x", "y", "z"]})
    found = measure_frame(frame, ["hiragana_share", "chars"], text="body")
    assert found.columns == ["id", "body", "text", "hiragana_share", "chars"]
    assert found.select("id", "body", "text").equals(frame)
    assert found["chars"].to_list() == [2, 0, 1] and found["hiragana_share"].to_list() == [0.5, 0, 0]
    assert measure_frame(frame, [], text="body").equals(frame)


def test_types_do_not_depend_on_the_rows():
    full = measure_frame(pl.DataFrame({"text": ["吾輩は猫である。"]}))
    empty = measure_frame(pl.DataFrame({"text": []}, schema={"text": pl.String}))
    assert empty.height == 0 and empty.schema == full.schema
    assert full.schema["language"] == pl.String
    assert pl.concat([empty, full]).equals(full)


def test_null_is_measured_as_empty_text():
    found = measure_frame(pl.DataFrame({"text": ["あ", None, ""]}))
    assert found["text"].to_list() == ["あ", None, ""]
    assert found.drop("text").row(1) == found.drop("text").row(2)
    assert found.row(1, named=True)["language"] == "und" and found.row(1, named=True)["chars"] == 0


def test_a_slice_is_measured_as_itself():
    frame = pl.DataFrame({"text": ["あ。", "いい。", None, "ううう。"]})
    assert measure_frame(frame[1:]).equals(measure_frame(frame)[1:])


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"n_han"}, characters.COUNTERS),
        ({"n_top_2gram", "n_lz_bytes"}, ("n_top_2gram", "n_lz_bytes")),
        ({"n_adult_phrase_chars"}, ("n_adult_phrase_chars",)),
        ({"language"}, (*characters.COUNTERS, *language_lines.COUNTERS)),
        ({"caption_language"}, caption_labels.LANGUAGE_COUNTERS),
        ({"n_price_chars"}, ("n_price_chars",)),
        ({"n_emoji"}, caption_tokens.WORDS),
        (set(), ()),
        ({"text"}, ()),
    ],
)
def test_only_the_passes_that_are_needed_run(wanted, passes):
    assert set(_run_passes(*buffers(pl.Series(["吾輩は猫である。"])), wanted)) == set(passes)


def test_given_counters_are_used():
    data, offsets = buffers(pl.Series(["あいう", "え"]))
    found = compute(data, offsets, ["boilerplate_share", "chars"], {"n_boilerplate_chars": np.array([3, 0], np.int32)})
    assert found.columns == ["boilerplate_share", "chars"]
    assert found["boilerplate_share"].to_list() == [0.5, 0]


def test_measures_are_in_the_order_of_their_modules(registered):
    modules = [m.function.__module__ for m in registered.values()]
    assert list(dict.fromkeys(modules)) == [
        f"filters.{room}.measures" for room in "audio text published url caption image transcript".split()
    ]
    before = list(registered)
    registered["chars"] = registered.pop("chars")
    order_measures(filters.text_measures, filters.audio_measures)
    assert list(registered)[0] == "hiragana_share" and set(registered) == set(before)
    assert filters.text.__name__ == "filters.text" and filters.image.__name__ == "filters.image"


def test_unknown_measure():
    with pytest.raises(KeyError, match="no_such_measure"):
        measure_frame(pl.DataFrame({"text": ["あ"]}), ["no_such_measure"])


def test_a_measure_of_ones_own(registered):
    @measure
    def exclamations():
        """Exclamation marks,
        of both widths."""
        return pl.col("text").str.count_matches("[!！]")

    assert registered["exclamations"].description == "Exclamation marks, of both widths."
    assert measure_frame(pl.DataFrame({"text": ["あ！!", None]}), ["exclamations"])["exclamations"].to_list() == [2, 0]


def test_a_name_is_taken_once(registered):
    def chars():
        """Again."""

    with pytest.raises(ValueError, match="'chars'"):
        measure(chars)
    assert registered["chars"].description.startswith("Characters")


def test_an_example_in_the_docstring_is_no_part_of_the_description(registered):
    @measure
    def commas():
        """Commas,
        of Japanese.

        >>> measure_text("あ、い、う", "commas")
        2
        """
        return pl.col("text").str.count_matches("、")

    assert registered["commas"].description == "Commas, of Japanese."
    assert measure_text("あ、い、う", "commas") == 2


def test_a_measure_needs_a_docstring(registered):
    def undescribed():
        return pl.col("n_chars")

    with pytest.raises(ValueError, match="docstring"):
        measure(undescribed)
    assert "undescribed" not in registered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("吾輩は猫である。", {"hiragana_share": 0.5, "han_share": 0.375, "prose_share": 1, "quality": 1}),
        ("カタカナ abc 123", {"katakana_share": 0.4, "latin_share": 0.3, "digit_share": 0.3, "prose_share": 0}),
        ("あい\nあい\nうえ\n", {"duplicate_line_share": 1 / 5, "duplicate_line_char_share": 1 / 5, "lines": 3}),
        ("送料無料★", {"advertising_share": 0.8, "symbol_share": 0.2, "adult_share": 0}),
        ("一。二三。", {"sentences": 2, "mean_sentence_length": 2.5, "longest_sentence": 3}),
        ("", dict.fromkeys(BOUNDED, 0) | {"mean_sentence_length": 0} | dict.fromkeys(NULLABLE[:3])),
    ],
)
def test_cases_by_hand(text, expected):
    found = measure_frame(pl.DataFrame({"text": [text]}), list(expected)).row(0, named=True)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_quality_falls_with_repetition():
    line = "吾輩は猫である。"
    texts = [line, f"{line}\n{line}", f"{line}\n{line}\n{line}\n{line}", "吾輩は猫である"]
    assert measure_frame(pl.DataFrame({"text": texts}), ["quality"])["quality"].to_list() == pytest.approx([1, 0.5, 0.25, 0])


def test_python_without_docstrings_is_refused():
    environment = os.environ | {"PYTHONOPTIMIZE": "2", "PYTHONPATH": str(Path(filters.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-m", "pipeline.build", "--list"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stderr.startswith("Python was started with -OO") and "Traceback" not in done.stderr
