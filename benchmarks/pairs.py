"""Image-text pairs from tar to Parquet: pairs/s, against the floor and against other tools, with memory.

    python -m benchmarks.pairs [--peers-python ../peers-images/bin/python] [--pairs 60000] [--rounds 3] [--scratch DIR]

| set | |
|---|---|
| 256 px | `--pairs` made pictures of about 256 pixels, a caption each, as img2dataset writes them (10,000 to a tar) |
| 1024 px | `--large` of them with four times the side, so that decoding is nearly everything |
| as fetched | the rows of the img2dataset shards at `--data`, as they are: icons, duplicates, truncated files |

A made picture is a mean of two random pictures of those shards, each cropped and turned at random, with grain: no near duplicate of
another, so that a build without rules keeps and writes nearly all of them. Half is letterboxed to a square (img2dataset's `border`),
half has a shorter side of 256 (`keep_ratio`); JPEG at quality 95. The captions are those of the shards, each with a number.

| run | what it does, with 2 processes |
|---|---|
| floor | tars read, every image decoded once, bytes, caption, URL and size written as Parquet; nothing else |
| ours, rules | `python -m pipeline.build laion-ja`: measures, rules, duplicates by perceptual hash, ledger, shards |
| ours, no rules | the same with `--set rules={}`: all but duplicates and unreadable images is written |
| webdataset | `WebDataset(…).decode("pil")`, a filter by size and aspect, Parquet |
| webdataset, phash | the same and `imagehash.phash` of every image, nothing compared by it |
| data-juicer | filters by aspect, sides and file size, images of equal phash dropped; JSON lines without images |

The floor decodes by `Image.open(…).convert("RGB")`, and has the schema, row groups and compression of our shards. Data-Juicer's
operators (image_aspect_ratio_filter, image_shape_filter, image_size_filter, image_deduplicator, fused) read extracted files;
extracting them is not counted.

Seconds are those of a whole command, from its start to its end, start-up included; runs take turns and figures are medians. The
interpreter `--peers-python` has benchmarks/requirements-images.txt. Exits with 1 where a bar is missed: ours at least 0.7 of the
floor's pairs/s on the set of 256 px, with and without rules.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

# Imports of ours and of the peers' stand in the functions: the same file runs in both environments, and as the floor.

ROOT = Path(__file__).resolve().parent.parent
BAR = 0.7
PER_SHARD = 10_000
REST = "the rest: start-up, card"
LEAST_SIDE = 96  # of a picture that others are made from
ROW_GROUP = 32_000_000  # bytes of images, as in the manifest
RATIOS = (1, 1, 5 / 4, 4 / 3, 4 / 3, 3 / 2, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width over height
RULES = {"rules": (), "no rules": ("--set", "rules={}")}


# -- sets


def tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a plain tar's files, at some microseconds a member, where tarfile takes 40."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while at + 512 <= len(data) and data[at]:
            header = data[at : at + 512]
            if header[156] not in b"0\0":
                raise SystemExit(f"{path}: a member that is no plain file")
            size = int(header[124:136].rstrip(b" \0"), 8)
            yield header[:100].rstrip(b"\0").decode(), data[at + 512 : at + 512 + size]
            at += 512 + -(-size // 512) * 512


def _material(data: Path) -> tuple[list[bytes], list[str]]:
    """Distinct pictures large enough and with some contrast, and distinct captions, of the shards at `data`."""
    from PIL import Image, ImageStat

    pictures: dict[bytes, None] = {}
    captions: dict[str, None] = {}
    for path in sorted(data.glob("*.tar")):
        for name, body in tar_members(path):
            if name.endswith(".txt"):
                captions[body.decode("utf-8", "replace").strip()] = None
            elif name.endswith(".jpg") and body not in pictures:
                try:
                    picture = Image.open(BytesIO(body)).convert("RGB")
                except OSError:
                    continue
                if min(picture.size) >= LEAST_SIDE and max(ImageStat.Stat(picture).stddev) > 30:
                    pictures[body] = None
    captions.pop("", None)
    return list(pictures), list(captions)


def _made(random: Any, material: list[Any], grain: Any, side: int) -> bytes:
    """One picture, encoded."""
    import numpy as np
    from PIL import Image

    ratio, border = RATIOS[random.integers(len(RATIOS))], random.random() < 0.5
    width, height = (side * ratio, side) if (ratio > 1) != border else (side, side / ratio)
    size = round(width), round(height)
    layers = []
    for number in random.integers(len(material), size=2):
        picture = material[number]
        across, down = (random.uniform(0.35, 1) * length for length in picture.size)
        left, top = random.uniform(0, picture.width - across), random.uniform(0, picture.height - down)
        layer = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + across, top + down))
        layers.append(layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else layer)
    mean = np.asarray(Image.blend(layers[0], layers[1], random.uniform(0.35, 0.65))).astype(np.int16)
    y, x = (random.integers(0, n - m + 1) for n, m in zip(grain.shape[:2], mean.shape[:2], strict=True))
    mean += grain[y : y + size[1], x : x + size[0]] * np.int16(random.integers(0, 32)) >> 5
    picture = Image.fromarray(mean.clip(0, 255).astype(np.uint8))
    if border and size != (side, side):
        square = Image.new("RGB", (side, side), "white")
        square.paste(picture, ((side - size[0]) // 2, (side - size[1]) // 2))
        picture = square
    out = BytesIO()
    picture.save(out, "JPEG", quality=95)
    return out.getvalue()


def _shard(
    number: int, *, count: int, per_shard: int, side: int, material: list[bytes], captions: list[str], folder: Path
) -> None:
    """One tar with its sidecar, as img2dataset writes them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    random = np.random.default_rng([side, number])
    pictures = [Image.open(BytesIO(body)).convert("RGB") for body in material]
    grain = np.rint(random.normal(0, 16, (3 * side, 3 * side, 1))).astype(np.int16)
    rows = []
    with tarfile.open(folder / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for i in range(min(per_shard, count - number * per_shard)):
            nth, key = number * per_shard + i, f"{number:05d}{i:04d}"
            image = _made(random, pictures, grain, side)
            width, height = Image.open(BytesIO(image)).size
            caption = f"{captions[random.integers(len(captions))]} {nth + 1}"
            row = {
                "url": f"https://example.com/{side}/{nth}.jpg", "caption": caption, "key": key, "status": "success",
                "error_message": None, "width": width, "height": height, "original_width": 3 * width,
                "original_height": 3 * height, "exif": "{}", "sha256": hashlib.sha256(image).hexdigest(),
            }  # fmt: skip
            rows.append(row)
            for suffix, body in (("jpg", image), ("txt", caption.encode()), ("json", json.dumps(row).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(body)
                tar.addfile(member, BytesIO(body))
    table = pa.Table.from_pylist(rows)
    nothing = table.schema.get_field_index("error_message")
    table = table.set_column(nothing, "error_message", pa.nulls(len(table), pa.string()))
    pq.write_table(table, folder / f"{number:05d}.parquet")  # last: where it is, the tar is whole


def made(data: Path, folder: Path, count: int, side: int, workers: int) -> Path:
    """The folder of a set of made pictures; made once."""
    per_shard = min(PER_SHARD, -(-count // workers))
    folder = folder / f"pairs-{side}-{count}"
    missing = [n for n in range(-(-count // per_shard)) if not (folder / f"{n:05d}.parquet").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        pictures, captions = _material(data)
        make = partial(_shard, count=count, per_shard=per_shard, side=side, material=pictures, captions=captions, folder=folder)
        with ProcessPoolExecutor(workers) as pool:
            print(f"  making {folder.name}", file=sys.stderr)
            list(pool.map(make, missing))
    return folder


# -- the floor


def floor_schema() -> Any:
    """The columns of our shards, without an import of ours; `main` looks whether they are the same."""
    import pyarrow as pa

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    strings = pa.list_(pa.field("element", pa.string()))
    return pa.schema([
        ("id", pa.string()), ("image", image), ("caption", pa.string()), ("captions", strings), ("url", pa.string()),
        ("width", pa.int32()), ("height", pa.int32()), ("phash", pa.string()), ("similarity", pa.float32()),
        ("source", pa.string()), ("license", pa.string()), ("cluster_size", pa.uint32()),
    ])  # fmt: skip


def _floor_tar(path: Path, out: Path) -> tuple[int, int]:
    """Rows written and images that cannot be decoded, of one tar."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    schema = floor_schema()
    sidecar = pq.read_table(path.with_suffix(".parquet"), columns=["key", "url"]).to_pydict()
    urls = dict(zip(sidecar["key"], sidecar["url"], strict=True))
    rows: dict[str, tuple[bytes, int, int]] = {}
    written = unreadable = weight = 0
    pending: list[tuple[str, bytes, int, int, str]] = []
    leaves = ["image.path", "captions.list.element", *(name for name in schema.names if name not in ("image", "captions"))]

    def flush() -> None:
        keys, blobs, widths, heights, captions = (list(column) for column in zip(*pending, strict=True))
        n = len(keys)
        columns = {
            "id": pa.array([f"laion-ja/{path.name}/{key}" for key in keys]),
            "image": pa.StructArray.from_arrays([pa.array(blobs, pa.binary()), pa.array([f"{k}.jpg" for k in keys])], ["bytes", "path"]),
            "caption": pa.array(captions),
            "captions": pa.array([[c] for c in captions], schema.field("captions").type),
            "url": pa.array([urls[key] for key in keys]),
            "width": pa.array(widths, pa.int32()),
            "height": pa.array(heights, pa.int32()),
            "phash": pa.nulls(n, pa.string()),
            "similarity": pa.nulls(n, pa.float32()),
            "source": pa.repeat(pa.scalar("laion-ja"), n),
            "license": pa.repeat(pa.scalar("CC-BY-4.0"), n),
            "cluster_size": pa.repeat(pa.scalar(1, pa.uint32()), n),
        }  # fmt: skip
        writer.write_table(pa.table(columns, schema=schema))
        pending.clear()

    with pq.ParquetWriter(
        out / f"{path.stem}.parquet", schema, compression={"image.bytes": "none"} | dict.fromkeys(leaves, "zstd"),
        compression_level=dict.fromkeys(leaves, 3), use_dictionary=["source", "license"], write_statistics=False,
    ) as writer:  # fmt: skip
        for name, body in tar_members(path):
            key, _, suffix = name.partition(".")
            if suffix == "jpg":
                try:
                    rows[key] = body, *Image.open(BytesIO(body)).convert("RGB").size
                except Exception:  # whatever a decoder raises
                    unreadable += 1
            elif suffix == "txt" and key in rows:
                pending.append((key, *rows.pop(key), body.decode("utf-8", "replace")))
                written, weight = written + 1, weight + len(pending[-1][1])
                if weight >= ROW_GROUP:
                    flush()
                    weight = 0
        if pending:
            flush()
    return written, unreadable


def _told(pattern: str, out: str, workers: str, task: Any) -> None:
    """Run `task` over all tars in processes; prints the counts as JSON."""
    folder, name = os.path.split(pattern)
    paths = sorted(Path(folder).glob(name))
    with ProcessPoolExecutor(int(workers)) as pool:
        counts = list(pool.map(partial(task, out=Path(out)), paths))
    print(json.dumps([sum(column) for column in zip(*counts, strict=True)]))


# -- in the peers' environment


def _webdataset_tar(path: Path, out: Path, phash: bool) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import webdataset as wds

    if phash:
        import imagehash
    bad = 0

    def count(_: Exception) -> bool:
        nonlocal bad
        bad += 1
        return True

    def hashed(sample: dict[str, Any]) -> dict[str, Any]:
        return sample | {"phash": str(imagehash.phash(sample["jpg"]))}

    def good(sample: dict[str, Any]) -> bool:
        width, height = sample["jpg"].size
        return max(width, height) >= 48 and max(width, height) <= 8 * min(width, height)

    samples = (
        wds.WebDataset(str(path), shardshuffle=False, nodesplitter=lambda urls: urls)
        .map(lambda sample: sample | {"bytes": sample["jpg"]})
        .decode("pil", handler=count)
        .select(good)
    )
    rows: list[dict[str, Any]] = []
    written = weight = 0
    writer = None
    for sample in samples.map(hashed) if phash else samples:
        width, height = sample["jpg"].size
        row = {"id": sample["__key__"], "bytes": sample["bytes"], "caption": sample["txt"], "url": sample["json"]["url"],
               "width": width, "height": height, "phash": sample.get("phash", "")}  # fmt: skip
        rows.append(row)
        written, weight = written + 1, weight + len(row["bytes"])
        if weight >= ROW_GROUP:
            table = pa.Table.from_pylist(rows)
            writer = writer or pq.ParquetWriter(out / f"{path.stem}.parquet", table.schema, compression={"bytes": "none"})
            writer.write_table(table)
            rows, weight = [], 0
    if rows:
        table = pa.Table.from_pylist(rows)
        writer = writer or pq.ParquetWriter(out / f"{path.stem}.parquet", table.schema, compression={"bytes": "none"})
        writer.write_table(table)
    if writer:
        writer.close()
    return written, bad


TASKS = {
    "floor": _floor_tar,
    "webdataset": partial(_webdataset_tar, phash=False),
    "webdataset, phash": partial(_webdataset_tar, phash=True),
}


# -- runs


@dataclass(frozen=True)
class Run:
    seconds: float
    together: int  # the largest sum of resident memory over all processes, in bytes
    largest: int  # that of the largest single process
    written: int
    unreadable: int
    steps: dict[str, float]  # ours
    verdicts: dict[str, int]


def watched(command: list[str], env: dict[str, str] | None = None) -> tuple[float, int, int, str]:
    """Wall seconds of a command, its memory (together, largest), and what it printed."""
    import psutil

    together = largest = 0
    stop = threading.Event()
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        # Without what benchmarks/__init__.py sets: commands run as from a shell.
        around = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
        process = psutil.Popen(command, cwd=ROOT, stdout=printed, stderr=errors, env=around | (env or {}))

        def watch() -> None:
            nonlocal together, largest
            while not stop.wait(0.2):
                sizes = []
                try:
                    for member in [process, *process.children(recursive=True)]:
                        try:
                            sizes.append(member.memory_info().rss)
                        except psutil.NoSuchProcess:
                            continue
                except psutil.NoSuchProcess:
                    break
                together, largest = max(together, sum(sizes)), max(largest, *sizes, 0)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - began
        stop.set()
        watcher.join()
        printed.seek(0)
        errors.seek(0)
        if code:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read().decode()[-3000:]}")
        return seconds, together, largest, printed.read().decode()


def _empty(folder: Path) -> Path:
    """An empty folder, and nothing left for the disk to do that a run would wait for."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.sync()
    return folder


def build(pattern: str, out: Path, workers: int, options: tuple[str, ...]) -> Run:
    command = [sys.executable, "-m", "pipeline.build", "laion-ja", "--input", pattern, "--out", str(_empty(out))]
    seconds, together, largest, _ = watched([*command, "--workers", str(workers), *options])
    summary = json.loads((out / ".seimai" / "state.json").read_text())
    verdicts = {name: values[0] for name, values in summary["verdicts"].items()}
    steps = summary["steps_seconds"]
    steps[REST] = seconds - sum(steps.values())
    return Run(seconds, together, largest, verdicts.get("kept", 0), verdicts.get("unreadable", 0), steps, verdicts)


def by_task(task: str, python: str, pattern: str, out: Path, workers: int) -> Run:
    """The floor, or a peer that is one of `TASKS`."""
    command = [python, "-P", __file__, "--task", task, pattern, str(_empty(out)), str(workers)]
    seconds, together, largest, printed = watched(command)
    written, unreadable = json.loads(printed.splitlines()[-1])
    return Run(seconds, together, largest, written, unreadable, {}, {})


def extracted(paths: list[Path], folder: Path, limit: int | None = None) -> Path:
    """Images of tars as files, and the JSON lines that Data-Juicer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "pairs.jsonl"
    images: dict[str, Path] = {}
    with open(lines, "w", encoding="utf-8") as out:
        for path in paths:
            for name, body in tar_members(path):
                key, _, suffix = name.partition(".")
                if suffix == "jpg":
                    images[key] = folder / name
                    images[key].write_bytes(body)
                elif suffix == "txt" and (limit is None or len(images) <= limit):
                    out.write(json.dumps({"text": body.decode(), "images": [str(images[key])]}, ensure_ascii=False) + "\n")
    return lines


def data_juicer(python: str, lines: Path, out: Path, workers: int) -> Run:
    config = {
        "project_name": "pairs", "dataset_path": str(lines), "export_path": str(_empty(out) / "out.jsonl"),
        "np": workers, "use_cache": False, "op_fusion": True,
        "process": [
            {"image_aspect_ratio_filter": {"min_ratio": 0.125, "max_ratio": 8.0}},
            {"image_shape_filter": {"min_width": 16, "min_height": 16}},
            {"image_size_filter": {"min_size": "100", "max_size": "1GB"}},
            {"image_deduplicator": {"method": "phash"}},
        ],
    }  # fmt: skip
    (out / "config.yaml").write_text(json.dumps(config))
    home = {"HF_HOME": str(out / "hf"), "DATA_JUICER_CACHE_HOME": str(out / "cache")}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [python, "-m", "data_juicer.tools.process_data", "--config", str(out / "config.yaml")]
    seconds, together, largest, _ = watched(command, home | offline)
    with open(out / "out.jsonl", encoding="utf-8") as file:
        return Run(seconds, together, largest, sum(1 for _ in file), 0, {}, {})


# -- tables


def _median(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _rows(count: int, runs: dict[str, list[Run]], over: str | None) -> list[list[str]]:
    """A line per run and one per step of ours; speed is also told as a share of that of the run `over`."""
    found = []
    for name, each in runs.items():
        seconds = _median(each)
        share = f"{_median(runs[over]) / seconds:.2f}" if over else ""
        memory = [f"{max(getattr(r, kind) for r in each) / 1e9:.2f} GB" for kind in ("together", "largest")]
        found.append([name, f"{seconds:.1f}", f"{count / seconds:,.0f}", share, f"{each[-1].written:,}", *memory])
        for step in each[0].steps:
            taken = statistics.median(run.steps[step] for run in each)
            found.append([f"… {step}", f"{taken:.1f}", "", "", "", "", ""])
    return found


def _same_work(floor: Run, ours: Run, everything: bool) -> None:
    """Both sides read the same records, found the same ones unreadable, and without rules wrote the same but for duplicates."""
    records = floor.written + floor.unreadable
    if sum(ours.verdicts.values()) != records or ours.unreadable != floor.unreadable:
        raise SystemExit(f"not the same work: {ours.verdicts} of ours, {floor.written} + {floor.unreadable} of the floor")
    if everything and ours.written + ours.verdicts.get("duplicate", 0) != floor.written:
        raise SystemExit(f"not the same work: {ours.verdicts} of ours, {floor.written} written by the floor")


def measure(name: str, pattern: str, scratch: Path, workers: int, rounds: int) -> dict[str, float]:
    """Print the table of one set; returns our shares of the floor's speed."""
    from benchmarks.corpus import table

    runs: dict[str, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for rules, options in RULES.items():
            runs["floor"].append(by_task("floor", sys.executable, pattern, scratch / "out", workers))
            ours = build(pattern, scratch / "out", workers, options)
            runs[f"ours, {rules}"].append(ours)
            _same_work(runs["floor"][-1], ours, rules == "no rules")
            print(f"  {name}: floor {runs['floor'][-1].seconds:.1f} s, ours, {rules} {ours.seconds:.1f} s", file=sys.stderr)
    floor = runs["floor"][-1]
    count = floor.written + floor.unreadable
    folder, files = os.path.split(pattern)
    megabytes = sum(path.stat().st_size for path in Path(folder).glob(files)) / 1e6
    print(f"\n{name}: {count:,} pairs, {megabytes:,.0f} MB of tar; {floor.unreadable} unreadable")
    for rules in RULES:
        print(f"ours, {rules}: {', '.join(f'{n:,} {verdict}' for verdict, n in runs[f'ours, {rules}'][-1].verdicts.items())}")
    header = ["run", "seconds", "pairs/s", "of the floor", "written", "memory, sum", "largest process"]
    print("\n" + table(header, _rows(count, runs, "floor")))
    return {rules: _median(runs["floor"]) / _median(runs[f"ours, {rules}"]) for rules in RULES}


def beside_peers(pattern: str, python: str, scratch: Path, workers: int, rounds: int) -> None:
    """Print the table of the peers, ours (with rules) beside them over the same tars."""
    from benchmarks.corpus import table

    folder, files = os.path.split(pattern)
    paths = sorted(Path(folder).glob(files))
    lines, few = extracted(paths, scratch / "extracted"), extracted(paths[:1], scratch / "few", limit=200)
    # Twice, so that the packages are in memory as ours are; the first tar is enough for the others.
    start = [data_juicer(python, few, scratch / "out", workers) for _ in range(2)][-1]
    by_task("webdataset, phash", python, str(paths[0]), scratch / "out", workers)
    runs: dict[str, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for name in ("webdataset", "webdataset, phash", "data-juicer"):
            runs["ours"].append(build(pattern, scratch / "out", workers, ()))
            if name == "data-juicer":
                peer = data_juicer(python, lines, scratch / "out", workers)
            else:
                peer = by_task(name, python, pattern, scratch / "out", workers)
            runs[name].append(peer)
            print(f"  peers: ours {runs['ours'][-1].seconds:.1f} s, {name} {peer.seconds:.1f} s", file=sys.stderr)
    count = sum(runs["ours"][0].verdicts.values())
    rows = [
        [*row[:3], f"{_median(runs[row[0]]) / _median(runs['ours']):.1f}", *row[4:]]
        for row in _rows(count, runs, None)
        if row[0] in runs
    ]
    print(f"\npeers: {count:,} pairs of the set of 256 px")
    header = ["run", "seconds", "pairs/s", "ours is times as fast", "written", "memory, sum", "largest process"]
    print("\n" + table(header, rows))
    outside = statistics.median(run.steps[REST] for run in runs["ours"])
    print(f"\nStart-up: data-juicer takes {start.seconds:.1f} s for 200 pairs; ours {outside:.1f} s outside its steps")


def main() -> int:
    from benchmarks.corpus import folder
    from pipeline.modalities import image_text

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path("../shared/data/image-text")
    parser.add_argument("--data", type=Path, default=data, help="folder of img2dataset/*.tar (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=60_000, help="of 256 px (default: %(default)s)")
    parser.add_argument("--large", type=int, default=4_000, help="of 1024 px; 0: none (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes on either side (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "seimai-pairs")
    parser.add_argument("--peers-python", help="interpreter that has benchmarks/requirements-images.txt")
    parser.add_argument("--peers-tars", type=int, default=2, help="of the set, for the peers (default: %(default)s)")
    options = parser.parse_args()
    if not floor_schema().equals(image_text._SCHEMA):
        raise SystemExit("the floor writes other columns than the shards have")
    source, scratch, workers = folder(options.data) / "img2dataset", options.scratch.absolute(), options.workers

    whole = made(source, scratch, options.pairs, 256, workers)
    sets = {"256 px": (f"{whole}/*.tar", options.rounds)}
    if options.large:
        sets["1024 px"] = f"{made(source, scratch, options.large, 1024, workers)}/*.tar", options.rounds
    sets["as fetched"] = f"{source}/*.tar", options.rounds
    # Compiled kernels from the cache, as on any run but the first on a machine.
    build(f"{source}/00000.tar", scratch / "out", workers, ("--limit", "100"))
    shares = {name: measure(name, pattern, scratch, workers, rounds) for name, (pattern, rounds) in sets.items()}
    if options.peers_python:
        some = f"{whole}/0000[0-{options.peers_tars - 1}].tar"
        # Not resolved: a virtual environment's interpreter is a link.
        python = str(Path(options.peers_python).absolute())
        beside_peers(some, python, scratch, workers, options.rounds)
    print()
    for rules, share in shares["256 px"].items():
        print(f"{'held  ' if share >= BAR else 'MISSED'} ours, {rules}: {share:.2f} of the floor, at least {BAR}")
    return 0 if min(shares["256 px"].values()) >= BAR else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        _told(*sys.argv[3:], TASKS[sys.argv[2]])
    else:
        sys.exit(main())
