"""One request for an image: what is asked, what is taken for an answer, and reasons in words."""

from __future__ import annotations

import email.utils
import errno
import hashlib
import io
import re
import socket
import ssl
import time
import zlib
from dataclasses import dataclass

import aiohttp
from PIL import Image
from yarl import URL

from pipeline.core.storage import human
from pipeline.fetch.addresses import Failure, NotPublicError, parse

USER_AGENT = "Mozilla/5.0 (compatible; seimai/0.1; fetcher of training images)"
ALWAYS_DISALLOWED = frozenset({"noai", "noimageai"})
DISALLOWED = ("noindex", "noimageindex", "none")  # `none` is short for noindex and nofollow


@dataclass(frozen=True)
class Settings:
    """How to fetch. Times in seconds, sizes in bytes."""

    connections: int = 256
    per_host: int = 8
    per_host_rate: float | None = None  # requests per second
    timeout: float = 15.0  # for one try: look-up, connection, redirects and body together
    max_bytes: int = 20_000_000
    retries: int = 2
    shard_size: int = 10_000
    user_agent: str = USER_AGENT
    disallowed: tuple[str, ...] = DISALLOWED
    allow_private: bool = False
    retry_failed: bool = False

    @property
    def directives(self) -> frozenset[str]:
        """What in X-Robots-Tag forbids the use of an image."""
        return ALWAYS_DISALLOWED | {d.strip().lower() for d in self.disallowed}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a URL: the bytes of an image, or the reason why there are none. Status words are img2dataset's."""

    status: str
    reason: str | None = None
    extension: str = ""
    width: int | None = None  # pixels
    height: int | None = None
    sha256: str | None = None
    body: bytes = b""


def may_pass(reason: str | None, allow_private: bool = False) -> bool:
    """Whether the same request may succeed another time; `allow_private`: that addresses were refused for being private is no matter."""
    return reason is not None and (
        allow_private
        and reason == "private address"
        or re.match(r"timeout|connection |no such host for now|HTTP (408|425|429|5\d\d)", reason) is not None
    )


_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


def disallowed_by(values: list[str], agent: str, disallowed: frozenset[str]) -> str | None:
    """The directive in X-Robots-Tag `values` that forbids the use, to everyone or to a name that is in the user agent `agent`."""
    names = set(re.findall(r"[a-z][a-z0-9_-]*", agent.lower()))
    for value in values:
        meant = True
        for part in value.lower().split(","):
            name, colon, rest = part.partition(":")
            if colon and name.strip() not in _VALUED:
                meant, part = name.strip() in names, rest
            if meant and part.strip() in disallowed:
                return part.strip()
    return None


_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "jpg"), (rb"\x89PNG\r\n\x1a\n", "png"), (rb"GIF8[79]a", "gif"), (rb"RIFF....WEBP", "webp"), (rb"BM", "bmp"),
    (rb"II[*+]\x00|MM\x00[*+]", "tiff"), (rb"....ftyp(avif|avis)|....ftyp(mif1|msf1|miaf).{0,16}avif", "avif"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1|miaf)", "heic"),
)  # fmt: skip
_PATTERNS = [(re.compile(pattern, re.DOTALL), extension) for pattern, extension in _SIGNATURES]
_FORMATS = {"jpg": "JPEG", "tiff": "TIFF", "heic": "HEIF"}
_HEAD = 32  # bytes that tell an image from something else


def extension_of(head: bytes) -> str | None:
    """The file name extension of the image that begins so, or None."""
    return next((extension for pattern, extension in _PATTERNS if pattern.match(head)), None)


def _what_else(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "empty body"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "not an image: HTML"
    if start.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype")):
        return "not an image: SVG or XML"
    return (
        "not an image: text" if re.fullmatch(rb"[\t\r\n -~]*[\x80-\xff]*[\t\r\n -~]*", head) else "not an image: unknown bytes"
    )


def examine(body: bytes) -> Answer:
    """The image in `body`, its size read from its header and nothing decoded. Raises Failure where Pillow cannot open it."""
    extension = extension_of(body[:_HEAD])
    if extension is None:
        raise Failure(_what_else(body[:_HEAD]), status="failed_to_resize")
    try:
        with Image.open(io.BytesIO(body), formats=(_FORMATS.get(extension, extension.upper()),)) as image:
            width, height = image.size
    except Exception as error:  # whatever hostile bytes bring Pillow to raise
        named = "more pixels than Pillow takes" if isinstance(error, Image.DecompressionBombError) else "Pillow cannot open it"
        raise Failure(f"not an image: {extension}, {named}", status="failed_to_resize") from None
    return Answer("success", None, extension, width, height, hashlib.sha256(body).hexdigest(), body)


def _check_type(declared: str) -> None:
    # Servers that know no better say octet-stream, text/plain or text/html of an image: there the bytes decide.
    kind = declared.partition(";")[0].strip().lower()
    if kind and not kind.startswith("image/") and kind.partition("/")[2] not in ("octet-stream", "plain", "html", "x-unknown"):
        raise Failure(f"not an image: {kind[:40]!r} declared", status="failed_to_resize")


async def _body(response: aiohttp.ClientResponse, largest: int) -> bytes:
    too_large = Failure(f"larger than {human(largest)}")
    if (response.content_length or 0) > largest:
        raise too_large
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise Failure(f"content encoding {coding[:20]!r}")
    # Compressed bodies are expanded here, a bounded piece at a time; aiohttp's older versions would expand a bomb.
    decoder = None if coding in ("identity", "") else zlib.decompressobj(47)
    body, known = bytearray(), False
    async for block in response.content.iter_any():
        try:
            body += block if decoder is None else decoder.decompress(block, largest + 1 - len(body))
        except zlib.error:
            raise Failure(f"content encoding {coding!r} is damaged") from None
        if len(body) > largest:
            raise too_large
        if not known and len(body) >= _HEAD:
            if extension_of(head := bytes(body[:_HEAD])) is None:
                raise Failure(_what_else(head), status="failed_to_resize")
            known = True
        if decoder is not None and decoder.eof:
            break
    if decoder is not None and not decoder.eof:
        raise Failure("connection broken off")
    return bytes(body)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def explain(error: Exception) -> str:
    """A reason in words that do not depend on addresses, versions or luck."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return "TLS: certificate" if isinstance(error, aiohttp.ClientConnectorCertificateError) else "TLS: no handshake"
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "bad URL"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, NotPublicError):
            return "private address"
        if isinstance(cause, socket.gaierror):
            return "no such host for now" if cause.errno == socket.EAI_AGAIN else "no such host"
        return "connection refused" if cause.errno == errno.ECONNREFUSED else "connection failed"
    if isinstance(error, aiohttp.ServerConnectionError | aiohttp.ClientPayloadError | OSError):
        return "connection broken off"
    if isinstance(error, aiohttp.ClientResponseError):
        return "not an answer in HTTP"
    return f"request failed: {type(error).__name__}"


async def ask(session: aiohttp.ClientSession, url: URL, settings: Settings, keep: bool) -> Answer | URL:
    """The image at `url`, or where the host says to look instead. Raises Failure, and what aiohttp raises.

    `keep`: whether the connection is of use after this.
    """
    # A connection is kept open only where the host has more to answer: lists name a great many hosts once.
    headers = None if keep else {"Connection": "close"}
    async with session.get(url, allow_redirects=False, headers=headers) as response:
        robots = response.headers.getall("X-Robots-Tag", [])
        if robots and (directive := disallowed_by(robots, settings.user_agent, settings.directives)):
            raise Failure(f"X-Robots-Tag: {directive}")
        if response.status in (301, 302, 303, 307, 308):
            if not (location := response.headers.get("Location")):
                raise Failure(f"HTTP {response.status} without Location")
            try:
                return parse(location, settings.allow_private, url)
            except Failure as failure:
                raise Failure(f"redirect: {failure.reason}") from None
        if response.status not in (200, 203):
            raise Failure(f"HTTP {response.status}", _retry_after(response))
        _check_type(response.headers.get("Content-Type", ""))
        return examine(await _body(response, settings.max_bytes))
