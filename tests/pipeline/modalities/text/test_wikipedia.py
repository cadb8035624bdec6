import numpy as np
import polars as pl
import pytest

from pipeline.modalities.text.wikipedia import clean_wikipedia
from pipeline.sources.rows import Rows, Spans


def read(documents, gap=b"", **columns):
    """Rows of documents, one after the other or with something between."""
    ends = np.cumsum([len(document) + len(gap) for document in documents]).astype(np.int64)
    starts = ends - np.array([len(document) for document in documents], np.int64) - len(gap)
    frame = pl.DataFrame(
        {"locator": range(len(documents)), "problem": [None] * len(documents), **columns},
        schema_overrides={"problem": pl.String},
    )
    return Rows(
        frame,
        Spans(np.frombuffer(gap.join([*documents, b""]) if gap else b"".join(documents), np.uint8), starts, ends - len(gap)),
    )


def texts_of(rows):
    return [rows.text.data[start:end].tobytes() for start, end in zip(rows.text.starts, rows.text.ends)]


WIKI = ["'''東京'''[1]は町。".encode(), b"{{x}}", "#転送 [[東京]]".encode(), "前[1]後".encode()]
DUMP = {"namespace": [0, 10, 0, None], "redirect": [None, None, "東京", None], "wikitext": [True, True, True, None]}


@pytest.mark.parametrize("gap", [b"", b"--"])
def test_pages_of_dumps_become_text_and_other_documents_stay(gap):
    rows, counters = clean_wikipedia(read(WIKI, gap, **DUMP), "auto")
    assert texts_of(rows) == ["東京は町。".encode(), b"", b"", "前[1]後".encode()]
    assert counters["page_kind"].tolist() == ["article", "template", "redirect", None]
    assert counters["n_page_markup_chars"].tolist() == [9, 5, 10, 0]


def test_always_takes_every_document_for_a_page_and_never_none():
    rows, counters = clean_wikipedia(read(["前[1]後".encode(), "東京（、）は\n\n脚注".encode()]), "always")
    assert texts_of(rows) == ["前後".encode(), "東京は".encode()]
    assert counters["page_kind"].tolist() == ["article", "article"]
    before = read(WIKI, **DUMP)
    rows, counters = clean_wikipedia(before, "never")
    assert rows is before and counters["page_kind"].tolist() == [None] * 4


@pytest.mark.parametrize("gap", [b"", b"--"])
def test_what_cannot_be_read_stays_as_it_came(gap):
    documents = [b"\xff[1]", "東京[1]".encode(), "京都[1]".encode()]
    rows, counters = clean_wikipedia(read(documents, gap, problem=[None, "broken", None]), "always")
    assert texts_of(rows) == [documents[0], documents[1], "京都".encode()]
    assert counters["page_kind"].tolist() == [None, None, "article"]


def test_no_rows():
    rows, counters = clean_wikipedia(read([]), "always")
    assert texts_of(rows) == [] and len(counters["page_kind"]) == 0
