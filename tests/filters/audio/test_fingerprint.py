"""Fingerprints of recordings: copies are found, and nothing else, in sounds like speech and in real speech."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soxr

from filters.audio.decoding import decode
from filters.audio.fingerprint import ACCEPT, similarities
from filters.audio.inspection import inspect
from filters.audio.samples import RATE
from filters.inspected import gather_rows
from tests.support.sounds import encode_speech, make_speech, pad_with_silence

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "speech" / "reazonspeech" / "v2" / "000.tar"
DISTANCE = 10


def trimmed(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """Less so many samples before and after; more, of silence, where the numbers are negative."""
    samples = np.concatenate([np.zeros(max(0, -before)), samples, np.zeros(max(0, -after))]).astype(np.float32)
    return samples[max(0, before) : len(samples) - max(0, after)]


def noisy(samples: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(len(samples)).normal(size=len(samples))
    return samples + noise * np.sqrt((samples**2).mean()) * 10 ** (-decibels / 20)


def at_rate(samples: np.ndarray, rate: int, format: str = "FLAC", subtype: str | None = None) -> bytes:
    return encode_speech(soxr.resample(samples, RATE, rate), format, rate, subtype)


EDITS = {
    "gain +10": lambda x: encode_speech(x * 10**0.5),
    "gain -10": lambda x: encode_speech(x * 10**-0.5),
    # soundfile's scale of 0 to 1; 0.58 makes 64 kbit/s at 16 kHz
    "MP3": lambda x: encode_speech(x, "MP3", bitrate_mode="CONSTANT", compression_level=0.58),
    "Vorbis": lambda x: encode_speech(x, "OGG", subtype="VORBIS"),
    "Opus": lambda x: encode_speech(x, "OGG", subtype="OPUS"),
    "8 kHz": lambda x: at_rate(x, 8000),
    "8 kHz μ-law": lambda x: at_rate(x, 8000, "WAV", "ULAW"),
    "22 kHz": lambda x: at_rate(x, 22050),
    "44.1 kHz": lambda x: at_rate(x, 44100),
    "48 kHz MP3": lambda x: at_rate(x, 48000, "MP3"),
    "50 ms off": lambda x: encode_speech(trimmed(x, 800, 800)),
    "50 ms on": lambda x: encode_speech(trimmed(x, -800, -800)),
    "37 ms on, 50 ms off": lambda x: encode_speech(trimmed(x, -592, 800)),
    "noise 30 dB": lambda x: encode_speech(noisy(x, 30)),
}


class Copies(NamedTuple):
    shares_found: dict[str, float]  # of each edit's files, those that are found to be copies of the original
    false_pairs: int  # pairs of originals that are taken for copies


def count_hash_distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Bits by which the nearest two of the hashes of two recordings differ, row by row."""
    return np.bitwise_count(left[:, :, None] ^ right[:, None, :]).min((1, 2))


def find_copies(samples: list[np.ndarray], every: int = 1) -> Copies:
    """Compare all recordings with each other, and one of `every` with its edits."""
    originals = inspect([encode_speech(x) for x in samples])
    assert not originals.flat.any()
    left, right = np.triu_indices(len(samples), 1)

    are_alike = similarities(originals.descriptors, left, right) >= ACCEPT
    are_near = count_hash_distance(originals.hashes[left], originals.hashes[right]) <= DISTANCE
    false_pairs = int((are_alike | are_near).sum())
    samples = samples[::every]
    n = len(samples)
    originals = gather_rows([originals], np.arange(n) * every)
    shares = {}
    for name, edit in EDITS.items():
        edited = inspect([edit(x) for x in samples])
        assert edited.problems == [None] * n
        both = np.concatenate([originals.descriptors, edited.descriptors])
        are_alike = similarities(both, np.arange(n), np.arange(n) + n) >= ACCEPT
        are_near = count_hash_distance(originals.hashes, edited.hashes) <= DISTANCE
        shares[name] = float((are_alike & ~edited.flat & are_near).mean())
    return Copies(shares, false_pairs)


def test_copies_are_found_and_nothing_else():
    samples = [pad_with_silence(make_speech(1 + seed % 5, seed, level=0.05), seed=seed) for seed in range(24)]
    shares, false_pairs = find_copies(samples)
    assert min(shares.values()) >= 0.95 and np.mean(list(shares.values())) >= 0.98, shares
    assert false_pairs == 0


def test_similarity():
    samples = [pad_with_silence(make_speech(3, seed)) for seed in range(4)]
    longer = np.concatenate([samples[0], samples[0]])
    found = inspect([encode_speech(x) for x in (*samples, longer, np.zeros(100), np.zeros(100))])
    rows = np.arange(7)
    table = np.array([similarities(found.descriptors, rows, np.full(7, row)) for row in rows])
    assert np.array_equal(table, table.T) and np.allclose(np.diag(table)[:5], 1) and (table[np.triu_indices(7, 1)] < 0.6).all()
    assert table[0, 4] == 0 and not table[5:].any()  # another duration; nothing to compare


@pytest.mark.skipif(not DATA.is_file(), reason="needs the development data")
def test_copies_of_real_speech_are_found_and_nothing_else():
    with tarfile.open(DATA) as tar:
        blobs = [tar.extractfile(member).read() for member in tar if member.isfile()]
    assert len(blobs) == 320
    shares, false_pairs = find_copies([decode(blob).samples for blob in blobs[::2]], every=4)
    # A gain of 10 dB clips the louder ones heavily.
    assert min(shares.values()) >= 0.9 and np.mean(list(shares.values())) >= 0.98 and false_pairs == 0, shares
