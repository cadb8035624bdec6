"""The corpus that rules are compared on: its ledger, which has every measure of its records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.core.errors import UsageError
from pipeline.core.ownership import STATE_FOLDER, explain_foreign
from pipeline.core.publication import settle_publication
from pipeline.core.storage import read_json
from pipeline.core.tables import read_parquet_schema
from pipeline.manifest.loading import load, read_toml
from pipeline.manifest.model import Manifest
from pipeline.mixture.corpora import build_command
from pipeline.plan import VERSIONS

# What is added up beside records, by modality: a column of the ledger, and its unit. The ledger has no bytes of images.
AMOUNTS = {"text": ("chars", "characters"), "speech": ("duration", "seconds")}


@dataclass(frozen=True)
class LedgerOfCorpus:
    """A built corpus: the table of its manifest, with every bound written out, and the files of its ledger in input order."""

    folder: Path
    table: dict[str, Any]
    manifest: Manifest
    files: tuple[Path, ...]
    schema: pl.Schema

    @property
    def amount(self) -> tuple[str, str] | None:
        """The column that is added up and its unit, None where the ledger has none."""
        found = AMOUNTS.get(self.manifest.modality)
        return found if found is not None and found[0] in self.schema else None

    def suggest_build(self, presets: Iterable[str], measures: Iterable[str]) -> str:
        """Return the command that builds the corpus again with the measures of presets and further measures."""
        also = self.table.get("measure", {})
        command = build_command(self.folder)
        if named := list(dict.fromkeys([*also.get("presets", []), *presets])):
            command += f" --set 'measure.presets={json.dumps(named)}'"
        if extra := list(measures):
            command += f" --set 'measure.also={json.dumps(list(dict.fromkeys([*also.get('also', []), *extra])))}'"
        return command


def open_ledger(folder: Path) -> LedgerOfCorpus:
    """Find the ledger of a built corpus. Raises UsageError that says what is amiss and how to build it."""
    command = build_command(folder)
    if not folder.exists():
        raise UsageError(f"--on {folder}: there is no such folder. Build the corpus first: {command}")
    settle_publication(folder)
    if not (folder / STATE_FOLDER).is_dir():
        raise UsageError(
            f"--on {folder} {explain_foreign(folder)}: expected a built corpus, with its ledger. Build one: {command}"
        )
    state = read_json(folder / STATE_FOLDER / "state.json")
    if not isinstance(state, dict):
        raise UsageError(f"--on {folder} is not built to its end, so there is no ledger yet. Go on with: {command}")
    if "mixture" in state:
        raise UsageError(
            f"--on {folder} is a mixture, whose ledger has no measures: name one of its parts ({', '.join(state['mixture'])})"
        )
    versions = state.get("versions", {})
    if versions.get("measure") != VERSIONS["measure"]:
        raise UsageError(
            f"--on {folder} was measured by another version of Seimai (step measure {versions.get('measure')}; this one: "
            f"{VERSIONS['measure']}), whose measures may mean something else. Build it again: {command}"
        )
    lock = folder / "manifest.lock.toml"
    if not lock.is_file():
        raise UsageError(f"--on {folder} has no manifest.lock.toml, which says how it was built. Build it again: {command}")
    files = tuple(folder.absolute() / "ledger" / name for name in sorted(state["ledgers"]))
    if missing := [file for file in files if not file.is_file()] or (not files and [folder / "ledger"]):
        raise UsageError(f"--on {folder}: {missing[0]} is gone. Build it again: {command}")
    with refuse_damage(folder):
        schema = read_parquet_schema(files[0])
    return LedgerOfCorpus(folder, read_toml(str(lock))[0], load(str(lock)), files, schema)


@contextmanager
def refuse_damage(folder: Path) -> Iterator[None]:
    """Raise UsageError where the block cannot read the ledger of `folder`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--on {folder}: its ledger is damaged ({reason}). Build it again in a fresh folder: {build_command(folder)}"
        ) from None
