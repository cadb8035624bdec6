"""Walking a WARC once, from any place where it can be taken up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.sources.formats.members import MemberError, Members
from pipeline.sources.formats.warc import MAGIC, Record, RecordReader
from pipeline.sources.inputs import InputFile
from pipeline.sources.streams import CHUNK, Stream

MOST_RECORDS = 100_000  # in a range: memory per record bounds it, too
_PADDING = 1 << 16  # zeros at the end of a file that tapes and disks add; more of them were never written


class Unit(NamedTuple):
    """Records that are taken up together. `end`: where walking goes on after them; `locators`: where each is, as ids say it."""

    records: list[Record]
    locators: list[str]
    end: int


class Walk:
    """The records of a WARC from `start` on.

    A WARC of gzip members or zstd frames, one for every record, is taken up at a member: `start` counts bytes of the file as stored. Any
    other (plain, or compressed in one piece) is taken up at a record: `start` counts bytes of the uncompressed stream. Which it is, its
    beginning says. `damage` says what is wrong with the end of the file; what cannot be read before that is a record with a problem.
    """

    def __init__(self, file: InputFile, start: int, most: int) -> None:
        self.file, self._start, self._most = file, start, most
        self.damage: str | None = None
        self.size = start
        self._stream: Stream | None = None
        self._passed = 0  # bytes of the file as stored before `start`

    @property
    def consumed(self) -> int:
        """Bytes of the file as stored that were read from `start` on."""
        return self._stream.raw.position - self._passed if self._stream else 0

    def checksum(self) -> str | None:
        """Return the SHA-256 of the file as stored."""
        return self._stream.checksum() if self._stream else None

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def units(self) -> Iterator[Unit]:
        """Yield the records in order. Sets `damage` instead of raising."""
        try:
            is_joined = find_layout(self.file, self._most)
            self._stream = Stream(self.file)
            yield from self._joined(self._stream) if is_joined else self._members(self._stream)
        except InputError as error:
            self.damage = str(error)

    def _joined(self, stream: Stream) -> Iterator[Unit]:
        reader = RecordReader(lambda: stream.read(CHUNK), self._most, is_joined=True)
        reader.skip(self._start)
        self._passed = stream.raw.position if self._start else 0
        try:
            while (record := reader.next()) is not None:
                self.size = reader.position
                yield Unit([record], [f"{record.start:010}"], reader.position)
            self.size = reader.position
            self._tell_of_end(reader.trailing_zeros, reader.position - reader.trailing_zeros, None)
        except EOFError:
            raise InputError(
                f"{self.file.url} ends inside the record that begins at byte {self.size:,} of its content"
            ) from None

    def _members(self, stream: Stream) -> Iterator[Unit]:
        members = Members(stream, self._start, MAGIC)
        self._passed = self._start
        while True:
            start = members.position
            try:
                opened = members.open()
                if opened is None:
                    break
                start = opened
                records = self._read_member(members)
            except MemberError as error:
                end = self._skip_damaged(members, error)
                if end is None:
                    size = members.position - members.start
                    self._tell_of_end(size, members.start, None if members.only_zeros else f"no {members.name}: {error}")
                    break
                start = members.start
                problem = f"the {end - start:,} bytes from byte {start:,} of the file as stored are no {members.name}: {error}"
                records = [Record(0, "", memoryview(b""), 0, problem)]
            except EOFError:
                what = f"ends inside the {members.name} that begins at byte {members.start:,} of {members.position:,}"
                raise InputError(f"{self.file.url} {what}; the records before it could be read") from None
            # A record that does not begin its member is named by its place in it, too.
            locators = [f"{start:010}" if i == 0 else f"{start:010}+{record.start}" for i, record in enumerate(records)]
            self.size = members.position
            yield Unit(records, locators, members.position)

    def _skip_damaged(self, members: Members, error: MemberError) -> int | None:
        try:
            return members.skip_damaged()
        except MemberError as reason:
            what = f"the {members.name} that begins at byte {members.start:,} of the file as stored is damaged"
            raise InputError(f"{self.file.url}: {what} ({error}), and {reason}") from None

    def _read_member(self, members: Members) -> list[Record]:
        reader = RecordReader(members.read, self._most, is_joined=False)
        records: list[Record] = []
        size = 0
        while (record := reader.next()) is not None:
            records.append(record)
            size += len(record.data)
            if len(records) > 1 and size > 2 * self._most or len(records) > MOST_RECORDS:
                raise InputError(
                    f"{self.file.url}: the {members.name} that begins at byte {members.start:,} holds more than {len(records):,} "
                    f"records of {size:,} bytes, and the first one of the file a single record; compress it anew, "
                    "each record alone (warcio recompress)"
                )
        return records

    def _tell_of_end(self, size: int, start: int, junk: str | None) -> None:
        """Set `damage` where the file ends in junk, or in more zeros than padding has."""
        if junk or size > _PADDING:
            what = junk or "zeros, which were never written"
            self.damage = f"{self.file.url}: its last {size:,} bytes, from byte {start:,} on, are {what}"


def find_layout(file: InputFile, most: int) -> bool:
    """Return whether records are joined: not each alone in a gzip member or zstd frame. Raises InputError where this is no WARC."""
    stream = Stream(file)
    try:
        if stream.compression not in ("gzip", "zstd"):
            _check_beginning(file, stream.read(len(MAGIC) + 512))
            return True
        members = Members(stream, 0, MAGIC)
        try:
            while members.open() is not None:
                reader = RecordReader(members.read, most, is_joined=False)
                first = reader.next()
                if first is not None:
                    second = reader.next()
                    if first.problem is not None:
                        _check_beginning(file, bytes(first.data))
                    return second is not None
        except MemberError:
            return False
        except EOFError:  # the first member is all there is
            return True
        return False
    finally:
        stream.close()


def _check_beginning(file: InputFile, beginning: bytes) -> None:
    beginning = beginning.lstrip(b"\r\n")
    if not beginning or beginning.startswith(MAGIC):
        return
    if beginning.startswith(b"filedesc:"):
        raise InputError(f"{file.url} is an ARC, the format before WARC; `warcio recompress` makes a WARC of it")
    raise InputError(
        f"{file.url} is no WARC: its content begins with {beginning[:24]!r}. "
        'source.format = "text" finds out which format it has'
    )
