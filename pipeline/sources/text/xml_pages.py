"""Pages of MediaWiki's XML export: from `<page>` to `</page>`. In text "<" is escaped, so that neither tag can occur in it.

What stands around pages is no document: spaces, a byte order mark, the XML declaration, `<siteinfo>`, the tags of `<mediawiki>`. Anything
else there is one, up to the next page, and so is a page without its end: broken bytes are never passed over in silence.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit

_PAGE, _PAGE_END, _SITE, _SITE_END, _WIKI, _WIKI_END = (
    np.frombuffer(tag, np.uint8)
    for tag in (b"<page>", b"</page>", b"<siteinfo>", b"</siteinfo>", b"<mediawiki", b"</mediawiki>")
)
WIDTH = len(_PAGE) + 1  # with a byte before it: a boundary at the very beginning is none


@jit
def _stands_at(data, i, end, tag):
    if i + len(tag) > end:
        return False
    for k in range(len(tag)):
        if data[i + k] != tag[k]:
            return False
    return True


@jit
def _find(data, start, end, tag):
    for i in range(start, end - len(tag) + 1):
        if data[i] == 60 and _stands_at(data, i, end, tag):
            return i
    return np.int64(-1)


@jit
def first_boundary(data, start, end):
    """Return where the first page begins that lies in `data[start:end]` up to its ">" and is not at the very beginning, or -1."""
    return _find(data, max(start, 1), end, _PAGE)


@jit
def last_boundary(data, end):
    """Return where the last page begins that lies in `data[:end]` up to its ">" and is not at the very beginning, or -1."""
    for i in range(end - len(_PAGE), 0, -1):
        if data[i] == 60 and _stands_at(data, i, end, _PAGE):
            return np.int64(i)
    return np.int64(-1)


@jit
def _is_space(byte):
    return byte == 32 or byte == 10 or byte == 13 or byte == 9


@jit
def _skip(data, start, end):
    """Return where the first document begins in `data[start:end]`, or the end."""
    i = start
    while i < end:
        if _is_space(data[i]):
            i += 1
            continue
        after = np.int64(-1)
        if i + 2 < end and data[i] == 0xEF and data[i + 1] == 0xBB and data[i + 2] == 0xBF:
            after = i + 3
        elif _stands_at(data, i, end, _SITE):
            page = _find(data, i, end, _PAGE)
            after = _find(data, i, page if page >= 0 else end, _SITE_END)
            after = after + len(_SITE_END) if after >= 0 else after
        elif _stands_at(data, i, end, _WIKI_END):
            after = i + len(_WIKI_END)
        elif _stands_at(data, i, end, _WIKI) or i + 1 < end and data[i] == 60 and data[i + 1] == 63:
            after = i + 1
            while after < end and data[after] != 62 and data[after] != 60:
                after += 1
            after = after + 1 if after < end and data[after] == 62 else np.int64(-1)
        if after < 0:
            break
        i = after
    return i


@jit
def leading(data, end):
    """Return how many bytes `data[:end]` has before its first document."""
    return _skip(data, np.int64(0), end)


@jit
def documents(data, starts, ends, limit):
    """Fill `starts` and `ends` (where they have room) with the documents of `data`; return how many there are, at most `limit`."""
    n = len(data)
    count = 0
    start = _skip(data, np.int64(0), n)
    while start < n and count < limit:
        end = _find(data, start + 1, n, _PAGE)
        end = n if end < 0 else end
        after = _find(data, start, end, _PAGE_END) if _stands_at(data, start, n, _PAGE) else np.int64(-1)
        if after >= 0:
            end = after + len(_PAGE_END)
        last = end
        while last > start and _is_space(data[last - 1]):
            last -= 1
        if count < len(starts):
            starts[count], ends[count] = start, last
        count += 1
        start = _skip(data, end, n)
    return count


def count_at_most(body: bytes) -> int:
    """Return an upper bound on the number of documents."""
    return 2 * body.count(b"<page>") + 1  # after each there may be something that is no page
