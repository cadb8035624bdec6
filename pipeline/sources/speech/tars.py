"""Tars of recordings: ReazonSpeech's, with lists of their transcripts, and WebDataset's, with KEY.txt and KEY.json inside.

Every recording in a tar is a row, and so is every transcript of a list that no tar of the input has a recording for. A list's name for a
recording is its name in the tar. Transcripts of a folder 000/ belong to the tar 000.tar, all others to the tar that has their recording;
those that no tar has a recording for follow the last tar. A second, different transcript that one list has for a recording is a row with
a problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.names import make_printable
from pipeline.sources.base import CutState
from pipeline.sources.formats.jsonl import parse_object
from pipeline.sources.formats.tar import Member, list_members, map_tar
from pipeline.sources.formats.webdataset import pair_members
from pipeline.sources.inputs import InputFile, describe_file
from pipeline.sources.names import NameIndex, label_names
from pipeline.sources.pointers import add_warnings, open_local
from pipeline.sources.speech import columns, common_voice
from pipeline.sources.speech.id_lists import LIST_NAME
from pipeline.sources.speech.transcript_lists import NOT_IN_INPUT, TranscriptLists, load_lists
from pipeline.sources.speech.unused_lists import find_unused_names, tell_unused
from pipeline.sources.values import make_all_printable, make_distinct

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz")
_SEVERAL = "the tar has several recordings of this name: it cannot be told whose transcript the list has"
_NOT_OF_A_KEY = ("id", "path", "start", "end")  # what KEY.json says of where its recording was cut from


def is_tar_name(name: str) -> bool:
    return name.split("?")[0].lower().endswith(SUFFIXES)


def tar_stem(name: str) -> str:
    """Return 000 of v2/000.tar.gz."""
    base = name.split("?")[0].rstrip("/").rpartition("/")[2]
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if base.lower().endswith(s)), "")
    return base[: len(base) - len(suffix)]


def read_tar(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """Yield the rows of a tar, sorted by locator, and where it is the last also those of the lists that no tar has."""
    data = map_tar(path)
    members, damage = list_members(data)
    if lists_in_tar := common_voice.find_lists_in_tar(members):
        yield from common_voice.read_tar(lists_in_tar, members, data, path, state.columns)
        state.damage = state.damage or (f"{file.url} {damage}: {len(members):,} members were read" if damage else None)
        return
    add_warnings(state, tell_unused(_find_lists(members), Path(file.url.split("?")[0]).name))
    frame = pair_members(members, len(data), columns.AUDIO_SUFFIXES, "audio", "transcript")
    frame = _add_metadata(frame.with_columns(content_path=pl.lit(str(path))), data, state.columns)
    lists = load_lists(tuple(_describe_lists(file)))
    locators: set[str] = set()
    if file.companions:
        state.damage = state.damage or lists.damage
        frame, has_match = _join_lists(frame, lists, tar_stem(file.url))
        if not has_match:
            unmatched = f"{file.url} has no recording that its lists of transcripts name"
            if sum(map(is_tar_name, file.companions)) == 1:  # it is the only tar
                listed = next(iter(lists.frame["name"]), "")
                stored = next(iter(frame["member"].drop_nulls()), "")
                state.damage = state.damage or f"{unmatched}: they have {listed!r}, it has {stored!r}"
            add_warnings(state, [unmatched])
    else:
        frame = frame.with_columns(locator="key").sort("key", "nth")
    state.damage = state.damage or (f"{file.url} {damage}: {len(frame):,} rows were read" if damage else None)
    yield _finish(frame, locators)
    if tars := [url for url in file.companions if is_tar_name(url)]:
        add_warnings(state, lists.warnings)
        other_tars = [tar for tar in tars if tar != file.url]
        unused = _find_unused(lists, {tar_stem(tar) for tar in tars}, members, other_tars)
        yield _finish(_build_rows_without_audio(unused), locators)


def _find_lists(members: list[Member]) -> list[str]:
    """Return the lists in a tar, which are not read: what is called as a recording is goes with it."""
    names = find_unused_names(member.name.removeprefix("./") for member in members if member.kind == "file" and member.name)
    return [make_printable(name) for name in names if not _is_of_key(name)]


def _is_of_key(name: str) -> bool:
    """Return whether a member is the text or the metadata of a recording that the tar lacks, which makes a row of its own."""
    return name.lower().endswith((".txt", ".json")) and not LIST_NAME.match(name.rpartition("/")[2])


def _describe_lists(file: InputFile) -> Iterator[InputFile]:
    for url in file.companions:
        if not is_tar_name(url):
            try:
                yield describe_file(url)
            except Exception as error:
                raise InputError(f"cannot be read with its transcripts: {error}") from None


def _finish(frame: pl.DataFrame, locators: set[str]) -> pl.DataFrame:
    return columns.conform(frame.with_columns(make_distinct(make_all_printable(frame["locator"]), locators)))


def _add_metadata(frame: pl.DataFrame, data: memoryview, named_columns: Mapping[str, str]) -> pl.DataFrame:
    """Return `frame` with what the KEY.json of its rows say. A KEY.txt comes before the text in KEY.json."""
    spans = frame.select("metadata_offset", "metadata_size").rows()
    readable = [offset is not None and size <= columns.LONGEST_TRANSCRIPT for offset, size in spans]
    if not any(readable):
        return frame
    objects = [
        (parse_object(bytes(data[offset : offset + size])) or {}) if is_readable else {}
        for (offset, size), is_readable in zip(spans, readable, strict=True)
    ]
    table = columns.standardise_objects(objects, named_columns).drop(_NOT_OF_A_KEY, strict=False)
    frame = frame.with_columns(table.get_columns())
    if "transcript" in table.columns:
        frame = frame.with_columns(transcript=pl.when(pl.col("text_offset").is_null()).then("transcript"))
    return frame


class _Joined(NamedTuple):
    """The rows of a tar and its lists, and whether the lists, if any, name one of its recordings."""

    frame: pl.DataFrame
    has_match: bool


def _join_lists(tar: pl.DataFrame, lists: TranscriptLists, stem: str) -> _Joined:
    """Return the rows of a tar with their transcripts in lists, and what the lists have that the tar should have."""
    folders = {name.rpartition("/")[0] for name in tar["member"]}
    listed = lists.select_folders(folders | {stem} | lists.find_like(folders))
    listed = listed.with_columns(_find_meant(listed["name"], tar["member"])).with_columns(
        is_of_tar=pl.col("name").str.starts_with(f"{stem}/") & (pl.col("name").str.count_matches("/") == 1)
    )
    first = listed.filter(pl.col("nth") == 0).select(
        member="name",
        listed_transcript="transcript",
        listed_problem="problem",
        listed_duration="duration",
        is_listed=pl.lit(True),
    )
    frame = tar.with_columns(order=pl.col("nth"), locator="member").drop("nth")
    frame = frame.join(first, on="member", how="left", maintain_order="left")
    is_listed = pl.col("is_listed").is_not_null()
    own = frame["transcript"] if "transcript" in frame.columns else pl.Series([None] * len(frame), dtype=pl.String)
    frame = frame.with_columns(
        *(pl.when(~is_listed).then(column).alias(column) for column in ("text_offset", "text_size")),
        transcript=pl.coalesce("listed_transcript", own),
        duration=pl.coalesce(
            "listed_duration", pl.col("duration") if "duration" in frame.columns else pl.lit(None, pl.Float64)
        ),
        problem=pl.coalesce(
            "problem", "listed_problem", pl.when(is_listed & (pl.len().over("member") > 1)).then(pl.lit(_SEVERAL))
        ),
    )
    has_match = len(frame) == 0 or len(lists.frame) == 0 or frame["is_listed"].any()
    is_in_tar = pl.col("name").is_in(tar["member"].implode())
    extra = listed.filter((pl.col("is_of_tar") & ~is_in_tar) | ((pl.col("nth") > 0) & is_in_tar))
    rows = _build_rows_without_audio(extra).with_columns(order=len(tar) + extra["nth"])
    frame = frame.drop("listed_transcript", "listed_problem", "listed_duration", "is_listed")
    return _Joined(pl.concat([frame, rows], how="diagonal").sort("locator", "order"), has_match)


def _build_rows_without_audio(listed: pl.DataFrame) -> pl.DataFrame:
    """Return rows for transcripts that have no recording, or whose recording has another transcript."""
    second = pl.format("no audio: a second transcript for {}", "name")
    return listed.with_columns(make_all_printable(listed["name"])).select(
        "transcript",
        locator="name",
        name=pl.col("name").str.replace(r"^.*/", ""),
        problem=pl.coalesce("problem", pl.when(pl.col("nth") > 0).then(second).otherwise(pl.lit(NOT_IN_INPUT))),
    )


def _find_unused(lists: TranscriptLists, stems: set[str], members: list[Member], other_tars: list[str]) -> pl.DataFrame:
    """Return the transcripts, in folders that no tar is called after, whose recording is in no tar.

    `members` are those of the last tar; other tars are opened again only where there are transcripts left.
    """
    unused = lists.select_folders(lists.folders - stems)
    unused = unused.filter(~_is_meant(unused["name"], members))
    for tar in other_tars:
        if len(unused):
            unused = unused.filter(~_is_meant(unused["name"], _list_members(tar)))
    return unused.sort("name", "nth")


def _is_meant(names: pl.Series, members: list[Member]) -> pl.Series:
    labels = label_names(member.name.removeprefix("./") for member in members)
    in_tar = pl.Series([*labels.values()], dtype=pl.String)
    return _find_meant(names, in_tar).is_in(in_tar.implode())


def _find_meant(names: pl.Series, members: pl.Series) -> pl.Series:
    """Return the names of a list, those that are called otherwise in the tar, but the same in NFC, as they are called there."""
    is_other = ~names.is_in(members.implode()) & names.str.contains(r"[^ -~]")
    if not is_other.any():
        return names
    index = NameIndex(members)
    return names.scatter(is_other.arg_true(), [index.find(name) or name for name in names.filter(is_other)])


def _list_members(url: str) -> list[Member]:
    """Return the members of a tar that is another input."""
    state = CutState(0, 0, limit=0)
    with open_local(describe_file(url), state) as (path, _):
        return list_members(map_tar(path))[0]
