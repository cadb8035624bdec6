"""Folders and groups of files as input."""

from __future__ import annotations

import hashlib
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.names import is_printable, make_printable
from pipeline.core.publication import settle_publication
from pipeline.sources.inputs import InputFile, describe_file, identify_local
from pipeline.sources.names import decode_name

RENAME = "Rename them: convmv -r --notest -f cp932 -t utf8 FOLDER does so where Windows wrote them"


def list_files(folder: Path) -> list[Path]:
    """Return all regular files below a folder, in order of their relative path. Symbolic links and hidden folders are not followed.

    Raises UsageError where a folder below cannot be listed.
    """
    return [path for path in _list_entries(folder) if path.is_file() and not path.is_symlink()]


def explain_links(folder: Path) -> str | None:
    """Return a sentence on what `list_files` leaves out below a folder: links, pipes, sockets and devices. None where there are none."""
    left_out = [path for path in _list_entries(folder) if path.is_symlink() or not path.is_file()]
    if not left_out:
        return None
    first = make_printable(decode_name(str(left_out[0].relative_to(folder))))
    entries = f"{first} is" if len(left_out) == 1 else f"{first} and {len(left_out) - 1:,} more are"
    pattern = make_printable(decode_name(shlex.quote(f"{folder}/*")))
    return f"of {folder} {entries} not read: links, pipes and devices in a folder are not followed. A glob such as {pattern} takes links"


def add_note(files: list[InputFile], note: str | None) -> list[InputFile]:
    """Return inputs, the first of which has a further note, before those that it has."""
    if not files or note is None or note in (files[0].note or ""):
        return files
    return [replace(files[0], note="; ".join(filter(None, [note, files[0].note]))), *files[1:]]


def _list_entries(folder: Path) -> list[Path]:
    entries = []
    for parent, folders, names in os.walk(folder, onerror=_refuse_unlisted):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        entries += [Path(parent, name) for name in sorted([*names, *(name for name in links if not name.startswith("."))])]
    return entries


def _refuse_unlisted(error: OSError) -> None:
    raise UsageError(
        f"{error.filename} cannot be listed ({error.strerror}), so that what is in it would be missing: "
        "make it readable, or name the files that are to be read"
    ) from None


def is_utf8(path: Path | str) -> bool:
    """Return whether a name can stand in a table; names from old archives may be in another encoding."""
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in str(path))


def describe_loose_file(path: Path) -> dict[str, Any]:
    """Return the row of a file that is a record's content: its name, and where its content is or why it cannot be read."""
    row: dict[str, Any] = {"name": make_printable(decode_name(path.name)), "problem": None}
    if not is_utf8(path):
        return row | {"problem": f"the name of the file is not UTF-8. {RENAME}"}
    return row | {"content_path": str(path), "content_offset": 0, "content_size": path.stat().st_size}


def fingerprint_files(files: list[Path], folder: Path) -> str:
    """Return a hash that changes when one of the files in a folder does."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{identify_local(status)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def enter_built_corpus(folder: Path) -> Path:
    """Return the folder of the shards where `folder` is a corpus that Seimai built (its ledger is no input), else `folder`."""
    settle_publication(folder)
    return folder / "data" if (folder / "manifest.lock.toml").is_file() and (folder / "data").is_dir() else folder


def describe_files_below(paths: list[Path], folder: Path) -> list[InputFile]:
    """Return files of a folder as inputs, named by their paths in it."""
    return [replace(describe_file(str(path)), name=str(path.relative_to(folder))) for path in paths]


def describe_folder(folder: Path, files: list[Path], default_name: str) -> InputFile:
    """Return a folder as one input that stands for its `files`. Raises UsageError where its name cannot stand in an id."""
    if not is_printable(str(folder.resolve())):
        raise UsageError(
            f"--input {str(folder)!r}: ids and reports need a folder name in UTF-8 without control characters; rename the folder"
        )
    size = sum(path.stat().st_size for path in files)
    return InputFile(folder.resolve().name or default_name, str(folder.resolve()), size, fingerprint_files(files, folder))
