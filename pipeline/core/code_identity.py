"""Which code runs here: a hash of everything that decides what a build makes, for driver and workers to compare.

A task is sent as bytes, behind a function (`enter`) that is itself sent by value. So a worker whose code differs, or which has none,
says so in place of doing the task, or failing at it in some way of its own.
"""

from __future__ import annotations

import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle
import xxhash

from pipeline.core.libraries import DECIDING, NOT_INSTALLED, find_versions, list_differences

Identity = dict[str, Any]
_PACKAGES = ("filters", "pipeline", "tokenizer")  # what tasks run
_IGNORED = {"__pycache__"}


@lru_cache(maxsize=1)
def describe_code() -> Identity:
    """Return host, process, version, hash and folder of the code, and the versions of libraries, as they are at the first call."""
    try:
        seimai = version("seimai")
    except PackageNotFoundError:
        seimai = "unknown version"
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "version": seimai,
        "sources": hash_sources(),
        "folder": str(Path(__file__).parents[2]),
        "libraries": find_versions(DECIDING),
    }


def hash_sources() -> str:
    """Hash the files of the packages that tasks run: modules, lists and models, by their paths in the package."""
    digest = xxhash.xxh3_128()
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(_list_files(Path(folder))):
                content = path.read_bytes()
                digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()[:16]


def _list_files(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name not in _IGNORED:
                yield from _list_files(Path(entry.path))
        elif not entry.name.startswith("."):
            yield Path(entry.path)


def list_code_differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Return how the code of a worker differs from this one, a sentence each; empty where it is the same."""
    differences = []
    if there.get("reason"):
        differences.append(f"it cannot say which code it has ({there['reason']})")
    elif (here["version"], here["sources"]) != (there.get("version"), there.get("sources")):
        differences.append(
            f"here: Seimai {here['version']}, sources {here['sources']}, in {here['folder']}; "
            f"there: Seimai {there.get('version')}, sources {there.get('sources')}, in {there.get('folder')}"
        )
    for name, version_here, version_there in list_differences(here["libraries"], there.get("libraries", {})):
        if NOT_INSTALLED not in (version_here, version_there):  # what needs it says so
            differences.append(f"{name} is {version_here} here, {version_there} there")
    return differences


def enter(here: Identity, payload: bytes) -> dict[str, Any]:
    """Run a pickled task where the code is the driver's: `{"result": …}`; elsewhere tell what it is: `{"refused": identity}`.

    This is sent by value, so that it names nothing of its module.
    """
    import os
    import pickle
    import platform

    try:
        from pipeline.core.code_identity import describe_code, list_code_differences

        there = describe_code()
        differs = bool(list_code_differences(here, there))
    except Exception as error:  # older code lacks the module, or none is installed
        there = {"host": platform.node(), "pid": os.getpid(), "reason": f"{type(error).__name__}: {error}"}
        differs = True
    if differs:
        return {"refused": there}
    function, arguments = pickle.loads(payload)
    return {"result": function(*arguments)}


class ByValue:
    """A function that is pickled with its code, so that it runs where its module is not, or is another."""

    def __init__(self, function: Callable[..., Any]) -> None:
        module = sys.modules[function.__module__]
        cloudpickle.register_pickle_by_value(module)
        try:
            self._pickled = cloudpickle.dumps(function)
        finally:
            cloudpickle.unregister_pickle_by_value(module)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._pickled,)
