"""Measuring recordings: what tells one from another before it is decoded."""

from __future__ import annotations

import os
from pathlib import Path

import xxhash

from pipeline.modalities.speech.measure import digest_sound


def test_a_digest_depends_on_every_byte(tmp_path: Path) -> None:
    assert digest_sound(b"abcd") == xxhash.xxh64_intdigest(b"abcd")
    assert digest_sound(b"abcde") == xxhash.xxh64_intdigest(b"abcd") ^ ord("e")
    assert digest_sound(b"") == digest_sound(None) == xxhash.xxh64_intdigest(b"")


def test_a_large_file_is_told_by_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"abcd")
    digests = []
    for size, seconds in ((4, 1), (4, 2), (6, 2)):
        path.write_bytes(b"a" * size)
        os.utime(path, (seconds, seconds))
        digests.append(digest_sound(path))
    assert len(set(digests)) == 3
