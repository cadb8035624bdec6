"""Sound of another format that follows in the same file, which no reader of the first would come to."""

from __future__ import annotations

from filters.audio.links import Link
from filters.audio.window import Content

# What files begin with: letters, and longer ones to seek, which is faster, a few bytes on.
_BEGINNINGS = (
    ("FLAC", b"fLaC", 0, b"fLaC\0\0\0\x22"),
    ("FLAC", b"fLaC", 0, b"fLaC\x80\0\0\x22"),
    ("OGG", b"OggS", 0, b"OggS\0\x02"),
    ("WAV", b"RIFF", 8, b"WAVEfmt "),
    ("AIFF", b"FORM", 8, b"AIFFCOMM"),
)


def refuse_other_format(content: Content, links: list[Link], name: str, end: int) -> list[Link]:
    """Return the links of a FLAC, OGG or MP3 file, with a problem where a file of another format follows in `content[:end]`."""
    last = links[-1]
    at = last.end if name == "OGG" else last.start + 8  # pages of Ogg may hold FLAC, and their end is known
    for other, letters, skip, sought in _BEGINNINGS:
        if other == name:
            continue
        found = content.find(sought, at, end)
        while found >= 0:
            begin = found - skip
            if content[begin : begin + 4] == letters:
                return [
                    Link(last.start, end, problem=f"{other} follows after {name} in one file, at byte {begin:,}: divide it")
                ]
            found = content.find(sought, found + 4, end)
    return links
