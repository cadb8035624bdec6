"""FLAC as most corpora have it (one channel, 16 bits) to samples, twice as fast as libFLAC: most of what measuring a recording takes.

Only what is plain and sound is decoded here, by RFC 9639, checksums of frames included. Whatever is otherwise (other forms, rare
features, damage) is left to libsndfile, which has the words for what is wrong. What both take, both decode to the same samples.

Indices are not checked (numba has no bounds): `decoded` puts zeros behind the data. Codes are read up to 71 bits beyond its end, where
zeros are no end of a code, so that whatever runs out of the data is noticed there; frames and their sizes are checked before they count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from filters.kernels import jit

_MOST_SAMPLES = 1 << 24  # 32 MB of them; longer recordings are decoded block by block elsewhere
_MOST_TO_A_BYTE = 16  # speech has about one; a header that promises more than this many samples to a byte is not allocated for
_STREAMINFO = 34  # bytes
_LONGEST_RICE = 30
_UNROLLED = 8  # coefficients: libFLAC's most by default


def _crc_tables(polynomial: int, bits: int, count: int) -> np.ndarray:
    """uint16[count, 256]: row k is the checksum of a byte with k zero bytes after it."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    first = []
    for byte in range(256):
        crc = byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & top else crc << 1) & mask
        first.append(crc)
    rows = [first]
    for _ in range(count - 1):
        rows.append([(crc << 8 & mask) ^ first[crc >> bits - 8] for crc in rows[-1]])
    return np.array(rows, np.uint16)


_CRC8, _CRC16 = _crc_tables(0x07, 8, 1)[0], _crc_tables(0x8005, 16, 8)


def _counting(context: Any, word: Any) -> Any:
    """Of a uint64: 64 for 0."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generated


_leading_zeros: Any = intrinsic(_counting)


@jit
def _window(words, at):
    """The 64 bits from bit `at` on."""
    word, shift = at >> 6, np.uint64(at & 63)
    return words[word] << shift | words[word + 1] >> np.uint64(1) >> (np.uint64(63) - shift)


@jit
def _bits(words, at, count):
    """`count` bits, 1 to 32, as a number."""
    return np.int64(_window(words, at) >> np.uint64(64 - count))


@jit
def _signed(words, at, count):
    value = _bits(words, at, count)
    return value - (value >> (count - 1) << count)


@jit
def _crc16(data, start, end, table):
    crc, at = np.int64(0), start
    while at + 8 <= end:
        crc = (
            np.int64(table[7, data[at] ^ crc >> 8]) ^ np.int64(table[6, data[at + 1] ^ crc & 255])
            ^ np.int64(table[5, data[at + 2]]) ^ np.int64(table[4, data[at + 3]])
            ^ np.int64(table[3, data[at + 4]]) ^ np.int64(table[2, data[at + 5]])
            ^ np.int64(table[1, data[at + 6]]) ^ np.int64(table[0, data[at + 7]])
        )  # fmt: skip
        at += 8
    while at < end:
        crc = (crc << 8 & 0xFFFF) ^ np.int64(table[0, data[at] ^ crc >> 8])
        at += 1
    return crc


@jit
def _rice(words, at, end, parameter, out):
    """Fill in a partition of residuals; returns the bit after it, -1 where it runs over `end` or one has more than 32 bits."""
    k = np.uint64(parameter)
    one, last, all_bits = np.uint64(1), np.uint64(63), np.uint64(64)
    # So many residuals are taken from one window that they nearly always fit in it: a branch that is foreseen, unlike one on bits left.
    several = max(60 // (parameter + 3), 1)
    left, window, used = several, _window(words, at), np.uint64(0)
    every = np.uint64(0)
    for i in range(len(out)):
        if left == 0:
            at += np.int64(used)
            left, window, used = several, _window(words, at), np.uint64(0)
        left -= 1
        zeros = _leading_zeros(window)
        if used + zeros + one + k > all_bits:  # rare: more than what is left of the window
            at += np.int64(used)
            zeros, more = np.uint64(0), all_bits
            while more == all_bits:
                if at >= end:
                    return np.int64(-1)
                more = _leading_zeros(_window(words, at))
                zeros += more
                at += np.int64(more)
            left, window, used = several, _window(words, at) << one, one
        else:
            window <<= zeros
            window <<= one
            used += zeros + one
        value = zeros << k | window >> one >> (last - k)
        window <<= k
        used += k
        every |= value
        out[i] = np.int32(np.int64(value >> one) ^ -np.int64(value & one))
    at += np.int64(used)
    return at if at <= end and every >> np.uint64(32) == 0 else np.int64(-1)


@jit
def _residuals(words, at, end, order, out):
    """Fill in `out[order:]`, the coded residuals of a subframe; returns the bit after them, or -1."""
    method = _bits(words, at, 2)
    partitions = 1 << _bits(words, at + 2, 4)
    at += 6
    size, width = len(out) // partitions, 4 + method
    if method > 1 or size * partitions != len(out) or size < order:
        return np.int64(-1)
    first = order
    for p in range(partitions):
        parameter = _bits(words, at, width)
        at = (
            _rice(words, at + width, end, parameter, out[first : (p + 1) * size])
            if parameter < min(15 + 16 * method, 31)
            else -1
        )
        if at < 0:
            return np.int64(-1)
        first = (p + 1) * size
    return at


@jit
def _predicted(residuals, order, coefficients, shift, out):
    """Fill in `out[order:]` from the samples before each and its residual; False where one has more than 16 bits."""
    c = coefficients
    low = high = np.int64(0)
    if order <= _UNROLLED:
        h = np.zeros(_UNROLLED, np.int64)
        for j in range(order):
            h[j] = out[order - 1 - j]
        h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
        c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
        for i in range(order, len(out)):
            # The last sample last: the rest of the sum need not wait for it.
            rest = (c7 * h7 + c6 * h6) + (c5 * h5 + c4 * h4) + (c3 * h3 + c2 * h2) + c1 * h1
            value = ((rest + c0 * h0) >> shift) + residuals[i]
            h7, h6, h5, h4, h3, h2, h1, h0 = h6, h5, h4, h3, h2, h1, h0, value
            low, high = min(low, value), max(high, value)
            out[i] = np.int16(value)
    else:
        for i in range(order, len(out)):
            total = np.int64(0)
            for j in range(order):
                total += c[j] * np.int64(out[i - 1 - j])
            value = (total >> shift) + residuals[i]
            low, high = min(low, value), max(high, value)
            out[i] = np.int16(value)
    return low >= -32768 and high <= 32767


_FIXED = np.zeros((5, _UNROLLED), np.int64)
for _order, _coefficients in enumerate(([], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1])):
    _FIXED[_order, : len(_coefficients)] = _coefficients


@jit
def _subframe(words, at, end, residuals, fixed, out):
    """Fill in the samples of a subframe of 16 bits; returns the bit after it, or -1 for what is not decoded here."""
    if _bits(words, at, 1) or _bits(words, at + 7, 1):  # or wasted bits
        return np.int64(-1)
    kind = _bits(words, at + 1, 6)
    at += 8
    if kind == 0:
        out[:] = _signed(words, at, 16)
        return at + 16
    if kind == 1:
        if at + 16 * len(out) > end:
            return np.int64(-1)
        for i in range(len(out)):
            out[i] = _signed(words, at + 16 * i, 16)
        return at + 16 * len(out)
    if kind >= 32:
        order = kind - 31
    elif 8 <= kind <= 12:
        order = kind - 8
    else:
        return np.int64(-1)
    if order > len(out) or at + 16 * order + 9 > end:
        return np.int64(-1)
    for i in range(order):
        out[i] = _signed(words, at + 16 * i, 16)
    at += 16 * order
    coefficients, shift = np.zeros(32, np.int64), np.int64(0)
    if kind < 32:
        coefficients[:_UNROLLED] = fixed[order]
    else:
        precision, shift = _bits(words, at, 4) + 1, _signed(words, at + 4, 5)
        at += 9
        if precision == 16 or shift < 0 or at + precision * order > end:
            return np.int64(-1)
        for j in range(order):
            coefficients[j] = _signed(words, at, precision)
            at += precision
    at = _residuals(words, at, end, order, residuals[: len(out)])
    if at < 0 or not _predicted(residuals, order, coefficients, shift, out):
        return np.int64(-1)
    return at


@jit
def _frames(data, words, at, rate, largest, fixed, crc8, crc16, out):
    """Fill in all samples from the frames that begin at byte `at` and end with the file; False for what is not decoded here."""
    end, done, number = np.int64(len(data)), np.int64(0), np.int64(0)
    residuals = np.empty(largest, np.int32)
    while done < len(out):
        if at + 11 > end or data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8:
            return False
        start, variable = at, data[at + 1] & 1
        size_code, rate_code = np.int64(data[at + 2] >> 4), np.int64(data[at + 2] & 15)
        if data[at + 3] >> 4 or data[at + 3] & 15 not in (0, 8):  # one channel, of 16 bits
            return False
        at += 4
        more, coded = 0, np.int64(data[at])  # the number of the frame, or of its first sample, as UTF-8 has it
        while more < 7 and coded >> (7 - more) & 1:
            more += 1
        coded &= (1 << (7 - more)) - 1
        if more == 1:
            return False
        more = max(more - 1, 0)
        if at + more + 4 > end:
            return False
        for i in range(more):
            if data[at + 1 + i] & 0xC0 != 0x80:
                return False
            coded = coded << 6 | np.int64(data[at + 1 + i] & 0x3F)
        at += 1 + more
        if coded != (done if variable else number):
            return False
        if size_code == 6:
            size = np.int64(data[at]) + 1
            at += 1
        elif size_code == 7:
            size = (np.int64(data[at]) << 8 | np.int64(data[at + 1])) + 1
            at += 2
        elif size_code >= 8:
            size = np.int64(256) << (size_code - 8)
        else:
            size = np.int64(192) if size_code == 1 else np.int64(576) << (size_code - 2)
        if size_code == 0 or size > largest or done + size > len(out):
            return False
        # Rates of the codes from 4 on; those that stand at the end of the header are left to libFLAC.
        if rate_code not in (0, 4, 5, 6, 7, 8, 9, 10):
            return False
        if rate_code and rate != (8000, 16000, 22050, 24000, 32000, 44100, 48000)[rate_code - 4]:
            return False
        check = np.int64(0)
        for i in range(start, at):
            check = np.int64(crc8[check ^ np.int64(data[i])])
        if check != data[at]:
            return False
        bit = _subframe(words, 8 * (at + 1), 8 * (end - 2), residuals, fixed, out[done : done + size])
        if bit < 0 or bit > 8 * (end - 2):
            return False
        at = (bit + 7) >> 3
        if bit & 7 and np.int64(data[at - 1]) << (bit & 7) & 0xFF:  # what fills up the last byte is zeros
            return False
        if _crc16(data, start, at, crc16) != np.int64(data[at]) << 8 | np.int64(data[at + 1]):
            return False
        at += 2
        done += size
        number += 1
    return at == end


def decoded(blob: bytes | bytearray | memoryview) -> tuple[np.ndarray, int] | None:
    """Samples, int16[n], and the rate in Hz of a FLAC file; None where it is anything but plain and sound: ask libsndfile then."""
    if (
        bytes(blob[:4]) != b"fLaC"
        or len(blob) < 8 + _STREAMINFO
        or blob[4] & 0x7F
        or int.from_bytes(blob[5:8], "big") != _STREAMINFO
    ):
        return None
    largest = int.from_bytes(blob[10:12], "big")
    facts = int.from_bytes(blob[18:26], "big")  # rate: 20 bits; channels - 1: 3; bits - 1: 5; samples: 36
    rate, form, count = facts >> 44, facts >> 36 & 0xFF, facts & (1 << 36) - 1
    if form != 15 or not 0 < count <= min(_MOST_SAMPLES, _MOST_TO_A_BYTE * len(blob)) or largest < 16:
        return None
    at, last = 8 + _STREAMINFO, blob[4] & 0x80
    while not last:
        if at + 4 > len(blob):
            return None
        last, at = blob[at] & 0x80, at + 4 + int.from_bytes(blob[at + 1 : at + 4], "big")
    data = np.frombuffer(blob, np.uint8)
    words = np.zeros(len(data) // 8 + 4, np.uint64)
    words.view(np.uint8)[: len(data)] = data
    words.byteswap(inplace=True)
    out = np.empty(count, np.int16)
    return (out, rate) if _frames(data, words, at, rate, largest, _FIXED, _CRC8, _CRC16, out) else None
