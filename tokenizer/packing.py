"""Pack documents of token ids into sequences of one length.

`concatenate` writes documents one after another and cuts the stream anywhere. `best-fit` never cuts a document that fits into a sequence,
and pads. It takes documents, and the remainders of longer ones, from the longest to the shortest, and puts each into the fullest sequence
that has room for it: best-fit decreasing (for language models Ding et al., "Fewer Truncations Improve Language Modeling", ICML 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.kernels import jit, mix64
from tokenizer.settings import Packing


@dataclass(frozen=True)
class PackedSequences:
    """Sequences, and what became of the tokens: `tokens in` = `tokens` + `left_out`, and sequences x length = `tokens` + `padding`."""

    input_ids: np.ndarray  # int32[sequences, length]
    starts: np.ndarray  # int32[n]: where in its sequence a document, the rest of one, or padding begins
    start_offsets: np.ndarray  # int32[sequences + 1]: which `starts` belong to which sequence; the first of each is 0
    tokens: int
    left_out: int  # the end of the stream that fills no sequence (concatenate)
    padding: int  # (best-fit)


def pack(ids: np.ndarray, lengths: np.ndarray, length: int, packing: Packing, pad: int, seed: int) -> PackedSequences:
    """Pack documents (`ids` end to end, int64 `lengths`, none of them 0) into sequences of `length` tokens.

    Every token of the input is in the output once, but for those counted in `left_out`. `seed` orders the sequences of best-fit.
    """
    if packing == "concatenate":
        return _concatenate(ids, lengths, length)
    return _best_fit(ids, lengths, length, pad, seed)


def _concatenate(ids: np.ndarray, lengths: np.ndarray, length: int) -> PackedSequences:
    count = len(ids) // length
    kept = count * length
    begins = np.cumsum(lengths) - lengths
    edges = np.unique(np.concatenate([begins[begins < kept], np.arange(count) * length]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(edges // length, minlength=count))])
    sequences = ids[:kept].astype(np.int32).reshape(count, length)
    return PackedSequences(sequences, (edges % length).astype(np.int32), offsets.astype(np.int32), kept, len(ids) - kept, 0)


def _best_fit(ids: np.ndarray, lengths: np.ndarray, length: int, pad: int, seed: int) -> PackedSequences:
    begins, sizes = _cut_documents(lengths, length)
    sequence, at, count = _assign_chunks(sizes, length)
    # Sequences are shuffled, since those with the longest pieces come first.
    position = np.empty(count, np.int64)
    position[np.argsort(order_keys(0, count, seed), kind="stable")] = np.arange(count)
    sequence = position[sequence]
    out = np.full((count, length), pad, np.int32)
    _copy_pieces(ids, begins, sizes, sequence, at, out)
    filled = np.bincount(sequence, weights=sizes, minlength=count).astype(np.int64)
    padded = np.flatnonzero(filled < length)
    edges = np.sort(np.concatenate([sequence * length + at, padded * length + filled[padded]]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(edges // length, minlength=count))])
    tokens = int(sizes.sum())
    return PackedSequences(out, (edges % length).astype(np.int32), offsets.astype(np.int32), tokens, 0, count * length - tokens)


@jit
def order_keys(first, count, seed):
    """Return uint64[count], by which documents or sequences numbered from `first` are ordered. No two have the same key."""
    out = np.empty(count, np.uint64)
    salt = mix64(np.uint64(seed) ^ np.uint64(0x9E3779B97F4A7C15))
    for i in range(count):
        out[i] = mix64(np.uint64(first + i) ^ salt)
    return out


@jit
def _cut_documents(lengths, length):
    """Return begin and size of the chunks that documents are cut into: full sequences, then the remainder."""
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
def _assign_chunks(sizes, length):
    """Return sequence and position in it of every chunk, and how many sequences there are."""
    count = len(sizes)
    # Largest first, in order among equals.
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
    # Sequences by the room they have: a stack for each room, and a bit for each stack that is not empty.
    top = np.full(length + 1, -1, np.int64)
    below = np.full(count, -1, np.int64)
    bits = np.zeros(length // 64 + 2, np.uint64)
    sequence, at = np.empty(count, np.int64), np.empty(count, np.int64)
    used = 0
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
            chosen, room = used, length
            used += 1
        else:
            room = word << 6
            while not left & one:
                left >>= one
                room += 1
            chosen = top[room]
            top[room] = below[chosen]
            if top[room] < 0:
                bits[room >> 6] &= ~(one << np.uint64(room & 63))
        sequence[k] = chosen
        at[k] = length - room
        room -= size
        if room:
            below[chosen] = top[room]
            top[room] = chosen
            bits[room >> 6] |= one << np.uint64(room & 63)
    return sequence, at, used


@jit
def _copy_pieces(ids, begins, sizes, sequence, at, out):
    for k in range(len(begins)):
        for i in range(sizes[k]):
            out[sequence[k], at[k] + i] = ids[begins[k] + i]


@jit
def join_documents(ids, offsets, order, before, after, out):
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
def reorder_documents(ids, begins, lengths, order, out):
    """Copy documents given by begin and length, in `order`."""
    o = 0
    for k in range(len(order)):
        d = order[k]
        for i in range(begins[d], begins[d] + lengths[d]):
            out[o] = ids[i]
            o += 1
