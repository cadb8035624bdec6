"""One line of JSON, read exactly: the values of the keys that are wanted, or why the line cannot be read.

This is the definition that `json_columns` holds to where it reads many lines at once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.values import decode_text

DEEPEST = 200  # levels of nested arrays and objects; what is deeper would exhaust Python's stack
_TOO_DEEP = f"more than {DEEPEST} levels of arrays and objects"
_BOM = "\ufeff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{}\]]', re.DOTALL)  # or a string, which may have brackets in it
_LONGEST_SHOWN = 80  # characters of a value that a message shows
_MOST_DIGITS = 4000  # of an integer; Python refuses those of more than 4,300
_INTEGER = re.compile(r"[+-]?0*[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TYPE_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class LineError(ValueError):
    """Why a line, or a value in it, cannot be read. `values`: what could be read of its other keys."""

    def __init__(self, message: str, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.values = values or {}


class MisfitError(LineError):
    """A value does not fit the type of its column. `shown`: the value as messages show it."""

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


def name_type(value: object) -> str:
    """Return what messages call the type of a JSON value."""
    return _TYPE_NAMES[type(value)]


def parse_line(line: bytes, text: str, wanted: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """Return the values of the keys `wanted` in the JSON object that a line is, converted to their types, and that of the key `text`.

    Raises LineError where the line is no JSON object, or `text` no string: then with the other values. Missing keys are null, and so is
    a value that does not fit its type; it is shown under its name after `MISFIT`.
    """
    value = load_object(line, {text, *wanted})
    row: dict[str, Any] = {}
    for name, kind in wanted.items():
        if name == text:
            continue
        try:
            row[name] = convert_value(value.get(name), kind, name)
        except MisfitError as error:
            row |= {name: None, f"{MISFIT}{name}": error.shown}
    if text not in value:
        listed = ", ".join([repr(key) for key in value][:10]) or "none at all"
        raise LineError(f"no text: it has no key {text!r}, but {listed}", row)
    if not isinstance(value[text], str):
        raise LineError(f"no text: {text!r} is {name_type(value[text])}", row)
    try:
        return {text: convert_value(value[text], pl.String(), text), **row}
    except MisfitError as error:
        raise LineError(str(error), row) from None


def load_object(line: bytes, wanted: set[str]) -> dict[str, Any]:
    """Return the JSON object that a line is. Raises LineError where it is none, or has a key in `wanted` twice."""
    decoded, problem = decode_text(line, "line")
    if problem:
        raise LineError(problem.removeprefix("line: "))
    decoded = decoded.removeprefix(_BOM)
    if not decoded.strip(" \t\r\n"):
        raise LineError("there is nothing in it but spaces")
    if _is_deeper(decoded, DEEPEST):
        raise LineError(_TOO_DEEP)
    pairs: list[tuple[str, Any]] = []

    def take_pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found  # the outermost object comes last
        return dict(found)

    try:
        value = json.loads(decoded, object_pairs_hook=take_pairs, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        raise LineError(_explain(error)) from None
    except RecursionError:  # where a torn string hides brackets from the count
        raise LineError(_TOO_DEEP) from None
    if not isinstance(value, dict):
        raise LineError(f"no JSON object but {name_type(value)}")
    if len(pairs) > len(value):
        keys = [key for key, _ in pairs]
        if twice := next((key for key in keys if key in wanted and keys.count(key) > 1), None):
            raise LineError(f"the key {twice!r} is there twice")
    return value


def convert_value(value: Any, kind: pl.DataType, name: str) -> Any:
    """Return a JSON value as a column of type `kind` holds it. Raises MisfitError where it does not fit.

    What is no string becomes compact JSON in a column of strings. Numbers may be written as strings, and booleans as 0 and 1. Null is
    null, and so is NaN where a column has no floats: it is what Python writes for a value that is missing. Infinity fits nowhere.
    """
    if value is None or isinstance(value, float) and math.isnan(value) and not kind.is_float():
        return None
    if kind == pl.String:
        try:
            text = (
                value
                if isinstance(value, str)
                else json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            )
        except ValueError:  # numbers that are infinite, or none
            raise _misfit(value, kind, name) from None
        if _SURROGATE.search(text):
            raise MisfitError(f"{name!r} has half a surrogate pair, which is no character", _show(text))
        return text
    if isinstance(value, str):
        value = _read_scalar(value, kind, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        fits = isinstance(value, bool) and (kind == pl.Boolean or kind.is_numeric())
    elif kind.is_integer():
        limits = np.iinfo(str(kind).lower())
        fits = limits.min <= value <= limits.max and value == int(value)
    elif kind == pl.Boolean:
        fits = value in (0, 1)
    else:
        fits = kind.is_float() and not _is_infinite(value)
    if not fits:
        raise _misfit(value, kind, name)
    return bool(value) if kind == pl.Boolean else float(value) if kind.is_float() else int(value)


def _read_scalar(text: str, kind: pl.DataType, name: str) -> bool | int | float:
    """Return the number or boolean that a string has written out."""
    if kind == pl.Boolean and text in ("true", "false"):
        return text == "true"
    if kind.is_integer() and _INTEGER.fullmatch(text):
        return int(text)
    if kind.is_float() and _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise _misfit(text, kind, name)


def _misfit(value: Any, kind: pl.DataType, name: str) -> MisfitError:
    shown = _show(value)
    return MisfitError(f"{name!r} does not fit its type {kind}: {shown}", shown)


def _show(value: Any) -> str:
    """Return the beginning of a value as JSON."""
    shown = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def _is_infinite(number: int | float) -> bool:
    try:
        return math.isinf(number)
    except OverflowError:  # an integer beyond all floats
        return True


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


def _explain(error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return f"not JSON: more follows after the first value, at character {error.pos + 1}; a line is one object"
    return f"not JSON: {error.msg} at character {error.pos + 1}"


def _is_deeper(text: str, levels: int) -> bool:
    """Return whether arrays and objects are nested in more than so many levels. Brackets in strings do not count."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for bracket in _BRACKET.findall(text):
        if bracket in "[{":
            depth += 1
            if depth > levels:
                return True
        elif bracket in "]}":
            depth -= 1
    return False
