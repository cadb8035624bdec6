"""Builds of image-text pairs as users run them."""

import io
import json
import os
import random
import struct
import tarfile
import zlib

import datasets
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance, ImageOps

PARTITION = "source.partition=60 KB"
THINGS = "猫 犬 海 山 花火 電車 桜 城 寿司 富士山 湖 灯台 紅葉 雪だるま 金魚 風車 鳥居 提灯 屋台 船".split()
PLACES = "公園 駅前 庭 川辺 港 市場 教室 屋根の上 雪原 夜の街".split()


def picture(seed, width=160, height=120):
    """A made-up picture unlike that of any other seed: a few blobs of colour on a gradient."""
    drawn = np.random.default_rng(seed)
    small = Image.fromarray(drawn.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind="JPEG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def caption(number):
    return f"{PLACES[number % 10]}の{THINGS[number // 10 % 20]}の写真その{number}、とてもきれい"


def add(tar, name, content, **fields):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def archive(path, pairs, sidecar=True):
    """An archive as img2dataset writes it, of (key, suffix, image or None, caption or None), with its sidecar."""
    with tarfile.open(path, "w") as tar:
        for key, suffix, image, text in pairs:
            if image is not None:
                add(tar, f"{key}.{suffix}", image)
                if text is not None:
                    add(tar, f"{key}.txt", text.encode())
                add(tar, f"{key}.json", json.dumps({"key": key, "url": f"https://example.com/{key}", "caption": text}).encode())
    if sidecar:
        pl.DataFrame(
            {
                "url": [f"https://example.com/{key}" for key, *_ in pairs],
                "caption": [text for *_, text in pairs],
                "key": [key for key, *_ in pairs],
                "status": ["success" if image is not None else "failed_to_download" for _, _, image, _ in pairs],
                "error_message": [None if image is not None else "HTTP Error 404: Not Found" for _, _, image, _ in pairs],
            },
            schema=dict.fromkeys(("url", "caption", "key", "status", "error_message"), pl.String),
        ).write_parquet(path.with_suffix(".parquet"))
    return path


def ledger_of(out):
    return pl.read_parquet(out / "ledger" / "*.parquet").with_columns(key=pl.col("id").str.split("/").list.last())


def verdicts(out):
    return {row["key"]: row for row in ledger_of(out).iter_rows(named=True)}


@pytest.fixture(scope="module")
def pairs():
    """Something of everything, by key."""
    found = {}

    def put(key, image, text, suffix="jpg"):
        found[key] = (key, suffix, image, text)

    for i in range(60):
        put(f"good{i:03}", encoded(picture(i)), caption(i))
    for i in range(0, 12, 2):
        put(f"same{i:03}", encoded(picture(i)), f"同じ写真に別の説明{i}")
    base = picture(80, 320, 240)
    put("large", encoded(base, quality=92), "大きいほうが残るはずの写真")
    put("small", encoded(base.resize((240, 180)), quality=70), "小さいほうの写真の説明")
    put("bright", encoded(ImageEnhance.Brightness(base.resize((300, 225))).enhance(1.1), quality=60), "すこし明るい写真の説明")
    put("flipped", encoded(ImageOps.mirror(base)), "左右を逆にした別の写真")
    put("icon", encoded(picture(70, 24, 24)), "ねずみの絵")
    put("back", encoded(picture(71)), "戻る")
    put("english", encoded(picture(72)), "A dog in the park on a sunny day")
    put("empty", encoded(picture(73)), None)
    put("blank", encoded(Image.new("RGB", (200, 200), "white")), "白い紙の写真です")
    put("failed", None, "取得に失敗した写真")
    put("cut", encoded(picture(74))[:900], "途中で切れた写真")
    put("entity", encoded(picture(75)), "「犬 &amp;amp; 猫」&quot;仲よし&quot;\n\n  二匹")
    return found


@pytest.fixture(scope="module")
def shards(pairs, tmp_path_factory):
    """The pairs in three archives, members in no order."""
    folder = tmp_path_factory.mktemp("pairs")
    everything = list(pairs.values())
    for number in range(3):
        here = everything[number::3]
        random.Random(number).shuffle(here)
        archive(folder / f"{number:05}.tar", here)
    return folder


@pytest.fixture(scope="module")
def reference(build, shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    done = build("laion-ja", "--input", f"{shards}/*.tar", "--out", out, "--workers", 1, "--set", PARTITION)
    assert done.returncode == 0, done.stderr
    return out


def test_every_pair_has_its_verdict(reference, pairs):
    found = verdicts(reference)
    assert sorted(found) == sorted(pairs) and len(ledger_of(reference)) == len(pairs)
    kept = {key for key, row in found.items() if row["verdict"] == "kept"}
    assert {f"good{i:03}" for i in range(12, 60)} | {"large", "flipped", "entity"} <= kept
    for i in range(0, 12, 2):
        assert {found[f"good{i:03}"]["verdict"], found[f"same{i:03}"]["verdict"]} == {"kept", "duplicate"}
        loser = min(found[f"good{i:03}"], found[f"same{i:03}"], key=lambda row: row["verdict"])
        assert (loser["rule"], loser["similarity"], loser["step"]) == ("exact", 1.0, "deduplicate")
    for key in ("small", "bright"):
        row = found[key]
        assert (row["verdict"], row["rule"], row["step"]) == ("duplicate", "phash", "deduplicate")
        assert row["duplicate_of"] == found["large"]["id"] and row["cluster_id"] == found["large"]["cluster_id"]
    rules = {key: found[key]["rule"] for key in ("back", "english", "empty", "blank")}
    assert rules["back"] == "navigation_share" and rules["english"] == "caption_language" and rules["empty"] == "chars"
    assert found["icon"]["verdict"] == "dropped" and found["blank"]["verdict"] == "dropped"
    assert found["failed"]["value"] == "failed_to_download: HTTP Error 404: Not Found"
    assert found["failed"]["excerpt"] == "取得に失敗した写真"
    assert found["cut"]["verdict"] == "unreadable" and found["cut"]["value"].startswith("truncated JPEG")


def test_shards_hold_images_as_they_came_with_all_their_captions(reference, pairs):
    corpus = datasets.load_dataset(str(reference), cache_dir=str(reference / "cache"))
    rows = [row for split in corpus.values() for row in split]
    by_key = {row["id"].rsplit("/")[-1]: row for row in rows}
    assert all(isinstance(row["image"], Image.Image) and row["image"].size == (row["width"], row["height"]) for row in rows)
    large = by_key["large"]
    assert large["captions"] == ["大きいほうが残るはずの写真", "小さいほうの写真の説明", "すこし明るい写真の説明"]
    assert (large["caption"], large["cluster_size"]) == (large["captions"][0], 3)
    assert by_key["good030"]["captions"] == [caption(30)] and by_key["entity"]["caption"] == '「犬 & 猫」"仲よし" 二匹'
    for path in (reference / "data").glob("*.parquet"):
        for row in pq.read_table(path, columns=["id", "image", "url", "license"]).to_pylist():
            key = row["id"].rsplit("/")[-1]
            assert row["image"]["bytes"] == pairs[key][2] and row["image"]["path"] == f"{key}.jpg"
            assert row["url"] == f"https://example.com/{key}" and row["license"]
    card = (reference / "README.md").read_text("utf-8")
    assert "- text-to-image" in card and "ペア" in card and "`navigation_share`" in card and "Hamming" not in card


def test_same_bytes_on_two_workers(build, shards, reference, tmp_path, tools):
    done = build("laion-ja", "--input", f"{shards}/*.tar", "--out", tmp_path / "o", "--set", PARTITION)
    assert done.returncode == 0, done.stderr
    assert tools.outputs(tmp_path / "o") == tools.outputs(reference)


def test_same_bytes_after_kills_and_on_four_workers(kill_at, build, shards, reference, tmp_path, tools):
    out = tmp_path / "out"
    arguments = ("laion-ja", "--input", f"{shards}/*.tar", "--out", out, "--set", PARTITION)
    for wanted in (3, 20):
        kill_at(wanted, out, *arguments, "--workers", 1)
    done = build(*arguments, "--workers", 4)
    assert done.returncode == 0, done.stderr
    assert tools.outputs(out) == tools.outputs(reference) and tools.temporaries(out) == []


def test_the_same_pairs_from_other_forms_give_the_same_verdicts(build, shards, pairs, reference, tmp_path):
    """The archives without sidecars, and the list of URLs with the archives as its images."""
    expected = {key: (row["verdict"], row["rule"]) for key, row in verdicts(reference).items()}
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in shards.glob("*.tar"):
        os.link(path, bare / path.name)
    done = build("laion-ja", "--input", bare, "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert {k: (r["verdict"], r["rule"]) for k, r in verdicts(tmp_path / "a").items()} == {
        k: v for k, v in expected.items() if k != "failed"
    }
    listed = tmp_path / "list.tsv"
    order = sorted(pairs)
    lines = [f"https://example.com/{key}\t{(pairs[key][3] or '').replace(chr(10), ' ')}\n" for key in order]
    listed.write_text("".join(lines), "utf-8")
    done = build("cc12m-ja", "--input", listed, "--images", shards, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    rows = ledger_of(tmp_path / "b")
    assert rows["id"].to_list() == [f"cc12m-ja/{i:010}" for i in range(len(order))]
    # Which of two rows with the same bytes survives depends on their order in the input.
    loose = {key for key in pairs if key[:4] in ("good", "same") and int(key[4:]) < 12}
    found = dict(zip(order, zip(rows["verdict"], rows["rule"])))
    assert {k: v for k, v in found.items() if k not in loose} == {k: v for k, v in expected.items() if k not in loose}
    assert sorted(found[key][0] for key in loose) == sorted(expected[key][0] for key in loose)
    # A URL that nothing was fetched for is a row, too.
    listed.write_text(lines[0] + "https://example.com/none\t誰も取得していない写真\n", "utf-8")
    done = build("cc12m-ja", "--input", listed, "--images", shards, "--out", tmp_path / "c")
    assert ledger_of(tmp_path / "c")["value"].to_list()[1] == "no image: the folder of images has none for this row"


def test_resized_and_encoded_anew(build, shards, reference, tmp_path):
    out = tmp_path / "o"
    done = build("laion-ja", "--input", f"{shards}/*.tar", "--out", out, "--set", "shards.shorter_side=64",
                 "--set", "shards.format=webp", "--set", "shards.row_group=20 KB", "--set", "shards.size=150 KB",
                 "--set", PARTITION)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [row for path in (out / "data").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["id"] for row in rows} == set(pl.read_parquet(reference / "data" / "*.parquet", columns=["id"])["id"])
    for row in rows:
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert image.format == "WEBP" and image.size == (row["width"], row["height"]) and min(image.size) == 64
        assert row["image"]["path"].endswith(".webp")
    files = [pq.ParquetFile(path) for path in (out / "data").glob("train-*.parquet")]
    assert len(files) > 1 and max(file.metadata.num_row_groups for file in files) > 1


def test_one_caption_on_many_images_stays_up_to_the_cap(build, tmp_path):
    many = [(f"{i:03}", "jpg", encoded(picture(1000 + i, 160 + 2 * i, 120 + 2 * i)), "犬") for i in range(12)]
    many += [(f"{i:03}", "jpg", encoded(picture(1000 + i)), f"犬の写真{i}号") for i in range(12, 15)]
    path = archive(tmp_path / "dogs.tar", many)
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o", "--set", "deduplicate.same_caption=10")
    assert done.returncode == 0, done.stderr
    found = verdicts(tmp_path / "o")
    assert {key for key, row in found.items() if row["verdict"] != "kept"} == {"000", "001"}
    row = found["000"]
    assert (row["verdict"], row["step"], row["rule"], row["value"], row["bound"]) == (
        "dropped", "deduplicate", "same_caption", "12", "<= 10",
    )  # fmt: skip
    assert found["011"]["caption_images"] == 12 and found["013"]["caption_images"] == 1
    assert "`same_caption`" in (tmp_path / "o" / "README.md").read_text("utf-8")
    done = build("laion-ja", "--input", path, "--out", tmp_path / "p", "--set", "deduplicate.enabled=false")
    assert done.returncode == 0 and len(pl.read_parquet(tmp_path / "p" / "data" / "*.parquet")) == 15


def test_scores_of_the_source_are_rules_and_columns(build, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i in range(4):
        (images / f"{i}.png").write_bytes(encoded(picture(i), "PNG"))
    listed = tmp_path / "list.parquet"
    pl.DataFrame(
        {
            "URL": [f"https://example.jp/{i}.png?x=1" for i in range(4)],
            "TEXT": [caption(i) for i in range(4)],
            "similarity": [0.31, 0.01, None, float("nan")],
            "punsafe": [0.01, 0.01, 0.99, None],
            "WIDTH": [1000.0, None, 800.0, 3.0],
            "HEIGHT": [900.0, 5.0, 600.0, 3.0],
            "LICENSE": ["?", None, "CC0-1.0", None],
        }
    ).write_parquet(listed)
    done = build("waon-ja", "--input", listed, "--images", images, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    rows = ledger_of(tmp_path / "o")
    assert rows["rule"].to_list() == [None, "caption_similarity", "punsafe", None]
    assert rows["original_shorter_side"].to_list() == [900, 120, 600, 3]
    kept = pl.read_parquet(tmp_path / "o" / "data" / "*.parquet").sort("id")
    assert kept["similarity"].to_list() == [pytest.approx(0.31), None] and kept["license"][0] == "?"


# -- bad input


def bomb(width=50_000, height=50_000):
    """A PNG of some 10 KB that stands for billions of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")))


def exif_bomb():
    """A sound JPEG whose EXIF block points to itself and claims a million entries."""
    good = encoded(picture(500))
    entries = struct.pack(">H", 65535) + struct.pack(">HHII", 0x8769, 4, 1, 8) * 5000
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entries
    return good[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + good[2:]


def test_hostile_images_and_captions(build, tmp_path):
    wide = (np.add.outer(np.arange(120), np.arange(160)) * 200).astype(np.uint16)
    frames = [picture(600 + i) for i in range(3)]
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><rect width="9" height="9"/></svg>'
    cases = {
        "bomb": ("png", bomb(), caption(1), "unreadable"),
        "gif": ("gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), caption(2), "kept"),
        "cmyk": ("jpg", encoded(picture(501).convert("CMYK")), caption(3), "kept"),
        "sixteen": ("png", encoded(Image.fromarray(wide), "PNG"), caption(4), "kept"),
        "svg": ("svg", svg, caption(5), "unreadable"),
        "exif": ("jpg", exif_bomb(), caption(6), None),
        "upright": ("jpg", encoded(picture(502), exif=_exif(6)), caption(7), "kept"),
        "megabyte": ("jpg", encoded(picture(503)), "長い説明。" * 70_000, "dropped"),
        "null": ("jpg", encoded(picture(504)), None, "dropped"),
        "nothing": ("jpg", b"", caption(8), "unreadable"),
        "html": ("jpg", b"<html><body>404</body></html>", caption(9), "unreadable"),
        "control": ("jpg", encoded(picture(505)), "\x1b[31m赤い\x00猫の写真\u202e", "kept"),
    }
    path = archive(tmp_path / "x.tar", [(key, suffix, image, text) for key, (suffix, image, text, _) in cases.items()])
    assert len(cases["bomb"][1]) < 20_000
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    found = verdicts(tmp_path / "o")
    assert len(found) == len(cases)
    for key, (*_, expected) in cases.items():
        assert expected is None or found[key]["verdict"] == expected, (key, found[key])
    assert "50,000 × 50,000" in found["bomb"]["value"] and "SVG" in found["svg"]["value"]
    assert found["gif"]["animated"] == 1 and found["megabyte"]["rule"] == "chars" and found["null"]["rule"] == "chars"
    assert (found["upright"]["width"], found["upright"]["height"]) == (120, 160)
    rows = {
        row["id"].rsplit("/")[-1]: row for row in pl.read_parquet(tmp_path / "o" / "data" / "*.parquet").iter_rows(named=True)
    }
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
    outside.write_bytes(encoded(picture(1)))
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("../../up", "/absolute", "twice", "twice"):
            add(tar, f"{name}.jpg", encoded(picture(len(tar.members))))
            add(tar, f"{name}.txt", caption(len(tar.members)).encode())
        add(tar, "link.jpg", b"", type=tarfile.SYMTYPE, linkname=str(outside))
        add(tar, "link.txt", caption(50).encode())
        add(tar, "hard.jpg", b"", type=tarfile.LNKTYPE, linkname=str(outside))
        add(tar, "device.png", b"", type=tarfile.CHRTYPE)
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    rows = ledger_of(tmp_path / "o").sort("id")
    found = dict(zip(rows["id"].str.strip_prefix("laion-ja/"), rows["verdict"]))
    assert found == {
        "../../up": "kept", "/absolute": "kept", "twice": "kept", "twice~2": "kept",
        "link": "unreadable", "hard": "unreadable", "device": "unreadable",
    }  # fmt: skip
    assert "the image is a symbolic link, not a file" in rows["value"].to_list()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "outside.jpg", "x.tar"]
    paths = pl.read_parquet(tmp_path / "o" / "data" / "*.parquet").select(pl.col("image").struct.field("path")).to_series()
    assert not any("/" in path or ".." in path for path in paths)


def test_a_truncated_tar_keeps_what_was_read(build, shards, tmp_path):
    whole = (shards / "00000.tar").read_bytes()
    path = tmp_path / "cut.tar"
    path.write_bytes(whole[: len(whole) // 2 + 200])
    arguments = ("laion-ja", "--input", path, "--out", tmp_path / "o")
    done = build(*arguments)
    assert done.returncode == 1 and "cut.tar" in done.stderr and "cut" in done.stderr and "--keep-going" in done.stderr
    assert not (tmp_path / "o" / "data").exists()
    done = build(*arguments, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert 5 < len(ledger_of(tmp_path / "o")) < 30 and "warning" in done.stdout


def test_a_sidecar_that_disagrees(build, tmp_path):
    path = archive(tmp_path / "x.tar", [(f"{i}", "jpg", encoded(picture(i)), caption(i)) for i in range(4)])
    sidecar = pl.read_parquet(tmp_path / "x.parquet")
    told = sidecar.filter(pl.col("key") != "1").with_columns(
        caption=pl.when(pl.col("key") == "2").then(pl.lit("別の説明")).otherwise("caption")
    )
    more = told[:1].with_columns(key=pl.lit("9"), caption=pl.lit("アーカイブにない写真"))
    pl.concat([told, more]).write_parquet(tmp_path / "x.parquet")
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    found = verdicts(tmp_path / "o")
    assert {key: row["verdict"] for key, row in found.items()} == dict.fromkeys("0123", "kept") | {"9": "unreadable"}
    assert found["2"]["excerpt"] == caption(2), "the archive's own caption counts"
    assert "1 keys that its sidecar does not list" in done.stdout and "1 captions" in done.stdout


def coco_of(images):
    """A COCO file with two captions for every image, those of one image far apart."""
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(images)],
        "annotations": [
            {"id": 100 * nth + i, "image_id": i, "caption": f"{caption(i)}、その{nth}"}
            for nth in (1, 2)
            for i in range(len(images))
        ],
    }


@pytest.mark.parametrize("form", ["coco.json", "list.jsonl", "list.tsv", "lists.parquet"])
def test_rows_that_name_one_image_get_that_image(build, tmp_path, form):
    images = [f"{i}.jpg" for i in range(24)]
    (tmp_path / "images").mkdir()
    for i, name in enumerate(images):
        (tmp_path / "images" / name).write_bytes(encoded(picture(i, 160 + i, 120)))
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
    kept = pl.read_parquet(tmp_path / "o" / "data" / "*.parquet")
    assert len(ledger_of(tmp_path / "o")) == 48 and len(kept) == 24
    for row in kept.iter_rows(named=True):
        number = row["width"] - 160
        assert row["image"]["bytes"] == (tmp_path / "images" / images[number]).read_bytes()
        assert row["captions"] == [f"{caption(number)}、その{nth}" for nth in (1, 2)]


def test_columns_under_names_of_their_own(build, tmp_path):
    frame = pl.DataFrame(
        {"写真": [encoded(picture(i)) for i in range(9)], "説明": [caption(i) for i in range(9)], "text": ["dog"] * 9}
    )
    frame.write_parquet(tmp_path / "a.parquet")
    command = ("laion-ja", "--input", tmp_path / "a.parquet", "--out", tmp_path / "o", "--set")
    done = build(*command, 'source.columns={caption = "説明", image = "写真"}')
    assert done.returncode == 0, done.stderr
    kept = pl.read_parquet(tmp_path / "o" / "data" / "*.parquet")
    assert sorted(kept["caption"]) == sorted(caption(i) for i in range(9))
    done = build(*command, 'source.columns={caption = "せつめい"}')
    assert done.returncode == 1 and "has no column 'せつめい', which source.columns names" in done.stderr
    done = build(*command, 'source.columns={captoin = "説明"}')
    assert done.returncode == 2 and "did you mean 'caption'?" in done.stderr


def test_where_nothing_can_be_read_the_build_says_why(build, tmp_path):
    pl.DataFrame(
        {"image": [{"bytes": None, "path": f"{i}.jpg"} for i in range(20)], "caption": [caption(i) for i in range(20)]}
    ).write_parquet(tmp_path / "a.parquet")
    command = ("laion-ja", "--input", tmp_path / "a.parquet", "--out", tmp_path / "o")
    done = build(*command)
    assert done.returncode == 1 and "20 of 20 records could not be read" in done.stderr and "--images" in done.stderr
    done = build(*command, "--keep-going")
    assert done.returncode == 0 and "not one record could be read" in done.stdout
    assert ledger_of(tmp_path / "o")["verdict"].unique().to_list() == ["unreadable"]


def test_shards_of_a_corpus_are_input_again(build, reference, tmp_path):
    done = build("laion-ja", "--input", reference, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    before, after = (pl.read_parquet(out / "data" / "*.parquet") for out in (reference, tmp_path / "o"))
    # A row for every caption; those of one image come together again.
    assert len(ledger_of(tmp_path / "o")) == before["captions"].list.len().sum()
    assert sorted(after["phash"]) == sorted(before["phash"])


def test_a_part_does_not_replace_the_whole(build, shards, reference, tmp_path):
    before = (reference / "README.md").read_bytes()
    done = build("laion-ja", "--input", f"{shards}/*.tar", "--out", reference, "--limit", 5)
    assert done.returncode == 2 and "Name another folder with --out" in done.stderr
    assert (reference / "README.md").read_bytes() == before


def test_what_needs_a_model_asks_for_it_before_anything_is_done(build, shards, tmp_path):
    command = ("laion-ja", "--input", f"{shards}/*.tar", "--out", tmp_path / "o", "--set")
    done = build(*command, "rules.clip_similarity.at_least=0.2")
    assert done.returncode == 2 and "needs a model" in done.stderr and "caption_similarity" in done.stderr
    done = build(*command, f"images.model={tmp_path}")
    assert done.returncode == 2 and "config.json" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("make, words", [
    (lambda folder: archive(folder / "x.tar", []), ["there is no record"]),
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
    assert done.returncode == 1 and "1 of 1 records could not be read" in done.stderr
    assert "the folder of images has none for this row" in done.stderr
    done = build("cc12m-ja", "--input", listed, "--images", images, "--out", tmp_path / "o", "--keep-going")
    assert done.returncode == 0 and "there is no image in" in done.stdout and "not one of the pairs was kept" in done.stdout
    done = build("cc12m-ja", "--input", listed, "--images", tmp_path / "none", "--out", tmp_path / "p")
    assert done.returncode == 2 and "there is no such folder" in done.stderr
    done = build("cc100-ja", "--input", listed, "--images", images, "--out", tmp_path / "q")
    assert done.returncode == 2 and "--images is for lists of images" in done.stderr


def test_images_of_fifty_megapixels_fit_in_a_worker(build, tmp_path):
    """Each is 150 MB as RGB; what a worker held at its most is in the parts' counts."""
    large = [
        (f"{i}", suffix, encoded(picture(900 + i, 8660, 5774), kind, **options), caption(i))
        for i, (suffix, kind, options) in enumerate([("jpg", "JPEG", {"quality": 30}), ("png", "PNG", {"compress_level": 1})])
    ]
    path = archive(tmp_path / "x.tar", large)
    out = tmp_path / "o"
    done = build("laion-ja", "--input", path, "--out", out, "--workers", 1, "--set", "shards.shorter_side=256", timeout=200)
    assert done.returncode == 0, done.stderr
    assert ledger_of(out)["verdict"].to_list() == ["kept", "kept"]
    peaks = [
        json.loads(p.read_text())["peak"] for p in (out / ".seimai" / "work").rglob("part-*.json") if "peak" in p.read_text()
    ]
    assert peaks and max(peaks) < 2e9


def test_an_image_that_is_replaced_after_it_was_measured_is_noticed(build, start, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.png").write_bytes(encoded(picture(i), "PNG"))
        (folder / f"{i}.txt").write_text(caption(i), "utf-8")
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
