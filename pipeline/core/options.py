"""Options of a command from a table of settings, so that each is declared once: as a field with bounds, default and description."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import annotated_types
import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.core.errors import UsageError
from pipeline.core.settings import Table, parse_count, parse_size

Command = TypeVar("Command", bound=Callable[..., Any])
AnyTable = TypeVar("AnyTable", bound=Table)


class _Readable(click.ParamType):
    """A mixin for whole numbers that are read from what people write."""

    read: Callable[[Any], Any] = staticmethod(parse_count)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = self.read(value)
        except ValueError as error:
            self.fail(f"{error}, found {value!r}", param, ctx)
        return super().convert(number, param, ctx)


class Count(_Readable, click.types.IntParamType):
    """A whole number, which may be written as "32k" or "3 B"."""


class CountRange(_Readable, click.IntRange):
    """A whole number within bounds, which may be written as "32k" or "3 B"."""


class Size(_Readable, click.types.IntParamType):
    """Bytes, which may be written as "512 MB" or "1 GiB"."""

    name = "size"
    read = staticmethod(parse_size)


def add_options(table: type[Table]) -> Callable[[Command], Command]:
    """Decorate a click command with one option for each field of `table`, in their order.

    A bool becomes a flag, a tuple of strings an option that may be repeated. `json_schema_extra={"metavar": …}` of a field names its
    value in the help.
    """

    def decorate(command: Command) -> Command:
        for name, field in reversed(table.model_fields.items()):
            command = _build_option(name, field)(command)
        return command

    return decorate


def parse_options(table: type[AnyTable], values: Mapping[str, Any]) -> AnyTable:
    """Build `table` from the values that click collected. Raises UsageError that names the option."""
    try:
        return table(**values)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"--{str(first['loc'][0]).replace('_', '-')}: {message}") from None


def _build_option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.option(flag, is_flag=True, help=field.description)
    return click.option(
        flag,
        type=_find_click_type(field),
        default=field.default,
        show_default=field.default is not None,
        multiple=typing.get_origin(field.annotation) is tuple,
        metavar=extra.get("metavar"),
        help=field.description,
    )


def _find_click_type(field: FieldInfo) -> click.ParamType:
    bounds: dict[str, Any] = {}
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge | annotated_types.Gt):
            bounds["min"] = bound.ge if isinstance(bound, annotated_types.Ge) else bound.gt
            bounds["min_open"] = isinstance(bound, annotated_types.Gt)
        elif isinstance(bound, annotated_types.Le):
            bounds["max"] = bound.le
    kinds = typing.get_args(field.annotation) or (field.annotation,)  # several for `float | None`
    if any(getattr(mark, "func", None) is parse_size for mark in field.metadata):
        return Size()
    if int in kinds:
        return CountRange(**bounds)
    return click.FloatRange(**bounds) if float in kinds else click.STRING
