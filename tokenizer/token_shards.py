"""A folder of token shards as `tokens.json` describes it: of which corpus, by which tokenizer, and the command that makes it anew."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.identity import identify_corpus, identify_shards
from pipeline.core.paths import shorten_path
from pipeline.core.vouching import read_checked
from tokenizer.model import Tokenizer
from tokenizer.settings import Encoding
from tokenizer.texts import COLUMNS

TOKENS_FILE = "tokens.json"  # describes a folder of token shards
_SMALL = 5_000_000  # bytes of shards, about as many characters of Japanese text: some hundred sequences of the default length
_SHORT = 256  # tokens, as long as the positions of `--config tiny`


@dataclass(frozen=True)
class EncodedCounts:
    """What encoding a range, or a split, came to."""

    documents: int
    empty: int  # documents without a token
    characters: int
    bytes: int
    tokens: int
    separators: int  # BOS and EOS


@dataclass(frozen=True)
class PackedCounts:
    """What packing a shard, or a split, came to."""

    sequences: int
    tokens: int
    left_out: int
    padding: int


_COUNTS = [field.name for counts in (EncodedCounts, PackedCounts) for field in fields(counts)]


def read_description(folder: Path) -> dict[str, Any] | None:
    """Read `tokens.json`; None where there is no sound one."""
    description: Any = read_checked(folder / TOKENS_FILE)
    try:
        sound = (
            all(isinstance(description[key], str) for key in ("fingerprint", "tokenizer"))
            and all(isinstance(counts[name], int) for counts in description["splits"].values() for name in _COUNTS)
            and all(isinstance(name, str) and Path(name).name == name for name in description["shards"])
            and [entry["path"] for entry in description["files"]] == description["shards"]
        )
    except (TypeError, KeyError, AttributeError):
        return None
    return description if sound else None


def refuse_foreign_folder(tokens: Path) -> None:
    """Raise UsageError where a folder that is to hold token shards holds something else."""
    if tokens.is_dir() and any(tokens.iterdir()) and not (tokens / TOKENS_FILE).is_file():
        raise UsageError(f"{tokens} is not empty and holds no token shards; choose another --out")
    if tokens.exists() and not tokens.is_dir():
        raise UsageError(f"{tokens} is a file, not a folder")


def check_tokens(tokens: Path, tokenizer: Tokenizer, corpus: Path | None = None) -> dict[str, Any]:
    """Read the description of a folder of token shards.

    Raises UsageError where there are none, or they are of another tokenizer, or not of the shards of `corpus`: it says how to make them.
    """
    description = read_description(tokens)
    if description is None:
        command = encode_command(corpus, tokens=tokens, overwrite=(tokens / TOKENS_FILE).exists())
        if (tokens / TOKENS_FILE).exists():
            raise UsageError(f"{tokens / TOKENS_FILE} is damaged: make the shards again with {command}")
        raise UsageError(f"{tokens} has no token shards: make some with {command}")
    if description["tokenizer"] != tokenizer.fingerprint:
        raise UsageError(
            f"the token shards in {tokens} were made with another tokenizer "
            f"({description['tokenizer'][:12]}, not {tokenizer.fingerprint[:12]}): "
            f"make them again with {encode_command(corpus, description, tokens, overwrite=True)}"
        )
    source = _find_source(tokens, corpus)
    if source is not None and (identity := identify_corpus(source)) not in (None, description.get("corpus")):
        made = "were made before" if "corpus" in description else "do not say whether they were made before or after"
        raise UsageError(
            f"the token shards in {tokens} {made} {source} was built anew (its shards are {str(identity)[:12]}, theirs were "
            f"{str(description.get('corpus', 'unknown'))[:12]}): make them again with {encode_command(source, description, tokens)}"
        )
    return description


def _find_source(tokens: Path, corpus: Path | None) -> Path | None:
    """Return the corpus that a folder of token shards is of: the one that it lies in, else `corpus`."""
    if (tokens.parent / "data").is_dir():
        return tokens.parent
    return None if corpus is None or corpus.absolute() == tokens.absolute() else corpus


def encode_command(
    corpus: Path | None, description: dict[str, Any] | None = None, tokens: Path | None = None, overwrite: bool = False
) -> str:
    """Return the command that makes token shards of a corpus, with the settings of those that `description` is of."""
    words = ["python -m tokenizer.encode", "CORPUS" if corpus is None else shlex.quote(shorten_path(corpus))]
    described = description or {}
    for name, field in Encoding.model_fields.items():
        value = described.get(name, field.default)
        if value == field.default:
            continue
        option = name.replace("_", "-")
        words.append(f"--no-{option}" if value is False else f"--{option} {shlex.quote(str(value))}")
    if (column := described.get("column", COLUMNS[0])) not in COLUMNS:
        words.append(f"--column {shlex.quote(str(column))}")
    if corpus is not None and tokens is not None and tokens.absolute() != (corpus / "tokens").absolute():
        words.append(f"--out {shlex.quote(str(tokens))}")
    return " ".join([*words, *["--overwrite"] * overwrite])


def _is_small(corpus: Path) -> bool:
    return sum(path.stat().st_size for path in (corpus / "data").glob("*.parquet")) < _SMALL


def suggest_encoding(corpus: Path, is_small: bool | None = None) -> str | None:
    """Return the command that makes the token shards of a corpus anew; None where they are of its shards and its tokenizer.

    Of little text (`is_small`; None: as its shards are) few sequences of the default length come, or none: the command asks for short ones.
    """
    tokens = corpus / "tokens"
    tokenizer, description = _load_tokenizer(corpus / "tokenizer"), read_description(tokens)
    if tokenizer is not None and description is not None:
        try:
            check_tokens(tokens, tokenizer, corpus)
            return None
        except UsageError:
            pass
    is_of_tokenizer = tokenizer is not None and description is not None and description["tokenizer"] == tokenizer.fingerprint
    if description is None and (_is_small(corpus) if is_small is None else is_small):
        description = {"sequence_length": _SHORT}
    return encode_command(corpus, description, overwrite=(tokens / TOKENS_FILE).exists() and not is_of_tokenizer)


def is_of_earlier_build(tokenizer: Path, corpus: Path) -> bool:
    """Return whether a tokenizer was trained on a corpus before it was built anew, as its `training.json` tells."""
    record = read_checked(tokenizer / "training.json")
    sample = record.get("sample") if record is not None else None
    drawn = sample.get("corpora") if isinstance(sample, dict) else None
    for entry in drawn if isinstance(drawn, list) else []:
        if isinstance(entry, dict) and entry.get("name") == corpus.name and "shards" in entry:
            files = sorted((corpus / "data").glob("train-*.parquet"))
            return bool(files) and identify_shards(files) != entry["shards"]
    return False


def _load_tokenizer(folder: Path) -> Tokenizer | None:
    try:
        return Tokenizer.load(folder)
    except UsageError:
        return None
