"""Images and recordings in a table: Hugging Face's Image and Audio features, structs of bytes and path, or plain binary columns."""

from __future__ import annotations

from collections.abc import Mapping, Set

import polars as pl

from pipeline.sources.values import decode_texts


def find_content_column(schema: Mapping[str, pl.DataType], names: Set[str], any_binary: bool) -> str | None:
    """Return the column that holds content: one of the lower-case `names` first, then a feature, then, if allowed, `any_binary` one."""
    structs = [
        name for name, kind in schema.items() if isinstance(kind, pl.Struct) and dict(kind).get("bytes") in (pl.Binary, pl.Null)
    ]
    binaries = [name for name, kind in schema.items() if kind == pl.Binary]
    named = [name for name in structs + binaries if name.lower() in names]
    return next(iter(named or structs or (binaries if any_binary else [])), None)


def unpack_content(column: pl.Series, path_name: str) -> list[pl.Series]:
    """Return the bytes of a column of content as `content_bytes`, and its paths, where it has any, as `path_name`."""
    if column.dtype == pl.Binary:
        return [column.alias("content_bytes")]
    content = column.struct.field("bytes").cast(pl.Binary).alias("content_bytes")
    path = column.struct.field("path") if "path" in column.struct.fields else pl.Series(dtype=pl.Binary)
    if path.dtype == pl.Binary and len(path) == len(column):
        path, problems = decode_texts(path, "path")
        path = path.set(problems.is_not_null(), None)
    return [content, path.cast(pl.String).alias(path_name)] if path.dtype in (pl.String, pl.Null) else [content]
