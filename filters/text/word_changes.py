"""Whether what stands for something else in one of two texts is another fact: by the characters that differ.

`replacements.py` aligns texts and hands over what differs between two places that agree. Here both sides lose what they begin and end
with alike, and what is left is weighed by its script: りんご for 桃 and 冬 for 夏 are facts, 下さい for ください and 保障 for 保証 are
spellings, ました for ます is grammar and ません for ます a fact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from filters.kernels import inline, jit
from filters.text.readings import Readings, is_read_so, load_readings, may_be_mistaken, plain_kana

NUMBER, KANJI, KATAKANA, LATIN, SIGN, HIRAGANA = range(6)  # kinds of characters and words; of content are those before hiragana
LONGEST = 64  # characters of a side that are looked at
MISTAKE = 0.25  # weight of what may be a typing error
_LOOK_ALIKE = "シツ ソンリ クワタ ロコ マア ルレ チテ ナメ フワ ノメ".split()  # letters of katakana
# Words and endings that join others and say little themselves.
_GRAMMAR = (
    "です ます まし ました ましょう でしょう でしょ だろう だろ でし でした である だった で だ た て る に "
    "は が を の も と へ や か から まで より ので のに けど けれど けれども しかし また そして など "
    "という といった こと もの とき ため よう ように とても として において における について に関して による "
    "により によって ば たら なら られる せる させる られ いる いた おり おる ある あり あっ いっ いう いい "
    "する した して すれ しま なる なっ なり なお ここ これ この その それ その あの あれ どの だけ のみ "
    "しか ほど くらい ぐらい ばかり ながら つつ たり だり ね よ な ください くださ いただ いただき いたし "
    "ござい および ならびに または もしくは ただし みる おく しまう くる いく くれる もらう ところ わけ はず "
    "つもり ほう うち そう まま"
).split()
_NEGATIONS = "ない なく なか なけ ません せん ずに まい ざる".split()
_NEGATING = np.array(sorted(map(ord, "不非無未否反")), np.int32)


class Tables(NamedTuple):
    """What weighing takes, for compiled code: readings of kanji, kana without voicing, words of grammar and negations (code points)."""

    readings: Readings
    plain: np.ndarray
    grammar: np.ndarray
    negations: np.ndarray
    negating: np.ndarray


def _pad(words: list[str]) -> np.ndarray:
    table = np.zeros((len(words), max(map(len, words)) + 1), np.int32)
    for row, word in zip(table, words, strict=True):
        row[: len(word)] = [*map(ord, word)]
    return table


LOOK_ALIKE_LETTERS = _pad(_LOOK_ALIKE)


@lru_cache(maxsize=1)
def change_tables() -> Tables:
    return Tables(load_readings(), plain_kana(), _pad(_GRAMMAR), _pad(_NEGATIONS), _NEGATING)


@inline
def _has_word(row, text, at, stop):
    k = 0
    while row[k]:
        if at + k >= stop or text[at + k] != row[k]:
            return 0
        k += 1
    return k


@jit
def _is_grammar(text, first, stop, words):
    """Return whether kana are words and endings of grammar, one after another."""
    reached = np.uint64(1)
    for p in range(stop - first):
        if reached >> np.uint64(p) & np.uint64(1):
            for row in words:
                size = _has_word(row, text, first + p, stop)
                if size:
                    reached |= np.uint64(1) << np.uint64(p + size)
    return bool(reached >> np.uint64(stop - first) & np.uint64(1))


@jit
def _negates(text, first, stop, words):
    for at in range(first, stop):
        for row in words:
            if _has_word(row, text, at, stop):
                return True
    return False


@inline
def _fold(cp):
    """Return katakana as hiragana, Latin letters in lower case."""
    if 0x30A1 <= cp <= 0x30F6:
        return cp - 0x60
    return cp | 32 if 65 <= cp <= 90 else cp


@jit
def _scripts(kinds, first, stop):
    """Return the kinds of characters as bits."""
    bits = 0
    for k in range(first, stop):
        bits |= 1 << kinds[k]
    return bits


@jit
def _count_common(x, kinds_x, first_x, n, y, first_y, m, with_hiragana):
    used = np.zeros(LONGEST, np.bool_)
    common = 0
    for i in range(first_x, n):
        if kinds_x[i] == HIRAGANA and not with_hiragana:
            continue
        for j in range(first_y, m):
            if not used[j] and _fold(x[i]) == _fold(y[j]):
                used[j] = True
                common += 1
                break
    return common


@inline
def weigh_letter(a, b, plain):
    """Weigh one letter of katakana for another; ー, small letters and voicing are spellings."""
    if a == 0x30FC or b == 0x30FC or plain[a] == plain[b]:
        return 0.0
    for row in LOOK_ALIKE_LETTERS:
        if (row == a).any() and (row == b).any():
            return MISTAKE
    return 1.0


@jit
def _weigh_katakana(x, n, y, m, first, plain):
    i = j = first
    while i < n or j < m:
        if i < n and x[i] == 0x30FC:
            i += 1
        elif j < m and y[j] == 0x30FC:
            j += 1
        elif i < n and j < m and plain[x[i]] == plain[y[j]]:
            i += 1
            j += 1
        else:
            break
    if i == n and j == m:
        return 0.0
    if min(n, m) - first >= 2:
        return 1.0
    return weigh_letter(x[first], y[first], plain) if n == m else 0.0


@jit
def _weigh_kanji(x, n, y, m, first, before, after, readings):
    if n != m:
        return 1.0 if min(n, m) - first >= 2 or before or after else 0.5
    for k in range(first, n):
        left = before if k == first else x[k - 1]
        right = after if k == n - 1 else x[k + 1]
        if not may_be_mistaken(x[k], y[k], left, right, readings):
            return 1.0
    return MISTAKE


@jit
def weigh_characters(x, kinds_x, n, y, kinds_y, m, follows_number, tables):
    """Return how much speaks for another fact where `x[:n]` (code points, of those kinds) stands for `y[:m]`: 0 to 1.

    `follows_number`: whether a number stands before it, so that it may be a unit.
    """
    first = 0
    while first < min(n, m) and _fold(x[first]) == _fold(y[first]):
        first += 1
    size, size_x, size_y = max(n, m), n, m
    while n > first and m > first and _fold(x[n - 1]) == _fold(y[m - 1]):
        n -= 1
        m -= 1
    a, b = _scripts(kinds_x, first, n), _scripts(kinds_y, first, m)
    kana = 1 << HIRAGANA
    if (a | b) == kana and _negates(x, 0, size_x, tables.negations) != _negates(y, 0, size_y, tables.negations):
        return 1.0 if max(n, m) - first >= 2 else 0.0  # できる できない
    if n == first or m == first:
        text, bits, stop = (y, b, m) if n == first else (x, a, n)
        if stop == first:
            return 0.0
        if (
            follows_number
            and first <= 1
            and bits in (1 << LATIN, 1 << KATAKANA)
            and stop - first <= 3
            and text[first] != 0x30FC
        ):
            return 1.0  # 5 kg, 5 g
        if stop == first + 1 and bits == 1 << KANJI and size > 1:
            at = np.searchsorted(tables.negating, text[first])
            if at < len(tables.negating) and tables.negating[at] == text[first]:
                return 1.0  # 可 不可
        return 0.0
    short, long = min(n, m) - first, max(n, m) - first
    # 軽い and においが取れる have い in common; what is kana alone does not say more than that.
    common = _count_common(x, kinds_x, first, n, y, first, m, a == kana or b == kana)
    if 3 * common > short:
        return 0.0
    if a == kana and b == kana:
        grammar = _is_grammar(x, first, n, tables.grammar) + _is_grammar(y, first, m, tables.grammar)
        return 0.0 if short < 2 or grammar == 2 or grammar == 1 and short < 3 else 1.0
    if a == b == 1 << KATAKANA:
        return _weigh_katakana(x, n, y, m, first, tables.plain)
    if a == b == 1 << KANJI:
        before = x[first - 1] if first > 0 and kinds_x[first - 1] == KANJI else np.int32(0)
        after = x[n] if n < size_x and kinds_x[n] == KANJI else np.int32(0)
        return _weigh_kanji(x, n, y, m, first, before, after, tables.readings)
    if a == b == 1 << LATIN:
        if follows_number and first == 0 or size == 1 or short >= 3:
            return 1.0  # 5 cm and 5 mm, class A and B
        is_code = True
        for k in range(size_x):
            is_code &= not 97 <= x[k] <= 122
        return 1.0 if is_code else 0.0
    if follows_number and first == 0 and short >= 2 and (a | b) == 1 << LATIN | 1 << KATAKANA:
        return 1.0  # 5 cm, 5 インチ
    if (a | b) & (1 << LATIN | 1 << SIGN | 1 << NUMBER):
        return 0.5 if short >= 2 else 0.0
    # 留学して, 留うをて: what breaks a word is an error.
    scripts = kinds_x[first] + kinds_y[first]
    if first > 0 and kinds_x[first - 1] == KANJI and scripts == KANJI + HIRAGANA:
        return 0.0
    if a == kana or a == 1 << KATAKANA:
        return _weigh_kana_for_words(x, n, size_x, a, y, m, first, tables)
    if b == kana or b == 1 << KATAKANA:
        return _weigh_kana_for_words(y, m, size_y, b, x, n, first, tables)
    if kinds_x[first] == kinds_y[first]:
        return 1.0 if short >= 2 or kinds_x[first] == KANJI else 0.0  # 晴れる, 雨が降る
    return 1.0 if short >= 2 and long >= 3 else 0.0  # つや消し, 防水


@jit
def _weigh_kana_for_words(kana, n, size, script, words, m, first, tables):
    """Weigh kana, `size` with what both sides end with, where another text has kanji, or kanji and kana."""
    if n - first < 2 or script == 1 << HIRAGANA and _is_grammar(kana, first, n, tables.grammar):
        return 0.0
    for stop in range(n, min(n + 2, size) + 1):  # 小さい is read ちいさ and い
        if is_read_so(kana[first:stop], stop - first, words[first:m], m - first, tables.plain, tables.readings):
            return 0.0
    return 1.0
