"""The image fetcher beside a bare aiohttp loop and img2dataset, and what a kill costs.

    python -m benchmarks.fetch --peers-python ../peers/bin/python

A server in a process of its own (benchmarks/workers/fetch_server.py) listens on every address of loopback, which stand for hosts. Of
the URLs, in shuffled order, 86 % are JPEGs of 15 to 60 KB, 4 % the same after one second, 1 % never answer, 2 % are 404, 1.5 % break
the connection off, 1.5 % are 503, 2 % redirect in a loop, 1 % are bodies of 25 MB, and 1 % HTML that says it is a JPEG. All sides have
the same connections, timeout, retries and shards, and keep the original bytes with their SHA-256 in tars:

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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiohttp
import polars as pl
from rich.console import Console

from benchmarks.harness import (
    Bar,
    finish,
    format_table,
    is_smoke,
    make_parser,
    median,
    parse_options,
    print_progress,
    run_json,
    take_turns,
)
from benchmarks.workers.fetch_server import HTML, make_huge_image, make_images
from pipeline.core.ownership import STATE_FOLDER
from pipeline.fetch.command import fetch
from pipeline.fetch.settings import FetchSettings
from pipeline.fetch.spool import Spool

BAR = 0.8
LARGEST = 20_000_000
HOSTS = 200
SHARES = {
    "image": 0.86, "slow": 0.04, "hang": 0.01, "missing": 0.02, "reset": 0.015, "busy": 0.015, "loop": 0.02, "huge": 0.01, "lying": 0.01,
}  # fmt: skip
GOOD = ("image", "slow")
SERVER = Path(__file__).parent / "workers" / "fetch_server.py"


# --- what is fetched


def make_urls(count: int, port: int, clean: bool = False) -> list[str]:
    shares = {"image": 1.0} if clean else SHARES
    kinds = [kind for kind, share in shares.items() for _ in range(round(share * count))]
    random.Random(7).shuffle(kinds)
    return [f"http://127.0.{1 + i % HOSTS // 100}.{1 + i % 100}:{port}/{kind}/{i}" for i, kind in enumerate(kinds)]


def kind_of(url: str) -> str:
    return url.split("/")[3]


def expect(urls: list[str], with_html: bool, with_huge: bool) -> dict[str, str]:
    """SHA-256 of what a side should have kept, by URL."""
    images = make_images()
    digests = [hashlib.sha256(image).hexdigest() for image in images]
    found = {url: digests[int(url.rsplit("/", 1)[1]) % 64] for url in urls if kind_of(url) in GOOD}
    if with_html:
        found |= {url: hashlib.sha256(HTML).hexdigest() for url in urls if kind_of(url) == "lying"}
    if with_huge:
        digest = hashlib.sha256(make_huge_image(images[0])).hexdigest()
        found |= {url: digest for url in urls if kind_of(url) == "huge"}
    return found


def read_kept(out: Path) -> dict[str, str]:
    """SHA-256 of the images in the tars, by URL; the same in the sidecars, or the benchmark ends."""
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    for sidecar in sorted(out.glob("*.parquet")):
        table = pl.read_parquet(sidecar, columns=["url", "key", "status", "sha256"])
        by_key = dict(zip(table["key"], table["url"], strict=True))
        listed |= {r["url"]: r["sha256"] for r in table.iter_rows(named=True) if r["status"] == "success"}
        with tarfile.open(sidecar.with_suffix(".tar")) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                if extension != "json" and (file := tar.extractfile(member)) is not None:
                    found[by_key[key]] = hashlib.sha256(file.read()).hexdigest()
    if found != listed:
        raise SystemExit(f"{out}: tars and sidecars differ")
    return found


def count_rows(out: Path) -> int:
    return sum(pl.read_parquet(sidecar, columns=["url"]).height for sidecar in out.glob("*.parquet"))


# --- the sides: each fetches the list into `out` in a process of its own, and prints its seconds


@dataclass(frozen=True)
class Limits:
    """What all sides have the same of."""

    connections: int
    timeout: float  # seconds
    retries: int
    shard_size: int
    peers_python: str

    def arguments(self) -> list[str]:
        return [
            "--connections", str(self.connections), "--timeout", str(self.timeout), "--retries", str(self.retries),
            "--shard-size", str(self.shard_size),
        ]  # fmt: skip


def fetch_with_ours(listed: Path, out: Path, limits: Limits) -> float:
    settings = FetchSettings(
        connections=limits.connections, timeout=limits.timeout, retries=limits.retries, shard_size=limits.shard_size,
        max_bytes=LARGEST, allow_private=True,
    )  # fmt: skip
    began = time.perf_counter()
    fetch([str(listed)], out, settings, Console(file=io.StringIO()))
    return time.perf_counter() - began


def fetch_with_aiohttp(listed: Path, out: Path, limits: Limits) -> float:
    async def fetch_one(session: aiohttp.ClientSession, semaphore: asyncio.Semaphore, url: str) -> bytes | None:
        async with semaphore:
            for _ in range(limits.retries + 1):
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

    async def fetch_all(urls: list[str]) -> list[bytes | None]:
        semaphore = asyncio.Semaphore(limits.connections)
        connector = aiohttp.TCPConnector(limit=limits.connections)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=limits.timeout)) as session:
            return await asyncio.gather(*(fetch_one(session, semaphore, url) for url in urls))

    urls = listed.read_text("utf-8").split()
    out.mkdir()
    began = time.perf_counter()
    digests = {}
    with tarfile.open(out / "images.tar", "w") as tar:
        for i, body in enumerate(asyncio.run(fetch_all(urls))):
            if body is not None:
                member = tarfile.TarInfo(f"{i:09d}.jpg")
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
                digests[urls[i]] = hashlib.sha256(body).hexdigest()
    (out / "digests.json").write_text(json.dumps(digests))
    return time.perf_counter() - began


def fetch_with_img2dataset(listed: Path, out: Path, limits: Limits, processes: int = 1) -> float:
    wanted = {
        "url_list": listed, "output_folder": out, "input_format": "txt", "output_format": "webdataset", "processes_count": processes,
        "thread_count": limits.connections // processes, "timeout": int(limits.timeout), "retries": limits.retries,
        "number_sample_per_shard": limits.shard_size // processes, "resize_mode": "no", "disable_all_reencoding": True,
        "extract_exif": False, "compute_hash": "sha256", "enable_wandb": False,
    }  # fmt: skip
    command = [limits.peers_python, "-c", "from img2dataset.main import main; main()"]
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    done = subprocess.run(
        [*command, *(f"--{k}={v}" for k, v in wanted.items())], capture_output=True, text=True, check=False, env=environment
    )
    stats = [json.loads(path.read_text("utf-8")) for path in out.glob("*_stats.json")]
    if done.returncode or not stats:
        raise SystemExit(f"img2dataset failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return float(max(s["end_time"] for s in stats) - min(s["start_time"] for s in stats))


SIDES: dict[str, Callable[[Path, Path, Limits], float]] = {
    "ours": fetch_with_ours,
    "bare aiohttp": fetch_with_aiohttp,
    "img2dataset": fetch_with_img2dataset,
    "img2dataset, 2 processes": partial(fetch_with_img2dataset, processes=2),
}


def run_side(name: str, listed: Path, out: Path, limits: Limits) -> float:
    """Run a side in a process of its own, but in a smoke run, and check what it kept; returns its seconds."""
    if is_smoke():
        seconds = SIDES[name](listed, out, limits)
    else:
        command = [sys.executable, "-m", "benchmarks.fetch", "--side", name, str(listed), str(out), *limits.arguments()]
        seconds = float(run_json([*command, "--peers-python", limits.peers_python], name))
    urls = listed.read_text("utf-8").split()
    if name == "bare aiohttp":
        kept = json.loads((out / "digests.json").read_text())
    else:
        kept = read_kept(out)
        if count_rows(out) != len(urls):
            raise SystemExit(f"{name}: {count_rows(out):,} rows in sidecars for {len(urls):,} URLs")
    wanted = expect(urls, with_html=name != "ours", with_huge=name.startswith("img2dataset"))
    if kept != wanted:
        wrong = Counter(kind_of(url) for url in kept.keys() ^ wanted.keys())
        print_progress(f"{name} differs from what the server has: {dict(wrong)}")
        # A busy machine may push a slow answer over the timeout; anything else is an error.
        if sum(wrong.values()) > 0.002 * len(urls) or any(kept[url] != wanted[url] for url in kept.keys() & wanted.keys()):
            raise SystemExit(f"{name} did not do the same work")
    return seconds


# --- killed and started again


class Resumed(NamedTuple):
    """URLs on disk at the kill, asked for after it, and of these on disk before."""

    on_disk: int
    asked: int
    asked_again: int


def kill_and_resume(listed: Path, out: Path, port: int, limits: Limits, smoke: bool) -> Resumed:
    """Kill ours midway and start it again."""
    command = [
        sys.executable, "-m", "pipeline.fetch", str(listed), "--out", str(out), "--allow-private", "--max-bytes", str(LARGEST),
        *limits.arguments(),
    ]  # fmt: skip
    urls = listed.read_text("utf-8").split()
    read_requests(port)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    spool_folder = out / STATE_FOLDER / "spool"
    while sum(p.stat().st_size for p in spool_folder.glob("*")) < 0.4 * len(urls) * 30_000:
        if process.poll() is not None:
            if not smoke:
                raise SystemExit("ours ended before it could be killed")
            break  # so few URLs may be fetched before this looks
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    on_disk = set()
    for shard in range(-(-len(urls) // limits.shard_size)):
        part = urls[shard * limits.shard_size : (shard + 1) * limits.shard_size]
        spool = spool_folder / f"{shard:05d}.spool"
        if spool.is_file():
            about = f"{len(part)} {hashlib.sha256(chr(10).join(part).encode()).hexdigest()}"
            found = Spool(spool, about)
            found.close()
            on_disk |= {part[row] for row in found.rows}
        elif (out / f"{shard:05d}.parquet").is_file():
            on_disk |= set(part)
    read_requests(port)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    again = {path.removesuffix("-b") for path in read_requests(port)}
    paths = {url: "/" + url.split("/", 3)[3] for url in urls}
    if count_rows(out) != len(urls) or read_kept(out) != expect(urls, with_html=False, with_huge=False):
        raise SystemExit("killed and started again, ours did not fetch everything")
    return Resumed(len(on_disk), len(again), sum(paths[url] in again for url in on_disk))


def read_requests(port: int) -> dict[str, int]:
    """Requests by path since the last call."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/asked/", timeout=30) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def compare(options: argparse.Namespace, limits: Limits) -> int:
    names = options.only or [name for name in SIDES if name != "ours" and (options.peers_python or "bare" in name)]
    server = subprocess.Popen([sys.executable, "-P", str(SERVER)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            listed = Path(folder) / "list.txt"
            urls = make_urls(options.urls, port, options.clean)
            listed.write_text("\n".join(urls) + "\n", "utf-8")

            def time_side(name: str) -> float:
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    taken = run_side(name, listed, Path(out) / "out", limits)
                print_progress(f"{name}: {taken:.1f} s")
                return taken

            peers = {name: partial(time_side, name) for name in names}
            turns = take_turns(partial(time_side, "ours"), peers, options.rounds)
            resumed = kill_and_resume(listed, Path(folder) / "killed", port, limits, options.smoke)
    finally:
        server.kill()
        server.wait()
    ours = turns.median_of_ours()
    rows = [["ours", f"{ours:.1f}", f"{len(urls) / ours:,.0f}", ""]]
    for name in names:
        taken = median(turns.peers[name])
        rows.append([name, f"{taken:.1f}", f"{len(urls) / taken:,.0f}", f"{turns.ratio(name):.2f}"])
    print(
        f"{len(urls):,} URLs{', images alone' if options.clean else ''}, {limits.connections} connections, "
        f"timeout {limits.timeout:g} s, retries {limits.retries}, median of {options.rounds} rounds\n"
    )
    print(format_table(["", "seconds", "URLs/s", "ours /"], rows))
    bars = [
        Bar(turns.ratio(name) >= BAR, f"ours at {turns.ratio(name):.2f} of the speed of {name}, at least {BAR}")
        for name in names
    ]
    bars.append(Bar(True, "every URL has its row in a sidecar, every image its bytes"))
    bars.append(
        Bar(
            resumed.asked_again == 0,
            f"killed with {resumed.on_disk:,} URLs on disk and started again: asked for {resumed.asked:,}, "
            f"of which on disk before {resumed.asked_again:,}",
        )
    )
    return finish(bars, options.smoke)


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--urls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--shard-size", type=int, default=10_000)
    parser.add_argument("--clean", action="store_true", help="images alone: what a URL costs where nothing is waited for")
    parser.add_argument("--peers-python", default="", help="interpreter that has img2dataset (default: it is left out)")
    parser.add_argument("--only", nargs="+", choices=list(SIDES), help="peers to run beside ours (default: all)")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    smoke = {
        "urls": 100, "rounds": 1, "connections": 32, "timeout": 20, "shard_size": 50, "clean": True, "only": ["bare aiohttp"],
    }  # fmt: skip
    options = parse_options(parser, "fetch", smoke)
    limits = Limits(options.connections, options.timeout, options.retries, options.shard_size, options.peers_python)
    if options.side:
        name, listed, out = options.side
        print(SIDES[name](Path(listed), Path(out), limits))
        return 0
    return compare(options, limits)


if __name__ == "__main__":
    sys.exit(main())
