"""From candidate groups to verified pairs, and from pairs to clusters with survivors.

Both halves give the same answer whatever the order of their input: candidates are compared in order of priority, and survivors are
chosen in that order over the whole graph of verified pairs.
"""

from __future__ import annotations

import numpy as np

from filters.audio.spectrum import similarity as spectrum_similarity
from filters.image.pixels import similarity as thumbnail_similarity
from filters.kernels import jit
from filters.text.minhash import sketch_similarity

# Within a group of candidates every document is compared with at most so many that are unlike one another.
LEADERS = 64
ACROSS = 8  # images of one hash that are compared with those of a hash nearby
# What rows of uint8 stand for: MinHash sketches of text, thumbnails of images, spectra of recordings.
SKETCHES, THUMBNAILS, SPECTRA = 0, 1, 2


@jit
def similarity(kind, rows, i, j):
    """Of records i and j, 0 to 1, by their rows of the kind `SKETCHES`, `THUMBNAILS` or `SPECTRA`."""
    if kind == SKETCHES:
        return sketch_similarity(rows, i, j)
    return thumbnail_similarity(rows, i, j) if kind == THUMBNAILS else spectrum_similarity(rows, i, j)


@jit
def verified_pairs(starts, members, sketches, priority, exact, key_length, accept):
    """Pairs of group members that are similar enough.

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
            alone = True
            for k in range(leading):
                leader = leaders[k]
                if leader == d:
                    alone = False
                    break
                same = exact[leader] == exact[d] and key_length[leader] == key_length[d]
                if same or sketch_similarity(sketches, leader, d) >= accept:
                    alone = False
                    if count == capacity:
                        capacity *= 2
                        first = np.concatenate((first, first))
                        second = np.concatenate((second, second))
                    first[count] = leader
                    second[count] = d
                    count += 1
                    if same:
                        break
            if alone and leading < LEADERS:
                leaders[leading] = d
                leading += 1
    return first[:count], second[:count]


@jit
def verified_groups(starts, members, alone, left, right, sketches, accept, kind):
    """Pairs of alike records within the groups `alone`, and between groups `left[k]` and `right[k]`.

    Records of group g are `members[starts[g]:starts[g + 1]]`, rows of `sketches` (of that `kind`), best priority first. Within a
    group every record is compared with at most `LEADERS` that are unlike one another; between groups the first `ACROSS` of each are.
    """
    capacity = 1024
    first, second = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    count = 0
    leaders = np.empty(LEADERS, np.int64)
    for g in alone:
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


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def components(count, a, b):
    """int64[count]: for every node of the graph with edges (a[k], b[k]), the smallest node of its component (union-find)."""
    parent = np.arange(count)
    for k in range(len(a)):
        x, y = _root(parent, a[k]), _root(parent, b[k])
        if x < y:
            parent[y] = x
        elif y < x:
            parent[x] = y
    for i in range(count):
        parent[i] = _root(parent, i)
    return parent


@jit
def survivors(starts, neighbours, sketches, exact, key_length, accept, kind):
    """Who survives, for nodes in order of priority (node 0 is best).

    `neighbours[starts[i]:starts[i + 1]]` are the *better* nodes that node i was found similar to. A node is a duplicate of a
    survivor that it is verified to be similar to: a better neighbour, or the survivor that such a neighbour is a duplicate of.
    Where there is none it survives. Returns `duplicate_of` (int64, -1 for survivors) and `similarity` (float64).
    """
    n = len(starts) - 1
    duplicate_of = np.full(n, -1, np.int64)
    found = np.zeros(n, np.float64)
    for i in range(n):
        best, best_similarity = np.int64(-1), -1.0
        for k in range(starts[i], starts[i + 1]):
            other = neighbours[k]
            if duplicate_of[other] >= 0:
                other = duplicate_of[other]
            if exact[other] == exact[i] and key_length[other] == key_length[i]:
                value = 1.0
            else:
                value = similarity(kind, sketches, other, i)
                if value < accept:
                    continue
            if value > best_similarity or value == best_similarity and other < best:
                best, best_similarity = other, value
        if best >= 0:
            duplicate_of[i], found[i] = best, best_similarity
    return duplicate_of, found
