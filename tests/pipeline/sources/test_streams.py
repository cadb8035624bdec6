import bz2
import gzip
import hashlib
import lzma
import random

import pytest
import zstandard
from rich.console import Console

from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.fetch.download import download
from pipeline.sources import streams as stream
from pipeline.sources.inputs import resolve
from pipeline.sources.streams import Stream

TEXT = "".join(f"{i} 行目の文である。\n" for i in range(60_000)).encode()
COMPRESSED = {
    "xz": lzma.compress(TEXT, preset=0),
    "gzip": gzip.compress(TEXT, 1),
    "zstd": zstandard.compress(TEXT),
    "bzip2": bz2.compress(TEXT, 1),
    None: TEXT,
}
AGAIN = {
    "xz": lzma.compress("続き\n".encode()),
    "gzip": gzip.compress("続き\n".encode()),
    "zstd": zstandard.compress("続き\n".encode()),
    "bzip2": bz2.compress("続き\n".encode()),
    None: "続き\n".encode(),
}
KINDS = [*COMPRESSED]
PACKED = [kind for kind in KINDS if kind]
NOISE = random.Random(1).randbytes(10_000_000)


def file_of(path, content):
    path.write_bytes(content)
    return resolve([str(path)])[0]


def all_of(reader, size=100_003):
    """What can be read, and the error that ended it."""
    pieces = []
    try:
        while piece := reader.read(size):
            pieces.append(piece)
    except InputError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.bin"])
def test_compression_is_told_by_content(tmp_path, kind, name):
    reader = Stream(file_of(tmp_path / name, COMPRESSED[kind]))
    found, error = all_of(reader)
    assert reader.compression == kind
    assert (found, error) == (TEXT, None)
    assert reader.position == len(TEXT)
    assert reader.checksum() == hashlib.sha256(COMPRESSED[kind]).hexdigest()
    reader.close()


@pytest.mark.parametrize("kind", KINDS)
def test_several_members_one_after_the_other(tmp_path, kind):
    found, error = all_of(Stream(file_of(tmp_path / "a", COMPRESSED[kind] + AGAIN[kind] + AGAIN[kind])))
    assert error is None
    assert found == TEXT + 2 * "続き\n".encode()


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("size", [100_003, stream.CHUNK])
def test_truncation_keeps_what_can_be_read_and_says_how_far(tmp_path, kind, size):
    cut = COMPRESSED[kind][: len(COMPRESSED[kind]) * 2 // 3]
    found, error = all_of(Stream(file_of(tmp_path / "a", cut)), size)
    assert TEXT.startswith(found)
    # A block of the codec may be lost, all that came before it not.
    assert len(found) > len(TEXT) / 3
    assert "ends too early" in str(error)
    assert f"{len(found):,} bytes of text" in str(error)
    assert f"{len(cut):,} bytes of {kind}" in str(error)


@pytest.mark.parametrize("kind", PACKED)
def test_truncation_between_two_members_is_seen_where_it_can_be(tmp_path, kind):
    found, error = all_of(Stream(file_of(tmp_path / "a", COMPRESSED[kind] + AGAIN[kind][:-3])))
    assert found.startswith(TEXT)
    assert error is not None


@pytest.mark.parametrize("kind", PACKED)
def test_damage_within(tmp_path, kind):
    broken = bytearray(COMPRESSED[kind])
    middle = len(broken) // 2
    broken[middle : middle + 200] = bytes(200)
    found, error = all_of(Stream(file_of(tmp_path / "a", bytes(broken))))
    assert error is not None and "could be read" in str(error)
    assert found != TEXT and TEXT.startswith(found[:1000])


@pytest.mark.parametrize("content", [b"", b"\xfd7z", b"\x1f", b"B", "あ".encode()])
def test_tiny_files_are_plain_text(tmp_path, content):
    assert all_of(Stream(file_of(tmp_path / "a", content))) == (content, None)


# -- over http


@pytest.mark.parametrize("kind", [None, "xz"])
def test_reading_over_http(server, kind):
    server.files["a"] = COMPRESSED[kind]
    file = resolve([f"{server.url}/a"])[0]
    assert (file.name, file.size) == ("a", len(COMPRESSED[kind]))
    assert all_of(Stream(file)) == (TEXT, None)


def test_reading_goes_on_where_the_connection_dropped(server):
    server.files["a"] = NOISE
    server.drops = [3_000_000, 1_000_000]
    assert all_of(Stream(resolve([f"{server.url}/a"])[0])) == (NOISE, None)
    assert server.drops == []


@pytest.mark.parametrize("drops", [[], [6_000_000]])
def test_a_server_without_ranges(server, drops):
    server.files["a"], server.ranges, server.drops = NOISE, False, drops
    assert all_of(Stream(resolve([f"{server.url}/a"])[0])) == (NOISE, None)


def test_what_is_not_there(server, tmp_path, closed_port):
    with pytest.raises(UsageError, match="no such file"):
        resolve([f"{server.url}/none"])
    with pytest.raises(BuildError, match="cannot be reached"):
        resolve([f"http://127.0.0.1:{closed_port}/a"])
    with pytest.raises(UsageError, match="no such file"):
        resolve([str(tmp_path / "none")])
    with pytest.raises(UsageError, match="nothing matches"):
        resolve([str(tmp_path / "*.xz")])
    with pytest.raises(UsageError, match="is a directory.*glob"):
        resolve([str(tmp_path)])
    with pytest.raises(UsageError, match="nosuchprotocol"):
        resolve(["nosuchprotocol://a/b"])


def test_globs_and_names(tmp_path):
    for name in ("x/1.txt", "x/2.txt", "y/1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [f.name for f in resolve([str(tmp_path / "x" / "*.txt")])] == ["1.txt", "2.txt"]
    assert [f.name for f in resolve([str(tmp_path / "y/1.txt"), str(tmp_path / "x/*.txt")])] == [
        "y/1.txt",
        "x/1.txt",
        "x/2.txt",
    ]
    with pytest.raises(UsageError, match="given twice"):
        resolve([str(tmp_path / "x/1.txt"), str(tmp_path / "x/*.txt")])


# -- --download


def test_download(server, tmp_path):
    server.files["a"] = NOISE
    server.drops = [5_000_000, 100]
    download(f"{server.url}/a", tmp_path / "raw" / "a", Console(quiet=True))
    assert (tmp_path / "raw" / "a").read_bytes() == NOISE
    assert {p.name for p in (tmp_path / "raw").iterdir()} == {"a", "a.json"}  # and where it came from


def test_download_goes_on_where_an_earlier_one_broke_off(server, tmp_path, monkeypatch):
    server.files["a"] = NOISE
    server.drops = [len(NOISE), *[0] * 100]
    monkeypatch.setattr(stream.time, "sleep", lambda seconds: None)
    with pytest.raises(BuildError, match="reading broke off at byte .* Run the same command again"):
        download(f"{server.url}/a", tmp_path / "a", Console(quiet=True))
    assert not (tmp_path / "a").exists()
    fetched = (tmp_path / "a.part").stat().st_size
    assert 0 < fetched < len(NOISE)
    server.drops.clear()
    server.requests.clear()
    download(f"{server.url}/a", tmp_path / "a", Console(quiet=True))
    assert (tmp_path / "a").read_bytes() == NOISE
    assert all(first >= fetched for method, first in server.requests if method == "GET")
    assert {p.name for p in tmp_path.iterdir()} == {"a", "a.json"}


def test_download_begins_anew_where_the_file_changed(server, tmp_path, monkeypatch):
    server.files["a"] = NOISE
    server.drops = [len(NOISE), *[0] * 100]
    monkeypatch.setattr(stream.time, "sleep", lambda seconds: None)
    with pytest.raises(BuildError):
        download(f"{server.url}/a", tmp_path / "a", Console(quiet=True))
    server.drops.clear()
    server.files["a"] = NOISE[::-1]
    download(f"{server.url}/a", tmp_path / "a", Console(quiet=True))
    assert (tmp_path / "a").read_bytes() == NOISE[::-1]
