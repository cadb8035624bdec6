"""Text that is not UTF-8, by its first bytes: in which encoding it is, the command that makes UTF-8 of it, and how it is read as such."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HEAD_BYTES = 1 << 16  # that tell the encoding
_FEW_BROKEN = 2  # bytes that are not UTF-8 are a matter of records where they are so few and no other encoding is likely
_MOST_REPLACED = 0.02  # of the characters: an encoding that leaves more than that undecoded is another
_COMMON_NAMES = {"CP932": "Shift_JIS"}
_LEAST_KANA = 0.05  # of the characters beyond ASCII: Japanese text has kana, and Chinese read as Japanese has few
_HALFWIDTH_KATAKANA = re.compile("[\uff61-\uff9f]")  # what EUC-JP looks like when it is read as Shift_JIS
_LEAST_KANJI = 8  # characters of a text without kana: fewer say nothing
_COMMON_KANJI = 0.95  # of the kanji: level 1 of JIS X 0208, which of Chinese read as EUC-JP three in five are
_KANJI = re.compile("[\u4e00-\u9fff]")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_KANA = re.compile("[\u3041-\u30ff]")
_BOMS = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class Encoding(NamedTuple):
    """What messages call an encoding, and what to do about it."""

    label: str
    advice: str
    name: str | None  # what Python and iconv call it; None where nobody knows


def find_encoding(head: bytes) -> Encoding | None:
    """Return the encoding of a text that begins with `head`, or None where that is UTF-8 (or nobody's)."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            return _explain(f"text in {name}", name)
    if utf16 := _find_utf16(head):
        return _explain(f"text in {utf16}", utf16)
    if re.search(rb"\x1b\$[@B]", head) and re.search(rb"\x1b\([BJ]", head):
        return _explain("text in ISO-2022-JP", "ISO-2022-JP")
    broken, good = _count_utf8(head)
    if broken <= good or not broken:
        return None
    if japanese := _find_japanese(head):
        return _explain(f"text in {_COMMON_NAMES.get(japanese, japanese)}", japanese)
    if broken <= _FEW_BROKEN or b"\0" in head or _CONTROL.search(head):
        return None  # the latter are binary, most likely
    return Encoding(
        "text that is not UTF-8", "Convert it, once you know its encoding: iconv -f ENCODING -t UTF-8 FILE > FILE.utf8", None
    )


def find_late_encoding(body: bytes) -> tuple[int, Encoding] | None:
    """Return where, and in which encoding, a text goes on that began as UTF-8, or as the ASCII that is the same in most encodings."""
    try:
        body.decode()
        broken = len(body)
    except UnicodeDecodeError as error:
        broken = error.start
    first = min([broken, *(at for sign in (b"\x1b$", b"\0") if (at := body.find(sign)) >= 0)])
    start = body.rfind(b"\n", 0, first) + 1
    encoding = find_encoding(body[start : start + HEAD_BYTES]) if first < len(body) else None
    return (start, encoding) if encoding else None


def find_file_encoding(path: Path) -> str | None:
    """Return the name of the encoding of a file that is not compressed, None where it is UTF-8, or nobody's."""
    with open(path, "rb") as file:
        encoding = find_encoding(file.read(HEAD_BYTES))
    return encoding.name if encoding else None


def read_as_utf8(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return a function that reads what `read` gives, once, as UTF-8 where its first bytes tell of another encoding.

    What cannot be decoded becomes U+FFFD.
    """
    head = b""
    while len(head) < HEAD_BYTES and (block := read(HEAD_BYTES - len(head))):
        head += block
    encoding = find_encoding(head)
    decoder = codecs.getincrementaldecoder(encoding.name)("replace") if encoding and encoding.name else None
    ready, is_first, is_ended = b"", True, False

    def read_on(size: int) -> bytes:
        nonlocal ready, is_first, is_ended
        while not ready and not is_ended:
            block, is_first = (head if is_first else read(size)), False
            is_ended = not block
            ready = decoder.decode(block, final=is_ended).encode("utf-8", "replace") if decoder else block
        taken, ready = ready[:size], ready[size:]
        return taken

    return read_on


def _explain(label: str, name: str) -> Encoding:
    return Encoding(label, f"Convert it to UTF-8: iconv -f {name} -t UTF-8 FILE > FILE.utf8", name)


def _find_utf16(head: bytes) -> str | None:
    """Return the name of UTF-16 without a byte order mark: the zero bytes of its ASCII, line ends at least, stand at every other place."""
    sample = head[: len(head) // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    ends = {"UTF-16LE": (odd, even, (b"\n\0", b"\r\0")), "UTF-16BE": (even, odd, (b"\0\n", b"\0\r"))}
    for name, (high, low, line_ends) in ends.items():
        if (
            high > 0.02 * len(sample)
            and high > 5 * low
            and (any(end in sample for end in line_ends) or high > 0.2 * len(sample))
        ):
            text = sample.decode(name, "replace")
            return name if len(re.findall(r"[\0-\x08\x0e-\x1f]", text)) < 0.02 * len(text) else None
    return None


def _count_utf8(head: bytes) -> tuple[int, int]:
    """Return how many sequences beyond ASCII are broken, and how many are right. The end of a head may cut one in two."""
    decoder = codecs.getincrementaldecoder("utf-8")
    try:
        decoder().decode(head)
        return 0, 1  # by far the most; counting takes twenty times as long
    except UnicodeDecodeError:
        text = decoder("replace").decode(head)
    broken = text.count(_REPLACEMENT) - head.count(_REPLACEMENT.encode())
    return broken, len(text) - len(text.encode("ascii", "ignore")) - broken


def _is_common_kanji(text: str) -> bool:
    """Return whether a decoded text without kana, such as a list of names, is of kanji that are common in Japanese."""
    kanji = _KANJI.findall(text)
    beyond = [c for c in text if c > "\xff" and not "\u3000" <= c <= "\u30ff" and not "\uff01" <= c <= "\uff5e"]
    if len(kanji) < _LEAST_KANJI or len(kanji) < len(beyond) or _REPLACEMENT in text[:-1]:
        return False
    rows = [c.encode("euc_jp", "replace")[0] for c in kanji]
    has_high = any(0xC9 <= row <= 0xCF for row in rows)  # hangul in EUC-KR is below
    return has_high and sum(0xB0 <= row <= 0xCF for row in rows) >= _COMMON_KANJI * len(kanji)


def _find_japanese(head: bytes) -> str | None:
    """Return the Japanese encoding that leaves least undecoded, if any reads as Japanese."""
    scores = {}
    for name in ("CP932", "EUC-JP"):
        text = head.decode(name, "replace")
        if _is_common_kanji(text):
            return name
        beyond = [c for c in text if c > "\x7f"]
        replaced = text.count(_REPLACEMENT)
        kana = len(_KANA.findall(text))
        if replaced <= max(_MOST_REPLACED * len(text), 1) and kana >= _LEAST_KANA * len(beyond):
            scores[name] = replaced + len(_HALFWIDTH_KATAKANA.findall(text)) / 2
    return min(scores, key=scores.__getitem__) if scores else None
