"""How long builds took on this machine, kept in the user's cache, for `--plan` to estimate by: `~/.cache/seimai/timings.json`.

`SEIMAI_CACHE` names another folder. Builds on a cluster are not kept: who knows which machines there will be.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.core.storage import read_json, write_json

SHORTEST = 10.0  # seconds of a build that is worth keeping: of a shorter one, too much is overhead
FEWEST_PARTS = 8


@dataclass(frozen=True)
class Timing:
    """A build that measured all of its input: bytes of content, records, and seconds by so many workers."""

    name: str
    bytes: int
    records: int
    seconds: float
    workers: int
    day: str = ""  # ISO 8601

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds

    def estimate_bytes(self, content: float, limit: int | None) -> float:
        """Return how much of `content` bytes a build reads that stops after `limit` records of the same size as these."""
        return content if limit is None else min(content, limit * self.bytes / max(self.records, 1))

    def estimate_seconds(self, content: float, workers: int) -> float:
        """Return how long `workers` take for `content` bytes, where each works as fast as these did.

        >>> Timing("a", 100, 10, 20.0, 2).estimate_seconds(200, 4)
        20.0
        """
        return content / self.bytes_per_second * self.workers / max(workers, 1)


def time_build(name: str, parts: Sequence[Mapping[str, Any]], further_seconds: float, workers: int) -> Timing | None:
    """Return how long a build took, less starting and compiling; None where it has too few parts to tell.

    `parts` have `bytes`, `records` and the `seconds` that a worker took: their median speed stands for all, since the first of a worker
    may wait for what is compiled. `further_seconds`: of all other steps.

    >>> parts = [{"bytes": 100, "records": 1, "seconds": 2.0}] * 7 + [{"bytes": 100, "records": 1, "seconds": 90.0}]
    >>> time_build("a", parts, 3.0, 2)
    Timing(name='a', bytes=800, records=8, seconds=11.0, workers=2, day='')
    """
    timed = [part["seconds"] / part["bytes"] for part in parts if part["bytes"]]
    if len(timed) < FEWEST_PARTS:
        return None
    total, records = (sum(part[key] for part in parts) for key in ("bytes", "records"))
    return Timing(name, total, records, round(total * median(timed) / workers + further_seconds, 1), workers)


def _timings_file() -> Path:
    folder = os.environ.get("SEIMAI_CACHE")
    if not folder:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(cache) / "seimai")
    return Path(folder) / "timings.json"


def _key(kind: str) -> str:
    return f"{platform.node()}/{kind}"  # a home may be shared by machines


def keep_timing(kind: str, timing: Timing | None) -> None:
    """Keep how long a build took, as the last of its kind, such as `text`. Where the cache cannot be written, none is kept."""
    if timing is None or timing.seconds < SHORTEST or not timing.bytes:
        return
    with suppress(OSError, RuntimeError):  # the latter: there is no home
        file = _timings_file()
        known = read_json(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        timed = asdict(timing) | {"day": timing.day or date.today().isoformat()}
        write_json(file, (known if isinstance(known, dict) else {}) | {_key(kind): timed})


def find_timing(kind: str) -> Timing | None:
    """Return how long the last build of a kind took on this machine."""
    with suppress(OSError, RuntimeError, TypeError):
        known = read_json(_timings_file())
        timing = Timing(**known[_key(kind)]) if isinstance(known, dict) and _key(kind) in known else None
        return timing if timing and timing.bytes > 0 and timing.seconds > 0 else None
    return None


def describe_seconds(seconds: float) -> str:
    """Return a duration as a person tells it.

    >>> [describe_seconds(seconds) for seconds in (0.3, 41, 200, 5_000, 400_000)]
    ['1 s', '41 s', '3 minutes', '1.4 hours', '4.6 days']
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    for unit, size, most in (("minutes", 60, 60), ("hours", 3600, 48), ("days", 86_400, float("inf"))):
        if seconds < size * most:
            return f"{seconds / size:.{0 if unit == 'minutes' else 1}f} {unit}"
    raise AssertionError
