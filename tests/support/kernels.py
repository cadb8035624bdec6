"""Compile what numba compiles, before tests need it: `python -m tests.support.kernels`.

Processes that start at once on an empty cache would each compile everything. Two processes share the work here; tests and builds
then load it from numba's cache.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

CORPORA = ("cc100-ja", "speech-ja", "image-text-ja")  # one of each modality, the slowest first


def compile_kernels(corpus: str) -> None:
    from pipeline.manifest.loading import load
    from pipeline.steps.measure import warm

    warm(load(corpus), compiling=True)


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(compile_kernels, CORPORA))
