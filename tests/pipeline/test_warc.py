"""Corpora of WARC files."""

import gzip
import json
import random
import unicodedata
from pathlib import Path

import pytest

from tests.support.builds import hash_outputs, read_ledger, read_shards
from tests.support.texts import make_sentences
from tests.support.warcs import GZIP, JOINED_GZIP, PLAIN, http, info, pack, record, uuid

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
LAYOUTS = (GZIP, PLAIN, JOINED_GZIP)
PAGES = 40


def make_page(number, **fields):
    text = make_sentences(f"page {number}", lines=12).encode()
    block = http(text, content_type="text/plain; charset=UTF-8")
    return record(block, record_id=number, url=f"http://example.jp/{number}", **fields)


def make_records(first):
    """Return the records of a crawl: requests and metadata between the pages, one of them twice, one that is none."""
    records = [info()]
    for number in range(first, first + PAGES):
        records += [record(b"GET / HTTP/1.1\r\n\r\n", "request"), make_page(number), record(b"a: b", "metadata")]
    return [*records, make_page(first), record(http(b"", status=b"HTTP/1.1 404 Not Found"), record_id=first + 900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warcs")
    for number, layout in enumerate(LAYOUTS):
        (folder / f"{number}.warc").write_bytes(pack(make_records(1000 * number), layout))
    return folder


@pytest.mark.parametrize("source", ["warc", "text"])
def test_pages_of_warcs_in_all_layouts(build, folder, tmp_path, source):
    settings = ("--set", "shards.validation=0", "--set", f"source.format={source}")
    done = build("common-crawl-ja", "--input", f"{folder}/*.warc", "--out", tmp_path / "out", *settings)
    assert done.returncode == 0, done.stderr
    assert "passed over, since they hold no page: 120 metadata, 120 request, 3 warcinfo" in done.stdout
    ledger, shards = read_ledger(tmp_path / "out"), read_shards(tmp_path / "out")
    assert ledger["verdict"].value_counts().sort("verdict").rows() == [("duplicate", 3), ("kept", 120), ("unreadable", 3)]
    first = shards.filter(url="http://example.jp/1007").row(0, named=True)
    assert first["id"].endswith(f"/1.warc/{uuid(1007)}") and first["date"] == "2024-05-01T00:00:00Z"
    assert first["text"].startswith(make_sentences("page 1007", lines=12)[:30])


def test_what_is_damaged_is_told_and_the_rest_kept(build, folder, tmp_path):
    raw = pack(make_records(0))
    path = tmp_path / "cut.warc.gz"
    path.write_bytes(raw[: len(raw) // 2])
    arguments = ("common-crawl-ja", "--input", path, "--out", tmp_path / "out")
    done = build(*arguments)
    assert done.returncode == 1 and "cut.warc.gz ends inside the gzip member that begins at byte" in done.stderr
    done = build(*arguments, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert 15 < len(read_ledger(tmp_path / "out")) < 25


def test_what_is_no_warc_is_told_before_anything_is_done(build, tmp_path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n' * 9))
    done = build("common-crawl-ja", "--input", path, "--out", tmp_path / "out")
    assert done.returncode == 2 and "is JSON lines" in done.stderr


@pytest.mark.e2e
def test_killed_the_build_goes_on_and_makes_the_same(kill_at, build, tmp_path):
    """A WARC that is one gzip member; one of many is among the formats of test_formats.py."""
    path, out = tmp_path / "a.warc.gz", tmp_path / "out"
    path.write_bytes(pack(make_records(0) + make_records(1000), JOINED_GZIP))
    arguments = ("common-crawl-ja", "--input", path, "--set", "source.partition=10 KB")
    drawn = random.Random(5)
    for wanted in (8, 30):
        kill_at(wanted, out, *arguments, "--out", out, "--workers", 0, pause=drawn.uniform(0, 0.05))
    assert build(*arguments, "--out", out).returncode == 0
    done = build(*arguments, "--out", tmp_path / "reference")
    assert hash_outputs(out) == hash_outputs(tmp_path / "reference")
    assert "80 metadata, 80 request, 2 warcinfo" in done.stdout


def test_the_sample_is_built_as_its_truth_says(build, tmp_path):
    done = build("common-crawl-ja", "--out", tmp_path / "out", "--set", "shards.validation=0")
    assert done.returncode == 0, done.stderr
    truth = {t["id"]: t for t in map(json.loads, (SAMPLES / "common-crawl-ja.truth.jsonl").read_text("utf-8").splitlines())}
    ledger = {row["id"].rsplit("/")[-1]: row for row in read_ledger(tmp_path / "out").iter_rows(named=True)}
    assert ledger.keys() == truth.keys()
    for id_, t in truth.items():
        if t["group"] is None:
            assert ledger[id_]["verdict"] == t["expect"], t["note"]
        else:
            group = sorted(ledger[other]["verdict"] for other in truth if truth[other]["group"] == t["group"])
            assert group == ["duplicate", "kept"]
    for row in read_shards(tmp_path / "out").iter_rows(named=True):
        t = truth[row["id"].rsplit("/")[-1]]
        assert (row["url"], row["title"] or "", row["date"]) == (t["url"], t["title"], t["date"])
        lines = [line for line in row["text"].split("\n") if line]
        expected = [unicodedata.normalize("NFKC", paragraph) for paragraph in t["paragraphs"]]
        assert [unicodedata.normalize("NFKC", line) for line in lines if line != t["title"]] == expected, t["note"]
