"""The command `python -m pipeline.inspect`."""

from __future__ import annotations

import errno
import secrets
import socket
import webbrowser
from pathlib import Path

import click

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.libraries import require_modules
from pipeline.core.options import CountRange
from pipeline.core.paths import expand_home
from pipeline.core.terminal import Terminal

_LOOPBACK = "127.0.0.1"


@command()
@click.argument("folder", metavar="CORPUS", type=click.Path(path_type=Path))
@click.option("--port", type=CountRange(min=1, max=65535), help="Port on 127.0.0.1.  [default: a free one]")
@click.option("--open", "opens_browser", is_flag=True, help="Open the address in a browser.")
def main(folder: Path, port: int | None, opens_browser: bool) -> None:
    """Browse the shards and the ledger of CORPUS in a web browser: search, filter, look at what is near a bound, compare duplicates.

    It prints an address on this machine, with a token; without that nobody else gets in. Nothing can be changed there. Ctrl-C ends it.
    Exit code 0: ended; 2: wrong usage, or no corpus that can be browsed.
    """
    with report_errors("inspecting", "--port"):
        require_modules(["starlette", "uvicorn"], "python -m pipeline.inspect", "inspect")
        from pipeline.inspect.serving import serve  # starlette and uvicorn, which are an extra

        with bind_port(port) as listener:
            number, token = listener.getsockname()[1], secrets.token_urlsafe(32)
            address = f"http://{_LOOPBACK}:{number}/?token={token}"

            def announce(records: int, rows: int) -> None:
                console = Terminal()
                console.print(f"{folder}: {records:,} records in the ledger, {rows:,} in the shards. Ctrl-C ends this")
                # Without Terminal, which takes tokens out of addresses.
                click.echo(address)
                if opens_browser:
                    webbrowser.open(address)

            serve(expand_home(folder), listener, token, announce)


def bind_port(port: int | None) -> socket.socket:
    """Return a socket on loopback. Raises UsageError where a port is in use, or not for this user."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_LOOPBACK, port or 0))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"--port {port} is in use by another program: choose another, or leave it out for a free one"
            ) from None
        if error.errno == errno.EACCES:
            raise UsageError(
                f"--port {port} is not for this user: choose one from 1024 on, or leave it out for a free one"
            ) from None
        raise
    return listener
