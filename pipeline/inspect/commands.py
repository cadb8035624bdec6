"""Commands that pages print, to be pasted into a terminal."""

from __future__ import annotations

import shlex

from filters import MEASURES
from pipeline.corpus.built import BuiltCorpus
from pipeline.inspect.view import View, parse_number

_BOUNDS = {"min": "at_least", "max": "at_most"}


def is_judged(corpus: BuiltCorpus, name: str) -> bool:
    """Return whether a rule of the corpus may be over a column of its ledger."""
    if corpus.is_mixture:
        return False
    return name in corpus.manifest.rules or (name in MEASURES and MEASURES[name].kind in corpus.manifest.kinds)


def suggest_whatif(corpus: BuiltCorpus, view: View) -> str:
    """Return the command that says what a build would keep with the limits of a view as bounds; "" where it has none over a measure."""
    assignments = []
    for key, value in view.parameters:
        side, _, name = key.partition(".")
        if side in _BOUNDS and is_judged(corpus, name):
            assignments.append(f"--set {shlex.quote(f'rules.{name}.{_BOUNDS[side]}={parse_number(key, value)!r}')}")
    return " ".join(["python -m pipeline.whatif", shlex.quote(corpus.shown), *assignments]) if assignments else ""
