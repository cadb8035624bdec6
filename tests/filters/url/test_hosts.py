"""Hosts and registered domains."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.url import domains, hosts


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://www.example.co.jp/a?b#c", "www.example.co.jp", "example.co.jp"),
        ("HTTP://User:Pass@WWW.Example.COM:8080", "www.example.com", "example.com"),
        ("http://a@b@example.com/", "example.com", "example.com"),
        ("//cdn.example.org/x", "cdn.example.org", "example.org"),
        ("example.org/path", "example.org", "example.org"),
        ("www.example.org", "www.example.org", "example.org"),
        ("http://example.com./", "example.com", "example.com"),
        ("http://日本語.jp/", "xn--wgv71a119e.jp", "xn--wgv71a119e.jp"),
        ("http://xn--wgv71a119e.jp/", "xn--wgv71a119e.jp", "xn--wgv71a119e.jp"),
        ("http://BÜCHER.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://name.hatenablog.com/entry", "name.hatenablog.com", "name.hatenablog.com"),
        ("http://name.github.io/", "name.github.io", "name.github.io"),
        ("http://a.b.city.shibuya.tokyo.jp/", "a.b.city.shibuya.tokyo.jp", "city.shibuya.tokyo.jp"),
        ("http://192.168.0.1:80/", "192.168.0.1", "192.168.0.1"),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]", "[2001:db8::1]"),
        ("http://localhost/", "localhost", "localhost"),
        ("http://co.jp/", "co.jp", "co.jp"),
        ("ftp://ftp.example.com/file", "ftp.example.com", "example.com"),
        (" https://example.com/ ", "example.com", "example.com"),
        ("https://example.com?q=http://other.org/", "example.com", "example.com"),
        ("mailto:a@example.com", None, None),
        ("data:text/html,//example.com", None, None),
        ("/relative/path", None, None),
        ("http:///path", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_host_and_domain(url, host, domain):
    urls = pl.Series([url], dtype=pl.String)
    assert hosts(urls).to_list() == [host]
    assert domains(urls).to_list() == [domain]


def test_a_column_keeps_its_order():
    urls = pl.Series(["http://b.a.com/", None, "http://c.a.com/", "http://日本語.jp/", "http://b.a.com/x"])
    assert domains(urls).to_list() == ["a.com", None, "a.com", "xn--wgv71a119e.jp", "a.com"]
    assert domains(pl.Series([], dtype=pl.String)).to_list() == []
    assert domains(pl.Series([None, None])).to_list() == [None, None]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40) | st.text(max_size=20).map("https://{}".format), max_size=5))
def test_anything_is_a_url_to_somebody(urls):
    column = pl.Series(urls, dtype=pl.String)
    found, registered = hosts(column).to_list(), domains(column).to_list()
    assert len(found) == len(registered) == len(urls)
    assert all(host is None or (host and host.endswith(domain)) for host, domain in zip(found, registered))
