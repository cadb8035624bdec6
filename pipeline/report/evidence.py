"""What in the text of an example counts for the rule that it is an example of."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.corpus.evidence import MeasuredText, find_evidence, list_passages, reads_raw
from pipeline.manifest.model import Manifest
from pipeline.report import model as m
from pipeline.report.examples import Choice

_SHOWN = 4  # passages of a record
_PASSAGE = 60  # characters of one
_CONTEXT = 12  # characters on each side of it


def list_near(choices: Mapping[str, Choice]) -> list[int]:
    """Return the rows near the bounds of rules, whose evidence is shown."""
    return [row for choice in choices.values() for row in _near_rows(choice)]


def find_passages(
    manifest: Manifest, choices: Mapping[str, Choice], texts: Mapping[int, str]
) -> dict[str, dict[int, list[m.Passage]]]:
    """Return by rule and row what counts in the texts of the records near its bound: in their beginnings, which `texts` are."""
    return {
        rule: {row: _find(manifest, rule, texts[row]) for row in _near_rows(choice) if row in texts}
        for rule, choice in choices.items()
        if rule in manifest.rules and not reads_raw(rule)
    }


def _near_rows(choice: Choice) -> list[int]:
    return [*choice.near, *(row for row, _ in choice.kept_near)]


def _find(manifest: Manifest, rule: str, text: str) -> list[m.Passage]:
    evidence = find_evidence(manifest, rule, MeasuredText(None, text))
    passages = [] if evidence is None else list_passages(evidence)[:_SHOWN]
    return [
        m.Passage(
            text=one.text if len(one.text) <= _PASSAGE else f"{one.text[:_PASSAGE]} …",
            count=one.count,
            what=one.what,
            before=text[max(one.first.start - _CONTEXT, 0) : one.first.start].rpartition("\n")[2],
            after=text[one.first.end : one.first.end + _CONTEXT].partition("\n")[0],
        )
        for one in passages
    ]
