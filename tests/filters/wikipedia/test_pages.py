from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.wikipedia import clean_pages

WIKIPEDIA = Path(__file__).parents[4] / "shared" / "data" / "text" / "wikipedia"


def clean(text, **columns):
    return clean_pages(pl.DataFrame({"text": [text], **{name: [value] for name, value in columns.items()}})).row(0, named=True)


MARKS = {
    # marks of notes and doubts
    "都市である[1]。人口[12][注 3][注釈 4]は[出典 5]多い［6］。": "都市である。人口は多い。",
    "都である[要出典]、町[要検証 – ノート]、村[いつ?][誰によって？][リンク切れ][独自研究?][編集]。": "都である、町、村。",
    "古い(1990年)[2]。「声」[3]": "古い(1990年)。「声」",
    "配列の a[1] と b[i][2] は同じ。[要約]と[n][m][ip̚poɴ]も残る。": "配列の a[1] と b[i][2] は同じ。[要約]と[n][m][ip̚poɴ]も残る。",
    # what removed readings leave
    "東京（、）は": "東京は", "東京（）と京都（ ）、大阪（；）は": "東京と京都、大阪は", "東京(、)と大阪()は": "東京と大阪は",
    "東京（、1900年 - ）は": "東京（1900年 - ）は", "東京（とうきょう、）は": "東京（とうきょう）は",
    "東京(とうきょう、)は": "東京(とうきょう)は",
    "読点（、）と句点（。）、コンマ（,）": "読点（、）と句点（。）、コンマ（,）", "関数 main() と f( ) は": "関数 main() と f( ) は",
    # remains of markup
    "前{{仮|{{内|x}}|y}}後": "前後", "前<!-- 秘 -->後<ref>本</ref>。": "前後。",
    "'''東京'''は[[日本|日本国]]の[[首都]]": "東京は日本国の首都",
    "前\n{| class=x\n| a\n|}\n後": "前\n後",
    "前\nファイル:地図.png|thumb|240px|地図\nCategory:都市\nサムネイル|左|駅\nDEFAULTSORT:とうきよう\n__NOTOC__\n後": "前\n後",
    "前\n^ 『本』p.1\n↑ 同書\n後": "前\n後",
    "ファイル: 読み込みは速い。": "ファイル: 読み込みは速い。",
    # notices
    "この項目では、町について説明しています。駅については「東京駅」をご覧ください。\n東京は町である。": "東京は町である。",
    "「江戸」はこの項目へ転送されています。江戸時代については「江戸時代」を参照してください。\n東京は町。": "東京は町。",
    "その他の用法については「東京 (曖昧さ回避)」をご覧ください。\n東京は町。": "東京は町。",
    "この項目では、町について説明する。歴史は長い。": "この項目では、町について説明する。歴史は長い。",
    # formulas
    "速さは一定である。距離は{\\displaystyle x=vt}である。時間は長い。": "速さは一定である。時間は長い。",
    # a text without line ends, as CirrusSearch has it
    "東京は町である。 ^ 『本』1頁 ^ 同": "東京は町である。", "x ^ 2 は正": "x ^ 2 は正",
}  # fmt: skip


@pytest.mark.parametrize("text", MARKS)
def test_marks(text):
    assert clean(text)["text"] == MARKS[text]
    assert clean(MARKS[text])["text"] == MARKS[text]


def test_a_navigation_line_goes_where_the_title_is_known():
    text = "地理 > 都市 > 東京 東京は町である。甲 > 乙。"
    assert clean(text, title="東京")["text"] == "東京は町である。甲 > 乙。"
    assert clean(text)["text"] == text


APPENDICES = {
    "本文。\n\n歴史\n古い。\n\n脚注\n\n注釈\n\n出典\n\n参考文献\n 『本』出版社、2001年。"
    "\n\n関連項目\n 甲\n 乙\n\n外部リンク\n 公式": "本文。\n\n歴史\n古い。",
    "本文。\n関連項目\n甲\n乙": "本文。",
    "本文。\n== 外部リンク ==\n公式": "本文。",
    "本文。\n\n参考文献\n\n書籍\n 『本』\n\n論文\n 『紀要』12頁。\n\n影響\nこの町はのちの世にも大きな影響を残した。":
    "本文。\n\n影響\nこの町はのちの世にも大きな影響を残した。",
    "本文。\n\n成績\n\n注釈\n\n記録\n初勝利：対甲戦": "本文。\n\n成績\n\n記録\n初勝利：対甲戦",
    "項目\n出典\n注\n文献": "項目",
    "次の語がある\n文献\n資料": "次の語がある\n文献\n資料",
    "出典は参考文献による。\n外部リンクの仕組み": "出典は参考文献による。\n外部リンクの仕組み",
    "脚注\n1": "",
}  # fmt: skip


@pytest.mark.parametrize("text", APPENDICES)
def test_appendices_of_plain_text(text):
    assert clean(text)["text"] == APPENDICES[text]


def test_wikitext_is_rendered_and_its_sections_are_not_guessed():
    page = clean("'''甲'''（{{lang|x}}、）は町[1]。\n\n一覧\n\n出典\n\n== 関連項目 ==\n* 乙", wikitext=True)
    assert page["text"] == "甲（x）は町。\n\n一覧\n\n出典"
    assert page["removed_chars"] > 20


@pytest.mark.parametrize(
    ("text", "columns", "kind"),
    [
        ("東京は町。", {}, "article"),
        ("東京は町。", {"namespace": 0, "title": "東京"}, "article"),
        ("{{x}}", {"namespace": 10, "wikitext": True}, "template"),
        ("x", {"namespace": 1}, "talk"), ("x", {"namespace": 11}, "talk"), ("x", {"namespace": 14}, "category"),
        ("x", {"namespace": 2300}, "namespace 2300"),
        ("#転送 [[甲]]", {"namespace": 0, "redirect": "甲", "wikitext": True}, "redirect"),
        ("'''甲'''\n* 乙\n{{aimai}}", {"wikitext": True}, "disambiguation"),
        ("* 乙\n{{人名の曖昧さ回避}}", {"wikitext": True}, "disambiguation"),
        ("* 乙\n{{ 曖昧さ回避|地名}}", {"wikitext": True}, "disambiguation"),
        ("甲{{要曖昧さ回避|date=2020年}}は町。{{Otheruses||乙|甲 (曖昧さ回避)}}", {"wikitext": True}, "article"),
        ("甲", {"title": "甲 (曖昧さ回避)"}, "disambiguation"), ("甲", {"title": "甲_(曖昧さ回避)"}, "disambiguation"),
        ("甲\n乙 - 町\nこのページは曖昧さ回避のためのページです。", {}, "disambiguation"),
        ("甲は、以下のものを指す。\n 甲町 - 東の町\n 甲村 - 西の村", {}, "disambiguation"),
        ("甲は、次の事件がある。" + "\n長い話である。そのあとも続いた。" * 9, {}, "article"),
        ("この項目では、町について説明しています。駅については「甲 (曖昧さ回避)」をご覧ください。\n甲は町。", {}, "article"),
    ],
)  # fmt: skip
def test_kinds_of_pages(text, columns, kind):
    page = clean(text, **columns)
    assert page["page_kind"] == kind
    if columns.get("wikitext") and kind not in ("article", "disambiguation"):
        assert page["text"] == ""


def test_nothing_of_nothing():
    empty = clean_pages(pl.DataFrame({"text": []}, schema={"text": pl.String}))
    assert empty.shape == (0, 3) and empty["page_kind"].dtype == pl.String


SIGNS = st.sampled_from(
    "[ ] ［ ］ ( ) （ ） 、 ; {{ }} {| |} [[ ]] 脚注 参考文献 注 \n \n\n ^ ↑ > 1 要出典 東京 。 "
    "\\displaystyle ファイル: thumb| ご覧 参照".split(" ")
)


@given(st.lists(st.lists(st.one_of(SIGNS, st.text(max_size=3)), max_size=30).map("".join), max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_page_is_cleaned_as_if_it_were_alone(texts):
    together = clean_pages(
        pl.DataFrame({"text": texts, "title": ["東京"] * len(texts)}, schema={"text": pl.String, "title": pl.String})
    )
    alone = [clean(text, title="東京") for text in texts]
    assert together.rows(named=True) == alone


@pytest.mark.skipif(not WIKIPEDIA.exists(), reason="the development data is absent")
def test_no_paragraph_of_real_articles_is_lost():
    articles = pl.read_parquet(WIKIPEDIA / "*.parquet")
    cleaned = clean_pages(articles.select("text", "title"))
    assert (cleaned["page_kind"] == "article").all()
    lost = 0
    for before, after in zip(articles["text"], cleaned["text"]):
        paragraphs = [line for line in before.split("\n") if line.strip()]
        left = [line for line in after.split("\n") if line.strip()]
        assert len(left) == len(paragraphs)
        assert all(2 * len(b) > len(a) for a, b in zip(paragraphs, left))
        lost += sum(len(a) - len(b) for a, b in zip(paragraphs, left))
    assert lost < 200  # marks: of 4 million characters
