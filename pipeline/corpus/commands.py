"""The commands that build a corpus again, for messages."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.storage import read_json
from pipeline.manifest.shipped import list_manifests
from pipeline.sources.inputs import is_sample_identity, locate_input

_INPUTS_SHOWN = 3


def build_command(folder: Path, moved: bool = False) -> str:
    """Return the command that builds the corpus of a folder: with the inputs of its last build, where these are known.

    `moved`: `move_away` comes first.
    """
    if folder.name in list_manifests():
        manifest = folder.name
    elif (folder / "manifest.lock.toml").is_file():
        manifest = shlex.quote(f"{folder}{'.old' if moved else ''}/manifest.lock.toml")
    else:
        manifest = "MANIFEST.toml"
    inputs = read_json(folder / STATE_FOLDER / "inputs.json")
    urls = [locate_input(folder, str(file.get("url"))) for file in inputs] if isinstance(inputs, list) else ["PATH"]
    if isinstance(inputs, list) and any(is_sample_identity(str(file.get("identity"))) for file in inputs):
        urls = []
    if len(urls) > _INPUTS_SHOWN:
        urls = [*urls[:_INPUTS_SHOWN], "…"]
    words = [
        "python -m pipeline.build",
        manifest,
        *(f"--input {shlex.quote(url) if url not in ('PATH', '…') else url}" for url in urls),
    ]
    state = read_json(folder / STATE_FOLDER / "state.json")
    if isinstance(state, dict) and state.get("limit") is not None:
        words.append(f"--limit {state['limit']}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STATE_FOLDER).is_dir():
        words.append("--out OTHER")  # a build would refuse this one
    elif folder != Path("corpora") / folder.name or manifest != folder.name:
        words.append(f"--out {shlex.quote(str(folder))}")
    return " ".join(words)


def move_away(folder: Path) -> str:
    """Return the command that moves a corpus out of the way of its next build."""
    return f"mv {shlex.quote(str(folder))} {shlex.quote(f'{folder}.old')}"
