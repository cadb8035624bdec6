"""The command `python -m pipeline.explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import click
import numpy as np
import polars as pl

from filters.kernels import to_arrow
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.paths import expand_home
from pipeline.core.terminal import Terminal, tell_json
from pipeline.corpus.built import BuiltCorpus, open_corpus, refuse_damage
from pipeline.corpus.content import MOST_BEFORE, count_bytes_before
from pipeline.corpus.evidence import MeasuredText, check_measures
from pipeline.corpus.records import LedgerRecord, find_record
from pipeline.explain.judgement import check_text_rules, judge_rules, load_text_rules, measure_texts, show_evidence
from pipeline.explain.life import read_life
from pipeline.explain.terminal import judgement_as_json, life_as_json, print_judgement, print_life
from pipeline.manifest.model import is_of_corpus
from pipeline.modalities.text.measure import clean_documents
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState, Fields
from pipeline.sources.rows import Rows, Spans

_LONGEST = 64_000_000  # bytes of a text, as `source.max_document` has it
_DEFAULT_RULES = "ja-web"
PATIENCE = 1.0  # seconds


@command()
@click.argument("folder", metavar="[CORPUS]", required=False, type=click.Path(path_type=Path))
@click.argument("record", metavar="[ID]", required=False)
@click.option("--text", metavar="TEXT", help="Judge a text that is in no corpus, by the rules of CORPUS or those of --rules.")
@click.option(
    "--file", "path", metavar="FILE", type=click.Path(path_type=Path), help="The same for the text (or page) in a file."
)
@click.option("--rules", "reference", metavar="NAME", help="A preset or manifest, or a TOML file of either.  [default: ja-web]")
@click.option("--by", "column", metavar="COLUMN", help="ID is a value of this column, which source.keep kept.")
@click.option(
    "--show",
    "measures",
    multiple=True,
    metavar="MEASURE",
    help="What in the text counts for this measure; may be repeated.  [default: the rules that are broken]",
)
@click.option("--raw", "is_raw", is_flag=True, help="Read the record again, however much has to be decompressed before it.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")
def main(
    folder: Path | None,
    record: str | None,
    text: str | None,
    path: Path | None,
    reference: str | None,
    column: str | None,
    measures: tuple[str, ...],
    is_raw: bool,
    is_json: bool,
) -> None:
    """Show the life of a record of CORPUS: where it came from, what cleaning changed, every rule with its value, its duplicates.

    ID is the record's id in the ledger; a unique ending is enough, and so is what a column that source.keep kept calls it. With --text or
    --file: whether rules would keep a text, and why.
    Exit code 0: done; 1: reading failed; 2: wrong usage.
    """
    with report_errors("reading", "CORPUS", "run the same command again"):
        check_measures(measures)
        if text is not None or path is not None:
            if column is not None:
                raise UsageError("--by is for the id of a record: a text that is in no corpus has none")
            _explain_text(folder, record, text, path, reference, measures, is_json)
            return
        if folder is None or record is None:
            raise UsageError(
                "expected a corpus and the id of a record: python -m pipeline.explain corpora/cc100-ja ID; or --text TEXT, or --file FILE"
            )
        if reference is not None:
            raise UsageError("--rules is for --text and --file: a record was judged by the rules of its corpus")
        corpus = open_corpus(expand_home(folder), allow_mixture=True)
        with refuse_damage(corpus.shown, corpus.folder):
            found = find_record(corpus, record, column)
            with announce_slow_reading(corpus, found):
                life = read_life(corpus, found, None if is_raw else MOST_BEFORE, measures)
        if is_json:
            tell_json(life_as_json(life))
        else:
            print_life(Terminal(), corpus, life)


@contextmanager
def announce_slow_reading(corpus: BuiltCorpus, record: LedgerRecord) -> Iterator[None]:
    """Say on standard error what is read, where the block takes longer than `PATIENCE`: a large stream up to the record."""
    before = None if corpus.is_mixture else count_bytes_before(corpus, record)
    if not before or not before[0]:
        yield
        return
    message = f"reading {before[0] / 1e6:,.0f} MB of {before[1]} up to the record …"
    timer = Timer(PATIENCE, lambda: Terminal(stderr=True).print(message))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _explain_text(
    folder: Path | None,
    record: str | None,
    text: str | None,
    path: Path | None,
    reference: str | None,
    measures: Sequence[str],
    is_json: bool,
) -> None:
    if text is not None and path is not None:
        raise UsageError("--text and --file exclude one another")
    if record is not None:
        raise UsageError(f"{record}: a record has its own text; leave the id out, or --text and --file")
    if folder is not None and reference is not None:
        raise UsageError("--rules and CORPUS exclude one another: a text is judged by the rules of one of them")
    if folder is not None:
        corpus = open_corpus(expand_home(folder))
        manifest = check_text_rules(corpus.manifest, corpus.shown)
    else:
        manifest = load_text_rules(reference or _DEFAULT_RULES, [])
    rows = _make_rows(text.encode("utf-8", "replace")) if text is not None else _read_file(expand_home(path or Path()))
    documents = clean_documents(manifest.clean, rows)
    judgement = next(judge_rules(manifest, measure_texts(manifest, documents), manifest.document_rules))
    cleaned = None if judgement.verdict == "unreadable" else str(pl.Series(to_arrow(documents.data, documents.offsets))[0])
    evidence = show_evidence(manifest, judgement, MeasuredText(documents.read_text(0), cleaned), measures)
    not_judged = [rule for rule in manifest.rules if is_of_corpus(rule)]
    if is_json:
        tell_json(judgement_as_json(judgement, cleaned, evidence, not_judged))
    else:
        print_judgement(Terminal(), judgement, cleaned, evidence, not_judged)


def _make_rows(content: bytes) -> Rows:
    frame = pl.DataFrame({"locator": [0], "problem": [None]}, schema={"locator": pl.Int64, "problem": pl.String})
    data = np.frombuffer(content, np.uint8)
    return Rows(frame, Spans(data, np.zeros(1, np.int64), np.array([len(data)], np.int64)))


def _read_file(path: Path) -> Rows:
    """Return the row of a file that is one document, as the source of such files reads it."""
    source = SOURCES["files"]
    files = source.find_inputs([str(path)])
    if path.is_dir() or len(files) != 1:
        raise UsageError(f"--file {path}: expected a file, which is one document")
    (file,) = files
    for piece, body in source.cut(file, 0, CutState(_LONGEST, _LONGEST)):
        return source.read(piece, file, None if body is None else np.frombuffer(body, np.uint8), Fields())
    return _make_rows(b"")
