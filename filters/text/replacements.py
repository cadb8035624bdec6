"""Two texts of one frame around other facts: 最高気温は25度 and 最高気温は31度, one form with two names.

Their shingles are nearly the same, and still each says what the other does not. Both are cut into words: numbers, and runs of kanji, of
katakana, of Latin letters and of hiragana; punctuation and spaces are none. They are aligned, and what differs between two places that
agree is a *change*. A change replaces a fact where both sides have numbers, or other words of content, that the other side lacks,
and the words around them stay. It does not where only one side has such words (something was added), where the words are spellings of
one another (ー, a typing error), where a sentence was rewritten, or where it is a count of visitors or a date on a line of its own, or
whole lines at the beginning and end.

`tells_other_facts` weighs replaced facts against all changes: typing errors and edits are many changes of which few look like facts.
"""

from __future__ import annotations

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, jit, jit_helper, mix64, slots_for
from filters.text.readings import is_pair, may_be_mistaken
from filters.text.word_changes import (
    HIRAGANA,
    KANJI,
    KATAKANA,
    LATIN,
    LONGEST,
    MISTAKE,
    NUMBER,
    SIGN,
    Tables,
    change_tables,
    weigh_characters,
    weigh_letter,
)

SHARE = 0.4  # of changes that have to be replaced facts
CHARACTERS_PER_FACT = 4000  # a longer text has to have more of them to be another one
LONGEST_CHANGE = 16  # words; what is longer was rewritten
_NEAR = 40  # words within which texts are aligned by trying all places
_FAR = 4000  # words within which they are aligned by runs of `_RUN`
_RUN = 4
_SEEN = 64  # changes that are remembered
_NUMERALS = np.array(sorted(map(ord, "〇零一二三四五六七八九十百千")), np.int32)
_SIGNS = np.array(sorted(map(ord, "○◯×✕◎△✓✗♂♀↑↓←→±≧≦≠")), np.int32)
# Lines with these count visitors or say when something was put there, printed or read.
_COUNTERS = (
    "閲覧 アクセス PV view View VIEW 訪問 カウンタ 来訪 コメント いいね リツイート シェア 更新 投稿 取得日 印刷 作成日 公開日 配信 掲載 "
    "ダウンロード数 登録日 ランキング人気 Posted posted Copyright copyright © (C) 現在の時刻 ページ表示 累計 本日 昨日"
).split()


def _pad(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [word.encode() for word in words]
    table = np.zeros((len(encoded), max(map(len, encoded))), np.uint8)
    for row, word in zip(table, encoded, strict=True):
        row[: len(word)] = np.frombuffer(word, np.uint8)
    return table, np.array([len(word) for word in encoded], np.int64)


_COUNTER_BYTES, _COUNTER_SIZES = _pad(_COUNTERS)


@jit
def _is_in(values, cp):
    at = np.searchsorted(values, cp)
    return at < len(values) and values[at] == cp


@jit
def _kind_of(cp, classes, signs):
    """Return the kind of word that a character belongs to, or -1."""
    k = class_of(classes, cp)
    if k == u.DIGIT:
        return NUMBER
    if k == u.HAN:
        return KANJI
    if k == u.KATAKANA:
        return KATAKANA
    if k == u.HIRAGANA:
        return HIRAGANA
    if k == u.LATIN or k == u.OTHER or k == u.HANGUL:
        return LATIN
    return SIGN if _is_in(signs, cp) else -1


@jit
def _cut_words(data, start, end, classes, signs):
    """Return the words of a text: hashes, kinds, first bytes, bytes after them, and the line of each; and the number of lines."""
    size = end - start + 1
    hashes, kinds = np.empty(size, np.uint64), np.empty(size, np.int8)
    starts, ends, lines = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int32)
    count = line = 0
    kind = -1
    total = np.uint64(0)
    i = start
    while i <= end:
        begin, cp, now = i, np.int32(10), -1
        if i < end:
            cp, i = decode(data, i)
            now = _kind_of(cp, classes, signs)
            if kind == NUMBER and now == -1 and i < end and 48 <= data[i] <= 57 and (44 <= cp <= 47 or cp == 58):
                now = NUMBER  # 1,000 3.14 2021/3/4 12:30
                if cp == 44:
                    continue
        else:
            i = end + 1
        if now != kind or now == SIGN:
            if kind >= 0:
                hashes[count], kinds[count], ends[count] = mix64(total), kind, begin
                count += 1
            kind = now
            if now >= 0:
                total = np.uint64(now)
                starts[count], lines[count] = begin, line
        if now >= 0:
            folded = cp | 32 if 65 <= cp <= 90 else cp
            total = mix64(total * np.uint64(31) + np.uint64(folded) + np.uint64(1))
        line += cp == 10
    return hashes[:count], kinds[:count], starts[:count], ends[:count], lines[:count], line


@jit
def _agree(a, b, i, j, sizes):
    """Return whether texts go on alike from words i and j: one long word, two of four bytes and more characters, three, or to the end."""
    if a[i] != b[j]:
        return False
    if sizes[i] >= 15:
        return True
    if i + 1 == len(a) or j + 1 == len(b):
        return i + 1 == len(a) and j + 1 == len(b)
    if a[i + 1] != b[j + 1]:
        return False
    if sizes[i] + sizes[i + 1] >= 12:
        return True
    if i + 2 == len(a) or j + 2 == len(b):
        return i + 2 == len(a) and j + 2 == len(b)
    return a[i + 2] == b[j + 2]


@jit
def _hash_run(words, i):
    total = np.uint64(0)
    for k in range(_RUN):
        total = mix64(total * np.uint64(31) + words[i + k])
    return total


@jit
def _index_runs(words):
    """Return a table of runs of `_RUN` words: the first place of each by slot, and the next place of the same slot, or -1."""
    slots = slots_for(len(words))
    first, following = np.full(slots, -1, np.int64), np.full(len(words), -1, np.int64)
    mask = np.uint64(slots - 1)
    for i in range(len(words) - _RUN, -1, -1):
        slot = _hash_run(words, i) & mask
        following[i] = first[slot]
        first[slot] = i
    return first, following


@jit
def _realign(a, b, i, j, sizes, first, following):
    """Return the words at which texts agree again after words i and j; the ends where they do not."""
    left, right = len(a) - i, len(b) - j
    for s in range(1, 2 * _NEAR):
        for di in range(max(0, s - min(_NEAR, right - 1)), min(s, _NEAR, left - 1) + 1):
            if _agree(a, b, i + di, j + s - di, sizes):
                return i + di, j + s - di
    best, found_i, found_j = _FAR, len(a), len(b)
    mask = np.uint64(len(first) - 1)
    for at in range(i, min(len(a) - _RUN, i + _FAR) + 1):
        if at - i >= best:
            break
        place = first[_hash_run(a, at) & mask]
        steps = 0
        while place >= 0 and steps < 64:
            if place >= j and at - i + place - j < best and a[at] == b[place] and _hash_run(a, at) == _hash_run(b, place):
                best, found_i, found_j = at - i + place - j, at, place
            place = following[place]
            steps += 1
    return found_i, found_j


@jit
def _was_moved(a, b, i, stop, first, following):
    """Return whether words i to `stop` of a text, `_RUN` at the least, stand in the other one after another, elsewhere."""
    if stop - i < _RUN:
        return False
    place = first[_hash_run(a, i) & np.uint64(len(first) - 1)]
    steps = 0
    while place >= 0 and steps < 64:
        k = 0
        while i + k < stop and place + k < len(b) and a[i + k] == b[place + k]:
            k += 1
        if i + k == stop:
            return True
        place = following[place]
        steps += 1
    return False


@jit
def _read_word(data, start, end, out):
    """Fill in the characters of a word, katakana as hiragana, and return how many there are, at most 64."""
    n = 0
    while start < end and n < 64:
        cp, start = decode(data, start)
        out[n] = cp - 0x60 if 0x30A1 <= cp <= 0x30F6 else cp
        n += 1
    return n


@jit
def _overlap(data, a0, a1, b0, b1):
    """Return how many characters two words have in common, wherever they stand, and how many the longer one has."""
    x, y = np.empty(64, np.int32), np.empty(64, np.int32)
    n, m = _read_word(data, a0, a1, x), _read_word(data, b0, b1, y)
    common = 0
    for k in range(n):
        for q in range(m):
            if x[k] == y[q] and y[q] >= 0:
                common += 1
                y[q] = -1
                break
    return common, max(n, m)


@jit
def _differ_in_numerals(x, y, n):
    """Return whether words of `n` characters differ, and in nothing but numerals of kanji."""
    differ = False
    for k in range(n):
        if x[k] != y[k]:
            differ = True
            if not (_is_in(_NUMERALS, x[k]) and _is_in(_NUMERALS, y[k])):
                return False
    return differ


@jit
def _weigh_words(data, kind_a, a0, a1, kind_b, b0, b1, tables):
    """Return how much speaks for another fact where one word stands for the other: 0, 0.5 or 1.

    What they begin and end with alike does not count. What is left of either is empty where something was added, and one character in
    most typing errors and spellings (保証 保障, ウィルス ウイルス).
    """
    x, y = np.empty(64, np.int32), np.empty(64, np.int32)
    n, m = _read_word(data, a0, a1, x), _read_word(data, b0, b1, y)
    if n == m and _differ_in_numerals(x, y, n):
        return 1.0  # 二年第三回, 三年第二回
    common, longer = _overlap(data, a0, a1, b0, b1)
    size, size_a, first = max(n, m), n, 0
    while first < min(n, m) and x[first] == y[first]:
        first += 1
    while n > first and m > first and x[n - 1] == y[m - 1]:
        n -= 1
        m -= 1
    numerals = kind_a == KANJI and kind_b == KANJI
    for k in range(first, n):
        numerals &= _is_in(_NUMERALS, x[k])
    for k in range(first, m):
        numerals &= _is_in(_NUMERALS, y[k])
    n -= first
    m -= first
    ends_in_numeral = first + max(n, m) < size and _is_in(_NUMERALS, x[first + n] if n < m else y[first + m])  # 五日 十五日
    if numerals and (min(n, m) or ends_in_numeral or first and (_is_in(_NUMERALS, x[first - 1]) or x[first - 1] == 0x7B2C)):
        return 1.0  # 第三条 第四条, 十条 十二条
    if min(n, m) == 0:
        return 0.0
    if common == longer:  # 田中 中田, where both are names; else two characters have changed places by mistake
        is_name = longer == 2 and kind_a == KANJI and kind_b == KANJI
        is_name = is_name and is_pair(x[0], x[1], tables.readings) and is_pair(y[0], y[1], tables.readings)
        return 1.0 if is_name else 0.0
    if kind_a == HIRAGANA or kind_b == HIRAGANA:
        if kind_a == KANJI or kind_b == KANJI or min(n, m) < 2 or max(n, m) < 3:
            return 0.0  # できる 出来る
        return 0.5
    if kind_a != kind_b:
        return 0.5 if kind_a == LATIN or kind_b == LATIN or kind_a == SIGN or kind_b == SIGN else 1.0
    if max(n, m) == 1:
        if kind_a == KANJI:
            before = x[first - 1] if first else np.int32(0)
            after = x[first + 1] if first + 1 < size_a else np.int32(0)
            return MISTAKE if may_be_mistaken(x[first], y[first], before, after, tables.readings) else 1.0
        if kind_a == KATAKANA:
            return weigh_letter(x[first], y[first], tables.plain)
        return 0.5 if kind_a == SIGN else 0.0
    return 1.0 if min(n, m) > 1 or kind_a == KANJI else 0.0


@jit
def _count_others(data, a, b, left, right):
    """Return how many characters either side at least has that the other has not, 0 where they are few of many.

    function has none that fu年ction lacks.
    """
    all_common = all_left = all_right = 0
    for x in left:
        most = 0
        for y in right:
            most += _overlap(data, a[2][x], a[3][x], b[2][y], b[3][y])[0]
        size = _overlap(data, a[2][x], a[3][x], a[2][x], a[3][x])[1]
        all_common += min(most, size)
        all_left += size
    for y in right:
        all_right += _overlap(data, b[2][y], b[3][y], b[2][y], b[3][y])[1]
    others = min(all_left, all_right) - all_common
    if all_common == 0 and all_left + all_right >= 4:
        return 2  # 冷え込む, 南 and 西
    return others if 4 * others >= min(all_left, all_right) else 0


@jit
def _lost_digits(data, a0, a1, b0, b1):
    """Return how many digits the longer of two spans adds to the other's, and how many it has; -1, 0 where they are others."""
    x, y = np.empty(64, np.uint8), np.empty(64, np.uint8)
    n = m = 0
    for i in range(a0, a1):
        if 48 <= data[i] <= 57 and n < 64:
            x[n] = data[i]
            n += 1
    for i in range(b0, b1):
        if 48 <= data[i] <= 57 and m < 64:
            y[m] = data[i]
            m += 1
    if n < m:
        x, y, n, m = y, x, m, n
    k = 0
    for i in range(n):
        if k < m and x[i] == y[k]:
            k += 1
    return (n - m, n) if k == m and m else (-1, 0)


@jit
def _counts_visitors(data, at, start, end, patterns, sizes):
    """Return whether the line of byte `at` counts visitors, or is nothing but a date."""
    first, last = at, at
    while first > start and data[first - 1] != 10:
        first -= 1
    while last < end and data[last] != 10:
        last += 1
    if last - first > 180:
        return False
    is_date, i = True, first
    while i < last:
        cp, i = decode(data, i)
        if cp == 0x3002:
            return False
        # digits, signs, spaces, 年月日時分秒 and weekdays
        if not (cp < 65 or cp in (0x5E74, 0x6708, 0x65E5, 0x6642, 0x5206, 0x79D2, 0x706B, 0x6C34, 0x6728, 0x91D1, 0x571F)):
            is_date = False
    if is_date and last - first > 5:
        return True
    for i in range(first, last):
        for p in range(len(sizes)):
            if i + sizes[p] <= last and data[i] == patterns[p, 0]:
                k = 1
                while k < sizes[p] and data[i + k] == patterns[p, k]:
                    k += 1
                if k == sizes[p]:
                    return True
    return False


@jit
def _numbers_item(data, at, after, start, end):
    """Return whether a number begins a line as that of an item or a chapter does: `3.`, `(3)`."""
    i = at
    while i > start and (data[i - 1] == 32 or data[i - 1] == 40 or data[i - 1] == 35):
        i -= 1
    if i > start and data[i - 1] != 10 or after >= end:
        return False
    cp, _ = decode(data, after)
    return cp in (46, 41, 0xFF0E, 0xFF09, 0x3001, 58)


@jit
def _weigh_change(data, a, b, i, stop_i, j, stop_j, a_span, b_span, patterns, sizes, tables):
    """Return how many facts a change replaces, weakly or strongly, or -1 for one that says nothing.

    `a` and `b`: words as `_cut_words` returns them; `a_span` and `b_span`: first and last byte of the texts.
    """
    words_a, kinds_a, starts_a, ends_a, lines_a, count_a = a
    words_b, kinds_b, starts_b, ends_b, lines_b, count_b = b
    left, right = np.empty(LONGEST_CHANGE, np.int64), np.empty(LONGEST_CHANGE, np.int64)
    kana_left, kana_right = np.empty(LONGEST_CHANGE, np.int64), np.empty(LONGEST_CHANGE, np.int64)
    kana_a = kana_b = numbers_a = numbers_b = n = m = 0
    for x in range(i, stop_i):
        fresh = True
        for y in range(j, stop_j):
            fresh &= words_a[x] != words_b[y]
        if not fresh:
            continue
        if kinds_a[x] == HIRAGANA:
            kana_left[kana_a] = x
            kana_a += 1
        elif kinds_a[x] == NUMBER:
            if _counts_visitors(data, starts_a[x], a_span[0], a_span[1], patterns, sizes):
                return -1.0
            numbers_a += not _numbers_item(data, starts_a[x], ends_a[x], a_span[0], a_span[1])
        else:
            left[n] = x
            n += 1
    for y in range(j, stop_j):
        fresh = True
        for x in range(i, stop_i):
            fresh &= words_a[x] != words_b[y]
        if not fresh:
            continue
        if kinds_b[y] == HIRAGANA:
            kana_right[kana_b] = y
            kana_b += 1
        elif kinds_b[y] == NUMBER:
            numbers_b += not _numbers_item(data, starts_b[y], ends_b[y], b_span[0], b_span[1])
        else:
            right[m] = y
            m += 1
    score = float(min(numbers_a, numbers_b))
    if score:
        lost, longest = _lost_digits(data, starts_a[i], ends_a[stop_i - 1], starts_b[j], ends_b[stop_j - 1])
        if 0 <= lost <= 1:
            is_broken = numbers_a != numbers_b or (kana_a > 0) != (kana_b > 0) or lost == 0
            score = 0.0 if is_broken else 0.5 if longest > 3 else score
    if n != m and n and m:
        score += _count_others(data, a, b, left[:n], right[:m]) > 1
        return min(max(score, _weigh_remains(data, a, b, i, stop_i, j, stop_j, tables)), 3.0)
    # Where hiragana change, too, it may be the wording alone.
    trust = 0.5 if kana_a and kana_b else 1.0
    for k in range(min(n, m)):
        x, y = left[k], right[k]
        score += trust * _weigh_words(data, kinds_a[x], starts_a[x], ends_a[x], kinds_b[y], starts_b[y], ends_b[y], tables)
    if n == 0 or m == 0:
        # りんご for みかん, バナナ or 柿: the words that are left on a side, be they hiragana or not.
        first, second = (kana_left, right) if m else (left, kana_right)
        if n + m == 0:
            first, second = kana_left, kana_right
        pairs = min(kana_a, m) if m else min(n, kana_b) if n else min(kana_a, kana_b)
        for k in range(pairs):
            x, y = first[k], second[k]
            score += _weigh_words(data, kinds_a[x], starts_a[x], ends_a[x], kinds_b[y], starts_b[y], ends_b[y], tables)
    if score < 1:
        score = max(score, _weigh_remains(data, a, b, i, stop_i, j, stop_j, tables))
    return min(score, 3.0)


@jit
def _read_span(data, words, i, stop, out, kinds):
    """Fill in the characters of words i to `stop` and their kinds; return how many there are, `LONGEST` where there are more."""
    n = 0
    for k in range(i, stop):
        at = words[2][k]
        while at < words[3][k] and n < LONGEST:
            out[n], at = decode(data, at)
            kinds[n] = words[1][k]
            n += 1
    return n


@jit
def _weigh_remains(data, a, b, i, stop_i, j, stop_j, tables):
    """Weigh a change by the characters that differ."""
    x, y = np.empty(LONGEST, np.int32), np.empty(LONGEST, np.int32)
    kinds_x, kinds_y = np.empty(LONGEST, np.int8), np.empty(LONGEST, np.int8)
    n, m = _read_span(data, a, i, stop_i, x, kinds_x), _read_span(data, b, j, stop_j, y, kinds_y)
    if n == LONGEST or m == LONGEST:
        return 0.0
    follows_number = i > 0 and a[1][i - 1] == NUMBER and a[3][i - 1] >= a[2][i] - 1
    return weigh_characters(x, kinds_x, n, y, kinds_y, m, follows_number, tables)


@jit_helper
def _hash_change(words_a, i, stop_i, words_b, j, stop_j):
    total = np.uint64(1)
    for x in range(i, stop_i):
        total = mix64(total * np.uint64(31) + words_a[x])
    for y in range(j, stop_j):
        total = mix64(total * np.uint64(37) + words_b[y])
    return total | np.uint64(1)


@jit
def _count_seen(change, seen, times):
    """Return how often a change was seen before; the first `_SEEN` are remembered."""
    for k in range(len(seen)):
        if seen[k] == change:
            times[k] += 1
            return times[k] - 1
        if seen[k] == 0:
            seen[k], times[k] = change, 1
            return 0
    return 0


@jit
def _are_whole_lines(lines, i, stop):
    return (i == 0 or lines[i - 1] < lines[i]) and (stop == len(lines) or lines[stop - 1] < lines[stop])


@jit
def _is_at_edge(lines, i, stop, count):
    """Return whether words lie in the first or last lines, at most a quarter of all, three and five."""
    return lines[stop - 1] < min(3, count // 4) or lines[i] >= count - min(5, count // 4)


@jit
def tells_other_facts(data, start_a, end_a, start_b, end_b, classes, signs, patterns, sizes, tables):
    """Return whether `data[start_a:end_a]` and `data[start_b:end_b]`, which are similar, are one frame around other facts."""
    a = _cut_words(data, start_a, end_a, classes, signs)
    b = _cut_words(data, start_b, end_b, classes, signs)
    words_a, words_b, lines_a, lines_b = a[0], b[0], a[4], b[4]
    first, following = np.empty(0, np.int64), np.empty(0, np.int64)
    bytes_a = a[3] - a[2]
    seen, seen_times = np.zeros(_SEEN, np.uint64), np.zeros(_SEEN, np.int64)
    i = j = 0
    score, changes = 0.0, 0
    while i < len(words_a) and j < len(words_b):
        if words_a[i] == words_b[j]:
            i += 1
            j += 1
            continue
        if len(first) == 0:
            first, following = _index_runs(words_b)
        stop_i, stop_j = _realign(words_a, words_b, i, j, bytes_a, first, following)
        n, m = stop_i - i, stop_j - j
        if _was_moved(words_a, words_b, i, stop_i, first, following):
            changes += 1
        elif n and m:
            whole = _are_whole_lines(lines_a, i, stop_i) and _are_whole_lines(lines_b, j, stop_j)
            at_edge = _is_at_edge(lines_a, i, stop_i, a[5]) and _is_at_edge(lines_b, j, stop_j, b[5])
            common, longer = _overlap(data, a[2][i], a[3][stop_i - 1], b[2][j], b[3][stop_j - 1])
            if not (whole and at_edge) or 2 * common > longer:
                weight = 0.0
                # Whole lines of other sizes: something was put in and something else taken out.
                if max(n, m) <= LONGEST_CHANGE and not (whole and max(n, m) > 2 * min(n, m)):
                    weight = _weigh_change(
                        data, a, b, i, stop_i, j, stop_j, (start_a, end_a), (start_b, end_b), patterns, sizes, tables
                    )
                times = _count_seen(_hash_change(words_a, i, stop_i, words_b, j, stop_j), seen, seen_times)
                changes += weight >= 0 and times == 0
                # One change made in many places is one fact, or one way to mark things up.
                if weight > 0 and (times == 0 or weight < 1 and times == 1):
                    score += weight
        elif n and not _are_whole_lines(lines_a, i, stop_i) or m and not _are_whole_lines(lines_b, j, stop_j):
            changes += 1
        i, j = stop_i, stop_j
    characters = min(end_a - start_a, end_b - start_b) / 3
    return score >= 1 and score >= SHARE * changes and score * CHARACTERS_PER_FACT >= characters


def replacement_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Tables]:
    """Return the last arguments of `tells_other_facts`."""
    return u.character_classes(), _SIGNS, _COUNTER_BYTES, _COUNTER_SIZES, change_tables()


def are_other_facts(left: str, right: str) -> bool:
    """Return whether two similar texts, cleaned, are one frame around other facts.

    >>> are_other_facts("明日の東京の最高気温は25度の見込みです。", "明日の東京の最高気温は31度の見込みです。")
    True
    >>> are_other_facts("明日の東京の最高気温は25度の見込みです。", "明日の東京の最高気温は、25度の見込みでしょう。")
    False
    """
    texts = [left.encode(), right.encode()]
    data, size = np.frombuffer(b"".join(texts), np.uint8), len(texts[0])
    return bool(tells_other_facts(data, 0, size, size, len(data), *replacement_tables()))
