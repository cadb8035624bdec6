"""Every benchmark runs on tiny data, so that none of them rots. What it measures there is not judged."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.support.sharing import SharedFolders

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"__init__", "corpus", "harness", "miniature", "junk", "junk_templates", "fresh_junk"}  # what benchmarks import
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in SHARED)


def run_benchmark(name: str, *arguments: str) -> object:
    """Run a benchmark in this process and return what its `main` does: starting Python takes longer than most smoke runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("PYTHONPATH", str(ROOT))  # of the commands that it starts
        patch.setenv("COLUMNS", "200")
        patch.setattr(sys, "argv", [f"benchmarks.{name}", *arguments])
        return importlib.import_module(f"benchmarks.{name}").main()


@pytest.fixture(scope="session")
def scratch(shared_folders: SharedFolders) -> Path:
    """One folder for all, so that data and the build of the text are made once."""
    return shared_folders.make("benchmarks", lambda folder: None)


@pytest.mark.e2e
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_smoke_run(name: str, scratch: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep = [] if name == "output_hashes" else ["--scratch", str(scratch)]  # that one keeps nothing
    assert not run_benchmark(name, "--smoke", *keep)
    assert capfd.readouterr().out.strip(), "nothing was printed"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_names_the_smoke_run(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [f"benchmarks.{name}", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main()
    assert ended.value.code == 0
    assert "--smoke" in capsys.readouterr().out
