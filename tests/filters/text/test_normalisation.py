import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.kernels import buffers, first_invalid
from filters.text.normalisation import drop_lines, normalise, normalise_spans

MODES = ("keep", "expand")

# Characters that the cleaning treats specially, or that interact with their neighbours.
DELICATE = [
    *"かがはばぱうヴワゝあラメァー漢々〆aeZ09",
    *"ｶﾊﾞﾟｰﾗﾒＡｚ０！＆～￣￥",
    *"\u3099\u309a\u309b\u309c",
    *"\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2500\u2501\u301c\u223c\u3030\ufe31\ufe32\ufe58\ufe63",
    *" \t\u3000\u00a0\u2003\u202f",
    *"\n\r\x0b\x0c\x85\u2028\u2029",
    *"\x00\x07\x1b\x7f\x9f\u00ad\u200b\u200e\u2060\ufeff\u202e",
    *"\u200c\u200d\ufe0f\U000e0100😀",
    *"\u0300\u0301\u0308\u0316\u0323\u0334\u0338\u0341\u0344\u0345\u0f71\u0f73\u0f74\u093c",
    *"éộ\u212b\u1ffd\u0958\u2f00\ufa19\U0002f800\u1100\u1161\u11a8가\u3131\u314f\uffa1\uffc2",
    *"①㍻㈱²½…︙㌀ゟヿ´¨ﬁﷺ\ufb2c\U0001d15e",
]
delicate_text = st.text(
    st.one_of(st.sampled_from(DELICATE), st.sampled_from(DELICATE), st.characters(codec="utf-8")), max_size=40
)


def clean(text, compatibility="keep"):
    return normalise(pl.Series([text]), compatibility).to_list()[0]


def spans(documents, compatibility="keep"):
    data = np.frombuffer(b"".join(documents), np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(d) for d in documents])]).astype(np.int64)
    return normalise_spans(data, offsets[:-1], offsets[1:], compatibility)


def texts_of(cleaned):
    raw = cleaned.data.tobytes()
    return [raw[a:b].decode() for a, b in zip(cleaned.offsets, cleaned.offsets[1:])]


def lines_of(cleaned, document):
    raw = cleaned.data.tobytes()
    at = cleaned.line_offsets[cleaned.first_line[document] : cleaned.first_line[document + 1] + 1]
    return [raw[a:b].decode() for a, b in zip(at, at[1:])]


def assert_clean(text):
    assert unicodedata.is_normalized("NFC", text)
    assert not any(ord(c) < 0x20 and c not in "\n\t" or 0x7F <= ord(c) < 0xA0 for c in text)
    if text:
        lines = text.split("\n")
        assert lines[0] and lines[-1]
        assert not any(line.endswith((" ", "\t", "\u3000")) for line in lines)
        assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # Half-width kana and voicing marks
        ("ﾊﾞ", "バ"),
        ("ｶﾞ", "ガ"),
        ("ﾊﾟ", "パ"),
        ("ｳﾞｧｲｵﾘﾝ", "ヴァイオリン"),
        ("ﾗｰﾒﾝ", "ラーメン"),
        ("か\u3099", "が"),
        ("は\u309a", "ぱ"),
        ("ヷ", "ヷ"),
        ("か゛", "が"),
        ("かﾞ", "が"),
        ("か\u200b\u3099", "が"),
        ("か ゛", "か ゛"),
        ("か\n゛", "か\n゛"),
        ("あ\u3099", "あ\u3099"),
        ("あ゛", "あ゛"),
        ("あﾞ", "あ゛"),
        ("が\u3099", "が\u3099"),
        ("｢ｱ､ｲ｡｣･", "「ア、イ。」・"),
        # Width
        ("ＡＢＣｘｙｚ０１２！？（）", "ABCxyz012!?()"),
        ("￥１００￡", "¥100£"),
        ("（￣▽￣）", "(¯▽¯)"),
        ("︙", "…"),
        # Prolonged sound mark and its lookalikes
        ("ラ―メン", "ラーメン"),
        ("ラ—メン", "ラーメン"),
        ("ラ–メン", "ラーメン"),
        ("ラ‒メン", "ラーメン"),
        ("ラ─メン", "ラーメン"),
        ("ラ━メン", "ラーメン"),
        ("ラ︲メン", "ラーメン"),
        ("ﾗ―ﾒﾝ", "ラーメン"),
        ("ラ―\u200bメン", "ラーメン"),
        ("コーヒ―", "コーヒ―"),
        ("は―と", "は―と"),
        ("は—と", "は―と"),
        ("ラ――メン", "ラ――メン"),
        ("ラ―\nメン", "ラ―\nメン"),
        ("2010–2020", "2010–2020"),
        # Waves and hyphens
        ("１０～２０", "10〜20"),
        ("10〜20", "10〜20"),
        ("10∼20", "10〜20"),
        ("−1 ‐ － ﹣", "-1 - - -"),
        # Spaces, controls, lines
        ("あ\u3000い\u00a0う\u2003え", "あ い う え"),
        ("\u3000字下げ", " 字下げ"),
        ("あ\u200bい\u2060う\u00adえ", "あいうえ"),
        ("\ufeffあ", "あ"),
        ("あ\x00い\x1bう\x7fえ", "あいうえ"),
        ("a\tb \t", "a\tb"),
        ("a\r\nb\r\n", "a\nb"),
        ("a\u2028b\u2029c\x0bd\x0ce\x85f", "a\nb\nc\nd\ne\nf"),
        ("\n\n a\n\n\n\nb \n \u3000\n\n", " a\n\nb"),
        ("a\n \u3000\t\n\u200b\nb", "a\n\nb"),
        (" \n\u3000\n", ""),
        ("", ""),
        # Canonical composition
        ("e\u0301", "é"),
        ("\u0301", "\u0301"),
        ("e\u0341", "é"),
        ("a\u0344", "ä\u0301"),
        ("か\u0316\u3099", "が\u0316"),
        ("あ\u3099\u0334", "あ\u0334\u3099"),
        ("\u212b", "Å"),
        ("\u1112\u1161\u11ab", "한"),
        ("\uffa1\uffc2", "ㄱㅏ"),
        ("\ufa19", "\u795e"),
        ("\U0002f800", "\u4e3d"),
        ("⼀⻭", "一⻭"),
        # Left alone
        ("①㍻㈱²½…", "①㍻㈱²½…"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("葛\U000e0100", "葛\U000e0100"),
        ("𠮷野家", "𠮷野家"),
        ("「々〆ヶ」、ヽヾゝゞ", "「々〆ヶ」、ヽヾゝゞ"),
    ],
)
def test_cleans(raw, expected):
    assert clean(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("①㍻㈱²½", "1平成(株)21\u20442"),
        ("㌀㌕", "アパートキログラム"),
        ("ラ―㌀", "ラーアパート"),
        ("…", "..."),
        ("㋐―ﾏ", "アーマ"),
        ("ㄱㅏ", "가"),
        ("か゛あ゛", "があ゛"),
        ("\u1ffd", " \u0301"),
    ],
)
def test_expands_compatibility_characters_when_asked(raw, expected):
    assert clean(raw, "expand") == expected


@pytest.mark.parametrize("mode", MODES)
@given(text=delicate_text)
@example(text="カ\u0334\u3099―ラ")
@settings(max_examples=200, deadline=None)
def test_output_is_clean_and_cleaning_it_changes_nothing(mode, text):
    once = clean(text, mode)
    assert_clean(once)
    assert clean(once, mode) == once


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frame", ["か{}ラ", "ラ―{}ラ", "e{}\u0301\u0316", "か\u0334{}\u3099"])
def test_every_character_between_neighbours(mode, frame):
    characters = [chr(cp) for cp in range(0x30000) if not 0xD800 <= cp < 0xE000]
    once = normalise(pl.Series([frame.format(c) for c in characters]), mode)
    assert (once == normalise(once, mode)).all()
    assert not [c for c, text in zip(characters, once) if not unicodedata.is_normalized("NFC", text)]


@given(documents=st.lists(delicate_text, max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_document_does_not_depend_on_its_batch(documents):
    together = normalise(pl.Series(documents, dtype=pl.String)).to_list()
    assert together == [clean(d) for d in documents]


@given(documents=st.lists(delicate_text, min_size=1, max_size=5), gap=st.binary(max_size=3))
@settings(max_examples=100, deadline=None)
def test_spans_need_not_touch(documents, gap):
    encoded = [d.encode() for d in documents]
    data = np.frombuffer(gap.join(encoded) + gap + b"\n", np.uint8)
    starts = np.cumsum([0] + [len(e) + len(gap) for e in encoded])[:-1].astype(np.int64)
    ends = starts + np.array([len(e) for e in encoded], np.int64)
    assert texts_of(normalise_spans(data, starts, ends)) == [clean(d) for d in documents]


@given(documents=st.lists(delicate_text, max_size=5))
@settings(max_examples=150, deadline=None)
def test_lines_partition_the_text(documents):
    cleaned = spans([d.encode() for d in documents])
    for d, text in enumerate(texts_of(cleaned)):
        assert lines_of(cleaned, d) == [line + "\n" for line in text.split("\n")[:-1]] + (
            [text.split("\n")[-1]] if text else []
        )


@pytest.mark.parametrize("breaks", range(1020, 1036))
def test_line_breaks_that_are_not_newlines_have_room(breaks):
    # Room for lines is guessed from the newlines, of which there are none here.
    cleaned = spans([("a\u2028" * breaks + "b").encode(), b"c", b"d"])
    assert np.diff(cleaned.first_line).tolist() == [breaks + 1, 1, 1]
    assert texts_of(cleaned) == ["a\n" * breaks + "b", "c", "d"]
    assert lines_of(cleaned, 2) == ["d"]


def test_expansions_have_room():
    text = "ﷺ" * 20_000
    assert clean(text) == unicodedata.normalize("NFKC", text)
    assert clean("㌀" * 30_000, "expand") == "アパート" * 30_000


def test_sliced_null_and_empty_columns():
    assert normalise(pl.Series("t", ["ｱ", "ｲ", None, "ｳ"])[1:]).to_list() == ["イ", "", "ウ"]
    assert normalise(pl.Series("t", [], dtype=pl.String)).to_list() == []
    assert normalise(pl.Series("t", ["ｱ"])).name == "t"
    data, offsets = buffers(pl.Series(["あ", None, "b"]))
    assert offsets.tolist() == [0, 3, 3, 4] and data[:4].tobytes() == "あb".encode()


def error_position(raw):
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1


@st.composite
def broken_utf8(draw):
    raw = bytearray(draw(st.text(st.sampled_from("aé漢あ\u07ff\u0800\ud7ff\uffff😀\U0010ffff"), max_size=8)).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(raw)


@given(raw=st.one_of(st.binary(max_size=12), broken_utf8()))
@example(raw=b"a\xc0\x80")
@example(raw=b"\xe0\x9f\xbf")
@example(raw="あ".encode() + b"\xed\xa0\x80")
@example(raw=b"\xf0\x8f\xbf\xbf")
@example(raw=b"\xf4\x90\x80\x80")
@example(raw=b"a\xf5\x80\x80\x80")
@example(raw="漢字".encode()[:-1])
@example(raw="😀".encode()[:-1])
@settings(max_examples=200, deadline=None)
def test_invalid_utf8_is_found_where_python_finds_it(raw):
    expected = error_position(raw)
    data = np.frombuffer(b"xx" + raw + b"\x80", np.uint8)  # what follows the document must not complete it
    found = first_invalid(data, 2, 2 + len(raw))
    assert (found - 2 if found >= 0 else -1) == expected
    cleaned = spans(["前".encode(), raw, "ｱ".encode()])
    assert cleaned.invalid.tolist() == [-1, expected, -1]
    assert texts_of(cleaned) == ["前", clean(raw.decode()) if expected < 0 else "", "ア"]


def without(text, dropped):
    kept = [line for line, drop in zip(text.split("\n"), dropped) if not drop]
    lines = [line for i, line in enumerate(kept) if line or i and kept[i - 1]]
    return "\n".join(lines).strip("\n")


@given(data=st.data(), documents=st.lists(st.text(st.sampled_from("あa\n\n \u0301"), max_size=25), max_size=5))
@settings(max_examples=200, deadline=None)
def test_drop_lines(data, documents):
    cleaned = spans([d.encode() for d in documents])
    lines = len(cleaned.line_offsets) - 1
    dropped = np.array(data.draw(st.lists(st.booleans(), min_size=lines, max_size=lines)), bool)
    out, offsets, n_lines, n_chars = drop_lines(cleaned, dropped)
    for d, text in enumerate(texts_of(cleaned)):
        marks = dropped[cleaned.first_line[d] : cleaned.first_line[d + 1]]
        assert out[offsets[d] : offsets[d + 1]].tobytes().decode() == without(text, marks)
        assert n_lines[d] == marks.sum()
        assert n_chars[d] == sum(len(line) for line, drop in zip(lines_of(cleaned, d), marks) if drop)
