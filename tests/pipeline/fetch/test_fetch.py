"""The fetcher against a server that misbehaves on request."""

import asyncio
import gzip
import hashlib
import io
import ipaddress
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections import Counter
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from pipeline.core.errors import BuildError, UsageError
from pipeline.fetch import addresses
from pipeline.fetch.addresses import Failure, is_public, parse
from pipeline.fetch.command import fetch, main, read_list
from pipeline.fetch.requests import Answer, Settings, disallowed_by, may_pass
from pipeline.fetch.scheduler import Fetcher, Job
from pipeline.fetch.shards import Spool


def picture(seed=0, kind="JPEG", size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", (size[0] + seed % 7, size[1]), (seed % 251, seed % 13, 99)).save(buffer, kind)
    return buffer.getvalue()


BIG = picture(size=(200, 100), kind="BMP")  # 60 KB
LARGEST = 50_000
SETTINGS = Settings(allow_private=True, timeout=1.5, max_bytes=LARGEST, retries=1, connections=64, per_host=32)


class Site:
    """A server on loopback, in a thread. What it does is told by the path; `asked` counts requests by path and query."""

    def __init__(self):
        self.asked, self.times, self.active, self.most = Counter(), {}, 0, 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    async def _serve(self):
        app = web.Application()
        app.router.add_route("*", "/{what:.*}", self._counted)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "0.0.0.0", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _counted(self, request):
        self.asked[request.path_qs] += 1
        self.times.setdefault(request.path_qs, []).append(time.monotonic())
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            return await self._answer(request, request.match_info["what"], self.asked[request.path_qs])
        finally:
            self.active -= 1

    async def _answer(self, request, what, times):
        name, _, argument = what.partition("/")
        image, jpeg = picture(), {"Content-Type": "image/jpeg"}
        if name == "image":
            return web.Response(body=picture(int(argument or 0)), headers=jpeg)
        if name == "slow":
            await asyncio.sleep(float(argument))
            return web.Response(body=image, headers=jpeg)
        if name == "pause":  # long enough to be killed in
            await asyncio.sleep(0.02)
            return web.Response(body=picture(int(argument)), headers=jpeg)
        if name == "kind":
            return web.Response(body=picture(kind=argument), content_type=f"image/{argument.lower()}")
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


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO(), width=200)


def answers(urls, settings=SETTINGS):
    """What comes of every URL, fetched all at once."""
    found = {}

    async def run():
        async with Fetcher(settings) as fetcher:
            for url in urls:
                fetcher.add(Job(url, lambda answer, url=url: found.setdefault(url, []).append(answer)))
            await fetcher.until(lambda: not fetcher.unfinished)

    asyncio.run(run())
    assert all(len(said) == 1 for said in found.values()) and len(found) == len(set(urls))
    return {url: said[0] for url, said in found.items()}


def write_list(path, rows):
    path.write_text("".join(f"{url}\t{caption}\n" for url, caption in rows), "utf-8")
    return str(path)


def sidecars(out):
    return pl.concat([pl.read_parquet(path) for path in sorted(out.glob("*.parquet"))])


def members(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def digests(out):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted([*out.glob("*.tar"), *out.glob("*.parquet")])}


# -- one URL


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


@pytest.fixture(scope="module")
def reasons(site):
    """Only what is to take too long has little time: the machine may have other things to do."""
    paths = {
        late: [f"{site.url}/{p}" for p, reason in REASONS.items() if (reason == "timeout") == late] for late in (True, False)
    }
    return answers(paths[True]) | answers(paths[False], replace(SETTINGS, timeout=30))


@pytest.mark.parametrize("path", REASONS)
def test_every_misbehaviour_has_its_reason(site, reasons, path):
    found = reasons[f"{site.url}/{path}"]
    assert found.reason == REASONS[path]
    assert (found.status == "success") == (REASONS[path] is None) == bool(found.body)
    assert (found.status == "failed_to_resize") == ((REASONS[path] or "").startswith(("not an image", "empty body")))


def test_what_may_pass_is_asked_again_and_nothing_else(site, reasons):
    for path in ("status/500", "slow/9", "drip", "reset", "short"):
        assert may_pass(REASONS[path]) and site.asked["/" + path] >= 2
    for path in ("nothing", "status/403", "endless", "declared", "bomb", "garbage", "robots?tag=noai", "loop/0"):
        assert site.asked["/" + path] == 1


def test_bytes_are_those_of_the_server(site, reasons):
    found = reasons[f"{site.url}/kind/PNG"]
    assert found.body == picture(kind="PNG") and found.extension == "png" and (found.width, found.height) == (40, 30)
    assert reasons[f"{site.url}/coded/gzip"].body == picture()


def test_retry_after_holds_the_host(site):
    urls = [f"{site.url}/wait/1?held", *(f"{site.url}/image/{i}?held" for i in range(30))]
    found = answers(urls, Settings(allow_private=True, per_host=1, timeout=5))
    assert all(a.status == "success" for a in found.values())
    first, second = site.times["/wait/1?held"]
    assert second - first >= 1
    assert not [t for url in urls for t in site.times[url.removeprefix(site.url)] if first + 0.2 < t < first + 0.95]


def test_a_host_that_asks_for_an_hour_is_left_alone(site):
    url = f"{site.url}/wait/3600"
    assert answers([url])[url].reason == "HTTP 429" and may_pass("HTTP 429")
    assert site.asked["/wait/3600"] == 1


BAD = {
    "": "bad URL",
    "images/1.jpg": "bad URL",
    "//example.com/x": "bad URL",
    "http://": "bad URL",
    "http:///x.jpg": "bad URL",
    "http://a b/x.jpg": "bad URL: host",
    "http://example.com:99999/x.jpg": "bad URL",
    "http://example.com:x/": "bad URL",
    "http://[::1/": "bad URL",
    "http://a..b/": "bad URL: host",
    "http://" + "a" * 70 + ".com/": "bad URL: host",
    "http://1.2.3.4.5/": "bad URL: not an address",
    "ftp://example.com/x.jpg": "not http or https",
    "file:///etc/passwd": "not http or https",
    "data:image/png;base64,AAAA": "not http or https",
    "javascript:alert(1)": "not http or https",
    "http://host.invalid/x.jpg": "no such host",
}


def test_bad_urls():
    found = answers(list(BAD))
    for url, reason in BAD.items():
        # Without a network, names cannot be looked up at all.
        assert found[url].reason == reason or (reason == "no such host" and "no such host" in found[url].reason)


def test_urls_are_quoted_where_they_must_be_and_else_left():
    assert str(parse("http://日本語.jp/画像 1.png#top", False)).startswith(
        "http://xn--wgv71a119e.jp/%E7%94%BB%E5%83%8F%201.png"
    )
    assert str(parse("https://a.example/%7Eb/x%2Fy.jpg?s=%2B~*!", False)) == "https://a.example/%7Eb/x%2Fy.jpg?s=%2B~*!"
    assert str(parse(" HTTPS://User:Word@A.Example:8080/x ", False)) == "https://a.example:8080/x"


def test_refused_and_lost_connections(closed_port):
    assert answers([f"http://127.0.0.1:{closed_port}/x"])[f"http://127.0.0.1:{closed_port}/x"].reason == "connection refused"


def test_user_agent_is_sent(site):
    url = f"{site.url}/agent/mine-1.0"
    assert answers([url], Settings(allow_private=True, user_agent="mine-1.0"))[url].status == "success"
    assert answers([url])[url].reason == "empty body"


def test_a_proxy_from_the_environment_is_not_used(site, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    assert answers([f"{site.url}/image/5"])[f"{site.url}/image/5"].status == "success"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["noai"], "noai"),
        (["index, NoImageAI"], "noimageai"),
        (["nofollow", "all, noindex"], "noindex"),
        (["none"], "none"),
        (["seimai: noai"], "noai"),
        (["Seimai: nofollow, noimageindex"], "noimageindex"),
        (["googlebot: noai"], None),
        (["googlebot: noindex, nofollow, noai"], None),
        (["googlebot: noindex, seimai: noai"], "noai"),
        (["max-snippet: -1, noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], None),
        (["nofollow, noarchive, all"], None),
        ([""], None),
        ([], None),
    ],
)
def test_robots_tag(values, found):
    assert disallowed_by(values, Settings().user_agent, Settings().directives) == found


# -- addresses

PRIVATE = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::7f00:1 100::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2600::5efe:127.0.0.1 2600::200:5efe:10.0.0.1
""".split()
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700::1111",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


def forms(address):
    """Notations of an IPv4 address that sockets take."""
    a, b, c, d = ipaddress.IPv4Address(address).packed
    n = int(ipaddress.IPv4Address(address))
    yield from (
        f"{a}.{b}.{c}.{d}",
        f"{n}",
        f"{n:#x}",
        f"0{n:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#X}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
    )
    yield from (f"{a}.{b}.{c << 8 | d}", f"{a}.{b << 16 | c << 8 | d}", f"{a}.{b}.{c}.{d}.", f"00000{a:o}.{b}.{c:#x}.{d}")
    yield from (
        f"[::ffff:{a}.{b}.{c}.{d}]",
        f"[::ffff:{a << 8 | b:x}:{c << 8 | d:x}]",
        f"[0:0:0:0:0:ffff:{a:x}{b:02x}:{c:x}{d:02x}]",
    )
    yield f"[64:ff9b::{a << 8 | b:x}:{c << 8 | d:x}]"
    yield f"[2002:{a << 8 | b:x}:{c << 8 | d:x}::1]"
    yield f"{a}.{b}.{c}.{d}".translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    yield f"{a}。{b}。{c}。{d}"


def refused(host):
    try:
        parse(f"http://{host}/x.jpg", False)
    except Failure as failure:
        return failure.reason
    return None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address):
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address.replace('%', '%25')}]" if ":" in address else address
    assert refused(host) == "private address"
    if ":" not in address:
        for form in forms(address):
            assert refused(form), form
            assert refused(f"someone:word@{form}:8080"), form


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_taken(address):
    assert is_public(ipaddress.ip_address(address))
    if ":" not in address:
        assert not [form for form in forms(address) if refused(form)]
        assert {parse(f"http://{form}/", False).raw_host for form in list(forms(address))[:10]} == {address}


@given(
    st.one_of([st.ip_addresses(network=n) for n in ("127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16")]),
    st.data(),
)
def test_no_notation_hides_a_private_address(address, data):
    assert refused(data.draw(st.sampled_from(list(forms(str(address)))))) is not None


@given(st.ip_addresses(v=6))
@example(ipaddress.ip_address("::ffff:7f00:1"))
def test_ipv6_is_public_only_where_python_agrees(address):
    if is_public(address) and address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global or address.ipv4_mapped is not None


def test_names_of_private_addresses_are_refused(site):
    host = f"localhost:{site.port}"
    urls = [f"http://{host}/image/1?private", f"http://someone@{host.upper()}/image/1?private", f"{site.url}/image/1?private"]
    found = answers(urls, Settings())
    assert {answer.reason for answer in found.values()} == {"private address"}
    assert not site.asked["/image/1?private"]


def test_redirects_to_private_addresses_are_refused(site, monkeypatch):
    # 127.0.0.2 stands for a host of the open internet.
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.2" or is_public(address))
    base = f"http://127.0.0.2:{site.port}"
    targets = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "user@127.0.0.1"]
    urls = [f"{base}/to?l=http://{target}:{site.port}/image/7?inside" for target in targets]
    found = answers([*urls, f"{base}/to?l=/image/7?outside"], Settings(retries=0))
    assert found[f"{base}/to?l=/image/7?outside"].status == "success"
    assert {found[url].reason for url in urls} == {"redirect: private address", "private address"}
    assert not site.asked["/image/7?inside"]


# -- whose turn it is


def test_a_slow_host_holds_up_nobody_else(site):
    slow = [f"http://127.0.0.9:{site.port}/slow/0.4?{i}" for i in range(12)]
    fast = [f"http://127.0.0.{10 + i % 5}:{site.port}/image/{i}?fast" for i in range(100)]
    done = []

    async def run():
        async with Fetcher(Settings(allow_private=True, connections=8, per_host=4)) as fetcher:
            for url in slow + fast:
                fetcher.add(Job(url, lambda answer, url=url: done.append((url, answer.status))))
            await fetcher.until(lambda: not fetcher.unfinished)

    asyncio.run(run())
    assert {status for _, status in done} == {"success"} and len(done) == 112
    assert {url for url, _ in done[:90]} <= set(fast)


def test_requests_at_once_are_bounded(site):
    site.most = 0
    answers([f"{site.url}/slow/0.02?bound{i}" for i in range(40)], Settings(allow_private=True, per_host=3))
    assert site.most == 3
    site.most = 0
    urls = [f"http://127.0.0.{i % 20 + 1}:{site.port}/slow/0.02?all{i}" for i in range(40)]
    answers(urls, Settings(allow_private=True, connections=5))
    assert site.most == 5


def test_requests_per_second_are_bounded(site):
    urls = [f"{site.url}/image/{i}?rate" for i in range(11)]
    answers(urls, Settings(allow_private=True, per_host_rate=20))
    asked = sorted(site.times[f"/image/{i}?rate"][0] for i in range(11))
    assert asked[-1] - asked[0] >= 0.45


# -- the spool

ANSWERS = [
    ([0], Answer("success", None, "jpg", 4, 3, "ab" * 32, b"x" * 40)),
    ([1, 4], Answer("success", None, "png", 1, 1, "cd" * 32, b"")),
    ([2], Answer("failed_to_download", "HTTP 404 画像")),
    ([3], Answer("success", None, "gif", 9, 9, "ef" * 32, b"SPL1" * 9)),
]


def contents(spool):
    data = spool.path.read_bytes()
    return {row: (kept.answer, data[kept.offset : kept.offset + kept.size]) for row, kept in sorted(spool.rows.items())}


@pytest.fixture(scope="module")
def spooled(tmp_path_factory):
    spool = Spool(tmp_path_factory.mktemp("spool") / "whole", "about")
    ends = [spool._end]
    for rows, answer in ANSWERS:
        spool.append(rows, answer)
        ends.append(spool._end)
    spool.close()
    return spool.path.read_bytes(), ends, contents(spool)


@given(st.data())
def test_spool_recovers_from_truncation_and_damage_anywhere(spooled, tmp_path_factory, data):
    whole, ends, expected = spooled
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(whole)))
        torn = whole[:at] + data.draw(st.binary(max_size=30))
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        torn = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
    path = tmp_path_factory.mktemp("torn") / "torn"
    path.write_bytes(torn)
    spool = Spool(path, "about")
    kept = sum(at >= end for end in ends) - 1
    rows = {row for r, _ in ANSWERS[: max(kept, 0)] for row in r}
    assert contents(spool) == {row: value for row, value in expected.items() if row in rows}
    for missing, answer in ANSWERS[max(kept, 0) :]:
        spool.append(missing, answer)
    spool.close()
    again = Spool(path, "about")
    again.close()
    assert contents(again) == contents(spool) == expected


def test_spool_of_another_list_is_refused(tmp_path):
    Spool(tmp_path / "s", "one").close()
    with pytest.raises(UsageError, match="another list"):
        Spool(tmp_path / "s", "two")


# -- shards


def test_shards_are_img2datasets(site, console, tmp_path):
    urls = [f"{site.url}/image/{i}" for i in range(5)]
    rows = [
        *((url, f"説明の文 {i}") for i, url in enumerate(urls)),
        (f"{site.url}/nothing", "ない"),
        ("悪い", "URL"),
        (urls[0], "再び"),
    ]
    source = write_list(tmp_path / "list.tsv", rows)
    asked = site.asked["/image/0"]
    summary = fetch([source], tmp_path / "out", Settings(allow_private=True, shard_size=8), console)
    assert site.asked["/image/0"] == asked + 1  # though it is in the list twice
    assert summary["rows"] == 8 and summary["asked"] == 7
    assert summary["statuses"] == {"success": 6, "failed_to_download": 2}
    assert summary["reasons"] == {"HTTP 404": 1, "bad URL": 1}
    table = sidecars(tmp_path / "out")
    assert table.columns == [
        "url", "caption", "key", "status", "error_message", "width", "height", "original_width", "original_height", "sha256",
    ]  # fmt: skip
    assert table["url"].to_list() == [url for url, _ in rows]
    assert table["caption"].to_list() == [caption for _, caption in rows]
    assert table["key"].to_list() == [f"00000{i}" for i in range(8)]
    files = members(tmp_path / "out" / "00000.tar")
    assert list(files) == [f"00000{i}.{e}" for i in (0, 1, 2, 3, 4, 7) for e in ("jpg", "txt", "json")]
    for i, said in enumerate(table.iter_rows(named=True)):
        if said["status"] == "success":
            image = files[f"{said['key']}.jpg"]
            assert image == picture(i % 7) and hashlib.sha256(image).hexdigest() == said["sha256"]
            assert Image.open(io.BytesIO(image)).size == (said["width"], said["height"])
            assert files[f"{said['key']}.txt"].decode() == said["caption"]
            assert json.loads(files[f"{said['key']}.json"]) == said
    stats = json.loads((tmp_path / "out" / "00000_stats.json").read_text())
    assert (stats["count"], stats["successes"], stats["failed_to_download"], stats["failed_to_resize"]) == (8, 6, 2, 0)
    assert stats["status_dict"] == {"success": 6, "HTTP 404": 1, "bad URL": 1}
    assert stats["start_time"] <= stats["end_time"]
    assert not list((tmp_path / "out" / ".seimai" / "spool").iterdir())


def test_two_runs_give_the_same_bytes_and_the_second_asks_for_nothing(site, console, tmp_path):
    rows = [
        (f"{site.url}/{path}", f"文 {i}")
        for i, path in enumerate(p for p, r in REASONS.items() if p.split("/")[0] not in ("then", "wait") and r != "timeout")
    ]
    rows += [(f"{site.url}/image/{i}?same", f"画像 {i}") for i in range(40)]
    source = write_list(tmp_path / "list.tsv", rows)
    for name, connections in (("a", 50), ("b", 7)):
        settings = Settings(
            allow_private=True, shard_size=20, connections=connections, timeout=30, retries=0, max_bytes=LARGEST
        )
        fetch([source], tmp_path / name, settings, console)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    before = site.asked.total()
    assert fetch([source], tmp_path / "a", settings, console)["asked"] == 0
    assert site.asked.total() == before
    assert sidecars(tmp_path / "a")["url"].to_list() == [url for url, _ in rows]


def test_retry_failed_asks_only_for_what_may_pass(site, console, tmp_path):
    paths = [*(f"image/{i}?again" for i in range(6)), "then/500?again", "nothing?again", "then/404?again", "reset?again"]
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/{path}", path) for path in paths])
    settings = Settings(allow_private=True, retries=0)
    assert fetch([source], tmp_path / "out", settings, console)["statuses"]["success"] == 6
    first = members(tmp_path / "out" / "00000.tar")
    assert fetch([source], tmp_path / "out", settings, console)["asked"] == 0
    again = fetch([source], tmp_path / "out", Settings(allow_private=True, retries=0, retry_failed=True), console)
    assert again["asked"] == 2 and again["statuses"]["success"] == 7
    assert again["reasons"] == {"HTTP 404": 2, "connection broken off": 1}
    assert [site.asked[f"/{path}"] for path in paths[:6]] == [1] * 6 and site.asked["/nothing?again"] == 1
    assert members(tmp_path / "out" / "00000.tar").items() > first.items()
    assert sidecars(tmp_path / "out")["url"].to_list() == [f"{site.url}/{path}" for path in paths]


def test_private_addresses_may_be_allowed_afterwards(site, console, tmp_path):
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/{i}?private", "一") for i in range(3)])
    first = fetch([source], tmp_path / "out", Settings(), console)
    assert first["reasons"] == {"private address": 3}
    assert "--allow-private --retry-failed" in console.file.getvalue()
    assert fetch([source], tmp_path / "out", Settings(retry_failed=True), console)["asked"] == 0
    again = fetch([source], tmp_path / "out", Settings(allow_private=True, retry_failed=True), console)
    assert again["asked"] == again["statuses"]["success"] == 3


def test_images_of_a_coco_file(site, console, tmp_path):
    coco = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "coco_url": f"{site.url}/image/{i}?coco"} for i in range(3)],
        "annotations": [{"id": 10 + i, "image_id": i % 3, "caption": f"説明{i}"} for i in range(6)],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(coco), "utf-8")
    done = fetch([str(path)], tmp_path / "out", Settings(allow_private=True), console)
    assert (done["rows"], done["asked"], done["statuses"]) == (6, 3, {"success": 6})
    assert sidecars(tmp_path / "out")["caption"].to_list() == [f"説明{i}" for i in range(6)]


def test_another_list_is_refused(site, console, tmp_path):
    one = write_list(tmp_path / "one.tsv", [(f"{site.url}/image/{i}", "一") for i in range(6)])
    two = write_list(tmp_path / "two.tsv", [(f"{site.url}/image/{i}?two", "二") for i in range(6)])
    less = write_list(tmp_path / "less.tsv", [(f"{site.url}/image/{i}", "一") for i in range(3)])
    settings = Settings(allow_private=True, shard_size=3)
    fetch([one], tmp_path / "out", settings, console)
    with pytest.raises(UsageError, match="another list"):
        fetch([two], tmp_path / "out", settings, console)
    with pytest.raises(UsageError, match="--shard-size"):
        fetch([one], tmp_path / "out", Settings(allow_private=True, shard_size=6), console)
    with pytest.raises(BuildError, match=r"00001.parquet"):
        fetch([less], tmp_path / "out", settings, console)


# -- lists


def frame_of(path):
    return pl.concat(list(read_list(str(path))))


def test_lists_of_every_format(tmp_path):
    urls, captions = [f"https://a.example/{i},x.jpg" for i in range(3)], ["猫", '"犬" が走る', "http は略語"]
    pl.DataFrame(
        {"SAMPLE_ID": [1, 2, 3], "URL": urls, "TEXT": captions, "WIDTH": [1, 2, None], "sha256": ["a", "b", "c"]}
    ).write_parquet(tmp_path / "laion.parquet")
    both = list(zip(urls, captions))
    texts = {
        "cc12m.tsv": "".join(f"{u}\t{c}\n" for u, c in both),
        "cc3m.tsv": "".join(f"{c}\t{u}\n" for u, c in both),
        "crlf.tsv": "\ufeff" + "".join(f"{u}\t{c}\r\n" for u, c in both),
        "header.tsv": "Caption\tURL\tscore\n" + "".join(f"{c}\t{u}\t0.5\n" for u, c in both),
        "header.csv": "id,url,caption\n"
        + "".join('{},"{}","{}"\n'.format(i, u, c.replace('"', '""')) for i, (u, c) in enumerate(both)),
        "lines.jsonl": "".join(json.dumps({"text": c, "url": u, "n": 1}) + "\n" for u, c in both),
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "packed.tsv.gz").write_bytes(gzip.compress(texts["cc12m.tsv"].encode()))
    for name in ("laion.parquet", "packed.tsv.gz", *texts):
        found = frame_of(tmp_path / name)
        assert found["url"].to_list() == urls and found["caption"].to_list() == captions, name
    assert frame_of(tmp_path / "laion.parquet").columns == ["url", "caption", "SAMPLE_ID", "WIDTH", "list_sha256"]
    assert frame_of(tmp_path / "header.tsv").columns == ["url", "caption", "score"]
    (tmp_path / "urls.txt").write_text("\n" + "\n\n".join(urls))
    assert frame_of(tmp_path / "urls.txt")["url"].to_list() == urls
    assert frame_of(tmp_path / "urls.txt")["caption"].null_count() == 3


def test_columns_of_any_type_stay_where_they_can(tmp_path):
    urls, captions = pa.array([b"https://a.example/1.jpg", b"\xff"]), pa.array([b"\xe7\x8a", "犬".encode()])
    price, sums = pa.array([1, 2], pa.decimal256(50, 2)), pa.array([[1], []], pa.list_(pa.decimal256(50, 2)))
    pq.write_table(pa.table({"url": urls, "text": captions, "price": price, "sums": sums}), tmp_path / "a.parquet")
    rows = [("https://a.example/1.jpg", "\ufffd", "1.00", None), (None, "犬", "2.00", None)]
    assert frame_of(tmp_path / "a.parquet").rows() == rows


def test_a_list_without_urls_is_wrong_usage(tmp_path, console):
    pl.DataFrame({"name": ["a"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="no column of URLs among name"):
        fetch([str(tmp_path / "x.parquet")], tmp_path / "out", SETTINGS, console)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        fetch([str(tmp_path / "empty.txt")], tmp_path / "out", SETTINGS, console)


# -- the command


def start(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_proxy")} | {"COLUMNS": "400", "NO_COLOR": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.fetch", *map(str, arguments)],
        env=environment, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def run(*arguments):
    process = start(*arguments)
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_broken_off_and_started_again_fetches_only_what_is_missing(site, console, tmp_path, sent):
    paths = [f"/pause/{i}?{sent}" for i in range(400)]
    source = write_list(tmp_path / "list.tsv", [(site.url + path, f"画像{i}") for i, path in enumerate(paths)])
    options = (source, "--out", tmp_path / "out", "--allow-private", "--shard-size", 150, "--per-host", 8)
    asked = lambda: sum(site.asked[path] for path in paths)  # noqa: E731
    process = start(*options)
    until(lambda: asked() > 200)
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=20)
    if sent == signal.SIGINT:
        assert process.returncode == 130 and "run the same command again" in errors
    known = set()
    for shard in range(3):
        spool = tmp_path / "out" / ".seimai" / "spool" / f"{shard:05d}.spool"
        if spool.is_file():
            (tmp_path / "copy").write_bytes(spool.read_bytes())
            first = spool.read_bytes()[16:].split(b'"', 2)[1].decode()
            known |= {150 * shard + row for row in Spool(tmp_path / "copy", first).rows}
        elif (tmp_path / "out" / f"{shard:05d}.parquet").is_file():
            known |= set(range(150 * shard, min(400, 150 * shard + 150)))
    before = Counter({path: site.asked[path] for path in paths})
    assert 150 < len(known) < 400 and asked() - len(known) <= 8 + 8  # those under way are lost, and no others
    code, out, errors = run(*options)
    assert code == 0, errors
    assert {i for i, path in enumerate(paths) if site.asked[path] > before[path]} == set(range(400)) - known
    fetch([source], tmp_path / "whole", Settings(allow_private=True, shard_size=150), console)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert sidecars(tmp_path / "out")["status"].to_list() == ["success"] * 400


def test_summary_and_next_lines(site, tmp_path):
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/1", "猫"), (f"{site.url}/status/503", "犬")])
    code, out, errors = run(source, "--out", tmp_path / "out", "--allow-private", "--retries", 0)
    assert code == 0, errors
    assert "2 URLs in 1 shards, all accounted for" in out and "HTTP 503" in out
    assert f"python -m pipeline.build cc12m-ja --input {source} --images {tmp_path / 'out'}" in out
    assert "--retry-failed" in out


def test_wrong_usage(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("mine")
    lines = tmp_path / "l.txt"
    lines.write_text("http://127.0.0.1/x.jpg\n")
    for arguments, said in (
        ((tmp_path / "absent.tsv", "--out", tmp_path / "o"), "there is no such file"),
        ((tmp_path, "--out", tmp_path / "o"), "is a directory"),
        ((lines, "--out", tmp_path / "x"), "was not made by Seimai"),
        ((lines, "--out", lines), "is a file"),
        ((lines,), "--out"),
    ):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 2 and said in done.stderr.replace("\n", " "), done.output


def test_a_full_disk_is_told(site, tmp_path):
    """A limit on the size of files stands for it: writing fails in the middle of a record."""
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/{i}?full", "猫") for i in range(60)])
    command = [sys.executable, "-m", "pipeline.fetch", source, "--out", str(tmp_path / "out"), "--allow-private"]
    script = f"ulimit -f 20; trap '' XFSZ; exec {' '.join(command)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "fetching failed" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not list((tmp_path / "out").glob("*.tar"))
    code, _, errors = run(source, "--out", tmp_path / "out", "--allow-private")
    assert code == 0, errors
    assert sidecars(tmp_path / "out")["status"].to_list() == ["success"] * 60
    assert 60 <= sum(site.asked[f"/image/{i}?full"] for i in range(60)) < 80
