"""Windows of lines, hashed and marked: loops over the keys of lines (`filters.text.lines`).

A window is so many consecutive lines, empty ones apart; an edge is the first or the last lines of a document. Lines that read like
sentences make neither alone: statutes, minutes and conversations say the same things in the same order, too.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import inline, jit, mix64
from filters.text.lines import CHARS_AT, HASH_AT, LABEL, MOST_CHARS, PROSE

LEAST_CHARS_AT_EDGE = 24  # of lines with fewer labels than `LEAST_LABELS`: two greetings begin many conversations
LEAST_LABELS = 3  # in a run of lines
LABELS_FOR_PROSE = 2  # labels that a run has for every line of prose in it
# Over the corpus, furniture begins or ends a document, but for a few lines, or is long.
GAP, PROSE_GAP = 10, 2  # lines before or behind it that are none, and those of prose among them
HOLE = 2  # lines between furniture and labels that belong to it
LEAST_AT_BOTH = 2  # lines that few pages both begin and end with
FEW_CHARS = 12  # of their furniture, a line on average
LARGE = 60  # lines of furniture in a row that may stand anywhere; lists of offices in statutes have 20 to 40


@jit
def hash_windows(keys, starts, sites, size, within_sites):
    out = np.zeros(len(keys), np.uint64)
    at = np.empty(size, np.int64)  # the last lines that are not empty, as a ring
    characters = np.uint64(MOST_CHARS)
    for d in range(len(starts) - 1):
        if within_sites and sites[d] == 0:
            continue
        count = 0
        for i in range(starts[d], starts[d + 1]):
            if keys[i] == 0:
                continue
            at[count % size] = i
            count += 1
            if count < size:
                continue
            labels = 0
            value = np.uint64(size)
            if within_sites:
                value = mix64(sites[d] + np.uint64(size))
            for k in range(size):
                key = keys[at[(count + k) % size]]
                if (key >> np.uint64(CHARS_AT)) & characters == characters:  # longer than what is stored of its length
                    labels = -size
                value = mix64(value ^ (key >> np.uint64(HASH_AT)))
                labels += int(key & np.uint64(LABEL))
            if labels > 0:
                out[at[count % size]] = value | np.uint64(1)
    return out


@jit
def hash_edges(keys, starts, sites, least, size, within_sites):
    """uint64[n, 2, size]: hashes of the first and of the last `least` to `size` lines of every document, 0 where prose prevails in them.

    Those of k lines are at k - 1.
    """
    n = len(starts) - 1
    out = np.zeros((n, 2, size), np.uint64)
    for d in range(n):
        if within_sites and sites[d] == 0:
            continue
        for side in range(2):
            value = mix64(np.uint64(size + 1 + side)) + (sites[d] if within_sites else np.uint64(0))
            labels = prose = count = chars = 0
            for step in range(starts[d + 1] - starts[d]):
                key = keys[starts[d + 1] - 1 - step if side else starts[d] + step]
                if key == 0:
                    continue
                value = mix64(value ^ (key >> np.uint64(HASH_AT)))
                labels += int(key & np.uint64(LABEL))
                prose += key & np.uint64(PROSE) != 0
                count += 1
                chars += (key >> np.uint64(CHARS_AT)) & np.uint64(MOST_CHARS)
                says_enough = within_sites or labels >= LEAST_LABELS or chars >= LEAST_CHARS_AT_EDGE
                if count >= least and labels > 0 and labels >= prose and says_enough:
                    out[d, side, count - 1] = value | np.uint64(1)
                if count == size:
                    break
    return out


@jit
def hash_labels(keys, starts, sites, within_sites):
    """uint64[lines]: a hash of each line that is a label, 0 for others."""
    out = np.zeros(len(keys), np.uint64)
    for d in range(len(starts) - 1):
        if within_sites and sites[d] == 0:
            continue
        value = mix64(np.uint64(1)) + (sites[d] if within_sites else np.uint64(0))
        for i in range(starts[d], starts[d + 1]):
            if keys[i] & np.uint64(LABEL):
                out[i] = mix64(value ^ (keys[i] >> np.uint64(HASH_AT))) | np.uint64(1)
    return out


@jit
def distinct_windows(windows, starts):
    """The hashes of every document's windows, each once."""
    out = np.empty(len(windows), np.uint64)
    o = 0
    for d in range(len(starts) - 1):
        ordered = np.sort(windows[starts[d] : starts[d + 1]])
        previous = np.uint64(0)
        for value in ordered:
            if value != previous:
                out[o] = value
                o += 1
                previous = value
    return out[:o]


@jit
def mark_furniture(keys, starts, windows, labels, edges, needed, of_line, size, within_sites, marks):
    """Mark furniture. `windows`, `labels`, `edges`: how many documents have those of each line or document, `needed` how many must,
    and `of_line` for an edge of one line.
    """
    for d in range(len(starts) - 1):
        first, stop = starts[d], starts[d + 1]
        if not (windows[first:stop] >= needed[d]).any() and not (edges[d] >= needed[d]).any():
            continue
        lines = first + np.flatnonzero(keys[first:stop])
        chosen = np.zeros(len(lines), np.bool_)
        _mark_windows(lines, windows, needed[d], size, chosen)
        _unmark_prose(keys, lines, chosen)
        if not within_sites:
            _unmark_inner(keys, lines, chosen)
        for k in range(size):
            least = of_line[d] if k == 0 else needed[d]
            if edges[d, 0, k] >= least:
                chosen[: k + 1] = True
            if edges[d, 1, k] >= least:
                chosen[len(chosen) - k - 1 :] = True
        _extend(lines, labels, needed[d], chosen)
        for k in range(len(lines)):
            marks[lines[k]] = marks[lines[k]] or chosen[k]


@jit
def _mark_windows(lines, counts, needed, size, marks):
    """Mark the lines of all windows that enough documents have."""
    left = 0
    for k in range(len(lines)):
        if counts[lines[k]] >= needed:
            left = size
        if left > 0:
            marks[k] = True
            left -= 1


@jit
def _extend(lines, labels, needed, marks):
    """Mark labels that recur beside furniture, on the other side of a line or two that vary, too, as the item of the page itself does."""
    furniture = marks.copy()
    for step in (1, -1):
        for at in np.flatnonzero(furniture):
            k, hole, holes = at + step, 0, 0
            while 0 <= k < len(lines) and not furniture[k]:
                if labels[lines[k]] >= needed:
                    marks[k] = True
                    hole = 0
                else:
                    holes += hole == 0
                    hole += 1
                    if hole > HOLE or holes > 1:
                        break
                k += step


@inline
def _end_of_run(marks, k):
    while k < len(marks) and marks[k]:
        k += 1
    return k


@jit
def _unmark_prose(keys, lines, marks):
    """Unmark runs of lines that are not labels for the most part, going by those that are long enough to say something."""
    k = 0
    while k < len(lines):
        stop = _end_of_run(marks, k)
        labels = prose = 0
        for j in range(k, stop):
            labels += keys[lines[j]] & np.uint64(LABEL) != 0
            prose += keys[lines[j]] & np.uint64(PROSE) != 0
        if labels < LEAST_LABELS or labels < LABELS_FOR_PROSE * prose:
            marks[k:stop] = False
        k = stop + 1


@jit
def _unmark_inner(keys, lines, marks):
    """Unmark runs that neither reach an edge of the document, over gaps of a few lines, nor are long."""
    spared = np.zeros(len(marks), np.bool_)
    for backwards in range(2):
        missing = prose = 0
        for step in range(len(marks)):
            k = len(marks) - 1 - step if backwards else step
            if marks[k]:
                missing = prose = 0
                spared[k] = True
            else:
                missing += 1
                prose += keys[lines[k]] & np.uint64(PROSE) != 0
                if missing > GAP or prose > PROSE_GAP:
                    break
    k = 0
    while k < len(marks):
        stop = _end_of_run(marks, k)
        if stop - k < LARGE and stop > k and not spared[k]:
            marks[k:stop] = False
        k = stop + 1


@jit
def mark_small_sites(keys, starts, windows, labels, edges, needed, least, size, marks):
    """Mark the furniture of few pages, `needed` at the least: what they begin and end with alike, `least` lines of labels behind the first.

    A song, a quotation or a list that few documents have does not stand below the same header. Arrays as `mark_furniture` takes them.
    """
    for d in range(len(starts) - 1):
        first, stop = starts[d], starts[d + 1]
        top, bottom = _longest_edge(edges[d, 0], needed), _longest_edge(edges[d, 1], needed)
        if top < LEAST_AT_BOTH or bottom < LEAST_AT_BOTH:
            continue
        lines = first + np.flatnonzero(keys[first:stop])
        chosen = np.zeros(len(lines), np.bool_)
        _mark_windows(lines, windows, needed, size, chosen)
        _unmark_prose(keys, lines, chosen)
        _unmark_inner(keys, lines, chosen)
        chosen[:top] = True
        chosen[len(chosen) - bottom :] = True
        _extend(lines, labels, needed, chosen)
        count = named = chars = prose = 0
        for k in range(len(lines)):
            key = keys[lines[k]]
            if not chosen[k]:
                prose += key & np.uint64(PROSE) != 0
            elif k >= top:
                count += 1
                named += key & np.uint64(LABEL) != 0
                chars += int((key >> np.uint64(CHARS_AT)) & np.uint64(MOST_CHARS))
        if count >= least and 10 * named >= 9 * count and chars <= FEW_CHARS * count and prose:
            for k in range(len(lines)):
                marks[lines[k]] = marks[lines[k]] or chosen[k]


@inline
def _longest_edge(counts, needed):
    lines = 0
    for k in range(len(counts)):
        if counts[k] >= needed:
            lines = k + 1
    return lines


@jit
def measure_marks(keys, starts, marks):
    """Lines and characters that are marked, characters in lines, and characters of the text that is left, of every document."""
    n = len(starts) - 1
    out = np.zeros((n, 4), np.int64)
    characters = np.uint64(MOST_CHARS)
    for d in range(n):
        left = empty = 0  # empty lines before the next line
        for i in range(starts[d], starts[d + 1]):
            chars = np.int64((keys[i] >> np.uint64(CHARS_AT)) & characters)
            out[d, 2] += chars
            if marks[i]:
                out[d, 0] += 1
                out[d, 1] += chars
            elif keys[i] == 0:
                empty = 1
            else:
                left += int(chars) + (1 + empty if left else 0)
                empty = 0
        out[d, 3] = left
    return out


@jit
def list_spans(starts, marks):
    offsets = np.zeros(len(starts), np.int64)
    out = np.empty(2 * np.count_nonzero(marks), np.int32)
    o = 0
    for d in range(len(starts) - 1):
        for i in range(starts[d], starts[d + 1]):
            if marks[i]:
                if i == starts[d] or not marks[i - 1]:
                    out[o] = i - starts[d]
                    o += 2
                out[o - 1] = i - starts[d]
        offsets[d + 1] = o
    return offsets, out[:o]
