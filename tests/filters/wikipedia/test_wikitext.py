import mwparserfromhell
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.wikipedia import redirect_target, wikitext_to_text
from filters.wikipedia.wikitext import MOST_FRAMES

# Wikitext, and what a reader sees of it.
MARKUP = {
    # emphasis, entities, comments, switches
    "'''東京'''は''首都''である。": "東京は首都である。",
    "''''壁''''": "'壁'",
    "&lt;br&gt; &amp;amp; &#x3042;&#12354;&nbsp;x": "<br> &amp; ああ\u00a0x",
    "甲<!-- 秘密 -->乙<!-- 閉じない": "甲乙",
    "__NOTOC__\n__目次強制__\n本文。__init__": "本文。__init__",
    # links
    "[[日本]]と[[首都 (行政)|首都]]": "日本と首都",
    "（→[[#歴史]]）[[#歴史|歴史の節]]と[[:Category:都市]]": "（→歴史）歴史の節とCategory:都市",
    "[[ファイル:a.jpg|thumb|200px|[[駅]]の{{lang|en|plan}}]]本文": "本文",
    "[[File:a.svg]][[画像:b.png|右]][[Image:c.gif|説明\n\n二段落]]本文": "本文",
    "本文\n[[Category:日本|とうきよう]]\n[[カテゴリ:都市]]\n[[en:Tokyo]]\n[[zh-min-nan:Tang-kiaⁿ]]": "本文",
    "[[wikt:猫|猫]]と[[en:Cat|英語版]]": "猫と英語版",
    "[http://a.example/ 公式]と[http://a.example/x]、http://a.example/y": "公式と、http://a.example/y",
    "[https://a.example [[東京]]の頁]": "東京の頁",
    "[[ファイル:a.jpg|thumb|[http://a.example 出典]]]後": "後",
    "配列 a[1] と [注] は残る": "配列 a[1] と [注] は残る",
    # templates
    "{{読み仮名|東京|とうきょう}}、{{読み仮名_ruby不使用|'''江戸'''|えど}}": "東京（とうきょう）、江戸（えど）",
    "{{ruby|漢字|かんじ}}{{ルビ|本気|マジ}}": "漢字（かんじ）本気（マジ）",
    "<ruby>漢字<rp>（</rp><rt>かんじ</rt><rp>）</rp></ruby>": "漢字（かんじ）",
    "{{lang|en|Tokyo}}、{{lang-fr|Paris}}、{{lang-en-short|Rome}}": "Tokyo、フランス語: Paris、英: Rome",
    "{{仮リンク|首相|en|Prime minister|label=総理}}と{{仮リンク|都|en|Capital}}": "総理と都",
    "{{Nihongo|Tokyo|東京|Tōkyō}}": "Tokyo（東京 Tōkyō）",
    "{{要出典範囲|昔は村だった|date=2020年1月}}{{要出典|date=2020年}}。": "昔は村だった。",
    "{{convert|10|km|mi}}、{{convert|5|-|8|km|mi}}": "10km、5-8km",
    "{{val|1.5|e=3|u=m}}と{{formatnum:1234}}": "1.5×10^3mと1234",
    "{{nowrap|一{{small|二}}三}}": "一二三",
    "{{色|赤|危険}}": "危険",
    "{{Start date|2001|2|3}}": "2001年2月3日",
    "{{nowrap|1=a=b}}": "a=b",
    "前。{{Quote|引いた文。|人}}後。": "前。\n\n引いた文。\n\n後。",
    "x{{!}}y": "x|y",
    "{{Fontsize|90%|小さい字}}と{{CP932フォント|髙}}": "小さい字と髙",
    "{{Snamei||Homo sapiens}}は{{和暦|2019|5|1}}に": "Homo sapiensは2019年5月1日に",
    "{{JPN}}代表と{{USA|米国}}代表、{{flag|フランス}}": "日本代表と米国代表、フランス",
    "{{zh|c=北京|p=Běijīng}}、{{日付|2011|3|11}}": "北京、2011年3月11日",
    "{{PAGENAME}}は町": "題は町",
    "{{Infobox 都市\n|名前 = [[東京]]\n|人口 = {{formatnum:100}}\n}}\n'''東京'''は": "東京は",
    "{{DEFAULTSORT:とうきよう}}{{Reflist}}{{main|歴史}}本文": "本文",
    "{{Cite web |title={{lang|en|x}} |url=http://a.example/?a=b}}本文": "本文",
    "{{{引数|既定}}}と{{{無}}}": "既定と",
    "{{#if:{{{1}}}|甲|乙}}本文": "本文",
    # references, tables, formulas, galleries, tags
    "事実<ref>本。p.1</ref>と<ref name=a />説<ref name=\"b\">{{Cite book|title=x}}</ref>。": "事実と説。",
    "甲<ref>閉じない。乙<ref>本</ref>丙": "甲閉じない。乙丙",
    "前\n{| class=wikitable\n! a !! b\n|-\n| c || {{lang|en|d}}\n{|\n| 中\n|}\n|}\n後": "前\n\n後",
    "前\n:{|\n| c\n|}\n後": "前\n\n後",
    "前\n<table><tr><td>x</td></tr></table>\n後": "前\n\n後",
    "<math>x + 1</math>と<math>\\alpha</math>": "x + 1とα",
    "<math>\\frac{a}{b}</math>": "{\\displaystyle \\frac{a}{b}}",
    "<gallery>\nファイル:a.jpg|説明\n</gallery>本文": "本文",
    "<nowiki>[[素]]</nowiki>と<code>x</code>": "[[素]]とx",
    "H<sub>2</sub>O、<s>旧</s>新、<small>小</small>": "H2O、新、小",
    "一<br />二<br>三": "一\n二\n三",
    "<blockquote>引く</blockquote>": "引く",
    "<syntaxhighlight lang=\"c\">\nint x;\n</syntaxhighlight>": "int x;",
    # paragraphs, lists, headings
    "一。\n二。\n\n三。\n\n\n\n四。": "一。\n二。\n\n三。\n\n四。",
    "* 甲\n** 乙\n# 丙\n; 語 : 意味\n: 字下げ\n----\n終": "甲\n乙\n丙\n語 : 意味\n字下げ\n終",
    "前。\n\n== 歴史 ==\n古い。\n\n=== 近代 ===\n新しい。": "前。\n\n歴史\n古い。\n\n近代\n新しい。",
    "前。\n== 空 ==\n\n== 表 ==\n{|\n|x\n|}\n== 節 ==\n=== 小節 ===\nある。": "前。\n\n節\n\n小節\nある。",
}  # fmt: skip


@pytest.mark.parametrize("wikitext", MARKUP)
def test_every_kind_of_markup(wikitext):
    assert wikitext_to_text(wikitext, "題") == MARKUP[wikitext]


def test_appendices_go_to_the_end_of_their_section():
    text = wikitext_to_text(
        "前。\n== 脚注 ==\n{{Reflist}}\n=== 注釈 ===\n注。\n==== さらに ====\n深い。\n"
        "== 本論 ==\n論。\n=== 出典 ===\n本。\n=== 結び ===\n終。\n"
        "==関連項目==\n* [[甲]]\n== 外部リンク ==\n* [http://a.example a]"
    )
    assert text == "前。\n\n本論\n論。\n\n結び\n終。"


def test_what_is_never_closed_is_text():
    assert wikitext_to_text("{{Infobox\n|名 = x\n\n'''東京'''は[[日本の首都]]である。") == "Infobox\n\n東京は日本の首都である。"
    assert wikitext_to_text("前\n{|\n! a !! b\n|-\n| x\n\n本文。") == "前\n\n本文。"
    assert wikitext_to_text("[[東京は\n\n首都。]]") == "東京は\n\n首都。]]"
    assert wikitext_to_text("[[日本|東京は\n\n首都。") == "日本|東京は\n\n首都。"
    assert wikitext_to_text("[http://a.example 東京\nは") == "http://a.example 東京\nは"
    assert wikitext_to_text("甲<math>x 乙") == "甲x 乙"
    assert wikitext_to_text("甲 }} ]] |} 乙") == "甲  ]] |} 乙"


@pytest.mark.parametrize(
    ("wikitext", "target"),
    [("#REDIRECT [[東京都]]", "東京都"), ("#転送[[甲#節|乙]]", "甲"), ("＃リダイレクト： [[甲]]", "甲"),
     ("\n #redirect\t[[a b]]\n{{r}}", "a b"),
     ("本文 #REDIRECT [[甲]]", None), ("#REDIRECT 甲", None), ("", None)],
)  # fmt: skip
def test_redirects(wikitext, target):
    assert redirect_target(wikitext) == target


PIECES = st.sampled_from(
    "{{ }} {{{ }}} [[ ]] [ ] | = '' ''' == \n \n\n {| |} |- * : ; # <ref> </ref> <ref/> <math> </math> <table> </table> <nowiki> </nowiki> "
    "<!-- --> &lt; &#x3042; &#1114112; http:// [http://a a lang small 仮リンク Infobox ファイル: 東京 。 \0 \r\n \u3000".split(
        " "
    )
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=60).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_nesting_of_markup_is_rendered(wikitext):
    text = wikitext_to_text(wikitext)
    assert text == text.strip("\n") and "\n\n\n" not in text


@given(st.lists(st.text(st.sampled_from("東京は首都。あいう、 a1"), min_size=1, max_size=20), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_prose_without_markup_stays(paragraphs):
    paragraphs = [p.strip() for p in paragraphs]
    assert wikitext_to_text("\n\n".join(p for p in paragraphs if p)) == "\n\n".join(p for p in paragraphs if p)


# Markup that is closed, in any nesting: text, and markup around what comes before.
WORD = st.text(st.sampled_from("東京は首都。あいう"), min_size=1, max_size=5)
AROUND = ("[[東京|{}]]", "'''{}'''", "{{{{Infobox|a={}}}}}字", "[http://a.example {}]", "<small>{}</small>")
INLINE = st.recursive(
    st.one_of(WORD, WORD.map("<ref>{}</ref>字".format)),
    lambda inner: st.one_of(st.lists(inner, min_size=1, max_size=3).map("".join), *(inner.map(form.format) for form in AROUND)),
    max_leaves=12,
)
CLOSED = st.lists(st.one_of(INLINE, INLINE.map("\n{{|\n| {}\n|}}\n".format)), max_size=3).map("".join)


@given(CLOSED)
@settings(max_examples=200, deadline=None)
def test_closed_markup_gives_what_mwparserfromhell_gives(wikitext):
    expected = mwparserfromhell.parse(wikitext)
    for tag in expected.filter_tags(matches=lambda node: node.tag in ("ref", "table")):
        try:
            expected.remove(tag)
        except ValueError:
            pass  # stood in another that is gone
    expected_text = expected.strip_code(normalize=True, collapse=False)
    if any(sign in expected_text for sign in "[]{}|'"):
        return  # it gave up: bold in bold, a link in a link
    assert "".join(wikitext_to_text(wikitext).split()) == "".join(expected_text.split())


@pytest.mark.parametrize(
    "unit",
    ["{{", "[[", "\n{|\n", "<ref>", "[http://a ", "{{a|", "[[a|", "<div ", "{{a|[[b|", "{{small|", "= ", "\n=", "<math>"],
)
def test_a_page_of_markup_that_is_never_closed_is_read_once(unit):
    wikitext_to_text(unit * 20_000)  # others take minutes


def test_deep_nesting_is_left_out():
    deep = MOST_FRAMES + 5
    assert wikitext_to_text("前{{small|" * deep + "底" + "}}" * deep + "後").count("前") <= MOST_FRAMES + 1
    assert wikitext_to_text("{{small|" * 20 + "底" + "}}" * 20 + "後") == "底後"
