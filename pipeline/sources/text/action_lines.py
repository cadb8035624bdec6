"""Documents of an Elasticsearch bulk file, as CirrusSearch's dumps are: a line each, and before each a line that says what to do with it.

Such an action, `{"index":{"_type":"_doc","_id":"5"}}`, divides documents like an empty line.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit

_ACTION = np.frombuffer(b'{"index":', np.uint8)


@jit
def _line_end(data, start, end):
    i = start
    while i < end and data[i] != 10:
        i += 1
    return i


@jit
def _is_action(data, start, end):
    if start + len(_ACTION) > end:
        return False
    for k in range(len(_ACTION)):
        if data[start + k] != _ACTION[k]:
            return False
    return True


@jit
def leading(data, end):
    """Return how many bytes of actions and empty lines `data[:end]` begins with."""
    i = 0
    while i < end:
        stop = _line_end(data, i, end)
        if stop == end and not _is_action(data, i, end):  # of a line that goes on nobody knows
            break
        if not (stop == i or stop == i + 1 and data[i] == 13 or _is_action(data, i, stop)):
            break
        i = min(stop + 1, end)
    return i


@jit
def documents(data, starts, ends, limit):
    """Fill `starts` and `ends` (where they have room) with the documents of `data`; return how many there are, at most `limit`."""
    count = 0
    start = 0
    while start < len(data) and count < limit:
        stop = _line_end(data, start, len(data))
        end = stop - 1 if stop > start and data[stop - 1] == 13 else stop
        if end > start and not _is_action(data, start, end):
            if count < len(starts):
                starts[count], ends[count] = start, end
            count += 1
        start = stop + 1
    return count
