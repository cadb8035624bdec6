"""What the headers of WAV and AIFF say of their samples, beside the size of the chunk: `fmt `, `fact` and COMM.

libsndfile believes the size of the chunk alone. A count that is larger says that sound is missing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ADPCM = (0x02, 0x11)  # Microsoft's and IMA's, whose blocks hold a fixed number of samples
_MOST_CHANNELS = 1_024  # that libsndfile reads; it refuses more
_UNKNOWN = 0x7FFFFFFF  # counts from here on, and 0, were never filled in


@dataclass(slots=True)
class Counts:
    """What is known of a file's samples so far: frames, and how many of them are in so many bytes."""

    frames: int = 0
    frame_bytes: int = 0  # 0: unknown
    block_frames: int = 1
    channels: int = 1
    problem: str | None = None

    def add(self, name: bytes, body: bytes, is_aiff: bool, order: str) -> None:
        """Take in the first bytes of a chunk; others than the three are passed over."""
        if name == b"fmt " and len(body) >= 16 and not is_aiff:
            self._add_format(body, order)
        elif name == b"fact" and len(body) >= 4 and not is_aiff:
            self.frames = struct.unpack(f"{order}I", body[:4])[0]
        elif name == b"COMM" and len(body) >= 8 and is_aiff:
            self.channels, self.frames, bits = struct.unpack(">HIH", body[:8])
            self.frame_bytes = self.channels * (-(-bits // 8))

    def _add_format(self, body: bytes, order: str) -> None:
        tag, self.channels, rate, byte_rate, align, bits = struct.unpack(f"{order}HHIIHH", body[:16])
        if tag in (_PCM, _FLOAT, _EXTENSIBLE):
            self.frame_bytes = self.channels * (-(-bits // 8))
            is_odd = align and bits and 1 <= self.channels <= _MOST_CHANNELS and (bits, align) != (24, 4 * self.channels)
            if is_odd and align != self.frame_bytes and byte_rate != rate * self.frame_bytes:
                self.problem = (
                    f"WAV whose header contradicts itself: {self.channels} channels of {bits} bits, {align} bytes a sample, "
                    f"{byte_rate:,} bytes a second at {rate:,} Hz"
                )
        elif tag in _ADPCM and len(body) >= 20:
            self.frame_bytes, self.block_frames = align, struct.unpack(f"{order}H", body[18:20])[0] or 1

    def promise(self, size: int) -> int:
        """Return how many bytes of samples there should be, where the chunk says `size`. A count of all channels' samples is as good."""
        if not self.frame_bytes or not 0 < self.frames < _UNKNOWN:
            return size
        blocks = -(-self.frames // self.block_frames)
        held = size // self.frame_bytes + (size % self.frame_bytes > 0)
        is_more = blocks > held and self.frames != size // self.frame_bytes * self.channels * self.block_frames
        return blocks * self.frame_bytes if is_more else size
