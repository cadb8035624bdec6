"""Every benchmark runs on tiny data, so that none of them rots. What it measures there is not judged."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sharing import SharedFolders

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"__init__", "corpus", "harness", "miniature", "junk", "junk_templates", "fresh_junk"}  # what benchmarks import
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in SHARED)


def run_benchmark(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.fixture(scope="session")
def scratch(shared_folders: SharedFolders) -> Path:
    """One folder for all, so that data and the build of the text are made once."""
    return shared_folders.make("benchmarks", lambda folder: None)


@pytest.mark.e2e
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_smoke_run(name: str, scratch: Path) -> None:
    keep = [] if name == "output_hashes" else ["--scratch", str(scratch)]  # that one keeps nothing
    done = run_benchmark(name, "--smoke", *keep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "nothing was printed"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_names_the_smoke_run(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [f"benchmarks.{name}", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main()
    assert ended.value.code == 0
    assert "--smoke" in capsys.readouterr().out
