"""What is compared: the rules of a preset, of a manifest, or those that a corpus was built by."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filters import MEASURES
from pipeline.compare.corpus import LedgerOfCorpus
from pipeline.core.errors import UsageError
from pipeline.manifest.loading import load, load_table, read_toml
from pipeline.manifest.model import Bound, Manifest, did_you_mean, is_of_corpus
from pipeline.manifest.presets import check_bounds, list_manifests, list_presets, preset_bounds

AS_BUILT = "as-built"
_SHOWN = 4  # measures in a message


@dataclass(frozen=True)
class NamedRules:
    """Rules in their order, what they are called, and the shipped preset that they come from, if any."""

    name: str
    rules: dict[str, Bound]
    preset: str | None = None


def load_rules(reference: str, overrides: Sequence[str], option: str, corpus: LedgerOfCorpus) -> NamedRules:
    """Return the rules that `reference` stands for: a preset or manifest by name, a TOML file of either, or "as-built".

    `overrides` are assignments to `rules.…` that the command's `option` sets. Raises UsageError: for what does not exist, for rules of
    another modality, and for rules that stored measures cannot answer.
    """
    if wrong := [one for one in overrides if not one.strip().startswith("rules.")]:
        raise UsageError(f"{option} {wrong[0]}: expected a key of the rules, such as {option} rules.chars.at_least=100")
    manifest, preset = _load(reference, overrides, option, corpus)
    if manifest.modality != corpus.manifest.modality:
        raise UsageError(
            f"{reference} has rules for {_words(manifest)} records; those of {corpus.folder} are {_words(corpus.manifest)}"
        )
    named = NamedRules(" ".join([reference, *overrides]), manifest.rules, preset)
    _check_answers(named, option, corpus)
    return named


def _load(reference: str, overrides: Sequence[str], option: str, corpus: LedgerOfCorpus) -> tuple[Manifest, str | None]:
    """Return a manifest with the rules, and the name of the shipped preset that they are of."""
    kind = type(corpus.manifest)
    if Path(reference).suffix == ".toml" or "/" in reference:
        table, where = read_toml(reference)
        if "source" in table or "rules" in table:
            return load(reference, overrides, option=option), None
        return _with_rules(check_bounds(table, where), where, overrides, option, corpus), None
    if reference == AS_BUILT:
        return _with_rules(
            corpus.table.get("rules", {}), str(corpus.folder / "manifest.lock.toml"), overrides, option, corpus
        ), None
    if reference in list_presets(kind) or (reference in list_manifests("presets") and reference not in list_manifests()):
        preset_bounds(reference, reference, kind)  # what is amiss in it is said with its own file's name
        return _with_rules({"preset": reference}, reference, overrides, option, corpus), reference
    if reference in list_manifests():
        return load(reference, overrides, option=option), None
    known = [AS_BUILT, *list_presets(kind), *list_manifests()]
    raise UsageError(
        f"there is no preset or manifest {reference!r}{did_you_mean(reference, known)} Presets: {', '.join(list_presets(kind))}. "
        f"{AS_BUILT} stands for the rules that the corpus was built by; a path to a TOML file works too."
    )


def _with_rules(rules: dict[str, Any], where: str, overrides: Sequence[str], option: str, corpus: LedgerOfCorpus) -> Manifest:
    """Return the manifest of the corpus with other rules."""
    manifest = load_table(deepcopy(corpus.table) | {"rules": deepcopy(rules)}, where, overrides, option=option)
    assert isinstance(manifest, Manifest)
    return manifest


def _check_answers(named: NamedRules, option: str, corpus: LedgerOfCorpus) -> None:
    """Raise UsageError where the ledger lacks what rules judge, or a rule fits its bounds to a corpus."""
    # Where a build removed no lines that recur, nothing did.
    missing = [name for name in named.rules if name not in corpus.schema and not is_of_corpus(name)]
    if columns := [name for name in missing if name not in MEASURES]:
        raise UsageError(
            f"{named.name}: {columns[0]} is a column of its source, which the ledger of {corpus.folder} does not have"
        )
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if missing[_SHOWN:] else "")
        presets = [named.preset] if named.preset is not None else []
        of_preset = preset_bounds(named.preset, "", type(corpus.manifest)) if named.preset is not None else {}
        build = corpus.suggest_build(presets, [name for name in missing if name not in of_preset])
        raise UsageError(
            f"{corpus.folder} was not built with {'a measure' if len(missing) == 1 else f'{len(missing)} measures'} that {named.name} "
            f"judges: {shown}. Nothing is measured here; build it with them: {build}"
        )
    if fitted := [name for name, bound in named.rules.items() if bound.iqr is not None]:
        raise UsageError(
            f"{named.name}: the bounds of {fitted[0]} are fitted to a corpus by a build (iqr), not compared here. Leave it out: "
            f"{option} 'rules.skip=[\"{fitted[0]}\"]'"
        )


def _words(manifest: Manifest) -> str:
    return manifest.modality.replace("_", "-")
