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
from pipeline.errors import UsageError
from tokenizer.model import RESERVED
from tokenizer.texts import Texts
from tokenizer.words import DELIMITER

# Longer lines are cut, after a sentence's end where there is one: SentencePiece passes over lines of more than LONGEST bytes.
LONGEST = 4096
_CUT = 1200  # characters, so that a line has at most 3,600 bytes (4,800 where all are outside the basic plane)
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
def _chosen(first, count, seed, limit):
    """bool[count]: which of the texts or lines numbered from `first` are drawn, by a hash of their number."""
    out = np.empty(count, np.bool_)
    for i in range(count):
        out[i] = mix64(mix64(np.uint64(first + i)) ^ np.uint64(seed)) < limit
    return out


def lines_of(batch: pl.Series) -> pl.Series:
    """The lines of texts as a trainer can take them: no reserved characters, cut at tabs and line feeds, none empty or too long."""
    lines = batch.str.replace_all(_REMOVED, "").str.split("\n").explode().str.split("\t").explode().drop_nulls()
    lines = lines.filter(lines.str.len_bytes() > 0)
    long = lines.str.len_chars() > _CUT
    if long.any():
        # Of long lines up to so many characters that end in a sentence's end, or else so many. In order, as all is.
        numbered = pl.DataFrame({"line": lines, "at": np.arange(len(lines))})
        cut = numbered.filter(long).with_columns(
            pl.col("line").str.extract_all(rf"[^\n]{{1,{_CUT - 1}}}[。！？!?．]|[^\n]{{1,{_CUT}}}")
        )
        lines = pl.concat([numbered.filter(~long), cut.explode("line")]).sort("at", maintain_order=True)["line"]
    return lines.filter(lines.str.len_bytes() <= LONGEST)


def _drawn(source: Source, budget: int, seed: int) -> Iterator[pl.Series]:
    share = min(1.0, budget / max(source.texts.bytes, 1))
    # Some of the texts, and of these some of the lines: both by the root of the share, so that most text need not be cut to lines.
    limit = np.uint64(min(share**0.5 * 2.0**64, 2.0**64 - 2048))
    text = line = 0
    for batch in source.texts.batches():
        if share == 1:
            lines = lines_of(batch)
        else:
            lines = lines_of(batch.filter(pl.Series(_chosen(text, len(batch), seed, limit))))
            text += len(batch)
            chosen = _chosen(line, len(lines), seed + 1, limit)
            line += len(lines)
            lines = lines.filter(pl.Series(chosen))
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
