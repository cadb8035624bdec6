"""`python -m tokenizer.train CORPUS…`: a Japanese SentencePiece tokenizer of what was kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.settings import parse_size
from pipeline.core.storage import find_leftovers, format_size, write_json
from tokenizer.evaluate import SentencePieceModel, drawn, evaluated, table_of
from tokenizer.export import export
from tokenizer.fitting import affordable, fit
from tokenizer.model import Tokenizer, finished
from tokenizer.sample import Source, draw
from tokenizer.settings import Training, checked
from tokenizer.texts import Texts
from tokenizer.words import DELIMITER

VERSION = 1  # to be raised when the model changes for the same text and settings
TOLD = "training.json"
_FIGURES = 500_000  # characters of held-out text for the figures
Told = Callable[[str, float], None]


def _split(named: str) -> tuple[Path, str | None]:
    """A corpus as the command line names it: its path, and its weight where it has one."""
    path, equals, weight = named.rpartition("=")
    return (Path(path), weight) if equals and not Path(named).exists() else (Path(named), None)


def sources(corpora: Sequence[str], column: str | None = None) -> list[Source]:
    """Corpora as the command line names them: `PATH` or `PATH=WEIGHT`. Of a corpus with splits the training split."""
    found = []
    for named in corpora:
        place, weight = _split(named)
        value: float | None = None
        if weight is not None:
            try:
                value = float(weight)
            except ValueError:
                raise UsageError(f"{named}: expected CORPUS or CORPUS=WEIGHT, such as corpora/cc100-ja=0.7") from None
            if not 0 < value <= 1e9:
                raise UsageError(f"{named}: a weight is above 0, and at most 1e9")
        split = "train" if place.is_dir() and any((place / "data").glob("train-*.parquet")) else None
        found.append(Source(place.name or str(place), Texts.find(place, split, column), value))
    if any(s.weight is None for s in found) and any(s.weight is not None for s in found):
        raise UsageError("give every corpus a weight, or none")
    return found


def check_out(out: Path) -> None:
    """Raise UsageError where the output folder holds something else than a tokenizer of ours."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / TOLD).is_file():
        raise UsageError(f"{out} is not empty and holds no tokenizer that was trained here; choose another --out")


def train(
    corpora: Sequence[Source], settings: Training, out: Path, held_out: Texts | None = None, told: Told | None = None
) -> dict[str, Any]:
    """Train on corpora and write the tokenizer's folder, whole or not at all; returns what `training.json` tells.

    `told` hears what is being done, and how far it is from 0 to 1. `held_out` is text for the figures. Raises UsageError where the text
    cannot support the vocabulary, or the memory the training.
    """
    began = time.perf_counter()
    say = told or (lambda what, share: None)
    budget = affordable(settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        text, made = Path(work) / "text", Path(work) / "out"
        sample = draw(corpora, budget, settings.seed, text, lambda share: say("draw", share))
        say("draw", 1.0)
        fitted = fit(settings, text, lambda share: say("train", share))
        say("train", 1.0)
        tokenizer = Tokenizer(finished(fitted.content, DELIMITER if settings.words != "none" else ""))
        export(tokenizer, made)
        figures = {}
        if held_out is not None and (some := drawn(held_out, _FIGURES)):
            figures = evaluated(SentencePieceModel(str(out), tokenizer), some)
        result = {
            "version": VERSION,
            "settings": settings.model_dump(include=set(Training.model_fields)),
            "sample": asdict(sample),
            "tokenizer": tokenizer.fingerprint,
            "figures": figures,
            "seconds": round(time.perf_counter() - began, 1),
            "peak_memory": fitted.peak_memory,
            "versions": {"seimai": version("seimai"), "sentencepiece": version("sentencepiece")},
        }
        write_json(made / TOLD, result)
        if out.exists():
            out.rename(Path(work) / "old")
        made.rename(out)
    return result


def held_out_of(corpora: Sequence[str]) -> Texts | None:
    """The validation split of the first corpus that has one, for the figures."""
    for named in corpora:
        path = _split(named)[0]
        with suppress(UsageError):
            if (path / "data").is_dir():
                return Texts.find(path, "validation")
    return None


def remove_remains(out: Path) -> None:
    """Remove what killed trainings left beside the output."""
    for left in find_leftovers(out, "[a-z0-9_]{8}"):
        shutil.rmtree(left, ignore_errors=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("corpora", nargs=-1, required=True, metavar="CORPUS[=WEIGHT]...")
@click.option(
    "--vocab-size", type=int, default=32_000, show_default=True, metavar="N", help="Special tokens and bytes included."
)
@click.option("--model", type=click.Choice(["unigram", "bpe"]), default="unigram", show_default=True, help="Kind of model.")
@click.option(
    "--words", type=click.Choice(["none", "mecab", "sudachi"]), default="none", show_default=True,
    help="Whose word boundaries no piece crosses; no dictionary is needed afterwards.",
)  # fmt: skip
@click.option("--memory", default="2GB", show_default=True, help="What training may take; decides how much text is drawn.")
@click.option("--character-coverage", type=float, default=0.9995, show_default=True, help="The rest goes by bytes.")
@click.option("--longest-piece", type=int, default=16, show_default=True, metavar="N", help="In characters.")
@click.option("--split-digits/--join-digits", default=True, show_default=True, help="Every digit a piece of its own.")
@click.option(
    "--split-scripts/--mix-scripts", default=True, show_default=True, help="No piece mixes kana and kanji with others."
)
@click.option("--symbol", "symbols", multiple=True, help="A further piece that is never split; repeatable.")
@click.option("--special", multiple=True, help="A further special token, never found in text; repeatable.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the draw of text.")
@click.option("--threads", type=int, default=4, show_default=True, help="Of SentencePiece; the model depends on how many.")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tokenizer.  [default: CORPUS/tokenizer]")
def main(corpora: tuple[str, ...], column: str | None, out: Path | None, memory: str, **options: Any) -> None:
    """Train a tokenizer on CORPUS (folders that Seimai built; or Parquet, .jsonl or .txt files), weighted where weights are given."""
    console = Console()
    with report_errors("training", "--out", "nothing was changed"):
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        settings = checked(Training, options | {"memory": parse_size(memory)})
        found = sources(corpora, column)
        first = _split(corpora[0])[0]
        out = (out or (first if first.is_dir() else first.parent) / "tokenizer").resolve()
        check_out(out)
        with hold_lock(out):
            remove_remains(out)
            result = with_progress(console, lambda told: train(found, settings, out, held_out_of(corpora), told))
        print_trained(console, out, result)
        tokens = out.parent / "tokens"
        if (tokens / "tokens.json").is_file():
            line = f"{tokens} was made with the tokenizer that this one replaces: python -m tokenizer.encode {out.parent} --overwrite"
            console.print(f"warning: {line}", style="yellow", highlight=False, markup=False, soft_wrap=True)
        elif (out.parent / "data").is_dir():
            console.print(f"  python -m tokenizer.encode {out.parent}", highlight=False, markup=False, soft_wrap=True)


def with_progress(console: Console, work: Callable[[Told], dict[str, Any]]) -> dict[str, Any]:
    """Do `work`, with a line of progress for each thing that it tells of."""
    with Progress(
        TextColumn("{task.description:<12}"), BarColumn(24), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(), console=console,
    ) as progress:  # fmt: skip
        lines: dict[str, Any] = {}

        def told(what: str, share: float) -> None:
            if what not in lines:
                lines[what] = progress.add_task(what, total=1.0)
            progress.update(lines[what], completed=share)

        return work(told)


def print_trained(console: Console, out: Path, result: dict[str, Any]) -> None:
    sample = result["sample"]
    console.print(
        f"\n{format_size(sample['bytes'])} of text in {sample['lines']:,} lines   {result['seconds']:.1f} s   "
        f"peak memory {format_size(result['peak_memory'])}",
        highlight=False,
    )
    if result["figures"]:
        console.print(table_of([result["figures"] | {"tokenizer": "held-out"}]))
    console.print(f"\n{out}", style="bold", highlight=False, markup=False)
    load = f"from transformers import AutoTokenizer; print(AutoTokenizer.from_pretrained('{out}').tokenize('吾輩は猫である。'))"
    console.print(f'  python -c "{load}"', highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
