"""WebDataset tars: KEY.jpg or KEY.flac with KEY.txt and KEY.json of the same key.

The key is the name up to the first dot. Names with dates or version numbers have more dots than that, and many contents would share a key:
so the whole name decides first (`pairing`), and the key only where it has a single content, and where what stands between key and
suffix are names of fields (k.input.jpg with k.output.txt), not numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from typing import NamedTuple

import polars as pl

from pipeline.core.names import make_printable
from pipeline.sources.formats.pairing import choose_texts, explain_rivals, group_by, match_names, split_suffix
from pipeline.sources.formats.tar import SPARSE, Member
from pipeline.sources.names import decode_name, label_names
from pipeline.sources.rows import METADATA_POINTERS, TEXT_POINTERS

# The columns of `pair_members`; `member` is the whole name of the content's member. `key` and `member` differ where names do, and may
# hold what is not printable.
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


class _Named(NamedTuple):
    """A member, its name, that up to its last dot, and WebDataset's key: up to the first. `field` is what the two differ in."""

    member: Member
    name: str
    stem: str
    key: str
    field: str


class _Texts(NamedTuple):
    """What goes with contents: where the text of each is, what is wrong with it, and the texts that go with none."""

    spans: list[_Span]
    problems: list[str | None]
    unused: list[_Named]


def describe_other_members(members: list[Member], frame: pl.DataFrame, content: str) -> list[str]:
    """Return a warning where none of the files in a tar is a content: what they end in."""
    names = [member.name for member in members if member.kind == "file"]
    if not names or frame["member"].is_not_null().any():
        return []
    counts = Counter(make_printable(decode_name(split_suffix(name)[1])) for name in names).most_common(5)
    ends = ", ".join(f"{count:,} end in .{suffix}" if suffix else f"{count:,} have no suffix" for suffix, count in counts)
    return [f"no {content} among its {len(names):,} files: {ends}"]


def find_key(name: str) -> str:
    """Return WebDataset's key: the name up to the first dot of its last part. A dot that this begins with ends no key."""
    name = name.removeprefix("./")
    dot = name.find(".", name.rfind("/") + 2)
    return name if dot < 0 else name[:dot]


def _parse_name(member: Member) -> _Named:
    name = member.name.removeprefix("./")
    stem, key = split_suffix(name)[0], find_key(name)
    return _Named(member, name, stem, key, stem[len(key) + 1 :])


def pair_members(members: list[Member], length: int, suffixes: Set[str], content: str, text: str) -> pl.DataFrame:
    """Return a row for every content among the members of a tar of `length` bytes, and for every text without one.

    Content is what has one of the `suffixes`; `content` and `text` are what messages call it and its text. What is not a regular file
    is never followed. The key of a row is WebDataset's, or, where that stands for several names, the name up to its last dot. A key that
    is there twice makes two rows, `nth` 0 and 1.
    """
    contents: list[_Named] = []
    texts: list[_Named] = []
    metadata: list[_Named] = []
    by_suffix = dict.fromkeys(suffixes, contents) | {"txt": texts, "caption": texts, "json": metadata}
    for member in members:
        kind = by_suffix.get(split_suffix(member.name)[1])
        if kind is not None and member.kind != "folder":
            kind.append(_parse_name(member))
    captions = _find_texts(contents, texts, suffixes, length, (content, text))
    objects = _find_texts(contents, metadata, suffixes, length, (content, "metadata file"))
    orphans = captions.unused + _find_lost_metadata(contents, captions, objects)
    keys = _choose_keys(contents + orphans)
    labels = label_names([*keys, *(named.name for named in contents + orphans)])
    counts: dict[str, int] = {}
    rows = []
    for i, named in enumerate(contents):
        problem = _find_problem(named.member, length, content) or captions.problems[i] or objects.problems[i]
        span = _Span() if problem else _Span(named.member.offset, named.member.size)
        rows.append((*_name_row(named, keys[i], labels, counts), problem, *span, *captions.spans[i], *objects.spans[i]))
    content_keys = {named.key for named in contents}
    span_by_stem = {named.stem: _locate(named.member, length) for named in objects.unused}
    for named, key in zip(orphans, keys[len(contents) :], strict=True):
        reason = (
            f"that goes with none of the {content}s under its key"
            if named.key in content_keys
            else "and nothing else under this key"
        )
        if split_suffix(named.name)[1] == "json":
            what, spans = "metadata file", (_Span(), _locate(named.member, length))
        else:
            what, spans = text, (_locate(named.member, length), span_by_stem.get(named.stem, _Span()))
        problem = f"no {content}: the tar has a {what} {reason}"
        rows.append((*_name_row(named, key, labels, counts), problem, *_Span(), *spans[0], *spans[1]))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _find_texts(contents: list[_Named], texts: list[_Named], suffixes: Set[str], length: int, words: tuple[str, str]) -> _Texts:
    """Return what goes with contents; `words` are what messages call a content and a text."""
    names = [named.name for named in texts]
    candidates = match_names([named.name for named in contents], names)
    used = {number for matched in candidates for number in matched}
    _match_keys(contents, texts, suffixes, candidates, used)
    spans: list[_Span] = []
    problems: list[str | None] = []
    for choice in choose_texts(candidates, [named.name for named in contents], names):
        spans.append(_Span() if choice.text is None else _locate(texts[choice.text].member, length))
        problems.append(None if choice.rivals is None else explain_rivals(choice.rivals, *words))
    return _Texts(spans, problems, [named for number, named in enumerate(texts) if number not in used])


def _match_keys(
    contents: list[_Named], texts: list[_Named], suffixes: Set[str], candidates: list[list[int]], used: set[int]
) -> None:
    """Add the texts that go with the only content of their key, where both are called after fields of a sample.

    A text that extends the whole name of a content is not among them: a.b.jpg.txt was that of a.b.jpg, which is not there.
    """
    free = [number for number in range(len(texts)) if number not in used]
    if not free:
        return
    contents_by_key = group_by(range(len(contents)), lambda i: contents[i].key)
    keys_by_field: dict[str, set[str]] = {}
    for named in contents + texts:
        keys_by_field.setdefault(named.field, set()).add(named.key)
    is_only_key = len({named.key for named in contents + texts}) == 1
    for key, numbers in group_by(free, lambda i: texts[i].key).items():
        of_key = contents_by_key.get(key, [])
        if len(of_key) != 1 or candidates[of_key[0]]:
            continue
        own = contents[of_key[0]].field
        fields = {number: texts[number].field for number in numbers if split_suffix(texts[number].stem)[1] not in suffixes}
        matched = [number for number, field in fields.items() if _are_fields(own, field, keys_by_field, is_only_key)]
        candidates[of_key[0]] = matched
        used.update(matched)


def _are_fields(first: str, second: str, keys_by_field: dict[str, set[str]], is_only_key: bool) -> bool:
    """Return whether two parts of names call fields of one sample, rather than two samples.

    One of them may be empty. What is not must stand under other keys, too: Mr.jpg and Mr.Smith.txt are two. Of a single key one may
    be anything.
    """
    fields = [field for field in (first, second) if field]
    if any(re.search(r"\d", field) for field in fields):
        return False
    return is_only_key and len(fields) < 2 or all(len(keys_by_field[field]) > 1 for field in fields)


def _find_lost_metadata(contents: list[_Named], texts: _Texts, objects: _Texts) -> list[_Named]:
    """Return metadata that go with no content though a content of their key lacks some: alone they are no record."""
    lacking = {named.key for named, span in zip(contents, objects.spans, strict=True) if span.offset is None}
    of_text = {named.stem for named in texts.unused}
    return [named for named in objects.unused if named.key in lacking and named.stem not in of_text]


def _choose_keys(rows: list[_Named]) -> list[str]:
    """Return the key of every row: WebDataset's, or the name up to its last dot where that stands for several names."""
    stems_by_key: dict[str, set[str]] = {}
    for named in rows:
        stems_by_key.setdefault(named.key, set()).add(named.stem)
    return [named.key if len(stems_by_key[named.key]) == 1 else named.stem for named in rows]


def _name_row(named: _Named, key: str, labels: dict[str, str], counts: dict[str, int]) -> tuple[str, int, str, str]:
    """Return key, nth, the whole name and the last part of it, which is printable."""
    nth = counts[key] = counts.get(key, -1) + 1
    member = labels[named.name]
    return labels[key], nth, member, make_printable(member).rpartition("/")[2]


def _find_problem(member: Member, length: int, content: str) -> str | None:
    if member.kind == SPARSE:
        return f"the {content} is a sparse file, which is not read"
    if member.kind != "file":
        return f"the {content} is a {member.kind}, not a file"
    return f"the tar ends inside this {content}" if member.offset + member.size > length else None


def _locate(member: Member, length: int) -> _Span:
    """Return where the content of a member is: nowhere, where it is no file or the tar ends inside it."""
    if member.kind != "file" or member.offset + member.size > length:
        return _Span()
    return _Span(member.offset, member.size)
