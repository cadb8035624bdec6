"""The embedded sample of image-text-ja: the generator writes it again, and its truth file agrees with its files."""

import hashlib
import io
import json
import tarfile
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageOps

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
NAME = "image-text-ja"


def members(path):
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def images(files):
    return {name.split(".")[0]: data for name, data in files.items() if not name.endswith((".txt", ".json"))}


def upright(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGBA").convert("RGB") if "transparency" in image.info else image.convert("RGB")


@pytest.fixture(scope="module")
def files():
    return members(SAMPLES / f"{NAME}.tar")


@pytest.fixture(scope="module")
def sidecar():
    return pl.read_parquet(SAMPLES / f"{NAME}.parquet").to_dicts()


@pytest.fixture(scope="module")
def truth():
    return lines(SAMPLES / f"{NAME}.truth.jsonl")


@pytest.fixture(scope="module")
def hashes(files, truth):
    """pHash as it is mostly computed: 32 × 32 pixels, the lowest 8 × 8 frequencies against their median."""
    dct = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(32) + 1) / 64)
    found, blobs = {}, images(files)
    for key in (t["key"] for t in truth if t["verdict"] in ("kept", "duplicate")):
        grey = np.asarray(upright(blobs[key]).convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
        low = (dct @ grey @ dct.T).ravel()
        found[key] = low > np.median(low)
    return found


def test_the_generator_writes_the_same_again(files, sidecar, truth, tmp_path):
    from tests.samples.make_image_text_ja import build

    build(tmp_path)
    again = members(tmp_path / f"{NAME}.tar")
    assert list(again) == list(files)
    assert lines(tmp_path / f"{NAME}.truth.jsonl") == truth
    assert {k: v for k, v in again.items() if k.endswith(".txt")} == {k: v for k, v in files.items() if k.endswith(".txt")}

    def lasting(row):
        return {name: value for name, value in row.items() if name != "sha256"}

    assert [lasting(row) for row in pl.read_parquet(tmp_path / f"{NAME}.parquet").to_dicts()] == [lasting(r) for r in sidecar]
    readable = {t["key"] for t in truth if t["verdict"] != "unreadable"}
    ours, theirs = images(files), images(again)
    for key in readable:
        # Encoders may change from one release of Pillow to the next, what they show may not.
        if ours[key] != theirs[key]:
            assert Image.open(io.BytesIO(ours[key])).format == Image.open(io.BytesIO(theirs[key])).format
            one, two = (np.asarray(upright(blob), float) for blob in (ours[key], theirs[key]))
            assert one.shape == two.shape
            assert np.abs(one - two).mean() < 4, key


def test_layout_of_img2dataset(files, sidecar):
    assert [row["key"] for row in sidecar] == [f"{i:09}" for i in range(len(sidecar))]
    names = list(files)
    keys = [name.split(".")[0] for name in names[::3]]
    for at, key in enumerate(keys):
        image, caption, meta = names[3 * at : 3 * at + 3]
        assert image in {f"{key}.jpg", f"{key}.png", f"{key}.webp"}
        assert (caption, meta) == (f"{key}.txt", f"{key}.json")
    assert sorted(keys) == [row["key"] for row in sidecar if row["status"] == "success"]
    assert sorted(keys) != keys
    with tarfile.open(SAMPLES / f"{NAME}.tar") as tar:
        assert {(info.mtime, info.uid, info.gid, info.isfile()) for info in tar} == {(0, 0, 0, True)}


def test_sidecar_json_and_files_agree(files, sidecar, truth):
    blobs = images(files)
    for row, t in zip(sidecar, truth, strict=True):
        key = row["key"]
        assert t["key"] == key
        assert row["url"].startswith("https://") and row["url"].split("/")[2].endswith(("example.com", "example.jp"))
        if row["status"] != "success":
            assert row["status"] == "failed_to_download" and row["error_message"] and key not in blobs
            assert (t["verdict"], t["why"]) == ("unreadable", "failed_to_download")
            continue
        assert json.loads(files[f"{key}.json"]) == row
        assert files[f"{key}.txt"].decode() == (row["caption"] or "")
        assert row["sha256"] == hashlib.sha256(blobs[key]).hexdigest()
        if t["verdict"] == "unreadable":
            assert row["width"] is row["height"] is None
        else:
            assert Image.open(io.BytesIO(blobs[key])).size == (row["width"], row["height"])
    assert len({row["url"] for row in sidecar}) == len(sidecar)


def test_verdicts(files, sidecar, truth):
    verdicts = Counter(t["verdict"] for t in truth)
    assert set(verdicts) == {"kept", "dropped", "duplicate", "unreadable"}
    assert verdicts["kept"] >= 140 and 220 <= len(truth) <= 260
    rows, by_key, blobs = {row["key"]: row for row in sidecar}, {t["key"]: t for t in truth}, images(files)
    for t in truth:
        row = rows[t["key"]]
        assert (t["verdict"] == "kept") == ("why" not in t)
        assert (t["verdict"] == "duplicate") == ("survivor" in t)
        if t["verdict"] in ("kept", "duplicate"):
            assert row["caption"].strip()
        if t["verdict"] == "kept":
            assert 128 <= min(row["width"], row["height"]) <= max(row["width"], row["height"]) <= 400
        if t["verdict"] == "duplicate":
            kind, of = t["why"].split()
            assert of == t["survivor"] and by_key[of]["verdict"] == "kept"
            assert (blobs[of] == blobs[t["key"]]) == (kind == "exact_duplicate_of")
            assert row["caption"] != rows[of]["caption"]
            size, survivor = row["width"] * row["height"], rows[of]["width"] * rows[of]["height"]
            # The largest image survives; where there are several, the first, which is the largest file, too.
            assert size < survivor or (size == survivor and of < t["key"] and len(blobs[t["key"]]) <= len(blobs[of]))
    shared = Counter(rows[t["key"]]["caption"] for t in truth if t["verdict"] == "kept")
    assert shared["犬"] == 3 and shared["猫"] == 2


def test_what_is_unreadable_is(files, truth):
    blobs = images(files)
    broken = [t for t in truth if t["verdict"] == "unreadable" and t["why"] != "failed_to_download"]
    assert {t["why"] for t in broken} == {"truncated", "not_an_image", "bomb"}
    for t in broken:
        with pytest.raises((OSError, Image.DecompressionBombError)):
            Image.open(io.BytesIO(blobs[t["key"]])).load()
        assert len(blobs[t["key"]]) < 20_000


def test_special_files_are_what_their_note_says(files, truth):
    blobs, key = images(files), {t["note"]: t["key"] for t in truth if "note" in t}

    def opened(note):
        return Image.open(io.BytesIO(blobs[key[note]]))

    assert opened("CMYK JPEG").mode == "CMYK"
    assert opened("16-bit greyscale PNG").mode == "I;16"
    assert opened("greyscale JPEG").mode == "L"
    assert opened("EXIF orientation 6").getexif()[0x0112] == 6
    assert opened("animated GIF under the name .jpg, as img2dataset names it").n_frames == 2
    assert opened("PNG under the name .jpg").format == "PNG"
    assert opened("PNG with transparency").convert("RGBA").getextrema()[3] == (0, 255)
    assert opened("white border to 256 × 256").size == (256, 256)


def test_duplicates_look_alike_and_nothing_else_does(hashes, truth):
    cluster = {t["key"]: t.get("survivor", t["key"]) for t in truth}
    for a, b in combinations(hashes, 2):
        distance = int((hashes[a] != hashes[b]).sum())
        assert distance <= 6 if cluster[a] == cluster[b] else distance >= 14, (a, b, distance)


def test_it_is_small():
    sizes = [(SAMPLES / f"{NAME}.{suffix}").stat().st_size for suffix in ("tar", "parquet", "truth.jsonl")]
    assert sum(sizes) <= 900 * 1024
