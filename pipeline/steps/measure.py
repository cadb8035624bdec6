"""Step 1, measure: read a partition, clean its records, compute every measure and the signature. The one heavy pass."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters import MEASURES
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.manifest.loading import Manifest
from pipeline.sources import Partition

VERSION = 5  # to be raised when the output of this step changes for the same input
ROW_GROUP = 4096
# Summed over the records of a part; `pipeline.modalities.Measured` says what they are.
SUMS = ("amount_in", "amount", "payload")


@dataclass(frozen=True)
class Part:
    """The files of one measured partition."""

    folder: Path
    index: int

    @property
    def table(self) -> Path:
        """Parquet, as `pipeline.modalities.Measured` says."""
        return self.folder / f"part-{self.index:05d}.parquet"

    def array(self, name: str) -> Path:
        """A matrix with a row per record: `signatures` uint16[n, permutations] (their low halves), `sketches` uint8[n, width]."""
        return self.folder / f"part-{self.index:05d}.{name}.npy"

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / f"{self.index:05d}.bin"

    @property
    def done(self) -> Path:
        """Counts of the part, written last: where it is there, the part is whole."""
        return self.folder / f"part-{self.index:05d}.json"


def measure(manifest: Manifest, partition: Partition, folder: Path) -> dict[str, Any]:
    """Measure one partition; returns the counts that are also written to `Part.done`."""
    from pipeline.modalities import modality

    part = Part(folder, partition.index)
    if (known := read_json(part.done)) is not None:
        return known
    began = time.perf_counter()
    found = modality(manifest).measured(manifest, partition, part)
    for name, values in found.arrays.items():
        with write_atomically(part.array(name)) as temporary, open(temporary, "wb") as file:
            np.save(file, values)
    with write_atomically(part.table) as temporary:
        pq.write_table(
            found.table,
            temporary,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=["unreadable", *(f"m:{name}" for name in manifest.measures if MEASURES[name].words)],
            write_statistics=False,
        )
    counts = {
        "records": len(found.table),
        "bytes": partition.end - partition.start,
        **{name: pc.sum(found.table[name]).as_py() or 0 for name in SUMS},
        "unreadable": len(found.table) - found.table["unreadable"].null_count,
        **found.counts,
        "seconds": round(time.perf_counter() - began, 3),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(part.done, counts)
    if not found.keeps_raw:
        part.raw.unlink(missing_ok=True)
    return counts


def warm(manifest: Manifest, compiling: bool) -> None:
    """Get a worker ready for the partitions of a manifest: import what measures them, and compile it where that is wanted."""
    from pipeline.modalities import modality

    kind = modality(manifest)
    if compiling:
        kind.warm(manifest)
