"""From groups of candidates to verified pairs: candidates are compared in order of priority, by sketches of their content."""

from __future__ import annotations

import numpy as np

from filters.audio.fingerprint import similarity as spectrum_similarity
from filters.image.fingerprint import similarity as thumbnail_similarity
from filters.kernels import jit
from filters.text.minhash import sketch_similarity

# Within a group of candidates every document is compared with at most so many that are unlike one another.
LEADERS = 64
ACROSS = 8  # images of one hash that are compared with those of a hash nearby
# Kinds of sketches (integers, as numba takes them): what rows of uint8 stand for, of text, images and recordings.
SKETCHES, THUMBNAILS, SPECTRA = 0, 1, 2


@jit
def similarity(kind, rows, i, j):
    """Return the similarity of records i and j, 0 to 1, by their rows of the kind `SKETCHES`, `THUMBNAILS` or `SPECTRA`."""
    if kind == SKETCHES:
        return sketch_similarity(rows, i, j)
    return thumbnail_similarity(rows, i, j) if kind == THUMBNAILS else spectrum_similarity(rows, i, j)


@jit
def verified_pairs(starts, members, sketches, key_hashes, key_length, accept):
    """Return pairs of group members that are similar enough.

    `members[starts[g]:starts[g + 1]]` are rows of the other arrays, best priority first. The first becomes a leader; each further
    member is compared with the leaders so far and, where it is like none, becomes one. Returns rows `a`, `b` (a the leader).
    """
    capacity = 1024
    first = np.empty(capacity, np.int64)
    second = np.empty(capacity, np.int64)
    count = 0
    leaders = np.empty(LEADERS, np.int64)
    for g in range(len(starts) - 1):
        leading = 0
        for m in range(starts[g], starts[g + 1]):
            d = members[m]
            unlike = True
            for k in range(leading):
                leader = leaders[k]
                if leader == d:
                    unlike = False
                    break
                same = key_hashes[leader] == key_hashes[d] and key_length[leader] == key_length[d]
                if same or sketch_similarity(sketches, leader, d) >= accept:
                    unlike = False
                    if count == capacity:
                        capacity *= 2
                        first = np.concatenate((first, first))
                        second = np.concatenate((second, second))
                    first[count] = leader
                    second[count] = d
                    count += 1
                    if same:
                        break
            if unlike and leading < LEADERS:
                leaders[leading] = d
                leading += 1
    return first[:count], second[:count]


@jit
def verified_groups(starts, members, groups, left, right, sketches, accept, kind):
    """Return pairs of alike records within `groups`, and between groups `left[k]` and `right[k]`.

    Records of group g are `members[starts[g]:starts[g + 1]]`, rows of `sketches` (of that `kind`), best priority first. Within a
    group every record is compared with at most `LEADERS` that are unlike one another; between groups the first `ACROSS` of each are.
    """
    capacity = 1024
    first, second = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    count = 0
    leaders = np.empty(LEADERS, np.int64)
    for g in groups:
        leading = 0
        for m in range(starts[g], starts[g + 1]):
            d = members[m]
            unlike = True
            for k in range(leading):
                if similarity(kind, sketches, leaders[k], d) >= accept:
                    if count == capacity:
                        capacity *= 2
                        first, second = np.concatenate((first, first)), np.concatenate((second, second))
                    first[count], second[count] = leaders[k], d
                    count += 1
                    unlike = False
                    break
            if unlike and leading < LEADERS:
                leaders[leading] = d
                leading += 1
    for k in range(len(left)):
        for m in range(starts[left[k]], min(starts[left[k] + 1], starts[left[k]] + ACROSS)):
            for n in range(starts[right[k]], min(starts[right[k] + 1], starts[right[k]] + ACROSS)):
                if members[m] == members[n]:
                    continue
                if similarity(kind, sketches, members[m], members[n]) >= accept:
                    if count == capacity:
                        capacity *= 2
                        first, second = np.concatenate((first, first)), np.concatenate((second, second))
                    first[count], second[count] = members[m], members[n]
                    count += 1
    return first[:count], second[:count]
