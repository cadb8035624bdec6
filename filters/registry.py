"""What a measure is, and how measures are computed.

A measure is a function without arguments that returns a polars expression over `text` and counters. Counters come from
*passes*: compiled loops over a column of text that count many things at once. A measure names no pass. The columns that its
expression reads say which passes have to run, and only those do.

    @measure
    def mean_line_length() -> pl.Expr:
        '''Mean length of lines in visible characters.'''
        return share(pl.col("n_visible"), pl.col("n_lines"))
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Literal, overload

import numpy as np
import polars as pl

from filters.caption import labels, tokens
from filters.evidence import Evidence, replace_surrogates
from filters.kernels import buffers, to_arrow
from filters.published import gopher, hojichar, llmjp, swallow
from filters.text import characters, language, language_lines, mojibake, phrases, repetition, text_model
from filters.transcript import chinese, phantoms, repeated_phrases

Counters = dict[str, np.ndarray]
Kind = Literal["text", "document", "corpus", "page", "url", "caption", "transcript", "audio", "image"]
Function = Callable[[], pl.Expr]


@dataclass(frozen=True)
class Measure:
    """A named column of numbers, or of words as `language` has them.

    `kind` says what it is computed from: any "text" (documents and captions), a "document" (and how it was cleaned), a document
    in its "corpus" (known once all are), a "page" of Wikipedia, the "url" of a document, a "caption" or a "transcript" (short texts),
    an "image" or "audio". What is computed only `on_request` belongs to the presets of other projects.
    `evidence` finds what in one text makes the measure what it is: in the cleaned text, or in the text as it came (`of_raw`).
    """

    name: str
    description: str
    function: Function
    kind: Kind = "text"
    words: bool = False
    on_request: bool = False
    evidence: Evidence | None = None
    of_raw: bool = False

    @cached_property
    def expression(self) -> pl.Expr:
        return self.function().alias(self.name)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The counters (and perhaps `text`) that the measure is computed from."""
        return frozenset(self.expression.meta.root_names())


MEASURES: dict[str, Measure] = {}
NO_DOCSTRINGS = (
    "Python was started with -OO or PYTHONOPTIMIZE=2, which takes the docstrings away that measures are described by, on cards and in "
    "reports. Start it without (-O does no harm)"
)


@overload
def measure(function: Function) -> Function: ...
@overload
def measure(
    *,
    kind: Kind = "text",
    words: bool = False,
    on_request: bool = False,
    evidence: Evidence | None = None,
    of_raw: bool = False,
) -> Callable[[Function], Function]: ...
def measure(
    function: Function | None = None,
    *,
    kind: Kind = "text",
    words: bool = False,
    on_request: bool = False,
    evidence: Evidence | None = None,
    of_raw: bool = False,
) -> object:
    """Register a measure under the function's name; the first paragraph of its docstring is the description users see.

    With `words` the values are strings, which a rule bounds by `any_of` and `none_of` instead of numbers. With `on_request` the measure is
    computed only where it is named. `evidence` shows what in a text makes it what it is, to who asks.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        if name in MEASURES:
            raise ValueError(f"there are two measures called {name!r}")
        if not function.__doc__ and sys.flags.optimize > 1:
            raise SystemExit(NO_DOCSTRINGS)
        if not function.__doc__:
            raise ValueError(f"measure {name!r} needs a docstring: users read it on the dataset card, and in their editor")
        description = inspect.cleandoc(function.__doc__).partition("\n\n")[0]
        shown = evidence and replace_surrogates(evidence)
        MEASURES[name] = Measure(name, " ".join(description.split()), function, kind, words, on_request, shown, of_raw)
        return function

    return register if function is None else register(function)


def order_measures(*modules: ModuleType) -> None:
    """Put the measures of `modules` first in `MEASURES`, in the order of the modules and, within one, of its functions."""
    places = {module.__name__: place for place, module in enumerate(modules)}
    for name in sorted(MEASURES, key=lambda name: places.get(MEASURES[name].function.__module__, len(places))):
        MEASURES[name] = MEASURES.pop(name)


def _run_passes(data: np.ndarray, offsets: np.ndarray, wanted: set[str]) -> Counters:
    """Run the passes that count what is `wanted`, and only those."""
    counters: Counters = {}
    needs_language = bool(wanted & set(language_lines.COUNTERS))
    if needs_language or wanted & set(characters.COUNTERS):
        counters |= characters.count(data, offsets)
    if wanted & set(repetition.COUNTERS):
        counters |= repetition.count(data, offsets, wanted)
    if wanted & set(mojibake.COUNTERS):
        counters |= mojibake.count(data, offsets)
    if wanted & set(phrases.COUNTERS):
        counters |= phrases.count(data, offsets, wanted)
    if wanted & set(text_model.COUNTERS):
        counters |= text_model.count(data, offsets, wanted)
    if needs_language:
        counters |= language_lines.count(data, offsets, counters)
    if wanted & {*labels.LANGUAGE_COUNTERS, *tokens.COUNTERS}:
        plain = labels.remove_labels(pl.Series("caption", to_arrow(data, offsets)))
        if wanted & set(labels.LANGUAGE_COUNTERS):
            found = language.identify_languages(*buffers(plain.captions))
            counters |= dict(zip(labels.LANGUAGE_COUNTERS, found, strict=True))
        if wanted & set(tokens.COUNTERS):
            counters |= tokens.count(data, offsets, plain, wanted)
    if wanted & set(repeated_phrases.COUNTERS):
        counters |= repeated_phrases.count(data, offsets)
    if wanted & set(chinese.COUNTERS):
        counters |= chinese.count(data, offsets)
    if wanted & set(phantoms.COUNTERS):
        counters |= phantoms.count(data, offsets)
    return counters | _run_published_passes(data, offsets, wanted)


def _run_published_passes(data: np.ndarray, offsets: np.ndarray, wanted: set[str]) -> Counters:
    """Run the passes of other projects' measures that count what is `wanted`."""
    counters: Counters = {}
    if wanted & set(swallow.COUNTERS):
        counters |= swallow.count(data, offsets)
    for published in (gopher, hojichar, llmjp):
        if wanted & set(published.COUNTERS):
            counters |= published.count(data, offsets, wanted)
    return counters


def compute(data: np.ndarray, offsets: np.ndarray, names: Sequence[str], given: Counters | None = None) -> pl.DataFrame:
    """Compute the measures `names` of n documents, one column each. `given` adds counters that the caller already has.

    Raises KeyError for a measure that does not exist.
    """
    measures = [MEASURES[name] for name in names]
    wanted = {column for m in measures for column in m.columns}
    counters = dict(given or {})
    counters |= _run_passes(data, offsets, wanted - set(counters))
    # Without the type, a column of strings with no rows, or whose first is null, would be one of Python objects.
    columns = {
        name: pl.Series(name, values.tolist(), dtype=pl.String) if values.dtype == object else pl.Series(name, values)
        for name, values in counters.items()
        if name in wanted
    }
    if "text" in wanted:
        columns["text"] = pl.Series("text", to_arrow(data, offsets))
    frame = pl.DataFrame(columns) if columns else pl.DataFrame({"_": np.zeros(len(offsets) - 1, np.int8)})
    return frame.select(m.expression for m in measures)


def measure_frame(frame: pl.DataFrame, names: Sequence[str] | None = None, text: str = "text") -> pl.DataFrame:
    """Return `frame` with a column for every measure in `names` (default: Seimai's own of text), computed from its column `text`.

    The text is measured as it is: normalise it first (`filters.normalise`) for the numbers that a build would give.
    """
    data, offsets = buffers(frame[text])
    if names is None:
        names = [name for name, m in MEASURES.items() if m.kind in ("text", "document") and not m.on_request]
    nothing = np.zeros(len(frame), np.int32)  # what was taken out
    given = dict.fromkeys(("n_boilerplate_chars", "n_joined_spaces", "n_recurring_chars"), nothing)
    return frame.hstack(compute(data, offsets, names, given))


def measure_text(text: str, name: str) -> float | str | None:
    """Return one measure of a document, a caption or a transcript. Like `measure_frame`, it takes the text as it is.

    >>> measure_text("吾輩は猫である。", "hiragana_share")
    0.5
    """
    return measure_frame(pl.DataFrame({"text": [text]}), [name])[name].item()
