import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.formats import quotes
from pipeline.sources.formats.quotes import is_quoted

U = "https://a/1.jpg"


@pytest.mark.parametrize(
    "text, expected",
    [
        (f"{U}\t猫\n", False),
        (f'{U}\t"5 inch\n{U}\t猫\n', False),
        (f'{U}\t5" screen\n{U}\t"猫, 犬"\n', False),
        (f'{U}\t"猫" と犬\n', False),
        (f'{U}\t"猫"\n{U}\t犬\n', False),
        (f'{U}\t"猫\n2行目"\n', True),
        (f'{U}\t"猫\r\n\r\n3行目"\r\n', True),
        (f'{U}\t"5"" screen"\n', True),
        (f'{U}\t"a\tb"\n', True),
        (f'{U}\t"猫"\n{U}\t"犬"\n', True),
        (f'url\tcaption\n{U}\t"猫, 犬"\n', True),
        # Two stray quotes with a row between them.
        (f'{U}\t"5 inch\n{U}\t猫\n{U}\tbar"\n', False),
        (f'"5 inch\t{U}\n猫\t{U}\nbar"\t{U}\n', False),
        ("", False),
    ],
)
def test_quotes_that_are_quotes(tmp_path, text, expected):
    (tmp_path / "list.tsv").write_text(text, newline="")
    assert is_quoted(tmp_path / "list.tsv") is expected


def test_the_first_quote_may_be_far_on(tmp_path, monkeypatch):
    monkeypatch.setattr(quotes, "_BLOCK", 16)
    for caption, expected in (('"猫\n2"', True), ('"5 inch', False), ('5"', False)):
        (tmp_path / "list.tsv").write_text(f"{U}\tx\n" * 20 + f"{U}\t{caption}\n{U}\ty\n")
        assert is_quoted(tmp_path / "list.tsv") is expected


CAPTION = st.text(st.sampled_from('猫a",\n\t '), min_size=1, max_size=6)


@given(st.lists(CAPTION, min_size=1, max_size=5), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
@settings(max_examples=200)
def test_what_csv_writes_is_quoted_where_it_has_quotes(tmp_path_factory, captions, style):
    out = io.StringIO()
    csv.writer(out, "excel-tab", quoting=style, lineterminator="\n").writerows(
        [["url", "caption"], *([U, c] for c in captions)]
    )
    path = tmp_path_factory.mktemp("quotes") / "list.tsv"
    path.write_text(out.getvalue())
    looks_like_rows = any(line.count("\t") == 1 for caption in captions for line in caption.split("\n")[1:-1])
    assert is_quoted(path) is ('"' in out.getvalue() and not looks_like_rows)
