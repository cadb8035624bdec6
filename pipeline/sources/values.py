"""Values from outside, made fit for a table: names, texts, what JSON holds."""

from __future__ import annotations

import re

import polars as pl

UNFINISHED = "the input ends inside this line"  # the problem of a last row that may lack something


def completed(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """`frame` with every column of `schema`, in its order; others are left out."""
    return frame.select(
        (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)) for name, kind in schema.items()
    )


def printable(text: str) -> str:
    """A name from outside as it may stand in an id: what is not printable becomes U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def all_printable(column: pl.Series) -> pl.Series:
    """`printable` of every value."""
    odd = column.str.contains(r"[^ -~]").fill_null(False)
    if not odd.any():
        return column
    return column.scatter(odd.arg_true(), pl.Series([printable(text) for text in column.filter(odd)], dtype=pl.String))


def distinct(locators: pl.Series, seen: set[str]) -> pl.Series:
    """`locators` that are all different, and none in `seen`, which takes them up: the second of the same gets ~2."""
    given = locators.to_list()
    if len(set(given)) == len(given) and seen.isdisjoint(given):
        seen.update(given)
        return locators
    found = []
    for locator in given:
        name, nth = locator, 1
        while name in seen:
            nth += 1
            name = f"{locator}~{nth}"
        seen.add(name)
        found.append(name)
    return pl.Series(locators.name, found, pl.String)


def decoded(raw: bytes, what: str) -> tuple[str, str | None]:
    """A text, and what is wrong with it; `what` is its name in messages."""
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        problem = f"{what}: invalid UTF-8: byte 0x{raw[error.start]:02X} at {error.start} of {len(raw)}"
        return raw.decode("utf-8", "replace"), problem


def texts(raw: pl.Series, what: str) -> tuple[pl.Series, pl.Series]:
    """Binary values as texts, and what is wrong with each, as `decoded` has it."""
    try:
        return raw.cast(pl.String), pl.repeat(None, len(raw), dtype=pl.String, eager=True)
    except pl.exceptions.PolarsError:
        pairs = [(None, None) if value is None else decoded(value, what) for value in raw]
        return pl.Series(raw.name, [text for text, _ in pairs], pl.String), pl.Series(
            [why for _, why in pairs], dtype=pl.String
        )


_SURROGATE = re.compile("[\ud800-\udfff]")


def scalars(value: object) -> dict[str, str]:
    """The strings and numbers of a JSON object, as strings. Half a surrogate pair, which JSON can hold, becomes U+FFFD."""
    found = value.items() if isinstance(value, dict) else ()
    return {_whole(k): _whole(str(v)) for k, v in found if isinstance(v, str | int | float) and not isinstance(v, bool)}


def _whole(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
