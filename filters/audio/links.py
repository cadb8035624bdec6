"""Where the recordings of a sound file begin and end: a file may go on after what its first header promises.

Ogg calls the streams that follow one another in a file links of a chain (RFC 3533, section 4). Here they are links in all formats,
since FLAC, WAV and AIFF files are concatenated, too. Tags before and after a link are no sound, and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from filters.audio.window import Content, MemoryWindow, Patches, Window, open_window

_MOST_TAGS = 16
_ID3_HEADER, _APE_FOOTER, _ID3V1 = 10, 32, 128  # bytes
_APPENDED_TAG = 1 << 12  # bytes from the end in which an ID3v2 tag begins that was appended without its footer


@dataclass(frozen=True, slots=True)
class Link:
    """`content[start:end]` is a recording; see `open_window` for `prefix` and `patches`.

    `promised`: samples of the recording, where its header says a number that libsndfile does not check; `unit` is what it counts. `frames`
    are those that a FLAC header promises. `is_mended`: readers that believe the header would not read all of it. `problem`: why it cannot
    be read.
    """

    start: int
    end: int
    prefix: bytes = b""
    patches: Patches = ()
    promised: int | None = None  # bytes of samples
    available: int = 0  # bytes of samples that are there
    frames: int | None = None
    is_mended: bool = False
    problem: str | None = None

    def open(self, content: Content, believe_header: bool = True) -> MemoryWindow | Window:
        """Return the link as a file. Without its promise, a FLAC file is read to its end (`frames` is patched out)."""
        patches = self.patches if believe_header else (*self.patches, *unknown_length(content, self))
        return open_window(content, self.start, self.end, self.prefix, patches)


def unknown_length(content: Content, link: Link) -> Patches:
    """Return the patch that makes the number of samples of a FLAC file unknown: 36 bits, the last at byte 25."""
    at = link.start + 21
    return ((at, bytes([content[at] & 0xF0]) + bytes(4)),)


def skip_tags(content: Content, start: int, end: int) -> int:
    """Return where the ID3v2 tags at `start` end."""
    for _ in range(_MOST_TAGS):
        size = _id3_size(content, start, end)
        if not size:
            break
        start += size
    return min(start, end)


def trim_tags(content: Content, start: int, end: int) -> int:
    """Return where the tags that a file ends with begin: ID3v1, APEv2, Lyrics3, an ID3v2 that was appended."""
    for _ in range(_MOST_TAGS):
        size = _size_of_last_tag(content, start, end)
        if not size:
            break
        end -= size
    return end


def _id3_size(content: Content, at: int, end: int) -> int:
    """Return the bytes of the ID3v2 tag at `at`, 0 where there is none: the size has seven bits a byte."""
    head = content[at : at + _ID3_HEADER]
    if len(head) < _ID3_HEADER or head[:3] != b"ID3" or head[3] == 0xFF or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = _ID3_HEADER + sum(byte << 7 * (3 - k) for k, byte in enumerate(head[6:10])) + (_ID3_HEADER if head[5] & 0x10 else 0)
    return size if at + size <= end else 0


def _size_of_last_tag(content: Content, start: int, end: int) -> int:
    tail = content[max(start, end - _ID3V1) : end]
    if len(tail) == _ID3V1 and tail[:3] == b"TAG":
        return _ID3V1
    if len(tail) >= _APE_FOOTER and tail[-_APE_FOOTER:-24] == b"APETAGEX":
        size = int.from_bytes(tail[-20:-16], "little") + (_APE_FOOTER if tail[-9] & 0x80 else 0)
        return size if _APE_FOOTER <= size <= end - start else 0
    if tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        size = int(tail[-15:-9]) + 15
        return size if size <= end - start else 0
    if tail[-_ID3_HEADER:][:3] == b"3DI":  # a footer, which is a header again
        size = 2 * _ID3_HEADER + sum(byte << 7 * (3 - k) for k, byte in enumerate(tail[-4:]))
        return size if size <= end - start and content[end - size : end - size + 3] == b"ID3" else 0
    at = content.rfind(b"ID3", max(start, end - _APPENDED_TAG), end)
    if at > start and _id3_size(content, at, end) == end - at:
        return end - at
    return 0
