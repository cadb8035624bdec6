"""Ogg files: a chain of streams, each a run of pages from one that begins a stream to one that ends it (RFC 3533)."""

from __future__ import annotations

from filters.audio.links import Link
from filters.audio.window import Content

_HEADER = 27  # bytes; the last one is the number of segments, whose lengths follow
_BEGINS, _ENDS = 0x02, 0x04  # flags of a page
# What the first packet of a stream of sound begins with.
_CODECS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"fLaC")


class _Stream:
    """A link as it is found: its pages, and what they say of the streams in it."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.sounds = 0  # streams of sound
        self.begun: set[bytes] = set()  # serial numbers
        self.ended: set[bytes] = set()
        self.only_begins = True
        self.is_cut_off = False

    def build(self) -> Link:
        problem = None
        if self.sounds > 1:
            problem = "OGG with several streams of sound at once: it is not said which one is meant"
        elif self.is_cut_off:
            problem = "truncated OGG: an unfinished page at its end"
        elif self.begun - self.ended:
            problem = "truncated OGG: no page says that the stream ends"
        return Link(self.start, self.end, problem=problem)


def find_ogg_links(content: Content, start: int, end: int) -> list[Link]:
    """Return the links of a chain. What lies between pages and is none is passed over, as libogg does."""
    streams: list[_Stream] = []
    at = start
    while (at := content.find(b"OggS", at, end)) >= 0:
        header = content[at : at + _HEADER]
        lengths = content[at + _HEADER : at + _HEADER + header[-1]] if len(header) == _HEADER else b""
        body = at + _HEADER + len(lengths)
        is_whole = len(header) == _HEADER and len(lengths) == header[-1] and body + sum(lengths) <= end
        if not is_whole:
            # The beginning of a page, or these four letters in what is no page.
            if streams and end - at < _HEADER + 255 + 255 * 255:
                streams[-1].is_cut_off = True
                streams[-1].end = end
            break
        if header[4] != 0 or header[5] > 7:
            at += 4
            continue
        if not streams or header[5] & _BEGINS and not streams[-1].only_begins:
            streams.append(_Stream(at))
        stream, serial = streams[-1], header[14:18]
        if header[5] & _BEGINS:
            stream.begun.add(serial)
            stream.sounds += content[body : body + 8].startswith(_CODECS)
        else:
            stream.only_begins = False
        if header[5] & _ENDS:
            stream.ended.add(serial)
        at = stream.end = body + sum(lengths)
    return [stream.build() for stream in streams]
