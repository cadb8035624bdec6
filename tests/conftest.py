"""Fixtures for all tests. What they are made of is in `tests/support`.

Corpora, reference builds and the cluster are made once for all worker processes of pytest-xdist.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.builds import finish_command, run_in_process, start_command
from tests.support.cluster import start_cluster
from tests.support.hypothesis_profiles import apply_profile, load_profile
from tests.support.server import Server, reserve_closed_port, serve
from tests.support.sharing import SharedFolders
from tests.support.texts import SMALL_PARTITIONS, make_mixed_documents

load_profile()

# A shell lets what it starts in the background ignore Ctrl-C, and so would every process that tests send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A test is marked by the fixtures that it asks for, directly or not: those that start commands, and those that train.
TRAINERS = Path(__file__).parent / "trainers"  # the tests of whole trainers; their parts are tested in folders below
MARKS_OF_FIXTURES = {
    "build": "e2e", "build_on_cluster": "e2e", "start_build": "e2e", "kill_at": "e2e", "build_as_user": "e2e",
    "train": "train", "on_ranks": "train",
}  # fmt: skip
# Files whose tests train something, or start processes of their own, each for seconds.
SLOW_FILES = {"test_worker_process.py", "test_resume.py", "test_train.py", "test_encode.py", "test_development.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == TRAINERS:
            item.add_marker("train")
        for name in set(getattr(item, "fixturenames", ())) & set(MARKS_OF_FIXTURES):
            item.add_marker(MARKS_OF_FIXTURES[name])
        if item.path.name in SLOW_FILES:
            item.add_marker("train")
    apply_profile(items)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep timings of test builds out of the user's cache."""
    os.environ["SEIMAI_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_folders(tmp_path_factory: pytest.TempPathFactory) -> SharedFolders:
    return SharedFolders(tmp_path_factory)


@pytest.fixture(scope="session")
def mixed(shared_folders: SharedFolders) -> Path:
    """A corpus file with something of everything."""
    folder = shared_folders.make(
        "mixed", lambda folder: (folder / "mixed.txt").write_bytes(b"\n\n".join(make_mixed_documents()) + b"\n")
    )
    return folder / "mixed.txt"


@pytest.fixture(scope="session")
def cluster(shared_folders: SharedFolders) -> str:
    """The address of two workers that stay up, so that most builds need not start their own."""
    test_run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return (shared_folders.make("cluster", lambda folder: start_cluster(folder, test_run)) / "address").read_text()


@pytest.fixture(scope="session")
def start_build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen[str]]:
    """Start `python -m pipeline.build …` from a folder of its own and in a process group of its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def start(*arguments: object, cwd: Path = elsewhere) -> subprocess.Popen[str]:
        return start_command(*arguments, cwd=cwd)

    return start


Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Run a build to its end: all of it in this process, which starts fastest, or, where `--workers` or a scheduler is given, as a
    command of its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run_build(*arguments: object, timeout: float = 240, cwd: Path = elsewhere) -> subprocess.CompletedProcess[str]:
        if {"--workers", "--scheduler"} & set(map(str, arguments)):
            return finish_command(start_command(*arguments, cwd=cwd), timeout)
        return run_in_process([*map(str, arguments), "--workers", "0"], cwd)

    return run_build


@pytest.fixture(scope="session")
def build_on_cluster(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Run a build to its end on the two workers that are up."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run_build(*arguments: object, cwd: Path = elsewhere) -> subprocess.CompletedProcess[str]:
        return run_in_process([*map(str, arguments), "--scheduler", cluster], cwd)

    return run_build


@pytest.fixture(scope="session")
def kill_at(start_build: Callable[..., subprocess.Popen[str]]) -> Callable[..., int]:
    """Start a build that writes to `out` and, once so many of its pieces of work are done, kill it as a machine does that goes down:
    the command and all its workers at once. Returns how many pieces were done."""

    def start_and_kill(wanted: int, out: Path, *arguments: object, pause: float = 0.0) -> int:
        process = start_build(*arguments)
        deadline = time.monotonic() + 60
        while _count_markers(out) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return _count_markers(out)

    return start_and_kill


def _count_markers(folder: Path) -> int:
    """Return how many JSON files there are; folders of workers may go while one looks."""
    return sum(name.endswith(".json") for _, _, names in os.walk(folder) for name in names)


@pytest.fixture(scope="session")
def reference(build: Callable[..., Any], mixed: Path, shared_folders: SharedFolders) -> Path:
    """The mixed corpus as an undisturbed build without workers makes it; what the build said is in `stdout` beside it."""

    def fill(folder: Path) -> None:
        done = build("cc100-ja", "--input", mixed, "--out", folder / "out", "--set", SMALL_PARTITIONS)
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_text(done.stdout, "utf-8")
        (folder / "stderr").write_text(done.stderr, "utf-8")

    return shared_folders.make("reference", fill) / "out"


@dataclass
class UserBuild:
    """A build as a new user runs it, its output under `corpora`."""

    returncode: int
    output: str
    errors: str
    out: Path


@pytest.fixture(scope="session")
def build_as_user(shared_folders: SharedFolders) -> Callable[..., UserBuild]:
    """Run `python -m pipeline.build CORPUS …` on all cores, once for each list of arguments. Nothing may write to what it leaves."""

    def run(corpus: str, *options: object) -> UserBuild:
        def fill(folder: Path) -> None:
            done = finish_command(start_command(corpus, *options, cwd=folder))
            report = {"returncode": done.returncode, "output": done.stdout, "errors": done.stderr}
            (folder / "report.json").write_text(json.dumps(report), "utf-8")

        name = f"user-{corpus}-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}"
        folder = shared_folders.make(name, fill)
        return UserBuild(**json.loads((folder / "report.json").read_text("utf-8")), out=folder / "corpora" / corpus)

    return run


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that reading over HTTP would have waited between its tries; nothing waits for them."""
    from pipeline.sources import streams

    seconds: list[float] = []
    monkeypatch.setattr(streams, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def server(waits: list[float]) -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def closed_port() -> Iterator[int]:
    with reserve_closed_port() as port:
        yield port
