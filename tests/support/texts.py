"""Made-up Japanese text in CC-100's format."""

from __future__ import annotations

import random
import re
from typing import Any, NamedTuple

SMALL_PARTITIONS = "source.partition=20 KB"  # many partitions of little text


class Document(NamedTuple):
    offset: int
    content: bytes


# Words of sentences that a model of fluency takes for language; letters in any order it does not.
_TIMES = "昨日 今朝 先月 去年の秋 夕方 日曜日 雨の朝 明け方 その日 三年前 夏の終わり 翌週".split()
_PLACES = "東京 大阪 駅前 会社 山道 海辺 学校 森の中 台所 町の店 港 図書館 川岸 北の村 公園 二階の部屋".split()
_WHO = "吾輩 先生 学生 友人 母 駅員 隣の猫 祖父 店の主人 医者 子供たち 旅人 妹 老人 記者 木こり".split()
_WHAT = (
    "古い新聞 熱い料理 小さな荷物 白い紙 長い手紙 水道の水 金色の魚 道具 "
    "天気の話 仕事の本 木の実 火鉢 車の鍵 名前の札 土産 絵 写真 空の箱 傘 "
    "辞書 切符 帽子 靴 皿 茶碗 机 椅子 地図 時計 鉛筆"
).split()
_DID = (
    "読んでいた 運んで来た 静かに眺めた 急いで買った 忘れてしまった 見つけ出した 丁寧に書き直した 友人に渡した 大切にしまった 探し続けた "
    "笑いながら見せた "
    "半分だけ食べた 川へ流した "
    "黙って受け取った そっと置いて帰った 何度も数えた"
).split()


def make_sentences(seed: Any, lines: int = 4, length: int = 40) -> str:
    """Draw lines of Japanese that the preset ja-web keeps; the same for the same seed."""
    draw = random.Random(str(seed))

    def make_line() -> str:
        line = ""
        while len(line) < length - 1:
            who, did = draw.choice(_WHO), draw.choice(_DID)
            line += (
                f"{draw.choice(_TIMES)}、{who}は{draw.choice(_PLACES)}で{draw.choice(_WHAT)}と{draw.choice(_WHAT)}を{did}が、"
            )
        return line[: length - 1] + "。"

    return "\n".join(make_line() for _ in range(lines))


def split_documents(raw: bytes) -> list[Document]:
    """Split a CC-100 stream into its documents, by the definition of the format and without any thought of speed."""
    documents: list[Document] = []
    start, end, position = -1, 0, 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", raw):
        content = line.removesuffix(b"\n").removesuffix(b"\r")
        if content and start < 0:
            start = position
        if content:
            end = position + len(content)
        elif start >= 0:
            documents.append(Document(start, raw[start:end]))
            start = -1
        position += len(line)
    if start >= 0:
        documents.append(Document(start, raw[start:end]))
    return documents


def make_mixed_documents() -> list[bytes]:
    """Make 420 documents with every verdict among them. Tests know by the first characters what is where."""
    documents: list[bytes] = []
    for i in range(300):
        documents.append(make_sentences(i, 3 + i % 5).encode())
        if i % 10 == 0:
            documents.append(f"English page {i}: the quick brown fox jumps over the lazy dog, again and again.\n".encode() * 3)
        if i % 15 == 0:
            documents.append((make_sentences(i, 3 + i % 5) + "\u3000").encode())  # the same when it is cleaned
        if i % 20 == 7:
            documents.append((make_sentences(i, 12) + "\nまた明日。").encode())
            documents.append((make_sentences(i, 12) + "\nではまた。").encode())
        if i % 25 == 3:
            documents.append("短い。".encode())
    documents.insert(40, "壊れ".encode() + b"\xe3\x81\xff\xfe" + make_sentences("broken").encode())
    documents.insert(80, ("零\0文字\0" + make_sentences("nul")).encode())
    documents.insert(120, ("空白行\n\u3000\n" + make_sentences("space")).encode())
    documents.insert(160, ("改行\u2028区切\u0085" + make_sentences("separators")).encode())
    documents.insert(200, make_sentences("crlf").replace("\n", "\r\n").encode())
    return [d.rstrip(b"\n") for d in documents]
