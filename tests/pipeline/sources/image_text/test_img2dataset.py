import bz2
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import unicodedata

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.sources.image_text import columns
from pipeline.sources.image_text.source import ImageTextSource
from pipeline.sources.pointers import RowKind
from tests.pipeline.sources.helpers import BOM, archive, pick, problems
from tests.pipeline.sources.image_text.helpers import (
    URL,
    fake_image,
    img2dataset_members,
    join_lines,
    pick_pairs,
    read_pairs,
    write_sidecar,
)


def test_every_row_of_a_shard_once_and_in_order_of_its_key(shard):
    result = read_pairs(shard)
    assert [row["locator"] for row in result.rows] == [f"{i:09d}" for i in range(12)]
    assert problems(result.rows) == {f"{i:09d}": "failed_to_download: HTTP Error 404: Not Found" for i in (3, 7)}
    for i, row in enumerate(result.rows):
        assert row["caption"] == f"題{i}" and row["url"] == URL.format(f"{i:09d}")
        assert row["image"] == (None if i in (3, 7) else fake_image(f"{i:09d}"))
        assert row["original_width"] == (None if i in (3, 7) else 800) and row["similarity"] == pytest.approx(0.25)
        assert row["name"] == (None if i in (3, 7) else f"{i:09d}.jpg")
    assert (result.state.damage, result.state.warning) == (None, None)
    assert result.state.checksum == hashlib.sha256(shard.read_bytes()).hexdigest()
    # The range says where the images are instead of holding them.
    assert all(row["content_bytes"] is None and (row["content_path"] in (None, str(shard))) for row in result.rows)


def test_without_sidecar_metadata_come_from_the_archive(shard):
    shard.with_suffix(".parquet").unlink()
    result = read_pairs(shard)
    assert [row["locator"] for row in result.rows] == [f"{i:09d}" for i in range(12) if i not in (3, 7)]
    assert all(row["url"] == URL.format(row["locator"]) and row["original_width"] == 800 for row in result.rows)
    assert not problems(result.rows) and result.state.warning is None


def test_sidecar_and_tar_that_disagree(tmp_path):
    path = archive(
        tmp_path / "a.tar",
        [*img2dataset_members("1", "箱の"), *img2dataset_members("2", None), *img2dataset_members("4", "表にない")],
    )
    write_sidecar(
        tmp_path / "a.parquet",
        [("1", "表の", None), ("2", "表だけ", None), ("3", "像がない", None), ("5", "失敗", "timed out")],
    )
    result = read_pairs(path)
    assert pick(result.rows, "locator", "caption") == [
        ("1", "箱の"),
        ("2", "表だけ"),
        ("3", "像がない"),
        ("4", "表にない"),
        ("5", "失敗"),
    ]
    assert problems(result.rows) == {
        "3": "no image: the sidecar lists this key, the tar has no member of it",
        "5": "failed_to_download: timed out",
    }
    assert result.state.warning == (
        f"{path} has 1 keys that its sidecar does not list; {path} has no member for 1 keys that its sidecar lists as fetched"
    )


def test_a_sidecar_that_is_damaged_or_another_table(tmp_path, shard):
    good, beside = shard.with_suffix(".parquet").read_bytes(), shard.with_suffix(".parquet")
    beside.write_bytes(good[: len(good) // 2])
    result = read_pairs(shard)
    assert len(result.rows) == 10 and not problems(result.rows)
    assert (
        str(beside) in result.state.damage
        and "not a whole Parquet file" in result.state.damage
        and "10 rows were read" in result.state.damage
    )
    pl.DataFrame({"id": [1]}).write_parquet(beside)
    result = read_pairs(shard)
    assert len(result.rows) == 10 and result.state.damage is None
    assert "00000.parquet, that is no sidecar" in result.state.warning


def test_keys_that_are_there_twice(tmp_path):
    twice = [("k.jpg", b"one"), ("k.txt", b"1"), ("k.jpg", b"two"), ("k.txt", b"2"), ("k~2.jpg", b"three")]
    result = read_pairs(archive(tmp_path / "a.tar", twice))
    assert pick_pairs(result.rows) == [
        ("k", "1", b"one"),
        ("k~2", "2", b"two"),
        ("k~2~2", None, b"three"),
    ]
    result = read_pairs(archive(tmp_path / "b.tar", [("k.jpg", b"one"), ("k.seg.PNG", b"two"), ("k.txt", b"1")]))
    assert pick_pairs(result.rows) == [("k", "1", b"one"), ("k.seg", None, b"two")]


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
    result = read_pairs(archive(tmp_path / "a.tar", [*plain, *hostile, *odd, *special]))
    assert (result.state.damage, result.state.warning) == (None, None)
    assert {row["locator"]: row["image"] for row in result.rows if not row["problem"]} == {
        "a": b"A", "../../etc/passwd": b"up", "/etc/shadow": b"root", "dot": b"dot", "._a": b"mac",
        "改\ufffd行": b"line", "改\ufffd行~2": b"return", "linked": b"L", "sub/a": b"sub", "empty": b"",
    }  # fmt: skip
    assert problems(result.rows) == {
        "link": "the image is a symbolic link, not a file",
        "hard": "the image is a hard link, not a file",
        "device": "the image is a device, not a file",
        "only": "no image: the tar has a caption and nothing else under this key",
    }
    assert {row["caption"] for row in result.rows} == {None, "像なし"}
    assert all(row["content_path"] == str(tmp_path / "a.tar") for row in result.rows)
    assert all(row["name"].isprintable() and "/" not in row["name"] for row in result.rows)


@pytest.mark.skipif(not shutil.which("tar"), reason="needs tar")
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_sparse_file_costs_itself_alone(tmp_path, form):
    (tmp_path / "in").mkdir()
    for name, content in [m for key in ("0", "1", "2") for m in img2dataset_members(key, f"題{key}")]:
        (tmp_path / "in" / name).write_bytes(content)
    with open(tmp_path / "in" / "1.jpg", "wb") as file:
        for i in range(8):
            file.seek(i * 65536 + 32768)
            file.write(b"x" * 4096)
    command = ["tar", f"--format={form}", "--sort=name", "-S", "-C", "in", "-cf", "a.tar", "."]
    if subprocess.run(command, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs GNU tar")
    result = read_pairs(tmp_path / "a.tar")
    assert pick_pairs(result.rows) == [
        ("0", "題0", fake_image("0")),
        ("1", "題1", None),
        ("2", "題2", fake_image("2")),
    ]
    assert problems(result.rows) == {"1": "the image is a sparse file, which is not read"} and result.state.damage is None


@pytest.mark.parametrize("length", range(248, 256))
def test_a_tar_whose_name_is_almost_too_long(tmp_path, length):
    path = archive(tmp_path / ("x" * (length - 4) + ".tar"), img2dataset_members("1", "x"))
    assert pick(read_pairs(path).rows, "locator") == [("1",)]


def test_captions_of_every_kind(tmp_path):
    contents = {"empty": b"", "bad": b"\xe7\x8a", "long": "犬".encode() * 400_000, "bom": BOM + "犬".encode(), "nul": b"a\0b"}
    members = [m for key, text in contents.items() for m in ((f"{key}.jpg", fake_image(key)), (f"{key}.txt", text))]
    listing = [(key, None, None) for key in contents]
    path = archive(tmp_path / "a.tar", [*members, *img2dataset_members("none", None)])
    write_sidecar(tmp_path / "a.parquet", [*listing, ("none", None, None)])
    result = read_pairs(path)
    by_key = {row["locator"]: row["caption"] for row in result.rows}
    assert by_key == {"empty": "", "bad": "\ufffd", "long": "犬" * 400_000, "bom": "\ufeff犬", "nul": "a\0b", "none": None}
    assert problems(result.rows) == {"bad": "caption: invalid UTF-8: byte 0xE7 at 0 of 2"}


def test_a_caption_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "LONGEST_CAPTION", 100)
    monkeypatch.setattr(ImageTextSource, "row_kind", RowKind("image", "caption", 100))
    members = [("a.jpg", b"A"), ("a.txt", b"x" * 101), ("b.jpg", b"B"), ("b.txt", b"x" * 100), ("b.json", b" " * 101)]
    result = read_pairs(archive(tmp_path / "a.tar", members))
    assert pick_pairs(result.rows) == [("a", None, None), ("b", "x" * 100, b"B")]
    assert problems(result.rows) == {"a": "caption of 101 bytes, over 100"}
    (tmp_path / "list.tsv").write_text(f"https://a/1.jpg\t{'x' * 101}\nhttps://a/2.jpg\ty\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"1")
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    assert pick(result.rows, "caption", "problem")[0] == (None, "caption of 101 bytes, over 100")


@pytest.mark.parametrize("cut_at", [0.2, 0.5, 0.95, 0.999])
def test_a_tar_that_is_cut_short_gives_what_is_whole(shard, cut_at):
    whole = {row["locator"]: row for row in read_pairs(shard).rows}
    raw = shard.read_bytes()
    shard.with_suffix(".parquet").unlink()
    shard.write_bytes(raw[: int(len(raw.rstrip(b"\0")) * cut_at)])
    result = read_pairs(shard)
    assert (
        str(shard) in result.state.damage
        and "ends" in result.state.damage
        and f"{len(result.rows)} rows were read" in result.state.damage
    )
    torn = problems(result.rows)
    assert set(torn.values()) <= {"the tar ends inside this image"} and len(torn) <= 1
    assert all(row["image"] == whole[row["locator"]]["image"] for row in result.rows if row["locator"] not in torn)


def test_not_a_tar_and_nothing_at_all(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"<html>404</html>" * 100)
    assert read_pairs(tmp_path / "a.tar").rows == []
    assert read_pairs(tmp_path / "a.tar").state.damage == f"{tmp_path / 'a.tar'} is not a tar: 0 rows were read"
    (tmp_path / "b.tar").write_bytes(b"")
    assert read_pairs(tmp_path / "b.tar").state.damage == f"{tmp_path / 'b.tar'} is empty"
    assert read_pairs(archive(tmp_path / "c.tar", [])).rows == [] and read_pairs(tmp_path / "c.tar").state.damage is None


def test_the_same_rows_from_a_server_and_from_compressed_archives(tmp_path, shard, server):
    shard.with_suffix(".parquet").unlink()
    extra = [("bad.jpg", fake_image("bad")), ("bad.txt", b"\xe7\x8a"), ("zz.txt", b"alone")]
    raw = archive(shard, [m for i in range(12) for m in img2dataset_members(f"{i:09d}", f"題{i}")] + extra).read_bytes()
    here = read_pairs(shard).rows
    assert len(here) == 14 and set(problems(here)) == {"bad", "zz"}
    server.files = {"00000.tar": raw, "00000.tar.gz": gzip.compress(raw)}
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "a.tar.zst").write_bytes(zstandard.compress(raw))
    (tmp_path / "named-otherwise").write_bytes(bz2.compress(raw))
    places = [tmp_path / "a.tar.gz", tmp_path / "a.tar.zst", tmp_path / "named-otherwise"]
    names = ("locator", "caption", "image", "problem", "url", "name", "original_width")
    for place in [f"{server.url}/00000.tar", f"{server.url}/00000.tar.gz", *places]:
        ranges, there, state = read_pairs(place, partition=200)
        assert pick(there, *names) == pick(here, *names)
        assert state.damage is None and state.checksum
        assert all(row["content_path"] is None for row in there)
        again, rest, _ = read_pairs(place, partition=200, start=ranges[2].end)
        assert again == ranges[3:] and len(ranges) > 4
        assert pick_pairs(rest) == pick_pairs(here)[sum(p.records for p in ranges[:3]) :]


def test_a_compressed_tar_that_is_cut_short(tmp_path, shard):
    shard.with_suffix(".parquet").unlink()
    noise = [(f"{i}.jpg", os.urandom(5000)) for i in range(40)]
    raw = gzip.compress(archive(shard, noise).read_bytes())
    (tmp_path / "a.tar.gz").write_bytes(raw[: len(raw) // 2])
    result = read_pairs(tmp_path / "a.tar.gz")
    assert 10 < len(result.rows) < 30 and len(problems(result.rows)) <= 1
    assert "ends too early" in result.state.damage and result.state.checksum is None
    whole = dict(noise)
    assert all(row["image"] == whole[row["name"]] for row in result.rows if not row["problem"])


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
    result = read_pairs(tmp_path / "00000.parquet")
    assert pick_pairs(result.rows) == [
        ("000", "一", b"one"),
        ("001", None, None),
        ("001~2", "三", b"three"),
        ("00\ufffd3", "四", None),
    ]
    assert problems(result.rows) == {"001": "failed_to_download: HTTP Error 404", "00\ufffd3": "no image: the row has no bytes"}
    assert (result.state.damage, result.state.warning) == (None, None)


def test_keys_are_told_apart_across_frames(tmp_path):
    pl.DataFrame({"key": ["a"] * 200, "jpg": [b"x"] * 200}).write_parquet(tmp_path / "a.parquet")
    result = read_pairs(tmp_path / "a.parquet", partition=20)
    assert len({row["locator"] for row in result.rows}) == 200
    again = read_pairs(tmp_path / "a.parquet", partition=20, start=result.ranges[9].end).rows
    assert pick_pairs(again) == pick_pairs(result.rows)[100:]


@pytest.mark.parametrize("keys", [pa.array([["000"], ["001"]]), pa.array([{"a": 1}] * 2)], ids=["list", "struct"])
def test_a_sidecar_whose_keys_are_none(shard, keys):
    pq.write_table(pa.table({"key": keys}), shard.with_suffix(".parquet"))
    result = read_pairs(shard)
    assert len(result.rows) == 10 and "that is no sidecar" in result.state.warning and result.state.damage is None


def test_keys_that_are_numbers(tmp_path, shard):
    frame = pl.read_parquet(shard.with_suffix(".parquet")).with_columns(pl.col("key").cast(pl.Int64))
    expected = pick_pairs(read_pairs(shard).rows)
    frame.write_parquet(shard.with_suffix(".parquet"))
    result = read_pairs(shard)
    assert pick_pairs(result.rows) == expected and result.state.warning is None
    # As the images of a list, too, in tars and as files.
    (tmp_path / "list.tsv").write_bytes(join_lines([URL.format(f"{i:09d}") for i in range(12)], "abcdefghijkl"))
    (tmp_path / "tars").mkdir()
    (tmp_path / "files" / "00000").mkdir(parents=True)
    for folder in ("tars", "files"):
        frame.write_parquet(tmp_path / folder / "00000.parquet")
    shard.rename(tmp_path / "tars" / "00000.tar")
    for i in (n for n in range(12) if n not in (3, 7)):
        (tmp_path / "files" / "00000" / f"{i:09d}.jpg").write_bytes(fake_image(f"{i:09d}"))
    for folder in ("tars", "files"):
        assert pick(read_pairs(tmp_path / "list.tsv", tmp_path / folder).rows, "image") == [(image,) for *_, image in expected]
    # Where the tar's keys are as long as their numbers, numbers are keys as they are.
    path = archive(tmp_path / "b.tar", [m for i in (9, 10) for m in img2dataset_members(str(i), "x")])
    frame.filter(pl.col("key").is_in([9, 10])).write_parquet(tmp_path / "b.parquet")
    assert read_pairs(path).state.warning is None


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_in_other_encodings_keep_their_captions(tmp_path, form):
    stems = {
        "犬": "cp932", "猫": "cp932", "小鳥": "euc_jp", "魚": "utf-8",
        unicodedata.normalize("NFD", "がぞう"): "utf-8", "がぞう2": "utf-8", "表": "cp932",
    }  # fmt: skip
    members = [(os.fsdecode(f"写真/{stem}.jpg".encode(encoding)), fake_image(stem)) for stem, encoding in stems.items()]
    texts = [(os.fsdecode(f"写真/{stem}.txt".encode(encoding)), stem.encode()) for stem, encoding in stems.items()]
    texts[4] = (unicodedata.normalize("NFC", texts[4][0]), texts[4][1])
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for name, content in [*members, *reversed(texts[:6])]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    result = read_pairs(tmp_path / "a.tar")
    assert {row["image"]: row["caption"] for row in result.rows} == {fake_image(s): None if s == "表" else s for s in stems}
    assert {row["locator"] for row in result.rows} == {f"写真/{stem}" for stem in stems}
    assert {row["name"] for row in result.rows} == {f"{stem}.jpg" for stem in stems} and not problems(result.rows)


def test_dates_in_names_and_a_sidecar(tmp_path):
    names = ("IMG.2019.05.jpg", "IMG.2019.06.jpg", "IMG.2019.06.txt")
    path = archive(tmp_path / "a.tar", [(name, name.encode()) for name in names])
    expected = [
        ("IMG.2019.05", None, b"IMG.2019.05.jpg"),
        ("IMG.2019.06", "IMG.2019.06.txt", b"IMG.2019.06.jpg"),
    ]
    assert pick_pairs(read_pairs(path).rows) == expected
    write_sidecar(tmp_path / "a.parquet", [("IMG.2019.06", "x", None), ("IMG.2019.05", "y", None)])
    result = read_pairs(path)
    assert pick(result.rows, "locator", "caption", "url") == [
        ("IMG.2019.05", "y", URL.format("IMG.2019.05")),
        ("IMG.2019.06", "IMG.2019.06.txt", URL.format("IMG.2019.06")),
    ]
    # Which of two images a row of the sidecar lists cannot be told.
    path = archive(tmp_path / "b.tar", [("k.jpg", b"one"), ("k.png", b"two"), ("l.jpg", b"three")])
    write_sidecar(tmp_path / "b.parquet", [("k", "x", None), ("l", "y", None)])
    assert problems(read_pairs(path).rows) == {"k": "the tar has this key 2 times, its sidecar 1 times"}
