"""Files of many members: gzip members or zstd frames, each compressed alone, as WARCs have one for every record.

Python's own readers join members into one stream, and end at the first that is damaged. Here each is a unit: it is found again by its
offset in the file as stored, and those after a damaged one are read.
"""

from __future__ import annotations

import zlib
from typing import Any

from pipeline.sources.streams import Stream

_BLOCK = 1 << 20  # read from the file at a time
_PIECE = 1 << 20  # most that one step of zlib yields
_KEPT = 16 << 20  # bytes as stored of the largest member behind which, where it is damaged, the next one is looked for
_TRIAL = 1 << 18  # bytes that tell whether a member begins at a place
_SKIPPABLE = 0x184D2A50  # sixteen magic numbers from here on: frames of zstd that hold no content
_DICTIONARY = 0x184D2A5D  # the first frame of a .warc.zst, where the others are compressed with a dictionary
_LARGEST_DICTIONARY = 16 << 20


class MemberError(Exception):
    """Bytes that are no member, or a damaged member."""


class _Gzip:
    name, magic = "gzip member", b"\x1f\x8b\x08"
    is_certain = False  # three bytes may be anything
    first_input, most_input = (
        1 << 14,
        1 << 18,
    )  # bytes for one step; what is left over at a member's end is copied, so few at first

    def new(self) -> Any:
        return zlib.decompressobj(31)  # 31: with gzip's header, CRC and length, which zlib checks

    def step(self, decoder: Any, data: bytes) -> bytes:
        try:
            return decoder.decompress(data, _PIECE)
        except zlib.error as error:
            raise MemberError(str(error)) from None


class _Zstd:
    name, magic = "zstd frame", b"\x28\xb5\x2f\xfd"
    is_certain = True
    first_input, most_input = 512, 512  # a step has no other bound, and zstd expands up to 32,000 times

    def __init__(self) -> None:
        import zstandard  # late, as in streams

        self._zstd = zstandard
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)

    def set_dictionary(self, content: bytes) -> None:
        """Take the dictionary of all frames, which may be compressed itself. Raises MemberError."""
        try:
            if content.startswith(self.magic):
                content = self._zstd.ZstdDecompressor().stream_reader(content).read(_LARGEST_DICTIONARY)
            dictionary = self._zstd.ZstdCompressionDict(content)
            self._decompressor = self._zstd.ZstdDecompressor(dict_data=dictionary, max_window_size=1 << 31)
        except self._zstd.ZstdError as error:
            raise MemberError(f"its dictionary is damaged: {error}") from None

    def new(self) -> Any:
        return self._decompressor.decompressobj()

    def step(self, decoder: Any, data: bytes) -> bytes:
        try:
            return decoder.decompress(data)
        except self._zstd.ZstdError as error:
            raise MemberError(str(error)) from None


class Members:
    """The members of a file, one after the other: `open` the next, then `read` it to its end.

    `start` is where the current member begins, in bytes of the file as stored; `position` is where reading stands. After a MemberError,
    `skip_damaged` goes to the next member whose content begins with `beginning`; `only_zeros` then says whether nothing but zeros was
    passed over.
    """

    def __init__(self, stream: Stream, start: int, beginning: bytes) -> None:
        self._stream, self._beginning, self._ended = stream, beginning, False
        self._window, self._base, self._at = b"", 0, 0  # bytes of the file from `_base` on; `_at` of them are done with
        self._codec: Any = _Zstd() if stream.compression == "zstd" else _Gzip()
        self._decoder: Any = None
        self._tail, self._input = b"", 0
        self.start, self._is_begun, self.only_zeros = 0, False, False
        if start and stream.compression == "zstd":
            self._skip_frames()  # the dictionary
        while self.position < start and self._fill(1):
            self._at = min(len(self._window), start - self._base)
            self.start = self.position

    @property
    def name(self) -> str:
        return self._codec.name

    @property
    def position(self) -> int:
        return self._base + self._at

    def open(self) -> int | None:
        """Begin the next member; return where it begins, None at the end of the file. Raises MemberError where there is none."""
        self.start = self.position
        if self._stream.compression == "zstd":
            self._skip_frames()
        self._fill(len(self._codec.magic))
        if self._at == len(self._window):
            return None
        self._decoder, self._tail, self._input = self._codec.new(), b"", self._codec.first_input
        magic = self._window[self._at : self._at + len(self._codec.magic)]
        is_cut = len(magic) < len(self._codec.magic)  # the file ends within the magic number
        self._is_begun = is_cut or self._codec.is_certain
        if not self._codec.magic.startswith(magic):
            self._fill(8)
            raise MemberError(f"they begin with {self._window[self._at : self._at + 8]!r}")
        return self.start

    def read(self) -> bytes:
        """Return more of the member, b"" at its end.

        Raises MemberError at damage, and EOFError where the file ends in a member whose content begins with `beginning`.
        """
        out = b""
        while not out and not self._decoder.eof:
            data = self._tail or self._take_input()
            if not data:
                raise EOFError if self._is_begun else MemberError("it has no end")
            out = self._codec.step(self._decoder, data)
            self._is_begun = self._is_begun or out.startswith(self._beginning)
            if self._decoder.eof:
                self._at -= len(self._decoder.unused_data)
            else:
                self._tail = getattr(self._decoder, "unconsumed_tail", b"")
        return out

    def skip_damaged(self) -> int | None:
        """Go to the first member after `start` that begins with `beginning`; return where, or None at the end of the file.

        Raises MemberError where the damaged member is too large for that: from some place inside it one might find another member
        than from its beginning.
        """
        if self.start < self._base:
            raise MemberError("it is too large to go on behind it")
        magic = self._codec.magic
        self._at, self.only_zeros = self.start - self._base, True
        self._pass_over(self._at + 1)
        while self._fill(len(magic)):
            found = self._window.find(magic, self._at)
            if found < 0:
                self._pass_over(len(self._window) - len(magic) + 1)
                continue
            self._pass_over(found)
            self._fill(_TRIAL)
            if self._is_plausible():
                return self.position
            self._pass_over(self._at + 1)
        self._pass_over(len(self._window))
        return None

    def _pass_over(self, at: int) -> None:
        self.only_zeros = self.only_zeros and not self._window[self._at : at].strip(b"\0")
        self._at = at

    def _is_plausible(self) -> bool:
        decoder = self._codec.new()
        try:
            content = self._codec.step(decoder, self._window[self._at : self._at + _TRIAL])
        except MemberError:
            return False
        return content.startswith(self._beginning)

    def _skip_frames(self) -> None:
        """Pass over skippable frames of zstd; the first of the file may hold the dictionary of the others."""
        while self._fill(8):
            magic, size = (int.from_bytes(self._window[self._at + i : self._at + i + 4], "little") for i in (0, 4))
            if magic & ~15 != _SKIPPABLE:
                return
            is_dictionary = magic == _DICTIONARY and self.position == 0 and size <= _LARGEST_DICTIONARY
            self._at += 8
            if is_dictionary and self._fill(size):
                self._codec.set_dictionary(self._window[self._at : self._at + size])
            while size and self._fill(1):
                step = min(size, len(self._window) - self._at)
                self._at, size = self._at + step, size - step
                self.start = self.position

    def _take_input(self) -> bytes:
        self._fill(1)
        data = self._window[self._at : self._at + self._input]
        self._input = min(2 * self._input, self._codec.most_input)
        self._at += len(data)
        return data

    def _fill(self, size: int) -> bool:
        """Read on until `size` bytes lie ready; return whether they do. What a search after damage needs is kept."""
        while len(self._window) - self._at < size and not self._ended:
            block = self._stream.read_stored(_BLOCK)
            self._ended = not block
            is_kept = self._base <= self.start and self.position - self.start <= _KEPT
            drop = self.start - self._base if is_kept else self._at
            self._window = self._window[drop:] + block
            self._base, self._at = self._base + drop, self._at - drop
        return len(self._window) - self._at >= size
