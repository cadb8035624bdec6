"""MP3 files that do not say how long they are, or say it wrongly.

libsndfile takes the bit rate of the first frame for that of all frames, and so stops too early where the rate varies; where a first frame
tells the number of frames (Xing's tag), it stops there, whatever follows. So frames are counted, and the number is written in.
"""

from __future__ import annotations

import numpy as np

from filters.audio.links import Link, skip_tags, trim_tags
from filters.audio.window import Content
from filters.kernels import jit

# kbit/s by the index in the header, of layer III: MPEG 1, then MPEG 2 and 2.5
_BIT_RATES = np.array(
    [[0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0], [0, *range(8, 65, 8), *range(80, 161, 16), 0]],
    np.int64,
)
_SAMPLING_RATES = np.array([[44100, 48000, 32000], [22050, 24000, 16000], [11025, 12000, 8000]], np.int64)
_MPEG_1, _RESERVED, _MPEG_2_5 = 0, 2, 3  # versions, as `_frame_size` numbers them
_HAS_FRAMES = 1  # a flag of Xing's tag
_MISCOUNT = 2  # frames: encoders that count the tag's own frame, or the decoder's delay


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
    """`(first, count, others)`: where the first frame begins, how many complete ones there are, and how many have another rate
    or number of channels.

    What lies between frames is skipped. A frame after such a gap is believed only where a second one of its kind follows it: pictures
    in tags look like frames in places.
    """
    first, count, others = -1, 0, 0
    follows = False
    while at + 4 <= len(data):
        size = _frame_size(data, at, bit_rates, sampling_rates)
        is_frame = size > 0 and at + size <= len(data)
        if is_frame and not follows:
            # Same version and layer, same sampling rate.
            is_frame = (
                _frame_size(data, at + size, bit_rates, sampling_rates) > 0
                and data[at + size + 1] & 0xFE == data[at + 1] & 0xFE
                and data[at + size + 2] & 0x0C == data[at + 2] & 0x0C
            )
        if not is_frame:
            at += 1
            follows = False
            continue
        if first < 0:
            first = at
        elif (
            (data[at + 1] & 0xFE) != (data[first + 1] & 0xFE)
            or (data[at + 2] & 0x0C) != (data[first + 2] & 0x0C)
            or (data[at + 3] >> 6 == 3) != (data[first + 3] >> 6 == 3)
        ):
            others += 1
        count += 1
        at += size
        follows = True
    return first, count, others


def find_mp3_links(content: Content, start: int, end: int) -> list[Link]:
    """Return one link: an MP3 file, with a number of frames that is right. The last frame may be cut off."""
    at, last = skip_tags(content, start, end), trim_tags(content, start, end)
    whole = Link(start, last)
    data = np.frombuffer(content, np.uint8)[:last]
    first, count, others = _count_frames(data, at, _BIT_RATES, _SAMPLING_RATES)
    if count < 2:
        return [whole]
    if others:
        problem = f"MP3 whose sampling rate or number of channels changes: {others:,} of {count:,} frames have another one"
        return [Link(start, last, problem=problem)]
    size = _frame_size(data, first, _BIT_RATES, _SAMPLING_RATES)
    first_frame = bytes(data[first : first + size])
    tag = next((found for name in (b"Xing", b"Info") if (found := first_frame.find(name)) >= 0), None)
    if tag is None:
        skipped = size if b"VBRI" in first_frame else 0
        return [_write_frame_count(data, first + skipped, count - bool(skipped), last)]
    if not int.from_bytes(first_frame[tag + 4 : tag + 8], "big") & _HAS_FRAMES:
        return [_write_frame_count(data, first + size, count - 1, last)]
    declared = int.from_bytes(first_frame[tag + 8 : tag + 12], "big")
    if declared == count - 1 or declared > count - 1 + _MISCOUNT:  # which is truncated, as libsndfile will say
        return [whole]
    return [Link(start, last, patches=((first + tag + 8, (count - 1).to_bytes(4, "big")),), is_mended=True)]


def _write_frame_count(data: np.ndarray, first: int, count: int, last: int) -> Link:
    """Return the frames from `first` on with a Xing frame in front that says how many there are."""
    header = bytes(data[first : first + 4])
    # Without a checksum and padding, and with a bit rate that leaves room for the tag.
    header = bytes([0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])
    size = _frame_size(np.frombuffer(header, np.uint8), 0, _BIT_RATES, _SAMPLING_RATES)
    is_mpeg_1, is_mono = header[1] & 0x08, header[3] >> 6 == 3
    side_information = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    tag = header + bytes(side_information) + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
    return Link(first, last, prefix=tag + bytes(size - len(tag)), is_mended=True)
