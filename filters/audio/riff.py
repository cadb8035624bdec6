"""WAV and AIFF files: the chunk of samples, and what follows after it.

What a header promises is compared with what is there. Where more bytes follow than chunks, tags and padding explain, nobody can say
whether they are sound: such a file is refused, unless its header leaves the length open, as programs write it that stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from filters.audio.links import Link, skip_tags, trim_tags
from filters.audio.riff_counts import Counts
from filters.audio.window import Content

# Sizes of the chunk of samples that mean "until the end": of ffmpeg and others, of SoX, of Kaldi's pipes.
_UNTIL_THE_END = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFFF00, 0x1_0000_0000))
_LARGEST_SIZE = 0xFFFFFF00
_MOST_CHUNKS = 1_000
# Bytes after the last chunk that are passed over, as recorders fill the last block of their disk: so many, and a twentieth of the samples.
_PADDING, _SHARE = 4_096, 0.05
_ROOTS = (b"RIFF", b"RIFX", b"RF64", b"FORM")
# Chunks that may be cut short at the end of a file: the samples before them are there.
_NO_SOUND = frozenset(
    name.ljust(4).encode()
    for name in "LIST list id3 ID3 bext cue iXML axml afsp JUNK junk PAD FLLR smpl inst fact PEAK _PMX ANNO NAME AUTH MARK COMT".split()
)

ByteOrder = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class _Samples:
    """The chunk of samples: where its size is written, and how many bytes (a number of `width` bytes) it says."""

    size_at: int
    width: int
    extra: int  # bytes of the chunk that are no samples
    start: int
    size: int | None  # None: until the end
    counts: Counts


def find_riff_links(content: Content, start: int, end: int) -> list[Link]:
    """Return the files that are concatenated in `content[start:end]`."""
    links: list[Link] = []
    while start < end:
        link, following = _find_link(content, start, end)
        links.append(link)
        if following is None:
            break
        start = following
    return links


def is_riff(content: Content, at: int) -> bool:
    root, form = content[at : at + 4], content[at + 8 : at + 12]
    return root in _ROOTS[:3] and form == b"WAVE" or root == b"FORM" and form[:3] == b"AIF"


def _find_link(content: Content, start: int, end: int) -> tuple[Link, int | None]:
    """Return the file at `start`, and where another one follows it, or None."""
    order: ByteOrder = "big" if content[start : start + 4] in (b"RIFX", b"FORM") else "little"
    samples = _find_samples(content, start, end, order)
    if samples is None:
        return Link(start, end), None
    if samples.counts.problem:
        return Link(start, end, problem=samples.counts.problem), None
    if samples.size is not None and samples.start + samples.size <= end:
        last, following, problem = _walk_rest(content, samples.start + samples.size, end, order, samples.size)
        if problem is None or samples.size:
            return (
                Link(start, last, promised=samples.counts.promise(samples.size), available=samples.size, problem=problem),
                following,
            )
        # A size of 0 before what is no chunk: it was never filled in.
    elif samples.size is not None:
        return Link(start, end, promised=samples.size, available=end - samples.start), None
    following = _find_next(content, samples.start, end)
    last = trim_tags(content, samples.start, end if following is None else following)
    size = last - samples.start
    most = (1 << 8 * samples.width) - 1 if samples.width == 8 else _LARGEST_SIZE
    patch = (samples.size_at, min(size + samples.extra, most).to_bytes(samples.width, order))
    return Link(start, last, patches=(patch,), is_mended=True), following


def _find_samples(content: Content, start: int, end: int, order: ByteOrder) -> _Samples | None:
    """Return the chunk of samples; None where the first chunks hold none."""
    root = content[start : start + 4]
    knows_file_size = abs(int.from_bytes(content[start + 4 : start + 8], order) + 8 - (end - start)) <= 1
    name, extra = (b"SSND", 8) if root == b"FORM" else (b"data", 0)
    at, ds64, counts = start + 12, None, Counts()
    is_aiff = root == b"FORM"
    for _ in range(_MOST_CHUNKS):
        chunk = content[at : min(at + 24, end)]
        if len(chunk) < 8:
            return None
        length = int.from_bytes(chunk[4:8], order)
        if chunk[:4] in (b"fmt ", b"fact") or chunk[:4] == b"COMM" and content[start + 8 : start + 12] == b"AIFF":
            counts.add(
                chunk[:4], content[at + 8 : min(at + 8 + length, at + 28, end)], is_aiff, "<" if order == "little" else ">"
            )
        if chunk[:4] == b"ds64":
            ds64 = (at + 16, int.from_bytes(chunk[16:24], order))
        if chunk[:4] == name:
            first = min(at + 8 + extra, end)
            available = end - first
            if root == b"RF64" and length == 0xFFFFFFFF and ds64 is not None:
                return _Samples(ds64[0], 8, extra, first, ds64[1] or None, counts)
            size: int | None = max(0, length - extra)
            if length in _UNTIL_THE_END and length > available or not size and available and not knows_file_size:
                size = None
            return _Samples(at + 4, 4, extra, first, size, counts)
        at += 8 + length + length % 2
    return None


def _walk_rest(content: Content, at: int, end: int, order: ByteOrder, size: int) -> tuple[int, int | None, str | None]:
    """Return where a file ends whose samples end at `at`, where another begins, and why what follows cannot be explained."""
    at += size % 2 and content[at : at + 1] == b"\0"
    while at < end:
        past_tags = skip_tags(content, at, end)
        if is_riff(content, past_tags):
            return at, past_tags, None
        head = content[at : at + 8]
        length = int.from_bytes(head[4:8], order)
        fits = at + 8 + length <= end
        is_name = len(head) == 8 and all(0x20 <= byte < 0x7F for byte in head[:4])
        if head[:4] in (b"data", b"SSND") and length:
            return at, None, "several chunks of samples in one file"
        if not is_name or not (fits or head[:4] in _NO_SOUND):
            break
        at = min(end, at + 8 + length + length % 2)
    if (following := _find_next(content, at, min(end, at + _PADDING))) is not None:
        return at, following, None
    last = trim_tags(content, at, end)
    if last - at <= min(_PADDING, _SHARE * size) or not any(content[at:last].strip(b"\0")):
        return at, None, None
    return (
        at,
        None,
        f"{last - at:,} bytes follow after the {size:,} bytes of samples that the header promises, and are no chunk",
    )


def _find_next(content: Content, at: int, end: int) -> int | None:
    """Return where another file begins in what is read until the end."""
    for root in _ROOTS:
        found = content.find(root, at, end)
        while found >= 0:
            if is_riff(content, found):
                return found
            found = content.find(root, found + 4, end)
    return None
