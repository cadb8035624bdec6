"""Lines that recur over documents, through whole builds: removed from shards, told in ledger, card and summary, the same on any workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.text.lines import remove_spans
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.storage import read_json
from tests.support.builds import hash_outputs, read_ledger, read_shards
from tests.support.sites import Page, count_found, make_site
from tests.support.texts import make_sentences

PAGES = [*make_site(1, 30), *make_site(2, 7)]
MENU = "\n".join(make_site(1, 1)[0].furniture)


def write_input(path: Path) -> Path:
    """Write pages of two sites, copies of a page of a third, and pages that are nearly nothing but furniture."""
    rows: list[dict[str, Any]] = [{"text": page.text, "url": page.url} for page in PAGES]
    rows += [{"text": make_sentences(("own", i), 8), "url": f"https://other{i}-example.com/"} for i in range(60)]
    copies = make_site(9, 1)[0]
    rows += [{"text": copies.text, "url": f"https://www.copies-example.jp/{i}"} for i in range(25)]
    header, _, rest = PAGES[0].text.partition("\n\n")
    bare = "\n".join([*header.split("\n")[:-1], "椿の花が咲いた。", *rest.split("\n\n")[-1].split("\n")])
    rows.append({"text": bare, "url": "https://www.site1-example.jp/bare.html"})
    rows += [
        {"text": "JavaScriptを有効にしてください", "url": "https://x.example.com/"},
        {"text": "  \n", "url": "https://y.example.com/"},
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


MANIFEST = """
name = "sites"
title = "Sites"
license = "CC0-1.0"
[source]
format = "jsonl"
partition = "20 KB"
[rules]
preset = "ja-web"
chars = { at_least = 50, source = "own", reason = "Shorter pages are stubs." }
"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory, build):
    folder = tmp_path_factory.mktemp("sites")
    (folder / "sites.toml").write_text(MANIFEST, "utf-8")
    write_input(folder / "sites.jsonl")
    done = build(folder / "sites.toml", "--input", folder / "sites.jsonl", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def texts_of(pages: list[Page], out: Path) -> dict[str, str]:
    shards = read_shards(out)
    return dict(zip(shards["url"], shards["text"]))


def test_furniture_is_gone_and_prose_is_not(sites):
    texts = texts_of(PAGES, sites[0] / "out")
    kept = [page for page in PAGES if page.url in texts]
    assert len(kept) == len(PAGES)
    total, gone, lost = count_found(kept, [texts[page.url] for page in kept])
    assert gone >= 0.95 * total and lost == 0


def test_shards_ledger_and_summary_agree(sites):
    out = sites[0] / "out"
    ledger, shards = read_ledger(out), read_shards(out)
    assert (shards["text"].str.len_chars() == shards["chars"]).all()
    joined = shards.join(ledger.filter(verdict="kept"), on="id", suffix="_ledger", validate="1:1")
    assert len(joined) == len(ledger.filter(verdict="kept")) and (joined["chars"] == joined["chars_ledger"]).all()
    assert (joined["excerpt"] == joined["text"].str.head(200)).all()
    # What the ledger says of where lines stood is what was removed.
    measured = pl.concat(map(pl.read_parquet, (out / STATE_FOLDER / "work").glob("measure-*/part-*.parquet")))
    stripped = joined.filter(pl.col("recurring_lines") > 0).join(
        measured.unique("keep:url"), left_on="url", right_on="keep:url"
    )
    left, removed = remove_spans(stripped["text_right"], stripped["recurring_spans"])
    assert (left == stripped["text"]).all() and len(removed) == stripped["recurring_lines"].sum()
    assert removed.str.len_chars().sum() == stripped["recurring_chars"].sum()
    summary = read_json(out / STATE_FOLDER / "state.json")
    counts = summary["removed"]["recurring"]
    assert [counts["records"], counts["lines"], counts["chars"]] == [
        len(stripped),
        len(removed),
        stripped["recurring_chars"].sum(),
    ]
    assert counts["samples"][0][1] == removed.value_counts()["count"].max()
    assert summary["verdicts"]["kept"][2] == shards["chars"].sum() == sum(chars for _, chars in summary["splits"].values())


def test_copies_of_a_page_do_not_recur(sites):
    ledger = read_ledger(sites[0] / "out").filter(pl.col("url").str.contains("copies"))
    assert ledger["verdict"].value_counts().sort("count")["count"].to_list() == [1, 24]
    assert ledger["recurring_lines"].null_count() == len(ledger)


def test_who_loses_most_to_deduplication_is_named(sites):
    folder, said = sites
    warning = "site copies-example.jp: 24 of 25 records are duplicates (96%)"
    assert f"warning: {warning}" in said
    assert warning in (folder / "out" / "README.md").read_text("utf-8")
    assert read_json(folder / "out" / STATE_FOLDER / "state.json")["losses"] == [["site", "copies-example.jp", 25, 24]]


def test_a_page_that_is_nearly_nothing_else_is_dropped(sites):
    row = read_ledger(sites[0] / "out").filter(url="https://www.site1-example.jp/bare.html").row(0, named=True)
    # Its menus go as boilerplate already, since there is hardly anything beside them.
    assert (row["verdict"], row["step"], row["rule"], row["bound"]) == ("dropped", "decide", "chars", 50)
    assert row["value"] == row["chars"] < 50 and row["boilerplate_lines"] > 10


def test_what_is_emptied_is_dropped_for_what_emptied_it(sites):
    ledger = read_ledger(sites[0] / "out")
    rows = ledger.filter(pl.col("url").is_in(["https://x.example.com/", "https://y.example.com/"]))
    assert rows.select("rule", "value", "boilerplate_lines").rows() == [("boilerplate_share", 1, 1), ("chars", 0, 0)]


def test_card_and_terminal_say_what_was_removed(sites):
    folder, said = sites
    card = (folder / "out" / "README.md").read_text("utf-8")
    assert "What was removed from documents / 取り除いた行" in card and "`カテゴリー` ×" in card
    assert "menus, headers and footers that recur" in said and "characters): boilerplate" in said
    assert "recurring_line_share" in card or "| strip |" in card


@pytest.mark.parametrize("options", [[], ["--set", "source.partition=3 KB"], ["--set", "source.partition=1 MB"]])
def test_workers_and_partitions_change_nothing(sites, build, build_on_cluster, tmp_path, options):
    folder = sites[0]
    run = build if options else build_on_cluster
    done = run(folder / "sites.toml", "--input", folder / "sites.jsonl", "--out", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    if not options:
        assert hash_outputs(tmp_path / "out") == hash_outputs(folder / "out")
    assert read_ledger(tmp_path / "out").equals(read_ledger(folder / "out"))
    assert read_shards(tmp_path / "out").sort("id").equals(read_shards(folder / "out").sort("id"))


@pytest.mark.parametrize("setting", ["recurring_lines.enabled=false", "deduplicate.enabled=false"])
def test_without_it_all_lines_stay(sites, build, tmp_path, setting):
    folder = sites[0]
    done = build(folder / "sites.toml", "--input", folder / "sites.jsonl", "--out", tmp_path / "out", "--set", setting)
    assert done.returncode == 0, done.stderr
    shards, ledger = read_shards(tmp_path / "out"), read_ledger(tmp_path / "out")
    first_lines = {page.text.split("\n")[0] for page in PAGES}
    assert shards["text"].str.split("\n").list.first().is_in(list(first_lines)).sum() >= len(PAGES)
    assert "recurring_lines" not in ledger.columns


def test_another_threshold_redoes_nothing_before(sites, build, tmp_path):
    folder = sites[0]
    common = ["--input", folder / "sites.jsonl", "--out", tmp_path / "out"]
    assert build(folder / "sites.toml", *common).returncode == 0
    done = build(
        folder / "sites.toml",
        *common,
        "--set",
        "recurring_lines.documents=1000",
        "--set",
        "recurring_lines.few_documents=1000",
        "--set",
        "recurring_lines.site_documents=1000",
    )
    assert done.returncode == 0, done.stderr
    work = tmp_path / "out" / STATE_FOLDER / "work"
    assert len(list(work.glob("deduplicate-*"))) == 1 and len(list(work.glob("strip-*"))) in (1, 2)
    assert not read_ledger(tmp_path / "out")["recurring_lines"].sum()


def test_a_mixture_has_the_text_that_its_parts_have(sites, build, tmp_path):
    folder = sites[0]
    (tmp_path / "mix.toml").write_text(
        f'name = "mix"\ntitle = "Mix"\nlicense = "CC0-1.0"\n[[mixture]]\ncorpus = "{folder / "out"}"\n', "utf-8"
    )
    done = build(tmp_path / "mix.toml", "--out", tmp_path / "mix")
    assert done.returncode == 0, done.stderr
    of_part, mixed = (read_shards(out).select("id", "text", "chars").sort("id") for out in (folder / "out", tmp_path / "mix"))
    assert mixed.equals(of_part)
