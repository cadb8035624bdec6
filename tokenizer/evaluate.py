"""`python -m tokenizer.evaluate MODEL… --on CORPUS`: tokenizers beside each other on the same text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from filters.kernels import buffers
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.storage import write_atomically
from tokenizer.model import Tokenizer
from tokenizer.texts import Texts

# Power of Rényi's entropy at which efficiency goes best with quality: Zouhar et al., "Tokenization and the Noiseless Channel", ACL 2023.
RENYI_POWER = 2.5
# Characters of the list of 2010 that are mostly written, and encoded, in a form that the list allows: 𠮟 as 叱.
_JOYO_FORMS = {"𠮟": "叱", "塡": "填", "剝": "剥", "頰": "頬"}
SCRIPTS = ("kanji", "hiragana", "katakana", "latin", "digits", "other")
_SCRIPT = {
    "kanji": r"\p{Han}", "hiragana": r"\p{Hiragana}", "katakana": r"\p{Katakana}", "latin": r"\p{Latin}", "digits": r"\p{Nd}",
}  # fmt: skip


class Model(Protocol):
    """What is asked of a tokenizer, of whatever make."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Ids of each text, without special tokens."""

    def decode(self, ids: np.ndarray) -> str: ...

    def by_bytes(self, texts: list[str]) -> Iterator[str]:
        """The characters of each text that have no piece: spelled by bytes, or unknown."""

    def alone(self, character: str) -> bool:
        """Whether a character is one piece by itself."""

    @property
    def countable(self) -> np.ndarray:
        """bool[n]: pieces that ordinary text can use, so no special tokens."""


@dataclass(frozen=True)
class SentencePieceModel:
    """A `.model` file, trained here or elsewhere."""

    name: str
    tokenizer: Tokenizer

    def __len__(self) -> int:
        return len(self.tokenizer)

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        ids, ends = self.tokenizer.encode(*buffers(pl.Series(texts, dtype=pl.String)))
        return [ids[a:b] for a, b in zip(ends, ends[1:], strict=False)]

    def decode(self, ids: np.ndarray) -> str:
        return self.tokenizer.decode(ids)

    @cached_property
    def _flags(self) -> tuple[np.ndarray, np.ndarray]:
        kind = self.tokenizer.proto.SentencePiece
        types = np.array([p.type for p in self.tokenizer.proto.pieces])
        return np.isin(types, (kind.BYTE, kind.UNKNOWN)), ~np.isin(types, (kind.CONTROL, kind.UNKNOWN, kind.UNUSED))

    def by_bytes(self, texts: list[str]) -> Iterator[str]:
        spelled = self._flags[0]
        for text, ids in zip(texts, self.encode(texts), strict=True):
            if not spelled[ids].any():
                yield ""
                continue
            # Of all bytes of a character, the last has the character for its surface.
            pieces = self.tokenizer.processor.encode(text, return_type="proto").pieces
            yield "".join(p.surface for p in pieces if spelled[p.id])

    def alone(self, character: str) -> bool:
        return self.tokenizer.processor.piece_to_id(character) != self.tokenizer.processor.unk_id()

    @property
    def countable(self) -> np.ndarray:
        return self._flags[1]


@dataclass(frozen=True)
class HuggingFaceModel:
    """A `tokenizer.json`."""

    name: str
    tokenizer: Any  # tokenizers.Tokenizer

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        return [np.array(e.ids, np.int32) for e in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: np.ndarray) -> str:
        return str(self.tokenizer.decode(ids.tolist(), skip_special_tokens=False))

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """Pieces that stand for a byte or for what is unknown, and pieces that ordinary text can use."""
        table = self.tokenizer.get_vocab()
        spelled, usable = np.zeros(max(table.values()) + 1, bool), np.ones(max(table.values()) + 1, bool)
        unknown = json.loads(self.tokenizer.to_str())["model"].get("unk_token")
        for piece, i in table.items():
            spelled[i] = piece == unknown or (len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"))
        for i, token in self.tokenizer.get_added_tokens_decoder().items():
            usable[i] = not token.special
        return spelled, usable

    def by_bytes(self, texts: list[str]) -> Iterator[str]:
        spelled = self._kinds[0]
        for text, e in zip(texts, self.tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
            # Pieces of byte-level models that hold a part of a character have the whole character for their place.
            places = Counter(at for at in e.offsets if at[1] - at[0] == 1)
            spans = {at for i, at in zip(e.ids, e.offsets, strict=True) if spelled[i] or places[at] > 1}
            yield "".join(text[a:b] for a, b in spans)

    def alone(self, character: str) -> bool:
        ids = self.tokenizer.encode(character, add_special_tokens=False).ids
        return len(ids) == 1 and not self._kinds[0][ids[0]]

    @property
    def countable(self) -> np.ndarray:
        return self._kinds[1]


def opened(path: Path) -> Model:
    """A tokenizer by the path of a folder, a `.model` or a `tokenizer.json`. Raises UsageError where it is none of these."""
    file = path
    if path.is_dir():
        file = next((path / n for n in ("tokenizer.model", "tokenizer.json") if (path / n).is_file()), path / "tokenizer.model")
    if file.suffix != ".json":
        return SentencePieceModel(str(path), Tokenizer.load(file))
    import tokenizers

    try:
        return HuggingFaceModel(str(path), tokenizers.Tokenizer.from_file(str(file)))
    except Exception as error:  # that library raises nothing more special
        raise UsageError(f"{file} is not a tokenizer.json of Hugging Face tokenizers: {error}") from None


def joyo() -> list[str]:
    """The 2,136 characters of 常用漢字表."""
    lines = (files("tokenizer") / "joyo.txt").read_text("utf-8").splitlines()
    return list("".join(line for line in lines if not line.startswith("#")))


def evaluated(model: Model, texts: Sequence[str]) -> dict[str, Any]:
    """Figures of one tokenizer on texts:

    - `characters_per_token`, `bytes_per_token`: of UTF-8, special tokens not counted. More is shorter sequences.
    - `fallback_share`: characters spelled by bytes (or unknown), of all; and by script in `fallback`.
    - `round_trip`: share of texts that come back exactly.
    - `unused_share`: pieces that the texts never use, of those that text can use. Falls with the amount of text.
    - `renyi_efficiency`: entropy of power 2.5 of the pieces' frequencies, of the logarithm of the vocabulary's size.
    - `joyo_share`: of the 2,136 常用漢字, those that are one piece by themselves.
    """
    counts = np.zeros(len(model.countable), np.int64)
    tokens = same = 0
    spelled: Counter[str] = Counter()
    for at in range(0, len(texts), 1024):
        batch = list(texts[at : at + 1024])
        for text, ids in zip(batch, model.encode(batch), strict=True):
            tokens += len(ids)
            counts += np.bincount(ids, minlength=len(counts))
            same += model.decode(ids) == text
        spelled.update(c for found in model.by_bytes(batch) for c in found)
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    characters, size = int(frame["text"].str.len_chars().sum()), int(frame["text"].str.len_bytes().sum())
    letters = pl.DataFrame({"c": list(spelled), "n": list(spelled.values())}, schema={"c": pl.String, "n": pl.Int64})
    fallback = {}
    for script, pattern in _SCRIPT.items():
        of = int(frame["text"].str.count_matches(pattern).sum())
        fallback[script] = int(letters.filter(pl.col("c").str.contains(pattern))["n"].sum()) / max(of, 1)
    other = r"^[^\p{Han}\p{Hiragana}\p{Katakana}\p{Latin}\p{Nd}]"
    of = int(frame["text"].str.count_matches(other[1:]).sum())
    fallback["other"] = int(letters.filter(pl.col("c").str.contains(other))["n"].sum()) / max(of, 1)
    usable = model.countable
    shares = counts[counts > 0] / max(tokens, 1)
    entropy = float(np.log((shares**RENYI_POWER).sum()) / (1 - RENYI_POWER)) if tokens else 0.0
    single = sum(model.alone(c) or (c in _JOYO_FORMS and model.alone(_JOYO_FORMS[c])) for c in joyo())
    return {
        "tokenizer": model.name,
        "vocab_size": len(model),
        "texts": len(texts),
        "characters": characters,
        "tokens": tokens,
        "characters_per_token": round(characters / max(tokens, 1), 4),
        "bytes_per_token": round(size / max(tokens, 1), 4),
        "fallback_share": round(spelled.total() / max(characters, 1), 6),
        "fallback": {script: round(fallback[script], 6) for script in SCRIPTS},
        "round_trip": round(same / max(len(texts), 1), 6),
        "unused_share": round(float((counts[usable] == 0).sum() / max(usable.sum(), 1)), 4),
        "renyi_efficiency": round(entropy / float(np.log(len(model))), 4),
        "joyo_share": round(single / len(joyo()), 4),
    }


def drawn(texts: Texts, limit: int) -> list[str]:
    """Texts from all over, `limit` characters of them or a little more: the same on every call."""
    share = min(1.0, 3 * limit / max(texts.bytes, 1))  # three bytes a character
    found: list[str] = []
    number, characters = 0, 0
    for batch in texts.batches():
        # At even distances, which needs no seed.
        at = np.arange(number, number + len(batch))
        number += len(batch)
        chosen = batch.filter(pl.Series(np.floor((at + 1) * share) > np.floor(at * share)))
        found += chosen.to_list()
        characters += int(chosen.str.len_chars().sum() or 0)
        if characters >= limit:
            break
    return found


def table_of(results: Sequence[dict[str, Any]]) -> Table:
    """A row a tokenizer."""
    table = Table(box=None, pad_edge=False)
    table.add_column("tokenizer", overflow="fold")
    for name in ("pieces", "chars/token", "bytes/token", "by bytes", "round trip", "unused", "Rényi", "常用漢字"):
        table.add_column(name, justify="right")
    for r in results:
        table.add_row(
            r["tokenizer"], f"{r['vocab_size']:,}", f"{r['characters_per_token']:.3f}", f"{r['bytes_per_token']:.3f}",
            f"{r['fallback_share']:.3%}", f"{r['round_trip']:.2%}", f"{r['unused_share']:.1%}", f"{r['renyi_efficiency']:.3f}",
            f"{r['joyo_share']:.1%}",
        )  # fmt: skip
    return table


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TOKENIZER...")
@click.option(
    "--on", "on", required=True, multiple=True, type=click.Path(path_type=Path), help="Corpus, Parquet, .jsonl or .txt."
)
@click.option("--split", help="Of a corpus.  [default: validation where there is one]")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--characters", type=click.IntRange(min=1), default=2_000_000, show_default=True, help="About so many of each.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="JSON file.  [default: evaluation.json]")
def main(
    models: tuple[Path, ...], on: tuple[Path, ...], split: str | None, column: str | None, characters: int, out: Path | None
) -> None:
    """Compare tokenizers (folders, SentencePiece .model files, Hugging Face tokenizer.json) on the same text."""
    console = Console()
    with report_errors("evaluating", "--out"):
        named = [opened(path) for path in models]
        results: list[dict[str, Any]] = []
        for path in on:
            texts = drawn(Texts.find(path, split or _held_out(path), column), characters)
            if not texts:
                raise UsageError(f"there is no text in {path}")
            here = [evaluated(model, texts) | {"on": str(path)} for model in named]
            console.print(
                f"\n{path}: {here[0]['texts']:,} texts, {here[0]['characters']:,} characters", highlight=False, markup=False
            )
            console.print(table_of(here))
            _print_fallback(console, here)
            results += here
        out = out or Path("evaluation.json")
        with write_atomically(out) as temporary:
            temporary.write_text(json.dumps(results, ensure_ascii=False, indent=1), "utf-8")
        console.print(f"\n{out}", style="bold", highlight=False, markup=False)


def _held_out(path: Path) -> str | None:
    return "validation" if path.is_dir() and any((path / "data").glob("validation-*.parquet")) else None


def _print_fallback(console: Console, results: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, title="characters by bytes or unknown, by script", title_justify="left")
    table.add_column("tokenizer", overflow="fold")
    for script in SCRIPTS:
        table.add_column(script, justify="right")
    for r in results:
        table.add_row(r["tokenizer"], *(f"{r['fallback'][script]:.3%}" for script in SCRIPTS))
    console.print(table)


if __name__ == "__main__":
    main()
