"""How plausible decoded text is: the share of characters that are common in the languages of its charset.

Bytes read under a wrong charset often decode without an error, but to characters that nobody writes: EUC-JP read as Shift_JIS is half-width
katakana, Shift_JIS read as GBK rare hanzi, any of them read as Latin-1 long runs of accented letters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE = 50_000  # characters that are looked at
COMMON, USUAL, RARE = 1.0, 0.6, 0.2  # weights of characters
RUN = 3  # so many accented letters in a row are no word of a Western language
KANA_SHARE = 0.02  # of kana and kanji: Japanese text of some length has more (han-only titles and lists aside)
HAN_CHARS = 30  # so much Han without kana is hardly Japanese
HIRAGANA_SHARE, HIRAGANA = 0.15, 0.1
MAX_HALF_WIDTH = 0.3  # half-width katakana, of all characters that are not ASCII

# The most frequent characters of Chinese, in both scripts: at least a tenth of prose. Korean read as Chinese has none of them.
FREQUENT = (
    "的一是不了在人有我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對能而子那得于著下自之年用使或将將及可"
)
FREQUENT_SHARE = 0.03
_FREQUENT = np.array(sorted({ord(c) for c in FREQUENT}), np.uint32)

LATIN = frozenset(
    ("cp1250", "cp1252", "cp1254", "cp1257", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_10", "iso8859_15")
)
JAPANESE = frozenset(("cp932", "euc_jp", "iso2022_jp"))
HAN = JAPANESE | {"gb18030", "big5hkscs", "cp949"}


def _rows(codec: str, first: int, last: int) -> str:
    """The characters of rows of a 94×94 set."""
    return "".join(
        bytes((row + 0xA0, cell + 0xA0)).decode(codec, "ignore") for row in range(first, last + 1) for cell in range(1, 95)
    )


@lru_cache(maxsize=8)
def _weights(codec: str) -> np.ndarray:
    """float32[0x10000]: the weight of every character for text in a charset; `utf_8` is that of all languages, `other` of few."""
    weights = np.full(0x10000, USUAL, np.float32)
    if codec == "utf_8":
        for first, last in ((0xA0, 0x180), (0x370, 0x530), (0x5D0, 0x700), (0xE00, 0xE80), (0x2010, 0x2030)):
            weights[first:last] = COMMON  # Latin, Greek, Cyrillic, Hebrew, Arabic, Thai, punctuation
    weights[0x80:0xA0] = 0  # C1 controls
    weights[0x2500:0x2600] = RARE  # box drawing: Cyrillic read as another Cyrillic
    weights[0x3400:0xA000] = RARE
    weights[0xAC00:0xD7A4] = COMMON if codec == "utf_8" else RARE
    weights[0xD800:0xF900] = 0  # surrogates, private use
    weights[0xFF61:0xFFA0] = RARE  # half-width katakana
    weights[0xFFF0:] = 0
    common = "".join(map(chr, (*range(0x3001, 0x3020), *range(0x3041, 0x3100), *range(0xFF01, 0xFF5F))))
    if codec in ("cp932", "euc_jp", "iso2022_jp", "utf_8"):
        common += _rows("euc_jp", 1, 1) + _rows("euc_jp", 16, 47)
    if codec in ("gb18030", "utf_8"):
        common += _rows("gb2312", 16, 55)
    if codec in ("big5hkscs", "utf_8"):
        leads, trails = range(0xA4, 0xC7), (*range(0x40, 0x7F), *range(0xA1, 0xFF))
        common += "".join(bytes((lead, trail)).decode("big5", "ignore") for lead in leads for trail in trails)
    if codec == "cp949":
        common += _rows("euc_kr", 16, 40)
    weights[np.array([ord(c) for c in common if c != "\ufffd"])] = COMMON
    return weights


def plausibility(text: str, codec: str) -> float:
    """Return how plausible it is that `text` was written in the charset of a Python codec: 0 is not at all, 1.1 Japanese beyond doubt."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.flatnonzero(points >= 0x80)[:SAMPLE]
    if len(places) == 0:
        return 1.0
    chars = points[places]
    if codec in LATIN:
        return _share_outside_runs(places)
    weights = _weights(codec if codec in HAN or codec == "utf_8" else "other")
    plane = chars < 0x10000
    value = float(weights[chars[plane]].sum()) + USUAL * float(((chars >= 0x1F000) & (chars < 0x30000)).sum())
    score = value / len(chars)
    if float(((chars >= 0xFF61) & (chars < 0xFFA0)).mean()) > MAX_HALF_WIDTH:
        score /= 2
    kana = int(((chars >= 0x3041) & (chars < 0x3100)).sum())
    han = int(((chars >= 0x3400) & (chars < 0xA000)).sum())
    if codec in JAPANESE and han >= HAN_CHARS and kana < KANA_SHARE * (kana + han):
        score *= 0.8
    if codec in ("gb18030", "big5hkscs") and kana >= 0.1 * (kana + han):
        score *= 0.6  # Japanese, read as Chinese: GB 2312 has its kana where JIS X 0208 has them
    if codec in ("gb18030", "big5hkscs") and han >= HAN_CHARS and float(np.isin(chars, _FREQUENT).mean()) < FREQUENT_SHARE:
        score *= 0.8
    hiragana = int(((chars >= 0x3041) & (chars < 0x30A0)).sum())
    if codec in JAPANESE and hiragana >= HIRAGANA_SHARE * (kana + han):
        score += HIRAGANA  # no other text reads like Japanese by chance, while Japanese reads like Chinese under Big5
    return score


def _share_outside_runs(places: np.ndarray) -> float:
    """Return the share of characters that are not in a run of `RUN` or more."""
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    sizes = np.diff(np.append(starts, len(places)))
    return float(sizes[sizes < RUN].sum() / len(places))
