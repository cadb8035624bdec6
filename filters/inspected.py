"""What images and recordings have in common once they are inspected: a dataclass of counters, problems and arrays, row for row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def concatenated(pieces: Sequence[T], rows: np.ndarray) -> T:
    """Of all rows of `pieces`, one after the other, those numbered `rows`, in that order.

    `pieces` are of one dataclass, whose fields are arrays, but for `counters`, a dict of them, and `problems`, a list.
    """

    def chosen(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(values)[rows]

    found: dict[str, Any] = {}
    for field in fields(pieces[0]):  # type: ignore[arg-type]
        of_pieces = [getattr(piece, field.name) for piece in pieces]
        if field.name == "counters":
            found[field.name] = {name: chosen([counters[name] for counters in of_pieces]) for name in of_pieces[0]}
        elif field.name == "problems":
            problems = [problem for piece in of_pieces for problem in piece]
            found[field.name] = [problems[row] for row in rows.tolist()]
        else:
            found[field.name] = chosen(of_pieces)
    return type(pieces[0])(**found)
