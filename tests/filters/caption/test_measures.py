"""Measures of captions: tables of examples, properties over any text, and real captions of known language."""

import gzip
import json
import tomllib
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.captions import normalise_captions, read_text_rules, within
from filters import MEASURES, measure_frame, normalise
from filters.caption import labels, tokens
from filters.caption.navigation import navigation_phrases
from filters.kernels import buffers
from filters.text import han
from filters.text.han import ONLY_CHINESE, ONLY_JAPANESE, chinese_odds, chinese_probability, han_tables
from filters.text.phrases import phrases
from tests.support.captions import BAD_CAPTIONS, GOOD_CAPTIONS

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
PRESETS = ROOT / "manifests" / "presets"
NAMES = [name for name, found in MEASURES.items() if found.kind == "caption"]
NUMBERS = [name for name in NAMES if not MEASURES[name].words]
SHARES = [name for name in NAMES if name.endswith("_share")] + ["caption_language_score"]
PIECES = [
    *(
        "犬",
        "の",
        "学",
        "说",
        "說",
        "ー",
        "한",
        "a",
        "A",
        "Ａ",
        "1",
        " ",
        "。",
        "、",
        "「",
        "」",
        "#",
        "@",
        ".",
        "-",
        "¥",
        "円",
        "ツ",
        "ﾂ",
    ),
    *(
        "戻る",
        "画像",
        "back to top",
        "DSC_0123.JPG",
        "IMG-2034",
        "1,980円(税込)",
        "ABC-1234",
        "鲜の每日",
        "火車",
        "激安 財布 激安 財布 ",
    ),
    *("👨‍👩‍👧", "🇯🇵", "❤️", "👍🏽", "\u200d", "\ufe0f", "\u0301", "\u3099", "\U0001f1ef", "\ufffd", "\n", "\x00"),
]
any_caption = st.lists(st.one_of(st.sampled_from(PIECES), st.text(st.characters(codec="utf-8"), max_size=6)), max_size=12).map(
    "".join
)


def measured(texts, names=NAMES):
    return measure_frame(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), list(names))


def of(name, text):
    """The measure of a caption as a build would see it."""
    return measured(normalise(pl.Series([text]), width="fold"), [name])[name][0]


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("ja", "犬の写真 りんご ネコ ヌー は め ゾウ アルファベットの\u3000Ｅ ねている\u3000カピバラ！ ｶﾀｶﾅ"),
        (
            "ja",
            "東京駅 桜 満開の桜 働く人 図1 広場 円形劇場 畑 峠 込 人々 国々 読売新聞 気象庁 渋谷駅前 伝送線路 配線幅 作業区画",
        ),
        (
            "ja",
            "東京大学 犬 山水画 富士山 京都御所 法隆寺 金閣寺 田中 山口県 失敗 座標系 元画像 材質設定 國學院大學 慶應義塾 森鷗外 醬油",
        ),
        ("zh", "我们 这个 塞维利亚柑橘 一个蘑菇。 鲜の每日 迂回前进 中华人民共和国 图片 视频 红色的苹果 两只猫 老师 欢迎"),
        ("zh", "我們 她們 臺灣夜市 水果鱷梨。 麥哲倫企鵝 一隻蜘蛛在打電動。 字母\u3000M. 火車標示 喜鵲 說明 圖片 很漂亮"),
        ("ko", "한국어 망치 '움라우트'가\u3000달린\u3000'u'\u3000글자 서울역(ソウル駅)과\u3000광장의\u3000밤"),
        ("und", "!!! 12345 ★☆ 2020-01-01 (^_^) 😀"),
    ],
)
def test_language(language, texts):
    for text in texts.split(" "):
        assert of("caption_language", text) == language, text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ja", ""),  # below: nothing
        ("ja", "HTTP を使用した"),
        ("ja", "WF3 ReplicatorActivity および WF4 ParallelForEach"),
        ("ja", "Visual C# コードの IntelliSense"),
        ("ja", "習近平国家主席が訪日"),
        ("ja", "说文解字という字書の写本"),
        (
            "zh",
            "《となりのトトロ》是宫崎骏导演的动画电影作品之一，讲述了姐妹两人在乡间遇到龙猫的故事，深受观众喜爱，至今仍然被许多人反复观看",
        ),
        ("en", "A bowl of ramen in Tokyo"),
        ("en", "図14.55 Paint Dynamics Editor dialog"),
        ("en", "Takoyaki (たこ焼き) is a ball-shaped snack made of a wheat flour-based batter and cooked in a special pan"),
        ("en", "¯\\_(ツ)_/¯ I really do not know what this is"),
        ("ru", "Морской лев на берегу."),
    ],
)
def test_language_of_mixed_captions(language, text):
    assert of("caption_language", text) == (language if text else "und"), text


def test_language_is_never_japanese_without_kana_and_han():
    texts = ["GIMP", "NINTENDO", "Ohayou gozaimasu", "konnichiwa", "GEGL", "ABC", "é", "ﬁ"]
    assert "ja" not in measured(texts)["caption_language"].to_list()


def test_score_says_how_sure_the_answer_is():
    scores = {text: of("caption_language_score", text) for text in ("犬の写真", "桜", "東京大学", "水果", "我们", "")}
    assert scores["犬の写真"] == 1 and scores[""] == 0
    assert scores["桜"] > 0.95 and scores["我们"] > 0.95
    assert 0.5 < scores["東京大学"] < scores["桜"]
    assert scores["水果"] > 0.88


@pytest.mark.parametrize(
    ("name", "share", "texts"),
    [
        (
            "navigation_share",
            1,
            "戻る [注記] 画像 画像1 「次へ」 前へ\u3000次へ 画像をクリックで拡大 ＮＯ\u3000ＩＭＡＧＥ No\u3000Photo noimage",
        ),
        (
            "navigation_share",
            1,
            "Back\u3000to\u3000Top →次へ >>\u3000もっと見る イメージ画像2 写真(1) 4.7.4.\u3000例 図15.102 ﾒﾆｭｰ",
        ),
        (
            "navigation_share",
            0,
            "犬の写真 検索画面 メニューバー アイコンのサイズ 戻り橋 画像編集 ログイン画面 はな 衣類のボタン 猫 Homer 123 ★",
        ),
        ("file_name_share", 1, "DSC_0123.JPG IMG-2034 IMG_20200101_123456 image001.png P1010234 img1 images/a_b.png"),
        (
            "file_name_share",
            1,
            "スクリーンショット\u30002020-01-01\u300010.00.00 20200101_123456 d41d8cd98f00b204e9800998ecf8427e",
        ),
        ("file_name_share", 1, "123e4567-e89b-12d3-a456-426614174000 Screen\u3000Shot\u30002019-03-02\u3000at\u300010.00.00"),
        (
            "file_name_share",
            0,
            "犬の写真 犬.jpeg 夕日に染まる富士山.jpg Node.js PNG画像 image 2020年 IMAGE P10 ASP.NET 電話03-1234-5678 deadbeef",
        ),
        ("hashtag_share", 1, "#犬 #犬\u3000#猫2 ＃タグ @name #2020年"),
        ("hashtag_share", 0, "C#\u3000ソース #1\u3000のテーマ a@example.com ライブ@東京 犬"),
        ("price_share", 1, "¥1,980 ￥1,980 1,980円 1,980円(税込) １，９８０円"),
        (
            "price_share",
            1,
            "定価:1,980円 価格\u3000¥1,980 1,980円税込 1,980円(税込) １，９８０円（税抜き） $12.99 3万円 1万2000円 €5 50ドル 980円+税",
        ),
        ("price_share", 0, "円形 ドル箱 2020年 送料無料 1980 100えん 三円 100円玉 1000円札 1ドル札 100円ショップ"),
        ("part_number_share", 1, "ABC-1234-56 4901234567894 B00ABCDEFG WH-1000XM4 XPS13 79D7F2 F-22 MDR-7506/A"),
        ("part_number_share", 0, "2020-01-01 03-1234-5678 HTTP WF3 A4 MP3 GT-R 3D 12345 犬"),
    ],
)
def test_shares_of_whole_captions(name, share, texts):
    for text in texts.split(" "):
        assert of(name, text.replace("\u3000", " ")) == share, text


@pytest.mark.parametrize(
    ("name", "share", "text"),
    [
        ("navigation_share", 2 / 3, "画像: 犬"),
        ("file_name_share", 10 / 15, "これはsample.jpgです"),
        ("price_share", 6 / 9, "$12.99 の財布"),
        ("part_number_share", 10 / 22, "ソニー ヘッドホン WH-1000XM4 ブラック"),
        ("repeated_word_share", 3 / 5, "激安 財布 激安 財布 激安"),
        ("repeated_word_share", 1 / 2, "Dog dog cat cat"),
        ("repeated_word_share", 0, "猫と猫と猫"),
        ("repeated_word_share", 0, "犬と猫と鳥と魚の絵"),  # particles are no words
        ("repeated_word_share", 0, "10 10 10"),
        ("repeated_word_share", 1 / 4, "犬の写真、犬の絵"),
        ("repeated_word_share", 19 / 20, "犬 " * 20),
    ],
)
def test_shares_of_parts(name, share, text):
    assert of(name, text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 0), (" ", 0), ("犬の写真", 1), ("a  dog ", 2), ("ねている\u3000カピバラ", 2), ("one\ntwo", 2), ("a\u00a0b", 2)],
)
def test_spaced_words(text, number):
    assert measured([text], ["spaced_words"])["spaced_words"][0] == number == len(text.split())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("犬★♪→♥", 0),  # symbols, not emoji
        ("😀😀", 2),
        ("👨‍👩‍👧", 1),
        ("🇯🇵🇺🇸", 2),
        ("❤️", 1),
        ("❤️‍🔥", 1),
        ("☔️☔", 2),
        ("1️⃣", 1),
        ("👍🏽👍", 2),
        ("🏽", 0),
        ("犬\u200d猫", 0),
        ("🎉祝🎉", 2),
        ("⭐⭕✨", 3),
    ],
)
def test_emoji(text, number):
    assert measured([text], ["emoji"])["emoji"][0] == number


def test_every_combination_of_navigation_alone():
    combined = pl.Series(navigation_phrases()[len(phrases("navigation")) :])
    assert len(combined) > 1500 and {"写真がありません", "twitterでシェア", "資料をダウンロード"} <= set(combined)
    assert (measured(normalise(combined, width="fold"), ["navigation_share"])["navigation_share"] == 1).all()
    assert (measured(normalise(combined + "の例", width="fold"), ["navigation_share"])["navigation_share"] == 0).all()


@pytest.mark.parametrize("phrase", phrases("navigation"))
def test_every_navigation_phrase_alone(phrase):
    assert of("navigation_share", phrase) == of("navigation_share", f"[{phrase.upper()}]") == 1


def test_chinese_words_are_not_told_by_characters_already():
    side, _ = han_tables()
    for word in phrases("chinese"):
        assert not any(side[ord(c)] == ONLY_CHINESE for c in word), word
        assert of("caption_language", word) == "zh", word


def test_japanese_words_would_be_chinese_without_the_list(monkeypatch):
    listed = pl.Series(phrases("japanese"))
    assert measured(listed, ["caption_language"])["caption_language"].unique().to_list() == ["ja"]
    monkeypatch.setattr(han, "phrases", lambda name: ("我們",))
    assert measured(listed, ["caption_language"])["caption_language"].unique().to_list() == ["zh"]


def test_weights_are_of_characters_that_both_sides_write():
    side, weight = han_tables()
    assert not (weight.astype(bool) & (side > 0)).any()
    assert 3000 < (weight != 0).sum() < 7000
    for c in "図駅働込円広売読畑峠々":
        assert side[ord(c)] == ONLY_JAPANESE, c
    for c in "们说這說你她图电车":
        assert side[ord(c)] == ONLY_CHINESE or weight[ord(c)] > 0, c
    assert not any(side[ord(c)] for c in "東京大学犬鷗")


@given(texts=st.lists(any_caption, max_size=5))
@settings(max_examples=200, deadline=None)
def test_values_are_finite_and_shares_are_shares(texts):
    found = measured(texts)
    assert found.null_count().sum_horizontal().item() == 0
    assert found.select((pl.col(NUMBERS) >= 0).all()).row(0) == (True,) * len(NUMBERS)
    assert found.select((pl.col(SHARES) <= 1).all()).row(0) == (True,) * len(SHARES)
    assert all(found["caption_language"].str.contains("^[a-z]{2,3}(-Latn)?$"))


@given(texts=st.lists(any_caption, min_size=2, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_caption_does_not_depend_on_the_others(texts):
    assert measured(texts).equals(pl.concat(measured([text]) for text in texts))


@given(text=st.lists(st.sampled_from(["犬", "猫の絵", "ネコ", "dog", "Dog", " ", "、", "12", "が"]), max_size=40).map("".join))
@settings(max_examples=100, deadline=None)
def test_repeated_words_agree_with_python(text):
    def script(c):
        name = unicodedata.name(c)
        return next((s for s in ("CJK", "HIRAGANA", "KATAKANA", "LATIN") if name.startswith(s)), None)

    words, last = [], None
    for c in text.lower():
        if script(c) and script(c) == last:
            words[-1] += c
        elif script(c):
            words.append(c)
        last = script(c)
    words = [w for w in words if script(w[0]) != "HIRAGANA" or len(w) > 2]
    found = tokens.count(*buffers(pl.Series([text])), labels.remove_labels(pl.Series([text])))
    repeated = len(words) - len(set(words)) if len(words) > 3 else 0
    assert (found["n_words"][0], found["n_repeated_words"][0]) == (len(words), repeated)


@pytest.mark.parametrize(
    "text", ["犬" * 350_000, "犬 " * 250_000, "a" * 10**6, "a.jpg" * 200_000, "#" * 10**6, "1," * 500_000, "😀‍" * 150_000]
)
@pytest.mark.timeout(60)  # a pattern that takes time in the square of the length would take hours
def test_a_very_long_caption_takes_time_in_proportion(text):
    assert measured([text]).height == 1


def test_types_do_not_depend_on_the_rows():
    full, empty = measured(["犬"]), measured([])
    assert empty.height == 0 and empty.schema == full.schema
    assert full.schema["caption_language"] == pl.String


@pytest.mark.parametrize("preset", ["caption-ja", "datacomp-basic", "cc12m", "waon"])
def test_presets_give_a_source_and_a_reason_for_every_bound(preset):
    rules = tomllib.loads((PRESETS / f"{preset}.toml").read_text("utf-8"))
    for name, bound in rules.items():
        assert bound["source"] and bound["reason"], name
        assert set(bound) <= {"at_least", "at_most", "any_of", "missing", "source", "reason"}, name
        if name in MEASURES:
            assert MEASURES[name].words == ("any_of" in bound), name
    assert rules["caption_language"]["any_of"] == ["ja"]


@pytest.mark.parametrize(
    ("share", "texts"),
    [
        (
            0,
            "猫缶\u3000¥1,980 犬\u3000#犬\u3000#dog 夕日.jpg 海-1024x683.jpg 夕日\u3000DSC_0123 WH-1000XM4\u3000黒い本体 【激安】財布 富士山\u3000https://a.jp/b",
        ),
        (
            1,
            "¥1,980 #犬\u3000#dog DSC_0123.JPG WH-1000XM4 送料無料\u3000激安 https://a.jp/b (^_^) ヽ(´▽`)ノ DSC_0123.JPG\u3000¥500",
        ),
        (4 / 5, "E235系"),
        (0, "犬 (犬) 図(右・左) 100円玉 C#の本"),
    ],
)
def test_labels_count_where_no_words_stand_beside_them(share, texts):
    for text in texts.split(" "):
        assert of("label_share", text.replace("\u3000", " ")) == pytest.approx(share), text


def test_plain_text_is_what_is_judged():
    """Tags in English do not make a caption English, nor do tags that repeat it make it repetitive."""
    caption = "夕焼けの富士山 #富士山 #sunset #mountain #travel #nature"
    assert of("caption_language", caption) == "ja" and of("repeated_word_share", caption) == 0
    assert of("caption_language", "sunset over the sea #海") == "en"
    assert of("navigation_share", "画像 DSC_0123.JPG") == of("navigation_share", "画像1.jpg") == 1
    assert of("navigation_share", "画像編集 DSC_0123.JPG") == 0


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("emoji_share", 0.5, "🍣寿司🍣"),
        ("emoji_share", 1, "🍣"),
        ("emoji_share", 0, "★寿司★"),
        ("emoji_share", 0.75, "犬❤️👨‍👩‍👧🇯🇵"),
        ("ornament_share", 0.5, "☆七夕☆"),
        ("ornament_share", 0, "❤️犬🍣1️⃣👍🏽🇯🇵"),
        ("ornament_share", 1, "★■♪"),
        ("mojibake_share", 1, "縺ゅ＞縺｡縺薙ｌ縺ｯ縺吶縺ｮ"),
        ("mojibake_share", 0, "縺れた糸"),
    ],
)
def test_symbols_and_mojibake(name, value, text):
    assert of(name, text) == pytest.approx(value)


def kept(preset, texts):
    rules = read_text_rules(preset)
    frame = measure_frame(pl.DataFrame({"text": texts}), list(rules))
    return frame.select(pl.all_horizontal(within(*rule) for rule in rules.items())).to_series()


@pytest.mark.parametrize(
    ("expected", "texts"),
    [
        (
            True,
            "犬 は いちご 東京大学 犬の写真 検索画面 メニューバー アイコンのサイズ 「トイレ」 １００えん C++\u3000プロジェクト",
        ),
        (True, "F-22\u3000ラプトル 500円硬貨 sample.jpgを開いたところ ドルきごう #1\u3000の図 夏まつり🎆🍉 ヤッホーーー！"),
        (False, "戻る 画像1 DSC_0123.JPG写 前へ\u3000次へ 123 !!! 我们的图片 ¥1,980円 4901234567894円 No\u3000Image 한국어"),
        (
            False,
            "激安\u3000財布\u3000激安\u3000財布\u3000激安\u3000財布 送料無料！ http://example.com/犬 #犬\u3000#猫\u3000#鳥 犬🐶🐶🐶🐶🐶🐶",
        ),
    ],
)
def test_the_preset_for_captions(expected, texts):
    for text in texts.split(" "):
        found = kept("caption-ja", normalise(pl.Series([text.replace("\u3000", " ")]), width="fold"))
        assert found[0] == expected, text


def test_good_captions_of_many_kinds_are_kept_and_bad_ones_are_not():
    """235 captions and more: at most 2 % wrongly dropped (13 % before labels were told from words); of the bad ones none kept."""
    good, bad = (normalise_captions(captions) for captions in (GOOD_CAPTIONS, BAD_CAPTIONS))
    assert len(good) >= 235 and len(bad) >= 80
    dropped, wrongly_kept = good.filter(~kept("caption-ja", good)), bad.filter(kept("caption-ja", bad))
    assert len(dropped) <= 0.02 * len(good), dropped.to_list()
    assert not len(wrongly_kept), wrongly_kept.to_list()


@pytest.fixture(scope="module")
def labelled():
    path = DATA / "language" / "labelled.jsonl.gz"
    if not path.is_file():
        pytest.skip("needs the development data")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def answers(labelled, name, language):
    texts = normalise_captions([row["text"][:300] for row in labelled if (row["set"], row["lang"]) == (name, language)])
    assert len(texts) > 100
    return texts, measured(texts, ["caption_language"])["caption_language"]


@pytest.mark.parametrize(
    ("name", "bar"),
    [("short", 1), ("ja_kanji_only_title", 0.99), ("ja_kanji_only_line", 0.99), ("ja_katakana_line", 1), ("ntrex", 1)],
)
def test_japanese_is_told(labelled, name, bar):
    assert (answers(labelled, name, "ja")[1] == "ja").mean() >= bar


@pytest.mark.parametrize(
    ("name", "language", "bar"),
    [
        *(("short", language, 0) for language in ("en", "fr", "ru", "ko")),
        *(("ntrex", language, 0.005) for language in ("zh", "zh-Hant", "yue", "ko")),
        ("romaji_sentence", "ja-Latn", 0),
    ],
)
def test_other_languages_are_not_taken_for_japanese(labelled, name, language, bar):
    assert (answers(labelled, name, language)[1] == "ja").mean() <= bar


def test_good_captions_are_kept(labelled):
    texts, _ = answers(labelled, "short", "ja")
    assert kept("caption-ja", texts).mean() >= 0.97
    assert kept("datacomp-basic", texts).mean() < 0.5  # why there is a preset for Japanese


def test_real_shards():
    folder = DATA / "image-text" / "img2dataset"
    if not folder.is_dir():
        pytest.skip("needs the development data")
    texts = normalise_captions(pl.read_parquet(folder / "*.parquet", columns=["caption"])["caption"].to_list())
    found = texts.filter(kept("caption-ja", texts))
    assert 2000 < len(found) < 2300
    assert found.str.contains(r"[ぁ-ヺ\p{Han}]").all()
    assert not set(found) & {
        "戻る",
        "次へ",
        "ホーム",
        "上に戻る",
        "[注記]",
        "[ヒント]",
        "字母 M.",
        "火車標示",
        "一个蘑菇。",
        "蝙蝠。",
        "",
    }


def test_without_evidence_a_caption_is_chinese_with_the_probability_of_the_prior():
    """Log odds of -1.2, the intercept of the regression behind lists/han.txt."""
    probability = chinese_probability(np.array([0]))
    assert probability[0] == pytest.approx(1 / (1 + np.exp(1.2)), abs=1e-6)
    assert chinese_odds(probability)[0] == pytest.approx(0, abs=1e-5)
