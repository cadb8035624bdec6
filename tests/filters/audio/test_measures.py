"""Every measure of recordings, on recordings made by numpy and libsndfile, and on real speech where the development data is there."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import MEASURES
from filters.audio.decoding import decode
from filters.audio.encoding import encode_flac
from filters.audio.inspection import inspect
from filters.audio.samples import RATE
from filters.audio.silence import silences
from tests.support.sounds import (
    AUDIO_MEASURES,
    encode_speech,
    make_speech,
    measure_recordings,
    measure_samples,
    pad_with_silence,
)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "speech" / "reazonspeech" / "v2" / "000.tar"


def test_measures_of_something_like_speech():
    row = measure_samples(pad_with_silence(make_speech(3)))
    assert row["duration"] == pytest.approx(3.6) and 2.5 < row["speech_duration"] < 3.1
    assert row["leading_silence"] == pytest.approx(0.3, abs=0.03) and row["trailing_silence"] == pytest.approx(0.3, abs=0.07)
    assert row["silence_share"] == pytest.approx(1 - row["speech_duration"] / row["duration"], abs=1e-6)
    assert row["snr"] > 40 and row["clipping_share"] == 0 and row["dc_offset"] < 0.01 and row["bandwidth"] > 6500
    assert (row["sampling_rate"], row["channels"], row["audio_format"]) == (RATE, 1, "WAV")


def test_all_measures_are_registered():
    assert [name for name, m in MEASURES.items() if m.kind == "audio"] == AUDIO_MEASURES
    assert [name for name in AUDIO_MEASURES if MEASURES[name].words] == ["audio_format"]


def test_levels_of_a_sine():
    sine = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    row = measure_samples(sine)
    assert row["peak_dbfs"] == pytest.approx(-6.02, abs=0.01) and row["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert (
        measure_samples(sine + 0.25)["dc_offset"] == pytest.approx(0.25, abs=1e-4) == measure_samples(-sine - 0.25)["dc_offset"]
    )


def test_silence():
    for samples in (np.zeros(RATE, np.float32), np.full(RATE, 0.1, np.float32)):
        row = measure_samples(samples)
        assert (row["speech_duration"], row["leading_silence"], row["trailing_silence"], row["longest_pause"]) == (0, 1, 0, 0)
        assert (row["silence_share"], row["snr"], row["bandwidth"]) == (1, 0, 0)
    row = measure_samples(np.zeros(RATE, np.float32))
    assert row["peak_dbfs"] == row["rms_dbfs"] == -100


def test_steady_sounds_are_no_speech_and_flat():
    rng = np.random.default_rng(0)
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE) / RATE)
    blobs = [
        encode_speech(x)
        for x in (np.zeros(RATE), hum, rng.normal(0, 0.1, 4 * RATE), rng.normal(0, 0.001, RATE), hum[:100], hum[:1])
    ]
    found = inspect(blobs)
    assert found.problems == [None] * 6 and found.flat.all()
    assert not found.counters["speech_seconds"][:4].any() and (found.counters["snr_db"] < 5).all()
    assert not inspect([encode_speech(pad_with_silence(make_speech()))]).flat[0]


@pytest.mark.parametrize("n", [1, 2, 3, 79, 80, 81, 159, 399, 400, 401, 559, 560, 1000])
def test_very_short_recordings(n):
    row = measure_samples(make_speech(0.5)[:n])
    assert row["duration"] == pytest.approx(n / RATE) and 0 <= row["silence_share"] <= 1 and np.isfinite(row["rms_dbfs"])


def test_clipping():
    samples = make_speech(2, level=0.2)
    samples *= 0.9 / np.abs(samples).max()
    assert measure_samples(samples)["clipping_share"] == 0
    loud = np.clip(4 * samples, -1, 1)
    expected = (np.abs(loud) >= 0.999).mean()
    assert measure_samples(loud)["clipping_share"] == pytest.approx(expected, rel=0.1) and expected > 0.001
    # By a ceiling a little below full scale, as 8 bits and μ-law have, too; but not by one that is the recording's level.
    assert measure_samples(0.985 * loud)["clipping_share"] == pytest.approx(expected, rel=0.1)
    assert measure_samples(0.9 * loud)["clipping_share"] == 0
    # Single samples at full scale are not clipped, and a run has one sign.
    clicks = np.zeros(1000, np.float32)
    clicks[[10, 20, 30]] = 1
    clicks[[50, 51]] = 1, -1
    assert measure_samples(clicks)["clipping_share"] == 0
    clicks[[0, 1, 998, 999]] = 1, 1, -1, -1
    clicks[100:103] = -1
    assert measure_samples(clicks)["clipping_share"] == pytest.approx(7 / 1000)


@pytest.mark.parametrize("noise", [0, 1e-4, 1e-3, 5e-3])
def test_pauses_and_edges(noise):
    row = measure_samples(pad_with_silence(make_speech(4, pause=1.2), 0.7, 1.5, noise))
    assert row["leading_silence"] == pytest.approx(0.7, abs=0.05) and row["trailing_silence"] == pytest.approx(1.5, abs=0.1)
    assert row["longest_pause"] == pytest.approx(1.2, abs=0.15)
    assert row["speech_duration"] == pytest.approx(4, abs=0.9)


def test_a_click_is_no_speech_and_a_short_pause_no_silence():
    samples = pad_with_silence(make_speech(2), 1, 1)
    quiet = measure_samples(samples)
    samples[[3000, 3001, RATE * 4 - 4000]] = 0.5
    assert measure_samples(samples)["leading_silence"] == pytest.approx(quiet["leading_silence"], abs=0.02)
    starts, ends = silences(pad_with_silence(make_speech(6, seed=1)), 0.0)
    assert (ends - starts >= 0.1 * RATE).all()


def test_silences():
    samples = pad_with_silence(make_speech(4, pause=1), 0.5, 0.25)
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
        samples = pad_with_silence(make_speech(4, seed, pause=0.4), noise=0)
        noise = np.fft.rfft(np.random.default_rng(seed).normal(size=len(samples)))
        hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
        noise *= np.where(hertz > 40, 1 / np.sqrt(np.maximum(1, hertz)), 0) if colour == "pink" else 1
        noise = np.fft.irfft(noise, len(samples))
        active = samples != 0
        noise *= np.sqrt((samples[active] ** 2).mean() / (noise**2).mean()) * 10 ** (-true / 20)
        errors.append(measure_samples(samples + noise)["snr"] - true)
    assert abs(np.mean(errors)) < 2 and np.std(errors) < 1.5


def test_digital_silence_does_not_count_as_noise_free():
    samples = pad_with_silence(make_speech(3), noise=0.005)
    padded = np.concatenate([np.zeros(RATE, np.float32), samples, np.zeros(RATE, np.float32)])
    assert measure_samples(padded)["snr"] == pytest.approx(measure_samples(samples)["snr"], abs=0.5)


@pytest.mark.parametrize("rate", [8000, 11025, 12000])
def test_bandwidth_of_what_was_resampled(rate):
    samples = make_speech(3, level=0.05)
    small = soxr.resample(samples, RATE, rate)
    assert measure_samples(soxr.resample(small, rate, RATE))["bandwidth"] == pytest.approx(rate / 2, rel=0.06)
    assert measure_samples(small, rate)["bandwidth"] == pytest.approx(rate / 2, rel=0.06)
    telephone = inspect([encode_speech(small, "WAV", rate, "ULAW")])
    assert measure_recordings(telephone)["bandwidth"][0] == pytest.approx(rate / 2, rel=0.06)
    assert measure_samples(samples)["bandwidth"] > 6500


def test_bandwidth_of_mp3():
    blob = encode_speech(pad_with_silence(make_speech(3)) + np.random.default_rng(0).normal(0, 0.01, int(3.6 * RATE)), "MP3")
    assert 6000 < measure_recordings(inspect([blob]))["bandwidth"][0] < 7700


@given(st.integers(0, 20), st.floats(-20, 5))
@settings(max_examples=15, deadline=None)
def test_gain_changes_levels_only(seed, decibels):
    samples = pad_with_silence(make_speech(2, seed, level=0.05), noise=2e-3, seed=seed)
    before, after = measure_samples(samples), measure_samples(samples * np.float32(10 ** (decibels / 20)))
    for name in ("rms_dbfs", "peak_dbfs"):
        assert after[name] - before[name] == pytest.approx(decibels, abs=0.01)
    for name in ("leading_silence", "trailing_silence", "longest_pause", "silence_share", "bandwidth"):
        assert after[name] == pytest.approx(before[name], abs=0.011)
    assert after["snr"] == pytest.approx(before["snr"], abs=0.1)


@given(st.integers(0, 10), st.lists(st.integers(1, 3000), max_size=8), st.sampled_from([1e-5, 1e-3, 1.0, 1e4, 1e9]))
@settings(max_examples=30, deadline=None)
def test_numbers_are_finite_and_shares_are_shares(seed, places, scale):
    samples = make_speech(0.3, seed)
    samples[places] = scale
    row = measure_samples(samples)
    row.pop("audio_format")
    assert np.isfinite(list(row.values())).all()
    assert 0 <= row["silence_share"] <= 1 and 0 <= row["clipping_share"] <= 1 and 0 <= row["speech_duration"] <= row["duration"]


@pytest.mark.skipif(not DATA.is_file(), reason="needs the development data")
def test_real_speech_is_in_range():
    with tarfile.open(DATA) as tar:
        blobs = [tar.extractfile(member).read() for member in tar if member.isfile()]
    found = inspect(blobs)
    assert found.problems == [None] * 320 and not found.needs_reencoding.any() and len(set(found.exact.tolist())) == 320
    frame = measure_recordings(found)
    assert frame["speech_duration"].min() > 0.3 and (frame["speech_duration"] < frame["duration"]).all()
    assert frame["snr"].min() > 40 and frame["bandwidth"].min() > 7500 and frame["dc_offset"].max() < 0.01
    assert frame["silence_share"].max() < 0.7 and frame["clipping_share"].max() < 0.02
    assert [len(encode_flac(decode(blob).samples)) > 0 for blob in blobs[:3]] == [True] * 3
