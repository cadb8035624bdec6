"""From the bytes of a sound file, hostile or not, to samples, and from samples to FLAC: the one place that decodes audio.

`filters.audio.flac` decodes what most corpora are, libsndfile everything else, block by block; libsoxr resamples, as a stream, so that only
the result is ever in memory as a whole. What a header says is a promise, not a fact: nothing is allocated by it beyond what a file of
its size can hold, and one that holds less than it promises is refused as truncated, also where libsndfile would hand over what there is
without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO, FileIO
from typing import Any, BinaryIO, Literal

import numpy as np
import soundfile
import soxr

from filters.audio import flac
from filters.audio import spectrum as waves
from filters.kernels import jit

RATE = 16_000  # Hz, of what is measured and written unless said otherwise
MAX_SECONDS = 6 * 3600.0
# Rates of the file, in Hz. Below, a small file would make very many samples; above there is nothing but damaged headers.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
BLOCK = 1 << 20  # samples that are decoded at once, of all channels
# Times full scale. Floats may lie beyond 1 or be scaled as integers are; what is larger than this is damage.
LOUDEST = 2.0**32
FORMATS = ("FLAC", "WAV", "OGG", "MP3", "AIFF")
_NAMES = {"WAVEX": "WAV", "RF64": "WAV"}  # of the same thing, by libsndfile
# Sizes of the chunk of samples that mean "until the end": of ffmpeg and others, of SoX, of Kaldi's pipes.
_STREAMED = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFFF00, 0x1_0000_0000))
_MOST_CHUNKS = 1_000
_MP3_FRAME = 1_500  # bytes, about the largest one
_RECOUNT = 1_024  # frames at a time, when a damaged file is read again to say how far it is sound

Blob = bytes | bytearray | memoryview
Source = Blob | os.PathLike[str]


class Unreadable(ValueError):
    """Why a recording cannot be decoded, in words for the ledger."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Samples, and what their file says of itself."""

    samples: np.ndarray  # mono: float32[n], full scale is 1; or int16[n]
    rate: int  # Hz, of `samples`
    sampling_rate: int  # Hz, of the file
    channels: int  # of the file
    format: str  # one of FORMATS
    subtype: str  # libsndfile's word: PCM_16, FLOAT, VORBIS, MPEG_LAYER_III …
    seconds: float  # of the whole recording; of `samples` where a part was asked for and the header does not say
    whole: bool  # whether `samples` are all of it

    @property
    def needs_reencoding(self) -> bool:
        """Whether the file is anything but these samples as mono FLAC of 16 bits."""
        as_written = self.whole and (self.format, self.subtype, self.channels) == ("FLAC", "PCM_16", 1)
        return not (as_written and self.sampling_rate == self.rate)


# --- what a file is

_INSTEAD = (
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


def _check_kind(head: bytes) -> None:
    """Raises Unreadable for everything but `FORMATS`: none of libsndfile's other parsers ever sees a crawled file."""
    if head.startswith((b"fLaC", b"OggS", b"ID3")) or head[:4] == b"FORM" and head[8:11] == b"AIF":
        return
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return  # the first bits of a frame of MPEG audio; AAC has the layer that does not exist
    raise Unreadable(f"not audio that libsndfile reads: {_instead(head)}")


def _instead(head: bytes) -> str:
    if not head:
        return "empty file"
    for prefix, name in _INSTEAD:
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
class _Data:
    """The chunk of samples of a RIFF or IFF file, as its header has it."""

    field: int  # where its size stands, in bytes
    size: int | None  # what the header promises; None where it leaves it open
    there: int  # what the file has
    order: Any  # "little" or "big"


def _data_chunk(file: BinaryIO, size: int) -> _Data | None:
    """None where the file is another format, or has no such chunk among the first ones."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return None
    order: Any = "big" if head[:4] in (b"RIFX", b"FORM") else "little"
    honest = abs(int.from_bytes(head[4:8], order) + 8 - size) <= 1
    name, before = (b"SSND", 8) if head[:4] == b"FORM" else (b"data", 0)  # bytes of the chunk before the samples
    at, large = 12, 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        chunk = file.read(8 + 16)
        if len(chunk) < 8:
            return None
        length = int.from_bytes(chunk[4:8], order)
        if chunk[:4] == b"ds64":
            large = int.from_bytes(chunk[16:24], order)
        if chunk[:4] == name:
            there = max(0, size - at - 8 - before)
            if head[:4] == b"RF64" and length == 0xFFFFFFFF:
                return _Data(at + 4, large or None, there, order)
            open_end = length in _STREAMED and length > there or length == 0 and there > 0 and not honest
            return _Data(at + 4, None if open_end else max(0, length - before), there, order)
        at += 8 + length + length % 2
    return None


def _ended(file: BinaryIO, data: _Data | None) -> BinaryIO:
    """The file, whose chunk of samples has a size of 0 for "until the end", with the size that it has: libsndfile takes 0 for 0."""
    if data is None or data.size is not None:
        return file
    file.seek(data.field)
    if any(file.read(4)):
        return file
    file.seek(0)
    whole = bytearray(file.read())
    whole[data.field : data.field + 4] = min(data.there, 0xFFFFFF00).to_bytes(4, data.order)
    return _Bytes(whole)


# kbit/s by index, of layer III: MPEG 1, then 2 and 2.5
_BIT_RATES = np.array(
    [[0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0], [0, *range(8, 65, 8), *range(80, 161, 16), 0]],
    np.int64,
)
_MP3_RATES = np.array([[44100, 48000, 32000], [22050, 24000, 16000], [11025, 12000, 8000]], np.int64)


@jit
def _mp3_frame(data, at, bit_rates, rates):
    """Bytes of the frame of layer III whose header is at `at`; 0 where there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0 or data[at + 1] & 0x06 != 0x02:
        return 0
    version = np.int64(3 - (data[at + 1] >> 3 & 3))  # 0: MPEG 1, 1: 2, 3: 2.5
    index, rate = np.int64(data[at + 2] >> 4), np.int64(data[at + 2] >> 2 & 3)
    if version == 2 or rate == 3 or index == 0 or index == 15:
        return 0
    scale = 144_000 if version == 0 else 72_000
    of_version = bit_rates[0 if version == 0 else 1, index]
    return scale * of_version // rates[2 if version == 3 else version, rate] + np.int64(data[at + 2] >> 1 & 1)


@jit
def _mp3_frames(data, at, bit_rates, rates):
    """`(first, count)`: where the first frame begins, and how many whole ones there are. What lies between frames is passed over."""
    first, count = -1, 0
    while at + 4 <= len(data):
        size = _mp3_frame(data, at, bit_rates, rates)
        if size == 0 or at + size > len(data) or first < 0 and _mp3_frame(data, at + size, bit_rates, rates) == 0:
            at += 1
            continue
        if first < 0:
            first = at
        count += 1
        at += size
    return first, count


def _counted(file: BinaryIO, head: bytes) -> BinaryIO:
    """An MP3 file that does not say how long it is, with a frame in front that does.

    libsndfile would take the bit rate of the first frame for that of all, and stop too early where it varies.
    """
    id3 = head.startswith(b"ID3") and len(head) >= 10
    start = 10 + sum((head[6 + k] & 0x7F) << 7 * (3 - k) for k in range(4)) if id3 else 0
    if not id3 and head[:1] != b"\xff":
        return file
    file.seek(start)
    front = file.read(_MP3_FRAME)
    if front.startswith((b"fLaC", b"OggS", b"RIFF")) or any(tag in front for tag in (b"Xing", b"Info", b"VBRI")):
        return file
    file.seek(0)
    whole = np.frombuffer(file.read(), np.uint8)
    first, count = _mp3_frames(whole, start, _BIT_RATES, _MP3_RATES)
    if count < 2:
        return file
    header = bytes(whole[first : first + 4])
    # Without a checksum and padding, and with a bit rate that leaves room for the tag.
    header = bytes([0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])
    size = _mp3_frame(np.frombuffer(header, np.uint8), 0, _BIT_RATES, _MP3_RATES)
    mpeg1, mono = header[1] & 0x08, header[3] >> 6 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    tag = header + bytes(side) + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
    return _Bytes(tag + bytes(size - len(tag)) + whole[first:].tobytes())


def _is_cut_off(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file, which says how long it is, is not all there."""
    file.seek(max(0, size - (1 << 16) - 512))
    tail = file.read()
    page = tail.rfind(b"OggS")
    lengths = tail[page + 27 : page + 27 + tail[page + 26]] if 0 <= page < len(tail) - 27 else b""
    return page >= 0 and (not lengths or page + 27 + tail[page + 26] + sum(lengths) > len(tail))


class _Bytes(BytesIO):
    """Bytes in memory, in which to seek before the start, as damaged headers make libsndfile do, is to seek the start."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return super().seek(0)


class _Unnamed(BufferedReader):
    """A file without the name from which soundfile would conclude what it is."""

    name = ""


class _File(soundfile.SoundFile):
    """A file that is read forwards. (SoundFile seeks after every read where it can, which costs time and, in MP3, precision.)"""

    def seekable(self) -> bool:
        return False


@contextmanager
def _opened(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size in bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield _Bytes(source), len(source)
        return
    with _Unnamed(FileIO(source)) as file:
        yield file, os.fstat(file.fileno()).st_size


def _words(problem: Exception) -> str:
    words = getattr(problem, "error_string", str(problem)).removeprefix("Error : ").strip().rstrip(".")
    # libmpg123 found no frame; there is no file of a name to be missing.
    return "Supported file format but file is malformed" if words.startswith("File does not exist") else words


# --- decoding


def decode(
    source: Source,
    *,
    rate: int = RATE,
    start: float = 0.0,
    end: float | None = None,
    max_seconds: float = MAX_SECONDS,
    dtype: Literal["float32", "int16"] = "float32",
) -> Sound:
    """The recording in `source` (the bytes of a file, or a path), mono at `rate`; or its part from `start` to `end`, in seconds.

    Channels are averaged. A part is sought, not decoded up to, and ends where the recording ends. What a file is is decided by its
    content. `max_seconds` bounds what is decoded, which takes 4 × `rate` bytes a second. Samples of 16 bits are rounded and clipped where
    the file has others. Raises Unreadable.
    """
    if start == 0 and end is None and (plain := _plain(source, rate, max_seconds)):
        return plain if dtype == "int16" else replace(plain, samples=plain.samples * np.float32(1 / waves.FULL_SCALE))
    found = _by_libsndfile(source, rate, start, end, max_seconds)
    return found if dtype == "float32" else replace(found, samples=waves.to_int16(found.samples))


def _plain(source: Source, rate: int, max_seconds: float) -> Sound | None:
    """A whole recording that is as it would be written, as int16; None where it is another, or where anything is wrong with it."""
    found = flac.decoded(source) if isinstance(source, bytes | bytearray | memoryview) else None
    if found is None or found[1] != rate or len(found[0]) > max_seconds * rate or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        return None
    return Sound(found[0], rate, rate, 1, "FLAC", "PCM_16", len(found[0]) / rate, True)


def _by_libsndfile(source: Source, rate: int, start: float, end: float | None, max_seconds: float) -> Sound:
    # libmpg123, inside, writes notes on damaged MP3 to stderr. libsndfile has no switch for that, and to turn file descriptor 2 away
    # meanwhile would take what other threads of the process write with it.
    with _opened(source) as (file, size):
        file.seek(0)
        head = file.read(4096)
        _check_kind(head)
        data = _data_chunk(file, size)
        file = _counted(_ended(file, data), head)
        unfinished = head.startswith(b"OggS") and _is_cut_off(file, size)
        file.seek(0)
        try:
            opened = _File(file)
        except (soundfile.LibsndfileError, OSError) as problem:
            raise Unreadable(f"not audio that libsndfile reads: {_words(problem)}") from None
        with opened:
            _check_header(opened)
            _check_promise(opened, data, unfinished)
            return _decode(opened, file, rate, start, end, max_seconds)


def _format(opened: _File) -> str:
    format = str(opened.format)
    return _NAMES.get(format, format)


def _check_header(opened: _File) -> None:
    if _format(opened) not in FORMATS:
        raise Unreadable(f"not audio that libsndfile reads: {opened.format}; {', '.join(FORMATS)} are read")
    if not LOWEST_RATE <= opened.samplerate <= HIGHEST_RATE:
        raise Unreadable(f"sampling rate of {opened.samplerate:,} Hz, outside {LOWEST_RATE:,} to {HIGHEST_RATE:,}")
    if opened.frames <= 0:
        raise Unreadable("no samples")


def _check_promise(opened: _File, data: _Data | None, unfinished: bool) -> None:
    """Where libsndfile makes do with what there is, without a word: raises Unreadable for less than the header promises."""
    format, frames = _format(opened), opened.frames
    if unfinished and format == "OGG":
        raise Unreadable(f"truncated OGG: {frames:,} samples and an unfinished page")
    if data is None or data.size is None or data.size <= data.there:
        return
    of_frame = data.there // frames  # in bytes; 0 where several frames make one
    promised = data.size // of_frame if of_frame else frames * data.size // data.there
    if promised > frames:
        raise Unreadable(f"truncated {format}: {frames:,} of {promised:,} samples")


def _decode(opened: _File, file: BinaryIO, rate: int, start: float, end: float | None, max_seconds: float) -> Sound:
    # Streamed FLAC has the length of 2⁶³ - 1: it is not known.
    frames = opened.frames if opened.frames < 1 << 62 else None
    first, last = _span(frames, opened.samplerate, start, end)
    most = int(max_seconds * opened.samplerate)
    if last is not None and last - first > most:
        seconds = (last - first) / opened.samplerate
        raise Unreadable(f"{seconds:,.1f} s of audio, over max_seconds = {max_seconds:,.0f}")
    read = _Reading(opened, first, last, most)
    try:
        if first:
            opened.seek(first)
        samples = _joined(_resampled(read.blocks(), opened.samplerate, rate))
    except soundfile.LibsndfileError as problem:
        raise Unreadable(_damage(file, frames, problem)) from None
    if read.frames > most:
        raise Unreadable(f"more than {max_seconds:,.0f} s of audio, over max_seconds")
    if last is not None and first + read.frames < last:
        raise Unreadable(f"truncated {_format(opened)}: {first + read.frames:,} of {frames or last:,} samples")
    if not len(samples):
        raise Unreadable("no samples")
    whole = first == 0 and (end is None or last == frames)
    known = frames if frames is not None else read.frames
    seconds = known / opened.samplerate
    return Sound(samples, rate, opened.samplerate, opened.channels, _format(opened), str(opened.subtype), seconds, whole)


def _span(frames: int | None, sampling_rate: int, start: float, end: float | None) -> tuple[int, int | None]:
    """First frame and the one after the last, which is None where nobody knows."""
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


class _Reading:
    """Reads a file from where it stands to frame `last`, or to its end, and counts."""

    def __init__(self, opened: _File, first: int, last: int | None, most: int) -> None:
        self.opened, self.frames = opened, 0
        # One more than is allowed, to see that there is more.
        self.wanted = most + 1 if last is None else last - first

    def blocks(self) -> Iterator[np.ndarray]:
        """float32[m] at a time: the mean of the channels."""
        opened, channels = self.opened, self.opened.channels
        exact = str(opened.subtype).startswith("PCM_")
        while self.frames < self.wanted:
            room = min(self.wanted - self.frames, max(1, BLOCK // channels))
            block = np.empty(room if channels == 1 else (room, channels), np.float32)
            block = opened.read(room, "float32", out=block)
            if not len(block):
                return
            self.frames += len(block)
            mono = block if channels == 1 else waves.mixed(block)
            if not exact and not (-LOUDEST <= mono.min() and mono.max() <= LOUDEST):
                finite = bool(np.isfinite(mono).all())
                raise Unreadable(f"samples beyond {LOUDEST:,.0f} times full scale" if finite else "NaN or infinite samples")
            yield mono


def _resampled(blocks: Iterator[np.ndarray], rate: int, to: int) -> Iterator[np.ndarray]:
    if rate == to:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def resampled(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """float32[about n × to / rate] of float32[n] at `rate`."""
    return _joined(_resampled(iter([samples]), rate, to))


def _joined(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """All of them in one array that grows in place: there are never two copies of a long recording."""
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


def _damage(file: BinaryIO, frames: int | None, problem: Exception) -> str:
    """Words for a file that stopped in the middle: truncated where nothing is left of it, else damaged."""
    file.seek(0)
    count = 0
    try:
        with _File(file) as again:
            format = _format(again)
            room = np.empty((_RECOUNT, again.channels), np.float32)
            while got := len(again.read(_RECOUNT, "float32", always_2d=True, out=room)):
                count += got
    except soundfile.LibsndfileError:
        pass
    of = "" if frames is None else f" of {frames:,}"
    if not file.read(1):
        return f"truncated {format}: {count:,}{of} samples"
    return f"damaged {format}: {_words(problem)} after {count:,}{of} samples"


# --- encoding


def reencode(samples: np.ndarray, rate: int = RATE) -> bytes:
    """FLAC, 16 bits, mono, of float32 samples: rounded, without dither, what is beyond full scale clipped.

    Same bytes for the same samples and the same version of libFLAC; samples that came from 16 bits come out as they were.
    """
    out = BytesIO()
    soundfile.write(out, waves.to_int16(samples), rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def cut(samples: np.ndarray, start: int, end: int, rate: int = RATE) -> bytes:
    """FLAC of `samples[start:end]`. Raises ValueError where that is empty."""
    part = samples[start:end]
    if start < 0 or not len(part):
        raise ValueError(f"no samples from {start:,} to {end:,} among {len(samples):,}")
    return reencode(part, rate)
