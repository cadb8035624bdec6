"""Duplicates by perceptual hash: the answer does not depend on slices, runs, passes and buckets, nor on how large the numbers are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from filters.image.fingerprint import VIEW_BYTES
from pipeline.dedup import clusters, exchange, perceptual, runs
from pipeline.dedup.verification import THUMBNAILS
from pipeline.workspace import Layout, Part, verdicts_file, write_layout

SETTINGS = SimpleNamespace(distance=6, accept=0.9)


@pytest.fixture
def pictures():
    """Return a frame, hashes and sketches of 120 pictures, in no order.

    Of four, one is an original, one has the same bytes, one is smaller, one is another picture with nearly its hash.
    """
    drawn = np.random.default_rng(4)
    count = 120
    original = np.arange(count) // 4 * 4
    kind = np.arange(count) % 4
    hashes = drawn.integers(0, 2**64, count, np.uint64)[original]
    hashes = np.where(kind >= 2, hashes ^ np.uint64(0b11) << (kind * 5).astype(np.uint64), hashes)
    sketches = drawn.integers(0, 256, (count, 2 * VIEW_BYTES), np.uint8)
    sketches = np.where((kind < 3)[:, None], sketches[original], sketches)
    frame = pl.DataFrame(
        {
            "locator": np.arange(count),
            "file": np.zeros(count, np.uint32),
            "exact": np.where(kind == 1, original, np.arange(count)).astype(np.uint64),
            "key_length": np.full(count, 9, np.int32),
            "flat": np.zeros(count, bool),
            "size": np.where(kind == 2, 64, 640),
            "score": np.full(count, 0.5),
            "key": pl.Series([None] * count, dtype=pl.UInt64),
        }
    )
    order = drawn.permutation(count)
    return frame[order], hashes[order], sketches[order]


def deduplicate(folder, pictures, first):
    """Run all rounds; return the records of clusters, numbered from 0, and the counts."""
    frame, hashes, sketches = pictures
    sizes = [0] * bool(first) + [7] * (len(frame) // 7) + [len(frame) % 7]
    parts, at = [Part(folder, f"{index}") for index in range(len(sizes))], 0
    (folder / "decided").mkdir()
    (folder / "out").mkdir()
    for index, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        frame[at : at + size].write_parquet(part.table)
        np.save(part.array("hashes"), hashes[at : at + size, None])
        np.save(part.array("sketches"), sketches[at : at + size])
        pl.DataFrame({"verdict": ["kept"] * size}, schema={"verdict": pl.String}).write_parquet(
            verdicts_file(folder / "decided", index)
        )
        at += size
    table = write_layout(folder / "layout.parquet", parts, [first] * bool(first) + sizes[bool(first) :])
    layout = Layout(table, folder / "decided", folder / "out", len(frame), SETTINGS)

    def ids(index, records):
        return records["locator"].cast(pl.String)

    for tasks in perceptual.rounds(layout, ids, THUMBNAILS):
        for function, arguments in tasks:
            counts = function(*arguments)
    found = pl.concat(
        pl.read_parquet(layout.clusters(index)).with_columns(number=pl.col("row").cast(pl.Int64) + base - first)
        for index, base in enumerate(layout.bases[:-1])
    )
    return found.with_columns(pl.col("survivor") - first), counts


def test_the_same_and_the_alike_are_duplicates(tmp_path, pictures):
    found, counts = deduplicate(tmp_path, pictures, 0)
    picture = pictures[0]["locator"].to_numpy()
    assert (counts["clusters"], counts["exact"], counts["near"]) == (30, 30, 30)
    members = picture[found["number"].to_numpy()]
    assert sorted(members.tolist()) == [p for p in range(120) if p % 4 < 3]
    assert (members // 4 == picture[found["survivor"].to_numpy()] // 4).all()
    assert not (picture[found["survivor"].to_numpy()] % 4 == 2).any()  # the smaller one survives nowhere


@pytest.mark.parametrize("first", [0, 2**32 - 3, 2**33])
def test_slices_runs_and_passes_change_nothing(tmp_path, pictures, monkeypatch, first):
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, one_counts = deduplicate(tmp_path / "one", pictures, 0)
    for module, name, value in (
        (perceptual, "SLICE", 7), (runs, "PARTITIONS", 2), (exchange, "FAN_IN", 2), (clusters, "RECORDS_PER_BUCKET", 9)
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    many, many_counts = deduplicate(tmp_path / "many", pictures, first)
    assert many.equals(one) and many_counts == one_counts
