"""Builds as users run them, and what they leave behind."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import polars as pl
import pytest


def build_environment() -> dict[str, str]:
    """Return what builds run under: no proxy between them and loopback, and lines that are not cut."""
    return {k: v for k, v in os.environ.items() if not k.endswith("_proxy")} | {"COLUMNS": "600", "NO_COLOR": "1"}


def start_command(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start `python -m pipeline.build …` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.build", *map(str, arguments)],
        cwd=cwd, env=build_environment(), text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def finish_command(process: subprocess.Popen[str], timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Wait for a command that `start_command` began; kill its whole group when it takes too long."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except BaseException:
        os.killpg(process.pid, 9)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def run_in_process(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipeline.build …` without a new process; return its exit code and what it says."""
    from pipeline.build import main

    out, errors, code, environment = io.StringIO(), io.StringIO(), 0, build_environment()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(cwd)
        for name, value in environment.items():
            patch.setenv(name, value)
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        try:
            main(arguments, prog_name="python -m pipeline.build")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Exception:
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Look again and again until the condition holds, the process has ended, or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def hash_outputs(out: Path) -> dict[str, str]:
    """Return digests of shards and ledger files by their name."""
    paths = [path for folder in ("data", "ledger") for path in sorted((out / folder).glob("*"))]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def find_temporaries(*folders: Path) -> list[Path]:
    """List what half-written files would look like."""
    return [p for folder in folders if folder.exists() for p in folder.rglob("*.tmp")]


def list_times(folder: Path) -> dict[Path, int]:
    """Return when each file below a folder was last written, locks left out."""
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock"}


def read_shards(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def read_ledger(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "ledger" / "*.parquet")


def read_keyed_ledger(out: Path) -> pl.DataFrame:
    """Read the ledger with a column `key`, the last part of the id."""
    return read_ledger(out).with_columns(key=pl.col("id").str.split("/").list.last())


def read_ledger_rows(out: Path) -> dict[str, dict[str, Any]]:
    """Read the rows of the ledger by key."""
    return {row["key"]: row for row in read_keyed_ledger(out).iter_rows(named=True)}


def get_key(id_: str) -> str:
    """Return the last part of a record's id."""
    return id_.rsplit("/")[-1]
