"""Promise 8: a build ends, or says what it waits for."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import dask
import polars as pl
import pytest
from distributed.scheduler import KilledWorker
from rich.console import Console

from pipeline.core.allocation import allocate
from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError, UsageError
from pipeline.core.failures import explain_failure
from pipeline.core.interrupts import delay_interrupt
from pipeline.core.language import speak, translate_message
from pipeline.core.terminal import Terminal
from pipeline.core.watch import read_patience
from tests.promises.tasks import block_once, stop_once, work
from tests.support.builds import build_environment, wait_until
from tests.support.cluster import run_dask_commands

PATIENCE = 6.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def patience(monkeypatch):
    monkeypatch.setenv("SEIMAI_STUCK_SECONDS", str(PATIENCE))


def make_console() -> tuple[Console, io.StringIO]:
    told = io.StringIO()
    return Console(file=told, width=300), told


def test_a_stopped_worker_and_a_blocked_task_are_named_and_done_again(patience, tmp_path):
    console, told = make_console()
    tasks = [(stop_once, (str(tmp_path / "stopped"),)), (block_once, (str(tmp_path / "blocked"),)), (abs, (-9,))]
    with Engine(2, None, tmp_path / "dask", console) as engine:
        assert sorted(engine.run("measuring", tasks)) == [(0, 7), (1, 8), (2, 9)]
    for number in (0, 1):
        named = rf"worker \d+ has made no progress on [^;]*measuring, part {number}\b.* for \d+ seconds, since [\d:]+: it is killed, and"
        assert re.search(named, told.getvalue()), told.getvalue()


def test_work_that_takes_long_is_named_and_left(patience, tmp_path):
    console, told = make_console()
    # What a user has set for Dask is for other clusters.
    foreign = {"worker.preload": ["no_such_module"], "worker.lifetime.duration": "1 s", "comm.timeouts.connect": "1 us"}
    with (
        dask.config.set({f"distributed.{key}": value for key, value in foreign.items()}),
        Engine(1, None, tmp_path / "dask", console) as engine,
    ):
        ((_, before),) = engine.run("trying", [(work, (0.0,))])
        assert list(engine.run("measuring", [(work, (2 * PATIENCE,))])) == [(0, before)]
    assert re.search(rf"measuring, part 0 has been running for \d+ seconds on worker {before}; it is at work", told.getvalue())


def test_a_cluster_by_address(patience, tmp_path):
    console, told = make_console()
    with run_dask_commands(tmp_path, workers=2) as cluster:
        with Engine(None, cluster.address, tmp_path / "dask", console) as engine:
            assert list(engine.run("measuring", [(stop_once, (str(tmp_path / "stopped"),))])) == [(0, 7)]
            assert re.search(r"worker (\d+ on \S+ \()?tcp://\S+ has made no progress.*is given to others", told.getvalue())
            os.kill(cluster.scheduler.pid, signal.SIGSTOP)
            with pytest.raises(
                BuildError, match=r"the scheduler tcp://\S+ has not answered for 6 seconds.*run the same command again"
            ):
                list(engine.run("measuring", [(abs, (-1,))]))


def test_what_ended_workers_is_told(tmp_path):
    def explain(deaths: list[str]) -> str:
        return str(explain_failure("measuring", 3, KilledWorker("task", None, 3), tmp_path, deaths))

    assert "ran out of memory" in explain([]) and "finished parts are kept" in explain([])
    assert "while it had the file mapped" in explain([f"Worker process 5 was killed by signal {signal.SIGBUS.value}"])
    assert "memory ran out" in explain([f"Worker process 5 was killed by signal {signal.SIGKILL.value}"])
    assert "signal 11" in explain(["Worker process 5 was killed by signal 11"])


def test_advice_never_is_to_delete_what_is_finished():
    tmp_path = Path("work")
    error = ValueError("odd")
    error.add_note(f"while reading {tmp_path}/part.parquet")
    text = str(explain_failure("measuring", 3, error, tmp_path))
    assert "delete" not in text and f"while reading {tmp_path}/part.parquet" in text and "Run the same command again" in text


@pytest.mark.parametrize("read", [pl.read_parquet, lambda path: path.open()])
def test_a_work_folder_that_is_removed_is_named_with_a_way_out(read, tmp_path):
    """Also where polars or the system tells it, and in Japanese without a word of English."""
    path = tmp_path / "removed" / "part.parquet"
    with pytest.raises(OSError) as caught:
        read(path)
    with speak("en"):
        text = str(explain_failure("writing", 3, caught.value, tmp_path))
    # Of a long path polars tells the end alone: then it is the folder that is named.
    assert (
        text.startswith(f"writing: {tmp_path}") and " is gone: it, or a folder" in text and "Run the same command again" in text
    )
    with speak("ja"):
        text = translate_message(str(explain_failure("writing", 3, caught.value, tmp_path)))
        assert text.startswith(f"書き出し: {tmp_path}") and "がなくなりました。" in text and "command" not in text
        failed = explain_failure("writing", 3, OSError(errno.EIO, "Input/output error"), tmp_path)
        assert translate_message(str(failed)) == "書き出しに失敗しました: Input/output error"


@pytest.mark.parametrize("setting", ["soon", "0", "-5", "inf", "nan"])
def test_a_limit_that_is_none(setting, monkeypatch):
    monkeypatch.setenv("SEIMAI_STUCK_SECONDS", setting)
    with pytest.raises(UsageError, match="expected a number of seconds"):
        read_patience()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_space_is_allocated_before_it_is_mapped(small_disk: Path):
    with open(small_disk / "file", "w+b") as file:
        allocate(file.fileno(), 300_000, small_disk)
        assert os.fstat(file.fileno()).st_blocks * 512 >= 300_000
    with open(small_disk / "other", "w+b") as file, pytest.raises(OSError, match="No space left") as full:
        allocate(file.fileno(), 3_000_000, small_disk)
    assert full.value.filename == str(small_disk)


# -- Ctrl-C, at moments at which nothing has begun or all has ended


def test_an_interrupt_while_modules_are_imported(start_build):
    process = start_build("cc100-ja", "--plan")

    def is_importing() -> bool:
        with suppress(OSError):
            return "polars" in Path(f"/proc/{process.pid}/maps").read_text()
        return False

    wait_until(is_importing, process)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "interrupted; run the same command again to go on\n")


def test_an_interrupt_while_workers_start_comes_when_they_have_started():
    """Before, it was lost; in the middle of the start it would leave workers that nobody ends."""
    handler, children, reached = signal.getsignal(signal.SIGINT), [], []
    with pytest.raises(KeyboardInterrupt), delay_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        start = threading.Thread(target=lambda: children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)))
        start.start()
        start.join()
        reached.append(True)
    assert reached and signal.getsignal(signal.SIGINT) is handler
    (child,) = children
    os.kill(child.pid, signal.SIGINT)  # as a terminal does, to all processes of its group
    child.communicate(b"\n")
    assert child.returncode == 0


# -- output that goes nowhere


def test_output_that_cannot_be_written_is_told(capfd):
    with (
        open("/dev/full", "w") as full,
        pytest.raises(BuildError, match=r"output cannot be written \(No space left on device\)"),
    ):
        Terminal(file=full).print("one line")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        terminal = Terminal(file=pipe)
        terminal.print("one line")
        terminal.print("nobody reads it, and nothing ends")
    assert capfd.readouterr() == ("", "")


def test_json_that_cannot_be_written_is_told():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.explain", "--text", "猫", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=build_environment() | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: the command's output cannot be written (No space left")


def run_unread(*words: str, folder: Path) -> int:
    """Run a module whose output and error output nobody reads; return its exit code."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = build_environment() | {"PYTHONPATH": str(ROOT)}
    with os.fdopen(writer, "wb") as unread:
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, stdout=unread, stderr=unread, env=environment
        ).returncode


@pytest.mark.e2e
def test_a_reader_that_has_ended_ends_nothing(tmp_path):
    """As after `| head`: a build goes on to its corpus, and exit codes are the command's own."""
    assert run_unread("pipeline.build", "cc100-ja", "--workers", "0", "--limit", "40", "--out", "corpus", folder=tmp_path) == 0
    assert run_unread("pipeline.verify", "corpus", folder=tmp_path) == 0
    (tmp_path / "corpus" / "report.html").write_text("something else")
    assert run_unread("pipeline.verify", "corpus", "--json", folder=tmp_path) == 1
    assert run_unread("pipeline.build", "--list", folder=tmp_path) == 0
    assert run_unread("pipeline.build", "nobody", folder=tmp_path) == 2
    assert run_unread("pipeline.manifest.json_schema", folder=tmp_path) == 0
