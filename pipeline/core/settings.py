"""Tables of settings: of manifests, of commands that manifests name, and of trainers."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

LARGEST_INTEGER = 2**63 - 1  # that columns and compiled loops hold
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(value: Any) -> Any:
    """Return the bytes that text such as "32 MB" or "4GB" denotes. Anything else is returned as it is, for validation to judge."""
    if isinstance(value, str) and (match := re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?B)\s*", value)):
        try:
            return int(float(match[1]) * _UNITS[match[2]])
        except ValueError:
            return value
    return value


# Bytes, or text such as "32 MB".
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), WithJsonSchema({"type": ["integer", "string"]})]


class Table(BaseModel):
    """A table of TOML. Unknown keys are refused, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _check_integer(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"a number of {len(str(abs(value)))} digits; expected at most {LARGEST_INTEGER:,}")
        return value
