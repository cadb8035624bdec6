"""Texts to train a model of quality on: JSON lines, Parquet, plain text, CC-100's files, and corpora that Seimai built.

Files may be compressed (gz, xz, bz2, zst for JSON lines). A folder is a corpus: its Parquet files, in `data/` where there is one.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from filters.model_training import Texts
from filters.text.normalisation import normalise
from filters.text.text_model import LEAST_CHARACTERS

_BATCH = 4096
_OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_KINDS = (
    "JSON lines (.jsonl), Parquet, plain text (.txt, a blank line between documents or one a line), or the folder of a corpus"
)


class LabelledTextsError(ValueError):
    """Texts that cannot be read, or that no model can be trained on."""


@dataclass(frozen=True)
class Keys:
    """What the columns of JSON lines and Parquet files are called, and which labels there are."""

    text: str = "text"
    label: str = "label"
    weight: str = "weight"  # how much a text counts, 1 where there is none
    good: str = "good"
    bad: str = "bad"


@dataclass(frozen=True)
class _Row:
    text: str
    label: str | None
    weight: float


def read_two(good: Path, bad: Path, keys: Keys = Keys(), most: int | None = None) -> Texts:
    """Read texts of two kinds from a path each; labels in them are not looked at. Raises LabelledTextsError."""
    return _check(_collect(good, keys, True, most) + _collect(bad, keys, False, most), f"{good} and {bad}")


def read_labelled(path: Path, keys: Keys = Keys(), most: int | None = None) -> Texts:
    """Read texts with labels from JSON lines or Parquet. Raises LabelledTextsError."""
    rows = _collect(path, keys, None, most)
    return _check(rows, str(path))


_Labelled = tuple[str, bool, float]


def _collect(path: Path, keys: Keys, good: bool | None, most: int | None) -> list[_Labelled]:
    """Return text, whether it is good, and weight; of more than `most` of a kind those whose hashes are lowest."""
    rows: list[_Labelled] = []
    labels: set[str | None] = set()
    for row in _read(path, keys):
        labels.add(row.label)
        if good is None and row.label not in (keys.good, keys.bad):
            continue
        rows.append((row.text, row.label == keys.good if good is None else good, row.weight))
    if not labels:
        raise LabelledTextsError(f"{path} holds no texts: expected {_KINDS}")
    if good is None:
        missing = [label for label in (keys.good, keys.bad) if label not in labels]
        if missing:
            found = ", ".join(sorted(map(repr, labels))[:8])
            raise LabelledTextsError(
                f"{path}: no text has the {keys.label} {missing[0]!r}; found {found}. "
                "Both kinds are needed: name the labels with --good and --bad, the column with --label, or give two files"
            )
    return [row for kind in (True, False) for row in _choose([row for row in rows if row[1] == kind], most)]


def _choose(rows: list[_Labelled], most: int | None) -> list[_Labelled]:
    if most is None or len(rows) <= most:
        return rows
    return sorted(rows, key=lambda row: hashlib.sha256(row[0].encode()).digest())[:most]


def _check(rows: list[_Labelled], where: str) -> Texts:
    """Normalise texts as a build does, and leave out those that are too short."""
    texts = normalise(pl.Series("text", [text for text, _, _ in rows], dtype=pl.String))
    visible = texts.str.replace_all(r"\s", "").str.len_chars().to_numpy()
    chosen = np.flatnonzero(visible >= LEAST_CHARACTERS)
    texts = texts.gather(chosen)
    good = np.array([good for _, good, _ in rows], bool)[chosen]
    for kind, name in ((good, "good"), (~good, "bad")):
        if kind.sum() < 2:
            raise LabelledTextsError(
                f"{where}: {kind.sum()} {name} texts of {LEAST_CHARACTERS} characters or more; a model needs hundreds of each kind"
            )
    both = set(texts.filter(good).to_list()) & set(texts.filter(~good).to_list())
    if both:
        shown = min(both)[:60].replace("\n", " ")
        raise LabelledTextsError(
            f"{where}: {len(both)} texts are both good and bad, such as {shown!r}. Decide, and take one out"
        )
    return Texts(texts, good, np.array([weight for _, _, weight in rows], float)[chosen])


# -- files


def _read(path: Path, keys: Keys) -> Iterator[_Row]:
    if path.is_dir():
        folder = path / "data" if (path / "data").is_dir() else path
        files = sorted(folder.glob("*.parquet"))
        if not files:
            raise LabelledTextsError(f"there are no Parquet files in {folder}: expected {_KINDS}")
    elif path.is_file():
        files = [path]
    else:
        raise LabelledTextsError(f"{path} does not exist: expected {_KINDS}")
    for file in files:
        try:
            if file.suffix == ".parquet":
                yield from _read_parquet(file, keys)
            elif ".jsonl" in file.suffixes or ".json" in file.suffixes or ".ndjson" in file.suffixes:
                yield from _read_jsonl(file, keys)
            elif ".txt" in file.suffixes:
                yield from _read_plain(file)
            else:
                raise LabelledTextsError(f"{file}: of what kind are its texts? Expected {_KINDS}")
        except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError, pa.ArrowException) as error:
            raise LabelledTextsError(f"{file} cannot be read: {error}") from None


def _open(file: Path) -> IO[Any]:
    return _OPENERS.get(file.suffix, open)(file, "rt", encoding="utf-8", newline="\n")


def _make_row(text: object, label: object, weight: object, where: str, keys: Keys) -> _Row | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise LabelledTextsError(f"{where}: {keys.text} is {text!r}, expected a text")
    if weight is None:
        weight = 1.0
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e9:
        raise LabelledTextsError(f"{where}: {keys.weight} is {weight!r}, expected a number above 0")
    return _Row(text, None if label is None else str(label), float(weight))


def _read_jsonl(file: Path, keys: Keys) -> Iterator[_Row]:
    found = False
    with _open(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise LabelledTextsError(f"{file}, line {number}: not JSON ({error})") from None
            if not isinstance(row, dict) or keys.text not in row:
                raise LabelledTextsError(f"{file}, line {number}: no key {keys.text!r}. Name another with --text")
            made = _make_row(row[keys.text], row.get(keys.label), row.get(keys.weight), f"{file}, line {number}", keys)
            if made is not None:
                found = True
                yield made
    if not found:
        raise LabelledTextsError(f"{file} holds no texts: expected {_KINDS}")


def _read_parquet(file: Path, keys: Keys) -> Iterator[_Row]:
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        if keys.text not in names:
            raise LabelledTextsError(
                f"{file} has no column {keys.text!r}; its columns: {', '.join(names)}. Name one with --text"
            )
        columns = [name for name in (keys.text, keys.label, keys.weight) if name in names]
        for batch in parquet.iter_batches(_BATCH, columns=columns):
            for row in batch.to_pylist():
                made = _make_row(row[keys.text], row.get(keys.label), row.get(keys.weight), str(file), keys)
                if made is not None:
                    yield made


def _read_plain(file: Path) -> Iterator[_Row]:
    """Yield documents between blank lines, as in CC-100; where there is no blank line, lines."""
    with _open(file) as lines:
        is_divided = any(not line.strip() for line in lines)
    with _open(file) as lines:
        document: list[str] = []
        for line in lines:
            if line.strip():
                document.append(line)
            if document and (not is_divided or not line.strip()):
                yield _Row("".join(document), None, 1.0)
                document = []
        if document:
            yield _Row("".join(document), None, 1.0)
