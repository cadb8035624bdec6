"""Finding the members of a tar by walking its headers: 512 bytes are touched per member, whatever its size.

Python's tarfile takes some 40 microseconds a member and ends without a word at a damaged header; this takes 2 and says where. Names
are never used as paths. Formats: v7, ustar, GNU (long names, sizes in base 256), pax (POSIX.1-2001, path and size).
Sparse files are told from others, not put together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from filters.kernels import jit

BLOCK = 512
SPARSE = "sparse file"  # the kind of a member that is stored without its holes
_PAX, _ENDED, _CUT, _DAMAGED, _NO_END = -1, 0, 1, 2, 3


class Member(NamedTuple):
    """`data[at:at + size]` of the tar, under a name that may say anything; `kind` "file", or what else it is (a link, a device)."""

    name: str
    at: int
    size: int
    kind: str = "file"


@jit
def _number(data, at, length):
    """A header's number: octal, or base 256 where the first bit is set; -1 where it is neither."""
    if data[at] & 0x80:
        value = np.int64(data[at] & 0x7F)
        for i in range(at + 1, at + length):
            if value >> np.int64(54):
                return np.int64(-1)
            value = (value << np.int64(8)) | np.int64(data[i])
        return value
    value, begun = np.int64(0), False
    for i in range(at, at + length):
        if data[i] == 0 or (data[i] == 32 and begun):
            break
        if data[i] == 32:
            continue
        if data[i] < 48 or data[i] > 55:
            return np.int64(-1)
        value, begun = value * 8 + np.int64(data[i] - 48), True
    return value


@jit
def _walk(data, start):
    """Headers from byte `start` on: (offsets of headers, sizes, status, where the walk ended).

    Zero blocks are passed over wherever they are, so that tars written one after the other are read to the last.
    """
    capacity = 1024
    headers, sizes = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    count, at, zeros = 0, start, False
    end = np.int64(len(data))
    while at + BLOCK <= end:
        empty = True
        for i in range(at, at + BLOCK):
            if data[i] != 0:
                empty = False
                break
        if empty:
            zeros = True
            at += BLOCK
            continue
        total, high = np.int64(256), np.int64(0)  # the checksum field counts as eight spaces
        for i in range(at, at + BLOCK):
            if i < at + 148 or i >= at + 156:
                total += np.int64(data[i])
                high += np.int64(data[i] >> 7)
        size, told = _number(data, at + 124, 12), _number(data, at + 148, 8)
        # Some old tools took bytes for signed numbers.
        if (told != total and told != total - 256 * high) or size < 0:
            return headers[:count], sizes[:count], _DAMAGED, at
        kind = data[at + 156]
        if 49 <= kind <= 54:  # links, devices, folders, pipes: no data follows, whatever the size says
            size = np.int64(0)
        if kind == 83:  # sparse: blocks that say where the rest of its pieces belong come before them, each telling of the next
            last, flag = at, 482
            while last + BLOCK <= end and data[last + flag] != 0:
                last, flag = last + BLOCK, 504
            size += last - at
        if count == capacity:
            capacity *= 2
            headers, sizes = np.concatenate((headers, headers)), np.concatenate((sizes, sizes))
        headers[count], sizes[count] = at, size
        count += 1
        zeros = False
        if at + BLOCK + size > end:
            return headers[:count], sizes[:count], _CUT, at
        at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
        if kind == 120 or kind == 103:  # pax: it may say another size for the next member, which Python has to read
            return headers[:count], sizes[:count], _PAX, at
    for i in range(at, end):  # a part of a block
        if data[i] != 0:
            zeros = False
    status = _ENDED if zeros else _NO_END
    return headers[:count], sizes[:count], status, np.int64(min(at, end))


_KINDS = {ord("0"): "file", 0: "file", ord("7"): "file", ord("1"): "hard link", ord("2"): "symbolic link", ord("3"): "device",
          ord("4"): "device", ord("5"): "folder", ord("6"): "pipe", ord("S"): SPARSE}  # fmt: skip
_OWN_SIZE = frozenset(b"123456S")  # of whose data a pax header does not say the size: they have none, or blocks before it


def _pax(record: bytes) -> dict[str, str]:
    """The key=value pairs of a pax header; what is not in the form is passed over."""
    found: dict[str, str] = {}
    while record:
        head, _, _ = record.partition(b" ")
        if not head.isdigit() or len(head) > 8 or not len(head) + 1 < int(head) <= len(record):
            break
        key, _, value = record[len(head) + 1 : int(head) - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        record = record[int(head) :]
    return found


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are a member's header, or the end of a tar without members."""
    block = np.frombuffer(head[:BLOCK], np.uint8)
    return len(block) == BLOCK and _walk(block, np.int64(0))[2] != _DAMAGED


def members(data: np.ndarray) -> tuple[list[Member], str | None]:
    """All members of a tar, in its order, and what is wrong with it (None: nothing).

    The last member of a tar that is cut short is listed with the size that its header tells.
    """
    found: list[Member] = []
    view, total = data.data, len(data)
    long_name: str | None = None
    pax: dict[str, str] = {}
    at, status, inside = 0, _PAX, ""
    while status == _PAX:
        headers, sizes, status, at = _walk(data, np.int64(at))
        for header, size in zip(headers.tolist(), sizes.tolist(), strict=True):
            kind, content = view[header + 156], header + BLOCK
            if kind in b"LKxg":
                # Of the next member; a name or a number that is longer than this is none.
                inside = "a header"
                if kind == ord("L"):
                    long_name = _text(view[content : content + min(size, 1 << 16)].tobytes())
                elif kind == ord("x"):
                    pax = _pax(view[content : content + min(size, 1 << 20)].tobytes())
                continue
            name = long_name or pax.get("GNU.sparse.name") or pax.get("path") or _text(view[header : header + 100].tobytes())
            if view[header + 345] and not long_name and "path" not in pax and view[header + 257 : header + 263] == b"ustar\0":
                name = f"{_text(view[header + 345 : header + 500].tobytes())}/{name}"
            told = pax.get("size", "")
            resized = len(told) < 19 and told.isascii() and told.isdigit() and int(told) != size and kind not in _OWN_SIZE
            if resized:
                size = int(told)
            of_kind = _KINDS.get(kind) or f"member of type {chr(kind)!r}"
            if of_kind == "file" and any(key.startswith("GNU.sparse.") for key in pax):
                of_kind = SPARSE
            found.append(Member(name, content, size, of_kind))
            inside, long_name, pax = f"the member {name!r}", None, {}
            if resized:
                at = content + -(-size // BLOCK) * BLOCK
                status = _CUT if content + size > total else _PAX
                break
    if status == _CUT:
        return found, f"ends inside {inside}, at byte {total:,}"
    if not found and (status == _DAMAGED and at == 0 or status == _NO_END and total < BLOCK):
        return found, "is not a tar"
    if status == _DAMAGED:
        return found, f"is damaged: there is no member's header at byte {int(at):,}"
    if status == _NO_END:
        return found, f"ends without a tar's end mark, at byte {total:,}: it may have been cut short"
    return found, None
