"""Compile what numba compiles, before tests need it: `python -m tests.support.kernels`.

Processes that start at once on an empty cache would each compile everything. Two processes share the work here; tests and builds
then load it from numba's cache.
"""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

# Builds of the embedded samples, which together run nearly every loop there is; the slowest first.
BUILDS = (
    ["cc100-ja", "--set", 'measure.presets=["fineweb2-ja", "hojichar", "llmjp-v1", "swallow-v1"]', "--set", "tokenizer.vocab_size=2000"],
    ["image-text-ja"],
    ["speech-ja"],
    ["common-crawl-ja"],
    ["wikipedia-ja"],
)  # fmt: skip


def compile_kernels(arguments: list[str]) -> None:
    from pipeline.build import main
    from pipeline.sources import SOURCES

    for source in SOURCES.values():
        source.warm()
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        main([*arguments, "--out", str(Path(folder) / "out"), "--workers", "0"], standalone_mode=False)


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(compile_kernels, BUILDS))
