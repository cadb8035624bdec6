"""Furniture: the lines of documents that stand in windows which many documents have. `pipeline.dedup.recurring` counts over a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from filters.kernels import buffers
from filters.text.lines import line_keys
from pipeline.dedup.bands import range_of
from pipeline.dedup.windows import (
    distinct_windows,
    hash_edges,
    hash_labels,
    hash_windows,
    list_spans,
    mark_furniture,
    mark_small_sites,
    measure_marks,
)
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step

# Of a window, an edge, or a site (`_SITE` added to its hash): how many documents have it.
COUNTED = np.dtype([("hash", np.uint64), ("documents", np.uint32)])
_SITE = np.uint64(0x8CB92BA72F3D8DD7)
LEAST_AT_EDGE = 2  # lines that begin or end documents, over the corpus; within a site, one
SHARE_OF_LINE = 0.5  # of a site's documents that begin or end with one line

# What the ledger says of lines that recur. `measured_chars`: characters before they were removed, which the step decide judged.
# `recurring_spans`: the first and the last of consecutive ones, one after another, as numbers of
# lines of the cleaned text.
RECURRING_FIELDS = (
    pa.field("recurring_lines", pa.int32()),
    pa.field("recurring_chars", pa.int32()),
    pa.field("recurring_line_share", pa.float32()),
    pa.field("recurring_spans", pa.list_(pa.int32())),
    pa.field("measured_chars", pa.int32()),
)


class RecurringLines(ManifestTable):
    """Lines that recur over documents: menus, headers and footers (furniture), removed from all documents."""

    default_step: ClassVar[Step | None] = "strip"

    # The step measure makes keys of lines where they are needed.
    enabled: Annotated[bool, BelongsTo("measure"), BelongsTo("strip")] = Field(
        True, description="remove them; needs deduplicate.enabled, since copies of a page would make its lines recur"
    )
    lines: int = Field(5, ge=3, le=100, description="consecutive lines that recur together, over the corpus")
    documents: int = Field(10, ge=2, description="documents that have them")
    few_documents: int = Field(3, ge=2, description="documents that begin and end with the same lines, where these are many")
    few_lines: int = Field(12, ge=5, description="lines that these have in common behind the first ones")
    site_lines: int = Field(
        3, ge=2, le=100, description="consecutive lines that recur together, within a site (registered domain)"
    )
    site_documents: int = Field(5, ge=2, description="documents of the site that have them")
    site_share: float = Field(0.02, ge=0, le=1, description="least share of the site's documents that have them")


class Kind(NamedTuple):
    """What is counted: windows of `size` lines, and edges of `least` to `size` lines, within sites or over the corpus."""

    size: int
    within_sites: bool
    least: int


@dataclass(frozen=True)
class Survivors:
    """The lines of documents: document i, of row `rows[i]` of a partition, has `keys[starts[i]:starts[i + 1]]`.

    `sites`: a hash per document, 0 where the site is not known.
    """

    rows: np.ndarray
    starts: np.ndarray
    keys: np.ndarray
    sites: np.ndarray

    @classmethod
    def of_texts(cls, texts: pl.Series, sites: pl.Series | None = None) -> Survivors:
        """Return the lines of cleaned texts, whose sites may be named."""
        keys, numbers = line_keys(*buffers(texts))
        hashes = np.zeros(len(texts), np.uint64) if sites is None else sites.hash().to_numpy()
        return cls(np.arange(len(texts)), np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)]), keys, hashes)

    def count(self, settings: RecurringLines, part: int = 0, parts: int = 1) -> np.ndarray:
        """Return how many of the documents have each window, and how many each site has, by ascending hash.

        Of `parts` equal ranges of hashes only those in the range `part` are counted.
        """
        hashes = [self._choose(self.sites[self.sites != 0] + _SITE, part, parts)]
        for kind in self._kinds(settings):
            hashes.append(self._choose(distinct_windows(self._windows(kind), self.starts), part, parts))
            hashes.append(self._choose(distinct_windows(self._labels(kind), self.starts), part, parts))
            edges = self._edges(kind)
            hashes.append(self._choose(edges[edges != 0], part, parts))
        values, counts = np.unique(np.concatenate(hashes), return_counts=True)
        rows = np.empty(len(values), COUNTED)
        rows["hash"], rows["documents"] = values, counts
        return rows

    def _choose(self, hashes: np.ndarray, part: int, parts: int) -> np.ndarray:
        return hashes if parts == 1 else hashes[range_of(hashes, parts) == part]

    def mark(self, settings: RecurringLines, recurring: np.ndarray) -> np.ndarray:
        """Return bool[lines]: which are furniture, given what recurs in the corpus."""
        marks = np.zeros(len(self.keys), np.bool_)
        needed = np.full(len(self.rows), settings.documents, np.int64)
        for kind in self._kinds(settings):
            if kind.within_sites:
                pages = look_up(recurring, self.sites + _SITE)
                needed = np.maximum(settings.site_documents, np.ceil(settings.site_share * pages)).astype(np.int64)
            of_line = needed if not kind.within_sites else np.maximum(needed, np.ceil(SHARE_OF_LINE * pages).astype(np.int64))
            windows = look_up(recurring, self._windows(kind))
            labels = look_up(recurring, self._labels(kind))
            edges = look_up(recurring, self._edges(kind).ravel()).reshape(-1, 2, kind.size)
            mark_furniture(self.keys, self.starts, windows, labels, edges, needed, of_line, kind.size, kind.within_sites, marks)
            if not kind.within_sites:
                few = (settings.few_documents, settings.few_lines)
                mark_small_sites(self.keys, self.starts, windows, labels, edges, *few, kind.size, marks)
        return marks

    def describe(self, marks: np.ndarray) -> pl.DataFrame:
        """Return the documents that have furniture.

        `row`; `spans` (list of int32: the numbers of the first and the last line of each, one after another); `lines` and `chars` of what
        is removed; `line_chars`, characters in all lines; `chars_left`, those of the text without furniture.
        """
        sums = measure_marks(self.keys, self.starts, marks)
        offsets, spans = list_spans(self.starts, marks)
        chosen = np.flatnonzero(sums[:, 0])
        lists = pl.DataFrame({"of": np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), "span": spans})
        lines, chars, line_chars, left = sums[chosen].T.astype(np.int32)
        return pl.DataFrame(
            {
                "row": self.rows[chosen].astype(np.uint32),
                "spans": lists.group_by("of", maintain_order=True).agg("span")["span"],
                "lines": lines,
                "chars": chars,
                "line_chars": line_chars,
                "chars_left": left,
            },
            schema_overrides={"spans": pl.List(pl.Int32)},
        )

    def _kinds(self, settings: RecurringLines) -> Iterator[Kind]:
        yield Kind(settings.lines, False, LEAST_AT_EDGE)
        if self.sites.any():
            yield Kind(settings.site_lines, True, 1)

    def _windows(self, kind: Kind) -> np.ndarray:
        """Return uint64[lines]: the hash of the window that begins at each line, 0 where none does."""
        return hash_windows(self.keys, self.starts, self.sites, kind.size, kind.within_sites)

    def _labels(self, kind: Kind) -> np.ndarray:
        return hash_labels(self.keys, self.starts, self.sites, kind.within_sites)

    def _edges(self, kind: Kind) -> np.ndarray:
        return hash_edges(self.keys, self.starts, self.sites, kind.least, kind.size, kind.within_sites)


def sum_counts(rows: np.ndarray) -> np.ndarray:
    """Return rows of `COUNTED` with distinct hashes, by ascending hash, of rows in any order."""
    rows = rows[np.argsort(rows["hash"], kind="stable")]
    firsts = np.flatnonzero(np.concatenate([[True], rows["hash"][1:] != rows["hash"][:-1]])[: len(rows)])
    out = rows[firsts]
    if len(rows):
        out["documents"] = np.add.reduceat(rows["documents"], firsts)
    return out


def leave_recurring(settings: RecurringLines, rows: np.ndarray) -> np.ndarray:
    """Return what enough documents have for anything to be furniture."""
    return rows[rows["documents"] >= min(settings.documents, settings.site_documents, settings.few_documents)]


def look_up(recurring: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return uint32[n]: how many documents have each, 0 for those that do not recur."""
    out = np.zeros(len(hashes), np.uint32)
    if len(recurring):
        asked = np.flatnonzero(hashes)
        table = recurring["hash"]
        at = np.minimum(np.searchsorted(table, hashes[asked]), len(table) - 1)
        found = table[at] == hashes[asked]
        out[asked[found]] = recurring["documents"][at[found]]
    return out
