"""Draw the text that a tokenizer is trained on: lines from all of the corpora, the same on any machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from filters.kernels import jit, mix64
from pipeline.core.errors import UsageError
from tokenizer.model import RESERVED
from tokenizer.texts import Texts
from tokenizer.words import DELIMITER

# Longer lines are cut, after a sentence's end where there is one: SentencePiece passes over lines of more than LONGEST bytes.
LONGEST = 4096
_CUT_CHARACTERS = 1000  # characters, so that a line has at most 4,000 bytes
# Up to so many characters that end in a sentence's end, or else so many.
_STRETCH = rf"[^\n]{{1,{_CUT_CHARACTERS - 1}}}[。！？!?．]|[^\n]{{1,{_CUT_CHARACTERS}}}"
_REMOVED = f"[{RESERVED}{DELIMITER}\0]"


@dataclass(frozen=True)
class WeightedCorpus:
    """A corpus and its weight among others."""

    name: str
    texts: Texts
    weight: float | None = None  # None: its size


@dataclass(frozen=True)
class CorpusShare:
    """How much of one corpus was drawn, in bytes."""

    name: str
    weight: float | None
    bytes: int
    drawn: int


@dataclass(frozen=True)
class Sample:
    """What was drawn; `training.json` tells the same."""

    lines: int
    bytes: int
    characters: int
    sha256: str
    corpora: list[CorpusShare]


@jit
def _select(numbers, seed, limit):
    """Return bool[n]: which of the texts or lines with these numbers are drawn."""
    out = np.empty(len(numbers), np.bool_)
    for i in range(len(numbers)):
        out[i] = mix64(mix64(np.uint64(numbers[i])) ^ np.uint64(seed)) < limit
    return out


def split_lines(texts: pl.DataFrame) -> pl.DataFrame:
    """Split the column `text` into lines that a trainer takes: without reserved characters, cut at tabs, none empty or too long.

    Other columns are repeated.
    """
    line = pl.col("text")
    lines = texts.with_columns(line.str.replace_all(_REMOVED, "").str.split("\n")).explode("text")
    lines = lines.with_columns(line.str.split("\t")).explode("text").filter(line.str.len_bytes() > 0)
    long = lines["text"].str.len_chars() > _CUT_CHARACTERS
    if long.any():
        # Long lines are cut after a sentence's end, or else after so many characters, and stay in order.
        numbered = lines.with_row_index("_at")
        cut = numbered.filter(long).with_columns(line.str.extract_all(_STRETCH))
        lines = pl.concat([numbered.filter(~long), cut.explode("text")]).sort("_at", maintain_order=True).drop("_at")
    return lines.filter(line.str.len_bytes() <= LONGEST)


def _sample_lines(source: WeightedCorpus, budget: int, seed: int) -> Iterator[pl.Series]:
    share = min(1.0, budget / max(source.texts.bytes, 1))
    # Some of the texts, and some of their lines: each by the root of the share, so that most text need not be split into lines.
    limit = np.uint64(min(share**0.5 * 2.0**64, 2.0**64 - 2048))
    first = 0
    for batch in source.texts.batches():
        numbers = np.arange(first, first + len(batch), dtype=np.uint64)
        first += len(batch)
        texts = pl.DataFrame({"text": batch, "number": numbers})
        if share == 1:
            lines = split_lines(texts)["text"]
        else:
            candidates = split_lines(texts.filter(pl.Series(_select(numbers, seed, limit))))
            # A line is numbered by its text and its position in it, whatever else is drawn.
            text = candidates["number"].to_numpy()
            position = (np.arange(len(text)) - np.searchsorted(text, text)).astype(np.uint64)
            lines = candidates["text"].filter(pl.Series(_select((text << np.uint64(24)) + position, seed + 1, limit)))
        if len(lines):
            yield lines


def divide_budget(sources: Sequence[WeightedCorpus], budget: int) -> list[int]:
    """Divide bytes among corpora by weight, or by size where there is none. What a small corpus cannot fill, the others get."""
    sizes = [s.texts.bytes for s in sources]
    weights = [size if s.weight is None else s.weight for s, size in zip(sources, sizes, strict=True)]
    if sum(weights) <= 0:
        return [0 for _ in sources]
    shares, left, unfilled = [0.0] * len(sources), float(budget), [i for i, w in enumerate(weights) if w > 0]
    while unfilled:
        total = sum(weights[i] for i in unfilled)
        full = [i for i in unfilled if left * weights[i] / total >= sizes[i]]
        if not full:
            for i in unfilled:
                shares[i] = left * weights[i] / total
            break
        for i in full:
            shares[i] = sizes[i]
        left -= sum(sizes[i] for i in full)
        unfilled = [i for i in unfilled if i not in full]
    return [int(x) for x in shares]


def find_most(sources: Sequence[WeightedCorpus]) -> int | None:
    """Return how many bytes can be drawn in the proportions of the weights, until one of the corpora is used up; None without weights."""
    weights = [source.weight for source in sources if source.weight is not None]
    if len(weights) < len(sources):
        return None
    return max(1, int(min(s.texts.bytes * sum(weights) / weight for s, weight in zip(sources, weights, strict=True))))


def draw_sample(
    sources: Sequence[WeightedCorpus], budget: int, seed: int, out: Path, report_progress: Callable[[float], None] | None = None
) -> Sample:
    """Write about `budget` bytes of lines to a file. Raises UsageError where there is no text."""
    digest, corpora = hashlib.sha256(), list[CorpusShare]()
    lines_drawn = bytes_drawn = characters = 0
    shares = divide_budget(sources, budget)
    with open(out, "wb") as file:
        for source, share in zip(sources, shares, strict=True):
            before = bytes_drawn
            for lines in _sample_lines(source, share, seed) if share else ():
                body = "\n".join(lines.to_list()).encode() + b"\n"
                file.write(body)
                digest.update(body)
                lines_drawn += len(lines)
                bytes_drawn += len(body) - len(lines)
                characters += int(lines.str.len_chars().sum())
                if report_progress is not None:
                    report_progress(bytes_drawn / max(sum(shares), 1))
            corpora.append(CorpusShare(source.name, source.weight, source.texts.bytes, bytes_drawn - before))
    if not lines_drawn:
        raise UsageError(f"there is no text in {', '.join(s.name for s in sources)}: a tokenizer needs some to be trained on")
    return Sample(lines_drawn, bytes_drawn, characters, digest.hexdigest(), corpora)
