"""Folders that all workers of a test run share: the first that asks makes one, the others wait for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


class SharedFolders:
    """Make each named folder once in a test run, whatever the number of its worker processes."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        base = tmp_path_factory.getbasetemp()  # under xdist a folder of this worker's own in that of the run
        self._folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
        self._folder.mkdir(exist_ok=True)

    def make(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Return the folder `name`, filled by `fill(folder)`. A folder whose making failed is made afresh."""
        folder, done = self._folder / name, self._folder / f"{name}.done"
        with FileLock(self._folder / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder
