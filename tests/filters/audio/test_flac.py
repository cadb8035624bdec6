"""What `filters.audio.flac` decodes are libsndfile's samples; what it does not, it leaves alone."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.audio import decoding as sound
from filters.audio import flac

RATE = 16_000


def encoded(samples: np.ndarray, rate: int = RATE, level: float = 0.5, **options) -> bytes:
    out = io.BytesIO()
    options = {"subtype": "PCM_16"} | options
    soundfile.write(out, samples, rate, format="FLAC", compression_level=level, **options)
    return out.getvalue()


def shaped(kind: str, n: int, seed: int = 0) -> np.ndarray:
    """int16[n], odd numbers (no bit is wasted): what makes an encoder choose each kind of subframe."""
    return _shaped(kind, n, seed) | 1


def _shaped(kind: str, n: int, seed: int) -> np.ndarray:
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
    frames = [
        at for at in range(len(blob)) if blob[at : at + 2] == b"\xff\xf8" and blob[at + 4 : at + 5] in (b"\0", b"\1", b"\2")
    ]
    first, second, third = frames[0], *(at for at in frames if at - frames[0] > 8000 and blob[at + 4] > 0)
    assert flac.decoded(blob) is not None
    assert flac.decoded(blob[:second] + blob[first:second] + blob[third:]) is None
    assert flac.decoded(blob[:second] + blob[third:]) is None


SEEDS = [(shaped(kind, 5000), encoded(shaped(kind, 5000))) for kind in KINDS]


@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=3), st.floats(0, 2)
)
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


def frame_of(blob: bytes) -> int:
    """Where the first frame begins."""
    at, last = 4, 0
    while not last:
        last, at = blob[at] & 0x80, at + 4 + int.from_bytes(blob[at + 1 : at + 4], "big")
    return at


def mended(blob: bytearray) -> bytes:
    """A file of one frame, whose header has 8 bytes, with the checksums that its damage needs."""
    start = frame_of(blob)
    check = 0
    for byte in blob[start : start + 7]:
        check = int(flac._CRC8[check ^ byte])
    blob[start + 7] = check
    blob[-2:] = int(flac._crc16(np.frombuffer(blob, np.uint8), start, len(blob) - 2, flac._CRC16)).to_bytes(2, "big")
    return bytes(blob)


FRAMES = [encoded(shaped(kind, n), level=level) for kind in KINDS for n in (300, 1000) for level in (0.0, 0.5, 1.0)]


@given(
    st.sampled_from(FRAMES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=3),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 255)), max_size=2),
    st.integers(-40, 8),
)
@settings(max_examples=1500, deadline=None)
def test_damage_with_sound_checksums_is_decoded_as_libsndfile_does_or_not_at_all(blob, changes, front, longer):
    damaged, start = bytearray(blob), frame_of(blob)
    for part, bits in changes:
        damaged[start + int(part * (len(blob) - start - 1))] ^= bits
    for at, bits in front:  # where the forms of the frame and of its subframe stand
        damaged[min(start + at, len(blob) - 1)] ^= bits
    damaged = damaged[:longer] if longer < 0 and len(blob) + longer > start + 10 else damaged + bytes(max(longer, 0))
    whole = mended(damaged)
    found = flac.decoded(whole)
    try:
        theirs = sound._by_libsndfile(whole, RATE, 0.0, None, sound.MAX_SECONDS).samples
    except sound.Unreadable:
        return
    assert found is None or found[1] != RATE or found[0].tolist() == (theirs * 32768).astype(np.int64).tolist()
