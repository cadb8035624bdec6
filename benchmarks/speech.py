"""Recordings from tar to Parquet: hours of audio per second, against the floor, with memory.

    python -m benchmarks.speech [--hours 10] [--rounds 3]

The recordings are those of the ReazonSpeech layout at `--data`, over and over: every copy of a tar plays at another speed (by
resampling, between 0.85 and 1.15), so that none is the same recording as another.

| run | what it does, with 2 processes |
|---|---|
| floor | tars read, every FLAC decoded once by soundfile, bytes, transcript and duration written as Parquet; nothing else |
| ours, all kept | `python -m pipeline.build reazonspeech`, no rules, no deduplication: all measures, readings, ledger, the same shards |
| ours | the same with the manifest's rules, and duplicates by sound |

Seconds are those of a whole command, start-up included; runs take turns and figures are medians. Exits with 1 where the bar is missed:
all kept at least 0.8 of the floor.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import soundfile
import soxr

from benchmarks.harness import (
    Bar,
    WatchedRun,
    build_command,
    clear,
    finish,
    format_table,
    make_parser,
    map_in_processes,
    median,
    parse_options,
    print_progress,
    watch,
)
from benchmarks.workers.speech import make_schema, read_tar, read_transcripts

BAR = 0.8
ALL_KEPT = ("--set", "rules={}", "--set", "deduplicate.enabled=false")
WORKER = Path(__file__).parent / "workers" / "speech.py"


class Recordings(NamedTuple):
    """A folder in ReazonSpeech's layout."""

    folder: Path
    hours: float


def write_tar(number: int, data: Path, folder: Path) -> float:
    """Write one tar of all recordings at another speed; returns hours."""
    random, seconds = np.random.default_rng(number), 0.0
    with tarfile.open(folder / "v2" / f"{number:03d}.tar", "w") as tar:
        for name, body in read_tar(data / "v2" / "000.tar"):
            if name.endswith(".flac"):
                samples, rate = soundfile.read(BytesIO(body), dtype="float32")
                samples = soxr.resample(samples, rate, round(rate * random.uniform(0.85, 1.15)))
                out = BytesIO()
                soundfile.write(out, samples, rate, format="FLAC", subtype="PCM_16")
                seconds += len(samples) / rate
                member = tarfile.TarInfo(f"./{number:03d}/{Path(name).name}")
                member.size = out.getbuffer().nbytes
                out.seek(0)
                tar.addfile(member, out)
    return seconds / 3600


def make_recordings(data: Path, scratch: Path, hours: float) -> Recordings:
    """About so many hours of recordings, which are made unless they are there."""
    folder = scratch / f"speech-{hours:g}"
    note = folder / "hours.txt"
    if note.is_file():
        return Recordings(folder, float(note.read_text()))
    for name in ("v2", "v2-tsv"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    print_progress(f"making {folder}")
    total = write_tar(0, data, folder)
    count = max(2, round(hours / total))
    total += sum(map_in_processes(partial(write_tar, data=data, folder=folder), 2, range(1, count)))
    rows = read_transcripts(data / "v2-tsv" / "tiny.tsv")
    lines = [f"{number:03d}/{Path(name).name}\t{text}\n" for number in range(count) for name, text in rows.items()]
    (folder / "v2-tsv" / "all.tsv").write_text("".join(lines), "utf-8")
    note.write_text(str(total))
    return Recordings(folder, total)


def run_floor(recordings: Recordings, out: Path, workers: int) -> WatchedRun:
    watched = watch([sys.executable, "-P", str(WORKER), str(recordings.folder), str(clear(out)), str(workers)])
    print_progress(f"floor: {watched.seconds:.1f} s, {json.loads(watched.output.splitlines()[-1])[0]:,} recordings")
    return watched


def run_build(name: str, recordings: Recordings, out: Path, workers: int, options: tuple[str, ...]) -> WatchedRun:
    watched = watch(build_command("reazonspeech", recordings.folder, clear(out), "--workers", str(workers), *options))
    ledger = pl.scan_parquet(out / "ledger" / "*.parquet")
    print_progress(f"{name}: {watched.seconds:.1f} s, {dict(ledger.group_by('verdict').len().collect().rows())}")
    schema = pq.read_schema(next((out / "data").glob("*.parquet")))
    if [(field.name, field.type) for field in schema] != [(field.name, field.type) for field in make_schema()]:
        raise SystemExit(f"the floor writes other columns than the shards have: {schema}")
    return watched


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--hours", type=float, default=10, help="about so many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes on either side (default: %(default)s)")
    options = parse_options(parser, "speech", {"hours": 0.001, "rounds": 1, "workers": 1})
    recordings = make_recordings(options.data / "speech" / "reazonspeech", options.scratch, options.hours)
    out, workers = options.scratch / "out", options.workers
    builds: dict[str, tuple[str, ...]] = (
        {"ours, all kept": ALL_KEPT} if options.smoke else {"ours, all kept": ALL_KEPT, "ours": ()}
    )
    runs: dict[str, list[WatchedRun]] = {name: [] for name in ("floor", *builds)}
    for _ in range(options.rounds):
        runs["floor"].append(run_floor(recordings, out, workers))
        for name, settings in builds.items():
            runs[name].append(run_build(name, recordings, out, workers, settings))
    shutil.rmtree(out, ignore_errors=True)
    seconds = {name: median([run.seconds for run in repeats]) for name, repeats in runs.items()}
    rows = [
        [
            name, f"{seconds[name]:.1f}", f"{recordings.hours / seconds[name]:.2f}", f"{seconds['floor'] / seconds[name]:.2f}",
            *(f"{max(sizes) / 1e9:.2f} GB" for sizes in zip(*((run.peak_sum, run.peak_process) for run in repeats), strict=True)),
        ]
        for name, repeats in runs.items()
    ]  # fmt: skip
    print(f"{recordings.hours:.1f} hours of audio in {len(list((recordings.folder / 'v2').glob('*.tar')))} tars\n")
    print(format_table(["run", "seconds", "hours/s", "of the floor", "memory, sum", "largest process"], rows))
    share = seconds["floor"] / seconds["ours, all kept"]
    return finish([Bar(share >= BAR, f"{share:.2f} of the floor, at least {BAR}")], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
