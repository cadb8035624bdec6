"""The ledger of a corpus as the step decide had its records before it: what rules judge, from stored measures alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from pipeline.core.tables import scan_parquet
from pipeline.corpus.built import BuiltCorpus
from pipeline.manifest.model import Bound
from pipeline.steps.decide import measured_column
from pipeline.steps.fit import band_frame, fitted_rules
from pipeline.steps.ledger import name_judged_column

BATCH = 1 << 20  # records in memory at a time
# Multiples of this, modulo 2^64, spread evenly: the records with the smallest ones are examples from all over the corpus.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def measured_columns(corpus: BuiltCorpus, rules: Mapping[str, Bound]) -> list[pl.Expr]:
    """Return expressions over ledger rows: the columns of the measured table that `decide_records` needs to judge by `rules`.

    `chars` is of the text before lines that recur were taken out of it, as it was when the build decided.
    """
    columns = [_stored(corpus, name).alias(measured_column(name)) for name in rules]
    groups = sorted({bound.by for bound in fitted_rules(dict(rules)).values()} - {"corpus"})
    unreadable = pl.when(pl.col("verdict") == "unreadable").then(pl.lit("unreadable")).alias("unreadable")
    # Nothing is left of a document without characters. An image or a recording is never empty.
    payload = _stored(corpus, "chars") if corpus.manifest.modality == "text" else pl.lit(1)
    return [*columns, *map(pl.col, groups), unreadable, payload.cast(pl.Int64).alias("payload")]


def measured_amount(corpus: BuiltCorpus) -> pl.Expr:
    """Return an expression over ledger rows: the amount of a record when the build decided, in the unit of reports (milliseconds)."""
    if corpus.amount is None:
        return pl.lit(0, pl.Int64)
    if corpus.manifest.modality == "speech":
        return (pl.col("duration").cast(pl.Float64) * 1000).round(mode="half_to_even").fill_null(0).cast(pl.Int64)
    return _stored(corpus, "chars").fill_null(0).cast(pl.Int64)


def _stored(corpus: BuiltCorpus, rule: str) -> pl.Expr:
    name = name_judged_column(rule, corpus.ledger_schema)
    is_flag = corpus.ledger_schema[name] == pl.Boolean
    return pl.col(name).cast(pl.Int8) if is_flag else pl.col(name)


def cut_ledger(corpus: BuiltCorpus) -> Iterator[tuple[int, int]]:
    """Yield stretches of at most `BATCH` records of one file of the ledger: the number of the first, and how many there are."""
    for first, stop in zip(corpus.ledger_rows[:-1], corpus.ledger_rows[1:], strict=True):
        for at in range(first, stop, BATCH):
            yield at, min(BATCH, stop - at)


def read_ledger_rows(corpus: BuiltCorpus, first: int, count: int, columns: Sequence[pl.Expr]) -> pl.DataFrame:
    """Return expressions over some records that follow one another in one file of the ledger."""
    file = bisect_right(corpus.ledger_rows, first) - 1
    return scan_parquet(corpus.ledger_files[file]).select(columns).slice(first - corpus.ledger_rows[file], count).collect()


def fit_bands(corpus: BuiltCorpus, rules: dict[str, Bound]) -> pl.DataFrame | None:
    """Return the bands of the rules whose bounds are fitted, as a build fits them; None where no rule has such bounds."""
    fitted = fitted_rules(rules)
    return band_frame(corpus.scan_ledger().select(measured_columns(corpus, fitted)), fitted) if fitted else None


def spread(numbers: np.ndarray) -> np.ndarray:
    """Return uint64[n] by which records, given by number, are in an order that takes them from all over the corpus."""
    return numbers.astype(np.uint64) * _GOLDEN
