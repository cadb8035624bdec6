"""What `filters.flac` decodes are libsndfile's samples; what it does not, it leaves alone."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import flac

RATE = 16_000


def encoded(samples: np.ndarray, rate: int = RATE, level: float = 0.5, **options) -> bytes:
    out = io.BytesIO()
    options = {"subtype": "PCM_16"} | options
    soundfile.write(out, samples, rate, format="FLAC", compression_level=level, **options)
    return out.getvalue()


def shaped(kind: str, n: int, seed: int = 0) -> np.ndarray:
    """int16[n]: what makes an encoder choose each kind of subframe."""
    random, t = np.random.default_rng(seed), np.arange(n)
    if kind == "noise":
        return random.integers(-32768, 32768, n).astype(np.int16)
    if kind == "constant":
        return np.full(n, -1235, np.int16)
    if kind == "square":  # long unary codes, full scale
        return np.where(t // 50 % 2, 32767, -32768).astype(np.int16)
    if kind == "ramp":
        return (t * 7 % 65536 - 32768).astype(np.int16)
    if kind == "spikes":  # a residual far beyond the rest of its partition
        return np.where(random.random(n) < 0.001, 30001, 1).astype(np.int16)
    voice = sum(np.sin(2 * np.pi * f * t / RATE) for f in (220, 440, 1000)) * (np.sin(t / 3000) > 0)
    return (8000 * voice / 3 + random.normal(0, 30, n)).astype(np.int16)


KINDS = ("noise", "constant", "square", "ramp", "spikes", "voice")


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_same_samples_as_libsndfile(kind, level):
    for n in (1, 17, 4096, 4097, 30_000):
        samples = shaped(kind, n)
        blob = encoded(samples, level=level)
        found = flac.decoded(blob)
        # A tone that is much smaller than 1/16 of its samples is left to libsndfile.
        if found is None:
            assert n > 16 * len(blob)
            continue
        assert found[0].tolist() == samples.tolist() and found[1] == RATE


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
def test_rates(rate):
    found = flac.decoded(encoded(shaped("voice", 5000), rate))
    assert found is None if rate == 11025 else found is not None and found[1] == rate


def test_what_is_left_to_libsndfile():
    voice = shaped("voice", 5000)
    assert flac.decoded(encoded(np.stack([voice, voice], 1))) is None
    assert flac.decoded(encoded(voice / 32768, subtype="PCM_24")) is None
    assert flac.decoded(encoded(voice // 256 * 256)) is None  # of 8 bits
    blob = encoded(voice)
    for other in (b"", b"fLaC", blob[:40], blob[:-1], blob + b"\0", b"RIFF" + blob[4:]):
        assert flac.decoded(other) is None
    unknown = bytearray(blob)
    unknown[21:26] = bytes([blob[21] & 0xF0, 0, 0, 0, 0])  # streamed: it does not say how long it is
    assert flac.decoded(unknown) is None
    endless = bytearray(blob)
    endless[21:26] = bytes([blob[21] | 0x0F, 255, 255, 255, 255])
    assert flac.decoded(endless) is None


def test_a_frame_that_is_missing_or_there_twice():
    blob = encoded(shaped("noise", 3 * 4096))
    frames = [at for at in range(len(blob)) if blob[at : at + 2] == b"\xff\xf8" and blob[at + 4 : at + 5] in (b"\0", b"\1", b"\2")]
    first, second, third = frames[0], *(at for at in frames if at - frames[0] > 8000 and blob[at + 4] > 0)
    assert flac.decoded(blob) is not None
    assert flac.decoded(blob[:second] + blob[first:second] + blob[third:]) is None
    assert flac.decoded(blob[:second] + blob[third:]) is None


SEEDS = [(shaped(kind, 5000), encoded(shaped(kind, 5000))) for kind in KINDS]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=3), st.floats(0, 2))
@settings(max_examples=300, deadline=None)
def test_damage_is_never_decoded(seed, changes, cut):
    """Not to other samples, and never beyond the end of the data."""
    samples, blob = seed
    damaged = bytearray(blob)
    for part, bits in changes:
        damaged[min(int(part * len(blob)), len(blob) - 1)] ^= bits
    found = flac.decoded(bytes(damaged[: int(cut * len(blob))] if cut < 1 else damaged))
    # Changes of the header's sizes of frames, of its checksum, or of comments do no harm.
    assert found is None or found[0].tolist() == samples.tolist()
