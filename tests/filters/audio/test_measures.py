"""Recordings made by numpy and libsndfile: every measure, the fingerprint, and on real speech where the development data is there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import MEASURES, compute, waves
from filters.audio.decoding import decode
from filters.audio.measures import (
    ACCEPT,
    DESCRIPTOR_BYTES,
    RATE,
    VIEWS,
    Inspected,
    concatenated,
    inspect,
    reencode,
    silences,
    similarities,
)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "speech" / "reazonspeech" / "v2" / "000.tar"
NAMES = (
    "duration speech_duration sampling_rate channels peak_dbfs rms_dbfs clipping_share dc_offset leading_silence trailing_silence "
    "longest_pause silence_share snr bandwidth audio_format"
).split()
DISTANCE = 10


def speech(seconds: float = 3.0, seed: int = 0, pause: float = 0.0, level: float = 0.1) -> np.ndarray:
    """Something like speech, float32[n], without silence at its edges: syllables of a gliding voice through two formants, and hisses.

    `pause`: seconds of silence in the middle, beside the short ones between syllables.
    """
    rng = np.random.default_rng(seed)
    out = []
    while sum(map(len, out)) < seconds * RATE:
        n = int(rng.uniform(0.08, 0.25) * RATE)
        t = np.arange(n) / RATE
        pitch = 2 * np.pi * np.cumsum(np.linspace(*rng.uniform(100, 260, 2), n)) / RATE
        formants = np.linspace(rng.uniform((300, 900), (900, 2500)), rng.uniform((300, 900), (900, 2500)), n)
        voice = np.zeros(n)
        for k in range(1, 30):
            frequency = k * np.gradient(pitch) * RATE / (2 * np.pi)
            gain = sum(np.exp(-(((frequency - formants[:, f]) / (100 + 80 * f)) ** 2)) for f in (0, 1)) + 0.01
            voice += gain * np.sin(k * pitch) * (frequency < 7000)
        syllable = voice * np.sin(np.pi * t * RATE / n) ** 0.5 * rng.uniform(0.4, 1)
        hiss = rng.normal(0, 0.3, int(rng.uniform(0.02, 0.08) * RATE)) * rng.uniform(0.1, 0.6)
        out += [hiss, syllable, np.zeros(int(rng.uniform(0, 0.05) * RATE))]
    samples = np.concatenate(out)[: int(seconds * RATE)]
    if pause:
        samples = np.insert(samples, len(samples) // 2, np.zeros(int(pause * RATE)))
    return (samples * level / np.sqrt((samples**2).mean())).astype(np.float32)


def between(samples: np.ndarray, before: float = 0.3, after: float = 0.3, noise: float = 1e-4, seed: int = 0) -> np.ndarray:
    """With silence before and after, and noise of so much throughout."""
    padded = np.concatenate([np.zeros(int(before * RATE)), samples, np.zeros(int(after * RATE))])
    return (padded + np.random.default_rng(seed).normal(0, noise, len(padded))).astype(np.float32)


def encoded(samples: np.ndarray, format: str = "FLAC", rate: int = RATE, subtype: str | None = None, **options) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 32767 / 32768), rate, format=format, subtype=subtype, **options)
    return out.getvalue()


def measured(found: Inspected) -> pl.DataFrame:
    return compute(np.zeros(0, np.uint8), np.zeros(len(found.problems) + 1, np.int64), NAMES, found.counters)


def one(samples: np.ndarray, rate: int = RATE) -> dict:
    found = inspect([encoded(samples, "WAV", rate, "FLOAT")])
    assert found.problems == [None]
    return measured(found).row(0, named=True)


def same(left: Inspected, right: Inspected) -> bool:
    arrays = ("hashes", "flat", "descriptors", "needs_reencoding", "exact")
    return (
        left.problems == right.problems
        and all(np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays)
        and all(np.array_equal(left.counters[name], right.counters[name]) for name in left.counters)
    )


# --- measures


def test_measures_of_something_like_speech():
    row = one(between(speech(3)))
    assert row["duration"] == pytest.approx(3.6) and 2.5 < row["speech_duration"] < 3.1
    assert row["leading_silence"] == pytest.approx(0.3, abs=0.03) and row["trailing_silence"] == pytest.approx(0.3, abs=0.07)
    assert row["silence_share"] == pytest.approx(1 - row["speech_duration"] / row["duration"], abs=1e-6)
    assert row["snr"] > 40 and row["clipping_share"] == 0 and row["dc_offset"] < 0.01 and row["bandwidth"] > 6500
    assert (row["sampling_rate"], row["channels"], row["audio_format"]) == (RATE, 1, "WAV")


def test_all_measures_are_registered():
    assert [name for name, m in MEASURES.items() if m.kind == "audio"] == NAMES
    assert [name for name in NAMES if MEASURES[name].words] == ["audio_format"]


def test_levels_of_a_sine():
    sine = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    row = one(sine)
    assert row["peak_dbfs"] == pytest.approx(-6.02, abs=0.01) and row["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert one(sine + 0.25)["dc_offset"] == pytest.approx(0.25, abs=1e-4) == one(-sine - 0.25)["dc_offset"]


def test_silence():
    for samples in (np.zeros(RATE, np.float32), np.full(RATE, 0.1, np.float32)):
        row = one(samples)
        assert (row["speech_duration"], row["leading_silence"], row["trailing_silence"], row["longest_pause"]) == (0, 1, 0, 0)
        assert (row["silence_share"], row["snr"], row["bandwidth"]) == (1, 0, 0)
    row = one(np.zeros(RATE, np.float32))
    assert row["peak_dbfs"] == row["rms_dbfs"] == -100


def test_steady_sounds_are_no_speech_and_flat():
    rng = np.random.default_rng(0)
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE) / RATE)
    blobs = [
        encoded(x) for x in (np.zeros(RATE), hum, rng.normal(0, 0.1, 4 * RATE), rng.normal(0, 0.001, RATE), hum[:100], hum[:1])
    ]
    found = inspect(blobs)
    assert found.problems == [None] * 6 and found.flat.all()
    assert not found.counters["speech_seconds"][:4].any() and (found.counters["snr_db"] < 5).all()
    assert not inspect([encoded(between(speech()))]).flat[0]


@pytest.mark.parametrize("n", [1, 2, 3, 79, 80, 81, 159, 399, 400, 401, 559, 560, 1000])
def test_very_short_recordings(n):
    row = one(speech(0.5)[:n])
    assert row["duration"] == pytest.approx(n / RATE) and 0 <= row["silence_share"] <= 1 and np.isfinite(row["rms_dbfs"])


def test_clipping():
    samples = speech(2, level=0.2)
    samples *= 0.9 / np.abs(samples).max()
    assert one(samples)["clipping_share"] == 0
    loud = np.clip(4 * samples, -1, 1)
    expected = (np.abs(loud) >= 0.999).mean()
    assert one(loud)["clipping_share"] == pytest.approx(expected, rel=0.1) and expected > 0.001
    # By a ceiling a little below full scale, as 8 bits and μ-law have, too; but not by one that is the recording's level.
    assert one(0.985 * loud)["clipping_share"] == pytest.approx(expected, rel=0.1)
    assert one(0.9 * loud)["clipping_share"] == 0
    # Single samples at full scale are not clipped, and a run has one sign.
    clicks = np.zeros(1000, np.float32)
    clicks[[10, 20, 30]] = 1
    clicks[[50, 51]] = 1, -1
    assert one(clicks)["clipping_share"] == 0
    clicks[[0, 1, 998, 999]] = 1, 1, -1, -1
    clicks[100:103] = -1
    assert one(clicks)["clipping_share"] == pytest.approx(7 / 1000)


@pytest.mark.parametrize("noise", [0, 1e-4, 1e-3, 5e-3])
def test_pauses_and_edges(noise):
    row = one(between(speech(4, pause=1.2), 0.7, 1.5, noise))
    assert row["leading_silence"] == pytest.approx(0.7, abs=0.05) and row["trailing_silence"] == pytest.approx(1.5, abs=0.1)
    assert row["longest_pause"] == pytest.approx(1.2, abs=0.15)
    assert row["speech_duration"] == pytest.approx(4, abs=0.9)


def test_a_click_is_no_speech_and_a_short_pause_no_silence():
    samples = between(speech(2), 1, 1)
    quiet = one(samples)
    samples[[3000, 3001, RATE * 4 - 4000]] = 0.5
    assert one(samples)["leading_silence"] == pytest.approx(quiet["leading_silence"], abs=0.02)
    starts, ends = silences(between(speech(6, seed=1)), 0.0)
    assert (ends - starts >= 0.1 * RATE).all()


def test_silences():
    samples = between(speech(4, pause=1), 0.5, 0.25)
    starts, ends = silences(samples, 0.2)
    assert starts[0] == 0 and ends[-1] == len(samples) and (starts < ends).all() and (ends[:-1] < starts[1:]).all()
    assert starts.dtype == np.int64 and len(starts) >= 3
    long = silences(samples, 0.9)
    assert len(long[0]) == 1 and abs((long[1] - long[0])[0] / RATE - 1) < 0.1
    middle = (long[0] + long[1]) // 2
    assert np.abs(samples[middle[0] - 1000 : middle[0] + 1000]).max() < 0.001
    assert [x.tolist() for x in silences(np.zeros(5000, np.float32))] == [[0], [5000]]


@pytest.mark.parametrize("true", [5, 10, 20, 30, 40])
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_snr_of_noise_mixed_in(true, colour):
    errors = []
    for seed in range(5):
        samples = between(speech(4, seed, pause=0.4), noise=0)
        noise = np.fft.rfft(np.random.default_rng(seed).normal(size=len(samples)))
        hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
        noise *= np.where(hertz > 40, 1 / np.sqrt(np.maximum(1, hertz)), 0) if colour == "pink" else 1
        noise = np.fft.irfft(noise, len(samples))
        active = samples != 0
        noise *= np.sqrt((samples[active] ** 2).mean() / (noise**2).mean()) * 10 ** (-true / 20)
        errors.append(one(samples + noise)["snr"] - true)
    assert abs(np.mean(errors)) < 2 and np.std(errors) < 1.5


def test_digital_silence_does_not_count_as_noise_free():
    samples = between(speech(3), noise=0.005)
    padded = np.concatenate([np.zeros(RATE, np.float32), samples, np.zeros(RATE, np.float32)])
    assert one(padded)["snr"] == pytest.approx(one(samples)["snr"], abs=0.5)


@pytest.mark.parametrize("rate", [8000, 11025, 12000])
def test_bandwidth_of_what_was_resampled(rate):
    samples = speech(3, level=0.05)
    small = soxr.resample(samples, RATE, rate)
    assert one(soxr.resample(small, rate, RATE))["bandwidth"] == pytest.approx(rate / 2, rel=0.06)
    assert one(small, rate)["bandwidth"] == pytest.approx(rate / 2, rel=0.06)
    telephone = inspect([encoded(small, "WAV", rate, "ULAW")])
    assert measured(telephone)["bandwidth"][0] == pytest.approx(rate / 2, rel=0.06)
    assert one(samples)["bandwidth"] > 6500


def test_bandwidth_of_mp3():
    blob = encoded(between(speech(3)) + np.random.default_rng(0).normal(0, 0.01, int(3.6 * RATE)), "MP3")
    assert 6000 < measured(inspect([blob]))["bandwidth"][0] < 7700


@given(st.integers(0, 20), st.floats(-20, 5))
@settings(max_examples=15, deadline=None)
def test_gain_changes_levels_only(seed, decibels):
    samples = between(speech(2, seed, level=0.05), noise=2e-3, seed=seed)
    before, after = one(samples), one(samples * np.float32(10 ** (decibels / 20)))
    for name in ("rms_dbfs", "peak_dbfs"):
        assert after[name] - before[name] == pytest.approx(decibels, abs=0.01)
    for name in ("leading_silence", "trailing_silence", "longest_pause", "silence_share", "bandwidth"):
        assert after[name] == pytest.approx(before[name], abs=0.011)
    assert after["snr"] == pytest.approx(before["snr"], abs=0.1)


@given(st.integers(0, 10), st.lists(st.integers(1, 3000), max_size=8), st.sampled_from([1e-5, 1e-3, 1.0, 1e4, 1e9]))
@settings(max_examples=30, deadline=None)
def test_numbers_are_finite_and_shares_are_shares(seed, places, scale):
    samples = speech(0.3, seed)
    samples[places] = scale
    row = one(samples)
    row.pop("audio_format")
    assert np.isfinite(list(row.values())).all()
    assert 0 <= row["silence_share"] <= 1 and 0 <= row["clipping_share"] <= 1 and 0 <= row["speech_duration"] <= row["duration"]


# --- inspect


def mixed_batch() -> list[bytes | None]:
    samples = between(speech(1.5, 3))
    stereo = np.stack([samples, samples], 1)
    good = [
        encoded(samples),
        encoded(samples, "WAV", 44100),
        encoded(stereo, "MP3", 48000),
        encoded(np.zeros(100)),
        encoded(samples, "OGG"),
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
        values = measured(found).row(row, named=True)
        assert values.pop("audio_format") is None and set(values.values()) == {0}
    assert found.counters["audio_format"].tolist() == ["FLAC", None, "WAV", None, "MP3", "FLAC", None, "OGG"]
    assert found.needs_reencoding.tolist() == [False, False, True, False, True, False, False, True]


def test_a_row_does_not_depend_on_the_others():
    blobs = mixed_batch()
    whole = inspect(blobs)
    parts = concatenated([inspect([blob]) for blob in blobs], np.arange(len(blobs)))
    assert same(whole, parts) and same(whole, inspect(blobs))
    rows = np.array([7, 0, 0, 3])
    assert same(concatenated([inspect(blobs[:5]), inspect(blobs[5:])], rows), inspect([blobs[row] for row in rows]))


def test_an_empty_batch():
    found = inspect([])
    assert found.problems == [] and measured(found).height == 0 and found.hashes.shape == (0, VIEWS)
    assert measured(found).schema == measured(inspect(mixed_batch())).schema
    assert same(concatenated([found, inspect(mixed_batch())], np.arange(8)), inspect(mixed_batch()))


def test_spans():
    samples = between(speech(6))
    blob = encoded(samples)
    found = inspect([blob, blob, blob, blob], spans=[(0.0, None), (1.0, 3.5), (2.0, None), (9.0, None)])
    assert found.counters["duration"].tolist() == pytest.approx([6.6, 2.5, 4.6, 0]) and found.problems[3].startswith(
        "the part from 9 s"
    )
    part = inspect([encoded(samples[RATE : int(3.5 * RATE)])])
    assert found.exact[1] == part.exact[0] and np.array_equal(found.hashes[1], part.hashes[0])
    assert found.needs_reencoding.tolist() == [False, True, True, False]


def test_equal_samples_are_exact_duplicates_in_any_lossless_file():
    samples = decode(encoded(between(speech(2)))).samples
    stereo = np.stack([samples, samples], 1)
    blobs = [
        encoded(samples),
        encoded(samples, "WAV", subtype="FLOAT"),
        encoded(stereo, "FLAC"),
        encoded(samples, "FLAC", subtype="PCM_24"),
    ]
    exact = inspect([*blobs, reencode(samples)]).exact
    assert len(set(exact.tolist())) == 1 and exact[0]
    other = samples.copy()
    other[1000] += 1 / 32768
    assert inspect([encoded(other)]).exact[0] != exact[0] != inspect([encoded(samples[:-1])]).exact[0]


def test_another_rate_decides_what_is_written_not_what_is_measured():
    samples = soxr.resample(between(speech(3)), RATE, 48000)
    blob = encoded(samples, "FLAC", 48000)
    high, low = inspect([blob], rate=48000), inspect([blob])
    assert not high.needs_reencoding[0] and low.needs_reencoding[0] and high.exact[0] != low.exact[0]
    assert high.counters["duration"] == pytest.approx(low.counters["duration"])
    assert similarities(np.concatenate([high.descriptors, low.descriptors]), np.array([0]), np.array([1]))[0] > 0.99


def test_xxh64():
    # From the specification's test of an empty input; lengths around its cases against the library where it is installed.
    assert int(waves.xxh64(np.zeros(0, np.int16))) == 0xEF46DB3751D8E999
    xxhash = pytest.importorskip("xxhash")
    values = np.random.default_rng(0).integers(-32768, 32768, 100, np.int16)
    for n in range(100):
        assert int(waves.xxh64(values[:n])) == xxhash.xxh64_intdigest(values[:n].tobytes())


# --- fingerprint


def trimmed(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """Less so many samples before and after; more, of silence, where the numbers are negative."""
    samples = np.concatenate([np.zeros(max(0, -before)), samples, np.zeros(max(0, -after))]).astype(np.float32)
    return samples[max(0, before) : len(samples) - max(0, after)]


def noisy(samples: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(len(samples)).normal(size=len(samples))
    return samples + noise * np.sqrt((samples**2).mean()) * 10 ** (-decibels / 20)


def at_rate(samples: np.ndarray, rate: int, format: str = "FLAC", subtype: str | None = None) -> bytes:
    return encoded(soxr.resample(samples, RATE, rate), format, rate, subtype)


EDITS = {
    "gain +10": lambda x: encoded(x * 10**0.5),
    "gain -10": lambda x: encoded(x * 10**-0.5),
    # soundfile's scale of 0 to 1; 0.58 makes 64 kbit/s at 16 kHz
    "MP3": lambda x: encoded(x, "MP3", bitrate_mode="CONSTANT", compression_level=0.58),
    "Vorbis": lambda x: encoded(x, "OGG", subtype="VORBIS"),
    "Opus": lambda x: encoded(x, "OGG", subtype="OPUS"),
    "8 kHz": lambda x: at_rate(x, 8000),
    "8 kHz μ-law": lambda x: at_rate(x, 8000, "WAV", "ULAW"),
    "22 kHz": lambda x: at_rate(x, 22050),
    "44.1 kHz": lambda x: at_rate(x, 44100),
    "48 kHz MP3": lambda x: at_rate(x, 48000, "MP3"),
    "50 ms off": lambda x: encoded(trimmed(x, 800, 800)),
    "50 ms on": lambda x: encoded(trimmed(x, -800, -800)),
    "37 ms on, 50 ms off": lambda x: encoded(trimmed(x, -592, 800)),
    "noise 30 dB": lambda x: encoded(noisy(x, 30)),
}


def finding(samples: list[np.ndarray], every: int = 1) -> tuple[dict[str, float], int]:
    """Share of each edit's files found to be copies of the original; how many pairs of originals are taken for copies.

    `every`: of so many recordings one is edited.
    """
    originals = inspect([encoded(x) for x in samples])
    assert not originals.flat.any()
    left, right = np.triu_indices(len(samples), 1)

    def nearest(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.bitwise_count(left[:, :, None] ^ right[:, None, :]).min((1, 2))

    alike = similarities(originals.descriptors, left, right) >= ACCEPT
    false = int((alike | (nearest(originals.hashes[left], originals.hashes[right]) <= DISTANCE)).sum())
    samples = samples[::every]
    n = len(samples)
    originals = concatenated([originals], np.arange(n) * every)
    found = {}
    for name, edit in EDITS.items():
        edited = inspect([edit(x) for x in samples])
        assert edited.problems == [None] * n
        both = np.concatenate([originals.descriptors, edited.descriptors])
        alike = similarities(both, np.arange(n), np.arange(n) + n) >= ACCEPT
        found[name] = float((alike & ~edited.flat & (nearest(originals.hashes, edited.hashes) <= DISTANCE)).mean())
    return found, false


def test_copies_are_found_and_nothing_else():
    samples = [between(speech(1 + seed % 5, seed, level=0.05), seed=seed) for seed in range(24)]
    found, false = finding(samples)
    assert min(found.values()) >= 0.95 and np.mean(list(found.values())) >= 0.98, found
    assert false == 0


def test_similarity():
    samples = [between(speech(3, seed)) for seed in range(4)]
    longer = np.concatenate([samples[0], samples[0]])
    found = inspect([encoded(x) for x in (*samples, longer, np.zeros(100), np.zeros(100))])
    rows = np.arange(7)
    table = np.array([similarities(found.descriptors, rows, np.full(7, row)) for row in rows])
    assert np.array_equal(table, table.T) and np.allclose(np.diag(table)[:5], 1) and (table[np.triu_indices(7, 1)] < 0.6).all()
    assert table[0, 4] == 0 and not table[5:].any()  # another duration; nothing to compare


@pytest.mark.skipif(not DATA.is_file(), reason="needs the development data")
def test_copies_of_real_speech_are_found_and_nothing_else():
    with tarfile.open(DATA) as tar:
        blobs = [tar.extractfile(member).read() for member in tar if member.isfile()]
    assert len(blobs) == 320
    found, false = finding([decode(blob).samples for blob in blobs[::2]], every=4)
    # A gain of 10 dB clips the louder ones heavily.
    assert min(found.values()) >= 0.9 and np.mean(list(found.values())) >= 0.98 and false == 0, found


@pytest.mark.skipif(not DATA.is_file(), reason="needs the development data")
def test_real_speech_is_in_range():
    with tarfile.open(DATA) as tar:
        blobs = [tar.extractfile(member).read() for member in tar if member.isfile()]
    found = inspect(blobs)
    assert found.problems == [None] * 320 and not found.needs_reencoding.any() and len(set(found.exact.tolist())) == 320
    frame = measured(found)
    assert frame["speech_duration"].min() > 0.3 and (frame["speech_duration"] < frame["duration"]).all()
    assert frame["snr"].min() > 40 and frame["bandwidth"].min() > 7500 and frame["dc_offset"].max() < 0.01
    assert frame["silence_share"].max() < 0.7 and frame["clipping_share"].max() < 0.02
    assert [len(reencode(decode(blob).samples)) > 0 for blob in blobs[:3]] == [True] * 3
