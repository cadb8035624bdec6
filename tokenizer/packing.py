"""Documents of token ids to sequences of one length.

`concatenate` writes documents one after another and cuts the stream anywhere. `best-fit` keeps a document whole where it fits into a
sequence, and pads what is left over: documents, and the rests of those that are longer than a sequence, are put by falling length each
into the fullest sequence that still holds it (best-fit decreasing; for language models Ding et al., "Fewer Truncations Improve Language
Modeling", ICML 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.kernels import jit, mix64
from tokenizer.settings import Packing


@dataclass(frozen=True)
class Packed:
    """Sequences, and what became of the tokens: `tokens in` = `tokens` + `left_out`, and sequences x length = `tokens` + `padding`."""

    input_ids: np.ndarray  # int32[sequences, length]
    starts: np.ndarray  # int32[n]: where in its sequence a document, the rest of one, or padding begins
    start_offsets: np.ndarray  # int32[sequences + 1]: which of `starts` are whose; the first of each is 0
    tokens: int
    left_out: int  # the end of the stream that fills no sequence (concatenate)
    padding: int  # (best-fit)


def pack(ids: np.ndarray, lengths: np.ndarray, length: int, packing: Packing, pad: int, seed: int) -> Packed:
    """Pack documents (`ids` end to end, int64 `lengths`, none of them 0) into sequences of `length` tokens.

    Every token of the input is in the output once, but for those counted in `left_out`. `seed` orders the sequences of best-fit.
    """
    if packing == "concatenate":
        return _concatenated(ids, lengths, length)
    return _best_fitted(ids, lengths, length, pad, seed)


def _concatenated(ids: np.ndarray, lengths: np.ndarray, length: int) -> Packed:
    count = len(ids) // length
    whole = count * length
    begins = np.cumsum(lengths) - lengths
    edges = np.unique(np.concatenate([begins[begins < whole], np.arange(count) * length]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(edges // length, minlength=count))])
    sequences = ids[:whole].astype(np.int32).reshape(count, length)
    return Packed(sequences, (edges % length).astype(np.int32), offsets.astype(np.int32), whole, len(ids) - whole, 0)


def _best_fitted(ids: np.ndarray, lengths: np.ndarray, length: int, pad: int, seed: int) -> Packed:
    begins, sizes = _pieces(lengths, length)
    sequence, at, count = _placed(sizes, length)
    # The longest pieces come first: sequences are put in an order that says nothing.
    place = np.empty(count, np.int64)
    place[np.argsort(keys(0, count, seed), kind="stable")] = np.arange(count)
    sequence = place[sequence]
    out = np.full((count, length), pad, np.int32)
    _copy(ids, begins, sizes, sequence, at, out)
    filled = np.bincount(sequence, weights=sizes, minlength=count).astype(np.int64)
    padded = np.flatnonzero(filled < length)
    edges = np.sort(np.concatenate([sequence * length + at, padded * length + filled[padded]]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(edges // length, minlength=count))])
    tokens = int(sizes.sum())
    return Packed(out, (edges % length).astype(np.int32), offsets.astype(np.int32), tokens, 0, count * length - tokens)


@jit
def keys(first, count, seed):
    """uint64[count]: by which the documents numbered from `first` are ordered. No two documents have the same."""
    out = np.empty(count, np.uint64)
    salt = mix64(np.uint64(seed) ^ np.uint64(0x9E3779B97F4A7C15))
    for i in range(count):
        out[i] = mix64(np.uint64(first + i) ^ salt)
    return out


@jit
def _pieces(lengths, length):
    """Begin and size of the pieces that documents are cut to: full sequences, then the rest."""
    count = 0
    for n in lengths:
        count += (n + length - 1) // length
    begins, sizes = np.empty(count, np.int64), np.empty(count, np.int64)
    k, begin = 0, 0
    for n in lengths:
        done = 0
        while done < n:
            begins[k] = begin + done
            sizes[k] = min(length, n - done)
            done += sizes[k]
            k += 1
        begin += n
    return begins, sizes


@jit
def _placed(sizes, length):
    """Sequence and place in it of every piece, and how many sequences there are."""
    count = len(sizes)
    # By falling size, in order among equals.
    first = np.zeros(length + 2, np.int64)
    for size in sizes:
        first[length - size + 1] += 1
    for i in range(1, length + 2):
        first[i] += first[i - 1]
    order = np.empty(count, np.int64)
    for k in range(count):
        slot = length - sizes[k]
        order[first[slot]] = k
        first[slot] += 1
    # Sequences by what room they have: a stack for each room, and a bit for each room that has any.
    top = np.full(length + 1, -1, np.int64)
    below = np.full(count, -1, np.int64)
    bits = np.zeros(length // 64 + 2, np.uint64)
    sequence, at = np.empty(count, np.int64), np.empty(count, np.int64)
    made = 0
    one = np.uint64(1)
    for i in range(count):
        k = order[i]
        size = sizes[k]
        word = size >> 6
        left = bits[word] >> np.uint64(size & 63) << np.uint64(size & 63)
        while left == 0 and word < len(bits) - 1:
            word += 1
            left = bits[word]
        if left == 0:
            here, room = made, length
            made += 1
        else:
            room = word << 6
            while not left & one:
                left >>= one
                room += 1
            here = top[room]
            top[room] = below[here]
            if top[room] < 0:
                bits[room >> 6] &= ~(one << np.uint64(room & 63))
        sequence[k] = here
        at[k] = length - room
        room -= size
        if room:
            below[here] = top[room]
            top[room] = here
            bits[room >> 6] |= one << np.uint64(room & 63)
    return sequence, at, made


@jit
def _copy(ids, begins, sizes, sequence, at, out):
    for k in range(len(begins)):
        for i in range(sizes[k]):
            out[sequence[k], at[k] + i] = ids[begins[k] + i]


@jit
def gathered(ids, offsets, order, before, after, out):
    """Copy texts in `order`, each with `before` (where not negative) ahead of it and `after` behind it; returns their lengths."""
    lengths = np.empty(len(order), np.int64)
    o = 0
    for k in range(len(order)):
        d, start = order[k], o
        if before >= 0:
            out[o] = before
            o += 1
        for i in range(offsets[d], offsets[d + 1]):
            out[o] = ids[i]
            o += 1
        out[o] = after
        o += 1
        lengths[k] = o - start
    return lengths


@jit
def reordered(ids, begins, lengths, order, out):
    """Copy documents given by begin and length, in `order`."""
    o = 0
    for k in range(len(order)):
        d = order[k]
        for i in range(begins[d], begins[d] + lengths[d]):
            out[o] = ids[i]
            o += 1
