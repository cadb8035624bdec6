"""Byte streams: local files and anything fsspec opens, compressed or not, read once from the beginning to the end."""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import time
from collections.abc import Callable
from typing import IO, Any, cast

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor

from pipeline.core.errors import BuildError, ChangedInputError, InputError
from pipeline.sources.inputs import InputFile, is_url, make_change_error, open_remote

CHUNK = 4 << 20
_RETRIES = 6  # with 0.5, 1, 2 … s between: half a minute of a server being away
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
)
_MAGIC += tuple((bytes([0x50 + i]) + b"\x2a\x4d\x18", "zstd") for i in range(16))  # skippable frames, which pzstd begins with


class ResumingReader(io.RawIOBase):
    """A remote file read forwards; a connection that breaks is opened again where it broke, if the file is still the same version."""

    def __init__(self, file: InputFile, start: int = 0) -> None:
        self.file, self.position = file, start
        self._opened: Any = None
        self._size = file.size

    def readable(self) -> bool:
        return True

    def _open(self) -> Any:
        file = open_remote(self.file, block_size=CHUNK, cache_type="readahead")
        size = getattr(file, "size", None)
        if self._size is not None and size is not None and size != self._size:
            raise make_change_error(self.file, f"from {self._size:,} to {size:,} bytes")
        self._size = size if size is not None else self._size
        if self.position:
            try:
                file.seek(self.position)
            except (ValueError, OSError):
                # No ranges on that server: read up to where we were.
                left = self.position
                while left:
                    block = file.read(min(left, CHUNK))
                    if not block:
                        raise OSError("the file ended before the position that was reached already") from None
                    left -= len(block)
        return file

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        for attempt in range(_RETRIES + 1):
            try:
                if self._opened is None:
                    self._opened = self._open()
                block = self._opened.read(len(view))
                if not block and self._size is not None and self.position < self._size:
                    raise OSError(f"the connection ended at byte {self.position} of {self._size}")
                view[: len(block)] = block
                self.position += len(block)
                return len(block)
            except (InputError, ChangedInputError):
                raise
            except Exception as error:
                if type(error).__name__ == "FileExpired":  # what s3fs says of an object with another ETag
                    raise make_change_error(self.file) from None
                self._opened = None
                if attempt == _RETRIES:
                    raise BuildError(
                        f"{self.file.shown_url}: reading broke off at byte {self.position:,} and {_RETRIES} more tries failed "
                        f"({type(error).__name__}: {error}). Run the same command again to go on."
                    ) from None
                time.sleep(0.5 * 2**attempt)
        return 0


class _Hashing(io.RawIOBase):
    """Passes reads through and keeps the SHA-256 of what went by."""

    def __init__(self, inner: IO[bytes]) -> None:
        self.inner, self.sha256, self.position = inner, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        count = cast(Any, self.inner).readinto(view)
        self.sha256.update(view[:count])
        self.position += count
        return count


class _Members(io.RawIOBase):
    """Compressed streams (gzip, xz, bzip2) or frames (zstd) one after the other, as the tools that write them concatenate them.

    The standard library's readers take whatever follows the first stream and does not decode for the end of the file; here it is
    damage. `new` makes a decoder with `decompress`, `eof` and `unused_data`; `bounded` says that it also takes a largest output.
    `block`: bytes that are decoded at a time.
    """

    def __init__(self, inner: IO[bytes], new: Callable[[], Any], bounded: bool, padding: bool, block: int = 1 << 16) -> None:
        self._inner, self._new, self._bounded, self._padding, self._block_size = inner, new, bounded, padding, block
        self._decoder, self._fresh = new(), True  # fresh: no byte of the current stream has been read
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def _block(self) -> bytes:
        return self._inner.read(self._block_size)

    def read1(self, size: int) -> bytes:
        while not self._ready:
            if self._decoder.eof:
                block = self._decoder.unused_data or self._block()
                self._decoder, self._fresh = self._new(), True
                while self._padding and block and not block.strip(b"\0"):
                    block = self._block()
                block = block.lstrip(b"\0") if self._padding else block
            elif self._bounded and not self._decoder.needs_input:
                block = b""
            else:
                block = self._block()
            if not block and (not self._bounded or self._decoder.needs_input):
                if not self._fresh:
                    raise EOFError("the last stream is not whole")
                return b""
            self._fresh = False
            out = self._decoder.decompress(block, CHUNK) if self._bounded else self._decoder.decompress(block)
            self._ready = memoryview(out)
        taken, self._ready = self._ready[:size], self._ready[size:]
        return bytes(taken)


def compression(head: bytes) -> str | None:
    """What the first eight bytes of a file say about its compression."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


class Stream:
    """The uncompressed bytes of an input file, read once and in order.

    Compression is told by the first bytes, not by the name: xz, gzip, zstd and bzip2, several streams one after the other
    included. `read` raises InputError at damage or a premature end, saying how far it got.
    """

    def __init__(self, file: InputFile) -> None:
        self.file = file
        inner: Any = ResumingReader(file) if is_url(file.url) else open(file.url, "rb", buffering=0)
        self.raw = _Hashing(inner)
        buffered = io.BufferedReader(self.raw, 1 << 20)
        self.compression = compression(buffered.peek(8)[:8])
        self._body: Any = buffered
        if self.compression == "xz":
            self._body = _Members(buffered, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), bounded=True, padding=True)
        elif self.compression == "gzip":
            # What a decoder has made of a block when it meets damage is lost, so that blocks are small.
            self._body = _Members(
                buffered, lambda: IgzipDecompressor(flag=DECOMP_GZIP), bounded=True, padding=True, block=1 << 13
            )
        elif self.compression == "bzip2":
            self._body = _Members(buffered, bz2.BZ2Decompressor, bounded=True, padding=False)
        elif self.compression == "zstd":
            import zstandard

            decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31)
            # Small blocks, since the output has no bound: zstd expands up to 32,000 times.
            self._body = _Members(buffered, decoder.decompressobj, bounded=False, padding=False, block=1 << 12)
        self._buffered = buffered
        self.position = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        try:
            # One block of the decoder at a time: `read` would throw away what it has where the next block is damaged.
            block = self._body.read1(size)
        except (EOFError, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._damaged(error) from None
        except Exception as error:
            if type(error).__name__ in ("IsalError", "ZstdError"):
                raise self._damaged(error) from None
            raise
        self.position += len(block)
        return block

    def seek(self, offset: int) -> None:
        """Go on at a byte of a local file that is not compressed. Its checksum is not known any more."""
        self._buffered.detach()  # of what it has read ahead
        self.raw.inner.seek(offset)
        self._body = self._buffered = io.BufferedReader(self.raw, 1 << 20)
        self.position = offset

    def skip_to(self, offset: int) -> None:
        """Read on to a byte of the uncompressed stream, or to its end."""
        while self.position < offset and self.read(min(CHUNK, offset - self.position)):
            pass

    def read_stored(self, size: int) -> bytes:
        """Up to `size` bytes of the file as stored, b"" at the end; for who decodes it instead of `read`."""
        return self._buffered.read1(size)

    def _damaged(self, error: Exception) -> InputError:
        kind = "ends too early" if isinstance(error, EOFError) else f"is damaged ({error})"
        return InputError(
            f"{self.file.shown_url} {kind}: {self.position:,} bytes of text could be read from "
            f"{self.raw.position:,} bytes of {self.compression}"
        )

    def checksum(self) -> str:
        """SHA-256 of the file as stored; reads what the decoder left unread. Raises ChangedInputError at another size."""
        while self._buffered.read(CHUNK):
            pass
        if self.file.size is not None and self.raw.position != self.file.size:
            raise make_change_error(self.file, f"from {self.file.size:,} to {self.raw.position:,} bytes")
        return self.raw.sha256.hexdigest()

    def close(self) -> None:
        self._buffered.close()


def checksum(file: InputFile) -> str:
    """SHA-256 of a file as stored."""
    stream = Stream(file)
    try:
        return stream.checksum()
    finally:
        stream.close()
