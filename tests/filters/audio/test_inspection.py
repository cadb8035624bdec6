"""Batches of recordings: problems, parts, rates, and the hash of the samples."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from xxhash import xxh64_intdigest

from filters.audio.decoding import decode
from filters.audio.encoding import encode_flac
from filters.audio.fingerprint import DESCRIPTOR_BYTES, VIEWS, similarities
from filters.audio.inspection import inspect
from filters.audio.samples import RATE
from filters.inspected import gather_rows
from tests.support.sounds import are_same, encode_sound, encode_speech, make_speech, measure_recordings, pad_with_silence


def mixed_batch() -> list[bytes | None]:
    samples = pad_with_silence(make_speech(1.5, 3))
    stereo = np.stack([samples, samples], 1)
    good = [
        encode_speech(samples),
        encode_speech(samples, "WAV", 44100),
        encode_speech(stereo, "MP3", 48000),
        encode_speech(np.zeros(100)),
        encode_speech(samples, "OGG"),
    ]
    return [good[0], None, good[1], b"no sound at all", good[2], good[3], good[0][:-500], good[4]]


def test_problems_have_rows_of_nothing():
    found = inspect(mixed_batch())
    assert [problem is None for problem in found.problems] == [True, False, True, False, True, True, False, True]
    assert found.problems[1] == "not audio that libsndfile reads: empty file" and found.problems[6].startswith("truncated FLAC")
    assert found.hashes.shape == (8, VIEWS) and found.descriptors.shape == (8, DESCRIPTOR_BYTES)
    for row in (1, 3, 6):
        assert found.flat[row] and not found.hashes[row].any() and not found.descriptors[row].any() and not found.exact[row]
        assert not found.needs_reencoding[row]
        values = measure_recordings(found).row(row, named=True)
        assert values.pop("audio_format") is None and set(values.values()) == {0}
    assert found.counters["audio_format"].tolist() == ["FLAC", None, "WAV", None, "MP3", "FLAC", None, "OGG"]
    assert found.needs_reencoding.tolist() == [False, False, True, False, True, False, False, True]


def test_a_row_does_not_depend_on_the_others():
    blobs = mixed_batch()
    whole = inspect(blobs)
    parts = gather_rows([inspect([blob]) for blob in blobs], np.arange(len(blobs)))
    assert are_same(whole, parts) and are_same(whole, inspect(blobs))
    rows = np.array([7, 0, 0, 3])
    assert are_same(gather_rows([inspect(blobs[:5]), inspect(blobs[5:])], rows), inspect([blobs[row] for row in rows]))


def test_an_empty_batch():
    found = inspect([])
    assert found.problems == [] and measure_recordings(found).height == 0 and found.hashes.shape == (0, VIEWS)
    assert measure_recordings(found).schema == measure_recordings(inspect(mixed_batch())).schema
    assert are_same(gather_rows([found, inspect(mixed_batch())], np.arange(8)), inspect(mixed_batch()))


def test_spans():
    samples = pad_with_silence(make_speech(6))
    blob = encode_speech(samples)
    found = inspect([blob, blob, blob, blob], spans=[(0.0, None), (1.0, 3.5), (2.0, None), (9.0, None)])
    assert found.counters["duration"].tolist() == pytest.approx([6.6, 2.5, 4.6, 0]) and found.problems[3].startswith(
        "the part from 9 s"
    )
    part = inspect([encode_speech(samples[RATE : int(3.5 * RATE)])])
    assert found.exact[1] == part.exact[0] and np.array_equal(found.hashes[1], part.hashes[0])
    assert found.needs_reencoding.tolist() == [False, True, True, False]


def test_equal_samples_are_exact_duplicates_in_any_lossless_file():
    samples = decode(encode_speech(pad_with_silence(make_speech(2)))).samples
    stereo = np.stack([samples, samples], 1)
    blobs = [
        encode_speech(samples),
        encode_speech(samples, "WAV", subtype="FLOAT"),
        encode_speech(stereo, "FLAC"),
        encode_speech(samples, "FLAC", subtype="PCM_24"),
    ]
    exact = inspect([*blobs, encode_flac(samples)]).exact
    assert len(set(exact.tolist())) == 1 and exact[0]
    other = samples.copy()
    other[1000] += 1 / 32768
    assert inspect([encode_speech(other)]).exact[0] != exact[0] != inspect([encode_speech(samples[:-1])]).exact[0]


def test_another_rate_decides_what_is_written_not_what_is_measured():
    samples = soxr.resample(pad_with_silence(make_speech(3)), RATE, 48000)
    blob = encode_speech(samples, "FLAC", 48000)
    high, low = inspect([blob], rate=48000), inspect([blob])
    assert not high.needs_reencoding[0] and low.needs_reencoding[0] and high.exact[0] != low.exact[0]
    assert high.counters["duration"] == pytest.approx(low.counters["duration"])
    assert similarities(np.concatenate([high.descriptors, low.descriptors]), np.array([0]), np.array([1]))[0] > 0.99


def test_exact_is_the_xxh64_of_samples_of_16_bits():
    assert xxh64_intdigest(b"") == 0xEF46DB3751D8E999  # the specification's example
    values = np.random.default_rng(0).integers(-32768, 32768, 100, np.int16)
    lengths = range(1, 101)
    exact = inspect([encode_sound(values[:n]) for n in lengths]).exact
    assert exact.tolist() == [xxh64_intdigest(values[:n].astype("<i2").tobytes()) for n in lengths]
