"""One pass over the characters of a document: their classes, lines and sentences."""

from __future__ import annotations

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, jit, jit_helper

# Counters, in the order of the kernel's output. All are numbers of characters unless the name says otherwise.
# "visible" means neither space, newline nor control.
COUNTERS = (
    *("n_other_letter", "n_hiragana", "n_katakana", "n_han", "n_latin", "n_digit", "n_space", "n_newline", "n_sentence_mark"),
    *("n_punctuation", "n_symbol", "n_hangul", "n_control", "n_mark", "n_closing", "n_ellipsis"),
    "n_chars",
    "n_visible",
    "n_replacement",
    "n_url",
    "n_lines",  # lines with anything visible in them
    "n_ended_lines",  # … that end with a sentence end
    "n_ellipsis_lines",  # … that end with … or ・・ or ...
    "n_bullet_lines",  # … that are items of a list: a bullet and less than LONG_ITEM visible characters, without a speaker
    "n_short_lines",  # … of at most SHORT_LINE visible characters, none of them a sentence end or the beginning of a quotation
    "n_sentences",
    "n_clauses",  # sentences, and in those that have an end mark what stands between 、
    "n_prose",  # visible characters in sentences that have an end mark
    "n_longest_sentence",
    "n_longest_run",  # the same character again and again (spaces and newlines apart)
    "n_longest_letter_run",  # … a letter, digit, ！ or ？
)
SHORT_LINE = 10  # visible characters; HojiChar's DiscardTooManyShortLines uses the same length
VERSE_LINE = 5  # visible characters: a short line of so many, half of them and the last one hiragana, is verse
LONG_ITEM = 30  # visible characters: what follows a bullet is prose from here on
SPEAKER = 24  # characters after ○ among which a speaker's name ends

(
    _CHARS,
    _VISIBLE,
    _REPLACEMENT,
    _URL,
    _LINES,
    _ENDED,
    _ELLIPSIS,
    _BULLET,
    _SHORT,
    _SENTENCES,
    _CLAUSES,
    _PROSE,
    _LONGEST_SENTENCE,
    _LONGEST_RUN,
    _LONGEST_LETTER_RUN,
) = range(u.CLASS_COUNT, len(COUNTERS))
BULLETS = np.array(sorted(ord(c) for c in "・■□●○◎◆◇★☆※▼▲▽△►▶‣•·◦*-+＊－＋‐−→⇒》≫"), np.int32)
SPEAKING = np.array([ord(c) for c in "■□●○◎◆◇▲▼△▽"], np.int32)  # what may stand before a speaker in minutes and interviews


@jit_helper
def _has_speaker(data, i, end, classes):
    """Whether a name follows the bullet before byte `i`: letters up to a space with more behind it, or 君, 氏 or さん in the end.

    Minutes and interviews begin a turn so: ○国務大臣（山田太郎君） お答えします。
    """
    before, last = np.int32(0), np.int32(0)
    bracket = False
    for count in range(SPEAKER):
        if i >= end:
            break
        cp, j = decode(data, i)
        k = class_of(classes, cp)
        if cp == 10:
            break
        if k == u.SPACE:
            if count == 0:
                return False
            if not bracket:
                return j < end and data[j] != 10 and last != 0x3002
        elif cp == 40 or cp == 0xFF08:
            bracket = True
        elif cp == 41 or cp == 0xFF09:
            if last == 0x541B:
                return True
            bracket = False
        elif cp == 0x3001 or cp == 0x3002:
            return False
        before, last = last, cp
        i = j
    return last == 0x541B or last == 0x6C0F or before == 0x3055 and last == 0x3093


@jit
def _count_characters(data, offsets, classes, bullets, speaking):
    n = len(offsets) - 1
    out = np.zeros((n, len(COUNTERS)), np.int32)
    for d in range(n):
        row = out[d]
        end = offsets[d + 1]
        i = offsets[d]
        chars = visible = words = 0
        line_mark = sentence_mark = sentence_words = 0
        previous, run, longest_run, longest_letter_run = np.int32(-1), 0, 1, 1
        commas, is_item, opening = 0, False, False
        line_hiragana = 0
        last_class = ended = -1  # class of the last visible character; `visible` after the last sentence end
        dots = 0
        url_end = offsets[d]
        while i <= end:
            if i < end:
                cp, i = decode(data, i)
                k = class_of(classes, cp)
                chars += 1
                row[k] += 1
            else:
                cp, k, i = np.int32(10), np.uint8(u.NEWLINE), end + 1
            if k <= u.DIGIT or k == u.HANGUL:
                visible += 1
                words += 1
                if cp == previous:
                    run += 1
                    longest_letter_run = max(longest_letter_run, run)
                else:
                    run = 1
                previous = cp
                last_class = k
                dots = 0
                continue
            if k == u.NEWLINE:
                if words > sentence_words:
                    row[_SENTENCES] += 1
                    row[_CLAUSES] += 1
                    row[_LONGEST_SENTENCE] = max(row[_LONGEST_SENTENCE], visible - sentence_mark)
                elif ended == sentence_mark and visible > sentence_mark:
                    row[_PROSE] += visible - sentence_mark
                sentence_mark, sentence_words = visible, words
                length = visible - line_mark
                if length:
                    row[_LINES] += 1
                    if length <= SHORT_LINE and ended != visible and not opening:
                        hiragana = row[u.HIRAGANA] - line_hiragana
                        row[_SHORT] += length < VERSE_LINE or last_class != u.HIRAGANA or 2 * hiragana < length
                    if is_item and length < LONG_ITEM:
                        row[_BULLET] += 1
                    if last_class == u.ELLIPSIS or dots >= 2:
                        row[_ELLIPSIS] += 1
                    elif ended >= 0 and ended == visible:
                        row[_ENDED] += 1
                line_mark = visible
                line_hiragana = row[u.HIRAGANA]
                is_item = opening = False
                commas = 0
                ended = -1
                dots = 0
                previous = np.int32(-1)
                continue
            if k == u.SPACE:
                continue
            if k == u.CONTROL:
                continue
            if visible == line_mark and (k == u.PUNCTUATION or k == u.SYMBOL or k == u.CLOSING):
                at = np.searchsorted(bullets, cp)
                if at < len(bullets) and bullets[at] == cp:
                    is_item = not (speaking[at] and _has_speaker(data, i, end, classes))
                opening = cp == 0x300C or cp == 0x300E  # 「 『
            visible += 1
            is_end = k == u.SENTENCE_END
            if cp == previous:
                run += 1
                if is_end:
                    longest_letter_run = max(longest_letter_run, run)
                else:
                    longest_run = max(longest_run, run)
            else:
                run = 1
            previous = cp
            commas += cp == 0x3001 or cp == 0xFF0C
            if cp == 46 or cp == 0x30FB or cp == 0xFF0E:
                dots += 1
                # A full stop ends a sentence after kana or Han, and after a letter when a space follows (not in 3.14 or a.b). Full
                # width it is one after a letter or bracket, and after a digit at the end of a line (not in １．はじめに).
                if cp != 0x30FB:
                    if u.HIRAGANA <= last_class <= u.HAN:
                        is_end = True
                    elif last_class == u.LATIN or last_class == u.OTHER or last_class == u.CLOSING:
                        is_end = cp == 0xFF0E or i >= end or data[i] == 32 or data[i] == 10
                    elif last_class == u.DIGIT and cp == 0xFF0E:
                        is_end = i >= end or data[i] == 10
            else:
                dots = 0
                if k == u.SYMBOL and cp == 0xFFFD:
                    row[_REPLACEMENT] += 1
                elif cp == 58 and i > url_end and i + 1 < end and data[i] == 47 and data[i + 1] == 47:
                    j = i - 2
                    while j >= offsets[d] and j > i - 7 and 97 <= (data[j] | 0x20) <= 122:
                        j -= 1
                    start = j + 1
                    j = i
                    while (
                        j < end
                        and 0x21 <= data[j] < 0x7F
                        and data[j] != 34
                        and data[j] != 60
                        and data[j] != 62
                        and data[j] != 41
                    ):
                        j += 1
                    row[_URL] += j - start
                    url_end = j
            last_class = k
            if is_end:
                length = visible - sentence_mark
                if words > sentence_words:
                    row[_SENTENCES] += 1
                    row[_CLAUSES] += 1 + commas
                    row[_LONGEST_SENTENCE] = max(row[_LONGEST_SENTENCE], length)
                    row[_PROSE] += length
                elif ended == sentence_mark:
                    row[_PROSE] += length
                sentence_mark, sentence_words = visible, words
                commas = 0
                ended = visible
            elif k == u.CLOSING and ended >= 0 and ended == visible - 1:
                # 「…。」: the bracket belongs to the sentence that ended inside it.
                row[_PROSE] += 1
                ended = visible
                sentence_mark = visible
        row[_CHARS] = chars
        row[_VISIBLE] = visible
        row[_LONGEST_RUN] = max(longest_run, longest_letter_run) if visible else 0
        row[_LONGEST_LETTER_RUN] = longest_letter_run if visible else 0
    return out


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Every counter of `COUNTERS` for n documents: int32[n] each."""
    matrix = _count_characters(data, offsets, u.character_classes(), BULLETS, np.isin(BULLETS, SPEAKING))
    return {name: matrix[:, i] for i, name in enumerate(COUNTERS)}
