"""The evidence of measures of text: the phrases, lines, repetitions and clauses that make them what they are.

Lines, mojibake and languages are asked of the loops that count them, a piece of the text at a time. Everything else is written once more
for one text, plainly: tests hold both to the same numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from filters import unicode as u
from filters.evidence import AMBIGUOUS, Evidence, Span, classify, find_runs, list_lines
from filters.kernels import buffers, read_only
from filters.text import characters, mojibake, repetition
from filters.text.language import identify_languages
from filters.text.language_lines import tell_lines
from filters.text.phrases import LISTS, automaton, phrases

MOJIBAKE_PIECE = 2_000  # characters of a text that are looked at together: every prefix of a piece is measured
_INVISIBLE = (u.SPACE, u.NEWLINE, u.CONTROL)
_STRETCH = re.compile(r"[^。！？!?、，\n]+")
# As the loop of `characters` has it: up to five letters, and what is neither space, " ) < nor >.
_URL = re.compile(r"[A-Za-z]{0,5}://[!#-(*-;=?-~]*")


def show_phrases(*names: str) -> Evidence:
    """Return what finds the phrases of lists; those that mean other things as well are `ambiguous`."""

    def find(text: str) -> list[Span]:
        spans = []
        for name in names:
            ambiguous = _ambiguous_phrases(name)
            for match in _phrase_pattern(name).finditer(text):
                what = AMBIGUOUS if match[0] in ambiguous else ""
                spans.append(Span(match.start(), match.end(), len(match[0]), what))
        return sorted(spans)

    return find


@lru_cache(maxsize=8)
def _phrase_pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, phrases(name))))  # the longest first


@lru_cache(maxsize=8)
def _ambiguous_phrases(name: str) -> frozenset[str]:
    listed = automaton()
    chosen = np.flatnonzero((listed.list_of == LISTS.index(name)) & ~listed.is_evidence).tolist()
    return frozenset(listed.data[listed.offsets[q] : listed.offsets[q + 1]].tobytes().decode() for q in chosen)


def show_characters(*classes: int) -> Evidence:
    """Return what finds runs of characters of some classes."""

    def find(text: str) -> list[Span]:
        return [Span(start, end, end - start) for start, end in find_runs(np.isin(classify(text), classes))]

    return find


def show_replacements(text: str) -> list[Span]:
    """Find U+FFFD."""
    return [Span(match.start(), match.end(), len(match[0])) for match in re.finditer("\ufffd+", text)]


def show_urls(text: str) -> list[Span]:
    """Find URLs."""
    return [Span(match.start(), match.end(), len(match[0])) for match in _URL.finditer(text)]


# -- lines


def show_lines(counter: str) -> Evidence:
    """Return what finds the lines that a counter of `characters` counts."""

    def find(text: str) -> list[Span]:
        lines = [line for line in list_lines(text) if (~np.isin(classify(text[slice(*line)]), _INVISIBLE)).any()]
        texts = [text[start:end] for start, end in lines]
        # What ends one line says whether a full stop at the beginning of the next ends a sentence.
        before = ["", *texts][: len(texts)]
        both = [f"{line}\n{following}" for line, following in zip(before, texts, strict=True)]
        counts = characters.count(*buffers(pl.Series([*before, *both], dtype=pl.String)))[counter]
        counted = counts[len(lines) :] > counts[: len(lines)]
        return [Span(*line, 1) for line, is_counted in zip(lines, counted, strict=True) if is_counted]

    return find


def show_longest_stretch(text: str) -> list[Span]:
    """Find the longest stretch without a sentence end, a comma or a line end; its amount is in visible characters."""
    is_visible = ~np.isin(classify(text), _INVISIBLE)
    stretches = [Span(*match.span(), int(is_visible[slice(*match.span())].sum())) for match in _STRETCH.finditer(text)]
    longest = max(stretches, key=lambda span: span.amount, default=None)
    return [longest] if longest is not None and longest.amount else []


def show_duplicate_lines(text: str) -> list[Span]:
    """Find lines that stood in the text before; their amount is in visible characters."""
    seen, spans = set(), []
    for start, end, key in _list_keys(text):
        if key and key in seen:
            spans.append(Span(start, end, len(key)))
        seen.add(key)
    return spans


def show_duplicate_paragraphs(text: str) -> list[Span]:
    """Find paragraphs that stood in the text before; their amount is in visible characters."""
    seen, spans = set(), []
    lines: list[tuple[int, int, str]] = []
    for line in [*_list_keys(text), (len(text), len(text), "")]:
        if line[2]:
            lines.append(line)
        elif lines:
            paragraph = tuple(key for _, _, key in lines)
            if paragraph in seen:
                spans.append(Span(lines[0][0], lines[-1][1], sum(map(len, paragraph))))
            seen.add(paragraph)
            lines = []
    return spans


def _list_keys(text: str) -> list[tuple[int, int, str]]:
    """Return lines, and what is visible in each."""
    is_visible = ~np.isin(classify(text), _INVISIBLE)
    return [
        (start, end, "".join(np.array([*text[start:end]], dtype=str)[is_visible[start:end]]) if end > start else "")
        for start, end in list_lines(text)
    ]


# -- repetition


class _Window(NamedTuple):
    """The visible characters that `repetition` looks at, and where each stands in the text."""

    text: str
    places: list[int]

    def span(self, first: int, last: int, amount: float) -> Span:
        return Span(self.places[first], self.places[last - 1] + 1, amount)


def _read_window(text: str) -> _Window:
    is_visible = ~np.isin(classify(text), _INVISIBLE)
    window, places = list[str](), list[int]()
    for place in np.flatnonzero(is_visible).tolist():
        if len(window) == repetition.WINDOW:
            break
        c = text[place]
        if window[-3:] != [c, c, c]:
            window.append(c)
            places.append(place)
    return _Window("".join(window), places)


def show_top_ngram(size: int) -> Evidence:
    """Return what finds the occurrences of the most frequent sequence of `size` characters, if it comes twice; they may overlap."""

    def find(text: str) -> list[Span]:
        window = _read_window(text)
        counted = Counter(window.text[i : i + size] for i in range(len(window.text) - size + 1))
        ((top, count),) = counted.most_common(1) or [("", 0)]
        if count < 2:
            return []
        return [window.span(m.start(), m.start() + size, size) for m in re.finditer(f"(?={re.escape(top)})", window.text)]

    return find


def show_duplicate_ngrams(size: int) -> Evidence:
    """Return what finds the stretches that are covered by sequences of `size` characters that stood in the text before."""

    def find(text: str) -> list[Span]:
        window, seen = _read_window(text), set()
        covered = np.zeros(len(window.text), bool)
        for i in range(len(window.text) - size + 1):
            ngram = window.text[i : i + size]
            if ngram in seen:
                covered[i : i + size] = True
            seen.add(ngram)
        return [window.span(start, end, end - start) for start, end in find_runs(covered)]

    return find


def show_matches(text: str) -> list[Span]:
    """Find what a greedy LZ77 parse takes from the text before; the amount is in bytes."""
    window, seen, spans = _read_window(text), dict[str, int](), list[Span]()
    read, least, i = window.text, repetition.DUPLICATE_SIZES[0], 0
    before = [-1] * len(read)  # where the same characters stood last
    for at in range(len(read) - least + 1):
        ngram = read[at : at + least]
        before[at] = seen.get(ngram, -1)
        seen[ngram] = at
    while i < len(read):
        if (j := before[i]) < 0:
            i += 1
            continue
        length = least
        while i + length < len(read) and read[j + length] == read[i + length]:
            length += 1
        spans.append(window.span(i, i + length, len(read[i : i + length].encode())))
        i += length
    return spans


def show_longest_run(of_letters: bool) -> Evidence:
    """Return what finds the longest run of one character, spaces apart: of letters, digits, ！ and ？ alone, or of any."""

    def find(text: str) -> list[Span]:
        best, start, run, previous = Span(0, 0, 1), 0, 0, ""
        for place, (c, k) in enumerate(zip(text, classify(text).tolist(), strict=True)):
            if k in (u.SPACE, u.CONTROL):
                continue
            if c != previous:
                start, run, previous = place, 0, c if k != u.NEWLINE else ""
            run += 1
            is_letter = k <= u.DIGIT or k in (u.HANGUL, u.SENTENCE_END)
            if k != u.NEWLINE and run > best.amount and (is_letter or not of_letters):
                best = Span(start, place + 1, run)
        return [best] if best.amount > 1 else []

    return find


# -- charsets and languages


def show_mojibake(text: str) -> list[Span]:
    """Find mojibake in a text as it came: of a long one in pieces of some lines, which cuts stretches that go beyond a piece."""
    return find_mojibake(text, len(text))[0]


def find_mojibake(text: str, most: int) -> tuple[list[Span], int]:
    """Return the mojibake of a text, and how many characters were read: all, or up to where pieces with mojibake have `most` of them."""
    spans, slow = list[Span](), 0
    for start, end in _cut_pieces(text):
        if slow >= most:
            return spans, start
        in_piece = _find_mojibake(text[start:end])
        slow += (end - start) * bool(in_piece)  # without any, a piece is read once
        spans += [span._replace(start=start + span.start, end=start + span.end) for span in in_piece]
    return spans, len(text)


def _cut_pieces(text: str) -> list[tuple[int, int]]:
    """Return where pieces of whole lines of up to `MOJIBAKE_PIECE` characters, or of parts of longer lines, begin and end."""
    pieces, start = [], 0
    while len(text) - start > MOJIBAKE_PIECE:
        end = text.rfind("\n", start, start + MOJIBAKE_PIECE) + 1
        pieces.append((start, end if end > start else start + MOJIBAKE_PIECE))
        start = pieces[-1][1]
    return [*pieces, (start, len(text))]


def _find_mojibake(piece: str) -> list[Span]:
    """Find mojibake by what the measure says of the text up to each character: where that grows, the growth is what stands before."""
    data = read_only(np.frombuffer(piece.encode("utf-8", "replace"), np.uint8))
    ends = np.cumsum([len(c.encode("utf-8", "replace")) for c in piece], dtype=np.int64)
    if not len(ends) or not mojibake.count_spans(data, np.zeros(1, np.int64), ends[-1:])["n_mojibake"][0]:
        return []
    upto = mojibake.count_spans(data, np.zeros_like(ends), ends)["n_mojibake"].tolist()
    # Visible to the loop over mojibake, which knows no classes.
    codes = np.frombuffer(piece.encode("utf-32-le", "replace"), np.uint32)
    visible = np.flatnonzero((codes > 32) & ((codes < 0x80) | (codes > 0x9F)) & (codes != 0x3000))
    marked, most = np.zeros(len(piece), bool), 0
    for place, found in enumerate(upto):
        if found > most:
            stop = int(np.searchsorted(visible, place, side="right"))
            marked[visible[max(stop - (found - most), 0)] : place + 1] = True
            most = found
    return [
        Span(start, end, int(np.searchsorted(visible, end) - np.searchsorted(visible, start)))
        for start, end in find_runs(marked)
    ]


def show_other_languages(text: str) -> list[Span]:
    """Find lines that are not in Japanese, each by itself; `what` is its language, the amount what it weighs."""
    lines = [line for line in list_lines(text) if text[slice(*line)].strip()]
    if not lines:
        return []
    data, offsets = buffers(pl.Series([text[start:end] for start, end in lines]))
    weights = np.column_stack(tell_lines(data, offsets, np.ones(len(lines), bool)))
    codes, _ = identify_languages(data, offsets)
    return [
        Span(*line, float(weight[1:].sum()), str(code))
        for line, weight, code in zip(lines, weights, codes, strict=True)
        if weight[1:].sum() > weight[0]
    ]
