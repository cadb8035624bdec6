"""An HTTP server on loopback that misbehaves on request."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Request(NamedTuple):
    method: str
    first: int  # byte


@dataclass
class Server:
    """Files over HTTP. `drops`: after how many bytes of a body the connection is dropped, one entry a request.

    `before`: called with the number of the request, from 1, before it is answered. `secret`: user, password and query that every
    request must have, as user:password and as what follows the question mark; None for files that all may read.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    says_so: bool = True  # in a header, that it serves ranges or not
    drops: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    before: Callable[[int], None] = lambda number: None
    versions: bool = True  # it sends ETags
    secret: tuple[str, str] | None = None


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, with_body: bool) -> None:
            server.before(len(server.requests) + 1)
            path, _, query = self.path.lstrip("/").partition("?")
            content = server.files.get(path)
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode(), query
            is_refused = server.secret is not None and given != server.secret
            if content is None or is_refused:
                server.requests.append(Request(self.command, 0))
                self.send_response(403 if is_refused else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first, last = 0, len(content) - 1
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            ranged = bool(wanted and server.ranges)
            if wanted and server.ranges:
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            server.requests.append(Request(self.command, first))
            self.send_response(206 if ranged else 200)
            if ranged:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            if server.says_so:
                self.send_header("Accept-Ranges", "bytes" if server.ranges else "none")
            self.send_header("Content-Length", str(last + 1 - first))
            if server.versions:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:8]}"')
            self.end_headers()
            if with_body:
                body = content[first : last + 1]
                if server.drops:
                    body = body[: server.drops.pop(0)]
                    self.close_connection = True
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        yield server
        listening.shutdown()


@contextmanager
def reserve_closed_port() -> Iterator[int]:
    """Yield a port of loopback that nothing listens on: it is bound, and so nobody else can take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
