"""Images and recordings as a browser gets them: with the type that their bytes have, from a fixed list, and in ranges."""

from __future__ import annotations

import re
from http import HTTPStatus

from starlette.responses import Response

# How files begin that browsers show or play: the start, what follows at an offset, the type. SVG is not among them: it is a document.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF8", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
    (b"BM", 0, b"", "image/bmp"),
    (b"", 4, b"ftypavif", "image/avif"),
    (b"fLaC", 0, b"", "audio/flac"),
    (b"RIFF", 8, b"WAVE", "audio/wav"),
    (b"OggS", 0, b"", "audio/ogg"),
    (b"ID3", 0, b"", "audio/mpeg"),
    (b"\xff\xfb", 0, b"", "audio/mpeg"),
    (b"\xff\xf3", 0, b"", "audio/mpeg"),
)
_OTHER = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def find_type(data: bytes) -> str:
    """Return the media type of an image or a recording by its bytes; of anything else one that no browser shows.

    >>> find_type(b"GIF89a"), find_type(b"<svg onload=alert(1)>")
    ('image/gif', 'application/octet-stream')
    """
    for start, offset, more, kind in _SIGNATURES:
        if data.startswith(start) and data[offset : offset + len(more)] == more:
            return kind
    return _OTHER


def serve_bytes(data: bytes, wanted: str | None) -> Response:
    """Return an answer with these bytes, or with those of the header Range (`wanted`), as browsers ask for them to seek in a recording."""
    kind = find_type(data)
    headers = {"Accept-Ranges": "bytes"} | ({"Content-Disposition": "attachment"} if kind == _OTHER else {})
    match = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if match is None or not any(match.groups()):  # several ranges, or another unit: all of it may be sent
        return Response(data, HTTPStatus.OK, headers, kind)
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, len(data)) if last else len(data)
    else:  # so many from the end
        start, stop = max(0, len(data) - int(last)), len(data)
    if start >= stop:
        return Response(b"", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers | {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return Response(data[start:stop], HTTPStatus.PARTIAL_CONTENT, headers, kind)
