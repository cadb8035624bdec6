"""The server of the application: one process, on a socket that is bound already, until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from pipeline.inspect.application import make_application
from pipeline.inspect.opened import Watched

_SECONDS_TO_END = 1  # for browsers that keep a connection


def make_server(folder: Path, listener: socket.socket, token: str) -> tuple[uvicorn.Server, Watched]:
    """Return a server for a corpus and the corpus that it has opened. Raises UsageError where that cannot be opened."""
    watched = Watched(folder)
    application = make_application(watched, token, listener.getsockname()[1])
    settings = uvicorn.Config(
        application, log_config=None, log_level="error", access_log=False, server_header=False, lifespan="off", ws="none",
        proxy_headers=False, timeout_graceful_shutdown=_SECONDS_TO_END,
    )  # fmt: skip
    return uvicorn.Server(settings), watched


def serve(folder: Path, listener: socket.socket, token: str, announce: Callable[[int, int], None]) -> None:
    """Serve a corpus until Ctrl-C or SIGTERM. `announce` gets the rows of ledger and shards, before it begins."""
    server, watched = make_server(folder, listener, token)
    opened = watched.open()
    announce(opened.ledger.rows, opened.shards.rows)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
