"""WebDataset tars: KEY.jpg or KEY.flac with KEY.txt and KEY.json of the same key."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import polars as pl

from pipeline.core.names import make_printable
from pipeline.sources.formats.tar import SPARSE, Member
from pipeline.sources.rows import METADATA_POINTERS, TEXT_POINTERS

# The columns of `pair_members`; `member` is the whole name of the content's member.
SCHEMA = pl.Schema(
    {"key": pl.String, "nth": pl.Int64, "member": pl.String, "name": pl.String, "problem": pl.String}
    | {"content_offset": pl.Int64, "content_size": pl.Int64}
    | TEXT_POINTERS
    | METADATA_POINTERS
)


class _Span(NamedTuple):
    """`size` bytes at `offset` of the tar, or nothing."""

    offset: int | None = None
    size: int | None = None


def split_name(name: str) -> tuple[str, str]:
    """Return WebDataset's key and suffix: the name up to the first dot of its last part, and what follows the last dot."""
    start = name.rfind("/") + 1
    dot = name.find(".", start + 1)  # a dot that the last part begins with ends no key
    if dot < 0:
        return name.removeprefix("./"), ""
    return name[:dot].removeprefix("./"), name[name.rfind(".") + 1 :].lower()


def pair_members(members: list[Member], length: int, suffixes: Set[str], content: str, text: str) -> pl.DataFrame:
    """Return a row for every content among the members of a tar of `length` bytes, and for every text without one.

    Content is what has one of the `suffixes`; `content` and `text` are what messages call it and its text. What is not a regular file
    is never followed. A key that is there twice makes two rows, `nth` 0 and 1.
    """
    contents: dict[str, list[Member]] = {}
    texts: dict[str, list[Member]] = {}
    metadata: dict[str, list[Member]] = {}
    by_suffix = dict.fromkeys(suffixes, contents) | {"txt": texts, "caption": texts, "json": metadata}
    for member in members:
        key, suffix = split_name(member.name)
        by_key = by_suffix.get(suffix)
        if by_key is not None and member.kind != "folder":
            by_key.setdefault(make_printable(key), []).append(member)
    rows = []
    for key, members_of_key in contents.items():
        for nth, member in enumerate(members_of_key):
            problem = _find_problem(member, length, content)
            span = _Span() if problem else _Span(member.offset, member.size)
            spans = *span, *_find_nth(texts, key, nth, length), *_find_nth(metadata, key, nth, length)
            rows.append((key, nth, *_names(member), problem, *spans))
    no_content = f"no {content}: the tar has a {text} and nothing else under this key"
    for key, members_of_key in texts.items():  # metadata alone is no record
        if key not in contents:
            spans = *_Span(), *_find_nth(texts, key, 0, length), *_find_nth(metadata, key, 0, length)
            rows.append((key, 0, *_names(members_of_key[0]), no_content, *spans))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _find_problem(member: Member, length: int, content: str) -> str | None:
    if member.kind == SPARSE:
        return f"the {content} is a sparse file, which is not read"
    if member.kind != "file":
        return f"the {content} is a {member.kind}, not a file"
    return f"the tar ends inside this {content}" if member.offset + member.size > length else None


def _names(member: Member) -> tuple[str, str]:
    """Return the whole name of a member and the last part of it, both printable."""
    name = make_printable(member.name.removeprefix("./"))
    return name, name.rpartition("/")[2]


def _find_nth(by_key: dict[str, list[Member]], key: str, nth: int, length: int) -> _Span:
    """Return where the text or metadata is that goes with the nth content of a key: its own, or the only one."""
    members = by_key.get(key, [])
    if len(members) == 1:
        nth = 0
    if nth >= len(members) or members[nth].kind != "file" or members[nth].offset + members[nth].size > length:
        return _Span()
    return _Span(members[nth].offset, members[nth].size)
