"""Before a machine's first build: compile the loops that builds of a modality run, and show how far that is."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher
from rich.console import Console

from filters import kernels
from pipeline.core.code_identity import describe_code
from pipeline.core.engine import Engine
from pipeline.core.inline import InlineEngine
from pipeline.core.language import translate
from pipeline.core.progress import StepProgress
from pipeline.dedup.clusters import compile_choice
from pipeline.manifest.loading import load
from pipeline.manifest.shipped import manifest_folder
from pipeline.plan import Plan
from pipeline.run import run as run_steps
from pipeline.sources.inputs import describe_file

# By modality: the corpus whose embedded sample runs nearly every loop that a build may run, and about how many functions that compiles.
_SAMPLES = {"text": ("cc100-ja", 156), "image_text": ("image-text-ja", 117), "speech": ("speech-ja", 92)}
_OWN_PACKAGES = ("filters", "pipeline", "tokenizer")
_LOOK_SECONDS = 0.5


def compile_loops(engine: Engine, modality: str) -> None:
    """Let two workers compile what builds of a modality run, unless they have done so. The step is shown where that takes long.

    Without it, every step would compile its own loops on every worker, and seem to stand still meanwhile.
    """
    if engine.scheduler is None and _find_stamp(modality).is_file():
        return
    _, expected = _SAMPLES[modality]
    with _show(engine, expected):
        for _ in engine.run("compiling", [(_build_sample, (modality,)), (_compile_choice, (modality,))]):
            pass


def _find_stamp(modality: str) -> Path:
    """Return the file that says that this code's loops were compiled for a modality, beside what was compiled."""
    folder = getattr(kernels.above_median._cache, "cache_path", None) or tempfile.gettempdir()
    return Path(folder) / f"seimai-{modality}-{describe_code()['sources']}.compiled"


def find_cache_folders() -> set[Path]:
    """Return the folders in which numba keeps what it compiles of the modules that are imported."""
    own = [module for name, module in [*sys.modules.items()] if name.split(".")[0] in _OWN_PACKAGES]
    loops: set[Any] = {value for module in own for value in vars(module).values() if isinstance(value, Dispatcher)}
    return {Path(folder) for loop in loops if (folder := getattr(loop._cache, "cache_path", None))}


def list_compiled(folders: Iterable[Path], since: float = 0.0) -> set[str]:
    """List the files of compiled functions in folders that were written after the time `since`."""
    found = set()
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            found |= {entry.path for entry in entries if entry.name.endswith(".nbc") and entry.stat().st_mtime >= since}
    return found


def _build_sample(modality: str) -> None:
    """Build the embedded sample of a modality in this process, for what that compiles."""
    stamp = _find_stamp(modality)
    if stamp.is_file():
        return
    # A build compiles what is missing here when it comes to it: nothing that fails here is a reason to stop.
    with suppress(Exception):
        sample = load(_SAMPLES[modality][0])
        with (
            tempfile.TemporaryDirectory(prefix="seimai-") as folder,
            as_file(manifest_folder() / "samples" / str(sample.source.sample)) as path,
            InlineEngine(Path(folder), Console(quiet=True)) as engine,
        ):
            file = replace(describe_file(str(path)), identity="sample")
            run_steps(Plan(sample, (file,), Path(folder) / "out", Path(folder) / "work"), engine, keep_going=True)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        for old in stamp.parent.glob(f"seimai-{modality}-*.compiled"):
            old.unlink(missing_ok=True)
        stamp.touch()


def _compile_choice(modality: str) -> None:
    """Compile, while another worker builds the sample, what shares little with the rest: that one loads it when it comes to it."""
    if not _find_stamp(modality).is_file():
        with suppress(Exception):  # as in `_build_sample`
            compile_choice()


@contextmanager
def _show(engine: Engine, expected: int) -> Iterator[None]:
    """Show a step while the block runs, once anything is compiled. `expected`: about how many functions there are.

    What is compiled is seen by its files: where workers keep these on other machines, only the time is shown.
    """
    done, began, folders = threading.Event(), time.time(), find_cache_folders()
    known = list_compiled(folders)
    steps: list[StepProgress] = [engine.step("compile")] if engine.scheduler else []

    def look() -> None:
        compiled = 0
        while not done.wait(_LOOK_SECONDS):
            known_before, compiled = compiled, len(list_compiled(folders, began - 1) - known)
            if not steps and compiled:
                steps.append(engine.step("compile"))
            if compiled > known_before:
                message = translate("once, {0} of {1} loops")
                steps[0].note = message.format(compiled, max(expected, compiled))
                steps[0].set_share(min(compiled / max(expected, compiled), 0.99))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    for step in steps:
        step.note = translate("once for this installation") if step.note else ""
        step.finish()
