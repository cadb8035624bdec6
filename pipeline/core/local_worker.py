"""A worker process of a local cluster: `python -P local_worker.py`, which is told all else on its standard input.

It is a command of its own so that it runs nothing of the program that builds: multiprocessing would import that program's main script once
more in every worker, and a script without `if __name__ == "__main__"` would build again there. Its input stays open as long as the
driver lives; the worker ends with it.
"""

from __future__ import annotations

import asyncio
import importlib.machinery
import importlib.util
import json
import os
import pickle
import signal
import sys
import threading
from typing import IO, Any


def write_instructions(pipe: IO[bytes], path: list[str], root: str, instructions: dict[str, Any]) -> None:
    """Tell a worker what `main` reads: where it imports from, then `address`, `security`, `config` and `options` of a Dask worker."""
    pipe.write(json.dumps([path, root]).encode() + b"\n" + pickle.dumps(instructions))
    pipe.flush()


def main() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the driver: it ends the build in order, and the workers with it
    pipe = _take_standard_input()
    path, root = json.loads(pipe.readline())
    sys.path[:] = path
    _import_from(root)
    instructions = pickle.load(pipe)
    threading.Thread(target=_end_with_driver, args=(pipe,), daemon=True).start()
    asyncio.run(_work(**instructions))


def _take_standard_input() -> IO[bytes]:
    """Return what standard input is, and give tasks, and what they start, an empty one in its place."""
    pipe = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return pipe


def _import_from(root: str) -> None:
    """Let Seimai's packages be those of the folder `root`, where the driver has them, whatever else has their names on the path."""
    for name in ("filters", "manifests", "pipeline", "tokenizer"):
        spec = importlib.machinery.PathFinder.find_spec(name, [root])
        if spec is not None and spec.loader is not None:
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)


def _end_with_driver(pipe: IO[bytes]) -> None:
    pipe.read()  # until the driver closes it, or is gone
    os._exit(1)


async def _work(address: str, security: Any, config: dict[str, Any], options: dict[str, Any]) -> None:
    import dask
    from distributed import Worker

    dask.config.config.update(config)
    async with Worker(address, security=security, **options) as worker:
        await worker.finished()


if __name__ == "__main__":
    main()
