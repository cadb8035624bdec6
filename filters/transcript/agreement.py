"""Whether two transcripts say the same: the least error rate between any readings that they may have.

七 is シチ or ナナ, 明日 アス or アシタ, 1/2 a half or a day. A text's readings are a graph: one node a sound, with the sounds that may
come before it. The edits between two graphs are found by one dynamic programme over pairs of nodes, as between two strings, so that
the number of combinations does not matter: its time grows as the product of the texts' lengths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import jit
from filters.transcript.counters import Stretch
from filters.transcript.dictionary import Dictionary
from filters.transcript.edit_distance import VOWEL, error_rates, is_long, unite_spellings
from filters.transcript.readings import choices, readings

LONGEST_CHOICES = 2_000  # sounds; of longer transcripts only the usual readings are compared


class Graph(NamedTuple):
    """Sounds of all readings of a text, in an order in which each comes after its predecessors. Node 0 is the beginning.

    The predecessors of node i are `before[starts[i]:starts[i + 1]]`; those of the end are the last ones.
    """

    sounds: np.ndarray  # int32[n]
    starts: np.ndarray  # int32[n + 2]
    before: np.ndarray  # int32


def build_graph(stretches: list[Stretch]) -> Graph:
    """Graph of the readings that `stretches` allow, by sound: a vowel that makes the sound before it long is ー."""
    sounds, before = [0], [[]]  # type: list[int], list[list[int]]
    ends: dict[str, list[int]] = {"": [0]}  # last nodes, by the vowel that the next sound may make long
    for stretch in stretches:
        following: dict[str, list[int]] = {}
        for reading in dict.fromkeys(unite_spellings(reading) for reading in stretch):
            if not reading:
                for vowel, nodes in ends.items():
                    following.setdefault(vowel, []).extend(nodes)
                continue
            groups: dict[tuple[str, str], list[int]] = {}  # the first sound, and its vowel, by what it comes after
            for vowel, nodes in ends.items():
                key = ("ー", vowel) if is_long(reading[0], vowel) else (reading[0], VOWEL.get(reading[0], ""))
                groups.setdefault(key, []).extend(nodes)
            for (sound, vowel), nodes in groups.items():
                sounds.append(ord(sound))
                before.append(nodes)
                for character in reading[1:]:
                    lengthens = is_long(character, vowel)
                    sounds.append(ord("ー" if lengthens else character))
                    before.append([len(sounds) - 2])
                    vowel = vowel if lengthens else VOWEL.get(character, "")
                following.setdefault(vowel, []).append(len(sounds) - 1)
        ends = {vowel: list(dict.fromkeys(nodes)) for vowel, nodes in following.items()}
    before.append([node for nodes in ends.values() for node in nodes])
    starts = np.cumsum([0, *map(len, before)]).astype(np.int32)
    return Graph(np.array(sounds, np.int32), starts, np.array([node for nodes in before for node in nodes], np.int32))


@jit
def _count_edits(sounds, starts, before, other_sounds, other_starts, other_before):
    """Least edits between a reading of one graph and a reading of another."""
    n, m = len(sounds), len(other_sounds)
    many = np.int32(1 << 30)
    edits = np.empty((n, m), np.int32)
    for i in range(n):
        for j in range(m):
            least = many if i + j else np.int32(0)
            for p in range(starts[i], starts[i + 1]):
                least = min(least, edits[before[p], j] + 1)
            for q in range(other_starts[j], other_starts[j + 1]):
                least = min(least, edits[i, other_before[q]] + 1)
                differs = sounds[i] != other_sounds[j]
                for p in range(starts[i], starts[i + 1]):
                    least = min(least, edits[before[p], other_before[q]] + differs)
            edits[i, j] = least
    least = many
    for p in range(starts[n], starts[n + 1]):
        for q in range(other_starts[m], other_starts[m + 1]):
            least = min(least, edits[before[p], other_before[q]])
    return least


def count_edits(one: list[Stretch], other: list[Stretch]) -> int:
    """Least edits, by sound, between a reading of one text and a reading of another."""
    return int(_count_edits(*build_graph(one), *build_graph(other)))


def reading_error_rates(reference: pl.Series, other: pl.Series, dictionary: Dictionary = "unidic") -> pl.Series:
    """float32[n]: least edits between readings of two columns of texts, over the length of the reference's usual reading.

    Null where either text is null. For a reference with nothing to read it is the number of edits.
    """
    aloud = readings(reference, dictionary), readings(other, dictionary)
    rates = error_rates(*aloud, by_sound=True)
    lengths = [side.str.len_chars() for side in aloud]
    rows = ((rates > 0) & (lengths[0] <= LONGEST_CHOICES) & (lengths[1] <= LONGEST_CHOICES)).fill_null(False).arg_true()
    if not len(rows):
        return rates
    sides = [choices(side.gather(rows), dictionary) for side in (reference, other)]
    edits = np.array([count_edits(one, another) for one, another in zip(*sides, strict=True)], np.float32)
    best = edits / lengths[0].gather(rows).clip(1).to_numpy()
    return rates.scatter(rows, pl.Series(best.astype(np.float32)))
