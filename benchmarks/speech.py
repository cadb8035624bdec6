"""Recordings from tar to Parquet: hours of audio per second, against the floor, with memory.

    python -m benchmarks.speech [--hours 10] [--rounds 3] [--scratch DIR]

The recordings are those of the ReazonSpeech layout at `--data`, over and over: every copy of a tar is spoken at another speed (by
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

import argparse
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import ROOT, median, table
from benchmarks.pairs import watched

DATA = Path("../shared/data/speech/reazonspeech")
BAR = 0.8
ROW_GROUP = 32_000_000


def tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in a tar."""
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile():
                file = tar.extractfile(member)
                yield member.name, file.read() if file else b""


def _transcripts(path: Path) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in path.read_text("utf-8").splitlines())


def _copy(number: int, data: Path, folder: Path) -> float:
    """Write one tar of all recordings at a speed of their own; returns hours."""
    import soundfile
    import soxr

    random, seconds = np.random.default_rng(number), 0.0
    with tarfile.open(folder / "v2" / f"{number:03d}.tar", "w") as tar:
        for name, body in tar_members(data / "v2" / "000.tar"):
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


def made(data: Path, scratch: Path, hours: float) -> tuple[Path, float]:
    """A folder in ReazonSpeech's layout of about so many hours, and how many they are."""
    folder = scratch / f"speech-{hours:g}"
    told = folder / "hours.txt"
    if told.is_file():
        return folder, float(told.read_text())
    for name in ("v2", "v2-tsv"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    print(f"  making {folder}", file=sys.stderr)
    total = _copy(0, data, folder)
    with ProcessPoolExecutor(2) as pool:
        count = max(2, round(hours / total))
        total += sum(pool.map(partial(_copy, data=data, folder=folder), range(1, count)))
    rows = _transcripts(data / "v2-tsv" / "tiny.tsv")
    lines = [f"{number:03d}/{Path(name).name}\t{text}\n" for number in range(count) for name, text in rows.items()]
    (folder / "v2-tsv" / "all.tsv").write_text("".join(lines), "utf-8")
    told.write_text(str(total))
    return folder, total


# -- the floor


def _floor_tar(path: Path, texts: dict[str, str], out: Path) -> tuple[int, float]:
    """Recordings and seconds of one tar."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import soundfile

    from pipeline.manifest.loading import load
    from pipeline.modalities import speech

    schema = speech.schema(load("reazonspeech"))  # type: ignore[arg-type]
    leaves = ["audio.path", *(name for name in schema.names if name != "audio")]
    count, seconds = 0, 0.0

    def batches() -> Iterator[list[tuple[str, bytes, float]]]:
        nonlocal count, seconds
        pending: list[tuple[str, bytes, float]] = []
        for name, body in tar_members(path):
            if name.endswith(".flac"):
                samples, rate = soundfile.read(BytesIO(body), dtype="float32")
                pending.append((name.removeprefix("./"), body, len(samples) / rate))
                count, seconds = count + 1, seconds + len(samples) / rate
                if sum(len(blob) for _, blob, _ in pending) >= ROW_GROUP:
                    yield pending
                    pending = []
        if pending:
            yield pending

    with pq.ParquetWriter(
        out / f"{path.stem}.parquet", schema, compression={"audio.bytes": "none"} | dict.fromkeys(leaves, "zstd"),
        compression_level=dict.fromkeys(leaves, 3), use_dictionary=["source", "license"], write_statistics=False,
    ) as writer:  # fmt: skip
        for rows in batches():
            names, blobs, durations = (list(column) for column in zip(*rows, strict=True))
            n = len(names)
            audio = pa.StructArray.from_arrays(
                [pa.array(blobs, pa.binary()), pa.array([Path(x).name for x in names])], ["bytes", "path"]
            )
            columns: dict[str, Any] = {
                "id": pa.array([f"reazonspeech/{name}" for name in names]),
                "audio": audio,
                "transcript": pa.array([texts.get(name) for name in names], pa.string()),
                "duration": pa.array(durations, pa.float32()),
                "sampling_rate": pa.array([16_000] * n, pa.int32()),
                "source": pa.repeat(pa.scalar("reazonspeech"), n),
                "license": pa.repeat(pa.scalar("CDLA-Sharing-1.0"), n),
                "cluster_size": pa.repeat(pa.scalar(1, pa.uint32()), n),
            }
            arrays = [columns.get(field.name, pa.nulls(n, field.type)) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return count, seconds


def floor(folder: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    texts = _transcripts(folder / "v2-tsv" / "all.tsv")
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(partial(_floor_tar, texts=texts, out=out), sorted((folder / "v2").glob("*.tar"))))
    print(sum(count for count, _ in found), sum(seconds for _, seconds in found))


def main() -> int:
    import shutil

    import polars as pl

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder in ReazonSpeech's layout (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=10, help="about so many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "seimai-speech")
    options = parser.parse_args()
    data = options.data if options.data.is_absolute() else ROOT / options.data
    folder, hours = made(data, options.scratch.absolute(), options.hours)
    out = options.scratch.absolute() / "out"
    ours = [sys.executable, "-m", "pipeline.build", "reazonspeech", "--input", str(folder), "--workers", "2", "--out"]
    commands = {
        "floor": [sys.executable, "-m", "benchmarks.speech", "--floor", str(folder), str(out / "floor")],
        "ours, all kept": [*ours, str(out / "all"), "--set", "rules={}", "--set", "deduplicate.enabled=false"],
        "ours": [*ours, str(out / "rules")],
    }
    runs: dict[str, list[tuple[float, int, int, str]]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            shutil.rmtree(out, ignore_errors=True)
            runs[name].append(watched(command))
            if name != "floor":
                ledger = pl.scan_parquet(out / command[command.index("--out") + 1] / "ledger" / "*.parquet")
                verdicts = dict(ledger.group_by("verdict").len().collect().rows())
                print(f"  {name}: {runs[name][-1][0]:.1f} s, {verdicts}", file=sys.stderr)
            else:
                print(f"  floor: {runs[name][-1][0]:.1f} s", file=sys.stderr)
    shutil.rmtree(out, ignore_errors=True)
    seconds = {name: median([run[0] for run in of]) for name, of in runs.items()}
    rows = [
        [name, f"{seconds[name]:.1f}", f"{hours / seconds[name]:.2f}", f"{seconds['floor'] / seconds[name]:.2f}",
         f"{max(run[1] for run in of) / 1e9:.2f} GB", f"{max(run[2] for run in of) / 1e9:.2f} GB"]
        for name, of in runs.items()
    ]  # fmt: skip
    print(f"{hours:.1f} hours of audio in {len(list((folder / 'v2').glob('*.tar')))} tars\n")
    print(table(["run", "seconds", "hours/s", "of the floor", "memory, sum", "largest process"], rows), end="\n\n")
    share = seconds["floor"] / seconds["ours, all kept"]
    print(f"{'held  ' if share >= BAR else 'MISSED'} {share:.2f} of the floor, at least {BAR}")
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        floor(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main())
