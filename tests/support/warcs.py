"""WARCs made of records, in every layout in which they are found."""

import bz2
import gzip
import lzma
import zlib

import zstandard

GZIP, JOINED_GZIP, PLAIN, ZSTD, JOINED_ZSTD, XZ, BZIP2 = "gzip", "joined gzip", "plain", "zstd", "joined zstd", "xz", "bzip2"
LAYOUTS = (GZIP, JOINED_GZIP, PLAIN, ZSTD, JOINED_ZSTD, XZ, BZIP2)
BY_RECORD = (GZIP, ZSTD)  # each record is compressed alone
OK = b"HTTP/1.1 200 OK"


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def record(
    block, kind="response", record_id=None, url="http://example.jp/", length=None, eol=b"\r\n", version=b"WARC/1.0", **fields
):
    """Return a record. `record_id`: a number for its UUID, None for no field. `length`: what Content-Length says, "" for no field."""
    given = {
        "WARC-Type": kind,
        "WARC-Record-ID": None if record_id is None else f"<urn:uuid:{uuid(record_id)}>",
        "WARC-Date": "2024-05-01T00:00:00Z",
        "WARC-Target-URI": url,
        "Content-Type": "application/http; msgtype=response" if kind == "response" else "text/plain",
        "Content-Length": (str(len(block)) if length is None else str(length)) or None,
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [version, *(f"{name}: {value}".encode() for name, value in given.items() if value is not None)]
    return eol.join([*lines, b"", b""]) + block + 2 * eol


def http(body, *lines, status=OK, content_type="text/html; charset=UTF-8"):
    """Return an HTTP response with these header lines."""
    types = [f"Content-Type: {content_type}".encode()] if content_type else []
    return b"\r\n".join([status, *types, *lines, b"", b""]) + body


def page(number, text="本文", **fields):
    """Return a response that is a page of HTML."""
    body = f"<html><title>{number}</title><body>{text} {number}</body></html>".encode()
    return record(http(body), record_id=number, url=f"http://example.jp/{number}", **fields)


def info():
    return record(b"software: test\r\n", "warcinfo", 999_999, None, Content_Type="application/warc-fields")


def chunked(body, size=100):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def pack(records, layout=GZIP):
    """Return a WARC file of records."""
    joined = b"".join(records)
    if layout == GZIP:
        return b"".join(gzip.compress(one, 1, mtime=0) for one in records)
    if layout == ZSTD:
        return b"".join(zstandard.ZstdCompressor(1, write_checksum=True).compress(one) for one in records)
    single = {
        JOINED_GZIP: lambda raw: gzip.compress(raw, 1, mtime=0), PLAIN: bytes, JOINED_ZSTD: lambda raw: zstandard.compress(raw, 1),
        XZ: lambda raw: lzma.compress(raw, preset=0), BZIP2: bz2.compress,
    }  # fmt: skip
    return single[layout](joined)


def deflate(body, has_header):
    packer = zlib.compressobj(wbits=15 if has_header else -15)
    return packer.compress(body) + packer.flush()
