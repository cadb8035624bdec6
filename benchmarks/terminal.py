"""Record what a build looks like in terminals of 80 and 200 columns and in a log, as docs/terminal.md has it.

    python -m benchmarks.terminal ja.txt.xz > docs/terminal.md

With `--first-run` the loops are compiled anew, in a folder of their own. With `--smoke` one terminal is recorded, of the embedded sample.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

_ROWS = 40
_COMMAND = ["python", "-m", "pipeline.build", "cc100-ja", "--out", "corpora/mine", "--workers", "2", "--input"]
_ROOT = Path(__file__).parents[1]
_TOKEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")


class Screen:
    """What a terminal shows of lines that progress writes over: as much of its language as rich speaks."""

    def __init__(self) -> None:
        self.lines, self.row = [""], 0

    def feed(self, text: str) -> None:
        for token in _TOKEN.findall(text):
            if token == "\n":
                self.row += 1
                self.lines += [""] * (self.row == len(self.lines))
            elif token.endswith("A") and token.startswith("\x1b["):
                self.row = max(self.row - int(token[2:-1] or 1), 0)
            elif token == "\x1b[2K":
                self.lines[self.row] = ""
            elif not token.startswith("\x1b") and token != "\r":
                self.lines[self.row] += token

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


def record(
    command: list[str], folder: Path, columns: int, environment: dict[str, str], every: float
) -> list[tuple[float, str]]:
    """Run a command in a terminal; return what it shows, and when, every so many seconds and at the end."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment | {"TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    screen, began, shown = Screen(), time.monotonic(), 0.0
    frames: list[tuple[float, str]] = []
    pending = b""
    while True:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                content = os.read(terminal, 65536)
            except OSError:  # the command has ended
                break
            if not content:
                break
            whole, _, pending = (
                (pending + content).rpartition(b"\n") if b"\n" in pending + content else (b"", b"", pending + content)
            )
            screen.feed((whole + b"\n" * bool(whole)).decode("utf-8", "replace"))
        if (now := time.monotonic() - began) - shown >= every:
            shown = now
            copy = Screen()
            copy.lines, copy.row = [*screen.lines], screen.row
            copy.feed(pending.decode("utf-8", "replace"))
            frames.append((now, str(copy)))
    screen.feed(pending.decode("utf-8", "replace"))
    os.waitpid(process, 0)
    return [*frames, (time.monotonic() - began, str(screen))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?", default=_ROOT / "manifests" / "samples" / "cc100-ja.txt.xz")
    parser.add_argument("--every", type=float, default=10, help="Seconds between two looks at the terminal.")
    parser.add_argument("--first-run", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="Record one terminal: does it run at all?")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)  # as all benchmarks take it; this one keeps nothing
    options = parser.parse_args()
    shown = " ".join([*_COMMAND, options.input.name])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / options.input.name).symlink_to(options.input.resolve())
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        environment.pop("COLUMNS", None)
        command = [sys.executable, *_COMMAND[1:], options.input.name]
        for columns, language in ((80, "en"), (200, "en"), (80, "ja"))[: 1 if options.smoke else None]:
            own = environment | {"SEIMAI_LANG": language}
            if options.first_run and (columns, language) == (80, "en"):
                own["NUMBA_CACHE_DIR"] = str(folder / "loops")
            frames = record(command, folder, columns, own, options.every)
            print(f"## {columns} columns, SEIMAI_LANG={language}\n\n    $ {shown}\n")
            for seconds, text in frames:
                print(f"after {seconds:.0f} s:\n\n```\n{text}\n```\n")
            subprocess.run(["rm", "-rf", "corpora"], cwd=folder, check=True)
        if options.smoke:
            return
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        print(
            f"## A log\n\n    $ {shown} > out.txt 2> log.txt\n\nlog.txt:\n\n```\n{done.stderr}```\n\nout.txt:\n\n```\n{done.stdout}```"
        )


if __name__ == "__main__":
    main()
