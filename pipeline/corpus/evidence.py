"""What in the text of a record made a measure what it is: spans of the text that the measure was computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from filters import MEASURES
from filters.evidence import Span, join_spans, list_lines
from filters.kernels import to_arrow
from filters.text.boilerplate import boilerplate_lines
from filters.text.clauses import show_clauses
from filters.text.evidence import find_mojibake
from filters.text.normalisation import normalise_spans
from filters.text.text_model import load_model
from pipeline.core.errors import UsageError
from pipeline.core.language import translate
from pipeline.core.names import did_you_mean
from pipeline.manifest.model import Bound, Manifest
from pipeline.modalities.text.manifest import TextManifest

BOILERPLATE, RECURRING = "boilerplate_share", "recurring_line_share"
_NEAR = 0.5  # of a bound: a kept value beyond this is near enough that one asks what it is made of
_TEXTS = {"raw": "in the text as it came", "normalised": "in the text before lines were dropped"}
_SCORES = "clauses that lower it"
_HEADING = "what counts for {0}: {1}×, {2} of {3} characters"
_HEADING_OF_BEGINNING = "what counts for {0}: {1}×, {2} of the first {3} characters"
_MOST_MOJIBAKE = 100_000  # characters of lines with mojibake that are looked at: 4 s


@dataclass(frozen=True)
class MeasuredText:
    """The texts of a record that measures read.

    `raw`: out of HTML or wikitext, before it was cleaned. `cleaned`: as rules judged it, with lines that recur over documents, which
    `recurring_spans` has the numbers of. None where one is not known.
    """

    raw: str | None
    cleaned: str | None
    recurring_spans: list[int] | None = None


@dataclass(frozen=True)
class Evidence:
    """What counts for a measure in a text of a record. `of`: which text that is, "cleaned", "raw" or (of boilerplate) "normalised".

    `read`: how many characters of the text were looked at, None for all: mojibake of a long text is slow to find.
    """

    measure: str
    of: str
    text: str
    spans: list[Span]
    read: int | None = None


def has_evidence(name: str) -> bool:
    """Return whether something in a text can be shown for a measure."""
    return name in (BOILERPLATE, RECURRING) or (name in MEASURES and MEASURES[name].evidence is not None)


def reads_raw(name: str) -> bool:
    """Return whether the evidence of a measure is in the text before it was cleaned."""
    return name == BOILERPLATE or name in MEASURES and MEASURES[name].of_raw


def find_evidence(manifest: Manifest, name: str, texts: MeasuredText, reads_all: bool = False) -> Evidence | None:
    """Return what in the text of a record counts for a measure; None where the measure shows nothing, or the text is not known.

    `reads_all`: also of a text with very much mojibake, which takes 40 s for a million characters of it.
    """
    if name == RECURRING:
        return _find_recurring(texts)
    if name == BOILERPLATE:
        return _find_boilerplate(manifest, texts) if isinstance(manifest, TextManifest) else None
    measure = MEASURES.get(name)
    if measure is None or measure.evidence is None:
        return None
    text = texts.raw if measure.of_raw else texts.cleaned
    if text is None:
        return None
    if name == "mojibake_share" and not reads_all:
        spans, read = find_mojibake(text, _MOST_MOJIBAKE)
        return Evidence(name, "raw", text, spans, read if read < len(text) else None)
    show = measure.evidence
    if name == "quality_score" and isinstance(manifest, TextManifest) and manifest.quality.model is not None:
        show = show_clauses(name, load_model(manifest.quality.model))
    return Evidence(name, "raw" if measure.of_raw else "cleaned", text, show(text))


@dataclass(frozen=True)
class Passage:
    """Spans with the same text: how often it stands there, what all amount to, and the first of them."""

    text: str
    what: str
    count: int
    amount: float
    first: Span


def list_passages(evidence: Evidence) -> list[Passage]:
    """Return what stands in the spans, each text once: what amounts to most first."""
    by_text: dict[tuple[str, str], list[Span]] = {}
    for span in evidence.spans:
        by_text.setdefault((" ".join(evidence.text[span.start : span.end].split()), span.what), []).append(span)
    passages = [Passage(*key, len(spans), sum(span.amount for span in spans), spans[0]) for key, spans in by_text.items()]
    return sorted(passages, key=lambda one: -one.amount)


def describe_evidence(evidence: Evidence, names: str = "") -> str:
    """Return the heading over what counts for a measure: how often, and how many characters of the text it is.

    `names`: what to call it instead, such as several measures that the same counts for.
    """
    name = names or evidence.measure
    if not evidence.spans:
        return translate("nothing in the text counts for {0}").replace("{0}", name)
    read = len(evidence.text) if evidence.read is None else evidence.read
    heading = translate(_HEADING if evidence.read is None else _HEADING_OF_BEGINNING)
    counts = (f"{count:,}" for count in (len(evidence.spans), count_characters(evidence), read))
    for number, value in enumerate((name, *counts)):
        heading = heading.replace(f"{{{number}}}", value)
    note = _SCORES if evidence.measure in ("quality_score", "fluency_score") else _TEXTS.get(evidence.of)
    return heading + (f" ({translate(note)})" if note else "")


def count_characters(evidence: Evidence) -> int:
    """Return how many characters of the text the spans cover."""
    return sum(end - start for start, end in join_spans(evidence.spans, len(evidence.text)))


def check_measures(names: Sequence[str], option: str = "--show ") -> None:
    """Raise UsageError for a name that is no measure, or one that shows nothing in a text. `option`: what messages put before it."""
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"{option}{name!r}: expected the name of a measure")
        if has_evidence(name):
            continue
        if name in MEASURES:
            raise UsageError(f"{option}{name}: nothing in a text can be shown for that measure")
        known = did_you_mean(name, [one for one in MEASURES if has_evidence(one)])
        raise UsageError(f"{option}{name}: there is no measure of that name{known}")


def choose_measures(rules: pl.DataFrame, bounds: dict[str, Bound]) -> list[str]:
    """Return the rules whose evidence one wants to see first: those that are broken; of a record that breaks none, those near their bound.

    `rules` as a `Judgement` has them.
    """
    broken = [row["rule"] for row in rules.iter_rows(named=True) if row["broken"]]
    near = [row["rule"] for row in rules.iter_rows(named=True) if not broken and _is_near(bounds[row["rule"]], row["value"])]
    return [name for name in broken or near if has_evidence(name)]


def _is_near(bound: Bound, value: Any) -> bool:
    is_high = bound.at_most is not None and value is not None and value > _NEAR * bound.at_most
    return is_high or bound.at_least is not None and value is not None and 0 < value * _NEAR < bound.at_least


def _find_recurring(texts: MeasuredText) -> Evidence | None:
    if texts.cleaned is None or texts.recurring_spans is None:
        return None
    lines, numbers = list_lines(texts.cleaned), texts.recurring_spans
    chosen = [
        lines[n]
        for first, last in zip(numbers[::2], numbers[1::2], strict=True)
        for n in range(first, last + 1)
        if n < len(lines)
    ]
    spans = [Span(start, end, end - start) for start, end in chosen if texts.cleaned[start:end].strip()]
    return Evidence(RECURRING, "cleaned", texts.cleaned, spans)


def _find_boilerplate(manifest: TextManifest, texts: MeasuredText) -> Evidence | None:
    """Clean the text once more, and return the lines that are dropped."""
    if texts.raw is None or not manifest.clean.boilerplate:
        return None
    content = np.frombuffer(texts.raw.encode("utf-8", "replace"), np.uint8)
    clean = manifest.clean
    cleaned = normalise_spans(
        content, np.zeros(1, np.int64), np.array([len(content)], np.int64), clean.compatibility, clean.width
    )
    dropped = boilerplate_lines(cleaned, clean.boilerplate_line_chars)
    lines: Iterable[str] = to_arrow(cleaned.data, cleaned.line_offsets).to_pylist()
    spans, text = [], ""
    for line, is_dropped in zip(lines, dropped.tolist(), strict=True):
        if is_dropped and line.strip():
            start = len(text) + len(line) - len(line.lstrip())
            spans.append(Span(start, start + len(line.strip()), len(line)))
        text += line
    return Evidence(BOILERPLATE, "normalised", text, spans)
