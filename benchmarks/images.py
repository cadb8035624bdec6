"""Near duplicates of images: what is found of known edits, what is found falsely, how fast; and what measuring an image costs.

    python -m benchmarks.images [--peers-python ../peers-images/bin/python]

| set | |
|---|---|
| made | `--images` different pictures of about 256 pixels, as benchmarks/pairs.py makes them, half of them letterboxed |
| as fetched | the distinct images of img2dataset's shards with sides of 64 pixels or more: photos, drawings, many screenshots |
| small | the others of the shards: icons, most of 24 × 24 pixels |

Of each set `--edited` images are edited in every way of `make_edits` and compared with their originals; "flipped" is another image and must
not be found. False pairs are those among the originals: of the pictures made, all pairs are; of the others nobody knows, since the
shards hold many edits of the same photo, so that the number is an upper bound. An image that looks the same flipped counts as false.

| tool | a pair is found where |
|---|---|
| ours, hashes | one of the four hashes of each differ in at most 10 bits of 64 |
| ours | and the thumbnails are similar enough: what a build calls a near duplicate |
| imagehash | its phash differs in at most 10 bits |
| imagededup | its PHash does |

The peers (benchmarks/workers/image_hashes.py) run in the environment of `--peers-python` (benchmarks/requirements-images.txt), over the
same files. Searches are timed for 2,000 random hashes, beside imagededup's and numpy, and for 1,000,000 on two threads, where 10,000
planted neighbours must be found. Exits with 1 where a bar is missed: of the pictures made, 0.95 found and 0.5 % false; all that was
planted, within 60 seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.harness import (
    Bar,
    finish,
    format_speed,
    format_table,
    make_parser,
    parse_options,
    print_progress,
    run_json,
    seconds,
    take_turns,
)
from benchmarks.pairs import make_pairs
from benchmarks.workers.image_hashes import DISTANCE
from benchmarks.workers.pairs import read_tar
from filters.image.fingerprint import ACCEPT, similarities
from filters.image.inspection import inspect
from pipeline.dedup.hamming import HammingIndex

RECALL, FALSE, SECONDS = 0.95, 0.005, 60.0
SMALL_SIDE = 64  # pixels
PLANTED = 10_000
FLIPPED = "flipped"
WORKER = Path(__file__).parent / "workers" / "image_hashes.py"

Edit = Callable[[Image.Image, np.random.Generator], bytes]


def run_peer(python: str, task: str, path: Path) -> list[str]:
    hashes: list[str] = run_json([python, "-P", str(WORKER), task, str(path)], task)
    return hashes


# -- edits


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def resize(factor: float) -> Edit:
    def edit(image: Image.Image, random: np.random.Generator) -> bytes:
        width, height = (max(1, round(length * factor)) for length in image.size)
        return encode_jpeg(image.resize((width, height), Image.Resampling.LANCZOS))

    return edit


def compress(quality: int) -> Edit:
    return lambda image, random: encode_jpeg(image, quality)


def crop(image: Image.Image, random: np.random.Generator) -> bytes:
    """Cut 3 % of width and of height away, from anywhere."""
    left, top = random.random() * 0.03 * image.width, random.random() * 0.03 * image.height
    box = (round(left), round(top), round(left + 0.97 * image.width), round(top + 0.97 * image.height))
    return encode_jpeg(image.crop(box))


def add_border(colour: str) -> Edit:
    return lambda image, random: encode_jpeg(ImageOps.expand(image, max(1, round(0.05 * max(image.size))), colour))


def change_brightness(factor: float) -> Edit:
    return lambda image, random: encode_jpeg(ImageEnhance.Brightness(image).enhance(factor))


def flip(image: Image.Image, random: np.random.Generator) -> bytes:
    return encode_jpeg(ImageOps.mirror(image))


def make_edits() -> dict[str, Edit]:
    """Edits by name: functions of an RGB image that return the edited file."""
    edits: dict[str, Edit] = {f"size × {factor}": resize(factor) for factor in (0.5, 0.75, 2)}
    edits |= {f"JPEG {quality}": compress(quality) for quality in (40, 60, 75, 95)}
    edits["3 % cropped"] = crop
    edits |= {f"{colour} border": add_border(colour) for colour in ("white", "black")}
    edits |= {f"brightness × {factor}": change_brightness(factor) for factor in (0.85, 1.15)}
    edits[FLIPPED] = flip
    return edits


# -- what is found


class NearPairs(NamedTuple):
    """Pairs of files with hashes within the distance."""

    rows: np.ndarray  # int64[m, 2]
    verified: np.ndarray  # bool[m]: whether their thumbnails are alike


class OurHashes:
    """Hashes and thumbnails of files, and which pairs of them are near duplicates."""

    def __init__(self, files: list[bytes]) -> None:
        inspected = inspect(files)
        self.descriptors = inspected.descriptors
        self.hashes = inspected.hashes
        self.usable = ~inspected.flat  # what is flat is never a near duplicate by its hash
        self.count = len(files)

    def match(self, others: OurHashes) -> np.ndarray:
        """bool[n]: whether file i and file i of `others` have a hash within the distance."""
        distances = np.bitwise_count(self.hashes[:, :, None] ^ others.hashes[:, None, :]).min((1, 2))
        matches: np.ndarray = (distances <= DISTANCE) & self.usable & others.usable
        return matches

    def verify(self, others: OurHashes) -> np.ndarray:
        """bool[n]: whether the thumbnails of file i and file i of `others` are alike."""
        descriptors, rows = np.concatenate([self.descriptors, others.descriptors]), np.arange(self.count)
        alike: np.ndarray = similarities(descriptors, rows, rows + self.count) >= np.float32(ACCEPT)
        return alike

    def find_pairs(self) -> NearPairs:
        """All pairs among the files, by the index."""
        rows = np.flatnonzero(self.usable)
        distinct, inverse = np.unique(self.hashes[rows], return_inverse=True)
        members: list[set[int]] = [set() for _ in distinct]
        for row, positions in zip(rows.tolist(), inverse.reshape(len(rows), -1).tolist(), strict=True):
            for position in positions:
                members[position].add(row)
        neighbours = HammingIndex.build(distinct, DISTANCE).search(0, len(distinct), DISTANCE)
        pairs = {(a, b) for group in members for a in group for b in group if a < b}
        for i, j in zip(neighbours.left.tolist(), neighbours.right.tolist(), strict=True):
            pairs |= {(min(a, b), max(a, b)) for a in members[i] for b in members[j] if a != b}
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        alike = similarities(self.descriptors, found[:, 0].copy(), found[:, 1].copy()) >= np.float32(ACCEPT)
        return NearPairs(found, alike)


class PeerHashes:
    """One hash a file, as a peer makes it."""

    def __init__(self, python: str, tool: str, files: Sequence[bytes]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for i, content in enumerate(files):
                (Path(scratch) / f"{i:06d}.jpg").write_bytes(content)
            values = run_peer(python, tool, Path(scratch))
        self.values = np.array([int(value, 16) for value in values], np.uint64)

    def match(self, others: PeerHashes) -> np.ndarray:
        matches: np.ndarray = np.bitwise_count(self.values ^ others.values) <= DISTANCE
        return matches

    def count_pairs(self) -> int:
        distances = np.bitwise_count(self.values[:, None] ^ self.values[None])
        return int(np.triu(distances <= DISTANCE, 1).sum())


class Found(NamedTuple):
    recall: float
    false: float  # pairs per original


def find_edits(name: str, originals: list[bytes], edited: int, python: str | None) -> Found:
    """Print the table of one set; returns what ours finds."""
    random = np.random.default_rng(len(originals))
    chosen = [originals[i] for i in random.choice(len(originals), min(edited, len(originals)), replace=False).tolist()]
    pictures = [Image.open(BytesIO(content)).convert("RGB") for content in chosen]
    peers = dict.fromkeys(("imagehash", "imagededup"), python) if python else {}
    ours = OurHashes(chosen)
    theirs = {tool: PeerHashes(interpreter, tool, chosen) for tool, interpreter in peers.items()}
    shares: dict[str, list[float]] = {}
    for kind, edit in make_edits().items():
        files = [edit(picture, random) for picture in pictures]
        edits = OurHashes(files)
        matches = ours.match(edits)
        shares[kind] = [float(matches.mean()), float((matches & ours.verify(edits)).mean())]
        for tool, interpreter in peers.items():
            shares[kind].append(float(theirs[tool].match(PeerHashes(interpreter, tool, files)).mean()))
        print_progress(f"{name}, {kind}")
    flipped = shares.pop(FLIPPED)
    means = np.mean(list(shares.values()), axis=0)
    rows = [[kind, *(f"{value:.1%}" for value in values)] for kind, values in shares.items()]
    rows.append(["**found of all edits**", *(f"**{value:.1%}**" for value in means)])
    rows.append([f"{FLIPPED} (false)", *(f"{value:.1%}" for value in flipped)])
    pairs = OurHashes(originals).find_pairs()
    false = [len(pairs.rows), int(pairs.verified.sum())]
    false += [PeerHashes(interpreter, tool, originals).count_pairs() for tool, interpreter in peers.items()]
    rows.append(["pairs among the originals", *(f"{count:,}" for count in false)])
    rows.append(["per 100 originals", *(f"{100 * count / len(originals):.2f}" for count in false)])
    print(f"**{name}**: {len(originals):,} images, {len(chosen):,} of them edited\n")
    print(format_table(["edit", "ours, hashes", "ours", *peers], rows), end="\n\n")
    return Found(float(means[1]), false[1] / len(originals))


# -- speed


class Neighbours(NamedTuple):
    left: np.ndarray  # int64[n], with `right` the pairs within the distance
    right: np.ndarray


class Searched(NamedTuple):
    missed: int  # planted pairs
    seconds: float


def search_ours(hashes: np.ndarray) -> list[Neighbours]:
    """All pairs within the distance, on two threads."""
    index = HammingIndex.build(hashes, DISTANCE)

    def search(first: int, last: int) -> Neighbours:
        found = index.search(first, last, DISTANCE)
        return Neighbours(found.left, found.right)

    cuts = np.linspace(0, len(hashes), 21).astype(int).tolist()
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(search, cuts[:-1], cuts[1:]))


def search_every_pair(hashes: np.ndarray) -> None:
    for start in range(0, len(hashes), 1000):
        np.nonzero(np.bitwise_count(hashes[start : start + 1000, None] ^ hashes[None]) <= DISTANCE)


def time_searches(python: str | None, few_count: int, many_count: int) -> Searched:
    """Print the table of searches; returns what the large one took."""
    random = np.random.default_rng(0)
    few = np.unique(random.integers(0, 2**64, few_count, dtype=np.uint64))
    search_ours(few)
    taken = {
        "ours, two threads": seconds(lambda: search_ours(few)),
        "numpy, every pair": seconds(lambda: search_every_pair(few)),
    }
    if python:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "hashes.json"
            path.write_text(json.dumps([f"{value:016x}" for value in few.tolist()]))
            searched: dict[str, float] = run_json([python, "-P", str(WORKER), "search", str(path)], "search")
            taken |= {f"imagededup, {method}": value for method, value in searched.items()}
    rows = [[tool, f"{len(few):,}", f"{value:,.2f}"] for tool, value in taken.items()]
    square = (many_count / len(few)) ** 2
    rows.append(["numpy, every pair (as the square)", f"{many_count:,}", f"{taken['numpy, every pair'] * square:,.0f}"])

    planted_count = min(PLANTED, many_count // 10)
    many = random.integers(0, 2**64, many_count - planted_count, dtype=np.uint64)
    planted = many[:planted_count].copy()
    for k in range(len(planted)):
        for bit in random.choice(64, 1 + k % DISTANCE, replace=False).tolist():
            planted[k] ^= np.uint64(1) << np.uint64(bit)
    distinct, positions = np.unique(np.concatenate([many, planted]), return_inverse=True)
    pieces: list[Neighbours] = []
    taken_by_many = seconds(lambda: pieces.extend(search_ours(distinct)))
    keys = np.concatenate([piece.left * len(distinct) + piece.right for piece in pieces])
    a, b = positions[:planted_count].astype(np.int64), positions[len(many) :].astype(np.int64)
    missed = int((~np.isin(np.minimum(a, b) * len(distinct) + np.maximum(a, b), keys)).sum())
    rows.append(["ours, two threads", f"{len(distinct):,}", f"{taken_by_many:,.2f}"])
    print(f"Pairs of random hashes within {DISTANCE} of 64 bits\n")
    print(format_table(["search", "hashes", "seconds"], rows))
    print(f"\nOf {planted_count:,} planted neighbours at distances of 1 to {DISTANCE}, {missed:,} were missed.\n")
    return Searched(missed, taken_by_many)


def time_measures(files: list[bytes], rounds: int) -> None:
    """Print what measuring an image costs beside decoding it."""

    def decode() -> None:
        for content in files:
            try:
                Image.open(BytesIO(content)).convert("RGB")
            except OSError:
                continue

    turns = take_turns(lambda: seconds(lambda: inspect(files)), {"decode": lambda: seconds(decode)}, rounds)
    ours = turns.median_of_ours()
    floor = ours * turns.ratio("decode")
    rows = [
        [name, format_speed(len(files) / value), f"{value / len(files) * 1e6:.0f}", f"{value / floor:.2f}"]
        for name, value in (('`Image.open(…).convert("RGB")`', floor), ("`inspect`: decoding and all measures", ours))
    ]
    print(f"Measuring the {len(files):,} images of the shards, one core\n")
    print(format_table(["", "images/s", "µs an image", "time"], rows), end="\n\n")


def read_images(folder: Path) -> list[bytes]:
    """The JPEGs of a folder of img2dataset's shards."""
    return [body for path in sorted(folder.glob("*.tar")) for name, body in read_tar(path) if name.endswith(".jpg")]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--peers-python", help="interpreter that has the peers (default: ours alone)")
    parser.add_argument("--images", type=int, default=5_000, help="pictures to make (default: %(default)s)")
    parser.add_argument("--edited", type=int, default=1_000, help="images of each set to edit (default: %(default)s)")
    parser.add_argument(
        "--hashes", type=int, nargs=2, default=[2_000, 1_000_000], help="of the searches (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of decoding (default: %(default)s)")
    smoke = {"images": 12, "edited": 4, "hashes": [100, 1_000], "rounds": 1}
    options = parse_options(parser, "images", smoke)

    shards = options.data / "image-text" / "img2dataset"
    fetched = read_images(shards)
    shorter_sides: dict[bytes, int] = {}
    for content in fetched:
        try:
            image = Image.open(BytesIO(content))
            image.load()
        except OSError:
            continue
        shorter_sides[content] = min(image.size)
    sets = {
        "made": read_images(make_pairs(shards, options.scratch, options.images, 256, 1 if options.smoke else 2)),
        "as fetched": [content for content, side in shorter_sides.items() if side >= SMALL_SIDE],
        "small": [content for content, side in shorter_sides.items() if side < SMALL_SIDE],
    }
    found = {name: find_edits(name, images, options.edited, options.peers_python) for name, images in sets.items() if images}
    searched = time_searches(options.peers_python, *options.hashes)
    time_measures(fetched, options.rounds)
    recall, false = found["made"]
    bars = [
        Bar(recall >= RECALL, f"of the pictures made, {recall:.1%} of the edits found, at least {RECALL:.0%}"),
        Bar(false <= FALSE, f"{false:.2%} false pairs, at most {FALSE:.1%}"),
        Bar(searched.missed == 0, f"{searched.missed:,} planted neighbours missed"),
        Bar(searched.seconds <= SECONDS, f"{searched.seconds:.1f} s for {options.hashes[1]:,} hashes, at most {SECONDS:.0f}"),
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
