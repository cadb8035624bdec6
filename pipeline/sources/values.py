"""Values from outside, made fit for a table: names, texts, what JSON holds."""

from __future__ import annotations

import re

import polars as pl

from pipeline.core.names import UNPRINTABLE

_SURROGATE = re.compile("[\ud800-\udfff]")


def conform_to_schema(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return `frame` with exactly the columns of `schema`, in its order; those that it lacks are null."""
    return frame.select(
        (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)) for name, kind in schema.items()
    )


def make_all_printable(column: pl.Series) -> pl.Series:
    """Return a column of strings with every value as `make_printable` has it."""
    return column.str.replace_all(UNPRINTABLE, "\N{REPLACEMENT CHARACTER}")


def make_distinct(locators: pl.Series, seen: set[str]) -> pl.Series:
    """Return `locators` all different, and none in `seen`, to which they are added: the second of the same gets ~2."""
    given = locators.to_list()
    if len(set(given)) == len(given) and seen.isdisjoint(given):
        seen.update(given)
        return locators
    distinct = []
    for locator in given:
        name, nth = locator, 1
        while name in seen:
            nth += 1
            name = f"{locator}~{nth}"
        seen.add(name)
        distinct.append(name)
    return pl.Series(locators.name, distinct, pl.String)


def decode_text(raw: bytes, what: str) -> tuple[str, str | None]:
    """Return a text, and what is wrong with it or None; `what` is its name in messages."""
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        problem = f"{what}: invalid UTF-8: byte 0x{raw[error.start]:02X} at {error.start} of {len(raw)}"
        return raw.decode("utf-8", "replace"), problem


def decode_texts(raw: pl.Series, what: str) -> tuple[pl.Series, pl.Series]:
    """Return binary values as texts, and what is wrong with each, as `decode_text` does."""
    try:
        return raw.cast(pl.String), pl.repeat(None, len(raw), dtype=pl.String, eager=True)
    except pl.exceptions.PolarsError:
        decoded = [(None, None) if value is None else decode_text(value, what) for value in raw]
        texts, problems = [text for text, _ in decoded], [problem for _, problem in decoded]
        return pl.Series(raw.name, texts, pl.String), pl.Series(problems, dtype=pl.String)


def stringify_scalars(value: object) -> dict[str, str]:
    """Return the strings and numbers of a JSON object, as strings. Half a surrogate pair, which JSON can hold, becomes U+FFFD."""
    items = value.items() if isinstance(value, dict) else ()
    return {
        _mend_surrogates(key): _mend_surrogates(str(scalar))
        for key, scalar in items
        if isinstance(scalar, str | int | float) and not isinstance(scalar, bool)
    }


def _mend_surrogates(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
