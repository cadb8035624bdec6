import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters import compute, normalise
from filters.kernels import buffers
from filters.transcript.agreement import reading_error_rates
from filters.transcript.edit_distance import LONGEST, error_rates
from filters.transcript.readings import choices, katakana, morae, readings

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "speech"
KANA = st.text(
    alphabet="アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンーャュョッヂヅヴ",
    max_size=40,
)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def one(text, dictionary="unidic"):
    return readings(pl.Series([text]), dictionary)[0]


# -- readings


@pytest.mark.parametrize("dictionary", ["unidic", "sudachi"])
@pytest.mark.parametrize(
    ("one_way", "another"),
    [("分かる", "わかる"), ("3台のバス", "三台のバス"), ("私は学校へ行きます。", "わたしは、学校へ行きます"),
     ("今日は", "きょうは"), ("170cm", "一七〇センチ"),
     ("1600倍", "千六百倍"), ("経済の綜合", "経済の総合")],
)  # fmt: skip
def test_what_sounds_the_same(dictionary, one_way, another):
    pair = readings(pl.Series([one_way, another]), dictionary)
    assert error_rates(pair[:1], pair[1:], by_sound=True)[0] == 0, pair.to_list()


def test_readings():
    assert one("昨日、東京へ行った。") == "キノートーキョーエイッタ"
    assert one("これはＣＤです").endswith("デス") and "シーディー" in one("これはCDです")
    assert one("えっ!?") == "エッ" and one("……。") == "" and one("") == ""
    assert readings(pl.Series([None, "猫"], dtype=pl.String)).to_list() == [None, "ネコ"]
    assert len(readings(pl.Series([], dtype=pl.String))) == 0
    assert one("犬\0猫\n鳥") == "イヌネコトリ"
    assert katakana("あいウえ゛1") == "アイウエ゛1"


def test_words_that_no_dictionary_has_are_still_read():
    assert one("ニュムペーとンゴロフ") == "ニュムペートンゴロフ"
    assert one("囧") in ("囧", one("囧")) and one("𠮷")  # at least the same on both sides


@settings(deadline=None)
@given(
    st.lists(st.one_of(ANYTHING, st.text(alphabet="犬猫が好きです。1,.%〇一A ァー\t\n", max_size=30)), min_size=1, max_size=6)
)
def test_readings_do_not_depend_on_what_stands_beside(texts):
    whole = readings(normalise(pl.Series(texts, dtype=pl.String), width="fold"))
    alone = [readings(normalise(pl.Series([text], dtype=pl.String), width="fold"))[0] for text in texts]
    assert whole.to_list() == alone
    assert not whole.str.contains(r"[\s\p{Hiragana}]").any()


@pytest.mark.parametrize("dictionary", ["unidic", "sudachi"])
@settings(deadline=None)
@example("好きなのはCD")
@example("NHK")
@example("😀ＣＤ")
@example("犬\nCD")
@example("20")
@example("囧7")
@example("何二本")
@example("3½")
@given(st.one_of(ANYTHING, st.text(alphabet="犬猫が好きです。1,.%〇一二十何数万本日分第VIA aＣ😀 ァー〜-/:\t\n", max_size=30)))
def test_a_full_stop_changes_nothing(dictionary, text):
    assert one(text, dictionary) == one(f"{text}。", dictionary)
    assert one(text, dictionary) == "".join(ways[0] for ways in choices(pl.Series([text]), dictionary)[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("好きなのはCD", "スキナノワシーディー"), ("CD、好き", "シーディースキ"), ("犬\nCD\n猫", "イヌシーディーネコ"),
     ("😀NHK😀", "エヌエイチケー"), ("ＣＤ", "シーディー"), ("YouTube", "ユーチューブ"), ("Wi-Fi", "ワイファイ"), ("NASA", "ナサ"),
     ("Takahashi", "タカハシ"), ("OKです", "オーケーデス"),
     ("ChatGPT", "チャットジーピーティー"), ("Q&A", "キューアンドエー"), ("KDDI", "ケーディーディーアイ"), ("apple", "アップル")],
)  # fmt: skip
def test_latin_letters(text, expected):
    assert one(text) == expected


def test_a_very_long_transcript_is_read():
    assert len(one("今日は良い天気です。" * 10_000)) > 100_000
    assert one("今日" * 40_000, "sudachi").startswith("キョウ")


def test_morae():
    read = pl.Series(["キョーワイーテンキダ", "シャッキン", "", "ティー"])
    assert morae(read).to_list() == [9, 4, 0, 2]


# -- error rates


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x != y))
    return row[-1]


@settings(deadline=None)
@given(ANYTHING, ANYTHING)
def test_error_rates_are_levenshtein_s(a, b):
    found = error_rates(pl.Series([a]), pl.Series([b]))[0]
    assert found == pytest.approx(levenshtein(a, b) / max(1, len(a)))


@settings(deadline=None)
@given(KANA, KANA)
def test_error_rates_by_sound(a, b):
    pair = pl.Series([a]), pl.Series([b])
    by_sound, plain = error_rates(*pair, by_sound=True)[0], error_rates(*pair)[0]
    assert error_rates(pl.Series([a]), pl.Series([a]), by_sound=True)[0] == 0
    assert 0 <= by_sound <= max(1, len(b)) and (by_sound == 0 or plain > 0)


def test_sounds():
    same = [
        ("コウコウ", "コーコー"),
        ("オオキイ", "オーキー"),
        ("エイガ", "エーガ"),
        ("ヂ", "ジ"),
        ("ヲ", "オ"),
        ("ツヅク", "ツズク"),
    ]
    a, b = (pl.Series(side) for side in zip(*same))
    assert error_rates(a, b, by_sound=True).to_list() == [0] * len(same)
    assert error_rates(pl.Series(["ココ"]), pl.Series(["コーコー"]), by_sound=True)[0] == 1


def test_error_rates_of_what_is_missing_and_of_what_is_long():
    a = pl.Series(["", "猫", None, "あ" * 100_000])
    b = pl.Series(["猫", "", "猫", "い" * 100_000])
    assert error_rates(a, b).to_list() == [1, 1, None, 1]
    assert LONGEST == 5_000


@pytest.mark.skipif(not DATA.is_dir(), reason="development data are not here")
def test_readings_tell_what_was_said_the_same():
    """The labelled pairs of benchmarks/transcripts.py: the same are closer by reading than the others, and than by writing."""
    labels = pl.read_csv(
        Path(__file__).parents[2] / "data" / "transcript_labels.tsv", separator="\t", schema_overrides={"clip": pl.String}
    )
    with gzip.open(DATA / "asr_hypotheses.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = pl.DataFrame([json.loads(line) for line in file])
    rows = rows.with_columns(
        clip=pl.col("id").str.strip_prefix("common_voice_ja_").str.strip_suffix(".mp3"),
        model=pl.col("model").str.strip_prefix("whisper-"),
    )
    joined = labels.join(rows, on=["clip", "model"])
    assert len(joined) == len(labels) >= 400
    references, hypotheses = (normalise(joined[side], width="fold") for side in ("reference", "hypothesis"))
    same = (joined["same"] == 1).to_numpy()
    by_reading = error_rates(readings(references), readings(hypotheses), by_sound=True).to_numpy()
    bare = [t.str.replace_all(r"[^\p{L}\p{N}]", "") for t in (references, hypotheses)]
    by_writing = error_rates(*bare).to_numpy()

    def area(score):
        return np.mean([(score[same] < v).mean() + (score[same] == v).mean() / 2 for v in score[~same]])

    assert area(by_reading) > 0.97 > area(by_writing)
    assert area(reading_error_rates(references, hypotheses).to_numpy()) > 0.988


# -- measures


def measured(texts, names, **given):
    given = {name: np.array(values) for name, values in given.items()}
    return compute(*buffers(pl.Series(texts)), names, given)


def test_rates():
    found = measured(
        ["はい", "いいえ", "うん"], ["morae_per_second", "seconds_per_mora", "characters_per_second"],
        n_morae=[2, 3, 0], speech_seconds=[0.5, np.nan, 2.0],
    )  # fmt: skip
    assert found["morae_per_second"].to_list() == [4, None, 0]
    assert found["seconds_per_mora"].to_list() == [0.25, None, None]
    assert found["characters_per_second"].to_list() == [4, None, 1]


@pytest.mark.parametrize(
    ("text", "share"),
    [("ありがとうございました" * 4, 1), ("ありがとうございました" * 3, 0), ("ご視聴ありがとうございました。" * 5, 1), ("普通の文です。", 0),
     ("", 0), ("始まり" + "あいうえお" * 6 + "終わり", 30 / 36), ("は" * 20, 1), ("はい" * 20, 1), ("そうですね" * 20, 1),
     *((interjection, 0) for interjection in ("いいい", "はいはいはいはい", "はははははははは", "うんうんうんうん", "ドンドンドンドン",
                                              "でもでもでもでも", "はい、はい、はい、はい、はい。", "すごーーーーい"))],
)  # fmt: skip
def test_loops(text, share):
    assert measured([text], ["looped_share"])["looped_share"][0] == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "share"),
    [("2011年3月11日です", 1), ("NHKです", 1), ("OKです", 1), ("YouTubeを見る", 3 / 4), ("1945", 1), ("The library is closed.", 0),
     ("すごーーい", 1), ("Привет", 0), ("안녕하세요", 0), ("", 1), ("ＣＤ々ー", 1),
     *((kept, 1) for kept in ("OK!", "Yes!", "iPhone", "DJ OZMA", "EU、G7、ASEAN", "DVD、CD、BD", "ZARDとGLAY",
                                 "首相官邸前。", "了解了解。")),
     *((foreign, 0) for foreign in ("謝謝大家收看我們的節目", "請不吝點讚訂閱。", "THANK YOU FOR WATCHING", "thank you", "you",
                                    "Bonjour tout le monde"))],
)  # fmt: skip
def test_what_is_foreign(text, share):
    assert measured([text], ["japanese_word_share"])["japanese_word_share"][0] == pytest.approx(share)


def test_what_ends_open():
    texts = ["これを", "行きます。", "東京に、", "猫が」", "です", ""]
    assert measured(texts, ["ends_open"])["ends_open"].to_list() == [1, 0, 1, 1, 0, 0]


def test_error_rates_are_null_without_a_second_transcript():
    found = measured(
        ["a", "b"], ["reading_error_rate", "surface_error_rate"], reading_error=[0.5, np.nan], surface_error=[np.nan, 0.25]
    )
    assert found.rows() == [(0.5, None), (None, 0.25)]
