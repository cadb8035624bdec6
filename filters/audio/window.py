"""A stretch of a sound file as a file of its own, with bytes put in front or in place of others. Nothing is copied."""

from __future__ import annotations

import io
import mmap
from typing import Any

Content = bytes | mmap.mmap


class Window(io.RawIOBase):
    """`prefix` and then `content[start:end]`, where `patches` (bytes by their offset in `content`) stand in place of what is there.

    Seeking before its start, as damaged headers make libsndfile do, seeks the start.
    """

    name = ""  # soundfile would conclude a format from a name

    def __init__(
        self, content: Content, start: int, end: int, prefix: bytes = b"", patches: tuple[tuple[int, bytes], ...] = ()
    ) -> None:
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
