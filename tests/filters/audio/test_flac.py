"""FLAC, the format of most corpora: every kind of frame is decoded to the samples that were encoded, and damage is refused."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.audio.decoding import Unreadable, decode
from filters.audio.samples import RATE, to_int16
from tests.support.sounds import encode_sound

KINDS = ("noise", "constant", "square", "ramp", "spikes", "voice")


def make_samples(kind: str, n: int, seed: int = 0) -> np.ndarray:
    """int16[n], odd numbers (no bit is wasted): what makes an encoder choose each kind of subframe."""
    random, t = np.random.default_rng(seed), np.arange(n)
    if kind == "noise":
        samples = random.integers(-32768, 32768, n)
    elif kind == "constant":
        samples = np.full(n, -1235)
    elif kind == "square":  # long unary codes, full scale
        samples = np.where(t // 50 % 2, 32767, -32768)
    elif kind == "ramp":
        samples = t * 7 % 65536 - 32768
    elif kind == "spikes":  # a residual far beyond the rest of its partition
        samples = np.where(random.random(n) < 0.001, 30001, 1)
    else:
        voice = sum(np.sin(2 * np.pi * f * t / RATE) for f in (220, 440, 1000)) * (np.sin(t / 3000) > 0)
        samples = 8000 * voice / 3 + random.normal(0, 30, n)
    return samples.astype(np.int16) | 1


def encode_flac_file(samples: np.ndarray, rate: int = RATE, level: float = 0.5, subtype: str = "PCM_16") -> bytes:
    return encode_sound(samples, "FLAC", rate, subtype, compression_level=level)


def decode_int16(blob: bytes, rate: int = RATE) -> np.ndarray:
    return to_int16(decode(blob, rate=rate).samples)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_decodes_the_samples_that_were_encoded(kind, level):
    for n in (1, 17, 4096, 4097, 30_000):
        samples = make_samples(kind, n)
        assert decode_int16(encode_flac_file(samples, level=level)).tolist() == samples.tolist()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
def test_rates(rate):
    samples = make_samples("voice", 5000)
    sound = decode(encode_flac_file(samples, rate), rate=rate)
    assert (sound.rate, sound.sampling_rate) == (rate, rate) and to_int16(sound.samples).tolist() == samples.tolist()


def test_decodes_channels_and_depths():
    voice = make_samples("voice", 5000)
    assert decode_int16(encode_flac_file(np.stack([voice, voice], 1))).tolist() == voice.tolist()
    assert decode_int16(encode_flac_file(voice / 32768, subtype="PCM_24")).tolist() == voice.tolist()
    of_8_bits = voice // 256 * 256
    assert decode_int16(encode_flac_file(of_8_bits)).tolist() == of_8_bits.tolist()


def test_refuses_what_is_not_a_sound_flac_file():
    blob = encode_flac_file(make_samples("voice", 5000))
    endless = bytearray(blob)
    endless[21:26] = bytes([blob[21] | 0x0F, 255, 255, 255, 255])
    for other in (b"", b"fLaC", blob[:40], blob[:-1], b"RIFF" + blob[4:], bytes(endless)):
        with pytest.raises(Unreadable, match="."):
            decode(other)


def test_decodes_a_file_with_more_behind_it_or_of_unknown_length():
    samples = make_samples("voice", 5000)
    blob = encode_flac_file(samples)
    streamed = bytearray(blob)
    streamed[21:26] = bytes([blob[21] & 0xF0, 0, 0, 0, 0])  # it does not say how long it is
    for other in (blob + b"\0", bytes(streamed)):
        assert decode_int16(other).tolist() == samples.tolist()


SEEDS = [(make_samples(kind, 5000), encode_flac_file(make_samples(kind, 5000))) for kind in KINDS]


def find_first_frame(blob: bytes) -> int:
    at, last = 4, 0
    while not last:
        last, at = blob[at] & 0x80, at + 4 + int.from_bytes(blob[at + 1 : at + 4], "big")
    return at


@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=3), st.floats(0, 2)
)
@settings(max_examples=300, deadline=None)
def test_damaged_frames_are_never_decoded_to_other_samples(seed, changes, cut):
    samples, blob = seed
    damaged, first = bytearray(blob), find_first_frame(blob)
    for part, bits in changes:
        damaged[min(first + int(part * (len(blob) - first)), len(blob) - 1)] ^= bits
    try:
        decoded = decode_int16(bytes(damaged[: int(cut * len(blob))] if cut < 1 else damaged))
    except Unreadable as reason:
        assert str(reason)
    else:
        assert decoded.tolist() == samples.tolist()


@given(st.sampled_from(KINDS), st.integers(1, 6000), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_decodes_what_libsndfile_does(tmp_path_factory, kind, n, seed):
    path = tmp_path_factory.mktemp("flac") / "sound.flac"
    path.write_bytes(encode_flac_file(make_samples(kind, n, seed)))
    expected = soundfile.read(path, dtype="int16")[0]
    assert decode_int16(path.read_bytes()).tolist() == to_int16(decode(path).samples).tolist() == expected.tolist()
