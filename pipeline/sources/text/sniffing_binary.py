"""Files that are no text, by their first bytes: what to call them, and what to do with them."""

from __future__ import annotations

import re

_UNPACK = "Unpack it and name the files in it."
_NO_TEXT = "It holds no text that can be read here."
_RECOMPRESS = "gzip, xz, zstd and bzip2 are unpacked while they are read, once: unpack it, or compress it with one of them."
_EXTRACT = "Its text has to be taken out first, by a tool made for it."

# Magic numbers with what messages call the format, and an advice.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", _UNPACK),
    (b"%PDF-", "PDF", "Its text has to be taken out first, as by pdftotext FILE FILE.txt"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x1f\x8b", "gzip inside another compression", _RECOMPRESS),
    (b"\xfd7zXZ\x00", "xz inside another compression", _RECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "zstd inside another compression", _RECOMPRESS),
    (b"BZh", "bzip2 inside another compression", _RECOMPRESS),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _RECOMPRESS),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy", _RECOMPRESS),
    (b"\x1f\x9d", "compressed with compress (.Z)", _RECOMPRESS),
    (b"\x5d\x00\x00\x80\x00", "compressed with lzma", _RECOMPRESS),
    (b"PARE", "encrypted Parquet", "Only who has its keys can read it: write it again without encryption."),
    (b"ORC", "ORC", "Convert it to Parquet."),
    (b"Obj\x01", "Avro", "Convert it to Parquet."),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "Convert it to Parquet."),
    (b"\x93NUMPY", "a NumPy array", _NO_TEXT),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table to Parquet or JSON lines."),
    (b"{\\rtf", "RTF", _EXTRACT),
    (b"%!PS", "PostScript", _EXTRACT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office", _EXTRACT),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _NO_TEXT),
    (b"\xff\xd8\xff", "a JPEG image", _NO_TEXT),
    (b"GIF8", "a GIF image", _NO_TEXT),
    (b"RIFF", "RIFF (a WebP image or a WAV recording)", _NO_TEXT),
    (b"fLaC", "a FLAC recording", _NO_TEXT),
    (b"OggS", "an Ogg recording", _NO_TEXT),
    (b"ID3", "an MP3 recording", _NO_TEXT),
    (b"\x7fELF", "a program", _NO_TEXT),
)
_TEXT_MAGIC = re.compile(rb"\A(ORC|BZh|RIFF|ID3|GIF8|OggS|fLaC|PK)[\x20-\x7e\r\n\t\x80-\xff]{64}")  # words that begin a text
_TFRECORD = re.compile(
    rb"\A[^\0]?.{1,2}\0{5,6}.{4}\x0a", re.DOTALL
)  # a length of 64 bits, its checksum, an Example's first tag
_CONTROL = bytes({*range(32)} - {*b"\t\n\r\f\v\x1b"})
_MOST_CONTROL = 0.02  # of all bytes; broken pages have a few


def find_kind(head: bytes) -> tuple[str, str] | None:
    """Return what messages call a binary file that begins with `head`, and an advice; None where nothing tells that it is one."""
    if _TEXT_MAGIC.match(head):
        return None
    for magic, label, advice in _MAGIC:
        if head.startswith(magic):
            return label, advice
    if head[4:8] == b"ftyp":
        return "MPEG-4", _NO_TEXT
    if _TFRECORD.match(head):
        return "TFRecord", "Convert it to JSON lines or Parquet."
    if re.match(rb"\A\x80[\x02-\x05](\x95|[c}\]K(])", head):
        return "a Python pickle", "It is never opened, since opening it runs what it says. Convert it to JSON lines or Parquet."
    return None


def has_control_characters(head: bytes) -> bool:
    """Return whether there are so many control characters in `head` that it is no text."""
    return len(head) - len(head.translate(None, _CONTROL)) > _MOST_CONTROL * len(head)
