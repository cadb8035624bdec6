"""Caps: of every key the best records are kept, whatever the partitions, runs and key ranges."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.dedup import caps, exchange, runs
from pipeline.dedup.caps import Cap
from pipeline.dedup.clusters import CLUSTER_SCHEMA
from pipeline.dedup.facts import FACTS
from pipeline.workspace import Layout, Part, verdicts_file, write_layout


class Record(NamedTuple):
    """What a cap sees of a record."""

    key: int | None
    priority: int
    is_kept: bool = True
    is_duplicate: bool = False


def apply_cap(
    folder: Path, partitions: list[list[Record]], most: int, **constants: int
) -> tuple[dict[int, tuple[str, str, str]], Any]:
    """Return rule, value and bound of the records that a cap drops, by number, and the counts; each record has an amount of 10."""
    parts = [Part(folder / "m", f"{i:05d}-00000") for i in range(len(partitions))]
    layout = Layout(
        write_layout(folder / "layout.parquet", parts, [len(p) for p in partitions]),
        folder,
        folder / "c",
        sum(map(len, partitions)),
        None,
    )
    for path in (folder / "m", layout.folder):
        path.mkdir()
    for index, records in enumerate(partitions):
        # Keys spread over all ranges, as hashes do.
        keys = [None if r.key is None else r.key * 0x9E3779B97F4A7C15 % 2**64 for r in records]
        table = pl.DataFrame({"domain": keys, "amount": [10] * len(records)}, schema={"domain": pl.UInt64, "amount": pl.Int64})
        table.write_parquet(parts[index].table)
        verdicts = ["kept" if r.is_kept else "dropped" for r in records]
        pl.DataFrame({"verdict": verdicts}, schema={"verdict": pl.String}).write_parquet(verdicts_file(folder, index))
        rows = [i for i, r in enumerate(records) if r.is_duplicate]
        clusters = pl.DataFrame(
            {"row": rows, "survivor": [-1] * len(rows)}, schema={n: CLUSTER_SCHEMA[n] for n in ("row", "survivor")}
        )
        clusters.write_parquet(layout.clusters(index))
        facts = np.zeros(len(records), FACTS)
        facts["priority"] = [r.priority for r in records]
        np.save(layout.facts(index), facts)
    counts = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            (module,) = (m for m in (caps, exchange, runs) if name in vars(m))
            patch.setattr(module, name, value)
        for tasks in caps.rounds(layout, Cap("same_domain", most, "domain")):
            for function, arguments in tasks:
                counts = function(*arguments)
    late = [pl.read_parquet(layout.late_verdicts(i)) for i in range(len(partitions))]
    found = {row + layout.bases[i]: tuple(rest) for i, frame in enumerate(late) for row, *rest in frame.rows()}
    return found, counts


RECORDS = st.builds(Record, st.one_of(st.none(), st.integers(0, 6)), st.integers(0, 4), st.booleans(), st.booleans())


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(RECORDS, max_size=12), min_size=1, max_size=7),
    st.integers(1, 4),
    st.sampled_from([{}, {"RECORDS": 10, "RECORDS_PER_RANGE": 7, "FAN_IN": 2}, {"PARTITIONS": 1, "RECORDS_PER_RANGE": 20}]),
)
@example([[Record(1, 1)] * 3] * 4, 1, {"PARTITIONS": 1, "RECORDS_PER_RANGE": 20})  # every run has some that are dropped
def test_the_best_of_every_key_are_kept(tmp_path_factory, partitions, most, constants):
    found, counts = apply_cap(tmp_path_factory.mktemp("cap"), partitions, most, **constants)
    by_key = defaultdict(list)
    for number, record in enumerate(record for records in partitions for record in records):
        if record.key is not None and record.is_kept and not record.is_duplicate:
            by_key[record.key].append((-record.priority, number))
    expected = {
        number: ("same_domain", len(members), None, most, f"<= {most}")
        for members in by_key.values()
        for _, number in sorted(members)[most:]
    }
    assert found == expected
    assert counts == {"rules": {"same_domain": [len(expected), 10 * len(expected)]} if expected else {}}


def test_no_key_is_no_cap(tmp_path):
    assert apply_cap(tmp_path, [[Record(None, 1)] * 5, []], 1) == ({}, {"rules": {}})
