"""What the build does to real pairs, against labels by hand; skipped where the development data is absent."""

import io
import tarfile
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.support.builds import read_keyed_ledger, read_shards

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "image-text" / "img2dataset"
# 300 of the 5,000 pairs, drawn at random (numpy's default_rng(20261123)) and labelled by eye, without a look at the rules.
LABELS = Path(__file__).parent / "data" / "image_text_labels.tsv"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")


@pytest.fixture(scope="module")
def drawn(shared_folders):
    """The archives with the labelled pairs and a fifth of the others."""

    def fill(folder):
        labelled = set(pl.read_csv(LABELS, separator="\t", schema_overrides={"key": pl.String})["key"])
        for path in sorted(DATA.glob("*.parquet")):
            rows = pl.read_parquet(path)
            rows = rows.filter(pl.col("key").is_in(list(labelled)) | (pl.int_range(pl.len()) % 5 == 0))
            rows.write_parquet(folder / path.name)
            keys = set(rows["key"])
            with tarfile.open(path.with_suffix(".tar")) as tar, tarfile.open(folder / f"{path.stem}.tar", "w") as smaller:
                for member in tar:
                    if member.name.partition(".")[0] in keys:
                        smaller.addfile(member, tar.extractfile(member))

    return shared_folders.make("pairs-development", fill)


@pytest.fixture(scope="module")
def out(build, drawn, shared_folders):
    def fill(folder):
        done = build("laion-ja", "--input", drawn / "*.tar", "--out", folder / "out")
        assert done.returncode == 0, done.stderr

    return shared_folders.make("image-text-development", fill) / "out"


@pytest.fixture(scope="module")
def ledger(out):
    return read_keyed_ledger(out)


def test_every_row_of_the_sidecars_is_in_the_ledger_once(drawn, ledger):
    listed = pl.concat(pl.read_parquet(path, columns=["key"]) for path in sorted(drawn.glob("*.parquet")))
    assert ledger["key"].to_list() == sorted(listed["key"]) and len(ledger) > 1200


def test_truncated_images_are_unreadable_and_no_others(drawn, ledger):
    broken = set()
    for path in drawn.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    try:
                        Image.open(io.BytesIO(tar.extractfile(member).read())).load()
                    except OSError:
                        broken.add(member.name.removesuffix(".jpg"))
    unreadable = ledger.filter(verdict="unreadable")
    assert set(unreadable["key"]) == broken and len(broken) >= 5
    assert unreadable["value_text"].str.contains("truncated|damaged").all()


def test_precision_and_recall_on_the_labels(ledger):
    labels = pl.read_csv(LABELS, separator="\t", schema_overrides={"key": pl.String})
    rows = labels.join(ledger, on="key")
    assert len(rows) == 300
    passed = rows.filter(pl.col("verdict").is_in(["kept", "duplicate"]))
    right = passed["keep"].sum()
    assert right / len(passed) >= 0.95 and right / rows["keep"].sum() >= 0.90
    assert passed["japanese"].min() == 1 and passed["icon"].max() == 0 and passed["readable"].min() == 1


def test_no_icon_and_no_caption_without_japanese_is_kept(ledger):
    kept = ledger.filter(verdict="kept")
    assert kept["shorter_side"].min() >= 32 and kept["japanese_share"].min() > 0 and len(kept) > 300


def test_shards_hold_what_the_ledger_kept(out, ledger):
    shards = read_shards(out)
    kept = ledger.filter(verdict="kept")
    assert sorted(shards["id"]) == sorted(kept["id"])
    assert shards.select(pl.col("captions").list.len().min()).item() >= 1
