"""Cleaning: Unicode normalisation fit for Japanese, line by line, in one compiled pass over the bytes."""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from filters import unicode as u
from filters.kernels import buffers, decode, encode, first_invalid, inline, jit, to_arrow

_NEED_NFC = 1
# Combining marks in a row that are kept, the bound of UAX #15's stream-safe text: sorting longer runs takes time in their
# square.
MARKS = 30


class Cleaned(NamedTuple):
    """Cleaned text of n documents, with where its lines begin.

    `data`, `offsets`: uint8 bytes and int64[n + 1]. `line_offsets`: int64[lines + 1] into `data`; a line includes the newline
    that ends it. `first_line`: int64[n + 1], index of every document's first line. `invalid`: int64[n], the offset of the first
    byte of a document that is not UTF-8, counted from the document's start, or -1; an invalid document comes out empty.
    """

    data: np.ndarray
    offsets: np.ndarray
    line_offsets: np.ndarray
    first_line: np.ndarray
    invalid: np.ndarray


@inline
def _is_katakana(cp):
    return 0x30A1 <= cp <= 0x30FA or cp == 0x30FC or 0x31F0 <= cp <= 0x31FF


@inline
def _mapped(cp, first):
    return first[cp] if cp < u.TABLE_SIZE else cp


@inline
def _is_mark(cp, kind):
    """Whether NFC may reorder a combining mark that follows `cp`, or compose `cp` with what precedes it."""
    return cp < u.TABLE_SIZE and kind[cp] >= u.COMPOSING or cp == u.MARK_DAKUTEN or cp == u.MARK_HANDAKUTEN


@inline
def _precedes_newline(data, i, end):
    """Whether a carriage return before byte `i` belongs to the line end after it: \\r\\n, or \\r\\r\\n of a file converted twice."""
    while i < end and data[i] == 13:
        i += 1
    return i < end and data[i] == 10


@jit
def _normalise(data, starts, ends, first, expansion_starts, expansions, kind, voiced, capacity, line_capacity):
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
        i = start
        while i < end:
            b = data[i]
            if b >= 0xE3 and b <= 0xED:
                # Kana, CJK punctuation, Han, Hangul: three bytes each.
                cp: Any = ((np.int32(b) & 0x0F) << 12) | ((np.int32(data[i + 1]) & 0x3F) << 6) | (np.int32(data[i + 2]) & 0x3F)
                if kind[cp] == 0:
                    out[o] = b
                    out[o + 1] = data[i + 1]
                    out[o + 2] = data[i + 2]
                    o += 3
                    content_end = o
                    previous = cp
                    i += 3
                    continue
                i += 3
            else:
                cp, i = decode(data, i)
                if cp > 0x20 and cp < 0x7F:
                    out[o] = cp
                    o += 1
                    content_end = o
                    previous = cp
                    continue
            k = np.uint8(0)
            if cp < u.TABLE_SIZE:
                k = kind[cp]
            elif 0x2F800 <= cp <= 0x2FA1D:  # compatibility Han: canonically other characters
                flags[d] = _NEED_NFC
            if cp == 10 or k == u.BREAK or cp == 13 and not _precedes_newline(data, i, end):
                o = content_end
                # A run of empty lines becomes one. The text does not begin with one.
                if o > line_start or o > doc_start and not (o - doc_start >= 2 and out[o - 2] == 10):
                    if line_count + 3 > line_capacity:  # this line, the last of the document and the end of all
                        return out, offsets, lines, first_line, invalid, flags, False
                    out[o] = 10
                    o += 1
                    lines[line_count] = line_start
                    line_count += 1
                line_start = o
                content_end = o
                previous = 0
                continue
            if k == u.VOICING:
                column = 0 if (cp == u.MARK_DAKUTEN or cp == 0x309B or cp == 0xFF9E) else 1
                if 0x3000 <= previous < 0x3100 and o == content_end and voiced[previous - 0x3000, column] != 0:
                    o = encode(out, o - 3, voiced[previous - 0x3000, column])
                    content_end = o
                    previous = voiced[previous - 0x3000, column]
                    continue
                marks = marks + 1 if _is_mark(previous, kind) else 1
                if marks > MARKS:
                    continue
                if marks > 1:
                    flags[d] = _NEED_NFC
                cp = first[cp]
            elif k == u.DASH:
                cp = first[cp]
                if _is_katakana(previous):
                    following, j = np.int32(u.REMOVE), i
                    while following == u.REMOVE and j < end:
                        following, j = decode(data, j)
                        following = _mapped(following, first)
                    if following < u.REMOVE:
                        following = expansions[expansion_starts[-2 - following]]
                    if _is_katakana(following):
                        cp = u.PROLONGED
            elif k == u.COMPOSING or k == u.STACKING:
                marks = marks + 1 if _is_mark(previous, kind) else 1
                if marks > MARKS:
                    continue
                if k == u.COMPOSING or marks > 1:
                    flags[d] = _NEED_NFC
                cp = first[cp]
            elif k == u.CHANGED:
                cp = first[cp]
                if cp < -1:
                    if o + 2 * (end - i) + 128 > capacity:
                        return out, offsets, lines, first_line, invalid, flags, False
                    if _is_mark(expansions[expansion_starts[-2 - cp]], kind):
                        flags[d] = _NEED_NFC
                    for e in range(expansion_starts[-2 - cp], expansion_starts[-1 - cp]):
                        o = encode(out, o, expansions[e])
                        previous = expansions[e]
                        if previous != 32:
                            content_end = o
                    continue
            if cp == u.REMOVE:
                continue
            o = encode(out, o, cp)
            previous = cp
            if cp != 32 and cp != 9:
                content_end = o
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


def normalise_spans(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, compatibility: u.Compatibility = "keep") -> Cleaned:
    """Normalise the documents `data[starts[i]:ends[i]]`.

    Half-width kana become full-width with their voicing marks composed, full-width ASCII becomes ASCII, the hyphen, wave-dash
    and horizontal-bar families are unified (a bar between katakana is a mistyped ー), a carriage return alone ends a line,
    controls and zero-width characters go, spaces of every width become U+0020, spaces at line ends go, runs of empty lines become
    one. `compatibility` decides about ① ㍻ ㈱ ². The result is in Unicode NFC and cleaning it again changes nothing.
    """
    table, voiced = u.normalisation(compatibility), u.voiced_kana()
    size = int((ends - starts).sum())
    capacity = size + 2 * int((ends - starts).max(initial=0)) + 4096
    line_capacity = int(np.count_nonzero(data == 10)) + 2 * len(starts) + 1024
    starts, ends = _read_only(starts), _read_only(ends)
    while True:
        *result, is_complete = _normalise(
            data, starts, ends, table.first, table.starts, table.expansions, table.kind, voiced, capacity, line_capacity
        )
        if is_complete:
            break
        capacity, line_capacity = 2 * capacity, 2 * line_capacity
    out, offsets, lines, first_line, invalid, flags = result
    cleaned = Cleaned(out[: offsets[-1]], offsets, lines, first_line, invalid)
    return _compose(cleaned, np.flatnonzero(flags)) if flags.any() else cleaned


def _read_only(values: np.ndarray) -> np.ndarray:
    """A read-only view: numba compiles a loop once more, for seconds, where an array may be written to."""
    view = values.view()
    view.flags.writeable = False
    return view


def _compose(cleaned: Cleaned, documents: np.ndarray) -> Cleaned:
    """Apply full NFC to the few documents that have combining marks other than those of kana."""
    offsets, data = cleaned.offsets, cleaned.data
    parts, at = [], 0
    sizes = np.diff(offsets)
    for d in documents:
        text = unicodedata.normalize("NFC", data[offsets[d] : offsets[d + 1]].tobytes().decode()).encode()
        parts += [data[at : offsets[d]], np.frombuffer(text, np.uint8)]
        at, sizes[d] = offsets[d + 1], len(text)
    joined = np.concatenate([*parts, data[at:]])
    new_offsets = np.concatenate([[0], np.cumsum(sizes)])
    lines, first_line = _find_lines(joined, new_offsets)
    return Cleaned(joined, new_offsets, lines, first_line, cleaned.invalid)


@jit
def _find_lines(data, offsets):
    n = len(offsets) - 1
    count = 0
    first_line = np.empty(n + 1, np.int64)
    lines = np.empty(np.count_nonzero(data == 10) + n + 1, np.int64)
    for d in range(n):
        first_line[d] = count
        start = offsets[d]
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

    The last two are int32[n], per document.
    """
    return _drop_lines(cleaned.data, cleaned.offsets, cleaned.line_offsets, cleaned.first_line, dropped)


def normalise(column: pl.Series, compatibility: u.Compatibility = "keep") -> pl.Series:
    """Normalise a text column, as `normalise_spans` says."""
    data, offsets = buffers(column)
    cleaned = normalise_spans(data, offsets[:-1], offsets[1:], compatibility)
    return pl.Series(column.name, to_arrow(cleaned.data, cleaned.offsets))
