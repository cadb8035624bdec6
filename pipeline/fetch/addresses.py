"""Which URLs and addresses an image may be fetched from: http and https on the open internet."""

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

_LOOKUP_THREADS = 64
_MISSING_FOR = 300.0  # seconds for which a name that does not resolve is not asked for again


class Failure(Exception):
    """One try came to nothing; the message is the reason. `wait`: seconds for which the host wants to be left alone."""

    def __init__(self, reason: str, wait: float = 0.0, status: str = "failed_to_download") -> None:
        super().__init__(reason)
        self.reason, self.wait, self.status = reason, wait, status


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Beside what Python calls not global, the list of which grew over its versions. 168.63.129.16: Azure's metadata.
_CLOSED = [
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 "
        "2001::/23 2001:db8::/32 3fff::/20"
    ).split()
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: _Address) -> bool:
    """Whether `address` is one of the open internet, which also holds for the IPv4 address that an IPv6 one embeds."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address in _SIX_TO_FOUR and not is_public(ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)):
            return False
        if address not in _GLOBAL_UNICAST or address.scope_id is not None:
            return False
        if int(address) >> 32 & 0xFDFFFFFF == 0x5EFE and not is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)):
            return False  # ISATAP
    return address.is_global and not any(address in network for network in _CLOSED if network.version == address.version)


def literal(host: str) -> _Address | None:
    """The address that `host` is a notation of, in any that a socket takes (2130706433, 0x7f.1, 0177.0.0.1); None for a name.

    Raises Failure for what looks like an address and is none.
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
        raise Failure("bad URL: not an address")
    return None


class NotPublicError(OSError):
    """A name whose addresses are all on private networks."""


class Resolver(AbstractResolver):
    """Names to addresses of the open internet only. aiohttp connects to what is returned here, so what was checked is what is asked."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "resolve")
        self._missing: dict[str, tuple[float, OSError]] = {}

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> Any:
        when, error = self._missing.get(host, (0.0, None))
        if error is not None and time.monotonic() < when:
            raise type(error)(*error.args)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
            usable = [
                {"hostname": host, "host": str(a[0]), "port": port, "family": f, "proto": p, "flags": socket.AI_NUMERICHOST}
                for f, _, p, _, a in found
                if self._allow_private or is_public(ipaddress.ip_address(str(a[0])))
            ]
            if not usable:
                raise NotPublicError(f"{host} is on a private network")
        except UnicodeError:
            raise OSError(f"{host!r} is not a name") from None
        except OSError as error:
            if len(self._missing) > 10_000:
                self._missing.clear()
            if not isinstance(error, socket.gaierror) or error.errno != socket.EAI_AGAIN:
                self._missing[host] = time.monotonic() + _MISSING_FOR, error
            raise
        return usable

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


_PLAIN = re.compile(r"https?://[a-z0-9._-]+(:\d+)?/[^\s\"<>\\^`{|}#\x00-\x1f\x7f]*", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII | re.IGNORECASE)


def parse(text: str, allow_private: bool, base: URL | None = None) -> URL:
    """The URL to ask for: http or https, without credentials and fragment, on a public address where it names one.

    Spaces and letters beyond ASCII are quoted, host names put in IDNA; URLs that need neither stay as they stand, for some
    servers verify a signature over them. `base` is what a redirect is relative to. Raises Failure.
    """
    text = text.strip()
    try:
        url = URL(text, encoded=text.isascii() and _PLAIN.fullmatch(text) is not None)
        url = base.join(url) if base is not None else url
        host = url.raw_host
        if url.scheme and url.scheme not in ("http", "https"):
            raise Failure("not http or https")
        if not url.scheme or not host or not url.port:
            raise Failure("bad URL")
        address = literal(host)
        if address is not None:
            if not allow_private and not is_public(address):
                raise Failure("private address")
            url = url.with_host(str(address))
        elif not _NAME.fullmatch(host):
            raise Failure("bad URL: host")
        return url.with_user(None).with_fragment(None)
    except (ValueError, TypeError):
        raise Failure("bad URL") from None
