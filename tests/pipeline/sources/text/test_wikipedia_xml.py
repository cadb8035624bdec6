import bz2
import hashlib
import re
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.text.wikipedia_xml import WikipediaXmlSource, parse_page
from tests.pipeline.sources.text.helpers import cut_in_chunks
from tests.support.wikipedia import END, HEAD, page


class Cut(WikipediaXmlSource):
    """The source, for bytes that do not begin like a dump as well."""

    def check_head(self, file, head):
        pass


SOURCE = Cut()
SIZES = st.one_of(st.integers(8, 400), st.just(10_000))
CHUNKS = st.one_of(st.integers(8, 80), st.just(10_000))

# What stands in a dump.
TEXT = st.text(st.sampled_from("東京<>&\n a{}[]/page"), max_size=12)
PAGE = TEXT.map(lambda text: page("甲", text).encode())
BROKEN = st.sampled_from(
    [
        b"<page>",
        b"<page><title>x",
        b"<page>\xff</page>",
        b"junk",
        b"</page>",
        b"<pag",
        b"<mediawiki ",
        b"<?xml ",
        b"<revision>x</page>",
        b"<siteinfo>x",
    ]
)
GAP = st.sampled_from([b"", b"\n", b"  \n", b"\r\n\t"])


OUTSIDE = re.compile(
    rb"(?:[ \n\r\t]|\xef\xbb\xbf|<siteinfo>(?:(?!<page>).)*?</siteinfo>|</mediawiki>|<mediawiki[^<>]*>|<\?[^<>]*>)*",
    re.DOTALL,
)


def split_pages(raw):
    """The definition: documents by offset."""
    documents, start = [], OUTSIDE.match(raw).end()
    while start < len(raw):
        end = raw.find(b"<page>", start + 1) % (len(raw) + 1)
        if raw.startswith(b"<page>", start) and b"</page>" in raw[start:end]:
            end = raw.index(b"</page>", start) + len(b"</page>")
        documents.append((start, raw[start:end].rstrip(b" \n\r\t")))
        start = OUTSIDE.match(raw, end).end()
    return documents


@st.composite
def dumps(draw):
    raw = draw(st.sampled_from([b"", HEAD.encode(), b"\xef\xbb\xbf" + HEAD.encode()]))
    for piece in draw(st.lists(st.one_of(PAGE, PAGE, BROKEN), max_size=6)):
        raw += draw(GAP) + piece
    return raw + draw(st.sampled_from([b"", b"\n", END.encode(), (END + HEAD).encode() + page("終", "").encode()]))


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Cut bytes as a file: (ranges, documents by offset, state)."""
    folder = tmp_path_factory.mktemp("cut")

    def cut_bytes(raw, *sizes, **options):
        ranges, rows, state = cut_in_chunks(SOURCE, folder / "raw", raw, *sizes, **options)
        found = []
        for one in rows:
            found += [*zip(one.frame["locator"], one.frame["problem"], one.frame.to_dicts(), texts(one))]
        return ranges, found, state

    return cut_bytes


def texts(rows):
    return [
        rows.text.data[start:end].tobytes().decode("utf-8", "replace") for start, end in zip(rows.text.starts, rows.text.ends)
    ]


def parse(raw):
    try:
        return parse_page(raw)["text"]
    except ValueError:
        return None


@given(dump=dumps(), partition=st.integers(len(HEAD.encode()) + 3, 2000), chunk=CHUNKS)
@settings(max_examples=150, deadline=None)
def test_documents_and_offsets_are_those_of_the_definition(cut, dump, partition, chunk):
    raw, documents = dump, split_pages(dump)
    ranges, found, state = cut(raw, partition, chunk)
    assert [f[0] for f in found] == [offset for offset, _ in documents]
    for (_, problem, _, text), (_, document) in zip(found, documents):
        assert text == parse(document) if problem is None else parse(document) is None
        assert problem is None or text == document.decode("utf-8", "replace")
    assert [r.line for r in ranges] == [1 + raw[: r.start].count(b"\n") for r in ranges]
    assert all(a.end <= b.start for a, b in zip(ranges, ranges[1:]))
    assert state.size == len(raw) and state.checksum == hashlib.sha256(raw).hexdigest()
    assert (state.damage is None) == (raw.rstrip().endswith(b"</mediawiki>") or not raw)


@given(dump=dumps(), partition=st.integers(len(HEAD.encode()) + 3, 2000), chunks=st.tuples(CHUNKS, CHUNKS), data=st.data())
@settings(max_examples=100, deadline=None)
def test_cutting_goes_on_from_any_range(cut, dump, partition, chunks, data):
    ranges, found, state = cut(dump, partition, chunks[0])
    done = data.draw(st.integers(0, len(ranges)))
    start = ranges[done - 1].end if done else 0
    rest, rest_found, rest_state = cut(dump, partition, chunks[1], start=start)
    assert rest == ranges[done:]
    assert [f[::3] for f in rest_found] == [f[::3] for f in found if f[0] >= start]
    assert (rest_state.size, rest_state.checksum, rest_state.damage) == (state.size, state.checksum, state.damage)


@given(dump=dumps(), partition=st.integers(len(HEAD.encode()) + 3, 2000), limit=st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_limit(cut, dump, partition, limit):
    _, found, state = cut(dump, partition, limit=limit)
    assert [f[0] for f in found] == [offset for offset, _ in split_pages(dump)][:limit]
    assert state.damage is None


def test_a_page_has_its_metadata(cut):
    raw = (
        HEAD
        + page("東京都 (行政)", "'''東京'''<ref>&</ref>", page_id=7)
        + page("江戸", "#転送 [[東京]]", redirect="東京都")
        + END
    )
    _, found, _ = cut(raw.encode())
    assert [f[3] for f in found] == ["'''東京'''<ref>&</ref>", "#転送 [[東京]]"]
    assert found[0][2] | {"locator": 0} == {
        "locator": 0, "problem": None, "title": "東京都 (行政)", "date": "2024-01-02T03:04:05Z", "wikitext": True, "page_id": 7,
        "namespace": 0, "redirect": None,
        "url": "https://ja.wikipedia.org/wiki/%E6%9D%B1%E4%BA%AC%E9%83%BD_(%E8%A1%8C%E6%94%BF)",
    }  # fmt: skip
    assert found[1][2]["redirect"] == "東京都"


def test_a_dump_without_a_header_has_no_urls(cut):
    assert cut((page("甲", "乙") + END).encode())[1][0][2]["url"] is None


def test_the_last_of_several_revisions_counts():
    history = page("甲", "新").replace(
        "<revision>", "<revision><timestamp>2001-01-01T00:00:00Z</timestamp><text>旧</text></revision><revision>"
    )
    assert parse_page(history.encode())["text"] == "新"
    assert (
        parse_page(b"<page><title>a</title><ns>0</ns><id>1</id><revision><text deleted='deleted' /></revision></page>")["text"]
        == ""
    )


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("<page><title>a</title><ns>0</ns>", "no end"),
        ("<page><title>a</page>", "no well-formed XML (mismatched tag"),
        ("<page><title>a</title><ns>0</ns><revision><text>&b;&f;</text></revision></page>", "no well-formed XML (undefined entity"),
        (f"<page>{BOMB}<title>&b;</title></page>", "no well-formed XML"),
        ("<page><title>a</title><ns>x</ns><revision/></page>", "<ns> is no number but 'x'"),
        ("<page><ns>0</ns><revision/></page>", "no title"), ("<page><title>a</title><ns>0</ns></page>", "no revision"),
        ("<page><title>&#8;</title></page>", "no well-formed XML"),
        ("<page><title>\ud800</title></page>", "no well-formed XML"),
        (BOMB, "belongs to none"), ("junk</page>", "belongs to none"),
    ],
)  # fmt: skip
def test_a_broken_page_is_one_unreadable_record(cut, raw, problem):
    broken = raw.encode("utf-8", "surrogatepass")
    dump = HEAD.encode() + page("甲", "前").encode() + broken + b"\n" + page("乙", "後").encode() + END.encode()
    _, found, state = cut(dump)
    assert [f[3] for f in found if f[1] is None] == ["前", "後"]
    ((offset, told, _, excerpt),) = [f for f in found if f[1] is not None]
    line = 1 + dump[:offset].count(b"\n")
    assert told.startswith(f"no page that can be read, in line {line}: ") and problem in told
    assert excerpt == broken.decode("utf-8", "replace") and state.damage is None


def test_entities_are_characters():
    raw = page("甲", "X").replace("X", "&lt;br&gt;&amp;lt;&#x3042;&#12354;&quot;")
    assert parse_page(raw.encode())["text"] == '<br>&lt;ああ"'


def test_a_page_that_is_too_large_is_one_record(cut):
    raw = HEAD + page("甲", "前") + page("乙", "大" * 3000) + page("丙", "後") + END
    ranges, found, state = cut(raw.encode(), 700, 256, max_document=2000)
    assert [f[1] is None for f in found] == [True, False, True]
    assert "over source.max_document = 2,000" in found[1][1] and state.damage is None
    again, _, _ = cut(raw.encode(), 700, 512, max_document=2000, start=ranges[1].end)
    assert again == ranges[2:]


def test_a_dump_that_is_cut_off_is_damaged(cut):
    raw = (HEAD + "\n".join(page(f"題{i}", f"本文{i}") for i in range(50))).encode()
    ranges, found, state = cut(raw, 2000)
    assert len(found) == 50 and all(f[1] is None for f in found)
    assert "ends too early" in state.damage
    assert cut(raw, 2000, start=ranges[-1].end)[2].damage == state.damage
    packed = bz2.compress((raw.decode() + END).encode())
    assert cut(packed, 2000)[2].damage is None and len(cut(packed, 2000)[1]) == 50
    assert cut(bz2.compress(raw), 2000, start=ranges[-1].end)[2].damage == state.damage
    _, found, state = cut(raw[: len(raw) - 30], 2000)
    assert "no end: </page> is missing" in found[-1][1] and "ends too early" in state.damage


def test_several_streams_of_bzip2_are_one_dump(cut):
    parts = [HEAD, *(page(f"題{i}", escape("<b>本文</b>")) for i in range(5)), END]
    _, found, state = cut(b"".join(bz2.compress(part.encode()) for part in parts), 900)
    assert len(found) == 5 and state.damage is None
