"""Which records of an epoch each rank takes, also when a run goes on with another number of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple


class Span(NamedTuple):
    """A stretch of the order in which an epoch reads its records."""

    epoch: int
    start: int
    end: int  # exclusive


@dataclass(frozen=True)
class Assignment:
    """Share records among ranks: first those left over from an earlier assignment, then complete epochs."""

    total: int  # records of an epoch
    ranks: int
    leftover: tuple[Span, ...] = ()
    first_epoch: int = 0  # the first complete one

    def spans(self, rank: int, taken: int = 0) -> Iterator[Span]:
        """Yield the spans of a rank, without end, after the first `taken` records."""
        for epoch, start, end in self._all_spans(rank):
            skipped = min(taken, end - start)
            taken -= skipped
            if start + skipped < end:
                yield Span(epoch, start + skipped, end)

    def _all_spans(self, rank: int) -> Iterator[Span]:
        remaining = sum(end - start for _, start, end in self.leftover)
        low, high = remaining * rank // self.ranks, remaining * (rank + 1) // self.ranks
        position = 0
        for epoch, start, end in self.leftover:
            own_start, own_end = max(start, start + low - position), min(end, start + high - position)
            if own_start < own_end:
                yield Span(epoch, own_start, own_end)
            position += end - start
        for epoch in count(self.first_epoch):
            yield Span(epoch, self.total * rank // self.ranks, self.total * (rank + 1) // self.ranks)

    def reassign(self, taken: Sequence[int], ranks: int) -> Assignment:
        """Share what is left among another number of ranks, after each rank took `taken[rank]` records."""
        next_epoch = self.first_epoch
        for rank, number in enumerate(taken):
            for epoch, start, end in self._all_spans(rank):
                if number <= 0:
                    break
                next_epoch, number = max(next_epoch, epoch + 1), number - (end - start)
        leftover: list[Span] = []
        for rank, number in enumerate(taken):
            for span in self.spans(rank, number):
                if span.epoch >= next_epoch:
                    break
                leftover.append(span)
        return Assignment(self.total, ranks, tuple(sorted(leftover)), next_epoch)

    def to_state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers, under the names that checkpoints have had from the beginning."""
        queue = tuple(tuple(span) for span in self.leftover)
        return {"total": self.total, "ranks": self.ranks, "queue": queue, "epoch": self.first_epoch}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Assignment:
        return Assignment(state["total"], state["ranks"], tuple(Span(*span) for span in state["queue"]), state["epoch"])
