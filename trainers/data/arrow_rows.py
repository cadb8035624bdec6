"""Columns of Arrow whose rows are taken in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa


class Columns:
    """A table whose rows are taken in any order, without copying what is large.

    Lists of numbers come as arrays, binary (the field `bytes` of Hugging Face's images and recordings, too) as memoryviews.
    """

    def __init__(self, table: pa.Table) -> None:
        self._take = {name: _taker(table[name].chunk(0)) for name in table.column_names}

    def take(self, rows: np.ndarray) -> dict[str, Any]:
        return {name: take(rows) for name, take in self._take.items()}


def _taker(array: pa.Array) -> Callable[[np.ndarray], Any]:
    kind = pa.types
    if kind.is_struct(array.type):
        return _taker(array.field("bytes"))
    lists = kind.is_list(array.type) or kind.is_large_list(array.type)
    binary = kind.is_binary(array.type) or kind.is_large_binary(array.type)
    if not (lists or binary or kind.is_string(array.type) or kind.is_large_string(array.type)):
        values = array.to_numpy(zero_copy_only=False)
        return lambda rows: values[rows]
    # Those that polars writes have offsets of 64 bits.
    large = kind.is_large_list(array.type) or kind.is_large_binary(array.type) or kind.is_large_string(array.type)
    offsets = np.frombuffer(array.buffers()[1], np.int64 if large else np.int32)[array.offset :][: len(array) + 1]
    there = array.is_valid().to_numpy(zero_copy_only=False)
    if lists:
        numbers = array.values.to_numpy(zero_copy_only=False)
        length = offsets[1] - offsets[0]
        if there.all() and len(numbers) and (np.diff(offsets) == length).all():
            square = numbers[offsets[0] : offsets[-1]].reshape(-1, length)
            return lambda rows: square[rows]
        return lambda rows: [numbers[offsets[i] : offsets[i + 1]] if there[i] else None for i in rows]
    data = memoryview(array.buffers()[2] or b"")
    if binary:
        return lambda rows: [data[offsets[i] : offsets[i + 1]] if there[i] else None for i in rows]
    return lambda rows: [str(data[offsets[i] : offsets[i + 1]], "utf-8") if there[i] else None for i in rows]
