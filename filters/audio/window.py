"""A stretch of a sound file as a file of its own, with bytes put in front or in place of others.

Of a file on disk nothing is copied. What is in memory is, if need be: the decoders read by the hundred bytes, and Python would be called
for each read.
"""

from __future__ import annotations

import io
import mmap
from typing import Any

Content = bytes | mmap.mmap
Patches = tuple[tuple[int, bytes], ...]  # bytes by their offset in the content, which stand in place of what is there


def open_window(content: Content, start: int, end: int, prefix: bytes = b"", patches: Patches = ()) -> MemoryWindow | Window:
    """Return `prefix` and then `content[start:end]` as a file."""
    if not isinstance(content, bytes):
        return Window(content, start, end, prefix, patches)
    if not prefix and not patches:
        return MemoryWindow(content[start:end])
    blob = bytearray(prefix + content[start:end])
    for offset, new in patches:
        at = len(prefix) + offset - start
        blob[at : at + len(new)] = new
    return MemoryWindow(blob)


class MemoryWindow(io.BytesIO):
    """A file in memory. Seeking before its start, as damaged headers make libsndfile do, seeks the start."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return super().seek(0)

    def is_at_end(self) -> bool:
        return self.tell() >= len(self.getbuffer())


class Window(io.RawIOBase):
    """A stretch of a file on disk, which is mapped into memory.

    Seeking before its start, as damaged headers make libsndfile do, seeks the start.
    """

    name = ""  # soundfile would conclude a format from a name

    def __init__(self, content: mmap.mmap, start: int, end: int, prefix: bytes, patches: Patches) -> None:
        self._content, self._start, self._end, self._prefix = content, start, end, prefix
        self._patches = patches
        self._size = len(prefix) + end - start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        at = self._position
        count = max(0, min(len(view), self._size - at))
        if not count:
            return 0
        before = self._prefix[at : at + count]
        view[: len(before)] = before
        first = self._start + max(0, at - len(self._prefix))
        last = first + count - len(before)
        view[len(before) : count] = self._content[first:last]
        for offset, new in self._patches:
            a, b = max(first, offset), min(last, offset + len(new))
            if a < b:
                view[len(before) + a - first : len(before) + b - first] = new[a - offset : b - offset]
        self._position += count
        return count

    def is_at_end(self) -> bool:
        return self._position >= self._size
