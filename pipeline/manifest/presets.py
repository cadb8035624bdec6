"""Presets: bounds with their sources and reasons, those that ship with Seimai and those in files of one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from filters import MEASURES
from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean
from pipeline.manifest.model import Bound, Manifest
from pipeline.manifest.shipped import list_manifests, manifest_folder


def list_presets(manifest: type[Manifest]) -> list[str]:
    """Return the names of the shipped presets whose measures are all measures of such records.

    A measure that does not exist counts for any: who names the preset is told so (`preset_bounds`).
    """
    return [
        name
        for name in list_manifests("presets")
        if all(rule not in MEASURES or MEASURES[rule].kind in manifest.kinds for rule in read_preset(name))
    ]


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the table in a TOML file, which messages call `where`. Raises UsageError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from None


def preset_file(name: str) -> str:
    """Return what messages call the file of a shipped preset."""
    return f"manifests/presets/{name}.toml"


def read_preset(name: str) -> dict[str, Any]:
    """Return the bounds of a shipped preset, laid over those of the preset that it is made from (`preset = …`). Raises UsageError."""
    table = parse_toml((manifest_folder() / "presets" / f"{name}.toml").read_text("utf-8"), preset_file(name))
    base = table.pop("preset", None)
    if base is None:
        return table
    names = [other for other in list_manifests("presets") if other != name]
    if base not in names:
        raise UsageError(f"{preset_file(name)}: preset = {base!r}: there is no such preset{did_you_mean(str(base), names)}")
    bounds = read_preset(base)
    return bounds | {rule: bounds.get(rule, {}) | bound if isinstance(bound, dict) else bound for rule, bound in table.items()}


def preset_bounds(preset: Any, where: str, manifest: type[Manifest]) -> dict[str, dict[str, Any]]:
    """Return the bounds of a shipped preset by measure.

    Raises UsageError: `where` first for a preset that does not exist or is for other records, the preset's file first for what is
    amiss in it.
    """
    names = list_presets(manifest)
    if preset not in names:
        if preset in list_manifests("presets"):
            reason = f"this preset is not for {manifest.modality.replace('_', '-')} records."
        else:
            reason = f"there is no such preset{did_you_mean(str(preset), names)}"
        raise UsageError(f"{where}: {reason} Known: {', '.join(names)}")
    return check_bounds(read_preset(preset), preset_file(preset))


def check_bounds(bounds: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Return the bounds that stand in the file of a preset. Raises UsageError for an unknown measure, key or value, with near names."""
    for name, bound in bounds.items():
        check_rule_name(name, f"{where}: {name}", ())
        if not isinstance(bound, dict):
            raise UsageError(f"{where}: {name} = {bound!r}: expected bounds, such as {{ at_least = 0.1 }}")
        try:
            Bound.model_validate(bound)
        except ValidationError as problem:
            raise UsageError("\n".join(_sentence(error, where, name) for error in problem.errors())) from None
    return {name: dict(bound) for name, bound in bounds.items()}


def check_rule_name(name: str, where: str, kept: Collection[str]) -> None:
    """Raise UsageError, `where` first, unless there is a measure of that name or it is one of the columns `kept`."""
    if name not in MEASURES and name not in kept:
        words = did_you_mean(name, [*MEASURES, *kept])
        raise UsageError(f"{where}: there is no measure of that name, nor a column of source.keep{words}")


def _sentence(error: Any, where: str, name: str) -> str:
    """Return what pydantic found in a bound as a sentence."""
    key = ".".join([name, *map(str, error["loc"])])
    if error["type"] == "extra_forbidden":
        return (
            f"{where}: {key}: there is no such key{did_you_mean(str(error['loc'][-1]), Bound.model_fields)} Known here: "
            + ", ".join(Bound.model_fields)
        )
    return f"{where}: {key}: {error['msg'].removeprefix('Value error, ')}"
