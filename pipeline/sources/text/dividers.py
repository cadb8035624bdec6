"""How documents are divided in a stream of text: by line ends (`LINES`), by empty lines (`BLANK_LINES`), or by a `Divider` of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from filters.kernels import read_only
from pipeline.sources.rows import Spans
from pipeline.sources.text import blank_lines, lines, whole_files

_BYTES_PER_DOCUMENT = 64  # fewer than most texts have: room for so many documents is made at first
NO_SPANS = np.zeros(0, np.int64)  # for `documents` to count without filling anything


@dataclass(frozen=True)
class Divider:
    """How documents stand in a stream of bytes. The functions are compiled, and take `data` as uint8.

    `first_boundary(data, start, end)`: index after the first divider that lies wholly in `data[start:end]`, or -1. Leading dividers have
    been removed from `data`.
    `last_boundary(data, end)`: index after the last divider that lies wholly in `data[:end]`, or -1.
    `leading(data, end)`: how many bytes of dividers `data[:end]` begins with.
    `documents(data, starts, ends, limit)`: fill the int64 arrays, where they have room, with the documents of `data`; return how many
    there are, at most `limit`.
    `count_at_most(body)`: a quick upper bound on that count, for bytes.
    `width`: bytes of the longest divider, with the line end before it. `name`: what a warning calls a divider. The divider after the last
    document may be missing, or lack its last line end.
    """

    first_boundary: Callable[..., int]
    last_boundary: Callable[..., int]
    leading: Callable[..., int]
    documents: Callable[..., int]
    count_at_most: Callable[[bytes], int]
    width: int
    name: str


BLANK_LINES = Divider(
    blank_lines.first_boundary,
    blank_lines.last_boundary,
    blank_lines.leading,
    blank_lines.documents,
    blank_lines.count_at_most,
    width=4,
    name="empty line",
)
LINES = Divider(
    lines.first_boundary,
    lines.last_boundary,
    blank_lines.leading,  # empty lines, which are no documents here either
    lines.documents,
    lines.count_at_most,
    width=2,
    name="line end",
)

WHOLE_FILES = Divider(
    whole_files.first_boundary,
    whole_files.last_boundary,
    whole_files.leading,
    whole_files.documents,
    whole_files.count_at_most,
    width=1,
    name="end of file",
)


def find_documents(divider: Divider, data: np.ndarray, limit: int) -> Spans:
    """Return the first `limit` documents of `data`."""
    data = read_only(data)
    room = min(limit, len(data) // _BYTES_PER_DOCUMENT + 16)
    while True:
        starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
        count = divider.documents(data, starts, ends, limit)
        if count <= room:
            return Spans(data, starts[:count], ends[:count])
        room = count
