"""The server of benchmarks/fetch.py: `python -P fetch_server.py` prints its port and answers until it is killed.

The first part of a path says how it answers; `/asked/` returns how often each path was asked for since the last time.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections import Counter
from typing import cast

HUGE = 25_000_000  # bytes
HTML = b"<!DOCTYPE html><html><body>This image has moved.</body></html>"


def make_images() -> list[bytes]:
    """64 JPEGs of noise, 15 to 60 KB."""
    from PIL import Image

    images = []
    for i in range(64):
        noise = random.Random(i)
        buffer = io.BytesIO()
        side = 96 + 2 * i
        Image.frombytes("RGB", (side, side), noise.randbytes(3 * side * side)).save(buffer, "JPEG", quality=85)
        images.append(buffer.getvalue())
    return images


def make_huge_image(image: bytes) -> bytes:
    return image + bytes(HUGE - len(image))


class Responder(asyncio.Protocol):
    """As little HTTP as it takes, so that the server is not what is measured."""

    images: list[bytes] = []
    huge = b""
    asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            self.respond(head.split(b" ", 2)[1].decode("latin-1"), b"connection: close" in head.lower())

    def send(self, status: str, body: bytes = b"", close: bool = False, **headers: str) -> None:
        if self.transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
        if close:
            lines.append("Connection: close")
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if close:
            self.transport.close()

    def respond(self, path: str, close: bool) -> None:
        kind, number = path[1:].split("/", 1)
        if kind == "asked":
            body = json.dumps(self.asked).encode()
            self.asked.clear()
            return self.send("200 OK", body, close)
        self.asked[path] += 1
        as_jpeg = {"Content-Type": "image/jpeg"}
        if kind == "image":
            self.send("200 OK", self.images[int(number) % 64], close, **as_jpeg)
        elif kind == "slow":
            image = self.images[int(number) % 64]
            asyncio.get_running_loop().call_later(1.0, lambda: self.send("200 OK", image, close, **as_jpeg))
        elif kind == "missing":
            self.send("404 Not Found", HTML, close)
        elif kind == "reset":
            self.transport.abort()
        elif kind == "busy":
            self.send("503 Service Unavailable", b"", close)
        elif kind == "loop":
            other = number[:-2] if number.endswith("-b") else number + "-b"
            self.send("302 Found", b"", close, Location=f"/loop/{other}")
        elif kind == "huge":
            self.send("200 OK", self.huge, close, **as_jpeg)
        elif kind == "lying":
            self.send("200 OK", HTML, close, **as_jpeg)


async def serve() -> None:
    Responder.images = make_images()
    Responder.huge = make_huge_image(Responder.images[0])
    server = await asyncio.get_running_loop().create_server(Responder, "0.0.0.0", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
