"""What the build does to real text of known kind, language and similarity; skipped where the development data is absent."""

import gzip
import json
import lzma
from pathlib import Path

import polars as pl
import pytest

from tests.support.builds import read_ledger, read_shards

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
LANGUAGE_RULES = ["language", "language_score"]

pytestmark = pytest.mark.skipif(not (DATA / "ja.txt.xz").is_file(), reason="needs the development data")


def read_lines(path):
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def drawn(shared_folders):
    """A folder with an eighth of the text: every document of a known pair, and one of twelve others; `truth.jsonl` and `pairs.jsonl`
    have their offsets there."""

    def fill(folder):
        pairs = [pair for pair in read_lines(DATA / "ja.pairs.jsonl.gz") if pair["jaccard_char5"] >= 0.8]
        paired = {pair[side] for pair in pairs for side in "ab"}
        rows = [row for i, row in enumerate(read_lines(DATA / "ja.truth.jsonl.gz")) if row["offset"] in paired or i % 12 == 0]
        raw = lzma.decompress((DATA / "ja.txt.xz").read_bytes())
        moved = {}
        with open(folder / "ja.txt", "wb") as file, open(folder / "truth.jsonl", "w") as truth:
            for row in rows:
                moved[row["offset"]] = file.tell()
                file.write(raw[row["offset"] : row["offset"] + row["bytes"]].rstrip(b"\n") + b"\n\n")
                truth.write(json.dumps(row | {"offset": moved[row["offset"]]}) + "\n")
        pairs = [pair | {side: moved[pair[side]] for side in "ab"} for pair in pairs]
        (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))

    return shared_folders.make("text-development", fill)


@pytest.fixture(scope="module")
def out(build_as_user, drawn):
    built = build_as_user("cc100-ja", "--input", drawn / "ja.txt")
    assert built.returncode == 0, built.errors
    return built.out


@pytest.fixture(scope="module")
def ledger(out):
    return read_ledger(out).with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))


@pytest.fixture(scope="module")
def truth(drawn):
    return pl.read_ndjson(drawn / "truth.jsonl")


def test_every_record_is_in_the_ledger_once_and_in_order(ledger, truth):
    assert ledger["offset"].to_list() == truth["offset"].to_list()


def test_kept_records_are_the_shards(out, ledger):
    shards = read_shards(out)
    assert sorted(shards["id"]) == sorted(ledger.filter(verdict="kept")["id"])
    assert shards["text"].str.len_chars().to_list() == shards["chars"].to_list()


def test_language(ledger, truth):
    rows = ledger.join(truth, on="offset")
    japanese = rows.filter((pl.col("lang") == "ja") & (pl.col("chars") >= 100))
    others = rows.filter(pl.col("lang") != "ja")
    assert japanese["rule"].is_in(LANGUAGE_RULES).fill_null(False).mean() <= 0.005
    assert others["rule"].is_in(LANGUAGE_RULES).fill_null(False).mean() >= 0.99


def test_good_text_is_kept(ledger, truth):
    kinds = pl.col("kind").str.replace(r"\+edited$", "").is_in(["wikipedia", "statutes", "aozora"])
    good = ledger.join(truth, on="offset").filter((pl.col("lang") == "ja") & kinds)
    dropped = good.filter((pl.col("verdict") == "dropped") & ~pl.col("rule").is_in(LANGUAGE_RULES))
    assert len(dropped) <= 0.03 * len(good)


@pytest.mark.parametrize("low, bar", [(0.85, 0.97), (0.8, 0.95)])
def test_known_duplicates_are_found(drawn, ledger, low, bar):
    pairs = pl.read_ndjson(drawn / "pairs.jsonl").to_dicts()
    reached = ledger.filter(pl.col("verdict").is_in(["kept", "duplicate"]))
    cluster_of = dict(reached.select("offset", "cluster_id").iter_rows())
    both = [p for p in pairs if p["jaccard_char5"] >= low and p["a"] in cluster_of and p["b"] in cluster_of]
    found = sum(cluster_of[p["a"]] == cluster_of[p["b"]] for p in both)
    assert len(both) > 1000 and found >= bar * len(both)


def test_survivors_are_kept_and_clusters_stay_on_one_side(out, ledger):
    duplicates = ledger.filter(verdict="duplicate")
    kept = set(ledger.filter(verdict="kept")["id"])
    assert set(duplicates["duplicate_of"]) <= kept
    side = {
        split: set(pl.read_parquet(out / "data" / f"{split}-*.parquet", columns=["id"])["id"])
        for split in ("train", "validation")
    }
    clusters = ledger.filter(verdict="kept").select("id", "cluster_id")
    in_train = set(clusters.filter(pl.col("id").is_in(side["train"]))["cluster_id"])
    in_validation = set(clusters.filter(pl.col("id").is_in(side["validation"]))["cluster_id"])
    assert in_validation and not in_train & in_validation
