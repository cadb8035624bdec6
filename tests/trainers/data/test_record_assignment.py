"""Every record of an epoch goes to one rank, also when the number of ranks changes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.data.record_assignment import Assignment


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 60), st.lists(st.tuples(st.integers(1, 8), st.integers(0, 70)), min_size=1, max_size=5))
def test_nothing_is_missed_or_seen_twice_when_ranks_change(total: int, runs: list[tuple[int, int]]) -> None:
    """Runs of some ranks that each take some records, one after the other."""
    seen: Counter[tuple[int, int]] = Counter()
    assignment = Assignment(total, runs[0][0])
    for number, (ranks, steps) in enumerate(runs):
        assignment = assignment if number == 0 else assignment.reassign([runs[number - 1][1]] * runs[number - 1][0], ranks)
        for rank in range(ranks):
            left = steps
            for epoch, first, last in assignment.spans(rank):
                took = min(left, last - first)
                seen.update((epoch, position) for position in range(first, first + took))
                left -= took
                if not left:
                    break
    last = assignment.reassign([runs[-1][1]] * runs[-1][0], 1)
    seen.update((epoch, position) for epoch, a, b in last.leftover for position in range(a, b))
    assert set(seen.values()) <= {1}
    epochs = {epoch for epoch, _ in seen}
    assert epochs == set(range(last.first_epoch))
    assert len(seen) == total * last.first_epoch
