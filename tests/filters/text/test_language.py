import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from filters.kernels import buffers
from filters.text import language
from filters.text.language_model import identify
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
    found = language.identify_languages(data, offsets)
    settled = language.is_japanese_by_script(language.judge_by_script(data, offsets).counts)
    return settled, {"language": found.codes, "language_score": found.scores}


@pytest.mark.parametrize("text", JAPANESE)
def test_script_and_model_agree_on_ordinary_japanese(text):
    settled, found = measured([text])
    assert settled[0]
    assert (found["language"][0], found["language_score"][0]) == ("ja", 1)
    assert identify(text)[0] == "ja"


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
        ("の" * 5 + "働" * 28, True),
        ("の" * 5 + "働" * 29, False),
        ("の" * 21 + "a" * 1029, True),
        ("の" * 21 + "a" * 1030, False),
        ("の" * 5 + "a" * 100, False),  # a word that is quoted
        ("の" * 5 + "!" * 1000, True),  # only letters count
        ("憲法改正論議", False),
        ("", False),
    ],
)
def test_what_script_settles(text, settled):
    assert measured([text])[0][0] == settled


@pytest.mark.parametrize("text", ["", " \n\u3000"])
def test_nothing_to_read(text):
    assert identify(text) == ("und", 0.0)
    assert measured([text])[1]["language"].tolist() == ["und"]


@pytest.mark.parametrize("text", ["。！？", "12345", "\x00\x01", "😀" * 700, "漢" * 5000, "a" * 99_999])
def test_odd_texts_have_an_answer(text):
    code, score = identify(text)
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
    data, offsets = buffers(normalise(pl.Series([row["text"] for row in rows])))
    settled = language.is_japanese_by_script(language.judge_by_script(data, offsets).counts)
    answered = [row["lang"] for row, yes in zip(rows, settled) if yes]
    # ja-en is Japanese with English in it; romaji is ja-Latn and has no kana.
    assert set(answered) <= {"ja", "ja-en"}
    # Ordinary Japanese sentences are settled, all but a few without kana.
    news = [yes for row, yes in zip(rows, settled) if row["lang"] == "ja" and row["set"] == "ntrex"]
    assert sum(news) >= 0.98 * len(news) > 0


# Kana in other languages: faces, names of products, の for 的, lessons.
KANA_ELSEWHERE = {
    "zh": [
        "今天天气真好ヽ(●´∀`●)ノ我们一起去公园吧",
        "今日份的快乐ヽ(✿ﾟ▽ﾟ)ノヽ(✿ﾟ▽ﾟ)ノヽ(✿ﾟ▽ﾟ)ノ",
        "太开心了(≧▽≦)ノシ ヾ(*´∀｀*)ﾉ 谢谢大家的支持,明天继续直播哦",
        "我也是醉了_(:з」∠)_ ノシ",
        "资生堂的シャンプー真的很好用,推荐给大家",
        "推荐:SK-II フェイシャルトリートメントエッセンス 神仙水 330ml 正品保证 包邮",
        "オロナイン软膏 家庭常备 擦伤冻疮粉刺 大冢制药 正品",
        "我的の老婆の最爱 奶茶の店",
        "這間店嘅ラーメン好好食呀，下次再嚟",
        "台灣のカフェ推薦：這間咖啡廳環境很舒適，甜點也很好吃，值得一訪",
        "こんにちは是日语里“你好”的意思，初学者一般先学这个。",
        "日语的五十音图:あいうえお かきくけこ,是学习日语的基础,同学们要牢记。",
        "日文五十音：あ い う え お か き く け こ さ し す せ そ 请大家背诵",
        "資生堂のアネッサ防曬乳真的很好用，夏天出門必備，推薦給大家。",
        "鮮の味日本料理，位於台北市中心，提供新鮮的生魚片和壽司。",
        "優の良品專賣店，全場八折優惠，歡迎選購！",
        "這首歌是米津玄師的Lemon，日劇アンナチュラル的主題曲，非常感人。",
        "ヾ(≧∇≦*)ゝ谢谢大佬！楼主好人一生平安！",
        "(ノ´∀`)ノ♪ 生日快樂！祝你永遠十八歲！ (ノ´∀`)ノ♪",
        "欢迎光临",
    ],
    "ko": [
        "맛있の집 오늘의 메뉴는 김치찌개입니다",
        "나의の최애のの의 의のの",
        "귀여워요 ヽ(●´∀`●)ノ 정말 좋아요 ヽ(●´∀`●)ノ 오늘도 화이팅",
        "ㅋㅋㅋㅋ (ノ◕ヮ◕)ノ*:・゚✧ 너무 웃겨요",
        "일본 여행에서 산 キャベジン 정말 효과가 좋아요 추천합니다",
    ],
    "th": ["เรียนภาษาญี่ปุ่น ありがとう แปลว่า ขอบคุณ こんにちは แปลว่า สวัสดี"],
    "es": ["La palabra ありがとう significa gracias en japonés y se usa mucho todos los días."],
    "en": [
        "The word ありがとう means thank you in Japanese, and it is used every day.",
        "Lesson 1: わたしは がくせいです means I am a student. Repeat after me please.",
        "My trip to 東京タワー was amazing, and then we visited スカイツリー as well.",
        "¯\\_(ツ)_/¯ ¯\\_(ツ)_/¯ ¯\\_(ツ)_/¯ ¯\\_(ツ)_/¯ ¯\\_(ツ)_/¯ whatever",
        "(ノ◕ヮ◕)ノ*:・ﾟ✧ magic is everywhere (ノ◕ヮ◕)ノ*:・ﾟ✧",
        "シ♡ sad vibes only シ♡ シ シ シ",
        "You can buy the new SHISEIDO アネッサ sunscreen in every store now",
    ],
    "vi": [
        "Mình học tiếng Nhật: ありがとう có nghĩa là cảm ơn, こんにちは là xin chào.",
        "Mình thích lắm ヽ(´ー`)ノ cảm ơn mọi người nhiều nha ヽ(´ー`)ノ",
    ],
    "ru": ["Слово ありがとう означает спасибо по-японски, запомните его хорошо.", "Привет всем ヽ(´ー`)ノ как дела ヽ(´ー`)ノ"],
}  # fmt: skip


@pytest.mark.parametrize(("lang", "text"), [(lang, text) for lang, texts in KANA_ELSEWHERE.items() for text in texts])
def test_kana_in_other_languages_settle_nothing(lang, text):
    settled, found = measured(normalise(pl.Series([text])).to_list())
    assert not settled[0] and found["language"][0] == lang


@pytest.mark.parametrize(
    "text",
    [
        "ありがとうヽ(´ー`)ノ",
        "京都大学ヒトゲノム研究所",
        "新世紀エヴァンゲリオン",
        "テクニカルイラストレーション科",
        "アルキルトリメチルアンモニウムカルシウムオキシテトラサイクリン、ビコザマイシン、硫酸コリスチン",
        "iPhone 15 Pro Max 256GB ブラックチタニウム SIMフリー 未使用品",
        "甲は乙に対し金百万円を支払う",
        "本件控訴を棄却する 控訴費用は控訴人の負担とする",
        "中国語で「你好」はこんにちは、「谢谢」はありがとうという意味です。",
        "私の好きな言葉は「己所不欲，勿施于人」です",
        "안녕하세요は韓国語でこんにちはという意味です",
        "MacBook Proのレビュー",
    ],
)
def test_japanese_with_few_kana_or_foreign_words_stays_japanese(text):
    settled, found = measured(normalise(pl.Series([text])).to_list())
    assert settled[0] and (found["language"][0], found["language_score"][0]) == ("ja", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("春の七草", "ja"),
        ("カバ", "ja"),
        ("鬼滅の刃", "ja"),
        ("鲜の每日优惠，欢迎光临本店", "zh"),
        ("優の良品", "ja"),
        ("北海道札幌市中央区駅前広場", "ja"),
        ("自動車税納税通知書在中", "ja"),
        ("豚肉 玉葱 人参 馬鈴薯 味噌 豆腐", "ja"),
        ("新商品入荷！", "ja"),
        ("平家物語巻第一祇園精舎", "ja"),
        ("完売御礼", "ja"),
        ("株価急落", "ja"),
        ("辻褄", "ja"),
        ("躾", "ja"),
        ("草", "ja"),
        ("え？", "ja"),
        ("あ、い、う", "ja"),
        ("中国の习近平国家主席が来日した", "ja"),
        ("Pythonのpandasでread_csvするとUnicodeDecodeErrorが出る", "ja"),
        ("Spring Boot 3.0 + MyBatisでNullPointerException", "ja"),
        ("Error: Cannot find module 'express' の解決方法", "ja"),
        ("Nikon AF-S NIKKOR 50mm f/1.8G レンズ", "ja"),
        ("我們去國立故宮博物院", "zh"),
        ("我們明天去學校", "zh"),
    ],
)
def test_short_texts_are_settled_by_their_han(text, expected):
    found = measured([text])[1]
    assert found["language"][0] == expected and found["language_score"][0] >= 0.5


@pytest.mark.skipif(not LABELLED.exists(), reason="no shared data")
def test_other_languages_of_the_news_are_hardly_ever_japanese():
    with gzip.open(LABELLED, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if row["set"] == "ntrex" and row["lang"][:2] in ("zh", "yu")][::2]
    found = measured(normalise(pl.Series([row["text"] for row in rows])).to_list())[1]
    # lid.176 alone: one in forty.
    assert sum(
        (code == "ja") & (value >= 0.5) for code, value in zip(found["language"], found["language_score"])
    ) <= 0.01 * len(rows)


@pytest.mark.skipif(not LABELLED.exists(), reason="no shared data")
def test_titles_of_kanji_alone_are_japanese():
    with gzip.open(LABELLED, "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["set"].startswith("ja_kanji_only")]
    found = measured(normalise(pl.Series([row["text"] for row in rows])).to_list())[1]
    assert (found["language"] == "ja").sum() >= 0.98 * len(rows)  # lid.176, corrected by Han of one side only: 1,292 of 2,139
