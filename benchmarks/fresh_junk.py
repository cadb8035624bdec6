"""Junk by other makers than those of `benchmarks/junk.py`, never trained on.

The first seven kinds were written after the models and their first bounds stood; lists of phrases have been made since. The last four,
`NEWEST`, were written after these lists and the present bounds.
"""

from __future__ import annotations

import random
import re

from benchmarks.junk import Maker, draw_sentences, find_nouns, split_words

_SURNAMES = "大久保 東海林 五十嵐 小笠原 神谷 水谷 片山 黒木 白石 相沢 永井 川口 星野 関 浅野 菅原 熊谷 奥村 矢野 西田 堀 土屋 馬場 秋山 荒井 古川 島田 本田 大西 平田".split()
_GIVEN = "悠真 颯太 莉子 美月 俊介 康弘 雅之 千代 文雄 花子 春香 太郎 寛 泰子 昭 ハル キヨ 亜紀 良平 光男 静香 奈々 圭 晶 幹夫 裕美 朋子 鉄平 早苗 源三郎".split()
_TOWNS = "岡崎市 徳山 帯広市 武蔵小杉 天王寺 小樽市 浜松市 厚木市 桑名市 都城市 今治市 上越市".split()
_TRADES = {
    "鍵交換": ["鍵開け", "防犯", "合鍵", "玄関錠", "シリンダー"],
    "家庭教師": ["受験", "料金", "個別指導", "中学生", "成績"],
    "ハウスクリーニング": ["エアコン", "換気扇", "カビ", "水回り", "清掃"],
    "バイク買取": ["査定", "原付", "大型", "名義変更", "出張"],
    "占い": ["電話占い", "復縁", "鑑定", "片思い", "霊視"],
    "犬の餌": ["ドッグフード", "無添加", "グレインフリー", "チワワ", "涙やけ"],
    "白アリ駆除": ["床下", "消毒", "保証", "薬剤", "被害"],
    "歯ブラシ": ["電動", "ホワイトニング", "歯垢", "替えブラシ", "口臭"],
}
_DOORWAY = [
    "{place}にお住まいで{trade}にお困りではありませんか。", "{trade}は{place}の当社が地域最安に挑戦中!", "他社のお見積りと比べてみてください、{trade}の{word}には自信があります。",
    "{place}全域、{word}から{word}まで即日駆けつけます。", "「{place} {trade} 安い」で検索された方はぜひ読み進めてください。", "{trade}の{word}でお悩みなら、まず無料の電話相談からどうぞ。",
    "いざ{trade}を頼もうと思っても、{word}の相場は分かりにくいものです。", "{place}で評判の良い{trade}の会社を5社まとめてみました。", "{word}も{word}もコミコミ価格、追加料金は一切いただきません。",
    "お客様満足度98.7%の{trade}サービスを{place}でも。", "{trade}を選ぶときは{word}と{word}の実績を見るのがコツです。",
]  # fmt: skip
_REVIEW = [
    "気になる{trade}を買って検証してみたので、正直にレビューしていきます!", "総合評価:★★★★★(4.8) {word} 4.5 {word} 4.9 コスパ 4.2", "▼最安値はこちら▼ 通常{price}円→初回限定{sale}円(税込)",
    "SNSでの声:「{word}が全然ちがう!」「リピ決定です」「{word}で悩んでたのが嘘みたい」", "迷っている方は売り切れる前に公式ショップをのぞいてみてください。", "{trade}を選ぶなら{word}に注目!おすすめ商品を第1位から発表します。",
    "ポイント1 {word} ポイント2 {word} ポイント3 {word}", "この記事にはプロモーションが含まれています。", "定期縛りなし、いつでも解約OKだから始めやすいのも嬉しいですよね。", "今すぐ{trade}をお得に申し込む≫",
    "結局どの{trade}が一番いいの?という疑問にお答えするべく、人気の{price}商品を比べました。", "{word}が続かないあなたにこそ試してほしい逸品です♪",
]  # fmt: skip


def _length(draw: random.Random) -> int:
    return draw.choice([150, 300, 600, 1200, 2400])


def make_page_source(text: str, draw: random.Random) -> str:
    """The source of a page made by a framework: attributes, inline JSON, SVG."""
    words = find_nouns(text)
    lines = [
        '<!doctype html><html><head><script>window.__STATE__={"user":null,"page":{"id":'
        + str(draw.randrange(9999))
        + "}}</script></head><body>"
    ]
    for sentence in re.findall("[^。\n]{5,120}[。\n]", text)[: draw.randint(3, 25)]:
        word = draw.choice(words)
        lines += [
            f'<section data-testid="card-{draw.randrange(99)}" class="css-{draw.randrange(10**6):x}"><h3 id="{draw.randrange(999)}">{word}</h3>',
            f'<p class="text-sm leading-6">{sentence.strip()}</p><button aria-label="{word}" onclick="track(\'{draw.randrange(999)}\')"><svg width="24" height="24"><path d="M12 2L2 7v10"/></svg></button></section>',
        ]
    return "\n".join(lines) + "</body></html>"


def make_tag_cloud(text: str, draw: random.Random) -> str:
    """Hash tags and search phrases on one line."""
    words = find_nouns(text)
    size = _length(draw)
    parts: list[str] = []
    form = draw.choice(["#{a} ", "{a} {b} ", "{a}+{b} ", "「{a}」", "{a}，{b}，", "【{a}】{b} "])
    while sum(map(len, parts)) < size:
        parts.append(form.format(a=draw.choice(words), b=draw.choice(words)))
    return "".join(parts)


def make_markov_salad(text: str, draw: random.Random) -> str:
    """A chain of word pairs of a document, without sentence ends."""
    words = [word for word in split_words(text[:8000]) if word not in "。！？"]
    following: dict[str, list[str]] = {}
    for a, b in zip(words, words[1:], strict=False):
        following.setdefault(a, []).append(b)
    word, line, size = draw.choice(words or ["語"]), "", _length(draw)
    while len(line) < size:
        line += word
        word = draw.choice(following.get(word, words or ["語"])) if draw.random() < 0.6 else draw.choice(words or ["語"])
    return line


def make_roster(text: str, draw: random.Random) -> str:
    """Members of a club with grade, town or office."""
    mark = draw.choice(["\n", "　", "、", "；", "\n\n"])
    form = draw.choice(["{s}{g}", "{s} {g}（{t}）", "{n}番 {s}{g}", "{s}　{g}　{t}", "{g}{s}", "{s}{g}({n})"])
    count = draw.randint(15, 150)
    return mark.join(
        form.format(s=draw.choice(_SURNAMES), g=draw.choice(_GIVEN), t=draw.choice(_TOWNS), n=draw.randrange(1, 99))
        for _ in range(count)
    )


def make_swapped_words(text: str, draw: random.Random) -> str:
    """A text in which half of the words have been exchanged with others of the text, ends of sentences kept."""
    words = split_words(text[: _length(draw)])
    places = [i for i, word in enumerate(words) if word not in "。、「」" and draw.random() < 0.6]
    moved = [words[i] for i in places]
    draw.shuffle(moved)
    for i, word in zip(places, moved, strict=True):
        words[i] = word
    return "".join(words)


def _sell(sentences: list[str], draw: random.Random) -> str:
    trade = draw.choice([*_TRADES])
    place, size = draw.choice(_TOWNS), _length(draw)
    slots = {
        "trade": [trade], "place": [place], "word": _TRADES[trade], "price": [str(draw.randrange(20, 300) * 100)],
        "sale": [str(draw.randrange(5, 20) * 100)],
    }  # fmt: skip
    mark = draw.choice(["", "\n", " "])
    return mark.join(draw_sentences(sentences, slots, size, draw))


def make_local_doorway(text: str, draw: random.Random) -> str:
    """A page of a trade for one town, as made for hundreds of towns."""
    return _sell(_DOORWAY, draw)


def make_review(text: str, draw: random.Random) -> str:
    """A review that sells."""
    return _sell(_REVIEW, draw)


_GOODS = "珪藻土マット 焼き菓子の詰め合わせ 電動自転車 抱き枕 土鍋 革の手帳 水筒 加湿器 ヨガマット 登山靴".split()
_LETTER = [
    "{town}店からのお便りです。", "いつも当社のメールマガジンをお読みくださり、誠にありがとうございます。", "本日は{goods}の入荷をお知らせいたします。",
    "先週ご案内した{goods}は、おかげさまで半日のうちになくなりました。", "会員の皆さまには通常{price}円のところを{sale}円でお届けします。",
    "ご希望の方は、このメールの末尾にある青いボタンからお進みください。", "月末までにお求めいただいた方へ、{goods}を一つおつけします。",
    "配信停止をご希望の場合は、お手数ですが会員ページで手続きをお願いいたします。", "色は三種類、なくなり次第終了とさせていただきます。",
    "五千円以上のお買い上げで、送料は私どもが負担いたします。", "お友達を一人ご紹介くださるごとに、次回使える{sale}円分の券を差し上げます。",
]  # fmt: skip
_SEMINAR = [
    "会社に頼らず毎月{price}円を受け取る人たちが、あなたの知らないところで増え続けています。", "私も三年前までは、満員電車に揺られて残業ばかりの毎日でした。",
    "転機になったのは、{town}で開かれたたった二時間の説明会です。", "難しい知識も、特別な才能も、まとまったお金も要りません。",
    "必要なのは、一日十分の作業と、スマートフォン一台だけ。", "参加した主婦のAさんは、翌月には{price}円を手にしました。",
    "本来なら{price}円をいただく内容を、このページを見た方にだけ無償で公開します。", "席は残り{n}名分、次の開催は決まっていません。",
    "あなたがこのまま何もしなければ、五年後も同じ生活が続くでしょう。", "登録はメールアドレスを入れるだけ、料金は一切かかりません。",
]  # fmt: skip


def make_newsletter(text: str, draw: random.Random) -> str:
    """A shop's letter to its customers, polite and in whole sentences."""
    return _fill_letters(_LETTER, draw)


def make_seminar(text: str, draw: random.Random) -> str:
    """A page that promises money to those who register."""
    return _fill_letters(_SEMINAR, draw)


def _fill_letters(sentences: list[str], draw: random.Random) -> str:
    slots = {
        "town": _TOWNS, "goods": draw.sample(_GOODS, 3), "price": [str(draw.randrange(30, 900) * 1000)],
        "sale": [str(draw.randrange(3, 30) * 100)], "n": [str(draw.randrange(2, 9))],
    }  # fmt: skip
    return draw.choice(["", "\n"]).join(draw_sentences(sentences, slots, _length(draw), draw))


def make_columns(text: str, draw: random.Random) -> str:
    """A page set in columns from top to bottom that was read from left to right."""
    part = "".join(text.split())[: _length(draw)]
    height = draw.randint(8, 30)
    columns = [part[i : i + height] for i in range(0, len(part), height)]
    return "\n".join("".join(column[row] for column in reversed(columns) if row < len(column)) for row in range(height))


def make_interleaved_lines(text: str, draw: random.Random) -> str:
    """Two columns of a page read across: half a sentence from here, half a sentence from there."""
    part = "".join(text.split())[: _length(draw)]
    width, middle = draw.randint(8, 16), len(part) // 2
    return "".join(part[i : i + width] + part[middle + i : middle + i + width] for i in range(0, middle, width))


NEWEST = ("newsletter", "seminar", "columns", "interleaved lines")
KINDS: dict[str, Maker] = {
    "page source": make_page_source,
    "tag cloud": make_tag_cloud,
    "Markov salad": make_markov_salad,
    "roster": make_roster,
    "swapped words": make_swapped_words,
    "local doorway": make_local_doorway,
    "review": make_review,
    "newsletter": make_newsletter,
    "seminar": make_seminar,
    "columns": make_columns,
    "interleaved lines": make_interleaved_lines,
}
