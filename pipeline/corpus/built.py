"""Opening a built corpus: its manifest with every bound written out, and the files of its ledger and shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.checksums import LOCK_FILE
from pipeline.core.errors import UsageError
from pipeline.core.names import shorten
from pipeline.core.ownership import STATE_FOLDER, explain_foreign
from pipeline.core.publication import settle_publication
from pipeline.core.storage import read_json, to_json
from pipeline.core.tables import read_parquet_schema, scan_parquet
from pipeline.corpus.commands import build_command
from pipeline.manifest.loading import load_any, read_toml
from pipeline.manifest.model import Manifest
from pipeline.manifest.steps import Step
from pipeline.mixture.manifest import MixtureManifest
from pipeline.plan import VERSIONS

_INPUTS_SHOWN = 3
# What is added up beside records, by modality: a column of the ledger, and its unit. The ledger has no bytes of images.
AMOUNTS = {"text": ("chars", "characters"), "speech": ("duration", "seconds")}


@dataclass(frozen=True)
class BuiltCorpus:
    """A built corpus. Files are in input order; paths are absolute.

    `shown`: what messages call it. `state`: the summary of its build. `table`: its manifest as the lock file has it, `lock` what that
    records of the build. `ledger_schema`: names and types of the ledger's columns.
    """

    folder: Path
    shown: str
    state: dict[str, Any]
    table: dict[str, Any]
    lock: dict[str, Any]
    recorded_manifest: Manifest | MixtureManifest
    ledger_files: tuple[Path, ...]
    shard_files: tuple[Path, ...]
    ledger_schema: pl.Schema

    @property
    def is_mixture(self) -> bool:
        return isinstance(self.recorded_manifest, MixtureManifest)

    @property
    def manifest(self) -> Manifest:
        """The manifest of a corpus that is no mixture."""
        assert isinstance(self.recorded_manifest, Manifest), "mixtures are refused where a manifest of rules is needed"
        return self.recorded_manifest

    @property
    def amount(self) -> tuple[str, str] | None:
        """The ledger's column that is added up and its unit, None where the ledger has none."""
        found = AMOUNTS.get("text" if self.is_mixture else self.manifest.modality)
        return found if found is not None and found[0] in self.ledger_schema else None

    @cached_property
    def ledger_rows(self) -> list[int]:
        """The number of the first row of each ledger file, and at the end how many rows there are."""
        return [0, *accumulate(pq.read_metadata(file).num_rows for file in self.ledger_files)]

    def scan_ledger(self) -> pl.LazyFrame:
        """Return every record that came in, a row each, read when it is needed."""
        return scan_parquet(*self.ledger_files)

    def scan_shards(self) -> pl.LazyFrame:
        """Return what was kept. Raises UsageError where no shard is there."""
        if missing := [file for file in self.shard_files if not file.is_file()]:
            raise UsageError(f"{self.shown}: {missing[0]} is gone. Build it again: {build_command(self.folder)}")
        return scan_parquet(*self.shard_files)

    def suggest_build(self, presets: Iterable[str], measures: Iterable[str]) -> str:
        """Return the command that builds the corpus again with the measures of presets and further measures."""
        also = self.table.get("measure", {})
        command = build_command(self.folder)
        if named := list(dict.fromkeys([*also.get("presets", []), *presets])):
            command += f" --set 'measure.presets={to_json(named)}'"
        if extra := list(measures):
            command += f" --set 'measure.also={to_json(list(dict.fromkeys([*also.get('also', []), *extra])))}'"
        return command


def open_corpus(
    folder: Path, option: str = "", steps: Iterable[Step] = ("measure", "write"), allow_mixture: bool = False
) -> BuiltCorpus:
    """Open a built corpus; `option` is what messages put before its folder, as "--on ".

    Raises UsageError that says what is amiss and how to build it: where nothing is built or not to its end, where one of `steps` was
    done by another version of Seimai, where it is a mixture (unless `allow_mixture`), and where files are gone or damaged.
    """
    shown = f"{option}{folder}"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{shown} is a file: expected the folder of a built corpus")
    command = build_command(folder)
    if not folder.exists():
        raise UsageError(f"{shown}: there is no such folder. Build the corpus first: {command}")
    settle_publication(folder)
    if not (folder / STATE_FOLDER).is_dir() and (folder / LOCK_FILE).is_file():
        raise UsageError(
            f"{shown} {explain_foreign(folder)}. A copy of a corpus needs it: cp -a ORIGINAL COPY takes it along. Without the original, "
            f"build the corpus again, in another folder, from its input ({_name_inputs(folder)})"
        )
    if not (folder / STATE_FOLDER).is_dir():
        raise UsageError(f"{shown} {explain_foreign(folder)}: expected a built corpus, with its ledger. Build one: {command}")
    state = read_json(folder / STATE_FOLDER / "state.json")
    if not isinstance(state, dict):
        raise UsageError(f"{shown} is not built to its end, so there is no ledger yet. Go on with: {command}")
    if "mixture" in state and not allow_mixture:
        raise UsageError(
            f"{shown} is a mixture, whose ledger has no measures: name one of its parts ({', '.join(state['mixture'])})"
        )
    _check_versions(shown, state, [] if "mixture" in state else [*steps], command)
    lock = folder / LOCK_FILE
    if not lock.is_file():
        raise UsageError(f"{shown} has no {LOCK_FILE}, which says how it was built. Build it again: {command}")
    ledgers, shards = (
        tuple(folder.absolute() / name / file for file in sorted(state.get(kind, [])))
        for name, kind in (("ledger", "ledgers"), ("data", "shards"))
    )
    if missing := [file for file in ledgers if not file.is_file()] or (not ledgers and [folder / "ledger"]):
        raise UsageError(f"{shown}: {missing[0]} is gone. Build it again: {command}")
    table, where = read_toml(str(lock))
    with refuse_damage(shown, folder):
        schema = read_parquet_schema(ledgers[0])
    manifest = load_any(where, reads_files=False)
    return BuiltCorpus(folder.absolute(), shown, state, table, table.get("lock", {}), manifest, ledgers, shards, schema)


def _name_inputs(folder: Path) -> str:
    """Return the names of the inputs that the lock of a corpus has. Where they are now it does not say."""
    table, _ = read_toml(str(folder / LOCK_FILE))
    names = [str(one.get("name")) for one in table.get("lock", {}).get("inputs", [])]
    more = f" and {len(names) - _INPUTS_SHOWN} more" if len(names) > _INPUTS_SHOWN else ""
    return ", ".join(shorten(name, 100) for name in names[:_INPUTS_SHOWN]) + more


def _check_versions(shown: str, state: dict[str, Any], steps: list[Step], command: str) -> None:
    versions = state.get("versions") or {}
    if changed := [step for step in steps if versions.get(step) != VERSIONS[step]]:
        words = ", ".join(f"step {step} {versions.get(step)}; this one: {VERSIONS[step]}" for step in changed)
        raise UsageError(
            f"{shown} was built by another version of Seimai ({words}), whose ledger may mean something else. Build it again: {command}"
        )


@contextmanager
def refuse_damage(shown: str, folder: Path) -> Iterator[None]:
    """Raise UsageError where the block cannot read the Parquet files of `folder`, which messages call `shown`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{shown}: its ledger is damaged ({reason}). Build it again in a fresh folder: {build_command(folder)}"
        ) from None
