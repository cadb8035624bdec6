"""Files that are no list, table or tar as they are, but something that a command turns into one."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.sources.formats.encodings import find_encoding

_HEAD = 1 << 16  # bytes that tell an encoding
_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive (or an Excel workbook)",
     "Unpack it and give the folder: unzip FILE -d FOLDER, with -O cp932 where Windows made it. Save a workbook as CSV UTF-8"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it and give the folder: 7z x FILE -oFOLDER"),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it and give the folder: unrar x FILE FOLDER/"),
)  # fmt: skip


def refuse_archives(path: Path) -> None:
    """Raise InputError where a file is an archive that is not read, with the command that unpacks it."""
    with open(path, "rb") as file:
        head = file.read(8)
    for magic, label, advice in _ARCHIVES:
        if head.startswith(magic):
            raise InputError(f"is {label}. {advice}")


def refuse_other_encodings(path: Path) -> None:
    """Raise InputError where a list is text in another encoding, with the command that makes UTF-8 of it."""
    with open(path, "rb") as file:
        encoding = find_encoding(file.read(_HEAD))
    if encoding is not None:
        raise InputError(f"is {encoding.label}. {encoding.advice}")
