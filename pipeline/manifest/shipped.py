"""The manifests and presets that ship with Seimai, by name; and what is refused in the place of one, before anything else is loaded."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean, shorten
from pipeline.core.paths import find_path_problem

_SHOWN = 80  # characters of a name that is wrong


def manifest_folder() -> Traversable:
    """Return the folder of the manifests that ship with Seimai."""
    return files("manifests")


def list_manifests(subfolder: str = "") -> list[str]:
    """Return the names of the shipped manifests or, with subfolder="presets", presets."""
    root = manifest_folder() / subfolder if subfolder else manifest_folder()
    return sorted(entry.name.removesuffix(".toml") for entry in root.iterdir() if entry.name.endswith(".toml"))


def check_reference(reference: str) -> None:
    """Raise UsageError where something that stands in the place of a manifest is no name of one, and nothing is at such a path."""
    names = list_manifests()
    if (problem := find_path_problem(reference)) is not None:
        raise UsageError(f"the manifest {shorten(reference, _SHOWN)!r}: {problem}. Known by name: {', '.join(names)}")
    path = Path(reference)
    if reference in names or "://" in reference or path.is_dir():
        return
    if path.is_file():
        if not path.stat().st_size:
            raise UsageError(
                f"{reference} is empty: expected a manifest, which is a TOML file. Known by name: {', '.join(names)}"
            )
        return
    if path.suffix == ".toml" or "/" in reference:
        raise UsageError(f"{reference}: there is no such manifest file")
    raise UsageError(
        f"there is no manifest {reference!r}{did_you_mean(reference, names)} Known: {', '.join(names)}. "
        "A path to a TOML file works too."
    )
