"""Segment columns of text with a unigram model: SentencePiece's ids, compiled, on Arrow's buffers.

The algorithm is Viterbi's over the pieces that begin at each character, as in SentencePiece (Kudo and Richardson, EMNLP 2018). Of equal
candidates the one that began first wins, as there. Scores have to be multiples of 1/32, as in models trained here: sums are exact then,
and ids do not depend on the order of adding. Pieces are looked up by characters, not bytes, in a double array (Aoe, IEEE TSE 15(9), 1989),
so a Japanese character is one step instead of three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.kernels import decode, jit

GRID = 32  # scores of models that are trained here are multiples of 1/32
UNK_PENALTY = 10.0  # subtracted from the lowest score of a piece: SentencePiece's kUnkPenalty
SPACE = "\u2581"  # what stands for a space inside the pieces of models that escape spaces
_NONE = -1


@jit
def _children(codes, starts, depth, low, high, found, firsts):
    """Write the distinct codes at `depth` of the sorted words `low` to `high` - 1, and where each begins; returns their number."""
    count = 0
    for i in range(low, high):
        code = codes[starts[i] + depth]
        if count == 0 or found[count - 1] != code:
            found[count] = code
            firsts[count] = i
            count += 1
    return count


@jit
def _double_array(codes, starts, ids, alphabet):
    """Build int32[n, 3]: base, check, and the id of the word that ends in a node (or -1). Node 0 is the root.

    `codes` holds the words, sorted, each as numbers from 1 to `alphabet`; word i is `codes[starts[i]:starts[i + 1]]`.
    """
    words = len(starts) - 1
    size = 2 * len(codes) + 2 * alphabet + 16
    base = np.zeros(size, np.int32)
    check = np.full(size, -1, np.int32)
    value = np.full(size, -1, np.int32)
    # Free slots are linked in both directions, so that a search does not pass slots that are taken.
    following = np.arange(1, size + 1).astype(np.int64)
    before = np.arange(-1, size - 1).astype(np.int64)
    check[0] = 0
    head = 1
    before[1] = -1
    # A queue of (node, low, high, depth): breadth first, since nodes with many children are near the root and need room.
    queue = np.empty((len(codes) + 1, 4), np.int64)
    queue[0, 0], queue[0, 1], queue[0, 2], queue[0, 3] = 0, 0, words, 0
    first, last, used = 0, 1, 1
    found, firsts = np.empty(alphabet + 1, np.int32), np.empty(alphabet + 2, np.int64)
    while first < last:
        node, low, high, depth = queue[first, 0], queue[first, 1], queue[first, 2], queue[first, 3]
        first += 1
        if starts[low] + depth == starts[low + 1]:
            value[node] = ids[low]
            low += 1
        if low == high:
            continue
        count = _children(codes, starts, depth, low, high, found, firsts)
        firsts[count] = high
        slot = head
        while True:
            b = slot - found[0]
            fits = b >= 1
            k = 1
            while fits and k < count:
                fits = check[b + found[k]] == -1
                k += 1
            if fits:
                break
            slot = following[slot]
        base[node] = b
        for k in range(count):
            at = b + found[k]
            check[at] = node
            left, right = before[at], following[at]
            if left >= 0:
                following[left] = right
            else:
                head = right
            if right < size:
                before[right] = left
            used = max(used, at + 1)
            queue[last, 0], queue[last, 1], queue[last, 2], queue[last, 3] = at, firsts[k], firsts[k + 1], depth + 1
            last += 1
    out = np.full((used + alphabet + 1, 3), -1, np.int32)
    for i in range(used):
        out[i, 0], out[i, 1], out[i, 2] = base[i], check[i], value[i]
    for i in range(used, used + alphabet + 1):
        out[i, 0] = 0
    # A node without children leads nowhere: base 0 would lead to the root's own.
    return out


@jit
def _segment(data, offsets, numbers, units, scores, unk_score, byte_ids):
    """Return the ids of every text, end to end, and int64[n + 1] where each begins."""
    texts = len(offsets) - 1
    longest = 0
    for t in range(texts):
        longest = max(longest, offsets[t + 1] - offsets[t])
    code, at = np.empty(longest + 1, np.int32), np.empty(longest + 1, np.int64)
    best, begin, piece = np.empty(longest + 1, np.float64), np.empty(longest + 1, np.int32), np.empty(longest + 1, np.int32)
    out = np.empty(offsets[texts] - offsets[0], np.int32)
    ends = np.zeros(texts + 1, np.int64)
    total = 0
    root = units[0, 0]
    for t in range(texts):
        i, stop, n = offsets[t], offsets[t + 1], 0
        while i < stop:
            at[n] = i
            cp, i = decode(data, i)
            code[n] = numbers[cp]
            begin[n] = -1
            n += 1
        at[n] = stop
        begin[n] = -1
        best[0] = 0.0
        for s in range(n):
            here = best[s]
            single = False
            c = code[s]
            if c:
                node = root + c
                node = node if units[node, 1] == 0 else 0
                j = s + 1
                while node:
                    id = units[node, 2]
                    if id >= 0:
                        candidate = here + scores[id]
                        if begin[j] < 0 or candidate > best[j]:
                            best[j] = candidate
                            begin[j] = s
                            piece[j] = id
                        if j == s + 1:
                            single = True
                    if j == n or code[j] == 0:
                        break
                    b = units[node, 0]
                    if b == 0:
                        break
                    to = b + code[j]
                    if units[to, 1] != node:
                        break
                    node = to
                    j += 1
            if not single:
                candidate = here + unk_score
                if begin[s + 1] < 0 or candidate > best[s + 1]:
                    best[s + 1] = candidate
                    begin[s + 1] = s
                    piece[s + 1] = -1
        count, e = 0, n
        while e > 0:
            s = begin[e]
            count += 1 if piece[e] >= 0 else at[e] - at[s]
            e = s
        e, o = n, total + count
        while e > 0:
            s = begin[e]
            if piece[e] >= 0:
                o -= 1
                out[o] = piece[e]
            else:
                for i in range(at[e] - 1, at[s] - 1, -1):
                    o -= 1
                    out[o] = byte_ids[data[i]]
            e = s
        total += count
        ends[t + 1] = total
    return out[:total].copy(), ends


@dataclass(frozen=True)
class Unigram:
    """A unigram model ready to segment. Make one with `from_proto`."""

    numbers: np.ndarray  # int32[0x110000]: the number of a code point that occurs in pieces, or 0
    units: np.ndarray  # int32[n, 3]: `_double_array`
    scores: np.ndarray  # float64[vocabulary]
    unk_score: float
    byte_ids: np.ndarray  # int32[256]

    @staticmethod
    def from_proto(proto: Any) -> Unigram | None:
        """Make the model of a SentencePiece proto; None where only SentencePiece itself can use it.

        It has to be a unigram model with byte fallback that leaves text as it is (no normalisation, no prefix) and whose scores are
        multiples of 1/32. Raises ValueError where a byte piece is malformed.
        """
        n, t = proto.normalizer_spec, proto.trainer_spec
        if t.model_type != t.UNIGRAM or not t.byte_fallback:
            return None
        if n.precompiled_charsmap or n.add_dummy_prefix or n.remove_extra_whitespaces:
            return None
        kind = proto.SentencePiece
        texts, ids, byte_ids = list[str](), list[int](), np.full(256, _NONE, np.int32)
        scores = np.zeros(len(proto.pieces), np.float64)
        # SentencePiece begins its maximum at the smallest positive number.
        lowest, highest = np.inf, float(np.finfo(np.float32).tiny)
        for i, p in enumerate(proto.pieces):
            scores[i] = np.float32(p.score)
            if p.type == kind.BYTE:
                byte_ids[int(p.piece[3:5], 16)] = i
            elif p.type in (kind.NORMAL, kind.USER_DEFINED):
                texts.append(p.piece)
                ids.append(i)
            if p.type == kind.NORMAL:
                lowest, highest = min(lowest, float(p.score)), max(highest, float(p.score))
        if not texts or (byte_ids == _NONE).any() or not np.isfinite(lowest) or (scores * GRID % 1 != 0).any():
            return None
        for i in ids:
            if proto.pieces[i].type == kind.USER_DEFINED:
                length = len(proto.pieces[i].piece.encode())
                scores[i] = length * highest - 0.1
        alphabet = sorted({c for text in texts for c in text})
        if n.escape_whitespaces and SPACE not in alphabet:
            return None  # spaces would be spelled by the bytes of U+2581
        numbers = np.zeros(0x110000, np.int32)
        numbers[[ord(c) for c in alphabet]] = np.arange(1, len(alphabet) + 1)
        if n.escape_whitespaces:
            numbers[0x20] = numbers[ord(SPACE)]
        # Sorted by code point, as the numbers are.
        order = sorted(range(len(texts)), key=texts.__getitem__)
        joined = np.array([ord(c) for k in order for c in texts[k]], np.int64)
        starts = np.concatenate([[0], np.cumsum([len(texts[k]) for k in order])]).astype(np.int64)
        units = _double_array(numbers[joined], starts, np.array([ids[k] for k in order], np.int32), len(alphabet))
        return Unigram(numbers, units, scores, lowest - UNK_PENALTY, byte_ids)

    def encode(self, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts as Arrow holds them (uint8[bytes] of valid UTF-8, int64[n + 1]) to int32[tokens], int64[n + 1]."""
        return _segment(data, offsets, self.numbers, self.units, self.scores, self.unk_score, self.byte_ids)
