import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.text.replacements import are_other_facts

FRAME = (
    "{0}駅は、{1}県{2}町にある駅である。単式ホームを持つ地上駅で、駅員のいない無人駅となっている。駅舎は木造で、待合室に自動券売機が置かれている。"
    "一日の平均乗車人員は{3}人である。駅前には商店が数軒あるほかは田畑が広がっており、少し歩くと国道に出る。"
)
FACTS = ["大和田", "埼玉", "小川", "214"]
TEXT = FRAME.format(*FACTS)


@pytest.mark.parametrize(("gap", "fact"), [(0, "白浜口"), (1, "和歌山"), (2, "上富田"), (3, "88"), (3, "215")])
def test_one_other_fact_makes_another_text(gap, fact):
    assert are_other_facts(TEXT, FRAME.format(*FACTS[:gap], fact, *FACTS[gap + 1 :]))


@pytest.mark.parametrize(
    ("left", "right", "is_fact"),
    [
        ("第三条", "第四条", True),
        ("第十条", "第十二条", True),
        ("3,980円", "2,980円", True),
        ("ケトル", "ミキサー", True),
        ("可否：○、合否：○", "可否：×、合否：×", True),
        ("保証", "保障", False),
        ("ウィルス", "ウイルス", False),
        ("サーバー", "サーバ", False),
        ("りんご", "リンゴ", False),
        ("出来る", "できる", False),
        ("1,000円", "1000円", False),
        ("夏", "冬", True),
        ("陶芸", "園芸", True),
        ("必要", "心要", False),
        ("意外", "以外", False),
        ("都市", "都束", False),
        ("りんご", "みかん", True),
        ("りんご", "桃", True),
        ("りんご", "林檎", False),
        ("学校", "がっこう", False),
        ("可", "不可", True),
        ("できる", "できない", True),
        ("なります", "なりません", True),
        ("します", "しました", False),
        ("10kg", "10g", True),
        ("5 cm", "5 mm", True),
        ("マリア", "マリオ", True),
        ("ベッド", "ベット", False),
        ("留学", "留うを", False),
        ("二年第三回", "三年第二回", True),
    ],
)
def test_what_is_a_fact(left, right, is_fact):
    before, after = (
        "この規程の適用を受けるものについては次のとおりとし、",
        "の定めによるものとする。ただし、特に認めた場合はこの限りでない。",
    )
    assert are_other_facts(before + left + after, before + right + after) == is_fact


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t,
        lambda t: "みんなの鉄道 > 駅の一覧\n" + t + "\n前のページへ",
        lambda t: t.replace("。", "。\n"),
        lambda t: "\n".join("> " + line for line in t.split("。")),
        lambda t: t.replace("、", "，").replace("。", "．"),
        lambda t: t.replace("ホーム", "プラットホーム"),
        lambda t: t.replace("待合室", "待ち合い室"),
        lambda t: t.replace("平均", "平埼"),
        lambda t: t.replace("広がっており", "ひろがっていて"),
        lambda t: t + "近くに川が流れている。",
        lambda t: t.replace("駅舎は木造で、", ""),
    ],
)
def test_an_edited_copy_tells_the_same(edit):
    assert not are_other_facts(TEXT, edit(TEXT)) and not are_other_facts(edit(TEXT), TEXT)


def test_counters_and_dates_on_lines_of_their_own_are_no_facts():
    page = "閲覧数：{0}\n" + TEXT + "\n2020年{1}月4日\nコメント({0})"
    assert not are_other_facts(page.format(123, 4), page.format(98761, 11))


def test_many_edits_of_which_one_looks_like_a_fact():
    edited = (
        TEXT.replace("小川", "小畑")
        .replace("木造", "木の造り")
        .replace("商店", "店")
        .replace("持つ", "もつ")
        .replace("広がっており", "ひろがっていて")
    )
    assert not are_other_facts(TEXT, edited)


@given(st.text(max_size=60), st.text(max_size=60))
def test_order_does_not_matter_for_equal_texts_and_nothing_fails(left, right):
    assert not are_other_facts(left, left)
    assert are_other_facts(left, right) in (True, False)
