"""Decode a sound file, hostile or not, to samples: the one place that does.

libsndfile decodes, block by block. libsoxr resamples, as a stream, so that only the result is ever in memory as a whole. What a
header says is a promise, not a fact: no memory is allocated for it beyond what a file of its size can hold, a file that holds
less than it promises is refused as truncated, and what follows after it is read on, or refused where it may be sound that cannot be read.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
import soxr

from filters.audio.flac import find_flac_links
from filters.audio.formats import FORMATS, HEAD, check_format
from filters.audio.links import Link, skip_tags
from filters.audio.mp3 import find_mp3_links
from filters.audio.ogg import find_ogg_links
from filters.audio.other_formats import refuse_other_format
from filters.audio.riff import find_riff_links, is_riff
from filters.audio.samples import RATE, mean_of_channels
from filters.audio.window import Content, MemoryWindow, Window
from filters.inspected import Blob, Unreadable

MAX_SECONDS = 6 * 3600.0
# Sampling rates of files, in Hz. Below, a small file would make very many samples. Above, there are only damaged headers.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
BLOCK = 1 << 20  # samples that are decoded at once, of all channels
# Times full scale. Floats may lie beyond 1 or be scaled as integers are; what is larger than this is damage.
LOUDEST = 2.0**32
_SAME_FORMAT = {"WAVEX": "WAV", "RF64": "WAV"}  # libsndfile's names for variants of WAV
_UNKNOWN_LENGTH = 1 << 62  # frames; libsndfile gives 2⁶³ - 1 for streamed FLAC
_RECOUNT = 1_024  # frames read at a time to say how far a damaged file is sound

Source = Blob | os.PathLike[str]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Samples, and what their file says about itself."""

    samples: np.ndarray  # float32[n], mono; full scale is 1
    rate: int  # Hz, of `samples`
    sampling_rate: int  # Hz, of the file
    channels: int  # of the file
    format: str  # one of FORMATS
    subtype: str  # libsndfile's word: PCM_16, FLOAT, VORBIS, MPEG_LAYER_III …
    seconds: float  # of the whole recording; NaN where a part was asked for and the header does not say
    is_complete: bool  # whether `samples` are the whole recording
    is_mended: bool = False  # whether the file goes on after what its header says, so that others would not read all of it

    @property
    def needs_reencoding(self) -> bool:
        """Whether the file is anything but these samples as mono FLAC of 16 bits."""
        is_mono_flac = (self.format, self.subtype, self.channels) == ("FLAC", "PCM_16", 1)
        return not (self.is_complete and is_mono_flac and self.sampling_rate == self.rate) or self.is_mended


# -- files for libsndfile


class _ForwardSoundFile(soundfile.SoundFile):
    """A sound file that is read forwards.

    SoundFile seeks after every read where it can, which costs time and, in MP3, precision.
    """

    def seekable(self) -> bool:
        return False

    @property
    def short_format(self) -> str:
        """One of `FORMATS`, or libsndfile's name of another."""
        return _SAME_FORMAT.get(str(self.format), str(self.format))


@contextmanager
def _open_content(source: Source) -> Iterator[Content]:
    """Yield the bytes of a file; one on disk is mapped into memory."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield bytes(source)
    elif not Path(source).stat().st_size:
        yield b""
    else:
        with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


# -- decoding


def decode(
    source: Source,
    *,
    rate: int = RATE,
    start: float = 0.0,
    end: float | None = None,
    channels: Sequence[int] | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Sound:
    """Decode the recording in `source` (the bytes of a file, or a path) to mono at `rate`, or its part from `start` to `end` seconds.

    The channels are averaged, or those numbered `channels` from 0. A part is sought, and ends where the recording ends. Files that are
    chained or concatenated are one recording. The content decides what a file is, not its name. `max_seconds` bounds what is decoded,
    which takes 4 × `rate` bytes a second. Raises Unreadable.
    """
    # libmpg123, inside libsndfile, writes notes on damaged MP3 to stderr. There is no switch for that, and turning file
    # descriptor 2 away in the meantime would take what other threads of the process write with it.
    with _open_content(source) as content:
        check_format(content[:HEAD])
        links = _find_links(content)
        if problem := next((link.problem for link in links if link.problem), None):
            raise Unreadable(problem)
        if len(links) == 1:
            return _decode_link(content, links[0], rate, start, end, channels, max_seconds)
        return _decode_chain(content, links, rate, start, end, channels, max_seconds)


def _find_links(content: Content) -> list[Link]:
    size = len(content)
    start = skip_tags(content, 0, size)
    head = content[start : start + 12]
    if head.startswith(b"fLaC"):
        return refuse_other_format(content, find_flac_links(content, start, size), "FLAC", size)
    if head.startswith(b"OggS"):
        return refuse_other_format(content, find_ogg_links(content, start, size) or [Link(start, size)], "OGG", size)
    if is_riff(content, start):
        return find_riff_links(content, start, size)
    return refuse_other_format(content, find_mp3_links(content, 0, size), "MP3", size)


def _decode_chain(
    content: Content,
    links: list[Link],
    rate: int,
    start: float,
    end: float | None,
    channels: Sequence[int] | None,
    max_seconds: float,
) -> Sound:
    """Decode the recordings of a file that follow one another, as one."""
    sounds: list[Sound] = []
    for link in links:
        left = max_seconds - sum(sound.seconds for sound in sounds)
        if left <= 0:
            raise Unreadable(f"more than {max_seconds:,.0f} s of audio, over max_seconds")
        sounds.append(_decode_link(content, link, rate, 0.0, None, channels, left))
    samples = np.concatenate([sound.samples for sound in sounds])
    first, last = _frame_span(len(samples), rate, start, end)
    first_sound, seconds = sounds[0], sum(sound.seconds for sound in sounds)
    return Sound(
        samples[first:last], rate, first_sound.sampling_rate, first_sound.channels, first_sound.format, first_sound.subtype, seconds,
        is_complete=first == 0 and last == len(samples), is_mended=True,
    )  # fmt: skip


def _decode_link(
    content: Content, link: Link, rate: int, start: float, end: float | None, channels: Sequence[int] | None, max_seconds: float
) -> Sound:
    def decode_as(believe_header: bool) -> Sound:
        with _open_sound_file(link.open(content, believe_header)) as sound_file:
            _check_header(sound_file)
            _check_promise(sound_file, link)
            return _decode(sound_file, link, content, rate, start, end, channels, max_seconds)

    if link.frames is None or end is not None:
        return decode_as(believe_header=True)
    # What the header of FLAC promises is where libsndfile stops, whatever follows. So it is read to its end.
    try:
        return decode_as(believe_header=False)
    except _Damaged:
        sound = decode_as(believe_header=True)
        if (count := _count_frames(link.open(content, believe_header=False))) > link.frames:
            raise Unreadable(
                f"damaged FLAC: it goes on after the {link.frames:,} samples of its header, to {count:,}"
            ) from None
        return sound


class _Damaged(Unreadable):
    """What libsndfile cannot decode."""


def _open_sound_file(file: MemoryWindow | Window) -> _ForwardSoundFile:
    try:
        return _ForwardSoundFile(cast(BinaryIO, file))
    except (soundfile.LibsndfileError, OSError) as problem:
        raise Unreadable(f"not audio that libsndfile reads: {_describe(problem)}") from None


def _check_header(sound_file: _ForwardSoundFile) -> None:
    if sound_file.short_format not in FORMATS:
        raise Unreadable(f"not audio that libsndfile reads: {sound_file.format}; {', '.join(FORMATS)} are read")
    if not LOWEST_RATE <= sound_file.samplerate <= HIGHEST_RATE:
        raise Unreadable(f"sampling rate of {sound_file.samplerate:,} Hz, outside {LOWEST_RATE:,} to {HIGHEST_RATE:,}")
    if sound_file.frames <= 0:
        raise Unreadable("no samples")


def _check_promise(sound_file: _ForwardSoundFile, link: Link) -> None:
    """Raise Unreadable for a file with less than its header promises, where libsndfile would hand over what there is."""
    format, frames = sound_file.short_format, sound_file.frames
    if link.promised is None or link.promised <= link.available:
        return
    frame_size = link.available // frames  # in bytes; 0 where several frames make one
    promised = link.promised // frame_size if frame_size else frames * link.promised // link.available
    if promised > frames:
        raise Unreadable(f"truncated {format}: {frames:,} of {promised:,} samples")


def _decode(
    sound_file: _ForwardSoundFile, link: Link, content: Content, rate: int, start: float, end: float | None,
    channels: Sequence[int] | None, max_seconds: float,
) -> Sound:  # fmt: skip
    sampling_rate, format = sound_file.samplerate, sound_file.short_format
    frames = sound_file.frames if sound_file.frames < _UNKNOWN_LENGTH else None
    promised = frames if frames is not None else link.frames
    first, last = _frame_span(promised, sampling_rate, start, end)
    most = int(max_seconds * sampling_rate)
    if last is not None and last - first > most:
        raise Unreadable(f"{(last - first) / sampling_rate:,.1f} s of audio, over max_seconds = {max_seconds:,.0f}")
    is_open = frames is None and end is None
    # Where the end is not known, one frame more than is allowed is read, to see that there is more.
    wanted = most + 1 if is_open or last is None else last - first
    reader = _BlockReader(sound_file, wanted, channels, promised - first if is_open and promised else None)
    try:
        if first:
            sound_file.seek(first)
        samples = _join(_resample_blocks(reader.blocks(), sampling_rate, rate))
    except soundfile.LibsndfileError as problem:
        raise _Damaged(_describe_damage(link.open(content), promised, problem)) from None
    reached = first + reader.frames
    if reader.frames > most:
        raise Unreadable(f"more than {max_seconds:,.0f} s of audio, over max_seconds")
    if last is not None and reached < last:
        raise Unreadable(f"truncated {format}: {reached:,} of {promised or last:,} samples")
    if not len(samples):
        raise Unreadable("no samples")
    is_complete = first == 0 and (end is None or last == frames)
    total = frames if frames is not None else reached if is_open else float("nan")
    is_mended = link.is_mended or bool(is_open and promised and reached > promised)
    seconds = total / sampling_rate
    return Sound(samples, rate, sampling_rate, sound_file.channels, format, sound_file.subtype, seconds, is_complete, is_mended)


def _frame_span(frames: int | None, sampling_rate: int, start: float, end: float | None) -> tuple[int, int | None]:
    """The first frame of a part and the one after its last, which is None where the file does not say."""
    if not start >= 0 or end is not None and not end > start:
        raise Unreadable(f"no part of a recording: {start:g} to {end if end is None else format(end, 'g')} s")
    first = round(min(start, 1e9) * sampling_rate)
    last = frames if end is None else round(min(end, 1e9) * sampling_rate)
    if frames is not None:
        if first >= frames:
            raise Unreadable(f"the part from {start:g} s begins after the end, {frames / sampling_rate:g} s")
        last = min(frames, frames if last is None else last)
    if last is not None and last <= first:
        raise Unreadable("no samples")
    return first, last


class _BlockReader:
    """Reads up to `wanted` frames of a file from its current position, and counts them.

    `channels`: those to average, or all. `expected`: where the file may end, so that no memory is asked for beyond that in vain.
    """

    def __init__(
        self, sound_file: _ForwardSoundFile, wanted: int, channels: Sequence[int] | None, expected: int | None = None
    ) -> None:
        self.sound_file, self.wanted, self.frames = sound_file, wanted, 0
        self._expected = expected
        self._chosen = None if channels is None else _check_channels(channels, sound_file.channels)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32[m] at a time: the mean of the channels."""
        channels = self.sound_file.channels
        may_hold_anything = not self.sound_file.subtype.startswith("PCM_")
        while self.frames < self.wanted:
            size = min(self.wanted - self.frames, max(1, BLOCK // channels))
            if self._expected is not None:
                size = min(size, max(self._expected - self.frames, _RECOUNT))
            block = np.empty(size if channels == 1 else (size, channels), np.float32)
            block = self.sound_file.read(size, "float32", out=block)
            if not len(block):
                return
            self.frames += len(block)
            if self._chosen is not None and channels > 1:
                block = np.ascontiguousarray(block[:, self._chosen])
            mono = block if block.ndim == 1 else mean_of_channels(block)
            if may_hold_anything and not (-LOUDEST <= mono.min() and mono.max() <= LOUDEST):
                is_finite = bool(np.isfinite(mono).all())
                raise Unreadable(f"samples beyond {LOUDEST:,.0f} times full scale" if is_finite else "NaN or infinite samples")
            yield mono


def _check_channels(chosen: Sequence[int], channels: int) -> list[int]:
    """Return the channels to average. Raises Unreadable where the file does not have one of them."""
    if missing := [number for number in chosen if not 0 <= number < channels]:
        has = "1 channel" if channels == 1 else f"{channels} channels"
        raise Unreadable(f"no channel {missing[0]}: the recording has {has}, numbered from 0")
    return sorted({*chosen})


def _describe(problem: Exception) -> str:
    text = getattr(problem, "error_string", str(problem)).removeprefix("Error : ").strip().rstrip(".")
    # libmpg123 found no frame; no file is missing.
    return "Supported file format but file is malformed" if text.startswith("File does not exist") else text


def _describe_damage(file: MemoryWindow | Window, frames: int | None, problem: Exception) -> str:
    """Say how far a file is sound: it is truncated where reading came to its end, else damaged."""
    with _open_sound_file(file) as again:
        format = again.short_format
    count = _count_frames(file)
    of_frames = "" if frames is None else f" of {frames:,}"
    if file.is_at_end():
        return f"truncated {format}: {count:,}{of_frames} samples"
    return f"damaged {format}: {_describe(problem)} after {count:,}{of_frames} samples"


def _count_frames(file: MemoryWindow | Window) -> int:
    """Return how many frames of a file can be read, to the next `_RECOUNT`."""
    file.seek(0)
    count = 0
    try:
        with _ForwardSoundFile(cast(BinaryIO, file)) as again:
            block = np.empty((_RECOUNT, again.channels), np.float32)
            while read := len(again.read(_RECOUNT, "float32", always_2d=True, out=block)):
                count += read
    except soundfile.LibsndfileError:
        pass
    return count


# -- resampling


def resample(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Resample float32[n] at `rate` to float32[about n × to / rate]."""
    return _join(_resample_blocks(iter([samples]), rate, to))


def _resample_blocks(blocks: Iterator[np.ndarray], rate: int, to: int) -> Iterator[np.ndarray]:
    if rate == to:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _join(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Join blocks in one array that grows in place: there are never two copies of a long recording."""
    out, filled = np.zeros(0, np.float32), 0
    for block in blocks:
        if filled == 0:
            out = block if block.flags.owndata else block.copy()
        else:
            if filled + len(block) > len(out):
                out.resize(max(filled + len(block), len(out) * 9 // 8), refcheck=False)
            out[filled : filled + len(block)] = block
        filled += len(block)
    if filled < len(out):
        out.resize(filled, refcheck=False)
    return out
