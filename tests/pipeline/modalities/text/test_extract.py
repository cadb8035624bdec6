import numpy as np
import polars as pl
import pytest

from pipeline.modalities.text.extract import extract_text
from pipeline.modalities.text.manifest import CleanText
from pipeline.sources.rows import Rows, Spans

PAGE = (
    "<html><head><title>猫</title></head><body><nav><a href='/'>ホーム</a></nav>"
    "<h1>吾輩は猫である</h1><p>名前はまだ無い。</p></body></html>"
)
MAIN = "吾輩は猫である\n名前はまだ無い。"


def read(texts, **columns):
    """Rows of texts, given as bytes, with metadata."""
    ends = np.cumsum([len(text) for text in texts])
    data = np.frombuffer(b"".join(texts), np.uint8)
    frame = pl.DataFrame({"problem": pl.Series([None] * len(texts), dtype=pl.String), **columns})
    return Rows(frame, Spans(data, ends - [len(text) for text in texts], ends))


def texts_of(rows):
    return [rows.text.data[start:end].tobytes().decode() for start, end in zip(rows.text.starts, rows.text.ends)]


def test_what_the_source_calls_html_is_extracted_and_the_rest_left_alone():
    rows = read(
        [PAGE.encode("cp932"), b"<p>plain</p>", PAGE.encode("euc_jp"), "生".encode("cp932")],
        media_type=["text/html", None, "application/xhtml+xml", "text/plain"],
        charset=[None, None, "euc-jp", "shift_jis"],
        title=[None, "題", "元の題", None],
    )
    rows = extract_text(rows, CleanText())
    assert texts_of(rows) == [MAIN, "<p>plain</p>", MAIN, "生"]
    assert rows.frame["title"].to_list() == ["猫", "題", "元の題", None]
    assert rows.frame["problem"].null_count() == 4


@pytest.mark.parametrize(("html", "expected"), [("auto", PAGE), ("always", MAIN), ("never", PAGE)])
def test_html_in_strings_is_extracted_on_request(html, expected):
    page = PAGE.replace("<head>", "<head><meta charset='euc-jp'>")  # a lie: strings of JSON are UTF-8
    text = texts_of(extract_text(read([page.encode()]), CleanText(html=html)))[0]
    assert text == (page if expected is PAGE else MAIN)


def test_a_record_with_a_problem_stands_as_it_came():
    rows = read([PAGE.encode(), PAGE.encode()], media_type=["text/html"] * 2)
    rows.frame = rows.frame.with_columns(problem=pl.Series(["HTTP status 404", None]))
    assert texts_of(extract_text(rows, CleanText())) == [PAGE, MAIN]


def test_what_has_a_media_type_is_decoded_even_where_html_is_left():
    rows = read([PAGE.encode("cp932")], media_type=["text/html"], charset=["shift_jis"])
    assert texts_of(extract_text(rows, CleanText(html="never"))) == [PAGE]
