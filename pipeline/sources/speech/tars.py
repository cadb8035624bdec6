"""Tars of recordings: ReazonSpeech's, with their transcripts in lists beside them, WebDataset's, with KEY.txt and KEY.json inside, and
Common Voice's, with its lists and clips/ inside, which is read as its folder is.

Every recording in a tar is a row, and so is every transcript of a list that no tar of the input has a recording for. A list's name for a
recording is its name in the tar. Transcripts of a folder 000/ belong to the tar 000.tar, all others to where they are found; those that
are found nowhere follow the last tar. A second, different transcript that one list has for a recording is a row with a problem.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.base import CutState
from pipeline.sources.formats.columnar import PROBLEM
from pipeline.sources.formats.tar import Member, members
from pipeline.sources.formats.webdataset import from_members, mapped
from pipeline.sources.inputs import InputFile, is_url, resolve
from pipeline.sources.pointers import add_warnings, open_local
from pipeline.sources.speech import rows, tables
from pipeline.sources.speech.lines import NOT_THERE, Lists, load
from pipeline.sources.values import distinct, printable

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz")
_SECOND = "no audio: a second transcript for {}"


def is_tar_name(name: str) -> bool:
    return name.split("?")[0].lower().endswith(SUFFIXES)


def stem(name: str) -> str:
    """000 of v2/000.tar.gz."""
    base = name.split("?")[0].rstrip("/").rpartition("/")[2]
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if base.lower().endswith(s)), "")
    return base[: len(base) - len(suffix)]


def read(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """The rows of a tar, sorted by locator, then those of the lists that no tar has, where it is the last."""
    data = mapped(path)
    found, damage = members(data)
    if common := _common(found):
        yield from _common_voice(common, found, data, path, state)
        state.damage = state.damage or (f"{file.url} {damage}: {len(found):,} members were read" if damage else None)
        return
    frame = from_members(found, len(data), rows.AUDIO_SUFFIXES, "audio", "transcript").with_columns(place=pl.lit(str(path)))
    frame = _with_metadata(frame, data, state.columns)
    lists = load(tuple(_listed(file)))
    seen: set[str] = set()
    if file.beside:
        state.damage = state.damage or lists.damage
        frame, missed = _joined(frame, lists, stem(file.url))
        if missed:
            add_warnings(state, [f"{file.url} has no recording that its lists of transcripts name"])
    else:
        frame = frame.with_columns(locator="key").sort("key", "nth")
    state.damage = state.damage or (f"{file.url} {damage}: {len(frame):,} rows were read" if damage else None)
    yield _distinct(frame, seen)
    if tars := [place for place in file.beside if is_tar_name(place)]:
        add_warnings(state, lists.warnings)
        left = _left(lists, tars, {printable(m.name.removeprefix("./")) for m in found}, file.url)
        yield _distinct(_without_audio(left), seen)


def _common(found: list[Member]) -> dict[str, list[Member]]:
    """The lists to read of the Common Voice folders in a tar, by what stands before their names."""
    names = [member.name.removeprefix("./") for member in found]
    with_clips = {name[: name.index("clips/")] for name in names if re.match(r"(.*/)?clips/[^/]", name)}
    there: dict[str, dict[str, Member]] = {}
    for name, member in zip(names, found, strict=True):
        above, base = name[: name.rfind("/") + 1], name[name.rfind("/") + 1 :]
        if above in with_clips and base.endswith(".tsv") and member.kind == "file":
            there.setdefault(above, {})[base] = member
    chosen = {above: [lists[name] for name in tables.common_lists(lists)] for above, lists in there.items()}
    return {above: lists for above, lists in chosen.items() if lists}


def _common_voice(
    common: dict[str, list[Member]], found: list[Member], data: np.ndarray, path: Path, state: CutState
) -> Iterator[pl.DataFrame]:
    """The rows of the lists, a clip in several of them once."""
    clips = {m.name.removeprefix("./"): m for m in found if m.kind == "file" and m.at + m.size <= len(data)}
    count, seen = 0, set[str]()
    for above, lists in common.items():
        read: set[str] = set()
        for one in lists:
            with tempfile.TemporaryDirectory(prefix="seimai-") as folder:
                there = Path(folder, "list.tsv")
                there.write_bytes(data[one.at : one.at + one.size].tobytes())
                for frame in tables.frames(there, b"", one.at + one.size <= len(data), state.columns):
                    frame = frame.filter(~pl.col("path").is_in(list(read)).fill_null(False))
                    read |= set(frame["path"].drop_nulls())
                    frame = tables.located(frame, count, seen)
                    count += len(frame)
                    yield rows.finished(_with_clips(frame, above, clips, path))


def _with_clips(frame: pl.DataFrame, above: str, clips: Mapping[str, Member], path: Path) -> pl.DataFrame:
    places: list[tuple[str | None, int | None, int | None]] = []
    for name in frame["path"]:
        clip = clips.get(f"{above}clips/{name}") or clips.get(f"{above}clips/{name}.mp3")  # as old lists have it
        places.append((None, None, None) if clip is None else (str(path), clip.at, clip.size))
    columns = pl.DataFrame(places, schema={"place": pl.String, "at": pl.Int64, "size": pl.Int64}, orient="row")
    missing = pl.when(pl.col("place").is_null()).then(pl.lit("no audio: the tar has no such file in clips/"))
    return frame.with_columns(columns.get_columns(), name="path").with_columns(problem=pl.coalesce(PROBLEM, missing))


def _listed(file: InputFile) -> Iterator[InputFile]:
    for place in file.beside:
        if not is_tar_name(place):
            try:
                yield resolve([place])[0]
            except Exception as error:
                raise InputError(f"cannot be read with its transcripts: {error}") from None


def _distinct(frame: pl.DataFrame, seen: set[str]) -> pl.DataFrame:
    return rows.finished(frame.with_columns(distinct(frame["locator"], seen).alias("locator")))


def _with_metadata(frame: pl.DataFrame, data: np.ndarray, columns: Mapping[str, str]) -> pl.DataFrame:
    """`frame` with what the KEY.json of its rows say. A KEY.txt comes before the text in KEY.json."""
    places = frame.select("meta_at", "meta_size").rows()
    if all(at is None or size > rows.LONGEST for at, size in places):
        return frame
    found = [_object(data[at : at + size].tobytes()) if at is not None and size <= rows.LONGEST else {} for at, size in places]
    table = rows.from_objects(found, columns)
    wanted = [name for name in table.columns if name not in ("id", "path", "start", "end")]
    frame = frame.with_columns(table.select(wanted).get_columns())
    if "transcript" in wanted:
        frame = frame.with_columns(transcript=pl.when(pl.col("text_at").is_null()).then("transcript"))
    return frame


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _joined(tar: pl.DataFrame, lists: Lists, name: str) -> tuple[pl.DataFrame, bool]:
    """The rows of a tar with their transcripts in lists and what the lists have beyond it, and whether they have nothing of it."""
    folders = {member.rpartition("/")[0] for member in tar["member"]}
    listed = lists.of(folders | {name}).with_columns(
        of_tar=pl.col("name").str.starts_with(f"{name}/") & (pl.col("name").str.count_matches("/") == 1)
    )
    first = listed.filter(pl.col("nth") == 0).select(member="name", told="transcript", wrong="problem", known=pl.lit(True))
    frame = tar.with_columns(order=pl.col("nth"), locator="member").drop("nth")
    frame = frame.join(first, on="member", how="left", maintain_order="left")
    known = pl.col("known").is_not_null()
    own = frame["transcript"] if "transcript" in frame.columns else pl.Series([None] * len(frame), dtype=pl.String)
    frame = frame.with_columns(
        *(pl.when(~known).then(column).alias(column) for column in ("text_at", "text_size")),
        transcript=pl.coalesce("told", own),
        problem=pl.coalesce("problem", "wrong"),
    )
    missed = len(frame) > 0 and len(lists.frame) > 0 and frame["known"].null_count() == len(frame)
    there = pl.col("name").is_in(tar["member"].implode())
    beyond = listed.filter((pl.col("of_tar") & ~there) | ((pl.col("nth") > 0) & there))
    more = _without_audio(beyond).with_columns(order=len(tar) + beyond["nth"])
    return pl.concat([frame.drop("told", "wrong", "known"), more], how="diagonal").sort("locator", "order"), missed


def _without_audio(listed: pl.DataFrame) -> pl.DataFrame:
    """Rows for what stands in lists alone."""
    second = pl.format(_SECOND, "name")
    return listed.select(
        "transcript",
        locator="name",
        name=pl.col("name").str.replace(r"^.*/", ""),
        problem=pl.coalesce("problem", pl.when(pl.col("nth") > 0).then(second).otherwise(pl.lit(NOT_THERE))),
    )


def _left(lists: Lists, tars: list[str], here: set[str], url: str) -> pl.DataFrame:
    """What no tar has among the names in folders that no tar is called after. Only where there are any are the tars looked into again."""
    stems = {stem(tar) for tar in tars}
    left = lists.of(lists.folders - stems).filter(~pl.col("name").is_in(list(here)))
    for tar in tars:
        if len(left) and tar != url:
            left = left.filter(~pl.col("name").is_in(_names(tar)))
    return left.sort("name", "nth")


def _names(place: str) -> list[str]:
    state = CutState(0, 0, limit=0)
    with open_local(InputFile(place, place, None, "") if not is_url(place) else resolve([place])[0], state) as (path, _):
        return [printable(member.name.removeprefix("./")) for member in members(mapped(path))[0]]
