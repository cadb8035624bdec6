"""`report.json`: every number of it, found again from the Parquet of ledger and shards alone, by other means."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.checksums import REPORT_FILES, read_lock_entries, read_sums
from pipeline.manifest.loading import load
from pipeline.report.difference import find_difference
from pipeline.report.figures import count_domain_losses, describe_words
from pipeline.report.histogram import QUANTILES, count_bins, find_quantiles
from pipeline.report.json_schema import make_schema
from pipeline.report.ledger import Ledger, draw, nearest
from pipeline.report.model import Bound, Measure, Report
from tests.support.builds import read_ledger, read_shards

SAMPLES = {"cc100-ja": "chars", "image-text-ja": None, "speech-ja": "duration"}  # each with the ledger's column of amounts
GROUPS = ("kept", "duplicate", "dropped")


@pytest.fixture(scope="module", params=SAMPLES)
def built(request, build_as_user) -> tuple[Path, Report, pl.DataFrame]:
    out = build_as_user(request.param).out
    report = Report.model_validate(json.loads((out / "report.json").read_text("utf-8")))
    return out, report, read_ledger(out).with_row_index("row")


def test_records_by_verdict_step_and_rule_are_the_ledgers(built):
    out, report, ledger = built
    counts = dict(ledger.group_by("verdict").len().iter_rows())
    totals = report.totals
    assert {name: getattr(totals, name) for name in (*GROUPS, "unreadable")} == {
        name: counts.get(name, 0) for name in (*GROUPS, "unreadable")
    }
    assert totals.records == len(ledger) == sum(counts.values())
    by_rule = dict.fromkeys([(one.verdict, one.step, one.rule, one.records) for one in report.reasons])
    of_ledger = ledger.filter(pl.col("verdict") != "kept").group_by("verdict", "step", "rule").len()
    assert sorted(by_rule) == sorted(of_ledger.iter_rows())
    assert [one.records for one in report.reasons] == sorted((one.records for one in report.reasons), reverse=True)


def test_amounts_are_the_ledgers_and_the_shards(built):
    out, report, ledger = built
    column = SAMPLES[out.name]
    after = [state for state in report.funnel if state.step in ("decide", "deduplicate", "strip", "write")]
    entered = {"decide": ["decide"], "deduplicate": ["decide", "deduplicate"]}
    for state in after:
        lost = entered.get(state.step, ["decide", "deduplicate", "strip"])
        left = ledger.filter((pl.col("verdict") != "unreadable") & ~pl.col("step").is_in(lost).fill_null(False))
        assert state.records == len(left), state
        if column:
            assert state.amount == pytest.approx(left[column].sum(), rel=1e-4), state
    for reason in report.reasons:
        if column:
            of_rule = ledger.filter(verdict=reason.verdict, step=reason.step, rule=reason.rule)
            assert reason.amount == pytest.approx(of_rule[column].cast(pl.Float64).sum(), rel=1e-6)
    shards = {path.name.split("-")[0]: pl.read_parquet(path) for path in sorted((out / "data").glob("*.parquet"))}
    sizes = {"cc100-ja": pl.col("chars").sum(), "image-text-ja": None, "speech-ja": pl.col("duration").sum()}[out.name]
    for split in report.splits:
        rows = shards.get(split.name, read_shards(out).clear())
        assert split.records == rows["id"].n_unique()
        if sizes is not None:
            assert split.amount == pytest.approx(rows.select(sizes).item(), rel=1e-4)
    licenses = dict(read_shards(out).group_by("license").len().iter_rows())
    assert {one.name: one.records for one in report.licenses} == licenses


def test_measures_are_the_ledgers(built):
    out, report, ledger = built
    manifest = load(str(out / "manifest.lock.toml"))
    readable = ledger.filter(pl.col("verdict") != "unreadable")
    assert {one.name for one in report.measures} == {
        *(name for name in manifest.measures if name in ledger.columns),
        *(name for name in manifest.rules if name in ledger.columns),
    }
    for measure in report.measures:
        is_revised = measure.name == "chars" and "measured_chars" in ledger.columns  # without lines that recur
        values = readable["measured_chars" if is_revised else measure.name]
        if measure.name == "recurring_line_share":
            values = values.fill_null(0.0)
        dropped = ledger.filter((pl.col("verdict") == "dropped") & (pl.col("rule") == measure.name))
        assert measure.dropped == len(dropped), measure.name
        if values.dtype == pl.String:
            check_words(measure, readable.select("verdict", value=values))
        else:
            values = values.cast(pl.Int8) if values.dtype == pl.Boolean else values
            check_numbers(measure, readable.select("verdict", value=values), manifest.rules.get(measure.name))


def check_words(measure, frame: pl.DataFrame) -> None:
    assert measure.missing == frame["value"].null_count()
    assert measure.records == frame["value"].count()
    for word in measure.words:
        of_word = frame.filter(pl.col("value").eq_missing(pl.lit(word.value)))
        assert [getattr(word, name) for name in GROUPS] == [(of_word["verdict"] == name).sum() for name in GROUPS]
    shown = sum(word.kept + word.duplicate + word.dropped for word in measure.words)
    others = frame.filter(~pl.col("value").is_in([word.value for word in measure.words], nulls_equal=True))
    found = (
        [measure.others.count, measure.others.kept, measure.others.duplicate, measure.others.dropped]
        if measure.others
        else [0] * 4
    )
    assert found == [others["value"].n_unique() if len(others) else 0, *((others["verdict"] == name).sum() for name in GROUPS)]
    assert shown + measure.other_words == len(frame)


def check_numbers(measure, frame: pl.DataFrame, rule) -> None:
    frame = frame.with_columns(value=pl.col("value").cast(pl.Float64).fill_nan(None))
    values = frame.drop_nulls("value")
    assert (measure.records, measure.missing) == (len(values), len(frame) - len(values))
    finite = values["value"].filter(values["value"].is_finite())
    for share, value in measure.quantiles.items():
        assert value == finite.quantile(float(share), "lower"), (measure.name, share)
    bins = measure.bins
    if bins is None:
        assert finite.is_empty()
        return
    edges = [-np.inf, *bins.edges[1:-1], np.inf]
    rest = values.filter(pl.col("value") != 0) if bins.zeros else values
    for name in GROUPS:
        of_group = rest.filter(verdict=name)["value"]
        counts = [
            int(((of_group >= low) & ((of_group < high) | (high == np.inf))).sum()) for low, high in zip(edges, edges[1:])
        ]
        assert getattr(bins, name) == counts, (measure.name, name)
    if bins.zeros:
        assert bins.zeros == [len(values.filter(pl.col("value") == 0, verdict=name)) for name in GROUPS]
    if rule is None or rule.iqr is not None:
        return
    kind = np.float32 if measure.name != "chars" else np.float64  # bounds are compared in the type of the column
    low = values["value"] < float(kind(rule.at_least)) if rule.at_least is not None else pl.Series([False] * len(values))
    high = values["value"] > float(kind(rule.at_most)) if rule.at_most is not None else pl.Series([False] * len(values))
    broken = int((low | high).sum()) + (0 if rule.missing == "keep" else measure.missing)
    assert (measure.outside, measure.inside) == (broken, len(frame) - broken), measure.name


def test_duplicates_sources_and_lines_are_the_ledgers(built):
    out, report, ledger = built
    kept = ledger.filter(verdict="kept")
    duplicates = report.duplicates
    assert duplicates.exact == len(ledger.filter(verdict="duplicate", rule="exact"))
    assert duplicates.near == len(ledger.filter(pl.col("rule") != "exact", verdict="duplicate"))
    sizes = kept.filter(pl.col("cluster_size") > 1)["cluster_size"]
    assert duplicates.clusters == len(sizes) == sum(size.clusters for size in duplicates.sizes)
    assert sum(size.records for size in duplicates.sizes) == sizes.sum()
    for size in duplicates.sizes:
        assert size.clusters == sizes.is_between(size.least, size.most or 2**32).sum()
    assert [record.cluster_size for record in duplicates.largest] == sizes.sort(descending=True).head(8).to_list()
    if duplicates.similarity:
        assert sum(duplicates.similarity.duplicate) == duplicates.near
    rows = {row["id"]: row for row in ledger.iter_rows(named=True)}
    for pair in duplicates.pairs:
        row = rows[pair.duplicate.id]
        assert (row["duplicate_of"], row["similarity"]) == (pair.survivor.id, pair.similarity)
        texts = [
            "".join(text for kind, text in pair.difference if kind in (*kinds, "same")) for kinds in (["removed"], ["added"])
        ]
        assert all(texts) or not row["excerpt"] or pair.similarity == 1
    for group in filter(None, (report.sources, report.domains)):
        for one in [*group.shown, *([group.others] if group.others else [])]:
            assert one.records == one.unreadable + one.decide + one.deduplicate + one.strip + one.kept
    assert sum(one.records for one in report.sources.shown) == len(ledger)
    for one in report.sources.shown:
        of_source = ledger.filter(source=one.name)
        assert one.records == len(of_source)
        assert one.kept == (of_source["verdict"] == "kept").sum()
        assert one.deduplicate == (of_source["step"] == "deduplicate").sum()
        assert one.most_at is None or one.decide + one.deduplicate + one.strip > len(of_source) / 2
    if out.name == "cc100-ja":
        removed = {one.kind.en: one for one in report.removed}
        assert removed["boilerplate"].lines == ledger["boilerplate_lines"].sum()
        assert removed["boilerplate"].chars == ledger["boilerplate_chars"].sum()


def test_examples_are_records_of_the_ledger_near_and_far_from_the_bound(built):
    out, report, ledger = built
    rows = {row["id"]: row for row in ledger.iter_rows(named=True)}
    for reason in report.reasons:
        examples = reason.examples
        dropped = [*examples.near, *examples.far, *examples.random]
        assert len({record.id for record in dropped}) == len(dropped)
        for record in dropped:
            row = rows[record.id]
            assert (record.verdict, record.rule, record.value) == (row["verdict"], row["rule"], row["value"])
            assert record.verdict == reason.verdict and record.rule == reason.rule
        if reason.verdict == "duplicate":
            continue
        distances = (
            ledger.filter(rule=reason.rule).select((pl.col("value") - pl.col("bound")).abs()).to_series().drop_nulls().sort()
        )
        of_near = [abs(rows[record.id]["value"] - rows[record.id]["bound"]) for record in examples.near]
        assert of_near == distances.head(4).to_list()
        for record in examples.kept_near:
            assert rows[record.id]["verdict"] == "kept"
            assert record.measured == pytest.approx(
                rows[record.id].get("measured_chars" if reason.rule == "chars" else "", rows[record.id][reason.rule])
            )
    assert {rows[record.id]["verdict"] for record in report.kept} == {"kept"}


def test_the_report_is_published_with_the_corpus(built):
    out, report, _ = built
    entries = {entry["path"]: entry for entry in read_lock_entries(out) or []}
    for name in REPORT_FILES:
        content = (out / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert entries[name]["sha256"] == digest == (read_sums(out) or {})[name]
        assert len(content) < 5_000_000
    assert report.effort.seconds > 0
    assert str(out.parent) not in (out / "report.json").read_text("utf-8")


# -- histograms and examples by themselves

NUMBERS = st.one_of(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1).map(lambda values: np.array(values, np.float32)),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1).map(lambda values: np.array(values, np.int32)),
    st.lists(st.integers(0, 12), min_size=1).map(lambda values: np.array(values, np.int32)),
    st.lists(st.floats(0, 1, width=32), min_size=1).map(lambda values: np.array(values, np.float32)),
)


@given(values=NUMBERS, data=st.data())
def test_every_value_is_counted_once_and_no_bin_has_both_sides_of_a_bound(values, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values))))
    limits = data.draw(st.lists(st.sampled_from([0.5, 3.0, *map(float, values[np.isfinite(values)])]), max_size=2, unique=True))
    bounds = [Bound(kind=kind, value=limit) for kind, limit in zip(("at_least", "at_most"), sorted(limits))]
    bins = count_bins(values, groups, bounds)
    if bins is None:
        assert not np.isfinite(values).any()
        return
    total = sum(map(sum, (bins.kept, bins.duplicate, bins.dropped, bins.zeros or [])))
    assert total == len(values)
    assert bins.edges == sorted(set(bins.edges)) and all(map(np.isfinite, bins.edges))
    for bound in bounds:
        limit = values.dtype.type(bound.value) if values.dtype.kind == "f" else bound.value
        is_low = values < limit if bound.kind == "at_least" else values <= limit
        counted = values[values != 0] if bins.zeros else values
        low = is_low[values != 0] if bins.zeros else is_low
        places = np.searchsorted(bins.edges[1:-1], counted.astype(np.float64), side="right")
        assert not set(places[low]) & set(places[~low])


@pytest.mark.parametrize(
    "values", [[5e-324, 1.0, 1.7e308], [1.0, 2.0, 3.0, 100.0, 1.797e308], [-1.7e308, 0.0, 1.7e308], [1.0] * 5]
)
@pytest.mark.parametrize("limit", [1.5, 1e300, 1e-320])
def test_a_histogram_of_the_widest_range_has_numbers_for_edges(values, limit):
    bins = count_bins(np.array(values), np.zeros(len(values), int), [Bound(kind="at_least", value=limit)])
    assert bins is not None and np.isfinite(bins.edges).all() and bins.edges == sorted(set(bins.edges))
    assert sum(bins.kept) == len(values)


@given(
    values=st.lists(st.sampled_from([0.0, 0.25, 0.7, 1.0]) | st.floats(0, 1, width=32), min_size=1),
    limit=st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    kind=st.sampled_from(["at_least", "at_most"]),
)
def test_bins_of_a_share_lie_between_0_and_1(values, limit, kind):
    """Of a constant share the axis has both ends. A bound at an end has a bin on either side of it."""
    numbers = np.array(values, np.float32)
    bounds = [] if limit is None else [Bound(kind=kind, value=limit)]
    bins = count_bins(numbers, np.zeros(len(numbers), int), bounds, (0.0, 1.0))
    assert sum(bins.kept) + sum(bins.zeros or []) == len(values) and bins.edges == sorted(set(bins.edges))
    if limit not in (0.0, 1.0) and bins.scale == "linear":
        assert bins.edges[0] >= 0 and bins.edges[-1] <= 1
        if len(set(values)) == 1:
            assert (bins.edges[0], bins.edges[-1]) == (0.0, 1.0)
    for bound in bounds:
        is_low = numbers < np.float32(limit) if bound.kind == "at_least" else numbers <= np.float32(limit)
        places = np.searchsorted(bins.edges[1:-1], numbers.astype(np.float64), side="right")
        counted = numbers != 0 if bins.zeros else np.ones(len(numbers), bool)
        assert not set(places[is_low & counted]) & set(places[~is_low & counted])


def test_words_beyond_those_that_are_named_are_counted(tmp_path):
    codes = [f"l{number:02}" for number in range(38) for _ in range(38 - number)]
    figures = Measure(name="language", description="", records=0, missing=0)
    describe_words(figures, pl.Series(codes), np.array([number % 3 for number in range(len(codes))]))
    assert len(figures.words) == 30 and figures.others.count == 8
    assert figures.others.kept + figures.others.duplicate + figures.others.dropped == figures.other_words == sum(range(1, 9))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_quantiles_are_values(values):
    found = find_quantiles(np.array(values))
    assert [found[f"{share:g}"] for share in QUANTILES] == [pl.Series(values).quantile(share, "lower") for share in QUANTILES]


def test_examples_are_the_same_whatever_the_order_of_equal_ones():
    rows = np.arange(1000)
    assert nearest(rows, np.zeros(1000), 5) == nearest(rows[::-1], np.zeros(1000), 5)
    assert draw(rows, 5) == sorted(draw(rows, 5)) and len({*draw(rows, 5)}) == 5
    assert nearest(rows, np.where(rows == 7, 0.0, np.nan), 5) == [7]


def test_rows_are_read_by_number_over_files_and_row_groups(tmp_path):
    frames = [pl.DataFrame({"id": [f"{file}-{i}" for i in range(50)], "verdict": ["kept"] * 50}) for file in range(3)]
    files = []
    for number, frame in enumerate(frames):
        files.append(tmp_path / f"{number}.parquet")
        frame.write_parquet(files[-1], row_group_size=20)
    ledger = Ledger(tuple(files))
    ids = pl.concat(frames)["id"]
    wanted = [0, 19, 20, 49, 50, 99, 149]
    found: dict[int, dict[str, Any]] = ledger.rows_at(wanted, ["id"])
    assert {number: row["id"] for number, row in found.items()} == {number: ids[number] for number in wanted}
    assert ledger.find([ids[73]]) == {ids[73]: 73}


def test_domains_are_those_of_urls_over_all_files_and_the_worst_step_is_marked(tmp_path):
    rows = [("https://www.a.co.jp/1", "duplicate", "deduplicate")] * 20 + [("http://a.co.jp/2", "kept", None)] * 5
    rows += [
        ("https://x.hatenablog.com/", "dropped", "decide"),
        ("javascript:alert(1)", "kept", None),
        (None, "unreadable", "read"),
    ]
    frame = pl.DataFrame(rows, schema=["url", "verdict", "step"], orient="row").with_columns(chars=pl.lit(10, pl.Int32))
    files = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for file, part in zip(files, (frame[:7], frame[7:])):
        part.write_parquet(file)
    found = count_domain_losses(Ledger(tuple(files)), "chars")
    assert [(one.name, one.records, one.deduplicate, one.kept, one.kept_amount, one.most_at) for one in found.shown] == [
        ("a.co.jp", 25, 20, 5, 50.0, "deduplicate"), ("x.hatenablog.com", 1, 0, 0, 0.0, None),
    ]  # fmt: skip
    assert [one.kept_amount for one in count_domain_losses(Ledger(tuple(files)), None).shown] == [None, None]


def test_long_equal_text_is_left_out_of_a_difference():
    before, after = "あ" * 3000 + "東京" + "い" * 3000, "あ" * 3000 + "大阪" + "い" * 3000
    difference = find_difference(before, after)
    assert [kind for kind, _ in difference] == ["gap", "same", "removed", "added", "same", "gap"]
    assert [text for kind, text in difference if kind in ("removed", "added")] == ["東京", "大阪"]
    assert find_difference("同じ文。" * 900, "同じ文。" * 900)[0][0] == "same"


def test_the_schema_is_current():
    written = (Path(__file__).parents[3] / "docs" / "report.schema.json").read_text("utf-8")
    assert written == make_schema(), "python -m pipeline.report.json_schema > docs/report.schema.json"
