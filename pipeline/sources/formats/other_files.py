"""Files that are no list, table or tar as they are, but something that a command turns into one."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.sources.formats.arrow import is_arrow
from pipeline.sources.formats.encodings import HEAD_BYTES, find_encoding
from pipeline.sources.formats.parquet import is_parquet

_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive (or an Excel workbook)",
     "Unpack it and give the folder: unzip FILE -d FOLDER, with -O cp932 where Windows made it. Save a workbook as CSV UTF-8"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it and give the folder: 7z x FILE -oFOLDER"),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it and give the folder: unrar x FILE FOLDER/"),
)  # fmt: skip


def refuse_other_files(path: Path) -> None:
    """Raise InputError, with what to do, where a file is an archive that is not read, or text in an encoding that nobody knows."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    for magic, label, advice in _ARCHIVES:
        if head.startswith(magic):
            raise InputError(f"is {label}. {advice}")
    is_table = is_parquet(head) or is_arrow(head)
    if not is_table and (encoding := find_encoding(head)) and not encoding.name:
        raise InputError(f"is {encoding.label}. {encoding.advice}")
