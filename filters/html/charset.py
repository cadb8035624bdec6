"""From bytes to UTF-8: what charset a page is in, whatever it says.

What is declared (by the HTTP header, a byte order mark, `<meta>` or `<?xml?>`) is tried first. It is believed where the bytes decode under
it and the text is plausible (`filters.html.plausibility`). Otherwise the charsets of Japanese and its neighbours and what a detector
(uchardet) says are tried as well, and the most plausible is taken.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import NamedTuple

import cchardet
import numpy as np

from filters.html.plausibility import HAN, plausibility
from filters.kernels import first_invalid, jit

BELIEVED = 0.8  # a declared charset under which text is so plausible is not doubted
ACCEPTED = 0.5  # less plausible text is not accepted under any charset
DECLARED = DETECTED = 0.05  # what a declaration, and a detector's word, count for
MAX_REPLACED = 0.01  # of the characters that are not ASCII
MANY = 4  # characters of two bytes that are no accident
HEAD = 8192  # bytes in which a page says what it is in; browsers look at 1,024
CONTROLS = 0.01  # more control characters than this: not text

# Labels of the WHATWG Encoding Standard (and a few of old pages) by Python codec. windows-31j is what Shift_JIS means on the web, and
# windows-1252 what ISO-8859-1 means. Labels that Python knows itself, such as windows-1251 or koi8-r, are not listed.
_LABELS = {
    "cp932": "shift_jis shift-jis sjis s-jis x-sjis ms_kanji ms932 windows-31j windows-932 csshiftjis csms-ansi-932 shiftjis x-ms-cp932",
    "euc_jp": "euc-jp eucjp x-euc-jp x-euc cseucpkdfmtjapanese ujis euc_jp eucjp-ms cp51932",
    "iso2022_jp": "iso-2022-jp csiso2022jp iso2022-jp jis x-jis iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-ms cp50220 cp50221",
    "utf_8": "utf-8 utf8 unicode-1-1-utf-8 x-unicode20utf8 utf-8n utf-16 utf-16le utf-16be unicode ucs-2 iso-10646-ucs-2",
    "gb18030": "gb18030 gbk gb2312 gb_2312 gb_2312-80 x-gbk chinese csgb2312 hz-gb-2312 cp936 windows-936 euc-cn",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950",
    "cp949": "euc-kr korean cseuckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949 cp949 uhc",
    "cp1252": "iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 ascii us-ascii windows-1252 cp1252 x-cp1252",
    "cp874": "tis-620 windows-874 iso-8859-11 cp874",
}
LABELS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_SINGLE_BYTE = re.compile(r"cp125\d|iso8859_\d+|koi8_[ru]|mac_\w+|cp866|cp437")

_META = re.compile(rb"<meta\b[^<>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml\b[^<>]*?encoding\s*=\s*[\"']\s*([\w.:-]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_ESCAPE = re.compile(rb"(\x1b(?:\$\(?[@BD]|\([BIJ]))")
_TAG = re.compile(rb"<[^<>]*>")
_BOMS = (
    (b"\xef\xbb\xbf", "utf_8"),
    (b"\xff\xfe\0\0", "utf_32"),
    (b"\0\0\xfe\xff", "utf_32"),
    (b"\xff\xfe", "utf_16"),
    (b"\xfe\xff", "utf_16"),
)
JAPANESE = ("utf_8", "cp932", "euc_jp")
# Japanese reads like Chinese or Korean too often to believe such a declaration without a look at Japanese.
CHINESE_KOREAN = frozenset(("gb18030", "cp949", "big5hkscs"))
OTHERS = ("gb18030", "cp949", "big5hkscs", "cp1252")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text of one document as UTF-8, the codec it was decoded by, and characters that could not be (now U+FFFD)."""

    data: bytes | memoryview
    codec: str
    replaced: int = 0
    problem: str | None = None


def find_codec(label: str | None) -> str | None:
    """Return the Python codec of a charset's label, None for one that nobody decodes web pages with.

    >>> find_codec("x-sjis"), find_codec("Windows-1251"), find_codec("rot13")
    ('cp932', 'cp1251', None)
    """
    if not label:
        return None
    label = label.strip(" \t\r\n\"';,").lower()
    if label in LABELS:
        return LABELS[label]
    try:
        name = codecs.lookup(label).name.replace("-", "_")
    except (LookupError, ValueError):
        return None
    return name if _SINGLE_BYTE.fullmatch(name) else None


def find_meta_label(data: bytes) -> str | None:
    """Return the charset that the head of a page names in `<meta>` or `<?xml?>`."""
    head = _COMMENT.sub(b"", data[:HEAD])
    match = _META.search(head) or _XML.search(head)
    return match[1].decode("ascii", "replace") if match else None


def decode(data: bytes | memoryview, label: str | None = None, html: bool = True) -> Decoded:
    """Decode a document. `label` is the charset that the HTTP header names; a page of HTML may name one itself."""
    for mark, codec in _BOMS:
        if bytes(data[: len(mark)]) == mark:
            done = _decode_strictly(bytes(data[len(mark) :] if codec == "utf_8" else data), codec)
            if done is not None:
                return Decoded(done.encode(), codec)
            break
    values = np.frombuffer(data, np.uint8)
    survey = _Survey(*_count_bytes(values))
    is_plain = not survey.escapes and not survey.zeros
    if is_plain and survey.top < 0x80:
        return Decoded(data, "utf_8")
    is_utf8 = first_invalid(values, 0, len(values)) < 0
    # Few two-byte sequences may be EUC-JP by chance: 鼻 is a letter of IPA. Kana, longer sequences and the letters of Latin-1 are not.
    if is_plain and is_utf8 and (survey.top >= 0xE0 or survey.top <= 0xC3 or int((values >= 0xC0).sum()) >= MANY):
        return Decoded(data, "utf_8")
    return _decode_by_evidence(bytes(data), values, survey, label, html, is_utf8)


class _Survey(NamedTuple):
    """Bytes of a document: the greatest, and how many of some kinds."""

    top: int
    zeros: int
    escapes: int
    controls: int


@jit
def _count_bytes(values):
    top, zeros, escapes, controls = 0, 0, 0, 0
    for value in values:
        top = max(top, value)
        if value < 0x20:
            if value == 0:
                zeros += 1
            elif value == 0x1B:
                escapes += 1
            elif value not in (9, 10, 12, 13):
                controls += 1
    return top, zeros, escapes, controls


class _Reading(NamedTuple):
    """A document read under a charset, and how much speaks for it."""

    score: float
    text: str
    codec: str
    replaced: int


def _decode_by_evidence(
    data: bytes, values: np.ndarray, survey: _Survey, label: str | None, html: bool, is_utf8: bool
) -> Decoded:
    labels = [label, find_meta_label(data) if html else None]
    # Western text that is valid as UTF-8 is in no other Western charset, whatever it says.
    possible = {"utf_8", "utf_16", *HAN} if is_utf8 else None
    declared = [codec for codec in map(find_codec, labels) if codec and (possible is None or codec in possible)]
    if survey.escapes and survey.top < 0x80 and _ESCAPE.search(data):
        declared.insert(0, "iso2022_jp")
    wide = _find_utf16(values) if survey.zeros else None
    if wide is not None:
        declared.insert(0, wide)
    elif survey.controls > max(10, CONTROLS * len(values)):
        return Decoded(b"", "", 0, f"this is not text: {survey.controls:,} control characters in {len(values):,} bytes")

    best = _Reading(0.0, "", "", 0)
    for codec in dict.fromkeys(declared):
        reading = _read(data, codec, DECLARED)
        if reading.score >= BELIEVED + DECLARED and not reading.replaced and codec not in CHINESE_KOREAN:
            return Decoded(reading.text.encode(), codec)
        best = max(best, reading, key=_score)
    detected = _detect(data)
    for codec in dict.fromkeys([*JAPANESE, *([detected] if detected else []), *OTHERS]):
        if codec not in declared and (possible is None or codec in possible):
            best = max(best, _read(data, codec, DETECTED if codec == detected else 0.0), key=_score)
    if best.score < ACCEPTED:
        said = " and ".join(f"{name!r}" for name in dict.fromkeys(filter(None, labels))) or "none"
        return Decoded(b"", "", 0, f"no charset fits these bytes (declared: {said})")
    return Decoded(best.text.encode("utf-8", "replace"), best.codec, best.replaced)


def _score(reading: _Reading) -> float:
    return reading.score


def _read(data: bytes, codec: str, bonus: float) -> _Reading:
    found = _try(data, codec)
    if found is None:
        return _Reading(0.0, "", codec, 0)
    text, replaced = found
    return _Reading(plausibility(text, codec) - 10 * replaced / max(1, len(text)) + bonus, text, codec, replaced)


def _try(data: bytes, codec: str) -> tuple[str, int] | None:
    """Return the text and how many characters had to be replaced; None where they are too many, or where it is not in this charset."""
    text = _decode_strictly(data, codec)
    if text is not None:
        return text, 0
    if codec not in (*JAPANESE, "iso2022_jp"):
        return None
    data = _as_euc(data) if codec == "iso2022_jp" else data
    text = data.decode("euc_jp" if codec == "iso2022_jp" else codec, "replace")
    replaced = text.count("\ufffd")
    others = len(text) - len(text.encode("ascii", "ignore"))
    # The last character of a page that was cut off is left out.
    if replaced == 1 and text.endswith("\ufffd"):
        return text[:-1], 0
    return (text, replaced) if replaced <= MAX_REPLACED * others else None


def _decode_strictly(data: bytes, codec: str) -> str | None:
    try:
        if codec == "iso2022_jp":
            return _as_euc(data).decode("euc_jp", "seimai.euc_jp_ms")
        return data.decode(codec, "seimai.euc_jp_ms" if codec == "euc_jp" else "strict")
    except (UnicodeDecodeError, ValueError):
        return None


def _as_euc(data: bytes) -> bytes:
    """Return ISO-2022-JP as EUC-JP: segments between escape sequences, in two bytes with the high bit, or one."""
    out, state = [], b"\x1b(B"
    for piece in _ESCAPE.split(data):
        if piece[:1] == b"\x1b" and _ESCAPE.fullmatch(piece):
            state = piece
        elif state in (b"\x1b(B", b"\x1b(J"):
            out.append(piece)
        elif state == b"\x1b(I":
            out.append(b"".join(b"\x8e" + bytes((b | 0x80,)) for b in piece))
        else:
            lead = b"\x8f" if state == b"\x1b$(D" else b""
            # A line ends in ASCII, whatever the state was (RFC 1468).
            for line in re.split(rb"([\r\n]+)", piece):
                high = bytes(b | 0x80 if b > 0x20 else b for b in line)
                out.append(b"".join(lead + high[i : i + 2] for i in range(0, len(high), 2)) if lead and high.strip() else high)
    return b"".join(out)


def _decode_extension(error: UnicodeError) -> tuple[str, int]:
    """Decode a character of EUC-JP that Python's codec does not know: NEC's and IBM's rows, which are those of Shift_JIS (cp932)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    first, second = (*error.object[error.start : error.start + 2], 0, 0)[:2]
    if not (0xA1 <= first <= 0xFE and 0xA1 <= second <= 0xFE):
        raise error
    row, cell = first - 0xA1, second - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + 0x40 + (cell >= 63)
    try:
        return bytes((lead, trail)).decode("cp932"), error.start + 2
    except UnicodeDecodeError:
        raise error from None


codecs.register_error("seimai.euc_jp_ms", _decode_extension)


def _find_utf16(values: np.ndarray) -> str | None:
    """Return the codec of UTF-16 without a mark: every other byte of its ASCII is zero."""
    sample = values[: len(values) // 2 * 2][:HEAD]
    if len(sample) < 4:
        return None
    even, odd = float((sample[::2] == 0).mean()), float((sample[1::2] == 0).mean())
    if max(even, odd) < 0.2 or min(even, odd) > 0.02:
        return None
    return "utf_16_be" if even > odd else "utf_16_le"


def _detect(data: bytes) -> str | None:
    """Return what uchardet takes the text between the tags for."""
    text = _TAG.sub(b" ", data[: 1 << 18])
    return find_codec(cchardet.detect(text).get("encoding"))
