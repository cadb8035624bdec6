"""Outcomes on disk survive kills and damage."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.fetch.outcomes import Outcome
from pipeline.fetch.spool import Spool


class Entry(NamedTuple):
    rows: list[int]
    outcome: Outcome


ENTRIES = [
    Entry([0], Outcome("success", None, "jpg", 4, 3, "ab" * 32, b"x" * 40)),
    Entry([1, 4], Outcome("success", None, "png", 1, 1, "cd" * 32, b"")),
    Entry([2], Outcome("failed_to_download", "HTTP 404 画像")),
    Entry([3], Outcome("success", None, "gif", 9, 9, "ef" * 32, b"SPL1" * 9)),
]


class WrittenSpool(NamedTuple):
    content: bytes
    ends: list[int]  # of the header and of each entry
    bodies: dict  # by row: outcome and body


def read_bodies(spool):
    content = spool.path.read_bytes()
    return {
        row: (stored.outcome, content[stored.offset : stored.offset + stored.size])
        for row, stored in sorted(spool.rows.items())
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    spool = Spool(tmp_path_factory.mktemp("spool") / "complete", "rows")
    ends = [spool.path.stat().st_size]
    for rows, outcome in ENTRIES:
        spool.append(rows, outcome)
        ends.append(spool.path.stat().st_size)
    spool.close()
    return WrittenSpool(spool.path.read_bytes(), ends, read_bodies(spool))


@given(st.data())
def test_spool_recovers_from_truncation_and_damage_anywhere(written, tmp_path_factory, data):
    content = written.content
    if data.draw(st.booleans(), "truncated"):
        at = data.draw(st.integers(0, len(content)))
        damaged = content[:at] + data.draw(st.binary(max_size=30))
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        damaged = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "spool"
    path.write_bytes(damaged)
    spool = Spool(path, "rows")
    undamaged = max(0, sum(at >= end for end in written.ends) - 1)
    rows = {row for entry in ENTRIES[:undamaged] for row in entry.rows}
    assert read_bodies(spool) == {row: body for row, body in written.bodies.items() if row in rows}
    for entry in ENTRIES[undamaged:]:
        spool.append(entry.rows, entry.outcome)
    spool.close()
    again = Spool(path, "rows")
    again.close()
    assert read_bodies(again) == read_bodies(spool) == written.bodies


def test_spool_of_another_list_is_refused(tmp_path):
    Spool(tmp_path / "s", "one").close()
    with pytest.raises(UsageError, match="another list"):
        Spool(tmp_path / "s", "two")
