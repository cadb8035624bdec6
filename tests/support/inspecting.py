"""The web application of `python -m pipeline.inspect`, served from this process."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

from pipeline.inspect.command import bind_port
from pipeline.inspect.opened import Watched
from pipeline.inspect.serving import make_server

TOKEN = "a token of tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Served:
    """A corpus that is served at a port of this machine."""

    port: int
    watched: Watched

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def entrance(self) -> str:
        return f"{self.address}/?token={quote(TOKEN)}"

    def ask(self, path: str, method: str = "GET", has_token: bool = True, **headers: str) -> Answer:
        """Return the answer to a request; `has_token`: with the cookie. Headers are given with _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if has_token:
            given["Cookie"] = f'seimai-inspect-{self.port}="{TOKEN}"'
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers=given)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def serve_corpus(folder: Path) -> Iterator[Served]:
    with bind_port(None) as listener:
        server, watched = make_server(folder, listener, TOKEN)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Served(listener.getsockname()[1], watched)
        finally:
            server.should_exit = True
            thread.join(30)


def enter(page: Any, served: Served) -> None:
    """Open the address that the command prints, in a browser."""
    page.goto(served.entrance)
    page.wait_for_url(f"{served.address}/")
