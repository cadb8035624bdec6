"""From a TOML file to a manifest: presets, overrides, and messages that name file, key, what was found and what was expected."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import polars as pl
from pydantic import BaseModel, ValidationError

from filters import MEASURES
from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean, shorten
from pipeline.manifest.data_files import explain_data, is_data
from pipeline.manifest.model import Bound, Described, Manifest, source_options
from pipeline.manifest.presets import check_rule_name, parse_toml, preset_bounds
from pipeline.manifest.shipped import check_reference, list_manifests, manifest_folder
from pipeline.mixture.manifest import MixtureManifest
from pipeline.modalities import MODALITIES
from pipeline.sources import SOURCES

AnyManifest = TypeVar("AnyManifest", bound=Described)
_WORD = re.compile(r"[^\s'\"]+")
_SHOWN = 80  # characters of a name or a value that is wrong
Override = str | tuple[str, Any]  # `key=value` as --set has it, or key and value


class RecordedBounds(dict[str, Any]):
    """Bounds that a corpus was built by, which stand for a preset: keys are laid over them, and `skip` leaves some out."""


def load(reference: str, overrides: Iterable[Override] = (), reads_files: bool = True, option: str = "--set") -> Manifest:
    """Return the manifest that `reference` names or points to, with overrides that `option` gave. Raises UsageError.

    `reads_files`: whether what it names, such as lists of URLs, must be there; a lock has of some only the name.
    """
    manifest = load_any(reference, overrides, reads_files, option)
    if isinstance(manifest, MixtureManifest):
        raise UsageError(f"{reference} is a mixture of built corpora: expected the manifest of one corpus")
    return manifest


def load_any(
    reference: str, overrides: Iterable[Override] = (), reads_files: bool = True, option: str = "--set"
) -> Manifest | MixtureManifest:
    """Return the manifest that `reference` names or points to, of a corpus or of a mixture. Raises UsageError."""
    table, where = read_toml(reference)
    return load_table(table, where, overrides, reads_files, option)


def load_table(
    table: dict[str, Any], where: str, overrides: Iterable[Override] = (), reads_files: bool = True, option: str = "--set"
) -> Manifest | MixtureManifest:
    """Return the manifest in a table, which messages call `where`; what `overrides` have set is blamed on their `option`.

    Raises UsageError.
    """
    overrides = [*overrides]
    try:
        return _load_table(table, where, overrides, reads_files, option)
    except UsageError as error:
        raise UsageError(_blame_options(str(error), where, map(_show_assignment, overrides), option)) from None


def _load_table(
    table: dict[str, Any], where: str, overrides: Iterable[Override], reads_files: bool, option: str
) -> Manifest | MixtureManifest:
    table.pop("lock", None)  # a manifest.lock.toml is a manifest: what it records of a build is no part of it
    for assignment in overrides:
        _override(table, assignment, option)
    if "mixture" in table:
        return _validate(MixtureManifest, table, where)
    manifest_class = _manifest_class(table)
    table = _measure_presets(_merge_preset(table, where, manifest_class), where, manifest_class)
    manifest = _validate(manifest_class, table, where)
    _check_measures(manifest, where)
    if reads_files:
        manifest.check(where)
    for key in manifest.source.options:
        if key not in SOURCES[manifest.source.format].options:
            of_others = source_options()[key]
            raise UsageError(
                f"{where}: {of_others.flag or f'source.{key}'} is for {of_others.purpose}; "
                f"source.format = {manifest.source.format!r} has none"
            )
    _check_bounds(manifest, where)
    return manifest


def _validate(manifest: type[AnyManifest], table: dict[str, Any], where: str) -> AnyManifest:
    try:
        return manifest.model_validate(table)
    except ValidationError as error:
        raise UsageError("\n".join(_sentence(e, where, manifest) for e in error.errors())) from None


# -- from file to table


def read_toml(reference: str) -> tuple[dict[str, Any], str]:
    """Return the table in the file of a manifest, by its name or path, and what messages call the file. Raises UsageError."""
    check_reference(reference)
    if reference not in list_manifests():
        if is_data(reference):
            raise explain_data(reference)
        try:
            return parse_toml(Path(reference).read_text("utf-8"), reference), reference
        except UnicodeDecodeError:
            raise UsageError(f"{reference}: a manifest is a TOML file in UTF-8; this is not text") from None
    where = f"manifests/{reference}.toml"
    return parse_toml((manifest_folder() / f"{reference}.toml").read_text("utf-8"), where), where


def _manifest_class(table: dict[str, Any]) -> type[Manifest]:
    """Return the class of manifest that the source's format asks for; where that is amiss, one that will say so."""
    source_table = table.get("source")
    source = SOURCES.get(str(source_table.get("format"))) if isinstance(source_table, dict) else None
    return MODALITIES[source.modality if source else "text"].manifest


def _merge_preset(table: dict[str, Any], where: str, manifest: type[Manifest]) -> dict[str, Any]:
    """Return the table with the bounds of its preset written out."""
    rules = table.get("rules", {})
    if not isinstance(rules, dict):
        raise UsageError(f"{where}: rules = {rules!r}: expected a table, with a preset or a bound for each rule")
    rules = dict(rules)
    preset, skip = rules.pop("preset", None), rules.pop("skip", [])
    if not isinstance(skip, list) or not all(isinstance(name, str) for name in skip):
        raise UsageError(f"{where}: rules.skip = {skip!r}: expected a list of rules")
    if isinstance(preset, RecordedBounds):
        bounds = dict(preset)
    else:
        bounds = {} if preset is None else preset_bounds(preset, f"{where}: rules.preset = {preset!r}", manifest)
    for name in skip:
        check_rule_name(name, f"{where}: rules.skip = {skip!r}: {name}", ())
        bounds.pop(name, None)
    for name, bound in rules.items():
        if not isinstance(bound, dict):
            hint = "" if name in MEASURES else did_you_mean(name, MEASURES).removesuffix(".")
            raise UsageError(f"{where}: rules.{name} = {bound!r}: expected bounds, such as {{ at_least = 0.1 }}{hint}")
        bounds[name] = bounds.get(name, {}) | bound
    return table | {"rules": bounds}


def _measure_presets(table: dict[str, Any], where: str, manifest: type[Manifest]) -> dict[str, Any]:
    """Return the table with the measures of `measure.presets` among those of `measure.also`."""
    measure = table.get("measure")
    if not isinstance(measure, dict) or not isinstance(measure.get("presets", []), list):
        return table  # what is amiss with it, validation says
    also = measure.get("also", [])
    if not isinstance(also, list):
        return table
    named = [
        name
        for preset in measure.get("presets", [])
        for name in preset_bounds(preset, f"{where}: measure.presets: {preset!r}", manifest)
    ]
    return table | {"measure": measure | {"also": list(dict.fromkeys([*also, *named]))}} if named else table


def _override(table: dict[str, Any], assignment: Override, option: str) -> None:
    key, value = _parse_assignment(assignment, option) if isinstance(assignment, str) else assignment
    *parents, last = key.split(".")
    if not all([*parents, last]):
        raise UsageError(f"{option}: {key!r} is no key: a name is missing beside a dot")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UsageError(f"{option} {_show_assignment(assignment)}: {parent} is not a table")
    table[last] = value


def _show_assignment(assignment: Override) -> str:
    """Return an assignment as messages show it, which `pipeline.core.python_names` reads: a long value is cut."""
    if isinstance(assignment, str):
        return assignment
    key, value = assignment
    is_plain = (
        isinstance(value, bool | int | float | list | dict)
        or value is None
        or isinstance(value, str)
        and _WORD.fullmatch(value)
    )
    shown = _show_value(value)
    return f"{key}={shown}" if is_plain else f"{key}={json.dumps(shown, ensure_ascii=False)}"


def _show_value(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return f"{value // 10 ** (len(str(abs(value))) - 1)}e{len(str(abs(value))) - 1}"
    return shorten(str(value), _SHOWN)


def _parse_assignment(assignment: str, option: str) -> tuple[str, Any]:
    """Return key and value of `key=value`. What is no value of TOML is a string."""
    key, equals, value = assignment.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"{option} {assignment}: expected key=value, such as {option} rules.chars.at_least=100")
    try:
        return key, tomllib.loads(f"x = {value.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()


# -- what pydantic cannot tell


def _check_measures(manifest: Manifest, where: str) -> None:
    for name in manifest.measure.also:
        if name not in MEASURES:
            raise UsageError(f"{where}: measure.also: there is no measure {name!r}{did_you_mean(name, MEASURES)}")
    for name in manifest.rules:
        check_rule_name(name, f"{where}: rules.{name}", manifest.source.kept if manifest.source.format in SOURCES else ())
    for name in [*manifest.measure.also, *manifest.rules]:
        if name in MEASURES and MEASURES[name].kind not in manifest.kinds:
            raise UsageError(
                f"{where}: {name} is a measure of {MEASURES[name].kind}s; the records of "
                f"source.format = {manifest.source.format!r} are {manifest.modality.replace('_', '-')}"
            )


def _check_bounds(manifest: Manifest, where: str) -> None:
    for name, bound in manifest.rules.items():
        numeric = bound.at_least is not None or bound.at_most is not None or bound.iqr is not None
        worded = bound.any_of is not None or bound.none_of is not None
        if bound.by != "corpus" and (bound.iqr is None or manifest.modality != "speech"):
            raise UsageError(
                f"{where}: rules.{name}.by = {bound.by!r} is for iqr, and for recordings, which have programmes and speakers"
            )
        is_measure = name in MEASURES
        if not is_measure and bound.iqr is not None:
            raise UsageError(f"{where}: rules.{name}.iqr is for measures; {name} is a column of the input")
        words = MEASURES[name].words if is_measure else manifest.source.kept[name] == pl.String()
        if numeric == words or worded != words:
            expected = "any_of or none_of" if words else "at_least, at_most or iqr" if is_measure else "at_least or at_most"
            hint = "" if is_measure or not words else f'; numbers are kept as such by source.keep = ["{name}:float"]'
            raise UsageError(f"{where}: rules.{name}: this {'measure' if is_measure else 'column'} takes {expected}{hint}")


# -- messages


def _blame_options(message: str, where: str, overrides: Iterable[str], option: str) -> str:
    """Return a message in which keys that the command line has set are said to be wrong there, not in the file.

    >>> _blame_options("a.toml: rules.chars: this takes at_least", "a.toml", ["rules.chars.any_of=[]"], "--set")
    '--set rules.chars.any_of=[]: this takes at_least'
    >>> _blame_options("a.toml: shards.size: too small", "a.toml", ["title=A"], "--set")
    'a.toml: shards.size: too small'
    """
    lines, overrides = message.split("\n"), [*overrides]
    for number, line in enumerate(lines):
        found = re.match(rf"{re.escape(where)}: ([A-Za-z_][\w.-]*\w)(?=[:= \[])", line)
        if found is None:
            continue
        key, rest = found[1], line[found.end() :]
        for assignment in overrides:
            given = assignment.partition("=")[0].strip()
            if key == given or given.startswith(f"{key}."):
                lines[number] = f"{option} {assignment}{_without_value(rest) if key == given else rest}"
            elif key.startswith(f"{given}."):
                lines[number] = f"{option} {assignment}: {key}{rest}"
    return "\n".join(lines)


def _without_value(rest: str) -> str:
    """Return what a message says of a key without the value, which stands in the assignment."""
    return re.sub(r"^ = .*?(?=: )|, found .*$", "", rest)


def _fields_at(location: tuple[Any, ...], manifest: type[Described]) -> list[str]:
    """Return the keys that a table of a manifest may have, given where it stands."""
    if location[:1] == ("rules",):
        return list(Bound.model_fields)
    model: Any = manifest
    for key in location:
        if isinstance(key, int) and get_origin(model) is list:
            (model,) = get_args(model)
        elif isinstance(model, type) and issubclass(model, BaseModel) and key in model.model_fields:
            model = model.model_fields[key].annotation
            optional = [kind for kind in get_args(model) if isinstance(kind, type) and issubclass(kind, BaseModel)]
            model = optional[0] if optional and get_origin(model) is not list else model
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _sentence(error: Any, where: str, manifest: type[Described]) -> str:
    """Return one of pydantic's errors as a sentence."""
    location = error["loc"]
    key = re.sub(r"\.(\d+)", lambda number: f"[{int(number[1]) + 1}]", ".".join(str(x) for x in location))
    if error["type"] == "extra_forbidden":
        keys = _fields_at(location[:-1], manifest)
        return f"{where}: {key}: there is no such key{did_you_mean(str(location[-1]), keys)} Known here: {', '.join(keys)}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    value = "" if isinstance(error["input"], dict | list) else f", found {error['input']!r}"
    return f"{where}: {key}: {message}{value}" if key else f"{where}: {message}"
