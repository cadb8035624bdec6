"""What the first bytes of a sound file say it is, and how much it holds, before libsndfile opens it.

libsndfile has parsers for dozens of formats, and hands over what there is of a truncated file without a word. So only `FORMATS`
reach it, and what a header promises is compared with the size of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO, Literal

from filters.inspected import Unreadable

FORMATS = ("FLAC", "WAV", "OGG", "MP3", "AIFF")
HEAD = 4_096  # bytes that `check_format` looks at
# Sizes of the chunk of samples that mean "until the end": of ffmpeg and others, of SoX, of Kaldi's pipes.
_UNTIL_THE_END = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFFF00, 0x1_0000_0000))
_MOST_CHUNKS = 1_000
_OGG_PAGE_HEADER = 27  # bytes; the last one is the number of segments, whose lengths follow
_OGG_TAIL = (1 << 16) + 512  # bytes from the end in which a page begins: the largest has 65,307

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


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The chunk of samples of a RIFF or IFF file, as the headers describe it."""

    size_offset: int  # where its size is written, in bytes
    promised: int | None  # bytes of samples that the header promises; None where it leaves that open
    available: int  # bytes of samples that the file holds
    byte_order: Literal["little", "big"]


def find_data_chunk(file: BinaryIO, size: int) -> DataChunk | None:
    """Find the samples of a file of `size` bytes; None in other formats, or where the first chunks hold no samples."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return None
    byte_order: Literal["little", "big"] = "big" if head[:4] in (b"RIFX", b"FORM") else "little"
    knows_file_size = abs(int.from_bytes(head[4:8], byte_order) + 8 - size) <= 1
    name, bytes_before_samples = (b"SSND", 8) if head[:4] == b"FORM" else (b"data", 0)
    offset, size_in_ds64 = 12, 0
    for _ in range(_MOST_CHUNKS):
        file.seek(offset)
        chunk = file.read(8 + 16)
        if len(chunk) < 8:
            return None
        length = int.from_bytes(chunk[4:8], byte_order)
        if chunk[:4] == b"ds64":
            size_in_ds64 = int.from_bytes(chunk[16:24], byte_order)
        if chunk[:4] == name:
            available = max(0, size - offset - 8 - bytes_before_samples)
            promised: int | None = max(0, length - bytes_before_samples)
            if head[:4] == b"RF64" and length == 0xFFFFFFFF:
                promised = size_in_ds64 or None
            elif length in _UNTIL_THE_END and length > available or length == 0 and available > 0 and not knows_file_size:
                promised = None
            return DataChunk(offset + 4, promised, available, byte_order)
        offset += 8 + length + length % 2
    return None


def write_chunk_size(file: BinaryIO, chunk: DataChunk | None) -> bytes | None:
    """Return the file with the size of its samples written in, where it is 0 for "until the end": libsndfile takes 0 for 0."""
    if chunk is None or chunk.promised is not None:
        return None
    file.seek(chunk.size_offset)
    if any(file.read(4)):
        return None
    file.seek(0)
    blob = bytearray(file.read())
    blob[chunk.size_offset : chunk.size_offset + 4] = min(chunk.available, 0xFFFFFF00).to_bytes(4, chunk.byte_order)
    return bytes(blob)


def ends_within_ogg_page(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is cut off; that page says how long the recording is."""
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if page >= len(tail) - _OGG_PAGE_HEADER:
        return True
    segments = tail[page + _OGG_PAGE_HEADER - 1]
    body = page + _OGG_PAGE_HEADER + segments
    lengths = tail[page + _OGG_PAGE_HEADER : body]
    return not lengths or body + sum(lengths) > len(tail)
