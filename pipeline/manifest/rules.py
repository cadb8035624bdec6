"""Rules by name: of a preset or a manifest that ships, of a TOML file of either, or of a corpus as it was built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean
from pipeline.manifest.loading import Override, RecordedBounds, load, load_table, read_toml
from pipeline.manifest.model import Manifest
from pipeline.manifest.presets import check_bounds, list_presets, preset_bounds
from pipeline.manifest.shipped import list_manifests

AS_BUILT = "as-built"


def load_rules(
    reference: str,
    overrides: Iterable[Override],
    base: Mapping[str, Any],
    kind: type[Manifest],
    as_built: str | None = None,
    option: str = "--set",
) -> tuple[Manifest, str | None]:
    """Return a manifest with the rules that `reference` stands for, and the name of the shipped preset that they are of.

    `base`: the table of a manifest of this `kind`; rules that come without a manifest are put into it. `as_built`: the file of `base`,
    where it is that of a corpus, whose rules "as-built" stands for. `option` gave the overrides. Raises UsageError.
    """
    if Path(reference).suffix == ".toml" or "/" in reference:
        table, where = read_toml(reference)
        if "source" in table or "rules" in table:
            return load(reference, overrides, option=option), None
        return _with_rules(check_bounds(table, where), where, overrides, base, option, as_built is None), None
    if reference == AS_BUILT and as_built is not None:
        recorded = {"preset": RecordedBounds(base.get("rules", {}))}
        return _with_rules(recorded, as_built, overrides, base, option, reads_files=False), None
    if reference in list_presets(kind) or (reference in list_manifests("presets") and reference not in list_manifests()):
        preset_bounds(reference, reference, kind)  # what is amiss in it is said with its own file's name
        return _with_rules({"preset": reference}, reference, overrides, base, option, as_built is None), reference
    if reference in list_manifests():
        return load(reference, overrides, option=option), None
    known = [*([AS_BUILT] if as_built is not None else []), *list_presets(kind), *list_manifests()]
    stands_for = f"{AS_BUILT} stands for the rules that the corpus was built by; a" if as_built is not None else "A"
    raise UsageError(
        f"there is no preset or manifest {reference!r}{did_you_mean(reference, known)} Presets: {', '.join(list_presets(kind))}. "
        f"{stands_for} path to a TOML file works too."
    )


def _with_rules(
    rules: Mapping[str, Any], where: str, overrides: Iterable[Override], base: Mapping[str, Any], option: str, reads_files: bool
) -> Manifest:
    """Return the manifest `base` with other rules. `reads_files`: as for `load`; the lock of a corpus has only names of files."""
    table = {**deepcopy(dict(base)), "rules": deepcopy(dict(rules))}
    manifest = load_table(table, where, overrides, reads_files, option)
    assert isinstance(manifest, Manifest)
    return manifest
