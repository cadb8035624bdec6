"""A tokenizer: SentencePiece's model, what is changed in it after training, and how it encodes columns of text."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from filters.kernels import to_arrow
from pipeline.core.errors import UsageError
from tokenizer.unigram import GRID, SPACE, Unigram

MODEL = "tokenizer.model"
proto: Any = sentencepiece_model_pb2  # untyped: its classes are made when it is imported
# Characters that SentencePiece's trainer keeps for itself: its space, its unknown character. Its boundary is a tab.
RESERVED = SPACE + "\u2585"
WHITESPACE = ("\n", "\t")
_UNIGRAM = proto.TrainerSpec.UNIGRAM
_PIECE = proto.ModelProto.SentencePiece


def finish_model(trained: bytes, drop: str = "") -> bytes:
    """Make a trained model exact: decoding returns what was encoded, and every implementation gives the same ids.

    - A space stays a space. SentencePiece writes U+2581 for it inside pieces, so U+2581 in a text would be decoded as a space. Here pieces
      hold spaces, nothing is escaped, and U+2581 is spelled by bytes.
    - Line feed and tab become ordinary pieces. As user-defined symbols they would not be scored like others.
    - Scores of a unigram model are rounded to multiples of 1/32. Their sums are exact, so every implementation chooses the same among
      equal segmentations, in whatever order it adds.
    - `drop`, the delimiter between words, is removed: it was needed for training only.
    """
    model = proto.ModelProto.FromString(trained)
    kept = [p for p in model.pieces if not (drop and drop in p.piece)]
    unigram = model.trainer_spec.model_type == _UNIGRAM
    highest = -math.inf
    for p in kept:
        if p.type == _PIECE.NORMAL:
            p.piece = p.piece.replace(SPACE, " ")
            if unigram:
                p.score = round(p.score * GRID) / GRID
            highest = max(highest, p.score)
    for p in kept:
        if p.type == _PIECE.USER_DEFINED and p.piece in WHITESPACE:
            p.type, p.score = _PIECE.NORMAL, highest
    pieces = [_PIECE.FromString(p.SerializeToString()) for p in kept]
    del model.pieces[:]
    model.pieces.extend(pieces)
    model.normalizer_spec.escape_whitespaces = False
    model.trainer_spec.vocab_size = len(pieces)
    model.trainer_spec.pretokenization_delimiter = ""
    return model.SerializeToString(deterministic=True)


@dataclass(frozen=True)
class Tokenizer:
    """A SentencePiece model. `content` is the file's bytes, so that it travels to workers whole."""

    content: bytes

    @staticmethod
    def load(path: str | Path) -> Tokenizer:
        """Load a `.model` file or a folder with a `tokenizer.model`. Raises UsageError where there is none or it is damaged."""
        path = Path(path)
        file = path / MODEL if path.is_dir() else path
        if not file.is_file():
            raise UsageError(
                f"there is no tokenizer in {path}: expected {MODEL} there, or the path of a SentencePiece .model file. "
                "Train one with: python -m tokenizer.train CORPUS"
            )
        tokenizer = Tokenizer(file.read_bytes())
        try:
            usable = len(tokenizer.proto.pieces) > 0 and tokenizer.processor.vocab_size() == len(tokenizer.proto.pieces)
            tokenizer._unigram  # noqa: B018 - checks the pieces
        except (DecodeError, RuntimeError, ValueError, OSError):
            usable = False
        if not usable:
            raise UsageError(f"{file} is not a SentencePiece model (or is damaged)")
        return tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model file."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def proto(self) -> Any:
        return proto.ModelProto.FromString(self.content)

    @cached_property
    def processor(self) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_proto=self.content)

    @cached_property
    def _unigram(self) -> Unigram | None:
        return Unigram.from_proto(self.proto)

    def __len__(self) -> int:
        return len(self.proto.pieces)

    def id_of(self, role: str) -> int | None:
        """Return the id of `bos`, `eos`, `pad` or `unk`, or None where the model has none."""
        number = getattr(self.processor, f"{role}_id")()
        return number if number >= 0 else None

    def encode(self, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode a column of texts as Arrow holds it (uint8[bytes] of valid UTF-8, int64[n + 1]) to int32[tokens], int64[n + 1].

        Nothing is added, neither BOS nor EOS. Ids are those of SentencePiece.
        """
        if self._unigram is not None:
            return self._unigram.encode(data, offsets)
        texts = to_arrow(data, offsets).to_pylist()
        encoded = self.processor.encode(texts, return_type="numpy")
        ends = np.concatenate([[0], np.cumsum([len(ids) for ids in encoded])]).astype(np.int64)
        return np.concatenate([*encoded, np.zeros(0, np.int32)]).astype(np.int32), ends

    def decode(self, ids: np.ndarray | list[int]) -> str:
        return str(self.processor.decode([int(i) for i in ids]))
