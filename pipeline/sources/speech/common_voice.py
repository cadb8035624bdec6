"""Common Voice: which of its lists are read, in a folder or a tar, and the rows of the tar that it comes in."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import polars as pl

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.lines import read_file_lines
from pipeline.sources.formats.tar import Member
from pipeline.sources.rows import CONTENT_POINTERS
from pipeline.sources.speech import columns, tables

DURATIONS = "clip_durations.tsv"  # clip, duration[ms]
_COMPLETE_LIST, _SPLITS = "validated.tsv", ("train.tsv", "dev.tsv", "test.tsv")


def choose_lists(names: Collection[str]) -> list[str]:
    """Return which lists are read: validated.tsv, else train, dev and test."""
    return [_COMPLETE_LIST] if _COMPLETE_LIST in names else [name for name in _SPLITS if name in names]


def find_folders(path: Path) -> list[Path]:
    """Return the Common Voice folders at a path, or up to two folders below it."""
    candidates = [folder for depth in ("", "*/", "*/*/") for folder in sorted(path.glob(depth) if depth else [path])]
    return [folder for folder in candidates if (folder / "clips").is_dir() and any(folder.glob("*.tsv"))]


def read_durations(folder: Path) -> pl.DataFrame | None:
    """Return `path` and `declared`, in seconds, of the clips in a Common Voice folder; None where it has no list of them."""
    path = folder / DURATIONS
    if not path.is_file() or not (folder / "clips").is_dir():
        return None
    frames = [lines.filter(pl.col(PROBLEM).is_null()) for lines in read_file_lines(path)]
    cells = pl.concat(frames).select(cells=pl.col("line").str.split("\t"))["cells"].list
    milliseconds = cells.get(1, null_on_oob=True).cast(pl.Float64, strict=False)
    table = pl.DataFrame({"path": cells.get(0), "declared": milliseconds / 1000})
    return table.drop_nulls().unique("path", keep="first")


def find_lists_in_tar(members: list[Member]) -> dict[str, list[Member]]:
    """Return the lists to read of the Common Voice folders in a tar, by the folder's path with its slash."""
    names = [member.name.removeprefix("./") for member in members]
    with_clips = {name[: name.index("clips/")] for name in names if re.match(r"(.*/)?clips/[^/]", name)}
    lists: dict[str, dict[str, Member]] = {}
    for name, member in zip(names, members, strict=True):
        folder, base = name[: name.rfind("/") + 1], name[name.rfind("/") + 1 :]
        if folder in with_clips and base.endswith(".tsv") and member.kind == "file":
            lists.setdefault(folder, {})[base] = member
    chosen = {folder: [by_name[name] for name in choose_lists(by_name)] for folder, by_name in lists.items()}
    return {folder: members for folder, members in chosen.items() if members}


def read_tar(
    lists: dict[str, list[Member]], members: list[Member], data: memoryview, path: Path, named_columns: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    """Yield the rows of the lists in a tar. A clip in several lists of a folder is one row."""
    clips = {m.name.removeprefix("./"): m for m in members if m.kind == "file" and m.offset + m.size <= len(data)}
    count, locators = 0, set[str]()
    for folder, members_of_folder in lists.items():
        seen: set[str] = set()
        for member in members_of_folder:
            for frame in _read_list(member, data, named_columns):
                frame = frame.filter(~pl.col("path").is_in(list(seen)).fill_null(False))
                seen |= set(frame["path"].drop_nulls())
                frame = tables.add_locators(frame, count, locators)
                count += len(frame)
                yield columns.conform(_locate_clips(frame, folder, clips, path))


def _read_list(member: Member, data: memoryview, named_columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    end = member.offset + member.size
    with tempfile.TemporaryDirectory(prefix="seimai-") as folder:
        path = Path(folder, "list.tsv")
        path.write_bytes(data[member.offset : end])
        yield from tables.read_table(path, end <= len(data), named_columns)


def _locate_clips(frame: pl.DataFrame, folder: str, clips: Mapping[str, Member], path: Path) -> pl.DataFrame:
    locations: list[tuple[str | None, int | None, int | None]] = []
    for name in frame["path"]:
        clip = clips.get(f"{folder}clips/{name}") or clips.get(f"{folder}clips/{name}.mp3")  # as old lists have it
        locations.append((None, None, None) if clip is None else (str(path), clip.offset, clip.size))
    pointers = pl.DataFrame(locations, schema=CONTENT_POINTERS, orient="row")
    missing = pl.when(pl.col("content_path").is_null()).then(pl.lit("no audio: the tar has no such file in clips/"))
    return frame.with_columns(pointers.get_columns(), name="path").with_columns(problem=pl.coalesce(PROBLEM, missing))
