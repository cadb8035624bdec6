"""Cleaning, measures and signatures of texts, as a build has them, without a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, overload

import polars as pl
import pyarrow as pa

from filters.kernels import to_arrow
from filters.text import minhash
from pipeline.core.errors import UsageError
from pipeline.core.python_names import call_from_python
from pipeline.explain.judgement import BASE
from pipeline.manifest.loading import load_table
from pipeline.manifest.model import is_of_corpus
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import CleanedDocuments, clean_documents, compute_measures
from seimai.texts import TEXT, read_rows


def make_manifest(**tables: Any) -> TextManifest:
    """Return a manifest of texts in tables. Raises UsageError for keys and values that are none."""
    manifest = load_table(deepcopy(BASE) | tables, "seimai")
    assert isinstance(manifest, TextManifest)
    return manifest


def clean_rows(texts: Any, manifest: TextManifest, column: str | None) -> Iterator[CleanedDocuments]:
    """Yield texts, cleaned as a manifest says, some thousand at a time. `column`: as for `clean`."""
    for rows in read_rows(texts, manifest.source.fields, column):
        yield clean_documents(manifest.clean, rows)


@overload
def clean(texts: str, column: str | None = None, **settings: Any) -> str: ...
@overload
def clean(texts: Any, column: str | None = None, **settings: Any) -> pl.Series: ...
@call_from_python()
def clean(texts: Any, column: str | None = None, **settings: Any) -> str | pl.Series:
    """Clean texts as a build does: Unicode mended, spaces and line ends made one, boilerplate lines left out.

    `texts`: a string, which comes back as one; strings, a Series, an Arrow array or a table, whose text comes back as a polars Series,
    null where a text cannot be read. `column`: the table's column of text, where its name does not say so. `settings`: keys of the
    manifest's table `clean`, such as width, html and boilerplate. Raises UsageError.

    >>> clean("ﾊﾞナナ　です。  ")
    'バナナ　です。'
    >>> clean(["①２３", None], compatibility="expand").to_list()
    ['123', None]
    """
    manifest = make_manifest(clean=settings)
    cleaned = pl.concat([_texts_of(documents) for documents in clean_rows(texts, manifest, column)])
    return cleaned.item() if isinstance(texts, str) else cleaned


def _texts_of(documents: CleanedDocuments) -> pl.Series:
    is_unreadable = pl.Series(documents.problems, dtype=pl.String).is_not_null()
    return pl.Series(TEXT, to_arrow(documents.data, documents.offsets)).set(is_unreadable, None)


@call_from_python()
def measure(texts: Any, names: str | Sequence[str] | None = None, column: str | None = None) -> pl.DataFrame:
    """Measure texts, which are cleaned first: the numbers that the ledger of a build would have.

    Returns a row for each text, and a column for each measure in `names`, by default all that builds of documents compute; null where a
    text cannot be read. `texts` and `column` as for `clean`. `filters.measure_frame` measures texts as they are. Raises UsageError.

    >>> measure(["吾輩は猫である。名前はまだ無い。"], ["sentences", "hiragana_share", "language"]).rows()
    [(2, 0.5, 'ja')]
    """
    named = [names] if isinstance(names, str) else list(dict.fromkeys(names or ()))
    manifest = make_manifest(measure={"also": named})
    wanted = manifest.measures if names is None else named
    for name in wanted:
        if is_of_corpus(name):
            raise UsageError(f"{name} is known of a document in its corpus: texts alone do not have it")
    frames = []
    for documents in clean_rows(texts, manifest, column):
        is_readable = pl.Series(documents.problems, dtype=pl.String).is_null()
        measured = compute_measures(manifest, documents, wanted)
        frames.append(measured.select(pl.when(is_readable).then(pl.col(name)).alias(name) for name in measured.columns))
    return pl.concat(frames)


@call_from_python()
def signatures(
    texts: Any,
    permutations: int = minhash.PERMUTATIONS,
    shingle: int = minhash.SHINGLE,
    seed: int = 1,
    column: str | None = None,
) -> pl.DataFrame:
    """Sign texts, which are cleaned first, by MinHash over character n-grams, as deduplication does.

    Returns a row for each text: `minhash` (uint32[permutations], null where the text is shorter than an n-gram or cannot be read), whose
    share of equal values in two texts estimates their Jaccard similarity; `key` and `exact`, hashes of what is compared and of the whole
    text, equal where these are. `shingle`: characters of an n-gram. `texts` and `column` as for `clean`. Raises UsageError.

    >>> frame = signatures(["吾輩は猫である。", "吾輩は、猫である", "犬"])
    >>> frame["minhash"][0].equals(frame["minhash"][1]), frame["minhash"][2]
    (True, None)
    """
    if permutations < 1 or shingle < 1:
        raise UsageError(f"permutations = {permutations}, shingle = {shingle}: expected numbers from 1 on")
    manifest, frames = make_manifest(), []
    for documents in clean_rows(texts, manifest, column):
        found = minhash.signatures(documents.data, documents.offsets, permutations, seed, shingle)
        is_readable = pl.Series(documents.problems, dtype=pl.String).is_null()
        minima = pa.FixedSizeListArray.from_arrays(pa.array(found.minima.ravel()), permutations)
        frame = pl.DataFrame({"minhash": minima, "key": found.keys, "exact": found.exact}).with_columns(
            minhash=pl.when(pl.Series(found.lengths) >= shingle).then("minhash")
        )
        frames.append(frame.select(pl.when(is_readable).then(pl.col(name)).alias(name) for name in frame.columns))
    return pl.concat(frames)
