"""The text of a record of a built corpus: as it came, read again from its input, and as cleaning left it.

Cleaned text is in the shards, where the record was kept, else among the intermediates of the build. What came is read again from the
input, or from the intermediates where they have it (rows of images and recordings), and cleaned once more where nothing else has that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.errors import SeimaiError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.storage import read_json
from pipeline.core.tables import scan_parquet
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.evidence import MeasuredText, reads_raw
from pipeline.corpus.records import LedgerRecord, read_shard_rows
from pipeline.modalities import modality_of
from pipeline.modalities.base import EXCERPT, CleanedText
from pipeline.sources import SOURCES
from pipeline.sources.base import Fields, Range
from pipeline.sources.inputs import InputFile, check_unchanged, is_url, locate_input
from pipeline.sources.rows import Rows
from pipeline.steps.cut import load_bodies, load_partition, make_cut_state
from pipeline.workspace import Part, layout_file, load_layout

SHARD_TEXTS = {"text": "text", "image_text": "caption", "speech": "transcript"}
MOST_BEFORE = 16 << 20  # bytes that are decompressed before a record without being asked for: 0.3 s of xz


class UnreadableContentError(SeimaiError):
    """The content of a record cannot be read again; the message is the end of "not read again: ..."."""


@dataclass(frozen=True)
class RecordContent:
    """The text of a record, its caption or its transcript.

    `raw`, `extracted`: as it came, and out of HTML or wikitext; None where that cannot be read again, and `reason` says why. `cleaned`: as
    it is in the shards, or would be if it had been kept; None where only the ledger's `excerpt` of it is known. `input`: the name of the
    file that it came from, `locator` where in it.
    """

    raw: str | None
    extracted: str | None
    cleaned: str | None
    excerpt: str | None
    input: str | None
    locator: str
    reason: str | None = None

    @property
    def text(self) -> str:
        """The cleaned text, or its beginning."""
        return self.cleaned if self.cleaned is not None else self.excerpt or ""


def read_content(corpus: BuiltCorpus, record: LedgerRecord, most_before: int | None = MOST_BEFORE) -> RecordContent:
    """Return the text of a record. `most_before`: bytes that may be decompressed before it is reached, None: as many as there are."""
    raw, reason, file, locator = None, None, None, record.id.removeprefix(f"{corpus.recorded_manifest.name}/")
    if corpus.is_mixture:
        reason = "a mixture reads no input; ask the corpus that it is of"
    else:
        try:
            source = find_source(corpus, record)
            file, locator = source.file.name, source.locator
            raw = _read_raw(corpus, source, most_before)
        except SeimaiError as error:
            reason = str(error)
    excerpt = record.row["excerpt"]
    cleaned = read_cleaned(corpus, record)
    if cleaned is None and raw is not None:
        cleaned = raw.cleaned
    if cleaned is None and excerpt is not None and record.row["verdict"] != "unreadable" and len(excerpt) < EXCERPT:
        cleaned = excerpt
    return RecordContent(raw and raw.raw, raw and raw.extracted, cleaned, excerpt, file, locator, reason)


def read_cleaned(corpus: BuiltCorpus, record: LedgerRecord) -> str | None:
    """Return the cleaned text of a record from the shards or the intermediates, None where neither has it."""
    if record.row["verdict"] == "kept":
        column = SHARD_TEXTS["text" if corpus.is_mixture else corpus.manifest.modality]
        rows = read_shard_rows(corpus, [record.id], [column])
        if len(rows):
            return rows[column][0]
    return None if record.row["verdict"] == "unreadable" else read_stored(corpus, record)


def read_measured(corpus: BuiltCorpus, record: LedgerRecord, content: RecordContent) -> MeasuredText:
    """Return the texts of a record that measures read: where lines that recur were taken out of it, with them, if that is known still."""
    spans = record.row.get("recurring_spans")
    if not spans:
        return MeasuredText(content.extracted, content.cleaned, [])
    stored = read_stored(corpus, record)
    return MeasuredText(content.extracted, content.cleaned if stored is None else stored, None if stored is None else spans)


def read_measured_by(corpus: BuiltCorpus, record: LedgerRecord, measure: str) -> MeasuredText:
    """Return the texts of a record that one measure reads; the input is read again only where nothing else has them."""
    cleaned = None if reads_raw(measure) else read_cleaned(corpus, record)
    if cleaned is None:
        return read_measured(corpus, record, read_content(corpus, record))
    return read_measured(corpus, record, RecordContent(None, None, cleaned, None, None, ""))


# -- intermediates


def read_stored(corpus: BuiltCorpus, record: LedgerRecord) -> str | None:
    """Return the cleaned text of a record as the build measured it; None where its intermediates are gone or damaged."""
    part = find_part(corpus, record.number)
    return None if part is None else _read_value(part[0].table, "text", part[1])


def _read_value(table: Path, column: str, row: int) -> Any:
    """Return a value of an intermediate table; None where that is gone or damaged: a corpus does not depend on it."""
    try:
        return scan_parquet(table).select(column).slice(row, 1).collect().item() if table.is_file() else None
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return None


def find_step_folder(corpus: BuiltCorpus, step: str) -> Path | None:
    """Return the folder of a step of the corpus's build, None where its intermediates are gone."""
    name = f"{step}-{corpus.lock.get('fingerprints', {}).get(step)}"
    works = (corpus.folder / str(corpus.state.get("work", "")), corpus.folder / STATE_FOLDER / "work")
    return next((work / name for work in works if (work / name).is_dir()), None)


def find_part(corpus: BuiltCorpus, number: int) -> tuple[Part, int] | None:
    """Return the measured partition that has a record, and its row there; None where the intermediates are gone or damaged."""
    decided = None if corpus.is_mixture else find_step_folder(corpus, "decide")
    if decided is None or not layout_file(decided).is_file():
        return None
    try:
        parts, bases = load_layout(layout_file(decided))
    except (pl.exceptions.PolarsError, OSError):
        return None
    if bases[-1] != corpus.ledger_rows[-1]:
        return None
    index = int(np.searchsorted(bases, number, side="right")) - 1
    return parts[index], number - bases[index]


# -- inputs


def count_bytes_before(corpus: BuiltCorpus, record: LedgerRecord) -> tuple[int, str] | None:
    """Return how many bytes have to be decompressed before a record is reached, and the name of its input; None where nobody knows."""
    try:
        source = find_source(corpus, record)
        return SOURCES[corpus.manifest.source.format].count_bytes_before(source.file, source.locator), source.file.name
    except (SeimaiError, OSError):
        return None


@dataclass(frozen=True)
class RecordSource:
    """Where a record came from: the input file, which is number `number`, the locator in it, and its measured partition, if any."""

    file: InputFile
    number: int
    locator: str
    part: Part | None = None
    row: int = 0


def find_source(corpus: BuiltCorpus, record: LedgerRecord) -> RecordSource:
    """Return where a record came from. Raises UnreadableContentError where nobody wrote that down."""
    files = _list_inputs(corpus)
    name = record.id.removeprefix(f"{corpus.manifest.name}/")
    part = find_part(corpus, record.number)
    known = part is not None and part[0].table.is_file()
    if len(files) == 1:
        found = [(0, name)]
    else:
        found = [(n, name.removeprefix(f"{file.name}/")) for n, file in enumerate(files) if name.startswith(f"{file.name}/")]
    if known and part is not None and len(found) > 1 and (number := _read_value(part[0].table, "file", part[1])) is not None:
        found = [one for one in found if one[0] == number]
    if not found:
        raise UnreadableContentError(f"no input of the build is named in {record.id}")
    number, locator = max(found, key=lambda one: len(files[one[0]].name))
    return RecordSource(files[number], number, locator, *(part if known and part is not None else ()))


def _list_inputs(corpus: BuiltCorpus) -> list[InputFile]:
    """Return the input files of the build that was published."""
    described = read_json(corpus.folder / STATE_FOLDER / "inputs.json")
    if not isinstance(described, list):
        raise UnreadableContentError(
            f"there is no {corpus.folder / STATE_FOLDER / 'inputs.json'}, which says where the input is"
        )
    used = [(file["name"], file["identity"]) for file in corpus.state["inputs"][: len(described)]]
    if used != [(file["name"], file["identity"]) for file in described]:
        raise UnreadableContentError("another build with other input was begun in this folder since")
    return [
        InputFile(
            file["name"], locate_input(corpus.folder, file["url"]), file["size"], file["identity"],
            tuple(locate_input(corpus.folder, one) for one in file.get("companions", ())),
        )
        for file in described
    ]  # fmt: skip


def _read_raw(corpus: BuiltCorpus, source: RecordSource, most_before: int | None) -> CleanedText:
    """Return a record's text as it came, and what cleaning makes of it. Raises UnreadableContentError and ChangedInputError."""
    manifest = corpus.manifest
    rows = read_row(corpus, source, most_before)
    try:
        return modality_of(manifest).clean(manifest, rows)[0]
    finally:
        rows.close()


def read_row(corpus: BuiltCorpus, source: RecordSource, most_before: int | None = MOST_BEFORE) -> Rows:
    """Return the row of a record: as its build stored it, else read again from its input. Close it after use.

    Raises UnreadableContentError and ChangedInputError.
    """
    return _read_stored_rows(source) or _read_input_rows(corpus, source, most_before)


def _read_stored_rows(source: RecordSource) -> Rows | None:
    """Return the row of a record as its build stored it, None where it did not: rows of images and recordings are."""
    partition = load_partition(source.part) if source.part is not None else None
    if partition is None or source.part is None or not source.part.raw.is_file():
        return None
    row = source.row
    for piece, body in zip(partition.ranges, load_bodies(source.part, partition), strict=True):
        if piece.records is None or body is None:
            return None
        if row < piece.records:
            rows = SOURCES[piece.format].read(piece, source.file, body, Fields())
            one = _select_row(rows, row)
            pointers = [name for name in ("text_offset", "metadata_offset") if name in one.frame.columns]
            if any(one.frame[name][0] is not None for name in pointers):  # the text stands in the input, where it lies
                check_input(source.file)
            return one
        row -= piece.records
    return None


def _read_input_rows(corpus: BuiltCorpus, source: RecordSource, most_before: int | None) -> Rows:
    """Return the row of a record, read again from its input."""
    file, settings = source.file, corpus.manifest.source
    check_input(file)
    format_ = SOURCES[settings.format]
    before = format_.count_bytes_before(file, source.locator)
    if most_before is not None and before > most_before:
        raise UnreadableContentError(
            f"{before / 1e6:,.0f} MB of {file.name} have to be decompressed before it; --raw does that"
        )
    for piece, body in _cut(corpus, source):
        stored = None if body is None else np.frombuffer(body, np.uint8)
        rows = SOURCES[piece.format or settings.format].read(piece, file, stored, settings.fields)
        locators = rows.frame["locator"]
        words = locators if locators.dtype == pl.String else locators.cast(pl.String).str.zfill(10)
        if len(found := (words == source.locator).arg_true()):
            return _select_row(rows, found[0])
    raise UnreadableContentError(f"{file.name} has no record at {source.locator} any more")


def _cut(corpus: BuiltCorpus, source: RecordSource) -> Iterator[tuple[Range, Any]]:
    settings = corpus.manifest.source
    state = make_cut_state(settings, None)
    partition = load_partition(source.part) if source.part is not None else None
    of_file = [piece for piece in partition.ranges if piece.file == source.number] if partition is not None else []
    if of_file:
        state.start = of_file[0].start
    return SOURCES[settings.format].cut_record(source.file, source.number, source.locator, state)


def _select_row(rows: Rows, row: int) -> Rows:
    text = rows.text and rows.text._replace(starts=rows.text.starts[row : row + 1], ends=rows.text.ends[row : row + 1])
    return replace(rows, frame=rows.frame[row : row + 1], text=text, _open={})


def check_input(file: InputFile) -> None:
    """Raise UnreadableContentError where an input is remote, gone, or not what it was when the corpus was built."""
    if is_url(file.url):
        raise UnreadableContentError(f"its input is remote and is not fetched again ({file.shown_url})")
    path = Path(file.url)
    if not path.exists():
        raise UnreadableContentError(f"its input is gone ({path})")
    if file.is_sample:
        is_same = file.identity == f"sample-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    else:
        try:
            check_unchanged(file)
            is_same = True
        except SeimaiError:
            is_same = False
    if not is_same:
        raise UnreadableContentError(f"its input has changed since the corpus was built ({path})")
