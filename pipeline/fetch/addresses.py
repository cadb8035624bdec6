"""Which URLs and addresses an image may be fetched from: http and https on the open internet.

This guard against server-side request forgery is ours because the check must sit in aiohttp's resolver, so that the address that was
checked is the one that is connected to, and it must see through every notation of an address. We found no maintained library for that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver
from yarl import URL

from pipeline.fetch.outcomes import PRIVATE_ADDRESS, FetchError

_LOOKUP_THREADS = 64
_NEGATIVE_CACHE_SECONDS = 300.0  # a name that does not resolve is not looked up again for so long
_NEGATIVE_CACHE_SIZE = 10_000

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Python's own list of what is not global grew over its versions. 168.63.129.16 is Azure's metadata service.
_RESERVED_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 "
        "2001::/23 2001:db8::/32 3fff::/20"
    ).split()
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: _Address) -> bool:
    """Return whether `address` is on the open internet. An IPv4 address that an IPv6 address embeds must be so, too."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address in _SIX_TO_FOUR and not is_public(ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)):
            return False
        if address not in _GLOBAL_UNICAST or address.scope_id is not None:
            return False
        is_isatap = int(address) >> 32 & 0xFDFFFFFF == 0x5EFE
        if is_isatap and not is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)):
            return False
    return address.is_global and not any(
        address in network for network in _RESERVED_NETWORKS if network.version == address.version
    )


def parse_address(host: str) -> _Address | None:
    """Return the address that `host` denotes in any notation that a socket takes (2130706433, 0x7f.1, 0177.0.0.1); None for a name.

    Raises FetchError where it looks like an address and is none.
    """
    host = host.rstrip(".")
    try:
        return ipaddress.ip_address(host.replace("%25", "%"))
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        pass
    if ":" in host or host.replace(".", "").isdigit():
        raise FetchError("bad URL: not an address")
    return None


class NotPublicError(OSError):
    """A name whose addresses are all on private networks."""


class PublicResolver(AbstractResolver):
    """Resolve names to addresses of the open internet only, or to all addresses with `allow_private`.

    aiohttp connects to the addresses returned here, so no second look-up can give another answer.
    """

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "resolve")
        self._failed: dict[str, tuple[float, OSError]] = {}  # by name: until when, and the error

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> Any:
        expires, earlier = self._failed.get(host, (0.0, None))
        if earlier is not None and time.monotonic() < expires:
            raise type(earlier)(*earlier.args)
        loop = asyncio.get_running_loop()
        try:
            infos = await loop.run_in_executor(self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
            usable = [
                {
                    "hostname": host,
                    "host": str(address[0]),
                    "port": port,
                    "family": family,
                    "proto": protocol,
                    "flags": socket.AI_NUMERICHOST,
                }
                for family, _, protocol, _, address in infos
                if self._allow_private or is_public(ipaddress.ip_address(str(address[0])))
            ]
            if not usable:
                raise NotPublicError(f"{host} is on a private network")
        except UnicodeError:
            raise OSError(f"{host!r} is not a name") from None
        except OSError as error:
            if len(self._failed) > _NEGATIVE_CACHE_SIZE:
                self._failed.clear()
            if not isinstance(error, socket.gaierror) or error.errno != socket.EAI_AGAIN:
                self._failed[host] = time.monotonic() + _NEGATIVE_CACHE_SECONDS, error
            raise
        return usable

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


_NEEDS_NO_QUOTING = re.compile(r"https?://[a-z0-9._-]+(:\d+)?/[^\s\"<>\\^`{|}#\x00-\x1f\x7f]*", re.ASCII)
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII | re.IGNORECASE)


def parse_url(text: str, allow_private: bool, base: URL | None = None) -> URL:
    """Return the URL to request: http or https, without credentials and fragment; a host that is an address must be public.

    Spaces and letters beyond ASCII are quoted, host names are put in IDNA. A URL that needs neither stays as it is, since some
    servers verify a signature over it. A redirect is relative to `base`. Raises FetchError.
    """
    text = text.strip()
    try:
        url = URL(text, encoded=text.isascii() and _NEEDS_NO_QUOTING.fullmatch(text) is not None)
        url = base.join(url) if base is not None else url
        host = url.raw_host
        if url.scheme and url.scheme not in ("http", "https"):
            raise FetchError("not http or https")
        if not url.scheme or not host or not url.port:
            raise FetchError("bad URL")
        address = parse_address(host)
        if address is not None:
            if not allow_private and not is_public(address):
                raise FetchError(PRIVATE_ADDRESS)
            url = url.with_host(str(address))
        elif not _HOST_NAME.fullmatch(host):
            raise FetchError("bad URL: host")
        return url.with_user(None).with_fragment(None)
    except (ValueError, TypeError):
        raise FetchError("bad URL") from None
