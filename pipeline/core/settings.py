"""Tables of settings: of manifests, of commands that manifests name, and of trainers."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

LARGEST_INTEGER = 2**63 - 1  # that columns and compiled loops hold
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_NUMBER = r"\s*(\d[\d_,]*(?:\.\d+)?)\s*"


def parse_size(value: Any) -> Any:
    """Return the bytes that text such as "32 MB", "4GB" or "1 GiB" denotes. What is no text is returned as it is, for validation to judge.

    >>> parse_size("32 MB"), parse_size("1GiB"), parse_size("1.5k"), parse_size("4_096")
    (32000000, 1073741824, 1500, 4096)
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_NUMBER + "([KMGT]?)(I?)B?", value, re.IGNORECASE)
    if match is None or (match[3] and not match[2]):
        raise ValueError('a size in bytes is expected, such as 32000000, "512 MB" or "1 GiB"')
    base = 1024 if match[3] else 1000
    return round(_read_number(match[1]) * base ** _POWERS[match[2].upper()])


def parse_count(value: Any) -> Any:
    """Return the number that text such as "3 B", "500M" or "10_000" denotes. What is no text is returned as it is, for validation to judge.

    >>> parse_count("3 B"), parse_count("1.5k"), parse_count("2G"), parse_count("10,000")
    (3000000000, 1500, 2000000000, 10000)
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_NUMBER + "([KMBGT]?)", value, re.IGNORECASE)
    number = _read_number(match[1]) * 1000 ** _POWERS[match[2].upper()] if match else 0.5
    if number != int(number):
        raise ValueError('a whole number is expected, such as 10000, "32k", "500 M" or "3 B"')
    return int(number)


def _read_number(text: str) -> float | int:
    plain = re.sub("[_,]", "", text)
    return float(plain) if "." in plain else int(plain)


# Bytes, or text such as "32 MB".
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), WithJsonSchema({"type": ["integer", "string"]})]
# Tokens, characters or records, or text such as "3 B".
Amount = Annotated[int, BeforeValidator(parse_count), Field(gt=0), WithJsonSchema({"type": ["integer", "string"]})]


def _is_parser(mark: Any) -> bool:
    return isinstance(mark, BeforeValidator)


_NUMBERS: tuple[Any, ...] = (int, float, int | None, float | None)


class Table(BaseModel):
    """A table of TOML. Unknown keys are refused, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _read_count(cls, value: Any, info: ValidationInfo) -> Any:
        """Take a number as people write it, such as "32k"; sizes and amounts have parsers of their own. A boolean is no number."""
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, bool) and field.annotation in _NUMBERS:
            raise ValueError(f"a number is expected, not {str(value).lower()}")
        if isinstance(value, str) and field.annotation in (int, int | None) and not any(map(_is_parser, field.metadata)):
            return parse_count(value)
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _check_integer(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"a number of {len(str(abs(value)))} digits; expected at most {LARGEST_INTEGER:,}")
        return value
