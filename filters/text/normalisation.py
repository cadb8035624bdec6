"""Cleaning: Unicode normalisation fit for Japanese, line by line, in one compiled pass over the bytes."""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from filters import unicode as u
from filters.kernels import buffers, decode, encode, first_invalid, inline, jit, jit_helper, read_only, to_arrow
from filters.text import changes as c
from filters.text.prolonged import mend_prolonged
from filters.text.spacing import join_spaced

_NEED_NFC, _HAS_DASH, _IS_SPACED = 1, 2, 4  # what is left to do in a document: flags
_SPACED = 4  # kana or kanji alone between spaces, after two others; filters/text/spacing.py needs more
# Combining marks in a row that are kept, the bound of UAX #15's stream-safe text: sorting longer runs takes time in their
# square.
MARKS = 30


class Cleaned(NamedTuple):
    """Cleaned text of n documents, with where its lines begin.

    `data`, `offsets`: uint8 bytes and int64[n + 1]. `line_offsets`: int64[lines + 1] into `data`; a line includes the newline
    that ends it. `first_line`: int64[n + 1], index of every document's first line. `invalid`: int64[n], the offset of the first
    byte of a document that is not UTF-8, counted from the document's start, or -1; an invalid document comes out empty. `joined`:
    int32[n], spaces taken out between letters that were spaced out.
    """

    data: np.ndarray
    offsets: np.ndarray
    line_offsets: np.ndarray
    first_line: np.ndarray
    invalid: np.ndarray
    joined: np.ndarray


@inline
def _is_katakana(cp):
    return 0x30A1 <= cp <= 0x30FA or cp == 0x30FC or 0x31F0 <= cp <= 0x31FF


@inline
def _is_mark(cp, kind):
    """Whether NFC may reorder a combining mark that follows `cp`, or compose `cp` with what precedes it."""
    if cp >= u.TABLE_SIZE:
        return False
    return kind[cp] == c.COMPOSING or kind[cp] == c.STACKING or cp == u.MARK_DAKUTEN or cp == u.MARK_HANDAKUTEN


@inline
def _begins_with_mark(cp, first, expansion_starts, expansions, kind):
    """Whether `cp` is a combining mark, or becomes text that begins with one."""
    if cp < u.TABLE_SIZE and kind[cp] == c.CHANGED and first[cp] < -1:
        cp = expansions[expansion_starts[-2 - first[cp]]]
    return _is_mark(cp, kind)


@inline
def _is_wide_digit(data, i, end):
    """Whether ０ to ９ stands at byte `i`."""
    return i + 2 < end and data[i] == 0xEF and data[i + 1] == 0xBC and 0x90 <= data[i + 2] <= 0x99


@inline
def _is_wide_letter(data, i, end):
    """Whether a full-width letter or digit stands at byte `i`."""
    if i + 2 >= end or data[i] != 0xEF:
        return False
    if data[i + 1] == 0xBC:
        return 0x90 <= data[i + 2] <= 0x99 or 0xA1 <= data[i + 2] <= 0xBA
    return data[i + 1] == 0xBD and 0x81 <= data[i + 2] <= 0x9A


@jit_helper
def _joins(cp, previous, data, i, end):
    """Whether the full-width sign `cp` after a full-width letter or digit, `previous`, goes on the word; the text goes on at byte `i`."""
    if cp == 0xFF0E or cp == 0xFF0C or cp == 0xFF1A:
        if not (48 <= previous <= 57 and _is_wide_digit(data, i, end)):
            return False
        return cp != 0xFF0C or (
            _is_wide_digit(data, i + 3, end) and _is_wide_digit(data, i + 6, end) and not _is_wide_digit(data, i + 9, end)
        )
    return _is_wide_letter(data, i, end)


@jit_helper
def _speaks_of_width(data, start, end, first_of, expansion_starts, expansions, kind, terms, term_offsets):
    """Whether a document speaks of the widths of characters: holds one of `terms` (filters.text.changes.WIDTH_TERMS)."""
    hit = False
    # Four bytes of every term. An "or" without branches runs in vectors, and few documents have any of these.
    n = max(end - start - 3, 0)
    first, second, third, fourth = data[start:], data[start + 1 :], data[start + 2 :], data[start + 3 :]
    for i in range(n):
        w, x, y, z = first[i], second[i], third[i], fourth[i]
        hit |= ((w == 0xA8) | (w == 0x8A) | (w == 0x8D)) & (x == 0xE8) & (y == 0xA7) & (z == 0x92)  # 全角 半角 倍角
        hit |= (w == 0x88) & (x == 0xE6) & (y == 0x96) & (z == 0x87)  # バイト文
        hit |= (w == 0xB3) & (x == 0xA2) & (y == 0xE3) & (z == 0x83)  # 波ダ
        hit |= ((w == 68) | (w == 100)) & ((x == 84) | (x == 116)) & ((y == 72) | (y == 104))  # wiDTH
        hit |= (
            ((w == 75) | (w == 107)) & ((x == 65) | (x == 97)) & ((y == 75) | (y == 107)) & ((z == 85) | (z == 117))
        )  # zenKAKU
        hit |= ((w == 78) | (w == 110)) & ((x == 70) | (x == 102)) & ((y == 75) | (y == 107))  # NFKc
        hit |= (w == 43) & ((x == 70) | (x == 102)) & ((y == 70) | (y == 102))  # u+FF21
    if end - start >= 3:  # of the terms that end in three of these bytes, one that ends the document
        x, y, z = data[end - 3] | 32, data[end - 2] | 32, data[end - 1] | 32
        hit |= ((x == 100) & (y == 116) & (z == 104)) | ((x == 43) & (y == 102) & (z == 102))
    if not hit:
        return False
    for t in range(len(term_offsets) - 1):
        at, size = term_offsets[t], term_offsets[t + 1] - term_offsets[t]
        for i in range(start, end - size + 1):
            k = 0
            while k < size and (data[i + k] | 32 if 65 <= data[i + k] <= 90 else data[i + k]) == terms[at + k]:
                k += 1
            if k == size and (data[i + k - 1] >= 0x80 or i + k == end):
                return True
            # A mark may make another letter of a Latin one: cleaned text would not have that term.
            if k == size and not _begins_with_mark(decode(data, i + k)[0], first_of, expansion_starts, expansions, kind):
                return True
    return False


@inline
def _precedes_newline(data, i, end):
    """Whether a carriage return before byte `i` belongs to the line end after it: \\r\\n, or \\r\\r\\n of a file converted twice."""
    while i < end and data[i] == 13:
        i += 1
    return i < end and data[i] == 10


@jit
def _normalise(
    data, starts, ends, first, expansion_starts, expansions, kind, voiced, terms, term_offsets, capacity, line_capacity
):
    n = len(starts)
    out = np.empty(capacity, np.uint8)
    offsets = np.empty(n + 1, np.int64)
    lines = np.empty(line_capacity, np.int64)
    first_line = np.empty(n + 1, np.int64)
    invalid = np.full(n, -1, np.int64)
    flags = np.zeros(n, np.uint8)
    o = 0
    line_count = 0
    offsets[0] = 0
    for d in range(n):
        first_line[d] = line_count
        start, end = starts[d], ends[d]
        bad = first_invalid(data, start, end)
        if bad >= 0:
            invalid[d] = bad - start
            offsets[d + 1] = o
            continue
        # One character grows to at most twice its bytes, save by an expansion, which is checked where it happens.
        if o + 2 * (end - start) + 64 > capacity or line_count + 2 > line_capacity:
            return out, offsets, lines, first_line, invalid, flags, False
        doc_start = o
        line_start = o  # where the current line begins in `out`
        content_end = o  # after the last character of the line that is not a space
        marks = 0  # combining marks in a row
        previous: Any = 0  # last code point written in this line
        spoken = -1  # whether the document speaks of widths; -1 before that is asked
        letter_end = -1  # where the last full-width letter or digit that was folded ended in `out`
        token_start = o  # after the last space of the line
        single = in_row = 0  # characters of three bytes alone between spaces, after others; those in a row
        i = start
        while i < end:
            begin = i
            cp: Any = previous
            while i < end and 0xE3 <= data[i] <= 0xED:  # kana, CJK punctuation, Han, Hangul: three bytes each
                new = (np.int32(data[i]) & 0x0F) << 12 | (np.int32(data[i + 1]) & 0x3F) << 6 | np.int32(data[i + 2]) & 0x3F
                if kind[new] != 0:
                    break
                cp = new
                out[o] = data[i]
                out[o + 1] = data[i + 1]
                out[o + 2] = data[i + 2]
                o += 3
                i += 3
            if i > begin:
                content_end = o
                previous = cp
                if i >= end:
                    break
            cp, i = decode(data, i)
            if cp > 0x20 and cp < 0x7F:
                if cp == 45 and _is_katakana(previous):
                    flags[d] |= _HAS_DASH
                out[o] = cp
                o += 1
                content_end = o
                previous = cp
                continue
            k = np.uint8(0)
            if cp < u.TABLE_SIZE:
                k = kind[cp]
            elif 0x2F800 <= cp <= 0x2FA1D:  # compatibility Han: canonically other characters
                flags[d] |= _NEED_NFC
            if cp == 13 and _precedes_newline(data, i, end):
                continue
            if cp == 10 or k == c.BREAK:
                o = content_end
                # A run of empty lines becomes one. The text does not begin with one.
                if o > line_start or o > doc_start and not (o - doc_start >= 2 and out[o - 2] == 10):
                    if line_count + 3 > line_capacity:  # this line, the last of the document and the end of all
                        return out, offsets, lines, first_line, invalid, flags, False
                    out[o] = 10
                    o += 1
                    lines[line_count] = line_start
                    line_count += 1
                line_start = token_start = content_end = o
                previous = in_row = 0
                continue
            if k == c.WIDTH or k == c.SIGN or cp == 0xFF9E or cp == 0xFF9F:
                if spoken < 0:
                    spoken = 0
                    if len(terms) and _speaks_of_width(
                        data, start, end, first, expansion_starts, expansions, kind, terms, term_offsets
                    ):
                        spoken = 1
                if spoken == 1 or k == c.SIGN and not (o == letter_end and _joins(cp, previous, data, i, end)):
                    if cp == 0xFF0D and _is_katakana(previous):
                        flags[d] |= _HAS_DASH
                    o = encode(out, o, cp)
                    content_end = o
                    previous = cp
                    continue
                if k == c.WIDTH or k == c.SIGN:
                    cp = first[cp]
                    o = encode(out, o, cp)
                    content_end = o
                    if k == c.WIDTH and cp < 0x7F:
                        letter_end = o
                    previous = cp
                    continue
            if k == c.VOICING:
                column = 0 if (cp == u.MARK_DAKUTEN or cp == 0x309B or cp == 0xFF9E) else 1
                alone = (
                    cp != 0x309B
                    and cp != 0x309C
                    or not (i + 2 < end and data[i] == 0xE3 and data[i + 1] == 0x82 and 0x9B <= data[i + 2] <= 0x9C)
                )
                if alone and 0x3000 <= previous < 0x3100 and o == content_end and voiced[previous - 0x3000, column] != 0:
                    o = encode(out, o - 3, voiced[previous - 0x3000, column])
                    content_end = o
                    previous = voiced[previous - 0x3000, column]
                    continue
                marks = marks + 1 if _is_mark(previous, kind) else 1
                if marks > MARKS:
                    continue
                if marks > 1:
                    flags[d] |= _NEED_NFC
                cp = first[cp]
            elif k == c.DASH:
                cp = first[cp]
                if _is_katakana(previous):
                    flags[d] |= _HAS_DASH
            elif k == c.COMPOSING or k == c.STACKING:
                marks = marks + 1 if _is_mark(previous, kind) else 1
                if marks > MARKS:
                    continue
                if k == c.COMPOSING or marks > 1:
                    flags[d] |= _NEED_NFC
                cp = first[cp]
            elif k == c.CHANGED:
                cp = first[cp]
                if cp < -1:
                    if o + 2 * (end - i) + 128 > capacity:
                        return out, offsets, lines, first_line, invalid, flags, False
                    if _is_mark(expansions[expansion_starts[-2 - cp]], kind):
                        flags[d] |= _NEED_NFC
                    for e in range(expansion_starts[-2 - cp], expansion_starts[-1 - cp]):
                        o = encode(out, o, expansions[e])
                        if expansions[e] < u.TABLE_SIZE and kind[expansions[e]] == c.DASH and _is_katakana(previous):
                            flags[d] |= _HAS_DASH
                        if _is_mark(expansions[e], kind):  # a mark that follows the expansion may belong before it
                            marks = marks + 1 if _is_mark(previous, kind) else 1
                        previous = expansions[e]
                        if previous != 32:
                            content_end = o
                    continue
                if cp >= 0 and cp < u.TABLE_SIZE and kind[cp] == c.DASH and _is_katakana(previous):
                    flags[d] |= _HAS_DASH
            if cp == u.REMOVE:
                continue
            if cp == 32 or cp == 0x3000 or cp == 9:
                if o - token_start == 3 and previous >= 0x3000:
                    in_row += 1
                    single += in_row > 2
                elif o > token_start:
                    in_row = 0
                o = encode(out, o, cp)
                token_start = o
            else:
                o = encode(out, o, cp)
                content_end = o
            previous = cp
        if single >= _SPACED:
            flags[d] |= _IS_SPACED
        o = content_end
        if o > line_start:
            out[o] = 10
            o += 1
            lines[line_count] = line_start
            line_count += 1
        # Neither the last newline nor empty lines at the end are part of the text.
        while o > doc_start and out[o - 1] == 10:
            o -= 1
            if lines[line_count - 1] == o:
                line_count -= 1
        offsets[d + 1] = o
    first_line[n] = line_count
    lines[line_count] = o
    return out, offsets, lines[: line_count + 1], first_line, invalid, flags, True


def normalise_spans(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    compatibility: c.Compatibility = "keep",
    width: c.Width = "letters",
) -> Cleaned:
    """Normalise the documents `data[starts[i]:ends[i]]`, as `docs/cleaning.md` has it.

    `compatibility` decides about ① ㍻ ㈱ ² ℝ. `width`: full-width letters and digits and half-width kana are folded but in documents that
    speak of widths (`"letters"`), never (`"keep"`), or all with signs, dashes and U+3000 (`"fold"`). The result is in Unicode NFC and
    cleaning it again changes nothing.
    """
    table, voiced = c.cleaning_table(compatibility, width), c.voiced_kana()
    terms, term_offsets = c.width_terms() if width == "letters" else (np.zeros(0, np.uint8), np.zeros(1, np.int64))
    size = int((ends - starts).sum())
    capacity = size + 2 * int((ends - starts).max(initial=0)) + 4096
    line_capacity = int(np.count_nonzero(data == 10)) + 2 * len(starts) + 1024
    data, starts, ends, terms = read_only(data), read_only(starts), read_only(ends), read_only(terms)
    while True:
        *result, is_complete = _normalise(
            data,
            starts,
            ends,
            table.first,
            table.starts,
            table.expansions,
            table.kind,
            voiced,
            terms,
            term_offsets,
            capacity,
            line_capacity,
        )
        if is_complete:
            break
        capacity, line_capacity = 2 * capacity, 2 * line_capacity
    out, offsets, lines, first_line, invalid, flags = result
    data, offsets, lines, first_line = map(read_only, (out[: offsets[-1]], offsets, lines, first_line))
    cleaned = Cleaned(data, offsets, lines, first_line, invalid, np.zeros(len(starts), np.int32))
    return _finish(cleaned, flags, compatibility, width) if flags.any() else cleaned


def _finish_text(text: str, flags: int) -> tuple[str, int]:
    """Return the text of a document whose flags are set, with what they ask for done, and how many spaces that took out."""
    joined = 0
    if flags & _NEED_NFC:
        text = unicodedata.normalize("NFC", text)
    # What one round mends may be what the next one goes by; cleaned text shall not change when it is cleaned again.
    while True:
        before = text
        if flags & _IS_SPACED:
            text = join_spaced(text)
            joined += len(before) - len(text)
        if flags & (_HAS_DASH | _IS_SPACED):
            text = mend_prolonged(text)
        if text == before:
            return text, joined


def _finish(cleaned: Cleaned, flags: np.ndarray, compatibility: c.Compatibility, width: c.Width) -> Cleaned:
    """Do what the compiled pass left to do in the few documents that have combining marks, dashes after katakana or single letters.

    Marks, and signs of voicing, that stood apart follow their letters in text that was joined: it is normalised once more.
    """
    offsets, data = cleaned.offsets, cleaned.data
    parts: list[np.ndarray] = []
    at = 0
    sizes, joined = np.diff(offsets), cleaned.joined.copy()
    changed = np.zeros(len(sizes), bool)
    for d in np.flatnonzero(flags):
        before = data[offsets[d] : offsets[d + 1]].tobytes()
        text, joined[d] = _finish_text(before.decode(), int(flags[d]))
        after = text.encode()
        if joined[d]:
            again = normalise_spans(
                np.frombuffer(after, np.uint8), np.zeros(1, np.int64), np.array([len(after)]), compatibility, width
            )
            after = again.data.tobytes()
            joined[d] += again.joined[0]
        if after != before:
            parts += [data[at : offsets[d]], np.frombuffer(after, np.uint8)]
            at, sizes[d], changed[d] = int(offsets[d + 1]), len(after), True
    if not parts:
        return cleaned
    content = read_only(np.concatenate([*parts, data[at:]]))
    new_offsets = read_only(np.concatenate([[0], np.cumsum(sizes)]))
    lines, first_line = _move_lines(cleaned.line_offsets, cleaned.first_line, offsets, content, new_offsets, changed)
    return Cleaned(content, new_offsets, read_only(lines), read_only(first_line), cleaned.invalid, joined)


@jit
def _move_lines(cleaned_lines, cleaned_first, cleaned_offsets, data, offsets, changed):
    """Return where lines begin: those of `changed` documents are looked for, the others have moved."""
    n = len(offsets) - 1
    count = 0
    room: Any = len(cleaned_lines)
    for d in range(n):
        if changed[d]:
            room += np.count_nonzero(data[offsets[d] : offsets[d + 1]] == 10) + 1
    first_line = np.empty(n + 1, np.int64)
    lines = np.empty(room + 1, np.int64)
    for d in range(n):
        first_line[d] = count
        start = offsets[d]
        if not changed[d]:
            for line in range(cleaned_first[d], cleaned_first[d + 1]):
                lines[count] = cleaned_lines[line] + start - cleaned_offsets[d]
                count += 1
            continue
        for i in range(offsets[d], offsets[d + 1]):
            if data[i] == 10:
                lines[count] = start
                count += 1
                start = i + 1
        if start < offsets[d + 1]:
            lines[count] = start
            count += 1
    first_line[n] = count
    lines[count] = len(data)
    return lines[: count + 1], first_line


def find_lines(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `line_offsets` and `first_line`, as in `Cleaned`, of n cleaned documents."""
    n = len(offsets) - 1
    nothing, no_lines = read_only(np.zeros(1, np.int64)), read_only(np.zeros(n + 1, np.int64))
    lines, first_line = _move_lines(nothing, no_lines, offsets, data, offsets, np.ones(n, np.bool_))
    return read_only(lines), read_only(first_line)


@jit
def _drop_lines(data, offsets, line_offsets, first_line, dropped):
    n = len(offsets) - 1
    out = np.empty(len(data), np.uint8)
    new_offsets = np.empty(n + 1, np.int64)
    lines_out = np.empty(n, np.int32)
    chars_out = np.empty(n, np.int32)
    new_offsets[0] = 0
    o = 0
    for d in range(n):
        doc_start = o
        lines = 0
        characters = 0
        run = offsets[d]  # from here on, text is kept and not yet copied
        for line in range(first_line[d], first_line[d + 1]):
            if dropped[line]:
                lines += 1
                for i in range(line_offsets[line], line_offsets[line + 1]):
                    characters += (data[i] & 0xC0) != 0x80
                out[o : o + line_offsets[line] - run] = data[run : line_offsets[line]]
                o += line_offsets[line] - run
                run = line_offsets[line + 1]
        out[o : o + offsets[d + 1] - run] = data[run : offsets[d + 1]]
        o += offsets[d + 1] - run
        if lines:
            # Of two empty lines around a dropped one, one is enough. No empty line begins or ends the text.
            w = doc_start
            for r in range(doc_start, o):
                b = out[r]
                if b == 10 and (w == doc_start or w - doc_start >= 2 and out[w - 1] == 10 and out[w - 2] == 10):
                    continue
                out[w] = b
                w += 1
            o = w
            while o > doc_start and out[o - 1] == 10:
                o -= 1
        new_offsets[d + 1] = o
        lines_out[d] = lines
        chars_out[d] = characters
    return out[:o], new_offsets, lines_out, chars_out


def drop_lines(cleaned: Cleaned, dropped: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Drop the lines marked in `dropped` (bool[lines]). Returns `(data, offsets, lines dropped, characters dropped)`.

    The first two are read-only, the last two int32[n], per document.
    """
    data, offsets, lines, characters = _drop_lines(
        cleaned.data, cleaned.offsets, cleaned.line_offsets, cleaned.first_line, dropped
    )
    return read_only(data), read_only(offsets), lines, characters


def normalise(column: pl.Series, compatibility: c.Compatibility = "keep", width: c.Width = "letters") -> pl.Series:
    """Normalise a text column, as `normalise_spans` says."""
    data, offsets = buffers(column)
    cleaned = normalise_spans(data, offsets[:-1], offsets[1:], compatibility, width)
    return pl.Series(column.name, to_arrow(cleaned.data, cleaned.offsets))
