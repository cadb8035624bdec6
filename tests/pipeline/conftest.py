"""Corpora of pairs and of recordings, and how an undisturbed build without workers leaves them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import SMALL_PARTITIONS as PAIR_PARTITIONS
from tests.support.images import Pair, make_mixed_pairs, write_pairs
from tests.support.recordings import SMALL_PARTITIONS as SPEECH_PARTITIONS
from tests.support.recordings import Recording, make_mixed_recordings, write_recordings
from tests.support.sharing import SharedFolders


@pytest.fixture(scope="session")
def pairs() -> dict[str, Pair]:
    return make_mixed_pairs()


@pytest.fixture(scope="session")
def pair_shards(pairs: dict[str, Pair], shared_folders: SharedFolders) -> Path:
    """The pairs in three archives, members in no order."""

    def fill(folder: Path) -> None:
        for number in range(3):
            shuffled = list(pairs.values())[number::3]
            random.Random(number).shuffle(shuffled)
            write_pairs(folder / f"{number:05}.tar", shuffled)

    return shared_folders.make("pair-shards", fill)


@pytest.fixture(scope="session")
def pair_corpus(build: Callable[..., Any], pair_shards: Path, shared_folders: SharedFolders) -> Path:
    def fill(folder: Path) -> None:
        options = ("--out", folder / "out", "--set", PAIR_PARTITIONS)
        done = build("laion-ja", "--input", f"{pair_shards}/*.tar", *options)
        assert done.returncode == 0, done.stderr

    return shared_folders.make("pair-corpus", fill) / "out"


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    return make_mixed_recordings()


@pytest.fixture(scope="session")
def recording_tars(recordings: dict[str, Recording], shared_folders: SharedFolders) -> Path:
    """The recordings in three archives."""

    def fill(folder: Path) -> None:
        keys = sorted(recordings)
        for number in range(3):
            write_recordings(folder / f"{number}.tar", {key: recordings[key] for key in keys[number::3]})

    return shared_folders.make("recording-tars", fill)


@pytest.fixture(scope="session")
def speech_corpus(build: Callable[..., Any], recording_tars: Path, shared_folders: SharedFolders) -> Path:
    def fill(folder: Path) -> None:
        options = ("--out", folder / "out", "--set", SPEECH_PARTITIONS)
        done = build("speech-ja", "--input", f"{recording_tars}/*.tar", *options)
        assert done.returncode == 0, done.stderr

    return shared_folders.make("speech-corpus", fill) / "out"
