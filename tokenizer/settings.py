"""Settings of training and encoding, as the commands' options and a manifest's [tokenizer] give them."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.core.errors import UsageError
from pipeline.core.settings import Size, Table
from tokenizer.words import DELIMITER, WordBoundaries

# The first ids of every tokenizer that is trained here, in order.
UNK, BOS, EOS, PAD, MASK = "<unk>", "<s>", "</s>", "<pad>", "<mask>"
Packing = Literal["concatenate", "best-fit"]


class Training(Table):
    """What a model depends on, besides the text."""

    vocab_size: int = Field(32_000, ge=300, le=2_000_000, description="pieces, special tokens and the 256 bytes among them")
    model: Literal["unigram", "bpe"] = Field("unigram", description="kind of model")
    words: WordBoundaries = Field("none", description="whose word boundaries no piece crosses: none, mecab (UniDic) or sudachi")
    character_coverage: float = Field(
        0.9995, gt=0, le=1, description="share of the text whose characters get a piece; others go by bytes"
    )
    longest_piece: int = Field(16, ge=1, le=512, description="characters")
    split_digits: bool = Field(True, description="every digit is a piece of its own")
    split_scripts: bool = Field(True, description="no piece mixes scripts; kanji and both kana are one, punctuation is another")
    symbols: list[str] = Field(default_factory=list, description="further pieces, never split: markers of chats, for instance")
    special: list[str] = Field(default_factory=list, description="further special tokens, never found in text")
    memory: Size = Field(2_000_000_000, description="bytes that training may take; decides how much text is drawn")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="of the draw")
    threads: int = Field(4, ge=1, le=128, description="of SentencePiece; sums, and so the model, depend on how many there are")

    @field_validator("symbols", "special")
    @classmethod
    def _check_pieces(cls, value: list[str]) -> list[str]:
        for symbol in value:
            if symbol in (UNK, BOS, EOS, PAD, MASK, "\n", "\t") or re.fullmatch("<0x[0-9A-F]{2}>", symbol):
                raise ValueError(f"{symbol!r} is a piece of every tokenizer already")
            if not 2 <= len(symbol) <= 64 or not symbol.isprintable() or any(c in symbol for c in f" \u2581\u2585{DELIMITER}"):
                raise ValueError(f"{symbol[:64]!r} cannot be a piece: expected 2 to 64 printable characters without spaces")
        if len(set(value)) < len(value):
            raise ValueError("a piece is named twice")
        for one, other in permutations(value, 2):
            # What overlaps is chosen by score in one implementation, from the left in another.
            if one in other or any(one.endswith(other[:n]) for n in range(1, min(len(one), len(other)))):
                raise ValueError(f"{one!r} and {other!r} overlap")
        return value

    @model_validator(mode="after")
    def _check_disjoint(self) -> Training:
        if both := set(self.symbols) & set(self.special):
            raise ValueError(f"{sorted(both)} cannot be symbols and special tokens at once")
        return self


class Encoding(Table):
    """How documents become sequences."""

    sequence_length: int = Field(2048, ge=2, le=2**24, description="tokens")
    packing: Packing = Field(
        "concatenate", description="concatenate: cut anywhere; best-fit: whole documents where they fit, padded"
    )
    bos: bool = Field(True, description="put BOS before every document, where generation begins; EOS always ends it")
    shuffle: int = Field(1, ge=0, le=2**63 - 1, description="seed of the order of documents")
    tokens_per_shard: int = Field(16_777_216, ge=1, le=2**30, description="about so many")


class Tokenise(Training, Encoding):
    """The manifest's table [tokenizer]: train on what was kept, then encode it."""


Settings = TypeVar("Settings", bound=Table)


def parse_options(settings: type[Settings], options: dict[str, Any]) -> Settings:
    """Make settings from a command's options. Raises UsageError that names the option, what was found and what was expected."""
    try:
        return settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise UsageError("\n".join(map(_describe_error, error.errors()))) from None


def _describe_error(error: Any) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return str(message)
    name = str(error["loc"][0]).replace("_", "-")
    if name == "memory" and isinstance(error["input"], str):
        message = "expected a size such as 2GB or 500MB"
    return f"--{'symbol' if name == 'symbols' else name}: {message}, found {error['input']!r}"
