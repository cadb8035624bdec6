"""`python -m tokenizer.evaluate TOKENIZER… --on CORPUS`: compare tokenizers on the same text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import click
import numpy as np
import polars as pl
from rich.table import Table

from filters.kernels import buffers
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.language import translate
from pipeline.core.options import CountRange
from pipeline.core.storage import read_json, write_json
from pipeline.core.terminal import Terminal
from tokenizer.model import Tokenizer
from tokenizer.texts import Texts

# Power of Rényi's entropy at which efficiency goes best with quality: Zouhar et al., "Tokenization and the Noiseless Channel", ACL 2023.
RENYI_POWER = 2.5
# Characters of the list of 2010 that are mostly written, and encoded, in a form that the list allows: 𠮟 as 叱.
_JOYO_FORMS = {"𠮟": "叱", "塡": "填", "剝": "剥", "頰": "頬"}
_SCRIPT_PATTERNS = {
    "kanji": r"\p{Han}", "hiragana": r"\p{Hiragana}", "katakana": r"\p{Katakana}", "latin": r"\p{Latin}", "digits": r"\p{Nd}",
    "other": r"[^\p{Han}\p{Hiragana}\p{Katakana}\p{Latin}\p{Nd}]",
}  # fmt: skip
SCRIPTS = tuple(_SCRIPT_PATTERNS)


class EvaluatedTokenizer(Protocol):
    """What an evaluation needs of a tokenizer, whoever made it."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Return the ids of each text, without special tokens."""

    def decode(self, ids: np.ndarray) -> str: ...

    def fallback_characters(self, texts: list[str]) -> Iterator[str]:
        """Yield, for each text, the characters that have no piece: spelled by bytes, or unknown."""

    def has_piece(self, character: str) -> bool:
        """Return whether a character is one piece by itself."""

    @property
    def usable_pieces(self) -> np.ndarray:
        """bool[n] by id: whether ordinary text can use the piece, which it cannot for special tokens."""


class PieceFlags(NamedTuple):
    """bool[n] each, by id."""

    fallback: np.ndarray  # stands for a byte, or for what is unknown
    usable: np.ndarray  # by ordinary text


@dataclass(frozen=True)
class SentencePieceTokenizer:
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
    def _flags(self) -> PieceFlags:
        kind = self.tokenizer.proto.SentencePiece
        types = np.array([p.type for p in self.tokenizer.proto.pieces])
        fallback = np.isin(types, (kind.BYTE, kind.UNKNOWN))
        return PieceFlags(fallback, ~np.isin(types, (kind.CONTROL, kind.UNKNOWN, kind.UNUSED)))

    def fallback_characters(self, texts: list[str]) -> Iterator[str]:
        fallback = self._flags.fallback
        for text, ids in zip(texts, self.encode(texts), strict=True):
            if not fallback[ids].any():
                yield ""
                continue
            # Of all bytes of a character, the last has the character for its surface.
            pieces = self.tokenizer.processor.encode(text, return_type="proto").pieces
            yield "".join(p.surface for p in pieces if fallback[p.id])

    def has_piece(self, character: str) -> bool:
        return self.tokenizer.processor.piece_to_id(character) != self.tokenizer.processor.unk_id()

    @property
    def usable_pieces(self) -> np.ndarray:
        return self._flags.usable


@dataclass(frozen=True)
class HuggingFaceTokenizer:
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
    def _flags(self) -> PieceFlags:
        table = self.tokenizer.get_vocab()
        fallback, usable = np.zeros(max(table.values()) + 1, bool), np.ones(max(table.values()) + 1, bool)
        unknown = json.loads(self.tokenizer.to_str())["model"].get("unk_token")
        for piece, i in table.items():
            fallback[i] = piece == unknown or (len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"))
        for i, token in self.tokenizer.get_added_tokens_decoder().items():
            usable[i] = not token.special
        return PieceFlags(fallback, usable)

    def fallback_characters(self, texts: list[str]) -> Iterator[str]:
        fallback = self._flags.fallback
        for text, e in zip(texts, self.tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
            # Pieces of byte-level models that hold a part of a character have all of the character for their offsets.
            uses = Counter(at for at in e.offsets if at[1] - at[0] == 1)
            spans = {at for i, at in zip(e.ids, e.offsets, strict=True) if fallback[i] or uses[at] > 1}
            yield "".join(text[a:b] for a, b in spans)

    def has_piece(self, character: str) -> bool:
        ids = self.tokenizer.encode(character, add_special_tokens=False).ids
        return len(ids) == 1 and not self._flags.fallback[ids[0]]

    @property
    def usable_pieces(self) -> np.ndarray:
        return self._flags.usable


def open_tokenizer(path: Path) -> EvaluatedTokenizer:
    """Open a tokenizer by the path of a folder, a `.model` or a `tokenizer.json`. Raises UsageError where it is none of these."""
    file = path
    if path.is_dir():
        file = next((path / n for n in ("tokenizer.model", "tokenizer.json") if (path / n).is_file()), path / "tokenizer.model")
    if file.suffix != ".json":
        return SentencePieceTokenizer(str(path), Tokenizer.load(file))
    try:
        import tokenizers  # late: it comes with an extra
    except ModuleNotFoundError as error:
        raise UsageError(f"{file}: a tokenizer.json needs {error.name}: pip install 'seimai[hub]'") from None
    try:
        return HuggingFaceTokenizer(str(path), tokenizers.Tokenizer.from_file(str(file)))
    except Exception as error:  # that library raises nothing more special
        raise UsageError(f"{file} is not a tokenizer.json of Hugging Face tokenizers: {error}") from None


def list_joyo_kanji() -> list[str]:
    """List the 2,136 characters of 常用漢字表."""
    lines = (files("tokenizer") / "joyo.txt").read_text("utf-8").splitlines()
    return list("".join(line for line in lines if not line.startswith("#")))


def evaluate(tokenizer: EvaluatedTokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """Compute the figures of one tokenizer on texts:

    - `characters_per_token`, `bytes_per_token`: of UTF-8, special tokens not counted. More is shorter sequences.
    - `fallback_share`: share of characters that are spelled by bytes or unknown; by script in `fallback`.
    - `round_trip`: share of texts that come back exactly.
    - `unused_share`: pieces that the texts never use, of those that text can use. Falls with the amount of text.
    - `renyi_efficiency`: entropy of power 2.5 of the pieces' frequencies, over the logarithm of the vocabulary's size.
    - `joyo_share`: of the 2,136 常用漢字, those that are one piece by themselves.
    """
    counts = np.zeros(len(tokenizer.usable_pieces), np.int64)
    tokens = same = 0
    fallback_counts: Counter[str] = Counter()
    for at in range(0, len(texts), 1024):
        batch = list(texts[at : at + 1024])
        for text, ids in zip(batch, tokenizer.encode(batch), strict=True):
            tokens += len(ids)
            counts += np.bincount(ids, minlength=len(counts))
            same += tokenizer.decode(ids) == text
        fallback_counts.update(c for characters in tokenizer.fallback_characters(batch) for c in characters)
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    characters, size = int(frame["text"].str.len_chars().sum()), int(frame["text"].str.len_bytes().sum())
    letters = pl.DataFrame(
        {"c": list(fallback_counts), "n": list(fallback_counts.values())}, schema={"c": pl.String, "n": pl.Int64}
    )
    fallback = {}
    for script, pattern in _SCRIPT_PATTERNS.items():
        total = int(frame["text"].str.count_matches(pattern).sum())
        fallback[script] = int(letters.filter(pl.col("c").str.contains(pattern))["n"].sum()) / max(total, 1)
    usable = tokenizer.usable_pieces
    shares = counts[counts > 0] / max(tokens, 1)
    entropy = float(np.log((shares**RENYI_POWER).sum()) / (1 - RENYI_POWER)) if tokens else 0.0
    single = sum(
        tokenizer.has_piece(c) or (c in _JOYO_FORMS and tokenizer.has_piece(_JOYO_FORMS[c])) for c in list_joyo_kanji()
    )
    return {
        "tokenizer": tokenizer.name,
        "vocab_size": len(tokenizer),
        "texts": len(texts),
        "characters": characters,
        "tokens": tokens,
        "characters_per_token": round(characters / max(tokens, 1), 4),
        "bytes_per_token": round(size / max(tokens, 1), 4),
        "fallback_share": round(fallback_counts.total() / max(characters, 1), 6),
        "fallback": {script: round(fallback[script], 6) for script in SCRIPTS},
        "round_trip": round(same / max(len(texts), 1), 6),
        "unused_share": round(float((counts[usable] == 0).sum() / max(usable.sum(), 1)), 4),
        "renyi_efficiency": round(entropy / float(np.log(len(tokenizer))), 4),
        "joyo_share": round(single / len(list_joyo_kanji()), 4),
    }


def draw_texts(texts: Texts, limit: int) -> list[str]:
    """Draw texts at even distances, `limit` characters or a little more: the same on every call."""
    share = min(1.0, 3 * limit / max(texts.bytes, 1))  # three bytes a character
    drawn: list[str] = []
    number, characters = 0, 0
    for batch in texts.batches():
        at = np.arange(number, number + len(batch))
        number += len(batch)
        chosen = batch.filter(pl.Series(np.floor((at + 1) * share) > np.floor(at * share)))
        drawn += chosen.to_list()
        characters += int(chosen.str.len_chars().sum() or 0)
        if characters >= limit:
            break
    return drawn


def make_figures_table(results: Sequence[dict[str, Any]]) -> Table:
    """Tabulate figures, a column a tokenizer: a terminal of 80 columns has room for five."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in shorten_names([result["tokenizer"] for result in results]):
        table.add_column(name, justify="right", overflow="fold")
    rows: list[tuple[str, str, Callable[[dict[str, Any]], Any]]] = [
        ("pieces", ",", lambda result: result["vocab_size"]),
        ("characters per token", ".3f", lambda result: result["characters_per_token"]),
        ("bytes per token", ".3f", lambda result: result["bytes_per_token"]),
        ("texts that come back exactly", ".2%", lambda result: result["round_trip"]),
        ("pieces that are not used", ".1%", lambda result: result["unused_share"]),
        ("Rényi efficiency", ".3f", lambda result: result["renyi_efficiency"]),
        ("常用漢字 that are a piece", ".1%", lambda result: result["joyo_share"]),
        ("characters by bytes or unknown", ".3%", lambda result: result["fallback_share"]),
    ]
    for label, form, value in rows:
        table.add_row(translate(label), *(format(value(result), form) for result in results))
    for script in SCRIPTS:
        table.add_row(f"  {translate(script)}", *(f"{result['fallback'][script]:.3%}" for result in results))
    return table


def shorten_names(paths: Sequence[str]) -> list[str]:
    """Return the ends of paths, as much of them as tells them apart.

    >>> shorten_names(["corpora/a/tokenizer", "corpora/b/tokenizer"]), shorten_names(["corpora/a/tokenizer"])
    (['a/tokenizer', 'b/tokenizer'], ['tokenizer'])
    """
    parts = [Path(path).parts or (path,) for path in paths]
    for count in range(1, max(map(len, parts), default=0)):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return [*paths]


@command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TOKENIZER...")
@click.option(
    "--on", "on", required=True, multiple=True, type=click.Path(path_type=Path), help="Corpus, Parquet, .jsonl or .txt."
)
@click.option("--split", help="Of a corpus.  [default: validation where there is one]")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--characters", type=CountRange(min=1), default=2_000_000, show_default=True, help="About so many of each.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures to this JSON file.")
def main(
    models: tuple[Path, ...], on: tuple[Path, ...], split: str | None, column: str | None, characters: int, out: Path | None
) -> None:
    """Compare tokenizers (folders, SentencePiece .model files, Hugging Face tokenizer.json) on the same text."""
    console = Terminal()
    with report_errors("evaluating", "--out"):
        if out is not None:
            _refuse_other_file(out)
        tokenizers = [open_tokenizer(path) for path in models]
        results: list[dict[str, Any]] = []
        for path in on:
            texts = draw_texts(Texts.find(path, split or _default_split(path), column), characters)
            if not texts:
                raise UsageError(f"there is no text in {path}")
            figures = [evaluate(tokenizer, texts) | {"on": str(path)} for tokenizer in tokenizers]
            console.print(
                f"\n{path}: {figures[0]['texts']:,} texts, {figures[0]['characters']:,} characters",
                highlight=False,
                markup=False,
            )
            console.print(make_figures_table(figures))
            results += figures
        if out is not None:
            write_json(out, results)
            console.print(f"\n{out}", style="bold", highlight=False, markup=False)


def _refuse_other_file(out: Path) -> None:
    """Raise UsageError where `out` is a file that no evaluation wrote."""
    if out.exists():
        results = read_json(out)
        if not isinstance(results, list) or not all(isinstance(row, dict) and "fallback" in row for row in results):
            raise UsageError(f"{out} holds no evaluation, and this command would replace it: choose another --out")


def _default_split(path: Path) -> str | None:
    return "validation" if path.is_dir() and any((path / "data").glob("validation-*.parquet")) else None


if __name__ == "__main__":
    main()
