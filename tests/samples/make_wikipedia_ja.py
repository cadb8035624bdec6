# ruff: noqa: E501  (sentences are data, one paragraph a line)
"""Write the sample of the manifest `wikipedia-ja` to manifests/samples: `wikipedia-ja.xml.bz2` and `wikipedia-ja.truth.jsonl`.

    python tests/samples/make_wikipedia_ja.py

Every article was written for this project; places, people and things in it are made up. The dump has the layout of `pages-articles`: articles
in wikitext, with the templates, tables, references and lists of links of an encyclopedia, and pages that are no articles. Beside each
stands the text that a reader sees. Only the standard library is used: nothing that is tested takes part in writing the test.
"""

from __future__ import annotations

import bz2
import json
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
NAMESPACES = {0: "", 1: "ノート", 10: "Template", 14: "Category"}


@dataclass(frozen=True)
class Page:
    """A page in wikitext. `text`: what a reader sees of it; `kind`: what it is, of which articles alone are kept."""

    title: str
    wikitext: str
    text: str = ""
    kind: str = "article"
    namespace: int = 0
    redirect: str | None = None
    problem: str | None = None  # why it cannot be read, where its XML is broken


PAGES = [
    Page(
        "霧ヶ沢町",
        """{{Infobox 架空の町
|名称 = 霧ヶ沢町
|画像 = [[ファイル:Kirigasawa.jpg|280px]]
|人口 = {{formatnum:4821}}
}}
'''霧ヶ沢町'''（{{読み仮名|霧ヶ沢|きりがさわ}}ちょう、{{lang-en|Kirigasawa}}）は、[[榎川]]の上流にある町である<ref name="要覧">{{Cite book|和書|title=町勢要覧|year=2019|page=3}}</ref>。朝の霧が深いことから、この名が付いたとされる{{要出典|date=2020年5月}}。

== 地理 ==
[[ファイル:Map.svg|thumb|町の[[地図]]。北が上。]]
町の三方を山が囲み、南だけが平野に開けている。標高は{{convert|420|m|ft}}から{{convert|980|m|ft}}まで差があり、集落は[[榎川]]に沿って並ぶ<ref name="要覧" />。

{| class="wikitable"
! 集落 !! 世帯
|-
| 上沢 || 312
|-
| 下沢 || 405
|}

冬には川沿いの道が凍るため、町は夕方から通行を止める。

== 歴史 ==
=== 開拓 ===
江戸時代の末に、隣の谷から移った七軒の農家が田を開いたのが始まりと伝えられる。用水を引く工事には九年を要した{{R|要覧}}。

=== 鉄道の開通 ===
鉄道が通じたのは後の時代のことで、木材を運ぶ貨車が一日に四度往復した。

== 脚注 ==
{{脚注ヘルプ}}
=== 注釈 ===
{{Notelist}}
=== 出典 ===
{{Reflist}}

== 関連項目 ==
* [[榎川]]
* [[木材]]

== 外部リンク ==
* [http://kirigasawa.example/ 霧ヶ沢町]

{{DEFAULTSORT:きりかさわちよう}}
[[Category:架空の町]]
[[en:Kirigasawa]]""",
        """霧ヶ沢町（霧ヶ沢（きりがさわ）ちょう、英語: Kirigasawa）は、榎川の上流にある町である。朝の霧が深いことから、この名が付いたとされる。

地理
町の三方を山が囲み、南だけが平野に開けている。標高は420mから980mまで差があり、集落は榎川に沿って並ぶ。

冬には川沿いの道が凍るため、町は夕方から通行を止める。

歴史

開拓
江戸時代の末に、隣の谷から移った七軒の農家が田を開いたのが始まりと伝えられる。用水を引く工事には九年を要した。

鉄道の開通
鉄道が通じたのは後の時代のことで、木材を運ぶ貨車が一日に四度往復した。""",
    ),
    Page(
        "榎川",
        """{{Otheruses|川|酒の銘柄|榎川 (酒)}}
'''榎川'''（えのきがわ）は、[[霧ヶ沢町]]を流れる川である。<!-- 長さは測り直すこと -->

流れは速く、大雨のたびに橋が流された。[[1950年代]]に{{仮リンク|石積み堤|en|Stone levee}}が築かれてからは、洪水は一度も起きていない。

== 生き物 ==
* ヤマメとイワナが上流にすむ。
* 下流ではアユがよく釣れる。
** 解禁は六月である。
; 保護
: 町は産卵の時期に釣りを禁じている。

== 参考文献 ==
* 風間直人『川と橋』、2001年。""",
        """榎川（えのきがわ）は、霧ヶ沢町を流れる川である。

流れは速く、大雨のたびに橋が流された。1950年代に石積み堤が築かれてからは、洪水は一度も起きていない。

生き物
ヤマメとイワナが上流にすむ。
下流ではアユがよく釣れる。
解禁は六月である。
保護
町は産卵の時期に釣りを禁じている。""",
    ),
    Page(
        "水面の高さ",
        """'''水面の高さ'''は、川の水かさを表す量である。

時刻<math>t</math>から<math>t + 1</math>までに降る雨の量で変わる。流量は<math>Q = \\frac{1}{n} A R^{2/3}</math>で求められる。式の係数は川底の粗さで決まり、石の多い川では大きくなる。

{{要出典範囲|砂の川では半分ほどになる|date=2021年1月}}といわれるが、測った例は少ない{{Efn|測り方にもよる。}}。

== 注釈 ==
{{Notelist}}""",
        """水面の高さは、川の水かさを表す量である。

時刻tからt + 1までに降る雨の量で変わる。式の係数は川底の粗さで決まり、石の多い川では大きくなる。

砂の川では半分ほどになるといわれるが、測った例は少ない。""",
    ),
    Page(
        "若狭千紘",
        """'''若狭 千紘'''（わかさ ちひろ、{{生年月日と年齢|1961|4|9}} - ）は、<ruby>木版画<rp>（</rp><rt>もくはんが</rt><rp>）</rp></ruby>の[[作家]]である。

山の道具を題材にした連作で知られ、古い鎌や鋸を一枚の版に彫り重ねた。
{{Quotation|道具は、使った人の手の形をしている。|若狭千紘}}

== 作品 ==
<gallery>
ファイル:Kama.jpg|鎌
ファイル:Nokogiri.jpg|鋸
</gallery>

== 人物 ==
町の小学校で毎年、版画の教え方を話している。教室では彫る前に必ず紙に写すように勧め、失敗した版も捨てずに刷らせるという。""",
        """若狭 千紘（わかさ ちひろ、1961年4月9日 - ）は、木版画（もくはんが）の作家である。

山の道具を題材にした連作で知られ、古い鎌や鋸を一枚の版に彫り重ねた。

道具は、使った人の手の形をしている。

人物
町の小学校で毎年、版画の教え方を話している。教室では彫る前に必ず紙に写すように勧め、失敗した版も捨てずに刷らせるという。""",
    ),
    Page(
        "石積み橋 & <水門>",
        """'''石積み橋'''は、石を積んで造る橋である。「<nowiki>[[橋]]</nowiki>」と書けば記事に飛ぶのと同じように、渡れば向こう岸に着く。

柱の間は狭く、{{nowrap|3{{small|m}}}}を超えないものが多い。セメントを使わず、石の重みだけで立つ。CO<sub>2</sub>を出さない造り方として見直されている。

== 造り方 ==
# 川底を掘って、大きな石を据える。
# 木の枠の上に、くさび形の石を並べる。
# 最後の石をはめて、枠を外す。""",
        """石積み橋は、石を積んで造る橋である。「[[橋]]」と書けば記事に飛ぶのと同じように、渡れば向こう岸に着く。

柱の間は狭く、3mを超えないものが多い。セメントを使わず、石の重みだけで立つ。CO2を出さない造り方として見直されている。

造り方
川底を掘って、大きな石を据える。
木の枠の上に、くさび形の石を並べる。
最後の石をはめて、枠を外す。""",
    ),
    Page("榎川 (曖昧さ回避)", "'''榎川'''\n* [[榎川]] - 霧ヶ沢町を流れる川。\n* [[榎川 (酒)]] - 酒の銘柄。\n{{Aimai}}", "榎川\n榎川 - 霧ヶ沢町を流れる川。\n榎川 (酒) - 酒の銘柄。", kind="disambiguation"),
    Page("上沢", "'''上沢'''は、以下のものを指す。\n* [[霧ヶ沢町]]の集落。\n* [[上沢駅]] - 駅。\n{{地名の曖昧さ回避}}", "上沢は、以下のものを指す。\n霧ヶ沢町の集落。\n上沢駅 - 駅。", kind="disambiguation"),
    Page("きりがさわ", "#転送 [[霧ヶ沢町]]", kind="redirect", redirect="霧ヶ沢町"),
    Page("えのきがわ", "#REDIRECT [[榎川]]", kind="redirect", redirect="榎川"),
    Page("架空の町", "<includeonly>{{Navbox|name=架空の町|list1=[[霧ヶ沢町]]}}</includeonly>", kind="template", namespace=10),
    Page("架空の町", "[[Category:町]]", kind="category", namespace=14),
    Page("霧ヶ沢町", "== 人口について ==\n人口が古いようです。--[[利用者:名なし]]", kind="talk", namespace=1),
    Page(
        "下沢",
        "'''下沢'''は集落。\n{| class=wikitable\n| 世帯 || 405\n|}",
        "下沢は集落。",
    ),
    Page("壊れた頁", "", problem="no well-formed XML"),
]  # fmt: skip


def build() -> tuple[bytes, str]:
    """Return the dump, and the lines of the truth file."""
    dump = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ja">\n  <siteinfo>\n'
    dump += "    <sitename>Wikipedia</sitename>\n    <dbname>jawiki</dbname>\n"
    dump += "    <base>https://ja.wikipedia.example/wiki/%E8%A1%A8%E7%B4%99</base>\n"
    dump += '    <namespaces>\n      <namespace key="0" case="first-letter" />\n    </namespaces>\n  </siteinfo>\n'
    truth = []
    for number, page in enumerate(PAGES):
        title = f"{NAMESPACES[page.namespace]}:{page.title}" if page.namespace else page.title
        dump += "  "
        offset = len(dump.encode())
        dump += f"<page>\n    <title>{escape(title)}</title>\n    <ns>{page.namespace}</ns>\n    <id>{100 + number}</id>\n"
        dump += f"    <redirect title={quoteattr(page.redirect)} />\n" if page.redirect else ""
        dump += (
            f"    <revision>\n      <id>{900 + number}</id>\n      <timestamp>2024-05-{number + 1:02d}T03:00:00Z</timestamp>\n"
        )
        dump += "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        text = "<b>閉じない" if page.problem else escape(page.wikitext)
        dump += f'      <text bytes="{len(page.wikitext.encode())}" xml:space="preserve">{text}</text>\n    </revision>\n  </page>\n'
        short = len(page.text) < 50 and page.kind == "article"
        truth.append(
            {
                "offset": offset, "title": title, "namespace": page.namespace, "kind": page.kind, "text": page.text,
                "expect": "unreadable" if page.problem else "dropped" if page.kind != "article" or short else "kept",
                "rule": None if page.problem else "page_kind" if page.kind != "article" else "chars" if short else None,
                "note": page.problem or "",
            }
        )  # fmt: skip
    dump += "</mediawiki>\n"
    return dump.encode(), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in truth)


if __name__ == "__main__":
    made, lines = build()
    (SAMPLES / "wikipedia-ja.xml.bz2").write_bytes(bz2.compress(made))
    (SAMPLES / "wikipedia-ja.truth.jsonl").write_text(lines, "utf-8")
