"""URL rules: lists of a manifest, and documents dropped by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.core.errors import UsageError
from pipeline.manifest.loading import load
from pipeline.modalities.text.urls import UrlTable
from pipeline.plan import Plan
from tests.support.builds import read_ledger, read_shards
from tests.support.texts import make_sentences

RULE = 'rules.url_list={none_of=["adult","mine"]}'


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path]:
    block, allow = tmp_path / "mine.txt", tmp_path / "allowed.txt"
    block.write_text("# mine\nbad.example.jp\nexample.org/ads\n")
    allow.write_text("good.bad.example.jp\n")
    return block, allow


def settings(block: Path, allow: Path | None = None, rule: str | None = RULE) -> list[str]:
    options = [f'urls.block=["{block}"]']
    return options + ([f'urls.allow=["{allow}"]'] if allow else []) + ([rule] if rule else [])


def test_documents_on_a_list_are_dropped_and_the_ledger_names_it(build: Any, tmp_path: Path, lists: tuple[Path, Path]) -> None:
    urls = {
        "https://www.bad.example.jp/1": "mine", "https://good.bad.example.jp/2": "none", "https://example.org/ads?3": "mine",
        "https://example.org/4": "none", "https://jp.xhamster.com/5": "adult", "https://sedo.com/6": "spam", None: "none",
    }  # fmt: skip
    rows = [{"text": make_sentences(f"url {i}"), "url": url} for i, url in enumerate(urls)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = [f"--set={option}" for option in settings(*lists)]
    done = build("c4-ja", "--input", tmp_path / "in.jsonl", "--out", tmp_path / "o", *options)
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(tmp_path / "o")
    assert dict(zip(ledger["url"], ledger["url_list"])) == urls
    dropped = ledger.filter(rule="url_list")
    assert dict(zip(dropped["url"], dropped["value_text"])) == {
        url: name for url, name in urls.items() if name in ("adult", "mine")
    }
    assert set(dropped["bound_text"]) == {"none of adult, mine"}
    assert set(read_shards(tmp_path / "o")["url"]) == {url for url, name in urls.items() if name in ("none", "spam")}


def test_a_changed_list_measures_again(lists: tuple[Path, Path]) -> None:
    def fingerprints() -> dict[str, str]:
        return Plan(load("c4-ja", settings(*lists)), (), Path("out"), Path("work")).fingerprints

    before = fingerprints()
    lists[0].write_text("bad.example.jp\n")
    after = fingerprints()
    lists[1].write_text("another.example\n")
    assert len({before["measure"], after["measure"], fingerprints()["measure"]}) == 3


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        ("not a domain\n", RULE, "line 1 ('not a domain'): neither a domain"),
        ("", RULE, "has no entries"),
        ("a.example\n", None, 'add rules.url_list = { none_of = ["mine", "adult", "spam"] }'),
        (
            "a.example\n",
            'rules.url_list={none_of=["min"]}',
            "there is no list 'min'; did you mean 'mine'? Known: mine, adult, spam",
        ),
        ("a.example\n", "rules.url_list={at_most=1}", "takes any_of or none_of"),
    ],
)
def test_lists_and_rules_that_do_not_go_together_are_told(tmp_path: Path, text: str, rule: str | None, message: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load("c4-ja", settings(path, None, rule))
    assert message in str(error.value)


def test_a_list_that_has_changed_is_read_anew(lists: tuple[Path, Path]) -> None:
    """By a process that stays up: a worker on a cluster, or a notebook."""
    block, allow = lists
    table, urls = (
        UrlTable(block=[str(block)], allow=[str(allow)]),
        pl.Series(["https://new.example/1", "https://bad.example.jp/2"]),
    )
    assert table.find(urls).to_list() == [None, "mine"]
    block.write_text("new.example\n")
    assert table.find(urls).to_list() == ["mine", None]


def test_a_missing_list_and_names_that_are_taken_are_told(tmp_path: Path, lists: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match=r"--set urls.block=.*none.txt cannot be read: No such file"):
        load("c4-ja", settings(tmp_path / "none.txt"))
    for name, message in (
        ("adult", "there are two lists called 'adult'; rename a file"),
        ("none", "a list cannot be called 'none'"),
    ):
        other = tmp_path / f"{name}.txt"
        other.write_text("a.example\n")
        with pytest.raises(UsageError, match=message):
            load("c4-ja", settings(other))


def test_a_source_without_urls_is_told() -> None:
    with pytest.raises(UsageError, match="the measure url_list needs URLs; source.format = 'cc100' has none"):
        load("cc100-ja", ['rules.url_list={none_of=["adult"]}'])


def test_documents_beyond_the_cap_of_their_domain_are_dropped(build: Any, tmp_path: Path) -> None:
    hosts = ["www.a.example.co.jp", "b.example.co.jp", "example.co.jp", "x.hatenablog.com", "y.hatenablog.com", None, None]
    rows = [{"text": make_sentences(f"cap {i}"), "url": host and f"https://{host}/{i}"} for i, host in enumerate(2 * hosts)]
    rows.append(rows[0])  # a duplicate counts as none
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--input", tmp_path / "in.jsonl", "--set", "deduplicate.same_domain=4", "--set", "source.partition=2 KB"]
    done = build("c4-ja", *options, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(tmp_path / "o")
    late = ledger.filter(rule="same_domain")
    assert late.select("verdict", "step", "value", "bound", "bound_text").unique().rows() == [
        ("dropped", "deduplicate", 6, 4, "<= 4")
    ]
    assert len(late) == 2 and late["url"].str.contains("example.co.jp").all()
    assert len(ledger.filter(verdict="duplicate")) == 1
    assert len(read_shards(tmp_path / "o")) == len(rows) - 3
    assert "`same_domain`" in (tmp_path / "o" / "README.md").read_text("utf-8")


def test_another_cap_deduplicates_again_and_the_first_measures() -> None:
    steps = []
    for cap in ([], ["deduplicate.same_domain=2"], ["deduplicate.same_domain=3"]):
        steps.append(Plan(load("c4-ja", cap), (), Path("out"), Path("work")).fingerprints)
    assert steps[0]["measure"] != steps[1]["measure"] == steps[2]["measure"]
    assert len({step["deduplicate"] for step in steps}) == 3


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("cc100-ja", "deduplicate.same_domain=2 needs URLs; source.format = 'cc100' has none"),
        ("c4-ja", "same_domain needs enabled = true"),
    ],
)
def test_a_cap_that_cannot_be_is_told(reference: str, message: str) -> None:
    options = ["deduplicate.same_domain=2"] + ["deduplicate.enabled=false"] * (reference == "c4-ja")
    with pytest.raises(UsageError) as error:
        load(reference, options)
    assert message in str(error.value)
