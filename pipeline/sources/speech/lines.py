"""Lines of text, and lists of transcripts: a name and what is said, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.inputs import InputFile
from pipeline.sources.speech.rows import is_audio_name, matched
from pipeline.sources.streams import Stream
from pipeline.sources.values import UNFINISHED, all_printable, decoded

_BLOCK = 16 << 20  # bytes of lines at a time
_LONGEST = 64 << 20  # bytes of a line
_BOM = b"\xef\xbb\xbf"
_LOOK = 1 << 16  # bytes that tell what a file is
NOT_THERE = "no audio: the list of transcripts names it, the input does not have it"


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """What `read` gives, in blocks of about `_BLOCK` bytes: decoders give a few thousand at a time."""
    pieces, size = [], 0
    while piece := read(_BLOCK):
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


def _frame(raw: bytes, problem: str | None) -> pl.DataFrame:
    kinds = {"line": pl.String, "problem": pl.String}
    try:
        frame = pl.DataFrame({"line": raw.decode("utf-8").split("\n")}).with_columns(problem=pl.lit(problem, pl.String))
    except UnicodeDecodeError:
        found = [decoded(line, "line") for line in raw.split(b"\n")]
        frame = pl.DataFrame([(text, wrong or problem) for text, wrong in found], schema=kinds, orient="row")
    return frame.with_columns(pl.col("line").str.strip_chars_end("\r")).filter(pl.col("line").str.strip_chars() != "")


def lines(read: Callable[[int], bytes], whole: bool = True) -> Iterator[pl.DataFrame]:
    """Lines that are not empty, in frames: `line` without its end, `problem` where it is not UTF-8.

    The last line of what is not `whole` has a problem, too, where it has no end. Raises InputError where a line has none at all.
    """
    rest, beginning = b"", True
    for block in _blocks(read):
        if beginning:
            block, beginning = block.removeprefix(_BOM), False
        end = block.rfind(b"\n") + 1
        ended, rest = (rest + block[:end], block[end:]) if end else (b"", rest + block)
        if len(rest) > _LONGEST:
            raise InputError(f"has a line of more than {_LONGEST:,} bytes: it is not a list of recordings")
        if ended:
            yield _frame(ended, None)
    if rest:
        yield _frame(rest, None if whole else UNFINISHED)


def lines_of(path: Path, whole: bool = True) -> Iterator[pl.DataFrame]:
    """`lines` of a file as it is."""
    with open(path, "rb") as file:
        yield from lines(file.read, whole)


def beginning(path: Path) -> list[str]:
    """The first lines of a file, compressed or not; none where it is binary or cannot be read."""
    stream = Stream(InputFile(path.name, str(path), None, ""))
    try:
        raw = b""
        while len(raw) < _LOOK and (piece := stream.read(_LOOK)):
            raw += piece
    except InputError:
        raw = b""
    finally:
        stream.close()
    head = raw[:_LOOK].removeprefix(_BOM)
    if b"\0" in head.lstrip().split(b"\n", 1)[0]:
        return []
    found = [line.rstrip("\r") for line in head.decode("utf-8", "replace").split("\n") if line.strip()]
    return found if len(raw) < _LOOK or len(found) == 1 else found[:-1]


def is_list(found: list[str]) -> bool:
    """Whether lines are a list of transcripts without a header: the name of a recording, a tab, what is said."""
    if not found or "path" in matched(found[0].split("\t")):
        return False
    named = [is_audio_name(line.partition("\t")[0]) and "\t" in line for line in found]
    return sum(named) * 2 > len(named)


def split(frame: pl.DataFrame, separator: str) -> pl.DataFrame:
    """`name` and `transcript` of lines: what is before and after the first separator; whatever follows it is said."""
    parts = pl.col("line").str.splitn(separator, 2).struct
    frame = frame.select(
        name=parts.field("field_0").str.strip_chars().str.strip_prefix("./"),
        transcript=parts.field("field_1"),
        problem="problem",
    )
    return frame.with_columns(all_printable(frame["name"]))


@dataclass
class Lists:
    """The union of some lists of transcripts, by folder of the names.

    `nth` is 0 for the transcript of a name, and more for others that the same list has for it.
    """

    frame: pl.DataFrame
    warnings: list[str] = field(default_factory=list)
    damage: str | None = None

    def __post_init__(self) -> None:
        folder = pl.when(pl.col("name").str.contains("/", literal=True)).then(pl.col("name").str.replace(r"/[^/]*$", ""))
        frame = self.frame.with_columns(folder=folder.otherwise(pl.lit(""))).sort("folder", maintain_order=True)
        counts = frame.group_by("folder", maintain_order=True).len()
        starts = counts["len"].cum_sum() - counts["len"]
        self._slices = dict(zip(counts["folder"], zip(starts, counts["len"], strict=True), strict=True))
        self.frame = frame.drop("folder")

    def of(self, folders: Iterable[str]) -> pl.DataFrame:
        """What the lists have of some folders."""
        found = [self.frame.slice(*self._slices[folder]) for folder in sorted(folders) if folder in self._slices]
        return pl.concat(found) if found else self.frame.clear()

    @property
    def folders(self) -> set[str]:
        return set(self._slices)


@lru_cache(maxsize=2)
def load(files: tuple[InputFile, ...]) -> Lists:
    """The union of lists, the largest first: ReazonSpeech's small.tsv has what tiny.tsv has, and more.

    A transcript that is there twice is one. Where two lists differ about a name, that of the larger is taken, with a warning; where
    one list has two transcripts for a name, both stay, `nth` 0 and 1.
    """
    ordered = sorted(files, key=lambda f: (-(f.size or 0), f.url))
    pieces, damage = [], None
    for number, file in enumerate(ordered):
        stream = Stream(file)
        try:
            for frame in lines(stream.read):
                pieces.append(split(frame, "\t").with_columns(list=pl.lit(number, pl.UInt16)))
        except InputError as error:
            what = str(error) if str(error).startswith(file.url) else f"{file.url} {error}"
            damage = damage or what
        finally:
            stream.close()
    schema = {"name": pl.String, "transcript": pl.String, "problem": pl.String, "list": pl.UInt16}
    union = pl.concat(pieces) if pieces else pl.DataFrame(schema=schema)
    # By hashes: groups of strings would take several times the lists' size, and ReazonSpeech's largest has 15 million lines.
    union = union.with_columns(key=pl.col("name").hash(0))
    if union["key"].n_unique() == len(union):
        return Lists(union.drop("list", "key").with_columns(nth=pl.lit(0, pl.Int64)), [], damage)
    union = union.filter((pl.col("key") ^ pl.col("transcript").hash(1)).is_first_distinct())
    first = pl.col("list").first().over("key")
    other = union.filter(pl.col("list") != first)
    union = union.filter(pl.col("list") == first).with_columns(nth=pl.int_range(pl.len()).over("key")).drop("list", "key")
    warnings = []
    if len(other):
        names = ", ".join(Path(file.url).name for file in ordered)
        warnings.append(
            f"{names} have different transcripts for {other['name'].n_unique():,} recordings, such as {other['name'][0]}: "
            "those of the largest list were taken"
        )
    return Lists(union, warnings, damage)
