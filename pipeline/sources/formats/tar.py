"""Members of a tar, found by walking its headers: 512 bytes are touched per member, whatever its size.

The standard library parses a header; the walk is ours. Python's `tarfile` ends without a word at a damaged header, reads pax headers of
any size into memory, and takes what is no number for the size 0. This walk says where a tar is damaged or cut, reads at most a megabyte
of a pax header, extracts nothing and opens no path. Sparse files are told from others, not put together.
"""

from __future__ import annotations

import mmap
import tarfile
from pathlib import Path
from typing import NamedTuple

from pipeline.sources.names import decode_name

BLOCK = 512
_ZEROS = bytes(BLOCK)
SPARSE = "sparse file"  # the kind of a member that is stored without its holes
_LONGEST_NAME, _LONGEST_PAX = 1 << 16, 1 << 20  # bytes; what is beyond is not read
_LARGEST = 1 << 62  # bytes of a member: a size must fit into 64 bits

_KINDS = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "symbolic link", tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.DIRTYPE: "folder",
    tarfile.FIFOTYPE: "pipe", tarfile.GNUTYPE_SPARSE: SPARSE,
}  # fmt: skip
_WITHOUT_DATA = {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
_OWN_SIZE = _WITHOUT_DATA | {tarfile.GNUTYPE_SPARSE}  # whose size no pax header changes
_ABOUT_NEXT = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE}


class Member(NamedTuple):
    """`size` bytes at `offset` of the tar, under a name that may say anything; `kind` is "file", or what else it is (a link, a device).

    In the name bytes that are not UTF-8 are surrogates: names differ where their bytes do (see `pipeline.sources.names`).
    """

    name: str
    offset: int
    size: int
    kind: str = "file"


def map_tar(path: Path) -> memoryview:
    """Return the bytes of a file, mapped into memory."""
    with open(path, "rb") as file:
        empty = not path.stat().st_size  # which cannot be mapped
        return memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def is_tar(head: bytes) -> bool:
    """Return whether the first 512 bytes of a file are a member's header, or the end of a tar without members."""
    try:
        return head[:BLOCK] == _ZEROS or bool(_parse_header(head[:BLOCK]))
    except tarfile.HeaderError:
        return False


def list_members(data: memoryview) -> tuple[list[Member], str | None]:
    """Return the members of a tar in its order, and what is wrong with it (None: nothing).

    Tars that were written one after the other are read to the last. The last member of a tar that is cut short is listed with the size
    that its header says.
    """
    members: list[Member] = []
    total, offset, ended = len(data), 0, False
    long_name: str | None = None
    pax: dict[str, str] = {}
    while offset + BLOCK <= total:
        block = bytes(data[offset : offset + BLOCK])
        if block == _ZEROS:  # the end of a tar, which another may follow
            offset, ended = offset + BLOCK, True
            continue
        try:
            header = _parse_header(block)
        except tarfile.HeaderError:
            if not members and offset == 0:
                return [], "is not a tar"
            return members, f"is damaged: there is no member's header at byte {offset:,}"
        content, ended = offset + BLOCK, False
        size = _stored_size(header, block, data, content)
        if header.type in _ABOUT_NEXT:
            if header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = _text(bytes(data[content : content + min(size, _LONGEST_NAME)]))
            elif header.type == tarfile.XHDTYPE:
                pax = _parse_pax(bytes(data[content : content + min(size, _LONGEST_PAX)]))
            described = "a header"
        else:
            name = long_name or pax.get("GNU.sparse.name") or pax.get("path") or header.name
            size = _pax_size(pax, header, size)
            is_sparse = any(key.startswith("GNU.sparse.") for key in pax)
            kind = _KINDS.get(header.type) or f"member of type {header.type.decode('latin-1')!r}"
            members.append(Member(name, content, size, SPARSE if kind == "file" and is_sparse else kind))
            described, long_name, pax = f"the member {decode_name(name)!r}", None, {}
        if content + size > total:
            return members, f"ends inside {described}, at byte {total:,}"
        offset = content + _round_up(size)
    if ended and not any(data[offset:]):
        return members, None
    if not members and total < BLOCK:
        return [], "is not a tar"
    return members, f"ends without a tar's end mark, at byte {total:,}: it may have been cut short"


def _round_up(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _parse_header(block: bytes) -> tarfile.TarInfo:
    """Return what a header says. Raises tarfile.HeaderError where it is none."""
    header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if not 0 <= header.size < _LARGEST:
        raise tarfile.HeaderError("the size is no size")
    if block[257:263] != b"ustar\0":  # others keep something else where ustar has the beginning of the name, such as times
        header.name = _text(block[:100])
    return header


def _stored_size(header: tarfile.TarInfo, block: bytes, data: memoryview, content: int) -> int:
    """Return the bytes of a member in the tar: none, its size, or for a sparse one also the blocks that list its pieces."""
    if header.type in _WITHOUT_DATA:
        return 0
    if header.type != tarfile.GNUTYPE_SPARSE:
        return header.size
    last, continued = content - BLOCK, 482  # each of these blocks says at its end whether another follows
    while last + BLOCK <= len(data) and data[last + continued]:
        last, continued = last + BLOCK, 504
    return header.size + last + BLOCK - content


def _pax_size(pax: dict[str, str], header: tarfile.TarInfo, size: int) -> int:
    """Return the size that a pax header gives a member, where it gives one and the member can have it."""
    value = pax.get("size", "")
    is_size = len(value) < 19 and value.isascii() and value.isdigit()
    return int(value) if is_size and header.type not in _OWN_SIZE else size


def _parse_pax(record: bytes) -> dict[str, str]:
    """Return the key=value pairs of a pax header; what is not in the form is passed over.

    `tarfile` has a parser that only works as it reads a whole tar, and takes a size that is no number for 0.
    """
    pairs: dict[str, str] = {}
    while record:
        head, _, _ = record.partition(b" ")
        if not head.isdigit() or len(head) > 8 or not len(head) + 1 < int(head) <= len(record):
            break
        key, _, value = record[len(head) + 1 : int(head) - 1].partition(b"=")
        pairs[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        record = record[int(head) :]
    return pairs
