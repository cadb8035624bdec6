"""A view of the ledger: which records, in which order. It is read from a URL and written to one, and to polars.

Every condition is an expression and the code of the same expression, side by side, so that what is copied selects what is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl

from pipeline.core.errors import UsageError
from pipeline.core.numbers import show_number

VERDICTS = ("kept", "dropped", "duplicate", "unreadable")
EXACT = ("rule", "source", "step", "duplicate_of")  # columns whose value is asked for as it is
PAGE = 50  # records
_PREFIXES = ("min.", "max.", "is.")
_KNOWN = ("q", "part", "id", "verdict", "with", "sort", "page", *EXACT)
_LONGEST = 1000  # characters of a value
_MOST = 100  # conditions

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Condition:
    """What a record must be. `parameter`: of the URL; `words`: as the page shows it."""

    parameter: tuple[str, str]
    words: str
    expression: pl.Expr
    code: str


@dataclass(frozen=True)
class Order:
    """What records are sorted by; those without a value come last. `near`: by their distance from this value."""

    column: str
    descending: bool = False
    near: float | int | None = None

    @property
    def expression(self) -> pl.Expr:
        return pl.col(self.column) if self.near is None else (pl.col(self.column) - self.near).abs()

    @property
    def code(self) -> str:
        column = f"pl.col({self.column!r})"
        by = column if self.near is None else f"({column} - {self.near!r}).abs()"
        return f".sort({by}, descending={self.descending}, nulls_last=True, maintain_order=True)"

    @property
    def words(self) -> str:
        """The order as the page shows it."""
        return (
            f"{self.column} {'↓' if self.descending else '↑'}"
            if self.near is None
            else f"|{self.column} - {show_number(self.near)}|"
        )

    @property
    def parameter(self) -> str:
        return f"{'-' * self.descending}{self.column}{'' if self.near is None else f'~{self.near!r}'}"


@dataclass(frozen=True)
class View:
    """Records that meet all conditions, in an order (None: of the input).

    `text`: searched for in excerpts and in the texts of kept records; `part`: which part of a corpus that is too large to be searched
    at once, from 1. `page`: from 1. `parameters`: as in the URL (`with` names columns that are shown), without those that are empty.
    """

    parameters: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()
    order: Order | None = None
    text: str = ""
    part: int = 1
    page: int = 1

    def get(self, name: str) -> str:
        """Return the first value of a parameter, "" without one."""
        return next((value for key, value in self.parameters if key == name), "")

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.parameters if key == name]

    def url(self, **changes: object) -> str:
        """Return the address of this view with other values for some parameters; None takes one away. A new selection begins at page 1."""
        named = {name.replace("__", "."): value for name, value in changes.items()}
        forgotten = set(named) | ({"page"} if set(named) != {"page"} else set())
        kept = [(key, value) for key, value in self.parameters if key not in forgotten]
        return make_url("/records", kept + [(key, str(value)) for key, value in named.items() if value is not None])

    def without(self, parameter: tuple[str, str]) -> str:
        """Return the address of this view without a condition."""
        return make_url("/records", [one for one in self.parameters if one != parameter and one[0] not in ("page", "part")])

    @property
    def selection(self) -> tuple[Any, ...]:
        """What decides which records there are, and in which order: all but the page and its columns."""
        return tuple(one for one in self.parameters if one[0] not in ("page", "with"))


def make_url(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return an address of this application."""
    query = urlencode([*parameters], quote_via=quote)
    return f"{path}?{query}" if query else path


def parse_view(parameters: Parameters, schema: pl.Schema) -> View:
    """Read a view from the parameters of a URL. Raises UsageError for what the ledger does not have, or cannot compare."""
    given = tuple((key, value) for key, value in parameters if value != "")
    conditions = list[Condition]()
    if len(given) > _MOST:  # each is on the page with a link that leaves it out
        raise UsageError(f"a view has at most {_MOST} conditions, and this one has {len(given):,}")
    for key, value in given:
        if len(value) > _LONGEST:
            raise UsageError(f"{key} has {len(value):,} characters: at most {_LONGEST:,} are looked for")
        if key not in _KNOWN and not key.startswith(_PREFIXES):
            raise UsageError(f"a view has no {key}: it has {', '.join(_KNOWN)}, and min., max. and is. before a column")
    verdicts = [value for key, value in given if key == "verdict"]
    if unknown := [value for value in verdicts if value not in VERDICTS]:
        raise UsageError(f"verdict {unknown[0]!r}: expected one of {', '.join(VERDICTS)}")
    if verdicts and set(verdicts) != set(VERDICTS):
        conditions += [_verdict_condition(verdicts)]
    for key, value in given:
        if key in EXACT:
            _check_column(key, schema)
            words = f"{key} = {value}"
            conditions.append(Condition((key, value), words, pl.col(key) == value, f"pl.col({key!r}) == {value!r}"))
        elif key == "id":
            code = f"pl.col('id').str.contains({value!r}, literal=True)"
            conditions.append(Condition((key, value), f"id … {value} …", pl.col("id").str.contains(value, literal=True), code))
        elif key == "with":
            _check_column(value, schema)
        elif key.startswith(_PREFIXES):
            conditions.append(_column_condition(key, value, schema))
    values = dict(reversed(given))
    order = _parse_order(values["sort"], schema) if "sort" in values else None
    page, part = (_parse_count(name, values.get(name, "1")) for name in ("page", "part"))
    return View(given, tuple(conditions), order, values.get("q", ""), part, page)


def _verdict_condition(verdicts: list[str]) -> Condition:
    words = f"verdict = {', '.join(verdicts)}"
    if len(verdicts) == 1:
        (verdict,) = verdicts
        return Condition(("verdict", verdict), words, pl.col("verdict") == verdict, f"pl.col('verdict') == {verdict!r}")
    code = f"pl.col('verdict').is_in({verdicts!r})"
    return Condition(("verdict", verdicts[0]), words, pl.col("verdict").is_in(verdicts), code)


def _column_condition(key: str, value: str, schema: pl.Schema) -> Condition:
    """Return the condition of `min.<column>`, `max.<column>` or `is.<column>`."""
    prefix, _, column = key.partition(".")
    kind = _check_column(column, schema)
    source, code = pl.col(column), f"pl.col({column!r})"
    if prefix == "is":
        if kind != pl.String:
            raise UsageError(f"{key}: {column} is a number; min.{column} and max.{column} bound it")
        return Condition((key, value), f"{column} = {value}", source == value, f"{code} == {value!r}")
    if not kind.is_numeric():
        raise UsageError(f"{key}: {column} is no number; is.{column} asks for one of its values")
    limit, sign = parse_number(key, value), ">=" if prefix == "min" else "<="
    expression = source >= limit if prefix == "min" else source <= limit
    code = f"{code} {sign} {limit!r}"
    if prefix == "min" and kind.is_float():  # NaN is above every number to polars
        expression, code = expression & source.is_not_nan(), f"({code}) & pl.col({column!r}).is_not_nan()"
    return Condition((key, value), f"{column} {sign} {show_number(limit)}", expression, code)


def _parse_order(value: str, schema: pl.Schema) -> Order:
    name, _, near = value.removeprefix("-").partition("~")
    kind = _check_column(name, schema)
    if kind.is_nested():
        raise UsageError(f"sort = {value}: {name} is a list, which has no order")
    if near and not kind.is_numeric():
        raise UsageError(f"sort = {value}: {name} is no number, so that nothing is near to it")
    return Order(name, value.startswith("-"), parse_number("sort", near) if near else None)


def _check_column(name: str, schema: pl.Schema) -> pl.DataType:
    if name not in schema:
        raise UsageError(f"the ledger has no column {name!r}")
    return schema[name]


def parse_number(name: str, value: str) -> int | float:
    """Read a number. Raises UsageError for anything else."""
    if re.fullmatch(r"-?[0-9]{1,18}", value):  # as it is: a float has 53 bits
        return int(value)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name} = {value!r}: a number is expected")
    return number


def _parse_count(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12 or int(value) < 1:
        raise UsageError(f"{name} = {value!r}: a number from 1 on is expected")
    return int(value)
