"""Everything that goes wrong outside: a clear message, the right exit code, nothing half-written, and what was good is kept."""

import gzip
import lzma
import os
import subprocess
import tarfile
import time
import zlib

import polars as pl
import psutil
import pytest

from pipeline.core import cluster
from pipeline.core.ownership import STATE_FOLDER
from tests.support.builds import find_temporaries, hash_outputs, read_ledger, read_shards, run_in_process, wait_until
from tests.support.texts import SMALL_PARTITIONS, make_sentences, split_documents


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def refused(out):
    """Check that a first build failed as it should; returns its message."""

    def check(done, code):
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        message = done.stderr.strip()
        assert any(line.startswith("error: ") for line in message.splitlines())  # below lines of progress
        assert not (out / "data").exists() and not (out / "ledger").exists() and not (out / "README.md").exists()
        assert find_temporaries(out) == []
        return message

    return check


def write(path, content):
    path.write_bytes(content)
    return path


# -- damaged files


def test_truncated_xz(build, mixed, out, refused, tmp_path):
    packed = lzma.compress(mixed.read_bytes())
    path = write(tmp_path / "cut.xz", packed[: len(packed) // 2])
    options = ("cc100-ja", "--input", path, "--out", out, "--set", SMALL_PARTITIONS)
    message = refused(build(*options), 1)
    assert "cut.xz ends too early" in message and "bytes of text could be read" in message and "--keep-going" in message
    measured = {p: p.stat().st_mtime_ns for p in out.rglob("part-*.parquet")}
    assert len(measured) > 2
    # What could be read is kept, and used.
    done = build(*options, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stdout and "ends too early" in done.stdout
    ledger = read_ledger(out)
    assert {p: p.stat().st_mtime_ns for p in measured} == measured
    whole = split_documents(mixed.read_bytes())
    assert 100 < len(ledger) < len(whole)
    assert ledger["id"].to_list() == [f"cc100-ja/{offset:010d}" for offset, _ in whole[: len(ledger)]]
    last = ledger.row(-1, named=True)
    assert last["verdict"] == "unreadable" and "input ends inside this document" in last["value_text"]
    assert "ends too early" in (out / "README.md").read_text("utf-8")
    # The damage is told again where nothing is left to do.
    again = build(*options, "--keep-going")
    assert again.returncode == 0 and "up to date" in again.stdout and "ends too early" in again.stdout


def test_invalid_utf8_is_a_record_not_a_failure(reference):
    found = read_ledger(reference).filter(verdict="unreadable")
    assert len(found) == 1
    row = found.row(0, named=True)
    assert row["excerpt"].startswith("壊れ\ufffd")
    assert "invalid UTF-8: byte 0xE3 at 6 of " in row["value_text"]
    assert row["id"] not in read_shards(reference)["id"].to_list()


def test_the_beginning_of_what_cannot_be_read_is_in_the_ledger(build, tmp_path):
    text = "".join(chr(0x4E00 + i) for i in range(300))
    (tmp_path / "bad.txt").write_bytes(text.encode() + b"\xff\n")
    done = build("cc100-ja", "--input", tmp_path / "bad.txt", "--out", tmp_path / "out", "--keep-going")
    row = read_ledger(tmp_path / "out").row(0, named=True)
    assert row["verdict"] == "unreadable" and row["excerpt"] == text[:200], done.stderr
    assert "byte 0xFF at 900 of 901" in row["value_text"]


def test_nul_bytes(reference):
    row = read_ledger(reference).filter(pl.col("excerpt").str.starts_with("零")).row(0, named=True)
    assert row["verdict"] == "kept" and "\0" not in row["excerpt"]
    shards = read_shards(reference)
    assert not shards["text"].str.contains("\0", literal=True).any()


def test_nothing_but_nul_bytes(build, out, tmp_path):
    path = write(tmp_path / "nul.txt", bytes(100_000) + b"\n\n" + make_sentences(1).encode())
    done = build("cc100-ja", "--input", path, "--out", out)
    assert done.returncode == 0, done.stderr
    assert read_ledger(out)["verdict"].to_list() == ["dropped", "kept"]


def test_bytes_that_are_no_text_at_all(build, out, tmp_path):
    import random

    path = write(tmp_path / "noise", b"x" + random.Random(3).randbytes(100_000))
    done = build("cc100-ja", "--input", path, "--out", out)
    assert done.returncode == 1 and "could not be read" in done.stderr and "invalid UTF-8" in done.stderr
    done = build("cc100-ja", "--input", path, "--out", out, "--keep-going")
    assert done.returncode == 1 and "not one of the documents was kept" in done.stderr
    assert set(read_ledger(out)["verdict"]) == {"unreadable"}


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_archives_are_no_text(build, out, tmp_path, refused, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as tar:
            tar.add(__file__, "a.txt")
    else:
        pl.DataFrame({"text": ["日本語の文書。"]}).write_parquet(path)
    message = refused(build("cc100-ja", "--input", path, "--out", out), 2)
    assert (
        ("is a tar" in message and "laion-ja" in message)
        if kind == "tar"
        else ("is Parquet" in message and "ja-web" in message)
    )


@pytest.mark.parametrize("content", [b"", b"\n\r\n\n", lzma.compress(b""), gzip.compress(b"\n\n", mtime=0)])
def test_an_empty_file(build, out, tmp_path, refused, content):
    path = write(tmp_path / "empty", content)
    message = refused(build("cc100-ja", "--input", path, "--out", out), 1)
    assert "there is no record in" in message and "empty" in message


def test_a_directory(build, out, tmp_path, refused):
    done = build("cc100-ja", "--input", tmp_path, "--out", out)
    message = refused(done, 2)
    assert f"{tmp_path} has no files of documents; it is empty" in message
    assert not out.exists()


def test_a_file_that_is_not_there(build, out, tmp_path, refused):
    done = build("cc100-ja", "--input", tmp_path / "no.xz", "--out", out)
    message = refused(done, 2)
    assert "no.xz: there is no such file" in message and not out.exists()


# Made sentences repeat themselves, in such numbers.
REPETITION = """["duplicate_5gram_share", "duplicate_10gram_share", "compression_ratio", "duplicate_line_share", "quality_score",
"fluency_score"]"""


def test_a_file_without_blank_lines(build, out, tmp_path):
    path = write(tmp_path / "lines.txt", "\n".join(make_sentences(i, 1) for i in range(10_000)).encode())
    done = build("cc100-ja", "--input", path, "--out", out, "--set", f"rules.skip={REPETITION}")
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stdout and "has no empty line in 1," in done.stdout and "separates documents" in done.stdout
    assert len(read_ledger(out)) == 1


# -- large documents


def process_tree_peak(process, seconds):
    """Largest sum of memory over a process and its children until it ends."""
    peak, deadline = 0, time.monotonic() + seconds
    me = psutil.Process(process.pid)
    while process.poll() is None and time.monotonic() < deadline:
        total = 0
        try:
            for each in (me, *me.children(recursive=True)):
                try:
                    total += each.memory_full_info().uss
                except psutil.Error:
                    continue
        except psutil.Error:
            break
        peak = max(peak, total)
        time.sleep(0.1)
    return peak


def test_a_single_line_over_the_bound(start_build, out, tmp_path):
    path, packer = tmp_path / "line.gz", zlib.compressobj(1, wbits=31)
    before = make_sentences("before").encode()
    block = ("あいうえお" * 200_000).encode()
    with open(path, "wb") as file:
        file.write(packer.compress(before + b"\n\n"))
        for _ in range(23):
            file.write(packer.compress(block))
        file.write(packer.compress(b"\n\n" + make_sentences("after").encode()) + packer.flush())
    process = start_build("cc100-ja", "--input", path, "--out", out, "--workers", 0)
    peak = process_tree_peak(process, 100)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert peak < 1e9
    ledger = read_ledger(out)
    assert ledger["verdict"].to_list() == ["kept", "unreadable", "kept"]
    size = 23 * len(block)
    assert ledger["id"].to_list()[1:] == [f"cc100-ja/{len(before) + 2:010d}", f"cc100-ja/{len(before) + 4 + size:010d}"]
    assert f"document of {size + 2:,} bytes, over source.max_document = 64,000,000" in ledger["value_text"][1]
    assert ledger["excerpt"][1] == "あいうえお" * 40


def test_documents_larger_than_a_partition(build, out, tmp_path):
    large = [make_sentences(f"large{i}", 300) for i in range(3)]
    small = [make_sentences(i) for i in range(6)]
    documents = [small[0], large[0], large[1], *small[1:5], large[2], small[5]]
    path = write(tmp_path / "in.txt", "\n\n".join(documents).encode())
    sets = ("--set", "source.partition=2 KB", "--set", "source.max_document=1 MB")
    done = build("cc100-ja", "--input", path, "--out", out, *sets)
    assert done.returncode == 0, done.stderr
    assert read_ledger(out)["excerpt"].to_list() == [d[:200] for d in documents]
    assert set(read_ledger(out)["verdict"]) == {"kept"}
    texts = read_shards(out)["text"].to_list()
    assert sorted(texts) == sorted(documents)


def test_a_document_of_10_mb(start_build, out, tmp_path):
    line = "".join(make_sentences(f"page{i}", 1) for i in range(4000)) + "\n"
    document = (line * (10_000_000 // len(line.encode()) + 1)).encode()
    path = write(tmp_path / "in.txt", make_sentences("a").encode() + b"\n\n" + document + b"\n" + make_sentences("b").encode())
    process = start_build("cc100-ja", "--input", path, "--out", out, "--workers", 0)
    peak = process_tree_peak(process, 200)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert peak < 1.2e9
    ledger = read_ledger(out)
    assert len(ledger) == 3 and ledger["verdict"].to_list()[::2] == ["kept", "kept"]
    assert ledger["verdict"][1] in ("kept", "dropped") and ledger["chars"][1] > 3_200_000


# -- folders and disks


def test_a_folder_that_is_not_ours(build, out, mixed):
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    done = build("cc100-ja", "--input", mixed, "--out", out)
    assert done.returncode == 2
    assert "is not empty and was not made by Seimai" in done.stderr and "choose another folder" in done.stderr
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [("thesis.tex", "years of work")]
    (out / "manifest.lock.toml").touch()  # a corpus that was copied without what is private
    done = build("cc100-ja", "--input", mixed, "--out", out)
    assert done.returncode == 2 and "was made by Seimai, but its .cache/huggingface/seimai" in done.stderr


def test_out_is_a_file(build, out, mixed):
    out.write_text("a file")
    done = build("cc100-ja", "--input", mixed, "--out", out)
    assert done.returncode == 2 and "is a file, not a folder" in done.stderr
    assert out.read_text() == "a file"


class SmallDisk:
    """A file system in memory, mounted at `path`."""

    def __init__(self, path):
        self.path = path
        path.mkdir()

    def mount(self, options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def enlarge(self):
        assert self.mount("remount,size=60m")


@pytest.fixture
def small_disk(tmp_path, request):
    """A disk of so many bytes."""
    disk = SmallDisk(tmp_path / "disk")
    if os.geteuid() != 0 or not disk.mount(f"size={request.param}"):
        pytest.skip("only root can make a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk.path)], check=True)


@pytest.mark.parametrize("which, small_disk", [("--out", "100k"), ("--work", "300k")], indirect=["small_disk"])
def test_a_full_disk(build, small_disk, mixed, tmp_path, reference, which):
    places = {"--out": tmp_path / "elsewhere", "--work": tmp_path / "work"} | {which: small_disk.path / "x"}
    options = ("cc100-ja", "--input", mixed, "--set", SMALL_PARTITIONS, *(x for pair in places.items() for x in pair))
    done = build(*options)
    assert done.returncode == 1, done.stdout
    assert "no space left on the disk" in done.stderr and "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    out = places["--out"]
    assert not (out / "data").exists() and not (out / "ledger").exists()
    for _ in range(20):  # workers may be finishing what they were at
        if not (left := find_temporaries(*places.values())):
            break
        time.sleep(0.1)
    assert left == []
    small_disk.enlarge()
    done = build(*options)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(reference)


def test_a_failed_rebuild_leaves_the_corpus_as_it_was(build, out, tmp_path, mixed):
    options = ("--out", out, "--set", SMALL_PARTITIONS)
    assert build("cc100-ja", "--input", mixed, *options).returncode == 0
    before = hash_outputs(out)
    packed = gzip.compress(mixed.read_bytes())
    path = write(tmp_path / "cut.gz", packed[: len(packed) // 2])
    assert build("cc100-ja", "--input", path, *options).returncode == 1
    assert hash_outputs(out) == before and len(before) > 1


def test_two_builds_into_one_folder(start_build, build, out, mixed, reference):
    options = ("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS)
    first = start_build(*options, "--workers", "0")
    wait_until(lambda: (out / STATE_FOLDER / "inputs.json").exists(), first)
    second = build(*options)
    assert second.returncode == 1
    assert f"another command is at work in {out}; wait for it, or choose another --out" in second.stderr
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors
    assert hash_outputs(out) == hash_outputs(reference)


# -- the network


def test_no_network_with_download(build, tmp_path, closed_port, waits):
    url = f"http://127.0.0.1:{closed_port}/ja.txt.xz"
    done = build("cc100-ja", "--download", "--set", f"source.url={url}", cwd=tmp_path)
    assert done.returncode == 1
    assert f"{url} cannot be reached" in done.stderr and "Traceback" not in done.stderr
    assert sum(waits) < 30
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_download_of_what_is_not_there(build, tmp_path, server):
    done = build("cc100-ja", "--download", "--set", f"source.url={server.url}/ja.txt.xz", cwd=tmp_path)
    assert done.returncode == 2 and "ja.txt.xz: there is no such file" in done.stderr


def test_download_from_a_server_that_drops_the_connection(build, server, tmp_path, mixed, reference):
    packed = lzma.compress(mixed.read_bytes())
    server.files["mixed.txt"] = packed
    server.drops = [len(packed) // 2]
    options = ("cc100-ja", "--set", f"source.url={server.url}/mixed.txt", "--set", SMALL_PARTITIONS)
    done = build(*options, "--download", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw" / "cc100-ja" / "mixed.txt").read_bytes() == packed
    assert server.drops == []
    ledger = read_ledger(tmp_path / "corpora" / "cc100-ja")
    assert ledger.equals(read_ledger(reference))
    # From now on it is at hand.
    requests = len(server.requests)
    done = build(*options, cwd=tmp_path)
    assert done.returncode == 0 and "up to date" in done.stdout and len(server.requests) == requests


def test_input_from_a_server_that_drops_the_connection(build, server, out, mixed, reference):
    packed = lzma.compress(mixed.read_bytes())
    server.files["mixed.txt"] = packed
    server.drops = [len(packed) // 3, len(packed) // 2]
    done = build("cc100-ja", "--input", f"{server.url}/mixed.txt", "--out", out, "--set", SMALL_PARTITIONS)
    assert done.returncode == 0, done.stderr
    assert server.drops == []
    assert hash_outputs(out) == hash_outputs(reference)


def test_an_unreachable_scheduler(mixed, out, closed_port, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{closed_port}"
    done = run_in_process(["cc100-ja", "--input", str(mixed), "--out", str(out), "--scheduler", address], tmp_path)
    assert done.returncode == 1
    assert f"the scheduler {address} cannot be reached" in done.stderr and "Traceback" not in done.stderr
    assert not (out / "data").exists() and find_temporaries(out) == []


def test_an_address_that_is_none(mixed, out, tmp_path):
    done = run_in_process(["cc100-ja", "--input", str(mixed), "--out", str(out), "--scheduler", "localhost"], tmp_path)
    assert done.returncode in (1, 2) and "scheduler localhost" in done.stderr and "Traceback" not in done.stderr
