import base64
import json
import re

import polars as pl
import pytest

from pipeline.core.errors import UsageError
from pipeline.fetch.lists import read_list
from tests.pipeline.sources.helpers import pick, problems
from tests.pipeline.sources.image_text.helpers import SOURCE, read_pairs

HOST = "https://host/{}.jpg"
UNCLOSED = "a quote in this row is not closed: lines that look like rows are inside it"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(str(i).encode())
    return tmp_path / "photos"


def read_list_of(photos, text, name="list.tsv"):
    path = photos.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = read_pairs(path, photos)
    return pick(result.rows, "caption", "image"), result


URLS = [HOST.format(i) for i in range(4)]


@pytest.mark.parametrize("header", ["", "url\tcaption\n", '"url"\t"caption"\n'])
def test_tables_between_tabs_with_quotes(photos, header):
    captions = ['"猫\n2行目"', '"5"" screen"', "犬", '"a\tb"']
    rows, result = read_list_of(photos, header + "".join(f"{u}\t{c}\n" for u, c in zip(URLS, captions)))
    assert rows == [("猫\n2行目", b"0"), ('5" screen', b"1"), ("犬", b"2"), ("a\tb", b"3")]
    assert not problems(result.rows) and result.state.damage is None
    # Quotes that somebody wrote stay.
    captions = ['"5 inch', '5" screen', '"猫" と "犬"', '"犬"']
    rows, result = read_list_of(photos, header + "".join(f"{u}\t{c}\n" for u, c in zip(URLS, captions)))
    assert [caption for caption, _ in rows] == captions and not problems(result.rows)


@pytest.mark.parametrize("name", ["list.tsv", "list.csv"])
def test_no_row_is_swallowed_without_a_word(photos, name):
    separator = "\t" if name == "list.tsv" else ","
    lines = [["url", "caption"], [URLS[0], '"一\n二"'], [URLS[1], '"5 inch'], [URLS[2], "猫"], [URLS[3], 'bar"']]
    if name == "list.tsv":
        lines = [line[::-1] for line in lines]
    rows, result = read_list_of(photos, "".join(separator.join(line) + "\n" for line in lines), name)
    if name == "list.csv":
        assert rows[0] == ("一\n二", b"0") and len(rows) == 2
        assert problems(result.rows) == {"0000000001": UNCLOSED}
    else:
        assert len(rows) == 5 and {("猫", b"2"), ('"5 inch', b"1"), ('bar"', b"3")} <= set(rows)
        assert problems(result.rows) == {"0000000000": "the line has 1 fields instead of 2"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_excel_s_first_line(photos, separator):
    text = f'sep={separator}\r\nurl{separator}caption\r\n{URLS[0]}{separator}"a{separator}b"\r\n'
    rows, result = read_list_of(photos, b"\xef\xbb\xbf" + text.encode(), "list.csv")
    assert rows == [(f"a{separator}b", b"0")] and not problems(result.rows) and result.state.damage is None


def test_bytes_that_are_not_utf8_cost_their_row(photos):
    for name, text in {
        "list.tsv": b"%s\t\xe7\x8c\n%s\t\xe7\x8c\xab\n", "list.csv": b"url,caption\n%s,\xe7\x8c\n%s,\xe7\x8c\xab\n",
        "list.jsonl": b'{"url": "%s", "caption": "\xe7\x8c"}\n{"url": "%s", "caption": "\xe7\x8c\xab"}\n',
    }.items():  # fmt: skip
        rows, result = read_list_of(photos, text % (URLS[0].encode(), URLS[1].encode()), name)
        assert rows == [("\ufffd", None), ("猫", b"1")], name
        assert len(problems(result.rows)) == 1 and "UTF-8" in result.rows[0]["problem"]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16"])
@pytest.mark.parametrize("separator", ["\t", ","])
def test_lists_in_other_encodings_are_read(photos, encoding, separator):
    text = f"url{separator}caption\r\n" + "".join(f"{url}{separator}夕日に染まるきれいな山\r\n" for url in URLS)
    rows, result = read_list_of(photos, text.encode(encoding))
    assert rows == [("夕日に染まるきれいな山", image) for _, image in rows] and len(rows) == len(URLS), rows
    assert [image for _, image in rows if image is None] == [] and not result.state.damage


@pytest.mark.parametrize("separator", ["\t", ","])
def test_lists_in_an_encoding_that_nobody_knows_are_named(photos, separator):
    text = f"url{separator}caption\r\n" + "".join(f"{url}{separator}Größe und Straße, schöne Übung\r\n" for url in URLS * 9)
    rows, result = read_list_of(photos, text.encode("latin-1"))
    assert rows == [] and "is text that is not UTF-8" in result.state.damage and "iconv -f" in result.state.damage
    with pytest.raises(UsageError, match="iconv -f"):
        list(read_list(str(photos.parent / "list.tsv")))


JPEG, PNG = b"\xff\xd8\xff\xe0" + bytes(range(99)), b"\x89PNG\r\n\x1a\n" + bytes(range(99))


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "parquet"])
def test_images_in_base64(tmp_path, form):
    cells = [base64.b64encode(JPEG).decode(), "data:image/png;base64," + base64.b64encode(PNG).decode(), "/9j/" + "!" * 40]
    captions = ["一", "二", "三"]
    path = tmp_path / f"list.{form}"
    if form == "parquet":
        pl.DataFrame({"image": cells, "caption": captions}).write_parquet(path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps({"image": i, "caption": c}) + "\n" for i, c in zip(cells, captions)))
    else:
        separator = "," if form == "csv" else "\t"
        rows = [(f'"{cell}"', text) if form == "csv" else (cell, text) for cell, text in zip(cells, captions)]
        path.write_text("".join(separator.join(row) + "\n" for row in [("image", "caption"), *rows]))
    result = read_pairs(path)
    assert pick(result.rows, "caption", "image") == [("一", JPEG), ("二", PNG), ("三", None)]
    assert list(problems(result.rows).values()) == ["no image: the cell is not base64"] and result.state.damage is None


def test_images_in_base64_without_a_header_are_named(tmp_path):
    (tmp_path / "imgs.tsv").write_text(f"30000000\t{base64.b64encode(JPEG).decode()}\n" * 2)
    result = read_pairs(tmp_path / "imgs.tsv")
    assert result.rows == [] and "holds images in base64 without a header that says so" in result.state.damage


@pytest.mark.parametrize(
    "head, words", [(b"PK\x03\x04", "ZIP archive .or an Excel"), (b"7z\xbc\xaf\x27\x1c", "7z x"), (b"Rar!\x1a\x07", "unrar x")]
)
def test_archives_that_are_not_read_are_named(tmp_path, head, words):
    (tmp_path / "a.zip").write_bytes(head + b"\0" * 999)
    damage = read_pairs(tmp_path / "a.zip").state.damage
    assert re.search(words, damage) and damage.startswith(f"{tmp_path / 'a.zip'} is a")
    with pytest.raises(UsageError, match="a.zip"):
        SOURCE.find_inputs([str(tmp_path)])
