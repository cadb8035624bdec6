"""Builds of a little of every modality, with a copy of what they leave after every round of their tasks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.support.damage import record_stages
from tests.support.images import SMALL_PARTITIONS as PAIR_PARTITIONS
from tests.support.images import make_mixed_pairs, write_pairs
from tests.support.recordings import SMALL_PARTITIONS as SPEECH_PARTITIONS
from tests.support.recordings import make_mixed_recordings, write_recordings
from tests.support.sharing import SharedFolders
from tests.support.texts import SMALL_PARTITIONS

Build = Callable[..., subprocess.CompletedProcess[str]]
TOKENIZER = ("--set", "tokenizer.vocab_size=700", "--set", "tokenizer.sequence_length=64")


class Stages(NamedTuple):
    """A build: its arguments without --out, its folder after every round of tasks, and at the end."""

    arguments: list[str]
    stages: list[Path]
    out: Path


def make_stages(modality: str, build: Build, mixed: Path, shared_folders: SharedFolders) -> Stages:
    """Build a corpus of text (with token shards), image-text or speech, once in a test run. Nothing may write to what is returned."""
    folder = shared_folders.make(f"stages-input-{modality}", lambda folder: _write_input(modality, folder))
    arguments = {
        "text": ["cc100-ja", "--input", str(mixed), "--set", SMALL_PARTITIONS, *TOKENIZER],
        "image-text": ["laion-ja", "--input", f"{folder}/*.tar", "--set", PAIR_PARTITIONS],
        "speech": ["speech-ja", "--input", f"{folder}/*.tar", "--set", SPEECH_PARTITIONS],
    }[modality]

    def fill(folder: Path) -> None:
        (folder / "stages").mkdir()
        with record_stages(folder / "out", folder / "stages"):
            done = build(*arguments, "--out", folder / "out")
        assert done.returncode == 0, done.stderr

    made = shared_folders.make(f"stages-{modality}", fill)
    return Stages(arguments, sorted((made / "stages").iterdir()), made / "out")


def _write_input(modality: str, folder: Path) -> None:
    if modality == "image-text":
        pairs = [*make_mixed_pairs().values()][-24:]
        for number in range(2):
            write_pairs(folder / f"{number:05}.tar", pairs[number::2])
    if modality == "speech":
        recordings = make_mixed_recordings()
        for number in range(2):
            keys = sorted(recordings)[number::2][:8]
            write_recordings(folder / f"{number}.tar", {key: recordings[key] for key in keys})
