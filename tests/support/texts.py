"""Made-up Japanese text in CC-100's format."""

from __future__ import annotations

import random
import re
from typing import Any, NamedTuple

LETTERS = (
    "あいうえおかがきぎくけこさしすせそただちってとなにのはひほまみむもやゆよらりるれろわをん"
    "吾輩猫名前無所見当東京大阪電車会社昨日今明天気勉強仕事料理新聞学生先生山川空海森林道町駅店本紙水火木金土"
)
SMALL_PARTITIONS = "source.partition=20 KB"  # many partitions of little text


class Document(NamedTuple):
    offset: int
    content: bytes


def make_sentences(seed: Any, lines: int = 4, length: int = 40) -> str:
    """Draw lines of Japanese that the preset ja-web keeps; the same for the same seed."""
    random_source = random.Random(str(seed))
    return "\n".join("".join(random_source.choices(LETTERS, k=length - 1)) + "。" for _ in range(lines))


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
