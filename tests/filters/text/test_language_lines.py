import gzip
import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import measure_frame, measure_text, normalise
from filters.kernels import buffers
from filters.text import characters, language_lines
from filters.text.language_scan import scan_lines

LABELLED = Path(__file__).parents[4] / "shared" / "data" / "language" / "labelled.jsonl.gz"
MEASURES = ["language", "language_score", "language_lines_share", "language_kind"]

# Lines in other languages, eight of each.
OTHERS = {
    "zh": [
        "随着人工智能技术的快速发展，越来越多的企业开始使用大模型来提高工作效率。",
        "专家认为，数据质量是决定模型性能的关键因素之一。",
        "不过，如何在保护隐私的同时充分利用数据，仍然是一个难题。",
        "去年，该公司在上海和深圳设立了两个新的研究中心。",
        "当地居民表示，他们对新建的地铁线路非常满意。",
        "气象局发布了暴雨黄色预警，提醒市民注意出行安全。",
        "这部电影上映三天，票房已经突破两亿元。",
        "周末我和朋友去爬山，山顶的风景真是太美了。",
    ],
    "zh-Hant": [
        "這家餐廳的牛肉麵湯頭濃郁，麵條也很有嚼勁。",
        "昨天下午的會議討論了明年的預算分配。",
        "捷運站出口旁邊新開了一間咖啡店，環境十分安靜。",
        "請勿在車廂內飲食，並將手機調成靜音。",
        "颱風來襲，全臺各地停班停課。",
        "我們班上的同學都很喜歡這位老師。",
        "博物館每週一休館，其餘時間照常開放。",
        "他從小就對昆蟲充滿了好奇心。",
    ],
    "ko": [
        "오늘 오전 서울 시내 곳곳에서 교통 체증이 발생했습니다.",
        "정부는 내년도 예산안을 국회에 제출했다.",
        "이 식당은 김치찌개가 특히 맛있기로 유명합니다.",
        "주말에는 가족과 함께 공원에서 시간을 보냈어요.",
        "새로운 스마트폰이 다음 달에 출시될 예정이다.",
        "그 영화는 관객들에게 큰 감동을 주었다.",
        "도서관은 매주 월요일에 문을 닫습니다.",
        "회의는 오후 세 시에 시작됩니다.",
    ],
    "en": [
        "The city council approved the new budget on Tuesday.",
        "Researchers found that the method works well on small data sets.",
        "He walked slowly along the river, thinking about the past.",
        "Please turn off your phone before entering the theater.",
        "The recipe calls for two cups of flour and one egg.",
        "Our flight was delayed by three hours because of fog.",
        "She has been working as a nurse for almost ten years.",
        "The museum is closed on Mondays and public holidays.",
    ],
    "ru": [
        "Вчера вечером в городе прошёл сильный дождь.",
        "Учёные обнаружили новый вид насекомых в лесах Амазонки.",
        "Магазин открыт ежедневно с девяти до восьми.",
        "Мы долго гуляли по набережной и разговаривали.",
        "Цены на топливо снова выросли в этом месяце.",
        "Фильм получил несколько международных наград.",
        "Дети играли во дворе до самого вечера.",
        "Поезд отправляется с третьего пути.",
    ],
}  # fmt: skip
JAPANESE_LINES = [
    "このたび公式サイトを全面的に刷新いたしましたので、ぜひご覧ください。",
    "お問い合わせは平日の午前十時から午後五時まで受け付けています。",
    "ラーメン",
    "昨日は友だちと一緒に映画を見に行って、そのあと駅前の居酒屋で遅くまで飲みながら将来のことをいろいろと話し合いました。",
]
JAPANESE_DOCUMENTS = {
    "fenced code": "合計するには、次のように書きます。\n```python\n# add the value to the running total of all values\n```\n表示されます。",
    "indented log": "次のエラーが出ます。\n    ModuleNotFoundError: there is no module of this name\n"
    "    The program could not be started again\n教えてください。",
    "calls": "関数を呼びます。\nresult = function(first, second, third=None, *arguments, **options)\nself.assertEqual(result, 3)",
    "glossary": "accuracy 正確度\nattention mechanism 注意機構\n"
    "convolutional neural network 畳み込みニューラルネットワーク\nearly stopping 早期終了",
    "minutes": "○議長（山田太郎君）　これより会議を開きます。\n"
    "日程第一　議案第五号　平成三十年度一般会計補正予算\n○市長（鈴木一郎君）　お答えいたします。",
    "statute": "第一条　この法律は、公布の日から施行する。\n附則\n別表第一（第三条関係）\n一　国立大学法人\n二　独立行政法人国立病院機構",
    "old statute": "第三条　左ノ各号ノ一ニ該当スル者ハ五十円以下ノ罰金ニ処ス\n一　許可ヲ受ケスシテ工事ヲ施行シタル者",
    "song": "君と歩いたこの道を\nOh baby, I will never let you go again\n忘れないよ いつまでも\n夜が明けるまで",
    "text and translation": "ようこそ京都へ。\nWelcome to Kyoto, the ancient capital of Japan.\n市内の移動にはバスが便利です。\n"
    "Buses are a convenient way to get around the city.",
    "names": "出演者一覧\n木村拓哉\n松本潤\n新垣結衣\n監督　是枝裕和\nこの作品は二〇一八年に公開されました。",
    "markup": '<refsect1 role="returnvalues">\n &reftitle.returnvalues;\n <para>\n  失敗した場合に &false; を返します。\n </para>',
    "address": "〒100-0001 東京都千代田区千代田一丁目一番一号\n電話 03-1234-5678\n営業時間 午前十時〜午後六時\n定休日 水曜日",
}


def measured(texts: list[str]) -> pl.DataFrame:
    return measure_frame(pl.DataFrame({"text": normalise(pl.Series(texts, dtype=pl.String))}), MEASURES)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("line", JAPANESE_LINES)
def test_one_japanese_line_makes_no_japanese_document(name, line):
    texts = ["\n".join([*OTHERS[name][:place], line, *OTHERS[name][place:]]) for place in (0, 4, 8)]
    found = measured(texts)
    assert (found["language_lines_share"].fill_null(0) < language_lines.LEAST_SHARE).all()
    assert found["language"].unique().to_list() == [name[:2]]
    assert (found["language_score"] < 1).all()
    assert found["language_kind"][0] == "mixed" or line == "ラーメン"


@pytest.mark.parametrize("name", OTHERS)
def test_one_line_in_another_language_changes_nothing(name):
    found = measured(["\n".join([*JAPANESE_LINES[:2], OTHERS[name][0], *JAPANESE_LINES[2:]])])
    assert found["language"].item() == "ja" and found["language_lines_share"].item() > 0.7


@pytest.mark.parametrize("name", JAPANESE_DOCUMENTS)
def test_documents_that_are_japanese(name):
    found = measured([JAPANESE_DOCUMENTS[name]])
    assert found["language"].item() == "ja" and found["language_lines_share"].item() >= language_lines.LEAST_SHARE
    assert found["language_score"].item() >= 0.5


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("今日は天気がいい。", "japanese"),
        ("東京都千代田区", "japanese"),
        ("犬 【いぬ】 (n) dog; a person who follows others\n走る 【はしる】 (v) to run at high speed over the ground", "mixed"),
        ("The verb たべる means to eat, and its polite form is たべます.", "mixed"),
        ("Ashita wa yasumi dakara, tomodachi to umi ni iku tsumori desu.", "romaji"),
        ("nobosenaiyooninyuuyokusuruniwaoyunoryootoondogadaiji", "romaji"),
        ("Mañana vamos a la playa con los niños y mi hermana.", "other"),
        ("Kesho tutaenda sokoni kununua matunda na mboga za majani.", "other"),
        ("我们明天去学校。", "other"),
        ("", "other"),
    ],
)
def test_kind_of_text(text, kind):
    assert measure_text(text, "language_kind") == kind
    assert (measure_text(text, "language") == "ja-Latn") == (kind == "romaji")


def test_only_documents_with_a_japanese_line_have_a_share():
    found = measured(["This is a cat.", "これは猫。", "", "这是一只猫。", "12:30 A-1"])
    assert found["language_lines_share"].to_list() == [None, 1, None, None, None]


def test_a_line_among_code_makes_no_japanese_document():
    code = "\n".join(f"public static final int VALUE_{i} = compute({i}, options);" for i in range(30))
    assert measure_text(f"{code}\n// 値を計算する関数です", "language") != "ja"


lines = st.one_of(
    st.sampled_from([line for group in OTHERS.values() for line in group]),
    st.sampled_from(JAPANESE_LINES),
    st.sampled_from(["```", "    indented words of a line of text", "", "x = {1: 2}", "东京", "目次"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=8),
)
documents = st.lists(st.lists(lines, max_size=8).map("\n".join), max_size=5)


@given(texts=documents)
@settings(max_examples=100, deadline=None)
def test_values_are_of_each_document_alone(texts):
    found = measured(texts)
    assert found.equals(pl.concat([measured([text]) for text in texts])) if texts else found.is_empty()
    share = found["language_lines_share"].drop_nulls()
    assert ((share > 0) & (share <= 1)).all() and found["language_score"].is_between(0, 1).all()
    assert found["language_kind"].is_in(["japanese", "mixed", "romaji", "other"]).all()


@given(texts=documents, trusted=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_line_is_counted_twice(texts, trusted):
    data, offsets = buffers(normalise(pl.Series(texts, dtype=pl.String)))
    scan = scan_lines(data, offsets, np.full(len(texts), trusted))
    # Where there is any text that is not told, it is less than all.
    assert (scan.japanese + scan.latin + scan.open <= characters.count(data, offsets)["n_chars"]).all()
    assert (trusted or not scan.japanese.any()) and (np.diff(scan.documents) >= 0).all()
    told = sum(language_lines.tell_lines(data, offsets, np.full(len(texts), trusted)))
    assert (told <= characters.count(data, offsets)["n_chars"]).all()


def test_a_line_of_any_length_is_counted():
    data, offsets = buffers(pl.Series(["あ" * 5000, "word " * 5000]))
    scan = scan_lines(data, offsets, np.array([True, True]))
    assert scan.japanese.tolist() == [5000, 0] and scan.latin.tolist() == [0, 20_000]


@pytest.mark.skipif(not LABELLED.exists(), reason="no shared data")
@pytest.mark.parametrize("name", ["zh", "zh-Hant", "ko", "eng-US"])
def test_one_line_of_news_among_eight_is_hardly_ever_kept(name):
    with gzip.open(LABELLED, "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["set"] == "ntrex"]
    news = {lang: [row["text"] for row in rows if row["lang"] == lang] for lang in ("ja", name)}
    rng = random.Random(0)
    texts = []
    for _ in range(200):
        start = rng.randrange(len(news[name]) - 8)
        document = news[name][start : start + 8]
        document.insert(rng.randint(0, 8), rng.choice(news["ja"]))
        texts.append("\n".join(document))
    found = measured(texts)
    kept = (found["language"] == "ja") & (found["language_lines_share"].fill_null(1) >= 0.4)
    assert kept.mean() <= 0.05
