import bz2
import gzip
import hashlib
import json

import polars as pl
import pytest
import zstandard

from pipeline.sources.formats import lines as text_lines
from pipeline.sources.image_text import tables
from tests.pipeline.sources.helpers import pick, problems
from tests.pipeline.sources.image_text.helpers import (
    CAPTIONS,
    EXPECTED,
    LISTS,
    URL,
    URLS,
    check_list,
    fake_image,
    join_lines,
    pick_pairs,
    read_pairs,
)

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
    result = check_list(tmp_path / "part-0.parquet", images)
    assert [row["similarity"] for row in result.rows] == [None, pytest.approx(0.3), None, pytest.approx(0.1)]
    assert result.rows[0]["original_width"] == 1 and result.rows[1]["original_width"] is None
    assert result.state.warning is None


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
    result = check_list(tmp_path / "waon.parquet", images)
    assert {(row["original_width"], row["punsafe"]) for row in result.rows} == {(800, 0)}
    datacomp = {"uid": ["a"] * 4, "text": CAPTIONS, "url": URLS, "original_width": [800] * 4, "original_height": [600] * 4}
    datacomp |= {"clip_b32_similarity_score": [0.9] * 4, "clip_l14_similarity_score": [0.2] * 4, "face_bboxes": [[[0.0]]] * 4}
    pl.DataFrame(datacomp).write_parquet(tmp_path / "datacomp.parquet")
    result = check_list(tmp_path / "datacomp.parquet", images)
    assert {(row["original_height"], round(row["similarity"], 3)) for row in result.rows} == {(600, 0.2)}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("name", ["list.txt", "list.json"])
def test_lists_as_text(tmp_path, images, kind, name):
    (tmp_path / name).write_bytes(LISTS[kind])
    check_list(tmp_path / name, images)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("kind", LISTS)
def test_lists_in_small_pieces(tmp_path, images, kind, size, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", size)
    monkeypatch.setattr(text_lines, "_BLOCK", size * 7)
    (tmp_path / "list").write_bytes(LISTS[kind])
    check_list(tmp_path / "list", images)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress])
def test_compressed_lists(tmp_path, images, pack):
    (tmp_path / "list").write_bytes(pack(LISTS["cc12m"]))
    result = check_list(tmp_path / "list", images)
    # The list passes, the images stay.
    assert all(row["content_bytes"] is None for row in result.rows)
    (tmp_path / "list.json.gz").write_bytes(pack(LISTS["jsonl"]))
    check_list(tmp_path / "list.json.gz", images)


def test_a_list_over_http(images, server):
    server.files = {"list.tsv": LISTS["cc12m"]}
    check_list(f"{server.url}/list.tsv", images)


def test_a_compressed_list_that_is_cut_short(tmp_path, images):
    noise = [(URL.format(f"{i}.jpg"), hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()) for i in range(3000)]
    for name, body in {
        "tsv": join_lines(*zip(*noise)),
        "csv": b"url,caption\n" + join_lines(*zip(*noise), separator=","),
    }.items():
        raw = gzip.compress(body)
        path = tmp_path / f"list.{name}.gz"
        path.write_bytes(raw[: len(raw) // 2])
        result = read_pairs(path, images)
        assert "ends too early" in result.state.damage
        assert pick(result.rows[:-1], "url", "caption") == noise[: len(result.rows) - 1] and len(result.rows) > 100
        assert result.rows[-1]["problem"] == "the input ends inside this line"


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
    result = read_pairs(tmp_path / "list.jsonl", images)
    assert pick([result.rows[0], *result.rows[-3:]], "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
    found_problems = [row["problem"] for row in result.rows[1:-3]]
    assert len(found_problems) == len(broken) and all(found_problems)
    assert found_problems.count("the line is not a JSON object") == 6
    assert result.rows[9]["caption"] == "\ufffd"
    assert result.state.damage is None


def test_ragged_lines(tmp_path, images):
    (tmp_path / "list.tsv").write_bytes(
        join_lines(URLS[:1], CAPTIONS[:1]) + b"\nhttps://a\tb\tc\nhttps://d\n" + join_lines(URLS[1:], CAPTIONS[1:])
    )
    result = read_pairs(tmp_path / "list.tsv", images)
    assert pick([result.rows[0], *result.rows[3:]], "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
    assert [row["problem"] for row in result.rows[1:3]] == [
        "the line has 3 fields instead of 2",
        "the line has 1 fields instead of 2",
    ]
    # Even where the first line is the ragged one.
    (tmp_path / "list.tsv").write_bytes(b"https://a\tb\tc\n" + join_lines(URLS, CAPTIONS))
    assert [row["problem"] is None for row in read_pairs(tmp_path / "list.tsv", images).rows] == [
        False,
        True,
        False,
        True,
        True,
    ]


def test_csv_with_line_ends_in_fields_and_rows_that_do_not_fit(tmp_path, images):
    text = f'caption,url\n"a\nb\r\nc",{URLS[0]}\nd,{URLS[2]},x\ne\n\n"f""g",{URLS[3]}\n'
    (tmp_path / "list.csv").write_bytes(text.encode())
    result = read_pairs(tmp_path / "list.csv", images)
    assert pick(result.rows, "caption", "image") == [
        ("a\nb\r\nc", EXPECTED[0]), ("d", None), ("e", None), ('f"g', EXPECTED[3]),
    ]  # fmt: skip
    assert list(problems(result.rows).values()) == ["the row has 3 fields instead of 2", "the row has 1 fields instead of 2"]
    assert result.state.damage is None


def test_csv_with_a_quote_that_is_not_closed(tmp_path, images):
    text = f'caption,url\na,{URLS[0]}\n"b,{URLS[2]}\nc,{URLS[3]}\n'
    (tmp_path / "list.csv").write_bytes(text.encode())
    result = read_pairs(tmp_path / "list.csv", images)
    assert pick(result.rows, "caption", "image")[0] == ("a", EXPECTED[0])
    assert [row["problem"] for row in result.rows[1:]] == ["a quote in this row is not closed"]
    assert "quote that is not closed" in result.state.damage
    (tmp_path / "list.csv").write_text(f'caption,url\na,{URLS[0]}\n"b,{URLS[2]}\n' + "c\n" * 6_000_000)
    result = read_pairs(tmp_path / "list.csv", images)
    assert pick(result.rows, "caption", "image") == [("a", EXPECTED[0])]
    assert "is not CSV from line 3 on" in result.state.damage


def test_a_line_without_end(tmp_path, images, monkeypatch):
    monkeypatch.setattr(text_lines, "_LONGEST", 10_000)
    monkeypatch.setattr(text_lines, "_BLOCK", 1000)
    (tmp_path / "list.tsv").write_bytes(join_lines(URLS, CAPTIONS) + b"\n" + b"x" * 20_000)
    result = read_pairs(tmp_path / "list.tsv", images)
    assert len(result.rows) == 4 and "line of more than 10,000 bytes" in result.state.damage


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
    result = read_pairs(path, images)
    assert result.rows == [] and all(word in result.state.damage for word in [str(path), *words]), result.state.damage


def test_a_list_without_captions_is_warned_of(tmp_path, images):
    (tmp_path / "urls.txt").write_text("\n".join(URLS))
    result = read_pairs(tmp_path / "urls.txt", images)
    assert "no column of captions" in result.state.warning


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
        (folder / f"COCO_{i}.jpg").write_bytes(fake_image(i))
    expected = [
        ("10", "犬", fake_image(1)),
        ("11", "走る犬", fake_image(1)),
        ("12", None, fake_image(2)),
        ("12~2", "像なし", None),
    ]
    expected += [("\ufffd\ufffd", "\ufffd", fake_image(0))]
    for name, text in {
        "a.json": json.dumps(stair),
        "b.json": json.dumps(stair, indent=1),
        "c": "\ufeff" + json.dumps(stair),
    }.items():
        (tmp_path / name).write_text(text)
        result = read_pairs(tmp_path / name, tmp_path / "images")
        assert pick_pairs(result.rows) == expected and result.state.damage is None
        assert set(problems(result.rows)) == {"12~2"}
        assert result.rows[0]["license"].endswith("by/2.0/") and result.rows[0]["url"] == "http://f/1"


ODD_LISTS = {
    "semicolons": "url;caption\nhttps://h/1.jpg;犬\nhttps://h/2.jpg;猫",
    "bars": "url|caption\nhttps://h/1.jpg|犬\nhttps://h/2.jpg|猫",
    "bars and spaces": "image_name| comment_number| comment\n1.jpg| 0| 犬\n2.jpg| 0| 猫",
    "names in Japanese": "画像URL,説明\nhttps://h/1.jpg,犬\nhttps://h/2.jpg,猫",
    "file names in Japanese": "ファイル名\tキャプション\n1.jpg\t犬\n2.jpg\t猫",
    "csv without a header": "https://h/1.jpg,犬\nhttps://h/2.jpg,猫",
    "csv without a header, files": '犬,1.jpg\n"猫",2.jpg',
    "csv without a header, numbers": "0;1.jpg;犬\n1;2.jpg;猫",
    "spaces around": " https://h/1.jpg \t 犬\nhttps://h/2.jpg\u3000\t猫 ",
    "spaces around names": "text,file_name\n犬, 1.jpg\n猫,\u200b2.jpg ",
    "spaces before quotes": 'url, caption\nhttps://h/1.jpg, "犬"\nhttps://h/2.jpg, "猫"',
    "empty cells at the end": "url\tcaption\nhttps://h/1.jpg\t犬\t\nhttps://h/2.jpg\t猫\t\t",
    "empty cells at the end of csv": "url,caption\nhttps://h/1.jpg,犬,\nhttps://h/2.jpg,猫,,",
}


@pytest.mark.parametrize("kind", ODD_LISTS)
def test_lists_as_people_write_them(tmp_path, kind):
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    (tmp_path / "list.csv").write_text(ODD_LISTS[kind])
    result = read_pairs(tmp_path / "list.csv", tmp_path / "images")
    assert [(row["caption"].strip(), row["image"]) for row in result.rows] == [("犬", b"1.jpg"), ("猫", b"2.jpg")]
    assert (result.state.damage, result.state.warning) == (None, None)


def test_commas_in_a_list_of_urls_separate_nothing(tmp_path, images):
    urls = [f"https://h/w_200,h_300/{i}.jpg" for i in range(3)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    assert [row["url"] for row in read_pairs(tmp_path / "list.txt", images).rows] == urls
