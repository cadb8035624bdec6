"""The parts of a mixture: corpora that are built already, found and checked before any work is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import UsageError
from pipeline.core.ownership import STATE_FOLDER, NamedPath, explain_foreign, refuse_overlap
from pipeline.core.publication import settle_publication
from pipeline.core.storage import read_json
from pipeline.core.vouching import read_marker
from pipeline.corpus.commands import build_command, move_away
from pipeline.manifest.loading import load
from pipeline.mixture.manifest import MixtureManifest, MixturePart
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.modality import TextModality
from pipeline.plan import VERSIONS
from pipeline.sources.inputs import is_sample_identity
from pipeline.workspace import Part, list_parts

_COMPARED = ("permutations", "shingle", "seed")  # settings without which signatures cannot be compared


class LedgerSlice(NamedTuple):
    """Some consecutive rows of a ledger file."""

    file: Path
    first: int
    rows: int


@dataclass(frozen=True)
class BuiltCorpus:
    """A built corpus of documents. `parts` are its measured partitions, `rows` the records of each, in the order of its ledger.

    `state` is the summary of its build; `ledgers` are its ledger files with the number of rows of each.
    """

    name: str
    out: Path
    manifest: TextManifest
    state: dict[str, Any]
    parts: tuple[Part, ...]
    rows: tuple[int, ...]
    ledgers: tuple[tuple[Path, int], ...]
    is_sample: bool

    @property
    def kept(self) -> list[int]:
        """Records and characters that it kept."""
        records, _, chars = self.state["verdicts"].get("kept", [0, 0, 0])
        return [records, chars]

    @property
    def identity(self) -> list[Any]:
        """What changes when its records do."""
        return [self.name, self.state["written"], self.state["total"], self.state["verdicts"]]

    @property
    def schema(self) -> pa.Schema:
        """Of its shards."""
        return TextModality().shard_schema(self.manifest)

    def ledger_slices(self) -> Iterator[tuple[LedgerSlice, ...]]:
        """Yield, for every partition, where the ledger rows of its records are."""
        ends = [*accumulate(count for _, count in self.ledgers)]
        file, at = 0, 0
        for rows in self.rows:
            slices, left = list[LedgerSlice](), rows
            while left:
                while ends[file] <= at:
                    file += 1
                first = at - (ends[file] - self.ledgers[file][1])
                taken = min(left, ends[file] - at)
                slices.append(LedgerSlice(self.ledgers[file][0], first, taken))
                at, left = at + taken, left - taken
            yield tuple(slices)


def open_corpora(manifest: MixtureManifest, out: Path) -> tuple[BuiltCorpus, ...]:
    """Find and check the parts of a mixture that is to be built in `out`. Raises UsageError that names every fault and the way out."""
    corpora: list[BuiltCorpus] = []
    faults: list[str] = []
    for part in manifest.mixture:
        try:
            corpora.append(_open(manifest, part, out))
        except UsageError as error:
            faults.append(f"{manifest.name}: [[mixture]] {part.corpus}: {error}")
    if not faults:
        faults = [f"{manifest.name}: [[mixture]] {fault}" for fault in _find_conflicts(corpora)]
    if faults:
        raise UsageError("\n".join(faults))
    return tuple(corpora)


def check_unchanged(corpora: tuple[BuiltCorpus, ...]) -> list[str]:
    """Return the names of parts that were built anew since they were opened."""
    return [corpus.name for corpus in corpora if read_json(corpus.out / STATE_FOLDER / "state.json") != corpus.state]


def _open(mixture: MixtureManifest, part: MixturePart, out: Path) -> BuiltCorpus:
    folder = part.folder
    if folder.absolute().resolve() == out.absolute().resolve():
        raise UsageError(f"{folder} is where this mixture itself is built: a mixture cannot contain itself")
    refuse_overlap([NamedPath(f"--out {out}", out)], [NamedPath(f"part {folder}", folder)])
    if folder.is_dir():
        settle_publication(folder)
    state = _read_state(folder)
    manifest = _read_manifest(folder)
    if state.get("versions") != VERSIONS:
        raise UsageError(
            f"{folder} was built by another version of Seimai ({_describe_versions(state.get('versions'))}; this one: "
            f"{_describe_versions(VERSIONS)}). Build it again: {build_command(folder)}"
        )
    if not state["verdicts"].get("kept", [0])[0]:
        raise UsageError(f"{folder} kept not one document: there is nothing to mix. Its ledger says why")
    _check_signatures(mixture, manifest, folder)
    build = suggest_rebuild(folder)
    parts, rows = _find_measured(folder, state, build)
    ledgers = _find_ledgers(folder, state)
    in_ledger = sum(count for _, count in ledgers)
    if sum(rows) != in_ledger:
        raise UsageError(
            f"{folder}: its intermediates have {sum(rows):,} records, its ledger {in_ledger:,}: some are missing. {build}"
        )
    inputs = read_json(folder / STATE_FOLDER / "inputs.json") or []
    is_sample = any(is_sample_identity(str(file.get("identity"))) for file in inputs)
    return BuiltCorpus(manifest.name, folder.absolute(), manifest, state, parts, rows, ledgers, is_sample)


def suggest_rebuild(folder: Path) -> str:
    """Return how to make the intermediates of a part anew. An output that is complete would be found up to date, so it is moved away."""
    return f"Build it again in a fresh folder: {move_away(folder)}; {build_command(folder, moved=True)}"


def _read_state(folder: Path) -> dict[str, Any]:
    """Return the summary of a finished build. Raises UsageError where there is none, or it is of a mixture."""
    command = build_command(folder)
    if not folder.exists():
        raise UsageError(f"there is no {folder}: a part is a corpus that is built already. Build it first: {command}")
    if not (folder / STATE_FOLDER).is_dir():
        raise UsageError(
            f"{folder} {explain_foreign(folder)}: a part is a built corpus, with the signatures that its build stored. "
            f"Build one: {command}"
        )
    state = read_json(folder / STATE_FOLDER / "state.json")
    if not isinstance(state, dict):
        raise UsageError(f"{folder} is not built to its end. Go on with: {command}")
    if "mixture" in state:
        raise UsageError(f"{folder} is a mixture itself: name its parts instead ({', '.join(state['mixture'])})")
    return state


def _read_manifest(folder: Path) -> TextManifest:
    lock = folder / "manifest.lock.toml"
    if not lock.is_file():
        raise UsageError(
            f"{folder} has no manifest.lock.toml, which says how it was built. Build it again: {build_command(folder)}"
        )
    manifest = load(str(lock), reads_files=False)
    if not isinstance(manifest, TextManifest):
        raise UsageError(
            f"{folder}: its records are {manifest.modality.replace('_', '-')}; a mixture is of documents (modality text)"
        )
    return manifest


def _check_signatures(mixture: MixtureManifest, manifest: TextManifest, folder: Path) -> None:
    """Raise UsageError where stored signatures are not those that the mixture would compare."""
    wanted, stored = mixture.deduplicate, manifest.deduplicate
    if not wanted.enabled:
        return
    different = [name for name in _COMPARED if getattr(wanted, name) != getattr(stored, name)]
    if different:
        values = ", ".join(
            f"deduplicate.{name} = {getattr(stored, name)}, the mixture has {getattr(wanted, name)}" for name in different
        )
        settings = " ".join(f"--set deduplicate.{name}={getattr(wanted, name)}" for name in different)
        raise UsageError(
            f"{folder} was built with {values}: such signatures do not compare. Give the mixture (and all of its parts) the same, "
            f"or build the part with {settings}: {build_command(folder)} {settings}"
        )


def _find_measured(folder: Path, state: dict[str, Any], build: str) -> tuple[tuple[Part, ...], tuple[int, ...]]:
    """Return the measured partitions, and how many records each has."""
    lock = load_lock(folder)
    works = [folder / str(state.get("work", "")), folder / STATE_FOLDER / "work"]
    measured = [work / f"measure-{lock['fingerprints']['measure']}" for work in works]
    found = next((candidate for candidate in measured if candidate.is_dir()), None)
    if found is None:
        raise UsageError(
            f"{folder}: its intermediates are gone (there is no {measured[0]}), and with them the signatures and the text that a "
            f"mixture is made from. {build}"
        )
    parts = list_parts(found.absolute())
    counts = [read_marker(part.counts) for part in parts]
    complete = [
        one is not None and part.table.is_file() and part.array("signatures").is_file() and part.array("sketches").is_file()
        for part, one in zip(parts, counts, strict=True)
    ]
    if not all(complete):
        missing = parts[complete.index(False)].table
        raise UsageError(f"{folder}: some of its intermediates are gone ({missing} or its signatures). {build}")
    return tuple(parts), tuple(one["records"] for one in counts if one is not None)


def load_lock(folder: Path) -> dict[str, Any]:
    """Return what `manifest.lock.toml` records of a build."""
    import tomllib

    return tomllib.loads((folder / "manifest.lock.toml").read_text("utf-8"))["lock"]


def _find_ledgers(folder: Path, state: dict[str, Any]) -> tuple[tuple[Path, int], ...]:
    # Absolute, since workers may stand in another folder.
    files = [folder.absolute() / "ledger" / name for name in sorted(state["ledgers"])]
    if missing := [file for file in files if not file.is_file()]:
        raise UsageError(f"{folder}: {missing[0]} is gone. Build it again: {build_command(folder)}")
    return tuple((file, pq.read_metadata(file).num_rows) for file in files)


def _find_conflicts(corpora: list[BuiltCorpus]) -> Iterator[str]:
    """Yield what is wrong between parts."""
    for number, corpus in enumerate(corpora):
        for other in corpora[:number]:
            if corpus.out.resolve() == other.out.resolve():
                yield f"{corpus.out} and {other.out} are the same corpus: name it once"
            elif corpus.name == other.name:
                yield (
                    f"{corpus.out} and {other.out} are both called {corpus.name}, so that ids would stand for two documents: "
                    f"build one of them under another name, with --set name=OTHER"
                )
            else:
                for field in corpus.schema:
                    known = other.schema.field(field.name) if field.name in other.schema.names else field
                    if known.type != field.type:
                        yield f"the column {field.name} is {known.type} in {other.out}, {field.type} in {corpus.out}: keep one type"


# -- words


def _describe_versions(versions: Any) -> str:
    if not isinstance(versions, dict):
        return "without versions of its steps"
    return ", ".join(f"{step} {version}" for step, version in versions.items())
