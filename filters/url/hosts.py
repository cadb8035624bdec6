"""Hosts and registered domains of URLs, a column at a time."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import idna
import polars as pl

if TYPE_CHECKING:
    from tldextract import TLDExtract

# After the scheme: user info up to the last @, the host, a port. Without a scheme, what looks like a host of several labels.
_AUTHORITY = r"^\s*(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//([^/?#\\\s]*)"
_BARE = r"^\s*((?:[^\s/?#:@.]+\.)+[^\s/?#:@.]{2,}\.?)(?:[:/?#]|\s*$)"
_HOST = r"^(?:.*@)?(\[[^\]]*\]|[^:]*)"
_ADDRESS = r"^(?:\[.*\]|[0-9.]+)$"


def hosts(urls: pl.Series) -> pl.Series:
    """Return the hosts of URLs: in lower case, in ASCII (日本語.jp is xn--wgv71a119e.jp), without user, port and final dot; null for none.

    >>> hosts(pl.Series(["https://user@WWW.Example.CO.JP:8080/a?b", "http://日本語.jp/", "mailto:a@b.jp"])).to_list()
    ['www.example.co.jp', 'xn--wgv71a119e.jp', None]
    """
    url = urls.cast(pl.String).rename("url").to_frame()
    authority = pl.coalesce(pl.col("url").str.extract(_AUTHORITY), pl.col("url").str.extract(_BARE))
    host = authority.str.extract(_HOST).str.to_lowercase().str.strip_chars_end(".")
    found = url.select(host=pl.when(host != "").then(host)).to_series()
    foreign = found.filter(found.str.contains(r"[^\x00-\x7f]|%")).unique()
    return found.replace(foreign, pl.Series([to_ascii(one) for one in foreign], dtype=pl.String)) if len(foreign) else found


def to_ascii(host: str) -> str:
    """Return a host in Punycode, or as it is where it has no such form."""
    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return host


@cache
def _suffixes() -> TLDExtract:
    """The public suffix list that tldextract carries: nothing is fetched, nothing is cached on disk."""
    from tldextract import TLDExtract  # late: requests, which comes along, takes a tenth of a second

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@lru_cache(maxsize=1 << 16)
def registered_domain(host: str) -> str:
    """Return the part of a host that somebody registered. Blogs under a shared domain (name.hatenablog.com) are each their own.

    An address, a host without a public suffix and a public suffix itself are returned whole.

    >>> registered_domain("www.example.co.jp"), registered_domain("name.hatenablog.com"), registered_domain("127.0.0.1")
    ('example.co.jp', 'name.hatenablog.com', '127.0.0.1')
    """
    return _suffixes().extract_str(host).top_domain_under_public_suffix or host


def domains(urls: pl.Series) -> pl.Series:
    """Return the registered domains of URLs, null where there is no host."""
    found = hosts(urls)
    distinct = found.drop_nulls().unique()
    return found.replace(distinct, pl.Series([registered_domain(host) for host in distinct], dtype=pl.String)).rename("domain")


def is_address(host: pl.Expr) -> pl.Expr:
    """Whether a host is an IP address."""
    return host.str.contains(_ADDRESS)
