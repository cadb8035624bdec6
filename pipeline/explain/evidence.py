"""How the command shows what in a text counts for a measure: passages, how often each is there, and what stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from filters.evidence import AMBIGUOUS, Span
from pipeline.core.language import translate
from pipeline.core.names import make_printable, shorten
from pipeline.corpus.evidence import Evidence, Passage, describe_evidence, list_passages

_SHOWN = 8  # passages of a measure
_PASSAGE = 34  # characters of one
_CONTEXT = 10  # characters on each side of it
_WIDEST = 20  # cells of the column of passages; what stands around longer ones is not shown
_NOTES = {AMBIGUOUS: "means other things as well"}


def print_evidence(console: Console, evidence: Sequence[Evidence]) -> None:
    """Print what in the text counts for measures, what amounts to most first; of measures that the same counts for, once."""
    for one, names in _join_measures(evidence):
        console.print()
        console.print(Text(describe_evidence(one, names), style="bold"))
        passages = list_passages(one)
        width = min(max((cell_len(_show(passage)) for passage in passages[:_SHOWN]), default=0), _WIDEST)
        for passage in passages[:_SHOWN]:
            console.print(_make_line(one, passage, width), soft_wrap=True)
        if len(passages) > _SHOWN:
            console.print(f"  … and {len(passages) - _SHOWN:,} more; --json has all of them")


def _join_measures(evidence: Sequence[Evidence]) -> list[tuple[Evidence, str]]:
    """Return what counts for measures, and the names of those that the same counts for."""
    joined: dict[tuple[str, tuple[Span, ...]], list[Evidence]] = {}
    for one in evidence:
        joined.setdefault((one.of if one.spans else "", tuple(one.spans)), []).append(one)
    return [(group[0], ", ".join(one.measure for one in group)) for group in joined.values()]


def _show(passage: Passage) -> str:
    return shorten(passage.text, _PASSAGE)


def _make_line(evidence: Evidence, passage: Passage, width: int) -> Text:
    shown = _show(passage)
    line = Text(f"  {passage.count:>3,}× ")
    line.append(shown, style="bold underline")
    if cell_len(shown) <= _WIDEST and len(passage.text) <= _PASSAGE:
        start, end = passage.first.start, passage.first.end
        before, after = evidence.text[max(start - _CONTEXT, 0) : start], evidence.text[end : end + _CONTEXT]
        line.append(" " * (width - cell_len(shown) + 2))
        line.append(make_printable(before.rpartition("\n")[2]), style="dim")
        line.append(make_printable(evidence.text[start:end].replace("\n", "⏎")), style="underline")
        line.append(make_printable(after.partition("\n")[0]), style="dim")
    if passage.what:
        line.append(f"  ({translate(_NOTES.get(passage.what, passage.what))})", style="dim")
    return line


def evidence_as_json(evidence: Evidence) -> dict[str, Any]:
    """Return what counts for a measure for scripts: every span with its text, and how many characters of the text were looked at."""
    return {
        "measure": evidence.measure,
        "of": evidence.of,
        "characters_read": len(evidence.text) if evidence.read is None else evidence.read,
        "spans": [span._asdict() | {"text": evidence.text[span.start : span.end]} for span in evidence.spans],
    }
