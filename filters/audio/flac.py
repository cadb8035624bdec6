"""FLAC files one after the other in one file."""

from __future__ import annotations

from filters.audio.links import Link, trim_tags
from filters.audio.window import Content

# What a FLAC file begins with: the marker, and the header of the block STREAMINFO, which is the only block or not (RFC 9639, section 8).
_MARKER = b"fLaC"
_BEGINNINGS = (_MARKER + b"\x00\x00\x00\x22", _MARKER + b"\x80\x00\x00\x22")


def find_flac_links(content: Content, start: int, end: int) -> list[Link]:
    """Return the files that are concatenated in `content[start:end]`."""
    starts = []
    at = start
    while at >= 0:
        starts.append(at)
        at = content.find(_MARKER, at + 8, end)
        while at >= 0 and content[at : at + 8] not in _BEGINNINGS:
            at = content.find(_MARKER, at + 1, end)
    ends = [trim_tags(content, a, b) for a, b in zip(starts, [*starts[1:], end], strict=True)]
    return [Link(a, b, frames=_read_promise(content, a)) for a, b in zip(starts, ends, strict=True)]


def _read_promise(content: Content, at: int) -> int | None:
    """Return the number of samples in STREAMINFO, None where it is unknown: 36 bits."""
    field = content[at + 21 : at + 26]
    return (int.from_bytes(field, "big") & ((1 << 36) - 1)) or None
