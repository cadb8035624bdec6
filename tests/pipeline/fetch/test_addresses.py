"""Which URLs and addresses may be fetched from."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.fetch import addresses
from pipeline.fetch.addresses import is_public, parse_url
from pipeline.fetch.outcomes import FetchError
from pipeline.fetch.settings import FetchSettings

PRIVATE = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::7f00:1 100::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2600::5efe:127.0.0.1 2600::200:5efe:10.0.0.1
""".split()
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700::1111",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


def notations(address):
    """Notations of an IPv4 address that sockets take."""
    a, b, c, d = ipaddress.IPv4Address(address).packed
    n = int(ipaddress.IPv4Address(address))
    yield from (
        f"{a}.{b}.{c}.{d}",
        f"{n}",
        f"{n:#x}",
        f"0{n:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#X}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
    )
    yield from (f"{a}.{b}.{c << 8 | d}", f"{a}.{b << 16 | c << 8 | d}", f"{a}.{b}.{c}.{d}.", f"00000{a:o}.{b}.{c:#x}.{d}")
    yield from (
        f"[::ffff:{a}.{b}.{c}.{d}]",
        f"[::ffff:{a << 8 | b:x}:{c << 8 | d:x}]",
        f"[0:0:0:0:0:ffff:{a:x}{b:02x}:{c:x}{d:02x}]",
    )
    yield f"[64:ff9b::{a << 8 | b:x}:{c << 8 | d:x}]"
    yield f"[2002:{a << 8 | b:x}:{c << 8 | d:x}::1]"
    yield f"{a}.{b}.{c}.{d}".translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    yield f"{a}。{b}。{c}。{d}"


def find_refusal(host):
    try:
        parse_url(f"http://{host}/x.jpg", False)
    except FetchError as failure:
        return failure.reason
    return None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address):
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address.replace('%', '%25')}]" if ":" in address else address
    assert find_refusal(host) == "private address"
    if ":" not in address:
        for form in notations(address):
            assert find_refusal(form), form
            assert find_refusal(f"someone:word@{form}:8080"), form


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_taken(address):
    assert is_public(ipaddress.ip_address(address))
    if ":" not in address:
        assert not [form for form in notations(address) if find_refusal(form)]
        assert {parse_url(f"http://{form}/", False).raw_host for form in list(notations(address))[:10]} == {address}


@given(
    st.one_of([st.ip_addresses(network=n) for n in ("127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16")]),
    st.data(),
)
def test_no_notation_hides_a_private_address(address, data):
    assert find_refusal(data.draw(st.sampled_from(list(notations(str(address)))))) is not None


@given(st.ip_addresses(v=6))
@example(ipaddress.ip_address("::ffff:7f00:1"))
def test_ipv6_is_public_only_where_python_agrees(address):
    if is_public(address) and address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global or address.ipv4_mapped is not None


def test_names_of_private_addresses_are_refused(site, fetch_urls):
    host = f"localhost:{site.port}"
    urls = [f"http://{host}/image/1?private", f"http://someone@{host.upper()}/image/1?private", f"{site.url}/image/1?private"]
    found = fetch_urls(urls, FetchSettings())
    assert {answer.reason for answer in found.values()} == {"private address"}
    assert not site.requests["/image/1?private"]


def test_redirects_to_private_addresses_are_refused(site, fetch_urls, monkeypatch):
    # 127.0.0.2 stands for a host of the open internet.
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.2" or is_public(address))
    base = f"http://127.0.0.2:{site.port}"
    targets = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "user@127.0.0.1"]
    urls = [f"{base}/to?l=http://{target}:{site.port}/image/7?inside" for target in targets]
    found = fetch_urls([*urls, f"{base}/to?l=/image/7?outside"], FetchSettings(retries=0))
    assert found[f"{base}/to?l=/image/7?outside"].status == "success"
    assert {found[url].reason for url in urls} == {"redirect: private address", "private address"}
    assert not site.requests["/image/7?inside"]


BAD = {
    "": "bad URL",
    "images/1.jpg": "bad URL",
    "//example.com/x": "bad URL",
    "http://": "bad URL",
    "http:///x.jpg": "bad URL",
    "http://a b/x.jpg": "bad URL: host",
    "http://example.com:99999/x.jpg": "bad URL",
    "http://example.com:x/": "bad URL",
    "http://[::1/": "bad URL",
    "http://a..b/": "bad URL: host",
    "http://" + "a" * 70 + ".com/": "bad URL: host",
    "http://1.2.3.4.5/": "bad URL: not an address",
    "ftp://example.com/x.jpg": "not http or https",
    "file:///etc/passwd": "not http or https",
    "data:image/png;base64,AAAA": "not http or https",
    "javascript:alert(1)": "not http or https",
    "http://host.invalid/x.jpg": "no such host",
}


def test_bad_urls(fetch_urls):
    found = fetch_urls(list(BAD))
    for url, reason in BAD.items():
        # Without a network, names cannot be looked up at all.
        assert found[url].reason == reason or (reason == "no such host" and "no such host" in found[url].reason)


def test_urls_are_quoted_where_they_must_be_and_else_left():
    assert str(parse_url("http://日本語.jp/画像 1.png#top", False)).startswith(
        "http://xn--wgv71a119e.jp/%E7%94%BB%E5%83%8F%201.png"
    )
    assert str(parse_url("https://a.example/%7Eb/x%2Fy.jpg?s=%2B~*!", False)) == "https://a.example/%7Eb/x%2Fy.jpg?s=%2B~*!"
    assert str(parse_url(" HTTPS://User:Word@A.Example:8080/x ", False)) == "https://a.example:8080/x"
