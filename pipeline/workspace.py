"""Where a build keeps what: the folders of its steps, the files of a partition, and how records are numbered and called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.checksums import ADDED, PUBLISHED_FILE, read_lock_entries, read_sums, sizes_differ
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.core.tables import read_parquet
from pipeline.core.vouching import remove_spent
from pipeline.manifest.steps import Step

# Files that steps write to their folders and to staging, by their paths there: words, numbers, and perhaps what a matrix is called.
_FIXED_NAMES = (
    "layout|inputs|duplicates|cluster|recurring|index|bands|spent|units|sentences|captions|mixed|losses|state|published|validation"
    "|same_domain|same_caption|same_sentence|similar_transcripts"
)
_STEP_FILE = re.compile(
    rf"(?:[a-z_]+/)?(?:(?:[a-z_]+-)*(?:\d-)?\d{{3,}}(?:-\d{{3,}}|-of-\d{{5}})*(?:\.[a-z_]+)?|{_FIXED_NAMES}"
    r"|(?:cluster|index|hamming|text-hamming)-[a-z_]+)\.(?:json|npy|bin|parquet|arrows)"
    r"|(?:cut|raw|data|ledger|validation|losses|scattered|pieces|decided|records|transcripts)/"
    r"|README\.md|report\.html|report\.json|croissant\.json|manifest\.lock\.toml|SHA256SUMS|tokenizer\.(?:model|json)|tokenizer_config\.json|training\.json"
)
_STEP_FOLDER = re.compile(r"(?:measure|decide|deduplicate|strip|count|select|tokenizer)-[0-9a-f]{16,64}")
_STAGING = re.compile(r"write-[0-9a-f]{16}")


def is_step_file(path: str) -> bool:
    """Return whether a path in the folder of a step, or in staging, is of a file that Seimai writes there.

    >>> [is_step_file(path) for path in ("part-00000-00001.lines.npy", "data/train-00000-of-00012.parquet", "notes.txt")]
    [True, True, False]
    """
    return _STEP_FILE.fullmatch(path) is not None


def remove_step_files(folder: Path, patterns: Iterable[str]) -> None:
    """Remove files that Seimai wrote below the folder of a step, and that no work needs any more, by patterns of their names."""
    remove_spent(folder, patterns, is_step_file)


@dataclass(frozen=True)
class Workspace:
    """The folders and files of a build; `fingerprints` are those of its steps, which their folders are named after."""

    out: Path
    work: Path
    fingerprints: Mapping[Step, str]

    @property
    def state_folder(self) -> Path:
        return self.out / STATE_FOLDER

    @property
    def state(self) -> Path:
        """JSON: the summary of the last build that was published."""
        return self.state_folder / "state.json"

    def find_published(self, fingerprint: str, reports: Iterable[str] = ()) -> dict[str, Any] | None:
        """Return the summary of the last build, where its output has this fingerprint and is in place, these `reports` included."""
        state = read_json(self.state)
        if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
            return None
        files = state.get("files")
        if files is None or sizes_differ(self.out, files):
            return None
        listed = read_lock_entries(self.out)
        if listed is None or read_sums(self.out) is None:
            return None
        # What commands add to a corpus later is theirs to look after.
        own = [entry for entry in listed if entry["path"].split("/")[0] not in ADDED]
        is_complete = {*reports} <= {entry["path"] for entry in own}
        return state if is_complete and not sizes_differ(self.out, own) else None

    @property
    def inputs(self) -> Path:
        """JSON: the input files of the last build that was begun."""
        return self.state_folder / "inputs.json"

    @property
    def staging(self) -> Path:
        """The folder of shards and ledger before they are published: beside their final place, so that a rename publishes them."""
        return self.state_folder / f"write-{self.fingerprints['write']}"

    @property
    def published(self) -> Path:
        """JSON: what Seimai published: names of shards and ledger files, SHA-256 of card, lock and sums."""
        return self.state_folder / PUBLISHED_FILE

    def list_old_stagings(self) -> list[Path]:
        """Return the staging folders of other builds in this output folder."""
        folders = self.state_folder.glob("write-*")
        return sorted(path for path in folders if _STAGING.fullmatch(path.name) and path != self.staging)

    def folder(self, step: Step) -> Path:
        return self.work / f"{step}-{self.fingerprints[step]}"

    # -- whose the folders of steps are

    @property
    def _owners(self) -> Path:
        """JSON: by output folder, the folders of steps in `work` that its builds use."""
        return self.work / "owners.json"

    def claim_steps(self, more: Iterable[str] = ()) -> None:
        """Record that this build uses the folders of its steps (and `more`), beside what earlier builds to this output used.

        Hold the lock of `work`.
        """
        owners, names = self._read_owners(), {self.folder(step).name for step in self.fingerprints} | {*more}
        if not self._owners.exists() and self.work.parent == self.state_folder:  # of a version of Seimai without such a record
            names |= {path.name for path in self.work.glob("*-*") if _STEP_FOLDER.fullmatch(path.name)}
        write_json(self._owners, owners | {self._owner: sorted({*owners.get(self._owner, []), *names})})

    def release_old_steps(self, more: Iterable[str] = ()) -> list[Path]:
        """Return the folders that only earlier builds to this output used, and forget them."""
        owners, current = self._read_owners(), {self.folder(step).name for step in self.fingerprints} | {*more}
        mine = owners.get(self._owner, [])
        others = {name for out, names in owners.items() if out != self._owner for name in names}
        write_json(self._owners, owners | {self._owner: sorted(current)})
        return [self.work / name for name in mine if name not in current | others and _STEP_FOLDER.fullmatch(name)]

    def list_own_steps(self) -> list[Path]:
        """Return the folders of steps that builds to this output use, and no others."""
        if self.work.parent == self.state_folder:  # which may have been moved since
            return sorted(path for path in self.work.glob("*-*") if _STEP_FOLDER.fullmatch(path.name))
        owners = self._read_owners()
        others = {name for out, names in owners.items() if out != self._owner for name in names}
        mine = (name for name in owners.get(self._owner, []) if name not in others and _STEP_FOLDER.fullmatch(name))
        return [self.work / name for name in mine]

    @property
    def _owner(self) -> str:
        return os.path.realpath(self.out)

    def _read_owners(self) -> dict[str, list[str]]:
        owners = read_json(self._owners)
        return {out: names for out, names in owners.items() if isinstance(names, list)} if isinstance(owners, dict) else {}

    @property
    def duplicates(self) -> Path:
        """JSON, written last: the counts of the step deduplicate."""
        return self.folder("deduplicate") / "duplicates.json"


@dataclass(frozen=True)
class Part:
    """The files of one measured partition, in the folder of the step measure. `name` says which it is: `<unit>-<number in the unit>`."""

    folder: Path
    name: str

    @property
    def record(self) -> Path:
        """JSON: the partition as it was cut; it vouches for `raw` or `counts`."""
        return self.folder / "cut" / f"{self.name}.json"

    @property
    def raw(self) -> Path:
        """The bytes that the source's `read` gets, where it does not get them from the input itself."""
        return self.folder / "raw" / f"{self.name}.bin"

    @property
    def table(self) -> Path:
        """Parquet: a row per record, with the columns of `pipeline.modalities.base.MeasuredRecords`."""
        return self.folder / f"part-{self.name}.parquet"

    def array(self, name: str) -> Path:
        """A matrix with a row per record: `signatures` uint16[n, permutations] (their low halves), `sketches` uint8[n, width] …

        `rare_sketches` has rows of some records alone (`pipeline.dedup.facts`).
        """
        return self.folder / f"part-{self.name}.{name}.npy"

    @property
    def counts(self) -> Path:
        """JSON, written last: where it exists, the part is complete."""
        return self.folder / f"part-{self.name}.json"


def unit_record(folder: Path, unit: int) -> Path:
    """Return the JSON file, in the folder of the step measure, of a unit that was cut to its end: what was found out about its inputs."""
    return folder / "cut" / f"unit-{unit:05d}.json"


def list_parts(folder: Path) -> list[Part]:
    """Return the complete parts in a folder of the step measure, in order."""
    names = (path.stem.removeprefix("part-") for path in folder.glob("part-*.json"))
    return [Part(folder, name) for name in sorted(names, key=lambda name: [int(number) for number in name.split("-")])]


def verdicts_file(folder: Path, index: int) -> Path:
    """Return the Parquet file, in the folder of the step decide, of the verdicts on one measured partition, row for row."""
    return folder / f"part-{index:05d}.parquet"


# Why a record was dropped, as verdicts and ledger say it. `value` and `bound` (the limit that was broken) are numbers, null where the rule
# is about words; `value_text` is a value that is no number, `bound_text` the whole bound: `>= 50`, `one of ja, en`.
REASON = pl.Schema(
    {"rule": pl.String(), "value": pl.Float64(), "value_text": pl.String(), "bound": pl.Float64(), "bound_text": pl.String()}
)


def exceed_cap(rule: str, count: pl.Expr, most: int | None) -> dict[str, pl.Expr]:
    """Return the columns of `REASON` of records that are beyond a cap: so many have what at most `most` may have."""
    limit = pl.lit(most, pl.Float64)
    values = (pl.lit(rule), count.cast(pl.Float64), pl.lit(None, pl.String), limit, pl.lit(f"<= {most}"))
    return dict(zip(REASON, values, strict=True))


@dataclass(frozen=True)
class Layout:
    """What the step deduplicate reads and writes. Partition i, `parts[i]`, holds the records numbered `bases[i]` to `bases[i + 1]` - 1.

    `table`: the file that has parts and bases (`write_layout`), so that a task does not carry those of all partitions. `kept`: how many
    records enter the step. `settings`: the manifest's table `deduplicate`, or one like it. `prefix`: what the compared arrays and
    columns begin with: "" for those of the record, "text_" for those of its transcript alone.
    """

    table: Path
    decided: Path
    folder: Path
    kept: int
    settings: Any
    prefix: str = ""

    @property
    def parts(self) -> list[Part]:
        return load_layout(self.table)[0]

    @property
    def bases(self) -> list[int]:
        return load_layout(self.table)[1]

    @property
    def partitions(self) -> int:
        return len(self.parts)

    def part(self, index: int) -> Part:
        return self.parts[index]

    def spans(self, numbers: np.ndarray) -> Iterator[tuple[int, slice]]:
        """Yield every partition, and where its records stand among ascending numbers."""
        cuts = np.searchsorted(numbers, self.bases).tolist()
        for index, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            yield index, slice(first, last)

    def array(self, name: str, index: int) -> Path:
        return self.part(index).array(f"{self.prefix}{name}")

    def kept_mask(self, index: int) -> np.ndarray:
        """bool[n]: which records of a partition the rules kept."""
        verdicts = read_parquet(verdicts_file(self.decided, index), columns=["verdict"])["verdict"]
        return (verdicts == "kept").to_numpy()

    def facts(self, index: int) -> Path:
        return self.folder / f"facts-{index:05d}.npy"

    def pairs(self, number: int) -> Path:
        return self.folder / f"pairs-{number:05d}.npy"

    def clusters(self, index: int) -> Path:
        """Parquet: a row for every record of the partition that is in a cluster."""
        return self.folder / f"clusters-{index:05d}.parquet"

    def late_verdicts(self, index: int) -> Path:
        """Parquet: what the step finds out about single records of the partition."""
        return self.folder / f"late-{index:05d}.parquet"


def write_layout(path: Path, parts: Sequence[Part], records: Sequence[int]) -> Path:
    """Write which parts a layout has, and how many records are in each."""
    here = path.parent.absolute()  # folders are named from there: the path to it may be nobody's business
    folders = [os.path.relpath(part.folder.absolute(), here) for part in parts]
    columns = {"folder": folders, "name": [part.name for part in parts], "records": list(records)}
    with write_atomically(path) as temporary:
        pl.DataFrame(columns, schema_overrides={"records": pl.Int64}).write_parquet(temporary)
    return path


def layout_file(decided: Path) -> Path:
    """Return the file that `write_layout` writes for a build, in the folder of its step decide."""
    return decided / "layout.parquet"


@lru_cache(maxsize=4)
def load_layout(path: Path) -> tuple[list[Part], list[int]]:
    """Return the parts of a layout, and the number of the first record of each; at the end how many records there are."""
    table = read_parquet(path)
    here = path.parent.absolute()
    parts = [Part(Path(os.path.normpath(here / folder)), name) for folder, name in table.select("folder", "name").iter_rows()]
    return parts, [0, *table["records"].cum_sum()]


@dataclass(frozen=True)
class RecordIds:
    """Record ids: `<corpus>/<locator>`, or `<corpus>/<file>/<locator>` where there are several input files.

    A locator that is a number, such as an offset, is written with ten digits. `table`: the file that has the files' names
    (`write_names`); without it a record's source is the corpus.
    """

    corpus: str
    table: Path | None = None

    def __call__(self, index: int, records: pl.DataFrame) -> pl.Series:
        """Return the ids of records of partition `index`, given by `locator` and `file` (the number of the input file)."""
        locators = records["locator"]
        words = locators if locators.dtype == pl.String else locators.cast(pl.String).str.zfill(10)
        if self.table is None or len(_load_names(self.table)) < 2:
            return (f"{self.corpus}/" + words).alias("id")
        return (self.sources(records) + "/" + words).alias("id")

    def sources(self, records: pl.DataFrame) -> pl.Series:
        """Return the source of each record, which is `<corpus>/<file>`: the name of its input as far as inputs differ, no path to it."""
        if self.table is None:
            return pl.Series("source", [self.corpus]).new_from_index(0, len(records))
        return (f"{self.corpus}/" + _load_names(self.table).gather(records["file"])).alias("source")


def write_names(path: Path, files: Sequence[str]) -> Path:
    """Write the names of the input files."""
    with write_atomically(path) as temporary:
        pl.DataFrame({"source": list(files)}).write_parquet(temporary)
    return path


@lru_cache(maxsize=4)
def _load_names(path: Path) -> pl.Series:
    return read_parquet(path)["source"]
