"""What the first bytes of a sound file say it is, before libsndfile opens it.

libsndfile has parsers for dozens of formats. Only `FORMATS` reach it.
"""

from __future__ import annotations

import re

from filters.inspected import Unreadable

FORMATS = ("FLAC", "WAV", "OGG", "MP3", "AIFF")
HEAD = 4_096  # bytes that `check_format` looks at

_OTHER_FORMATS = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"\x30\x26\xb2\x75", "ASF (WMA)"),
    (b"#!AMR", "AMR"),
    (b"NIST_1A", "NIST SPHERE"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"riff", "W64"),
    (b"BW64", "BW64"),
    (b"\xff\xf1", "AAC"),
    (b"\xff\xf9", "AAC"),
)


def check_format(head: bytes) -> None:
    """Raise Unreadable for everything but `FORMATS`: no other parser of libsndfile ever sees a crawled file."""
    if head.startswith((b"fLaC", b"OggS", b"ID3")) or head[:4] == b"FORM" and head[8:11] == b"AIF":
        return
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return  # the first bits of a frame of MPEG audio; AAC has the layer that does not exist
    raise Unreadable(f"not audio that libsndfile reads: {_name_other_format(head)}")


def _name_other_format(head: bytes) -> str:
    if not head:
        return "empty file"
    for prefix, name in _OTHER_FORMATS:
        if head.startswith(prefix):
            return f"{name}; {', '.join(FORMATS)} are read"
    if head[4:8] == b"ftyp":
        return f"MP4; {', '.join(FORMATS)} are read"
    if re.match(rb"<!doctype html|<html|<\?xml", head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()):
        return "HTML or XML"
    try:
        text = head.decode("utf-8", "ignore" if len(head) > 4 else "strict")
        if len(text.encode()) >= len(head) - 3 and not re.search(r"[\0-\x08\x0e-\x1f]", text):
            return "text"
    except UnicodeDecodeError:
        pass
    return "no known format"
