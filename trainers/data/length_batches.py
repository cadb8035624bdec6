"""Batches of recordings of like length, so that little is computed on padding or cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class BatchedRows(NamedTuple):
    """Rows in the order in which they are read, and the number of the batch that each belongs to."""

    rows: np.ndarray  # int64[n]
    numbers: np.ndarray  # int64[n]


@dataclass(frozen=True)
class LengthBatches:
    """How the records of a window become batches: as many as `seconds` allow, each counted as long as the longest of its batch."""

    seconds: float
    size: int  # records of a batch, at most
    measure: Callable[[dict[str, Any]], np.ndarray]  # columns of a window -> float64[n] seconds, known without decoding

    def arrange(self, columns: dict[str, Any], rows: np.ndarray, rng: np.random.Generator | None) -> BatchedRows:
        """Cut rows, whose values `columns` has in their order, into batches.

        With `rng` records are ordered by length first, those of equal length as they come, and the batches are shuffled.
        """
        lengths = np.asarray(self.measure(columns), np.float64)
        if rng is None:
            return BatchedRows(rows, number_batches(lengths, self.seconds, self.size))
        by_length = np.argsort(lengths, kind="stable")
        numbers = number_batches(lengths[by_length], self.seconds, self.size)
        places = rng.permutation(int(numbers[-1]) + 1)[numbers] if len(numbers) else numbers
        order = np.argsort(places, kind="stable")
        return BatchedRows(rows[by_length][order], places[order])

    def count_records(self, columns: dict[str, Any]) -> float:
        """Return the mean number of records in a batch of these."""
        lengths = np.sort(np.asarray(self.measure(columns), np.float64))
        return len(lengths) / (int(number_batches(lengths, self.seconds, self.size)[-1]) + 1)


def number_batches(lengths: np.ndarray, seconds: float, size: int) -> np.ndarray:
    """Return int64[n]: the batch of each record, filled one after the other. A record longer than `seconds` is a batch of its own."""
    numbers, number, records, longest = list[int](), 0, 0, 0.0
    for length in lengths.tolist():  # of a window: thousands
        longest = max(longest, length)
        if records and (records == size or (records + 1) * longest > seconds):
            number, records, longest = number + 1, 0, length
        numbers.append(number)
        records += 1
    return np.array(numbers, np.int64)


def padding_share(lengths: np.ndarray, numbers: np.ndarray) -> float:
    """Return the share of batches, padded to the longest record of each, that is padding."""
    count = int(numbers.max()) + 1
    longest = np.zeros(count)
    np.maximum.at(longest, numbers, lengths)
    return 1 - float(lengths.sum() / (longest * np.bincount(numbers, minlength=count)).sum())


def cropped_share(lengths: np.ndarray, numbers: np.ndarray) -> float:
    """Return the share of the sound that is cut off where batches are cropped to the shortest record of each."""
    count = int(numbers.max()) + 1
    shortest = np.full(count, np.inf)
    np.minimum.at(shortest, numbers, lengths)
    return 1 - float((shortest * np.bincount(numbers, minlength=count)).sum() / lengths.sum())
