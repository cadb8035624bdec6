"""Made sites: pages of prose with the furniture of their site around it, which varies a little from page to page."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.support.texts import make_sentences

_ITEMS = (
    "ホーム 会社概要 お知らせ一覧 サービス案内 採用情報 料金プラン よくあるご質問 アクセス お問い合わせ 個人情報保護方針 "
    "サイトマップ 利用規約 店舗一覧 商品紹介 導入事例 お客様の声 スタッフ紹介 イベント情報 ギャラリー 資料請求 "
    "関連リンク 最新記事 人気記事 月間ランキング アーカイブ 旅行記 料理日記 読書感想 庭仕事 "
    "写真集 映画評 音楽 手芸 天体観測 釣行記録 自転車 登山記録 温泉巡り 城跡めぐり 鉄道模型 家計簿"
).split()


@dataclass(frozen=True)
class Page:
    """A page: its text, and which of its lines are furniture that it shares with the pages of its site."""

    text: str
    url: str
    furniture: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)


def make_site(seed: Any, pages: int, header: int = 4, sidebar: int = 20, footer: int = 4) -> list[Page]:
    """Make a site with so many lines of header, sidebar and footer; counts in the sidebar and the page's own item differ by page."""
    draw = random.Random(f"site {seed}")
    name = f"{draw.choice('青赤白黒緑紫')}{draw.choice('山川森海空町')}{seed}通信"
    items = [f"{name}の{item}" if draw.random() < 0.3 else item for item in draw.sample(_ITEMS, len(_ITEMS))]
    top = [name, *items[: header - 1]] if header else []
    middle = ["カテゴリー", *items[header : header + sidebar - 1]] if sidebar else []
    bottom = [*items[-footer + 1 :], f"© {name}"] if footer else []
    made = []
    for number in range(pages):
        side = [f"{item} ({draw.randint(1, 40)})" if i % 5 == 1 else item for i, item in enumerate(middle)]
        own = draw.randrange(len(side)) if side else 0
        shared = [*top, *side[:own], *side[own + 1 :], *bottom]
        side[own : own + 1] = [f"▶ {make_sentences((seed, number, 'own'), 1, 12)[:-1]}"] if side else []
        title = f"{make_sentences((seed, number, 'title'), 1, 14)[:-1]}"
        prose = make_sentences((seed, number), 6 + number % 7, 40).split("\n")
        text = "\n".join([*top, title, "", *prose, "", *side, *bottom])
        made.append(Page(text, f"https://www.site{seed}-example.jp/{number}.html", shared, prose))
    return made


def count_found(pages: list[Page], texts: list[str]) -> tuple[int, int, int]:
    """Return lines of furniture, how many of them are gone in `texts`, and how many lines of prose are gone with them."""
    total = gone = lost = 0
    for page, text in zip(pages, texts, strict=True):
        left = set(text.split("\n"))
        plain = {line.split(" (")[0] for line in left}
        total += len(page.furniture)
        gone += sum(line not in left and line not in plain for line in page.furniture)
        lost += sum(line not in left for line in page.prose)
    return total, gone, lost
