import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from filters.kernels import buffers
from filters.text import characters, language
from filters.text.normalisation import normalise

LABELLED = Path(__file__).parents[4] / "shared" / "data" / "language" / "labelled.jsonl.gz"

JAPANESE = [
    "吾輩は猫である。名前はまだ無い。",
    "どこで生れたかとんと見当がつかぬ。",
    "今日は天気がいいので、公園まで散歩に行きました。",
    "新幹線で東京から大阪まで約二時間半かかります。",
    "この本はとても面白かったので、友達にも薦めました。",
    "会議は午後三時から第二会議室で行われる予定です。",
    "昨夜の地震による津波の心配はありません。",
    "政府は来年度の予算案を閣議決定した。",
    "日本銀行は金融政策決定会合で、政策金利を据え置くことを決めた。",
    "大学では言語学を専攻し、特に方言の研究をしていました。",
    "鶏肉を一口大に切り、塩と胡椒をふって十分ほど置いておきます。",
    "パソコンの電源が入らないときは、ケーブルを確認してください。",
    "インターネットで注文した商品がまだ届いていません。",
    "スマートフォンのアプリを更新したら、動作が遅くなった。",
    "Pythonでファイルを読み込むには、open関数を使います。",
    "お世話になっております。先日の件についてご連絡いたします。",
    "ねえ、明日ひま？ 映画でも見に行かない？",
    "えーっと、それはちょっとわからないですね。",
    "雨にも負けず、風にも負けず、雪にも夏の暑さにも負けぬ。",
    "第九条 日本国民は、正義と秩序を基調とする国際平和を誠実に希求する。",
    "京都の寺院は、秋になると紅葉を見に来る観光客で賑わう。",
    "彼女は小さい頃からピアノを習っていて、今では先生をしている。",
    "病院の受付時間は午前九時から正午までとなっております。",
    "選手たちは最後まで諦めずに走り続けた。",
    "この駅には急行は止まりません。次の駅でお乗り換えください。",
    "子供のころ、夏休みには毎日のように川で泳いだものだ。",
    "地球温暖化の影響で、各地で異常気象が増えている。",
    "先生に聞いてみたけど、やっぱりよくわからなかった。",
    "レモンと砂糖を加えて、よくかき混ぜてから冷やします。",
    "あけましておめでとうございます。今年もよろしくお願いします。",
]
OTHERS = [
    "今天天气很好，我们一起去公园散步吧。",
    "中华人民共和国成立于一九四九年十月一日。",
    "臺灣的夜市非常有名，每天晚上都有很多人。",
    "我喜歡看日本動畫《となりのトトロ》，這部電影在全世界都很受歡迎，無論大人還是小孩都非常喜愛它的故事和音樂。",
    "오늘은 날씨가 좋아서 공원에 산책하러 갔습니다.",
    "대한민국의 수도는 서울이다.",
    "The quick brown fox jumps over the lazy dog.",
    "This is an ordinary sentence in English, and nothing else.",
    "Il fait beau aujourd'hui, allons nous promener dans le parc.",
    "Heute ist das Wetter schön, gehen wir im Park spazieren.",
    "Hoy hace buen tiempo, vamos a pasear por el parque.",
    "Сегодня хорошая погода, пойдём гулять в парк.",
    "Hôm nay trời đẹp, chúng ta hãy đi dạo trong công viên.",
    "วันนี้อากาศดี ไปเดินเล่นที่สวนสาธารณะกันเถอะ",
    "الطقس جميل اليوم، لنذهب في نزهة إلى الحديقة.",
    "आज मौसम अच्छा है, चलो पार्क में टहलने चलते हैं।",
    "Ohayou gozaimasu, ogenki desu ka?",
]


def measured(texts):
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    counters = characters.count(data, offsets)
    return language.is_japanese_by_script(counters), language.count(data, offsets, counters)


@pytest.mark.parametrize("text", JAPANESE)
def test_script_and_model_agree_on_ordinary_japanese(text):
    settled, found = measured([text])
    assert settled[0]
    assert (found["language"][0], found["language_score"][0]) == ("ja", 1)
    assert language.identify(text)[0] == "ja"


def test_other_languages_are_never_japanese():
    settled, found = measured(OTHERS)
    assert not settled.any()
    assert "ja" not in found["language"]
    assert found["language"][6] == "en" and found["language"][0] == "zh" and found["language"][4] == "ko"
    assert ((found["language_score"] > 0) & (found["language_score"] <= 1)).all()


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("のののの", False),  # too few kana to settle anything
        ("ののののの", True),
        ("カタカナノミ", True),
        ("の" * 5 + "漢" * 28, True),
        ("の" * 5 + "漢" * 29, False),
        ("の" * 5 + "a" * 245, True),
        ("の" * 5 + "a" * 246, False),
        ("の" * 5 + "!" * 1000, True),  # only letters count
        ("憲法改正論議", False),
        ("", False),
    ],
)
def test_what_script_settles(text, settled):
    assert measured([text])[0][0] == settled


@pytest.mark.parametrize("text", ["", " \n\u3000"])
def test_nothing_to_read(text):
    assert language.identify(text) == ("und", 0.0)
    assert measured([text])[1]["language"].tolist() == ["und"]


@pytest.mark.parametrize("text", ["。！？", "12345", "\x00\x01", "😀" * 700, "漢" * 5000, "a" * 99_999])
def test_odd_texts_have_an_answer(text):
    code, score = language.identify(text)
    assert code and 0 <= score <= 1


def test_a_long_text_is_cut_between_characters():
    # 9600 bytes are read; here that is in the middle of a character.
    _, found = measured(["a" + "漢" * 4000])
    assert found["language"][0] != "und"


def test_documents_do_not_depend_on_each_other():
    texts = [t for pair in zip(JAPANESE, OTHERS) for t in pair]
    together = measured(texts)[1]
    assert together["language"].tolist() == [measured([t])[1]["language"][0] for t in texts]


@pytest.mark.skipif(not LABELLED.exists(), reason="no shared data")
def test_what_script_settles_is_japanese():
    with gzip.open(LABELLED, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    settled = language.is_japanese_by_script(characters.count(*buffers(normalise(pl.Series([row["text"] for row in rows])))))
    answered = [row["lang"] for row, yes in zip(rows, settled) if yes]
    # ja-en is Japanese with English in it; romaji is ja-Latn and has no kana.
    assert set(answered) <= {"ja", "ja-en"}
    # Ordinary Japanese sentences are settled, all but a few without kana.
    news = [yes for row, yes in zip(rows, settled) if row["lang"] == "ja" and row["set"] == "ntrex"]
    assert sum(news) >= 0.98 * len(news) > 0
