"""HTTP responses as crawlers keep them: status, fields, and a body that may be chunked and compressed.

Crawlers undo codings and leave the fields that name them; a body that does not look coded is therefore taken as it stands.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.sources.formats.warc import LONGEST_HEAD, parse_fields

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
_LINE_END = re.compile(rb"\r?\n")


class Head(NamedTuple):
    """The head of a response. `size`: its bytes, after which the body begins."""

    status: int
    fields: dict[str, str]
    size: int


class CodingError(ValueError):
    """A body that is not coded as its fields say."""


def parse_head(message: memoryview) -> Head | None:
    """Return the head of a response, None where it has no status line."""
    status = _STATUS.match(message)
    if status is None:
        return None
    end = _HEAD_END.search(message, 0, LONGEST_HEAD)
    size = end.end() if end else len(message)
    return Head(int(bytes(status[1])), parse_fields(bytes(message[: size if end else LONGEST_HEAD])), size)


def decode_body(fields: dict[str, str], body: memoryview, most: int, is_cut: bool) -> memoryview | bytes:
    """Return a body without the codings that `fields` name.

    `most`: bytes of the largest one. `is_cut`: the crawler kept only its beginning. Raises CodingError where it is coded otherwise, or
    too large.
    """
    content: memoryview | bytes = body
    if "chunked" in fields.get("transfer-encoding", "").lower():
        content = join_chunks(content, is_cut)
    for coding in reversed(fields.get("content-encoding", "").lower().split(",")):
        coding = coding.strip()
        if coding in _DECODERS and len(content):
            content = _decode(coding, content, most, is_cut)
        elif coding not in ("", "identity", "none") and len(content):
            if bytes(content[:64]).lstrip().startswith(b"<"):
                continue
            raise CodingError(f"Content-Encoding: {coding[:40]} is not known")
    return content


def join_chunks(body: memoryview | bytes, is_cut: bool) -> memoryview | bytes:
    """Return a chunked body in one piece, or as it stands where it does not begin with a chunk. Raises CodingError."""
    pieces: list[memoryview | bytes] = []
    at = 0
    while head := _CHUNK.match(body, at):
        size = int(bytes(head[1]), 16)
        if not size:
            return b"".join(pieces)
        end = head.end() + size
        if end >= len(body):
            if is_cut:
                return b"".join([*pieces, body[head.end() :]])
            raise CodingError(f"the chunked body ends inside a chunk, at byte {len(body):,}")
        line_end = _LINE_END.match(body, end)
        if line_end is None:
            break
        pieces.append(body[head.end() : end])
        at = line_end.end()
    if not pieces:
        return body
    if at < len(body):
        raise CodingError(f"the chunked body is broken at byte {at:,} of {len(body):,}")
    if not is_cut:
        raise CodingError(f"the chunked body has no last chunk after byte {at:,}")
    return b"".join(pieces)


def _decode(coding: str, content: memoryview | bytes, most: int, is_cut: bool) -> memoryview | bytes:
    if coding in ("gzip", "x-gzip") and bytes(content[:2]) != b"\x1f\x8b":
        return content
    try:
        decoded, is_complete = _DECODERS[coding](content, most)
    except Exception as error:  # of zlib, brotli and zstandard, which have no common one
        if bytes(content[:64]).lstrip().startswith(b"<"):
            return content
        raise CodingError(f"Content-Encoding: {coding} is damaged: {error}") from None
    if len(decoded) > most:
        raise CodingError(f"Content-Encoding: {coding} expands to more than source.max_document = {most:,} bytes")
    if not (is_complete or is_cut):
        raise CodingError(f"Content-Encoding: {coding} ends too early, after {len(decoded):,} bytes")
    return decoded


def _gunzip(content: Any, most: int) -> tuple[bytes, bool]:
    pieces, size = [], 0
    while True:
        decoder = zlib.decompressobj(31)
        pieces.append(decoder.decompress(content, most + 1 - size))
        size += len(pieces[-1])
        if size > most or not decoder.eof:
            return b"".join(pieces), decoder.eof
        content = decoder.unused_data
        if content[:2] != b"\x1f\x8b":  # else: another member
            return b"".join(pieces), True


def _inflate(content: Any, most: int) -> tuple[bytes, bool]:
    has_header = content[0] & 15 == 8 and (content[0] << 8 | content[1] if len(content) > 1 else 1) % 31 == 0
    decoder = zlib.decompressobj(15 if has_header else -15)  # some servers leave zlib's header out
    return decoder.decompress(content, most + 1), decoder.eof


def _decode_brotli(content: Any, most: int) -> tuple[bytes, bool]:
    import brotli  # late: few pages need it

    decoder = brotli.Decompressor()
    decoded = decoder.process(bytes(content), output_buffer_limit=most + 1)
    return decoded, decoder.is_finished()


def _decode_zstd(content: Any, most: int) -> tuple[bytes, bool]:
    import zstandard  # late, as in streams

    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    pieces, size = [], 0
    for at in range(0, len(content), 2048):  # the output of a step has no other bound than its input
        pieces.append(decoder.decompress(bytes(content[at : at + 2048])))
        size += len(pieces[-1])
        if size > most or decoder.eof:
            break
    return b"".join(pieces), decoder.eof


_DECODERS: dict[str, Callable[[Any, int], tuple[bytes, bool]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _decode_brotli,
    "zstd": _decode_zstd,
}
