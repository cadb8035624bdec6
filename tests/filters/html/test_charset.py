"""Charsets: what is declared, what lies, and what nobody can read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.html.charset import decode, find_codec, find_meta_label

TEXT = """吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。
何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。
吾輩はここで始めて人間というものを見た。しかもあとで聞くとそれは書生という人間中で一番獰悪な種族であったそうだ。"""
SHORT = "特定商取引法に基づく表記"
CODECS = ("utf_8", "cp932", "euc_jp", "iso2022_jp")
LABELS = (
    None,
    "UTF-8",
    "Shift_JIS",
    "EUC-JP",
    "ISO-2022-JP",
    "iso-8859-1",
    "gb2312",
    "big5",
    "euc-kr",
    "windows-1251",
    "x-unknown",
)


def text_of(data: bytes, label: str | None = None, html: bool = True) -> str:
    done = decode(data, label, html)
    assert done.problem is None, done.problem
    return bytes(done.data).decode()


def page(text: str, charset: str) -> str:
    return f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={charset}"></head><body><p>{text}</p></body></html>'


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("codec", CODECS)
def test_what_the_header_says_is_not_believed_where_it_lies(codec, label):
    assert text_of(TEXT.encode(codec), label) == TEXT


@pytest.mark.parametrize("said", ["utf-8", "shift_jis", "euc-jp", "iso-8859-1", "gb2312"])
@pytest.mark.parametrize("codec", CODECS)
def test_what_meta_says_is_not_believed_where_it_lies(codec, said):
    html = page(TEXT, said)
    assert text_of(html.encode(codec)) == html


@pytest.mark.parametrize("codec", ["cp932", "euc_jp"])
def test_a_title_of_kanji_is_read_as_declared(codec):
    assert text_of(SHORT.encode(codec), codec) == SHORT
    assert text_of(page(SHORT, codec).encode(codec)) == page(SHORT, codec)


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp949", "나는 고양이로소이다. 이름은 아직 없다. 어디서 태어났는지 전혀 짐작이 가지 않는다. 서울은 대한민국의 수도이다."),
        ("gb18030", "我是猫，还没有名字。国际会议于星期四结束，没有任何进展。北京是中华人民共和国的首都和政治文化中心。"),
        ("big5hkscs", "我是貓，還沒有名字。國際會議於星期四結束，沒有任何進展。臺北是中華民國的首都和政治文化中心。"),
        ("cp1251", "Я — кот, имени у меня пока нет. Международная встреча закончилась в четверг."),
        ("cp1252", "L’élève étudie à l’école; c’est déjà l’été. Où êtes-vous né?"),
    ],
)  # fmt: skip
def test_other_languages_are_read_as_declared_and_found_where_it_says_shift_jis(codec, text):
    assert text_of(text.encode(codec), codec) == text
    assert text_of(text.encode(codec), "shift_jis") == text


@pytest.mark.parametrize("label", [None, "iso-8859-1", "utf-8", "shift_jis", "windows-1252", "windows-1251", "euc-jp"])
@pytest.mark.parametrize(
    "text", ["é", "Ça va être déjà l’été à Nîmes.", "Привет, мир", "naïve café", "Ελληνικά", "© 2024 Müller"]
)
def test_western_text_in_utf_8_is_utf_8_whatever_it_says(text, label):
    assert text_of(text.encode(), label) == text


@pytest.mark.parametrize("label", ["x-sjis", "Shift-JIS", "windows-31J", "MS_Kanji", "sjis", '"shift_jis"', "csShiftJIS"])
def test_names_of_shift_jis(label):
    assert find_codec(label) == "cp932"


@pytest.mark.parametrize(
    "label", ["rot13", "zip", "base64", "unicode_escape", "utf-7", "idna", "mbcs", "", None, "\0", "あ", "x" * 10_000]
)
def test_labels_that_are_no_charset_of_the_web(label):
    assert find_codec(label) is None


@pytest.mark.parametrize(
    ("html", "label"),
    [
        (b'<meta charset="euc-jp">', "euc-jp"),
        (b"<META HTTP-EQUIV=Content-Type CONTENT='text/html; charset=x-sjis'>", "x-sjis"),
        (b'<?xml version="1.0" encoding="Shift_JIS"?><html>', "Shift_JIS"),
        (b'<!-- <meta charset="euc-jp"> --><meta charset=utf-8>', "utf-8"),
        (b"<meta <meta <meta charset", None),
        (b"<p>charset=utf-8</p>", None),
        (b"x" * 9000 + b"<meta charset=utf-8>", None),
    ],
)
def test_what_the_head_of_a_page_names(html, label):
    assert find_meta_label(html) == label


def test_characters_of_nec_and_ibm():
    text = "①②㈱髙﨑№ⅣはTEXTにある機種依存文字です。" + TEXT
    assert text_of(text.encode("cp932"), "shift_jis") == text
    # EUC-JP of the web has the rows of cp932 where JIS X 0208 has none.
    euc = b"\xad\xa1\xad\xa2 " + TEXT.encode("euc_jp")
    assert text_of(euc, "euc-jp") == "①② " + TEXT
    jis = b"\x1b$B\x2d\x21\x1b(B " + TEXT.encode("iso2022_jp")
    assert text_of(jis, "iso-2022-jp") == "① " + TEXT


def test_half_width_katakana_and_jis_x_0212():
    text = "ｱｲｳｴｵ。" + TEXT
    assert text_of(text.encode("cp932"), "shift_jis") == text
    assert text_of(b"\x1b(I" + bytes(range(0x31, 0x36)) + b"\x1b(B" + TEXT.encode("iso2022_jp")) == "ｱｲｳｴｵ" + TEXT
    assert text_of(("鷗外" + TEXT).encode("euc_jp"), "euc-jp") == "鷗外" + TEXT


@pytest.mark.parametrize("codec", ["utf_8_sig", "utf_16", "utf_32"])
def test_a_byte_order_mark_outweighs_what_is_declared(codec):
    assert text_of(TEXT.encode(codec), "shift_jis") == TEXT


@pytest.mark.parametrize("codec", ["utf_16_le", "utf_16_be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(codec):
    html = page(TEXT, "utf-16")
    assert text_of(html.encode(codec)) == html


def test_ascii_is_what_it_is():
    assert text_of(b"plain text", "euc-jp") == "plain text"
    assert text_of(b"") == ""


def test_a_page_that_was_cut_off_loses_its_last_character_only():
    assert text_of(TEXT.encode()[:-2], "utf-8") == TEXT[:-1]
    assert text_of(TEXT.encode("cp932")[:-1], "shift_jis") == TEXT[:-1]


def test_a_broken_byte_is_counted_and_seen():
    body = (TEXT * 3).encode()
    place = len(TEXT[:50].encode())
    done = decode(body[:place] + b"\xff" + body[place:], "utf-8")
    assert (done.codec, done.replaced, done.problem) == ("utf_8", 1, None)
    assert bytes(done.data).decode().replace("\ufffd", "") == TEXT * 3


def test_what_no_charset_fits_has_a_problem():
    noise = bytes(range(128, 256)) * 20
    done = decode(noise, "euc-jp")
    assert done.problem == "no charset fits these bytes (declared: 'euc-jp')"
    assert len(done.data) == 0


def test_what_is_no_text_has_a_problem():
    done = decode(bytes(range(1, 32)) * 10)
    assert done.problem is not None and done.problem.startswith("this is not text: ")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(LABELS))
def test_any_bytes_become_valid_utf_8_or_a_problem(data, label):
    done = decode(data, label)
    text = bytes(done.data).decode()
    assert done.problem is None or text == ""
    assert done.replaced == 0 or "\ufffd" in text


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        st.characters(codec="cp932", exclude_categories=["Cc", "Cs", "Co"], exclude_characters="¢£¬‖−〜"),
        min_size=1,
        max_size=40,
    )
)
def test_text_that_says_truly_what_it_is_in_comes_back(text):
    assert text_of((TEXT + text).encode("cp932"), "shift_jis") == TEXT + text
    assert text_of((TEXT + text).encode(), "utf-8") == TEXT + text
