"""One HTTP request for an image: what is sent, which response is accepted, and failures in words."""

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

import aiohttp
from PIL import Image
from yarl import URL

from pipeline.core.storage import format_size
from pipeline.fetch.addresses import NotPublicError, parse_url
from pipeline.fetch.outcomes import PRIVATE_ADDRESS, FetchError, Outcome
from pipeline.fetch.settings import FetchSettings

_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
_GZIP_OR_ZLIB = 47  # for zlib: the longest window, and whichever of the two headers there is


async def request_image(session: aiohttp.ClientSession, url: URL, settings: FetchSettings, keep_alive: bool) -> Outcome | URL:
    """Return the image at `url`, or the URL that the host redirects to. Raises FetchError, and what aiohttp raises.

    `keep_alive`: whether more requests to this host wait. Lists name a great many hosts once, so other connections are closed.
    """
    headers = None if keep_alive else {"Connection": "close"}
    async with session.get(url, allow_redirects=False, headers=headers) as response:
        robots = response.headers.getall("X-Robots-Tag", [])
        if robots and (directive := find_disallowed(robots, settings.user_agent, settings.directives)):
            raise FetchError(f"X-Robots-Tag: {directive}")
        if response.status in _REDIRECT_STATUSES:
            if not (location := response.headers.get("Location")):
                raise FetchError(f"HTTP {response.status} without Location")
            try:
                return parse_url(location, settings.allow_private, url)
            except FetchError as error:
                raise FetchError(f"redirect: {error.reason}") from None
        if response.status not in (200, 203):
            raise FetchError(f"HTTP {response.status}", _parse_retry_after(response))
        _check_content_type(response.headers.get("Content-Type", ""))
        return inspect_image(await _read_body(response, settings.max_bytes))


def explain_error(error: Exception) -> str:
    """Return a reason in words that do not depend on addresses, versions or luck."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return "TLS: certificate" if isinstance(error, aiohttp.ClientConnectorCertificateError) else "TLS: no handshake"
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "bad URL"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, NotPublicError):
            return PRIVATE_ADDRESS
        if isinstance(cause, socket.gaierror):
            return "no such host for now" if cause.errno == socket.EAI_AGAIN else "no such host"
        return "connection refused" if cause.errno == errno.ECONNREFUSED else "connection failed"
    if isinstance(error, aiohttp.ServerConnectionError | aiohttp.ClientPayloadError | OSError):
        return "connection broken off"
    if isinstance(error, aiohttp.ClientResponseError):
        return "not an answer in HTTP"
    return f"request failed: {type(error).__name__}"


# -- headers

_DIRECTIVES_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


def find_disallowed(values: list[str], user_agent: str, disallowed: frozenset[str]) -> str | None:
    """Return the directive in X-Robots-Tag `values` that forbids the use to everyone, or to a name in `user_agent`."""
    names = set(re.findall(r"[a-z][a-z0-9_-]*", user_agent.lower()))
    for value in values:
        applies = True
        for part in value.lower().split(","):
            name, colon, rest = part.partition(":")
            if colon and name.strip() not in _DIRECTIVES_WITH_VALUE:
                applies, part = name.strip() in names, rest
            if applies and part.strip() in disallowed:
                return part.strip()
    return None


def _check_content_type(header: str) -> None:
    # Servers that know no better say octet-stream, text/plain or text/html of an image: then the bytes decide.
    declared = header.partition(";")[0].strip().lower()
    undecided = ("octet-stream", "plain", "html", "x-unknown")
    if declared and not declared.startswith("image/") and declared.partition("/")[2] not in undecided:
        raise FetchError(f"not an image: {declared[:40]!r} declared", status="failed_to_resize")


def _parse_retry_after(response: aiohttp.ClientResponse) -> float:
    """Return the seconds that the header asks for, as a number or a date; 0 without one."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


# -- body

_SIGNATURES = [
    (re.compile(pattern, re.DOTALL), extension)
    for pattern, extension in (
        (rb"\xff\xd8\xff", "jpg"),
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"GIF8[79]a", "gif"),
        (rb"RIFF....WEBP", "webp"),
        (rb"BM", "bmp"),
        (rb"II[*+]\x00|MM\x00[*+]", "tiff"),
        (rb"....ftyp(avif|avis)|....ftyp(mif1|msf1|miaf).{0,16}avif", "avif"),
        (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1|miaf)", "heic"),
    )
]
_PILLOW_FORMATS = {"jpg": "JPEG", "tiff": "TIFF", "heic": "HEIF"}  # others are the extension in capitals
_SIGNATURE_BYTES = 32


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read the body, expanded where it is compressed. Stops early where it is too large or no image."""
    too_large = FetchError(f"larger than {format_size(max_bytes)}")
    if (response.content_length or 0) > max_bytes:
        raise too_large
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise FetchError(f"content encoding {coding[:20]!r}")
    # Bodies are expanded here, a bounded piece at a time: older versions of aiohttp would expand a bomb.
    decoder = None if coding in ("identity", "") else zlib.decompressobj(_GZIP_OR_ZLIB)
    body, checked = bytearray(), False
    async for block in response.content.iter_any():
        try:
            body += block if decoder is None else decoder.decompress(block, max_bytes + 1 - len(body))
        except zlib.error:
            raise FetchError(f"content encoding {coding!r} is damaged") from None
        if len(body) > max_bytes:
            raise too_large
        if not checked and len(body) >= _SIGNATURE_BYTES:
            _detect_extension(bytes(body[:_SIGNATURE_BYTES]))
            checked = True
        if decoder is not None and decoder.eof:
            break
    if decoder is not None and not decoder.eof:
        raise FetchError("connection broken off")
    return bytes(body)


def inspect_image(body: bytes) -> Outcome:
    """Return the image in `body`, its size read from its header; no pixel is decoded. Raises FetchError where Pillow cannot open it."""
    extension = _detect_extension(body[:_SIGNATURE_BYTES])
    try:
        with Image.open(io.BytesIO(body), formats=(_PILLOW_FORMATS.get(extension, extension.upper()),)) as image:
            width, height = image.size
    except Exception as error:  # hostile bytes can bring Pillow to raise anything
        too_many = isinstance(error, Image.DecompressionBombError)
        problem = "more pixels than Pillow takes" if too_many else "Pillow cannot open it"
        raise FetchError(f"not an image: {extension}, {problem}", status="failed_to_resize") from None
    return Outcome("success", None, extension, width, height, hashlib.sha256(body).hexdigest(), body)


def _detect_extension(head: bytes) -> str:
    """Return the file name extension of the image that begins with `head`. Raises FetchError where it is something else."""
    for pattern, extension in _SIGNATURES:
        if pattern.match(head):
            return extension
    raise FetchError(_describe_other(head), status="failed_to_resize")


def _describe_other(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "empty body"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "not an image: HTML"
    if start.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype")):
        return "not an image: SVG or XML"
    is_text = re.fullmatch(rb"[\t\r\n -~]*[\x80-\xff]*[\t\r\n -~]*", head) is not None
    return "not an image: text" if is_text else "not an image: unknown bytes"
