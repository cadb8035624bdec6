"""A tokenizer of Seimai, or any SentencePiece model, with strings in and lists of ids out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from filters.kernels import buffers
from pipeline.core.errors import UsageError
from pipeline.core.paths import expand_home
from pipeline.core.python_names import call_from_python
from seimai.arguments import AnyPath, read_path
from seimai.texts import to_table
from tokenizer import model


class Tokenizer:
    """A tokenizer: a folder with a `tokenizer.model`, a SentencePiece `.model` file, or a corpus that has one. Raises UsageError.

    Nothing is added to what is encoded, neither BOS nor EOS, and what is decoded is what was encoded.
    """

    @call_from_python()
    def __init__(self, path: AnyPath) -> None:
        self.path = expand_home(read_path("path", path))
        inside = self.path / "tokenizer"
        self._model = model.Tokenizer.load(inside if (inside / model.MODEL).is_file() else self.path)

    def __len__(self) -> int:
        return len(self._model)

    def __repr__(self) -> str:
        return f"Tokenizer({str(self.path)!r}, {len(self):,} pieces)"

    @call_from_python()
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        if not isinstance(text, str):
            raise UsageError(f"encode takes a string, not {type(text).__name__}: encode_batch takes many")
        ids: list[int] = self.encode_batch([text])[0].to_list()
        return ids

    @call_from_python()
    def encode_batch(self, texts: Any) -> pl.Series:
        """Return the ids of many texts, a polars Series of lists; null for null.

        `texts`: strings, a Series of polars or pandas, or an Arrow array. `.to_list()` makes Python's lists of it.
        """
        column = pl.Series(pl.from_arrow(to_table(texts).column(0)))
        if column.dtype != pl.String:
            raise UsageError(f"expected strings, found {column.dtype}")
        ids, offsets = self._model.encode(*buffers(column))
        lists = pl.Series("ids", pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(ids)))
        return pl.select(pl.when(column.is_not_null()).then(lists).alias("ids")).to_series()

    @call_from_python()
    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids."""
        return self._model.decode(list(ids))

    @call_from_python()
    def decode_batch(self, ids: pl.Series | Iterable[Sequence[int] | None]) -> pl.Series:
        """Return the texts of many lists of ids, a polars Series of strings; null for null."""
        return pl.Series("text", [None if one is None else self.decode(one) for one in ids], pl.String)

    def id_of(self, role: str) -> int | None:
        """Return the id of `bos`, `eos`, `pad` or `unk`, or None where the model has none."""
        return self._model.id_of(role)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model file."""
        return self._model.fingerprint
