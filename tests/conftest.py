"""Fixtures for all tests: small corpora in CC-100's format, builds as users run them, and a server that misbehaves on request."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

LETTERS = (
    "あいうえおかがきぎくけこさしすせそただちってとなにのはひほまみむもやゆよらりるれろわをん"
    "吾輩猫名前無所見当東京大阪電車会社昨日今明天気勉強仕事料理新聞学生先生山川空海森林道町駅店本紙水火木金土"
)
PARTITION = "source.partition=20 KB"  # many partitions of little text

# A shell lets what it starts in the background ignore Ctrl-C, and so would every process that tests send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def sentences(seed: Any, count: int = 4, length: int = 40) -> str:
    """Made-up Japanese in `count` lines that the preset ja-web keeps."""
    drawn = random.Random(str(seed))
    return "\n".join("".join(drawn.choices(LETTERS, k=length - 1)) + "。" for _ in range(count))


def split_documents(raw: bytes) -> list[tuple[int, bytes]]:
    """(offset, bytes) of every document, by the definition of the format and without any thought of speed."""
    found: list[tuple[int, bytes]] = []
    start, end, at = -1, 0, 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", raw):
        content = line.removesuffix(b"\n").removesuffix(b"\r")
        if content and start < 0:
            start = at
        if content:
            end = at + len(content)
        elif start >= 0:
            found.append((start, raw[start:end]))
            start = -1
        at += len(line)
    if start >= 0:
        found.append((start, raw[start:end]))
    return found


def mixed_documents() -> list[bytes]:
    """420 documents with every verdict among them; what is where is known to the tests by the first characters."""
    documents: list[bytes] = []
    for i in range(300):
        documents.append(sentences(i, 3 + i % 5).encode())
        if i % 10 == 0:
            documents.append(f"English page {i}: the quick brown fox jumps over the lazy dog, again and again.\n".encode() * 3)
        if i % 15 == 0:
            documents.append(sentences(i, 3 + i % 5).replace("。", "、").encode())  # the same by its key
        if i % 20 == 7:
            documents.append((sentences(i, 12) + "\nまた明日。").encode())
            documents.append((sentences(i, 12) + "\nではまた。").encode())
        if i % 25 == 3:
            documents.append("短い。".encode())
    documents.insert(40, "壊れ".encode() + b"\xe3\x81\xff\xfe" + sentences("broken").encode())
    documents.insert(80, ("零\0文字\0" + sentences("nul")).encode())
    documents.insert(120, ("空白行\n\u3000\n" + sentences("space")).encode())
    documents.insert(160, ("改行\u2028区切\u0085" + sentences("separators")).encode())
    documents.insert(200, sentences("crlf").replace("\n", "\r\n").encode())
    return [d.rstrip(b"\n") for d in documents]


@dataclass(frozen=True)
class Tools:
    """What tests cannot import, as this folder is not a package."""

    sentences: Callable[..., str] = staticmethod(sentences)
    split_documents: Callable[[bytes], list[tuple[int, bytes]]] = staticmethod(split_documents)
    partition: str = PARTITION

    @staticmethod
    def outputs(out: Path) -> dict[str, str]:
        """Digests of shards and ledger files by their name."""
        found = {str(p.relative_to(out)): p for name in ("data", "ledger") for p in sorted((out / name).glob("*"))}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}

    @staticmethod
    def temporaries(*folders: Path) -> list[Path]:
        """What half-written files would look like."""
        return [p for folder in folders if folder.exists() for p in folder.rglob("*.tmp")]


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus file with something of everything."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.txt"
    path.write_bytes(b"\n\n".join(mixed_documents()) + b"\n")
    return path


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of two workers that stay up, so that most builds need not start their own."""
    import dask
    from distributed import LocalCluster

    single = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "ARROW_NUM_THREADS"), "1")
    with dask.config.set({"distributed.nanny.pre-spawn-environ": single}):
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=50,
        ) as started:
            yield started.scheduler_address


def environment() -> dict[str, str]:
    """What builds run under: no proxy between them and loopback, and lines that are not cut."""
    return {k: v for k, v in os.environ.items() if not k.endswith("_proxy")} | {"COLUMNS": "600", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen[str]]:
    """Start `python -m pipeline.build …` from a folder of its own and in a process group of its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def start_build(*arguments: object, cwd: Path = elsewhere) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.build", *map(str, arguments)],
            cwd=cwd, env=environment(), text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    return start_build


@pytest.fixture(scope="session")
def build(
    start: Callable[..., subprocess.Popen[str]], cluster: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a build to its end: in this process on the workers that are up, which starts fastest, or, where `--workers` or a
    scheduler is given, as a command of its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run_build(*arguments: object, timeout: float = 120, cwd: Path = elsewhere) -> subprocess.CompletedProcess[str]:
        if not {"--workers", "--scheduler"} & set(map(str, arguments)):
            return run_here([*map(str, arguments), "--scheduler", cluster], cwd)
        process = start(*arguments, cwd=cwd)
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, 9)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    return run_build


def run_here(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """`python -m pipeline.build …` with its exit code and what it says, without a new process."""
    from pipeline.build import main

    out, errors, code, wanted = io.StringIO(), io.StringIO(), 0, environment()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(cwd)
        for name, value in wanted.items():
            patch.setenv(name, value)
        for name in set(os.environ) - set(wanted):
            patch.delenv(name)
        try:
            main(arguments, prog_name="python -m pipeline.build")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Exception:
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


@pytest.fixture(scope="session")
def kill_at(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., int]:
    """Start a build that writes to `out` and, once so many of its pieces of work are done, kill it as a machine does that goes down:
    the command and all its workers at once. Returns how many pieces were done."""

    def start_and_kill(wanted: int, out: Path, *arguments: object, pause: float = 0.0) -> int:
        process = start(*arguments)
        deadline = time.monotonic() + 60
        while len([*out.rglob("*.json")]) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return len([*out.rglob("*.json")])

    return start_and_kill


@pytest.fixture(scope="session")
def reference(build: Callable[..., Any], mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mixed corpus as an undisturbed build with one worker makes it."""
    out = tmp_path_factory.mktemp("reference") / "out"
    done = build("cc100-ja", "--input", mixed, "--out", out, "--workers", 1, "--set", PARTITION)
    assert done.returncode == 0, done.stderr
    (out / "stdout").write_text(done.stdout, "utf-8")
    return out


# -- a server


@dataclass
class Server:
    """Files over http on loopback. `drops`: after how many bytes of a body the connection is dropped, one entry a request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    requests: list[tuple[str, int]] = field(default_factory=list)  # (method, first byte)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, body: bool) -> None:
            content = state.files.get(self.path.lstrip("/"))
            if content is None:
                state.requests.append((self.command, 0))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first, last = 0, len(content) - 1
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            ranged = bool(wanted and state.ranges)
            if wanted and state.ranges:
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            state.requests.append((self.command, first))
            self.send_response(206 if ranged else 200)
            if ranged:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.send_header("Accept-Ranges", "bytes" if state.ranges else "none")
            self.send_header("Content-Length", str(last + 1 - first))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:8]}"')
            self.end_headers()
            if body:
                piece = content[first : last + 1]
                if state.drops:
                    piece = piece[: state.drops.pop(0)]
                    self.close_connection = True
                try:
                    self.wfile.write(piece)
                except OSError:
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        state.url = f"http://127.0.0.1:{listening.server_address[1]}"
        yield state
        listening.shutdown()


@pytest.fixture
def closed_port() -> int:
    """A port of loopback that nothing listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
