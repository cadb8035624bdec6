"""Which lines are boilerplate: entries of two lists, alone or in company, and never prose or code."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text.boilerplate import LINE_CHARS, boilerplate_lines
from filters.text.normalisation import drop_lines, normalise_spans
from filters.text.phrases import narrow_phrases


def cleaned(*texts):
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    return normalise_spans(data, offsets[:-1], offsets[1:])


def falls(*lines):
    return boilerplate_lines(cleaned("\n".join(lines))).tolist()


def falls_alone(line):
    return falls("前の行。", line, "後の行。") == [False, True, False]


def without_boilerplate(*texts):
    lines = cleaned(*texts)
    data, offsets, n_lines, n_chars = drop_lines(lines, boilerplate_lines(lines))
    kept = [data[a:b].tobytes().decode() for a, b in zip(offsets, offsets[1:])]
    return kept, n_lines.tolist(), n_chars.tolist()


def example(entry):
    return entry.replace("**", "あ").replace("*", "い")


def test_a_line_of_sixty_characters_falls_and_a_longer_one_stays():
    line = "Copyright © 2020 " + "A" * 60
    assert LINE_CHARS == 60 and falls_alone(line[:60]) and not falls_alone(line[:61])


def test_every_entry_drops_its_line():
    entries = [example(entry) for entry in narrow_phrases("boilerplate")]
    found = boilerplate_lines(cleaned(*(f"前の行。\n{entry}\n後の行。" for entry in entries)))
    assert [entry for entry, middle in zip(entries, found[1::3]) if not middle] == []
    assert not found[0::3].any() and not found[2::3].any()


def test_a_widget_falls_in_company_only():
    entries = [example(entry) for entry in narrow_phrases("widgets") if not entry[0].islower()]
    alone = boilerplate_lines(cleaned(*(f"前の行。\n{entry}\n後の行。" for entry in entries)))
    assert [entry for entry, middle in zip(entries, alone[1::3]) if middle] == []
    together = boilerplate_lines(cleaned(*(f"サイトマップ\n{entry}\nコメントを書く" for entry in entries)))
    assert [entry for entry, middle in zip(entries, together[1::3]) if not middle] == []


@pytest.mark.parametrize(
    "line",
    [
        "»続きを読む…",
        "[続きを読む]",
        "続きを読む　＞",
        "■ＰＡＧＥ　ＴＯＰ",
        "コメント（１２）",
        "2019年11月 (3)",
        "2019/11 (3)",
        "１ ２ ３ ４ 次へ",
    ]
    + ["ホーム > 会社案内 > 沿革", "Posted by 山田 at 10:20", "投稿日：2021-03-04", "(C) 2001-2009 Yamada", "© 2020 山田商店"]
    + ["Copyright (c) 2016 みなとの会 All Rights Reserved.", "無断転載を禁じます。", "本サイトの画像の無断転載を禁じます。"]
    + [
        "日 月 火 水 木 金 土",
        "サイトマップ | プライバシーポリシー | お問い合わせ",
        "Twitter Facebook はてブ Pocket LINE",
        "コメントする",
    ]
    + [
        "当サイトではCookieを使用しています。",
        "JavaScriptを有効にしてください。",
        "100件中 1〜10件を表示",
        "ツイート",
        "LINEで送る",
    ],
)
def test_furniture(line):
    assert falls_alone(line)


@pytest.mark.parametrize(
    "line",
    [
        "防衛省としてコメントする立場にございません。",
        "部下をフォローする程度。",
        "もっと見るべき世界が",
        "続きを読むのが楽しみだ。",
        "ログインする。",
    ]
    + [
        "「続きを読む」",
        "ホームランを打った",
        "お使いのブラウザーで http://localhost:3000 を開きます。",
        "検索",
        "お知らせ",
        "2019年11月3日",
    ]
    + [
        "プロフィール",
        "1. カートに追加",
        "## 関連記事",
        "| カテゴリ | 商品検索 |",
        '"tags": ["サイトマップ"],',
        "トラックバックとは何か",
        "コメント",
        "1 2 3",
    ]
    + [
        "お問い合わせは総務課まで。",
        "シェアする相手がいない",
        "次の記事は来週出ます。",
        "Copyrightの歴史について書く",
        "日曜 月曜 火曜",
    ],
)
def test_prose_headings_and_code_stay(line):
    assert falls("前の行。", line, "後の行。") == [False, False, False]


def test_a_heading_before_prose_is_content():
    prose = "夏のあいだ、図書館は夜の八時まで開いています。どなたでも入れます。"
    assert falls("お知らせ", prose, prose) == [False] * 3
    assert falls("お知らせ", "プロフィール", "検索", "カテゴリー") == [True] * 4


def test_dates_are_no_company_of_one_another():
    assert falls("2019年11月3日", "10:20", "2019年11月4日", "11/5") == [False] * 4
    assert falls("2019年11月3日", "コメント(0)", "トラックバック(0)") == [True] * 3


def test_items_of_a_menu():
    menu = ["ホーム", "会社概要", "工場のご案内", "製品情報", "採用情報", "お問い合わせ"]
    assert falls(*menu, "昔々、あるところにおじいさんがいました。") == [True] * 6 + [False]
    assert falls("ホーム", "会社概要", "3,800円", "製品情報", "採用情報", "お問い合わせ")[2] is False


def test_nothing_falls_within_code():
    assert falls("return (", "トップへ戻る", ");") == [False] * 3
    assert falls("<ul>", "続きを読む", "</ul>") == [False] * 3


@pytest.mark.parametrize("padding", ["あ", "a"])
@pytest.mark.parametrize("last", [True, False])
def test_a_long_line_is_prose(padding, last):
    entry, end = "ホーム > ", "" if last else "\n終"
    room = LINE_CHARS - len(entry)
    assert boilerplate_lines(cleaned(entry + padding * room + end))[0]
    assert not boilerplate_lines(cleaned(entry + padding * (room + 1) + end))[0]


def test_boilerplate_in_context():
    texts = [
        "今日は晴れだった。\n続きを読む\n明日は雨らしい。",
        "もっと見る",
        "本文。\n\nトップページへ\n\n本文。",
        "「続きを読む」という題の本を買ったのだが、最後の頁まで来てもどこに続きがあるのかわからず、作者に手紙を書いて尋ねることにした。",
        "",
    ]
    kept, lines, chars = without_boilerplate(*texts)
    assert kept == ["今日は晴れだった。\n明日は雨らしい。", "", "本文。\n\n本文。", texts[3], ""]
    assert lines == [1, 1, 1, 0, 0]
    assert chars == [6, 5, 8, 0, 0]


LINES = ["続きを読む", "もっと見る ", "本文です。", "", "お知らせ", "検索", "2019年11月3日", "あ" * 70 + "続きを読む", "項目"]


@given(texts=st.lists(st.lists(st.sampled_from(LINES), max_size=8).map("\n".join), max_size=4))
@settings(max_examples=100, deadline=None)
def test_boilerplate_lines_do_not_depend_on_the_batch(texts):
    together = without_boilerplate(*texts)
    alone = [without_boilerplate(text) for text in texts]
    assert [list(part) for part in together] == [[found[k][0] for found in alone] for k in range(3)]
    assert not any("続きを読む" in line and len(line) <= LINE_CHARS for text in together[0] for line in text.split("\n"))


@given(text=st.text(st.sampled_from('あ検索ホーム|>/ 12:.()（）[]【】©c「」。、{}="・-#é가\n'), max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_text(text):
    assert len(boilerplate_lines(cleaned(text))) == len(cleaned(text).line_offsets) - 1


FURNITURE = ["ログイン", "サイトマップ", "プライバシーポリシー", "続きを読む", "ページトップへ", "コメント(0)"]
PARAGRAPHS = [f"これは{n}つ目の段落で、ここには人が書いた文章が続いている。" for n in range(12)]


@pytest.mark.parametrize(
    ("lines", "fall"),
    [
        (["観葉植物", "鉢植え", "地植え", "寄せ植え", "草花", "中木"], True),
        (["観葉植物", "鉢植え", "地植え"], False),
        (["玉ねぎ 1個", "にんじん 2本", "じゃがいも 3個", "牛肉 200g", "塩 少々", "油 適量"], False),
        (["都市:", "岡山県", "性別:", "女性", "年代:", "六十代"], False),
        (["春の風が吹いている", "山の緑が揺れる", "川の水は光り", "空の雲は流れる", "花の色は移り", "人の心は変わる"], False),
        (["3,980円", "4,200円", "1,980円", "2,800円", "5,400円", "990円"], False),
    ],
)
def test_lists_of_labels_on_pages_with_much_furniture(lines, fall):
    page = [PARAGRAPHS[0], *lines, *PARAGRAPHS[1:], *FURNITURE]
    left = without_boilerplate("\n".join(page))[0][0].split("\n")
    assert all((line not in left) == fall for line in lines) and set(PARAGRAPHS) <= set(left)


def test_lists_of_labels_stay_where_there_is_little_furniture():
    lines = ["観葉植物", "鉢植え", "地植え", "寄せ植え", "草花", "中木"]
    for page in ([*lines, *PARAGRAPHS, *FURNITURE[:3]], [*lines, *PARAGRAPHS * 8, *FURNITURE]):
        assert set(lines) <= set(without_boilerplate("\n".join(page))[0][0].split("\n"))
