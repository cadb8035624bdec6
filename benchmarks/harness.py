"""What every benchmark shares: its options, commands that are watched, timing in turns, tables and bars.

A benchmark is a module with a `main` that parses options with `parse_options` and ends with `finish`. With `--smoke` it takes the same
path over tiny data (`benchmarks/miniature.py`) in a few seconds; bars are then printed, not judged. What starts processes elsewhere, the
commands of this project above all, runs in the same process then: starting takes longer than all else.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from benchmarks import THREAD_LIMITS
from benchmarks.miniature import make_development_data

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("../shared/data")  # the development data, relative to the repository root
_OWN_COMMANDS = ("pipeline", "tokenizer", "trainers")
_WITH_WORKERS = ("pipeline.build", "tokenizer.encode")
_is_smoke = False


# -- options


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="development data, relative to the repository root (default: %(default)s)"
    )
    parser.add_argument("--scratch", type=Path, help="folder for what takes long to make, kept for the next run")
    parser.add_argument("--smoke", action="store_true", help="the same on tiny data in seconds; bars are not judged")
    return parser


def parse_options(
    parser: argparse.ArgumentParser, name: str, smoke: Mapping[str, object], arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse options. With `--smoke` the defaults are those of `smoke`, and the data are tiny.

    Paths come back absolute. `scratch` is this benchmark's own folder in `--scratch`. It is kept, unless a smoke run made it: that shall
    not run on old files.
    """
    global _is_smoke
    options = parser.parse_args(arguments)
    _is_smoke = options.smoke
    root = (options.scratch or Path(tempfile.gettempdir()) / "seimai-benchmarks").absolute()
    if options.smoke and options.scratch is None:
        root = Path(tempfile.mkdtemp(prefix="seimai-smoke-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / name).mkdir(parents=True, exist_ok=True)
    if options.smoke:
        with FileLock(root / "data.lock"):
            parser.set_defaults(**smoke, data=make_development_data(root / "data"))
        options = parser.parse_args(arguments)
    options.scratch = root / name
    options.data = ROOT / options.data  # an absolute path stays what it is
    return options


# -- commands


@dataclass(frozen=True)
class WatchedRun:
    """One run of a command, start-up included. Memory is resident, in bytes."""

    seconds: float
    peak_sum: int  # the largest sum over all processes
    peak_process: int  # the largest single process
    output: str


def is_smoke() -> bool:
    """Return whether this is a smoke run."""
    return _is_smoke


def _run_here(command: Sequence[str]) -> str | None:
    """In a smoke run, run a command of this project in this process, without workers, and return its output; else return None."""
    if not _is_smoke or command[:2] != [sys.executable, "-m"] or command[2].partition(".")[0] not in _OWN_COMMANDS:
        return None
    arguments = [*command[3:], *(("--workers", "0") if command[2] in _WITH_WORKERS else ())]
    with chdir(ROOT), redirect_stdout(io.StringIO()) as output:
        try:
            _find_main(command[2])(arguments, standalone_mode=False)
        except SystemExit as end:
            if end.code:
                raise SystemExit(f"{' '.join(command)} failed:\n{output.getvalue()[-3000:]}") from None
    return output.getvalue()


def _find_main(module: str) -> Any:
    """Return the click command that `python -m MODULE` runs."""
    package = importlib.import_module(module)
    return package.main if hasattr(package, "main") else importlib.import_module(f"{module}.command").main


def map_in_processes(function: Callable[..., Any], processes: int, *arguments: Iterable[Any]) -> Iterator[Any]:
    """Yield what a function returns for each of its arguments, as `map` does, computed in so many processes; in a smoke run in this one."""
    if _is_smoke:
        yield from map(function, *arguments)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:  # forked ones hang in polars
        yield from pool.map(function, *arguments)


def watch(command: Sequence[str], environment: Mapping[str, str] | None = None) -> WatchedRun:
    """Run a command to its end and watch its memory. Ends the benchmark where the command fails."""
    began = time.perf_counter()
    if (said := _run_here(command)) is not None:
        memory = psutil.Process().memory_info().rss
        return WatchedRun(time.perf_counter() - began, memory, memory, said)
    peak_sum = peak_process = 0
    stop = threading.Event()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        # Without the thread limits of benchmarks/__init__.py: commands run as from a shell.
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
        began = time.perf_counter()
        process = psutil.Popen(list(command), cwd=ROOT, stdout=output, stderr=errors, env=inherited | dict(environment or {}))

        def follow_memory() -> None:
            nonlocal peak_sum, peak_process
            while not stop.wait(0.2):
                sizes = [0]
                try:
                    for member in [process, *process.children(recursive=True)]:
                        try:
                            sizes.append(member.memory_info().rss)
                        except psutil.NoSuchProcess:
                            continue
                except psutil.NoSuchProcess:
                    break
                peak_sum, peak_process = max(peak_sum, sum(sizes)), max(peak_process, *sizes)

        follower = threading.Thread(target=follow_memory)
        follower.start()
        code = process.wait()
        seconds = time.perf_counter() - began
        stop.set()
        follower.join()
        output.seek(0)
        errors.seek(0)
        if code:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read().decode()[-3000:]}")
        return WatchedRun(seconds, peak_sum, peak_process, output.read().decode())


def use_all_cores(module: str) -> None:
    """Start a benchmark of what runs in its process anew, with as many threads as that has when users run it."""
    cores = str(os.cpu_count())
    if os.environ["POLARS_MAX_THREADS"] != cores:
        os.execve(
            sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], os.environ | dict.fromkeys(THREAD_LIMITS, cores)
        )


def run_json(command: Sequence[str], name: str) -> Any:
    """Run a command and return the JSON of its last line. Ends the benchmark where the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_command(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command whose output is progress. Ends the benchmark where the command fails."""
    if _run_here(command) is not None:
        return
    done = subprocess.run(command, stdout=sys.stderr, cwd=ROOT, env=os.environ | dict(environment or {}))
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")


def build_command(manifest: str, source: Path | str, out: Path, *options: str) -> list[str]:
    """The command line of a build of `source` into `out`."""
    return [sys.executable, "-m", "pipeline.build", manifest, "--input", str(source), "--out", str(out), *options]


def clear(folder: Path) -> Path:
    """Empty a folder, and flush what the disk would otherwise write while the next run is timed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.sync()
    return folder


# -- timing


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Turns:
    """Seconds by the name of the peer: of ours around each run of the peer, and of the peer."""

    ours: dict[str, list[float]]
    peers: dict[str, list[float]]

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes."""
        return median(self.peers[peer]) / median(self.ours[peer])

    def median_of_ours(self) -> float:
        return median([value for values in self.ours.values() for value in values])


def take_turns(ours: Callable[[], float], peers: Mapping[str, Callable[[], float]], rounds: int) -> Turns:
    """Time ours, peer, ours, for each peer and round, so that other load on the machine slows both."""
    turns = Turns({name: [] for name in peers}, {name: [] for name in peers})
    for _ in range(rounds):
        for name, peer in peers.items():
            turns.ours[name].append(ours())
            turns.peers[name].append(peer())
            turns.ours[name].append(ours())
    return turns


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


# -- what is printed


def print_progress(line: str) -> None:
    """Print a line of progress apart from the tables."""
    print(f"  {line}", file=sys.stderr, flush=True)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned right."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def format_speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def describe_machine() -> str:
    """Cores, memory and Python, for the head of a table."""
    memory = psutil.virtual_memory().total / 1e9
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"


@dataclass(frozen=True)
class Bar:
    """What a benchmark has to reach."""

    reached: bool
    text: str


def finish(bars: Sequence[Bar], smoke: bool) -> int:
    """Print the machine and which bars are held; returns the exit code. In a smoke run no bar is judged."""
    print(f"\n{describe_machine()}{'; smoke run on tiny data' if smoke else ''}")
    for bar in bars:
        print(f"{'held  ' if bar.reached else 'MISSED'} {bar.text}")
    return 0 if smoke or all(bar.reached for bar in bars) else 1
