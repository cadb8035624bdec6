"""Limits of what is parsed as HTML: a hostile page is refused before it costs minutes or gigabytes.

Parsers look through all open elements at many tags, and through all attributes of a tag at each further one, so that time grows with the
square of both. One pass over the bytes, which reads tags as a tokenizer does, counts them beforehand.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit

MAX_PAGE = 16 << 20  # bytes; a tree takes up to fifty times as much memory. Common Crawl cuts pages at 5 MiB
MAX_TAGS = 500_000
MAX_DEPTH = 5_000  # open elements; browsers stop nesting at 512
MAX_ATTRIBUTES = 5_000  # of one tag
MAX_STEPS = 300_000_000  # tags times the elements open at each: a second of work

# Where in a tag a byte stands.
_BETWEEN, _NAME, _BEFORE_VALUE, _QUOTED, _UNQUOTED = range(5)


def _pack(name: str) -> int:
    """The first eight letters of a tag's name as one number."""
    return int.from_bytes(name[:8].encode().ljust(8, b"\0"), "big")


def _packed(names: str) -> np.ndarray:
    return np.array(sorted(_pack(name) for name in names.split()), np.uint64)


# Elements that never stay open, or that the next of their kind closes.
_UNNESTED = _packed(
    "area base br col embed hr img input link meta param source track wbr a p li dt dd option optgroup tr td th thead tbody tfoot "
    "colgroup caption rb rp rt rtc html head body frame"
)
# Elements in which tags are text.
_RAW = _packed("script style title textarea xmp iframe noembed noframes")
_PLAINTEXT = np.uint64(_pack("plaintext"))


@jit
def _contains(names, name):
    place = np.searchsorted(names, name)
    return place < len(names) and names[place] == name


@jit
def _read_name(data, i):
    """The tag's name at byte `i`, packed, and the index after it."""
    name, n = np.uint64(0), 0
    while i < len(data):
        byte = data[i]
        if byte <= 0x20 or byte == 0x2F or byte == 0x3E:
            break
        if n < 8:
            letter = byte | np.uint8(0x20) if 0x41 <= byte <= 0x5A else byte
            name = (name << np.uint64(8)) | np.uint64(letter)
        n += 1
        i += 1
    if n < 8:
        name = name << np.uint64(8 * (8 - n))
    return name, i


@jit
def _count_attributes(data, i):
    """Attributes of the tag that goes on at byte `i`, and the index after its `>`."""
    attributes, state, quote = 0, _BETWEEN, np.uint8(0)
    while i < len(data):
        byte = data[i]
        i += 1
        if state == _QUOTED:
            if byte == quote:
                state = _BETWEEN
        elif byte == 0x3E:
            break
        elif byte <= 0x20:
            if state != _BEFORE_VALUE:
                state = _BETWEEN
        elif state == _BEFORE_VALUE:
            quote = byte
            state = _QUOTED if byte == 0x22 or byte == 0x27 else _UNQUOTED
        elif state != _UNQUOTED:
            if byte == 0x3D:
                state = _BEFORE_VALUE
            elif byte == 0x2F:
                state = _BETWEEN
            elif state == _BETWEEN:
                state = _NAME
                attributes += 1
    return attributes, i


@jit
def _skip_raw(data, i, name):
    """The index of the end tag of a raw element, or of the end of the data."""
    while i + 2 < len(data):
        if data[i] == 0x3C and data[i + 1] == 0x2F:
            if _read_name(data, i + 2)[0] == name:
                return i
        i += 1
    return len(data)


@jit
def _survey(data, unnested, raw, plaintext):
    """Tags, the most elements open at once, the most attributes of a tag, and open elements summed over all tags."""
    tags, depth, deepest, attributes, steps = 0, 0, 0, 0, 0
    i, n = 0, len(data)
    while i + 1 < n:
        if data[i] != 0x3C:
            i += 1
            continue
        byte = data[i + 1]
        if 0x41 <= (byte & 0xDF) <= 0x5A:
            name, i = _read_name(data, i + 1)
            found, i = _count_attributes(data, i)
            attributes = max(attributes, found)
            tags += 1
            steps += depth
            if name == plaintext:
                break
            if _contains(raw, name):
                i = _skip_raw(data, i, name)
            elif not _contains(unnested, name):
                depth += 1
                deepest = max(deepest, depth)
        elif byte == 0x2F:
            name, i = _read_name(data, i + 2)
            steps += depth
            tags += 1
            if depth and not _contains(unnested, name):
                depth -= 1
        elif byte == 0x21 and i + 3 < n and data[i + 2] == 0x2D and data[i + 3] == 0x2D:
            i += 4
            while i + 2 < n and not (data[i] == 0x2D and data[i + 1] == 0x2D and data[i + 2] == 0x3E):
                i += 1
        else:
            i += 1
    return tags, deepest, attributes, steps


def find_excess(data: bytes | memoryview) -> str | None:
    """Return which limit a page exceeds, in words, or None."""
    if len(data) > MAX_PAGE:
        return f"the page has {len(data):,} bytes, more than {MAX_PAGE:,}"
    tags, depth, attributes, steps = _survey(np.frombuffer(data, np.uint8), _UNNESTED, _RAW, _PLAINTEXT)
    if depth > MAX_DEPTH:
        return f"{depth:,} elements are nested in one another, more than {MAX_DEPTH:,}"
    if tags > MAX_TAGS:
        return f"the page has {tags:,} tags, more than {MAX_TAGS:,}"
    if attributes > MAX_ATTRIBUTES:
        return f"a tag has {attributes:,} attributes, more than {MAX_ATTRIBUTES:,}"
    if steps > MAX_STEPS:
        return f"{tags:,} tags are nested too deeply to be parsed in a second ({steps / tags:,.0f} open elements at a tag)"
    return None
