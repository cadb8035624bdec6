"""Rows of an Arrow table, taken in any order without copying what is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa


class ArrowRows:
    """Take rows of a table whose columns have one chunk each.

    Lists of numbers come as arrays, binary values as memoryviews. Of the structs in which Hugging Face keeps images and
    recordings, the field `bytes` is taken.
    """

    def __init__(self, table: pa.Table) -> None:
        self._takers = {name: _make_taker(table[name].chunk(0)) for name in table.column_names}

    def take(self, rows: np.ndarray) -> dict[str, Any]:
        """Return the values of each column in the order of `rows`."""
        return {name: take(rows) for name, take in self._takers.items()}


def _make_taker(array: pa.Array) -> Callable[[np.ndarray], Any]:
    types = pa.types
    if types.is_struct(array.type):
        return _make_taker(array.field("bytes"))
    is_list = types.is_list(array.type) or types.is_large_list(array.type)
    is_binary = types.is_binary(array.type) or types.is_large_binary(array.type)
    if not (is_list or is_binary or types.is_string(array.type) or types.is_large_string(array.type)):
        values = array.to_numpy(zero_copy_only=False)
        return lambda rows: values[rows]
    # polars writes offsets of 64 bits.
    is_large = types.is_large_list(array.type) or types.is_large_binary(array.type) or types.is_large_string(array.type)
    offsets = np.frombuffer(array.buffers()[1], np.int64 if is_large else np.int32)[array.offset :][: len(array) + 1]
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    if is_list:
        numbers = array.values.to_numpy(zero_copy_only=False)
        length = offsets[1] - offsets[0]
        if valid.all() and len(numbers) and (np.diff(offsets) == length).all():
            square = numbers[offsets[0] : offsets[-1]].reshape(-1, length)
            return lambda rows: square[rows]
        return lambda rows: [numbers[offsets[i] : offsets[i + 1]] if valid[i] else None for i in rows]
    data = memoryview(array.buffers()[2] or b"")
    if is_binary:
        return lambda rows: [data[offsets[i] : offsets[i + 1]] if valid[i] else None for i in rows]
    return lambda rows: [str(data[offsets[i] : offsets[i + 1]], "utf-8") if valid[i] else None for i in rows]
