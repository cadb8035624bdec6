# ruff: noqa: E501  (sentences are data, one paragraph a line)
"""Write the sample of the manifest `common-crawl-ja` to manifests/samples: `common-crawl-ja.warc.gz` and `common-crawl-ja.truth.jsonl`.

    python tests/samples/make_common_crawl_ja.py

Every page was written for this project; places and people in it are made up. Each has the furniture of its site: navigation, a side bar,
a footer. They come in the charsets and codings of the web, in a WARC as Common Crawl writes it: request, response and metadata of each
page, a gzip member for every record. Only the standard library is used: nothing that is tested takes part in writing the test.
"""

from __future__ import annotations

import gzip
import json
import struct
import uuid
import zlib
from dataclasses import dataclass, field
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
DATE = "2024-05-{:02d}T03:00:00Z"

# -- pages ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """A page. `charset` is the true one; `header` and `meta` say one in the HTTP header and in a META tag, where they say any."""

    path: str
    title: str
    paragraphs: tuple[str, ...]
    charset: str = "utf-8"
    header: str | None = "utf-8"
    meta: str | None = None
    coding: str = ""
    layout: str = "blog"
    expect: str | None = "kept"
    group: str | None = None  # of pages that say the same: one of them is kept
    note: str = ""
    status: str = "200 OK"
    media_type: str | None = "text/html"
    language: str = "ja"
    extra: dict[str, str] = field(default_factory=dict)


WELL = (
    "祖父の家の裏には、石で囲んだ浅い井戸があった。夏になると水面が下がり、底に沈んだ落ち葉の色まで見えた。わたしは毎朝そこへ行き、柄杓で水をくんで朝顔の鉢に運ぶのが役目だった。",
    "井戸の水は冷たく、汲んだばかりのバケツの外側にはすぐに細かい水滴がついた。祖父は西瓜を網に入れて沈め、昼過ぎに引き上げては縁側で切ってくれた。種を庭に飛ばすと、翌年の初夏に小さな芽がいくつも出た。",
    "家を建て替えるとき、井戸は埋められることになった。工事の人は節を抜いた竹を一本立て、息抜きだと教えてくれた。竹はいまも物置の横に残っていて、雨の日に耳を寄せると、遠くで水の音がするような気がする。",
)
FERRY = (
    "島へ渡る船は一日に三便しかない。朝の便は郵便と新聞を積み、昼の便は給食の野菜を積み、夕方の便は高校生を乗せて帰ってくる。時刻表は十年前から変わっていないが、桟橋の待合室には新しい長椅子が入った。",
    "待合室の壁には、船長が書いた波の予報が貼ってある。晴れの日でも風が北に回ると欠航になるので、島の人は出かける前に必ずそれを見る。観光客が慌てて走ってくるころには、もう船は防波堤の外に出ている。",
)
BREAD = (
    "天然酵母のパンは、粉と水と塩だけで作れる。ただし発酵には時間がかかるので、夜に生地をこねて朝に焼くのが無理のない段取りだ。室温が二十度なら八時間、二十五度なら六時間ほどで、生地はおよそ二倍にふくらむ。",
    "ふくらみを見るときは、容器の外側に輪ゴムをかけておくとよい。最初の高さに合わせておけば、どれだけ増えたかがひと目で分かる。指に粉をつけて差し込み、穴がゆっくり戻るようなら、ちょうどよい頃合いである。",
    "焼き上がったら、底を叩いて音を確かめる。軽く乾いた音がすれば中まで火が通っている。熱いうちに切ると断面がつぶれるので、網にのせて一時間は待つこと。",
)
STATION = (
    "駅前の再開発で、古い時計塔が取り壊されることになった。文字盤の直径は一メートル半あり、五十年のあいだ一度も部品を替えていないという。市は解体のあと、機械の部分だけを資料館で保存する方針を示している。",
    "時計塔の世話を続けてきたのは、向かいで眼鏡店を営む家族である。初代が毎週月曜にねじを巻き、いまは孫がその役目を引き継いだ。『止まった日を覚えているのは、わたしたちだけかもしれません』と店主は話す。",
)
BIRDS = (
    "河口の干潟には、春と秋に渡り鳥が立ち寄る。潮が引くと泥の上に無数の小さな穴が現れ、鳥たちは細いくちばしを差し入れて蟹やゴカイを探す。一時間も見ていると、種類ごとに歩き方が違うことに気づく。",
    "観察するときは、鳥よりも先に潮の時刻を調べるとよい。満潮の前後二時間は鳥が岸の近くに集まり、双眼鏡でも足の色まで見える。逆に干潮のころは沖に散ってしまい、望遠鏡がなければ数えることも難しい。",
)
MANUAL = (
    "本体の電源を入れると、表示部に現在の室温が表示されます。設定温度を変えるときは、上下のボタンを押してください。三秒間なにも操作しないと、自動的に設定が確定します。",
    "フィルターは二週間に一度を目安に掃除してください。掃除のしかたは次のとおりです。前面の蓋を手前に開き、つまみを持って静かに引き出します。水洗いしたあとは、日陰で十分に乾かしてから取り付けてください。",
    "異音がする場合は、運転を止めてコンセントを抜き、販売店に相談してください。お客様が分解すると、感電や故障の原因になります。",
)
DYE = (
    "藍の葉を刈り取るのは、梅雨が明けて晴天が続く日の朝である。露が乾いたころに根元から鎌で刈り、その日のうちに葉と茎を分ける。葉は筵に広げて天日で干し、乾いたら俵に詰めて秋まで寝かせておく。",
    "秋になると、寝床と呼ばれる土間に葉を積み、水をかけて発酵させる。積んだ山の中は六十度を超え、湯気と強い匂いが立ちのぼる。五日ごとに切り返す作業を百日続けると、黒い土のような染料ができあがる。",
)
LIBRARY = (
    "町の図書室は、廃校になった小学校の二階にある。蔵書は一万冊ほどで、背表紙の番号は司書が手で書いている。窓際の席からは校庭の銀杏が見え、秋には本を読まずに葉が落ちるのを眺めているだけの人もいる。",
    "貸し出しの記録は、いまも紙のカードで残している。古い本の袋には三十年前の名前が並び、同じ名字が二度、三度と出てくることもある。親が読んだ本を子が借りていくのを見るのが楽しみだと、司書は笑った。",
)
SNOW = (
    "雪下ろしは、屋根の端から始めてはいけない。まず棟に近いところに足場を作り、そこから左右へ少しずつ雪を落としていく。必ず二人以上で作業し、命綱を柱に結び、下に人がいないことを声に出して確かめる。",
    "今年は一月のうちに三度も屋根に上がった。湿った雪は一立方メートルで三百キロを超えることがあり、柱がきしむ音で目が覚める夜もある。春になって軒先の壊れた雨樋を直すまでが、雪国の冬の仕事である。",
)
RADIO = (
    "鉱石ラジオには電池がいらない。放送局の電波そのものが、耳に届く音の力になるからだ。必要なのは長い針金と、紙の筒に巻いたコイル、それに古いクリスタルイヤホンだけである。",
    "巻き数を変えながら聞いていると、夜更けに遠くの局が入ることがある。声は砂を撒いたような雑音に埋もれているが、天気予報の地名だけは不思議とよく聞き取れた。子どものころ、わたしはその地名を地図で探して眠った。",
)

PAGES = (
    Page("/essay/well.html", "祖父の井戸", WELL, expect=None, group="well", note="UTF-8 by the header"),
    Page("/island/ferry.html", "一日三便の船", FERRY, header=None, meta="utf-8", layout="news", note="UTF-8 by META alone"),
    Page("/kitchen/bread.html", "粉と水と塩のパン", BREAD, charset="cp932", header="Shift_JIS", layout="table", note="Shift_JIS by the header"),
    Page("/news/clock.html", "駅前の時計塔、解体へ", STATION, charset="cp932", header=None, meta="shift_jis", layout="news", note="Shift_JIS by META alone"),
    Page("/nature/birds.html", "干潟の渡り鳥", BIRDS, charset="euc_jp", header="EUC-JP", meta="euc-jp", note="EUC-JP"),
    Page("/support/heater.html", "お手入れのしかた", MANUAL, charset="iso2022_jp", header=None, meta="iso-2022-jp", layout="table", note="ISO-2022-JP by META alone"),
    Page("/craft/indigo.html", "藍の百日", DYE, charset="cp932", header="utf-8", note="the header lies: Shift_JIS, said to be UTF-8"),
    Page("/town/library.html", "二階の図書室", LIBRARY, coding="gzip", layout="news", note="Content-Encoding: gzip"),
    Page("/town/snow.html", "雪下ろしの手順", SNOW, coding="chunked", note="Transfer-Encoding: chunked"),
    Page("/hobby/radio.html", "電池のいらないラジオ", RADIO, header=None, layout="news", expect=None, group="radio", note="no charset is named"),
    Page("/hobby/radio.txt", "", RADIO, media_type="text/plain", layout="text", expect=None, group="radio", note="plain text; what /hobby/radio.html says"),
    Page("/print/well.html", "祖父の井戸（印刷用）", WELL, layout="table", expect=None, group="well", note="what /essay/well.html says, with other furniture"),
    Page(
        "/en/harbour.html", "The harbour at night",
        (
            "At night the harbour is quiet except for the ropes. They creak against the bollards whenever the tide turns, and the dogs on the quay answer them.",
            "My father used to say that a rope which does not complain is a rope about to break. I have never found out whether that is true, but I still listen.",
        ),
        expect="dropped", language="en", note="English",
    ),
    Page("/old/index.html", "ページが見つかりません", ("お探しのページは移動したか、削除された可能性があります。",), status="404 Not Found", expect="unreadable", note="HTTP status 404"),
    Page("/image/map.png", "", (), media_type="image/png", layout="png", expect="unreadable", note="image/png is no text"),
)  # fmt: skip

# -- what pages look like ------------------------------------------------------------------------------------------------------

NAVIGATION = ("ホーム", "新着記事", "カテゴリー", "お問い合わせ", "サイトマップ")
RANKING = ("今週よく読まれた記事", "月間ランキング", "編集部のおすすめ")
FOOTER = "Copyright © 2024 みなと通信社 All Rights Reserved. 無断転載を禁じます。"


def _links(words: tuple[str, ...]) -> str:
    return "".join(f'<li><a href="/{i}/">{word}</a></li>' for i, word in enumerate(words))


def _blog(page: Page, head: str) -> str:
    body = "\n".join(f"<p>{paragraph}</p>" for paragraph in page.paragraphs)
    return (
        f"<!DOCTYPE html>\n<html lang={page.language!r}>\n<head>{head}<style>p {{ margin: 1em }}</style></head>\n<body>\n"
        f"<header><nav><ul>{_links(NAVIGATION)}</ul></nav></header>\n<main><article><h1>{page.title}</h1>\n{body}\n"
        f'<div class="share"><a href="#">ツイート</a> <a href="#">シェア</a></div></article></main>\n'
        f"<aside><h2>{RANKING[0]}</h2><ul>{_links(RANKING)}</ul></aside>\n<footer><small>{FOOTER}</small></footer>\n</body></html>\n"
    )


def _news(page: Page, head: str) -> str:
    body = "<br><br>\n".join(page.paragraphs)
    return (
        f"<html><head>{head}<script>var page = {{ id: 7 }};</script></head><body>\n"
        f'<div id="header"><div class="menu">{" | ".join(NAVIGATION)}</div></div>\n'
        f'<div id="content"><h1>{page.title}</h1>\n<div class="body">{body}</div></div>\n'
        f'<div id="sidebar">{"".join(f"<div>{word}</div>" for word in RANKING)}</div><div id="footer">{FOOTER}</div></body></html>\n'
    )


def _table(page: Page, head: str) -> str:
    rows = "\n".join(f"<P>{paragraph}" for paragraph in page.paragraphs)
    menu = "<BR>".join(f"<A HREF=/{i}/>{word}</A>" for i, word in enumerate(NAVIGATION))
    return (
        f"<HTML><HEAD>{head}</HEAD><BODY BGCOLOR=white>\n<TABLE WIDTH=760><TR><TD COLSPAN=2><A HREF=/>{NAVIGATION[0]}</A> &gt; "
        f"<A HREF=/list>{NAVIGATION[2]}</A></TD></TR>\n<TR><TD WIDTH=160 VALIGN=top>{menu}</TD>\n"
        f"<TD><H2>{page.title}</H2>\n{rows}\n</TD></TR>\n<TR><TD COLSPAN=2 ALIGN=center><FONT SIZE=1>{FOOTER}</FONT></TD></TR></TABLE></BODY></HTML>\n"
    )


def _png() -> bytes:
    """A grey picture of 8 x 8."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([128]) * 8 for _ in range(8))
    # Stored, not compressed: the same bytes with any zlib.
    packed = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def draw(page: Page) -> bytes:
    """Return the body of a page as its server has it."""
    if page.layout == "png":
        return _png()
    if page.layout == "text":
        return "\n\n".join(page.paragraphs).encode(page.charset) + b"\n"
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={page.meta}">' if page.meta else ""
    html = {"blog": _blog, "news": _news, "table": _table}[page.layout](page, f"{meta}<title>{page.title}</title>")
    return html.encode(page.charset, "xmlcharrefreplace")


# -- records -------------------------------------------------------------------------------------------------------------------


def _store_gzip(body: bytes) -> bytes:
    """gzip without compression: the same bytes with any zlib."""
    blocks = b"".join(
        bytes([at + 65535 >= len(body)]) + struct.pack("<HH", len(part := body[at : at + 65535]), len(part) ^ 0xFFFF) + part
        for at in range(0, len(body), 65535)
    )
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + blocks + struct.pack("<II", zlib.crc32(body), len(body))


def _chunk(body: bytes) -> bytes:
    parts = [body[at : at + 700] for at in range(0, len(body), 700)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _head(first: str, fields: dict[str, str]) -> bytes:
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode()


def _record(
    kind: str, name: str, number: int, url: str | None, content_type: str, block: bytes, **more: str
) -> tuple[str, bytes]:
    identifier = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    fields = {"WARC-Type": kind, "WARC-Date": DATE.format(number + 1), "WARC-Record-ID": f"<urn:uuid:{identifier}>"}
    fields |= {"Content-Length": str(len(block)), "Content-Type": content_type}
    fields |= {"WARC-Target-URI": url} if url else {}
    return identifier, _head("WARC/1.0", fields | more) + block + b"\r\n\r\n"


def build() -> tuple[list[bytes], str]:
    """Return the records of the WARC, and the lines of the truth file."""
    info = b"software: tests/samples/make_common_crawl_ja.py\r\nformat: WARC File Format 1.0\r\n"
    records = [_record("warcinfo", "info", 0, None, "application/warc-fields", info)[1]]
    truth = []
    for number, page in enumerate(PAGES):
        url = f"https://minato.example{page.path}"
        request = _head(f"GET {page.path} HTTP/1.1", {"Host": "minato.example", "Accept-Language": "ja"})
        records.append(_record("request", f"request {url}", number, url, "application/http; msgtype=request", request)[1])
        body = draw(page)
        coded = {"gzip": _store_gzip, "chunked": _chunk}.get(page.coding, bytes)(body)
        fields = {
            "Content-Type": f"{page.media_type}{f'; charset={page.header}' if page.header and page.layout != 'png' else ''}"
        }
        fields |= {"gzip": {"Content-Encoding": "gzip"}, "chunked": {"Transfer-Encoding": "chunked"}}.get(page.coding, {})
        response = _head(f"HTTP/1.1 {page.status}", fields) + coded
        identifier, record = _record("response", url, number, url, "application/http; msgtype=response", response)
        records.append(record)
        records.append(
            _record("metadata", f"metadata {url}", number, url, "application/warc-fields", b"fetchTimeMs: 120\r\n")[1]
        )
        truth.append(
            {
                "id": identifier, "url": url, "date": DATE.format(number + 1), "title": page.title, "charset": page.charset,
                "paragraphs": page.paragraphs, "expect": page.expect, "group": page.group, "note": page.note,
            }
        )  # fmt: skip
    again = f"https://minato.example{PAGES[0].path}"
    revisit = _record(
        "revisit", f"revisit {again}", 20, again, "application/http; msgtype=response", b"HTTP/1.1 304 Not Modified\r\n\r\n"
    )
    return [*records, revisit[1]], "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in truth)


if __name__ == "__main__":
    made, lines = build()
    (SAMPLES / "common-crawl-ja.warc.gz").write_bytes(b"".join(gzip.compress(record, 9, mtime=0) for record in made))
    (SAMPLES / "common-crawl-ja.truth.jsonl").write_text(lines, "utf-8")
