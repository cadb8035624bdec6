"""What images and recordings have in common: bytes that may be unreadable, and the table that inspecting many of them gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from filters.registry import Counters

Blob = bytes | bytearray | memoryview


class Unreadable(ValueError):
    """A file that cannot be decoded. The message says why, in words for the ledger."""


@dataclass(frozen=True)
class Inspected:
    """What inspecting n files gave. Row i of every field is file i; it is zero (None for strings) where the file has a problem."""

    counters: Counters
    problems: list[str | None]
    hashes: np.ndarray  # uint64[n, VIEWS]: a perceptual hash of each view of the content
    flat: np.ndarray  # bool[n]: too plain for its hashes to mean anything, such as one colour or silence
    descriptors: np.ndarray  # uint8[n, DESCRIPTOR_BYTES]: what two files are compared by
    needs_reencoding: np.ndarray  # bool[n]: readers of shards expect another encoding


Table = TypeVar("Table", bound=Inspected)


def gather_rows(tables: Sequence[Table], rows: np.ndarray) -> Table:
    """Concatenate `tables` and return the rows numbered `rows`, in that order."""
    columns: dict[str, Any] = {}
    for field in fields(tables[0]):
        values = [getattr(table, field.name) for table in tables]
        if field.name == "counters":
            columns[field.name] = {name: np.concatenate([counters[name] for counters in values])[rows] for name in values[0]}
        elif field.name == "problems":
            problems = [problem for table in values for problem in table]
            columns[field.name] = [problems[row] for row in rows.tolist()]
        else:
            columns[field.name] = np.concatenate(values)[rows]
    return type(tables[0])(**columns)
