"""The image fetcher beside a bare aiohttp loop and img2dataset, and what a kill costs.

    python -m benchmarks.fetch --peers-python ../peers/bin/python

A server in a process of its own listens on every address of loopback, which stand for hosts. Of the URLs, in shuffled order, 86 %
are JPEGs of 15 to 60 KB, 4 % the same after one second, 1 % never answer, 2 % are 404, 1.5 % break the connection off, 1.5 % are
503, 2 % redirect in a loop, 1 % are bodies of 25 MB, and 1 % HTML that says it is a JPEG. All sides have the same connections,
timeout, retries and shards, and keep the original bytes with their SHA-256 in tars:

* ours: `pipeline.fetch.fetch`, with 20 MB as the largest size; spool, tar, sidecar and stats written;
* bare: an aiohttp session, a semaphore, `gather`, tries again at once after what may pass, and the bytes to a tar; also stops at
  Content-Length above 20 MB. It checks no address, type, signature or total time of a redirect chain, and is nobody's spool;
* img2dataset: its command with resize_mode=no, disable_all_reencoding and without EXIF: nothing is decoded. It has no size limit,
  reads the 25 MB, and takes HTML for an image. Timed by its own stats, from the start of its first shard to the end of its last:
  start-up and reading of the list are not counted, as they are not for the others.

What every side kept is compared with what the server has, by SHA-256 and URL by URL; a difference ends the benchmark. In turns,
one after the other, medians of several rounds, for the machine may be busy. Then ours is killed (SIGKILL) midway and started again,
and the server tells what was asked twice. The URLs that never answer set a floor of (1 + retries) timeouts; --clean is a list
without any trouble, where the processor is the bound. Exits with 1 where a bar is missed: at least 0.8 of the speed of the others;
every URL in a sidecar; after a kill, nothing asked for again that was on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

BAR = 0.8
LARGEST = 20_000_000
HUGE = 25_000_000
HOSTS = 200
SHARES = {
    "image": 0.86, "slow": 0.04, "hang": 0.01, "missing": 0.02, "reset": 0.015, "busy": 0.015, "loop": 0.02, "huge": 0.01, "lying": 0.01,
}  # fmt: skip
GOOD = ("image", "slow")
HTML = b"<!DOCTYPE html><html><body>This image has moved.</body></html>"


# --- the server: `python -m benchmarks.fetch --serve`


def bodies() -> list[bytes]:
    """64 JPEGs of noise, 15 to 60 KB."""
    from PIL import Image

    found = []
    for i in range(64):
        drawn = random.Random(i)
        buffer = io.BytesIO()
        side = 96 + 2 * i
        Image.frombytes("RGB", (side, side), drawn.randbytes(3 * side * side)).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


class Answering(asyncio.Protocol):
    """As little HTTP as it takes, so that the server is not what is measured."""

    images: list[bytes] = []
    huge = b""
    asked: Counter[str] = Counter()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            self.answer(head.split(b" ", 2)[1].decode("latin-1"), b"connection: close" in head.lower())

    def send(self, status: str, body: bytes = b"", close: bool = False, **headers: str) -> None:
        if self.transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
        if close:
            lines.append("Connection: close")
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if close:
            self.transport.close()

    def answer(self, path: str, close: bool) -> None:
        kind, number = path[1:].split("/", 1)
        if kind == "asked":
            body = json.dumps(self.asked).encode()
            self.asked.clear()
            return self.send("200 OK", body, close)
        self.asked[path] += 1
        as_jpeg = {"Content-Type": "image/jpeg"}
        if kind == "image":
            self.send("200 OK", self.images[int(number) % 64], close, **as_jpeg)
        elif kind == "slow":
            image = self.images[int(number) % 64]
            asyncio.get_running_loop().call_later(1.0, lambda: self.send("200 OK", image, close, **as_jpeg))
        elif kind == "missing":
            self.send("404 Not Found", HTML, close)
        elif kind == "reset":
            self.transport.abort()
        elif kind == "busy":
            self.send("503 Service Unavailable", b"", close)
        elif kind == "loop":
            other = number[:-2] if number.endswith("-b") else number + "-b"
            self.send("302 Found", b"", close, Location=f"/loop/{other}")
        elif kind == "huge":
            self.send("200 OK", self.huge, close, **as_jpeg)
        elif kind == "lying":
            self.send("200 OK", HTML, close, **as_jpeg)


async def serve() -> None:
    Answering.images = bodies()
    Answering.huge = Answering.images[0] + bytes(HUGE - len(Answering.images[0]))
    server = await asyncio.get_running_loop().create_server(Answering, "0.0.0.0", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# --- what is fetched


def urls_of(count: int, port: int, clean: bool = False) -> list[str]:
    shares = {"image": 1.0} if clean else SHARES
    kinds = [kind for kind, share in shares.items() for _ in range(round(share * count))]
    random.Random(7).shuffle(kinds)
    return [f"http://127.0.{1 + i % HOSTS // 100}.{1 + i % 100}:{port}/{kind}/{i}" for i, kind in enumerate(kinds)]


def kind_of(url: str) -> str:
    return url.split("/")[3]


def expected(urls: list[str], lying: bool, huge: bool) -> dict[str, str]:
    """SHA-256 of what a side should have kept, by URL."""
    images = bodies()
    digests = [hashlib.sha256(image).hexdigest() for image in images]
    found = {url: digests[int(url.rsplit("/", 1)[1]) % 64] for url in urls if kind_of(url) in GOOD}
    if lying:
        found |= {url: hashlib.sha256(HTML).hexdigest() for url in urls if kind_of(url) == "lying"}
    if huge:
        digest = hashlib.sha256(images[0] + bytes(HUGE - len(images[0]))).hexdigest()
        found |= {url: digest for url in urls if kind_of(url) == "huge"}
    return found


def kept_in(out: Path) -> dict[str, str]:
    """SHA-256 of the images in the tars, by URL; the same in the sidecars, or the benchmark ends."""
    import polars as pl

    found, said = {}, {}
    for sidecar in sorted(out.glob("*.parquet")):
        table = pl.read_parquet(sidecar, columns=["url", "key", "status", "sha256"])
        by_key = dict(zip(table["key"], table["url"], strict=True))
        said |= {r["url"]: r["sha256"] for r in table.iter_rows(named=True) if r["status"] == "success"}
        with tarfile.open(sidecar.with_suffix(".tar")) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                if extension != "json" and (file := tar.extractfile(member)) is not None:
                    found[by_key[key]] = hashlib.sha256(file.read()).hexdigest()
    if found != said:
        raise SystemExit(f"{out}: tars and sidecars differ")
    return found


def rows_in(out: Path) -> int:
    import polars as pl

    return sum(pl.read_parquet(sidecar, columns=["url"]).height for sidecar in out.glob("*.parquet"))


# --- the sides: each fetches the list into `out` in a process of its own, and prints its seconds


def ours(listed: Path, out: Path, options: argparse.Namespace) -> float:
    from rich.console import Console

    from pipeline.fetch.command import fetch
    from pipeline.fetch.settings import FetchSettings

    settings = FetchSettings(
        connections=options.connections, timeout=options.timeout, retries=options.retries, shard_size=options.shard_size,
        max_bytes=LARGEST, allow_private=True,
    )  # fmt: skip
    began = time.perf_counter()
    fetch([str(listed)], out, settings, Console(file=io.StringIO()))
    return time.perf_counter() - began


def bare(listed: Path, out: Path, options: argparse.Namespace) -> float:
    import aiohttp

    async def one(session: aiohttp.ClientSession, semaphore: asyncio.Semaphore, url: str) -> bytes | None:
        async with semaphore:
            for _ in range(options.retries + 1):
                try:
                    async with session.get(url, max_redirects=5) as response:
                        if response.status == 200:
                            return None if (response.content_length or 0) > LARGEST else await response.read()
                        if response.status < 500:
                            return None
                except aiohttp.TooManyRedirects:
                    return None
                except (aiohttp.ClientError, TimeoutError):
                    pass
        return None

    async def everything(urls: list[str]) -> list[bytes | None]:
        semaphore = asyncio.Semaphore(options.connections)
        connector = aiohttp.TCPConnector(limit=options.connections)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=options.timeout)) as session:
            return await asyncio.gather(*(one(session, semaphore, url) for url in urls))

    urls = listed.read_text("utf-8").split()
    out.mkdir()
    began = time.perf_counter()
    digests = {}
    with tarfile.open(out / "images.tar", "w") as tar:
        for i, body in enumerate(asyncio.run(everything(urls))):
            if body is not None:
                member = tarfile.TarInfo(f"{i:09d}.jpg")
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
                digests[urls[i]] = hashlib.sha256(body).hexdigest()
    (out / "digests.json").write_text(json.dumps(digests))
    return time.perf_counter() - began


def img2dataset(listed: Path, out: Path, options: argparse.Namespace, processes: int = 1) -> float:
    wanted = {
        "url_list": listed, "output_folder": out, "input_format": "txt", "output_format": "webdataset", "processes_count": processes,
        "thread_count": options.connections // processes, "timeout": int(options.timeout), "retries": options.retries,
        "number_sample_per_shard": options.shard_size // processes, "resize_mode": "no", "disable_all_reencoding": True,
        "extract_exif": False, "compute_hash": "sha256", "enable_wandb": False,
    }  # fmt: skip
    command = [options.peers_python, "-c", "from img2dataset.main import main; main()"]
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    done = subprocess.run(
        [*command, *(f"--{k}={v}" for k, v in wanted.items())], capture_output=True, text=True, check=False, env=environment
    )
    stats = [json.loads(path.read_text("utf-8")) for path in out.glob("*_stats.json")]
    if done.returncode or not stats:
        raise SystemExit(f"img2dataset failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return float(max(s["end_time"] for s in stats) - min(s["start_time"] for s in stats))


SIDES: dict[str, Callable[..., float]] = {
    "ours": ours,
    "bare aiohttp": bare,
    "img2dataset": img2dataset,
    "img2dataset, 2 processes": lambda *arguments: img2dataset(*arguments, processes=2),
}


def run_side(name: str, listed: Path, out: Path, options: argparse.Namespace) -> float:
    """Seconds of one run of a side, in a process of its own, with what it kept checked."""
    command = [sys.executable, "-m", "benchmarks.fetch", "--side", name, str(listed), str(out), *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    urls = listed.read_text("utf-8").split()
    if name == "bare aiohttp":
        kept = json.loads((out / "digests.json").read_text())
    else:
        kept = kept_in(out)
        if rows_in(out) != len(urls):
            raise SystemExit(f"{name}: {rows_in(out):,} rows in sidecars for {len(urls):,} URLs")
    wanted = expected(urls, lying=name != "ours", huge=name.startswith("img2dataset"))
    if kept != wanted:
        wrong = Counter(kind_of(url) for url in kept.keys() ^ wanted.keys())
        print(f"  {name} differs from what the server has: {dict(wrong)}", file=sys.stderr)
        # A busy machine may push a slow answer over the timeout; anything else is an error.
        if sum(wrong.values()) > 0.002 * len(urls) or any(kept[url] != wanted[url] for url in kept.keys() & wanted.keys()):
            raise SystemExit(f"{name} did not do the same work")
    return float(done.stdout.splitlines()[-1])


# --- killed and started again


def killed(listed: Path, out: Path, port: int, options: argparse.Namespace) -> tuple[int, int, int]:
    """(URLs on disk at the kill, URLs asked for after it, of these on disk before)."""
    from pipeline.fetch.spool import Spool

    command = [
        sys.executable, "-m", "pipeline.fetch", str(listed), "--out", str(out), "--allow-private", "--timeout", str(options.timeout),
        "--connections", str(options.connections), "--shard-size", str(options.shard_size), "--max-bytes", str(LARGEST),
        "--retries", str(options.retries),
    ]  # fmt: skip
    urls = listed.read_text("utf-8").split()
    asked_since(port)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    spool_folder = out / ".seimai" / "spool"
    while sum(p.stat().st_size for p in spool_folder.glob("*")) < 0.4 * len(urls) * 30_000:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    on_disk = set()
    for shard in range(-(-len(urls) // options.shard_size)):
        part = urls[shard * options.shard_size : (shard + 1) * options.shard_size]
        spool = spool_folder / f"{shard:05d}.spool"
        if spool.is_file():
            about = f"{len(part)} {hashlib.sha256(chr(10).join(part).encode()).hexdigest()}"
            found = Spool(spool, about)
            found.close()
            on_disk |= {part[row] for row in found.rows}
        elif (out / f"{shard:05d}.parquet").is_file():
            on_disk |= set(part)
    asked_since(port)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    again = {path.removesuffix("-b") for path in asked_since(port)}
    paths = {url: "/" + url.split("/", 3)[3] for url in urls}
    if rows_in(out) != len(urls) or kept_in(out) != expected(urls, lying=False, huge=False):
        raise SystemExit("killed and started again, ours did not fetch everything")
    return len(on_disk), len(again), sum(paths[url] in again for url in on_disk)


def asked_since(port: int) -> dict[str, int]:
    """Requests by path since the last call."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/asked/", timeout=30) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--shard-size", type=int, default=10_000)
    parser.add_argument("--clean", action="store_true", help="images alone: what a URL costs where nothing is waited for")
    parser.add_argument("--peers-python", help="interpreter that has img2dataset (default: it is left out)")
    parser.add_argument("--only", nargs="+", choices=list(SIDES), help="peers to run beside ours (default: all)")
    parser.add_argument("--scratch", type=Path, help="folder for what is fetched (default: a temporary one)")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    if options.side:
        name, listed, out = options.side
        print(SIDES[name](Path(listed), Path(out), options))
        return 0
    return compare(options)


def compare(options: argparse.Namespace) -> int:
    from benchmarks.corpus import in_turns, median, table

    names = options.only or [name for name in SIDES if name != "ours" and (options.peers_python or "bare" in name)]
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.fetch", "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            listed = Path(folder) / "list.txt"
            urls = urls_of(options.urls, port, options.clean)
            listed.write_text("\n".join(urls) + "\n", "utf-8")

            def timed(name: str) -> float:
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    taken = run_side(name, listed, Path(scratch) / "out", options)
                print(f"  {name}: {taken:.1f} s", file=sys.stderr)
                return taken

            peers = {name: (lambda name=name: timed(name)) for name in names}
            beside, theirs = in_turns(lambda: timed("ours"), peers, options.rounds)
            on_disk, again, twice = killed(listed, Path(folder) / "killed", port, options)
    finally:
        server.kill()
        server.wait()
    everything = [seconds for taken in beside.values() for seconds in taken]
    rows = [["ours", f"{median(everything):.1f}", f"{len(urls) / median(everything):,.0f}", ""]]
    missed = 0
    verdicts = []
    for name in names:
        ratio = median(theirs[name]) / median(beside[name])
        rows.append([name, f"{median(theirs[name]):.1f}", f"{len(urls) / median(theirs[name]):,.0f}", f"{ratio:.2f}"])
        missed += ratio < BAR
        verdicts.append(f"{'held  ' if ratio >= BAR else 'MISSED'} ours at {ratio:.2f} of the speed of {name}, at least {BAR}")
    print(
        f"{len(urls):,} URLs{', images alone' if options.clean else ''}, {options.connections} connections, timeout {options.timeout:g} s, "
        f"retries {options.retries}, median of {options.rounds} rounds\n"
    )
    print(table(["", "seconds", "URLs/s", "ours /"], rows), end="\n\n")
    missed += twice > 0
    verdicts.append("held   every URL has its row in a sidecar, every image its bytes")
    verdicts.append(
        f"{'MISSED' if twice else 'held  '} killed with {on_disk:,} URLs on disk and started again: asked for {again:,}, "
        f"of which on disk before {twice:,}"
    )
    print("\n".join(verdicts))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
