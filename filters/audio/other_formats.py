"""Sound of another format that follows in the same file, which no reader of the first would come to."""

from __future__ import annotations

from filters.audio.links import Link
from filters.audio.window import Content

# What files begin with: letters that are sought, and what follows them a few bytes on.
_BEGINNINGS = (
    ("FLAC", b"fLaC", ((4, b"\0\0\0\x22"), (4, b"\x80\0\0\x22"))),
    ("OGG", b"OggS", ((4, b"\0\x02"),)),
    ("WAV", b"RIFF", ((8, b"WAVEfmt "), (8, b"WAVEJUNK"), (8, b"WAVELIST"))),
    ("AIFF", b"FORM", ((8, b"AIFFCOMM"), (8, b"AIFCFVER"))),
)


def refuse_other_format(content: Content, links: list[Link], name: str, end: int) -> list[Link]:
    """Return the links of a FLAC, OGG or MP3 file, with a problem where a file of another format follows in `content[:end]`."""
    last = links[-1]
    at = last.end if name == "OGG" else last.start + 8  # pages of Ogg may hold FLAC, and their end is known
    for other, letters, endings in _BEGINNINGS:
        if other == name:
            continue
        found = content.find(letters, at, end)
        while found >= 0:
            if any(content[found + skip : found + skip + len(ending)] == ending for skip, ending in endings):
                return [
                    Link(last.start, end, problem=f"{other} follows after {name} in one file, at byte {found:,}: divide it")
                ]
            found = content.find(letters, found + 4, end)
    return links
