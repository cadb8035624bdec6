"""HTML to text: what is kept, what is left out, and what hostile pages cost."""

from __future__ import annotations

import html as html_entities
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.html import ExtractedDocuments, extract_documents, extract_text
from filters.html.limits import MAX_ATTRIBUTES, MAX_DEPTH, MAX_PAGE, MAX_TAGS
from tests.filters.html.pages import PAGES


def extract(*documents: bytes, charsets=None, html=True) -> ExtractedDocuments:
    sizes = np.array([len(document) for document in documents], np.int64)
    ends = np.cumsum(sizes)
    data = np.frombuffer(b"".join(documents), np.uint8)
    is_html = np.full(len(documents), html) if isinstance(html, bool) else np.array(html)
    return extract_documents(data, ends - sizes, ends, charsets or [None] * len(documents), is_html)


def texts(done: ExtractedDocuments) -> list[str]:
    return [bytes(done.data[start:end]).decode() for start, end in zip(done.starts, done.ends)]


@pytest.mark.parametrize("name", PAGES)
def test_pages_as_people_make_them(name):
    html, expected = PAGES[name]
    assert extract_text(html) == expected


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>一つ<p>二つ<div>三つ</div>四つ", "一つ\n二つ\n三つ\n四つ"),
        ("<p>一行目<br>二行目<br/>三行目</p>", "一行目\n二行目\n三行目"),
        ("<p>一行目\n二行目</p>", "一行目二行目"),  # a line break in the source is no space between Japanese
        ("<p>first line\nsecond  line</p>", "first line second line"),
        ("<p>한국어\n문장</p>", "한국어 문장"),
        ("<ul><li>りんご</li><li>みかん<ul><li>温州</li></ul></li></ul>", "りんご\nみかん\n温州"),
        ("<p>a<b>b</b>c <i>d</i>e</p>", "abc de"),  # words stay whole
        ("<div>一</div><div>二</div><x-card>三</x-card><x-card>四</x-card>", "一\n二\n三\n四"),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td"),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\nb\nc"),
        (f"<table><tr><td>{'長い文。' * 30}</td><td>c</td></tr></table>", "長い文。" * 30 + "\nc"),
        ("<dl><dt>猫</dt><dd>動物の名。</dd></dl>", "猫\n動物の名。"),
        ("<p><ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>を読む。</p>", "漢字を読む。"),
        ("<p><ruby><rb>東</rb><rb>京</rb><rt>とう</rt><rt>きょう</rt></ruby>へ</p>", "東京へ"),
        ("<pre>\nfor x in y:\n\tprint(x)\n\n\nend\n</pre>", "for x in y:\n\tprint(x)\n\n\nend"),
        ("<pre><code>a<br>b</code></pre>", "a\nb"),
        ("<p>&lt;b&gt; &amp;lt; &#12354;&copy;</p>", "<b> &lt; あ©"),
        (
            "<p>読む</p><script>読まない</script><style>p{}</style><template>雛形</template><noscript>JavaScriptを有効に</noscript>",
            "読む",
        ),
        (
            "<p>読む</p><select><option>東京</option></select><button>送る</button><textarea>書く</textarea><input value=値>",
            "読む",
        ),
        (
            "<p>読む<span>続き</span></p><div hidden>隠</div><div style='display: none'>隠</div><div aria-hidden=true>隠</div>",
            "読む続き",
        ),
        ("<p>読む</p><!-- 読まない --><svg><text>絵</text></svg><iframe>枠</iframe>", "読む"),
        ("<h1>題<a href=#a>¶</a></h1><p>文。</p>", "題\n文。"),
        ("", ""),
        ("<p></p><br><hr>", ""),
        ("タグのない文", "タグのない文"),
        ("<frameset><frame src=a></frameset>", ""),
        ("<p>a\0b</p>", "ab"),
        ("<p>途中<a href='", "途中"),
    ],
)
def test_blocks_and_inline_elements(html, text):
    assert extract_text(html) == text


@pytest.mark.parametrize(
    "furniture",
    [
        "<nav>案内。文が一つあります。</nav>",
        "<footer>所在地は東京です。</footer>",
        "<div id=footer>所在地は東京です。</div>",
        "<div class='site-footer inner'>所在地は東京です。</div>",
        "<div role=navigation>案内</div>",
        "<div class=breadcrumbs>トップ &gt; 記事</div>",
        "<ul class=menu><li><a href=a>商品</a><li><a href=b>会社</a></ul>",
        "<div><a href=a>前へ</a> | <a href=b>次へ</a></div>",
        "<p>言語: <a href=a>en</a> | <a href=b>fr</a> | <a href=c>ja</a></p>",
        "<h2>関連記事</h2><ul><li><a href=a>別の記事の題</a></li></ul>",
        "<p>Copyright © 2024 Example Inc.</p>",
    ],
)
def test_furniture_is_left_out(furniture):
    main = "<h1>題名</h1><p>これは本文の段落です。長さもそれなりにあり、読むに値します。</p><p>もう一つの段落が続きます。</p>"
    expected = extract_text(main)
    assert expected.count("\n") == 2
    assert extract_text(f"<body>{main}{furniture}</body>") == expected


def test_an_element_is_not_furniture_by_its_name_alone():
    paragraphs = "".join(f"<p>{i}番目の段落です。ここには本文が書いてあります。</p>" for i in range(30))
    assert extract_text(f"<div class=footer><h1>題</h1>{paragraphs}</div>").count("\n") == 30
    assert extract_text(f"<p>初め。</p><section id=copyright-information>{paragraphs}</section>").count("\n") == 30


@pytest.mark.parametrize("name", ["with-sidebar", "related-layout", "page-header-fixed", "search-page"])
def test_a_short_page_in_an_oddly_named_element_stays(name):
    links = "<ul><li><a href=a>別のページの題名です</a></li><li><a href=b>もう一つのページの題名です</a></li></ul>"
    assert extract_text(f"<div class={name}><h1>題</h1><p>短い文です。</p>{links}</div>") == "題\n短い文です。"


@pytest.mark.parametrize(
    ("title", "expected"),
    [("記事の題 | 猫の館", "記事の題\n章\n文です。"), ("猫の館", "章\n文です。"), (None, "章\n文です。")],
)
def test_the_title_of_the_text_may_stand_in_the_header_of_the_site(title, expected):
    head = f"<title>{title}</title>" if title else ""
    assert (
        extract_text(f"{head}<header><h1>記事の題</h1><p>猫の館へようこそ。</p></header><h2>章</h2><p>文です。</p>") == expected
    )
    assert extract_text(f"{head}<header><h1>記事の題</h1></header><p>文です。</p>") == "記事の題\n文です。"


def test_links_in_prose_stay():
    html = (
        "<p>詳しくは<a href=a>こちらの記事</a>を読んでください。</p><p><a href=b>https://example.com/</a></p><p>以上です。</p>"
    )
    assert extract_text(html) == "詳しくはこちらの記事を読んでください。\nhttps://example.com/\n以上です。"


def test_rows_titles_problems_and_charsets_are_in_order():
    page = "<title> 題\n名 </title><meta charset=x-sjis><p>吾輩は猫である。名前はまだ無い。</p>"
    done = extract(
        page.encode("cp932"), "地の文 <p>".encode("euc_jp"), b"", "<p>文。</p>".encode(), bytes(range(128, 256)) * 9,
        charsets=[None, "euc-jp", None, "utf-8", None], html=[True, False, True, True, False],
    )  # fmt: skip
    assert texts(done) == ["吾輩は猫である。名前はまだ無い。", "地の文 <p>", "", "文。", ""]
    assert done.titles == ["題名", None, None, None, None]
    assert done.charsets == ["cp932", "euc_jp", "utf_8", "utf_8", None]
    assert [bool(problem) for problem in done.problems] == [False, False, False, False, True]
    assert done.replaced.tolist() == [0] * 5


def test_no_documents():
    done = extract()
    assert (len(done.data), len(done.starts), done.titles, done.problems) == (0, 0, [], [])


def test_parts_of_the_buffer_that_no_row_names_are_not_read():
    data = np.frombuffer(b"garbage<p>a</p>garbage", np.uint8)
    done = extract_documents(data, np.array([7]), np.array([15]), [None], np.array([True]))
    assert texts(done) == ["a"]


@pytest.mark.parametrize(
    ("html", "limit"),
    [
        (b"<div>" * 100_000, MAX_DEPTH),
        (b"<div>" * 100_000 + b"x" + b"</div>" * 100_000, MAX_DEPTH),
        (b"<b><i>" * 50_000, MAX_DEPTH),
        (b"<table><tr><td>" * 30_000, MAX_DEPTH),
        (b"<br>" * (MAX_TAGS + 1), MAX_TAGS),
        (b"<p " + b" ".join(b"a%d=1" % i for i in range(MAX_ATTRIBUTES + 1)) + b">", MAX_ATTRIBUTES),
        (b"<p " + b"".join(b'a%d="1"' % i for i in range(MAX_ATTRIBUTES + 1)) + b">", MAX_ATTRIBUTES),
        (b"a" * (MAX_PAGE + 1), MAX_PAGE),
    ],
)
def test_what_exceeds_a_limit_is_refused_and_the_limit_named(html, limit):
    done = extract(html, b"<p>next</p>")
    assert f"more than {limit:,}" in str(done.problems[0])
    assert texts(done) == ["", "next"]


def test_many_tags_inside_deep_ones_are_refused():
    done = extract(b"<div>" * (MAX_DEPTH - 1) + b"<p>x" * 200_000)
    assert "nested too deeply to be parsed in a second" in str(done.problems[0])


@pytest.mark.parametrize(
    "html",
    [
        b"<div>" * (MAX_DEPTH - 1) + b"deep",
        b"<p>deep" * 50_000,
        b"<p>" + b"<br>deep" * 50_000,
        b"<script>" + b"<div>" * 100_000 + b"</script><p>deep",
        b"<!--" + b"<div>" * 100_000 + b"--><p>deep",
        b"<p title='" + b"<div>" * 100_000 + b"'>deep",
        b"<p>deep</p>" + b"<script>" * 10_000,
        b"<plaintext>" + b"<div>" * 100_000 + b"deep",
    ],
    ids=lambda html: html[:20].decode(),
)
def test_what_only_looks_hostile_is_read(html):
    done = extract(html)
    assert done.problems == [None]
    assert "deep" in texts(done)[0]


TAGS = "div p td tr table ul li a b svg math template select option form frameset noscript script title pre br ruby rt".split()
FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(TAGS)
        .flatmap(lambda tag: st.sampled_from([f"<{tag}>", f"</{tag}>", f"<{tag} class=nav href=#>", f"<{tag}/>", f"<{tag} "])),
        st.text(max_size=8),
        st.sampled_from(["&amp;lt;", "&#0;", "&#x110000;", "<!--", "-->", "<![CDATA[", "]]>", "\0", "漢字", "。", '"', "'"]),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS)
def test_any_tags_give_text_without_an_error(fragments):
    text = extract_text("".join(fragments))
    assert "\0" not in text


WORDS = st.text("あいうえお漢字ABC、。", min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p", "h2", "li", "div", "blockquote", "section"]), WORDS), max_size=20))
def test_every_paragraph_comes_once_and_on_its_own_line(paragraphs):
    html = "<body>" + "".join(f"<{tag}>{html_entities.escape(text)}</{tag}>" for tag, text in paragraphs)
    lines = Counter(re.split(r"[\n\t]", extract_text(html)))
    there = Counter(text for _, text in paragraphs)
    assert not lines - there - Counter([""])


@pytest.mark.parametrize(("chars", "lines"), [(59, [59]), (60, [20, 60])])
def test_from_so_many_characters_on_a_block_says_something(chars, lines):
    """Links stay beside text; where no block says anything, they are a menu."""
    links = "".join(f"<a href={i}>{'い' * 10}</a>" for i in range(2))
    assert [len(line) for line in extract_text(f"<div>{links}</div><div><p>{'あ' * chars}</p></div>").split("\n")] == lines
