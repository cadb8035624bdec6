"""Rules by name that a built corpus is judged by: of a preset, of a manifest, or those that it was built by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from filters import MEASURES
from pipeline.core.errors import UsageError
from pipeline.corpus.built import BuiltCorpus
from pipeline.manifest import rules
from pipeline.manifest.model import Bound, Manifest, is_of_corpus
from pipeline.manifest.presets import preset_bounds

_SHOWN = 4  # measures in a message


@dataclass(frozen=True)
class NamedRules:
    """A manifest with rules in their order, what these are called, and the shipped preset that they come from, if any."""

    name: str
    manifest: Manifest
    preset: str | None = None

    @property
    def rules(self) -> dict[str, Bound]:
        return self.manifest.rules


def load_rules(
    reference: str, overrides: Sequence[str], option: str, corpus: BuiltCorpus, allow_fitted: bool = False
) -> NamedRules:
    """Return the rules that `reference` stands for: a preset or manifest by name, a TOML file of either, or "as-built".

    `overrides` are assignments to `rules.…` that the command's `option` sets. Raises UsageError: for what does not exist, for rules of
    another modality, for rules that stored measures cannot answer, and (unless `allow_fitted`) for bounds that are fitted.
    """
    if wrong := [one for one in overrides if not one.strip().startswith("rules.")]:
        raise UsageError(f"{option} {wrong[0]}: expected a key of the rules, such as {option} rules.chars.at_least=100")
    lock = str(corpus.folder / "manifest.lock.toml")
    manifest, preset = rules.load_rules(reference, overrides, corpus.table, type(corpus.manifest), lock, option)
    if manifest.modality != corpus.manifest.modality:
        raise UsageError(
            f"{reference} has rules for {_words(manifest)} records; those of {corpus.folder} are {_words(corpus.manifest)}"
        )
    named = NamedRules(" ".join([reference, *overrides]), manifest, preset)
    _check_measures(named, corpus)
    if not allow_fitted:
        _refuse_fitted(named, option)
    return named


def _check_measures(named: NamedRules, corpus: BuiltCorpus) -> None:
    """Raise UsageError where the ledger lacks what rules judge."""
    # Where a build removed no lines that recur, nothing did.
    missing = [name for name in named.rules if name not in corpus.ledger_schema and not is_of_corpus(name)]
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


def _refuse_fitted(named: NamedRules, option: str) -> None:
    """Raise UsageError where a rule fits its bounds to a corpus."""
    if fitted := [name for name, bound in named.rules.items() if bound.iqr is not None]:
        raise UsageError(
            f"{named.name}: the bounds of {fitted[0]} are fitted to a corpus by a build (iqr), not compared here. Leave it out: "
            f"{option} 'rules.skip=[\"{fitted[0]}\"]'"
        )


def _words(manifest: Manifest) -> str:
    return manifest.modality.replace("_", "-")
