"""Every benchmark runs on tiny data, so that none of them rots. What it measures there is not judged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"__init__", "corpus", "harness", "miniature", "presets"}  # what benchmarks import
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in SHARED)
AT_ONCE = 2

pytestmark = [pytest.mark.xdist_group("benchmarks"), pytest.mark.timeout(600)]


def run_benchmark(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="session")
def smoke_runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Smoke runs of the benchmarks that are tested, two at once, with one folder for the build that they share."""
    scratch = tmp_path_factory.mktemp("benchmarks")
    wanted = [
        name
        for name in BENCHMARKS
        if any(item.name == f"{test_a_smoke_run.__name__}[{name}]" for item in request.session.items)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run_benchmark, name, "--smoke", *scratch_option(name, scratch)) for name in wanted}


def scratch_option(name: str, scratch: Path) -> list[str]:
    return [] if name == "output_hashes" else ["--scratch", str(scratch)]  # which keeps nothing


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_smoke_run(name: str, smoke_runs: dict[str, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = smoke_runs[name].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "nothing was printed"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_names_the_smoke_run(name: str) -> None:
    done = run_benchmark(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "--smoke" in done.stdout
