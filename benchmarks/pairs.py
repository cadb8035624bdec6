"""Image-text pairs from tar to Parquet: pairs/s, against the floor and against other tools, with memory.

    python -m benchmarks.pairs [--peers-python ../peers-images/bin/python] [--pairs 60000] [--rounds 3]

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

The floor (benchmarks/workers/pairs.py) decodes by `Image.open(…).convert("RGB")`, and has the schema, row groups and compression of our
shards. Data-Juicer's operators (image_aspect_ratio_filter, image_shape_filter, image_size_filter, image_deduplicator, fused) read
extracted files; extracting them is not counted.

Seconds are those of a whole command, from its start to its end, start-up included; runs take turns and figures are medians. The
interpreter `--peers-python` has benchmarks/requirements-images.txt. Exits with 1 where a bar is missed: ours at least 0.7 of the
floor's pairs/s on the set of 256 px, with and without rules.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageStat

from benchmarks.harness import (
    Bar,
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
from benchmarks.workers.pairs import make_schema, read_tar
from pipeline.core.ownership import STATE_FOLDER

BAR = 0.7
PER_SHARD = 10_000
OUTSIDE_STEPS = "the rest: start-up, card"
LEAST_SIDE = 96  # of a picture that others are made from
RATIOS = (1, 1, 5 / 4, 4 / 3, 4 / 3, 3 / 2, 3 / 2, 16 / 9, 3 / 4, 2 / 3)  # width over height
RULES: dict[str, tuple[str, ...]] = {"rules": (), "no rules": ("--set", "rules={}")}
WORKER = Path(__file__).parent / "workers" / "pairs.py"


# -- sets


def read_material(data: Path) -> tuple[list[bytes], list[str]]:
    """Distinct pictures large enough and with some contrast, and distinct captions, of the shards at `data`."""
    pictures: dict[bytes, None] = {}
    captions: dict[str, None] = {}
    for path in sorted(data.glob("*.tar")):
        for name, body in read_tar(path):
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


def make_picture(random: np.random.Generator, material: Sequence[Image.Image], grain: np.ndarray, side: int) -> bytes:
    """Make one picture; returns its JPEG."""
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


def write_tar(
    number: int, *, count: int, per_shard: int, side: int, material: list[bytes], captions: list[str], folder: Path
) -> None:
    """Write one tar with its sidecar, as img2dataset does."""
    random = np.random.default_rng([side, number])
    pictures = [Image.open(BytesIO(body)).convert("RGB") for body in material]
    grain = np.rint(random.normal(0, 16, (3 * side, 3 * side, 1))).astype(np.int16)
    rows = []
    with tarfile.open(folder / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for i in range(min(per_shard, count - number * per_shard)):
            nth, key = number * per_shard + i, f"{number:05d}{i:04d}"
            image = make_picture(random, pictures, grain, side)
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
    column = table.schema.get_field_index("error_message")
    table = table.set_column(column, "error_message", pa.nulls(len(table), pa.string()))
    pq.write_table(table, folder / f"{number:05d}.parquet")  # last: where it is, the tar is complete


def make_pairs(data: Path, scratch: Path, count: int, side: int, workers: int) -> Path:
    """The folder of a set of made pictures, which is made unless it is there."""
    per_shard = min(PER_SHARD, -(-count // workers))
    folder = scratch / f"pairs-{side}-{count}"
    missing = [n for n in range(-(-count // per_shard)) if not (folder / f"{n:05d}.parquet").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        pictures, captions = read_material(data)
        write = partial(
            write_tar, count=count, per_shard=per_shard, side=side, material=pictures, captions=captions, folder=folder
        )
        print_progress(f"making {folder.name}")
        list(map_in_processes(write, workers, missing))
    return folder


# -- runs


@dataclass(frozen=True)
class Run:
    """What one run took (memory in bytes) and what it wrote; `steps` and `verdicts` are of ours alone."""

    seconds: float
    peak_sum: int
    peak_process: int
    written: int
    unreadable: int
    steps: dict[str, float]
    verdicts: dict[str, int]


def run_build(pattern: str, out: Path, workers: int, options: tuple[str, ...]) -> Run:
    watched = watch(build_command("laion-ja", pattern, clear(out), "--workers", str(workers), *options))
    summary = json.loads((out / STATE_FOLDER / "state.json").read_text())
    verdicts = {name: values[0] for name, values in summary["verdicts"].items()}
    steps = summary["steps_seconds"]
    steps[OUTSIDE_STEPS] = watched.seconds - sum(steps.values())
    return Run(
        watched.seconds, watched.peak_sum, watched.peak_process, verdicts.get("kept", 0), verdicts.get("unreadable", 0), steps,
        verdicts,
    )  # fmt: skip


def run_worker(task: str, python: str, pattern: str, out: Path, workers: int) -> Run:
    """Run the floor, or a peer that is one of the worker's tasks."""
    watched = watch([python, "-P", str(WORKER), task, pattern, str(clear(out)), str(workers)])
    written, unreadable = json.loads(watched.output.splitlines()[-1])
    return Run(watched.seconds, watched.peak_sum, watched.peak_process, written, unreadable, {}, {})


def extract(paths: list[Path], folder: Path, limit: int | None = None) -> Path:
    """Write images of tars as files, and the JSON lines that Data-Juicer reads; returns the path of these."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "pairs.jsonl"
    images: dict[str, Path] = {}
    with open(lines, "w", encoding="utf-8") as out:
        for path in paths:
            for name, body in read_tar(path):
                key, _, suffix = name.partition(".")
                if suffix == "jpg":
                    images[key] = folder / name
                    images[key].write_bytes(body)
                elif suffix == "txt" and (limit is None or len(images) <= limit):
                    out.write(json.dumps({"text": body.decode(), "images": [str(images[key])]}, ensure_ascii=False) + "\n")
    return lines


def run_data_juicer(python: str, lines: Path, out: Path, workers: int) -> Run:
    config = {
        "project_name": "pairs", "dataset_path": str(lines), "export_path": str(clear(out) / "out.jsonl"),
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
    watched = watch(command, home | offline)
    with open(out / "out.jsonl", encoding="utf-8") as file:
        return Run(watched.seconds, watched.peak_sum, watched.peak_process, sum(1 for _ in file), 0, {}, {})


# -- tables


def median_seconds(runs: list[Run]) -> float:
    return median([run.seconds for run in runs])


def format_rows(count: int, runs: dict[str, list[Run]], base: str | None) -> list[list[str]]:
    """A row per run and one per step of ours; speed stands also as a share of that of the run `base`."""
    rows = []
    for name, repeats in runs.items():
        seconds = median_seconds(repeats)
        share = f"{median_seconds(runs[base]) / seconds:.2f}" if base else ""
        memory = [max(run.peak_sum for run in repeats), max(run.peak_process for run in repeats)]
        rows.append([
            name, f"{seconds:.1f}", f"{count / seconds:,.0f}", share, f"{repeats[-1].written:,}",
            *(f"{size / 1e9:.2f} GB" for size in memory),
        ])  # fmt: skip
        for step in repeats[0].steps:
            rows.append([f"… {step}", f"{median([run.steps[step] for run in repeats]):.1f}", "", "", "", "", ""])
    return rows


def check_same_work(floor: Run, ours: Run, without_rules: bool) -> None:
    """End the benchmark unless both sides read the same records and, without rules, wrote the same but for duplicates."""
    records = floor.written + floor.unreadable
    if sum(ours.verdicts.values()) != records or ours.unreadable != floor.unreadable:
        raise SystemExit(f"not the same work: {ours.verdicts} of ours, {floor.written} + {floor.unreadable} of the floor")
    if without_rules and ours.written + ours.verdicts.get("duplicate", 0) != floor.written:
        raise SystemExit(f"not the same work: {ours.verdicts} of ours, {floor.written} written by the floor")


def check_same_columns(out: Path) -> None:
    """End the benchmark unless our shards have the columns that the floor writes."""
    schema = pq.read_schema(next((out / "data").glob("*.parquet"))).remove_metadata()
    if [(field.name, field.type) for field in schema] != [(field.name, field.type) for field in make_schema()]:
        raise SystemExit(f"the floor writes other columns than the shards have: {schema}")


def measure(name: str, pattern: str, scratch: Path, workers: int, rounds: int, rule_sets: list[str]) -> dict[str, float]:
    """Print the table of one set; returns our shares of the floor's speed."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for rules in rule_sets:
            floor = run_worker("floor", sys.executable, pattern, scratch / "out", workers)
            ours = run_build(pattern, scratch / "out", workers, RULES[rules])
            runs["floor"].append(floor)
            runs[f"ours, {rules}"].append(ours)
            check_same_work(floor, ours, rules == "no rules")
            check_same_columns(scratch / "out")
            print_progress(f"{name}: floor {floor.seconds:.1f} s, ours, {rules} {ours.seconds:.1f} s")
    floor = runs["floor"][-1]
    count = floor.written + floor.unreadable
    folder, files = os.path.split(pattern)
    megabytes = sum(path.stat().st_size for path in Path(folder).glob(files)) / 1e6
    print(f"\n{name}: {count:,} pairs, {megabytes:,.0f} MB of tar; {floor.unreadable} unreadable")
    for rules in rule_sets:
        print(f"ours, {rules}: {', '.join(f'{n:,} {verdict}' for verdict, n in runs[f'ours, {rules}'][-1].verdicts.items())}")
    header = ["run", "seconds", "pairs/s", "of the floor", "written", "memory, sum", "largest process"]
    print("\n" + format_table(header, format_rows(count, runs, "floor")))
    return {rules: median_seconds(runs["floor"]) / median_seconds(runs[f"ours, {rules}"]) for rules in rule_sets}


def compare_peers(pattern: str, python: str, scratch: Path, workers: int, rounds: int) -> None:
    """Print the table of the peers, ours (with rules) beside them over the same tars."""
    folder, files = os.path.split(pattern)
    paths = sorted(Path(folder).glob(files))
    lines, few = extract(paths, scratch / "extracted"), extract(paths[:1], scratch / "few", limit=200)
    # Twice, so that the packages are in memory as ours are; the first tar is enough for the others.
    start = [run_data_juicer(python, few, scratch / "out", workers) for _ in range(2)][-1]
    run_worker("webdataset, phash", python, str(paths[0]), scratch / "out", workers)
    runs: dict[str, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for name in ("webdataset", "webdataset, phash", "data-juicer"):
            runs["ours"].append(run_build(pattern, scratch / "out", workers, ()))
            if name == "data-juicer":
                peer = run_data_juicer(python, lines, scratch / "out", workers)
            else:
                peer = run_worker(name, python, pattern, scratch / "out", workers)
            runs[name].append(peer)
            print_progress(f"peers: ours {runs['ours'][-1].seconds:.1f} s, {name} {peer.seconds:.1f} s")
    count = sum(runs["ours"][0].verdicts.values())
    rows = [
        [*row[:3], f"{median_seconds(runs[row[0]]) / median_seconds(runs['ours']):.1f}", *row[4:]]
        for row in format_rows(count, runs, None)
        if row[0] in runs
    ]
    print(f"\npeers: {count:,} pairs of the set of 256 px")
    header = ["run", "seconds", "pairs/s", "ours is times as fast", "written", "memory, sum", "largest process"]
    print("\n" + format_table(header, rows))
    outside = median([run.steps[OUTSIDE_STEPS] for run in runs["ours"]])
    print(f"\nStart-up: data-juicer takes {start.seconds:.1f} s for 200 pairs; ours {outside:.1f} s outside its steps")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=60_000, help="of 256 px (default: %(default)s)")
    parser.add_argument("--large", type=int, default=4_000, help="of 1024 px; 0: none (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes on either side (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES), help="of ours (default: both)")
    parser.add_argument("--only-made", action="store_true", help="leave the set as fetched out")
    parser.add_argument("--peers-python", help="interpreter that has benchmarks/requirements-images.txt")
    parser.add_argument("--peers-tars", type=int, default=2, help="of the set, for the peers (default: %(default)s)")
    smoke = {"pairs": 12, "large": 0, "workers": 1, "rounds": 1, "only_made": True, "rules": ["no rules"]}
    options = parse_options(parser, "pairs", smoke)
    shards, scratch, workers = options.data / "image-text" / "img2dataset", options.scratch, options.workers

    pictures = make_pairs(shards, scratch, options.pairs, 256, workers)
    sets = {"256 px": f"{pictures}/*.tar"}
    if options.large:
        sets["1024 px"] = f"{make_pairs(shards, scratch, options.large, 1024, workers)}/*.tar"
    if not options.only_made:
        sets["as fetched"] = f"{shards}/*.tar"
    if not options.smoke:
        # Compiled kernels from the cache, as on any run but the first on a machine.
        run_build(f"{shards}/00000.tar", scratch / "out", workers, ("--limit", "100"))
    shares = {name: measure(name, pattern, scratch, workers, options.rounds, options.rules) for name, pattern in sets.items()}
    if options.peers_python:
        # Not resolved: a virtual environment's interpreter is a link.
        python = str(Path(options.peers_python).absolute())
        compare_peers(f"{pictures}/0000[0-{options.peers_tars - 1}].tar", python, scratch, workers, options.rounds)
    bars = [
        Bar(share >= BAR, f"ours, {rules}: {share:.2f} of the floor, at least {BAR}")
        for rules, share in shares["256 px"].items()
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
