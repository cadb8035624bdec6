"""Decode a sound file, hostile or not, to samples: the one place that does.

libsndfile decodes, block by block. libsoxr resamples, as a stream, so that only the result is ever in memory as a whole. What a
header says is a promise, not a fact: no memory is allocated for it beyond what a file of its size can hold, and a file that
holds less than it promises is refused as truncated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO, FileIO
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from filters.audio.formats import (
    FORMATS,
    HEAD,
    DataChunk,
    check_format,
    ends_within_ogg_page,
    find_data_chunk,
    write_chunk_size,
)
from filters.audio.mp3 import write_frame_count
from filters.audio.samples import RATE, mean_of_channels
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
    seconds: float  # of the whole recording; of `samples` where a part was asked for and the header does not say
    is_complete: bool  # whether `samples` are the whole recording

    @property
    def needs_reencoding(self) -> bool:
        """Whether the file is anything but these samples as mono FLAC of 16 bits."""
        is_mono_flac = (self.format, self.subtype, self.channels) == ("FLAC", "PCM_16", 1)
        return not (self.is_complete and is_mono_flac and self.sampling_rate == self.rate)


# -- files for libsndfile


class _Bytes(BytesIO):
    """A file in memory. Seeking before its start, as damaged headers make libsndfile do, seeks the start."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return super().seek(0)


class _UnnamedFile(BufferedReader):
    """A file on disk without a name, from which soundfile would conclude its format."""

    name = ""


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
def _open_source(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size in bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield _Bytes(source), len(source)
        return
    with _UnnamedFile(FileIO(source)) as file:
        yield file, os.fstat(file.fileno()).st_size


# -- decoding


def decode(
    source: Source, *, rate: int = RATE, start: float = 0.0, end: float | None = None, max_seconds: float = MAX_SECONDS
) -> Sound:
    """Decode the recording in `source` (the bytes of a file, or a path) to mono at `rate`, or its part from `start` to `end` seconds.

    Channels are averaged. A part is sought, and ends where the recording ends. The content decides what a file is, not its
    name. `max_seconds` bounds what is decoded, which takes 4 × `rate` bytes a second. Raises Unreadable.
    """
    # libmpg123, inside libsndfile, writes notes on damaged MP3 to stderr. There is no switch for that, and turning file
    # descriptor 2 away in the meantime would take what other threads of the process write with it.
    with _open_source(source) as (file, size):
        file.seek(0)
        head = file.read(HEAD)
        check_format(head)
        chunk = find_data_chunk(file, size)
        is_cut_off = head.startswith(b"OggS") and ends_within_ogg_page(file, size)
        with_length = write_chunk_size(file, chunk) or write_frame_count(file, head)
        if with_length is not None:
            file = _Bytes(with_length)
        file.seek(0)
        try:
            sound_file = _ForwardSoundFile(file)
        except (soundfile.LibsndfileError, OSError) as problem:
            raise Unreadable(f"not audio that libsndfile reads: {_describe(problem)}") from None
        with sound_file:
            _check_header(sound_file)
            _check_promise(sound_file, chunk, is_cut_off)
            return _decode(sound_file, file, rate, start, end, max_seconds)


def _check_header(sound_file: _ForwardSoundFile) -> None:
    if sound_file.short_format not in FORMATS:
        raise Unreadable(f"not audio that libsndfile reads: {sound_file.format}; {', '.join(FORMATS)} are read")
    if not LOWEST_RATE <= sound_file.samplerate <= HIGHEST_RATE:
        raise Unreadable(f"sampling rate of {sound_file.samplerate:,} Hz, outside {LOWEST_RATE:,} to {HIGHEST_RATE:,}")
    if sound_file.frames <= 0:
        raise Unreadable("no samples")


def _check_promise(sound_file: _ForwardSoundFile, chunk: DataChunk | None, is_cut_off: bool) -> None:
    """Raise Unreadable for a file with less than its header promises, where libsndfile would hand over what there is."""
    format, frames = sound_file.short_format, sound_file.frames
    if is_cut_off and format == "OGG":
        raise Unreadable(f"truncated OGG: {frames:,} samples and an unfinished page")
    if chunk is None or chunk.promised is None or chunk.promised <= chunk.available:
        return
    frame_size = chunk.available // frames  # in bytes; 0 where several frames make one
    promised = chunk.promised // frame_size if frame_size else frames * chunk.promised // chunk.available
    if promised > frames:
        raise Unreadable(f"truncated {format}: {frames:,} of {promised:,} samples")


def _decode(
    sound_file: _ForwardSoundFile, file: BinaryIO, rate: int, start: float, end: float | None, max_seconds: float
) -> Sound:
    sampling_rate, format = sound_file.samplerate, sound_file.short_format
    frames = sound_file.frames if sound_file.frames < _UNKNOWN_LENGTH else None
    first, last = _frame_span(frames, sampling_rate, start, end)
    most = int(max_seconds * sampling_rate)
    if last is not None and last - first > most:
        raise Unreadable(f"{(last - first) / sampling_rate:,.1f} s of audio, over max_seconds = {max_seconds:,.0f}")
    # Where the end is not known, one frame more than is allowed is read, to see that there is more.
    reader = _BlockReader(sound_file, most + 1 if last is None else last - first)
    try:
        if first:
            sound_file.seek(first)
        samples = _join(_resample_blocks(reader.blocks(), sampling_rate, rate))
    except soundfile.LibsndfileError as problem:
        raise Unreadable(_describe_damage(file, frames, problem)) from None
    if reader.frames > most:
        raise Unreadable(f"more than {max_seconds:,.0f} s of audio, over max_seconds")
    if last is not None and first + reader.frames < last:
        raise Unreadable(f"truncated {format}: {first + reader.frames:,} of {frames or last:,} samples")
    if not len(samples):
        raise Unreadable("no samples")
    is_complete = first == 0 and (end is None or last == frames)
    seconds = (frames if frames is not None else reader.frames) / sampling_rate
    return Sound(samples, rate, sampling_rate, sound_file.channels, format, sound_file.subtype, seconds, is_complete)


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
    """Reads up to `wanted` frames of a file from its current position, and counts them."""

    def __init__(self, sound_file: _ForwardSoundFile, wanted: int) -> None:
        self.sound_file, self.wanted, self.frames = sound_file, wanted, 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32[m] at a time: the mean of the channels."""
        channels = self.sound_file.channels
        may_hold_anything = not self.sound_file.subtype.startswith("PCM_")
        while self.frames < self.wanted:
            size = min(self.wanted - self.frames, max(1, BLOCK // channels))
            block = np.empty(size if channels == 1 else (size, channels), np.float32)
            block = self.sound_file.read(size, "float32", out=block)
            if not len(block):
                return
            self.frames += len(block)
            mono = block if channels == 1 else mean_of_channels(block)
            if may_hold_anything and not (-LOUDEST <= mono.min() and mono.max() <= LOUDEST):
                is_finite = bool(np.isfinite(mono).all())
                raise Unreadable(f"samples beyond {LOUDEST:,.0f} times full scale" if is_finite else "NaN or infinite samples")
            yield mono


def _describe(problem: Exception) -> str:
    text = getattr(problem, "error_string", str(problem)).removeprefix("Error : ").strip().rstrip(".")
    # libmpg123 found no frame; no file is missing.
    return "Supported file format but file is malformed" if text.startswith("File does not exist") else text


def _describe_damage(file: BinaryIO, frames: int | None, problem: Exception) -> str:
    """Say how far a file is sound: it is truncated where reading came to its end, else damaged."""
    file.seek(0)
    count = 0
    try:
        with _ForwardSoundFile(file) as again:
            format = again.short_format
            block = np.empty((_RECOUNT, again.channels), np.float32)
            while read := len(again.read(_RECOUNT, "float32", always_2d=True, out=block)):
                count += read
    except soundfile.LibsndfileError:
        pass
    of_frames = "" if frames is None else f" of {frames:,}"
    if not file.read(1):
        return f"truncated {format}: {count:,}{of_frames} samples"
    return f"damaged {format}: {_describe(problem)} after {count:,}{of_frames} samples"


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
