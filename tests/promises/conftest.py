"""Two versions of one corpus, the second built over the first, with files of a user's own in every folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.core.ownership import STATE_FOLDER
from tests.support.sharing import SharedFolders
from tests.support.texts import SMALL_PARTITIONS

OTHER_BOUND = "rules.chars.at_least=165"


class Versions(NamedTuple):
    """Copies of a corpus as the first and as the second build left it, and what the user had put into it in between."""

    first: Path
    second: Path
    arguments: list[str]  # of the first build, without --out
    foreign: dict[str, str]  # path: content, or where a link leads


def add_foreign_files(folder: Path) -> dict[str, str]:
    """Put a file, a hidden file, two folders and a link of a user's own into `folder`; return their paths and contents."""
    (folder / "mine" / "deep").mkdir(parents=True)
    (folder / "mine-empty").mkdir()
    contents = {"notes.txt": "notes", ".hidden": "hidden", ".draft.tmp": "draft", "mine/deep/data.json": "{}"}
    for name, content in contents.items():
        (folder / name).write_text(content, "utf-8")
    (folder / "link").symlink_to("notes.txt")
    return {str(folder / name): content for name, content in contents.items()} | {
        str(folder / "link"): "notes.txt", str(folder / "mine-empty"): "",
    }  # fmt: skip


def read_foreign_files(paths: dict[str, str]) -> dict[str, str | None]:
    """Return what is at the paths now, as `add_foreign_files` describes it; None where nothing is."""
    found: dict[str, str | None] = {}
    for name in paths:
        path = Path(name)
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_dir():
            found[name] = ""
        else:
            found[name] = path.read_text("utf-8") if path.is_file() else None
    return found


@pytest.fixture(scope="session")
def versions(build: Callable[..., Any], mixed: Path, shared_folders: SharedFolders) -> Versions:
    arguments = ["cc100-ja", "--input", str(mixed), "--set", SMALL_PARTITIONS]

    def fill(folder: Path) -> None:
        out = folder / "corpus"
        done = build(*arguments, "--out", out)
        assert done.returncode == 0, done.stderr
        shutil.copytree(out, folder / "first", symlinks=True)
        state = out / STATE_FOLDER
        steps = [path for path in (state / "work").iterdir() if path.is_dir()]
        folders = [out, out / "data", out / "ledger", state, state / "work", *steps]
        foreign = {path: content for one in folders for path, content in add_foreign_files(one).items()}
        (out / "data" / ".train-00000-of-00001.parquet.0123abcd.tmp").write_bytes(b"of a killed writer")
        done = build(*arguments, "--out", out, "--set", OTHER_BOUND)
        assert done.returncode == 0, done.stderr
        (folder / "foreign.json").write_text(json.dumps(foreign), "utf-8")

    folder = shared_folders.make("versions", fill)
    foreign = json.loads((folder / "foreign.json").read_text("utf-8"))
    return Versions(folder / "first", folder / "corpus", arguments, foreign)
