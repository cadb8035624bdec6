"""Text files as lines, and lines as cells between tabs. Of other encodings than UTF-8 (`encodings`) it is made.

Ours rather than a library's: a line that is torn or not UTF-8 is named and costs itself alone, and a quote is a character that
somebody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM, UNFINISHED
from pipeline.sources.formats.encodings import read_as_utf8
from pipeline.sources.inputs import InputFile
from pipeline.sources.streams import Stream
from pipeline.sources.values import decode_text

BOM = b"\xef\xbb\xbf"
_BLOCK = 16 << 20  # bytes of lines at a time
_LONGEST = 64 << 20  # bytes of a line
_PEEK = 1 << 16  # bytes that tell what a file is


def peek_lines(path: Path, size: int = _PEEK, line_end: bytes = b"\n") -> list[str]:
    """Return the lines, but empty ones, in the first `size` bytes of a file; none of a binary file.

    The last one is left out where it goes on beyond `size`, unless there is no other.
    """
    with open(path, "rb") as file:
        return _first_lines(file.read, size, line_end)


def peek_stored_lines(path: Path) -> list[str]:
    """Return the first lines of a file that may be compressed, as `peek_lines` does; none of a damaged file."""
    stream = Stream(InputFile(path.name, str(path), None, ""))
    try:
        return _first_lines(stream.read, _PEEK, b"\n")
    except InputError:
        return []
    finally:
        stream.close()


def _first_lines(read: Callable[[int], bytes], size: int, line_end: bytes) -> list[str]:
    raw, read = b"", read_as_utf8(read)
    while len(raw) < size and (piece := read(size)):
        raw += piece
    head = raw[:size].removeprefix(BOM)
    if b"\0" in head.lstrip().split(line_end, 1)[0]:
        return []
    lines = [line.rstrip("\r") for line in head.decode("utf-8", "replace").split(line_end.decode()) if line.strip()]
    return lines if len(raw) < size or len(lines) == 1 else lines[:-1]


def find_line_end(path: Path) -> bytes:
    """Return what ends the lines of a file: a carriage return where its first megabyte has no line feed."""
    with open(path, "rb") as file:
        head, read = b"", read_as_utf8(file.read)
        while len(head) < 1 << 20 and b"\n" not in head and (block := read(1 << 20)):
            head += block
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"


def read_lines(read: Callable[[int], bytes], complete: bool = True, line_end: bytes = b"\n") -> Iterator[pl.DataFrame]:
    """Yield the lines that `read` gives, but empty ones, in frames with columns `line` (without its end) and `PROBLEM`.

    A line that is not UTF-8 has a problem, and so has the last line, where it has no end, of what is not `complete`.
    Raises InputError at a line that is too long for memory.
    """
    rest, is_first = b"", True
    for block in _read_blocks(read_as_utf8(read)):
        if is_first:
            block, is_first = block.removeprefix(BOM), False
        end = block.rfind(line_end) + 1
        finished, rest = (rest + block[:end], block[end:]) if end else (b"", rest + block)
        if len(rest) > _LONGEST:
            raise InputError(f"has a line of more than {_LONGEST:,} bytes: it is not a list")
        if len(frame := _split_lines(finished, line_end, None)):
            yield frame
    if len(frame := _split_lines(rest, line_end, None if complete else UNFINISHED)):
        yield frame


def read_file_lines(path: Path, complete: bool = True, line_end: bytes = b"\n") -> Iterator[pl.DataFrame]:
    """Yield the lines of a file that is not compressed, as `read_lines` does."""
    with open(path, "rb") as file:
        yield from read_lines(file.read, complete, line_end)


def skip_first_line(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield frames of lines without the first line, which is a header."""
    for number, frame in enumerate(frames):
        yield frame[1:] if number == 0 else frame


def split_frames(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Yield frames in pieces of at most `rows` rows. An empty frame stays one."""
    for frame in frames:
        for start in range(0, max(len(frame), 1), rows):
            yield frame[start : start + rows]


def explain_no_lines(path: Path, expected: str) -> InputError:
    """Return why `peek_lines` gives no lines of a file; `expected` is what it might have been."""
    with open(path, "rb") as file:
        if not file.read(_PEEK).strip():
            return InputError("is empty")
    return InputError(f"is neither {expected}: its first line is binary")


def _read_blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield what `read` gives in blocks of about `_BLOCK` bytes: decoders give a few thousand at a time."""
    pieces, size = [], 0
    while piece := read(_BLOCK):
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


def _split_lines(raw: bytes, line_end: bytes, problem: str | None) -> pl.DataFrame:
    schema = {"line": pl.String, PROBLEM: pl.String}
    try:
        text = raw.decode("utf-8")
        frame = pl.DataFrame({"line": text.split(line_end.decode())}).with_columns(pl.lit(problem, pl.String).alias(PROBLEM))
    except UnicodeDecodeError:
        decoded = (decode_text(line, "line") for line in raw.split(line_end))
        frame = pl.DataFrame([(text, wrong or problem) for text, wrong in decoded], schema=schema, orient="row")
    return frame.with_columns(pl.col("line").str.strip_chars_end("\r")).filter(pl.col("line").str.strip_chars() != "")


def split_cells(lines: pl.DataFrame, header: list[str], separator: str = "\t") -> pl.DataFrame:
    """Return the cells of `lines` under the names of `header`, and `PROBLEM`: a line may have too few cells, or too many.

    Empty cells beyond the last are none.
    """
    cells, count = pl.col("cells"), pl.col("cells").list.len()
    has_more = (count > len(header)) & (cells.list.slice(len(header)).list.join("") != "")
    wrong = pl.when((count < len(header)) | has_more).then(
        pl.format(f"the line has {{}} fields instead of {len(header)}", count)
    )
    return lines.with_columns(cells=pl.col("line").str.split(separator)).select(
        *(cells.list.get(i, null_on_oob=True).alias(name) for i, name in enumerate(header)),
        pl.coalesce(PROBLEM, wrong).alias(PROBLEM),
    )
