"""Near duplicates of images: what is found of known edits, what is found falsely, how fast; and what measuring an image costs.

    python -m benchmarks.images [--peers-python ../peers-images/bin/python] [--data ../shared/data/image-text/img2dataset]

| set | |
|---|---|
| made | `--images` different pictures of about 256 pixels, as benchmarks/pairs.py makes them, half of them letterboxed |
| as fetched | the distinct images of the shards at `--data` with sides of 64 pixels or more: photos, drawings, many screenshots |
| small | the others of the shards: icons, most of 24 × 24 pixels |

Of each set `--edited` images are edited in every way of `EDITS` and compared with their originals; "flipped" is another image and must
not be found. False pairs are those among the originals: of the pictures made, all pairs are; of the others nobody knows, since the
shards hold many edits of the same photo, so that the number is an upper bound. An image that looks the same flipped counts as false.

| tool | a pair is found where |
|---|---|
| ours, hashes | one of the four hashes of each differ in at most 10 bits of 64 |
| ours | and the thumbnails are similar enough: what a build calls a near duplicate |
| imagehash | its phash differs in at most 10 bits |
| imagededup | its PHash does |

The peers run in the environment of `--peers-python` (benchmarks/requirements-images.txt), over the same files. Searches are timed for
2,000 random hashes, beside imagededup's and numpy, and for 1,000,000 on two threads, where 10,000 planted neighbours must be found.
Exits with 1 where a bar is missed: of the pictures made, 0.95 found and 0.5 % false; all that was planted, within 60 seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

# Imports of ours and of the peers' stand in the functions: the same file runs in both environments.

DISTANCE = 10
RECALL, FALSE, SECONDS = 0.95, 0.005, 60.0
DATA = Path("../shared/data/image-text/img2dataset")
FLIPPED = "flipped"


# --- in the peers' environment: hashes of the files in a folder, and pairs of hashes within the distance


def _imagehash(folder: Path) -> list[str]:
    import imagehash
    from PIL import Image

    return [str(imagehash.phash(Image.open(path))) for path in sorted(folder.iterdir())]


def _imagededup(folder: Path) -> list[str]:
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    return [hasher.encode_image(image_file=str(path)) for path in sorted(folder.iterdir())]


def _search(path: Path) -> dict[str, float]:
    """Seconds that imagededup takes to find the pairs within the distance, in each way that it has."""
    import time

    from imagededup.handlers.search.retrieval import HashEval
    from imagededup.methods import PHash

    hashes = {str(i): value for i, value in enumerate(json.loads(path.read_text()))}
    taken = {}
    for method in ("bktree", "brute_force_cython"):
        began = time.perf_counter()
        HashEval(hashes, hashes, PHash.hamming_distance, verbose=False, threshold=DISTANCE, search_method=method)
        taken[method] = time.perf_counter() - began
    return taken


WORKERS: dict[str, Callable[[Path], Any]] = {"imagehash": _imagehash, "imagededup": _imagededup, "search": _search}


def in_peers(python: str, task: str, path: Path) -> Any:
    done = subprocess.run([python, __file__, "--worker", task, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# --- edits


def edits() -> dict[str, Callable[[Any, Any], bytes]]:
    """Name: function of an image (RGB) and a random generator, that returns the edited file."""
    from PIL import Image, ImageEnhance, ImageOps

    def jpeg(image: Any, quality: int = 90) -> bytes:
        out = BytesIO()
        image.save(out, "JPEG", quality=quality)
        return out.getvalue()

    def resized(image: Any, factor: float) -> bytes:
        size = [max(1, round(length * factor)) for length in image.size]
        return jpeg(image.resize(size, Image.Resampling.LANCZOS))

    def cropped(image: Any, random: Any) -> bytes:
        """3 % of width and of height, from anywhere."""
        left, top = random.random() * 0.03 * image.width, random.random() * 0.03 * image.height
        return jpeg(image.crop((round(left), round(top), round(left + 0.97 * image.width), round(top + 0.97 * image.height))))

    def bordered(image: Any, colour: str) -> bytes:
        return jpeg(ImageOps.expand(image, max(1, round(0.05 * max(image.size))), colour))

    made: dict[str, Callable[[Any, Any], bytes]] = {
        f"size × {factor}": lambda image, random, factor=factor: resized(image, factor) for factor in (0.5, 0.75, 2)
    }
    made |= {f"JPEG {q}": lambda image, random, q=q: jpeg(image, q) for q in (40, 60, 75, 95)}
    made["3 % cropped"] = cropped
    made |= {f"{colour} border": lambda image, random, colour=colour: bordered(image, colour) for colour in ("white", "black")}
    made |= {
        f"brightness × {f}": lambda image, random, f=f: jpeg(ImageEnhance.Brightness(image).enhance(f)) for f in (0.85, 1.15)
    }
    made[FLIPPED] = lambda image, random: jpeg(ImageOps.mirror(image))
    return made


# --- what is found


class Ours:
    """Hashes and thumbnails of files, and which pairs of them are near duplicates."""

    def __init__(self, blobs: list[bytes]) -> None:
        import numpy as np

        from filters.image.inspection import inspect

        found = inspect(blobs)
        self.descriptors = found.descriptors
        # What is flat is never a near duplicate by its hash.
        self.hashes = found.hashes
        self.usable = ~found.flat
        self.count = len(blobs)
        self._numpy = np

    def near(self, others: Ours) -> Any:
        """bool[n]: whether file i and file i of `others` have a hash within the distance."""
        apart = self._numpy.bitwise_count(self.hashes[:, :, None] ^ others.hashes[:, None, :]).min((1, 2))
        return (apart <= DISTANCE) & self.usable & others.usable

    def alike(self, others: Ours) -> Any:
        from filters.image.fingerprint import ACCEPT, similarities

        np = self._numpy
        both, rows = np.concatenate([self.descriptors, others.descriptors]), np.arange(self.count)
        return similarities(both, rows, rows + self.count) >= np.float32(ACCEPT)

    def pairs(self) -> tuple[Any, Any]:
        """`(pairs, verified)`: int64[m, 2] of files with hashes within the distance, by the index; and which are alike."""
        from filters.image.fingerprint import ACCEPT, similarities
        from pipeline.dedup.hamming import HammingIndex

        np = self._numpy
        rows = np.flatnonzero(self.usable)
        distinct, inverse = np.unique(self.hashes[rows], return_inverse=True)
        inverse = inverse.reshape(len(rows), -1)
        members: list[set[int]] = [set() for _ in distinct]
        for row, places in zip(rows.tolist(), inverse.tolist(), strict=True):
            for place in places:
                members[place].add(row)
        left, right, _ = HammingIndex.build(distinct, DISTANCE).pairs(0, len(distinct), DISTANCE)
        found = {(a, b) for group in members for a in group for b in group if a < b}
        for i, j in zip(left.tolist(), right.tolist(), strict=True):
            found |= {(min(a, b), max(a, b)) for a in members[i] for b in members[j] if a != b}
        both = np.array(sorted(found), np.int64).reshape(-1, 2)
        return both, similarities(self.descriptors, both[:, 0].copy(), both[:, 1].copy()) >= np.float32(ACCEPT)


class Hashes:
    """One hash a file, as the peers make it."""

    def __init__(self, values: list[str]) -> None:
        import numpy as np

        self.values = np.array([int(value, 16) for value in values], np.uint64)
        self._numpy = np

    def near(self, others: Hashes) -> Any:
        return self._numpy.bitwise_count(self.values ^ others.values) <= DISTANCE

    def pairs(self) -> int:
        apart = self._numpy.bitwise_count(self.values[:, None] ^ self.values[None])
        return int(self._numpy.triu(apart <= DISTANCE, 1).sum())


def hashed(python: str, tool: str, blobs: list[bytes]) -> Hashes:
    with tempfile.TemporaryDirectory() as scratch:
        for i, blob in enumerate(blobs):
            (Path(scratch) / f"{i:06d}.jpg").write_bytes(blob)
        return Hashes(in_peers(python, tool, Path(scratch)))


def finding(name: str, originals: list[bytes], edited: int, python: str | None) -> tuple[float, float]:
    """Prints the table of one set; returns recall and the share of false pairs (per original) of ours."""
    import numpy as np
    from PIL import Image

    from benchmarks.corpus import table

    random = np.random.default_rng(len(originals))
    chosen = random.choice(len(originals), min(edited, len(originals)), replace=False)
    pictures = [Image.open(BytesIO(originals[i])).convert("RGB") for i in chosen.tolist()]
    peers = ["imagehash", "imagededup"] if python else []
    ours = Ours([originals[i] for i in chosen.tolist()])
    theirs = {tool: hashed(python or "", tool, [originals[i] for i in chosen.tolist()]) for tool in peers}
    found: dict[str, list[float]] = {}
    for kind, edit in edits().items():
        blobs = [edit(picture, random) for picture in pictures]
        here = Ours(blobs)
        near = ours.near(here)
        found[kind] = [near.mean(), (near & ours.alike(here)).mean()]
        found[kind] += [theirs[tool].near(hashed(python or "", tool, blobs)).mean() for tool in peers]
        print(f"  {name}, {kind}", file=sys.stderr)
    means = np.mean([values for kind, values in found.items() if kind != FLIPPED], axis=0)
    flipped = found.pop(FLIPPED)
    rows = [[kind, *(f"{value:.1%}" for value in values)] for kind, values in found.items()]
    rows.append(["**found of all edits**", *(f"**{value:.1%}**" for value in means)])
    rows.append([f"{FLIPPED} (false)", *(f"{value:.1%}" for value in flipped)])
    whole = Ours(originals)
    pairs, verified = whole.pairs()
    false = [len(pairs), int(verified.sum()), *(hashed(python or "", tool, originals).pairs() for tool in peers)]
    rows.append(["pairs among the originals", *(f"{count:,}" for count in false)])
    rows.append(["per 100 originals", *(f"{100 * count / len(originals):.2f}" for count in false)])
    print(f"**{name}**: {len(originals):,} images, {len(chosen):,} of them edited\n")
    print(table(["edit", "ours, hashes", "ours", *peers], rows), end="\n\n")
    return float(means[1]), false[1] / len(originals)


# --- speed


def searching(python: str | None) -> tuple[int, float]:
    """Prints the table of searches; returns how many planted pairs were missed, and seconds for a million hashes."""
    import numpy as np

    from benchmarks.corpus import seconds, table
    from pipeline.dedup.hamming import HammingIndex

    random = np.random.default_rng(0)
    rows = []

    def ours(hashes: Any) -> list[Any]:
        index = HammingIndex.build(hashes, DISTANCE)
        cuts = np.linspace(0, len(hashes), 21).astype(int).tolist()
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda k: index.search(cuts[k], cuts[k + 1], DISTANCE), range(20)))

    def brute(hashes: Any) -> None:
        for start in range(0, len(hashes), 1000):
            np.nonzero(np.bitwise_count(hashes[start : start + 1000, None] ^ hashes[None]) <= DISTANCE)

    few = np.unique(random.integers(0, 2**64, 2_000, dtype=np.uint64))
    ours(few)
    taken = {"ours, two threads": seconds(lambda: ours(few)), "numpy, every pair": seconds(lambda: brute(few))}
    if python:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "hashes.json"
            path.write_text(json.dumps([f"{value:016x}" for value in few.tolist()]))
            taken |= {f"imagededup, {method}": value for method, value in in_peers(python, "search", path).items()}
    rows = [[tool, f"{len(few):,}", f"{value:,.2f}"] for tool, value in taken.items()]
    rows.append(
        ["numpy, every pair (as the square)", "1,000,000", f"{taken['numpy, every pair'] * (1_000_000 / len(few)) ** 2:,.0f}"]
    )

    many = random.integers(0, 2**64, 990_000, dtype=np.uint64)
    planted = many[:10_000].copy()
    for k in range(len(planted)):
        for bit in random.choice(64, 1 + k % DISTANCE, replace=False).tolist():
            planted[k] ^= np.uint64(1) << np.uint64(bit)
    distinct, where = np.unique(np.concatenate([many, planted]), return_inverse=True)
    pieces: list[Any] = []
    million = seconds(lambda: pieces.extend(ours(distinct)))
    keys = np.concatenate([f.left * len(distinct) + f.right for f in pieces])
    a, b = where[:10_000].astype(np.int64), where[990_000:].astype(np.int64)
    missed = int((~np.isin(np.minimum(a, b) * len(distinct) + np.maximum(a, b), keys)).sum())
    rows.append(["ours, two threads", f"{len(distinct):,}", f"{million:,.2f}"])
    print(f"Pairs of random hashes within {DISTANCE} of 64 bits\n")
    print(table(["search", "hashes", "seconds"], rows))
    print(f"\nOf 10,000 planted neighbours at distances of 1 to {DISTANCE}, {missed:,} were missed.\n")
    return missed, million


def cost(blobs: list[bytes], rounds: int) -> None:
    from PIL import Image

    from benchmarks.corpus import in_turns, median, seconds, speed, table
    from filters.image.inspection import inspect

    def decode() -> None:
        for blob in blobs:
            try:
                Image.open(BytesIO(blob)).convert("RGB")
            except OSError:
                continue

    beside, theirs = in_turns(lambda: seconds(lambda: inspect(blobs)), {"decode": lambda: seconds(decode)}, rounds)
    ours, floor = median(beside["decode"]), median(theirs["decode"])
    rows = [
        ['`Image.open(…).convert("RGB")`', speed(len(blobs) / floor), f"{floor / len(blobs) * 1e6:.0f}", "1"],
        [
            "`inspect`: decoding and all measures",
            speed(len(blobs) / ours),
            f"{ours / len(blobs) * 1e6:.0f}",
            f"{ours / floor:.2f}",
        ],
    ]
    print(f"Measuring the {len(blobs):,} images of the shards, one core\n")
    print(table(["", "images/s", "µs an image", "time"], rows), end="\n\n")


def main() -> int:
    from PIL import Image

    from benchmarks.corpus import ROOT
    from benchmarks.pairs import made, tar_members

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of img2dataset shards (default: %(default)s)")
    parser.add_argument("--peers-python", help="interpreter that has the peers (default: ours alone)")
    parser.add_argument("--images", type=int, default=5_000, help="pictures to make (default: %(default)s)")
    parser.add_argument("--edited", type=int, default=1_000, help="images of each set to edit (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of decoding (default: %(default)s)")
    options = parser.parse_args()

    data = options.data if options.data.is_absolute() else ROOT / options.data
    fetched = [body for path in sorted(data.glob("*.tar")) for name, body in tar_members(path) if name.endswith(".jpg")]
    sizes: dict[bytes, int] = {}
    for body in fetched:
        try:
            image = Image.open(BytesIO(body))
            image.load()
        except OSError:
            continue
        sizes[body] = min(image.size)
    with tempfile.TemporaryDirectory() as scratch:
        folder = made(data, Path(scratch), options.images, 256, 2)
        pictures = [body for path in sorted(folder.glob("*.tar")) for name, body in tar_members(path) if name.endswith(".jpg")]
    recall, false = finding("made", pictures, options.edited, options.peers_python)
    finding("as fetched", [body for body, side in sizes.items() if side >= 64], options.edited, options.peers_python)
    finding("small", [body for body, side in sizes.items() if side < 64], options.edited, options.peers_python)
    missed, million = searching(options.peers_python)
    cost(fetched, options.rounds)
    bars = [
        (f"of the pictures made, {recall:.1%} of the edits found, at least {RECALL:.0%}", recall >= RECALL),
        (f"{false:.2%} false pairs, at most {FALSE:.1%}", false <= FALSE),
        (f"{missed:,} planted neighbours missed of 10,000", missed == 0),
        (f"{million:.1f} s for a million hashes, at most {SECONDS:.0f}", million <= SECONDS),
    ]
    for words, held in bars:
        print(f"{'held  ' if held else 'MISSED'} {words}")
    return 0 if all(held for _, held in bars) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(WORKERS[sys.argv[2]](Path(sys.argv[3]))))
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        import benchmarks  # noqa: F401

        sys.exit(main())
