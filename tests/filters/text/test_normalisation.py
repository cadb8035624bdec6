import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.kernels import buffers, first_invalid
from filters.text.changes import changes
from filters.text.changes_document import format_changes
from filters.text.normalisation import drop_lines, normalise, normalise_spans

MODES = (("keep", "letters"), ("expand", "letters"), ("keep", "keep"), ("keep", "fold"), ("expand", "fold"))

ROOT = Path(__file__).resolve().parents[3]

# Characters that the cleaning treats specially, or that interact with their neighbours.
DELICATE = [
    *"かがはばぱうヴワゝあラメァー漢々〆aeZ09",
    *"ｶﾊﾞﾟｰﾗﾒＡｚ０！＆～￣￥．，：－角",
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
# Words that settle what is done about dashes, widths and spaces.
WORDS = [
    "全角",
    "サ―バ―",
    "サーバー",
    "データ-ベース",
    "１．５",
    "１，０００",
    "こ の 文 書 は 日 本 語 で す 。",
    "メ ー タ ",
    "m a ",
    "fullwidth",
]
delicate_text = st.lists(
    st.one_of(st.sampled_from(DELICATE), st.sampled_from(DELICATE), st.characters(codec="utf-8"), st.sampled_from(WORDS)),
    max_size=40,
).map("".join)


def clean(text, compatibility="keep", width="letters"):
    return normalise(pl.Series([text]), compatibility, width).to_list()[0]


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
        ("ｷﾀ゛゛゛", "キタ゛゛゛"),
        ("あ\u3099", "あ\u3099"),
        ("あ゛", "あ゛"),
        ("あﾞ", "あ゛"),
        ("が\u3099", "が\u3099"),
        ("｢ｱ､ｲ｡｣･", "「ア、イ。」・"),
        # Width
        ("ＡＢＣｘｙｚ０１２", "ABCxyz012"),
        ("２０２０年", "2020年"),
        ("１．５倍、１，０００円、１２：３０", "1.5倍、1,000円、12:30"),
        ("Ｅ－ｍａｉｌ、Ｐ＆Ｇ、１／２、ｘ＝１", "E-mail、P&G、1/2、x=1"),
        ("１０～２０", "10〜20"),
        ("10〜20", "10〜20"),
        # … not where the text speaks of it
        ("全角のＡと半角のA", "全角のＡと半角のA"),
        ("Ａ is full-width, ｶﾞ is HALFWIDTH", "Ａ is full-width, ｶﾞ is HALFWIDTH"),
        ("２バイト文字", "２バイト文字"),
        ("「〜」は波ダッシュ、「～」は違う", "「〜」は波ダッシュ、「～」は違う"),
        ("三角のＡ、全員が角のＡへ", "三角のA、全員が角のAへ"),
        # Signs are signs of their own
        ("そうか！（笑）", "そうか！（笑）"),
        ("である．また，１．はじめに", "である．また，1．はじめに"),
        ("１，２，３の順、３１，２度", "1，2，3の順、31，2度"),
        ("ジャン＝ジャック・ルソー、￥100", "ジャン＝ジャック・ルソー、￥100"),
        ("（￣▽￣）(╯°□°)╯︵ ┻━┻", "（￣▽￣）(╯°□°)╯︵ ┻━┻"),
        ("こい／＼、こゝろ／″＼", "こい／＼、こゝろ／″＼"),
        ("10∼20 〰️ 〰", "10∼20 〰️ 〰"),
        ("−1 ‐ － ﹣ – —", "−1 ‐ － ﹣ – —"),
        ("ℝ ℂ ℤ 𝐱 𝑥", "ℝ ℂ ℤ 𝐱 𝑥"),
        ("≪≫＜＞“”‘’：；…‥", "≪≫＜＞“”‘’：；…‥"),
        ("︑︒﹁﹂", "、。「」"),
        # Mistyped prolonged sound marks
        ("サ―バ―を止める", "サーバーを止める"),
        ("コンピュ−タとデ—タ", "コンピュータとデータ"),
        ("ユ－ザ－、メ─ル、ロ━プ", "ユーザー、メール、ロープ"),
        ("サ-ビス ｻ-ﾋﾞｽ", "サービス サービス"),
        ("ラ―\u200bメン", "ラーメン"),
        ("ア―ッと叫ぶ", "アーッと叫ぶ"),
        ("ワ―リャ。ワーリャと云ふ子", "ワーリャ。ワーリャと云ふ子"),
        ("ベルリン―ロオマ行", "ベルリン―ロオマ行"),
        ("ミラー–ラビン、フーリエ−モツキン", "ミラー–ラビン、フーリエ−モツキン"),
        ("ハーディ–ワインベルク", "ハーディ–ワインベルク"),
        ("セブン-イレブン、データ-ベース、パリ―東京", "セブン-イレブン、データ-ベース、パリ―東京"),
        ("ブルジョア―ジャーナリズム、ア－オ", "ブルジョア―ジャーナリズム、ア－オ"),
        ("リーブル-スー", "リーブル-スー"),
        ("は―と", "は―と"),
        ("ラ――メン", "ラ――メン"),
        ("ラ―\nメン", "ラ―\nメン"),
        ("2010–2020", "2010–2020"),
        # Letters spaced out
        ("こ の 文 書 は 日 本 語 で す 。", "この文書は日本語です。"),
        ("こ の  文 書 は　日 本 語 で す 。", "この 文書は日本語です。"),
        ("目 次\n第 一 章\nお わ り", "目 次\n第 一 章\nお わ り"),
        (
            "あ い う え お か き く け こ さ し す せ そ た ち つ て と",
            "あ い う え お か き く け こ さ し す せ そ た ち つ て と",
        ),
        ("月 火 水 木 金 土 日 月 火 水 木 金 土 日 月 火 水 木", "月 火 水 木 金 土 日 月 火 水 木 金 土 日 月 火 水 木"),
        # Spaces, controls, lines
        ("あ\u3000い\u00a0う\u2003え", "あ\u3000い う え"),
        ("\u3000字下げ\u3000\n\u3000", "\u3000字下げ"),
        ("あ\u200bい\u2060う\u00adえ", "あいうえ"),
        ("\ufeffあ", "あ"),
        ("あ\x00い\x1bう\x7fえ", "あいうえ"),
        ("a\tb \t", "a\tb"),
        ("a\r\nb\r\n", "a\nb"),
        ("a\r\r\nb\rc", "a\nb\nc"),
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
        ("\ufa19", "\u795e"),
        ("\U0002f800", "\u4e3d"),
        ("⼀⻭⽇⻑", "一歯日長"),
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
        ("ラ―㌀", "ラ―アパート"),
        ("…", "..."),
        ("㋐―ﾏ", "アーマ"),
        ("ㄱㅏ", "가"),
        ("か゛あ゛", "があ゛"),
        ("\u1ffd", " \u0301"),
    ],
)
def test_expands_compatibility_characters_when_asked(raw, expected):
    assert clean(raw, "expand") == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ＡＢＣ０１２！？（）", "ABC012!?()"),
        ("￥１００￡（￣▽￣）", "¥100£(¯▽¯)"),
        ("\u3000である．また，−1 ‐ － ﹣ は—と", " である.また,-1 - - - は―と"),
        ("全角Ａ", "全角A"),
    ],
)
def test_folds_every_width_when_asked(raw, expected):
    assert clean(raw, width="fold") == expected


def test_keeps_every_width_when_asked():
    assert clean("ＡＢＣ１．５ｶﾞｷ～\u3000", width="keep") == "ＡＢＣ１．５ｶﾞｷ～"


def test_counts_the_spaces_that_were_taken_out():
    assert spans(["こ の 文 書 は 日 本 語 で す 。".encode(), "目 次".encode()]).joined.tolist() == [10, 0]


def changed_characters(compatibility, width):
    """Every character up to plane 1 that is cleaned to another one where it stands between two letters."""
    frames = [chr(cp) for cp in range(0x20000) if not 0xD800 <= cp < 0xE000 and chr(cp) != "\n"]
    cleaned = normalise(pl.Series([f"x{c}x" for c in frames]), compatibility, width)
    return {ord(c) for c, text in zip(frames, cleaned) if text != f"x{c}x"}


@pytest.mark.parametrize(("compatibility", "width"), MODES)
def test_nothing_changes_but_for_a_listed_reason(compatibility, width):
    listed = {cp for change in changes(compatibility, width) for cp in change.characters}
    combining = {cp for cp in range(0x300, 0x20000) if unicodedata.combining(chr(cp))}
    assert changed_characters(compatibility, width) - combining <= listed


def test_listed_characters_change():
    # But for signs, which go with full-width letters, voicing marks, and line breaks that belong to a line feed.
    listed = {cp for change in changes() if "sign" not in change.name for cp in change.characters}
    assert listed - changed_characters("keep", "letters") <= {0x3099, 0x309A}


def test_the_document_on_cleaning_is_that_of_the_table():
    assert (ROOT / "docs" / "cleaning.md").read_text("utf-8") == format_changes()


@pytest.mark.parametrize("mode", MODES)
@given(text=delicate_text)
@example(text="カ\u0334\u3099―ラ")
@example(text="\u00b4\u0316")  # becomes a space and a mark, which the second mark belongs before
@example(text="こ の 文 書 は 日 本 語 サ ― バ ― で す 。")
@example(text="こ の 文 書 は 日 本 語 で す 。m a \u0300")
@example(text="１．５fullwidth\u3099\u0308")
@example(text="１．５fullwidth\u0f73\u0308")
@example(text="１．５fullwidth ")
@example(text="全角\u0344１．５")
@example(text="こ の 文 書 は 日 本 語 で す 。メ ー タ \u309b")
@example(text="ラ\ufe31ラ")
@settings(max_examples=150, deadline=None)
def test_output_is_clean_and_cleaning_it_changes_nothing(mode, text):
    once = clean(text, *mode)
    assert_clean(once)
    assert clean(once, *mode) == once


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("frame", ["か{}ラ", "ラ―{}ラ", "e{}\u0301\u0316", "か\u0334{}\u3099", "{}\u0316", "１{}１"])
def test_every_character_between_neighbours(mode, frame):
    characters = [chr(cp) for cp in range(0x30000) if not 0xD800 <= cp < 0xE000]
    once = normalise(pl.Series([frame.format(c) for c in characters]), *mode)
    assert (once == normalise(once, *mode)).all()
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
    assert clean(text, "expand") == unicodedata.normalize("NFKC", text)
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


@pytest.mark.parametrize("mark", ["\u0301", "\u3099"])
def test_of_a_stack_thirty_marks_stay(mark):
    """UAX #15-D4: what is in Stream-Safe Text Format has at most 30 in a row."""
    for count, left in ((30, 30), (31, 30), (300, 30)):
        cleaned = clean("q" + mark * count + "の")
        assert cleaned.count(mark) == left and cleaned.endswith("の")


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
