"""The Hugging Face Hub on loopback: as much of its HTTP API as reading a dataset needs. Nothing of it is ours to test but the reading."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Datasets by OWNER/NAME, each with its files by path. `ranges`: what was fetched, as path, first and last byte."""

    url: str = ""
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ranges: list[tuple[str, int, int]] = field(default_factory=list)

    def describe(self, path: str, content: bytes) -> dict[str, Any]:
        return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def list_tree(self, files: dict[str, bytes], folder: str) -> list[dict[str, Any]] | None:
        """Return the entries below a folder, folders included; None where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        below = {path: content for path, content in files.items() if path.startswith(prefix)}
        folders = {"/".join(path.split("/")[:i]) for path in below for i in range(1, path.count("/") + 1)}
        entries = [
            {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}
            for path in sorted(folders)
            if path.startswith(prefix)
        ]
        return entries + [self.describe(path, content) for path, content in sorted(below.items())] if below else None


@contextmanager
def serve_hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._resolve(False)

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(/revision/.+)?", path):
                known = hub.datasets.get(match[1])
                self._send_json({"id": match[1], "sha": COMMIT, "siblings": []} if known is not None else None)
            elif match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)/?(.*)", path):
                entries = hub.list_tree(hub.datasets.get(match[1], {}), match[3])
                recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
                if entries is not None and not recursive:
                    depth = match[3].count("/") + 1 if match[3] else 0
                    entries = [entry for entry in entries if entry["path"].count("/") == depth]
                self._send_json(entries)
            else:
                self._resolve(True)

        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            match = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/paths-info/(.+)", unquote(urlsplit(self.path).path))
            files = hub.datasets.get(match[1], {}) if match else {}
            self._send_json([hub.describe(path, files[path]) for path in body.get("paths", []) if path in files])

        def _resolve(self, with_body: bool) -> None:
            match = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(urlsplit(self.path).path))
            content = hub.datasets.get(match[1], {}).get(match[3]) if match else None
            if content is None or match is None:
                self._send_json(None)
                return
            first, last = 0, len(content) - 1
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted:
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self._finish(content[first : last + 1] if with_body else b"", last + 1 - first)
            if with_body:
                hub.ranges.append((match[3], first, last))

        def _send_json(self, value: Any) -> None:
            self.send_response(404 if value is None else 200)
            if value is None:
                self.send_header(
                    "X-Error-Code", "EntryNotFound" if "/resolve/" in self.path or "/tree/" in self.path else "RepoNotFound"
                )
            self.send_header("Content-Type", "application/json")
            body = json.dumps({"error": "not found"} if value is None else value).encode()
            self._finish(body, len(body))

        def _finish(self, body: bytes, length: int) -> None:
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        hub.url = f"http://127.0.0.1:{listening.server_address[1]}"
        yield hub
        listening.shutdown()
