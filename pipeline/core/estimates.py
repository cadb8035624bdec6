"""How much longer work takes that is finished piece by piece."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from pipeline.core.language import translate

_FEWEST_PIECES = 2  # and one of every worker, that an estimate is made from
_SHORTEST_SECONDS = 2.0
_SMALLEST_SHARE, _MANY_PIECES = 0.05, 40  # done, one of them: the first pieces may be unlike the others


@dataclass
class Estimate:
    """The time left, by the speed since every worker has finished its first piece.

    What workers do before that, loading and compiling, is done once and says nothing of the speed. `workers`: how many work at once.
    """

    workers: int = 1
    _pieces: list[tuple[float, float]] = field(default_factory=list)

    def add(self, now: float, done: float) -> None:
        """Note that `done` of the work, in whatever unit, is finished at the time `now`, in seconds."""
        self._pieces.append((now, done))

    def compute_speed(self, now: float) -> float | None:
        """Return how much is done in a second, by the later half of the time since the first pieces; None where that says too little."""
        first, last = self.workers - 1, len(self._pieces) - 1
        round_ago = last - max(self.workers, _FEWEST_PIECES)
        if round_ago < first:
            return None
        middle = (self._pieces[first][0] + now) / 2
        start = min(bisect_left(self._pieces, middle, lo=first, key=lambda piece: piece[0]), round_ago)
        for earliest in (start, first):
            begin = (
                last - (last - earliest) // self.workers * self.workers
            )  # whole rounds: workers finish at nearly the same time
            (time, done), (last_time, last_done) = self._pieces[begin], self._pieces[last]
            if last_time - time >= _SHORTEST_SECONDS and last_done > done:
                return (last_done - done) / (last_time - time)
        return None

    def compute_seconds_left(self, now: float, total: float) -> float | None:
        """Return how long the rest of `total` takes; None where that is not known yet."""
        speed = self.compute_speed(now)
        if speed is None:
            return None
        time, done = self._pieces[-1]
        if done < _SMALLEST_SHARE * total and len(self._pieces) < _MANY_PIECES:
            return None
        not_begun = total - done - self.workers * done / len(self._pieces)  # however long those under way take
        return max((total - done) / speed - (now - time), not_begun / speed, 0.0)


def format_duration(seconds: float) -> str:
    """Return a time as a person says it, rounded the more the longer it is.

    >>> [format_duration(seconds) for seconds in (7.2, 43, 205, 3500, 8000, 200_000)]
    ['8 s', '45 s', '3 min 30 s', '59 min', '2 h 20 min', '2 d 7 h']
    """
    if seconds <= 20:
        return _join((max(math.ceil(seconds), 1), "s"))
    if seconds <= 55:
        return _join((math.ceil(seconds / 5) * 5, "s"))
    if seconds < 590:
        minutes, rest = divmod(math.ceil(seconds / 10) * 10, 60)
        return _join((minutes, "min"), (rest, "s"))
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return _join((minutes, "min"))
    hours, rest = divmod(math.ceil(minutes / 10) * 10, 60)
    return _join((hours, "h"), (rest, "min")) if hours < 48 else _join((hours // 24, "d"), (hours % 24, "h"))


def _join(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number} {translate(unit)}" for number, unit in parts if number)
