"""A server that misbehaves on request, and what the tests of fetching share."""

import asyncio
import gzip
import hashlib
import io
import tarfile
import threading
import time
import zlib
from collections import Counter
from typing import NamedTuple

import polars as pl
import pytest
from aiohttp import web
from PIL import Image
from rich.console import Console

from pipeline.fetch.scheduler import QueuedUrl, Scheduler
from pipeline.fetch.settings import FetchSettings

SETTINGS = FetchSettings(allow_private=True, timeout=0.5, max_bytes=50_000, retries=1, connections=64, per_host=32)

# What the site does at a path, and the reason that fetching it gives.
REASONS = {
    "image/1": None,
    "kind/PNG": None,
    "kind/GIF": None,
    "kind/WEBP": None,
    "kind/BMP": None,
    "kind/TIFF": None,
    "kind/AVIF": None,
    "nothing": "HTTP 404",
    "status/204": "HTTP 204",
    "status/403": "HTTP 403",
    "then/500": None,
    "then/503": None,
    "status/500": "HTTP 500",
    "wait/0": None,
    "wait/junk": None,
    "slow/0.2": None,
    "slow/9": "timeout",
    "drip": "timeout",
    "reset": "connection broken off",
    "short": "connection broken off",
    "torn": "connection broken off",
    "garbage": "not an answer in HTTP",
    "endless": "larger than 50.0 KB",
    "declared": "larger than 50.0 KB",
    "bomb": "larger than 50.0 KB",
    "coded/gzip": None,
    "coded/deflate": None,
    "coded/identity": None,
    "coded/br": "content encoding 'br'",
    "typed/application/octet-stream": None,
    "typed/text/html": None,
    "typed/text/html; charset=utf-8": None,
    "typed/": None,
    "typed/video/mp4": "not an image: 'video/mp4' declared",
    "typed/application/pdf": "not an image: 'application/pdf' declared",
    "body/": "empty body",
    "body/" + b"\n<!DOCTYPE html><html><body>Not here".hex(): "not an image: HTML",
    "body/" + b"<html>".hex(): "not an image: HTML",
    "body/" + b'<svg xmlns="http://www.w3.org/2000/svg"/>'.hex(): "not an image: SVG or XML",
    "body/" + b"Forbidden".hex(): "not an image: text",
    "body/" + b"%PDF-1.4\n\xe2\xe3\xcf\xd3".hex(): "not an image: text",
    "body/" + (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40)).hex(): "not an image: unknown bytes",
    "body/" + b"\xff\xd8\xff".hex(): "not an image: jpg, Pillow cannot open it",
    "body/" + (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)).hex(): "not an image: heic, Pillow cannot open it",
    "robots?tag=noai": "X-Robots-Tag: noai",
    "robots?tag=all": None,
    "hops/4": None,
    "hops/5": "more than 5 redirects",
    "loop/0": "redirect loop",
    "to?l=/to%3Fl=/away": "HTTP 404",
    "to?l=file:///etc/passwd": "redirect: not http or https",
    "to?l=http://a b/": "redirect: bad URL: host",
    "to?l=": "HTTP 302 without Location",
}


class Misbehaviour(NamedTuple):
    path: str
    reason: str | None


class Site:
    """A server on loopback, in a thread. The path says what it does.

    `requests` counts requests by path and query, `times` has when they came, `most_active` how many there were at once.
    """

    def __init__(self):
        self.requests, self.times, self.active, self.most_active = Counter(), {}, 0, 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @staticmethod
    def picture(seed=0, kind="JPEG"):
        buffer = io.BytesIO()
        Image.new("RGB", (40 + seed % 7, 30), (seed % 251, seed % 13, 99)).save(buffer, kind)
        return buffer.getvalue()

    async def _serve(self):
        app = web.Application()
        app.router.add_route("*", "/{what:.*}", self._counted)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "0.0.0.0", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop, self._stop, self._released = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def release(self):
        """Answer the requests to /held."""
        self._loop.call_soon_threadsafe(self._released.set)

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _counted(self, request):
        self.requests[request.path_qs] += 1
        self.times.setdefault(request.path_qs, []).append(time.monotonic())
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            return await self._answer(request, request.match_info["what"], self.requests[request.path_qs])
        finally:
            self.active -= 1

    async def _answer(self, request, what, times):
        name, _, argument = what.partition("/")
        image, jpeg = self.picture(), {"Content-Type": "image/jpeg"}
        if name == "image":
            return web.Response(body=self.picture(int(argument or 0)), headers=jpeg)
        if name == "slow":
            await asyncio.sleep(float(argument))
            return web.Response(body=image, headers=jpeg)
        if name == "held":
            await self._released.wait()
            return web.Response(body=image, headers=jpeg)
        if name == "pause":  # long enough to be killed in
            await asyncio.sleep(0.02)
            return web.Response(body=self.picture(int(argument)), headers=jpeg)
        if name == "kind":
            return web.Response(body=self.picture(kind=argument), content_type=f"image/{argument.lower()}")
        if name == "status":
            return web.Response(status=int(argument))
        if name == "then":  # /then/500: that once, and the image after it
            return web.Response(status=int(argument)) if times == 1 else web.Response(body=image, headers=jpeg)
        if name == "wait":
            later = {"Retry-After": argument}
            return web.Response(status=429, headers=later) if times == 1 else web.Response(body=image, headers=jpeg)
        if name == "reset":
            request.transport.abort()
            return web.Response()
        if name == "short":
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: image/jpeg\r\n\r\n" + image)
            request.transport.close()
            return web.Response()
        if name == "garbage":
            request.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            request.transport.close()
            return web.Response()
        if name == "drip":
            response = web.StreamResponse(headers=jpeg)
            await response.prepare(request)
            for byte in image:
                await response.write(bytes([byte]))
                await asyncio.sleep(0.05)
            return response
        if name == "endless":
            response = web.StreamResponse(headers=jpeg)
            await response.prepare(request)
            await response.write(image)
            while True:
                await response.write(bytes(16384))
        if name == "declared":
            response = web.StreamResponse(headers=jpeg | {"Content-Length": "999999999"})
            await response.prepare(request)
            await asyncio.sleep(5)
            return response
        if name == "coded":
            body = {"gzip": gzip.compress, "deflate": zlib.compress}.get(argument, bytes)(image)
            return web.Response(body=body, headers=jpeg | {"Content-Encoding": argument})
        if name == "bomb":
            body = gzip.compress(image + bytes(200_000_000), 1)
            return web.Response(body=body, headers=jpeg | {"Content-Encoding": "gzip"})
        if name == "torn":
            return web.Response(body=gzip.compress(image)[:-9], headers=jpeg | {"Content-Encoding": "gzip"})
        if name == "typed":
            return web.Response(body=image, headers={"Content-Type": argument} if argument else {})
        if name == "robots":
            return web.Response(body=image, headers=jpeg | {"X-Robots-Tag": request.query["tag"]})
        if name == "body":
            return web.Response(body=bytes.fromhex(argument), headers=jpeg)
        if name == "to":  # /to?l=LOCATION
            return web.Response(status=302, headers={"Location": request.query["l"]})
        if name == "hops":
            return web.Response(status=301, headers={"Location": f"/hops/{int(argument) - 1}" if int(argument) else "/image/3"})
        if name == "loop":
            return web.Response(status=302, headers={"Location": f"/loop/{1 - int(argument)}"})
        if name == "agent":
            return web.Response(body=image if request.headers["User-Agent"] == argument else b"", headers=jpeg)
        return web.Response(status=404, body=b"nothing here")


@pytest.fixture(scope="module")
def site():
    started = Site()
    yield started
    started.stop()


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture(scope="session")
def fetch_urls():
    """A function that fetches URLs all at once and returns the outcome of each."""

    def fetch_all(urls, settings=SETTINGS):
        outcomes = {}

        async def run():
            async with Scheduler(settings) as scheduler:
                for url in urls:
                    scheduler.add(QueuedUrl(url, lambda outcome, url=url: outcomes.setdefault(url, []).append(outcome)))
                await scheduler.wait_until(lambda: not scheduler.unfinished)

        asyncio.run(run())
        assert all(len(found) == 1 for found in outcomes.values()) and len(outcomes) == len(set(urls))
        return {url: found[0] for url, found in outcomes.items()}

    return fetch_all


@pytest.fixture(params=REASONS.items(), ids=REASONS.keys())
def misbehaviour(request):
    """A path of the site and the reason that fetching it must give, or None."""
    return Misbehaviour(*request.param)


@pytest.fixture(scope="session")
def quick_paths():
    """Paths of the site that answer the same each time, without a time-out."""
    return [path for path, reason in REASONS.items() if path.split("/")[0] not in ("then", "wait") and reason != "timeout"]


@pytest.fixture(scope="module")
def outcomes(site, fetch_urls):
    """The outcome of every path in `REASONS`. Only what must time out has little time, since the machine may be busy."""

    def fetch_paths(paths, settings):
        outcome_by_url = fetch_urls([f"{site.url}/{path}" for path in paths], settings)
        return {path: outcome_by_url[f"{site.url}/{path}"] for path in paths}

    late = [path for path, reason in REASONS.items() if reason == "timeout"]
    others = [path for path in REASONS if path not in late]
    return fetch_paths(late, SETTINGS) | fetch_paths(others, SETTINGS.model_copy(update={"timeout": 30}))


@pytest.fixture(scope="session")
def write_list():
    """A function that writes a TSV of (URL, caption) and returns its path."""

    def write(path, rows):
        path.write_text("".join(f"{url}\t{caption}\n" for url, caption in rows), "utf-8")
        return str(path)

    return write


class ShardFolder:
    """Shards that a fetch has written."""

    def __init__(self, out):
        self.out = out

    def sidecars(self):
        return pl.concat([pl.read_parquet(path) for path in sorted(self.out.glob("*.parquet"))])

    def members(self, name):
        with tarfile.open(self.out / name) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}

    def digests(self):
        files = sorted([*self.out.glob("*.tar"), *self.out.glob("*.parquet")])
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def shards_in():
    return ShardFolder
