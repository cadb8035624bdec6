"""Single records of a built corpus: found by id in its ledger, and their rows in its shards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rapidfuzz import process

from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean, make_printable, shorten
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.commands import build_command

_SHOWN = 3  # ids in a message
_LISTED = 20  # ids on a page
_LONGEST = 100  # characters of a value in a message
_COMPARED = 1_000_000  # ids that are compared letter by letter: 0.1 s or so


class UnknownIdError(UsageError):
    """No record, or no single one, is called so. `reason`: what the message says without the corpus; `ids`: those that may be meant."""

    def __init__(self, shown: str, reason: str, listed: str, ids: list[str]) -> None:
        super().__init__(f"{shown}: {reason}{listed}")
        self.reason, self.ids = reason, ids


@dataclass(frozen=True)
class LedgerRecord:
    """A record as the ledger has it. `number`: its row in the ledger, which is its place in the input; `row`: its columns."""

    number: int
    row: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["id"])


def find_record(corpus: BuiltCorpus, reference: str, column: str | None = None) -> LedgerRecord:
    """Return the record whose id is `reference`, else the only one whose id ends in it or that a kept column calls so.

    `column`: the kept column that `reference` is a value of, instead of the id. Raises UnknownIdError, and UsageError for a column
    that was not kept.
    """
    reference = re.sub("[\ud800-\udfff]", "\ufffd", reference)  # polars takes no half of a surrogate pair
    if column is not None and column != "id":
        return _find_by_column(corpus, reference, column)
    printable = make_printable(reference)  # as ids are
    by_id, own = _match(corpus, "id", printable), list_own_ids(corpus)
    is_exact = by_id["id"].to_list() == [printable]
    by_own = _match_own(corpus, own, reference) if own and reference and not is_exact else by_id.clear()
    matched = pl.concat([by_own, by_id]).unique("number", maintain_order=True)
    if len(matched) == 1:
        return read_record(corpus, matched["number"][0])
    more = f". --by COLUMN finds records by what they came with: {', '.join(own)}" if own else ""
    if not len(by_own) and len(by_id):
        raise _name_several(corpus, matched, f"{len(by_id):,} ids end in {reference!r}", more)
    if not len(by_id) and len(by_own):
        raise _name_several(corpus, matched, f"{len(by_own):,} records are called {reference!r} by what they came with", more)
    if len(matched):
        several = f"ids end in {reference!r}, and records are called so by what they came with"
        raise _name_several(corpus, matched, several, more)
    nearest = find_nearest_ids(corpus.scan_ledger().select("id").collect()["id"], printable)
    unknown = f"no record is called {shorten(reference, _LONGEST)!r}"
    raise UnknownIdError(corpus.shown, unknown, f". The nearest ids: {', '.join(nearest)}{more}", nearest)


def _match_own(corpus: BuiltCorpus, own: Sequence[str], value: str) -> pl.DataFrame:
    """Return `number` and `id` of the records that have a value in one of the columns `own`."""
    is_called_so = pl.any_horizontal(pl.col(name).cast(pl.String) == value for name in own)
    judged = corpus.scan_ledger().select("id", is_called_so=is_called_so).with_row_index("number")
    return judged.filter("is_called_so").select("number", "id").collect()


def list_own_ids(corpus: BuiltCorpus) -> list[str]:
    """Return the columns by which a record can be found beside its id: words and whole numbers of its source that the build kept."""
    kept = [] if corpus.is_mixture else [name for name in corpus.manifest.source.kept if name in corpus.ledger_schema]
    return [name for name in kept if corpus.ledger_schema[name] == pl.String or corpus.ledger_schema[name].is_integer()]


def _match(corpus: BuiltCorpus, column: str, reference: str) -> pl.DataFrame:
    """Return `number` and `id` of the records with a value, else of those whose value ends in it."""
    frame = corpus.scan_ledger().select("id", called=pl.col(column).cast(pl.String)).with_row_index("number")
    found = frame.filter(pl.col("called") == reference).collect()
    if not len(found) and reference:
        found = frame.filter(pl.col("called").str.ends_with(reference)).collect()
        if len(found) > 1:  # of a name, not of the end of one
            named = found.filter(pl.col("called").str.ends_with(f"/{reference}"))
            found = named if len(named) else found
    return found.drop("called")


def _find_by_column(corpus: BuiltCorpus, reference: str, column: str) -> LedgerRecord:
    if column not in (own := list_own_ids(corpus)):
        known = (
            f"Columns that were kept: {', '.join(own)}" if own else "No column was kept: source.keep of the manifest names them"
        )
        raise UsageError(f"{corpus.shown}: records cannot be found by {column!r}{did_you_mean(column, own)} {known}")
    found = _match(corpus, column, reference)
    if len(found) == 1:
        return read_record(corpus, found["number"][0])
    if len(found):
        raise _name_several(corpus, found, f"{len(found):,} records have {reference!r} in {column}")
    values = corpus.scan_ledger().select(pl.col(column).cast(pl.String)).drop_nulls().unique().collect().to_series().sort()
    nearest = find_nearest_ids(values, reference) if len(values) else []
    more = f". The nearest values: {', '.join(shorten(one, _LONGEST) for one in nearest)}" if nearest else ""
    raise UnknownIdError(corpus.shown, f"no record has {reference!r} in {column}", more, [])


def _name_several(corpus: BuiltCorpus, found: pl.DataFrame, several: str, columns: str = "") -> UnknownIdError:
    shown = ", ".join(found["id"].head(_SHOWN))
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    listed = f": {shown}{more}. Give more of the id{columns}"
    return UnknownIdError(corpus.shown, several, listed, found["id"].head(_LISTED).to_list())


def find_nearest_ids(ids: pl.Series, reference: str) -> list[str]:
    """Return the ids most like a name that no record has: where both end in numbers, as byte offsets are, those with the nearest ones;
    else its neighbours by order, and those with most letters in common.

    Of a byte in the middle of a document, the first of them is that document.
    """
    if nearest := _find_nearest_numbers(ids, reference):
        return nearest
    head = str(ids[0]).rpartition("/")[0]
    words = [reference, *([f"{head}/{reference.rpartition('/')[2].zfill(10)}"] if head else [])]
    neighbours: list[str] = []
    for word in reversed(words):
        neighbours += [ids.filter(ids < word).max(), ids.filter(ids > word).min()]  # type: ignore[list-item]  # they are strings
    if len(ids) <= _COMPARED:
        similar = process.extract(words[-1], ids.to_list(), limit=_SHOWN, score_cutoff=80)
        neighbours = [*neighbours[:2], *(one for one, *_ in similar), *neighbours[2:]]
    return [*dict.fromkeys(one for one in neighbours if one is not None)][:_SHOWN]


def _find_nearest_numbers(ids: pl.Series, reference: str) -> list[str]:
    """Return the ids whose numbers are nearest to that at the end of a name: the one before it first. None without such numbers."""
    head, _, number = reference.rpartition("/")
    if not re.fullmatch(r"[0-9]{1,18}", number):
        return []
    for of_file in dict.fromkeys([head, str(ids[0]).rpartition("/")[0]]):
        numbers = ids.str.strip_prefix(f"{of_file}/").cast(pl.Int64, strict=False)
        if numbers.null_count() == len(ids):
            continue
        known = pl.DataFrame({"id": ids, "beyond": numbers - int(number)}).drop_nulls()
        before = known.filter(pl.col("beyond") < 0).top_k(1, by="beyond")["id"].to_list()
        near = (
            known.bottom_k(_SHOWN, by=[pl.col("beyond").abs(), "beyond"]).sort(pl.col("beyond").abs(), "beyond")["id"].to_list()
        )
        return [*dict.fromkeys([*before, *near])][:_SHOWN]
    return []


def read_record(corpus: BuiltCorpus, number: int) -> LedgerRecord:
    """Return the record in a row of the ledger."""
    return LedgerRecord(number, corpus.scan_ledger().slice(number, 1).collect().row(0, named=True))


def read_shard_rows(corpus: BuiltCorpus, ids: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of the shard rows with these ids, `id` among them; no other content is read than that of their row groups.

    A recording that was cut has several rows. Raises UsageError where the shards are damaged.
    """
    try:
        return corpus.scan_shards().filter(pl.col("id").is_in([*ids])).select("id", *columns).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{corpus.shown}: a shard is damaged ({reason}). Build it again in a fresh folder: {build_command(corpus.folder)}"
        ) from None
