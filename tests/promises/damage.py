"""`python -m tests.promises.damage`: a build for every file and every damage, and the table of what became of each.

It takes the better part of an hour, so it is no test: `test_1_durable.py` asks the markers of the same files instead. `--modality` and
`--kinds` choose some.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.verify import verify
from tests.support.builds import hash_outputs, run_in_process
from tests.support.cluster import start_cluster
from tests.support.damage import DAMAGES, damage, find_new_kinds, list_kinds
from tests.support.sharing import SharedFolders
from tests.support.stages import Stages, make_stages
from tests.support.texts import make_mixed_documents


class _Folders:
    """What `SharedFolders` takes from pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def getbasetemp(self) -> Path:
        return self.folder


def _build(address: str, cwd: Path, *arguments: object) -> Any:
    return run_in_process([*map(str, arguments), "--scheduler", address], cwd)


def _judge(build: Any, recorded: Stages, out: Path) -> str:
    """Build on from a damaged folder; return what came of it."""
    done = build(*recorded.arguments, "--out", out)
    if done.returncode:
        return f"refused: {' '.join(done.stderr.replace(str(out), 'OUT').split())[:100]}"
    if hash_outputs(out) != hash_outputs(recorded.out):
        return "OTHER BYTES, exit 0"
    return "same bytes"


@click.command()
@click.option("--modality", "modalities", multiple=True, type=click.Choice(["text", "image-text", "speech"]))
@click.option("--kinds", default="", help="A regular expression: only such files.")
def main(modalities: tuple[str, ...], kinds: str) -> None:
    """Print a Markdown table: a row per kind of file, a column per damage."""
    with tempfile.TemporaryDirectory(prefix="seimai-damage-") as name:
        work = Path(name)
        start_cluster(work, os.getpid())
        build = partial(_build, (work / "address").read_text(), work)
        mixed = work / "mixed.txt"
        mixed.write_bytes(b"\n\n".join(make_mixed_documents()) + b"\n")
        folders = SharedFolders(_Folders(work))  # type: ignore[arg-type]
        print(f"| corpus | file | {' | '.join(DAMAGES)} |\n|---|---|{'---|' * len(DAMAGES)}")
        totals: Counter[str] = Counter()
        for modality in modalities or ("text", "image-text", "speech"):
            recorded = make_stages(modality, build, mixed, folders)
            for stage, new in find_new_kinds(recorded.stages):
                for kind, path in new.items():
                    if re.search(kinds, kind) and "lock" not in path.name:
                        results = [_try(build, recorded, stage, path, how, work / "try") for how in DAMAGES]
                        _print_row(modality, kind, results, totals)
            for kind, path in list_kinds(recorded.out).items():
                if re.search(kinds, kind) and ".cache" not in path.parts:
                    _print_row(modality, kind, [_verify(recorded.out, path, how, work / "try") for how in DAMAGES], totals)
        print("\n" + ", ".join(f"{outcome}: {count}" for outcome, count in totals.most_common()))


def _try(build: Any, recorded: Stages, stage: Path, path: Path, how: str, out: Path) -> str:
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(stage, out, symlinks=True)
    return _judge(build, recorded, out) if damage(out / path.relative_to(stage), how) else "no change"


def _verify(corpus: Path, path: Path, how: str, copy: Path) -> str:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(corpus, copy)
    if not damage(copy / path.relative_to(corpus), how):
        return "no change"
    return "noticed by verify" if verify(copy)[1] else "NOT NOTICED"


def _print_row(modality: str, kind: str, results: list[str], totals: Counter[str]) -> None:
    totals.update(result.split(":")[0] for result in results)
    print(f"| {modality} | `{kind}` | {' | '.join(results)} |", flush=True)


if __name__ == "__main__":
    main()
