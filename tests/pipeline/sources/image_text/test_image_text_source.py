import bz2
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import tarfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError, UsageError
from pipeline.modalities.image_text import _captions
from pipeline.sources import CutState, held, pairs
from pipeline.sources.image_text import image_folder as pictures
from pipeline.sources.image_text import rows, tables

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "image-text"
real = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")

URL = "https://example.com/{}"
BOM = b"\xef\xbb\xbf"


def picture(name):
    """Bytes that only this name has; what cuts and reads pairs never decodes."""
    return b"\xff\xd8\xff" + str(name).encode() * 9


def archive(path, members):
    """A tar of (name, content), or of (TarInfo, content)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def members_of(key, caption="", url=None):
    """What img2dataset writes of one fetched image."""
    meta = {
        "key": key,
        "url": url or URL.format(key),
        "caption": caption,
        "status": "success",
        "width": 256,
        "original_width": 800,
    }
    text = [(f"{key}.txt", caption.encode())] if caption is not None else []
    return [(f"{key}.jpg", picture(key)), *text, (f"{key}.json", json.dumps(meta).encode())]


def sidecar(path, listing):
    """A sidecar of (key, caption, error): error None where the image was fetched."""
    pl.DataFrame(
        {
            "URL": [URL.format(key) for key, *_ in listing],
            "TEXT": [caption for _, caption, _ in listing],
            "similarity": [0.25 for _ in listing],
            "key": [key for key, *_ in listing],
            "status": ["failed_to_download" if error else "success" for *_, error in listing],
            "error_message": [error for *_, error in listing],
            "width": [None if error else 256 for *_, error in listing],
            "original_width": [None if error else 800 for *_, error in listing],
            "exif": ["{}" for _ in listing],
        },
        schema_overrides={"TEXT": pl.String, "error_message": pl.String},
    ).write_parquet(path)
    return path


def found(path, images=None, partition=32_000_000, max_document=64_000_000, first_index=0, number=2, **options):
    """Partitions, rows (with captions read and images as bytes) and state of one input."""
    file = path if isinstance(path, pairs.InputFile) else pairs.inputs([str(path)], images and str(images))[0]
    state = CutState(partition, max_document, content=images and str(images), **options)
    partitions, all_rows = [], []
    for made, body in pairs.cut(file, number, first_index, state):
        here = pairs.read(made, io.BytesIO(bytes(body)))
        frame, differing = _captions(here)
        partitions.append(made)
        listed = [row | {"image": here.image(i)} for i, row in enumerate(frame.iter_rows(named=True))]
        assert made.records == len(listed) > 0
        assert made.end - made.start == sum(len(row["image"] or b"") + 1 for row in listed)
        all_rows += listed
        here.close()
    return partitions, all_rows, state


def brief(all_rows, *names):
    return [tuple(row[name] for name in names or ("locator", "caption", "image")) for row in all_rows]


def problems(all_rows):
    return {row["locator"]: row["problem"] for row in all_rows if row["problem"]}


# -- img2dataset


@pytest.fixture
def shard(tmp_path):
    """Twelve rows as img2dataset writes them, members in the order in which downloads ended; 3 and 7 failed."""
    listing = [(f"{i:09d}", f"題{i}", "HTTP Error 404: Not Found" if i in (3, 7) else None) for i in range(12)]
    members = [m for key, caption, error in reversed(listing) if not error for m in members_of(key, caption)]
    sidecar(tmp_path / "00000.parquet", listing)
    (tmp_path / "00000_stats.json").write_text("{}")
    return archive(tmp_path / "00000.tar", members)


def test_every_row_of_a_shard_once_and_in_order_of_its_key(shard):
    partitions, all_rows, state = found(shard)
    assert [row["locator"] for row in all_rows] == [f"{i:09d}" for i in range(12)]
    assert problems(all_rows) == {f"{i:09d}": "failed_to_download: HTTP Error 404: Not Found" for i in (3, 7)}
    for i, row in enumerate(all_rows):
        assert row["caption"] == f"題{i}" and row["url"] == URL.format(f"{i:09d}")
        assert row["image"] == (None if i in (3, 7) else picture(f"{i:09d}"))
        assert row["original_width"] == (None if i in (3, 7) else 800) and row["similarity"] == pytest.approx(0.25)
        assert row["name"] == (None if i in (3, 7) else f"{i:09d}.jpg")
    assert (state.damage, state.warning) == (None, None)
    assert state.checksum == hashlib.sha256(shard.read_bytes()).hexdigest()
    # The partition says where the images are instead of holding them.
    assert all(row["blob"] is None and (row["place"] in (None, str(shard))) for row in all_rows)


def test_without_sidecar_metadata_come_from_the_archive(shard):
    shard.with_suffix(".parquet").unlink()
    _, all_rows, state = found(shard)
    assert [row["locator"] for row in all_rows] == [f"{i:09d}" for i in range(12) if i not in (3, 7)]
    assert all(row["url"] == URL.format(row["locator"]) and row["original_width"] == 800 for row in all_rows)
    assert not problems(all_rows) and state.warning is None


def test_sidecar_and_tar_that_disagree(tmp_path):
    path = archive(tmp_path / "a.tar", [*members_of("1", "箱の"), *members_of("2", None), *members_of("4", "表にない")])
    sidecar(
        tmp_path / "a.parquet",
        [("1", "表の", None), ("2", "表だけ", None), ("3", "像がない", None), ("5", "失敗", "timed out")],
    )
    _, all_rows, state = found(path)
    assert brief(all_rows, "locator", "caption") == [
        ("1", "箱の"),
        ("2", "表だけ"),
        ("3", "像がない"),
        ("4", "表にない"),
        ("5", "失敗"),
    ]
    assert problems(all_rows) == {
        "3": "no image: the sidecar lists this key, the tar has no member of it",
        "5": "failed_to_download: timed out",
    }
    assert state.warning == (
        f"{path} has 1 keys that its sidecar does not list; {path} has no member for 1 keys that its sidecar lists as fetched"
    )


def test_a_sidecar_that_is_damaged_or_another_table(tmp_path, shard):
    good, beside = shard.with_suffix(".parquet").read_bytes(), shard.with_suffix(".parquet")
    beside.write_bytes(good[: len(good) // 2])
    _, all_rows, state = found(shard)
    assert len(all_rows) == 10 and not problems(all_rows)
    assert str(beside) in state.damage and "not a whole Parquet file" in state.damage and "10 rows were read" in state.damage
    pl.DataFrame({"id": [1]}).write_parquet(beside)
    _, all_rows, state = found(shard)
    assert len(all_rows) == 10 and state.damage is None
    assert "00000.parquet, that is no sidecar" in state.warning


def test_keys_that_are_there_twice(tmp_path):
    twice = [("k.jpg", b"one"), ("k.txt", b"1"), ("k.jpg", b"two"), ("k.txt", b"2"), ("k~2.jpg", b"three")]
    _, all_rows, _ = found(archive(tmp_path / "a.tar", twice))
    assert brief(all_rows) == [("k", "1", b"one"), ("k~2", "2", b"two"), ("k~2~2", None, b"three")]
    _, all_rows, _ = found(archive(tmp_path / "b.tar", [("k.jpg", b"one"), ("k.seg.PNG", b"two"), ("k.txt", b"1")]))
    assert brief(all_rows) == [("k", "1", b"one"), ("k~2", "1", b"two")]


def test_what_a_tar_may_hold_beside_pairs(tmp_path):
    link = tarfile.TarInfo("link.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    hard = tarfile.TarInfo("hard.jpg")
    hard.type, hard.linkname = tarfile.LNKTYPE, "a.jpg"
    device = tarfile.TarInfo("device.jpg")
    device.type = tarfile.CHRTYPE
    text = tarfile.TarInfo("linked.txt")
    text.type, text.linkname = tarfile.SYMTYPE, "/etc/hostname"
    folder = tarfile.TarInfo("folder.jpg")
    folder.type = tarfile.DIRTYPE
    plain = [
        ("a.jpg", b"A"),
        ("only.txt", "像なし".encode()),
        ("only.json", b"{}"),
        ("meta.json", b"{}"),
        ("README.md", b"x"),
        ("x", b""),
    ]
    hostile = [
        ("../../etc/passwd.jpg", b"up"),
        ("/etc/shadow.jpg", b"root"),
        ("./dot.jpg", b"dot"),
        (".jpg", b"-"),
        ("._a.jpg", b"mac"),
    ]
    odd = [("改\n行.jpg", b"line"), ("改\r行.jpg", b"return"), ("linked.jpg", b"L"), ("sub/a.webp", b"sub"), ("empty.png", b"")]
    special = [(link, b""), (hard, b""), (device, b""), (text, b""), (folder, b"")]
    _, all_rows, state = found(archive(tmp_path / "a.tar", [*plain, *hostile, *odd, *special]))
    assert (state.damage, state.warning) == (None, None)
    assert {row["locator"]: row["image"] for row in all_rows if not row["problem"]} == {
        "a": b"A", "../../etc/passwd": b"up", "/etc/shadow": b"root", "dot": b"dot", "._a": b"mac",
        "改\ufffd行": b"line", "改\ufffd行~2": b"return", "linked": b"L", "sub/a": b"sub", "empty": b"",
    }  # fmt: skip
    assert problems(all_rows) == {
        "link": "the image is a symbolic link, not a file",
        "hard": "the image is a hard link, not a file",
        "device": "the image is a device, not a file",
        "only": "no image: the tar has a caption and nothing else under this key",
    }
    assert {row["caption"] for row in all_rows} == {None, "像なし"}
    assert all(row["place"] == str(tmp_path / "a.tar") for row in all_rows)
    assert all(row["name"].isprintable() and "/" not in row["name"] for row in all_rows)


@pytest.mark.skipif(not shutil.which("tar"), reason="needs tar")
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_sparse_file_costs_itself_alone(tmp_path, form):
    (tmp_path / "in").mkdir()
    for name, content in [m for key in ("0", "1", "2") for m in members_of(key, f"題{key}")]:
        (tmp_path / "in" / name).write_bytes(content)
    with open(tmp_path / "in" / "1.jpg", "wb") as file:
        for i in range(8):
            file.seek(i * 65536 + 32768)
            file.write(b"x" * 4096)
    command = ["tar", f"--format={form}", "--sort=name", "-S", "-C", "in", "-cf", "a.tar", "."]
    if subprocess.run(command, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs GNU tar")
    _, all_rows, state = found(tmp_path / "a.tar")
    assert brief(all_rows) == [("0", "題0", picture("0")), ("1", "題1", None), ("2", "題2", picture("2"))]
    assert problems(all_rows) == {"1": "the image is a sparse file, which is not read"} and state.damage is None


@pytest.mark.parametrize("length", range(248, 256))
def test_a_tar_whose_name_is_almost_too_long(tmp_path, length):
    path = archive(tmp_path / ("x" * (length - 4) + ".tar"), members_of("1", "x"))
    assert brief(found(path)[1], "locator") == [("1",)]


def test_captions_of_every_kind(tmp_path):
    contents = {"empty": b"", "bad": b"\xe7\x8a", "long": "犬".encode() * 400_000, "bom": BOM + "犬".encode(), "nul": b"a\0b"}
    members = [m for key, text in contents.items() for m in ((f"{key}.jpg", picture(key)), (f"{key}.txt", text))]
    listing = [(key, None, None) for key in contents]
    path = archive(tmp_path / "a.tar", [*members, *members_of("none", None)])
    sidecar(tmp_path / "a.parquet", [*listing, ("none", None, None)])
    _, all_rows, _ = found(path)
    by_key = {row["locator"]: row["caption"] for row in all_rows}
    assert by_key == {"empty": "", "bad": "\ufffd", "long": "犬" * 400_000, "bom": "\ufeff犬", "nul": "a\0b", "none": None}
    assert problems(all_rows) == {"bad": "caption: invalid UTF-8: byte 0xE7 at 0 of 2"}


def test_a_caption_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_CAPTION", 100)
    members = [("a.jpg", b"A"), ("a.txt", b"x" * 101), ("b.jpg", b"B"), ("b.txt", b"x" * 100), ("b.json", b" " * 101)]
    _, all_rows, _ = found(archive(tmp_path / "a.tar", members))
    assert brief(all_rows) == [("a", None, None), ("b", "x" * 100, b"B")]
    assert problems(all_rows) == {"a": "caption of 101 bytes, over 100"}
    (tmp_path / "list.tsv").write_text(f"https://a/1.jpg\t{'x' * 101}\nhttps://a/2.jpg\ty\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"1")
    _, all_rows, _ = found(tmp_path / "list.tsv", tmp_path / "images")
    assert brief(all_rows, "caption", "problem")[0] == (None, "caption of 101 bytes, over 100")


@pytest.mark.parametrize("cut_at", [0.2, 0.5, 0.95, 0.999])
def test_a_tar_that_is_cut_short_gives_what_is_whole(shard, cut_at):
    whole = {row["locator"]: row for row in found(shard)[1]}
    raw = shard.read_bytes()
    shard.with_suffix(".parquet").unlink()
    shard.write_bytes(raw[: int(len(raw.rstrip(b"\0")) * cut_at)])
    _, all_rows, state = found(shard)
    assert str(shard) in state.damage and "ends" in state.damage and f"{len(all_rows)} rows were read" in state.damage
    torn = problems(all_rows)
    assert set(torn.values()) <= {"the tar ends inside this image"} and len(torn) <= 1
    assert all(row["image"] == whole[row["locator"]]["image"] for row in all_rows if row["locator"] not in torn)


def test_not_a_tar_and_nothing_at_all(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"<html>404</html>" * 100)
    assert found(tmp_path / "a.tar")[1:][0] == []
    assert found(tmp_path / "a.tar")[2].damage == f"{tmp_path / 'a.tar'} is not a tar: 0 rows were read"
    (tmp_path / "b.tar").write_bytes(b"")
    assert found(tmp_path / "b.tar")[2].damage == f"{tmp_path / 'b.tar'} is empty"
    assert found(archive(tmp_path / "c.tar", []))[1:][0] == [] and found(tmp_path / "c.tar")[2].damage is None


def test_the_same_rows_from_a_server_and_from_compressed_archives(tmp_path, shard, server):
    shard.with_suffix(".parquet").unlink()
    extra = [("bad.jpg", picture("bad")), ("bad.txt", b"\xe7\x8a"), ("zz.txt", b"alone")]
    raw = archive(shard, [m for i in range(12) for m in members_of(f"{i:09d}", f"題{i}")] + extra).read_bytes()
    _, here, _ = found(shard)
    assert len(here) == 14 and set(problems(here)) == {"bad", "zz"}
    server.files = {"00000.tar": raw, "00000.tar.gz": gzip.compress(raw)}
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "a.tar.zst").write_bytes(zstandard.compress(raw))
    (tmp_path / "named-otherwise").write_bytes(bz2.compress(raw))
    places = [tmp_path / "a.tar.gz", tmp_path / "a.tar.zst", tmp_path / "named-otherwise"]
    names = ("locator", "caption", "image", "problem", "url", "name", "original_width")
    for place in [f"{server.url}/00000.tar", f"{server.url}/00000.tar.gz", *places]:
        partitions, there, state = found(place, partition=200)
        assert brief(there, *names) == brief(here, *names)
        assert state.damage is None and state.checksum
        assert all(row["place"] is None for row in there)
        again, rest, _ = found(place, partition=200, start=partitions[2].end, first_index=3)
        assert again == partitions[3:] and len(partitions) > 4
        assert brief(rest) == brief(here)[sum(p.records for p in partitions[:3]) :]


def test_a_compressed_tar_that_is_cut_short(tmp_path, shard):
    shard.with_suffix(".parquet").unlink()
    noise = [(f"{i}.jpg", os.urandom(5000)) for i in range(40)]
    raw = gzip.compress(archive(shard, noise).read_bytes())
    (tmp_path / "a.tar.gz").write_bytes(raw[: len(raw) // 2])
    _, all_rows, state = found(tmp_path / "a.tar.gz")
    assert 10 < len(all_rows) < 30 and len(problems(all_rows)) <= 1
    assert "ends too early" in state.damage and state.checksum is None
    whole = dict(noise)
    assert all(row["image"] == whole[row["name"]] for row in all_rows if not row["problem"])


def test_parquet_mode(tmp_path):
    pl.DataFrame(
        {
            "url": ["u1", "u2", "u3", "u4"],
            "caption": ["一", None, "三", "四"],
            "key": ["000", "001", "001", "00\n3"],
            "status": ["success", "failed_to_download", "success", "success"],
            "error_message": [None, "HTTP Error 404", None, None],
            "sha256": ["x", None, "y", "z"],
            "jpg": [b"one", None, b"three", None],
        }
    ).write_parquet(tmp_path / "00000.parquet")
    _, all_rows, state = found(tmp_path / "00000.parquet")
    assert brief(all_rows) == [("000", "一", b"one"), ("001", None, None), ("001~2", "三", b"three"), ("00\ufffd3", "四", None)]
    assert problems(all_rows) == {"001": "failed_to_download: HTTP Error 404", "00\ufffd3": "no image: the row has no bytes"}
    assert (state.damage, state.warning) == (None, None)


def test_keys_are_told_apart_across_frames(tmp_path):
    pl.DataFrame({"key": ["a"] * 200, "jpg": [b"x"] * 200}).write_parquet(tmp_path / "a.parquet")
    partitions, all_rows, _ = found(tmp_path / "a.parquet", partition=20)
    assert len({row["locator"] for row in all_rows}) == 200
    again = found(tmp_path / "a.parquet", partition=20, start=partitions[9].end)[1]
    assert brief(again) == brief(all_rows)[100:]


# -- lists

CAPTIONS = ["犬の写真", '引用"符"と,読点', "", "猫 & 猫"]
URLS = [URL.format(f"{i}.jpg?size=1") for i in range(4)]


@pytest.fixture
def images(tmp_path):
    """A folder of fetched images: a shard with its sidecar, one without, and loose files."""
    folder = tmp_path / "images"
    (folder / "loose").mkdir(parents=True)
    listing = [("000", "x", None), ("001", "x", "HTTP Error 410: Gone")]
    archive(folder / "00000.tar", members_of("000"))
    sidecar(folder / "00000.parquet", listing)
    frame = pl.read_parquet(folder / "00000.parquet").with_columns(URL=pl.Series(URLS[:2]))
    frame.write_parquet(folder / "00000.parquet")
    archive(folder / "00001.tar", members_of("100", url=URLS[2]))
    (folder / "loose" / "3.jpg").write_bytes(picture("loose 3"))
    return folder


EXPECTED = [picture("000"), None, picture("100"), picture("loose 3")]


def check(path, images, captions=CAPTIONS, **options):
    _, all_rows, state = found(path, images, **options)
    assert brief(all_rows, "image", "caption") == [*zip(EXPECTED, captions)]
    assert problems(all_rows) == {"0000000001": "failed_to_download: HTTP Error 410: Gone"}
    assert [row["locator"] for row in all_rows] == [f"{i:010d}" for i in range(4)]
    assert [row["url"] for row in all_rows] == URLS
    assert state.damage is None
    return all_rows, state


LAION = {
    "upper": {"SAMPLE_ID": [1, 2, 3, 4], "URL": URLS, "TEXT": CAPTIONS, "HEIGHT": [None, 2, 3, 4], "WIDTH": [1, None, 3, 4]},
    "lower": {"url": URLS, "text": CAPTIONS, "height": [None, 2.0, 3.0, 4.0], "width": [1.0, None, float("nan"), 4.0]},
    "both cases": {
        "URL": URLS,
        "TEXT": CAPTIONS,
        "WIDTH": [1, None, 3, 4],
        "width": [9, 9, 9, 9],
        "__index_level_0__": [1, 2, 3, 4],
    },
    "binary hash": {"url": URLS, "caption": CAPTIONS, "width": [1, None, 3, 4], "sha256": [b"x" * 32] * 4},
    "binary strings": {
        "url": [u.encode() for u in URLS],
        "caption": [c.encode() for c in CAPTIONS],
        "width": ["1", "-", "3", None],
    },
}


@pytest.mark.parametrize("kind", LAION)
def test_laion(tmp_path, images, kind):
    pl.DataFrame(LAION[kind] | {"similarity": [None, 0.3, float("inf"), 0.1]}).write_parquet(tmp_path / "part-0.parquet")
    all_rows, state = check(tmp_path / "part-0.parquet", images)
    assert [row["similarity"] for row in all_rows] == [None, pytest.approx(0.3), None, pytest.approx(0.1)]
    assert all_rows[0]["original_width"] == 1 and all_rows[1]["original_width"] is None
    assert state.warning is None


def test_waon_and_datacomp_columns(tmp_path, images):
    waon = {
        "url": URLS,
        "caption": CAPTIONS,
        "similarity": [0.1, 0.2, 0.3, 0.4],
        "page_title": ["t"] * 4,
        "page_url": ["p"] * 4,
    }
    waon |= {"punsafe": [0.0] * 4, "width": [9.0] * 4, "original_width": [800.0] * 4, "phash": ["f"] * 4}
    pl.DataFrame(waon).write_parquet(tmp_path / "waon.parquet")
    all_rows, _ = check(tmp_path / "waon.parquet", images)
    assert {(row["original_width"], row["punsafe"]) for row in all_rows} == {(800, 0)}
    datacomp = {"uid": ["a"] * 4, "text": CAPTIONS, "url": URLS, "original_width": [800] * 4, "original_height": [600] * 4}
    datacomp |= {"clip_b32_similarity_score": [0.9] * 4, "clip_l14_similarity_score": [0.2] * 4, "face_bboxes": [[[0.0]]] * 4}
    pl.DataFrame(datacomp).write_parquet(tmp_path / "datacomp.parquet")
    all_rows, _ = check(tmp_path / "datacomp.parquet", images)
    assert {(row["original_height"], round(row["similarity"], 3)) for row in all_rows} == {(600, 0.2)}


def lines(*cells, end="\n", separator="\t"):
    return end.join(separator.join(row) for row in zip(*cells)).encode()


QUOTED = "url,caption\r\n" + "".join(f'{u},"{c.replace(chr(34), chr(34) * 2)}"\r\n' for u, c in zip(URLS, CAPTIONS))
LISTS = {
    "cc12m": lines(URLS, CAPTIONS) + b"\n",
    "cc12m without a last line end": lines(URLS, CAPTIONS),
    "cc12m, crlf": lines(URLS, CAPTIONS, end="\r\n") + b"\r\n",
    "cc12m, bom": BOM + lines(URLS, CAPTIONS),
    "cc12m, empty lines": b"\n\n" + lines(URLS, CAPTIONS, end="\n\n") + b"\n \n",
    "cc3m": lines(CAPTIONS, URLS),
    "header": b"caption\tkept\turl\n" + lines(CAPTIONS, "abcd", URLS),
    "header, bom, crlf": BOM + b'"URL"\tTEXT\r\n' + lines(URLS, CAPTIONS, end="\r\n"),
    "header twice": b"url\tcaption\tcaption\turl\tseimai:problem\n" + lines(URLS, CAPTIONS, "abcd", "abcd", "abcd"),
    "cc12m, cr": lines(URLS, CAPTIONS, end="\r"),
    "header, bom, cr": BOM + b"url\tcaption\r" + lines(URLS, CAPTIONS, end="\r") + b"\r",
    "csv, cr": QUOTED.replace("\r\n", "\r").encode(),
    "csv": QUOTED.encode(),
    "csv, bom": BOM + QUOTED.encode().rstrip(),
    "jsonl": "\n".join(json.dumps({"url": u, "caption": c}) for u, c in zip(URLS, CAPTIONS)).encode(),
    "jsonl, cr": "\r".join(json.dumps({"url": u, "caption": c}) for u, c in zip(URLS, CAPTIONS)).encode(),
    "jsonl, bom": BOM + "\n".join(json.dumps({"TEXT": c, "URL": u, "x": [1]}) for u, c in zip(URLS, CAPTIONS)).encode(),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("name", ["list.txt", "list.json"])
def test_lists_as_text(tmp_path, images, kind, name):
    (tmp_path / name).write_bytes(LISTS[kind])
    check(tmp_path / name, images)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("kind", LISTS)
def test_lists_in_small_pieces(tmp_path, images, kind, size, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", size)
    monkeypatch.setattr(tables, "_BLOCK", size * 7)
    (tmp_path / "list").write_bytes(LISTS[kind])
    check(tmp_path / "list", images)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress])
def test_compressed_lists(tmp_path, images, pack):
    (tmp_path / "list").write_bytes(pack(LISTS["cc12m"]))
    all_rows, _ = check(tmp_path / "list", images)
    # The list passes, the images stay.
    assert all(row["blob"] is None for row in all_rows)
    (tmp_path / "list.json.gz").write_bytes(pack(LISTS["jsonl"]))
    check(tmp_path / "list.json.gz", images)


def test_a_list_over_http(images, server):
    server.files = {"list.tsv": LISTS["cc12m"]}
    check(f"{server.url}/list.tsv", images)


def test_a_compressed_list_that_is_cut_short(tmp_path, images):
    noise = [(URL.format(f"{i}.jpg"), hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()) for i in range(3000)]
    for name, body in {"tsv": lines(*zip(*noise)), "csv": b"url,caption\n" + lines(*zip(*noise), separator=",")}.items():
        raw = gzip.compress(body)
        path = tmp_path / f"list.{name}.gz"
        path.write_bytes(raw[: len(raw) // 2])
        _, all_rows, state = found(path, images)
        assert "ends too early" in state.damage
        assert brief(all_rows[:-1], "url", "caption") == noise[: len(all_rows) - 1] and len(all_rows) > 100
        assert all_rows[-1]["problem"] == "the input ends inside this line"


def test_broken_lines_cost_themselves_alone(tmp_path, images, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 2)
    good = [json.dumps({"url": u, "caption": c}) for u, c in zip(URLS, CAPTIONS)]
    broken = [
        '{"url": "https://',
        "[]",
        "null",
        "{",
        "nan",
        '{"caption": "no url"}',
        "{}",
        '{"a":' * 10_000,
        '{"url": "\\ud800", "caption": "\\udfff"}',
    ]
    (tmp_path / "list.jsonl").write_text("\n".join([good[0], *broken, *good[1:]]))
    _, all_rows, state = found(tmp_path / "list.jsonl", images)
    assert brief([all_rows[0], *all_rows[-3:]], "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
    found_problems = [row["problem"] for row in all_rows[1:-3]]
    assert len(found_problems) == len(broken) and all(found_problems)
    assert found_problems.count("the line is not a JSON object") == 6
    assert all_rows[9]["caption"] == "\ufffd"
    assert state.damage is None


def test_ragged_lines(tmp_path, images):
    (tmp_path / "list.tsv").write_bytes(
        lines(URLS[:1], CAPTIONS[:1]) + b"\nhttps://a\tb\tc\nhttps://d\n" + lines(URLS[1:], CAPTIONS[1:])
    )
    _, all_rows, _ = found(tmp_path / "list.tsv", images)
    assert brief([all_rows[0], *all_rows[3:]], "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
    assert [row["problem"] for row in all_rows[1:3]] == [
        "the line has 3 fields instead of 2",
        "the line has 1 fields instead of 2",
    ]
    # Even where the first line is the ragged one.
    (tmp_path / "list.tsv").write_bytes(b"https://a\tb\tc\n" + lines(URLS, CAPTIONS))
    assert [row["problem"] is None for row in found(tmp_path / "list.tsv", images)[1]] == [False, True, False, True, True]


def test_csv_with_line_ends_in_fields_and_rows_that_do_not_fit(tmp_path, images):
    text = f'caption,url\n"a\nb\r\nc",{URLS[0]}\nd,{URLS[2]},x\ne\n\n"f""g",{URLS[3]}\n'
    (tmp_path / "list.csv").write_bytes(text.encode())
    _, all_rows, state = found(tmp_path / "list.csv", images)
    assert brief(all_rows, "caption", "image") == [
        ("a\nb\r\nc", EXPECTED[0]), ("d", None), ("e", None), ('f"g', EXPECTED[3]),
    ]  # fmt: skip
    assert list(problems(all_rows).values()) == ["the row has 3 fields instead of 2", "the row has 1 fields instead of 2"]
    assert state.damage is None


def test_csv_with_a_quote_that_is_not_closed(tmp_path, images):
    text = f'caption,url\na,{URLS[0]}\n"b,{URLS[2]}\nc,{URLS[3]}\n'
    (tmp_path / "list.csv").write_bytes(text.encode())
    _, all_rows, state = found(tmp_path / "list.csv", images)
    assert brief(all_rows, "caption", "image")[0] == ("a", EXPECTED[0])
    assert [row["problem"] for row in all_rows[1:]] == ["a quote in this row is not closed"]
    assert "quote that is not closed" in state.damage
    (tmp_path / "list.csv").write_text(f'caption,url\na,{URLS[0]}\n"b,{URLS[2]}\n' + "c\n" * 6_000_000)
    _, all_rows, state = found(tmp_path / "list.csv", images)
    assert brief(all_rows, "caption", "image") == [("a", EXPECTED[0])]
    assert "is not CSV from line 3 on" in state.damage


def test_a_line_without_end(tmp_path, images, monkeypatch):
    monkeypatch.setattr(tables, "_LONGEST", 10_000)
    monkeypatch.setattr(tables, "_BLOCK", 1000)
    (tmp_path / "list.tsv").write_bytes(lines(URLS, CAPTIONS) + b"\n" + b"x" * 20_000)
    _, all_rows, state = found(tmp_path / "list.tsv", images)
    assert len(all_rows) == 4 and "line of more than 10,000 bytes" in state.damage


# -- columns of every kind

ODD = {
    "duration": pa.array([1, 2, None, 4], pa.duration("s")),
    "invalid binary": pa.array([b"\xff", b"a", None, "犬".encode()]),
    "large binary": pa.array([b"\xff"] * 4, pa.large_binary()),
    "fixed binary": pa.array([b"\xff\xfe"] * 4, pa.binary(2)),
    "dictionary of binary": pa.array([b"\xff"] * 4).dictionary_encode(),
    "decimal": pa.array([1] * 4, pa.decimal256(50, 2)),
    "timestamp": pa.array([1] * 4, pa.timestamp("us", "Asia/Tokyo")),
    "time": pa.array([1] * 4, pa.time64("us")),
    "half": pa.array([0.5] * 4, pa.float16()),
    "boolean": pa.array([True] * 4),
    "list": pa.array([[1], [], None, [2]]),
    "list of binary": pa.array([[b"\xff"], [b"a", b"b"], None, []]),
    "struct": pa.array([{"a": 1}] * 4),
    "map": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(4),
    "struct of numbers": pa.array([{"bytes": [1, 2], "path": "a"}] * 4),
    "struct of binary": pa.array([{"bytes": b"x", "path": b"\xff"}] * 4),
    "struct without bytes": pa.array([{"bytes": None, "path": {"a": 1}}] * 4),
}


@pytest.mark.parametrize("kind", ODD)
def test_no_type_of_a_column_is_too_odd(tmp_path, images, kind, capfd):
    for name in ("url", "caption", "captions", "license", "width", "similarity", "status", "key", "image"):
        table = pa.table({"url": URLS, "caption": CAPTIONS} | {name: ODD[kind]})
        pq.write_table(table, tmp_path / "a.parquet")
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
            out.write_table(table)
        for path in (tmp_path / "a.parquet", tmp_path / "a.arrow"):
            _, all_rows, state = found(path, images)
            if all_rows or name != "url":
                assert state.damage is None and len({row["locator"] for row in all_rows}) == len(all_rows) >= 4
            else:
                assert "neither images nor url or file_name" in state.damage
            if name in ("license", "width", "similarity", "key") and kind != "struct of binary":  # which are images by any name
                assert brief(all_rows, "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
        tar = archive(tmp_path / "b.tar", members_of("000"))
        keys = [f"{i:03}" for i in range(4)]
        pq.write_table(pa.table({"key": keys, "url": URLS} | {name: ODD[kind]}), tmp_path / "b.parquet")
        _, all_rows, state = found(tar)
        assert picture("000") in [row["image"] for row in all_rows] and state.damage is None
    assert "panicked" not in capfd.readouterr().err


def test_binary_texts_that_are_no_utf8(tmp_path, images):
    urls = pa.array([URLS[0].encode(), b"\xff", URLS[2].encode(), URLS[3].encode()])
    captions = pa.array(["犬".encode(), b"a", b"\xe7\x8a", None])
    pq.write_table(pa.table({"url": urls, "caption": captions}), tmp_path / "a.parquet")
    _, all_rows, _ = found(tmp_path / "a.parquet", images)
    assert brief(all_rows, "url", "caption", "image") == [
        (URLS[0], "犬", EXPECTED[0]), (None, "a", None), (URLS[2], "\ufffd", None), (URLS[3], None, EXPECTED[3]),
    ]  # fmt: skip
    assert problems(all_rows)["0000000002"] == "caption: invalid UTF-8: byte 0xE7 at 0 of 2"
    # A tar's own captions come before those of its sidecar.
    path = archive(tmp_path / "a.tar", [*members_of("1", "箱の"), *members_of("2", None)])
    (tmp_path / "a.parquet").unlink()
    pq.write_table(pa.table({"key": [b"1", b"2"], "caption": [b"\xff", b"\xff"]}), tmp_path / "a.parquet")
    _, all_rows, state = found(path)
    assert brief(all_rows, "locator", "caption") == [("1", "箱の"), ("2", "\ufffd")] and state.warning is None
    assert problems(all_rows) == {"2": "caption: invalid UTF-8: byte 0xFF at 0 of 1"}


@pytest.mark.parametrize("keys", [pa.array([["000"], ["001"]]), pa.array([{"a": 1}] * 2)], ids=["list", "struct"])
def test_a_sidecar_whose_keys_are_none(shard, keys):
    pq.write_table(pa.table({"key": keys}), shard.with_suffix(".parquet"))
    _, all_rows, state = found(shard)
    assert len(all_rows) == 10 and "that is no sidecar" in state.warning and state.damage is None


def test_keys_that_are_numbers(tmp_path, shard):
    frame = pl.read_parquet(shard.with_suffix(".parquet")).with_columns(pl.col("key").cast(pl.Int64))
    expected = brief(found(shard)[1])
    frame.write_parquet(shard.with_suffix(".parquet"))
    _, all_rows, state = found(shard)
    assert brief(all_rows) == expected and state.warning is None
    # As the images of a list, too, in tars and as files.
    (tmp_path / "list.tsv").write_bytes(lines([URL.format(f"{i:09d}") for i in range(12)], "abcdefghijkl"))
    (tmp_path / "tars").mkdir()
    (tmp_path / "files" / "00000").mkdir(parents=True)
    for folder in ("tars", "files"):
        frame.write_parquet(tmp_path / folder / "00000.parquet")
    shard.rename(tmp_path / "tars" / "00000.tar")
    for i in (n for n in range(12) if n not in (3, 7)):
        (tmp_path / "files" / "00000" / f"{i:09d}.jpg").write_bytes(picture(f"{i:09d}"))
    for folder in ("tars", "files"):
        assert brief(found(tmp_path / "list.tsv", tmp_path / folder)[1], "image") == [(image,) for *_, image in expected]
    # Where the tar's keys are as long as their numbers, numbers are keys as they are.
    path = archive(tmp_path / "b.tar", [m for i in (9, 10) for m in members_of(str(i), "x")])
    frame.filter(pl.col("key").is_in([9, 10])).write_parquet(tmp_path / "b.parquet")
    assert found(path)[2].warning is None


def test_a_column_that_cannot_be_read_is_named_where_it_is_needed(tmp_path, images):
    union = pa.UnionArray.from_sparse(pa.array([0] * 4, pa.int8()), [pa.array(CAPTIONS)])
    for name, column in {"other": union, "caption": union, "説明": union}.items():
        table = pa.table({"url": pa.array(URLS), "caption": pa.array(CAPTIONS)} | {name: column})
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
            out.write_table(table)
        _, all_rows, state = found(tmp_path / "a.arrow", images, columns={"caption": "説明"} if name == "説明" else {})
        if name == "other":
            assert brief(all_rows, "image", "caption") == [*zip(EXPECTED, CAPTIONS)] and state.damage is None
        else:
            assert f"has a column '{name}' of type sparse_union" in state.damage


def test_columns_that_pairs_are_not_made_of_are_not_read(tmp_path, images):
    raw = pa.array([b"x" * 1000] * 4)
    table = pa.table({"url": URLS, "caption": CAPTIONS, "thumbnail": raw, "a.url": ["?"] * 4, "meta": [{"url": "?"}] * 4})
    pq.write_table(table, tmp_path / "a.parquet")
    frame = next(tables.frames(tmp_path / "a.parquet"))
    assert frame.columns == table.column_names and frame["thumbnail"].null_count() == 4
    assert next(tables.frames(tmp_path / "a.parquet", every=True))["thumbnail"].null_count() == 0
    check(tmp_path / "a.parquet", images)
    _, all_rows, _ = found(tmp_path / "a.parquet", images, columns={"caption": "a.url"})
    assert {row["caption"] for row in all_rows} == {"?"}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_images_are_read_a_few_at_a_time(tmp_path, kind):
    pq.write_table(pa.table({"image": pa.array([b"x"] * 100, kind), "caption": ["x"] * 100}), tmp_path / "a.parquet")
    assert [len(frame) for frame in tables.frames(tmp_path / "a.parquet")] == [64, 36]
    assert [row["image"] for row in found(tmp_path / "a.parquet")[1]] == [b"x"] * 100


@pytest.mark.parametrize("form", ["parquet", "arrow", "jsonl", "csv", "tsv"])
def test_a_column_of_the_name_that_problems_have(tmp_path, images, form):
    path, frame = tmp_path / f"a.{form}", pl.DataFrame({"url": URLS, "caption": CAPTIONS, "seimai:problem": [1, 2, 3, 4]})
    if form in ("parquet", "arrow"):
        frame = frame.with_columns(pl.concat_list("seimai:problem"))
        frame.write_parquet(path) if form == "parquet" else frame.write_ipc(path)
    elif form == "jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if form == "tsv" else ",", quote_style="never" if form == "tsv" else "necessary")
    check(path, images)


LISTED = [[CAPTIONS[0], "二"], ["三"], ["四", "五"], ["六"]]
OF_LISTS = {
    "list": pa.list_(pa.string()), "large": pa.large_list(pa.large_string()),
    "dictionary": pa.list_(pa.dictionary(pa.int32(), pa.string())),
    "fixed": pa.list_(pa.string(), 2), "binary": pa.list_(pa.binary()), "view": pa.list_(pa.string_view()),
}  # fmt: skip


@pytest.mark.parametrize("name", ["caption", "captions", "説明"])
@pytest.mark.parametrize("kind", [*OF_LISTS, "jsonl"])
def test_lists_of_captions(tmp_path, images, kind, name):
    lists = [[*texts, "二"][:2] for texts in LISTED] if kind == "fixed" else LISTED
    expected = [(url, text) for url, texts in zip(URLS, lists) for text in texts]
    columns = {"caption": name} if name == "説明" else {}
    path = tmp_path / ("a.jsonl" if kind == "jsonl" else "a.parquet")
    for beside in ({}, {"caption": ["x"] * 4}) if name == "captions" else ({}, {"captions": [["x"]] * 4}):
        if kind == "jsonl":
            pl.DataFrame({"url": URLS, name: lists} | beside).write_ndjson(path)
        else:
            pq.write_table(pa.table({"url": URLS, name: pa.array(lists, OF_LISTS[kind])} | beside), path)
        if beside and name == "caption":
            expected = [(url, "x") for url in URLS]  # a list named captions has all of them
        _, all_rows, state = found(path, images, columns=columns)
        assert brief(all_rows, "url", "caption") == expected and state.damage is None


def test_captions_alone_beside_lists_of_them(tmp_path, images):
    held = [
        {"caption": "一", "captions": ["一", "二"]},
        {"caption": "三"},
        {"caption": "四", "captions": []},
        {"captions": ["五"]},
    ]
    texts = "\n".join(json.dumps({"url": url} | row) for url, row in zip(URLS, held))
    (tmp_path / "a.jsonl").write_text(texts)
    schema = {"url": pl.String, "caption": pl.String, "captions": pl.List(pl.String)}
    pl.DataFrame([{"url": url} | row for url, row in zip(URLS, held)], schema=schema).write_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert [row["caption"] for row in found(tmp_path / name, images)[1]] == ["一", "二", "三", "四", "五"]
    (tmp_path / "a.jsonl").write_text(texts.replace('"caption"', '"text"'))
    assert [row["caption"] for row in found(tmp_path / "a.jsonl", images)[1]] == ["一", "二", "三", "四", "五"]
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"url": u, "text": t}) for u, t in zip(URLS, ["a", ["b", "c"], [1], "d"]))
    )
    assert [row["caption"] for row in found(tmp_path / "a.jsonl", images)[1]] == ["a", "b", "c", None, "d"]


def test_lines_may_lack_what_source_columns_names(tmp_path, images, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 2)
    told = [{"説明": "一"}, {"説明": "二"}, {"text": "x"}, {"caption": "y"}, {"説明": "三"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"url": URLS[0]} | row) for row in told))
    _, all_rows, state = found(tmp_path / "a.jsonl", images, columns={"caption": "説明"})
    assert [row["caption"] for row in all_rows] == ["一", "二", None, None, "三"] and state.damage is None
    _, all_rows, state = found(tmp_path / "a.jsonl", images, columns={"caption": "題"})
    assert all_rows == [] and "has no column '題', which source.columns names. Its columns: url, 説明" in state.damage


def test_a_column_cannot_be_two(tmp_path, images):
    for name in ("cc12m", "header", "csv", "jsonl"):
        (tmp_path / "a").write_bytes(LISTS[name])
        state = found(tmp_path / "a", images, columns={"caption": "a", "url": "a"})[2]
        assert "source.columns names 'a' as caption and as url" in state.damage


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.parquet", {"id": [1], "kanji": ["犬"]}, ["neither images nor url or file_name", "'id', 'kanji'"]),
        ("a.jsonl", b'{"id": 1, "kanji": "\xe7\x8a\xac"}\n', ["neither images nor url or file_name", "'id', 'kanji'"]),
        ("a.tsv", "識別\t題\n1\t犬\n".encode(), ["neither a header", "url or file_name", "識別"]),
        ("a.txt", "ただの文章。\n".encode(), ["neither a header", "ただの文章"]),
        ("a.csv", b"site,words\nx,y\n", ["neither a header"]),
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", ["first line is binary"]),
        ("a.json", b'[{"url": "x"}]', ["is a JSON array", "JSON lines"]),
        ("a.jsonl", b'\xef\xbb\xbf [\n  {"url": "x"},\n', ["is a JSON array"]),
        ("a.json", b'{"images": [], "annotations": [{"id": 1}]}', ["not of COCO's form", "image_id"]),
        ("a.json", b'{\n"images": [],\n', ["not of COCO's form"]),
        ("a.parquet", b"PAR1" + b"x" * 100, ["not a whole Parquet file"]),
        ("a.arrow", b"ARROW1\0\0" + b"x" * 100, ["not a whole Arrow file"]),
        ("a.tsv", b"", ["is empty"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, images, name, content, words):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else pl.DataFrame(content).write_parquet(path)
    _, all_rows, state = found(path, images)
    assert all_rows == [] and all(word in state.damage for word in [str(path), *words]), state.damage


def test_a_list_without_its_images_says_how_to_fetch_them(tmp_path):
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match=r"python -m pipeline\.fetch .*list\.tsv --out .*--images"):
        found(tmp_path / "list.tsv")


def test_images_that_are_not_there(tmp_path):
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match="--images .*gone: there is no such folder"):
        found(tmp_path / "list.tsv", tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    _, all_rows, state = found(tmp_path / "list.tsv", tmp_path / "empty")
    assert state.warning == f"there is no image in {tmp_path / 'empty'}"
    assert [row["problem"] for row in all_rows] == ["no image: the folder of images has none for this row"] * 4


def test_a_list_without_captions_is_warned_of(tmp_path, images):
    (tmp_path / "urls.txt").write_text("\n".join(URLS))
    _, _, state = found(tmp_path / "urls.txt", images)
    assert "no column of captions" in state.warning


def test_loose_files_by_path_and_by_name(tmp_path):
    folder = tmp_path / "images"
    for name in ("a/1.jpg", "b/1.jpg", "a/2.jpg", "3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(secret)
    (folder / "outside").symlink_to(tmp_path)
    (folder / "00000").symlink_to(tmp_path)
    sidecar(folder / "00000.parquet", [("secret", "x", "failed")])
    wanted = {
        "a/1.jpg": b"a/1.jpg", "./b/1.jpg": b"b/1.jpg", "1.jpg": None, "elsewhere/2.jpg": b"a/2.jpg", "3.png": b"3.png",
        "https://example.com/x/3.png": None, "link.jpg": None, "../secret.jpg": None, str(secret): None,
        "outside/secret.jpg": None, "../../../../../../../etc/passwd": None, "/etc/passwd": None, "": None, "secret": None,
        "a": None, "a/../3.png": None,
    }  # fmt: skip
    pl.DataFrame({"file_name": [*wanted], "caption": "x"}).write_parquet(tmp_path / "list.parquet")
    _, all_rows, _ = found(tmp_path / "list.parquet", folder)
    # A file is the image of the first that asks for it.
    assert dict(zip(wanted, (row["image"] for row in all_rows))) == wanted
    assert all((row["image"] is None) == (row["problem"] is not None) for row in all_rows)


def test_of_many_urls_that_end_alike_one_has_the_file(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "image.jpg").write_bytes(b"the one")
    urls = [URL.format(f"{i}/image.jpg") for i in (1, 1, 2, 3)]
    (tmp_path / "list.tsv").write_bytes(lines(urls, "abcd"))
    _, all_rows, _ = found(tmp_path / "list.tsv", tmp_path / "images")
    assert [row["image"] for row in all_rows] == [b"the one", b"the one", None, None]


def test_img2dataset_s_files_as_images(tmp_path):
    folder = tmp_path / "images"
    (folder / "00000").mkdir(parents=True)
    sidecar(folder / "00000.parquet", [("000", "x", None), ("001", "x", "HTTP Error 404"), ("002", "x", None)])
    for key in ("000", "002"):
        (folder / "00000" / f"{key}.jpg").write_bytes(picture(key))
        (folder / "00000" / f"{key}.txt").write_text("x")
    urls = [URL.format(f"00{i}") for i in range(4)]
    (tmp_path / "list.tsv").write_bytes(lines(urls, "abcd"))
    _, all_rows, _ = found(tmp_path / "list.tsv", folder)
    assert [row["image"] for row in all_rows] == [picture("000"), None, picture("002"), None]
    assert [row["name"] for row in all_rows] == ["000.jpg", None, "002.jpg", None]
    assert "HTTP Error 404" in all_rows[1]["problem"] and "has none for this row" in all_rows[3]["problem"]


def test_img2dataset_s_files_without_their_sidecars(tmp_path):
    folder = tmp_path / "images" / "00000"
    folder.mkdir(parents=True)
    for key in ("000", "002"):
        (folder / f"{key}.jpg").write_bytes(picture(key))
        (folder / f"{key}.json").write_text(json.dumps({"key": key, "url": URL.format(key)}))
    (folder / "003.jpg").write_bytes(picture("003"))
    (folder / "003.json").write_text("[]")
    (tmp_path / "list.tsv").write_bytes(lines([URL.format(f"00{i}") for i in range(4)], "abcd"))
    _, all_rows, _ = found(tmp_path / "list.tsv", tmp_path / "images")
    assert [row["image"] for row in all_rows] == [picture("000"), None, picture("002"), None]


def test_img2dataset_s_parquet_mode_is_no_folder_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    frame = {"url": ["https://a"], "key": ["0"], "status": ["success"], "jpg": [b"x"]}
    pl.DataFrame(frame).write_parquet(tmp_path / "images" / "00000.parquet")
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match="--input instead of --images"):
        found(tmp_path / "list.tsv", tmp_path / "images")


def test_damage_in_the_folder_of_images_is_a_warning(tmp_path, images):
    raw = (images / "00001.tar").read_bytes()
    (images / "00002.tar").write_bytes(raw[:700])
    (images / "00003.tar").write_bytes(b"")
    (images / "00004.tar").write_bytes(raw)
    (images / "00004.parquet").write_bytes(b"PAR1")
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    _, state = check(tmp_path / "list.tsv", images)
    assert all(f"0000{i}" in state.warning for i in (2, 3, 4)), state.warning


def test_more_loose_files_than_may_be_open(tmp_path):
    (tmp_path / "images").mkdir()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    for i in range(400):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(picture(i))
    (tmp_path / "list.tsv").write_bytes(lines([URL.format(f"{i}.jpg") for i in range(400)], ["x"] * 400))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, limit[1]))
        _, all_rows, _ = found(tmp_path / "list.tsv", tmp_path / "images")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert [row["image"] for row in all_rows] == [picture(i) for i in range(400)]


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """A small file of every form, and a folder of images."""
    folder = tmp_path_factory.mktemp("anything")
    (folder / "images").mkdir()
    (folder / "images" / "1.jpg").write_bytes(b"1")
    table = pl.DataFrame({"url": URLS, "caption": CAPTIONS, "width": [1, None, 3, 4]})
    held = table.with_columns(
        image=pl.struct(bytes=pl.lit(b"x"), path=pl.lit("1.jpg")), key=pl.lit("k"), status=pl.lit("success")
    )
    files = dict(LISTS)
    for name, frame in {"table": table, "held": held}.items():
        for write in ("write_parquet", "write_ipc", "write_ipc_stream"):
            getattr(frame, write)(out := io.BytesIO())
            files[f"{name}, {write}"] = out.getvalue()
    files["coco"] = json.dumps(
        {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "犬"}]}
    ).encode()
    files["tar"] = archive(folder / "a.tar", members_of("k", "犬")).read_bytes()
    return folder, files


@given(data=st.data(), name=st.sampled_from(["a", "a.tar", "a.json"]), whole=st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_damage_anywhere_is_told_in_words(anything, data, name, whole):
    folder, files = anything
    raw = bytearray(files[data.draw(st.sampled_from([*files]))])
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[at] = data.draw(st.one_of(st.sampled_from(b'\0\n\t\r",{}[]\xff'), st.integers(0, 255)))
    raw = raw if whole else raw[: data.draw(st.integers(0, len(raw)))]
    (folder / name).write_bytes(raw)
    _, all_rows, state = found(folder / name, folder / "images")
    assert len({row["locator"] for row in all_rows}) == len(all_rows)
    assert all(row["locator"].isprintable() and (row["name"] or "").isprintable() for row in all_rows)
    assert all(
        (row["image"] is not None) == (row["problem"] is None) or row["problem"].startswith("caption") for row in all_rows
    )
    (folder / name).unlink()


# -- captions of files


def test_coco(tmp_path):
    stair = {
        "info": {}, "licenses": [{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/"}],
        "images": [{"id": i, "file_name": f"COCO_{i}.jpg", "flickr_url": f"http://f/{i}", "license": 4} for i in range(3)],
        "annotations": [
            {"id": 10, "image_id": 1, "caption": "犬", "tokenized_caption": "犬"}, {"id": 11, "image_id": 1, "caption": "走る犬"},
            {"id": 12, "image_id": 2, "caption": None}, {"id": 12, "image_id": 9, "caption": "像なし"},
            {"id": "\ud800\n", "image_id": 0, "caption": "\ud800"},
        ],
    }  # fmt: skip
    folder = tmp_path / "images" / "train2014"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"COCO_{i}.jpg").write_bytes(picture(i))
    expected = [("10", "犬", picture(1)), ("11", "走る犬", picture(1)), ("12", None, picture(2)), ("12~2", "像なし", None)]
    expected += [("\ufffd\ufffd", "\ufffd", picture(0))]
    for name, text in {
        "a.json": json.dumps(stair),
        "b.json": json.dumps(stair, indent=1),
        "c": "\ufeff" + json.dumps(stair),
    }.items():
        (tmp_path / name).write_text(text)
        _, all_rows, state = found(tmp_path / name, tmp_path / "images")
        assert brief(all_rows) == expected and state.damage is None
        assert set(problems(all_rows)) == {"12~2"}
        assert all_rows[0]["license"].endswith("by/2.0/") and all_rows[0]["url"] == "http://f/1"


def test_a_folder_of_images(tmp_path):
    folder = tmp_path / "写真"
    (folder / "b").mkdir(parents=True)
    for name in ("1.jpg", "2.PNG", "3.jpg", "4.jpg", "b/1.jpg", "b/5.jpg", "b/改\n行.jpg"):
        (folder / name).write_bytes(name.encode())
    (folder / "1.txt").write_bytes(BOM + "一".encode())
    (folder / "3.txt").write_bytes(b"\xff")
    (folder / "4.txt").symlink_to(folder / "1.txt")
    (folder / "b" / "1.txt").write_text("枝の一")
    (folder / "link.jpg").symlink_to(folder / "1.jpg")
    (folder / "notes.pdf").write_bytes(b"x")
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "2.PNG", "text": "二"}\n{"file_name": "../../etc/passwd", "text": "x"}\n{broken\n'
    )
    (folder / "b" / "metadata.csv").write_text('file_name,caption\n5.jpg,"五\n行"\n')
    (file,) = pairs.inputs([str(folder)])
    assert file.name == "写真"
    _, all_rows, state = found(file)
    assert brief(all_rows) == [
        ("1.jpg", "一", b"1.jpg"), ("2.PNG", "二", b"2.PNG"), ("3.jpg", "\ufffd", None), ("4.jpg", None, b"4.jpg"),
        ("b/1.jpg", "枝の一", b"b/1.jpg"), ("b/5.jpg", "五\n行", b"b/5.jpg"), ("b/改\ufffd行.jpg", None, "b/改\n行.jpg".encode()),
        ("../../etc/passwd", "x", None), ("metadata.jsonl:0000000002", None, None),
    ]  # fmt: skip
    assert problems(all_rows) == {
        "3.jpg": "caption: invalid UTF-8: byte 0xFF at 0 of 1",
        "../../etc/passwd": "no image: metadata.jsonl names a file that is not there",
        "metadata.jsonl:0000000002": "the line is not a JSON object",
    }
    assert state.damage is None
    (folder / "b" / "metadata.csv").write_bytes(b"\xff\xd8\0")
    assert "b/metadata.csv, which is neither a table" in found(folder)[2].damage


def test_every_line_about_a_folder_of_images_is_a_row(tmp_path):
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for name in ("0.jpg", "1.jpg", "2.jpg", "b/3.jpg", "b/4.jpg"):
        (folder / name).write_bytes(name.encode())
    told = [
        {"file_name": "0.jpg", "captions": ["一", "二"]}, {"file_name": "1.jpg", "text": "三"}, {"file_name": "1.jpg", "text": "四"},
        {"file_name": "gone.jpg", "text": "五"}, {"file_name": "gone.jpg", "text": "六"}, {"text": "七"},
        {"file_name": "b/4.jpg", "text": "?"},
    ]  # fmt: skip
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, told)) + "\n{broken\n")
    (folder / "b" / "metadata.csv").write_text("file_name,caption\n./3.jpg,八\n3.jpg,九,x\n4.jpg,十\nx\n")
    _, all_rows, state = found(folder)
    assert brief(all_rows) == [
        ("0.jpg", "一", b"0.jpg"), ("0.jpg~2", "二", b"0.jpg"), ("1.jpg", "三", b"1.jpg"), ("1.jpg~2", "四", b"1.jpg"),
        ("2.jpg", None, b"2.jpg"),
        ("b/3.jpg", "八", b"b/3.jpg"), ("b/3.jpg~2", "九", None), ("b/4.jpg", "十", b"b/4.jpg"),
        ("gone.jpg", "五", None), ("gone.jpg~2", "六", None), ("metadata.jsonl:0000000006", "七", None),
        ("metadata.jsonl:0000000008", None, None), ("b/x", None, None),
    ]  # fmt: skip
    assert list(problems(all_rows).values()) == [
        "the row has 3 fields instead of 2", "no image: metadata.jsonl names a file that is not there",
        "no image: metadata.jsonl names a file that is not there", "no image: metadata.jsonl has a line that names none",
        "the line is not a JSON object", "the row has 1 fields instead of 2",
    ]  # fmt: skip
    assert state.damage is None
    # A list of something else is none.
    (folder / "metadata.jsonl").write_text('{"year": 2020}\n{"year": 2021}\n')
    assert len(problems(found(folder)[1])) == 2


def test_names_in_another_encoding(tmp_path):
    folder = os.fsencode(tmp_path / "photos")
    os.mkdir(folder)
    for name in ("犬.jpg".encode("cp932"), b"a.jpg"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    _, all_rows, _ = found(tmp_path / "photos")
    assert [row["image"] for row in all_rows] == [None, b"x"] or [row["image"] for row in all_rows] == [b"x", None]
    assert list(problems(all_rows).values()) == ["the name of the file is not UTF-8: rename it"]
    (tmp_path / "list.tsv").write_text("https://example.com/a.jpg\tx\n")
    assert found(tmp_path / "list.tsv", tmp_path / "photos")[1][0]["image"] == b"x"


# -- what `datasets` saves


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A dataset of 150 real images as `datasets` saves it: by save_to_disk, to_parquet, and in splits."""
    import datasets
    from PIL import Image

    folder = tmp_path_factory.mktemp("saved")
    drawn = []
    for i in range(150):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (i, 0, 0)).save(out, "PNG")
        drawn.append(out.getvalue())
    columns = {"id": [*range(150)], "image": [{"bytes": b, "path": f"x/{i}.png"} for i, b in enumerate(drawn)]}
    columns |= {"caption": [None if i == 5 else f"題{i}" for i in range(150)], "problem": ["1+1=?"] * 150}
    features = datasets.Features(
        {"id": datasets.Value("int64"), "image": datasets.Image(), "caption": datasets.Value("string")}
    )
    features["problem"] = datasets.Value("string")
    made = datasets.Dataset.from_dict(columns, features=features)
    datasets.disable_progress_bars()
    made.save_to_disk(folder / "arrow", num_shards=2)
    made.to_parquet(folder / "parquet" / "train.parquet")
    datasets.DatasetDict({"train": made.select(range(100)), "test": made.select(range(100, 150))}).save_to_disk(
        folder / "splits"
    )
    return folder, [(None if i == 5 else f"題{i}", drawn[i]) for i in range(150)]


@pytest.mark.parametrize("form", ["arrow", "parquet", "splits"])
def test_datasets_with_images(saved, form):
    folder, expected = saved
    files = pairs.inputs([str(folder / form)])
    assert len(files) == {"arrow": 2, "parquet": 1, "splits": 2}[form]
    all_rows = [row for file in files for row in found(file, partition=3000)[1]]
    in_order = expected[100:] + expected[:100] if form == "splits" else expected
    assert brief(all_rows, "caption", "image") == in_order
    assert not problems(all_rows) and all_rows[0]["name"].endswith(".png")


def test_a_table_that_is_damaged_in_the_middle_gives_what_came_before(saved, tmp_path):
    folder, expected = saved
    raw = bytearray(next((folder / "arrow").glob("*.arrow")).read_bytes())
    (tmp_path / "a.arrow").write_bytes(raw[: len(raw) // 2])
    assert "not a whole Arrow file" in found(tmp_path / "a.arrow")[2].damage
    frame = pl.DataFrame({"caption": [c for c, _ in expected], "jpg": [b for _, b in expected]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=64, compression="snappy")
    raw = bytearray((tmp_path / "a.parquet").read_bytes())
    raw[len(raw) * 6 // 10 : len(raw) * 6 // 10 + 400] = b"\xff" * 400
    (tmp_path / "a.parquet").write_bytes(raw)
    partitions, all_rows, state = found(tmp_path / "a.parquet", partition=3000)
    assert "not a whole Parquet file" in state.damage
    assert 64 <= len(all_rows) < 150 and brief(all_rows, "caption", "image") == expected[: len(all_rows)]
    again = found(tmp_path / "a.parquet", partition=3000, start=partitions[-1].end)
    assert again[0] == [] and again[2].damage == state.damage


def test_images_that_are_paths_only(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    images = pl.Series("image", [{"bytes": b"one", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}, None], dtype=struct)
    pl.DataFrame([images, pl.Series("text", ["一", "二", "三"])]).write_parquet(tmp_path / "a.parquet")
    _, all_rows, _ = found(tmp_path / "a.parquet")
    assert brief(all_rows, "caption", "image") == [("一", b"one"), ("二", None), ("三", None)]
    assert list(problems(all_rows).values()) == [
        "no image: the row has no bytes, only a path: name the folder of the images with --images", "no image: the row has no bytes",
    ]  # fmt: skip
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "2.jpg").write_bytes(b"two")
    _, all_rows, _ = found(tmp_path / "a.parquet", tmp_path / "images")
    assert [row["image"] for row in all_rows] == [b"one", b"two", None]
    assert set(problems(all_rows)) == {"0000000002"}


# -- cutting


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Sixty rows, images of 0 to 900 bytes, in every form that is cut in its own way: (path, folder of images)."""
    folder = tmp_path_factory.mktemp("forms")
    bodies = {f"{i:09d}": b"i" * (i * 37 % 900) for i in range(60) if i % 9}
    members = [m for key, body in bodies.items() for m in ((f"{key}.jpg", body), (f"{key}.txt", key.encode()))]
    listing = [(f"{i:09d}", f"{i:09d}", None if i % 9 else "HTTP Error 404") for i in range(60)]
    for name in ("tar", "images"):
        (folder / name).mkdir()
        archive(folder / name / "a.tar", members)
        sidecar(folder / name / "a.parquet", listing)
    (folder / "a.tar.gz").write_bytes(gzip.compress((folder / "tar" / "a.tar").read_bytes()))
    (folder / "list.tsv").write_bytes(lines([URL.format(key) for key, *_ in listing], [key for key, *_ in listing]))
    held = {"key": [k for k, *_ in listing], "caption": [k for k, *_ in listing], "jpg": [bodies.get(k) for k, *_ in listing]}
    pl.DataFrame(held).write_parquet(folder / "held.parquet")
    return {
        "tar": (folder / "tar" / "a.tar", None), "tar.gz": (folder / "a.tar.gz", None),
        "list": (folder / "list.tsv", folder / "images"), "table": (folder / "held.parquet", None),
    }  # fmt: skip


SIZES = st.one_of(st.integers(1, 3000), st.just(1_000_000))


@pytest.mark.parametrize("form", ["tar", "tar.gz", "list", "table"])
@given(partition=SIZES, many=st.integers(1, 70), batch=st.integers(1, 70), data=st.data())
@settings(max_examples=6, deadline=None)
def test_rows_are_the_same_however_they_are_cut(forms, form, partition, many, batch, data):
    with pytest.MonkeyPatch.context() as patch:
        path, images = forms[form]
        whole = brief(found(path, images)[1], "locator", "caption", "image", "problem")
        assert len(whole) == 60 - 7 * (form == "tar.gz")
        patch.setattr(held, "MANY", many)
        plain, _, _ = found(path, images, partition)
        patch.setattr(tables, "BATCH", batch)
        patch.setattr(tables, "_BATCH_WITH_IMAGES", batch)
        partitions, all_rows, state = found(path, images, partition, first_index=4)
        assert brief(all_rows, "locator", "caption", "image", "problem") == whole
        # Neither gaps nor overlaps, and nothing depends on how much is read at a time.
        assert [p.start for p in partitions] == [0, *(p.end for p in partitions[:-1])]
        assert [(p.start, p.end) for p in partitions] == [(p.start, p.end) for p in plain]
        assert [p.index for p in partitions] == [*range(4, 4 + len(partitions))] and {p.file for p in partitions} == {2}
        assert partitions[-1].end == state.size == sum(len(row["image"] or b"") + 1 for row in all_rows)
        assert all(p.records <= many for p in partitions)
        assert all(p.end - p.start >= partition or p.records == many for p in partitions[:-1])
        assert state.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
        # Going on after any partition gives the rest, and with a limit its beginning.
        done = data.draw(st.integers(0, len(partitions)))
        start, before = (partitions[done - 1].end, sum(p.records for p in partitions[:done])) if done else (0, 0)
        rest, rest_rows, rest_state = found(path, images, partition, first_index=4 + done, start=start)
        assert rest == partitions[done:]
        assert brief(rest_rows, "locator", "caption", "image", "problem") == whole[before:]
        assert (rest_state.size, rest_state.checksum) == (state.size, state.checksum)
        limit = data.draw(st.integers(0, 70))
        limited, few, limited_state = found(path, images, partition, first_index=4 + done, start=start, limit=limit)
        assert brief(few, "locator", "caption", "image", "problem") == whole[before : before + limit]
        assert limited_state.limit == limit - len(few) and limited[:-1] == rest[: len(limited) - 1 if limited else 0]


@pytest.mark.parametrize("form", ["tar", "tar.gz", "list", "table"])
def test_images_that_are_too_large(forms, form):
    path, images = forms[form]
    _, all_rows, _ = found(path, images)
    _, few, _ = found(path, images, max_document=500)
    assert [row["locator"] for row in few] == [row["locator"] for row in all_rows]
    for large, row in zip(all_rows, few):
        size = len(large["image"] or b"")
        assert row["caption"] == large["caption"]
        assert row["image"] == (large["image"] if size <= 500 else None)
        expected = large["problem"] if size <= 500 else f"image of {size} bytes, over source.max_document = 500"
        assert row["problem"] == expected


def test_a_file_that_changes_under_a_partition_is_noticed(tmp_path, shard):
    file = pairs.inputs([str(shard)])[0]
    ((made, body),) = pairs.cut(file, 0, 0, CutState(1_000_000, 1_000_000))
    here = pairs.read(made, io.BytesIO(bytes(body)))
    shard.write_bytes(b"short")
    with pytest.raises(InputError, match="has changed since the build began"):
        here.image(0)
    here.close()
    shard.unlink()
    with pytest.raises(InputError, match="cannot be read any more"):
        here.image(0)


# -- inputs


def test_globs_and_folders_take_sidecars_and_statistics_along(tmp_path, shard):
    archive(tmp_path / "00001.tar", members_of("a"))
    for pattern in (str(tmp_path / "*"), str(tmp_path)):
        assert [f.name for f in pairs.inputs([pattern])] == ["00000.tar", "00001.tar"]
    # A Parquet file without a tar of its name is an input of its own.
    sidecar(tmp_path / "00002.parquet", [])
    assert [f.name for f in pairs.inputs([str(tmp_path / "*")])] == ["00000.tar", "00001.tar", "00002.parquet"]


def test_what_a_folder_holds_beside_its_tars_is_warned_of(tmp_path, shard, images):
    assert found(pairs.inputs([str(tmp_path / "images")])[0])[2].warning == (
        f"of {tmp_path / 'images'} only 2 tars are read, not 1 images: give them a folder of their own"
    )
    (tmp_path / "images" / "loose" / "3.jpg").unlink()
    first, second = pairs.inputs([str(tmp_path / "images")])
    assert (first.note, second.note) == (None, None)
    pl.DataFrame({"jpg": [b"x"], "caption": ["x"]}).write_parquet(tmp_path / "images" / "other.parquet")
    first, second = pairs.inputs([str(tmp_path / "images")])
    assert "only 2 tars are read, not 1 Parquet files" in first.note and second.note is None and "note" not in first.as_dict()
    # Images that a list is built with are not left out.
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "1.jpg").write_bytes(b"1")
    pl.DataFrame({"file_name": ["1.jpg"], "caption": ["x"]}).write_parquet(tmp_path / "lists" / "list.parquet")
    (file,) = pairs.inputs([str(tmp_path / "lists")], str(tmp_path / "lists"))
    _, all_rows, state = found(file, tmp_path / "lists")
    assert brief(all_rows, "caption", "image") == [("x", b"1")] and state.warning is None


def test_inputs_of_the_same_name_are_told_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        archive(tmp_path / name / "0.tar", members_of(name))
    assert [f.name for f in pairs.inputs([str(tmp_path / "a"), str(tmp_path / "b" / "0.tar")])] == ["a/0.tar", "b/0.tar"]
    assert [f.name for f in pairs.inputs([str(tmp_path)])] == ["a/0.tar", "b/0.tar"]
    with pytest.raises(UsageError, match="given twice: .*a/0.tar"):
        pairs.inputs([str(tmp_path), str(tmp_path / "a" / "0.tar")])


def test_inputs_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        pairs.inputs([str(tmp_path / "gone.tar")])
    with pytest.raises(UsageError, match="neither tars, tables .* nor images"):
        pairs.inputs([str(tmp_path)])
    with pytest.raises(UsageError, match="--images .*gone"):
        pairs.inputs([str(tmp_path)], str(tmp_path / "gone"))
    (tmp_path / "a\nb").mkdir()
    (tmp_path / "a\nb" / "1.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="printable"):
        pairs.inputs([str(tmp_path / "a\nb")])


def test_identity_changes_with_everything_that_is_read(tmp_path, shard, images):
    def identity(path=shard, folder=images):
        return pairs.inputs([str(path)], folder and str(folder))[0].identity

    seen = {identity(), identity(folder=None)}
    assert identity() in seen and len(seen) == 2
    for change in (
        lambda: shard.with_suffix(".parquet").write_bytes(b"another"),
        lambda: shard.with_suffix(".parquet").unlink(),
        lambda: shard.write_bytes(b"another"),
        lambda: (images / "loose" / "3.jpg").write_bytes(b"another"),
        lambda: (images / "00000.parquet").unlink(),
        lambda: (images / "new.jpg").write_bytes(b"new"),
        lambda: (images / "new.jpg").rename(images / "renamed.jpg"),
    ):
        change()
        assert identity() not in seen
        seen.add(identity())
    photos = {identity(images / "loose", None)}
    (images / "loose" / "3.txt").write_text("題")
    assert identity(images / "loose", None) not in photos


def test_the_folder_of_images_is_read_once_for_many_lists(tmp_path, images, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.tsv").write_bytes(LISTS["cc12m"])
    read = []
    monkeypatch.setattr(pairs, "Pictures", lambda folder: read.append(folder) or pictures.Pictures(folder))
    for file in pairs.inputs([str(tmp_path / "*.tsv")], str(images)):
        assert len(found(file, images)[1]) == 4
    assert len(read) == 1


# -- the development data


@real
def test_development_data():
    expected = pl.concat([pl.read_parquet(path) for path in sorted((DATA / "img2dataset").glob("*.parquet"))])
    files = pairs.inputs([str(DATA / "img2dataset" / "*")])
    assert [f.name for f in files] == [f"0000{i}.tar" for i in range(5)]
    all_rows, states = [], []
    for file in files:
        _, here, state = found(file)
        all_rows += here
        states.append(state)
    assert [row["locator"] for row in all_rows] == expected["key"].to_list()
    assert [row["url"] for row in all_rows] == expected["url"].to_list()
    assert [row["caption"] for row in all_rows] == expected["caption"].to_list()
    assert sum(row["image"] is not None for row in all_rows) == expected["status"].eq("success").sum()
    assert not any(state.damage or state.warning for state in states)


@real
@pytest.mark.parametrize("name", ["laion-metadata.parquet", "cc12m-ja.tsv"])
def test_development_lists_find_their_images(name):
    _, all_rows, state = found(DATA / name, DATA / "img2dataset")
    assert len(all_rows) == {"laion-metadata.parquet": 5000, "cc12m-ja.tsv": 2000}[name] and state.warning is None
    held = pl.concat([pl.read_parquet(path) for path in sorted((DATA / "img2dataset").glob("*.parquet"))])
    fetched = set(held.filter(status="success")["url"])
    assert all((row["problem"] is None) == (row["url"] in fetched) for row in all_rows)
    assert sum(bool(row["caption"]) for row in all_rows) > 0.9 * len(all_rows)
