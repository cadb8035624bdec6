"""WebDataset tars: KEY.jpg or KEY.flac with KEY.txt and KEY.json beside it, found by walking the headers."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.sources.formats.tar import SPARSE, Member
from pipeline.sources.values import printable

# The columns of `from_members`; `member` is the whole name of the content's member.
FOUND = {
    "key": pl.String, "nth": pl.Int64, "member": pl.String, "name": pl.String, "problem": pl.String, "at": pl.Int64, "size": pl.Int64,
    "text_at": pl.Int64, "text_size": pl.Int64, "meta_at": pl.Int64, "meta_size": pl.Int64,
}  # fmt: skip


def _split(name: str) -> tuple[str, str]:
    """WebDataset's key and suffix: the name up to the first dot of its last part, and what follows the last dot."""
    start = name.rfind("/") + 1
    dot = name.find(".", start + 1)  # a dot that the last part begins with ends no key
    if dot < 0:
        return name.removeprefix("./"), ""
    return name[:dot].removeprefix("./"), name[name.rfind(".") + 1 :].lower()


def mapped(path: Path) -> np.ndarray:
    """The bytes of a file, mapped."""
    return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)


def from_members(found: list[Member], length: int, suffixes: Set[str], content: str, text: str) -> pl.DataFrame:
    """A row for every image (or caption without an image) among the members of a tar, with columns `key` and `nth`.

    An image is what has one of the `suffixes`; `content` and `text` are what messages call it and its caption.

    What is not a regular file is never followed; a key that is there twice makes two rows, `nth` 0 and 1.
    """
    contents: dict[str, list[Member]] = {}
    texts: dict[str, list[Member]] = {}
    metas: dict[str, list[Member]] = {}
    by_suffix = dict.fromkeys(suffixes, contents) | {"txt": texts, "caption": texts, "json": metas}
    for member in found:
        key, suffix = _split(member.name)
        of_kind = by_suffix.get(suffix)
        if of_kind is not None and member.kind != "folder":
            of_kind.setdefault(printable(key), []).append(member)
    table = []
    for key, of_key in contents.items():
        for nth, member in enumerate(of_key):
            problem = None
            if member.kind == SPARSE:
                problem = f"the {content} is a sparse file, which is not read"
            elif member.kind != "file":
                problem = f"the {content} is a {member.kind}, not a file"
            elif member.at + member.size > length:
                problem = f"the tar ends inside this {content}"
            place = (member.at, member.size) if problem is None else (None, None)
            beside = *_nth(texts, key, nth, length), *_nth(metas, key, nth, length)
            table.append((key, nth, *_names(member), problem, *place, *beside))
    alone = f"no {content}: the tar has a {text} and nothing else under this key"
    for key, of_key in texts.items():  # metadata alone is no pair
        if key not in contents:
            beside = *_nth(texts, key, 0, length), *_nth(metas, key, 0, length)
            table.append((key, 0, *_names(of_key[0]), alone, None, None, *beside))
    columns = zip(FOUND.items(), zip(*table, strict=True) if table else [()] * len(FOUND), strict=True)
    return pl.DataFrame([pl.Series(name, values, kind) for (name, kind), values in columns])


def _names(member: Member) -> tuple[str, str]:
    name = printable(member.name.removeprefix("./"))
    return name, name.rpartition("/")[2]


def _nth(found: dict[str, list[Member]], key: str, nth: int, length: int) -> tuple[int | None, int | None]:
    """Place and size of the caption or metadata that goes with the nth image of a key: its own, or the only one."""
    of_key = found.get(key)
    if of_key is None:
        return None, None
    member = of_key[nth] if nth < len(of_key) else of_key[0] if len(of_key) == 1 else None
    if member is None or member.kind != "file" or member.at + member.size > length:
        return None, None
    return member.at, member.size
