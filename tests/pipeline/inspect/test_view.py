"""What a view selects: what its code selects, what polars selects of the whole ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.inspect import selection
from pipeline.inspect.opened import OpenedCorpus
from pipeline.inspect.rendering import mark_text
from pipeline.inspect.view import PAGE, VERDICTS, parse_view

MEASURES = ("chars", "hiragana_share", "quality_score", "cluster_size", "similarity", "advertising_quality", "recurring_lines")


@pytest.fixture(scope="module")
def opened(reference: Path) -> OpenedCorpus:
    return OpenedCorpus(reference)


@pytest.fixture(scope="module")
def ledger(opened: OpenedCorpus) -> pl.DataFrame:
    return opened.built.scan_ledger().collect()


def list_ids(opened: OpenedCorpus, parameters: list[tuple[str, str]]) -> list[str]:
    view = parse_view(parameters, opened.schema)
    return opened.ledger.read(opened.selector.select(view).page(view.page), ["id"])["id"].to_list()


def run_code(opened: OpenedCorpus, selector: selection.Selector, parameters: list[tuple[str, str]]) -> pl.DataFrame:
    """Return the frame that the copied code makes."""
    view = parse_view(parameters, opened.schema)
    names: dict[str, Any] = {}
    exec(selector.write_code(view, selector.select(view)), names)
    return names["page"]


def make_selector(opened: OpenedCorpus) -> selection.Selector:
    """Return a selector that has selected nothing yet."""
    own = opened.selector
    return selection.Selector(own.ledger, own.shards, own.text_column, own.own_ids)


@st.composite
def draw_parameters(draw: st.DrawFn) -> list[tuple[str, str]]:
    given = [("verdict", one) for one in draw(st.lists(st.sampled_from(VERDICTS), unique=True, max_size=3))]
    for column in draw(st.lists(st.sampled_from(MEASURES), unique=True, max_size=2)):
        side = draw(st.sampled_from(["min", "max"]))
        given.append((f"{side}.{column}", repr(draw(st.sampled_from([0, 0.25, 0.3, 1, 2, 40, 300.5])))))
    if draw(st.booleans()):
        column = draw(st.sampled_from(MEASURES))
        given.append(("sort", draw(st.sampled_from([column, f"-{column}", f"{column}~0.3", f"-{column}~40"]))))
    if draw(st.booleans()):
        given.append(("q", draw(st.sampled_from(["の", "です。", "'\\\"", "\n", "never there", "。\n"]))))
    if draw(st.booleans()):
        given.append(draw(st.sampled_from([("id", "1"), ("rule", "language"), ("is.language", "ja"), ("step", "decide")])))
    return [*given, ("page", str(draw(st.integers(1, 3))))]


@given(draw_parameters())
def test_the_code_gives_exactly_what_is_shown(opened, ledger, parameters):
    page = run_code(opened, opened.selector, parameters)
    assert page["id"].to_list() == list_ids(opened, parameters)
    assert page.columns == ledger.columns
    assert page.sort("id").equals(ledger.filter(pl.col("id").is_in(page["id"].implode())).sort("id"))


@given(draw_parameters(), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_the_first_pages_of_a_sorted_view_are_those_of_all(opened, parameters, pages):
    parameters = [pair for pair in parameters if pair[0] != "page"]
    whole, selector = make_selector(opened), make_selector(opened)
    for page in pages:
        view = parse_view([*parameters, ("page", str(page))], opened.schema)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "_FIRST", 0)
            expected = whole.select(view)
            patch.setattr(selection, "_FIRST", 2 * PAGE)
            chosen = selector.select(view)
        assert chosen.records == expected.records and chosen.page(page).tolist() == expected.page(page).tolist()
        if view.order is not None and not view.text:
            assert selector.find_first(view, 7).tolist() == expected.numbers[:7].tolist()


@pytest.mark.parametrize("filters", [[], [("verdict", "kept"), ("min.chars", "100")]])
def test_a_search_in_parts_finds_what_one_search_finds(opened, monkeypatch, filters):
    parameters = [*filters, ("q", "です。")]
    complete = opened.selector.select(parse_view(parameters, opened.schema))
    monkeypatch.setattr(selection, "SEARCHED_BYTES", 40_000)
    selector = selection.Selector(opened.ledger, opened.shards, "text")
    found: set[int] = set()
    part = parts = 1
    while part <= parts:
        of_part = [*parameters, ("part", str(part))]
        chosen = selector.select(parse_view(of_part, opened.schema))
        parts, part = chosen.searched.parts, part + 1
        found |= set(chosen.numbers.tolist())
        assert run_code(opened, selector, of_part)["id"].to_list() == opened.ledger.read(chosen.page(1), ["id"])["id"].to_list()
    assert found == set(complete.numbers.tolist())


def test_texts_beyond_excerpts_are_found(opened):
    shards = opened.built.scan_shards().select("id", "text").collect()
    id, text = next((id, text) for id, text in shards.iter_rows() if len(text) > 400)
    assert id in list_ids(opened, [("q", text[300:380])])


def test_every_page_of_all_records_is_of_the_ledger(opened, ledger):
    pages = opened.selector.select(parse_view([], opened.schema)).pages
    ids = [id for page in range(1, pages + 1) for id in list_ids(opened, [("page", str(page))])]
    assert ids == ledger["id"].to_list() and pages == -(-len(ledger) // PAGE)
    assert list_ids(opened, [("page", str(pages + 1))]) == []


def test_rows_come_in_the_order_that_is_asked_for(opened, ledger):
    numbers = [len(ledger) - 1, 3, 3, 0]
    read = opened.ledger.read(numbers, ["chars", "id"])
    assert read.columns == ["chars", "id"] and read["id"].to_list() == ledger["id"].gather(numbers).to_list()
    assert len(opened.ledger.read([], ["id"])) == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([("verdict", "good")], "verdict 'good': expected one of kept"),
        ([("min.nothing", "1")], "no column 'nothing'"),
        ([("min.chars", "many")], "a number is expected"),
        ([("max.chars", "nan")], "a number is expected"),
        ([("min.language", "1")], "language is no number"),
        ([("is.chars", "1")], "chars is a number"),
        ([("sort", "recurring_spans")], "a list"),
        ([("sort", "language~3")], "no number"),
        ([("page", "0")], "from 1 on"),
        ([("page", "²")], "from 1 on"),
        ([("q", "あ" * 1001)], "1,001 characters"),
        ([("__class__", "x")], "a view has no __class__"),
        ([("with", "x")], "no column 'x'"),
        ([("q", "a"), ("part", "2")], "in 1 parts"),
    ],
)
def test_what_no_view_has_is_refused(opened, parameters, words):
    with pytest.raises(UsageError, match=words):
        opened.selector.select(parse_view(parameters, opened.schema))


def test_totals_are_the_ledgers(opened, ledger):
    totals = opened.totals
    counted = ledger.group_by("verdict").agg(pl.len(), pl.sum("chars"))
    assert totals.verdicts == {verdict: (records, chars or 0) for verdict, records, chars in counted.iter_rows()}
    by_rule = dict(ledger.filter(pl.col("verdict") != "kept")["rule"].value_counts().iter_rows())
    assert {loss.rule: loss.records for loss in totals.losses} == by_rule
    (source,) = ledger["source"].unique()
    assert sum(loss.records for loss in totals.list_losses(source)) == len(ledger) == totals.sources["records"][0]
    assert totals.sources["lost"][0] == pytest.approx((ledger["verdict"] != "kept").mean())
    histogram = totals.count_values("chars", [20.0])
    assert sum(histogram.kept) == (ledger.filter(pl.col("chars").is_not_null())["verdict"] == "kept").sum()
    assert sum(histogram.kept) + sum(histogram.others) + histogram.missing == len(ledger)
    quantiles = totals.find_quantiles("chars")
    assert quantiles == sorted(quantiles) and (quantiles[0], quantiles[-1]) == (ledger["chars"].min(), ledger["chars"].max())


@given(st.text())
def test_marked_text_has_nothing_that_is_obeyed(text):
    shown = mark_text(text)
    assert not set(shown) & set("\x00\x1b\u202e\u2066\u200f") and "<" not in shown.replace('<span class="mark">', "").replace(
        "</span>", ""
    )
