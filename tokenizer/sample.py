"""The text that a tokenizer is trained on: lines drawn from all of the corpora, the same on any machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from filters.kernels import jit, mix64
from pipeline.core.errors import UsageError
from tokenizer.model import RESERVED
from tokenizer.texts import Texts
from tokenizer.words import DELIMITER

# Longer lines are cut, after a sentence's end where there is one: SentencePiece passes over lines of more than LONGEST bytes.
LONGEST = 4096
_CUT = 1000  # characters, so that a line has at most 4,000 bytes
_REMOVED = f"[{RESERVED}{DELIMITER}\0]"


@dataclass(frozen=True)
class Source:
    """A corpus and its weight among others; None: by its size."""

    name: str
    texts: Texts
    weight: float | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn."""

    lines: int
    bytes: int
    characters: int
    sha256: str
    corpora: list[dict[str, Any]]


@jit
def _chosen(numbers, seed, limit):
    """bool[n]: which of the texts or lines of such numbers are drawn."""
    out = np.empty(len(numbers), np.bool_)
    for i in range(len(numbers)):
        out[i] = mix64(mix64(np.uint64(numbers[i])) ^ np.uint64(seed)) < limit
    return out


def lines_of(texts: pl.DataFrame) -> pl.DataFrame:
    """The lines of a column `text` as a trainer can take them: no reserved characters, cut at tabs and line feeds, none empty or too long.

    Other columns go along.
    """
    line = pl.col("text")
    lines = texts.with_columns(line.str.replace_all(_REMOVED, "").str.split("\n")).explode("text")
    lines = lines.with_columns(line.str.split("\t")).explode("text").filter(line.str.len_bytes() > 0)
    long = lines["text"].str.len_chars() > _CUT
    if long.any():
        # Of long lines up to so many characters that end in a sentence's end, or else so many. In order, as all is.
        numbered = lines.with_row_index("_at")
        cut = numbered.filter(long).with_columns(line.str.extract_all(rf"[^\n]{{1,{_CUT - 1}}}[。！？!?．]|[^\n]{{1,{_CUT}}}"))
        lines = pl.concat([numbered.filter(~long), cut.explode("text")]).sort("_at", maintain_order=True).drop("_at")
    return lines.filter(line.str.len_bytes() <= LONGEST)


def _drawn(source: Source, budget: int, seed: int) -> Iterator[pl.Series]:
    share = min(1.0, budget / max(source.texts.bytes, 1))
    # Some of the texts, and of these some of the lines: both by the root of the share, so that most text need not be cut to lines.
    limit = np.uint64(min(share**0.5 * 2.0**64, 2.0**64 - 2048))
    first = 0
    for batch in source.texts.batches():
        numbers = np.arange(first, first + len(batch), dtype=np.uint64)
        first += len(batch)
        texts = pl.DataFrame({"text": batch, "number": numbers})
        if share == 1:
            lines = lines_of(texts)["text"]
        else:
            found = lines_of(texts.filter(pl.Series(_chosen(numbers, seed, limit))))
            # A line is known by its text and its place in it, whatever else is drawn.
            text = found["number"].to_numpy()
            place = np.arange(len(text)) - np.searchsorted(text, text)
            lines = found["text"].filter(pl.Series(_chosen((text << np.uint64(24)) + place.astype(np.uint64), seed + 1, limit)))
        if len(lines):
            yield lines


def budgets(sources: Sequence[Source], budget: int) -> list[int]:
    """Bytes to draw of each: by weight, or by size where none is given. What a small corpus cannot fill, the others get."""
    sizes = [s.texts.bytes for s in sources]
    weights = [size if s.weight is None else s.weight for s, size in zip(sources, sizes, strict=True)]
    if sum(weights) <= 0:
        return [0 for _ in sources]
    given, left, open_ = [0.0] * len(sources), float(budget), [i for i, w in enumerate(weights) if w > 0]
    while open_:
        total = sum(weights[i] for i in open_)
        full = [i for i in open_ if left * weights[i] / total >= sizes[i]]
        if not full:
            for i in open_:
                given[i] = left * weights[i] / total
            break
        for i in full:
            given[i] = sizes[i]
        left -= sum(sizes[i] for i in full)
        open_ = [i for i in open_ if i not in full]
    return [int(x) for x in given]


def draw(sources: Sequence[Source], budget: int, seed: int, into: Path, told: Callable[[float], None] | None = None) -> Drawn:
    """Write about `budget` bytes of lines to a file, a line of text each. Raises UsageError where there is no text."""
    digest, total, characters, corpora = hashlib.sha256(), [0, 0], 0, list[dict[str, Any]]()
    allowed = budgets(sources, budget)
    with open(into, "wb") as file:
        for source, share in zip(sources, allowed, strict=True):
            before = total[1]
            for lines in _drawn(source, share, seed) if share else ():
                # The bytes of a column, end to end, are the lines without what is between them.
                body = "\n".join(lines.to_list()).encode() + b"\n"
                file.write(body)
                digest.update(body)
                total[0] += len(lines)
                total[1] += len(body) - len(lines)
                characters += int(lines.str.len_chars().sum())
                if told is not None:
                    told(total[1] / max(sum(allowed), 1))
            corpora.append(
                {"name": source.name, "weight": source.weight, "bytes": source.texts.bytes, "drawn": total[1] - before}
            )
    if not total[0]:
        raise UsageError(f"there is no text in {', '.join(s.name for s in sources)}: a tokenizer needs some to be trained on")
    return Drawn(total[0], total[1], characters, digest.hexdigest(), corpora)
