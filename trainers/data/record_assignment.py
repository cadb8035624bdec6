"""Which records of an epoch each rank takes, and what is left for whom when a run goes on with other ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

Span = tuple[int, int, int]  # epoch, first and last (exclusive) position in its order


@dataclass(frozen=True)
class Deal:
    """Records shared out among ranks: what is left over (`queue`), then whole epochs from `epoch` on."""

    total: int
    ranks: int
    queue: tuple[Span, ...] = ()
    epoch: int = 0

    def spans(self, rank: int, taken: int = 0) -> Iterator[Span]:
        """The stretches of a rank, without end, after the first `taken` records."""
        for epoch, first, last in self._dealt(rank):
            step = min(taken, last - first)
            taken -= step
            if first + step < last:
                yield epoch, first + step, last

    def _dealt(self, rank: int) -> Iterator[Span]:
        left = sum(last - first for _, first, last in self.queue)
        low, high, at = left * rank // self.ranks, left * (rank + 1) // self.ranks, 0
        for epoch, first, last in self.queue:
            begin, end = max(first, first + low - at), min(last, first + high - at)
            if begin < end:
                yield epoch, begin, end
            at += last - first
        for epoch in count(self.epoch):
            yield epoch, self.total * rank // self.ranks, self.total * (rank + 1) // self.ranks

    def again(self, taken: Sequence[int], ranks: int) -> Deal:
        """What is left after each rank took so many, for another number of ranks."""
        begun = self.epoch
        for rank, number in enumerate(taken):
            for epoch, first, last in self._dealt(rank):
                if number <= 0:
                    break
                begun, number = max(begun, epoch + 1), number - (last - first)
        left: list[Span] = []
        for rank, number in enumerate(taken):
            for span in self.spans(rank, number):
                if span[0] >= begun:
                    break
                left.append(span)
        return Deal(self.total, ranks, tuple(sorted(left)), begun)
