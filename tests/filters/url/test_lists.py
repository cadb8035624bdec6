"""Lists of domains: what a file may hold, and which list a URL is on."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from filters import compute
from filters.kernels import buffers
from filters.url import UrlListError, find_list, read_list, shipped_list
from filters.url.lists import SHIPPED, parse_entries

URLS = ["https://www.bad.example/x", "http://badexample/", "http://notbad.example.org/", "http://sub.good.bad.example/", None]


def write(tmp_path, text, name="mine.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def is_on(path, *urls):
    return [name is not None for name in find_list(pl.Series(urls, dtype=pl.String), [read_list(path)])]


@pytest.mark.parametrize(
    ("entry", "on", "off"),
    [
        ("example.com", ["http://example.com/", "https://a.b.example.com:80/x", "HTTP://EXAMPLE.COM"], ["http://notexample.com/", "http://com/"]),
        ("EXAMPLE.com.  # a comment", ["http://example.com/"], []),
        ("https://example.com/", ["http://example.com/x"], ["http://example.org/"]),
        ("*.example.com", ["http://a.example.com/", "http://example.com/"], []),
        (".example.com", ["http://a.example.com/"], []),
        ("*.xxx", ["http://a.xxx/"], ["http://xxx.org/"]),
        ("0.0.0.0 example.com", ["http://example.com/"], ["http://0.0.0.0/"]),
        ("127.0.0.1\texample.com # ads", ["http://example.com/"], []),
        ("日本語.jp", ["http://日本語.jp/", "http://xn--wgv71a119e.jp/"], []),
        ("192.168.0.1", ["http://192.168.0.1/"], ["http://0.1/", "http://1.192.168.0.1.nip.io/"]),
        ("example.com/blog", ["http://example.com/blog", "http://www.example.com/blog?x"], ["http://example.com/blogs", "http://example.com/"]),
        ("example.com/blog/", ["http://example.com/blog/1/2#c"], ["http://example.com/blog1"]),
        ("example.com/view?id=3", ["http://example.com/view?id=3&p=2"], ["http://example.com/view?id=33", "http://example.com/view"]),
        ("*kasino*", ["http://big-kasino77.com/"], ["http://example.com/kasino"]),
    ],
)  # fmt: skip
def test_entries(tmp_path, entry, on, off):
    path = write(tmp_path, f"# a list\n\n{entry}\n")
    assert is_on(path, *on, *off) == [True] * len(on) + [False] * len(off)


def test_hosts_files_name_the_machine_itself_too(tmp_path):
    text = "127.0.0.1 localhost\n255.255.255.255 broadcasthost\n::1 localhost\nfe80::1%lo0 localhost\n0.0.0.0 ads.example\n"
    assert is_on(write(tmp_path, text), "http://ads.example/", "http://localhost/") == [True, False]


@pytest.mark.parametrize("name", ["list.txt", "domains", "list.txt.gz", "domains.gz"])
def test_files_may_be_compressed(tmp_path, name):
    data = b"\xef\xbb\xbfexample.com\r\nexample.org\r\n"
    path = write(tmp_path, gzip.compress(data) if name.endswith("gz") else data, name)
    assert is_on(path, "http://example.com/", "http://example.org/") == [True, True]
    assert read_list(path).name == name.partition(".")[0]


def test_the_first_list_names_a_url_and_an_allowed_one_is_on_none(tmp_path):
    first, second = (read_list(write(tmp_path, "bad.example\n", f"{name}.txt")) for name in ("first", "second"))
    allowed = read_list(write(tmp_path, "good.bad.example\n", "allowed.txt"))
    urls = pl.Series(URLS, dtype=pl.String)
    assert find_list(urls, [first, second]).to_list() == ["first", None, None, "first", None]
    assert find_list(urls, [second, first], [allowed]).to_list() == ["second", None, None, None, None]
    assert find_list(urls, []).to_list() == [None] * 5
    assert find_list(urls.clear(), [first]).to_list() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("example.com\nnot a domain\n", "line 2 ('not a domain'): neither a domain"),
        ("||ads.example^\n", "line 1 ('||ads.example^')"),
        ("com\n*ab*\n-\n!\n", "line 1 ('com'), line 2 ('*ab*'), line 3 ('-') and 1 more"),
        ("# nothing\n\n", "has no entries"),
        ("", "has no entries"),
        ("127.0.0.1 localhost\n", "has no entries"),
        (b"example.com\n\xff\xfe\n", "line 2 is not UTF-8"),
        (gzip.compress(b"example.com\n" * 99, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_what_is_no_list_is_told(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UrlListError) as error:
        read_list(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UrlListError, match=r"none\.txt cannot be read: No such file or directory"):
        read_list(tmp_path / "none.txt")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_lists_hit_what_they_are_for_and_nothing_ordinary(name):
    listed = [shipped_list(name)]
    bad = {
        "adult": ["https://jp.xhamster.com/", "https://www.dmm.co.jp/digital/"],
        "spam": ["https://sedo.com/search", "http://best-onlinecasino.tk/"],
    }
    ordinary = [
        "https://www.essex.ac.uk/", "https://www.yahoo.co.jp/", "https://ja.wikipedia.org/wiki/ポルノ", "https://www.dmm.com/", "https://pornic.fr/",
        "https://name.hatenablog.com/", "https://www.adultlearning.org/", "https://analysis.example.com/", "https://www.city.kobe.lg.jp/",
        "https://blog.fc2.com/", "https://www.expertsexchange.com/",
    ]  # fmt: skip
    assert find_list(pl.Series(bad[name]), listed).to_list() == [name, name]
    assert find_list(pl.Series(ordinary), listed).null_count() == len(ordinary)


def test_the_measure():
    urls = pl.Series(URLS, dtype=pl.String)
    data, offsets = buffers(pl.Series([""] * len(urls)))
    listed = find_list(urls, [shipped_list("adult")]).to_numpy().astype(object)
    assert compute(data, offsets, ["url_list"], {"url_list": listed})["url_list"].to_list() == ["none"] * 5


def test_entries_by_kind():
    entries = parse_entries("a.example\na.example/b/\n*wort*\na.example\n", "list")
    assert [column.to_list() for column in entries] == [["a.example"], ["a.example/b"], ["wort"]]
