"""MP3 files that do not say how long they are.

libsndfile takes the bit rate of the first frame for that of all frames, and so stops too early where the rate varies. A frame
that tells the number of frames, put in front, makes it read all of them.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from filters.kernels import jit

_LARGEST_FRAME = 1_500  # bytes, about
# kbit/s by the index in the header, of layer III: MPEG 1, then MPEG 2 and 2.5
_BIT_RATES = np.array(
    [[0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0], [0, *range(8, 65, 8), *range(80, 161, 16), 0]],
    np.int64,
)
_SAMPLING_RATES = np.array([[44100, 48000, 32000], [22050, 24000, 16000], [11025, 12000, 8000]], np.int64)
_MPEG_1, _RESERVED, _MPEG_2_5 = 0, 2, 3  # versions, as `_frame_size` numbers them


@jit
def _frame_size(data, at, bit_rates, sampling_rates):
    """Bytes of the frame of layer III whose header is at `at`; 0 where there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0 or data[at + 1] & 0x06 != 0x02:
        return 0
    version = np.int64(3 - (data[at + 1] >> 3 & 3))
    bit_rate_index, rate_index = np.int64(data[at + 2] >> 4), np.int64(data[at + 2] >> 2 & 3)
    if version == _RESERVED or rate_index == 3 or bit_rate_index == 0 or bit_rate_index == 15:
        return 0
    scale = 144_000 if version == _MPEG_1 else 72_000
    bit_rate = bit_rates[0 if version == _MPEG_1 else 1, bit_rate_index]
    sampling_rate = sampling_rates[2 if version == _MPEG_2_5 else version, rate_index]
    return scale * bit_rate // sampling_rate + np.int64(data[at + 2] >> 1 & 1)


@jit
def _count_frames(data, at, bit_rates, sampling_rates):
    """`(first, count)`: where the first frame begins, and how many complete ones there are. What lies between frames is skipped."""
    first, count = -1, 0
    while at + 4 <= len(data):
        size = _frame_size(data, at, bit_rates, sampling_rates)
        is_frame = size > 0 and at + size <= len(data)
        # The first frame is believed only where a second one follows it.
        if not is_frame or first < 0 and _frame_size(data, at + size, bit_rates, sampling_rates) == 0:
            at += 1
            continue
        if first < 0:
            first = at
        count += 1
        at += size
    return first, count


def write_frame_count(file: BinaryIO, head: bytes) -> bytes | None:
    """Return an MP3 file that does not say how long it is with a Xing frame in front that does; None for every other file."""
    has_id3 = head.startswith(b"ID3") and len(head) >= 10
    if not has_id3 and head[:1] != b"\xff":
        return None
    start = 10 + sum((head[6 + k] & 0x7F) << 7 * (3 - k) for k in range(4)) if has_id3 else 0
    file.seek(start)
    first_frame = file.read(_LARGEST_FRAME)
    if first_frame.startswith((b"fLaC", b"OggS", b"RIFF")) or any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI")):
        return None
    file.seek(0)
    data = np.frombuffer(file.read(), np.uint8)
    first, count = _count_frames(data, start, _BIT_RATES, _SAMPLING_RATES)
    if count < 2:
        return None
    header = bytes(data[first : first + 4])
    # Without a checksum and padding, and with a bit rate that leaves room for the tag.
    header = bytes([0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])
    size = _frame_size(np.frombuffer(header, np.uint8), 0, _BIT_RATES, _SAMPLING_RATES)
    is_mpeg_1, is_mono = header[1] & 0x08, header[3] >> 6 == 3
    side_information = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    tag = header + bytes(side_information) + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
    return tag + bytes(size - len(tag)) + data[first:].tobytes()
