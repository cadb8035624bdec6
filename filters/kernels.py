"""Compiled loops shared by the measures: UTF-8 decoding, encoding and hashing over Arrow buffers.

A column of text is handled as Arrow holds it: one `uint8` buffer and an `int64` array of offsets. Kernels are compiled by numba
on first use and cached beside this file (or where `choose_cache_folder` says, if that is read-only); they release the GIL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from filters import unicode as u
from filters.compile_cache import choose_cache_folder, keep_compiled

choose_cache_folder()


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, and keep what was compiled."""
    return keep_compiled(nb.njit(nogil=True, boundscheck=False)(function))


def inline(function: Callable[..., Any]) -> Any:
    """Compile a function into those that call it."""
    return keep_compiled(nb.njit(nogil=True, boundscheck=False, inline="always")(function))


def jit_helper(function: Callable[..., Any]) -> Any:
    """Compile a function for loops to call, which can neither allocate an array nor return one.

    Numba counts references to arrays at every call, which takes longer than most helpers do: here it does not.
    """
    return keep_compiled(nb.njit(nogil=True, boundscheck=False, _nrt=False)(function))  # type: ignore[call-overload]


@intrinsic
def _load_word(typing_context: Any, data: Any, i: Any) -> Any:
    """Return the eight bytes from byte `i` on as uint64, the first one lowest. All must lie in `data`; it is not checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), generate


load_word: Any = _load_word  # compiled code calls it with two arguments


@inline
def decode(data, i):
    """Code point at byte `i` of valid UTF-8, and the index of the next one."""
    b = np.int32(data[i])
    if b < 0x80:
        return b, i + 1
    if b >= 0xE0:
        if b < 0xF0:
            return ((b & 0x0F) << 12) | ((np.int32(data[i + 1]) & 0x3F) << 6) | (np.int32(data[i + 2]) & 0x3F), i + 3
        high = ((b & 0x07) << 18) | ((np.int32(data[i + 1]) & 0x3F) << 12)
        return high | ((np.int32(data[i + 2]) & 0x3F) << 6) | (np.int32(data[i + 3]) & 0x3F), i + 4
    return ((b & 0x1F) << 6) | (np.int32(data[i + 1]) & 0x3F), i + 2


@jit
def above_median(values):
    """uint64: which of 64 numbers are above their median, the first in the highest bit."""
    ordered = np.sort(values)
    median = (ordered[31] + ordered[32]) / 2
    bits = np.uint64(0)
    for value in values:
        bits = bits << np.uint64(1) | np.uint64(value > median)
    return bits


@inline
def encode(out, o, cp):
    """Write code point `cp` as UTF-8 at byte `o`; return the index after it."""
    if cp < 0x80:
        out[o] = cp
        return o + 1
    if cp < 0x800:
        out[o] = 0xC0 | (cp >> 6)
        out[o + 1] = 0x80 | (cp & 0x3F)
        return o + 2
    if cp < 0x10000:
        out[o] = 0xE0 | (cp >> 12)
        out[o + 1] = 0x80 | ((cp >> 6) & 0x3F)
        out[o + 2] = 0x80 | (cp & 0x3F)
        return o + 3
    out[o] = 0xF0 | (cp >> 18)
    out[o + 1] = 0x80 | ((cp >> 12) & 0x3F)
    out[o + 2] = 0x80 | ((cp >> 6) & 0x3F)
    out[o + 3] = 0x80 | (cp & 0x3F)
    return o + 4


@inline
def utf8_length(cp):
    if cp < 0x80:
        return 1
    if cp < 0x800:
        return 2
    return 3 if cp < 0x10000 else 4


@inline
def class_of(classes, cp):
    if cp < u.TABLE_SIZE:
        return classes[cp]
    return np.uint8(u.HAN) if cp < 0x40000 else np.uint8(u.CONTROL)


@jit_helper
def first_invalid(data, start, end):
    """Index of the first byte in `data[start:end]` that is not valid UTF-8 (RFC 3629: no surrogates, no overlong forms), or -1."""
    i = start
    while i < end:
        b = data[i]
        if b < 0x80:
            i += 1
        elif 0xE1 <= b <= 0xEC or b == 0xEE or b == 0xEF:
            if i + 2 >= end or (data[i + 1] & 0xC0) != 0x80 or (data[i + 2] & 0xC0) != 0x80:
                return i
            i += 3
        elif 0xC2 <= b <= 0xDF:
            if i + 1 >= end or (data[i + 1] & 0xC0) != 0x80:
                return i
            i += 2
        elif b == 0xE0 or b == 0xED:
            if i + 2 >= end or (data[i + 1] & 0xC0) != 0x80 or (data[i + 2] & 0xC0) != 0x80:
                return i
            if b == 0xE0 and data[i + 1] < 0xA0 or b == 0xED and data[i + 1] > 0x9F:
                return i
            i += 3
        elif 0xF0 <= b <= 0xF4:
            if i + 3 >= end:
                return i
            if (data[i + 1] & 0xC0) != 0x80 or (data[i + 2] & 0xC0) != 0x80 or (data[i + 3] & 0xC0) != 0x80:
                return i
            if b == 0xF0 and data[i + 1] < 0x90 or b == 0xF4 and data[i + 1] > 0x8F:
                return i
            i += 4
        else:
            return i
    return np.int64(-1)


@inline
def mix64(x):
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inline
def slots_for(n):
    """Smallest power of two with room for `n` keys at a load of at most one half."""
    size = 16
    while size < 2 * n:
        size *= 2
    return size


def buffers(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """`(data, offsets)` of a text column without copying: uint8 bytes, int64[n + 1] offsets into them.

    Both are read-only. Takes a pyarrow (Large)StringArray, ChunkedArray or a polars Series. Nulls read as empty text.
    """
    if hasattr(column, "to_arrow"):
        column = column.to_arrow()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.large_string())
    if not pa.types.is_large_string(column.type) or column.null_count:
        column = column.cast(pa.large_string()).fill_null("")
    _, offsets, data = column.buffers()
    n = len(column)
    if n == 0 or offsets is None:
        return read_only(np.zeros(0, np.uint8)), read_only(np.zeros(n + 1, np.int64))
    offset_array = np.frombuffer(offsets, np.int64, n + 1, column.offset * 8)
    return np.frombuffer(data if data is not None and data.size else b"", np.uint8), offset_array


def read_only(values: np.ndarray) -> np.ndarray:
    """A read-only view: numba compiles a loop once more, for seconds, where an array may be written to."""
    view = values.view()
    view.flags.writeable = False
    return view


def to_arrow(data: np.ndarray, offsets: np.ndarray) -> pa.LargeStringArray:
    """The Arrow column over `data` and `offsets`, without copying. The bytes must be valid UTF-8."""
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(data)
    )
