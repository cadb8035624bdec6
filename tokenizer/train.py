"""`python -m tokenizer.train CORPUS…`: train a Japanese SentencePiece tokenizer."""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console

from pipeline.core.added import replace_added
from pipeline.core.checksums import make_entry
from pipeline.core.command import report_errors
from pipeline.core.errors import BuildError, UsageError
from pipeline.core.help import command
from pipeline.core.identity import identify_shards
from pipeline.core.language import translate
from pipeline.core.locks import hold_corpus_lock, hold_lock
from pipeline.core.options import Count, Size
from pipeline.core.ownership import NamedPath, free_path, hold_scratch, place_scratch, refuse_overlap, remove_scratch_leftovers
from pipeline.core.paths import refuse_unwritable, shorten_path
from pipeline.core.progress import ProgressDisplay, StepProgress
from pipeline.core.publication import folder_publication
from pipeline.core.storage import format_size
from pipeline.core.tables import suggest_python
from pipeline.core.terminal import Terminal
from pipeline.core.vouching import write_checked
from tokenizer.evaluate import SentencePieceTokenizer, draw_texts, evaluate, make_figures_table
from tokenizer.export import EXPORTED, export
from tokenizer.fitting import compute_text_budget, fit
from tokenizer.model import Tokenizer, finish_model
from tokenizer.sample import Sample, WeightedCorpus, draw_sample
from tokenizer.settings import Training, parse_options
from tokenizer.texts import Texts
from tokenizer.token_shards import suggest_encoding
from tokenizer.words import DELIMITER, check_words

VERSION = 1  # raise it when the model changes for the same text and settings
TRAINING_FILE = "training.json"
_FIGURES_CHARACTERS = 500_000  # characters of held-out text for the figures
ReportProgress = Callable[[str, float], None]  # what is being done, and which share of it is, from 0 to 1


class NamedCorpus(NamedTuple):
    """A corpus as the command line names it."""

    path: Path
    weight: str | None


def _parse_corpus(argument: str) -> NamedCorpus:
    path, equals, weight = argument.rpartition("=")
    if equals and not Path(argument).exists():
        return NamedCorpus(Path(path), weight)
    return NamedCorpus(Path(argument), None)


def parse_corpora(corpora: Sequence[str], column: str | None = None) -> list[WeightedCorpus]:
    """Find the corpora of the command line, `PATH` or `PATH=WEIGHT`; of one with splits the training split."""
    found = []
    for argument in corpora:
        path, weight = _parse_corpus(argument)
        value: float | None = None
        if weight is not None:
            try:
                value = float(weight)
            except ValueError:
                raise UsageError(f"{argument}: expected CORPUS or CORPUS=WEIGHT, such as corpora/cc100-ja=0.7") from None
            if not 0 < value <= 1e9:
                raise UsageError(f"{argument}: a weight is above 0, and at most 1e9")
        split = "train" if path.is_dir() and any((path / "data").glob("train-*.parquet")) else None
        found.append(WeightedCorpus(path.name or str(path), Texts.find(path, split, column), value))
    if len({corpus.weight is None for corpus in found}) > 1:
        raise UsageError("give every corpus a weight, or none")
    return found


def check_output_folder(out: Path) -> None:
    """Raise UsageError where the output folder holds anything but a tokenizer that was trained here."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / TRAINING_FILE).is_file():
        raise UsageError(f"{out} is not empty and holds no tokenizer that was trained here; choose another --out")


def train(
    corpora: Sequence[WeightedCorpus],
    settings: Training,
    out: Path,
    held_out: Texts | None = None,
    report_progress: ReportProgress | None = None,
    most: int | None = None,
) -> dict[str, Any]:
    """Train on corpora and write the tokenizer's folder, completely or not at all; returns the content of `training.json`.

    `held_out` is text for the figures; `most`: bytes of text to draw at most, where that is less than the memory takes. Raises
    UsageError where the text is too little for the vocabulary, or the memory for training.
    """
    began = time.perf_counter()
    report = report_progress or (lambda what, share: None)
    budget, named, out = min(compute_text_budget(settings), most or sys.maxsize), out.absolute(), out.resolve()
    with hold_scratch(place_scratch(out, uuid.uuid4().hex[:8]), _is_scratch) as work:
        text, new = work / "text", work / "out"
        identity = [corpus.texts.identity for corpus in corpora]
        sample = draw_sample(corpora, budget, settings.seed, text, lambda share: report("draw", share))
        if [corpus.texts.identity for corpus in corpora] != identity:
            raise BuildError("the text was replaced while it was read, by another build: run the same command again")
        report("draw", 1.0)
        fitted = fit(settings, text, lambda share: report("train", share))
        report("train", 1.0)
        tokenizer = Tokenizer(finish_model(fitted.content, DELIMITER if settings.words != "none" else ""))
        export(tokenizer, new)
        figures = {}
        if held_out is not None and (some := draw_texts(held_out, _FIGURES_CHARACTERS)):
            figures = evaluate(SentencePieceTokenizer(out.name, tokenizer), some)  # a path would be published
        result = {
            "version": VERSION,
            "settings": settings.model_dump(include=set(Training.model_fields)),
            "sample": _describe_sample(sample, corpora),
            "tokenizer": tokenizer.fingerprint,
            "figures": figures,
            "seconds": round(time.perf_counter() - began, 1),
            "peak_memory": fitted.peak_memory,
            "versions": {"seimai": version("seimai"), "sentencepiece": version("sentencepiece")},
        }
        result["files"] = [make_entry(path, path.name) for path in sorted(new.iterdir())]
        write_checked(new / TRAINING_FILE, result)
        replace_added(named, new, {*EXPORTED, TRAINING_FILE})
    return result


def _describe_sample(sample: Sample, corpora: Sequence[WeightedCorpus]) -> dict[str, Any]:
    """Return what `training.json` says of the text: how much of each corpus was drawn, and of which shards."""
    described = asdict(sample)
    for entry, corpus in zip(described["corpora"], corpora, strict=True):
        if corpus.texts.files[0].suffix == ".parquet":
            entry["shards"] = identify_shards(corpus.texts.files)
    return described


def keep_aside(folder: Path) -> Path:
    """Copy a tokenizer that is about to be replaced, which models may have been trained with; return the folder of the copy."""
    kept = free_path(folder, "kept")
    with hold_scratch(place_scratch(folder, uuid.uuid4().hex[:8]), lambda path: path.startswith("out/")) as work:
        shutil.copytree(folder, work / "out")
        (work / "out").rename(kept)
    return kept


def find_held_out(corpora: Sequence[str]) -> Texts | None:
    """Find the validation split of the first corpus that has one, for the figures."""
    for argument in corpora:
        path = _parse_corpus(argument).path
        with suppress(UsageError):
            if (path / "data").is_dir():
                return Texts.find(path, "validation")
    return None


def remove_leftovers(out: Path) -> None:
    """Complete or undo what a killed training was about to publish, and remove what it left beside the output."""
    folder_publication(out.resolve()).complete()
    remove_scratch_leftovers(out.resolve(), "[0-9a-f]{8}", _is_scratch)


def _is_scratch(path: str) -> bool:
    return path in ("text", "text.model") or path in {f"out/{name}" for name in (*EXPORTED, TRAINING_FILE)}


@command()
@click.argument("corpora", nargs=-1, required=True, metavar="CORPUS[=WEIGHT]...")
@click.option(
    "--vocab-size", type=Count(), default=32_000, show_default=True, metavar="N", help="Special tokens and bytes included."
)
@click.option("--model", type=click.Choice(["unigram", "bpe"]), default="unigram", show_default=True, help="Kind of model.")
@click.option(
    "--words", type=click.Choice(["none", "mecab", "sudachi"]), default="none", show_default=True,
    help="Whose word boundaries no piece crosses; no dictionary is needed afterwards.",
)  # fmt: skip
@click.option(
    "--memory", type=Size(), default="2GB", show_default=True, help="What training may take; decides how much text is drawn."
)
@click.option("--character-coverage", type=float, default=0.9995, show_default=True, help="The rest goes by bytes.")
@click.option("--longest-piece", type=Count(), default=16, show_default=True, metavar="N", help="In characters.")
@click.option("--split-digits/--join-digits", default=True, show_default=True, help="Every digit a piece of its own.")
@click.option(
    "--split-scripts/--mix-scripts", default=True, show_default=True, help="No piece mixes kana and kanji with others."
)
@click.option("--symbol", "symbols", multiple=True, help="A further piece that is never split; repeatable.")
@click.option("--special", multiple=True, help="A further special token, never found in text; repeatable.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the draw of text.")
@click.option("--threads", type=Count(), default=4, show_default=True, help="Of SentencePiece; the model depends on how many.")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tokenizer.  [default: CORPUS/tokenizer]")
def main(corpora: tuple[str, ...], column: str | None, out: Path | None, memory: int, **options: Any) -> None:
    """Train a tokenizer on CORPUS (folders that Seimai built; or Parquet, .jsonl or .txt files), weighted where weights are given."""
    console = Terminal()
    with report_errors("training", "--out", "nothing was changed"):
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        settings = parse_options(Training, options | {"memory": memory})
        found = parse_corpora(corpora, column)
        first = _parse_corpus(corpora[0]).path
        out = (out or (first if first.is_dir() else first.parent) / "tokenizer").absolute()
        check_output_folder(out)
        refuse_unwritable("--out", out.parent)
        check_words(settings.words)
        files = dict.fromkeys(file for corpus in found for file in corpus.texts.files)
        refuse_overlap([NamedPath(f"--out {out}", out)], [NamedPath(str(file), file) for file in files])
        with hold_corpus_lock(out), hold_lock(out.resolve()):
            remove_leftovers(out)
            result = show_progress(
                Terminal(stderr=True), lambda report: train(found, settings, out, find_held_out(corpora), report)
            )
        print_summary(console, out, result)
        if out.name == "tokenizer" and (out.parent / "data").is_dir() and (again := suggest_encoding(out.parent)):
            if (out.parent / "tokens").is_dir():
                line = f"{shorten_path(out.parent / 'tokens')} is not of this tokenizer and these shards"
                console.print(f"warning: {line}", style="yellow", highlight=False, markup=False, soft_wrap=True)
            console.print(f"  {again}", highlight=False, markup=False, soft_wrap=True)


def show_progress(console: Console, work: Callable[[ReportProgress], dict[str, Any]]) -> dict[str, Any]:
    """Do `work` and show a line of progress for each thing that it reports."""
    with ProgressDisplay(console) as progress:
        steps: dict[str, StepProgress] = {}

        def report(what: str, share: float) -> None:
            step = steps.get(what) or steps.setdefault(what, progress.step(what))
            if share < 1:
                step.set_share(share)
            elif step.seconds is None:
                step.finish()

        return work(report)


def print_summary(console: Console, out: Path, result: dict[str, Any]) -> None:
    sample = result["sample"]
    console.print(
        f"\n{format_size(sample['bytes'])} of text in {sample['lines']:,} lines   {result['seconds']:.1f} s   "
        f"peak memory {format_size(result['peak_memory'])}",
        highlight=False,
    )
    if result["figures"]:
        console.print(make_figures_table([result["figures"] | {"tokenizer": translate("held-out")}]))
    console.print(f"\n{shorten_path(out)}", style="bold", highlight=False, markup=False)
    load = f"t = seimai.Tokenizer({shorten_path(out)!r}); print([t.decode([i]) for i in t.encode('吾輩は猫である。')])"
    console.print(
        f"  {suggest_python(f'import seimai; {load}')}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
