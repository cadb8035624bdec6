"""Weights of a checkpoint, with a word on every one that the model or the checkpoint lacks.

transformers gives a weight that the checkpoint lacks a random value, diffusers whatever lay in memory; both only log a warning, which
is easily lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pipeline.core.errors import UsageError

Tell = Callable[[str], None]

NAMES_SHOWN = 8


class LoadReport(NamedTuple):
    """Names of weights. What the checkpoint lacks has random values in the model."""

    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]  # with both shapes


def load_with_report(model_class: Any, path: str, **options: Any) -> tuple[Any, LoadReport]:
    """Load a model of transformers or diffusers. Raises whatever `from_pretrained` raises, but not at shapes that differ."""
    model, found = model_class.from_pretrained(path, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    if found["error_msgs"]:
        raise ValueError(" ".join(map(str, found["error_msgs"])))
    shapes = sorted((name, tuple(stored), tuple(wanted)) for name, stored, wanted in found["mismatched_keys"])
    mismatched = [f"{name} {stored} instead of {wanted}" for name, stored, wanted in shapes]
    return model, LoadReport(sorted(found["missing_keys"]), sorted(found["unexpected_keys"]), mismatched)


def check_report(
    report: LoadReport, path: str, option: str, tell: Tell, must_exist: Callable[[str], bool], new: Sequence[str] = ()
) -> None:
    """Tell of every weight that was missing or not used.

    `must_exist` says of a name whether nothing else gives that weight a value, as where it is frozen; `new` are beginnings of names
    that are random by intent. Raises UsageError if such a weight is missing, or if weights of the checkpoint have other shapes than
    those of the model.
    """
    if wrong := [name for name in report.mismatched if not name.startswith(tuple(new))]:
        raise UsageError(f"{option}: weights in {path} have other shapes than its configuration says: {list_names(wrong)}")
    missing = [name for name in report.missing if not name.startswith(tuple(new))]
    if random := [name for name in missing if must_exist(name)]:
        raise UsageError(f"{option}: {path} lacks {list_names(random)}, which would be left random: name a complete checkpoint")
    if missing:
        tell(f"{path} lacks {list_names(missing)}: random at first, and trained")
    if report.unexpected:
        tell(f"{path} also has {list_names(report.unexpected)}: not used")


def list_names(names: Iterable[str]) -> str:
    """Return the names in a row, shortened to the first few and the number of the others."""
    shown = list(names)
    more = f" and {len(shown) - NAMES_SHOWN:,} more" if len(shown) > NAMES_SHOWN else ""
    return ", ".join(shown[:NAMES_SHOWN]) + more
