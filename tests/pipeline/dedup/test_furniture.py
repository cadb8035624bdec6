"""Which lines of documents are furniture: menus, headers and footers, and nothing that people wrote."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.text.lines import remove_spans
from filters.text.normalisation import normalise
from pipeline.dedup.furniture import RecurringLines, Survivors, leave_recurring, sum_counts
from pipeline.dedup.windows import _extend
from tests.support.sites import Page, count_found, make_site
from tests.support.texts import make_sentences

SETTINGS = RecurringLines()
MANY = RecurringLines(few_documents=50)  # what few pages have in common stays
PROSE = [make_sentences(("prose", i), 8) for i in range(200)]


def strip(texts: list[str], sites: list[str | None] | None = None, settings: RecurringLines = SETTINGS) -> list[str]:
    """Return texts without furniture."""
    cleaned = normalise(pl.Series(texts))
    survivors = Survivors.of_texts(cleaned, None if sites is None else pl.Series(sites, dtype=pl.String))
    found = survivors.describe(survivors.mark(settings, leave_recurring(settings, survivors.count(settings))))
    spans = pl.DataFrame({"row": range(len(texts))}, schema={"row": pl.UInt32}).join(
        found, on="row", how="left", maintain_order="left"
    )
    left = remove_spans(cleaned, spans["spans"].fill_null([]))[0]
    expected = spans["chars_left"].fill_null(cleaned.str.len_chars().cast(pl.Int32))
    assert (left.str.len_chars() == expected).all()
    return left.to_list()


def check(pages: list[Page], texts: list[str], least: float) -> None:
    total, gone, lost = count_found(pages, texts)
    assert gone >= least * total and lost == 0


def test_what_is_left_of_indented_paragraphs_is_counted_with_their_indents():
    pages = make_site(1, 12)
    lines = [page.text.split("\n") for page in pages]
    indented = ["\n".join(f"\u3000{line}" if line in page.prose else line for line in of) for page, of in zip(pages, lines)]
    left = strip(indented + PROSE)[:12]  # which compares what was counted with what is left
    assert all("\u3000" in text and page.furniture[0] not in text for text, page in zip(left, pages))


@pytest.mark.parametrize(("number", "least"), [(12, 0.9), (40, 0.95)])
def test_a_site_without_urls(number, least):
    pages = make_site(1, number)
    check(pages, strip([page.text for page in pages] + PROSE)[:number], least)


def test_a_site_with_urls_needs_fewer_pages():
    pages = make_site(2, 6)
    texts = [page.text for page in pages] + PROSE
    assert strip(texts, settings=MANY) == normalise(pl.Series(texts)).to_list()
    check(pages, strip(texts, [*["site"] * 6, *[None] * 200], MANY)[:6], 0.9)


@pytest.mark.parametrize("number", [4, 6])
def test_few_pages_that_begin_and_end_alike(number):
    pages = make_site(7, number)
    check(pages, strip([page.text for page in pages] + PROSE)[:number], 0.95)


def test_few_pages_need_the_lines_that_the_settings_ask_for():
    """Of 27 lines that these pages have in common four are the first ones."""
    pages = make_site(7, 6)
    texts = [page.text for page in pages] + PROSE
    assert [len(page.furniture) for page in pages] == [27] * 6
    for few_lines, gone in ((23, 6 * 27), (24, 0)):
        assert count_found(pages, strip(texts, settings=RecurringLines(few_lines=few_lines))[:6])[1:] == (gone, 0)


@pytest.mark.parametrize(("varying", "found"), [(0, True), (1, True), (2, True), (3, False)])
def test_labels_beyond_a_line_or_two_that_vary_are_furniture_too(varying, found):
    labels = np.array([9, 9, *[0] * varying, 9, 9])
    for turn in (slice(None), slice(None, None, -1)):
        marks = np.arange(len(labels)) < 2
        marks = marks[turn].copy()
        _extend(np.arange(len(labels)), labels[turn].copy(), 3, marks)
        assert marks[turn].tolist() == [True, True, *[False] * varying, found, found]


def test_few_pages_that_are_nothing_but_furniture_stay():
    """Lines of their own that are no prose, such as a title, do not make them pages."""
    for titles in ([""] * 6, ["椿", "桜の写真", "湖", "冬の山", "古い駅", "祭り"]):
        pages = zip(make_site(7, 6), titles)
        texts = ["\n".join([*page.furniture[:4], *filter(None, [title]), *page.furniture[4:]]) for page, title in pages]
        assert strip(texts + PROSE)[:6] == normalise(pl.Series(texts)).to_list()


def test_a_song_that_few_documents_quote_stays():
    song = "\n".join(f"{a}の{b}" for a in ("春", "夏", "秋", "冬") for b in ("山", "川", "海", "空", "花"))
    texts = [
        f"{make_sentences((n, 'before'), 3)}\n{song}{tail}" for n in range(4) for tail in ("", f"\n{make_sentences(n, 3)}")
    ]
    assert strip(texts + PROSE) == normalise(pl.Series(texts + PROSE)).to_list()


def test_two_sites_are_counted_apart():
    pages = [*make_site(3, 4), *make_site(3, 4)]
    texts = [page.text for page in pages]
    assert strip(texts, [*["one"] * 4, *["other"] * 4], MANY) == normalise(pl.Series(texts)).to_list()


def test_a_share_of_a_large_site_is_needed():
    pages = make_site(4, 8)
    texts = [page.text for page in pages] + PROSE
    settings = RecurringLines(site_share=0.1, few_documents=50)
    assert strip(texts, ["site"] * len(texts), settings) == normalise(pl.Series(texts)).to_list()


# What recurs since people say it again and again: each with lines of its own around it.
RECURRING = {
    "statutes": [
        "附則",
        "(施行期日)",
        "第一条 この法律は、公布の日から施行する。",
        "(経過措置)",
        "第二条 なお従前の例による。",
        "(政令への委任)",
    ],
    "minutes": [
        "これより会議を開きます。",
        "異議なしと認めます。",
        "さよう決しました。",
        "本日はこれにて散会いたします。",
        "午後五時散会",
    ],
    "chat": [
        "A: こんにちは。",
        "B: こんにちは!",
        "A: よろしくお願いします。",
        "B: はい。",
        "A: ありがとうございます。",
        "B: いえいえ。",
    ],
    "code": ["const app = express();", "app.use(cors());", "});", "}", "export default app;", "return (", "```"],
    "headings": ["概要", "歴史", "脚注"],
    "a poem": ["古池や", "蛙飛びこむ", "水の音"],
    "Markdown": ["## 属性", "|属性|説明|", "|---|---|", "## 要件", "**プラットフォーム:** 次のとおりです。", "## 関連項目"],
}


@pytest.mark.parametrize("kind", RECURRING)
@pytest.mark.parametrize("interleaved", [True, False])
def test_what_people_say_again_stays(kind, interleaved):
    lines = RECURRING[kind]
    texts = []
    for number in range(60):
        own = make_sentences((kind, number), 2 * len(lines) + 14).split("\n")
        block = [line for pair in zip(lines, own) for line in pair] if interleaved else lines
        texts.append("\n".join([*own[-8:], *block, *own[-14:-8]]))
    assert strip(texts) == normalise(pl.Series(texts)).to_list()


@given(
    st.lists(
        st.lists(st.sampled_from(["", "会社概要", "採用情報", "地図", "はい。", "お知らせ (3)", "x"]), max_size=9), max_size=12
    )
)
def test_every_removed_line_stands_in_enough_documents(documents):
    """And the characters that are left are told truly, which `strip` checks."""
    texts = ["\n".join(lines) for lines in documents]
    settings = RecurringLines(lines=3, documents=3)
    before = normalise(pl.Series(texts, dtype=pl.String)).to_list()
    after = strip(texts, settings=settings)
    for one, left in zip(before, after):
        for line in set(one.split("\n")) - set(left.split("\n")):
            assert sum(line in other.split("\n") for other in before) >= 3 or line.startswith("お知らせ")


def test_counts_of_parts_add_up():
    texts = [page.text for page in make_site(5, 20)]
    whole = Survivors.of_texts(pl.Series(texts)).count(SETTINGS)
    parts = [Survivors.of_texts(pl.Series(texts[i::3])).count(SETTINGS) for i in range(3)]
    assert np.array_equal(sum_counts(np.concatenate(parts)), whole)
