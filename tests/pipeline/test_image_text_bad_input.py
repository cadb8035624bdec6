"""Image-text pairs that are damaged, hostile or not there: what the build says, and what it keeps."""

import io
import json
import os
import struct
import tarfile
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipeline.core.ownership import STATE_FOLDER
from tests.support.builds import get_key, read_keyed_ledger, read_ledger_rows, read_shards
from tests.support.images import Pair, add_member, draw_picture, encode_image, make_caption, write_pairs


def bomb(width=50_000, height=50_000):
    """A PNG of some 10 KB that stands for billions of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")))


def exif_bomb():
    """A sound JPEG whose EXIF block points to itself and claims a million entries."""
    good = encode_image(draw_picture(500))
    entries = struct.pack(">H", 65535) + struct.pack(">HHII", 0x8769, 4, 1, 8) * 5000
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entries
    return good[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + good[2:]


def test_hostile_images_and_captions(build, tmp_path):
    wide = (np.add.outer(np.arange(120), np.arange(160)) * 200).astype(np.uint16)
    frames = [draw_picture(600 + i) for i in range(3)]
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><rect width="9" height="9"/></svg>'
    cases = {
        "bomb": ("png", bomb(), make_caption(1), "unreadable"),
        "gif": ("gif", encode_image(frames[0], "GIF", save_all=True, append_images=frames[1:]), make_caption(2), "kept"),
        "cmyk": ("jpg", encode_image(draw_picture(501).convert("CMYK")), make_caption(3), "kept"),
        "sixteen": ("png", encode_image(Image.fromarray(wide), "PNG"), make_caption(4), "kept"),
        "svg": ("svg", svg, make_caption(5), "unreadable"),
        "exif": ("jpg", exif_bomb(), make_caption(6), None),
        "upright": ("jpg", encode_image(draw_picture(502), exif=_exif(6)), make_caption(7), "kept"),
        "megabyte": ("jpg", encode_image(draw_picture(503)), "長い説明。" * 70_000, "dropped"),
        "null": ("jpg", encode_image(draw_picture(504)), None, "dropped"),
        "nothing": ("jpg", b"", make_caption(8), "unreadable"),
        "html": ("jpg", b"<html><body>404</body></html>", make_caption(9), "unreadable"),
        "control": ("jpg", encode_image(draw_picture(505)), "\x1b[31m赤い\x00猫の写真\u202e", "kept"),
    }
    path = write_pairs(tmp_path / "x.tar", [Pair(key, image, text, suffix) for key, (suffix, image, text, _) in cases.items()])
    assert len(cases["bomb"][1]) < 20_000
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    assert len(found) == len(cases)
    for key, (*_, expected) in cases.items():
        assert expected is None or found[key]["verdict"] == expected, (key, found[key])
    assert "50,000 × 50,000" in found["bomb"]["value_text"] and "SVG" in found["svg"]["value_text"]
    assert found["gif"]["animated"] == 1 and found["megabyte"]["rule"] == "chars" and found["null"]["rule"] == "chars"
    assert (found["upright"]["width"], found["upright"]["height"]) == (120, 160)
    rows = {get_key(row["id"]): row for row in read_shards(tmp_path / "o").iter_rows(named=True)}
    for key, mode in (("cmyk", "RGB"), ("sixteen", "RGB"), ("upright", "RGB")):
        image = Image.open(io.BytesIO(rows[key]["image"]["bytes"]))
        image.load()
        assert image.mode == mode and image.size == (rows[key]["width"], rows[key]["height"]), key
    assert "\x00" not in rows["control"]["caption"] and "\x1b" not in rows["control"]["caption"]


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_hostile_members_are_never_followed(build, tmp_path):
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(encode_image(draw_picture(1)))
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../../up", "/absolute", "twice", "twice"):
            add_member(tar, f"{name}.jpg", encode_image(draw_picture(len(tar.members))))
            add_member(tar, f"{name}.txt", make_caption(len(tar.members)).encode())
        add_member(tar, "link.jpg", b"", type=tarfile.SYMTYPE, linkname=str(outside))
        add_member(tar, "link.txt", make_caption(50).encode())
        add_member(tar, "hard.jpg", b"", type=tarfile.LNKTYPE, linkname=str(outside))
        add_member(tar, "device.png", b"", type=tarfile.CHRTYPE)
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    rows = read_keyed_ledger(tmp_path / "o").sort("id")
    found = dict(zip(rows["id"].str.strip_prefix("laion-ja/"), rows["verdict"]))
    assert found == {
        "../../up": "kept", "/absolute": "kept", "twice": "kept", "twice~2": "kept",
        "link": "unreadable", "hard": "unreadable", "device": "unreadable",
    }  # fmt: skip
    assert "the image is a symbolic link, not a file" in rows["value_text"].to_list()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "outside.jpg", "x.tar"]
    paths = read_shards(tmp_path / "o").select(pl.col("image").struct.field("path")).to_series()
    assert not any("/" in path or ".." in path for path in paths)


def test_a_truncated_tar_keeps_what_was_read(build, pair_shards, tmp_path):
    whole = (pair_shards / "00000.tar").read_bytes()
    path = tmp_path / "cut.tar"
    path.write_bytes(whole[: len(whole) // 2 + 200])
    arguments = ("laion-ja", "--input", path, "--out", tmp_path / "o")
    done = build(*arguments)
    assert done.returncode == 1 and "cut.tar" in done.stderr and "cut" in done.stderr and "--keep-going" in done.stderr
    assert not (tmp_path / "o" / "data").exists()
    done = build(*arguments, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert 5 < len(read_keyed_ledger(tmp_path / "o")) < 30 and "warning" in done.stdout


def test_a_sidecar_that_disagrees(build, tmp_path):
    path = write_pairs(tmp_path / "x.tar", [Pair(f"{i}", encode_image(draw_picture(i)), make_caption(i)) for i in range(4)])
    sidecar = pl.read_parquet(tmp_path / "x.parquet")
    told = sidecar.filter(pl.col("key") != "1").with_columns(
        caption=pl.when(pl.col("key") == "2").then(pl.lit("別の説明")).otherwise("caption")
    )
    more = told[:1].with_columns(key=pl.lit("9"), caption=pl.lit("アーカイブにない写真"))
    pl.concat([told, more]).write_parquet(tmp_path / "x.parquet")
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    assert {key: row["verdict"] for key, row in found.items()} == dict.fromkeys("0123", "kept") | {"9": "unreadable"}
    assert found["2"]["excerpt"] == make_caption(2), "the archive's own caption counts"
    assert "1 key that its sidecar does not list" in done.stdout and "1 caption is not what" in done.stdout


def coco_of(images):
    """A COCO file with two captions for every image, those of one image far apart."""
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(images)],
        "annotations": [
            {"id": 100 * nth + i, "image_id": i, "caption": f"{make_caption(i)}、その{nth}"}
            for nth in (1, 2)
            for i in range(len(images))
        ],
    }


@pytest.mark.parametrize("form", ["coco.json", "list.jsonl", "list.tsv", "lists.parquet"])
def test_rows_that_name_one_image_get_that_image(build, tmp_path, form):
    images = [f"{i}.jpg" for i in range(24)]
    (tmp_path / "images").mkdir()
    for i, name in enumerate(images):
        (tmp_path / "images" / name).write_bytes(encode_image(draw_picture(i, 160 + i, 120)))
    coco = coco_of(images)
    rows = [(images[a["image_id"]], a["caption"]) for a in coco["annotations"]]
    path = tmp_path / form
    if form == "coco.json":
        path.write_text(json.dumps(coco), "utf-8")
    elif form == "list.jsonl":
        lines = (json.dumps({"file_name": image, "caption": text}, ensure_ascii=False) for image, text in rows)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    elif form == "list.tsv":
        path.write_text("".join(f"{image}\t{text}\n" for image, text in rows), "utf-8")
    else:
        both = [[text for image, text in rows if image == name] for name in images]
        pl.DataFrame({"file_name": images, "captions": both}).write_parquet(path)
    done = build("cc12m-ja", "--input", path, "--images", tmp_path / "images", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    kept = read_shards(tmp_path / "o")
    assert len(read_keyed_ledger(tmp_path / "o")) == 48 and len(kept) == 24
    for row in kept.iter_rows(named=True):
        number = row["width"] - 160
        assert row["image"]["bytes"] == (tmp_path / "images" / images[number]).read_bytes()
        assert row["captions"] == [f"{make_caption(number)}、その{nth}" for nth in (1, 2)]


def test_columns_under_names_of_their_own(build, tmp_path):
    frame = pl.DataFrame(
        {
            "写真": [encode_image(draw_picture(i)) for i in range(9)],
            "説明": [make_caption(i) for i in range(9)],
            "text": ["dog"] * 9,
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    command = ("laion-ja", "--input", tmp_path / "a.parquet", "--out", tmp_path / "o", "--set")
    done = build(*command, 'source.columns={caption = "説明", image = "写真"}')
    assert done.returncode == 0, done.stderr
    kept = read_shards(tmp_path / "o")
    assert sorted(kept["caption"]) == sorted(make_caption(i) for i in range(9))
    done = build(*command, 'source.columns={caption = "せつめい"}')
    assert done.returncode == 1 and "has no column 'せつめい', which source.columns names" in done.stderr
    done = build(*command, 'source.columns={captoin = "説明"}')
    assert done.returncode == 2 and "did you mean 'caption'?" in done.stderr


def test_where_nothing_can_be_read_the_build_says_why(build, tmp_path):
    pl.DataFrame(
        {"image": [{"bytes": None, "path": f"{i}.jpg"} for i in range(20)], "caption": [make_caption(i) for i in range(20)]}
    ).write_parquet(tmp_path / "a.parquet")
    command = ("laion-ja", "--input", tmp_path / "a.parquet", "--out", tmp_path / "o")
    done = build(*command)
    assert done.returncode == 1 and "20 of 20 records could not be read" in done.stderr and "--images" in done.stderr
    done = build(*command, "--keep-going")
    assert done.returncode == 1 and "not one record could be read" in done.stdout
    assert read_keyed_ledger(tmp_path / "o")["verdict"].unique().to_list() == ["unreadable"]


def test_shards_of_a_corpus_are_input_again(build, pair_corpus, tmp_path):
    done = build("laion-ja", "--input", pair_corpus, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    before, after = (read_shards(out) for out in (pair_corpus, tmp_path / "o"))
    # A row for every caption; those of one image come together again.
    assert len(read_keyed_ledger(tmp_path / "o")) == before["captions"].list.len().sum()
    assert sorted(after["phash"]) == sorted(before["phash"])


def test_a_part_does_not_replace_the_whole(build, pair_shards, pair_corpus, tmp_path):
    before = (pair_corpus / "README.md").read_bytes()
    done = build("laion-ja", "--input", f"{pair_shards}/*.tar", "--out", pair_corpus, "--limit", 5)
    assert done.returncode == 2 and "Name another folder with --out" in done.stderr
    assert (pair_corpus / "README.md").read_bytes() == before


def test_what_needs_a_model_asks_for_it_before_anything_is_done(build, pair_shards, tmp_path):
    command = ("laion-ja", "--input", f"{pair_shards}/*.tar", "--out", tmp_path / "o", "--set")
    done = build(*command, "rules.clip_similarity.at_least=0.2")
    assert done.returncode == 2 and "needs a model" in done.stderr and "caption_similarity" in done.stderr
    done = build(*command, f"images.model={tmp_path}")
    assert done.returncode == 2 and "config.json" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("make, words", [
    (lambda folder: write_pairs(folder / "x.tar", []), ["there is no record"]),
    (lambda folder: folder, ["holds neither tars, tables"]),
    (lambda folder: (folder / "x.tsv").write_text("https://example.com/a.jpg\t犬の写真\n", "utf-8") and folder / "x.tsv",
     ["lists images without holding them", "python -m pipeline.fetch"]),
    (lambda folder: (folder / "x.parquet").write_bytes(b"PAR1 not at all") and folder / "x.parquet", ["not a whole Parquet file"]),
    (lambda folder: (folder / "x.bin").write_bytes(bytes(range(256)) * 9) and folder / "x.bin", ["x.bin"]),
])  # fmt: skip
def test_no_images_at_all(build, tmp_path, make, words):
    folder = tmp_path / "in"
    folder.mkdir()
    done = build("laion-ja", "--input", make(folder), "--out", tmp_path / "o")
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_a_list_whose_images_were_not_fetched(build, tmp_path):
    listed, images = tmp_path / "x.tsv", tmp_path / "images"
    listed.write_text("https://example.com/a.jpg\t犬の写真\n", "utf-8")
    images.mkdir()
    done = build("cc12m-ja", "--input", listed, "--images", images, "--out", tmp_path / "o")
    assert done.returncode == 1 and "1 of 1 record could not be read" in done.stderr
    assert "the folder of images has none for this row" in done.stderr
    done = build("cc12m-ja", "--input", listed, "--images", images, "--out", tmp_path / "o", "--keep-going")
    assert done.returncode == 1 and "there is no image in" in done.stdout and "not one of the pairs was kept" in done.stderr
    done = build("cc12m-ja", "--input", listed, "--images", tmp_path / "none", "--out", tmp_path / "p")
    assert done.returncode == 2 and "there is no such folder" in done.stderr
    done = build("cc100-ja", "--input", listed, "--images", images, "--out", tmp_path / "q")
    assert done.returncode == 2 and "--images is for lists of images" in done.stderr


@pytest.mark.e2e
def test_images_of_fifty_megapixels_fit_in_a_process(build, tmp_path):
    """Each is 150 MB as RGB; what the process held at its most is in the parts' counts."""
    large = [
        Pair(f"{i}", encode_image(draw_picture(900 + i, 8660, 5774), kind, **options), make_caption(i), suffix)
        for i, (suffix, kind, options) in enumerate([("jpg", "JPEG", {"quality": 30}), ("png", "PNG", {"compress_level": 1})])
    ]
    path = write_pairs(tmp_path / "x.tar", large)
    out = tmp_path / "o"
    done = build("laion-ja", "--input", path, "--out", out, "--workers", 0, "--set", "shards.shorter_side=256", timeout=200)
    assert done.returncode == 0, done.stderr
    assert read_keyed_ledger(out)["verdict"].to_list() == ["kept", "kept"]
    peaks = [
        json.loads(p.read_text())["counts"]["peak"]
        for p in (out / STATE_FOLDER / "work").rglob("part-*.json")
        if "peak" in p.read_text()
    ]
    assert peaks and max(peaks) < 2e9


def test_an_image_that_is_replaced_after_it_was_measured_is_noticed(build, start_build, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.png").write_bytes(encode_image(draw_picture(i), "PNG"))
        (folder / f"{i}.txt").write_text(make_caption(i), "utf-8")
    arguments = ("laion-ja", "--input", folder, "--out", tmp_path / "o")
    done = build(*arguments)
    assert done.returncode == 0, done.stderr
    changed = folder / "2.png"
    status, before = changed.stat(), changed.read_bytes()
    changed.write_bytes(before[:-40] + bytes(28) + before[-12:])
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    # Only what is written is made anew: the measures are those of the image that was there.
    done = build(*arguments, "--set", "shards.compression_level=5")
    assert done.returncode == 1 and "the image of 2.png has changed since it was measured" in done.stderr
