"""What a measure is, and how measures are computed.

A measure is a function without arguments that returns a polars expression over `text` and counters. Counters come from *passes*:
compiled loops over a column of text that count many things at once. A measure names no pass: the columns that its expression reads
say which passes have to run, and only those do.

    @measure
    def question_share() -> pl.Expr:
        '''Share of lines that end with a question mark.'''
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, overload

import numpy as np
import polars as pl

from filters.caption import language as caption_language
from filters.caption import tokens as caption_tokens
from filters.kernels import buffers, to_arrow
from filters.text import characters, language, phrases, repetition
from filters.transcript import repeated_phrases

Counters = dict[str, np.ndarray]
Kind = Literal["text", "document", "caption", "transcript", "audio", "image"]
Function = Callable[[], pl.Expr]


@dataclass(frozen=True)
class Measure:
    """A named column of numbers (or of words, as `language`).

    `kind` says what it is computed from: any "text" (documents and captions), a "document" (and how it was cleaned), a "caption"
    or a "transcript" (short texts), an "image" or "audio".
    """

    name: str
    description: str
    function: Function
    kind: Kind = "text"
    words: bool = False

    @cached_property
    def expression(self) -> pl.Expr:
        return self.function().alias(self.name)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The counters (and perhaps `text`) that the measure is computed from."""
        return frozenset(self.expression.meta.root_names())


MEASURES: dict[str, Measure] = {}


@overload
def measure(function: Function) -> Function: ...
@overload
def measure(*, kind: Kind = "text", words: bool = False) -> Callable[[Function], Function]: ...
def measure(function: Function | None = None, *, kind: Kind = "text", words: bool = False) -> object:
    """Register a measure under the function's name; its docstring is the description users see.

    `words`: the values are strings, which a rule bounds by `any_of` and `none_of`, not by numbers.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        if name in MEASURES:
            raise ValueError(f"there are two measures called {name!r}")
        if not function.__doc__:
            raise ValueError(f"measure {name!r} needs a docstring: it is what users read in the ledger's description")
        MEASURES[name] = Measure(name, " ".join(function.__doc__.split()), function, kind, words)
        return function

    return register if function is None else register(function)


def _counters(data: np.ndarray, offsets: np.ndarray, wanted: set[str]) -> Counters:
    found: Counters = {}
    by_language = wanted & set(language.COUNTERS)
    if by_language or wanted & set(characters.COUNTERS):
        found |= characters.count(data, offsets)
    if wanted & set(repetition.COUNTERS):
        found |= repetition.count(data, offsets, wanted)
    if wanted & set(phrases.COUNTERS):
        found |= phrases.count(data, offsets, tuple(wanted))
    if by_language:
        found |= language.count(data, offsets, found)
    if wanted & set(caption_language.COUNTERS):
        found |= caption_language.count(data, offsets)
    if wanted & set(caption_tokens.COUNTERS):
        found |= caption_tokens.count(data, offsets, wanted)
    if wanted & set(repeated_phrases.COUNTERS):
        found |= repeated_phrases.count(data, offsets)
    return found


def compute(
    data: np.ndarray, offsets: np.ndarray, names: Sequence[str], given: Counters | None = None, context: Iterable[str] = ()
) -> pl.DataFrame:
    """The measures `names` of n documents, one column each; `given` adds counters that the caller already has.

    `context` names counters to be returned beside the measures. Raises KeyError for a measure that does not exist.
    """
    chosen = [MEASURES[name] for name in names]
    wanted = {column for m in chosen for column in m.columns} | set(context)
    found = dict(given or {})
    found |= _counters(data, offsets, wanted - set(found))
    # Without the type, a column of strings with no rows, or whose first is null, would be one of Python objects.
    columns = {
        name: pl.Series(name, values.tolist(), dtype=pl.String) if values.dtype == object else pl.Series(name, values)
        for name, values in found.items()
        if name in wanted
    }
    if "text" in wanted:
        columns["text"] = pl.Series("text", to_arrow(data, offsets))
    frame = pl.DataFrame(columns) if columns else pl.DataFrame({"_": np.zeros(len(offsets) - 1, np.int8)})
    return frame.select(*(m.expression for m in chosen), *(name for name in context if name not in names))


def measure_frame(frame: pl.DataFrame, names: Sequence[str] | None = None, text: str = "text") -> pl.DataFrame:
    """`frame` with a column for every measure in `names` (default: all of text), computed from its column `text`.

    The text is measured as it is: normalise it first (`filters.normalise`) for the numbers a build would give.
    """
    data, offsets = buffers(frame[text])
    given: Counters = {
        "n_boilerplate_lines": np.zeros(len(frame), np.int32),
        "n_boilerplate_chars": np.zeros(len(frame), np.int32),
    }
    chosen = [name for name, m in MEASURES.items() if m.kind in ("text", "document")] if names is None else names
    return frame.hstack(compute(data, offsets, chosen, given))
