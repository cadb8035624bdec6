"""Peers of benchmarks/images.py: `python -P image_hashes.py TASK PATH` prints JSON.

PATH is a folder of images (imagehash, imagededup: their hashes in hexadecimal) or a JSON list of hashes (search: seconds by method).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

DISTANCE = 10  # bits of 64 in which hashes of near duplicates differ at most


def hash_with_imagehash(folder: Path) -> list[str]:
    import imagehash
    from PIL import Image

    return [str(imagehash.phash(Image.open(path))) for path in sorted(folder.iterdir())]


def hash_with_imagededup(folder: Path) -> list[str]:
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    return [hasher.encode_image(image_file=str(path)) for path in sorted(folder.iterdir())]


def search_with_imagededup(path: Path) -> dict[str, float]:
    """Seconds to find the pairs within the distance, in each way that it has."""
    from imagededup.handlers.search.retrieval import HashEval
    from imagededup.methods import PHash

    hashes = {str(i): value for i, value in enumerate(json.loads(path.read_text()))}
    seconds = {}
    for method in ("bktree", "brute_force_cython"):
        began = time.perf_counter()
        HashEval(hashes, hashes, PHash.hamming_distance, verbose=False, threshold=DISTANCE, search_method=method)
        seconds[method] = time.perf_counter() - began
    return seconds


TASKS: dict[str, Callable[[Path], object]] = {
    "imagehash": hash_with_imagehash,
    "imagededup": hash_with_imagededup,
    "search": search_with_imagededup,
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](Path(sys.argv[2]))))
