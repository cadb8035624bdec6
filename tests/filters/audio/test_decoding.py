"""Files made by libsndfile and by hand: every format, and what writers, disks and crawled files do to them."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.audio.decoding import BLOCK, Sound, Unreadable, decode, resample
from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE
from tests.support.sounds import encode_sound


def make_chord(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A chord with some noise, float32[n], below half of full scale."""
    t = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220, 440, 1000)) / 10
    return (chord + np.random.default_rng(seed).normal(0, 0.01, len(t))).astype(np.float32)


def decode_problem(source, **options) -> str:
    with pytest.raises(Unreadable) as raised:
        decode(source, **options)
    return str(raised.value)


def patch(blob: bytes, at: int, new: bytes) -> bytes:
    return blob[:at] + new + blob[at + len(new) :]


def file_facts(sound: Sound) -> tuple:
    return sound.format, sound.subtype, sound.sampling_rate, sound.channels


# --- formats


@pytest.mark.parametrize(
    ("format", "subtype", "rate", "tolerance"),
    [
        ("FLAC", "PCM_16", 16000, 4e-5),
        ("FLAC", "PCM_24", 16000, 1e-6),
        ("WAV", "PCM_16", 16000, 4e-5),
        ("WAV", "PCM_U8", 16000, 0.01),
        ("WAV", "PCM_32", 16000, 1e-6),
        ("WAV", "FLOAT", 16000, 0),
        ("WAV", "DOUBLE", 16000, 0),
        ("WAV", "ULAW", 16000, 0.02),
        ("WAV", "IMA_ADPCM", 16000, 0.1),
        ("WAVEX", "PCM_16", 16000, 4e-5),
        ("RF64", "PCM_16", 16000, 4e-5),
        ("AIFF", "PCM_16", 16000, 4e-5),
        ("OGG", "VORBIS", 16000, 0.1),
        ("OGG", "OPUS", 16000, 0.1),
        ("MP3", "MPEG_LAYER_III", 16000, 0.1),
    ],
)
def test_formats(format, subtype, rate, tolerance):
    samples = make_chord()
    sound = decode(encode_sound(samples, format, rate, subtype))
    name = {"WAVEX": "WAV", "RF64": "WAV"}.get(format, format)
    assert file_facts(sound) == (name, subtype, rate, 1) and sound.rate == RATE
    assert sound.samples.dtype == np.float32 and len(sound.samples) - len(samples) in range(1000 if "ADPCM" in subtype else 1)
    error = sound.samples[: len(samples)] - samples
    assert (np.abs(error).max() if tolerance < 0.1 else np.sqrt((error**2).mean())) <= tolerance
    assert sound.seconds == pytest.approx(1, abs=0.07) and sound.is_complete


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_resampled_to_16_khz_mono(rate, channels):
    samples = np.repeat(make_chord(2, rate)[:, None], channels, 1)
    sound = decode(encode_sound(samples, "WAV", rate, "FLOAT"))
    assert file_facts(sound) == ("WAV", "FLOAT", rate, channels) and len(sound.samples) == 2 * RATE
    expected = make_chord(2)
    middle = slice(1000, -1000)
    assert np.sqrt(((sound.samples - expected)[middle] ** 2).mean()) < 0.03  # the noise is another one
    assert sound.needs_reencoding


def test_channels_are_averaged():
    left = make_chord()
    assert np.allclose(decode(encode_sound(np.stack([left, 0 * left], 1), "WAV", subtype="FLOAT")).samples, left / 2)


def test_blocks_make_no_difference():
    samples = make_chord(2.5 * BLOCK / 48000, 48000)
    whole = resample(samples, 48000, RATE)
    assert np.array_equal(
        decode(encode_sound(samples, "WAV", 48000, "FLOAT")).samples,
        decode(encode_sound(samples, "WAV", 48000, "FLOAT")).samples,
    )
    assert np.abs(decode(encode_sound(samples, "WAV", 48000, "FLOAT")).samples - whole).max() < 1e-6
    long = make_chord(2.5 * BLOCK / RATE)
    assert np.array_equal(decode(encode_sound(long, "WAV", subtype="FLOAT")).samples, long)


def test_another_rate():
    sound = decode(encode_sound(make_chord(1, 48000), "FLAC", 48000), rate=48000)
    assert (sound.rate, len(sound.samples), sound.needs_reencoding) == (48000, 48000, False)


def test_content_decides_not_the_name(tmp_path):
    path = tmp_path / "speech.raw"
    path.write_bytes(encode_sound(make_chord(), "MP3"))
    assert decode(path).format == "MP3" and decode(path).samples.tobytes() == decode(path.read_bytes()).samples.tobytes()
    for kind in (bytearray, memoryview):
        assert len(decode(kind(path.read_bytes())).samples) == RATE


def test_tags_before_flac_and_mp3():
    tag = b"ID3\x04\0\0\0\0\0\x10" + bytes(16)
    assert decode(tag + encode_sound(make_chord(), "FLAC")).format == "FLAC"
    assert len(decode(tag + encode_sound(make_chord(), "MP3")).samples) == RATE


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_mp3_that_does_not_say_its_length(mode):
    samples = np.concatenate([make_chord(6) * 0, make_chord(4), make_chord(3) * 0])
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", RATE, 1, format="MP3", bitrate_mode=mode, compression_level=0.5) as file:
        file.write(samples)
    blob = out.getvalue()
    assert len(decode(blob).samples) == len(samples)
    second = blob.index(blob[:2], 4)  # without the first frame, which holds the tag
    for bare in (blob[second:], blob[second:] + b"TAG" + bytes(125)):
        sound = decode(bare)
        assert len(samples) <= len(sound.samples) < len(samples) + 3 * 1152
        assert np.abs(sound.samples[: 5 * RATE]).max() < 0.01 < np.abs(sound.samples[7 * RATE : 9 * RATE]).max()
    half = blob[second : len(blob) // 2]
    assert 0 < len(decode(half).samples) < len(samples)


def test_flac_of_unknown_length():
    blob = encode_sound(make_chord(3), "FLAC")
    streamed = patch(patch(blob, 21, bytes([blob[21] & 0xF0])), 22, bytes(4))
    sound = decode(streamed)
    assert np.array_equal(sound.samples, decode(blob).samples) and sound.seconds == 3 and not sound.needs_reencoding
    assert np.array_equal(decode(streamed, start=1, end=2).samples, decode(blob).samples[RATE : 2 * RATE])
    assert "max_seconds" in decode_problem(streamed, max_seconds=2.5)


# --- parts


@pytest.mark.parametrize(
    ("format", "subtype", "tolerance"),
    [
        ("FLAC", None, 0),
        ("WAV", None, 0),
        ("AIFF", None, 0),
        ("MP3", None, 1e-6),
        ("OGG", "VORBIS", 1e-6),
        ("OGG", "OPUS", 0.01),
    ],
)
def test_a_part(format, subtype, tolerance):
    blob = encode_sound(make_chord(20), format, subtype=subtype)
    whole = decode(blob).samples
    for start, end in ((0, 1), (0.5, 2.25), (13.1, 19.9), (19, 30), (7, None)):
        sound = decode(blob, start=start, end=end)
        expected = whole[round(start * RATE) : None if end is None else round(end * RATE)]
        assert len(sound.samples) == len(expected) and np.abs(sound.samples - expected).max() <= tolerance
        assert sound.seconds == 20 and not sound.is_complete and sound.needs_reencoding
    assert decode(blob, end=20).is_complete and decode(blob, end=21).is_complete


def test_a_part_of_another_rate():
    blob = encode_sound(make_chord(20, 44100), "FLAC", 44100)
    whole, part = decode(blob).samples, decode(blob, start=3, end=5).samples
    assert len(part) == 2 * RATE and np.abs(part - whole[3 * RATE : 5 * RATE])[200:-200].max() < 1e-4


def test_parts_that_are_none():
    blob = encode_sound(make_chord(2), "FLAC")
    assert decode_problem(blob, start=2) == "the part from 2 s begins after the end, 2 s"
    for start, end in ((-1, 1), (1, 1), (1, 0.5), (float("nan"), None), (0, float("nan"))):
        assert decode_problem(blob, start=start, end=end).startswith("no part of a recording")
    assert decode_problem(blob, start=1, end=1 + 1e-9) == "no samples"


def test_a_part_is_sought(monkeypatch):
    blob = encode_sound(make_chord(60), "FLAC")
    read = 0
    plain = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **options):
        nonlocal read
        found = plain(self, frames, *args, **options)
        read += len(found)
        return found

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    assert len(decode(blob, start=50, end=51).samples) == RATE == read


# --- what is wrong with files


def test_truncated_flac():
    blob = encode_sound(make_chord(3), "FLAC")
    for share in (0.3, 0.5, 0.99):
        words = decode_problem(blob[: int(len(blob) * share)])
        assert words.startswith("truncated FLAC: ") and words.endswith(" of 48,000 samples")
        assert 0 < int(words.split()[2].replace(",", "")) < 48000 * share + 5000
    assert "not audio that libsndfile reads" in decode_problem(blob[:40]) or "truncated FLAC" in decode_problem(blob[:40])


def test_damaged_flac():
    blob = bytearray(encode_sound(make_chord(3), "FLAC"))
    blob[len(blob) // 2] ^= 0x55
    assert decode_problem(bytes(blob)).startswith("damaged FLAC: ")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_truncated_ogg(subtype):
    blob = encode_sound(make_chord(20), "OGG", subtype=subtype)
    for share in (0.5, 0.99):
        assert decode_problem(blob[: int(len(blob) * share)]).startswith("truncated OGG: ")


def test_truncated_mp3():
    words = decode_problem(encode_sound(make_chord(20), "MP3")[:20000])
    assert words.startswith("truncated MP3: ") and words.endswith("of 320,000 samples")


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64", "AIFF"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_that_promises_more_than_it_has(format, channels):
    blob = encode_sound(np.repeat(make_chord(2)[:, None], channels, 1), format)
    missing = 10_000 * 2 * channels
    name = format if format == "AIFF" else "WAV"
    assert decode_problem(blob[: len(blob) - missing]) == f"truncated {name}: 22,000 of 32,000 samples"


def size_of_data(blob: bytes) -> int:
    return blob.index(b"data") + 4


def test_streamed_wav_is_read_to_the_end():
    blob = encode_sound(make_chord(2))
    expected = decode(blob).samples
    for size in (0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFDB):
        for riff in (0, 0xFFFFFFFF):
            streamed = patch(patch(blob, size_of_data(blob), struct.pack("<I", size)), 4, struct.pack("<I", riff))
            assert np.array_equal(decode(streamed).samples, expected), (size, riff)


def test_wav_with_other_chunks_after_the_samples():
    blob = encode_sound(make_chord(2))
    expected = decode(blob).samples
    more = b"LIST" + struct.pack("<I", 1000) + b"INFO" + bytes(996)
    longer = patch(blob + more, 4, struct.pack("<I", len(blob) + len(more) - 8))
    assert np.array_equal(decode(longer).samples, expected)
    # An empty chunk of samples before them, by a header that knows the length of the file, is no streamed one.
    empty = blob[: size_of_data(blob)] + bytes(4) + more
    assert decode_problem(patch(empty, 4, struct.pack("<I", len(empty) - 8))) == "no samples"


@pytest.mark.parametrize("format", ["WAV", "AIFF", "OGG"])
def test_no_samples(format):
    assert decode_problem(encode_sound(make_chord(0), format)) == "no samples"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_nan_and_infinity(bad, rate):
    samples = make_chord(1, rate)
    samples[5000] = bad
    assert decode_problem(encode_sound(samples, "WAV", rate, "FLOAT")) == "NaN or infinite samples"
    assert decode_problem(encode_sound(np.stack([samples, -samples], 1), "WAV", rate, "FLOAT")) == "NaN or infinite samples"


def test_absurd_samples():
    assert (
        decode_problem(encode_sound(make_chord() * 1e30, "WAV", subtype="FLOAT"))
        == "samples beyond 4,294,967,296 times full scale"
    )
    assert np.abs(decode(encode_sound(make_chord() * 32768, "WAV", subtype="FLOAT")).samples).max() > 1000


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "empty file"),
        ("吾輩は猫である。".encode() * 500, "text"),
        (b"<!DOCTYPE html><html></html>", "HTML or XML"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "PNG; FLAC, WAV, OGG, MP3, AIFF are read"),
        (b"\0\0\0\x20ftypM4A " + bytes(500), "MP4; FLAC, WAV, OGG, MP3, AIFF are read"),
        (b"\xff\xf1\x50\x80" + bytes(500), "AAC; FLAC, WAV, OGG, MP3, AIFF are read"),
        (bytes(1000), "no known format"),
        (b"\xff", "no known format"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "no known format"),
        (np.random.default_rng(0).bytes(5000), "no known format"),
        (b"fLaC", ""),
        (b"RIFF\xff\xff\xff\xffWAVE", ""),
        (b"OggS" + bytes(100), ""),
        (b"ID3" + bytes(100), ""),
        (b"\xff\xfb\x90\x00" * 100, ""),
    ],
)
def test_not_audio(blob, words):
    assert decode_problem(blob).startswith(f"not audio that libsndfile reads: {words}")


def test_other_formats_of_libsndfile_are_not_opened():
    for format, subtype in (
        ("CAF", "PCM_16"),
        ("W64", "PCM_16"),
        ("AU", "PCM_16"),
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
        ("MAT5", "PCM_16"),
    ):
        assert decode_problem(encode_sound(make_chord(), format, subtype=subtype)).startswith(
            "not audio that libsndfile reads: "
        )


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 2**31 - 1, 2**32 - 1])
def test_absurd_rates(rate):
    words = decode_problem(patch(encode_sound(make_chord()), 24, struct.pack("<I", rate)))
    assert words.startswith(f"sampling rate of {rate:,} Hz, outside 1,000 to 768,000" if 0 < rate < 2**31 else "not audio")


@pytest.mark.parametrize("channels", [0, 1025, 65535])
def test_absurd_channels(channels):
    assert decode_problem(patch(encode_sound(make_chord()), 22, struct.pack("<H", channels))).startswith(
        "not audio that libsndfile reads"
    )


def test_too_long():
    blob = encode_sound(make_chord(3), "FLAC")
    assert decode_problem(blob, max_seconds=2.5) == "3.0 s of audio, over max_seconds = 2"
    assert len(decode(blob, start=1, max_seconds=2.5).samples) == 2 * RATE
    claiming = patch(patch(blob, 21, bytes([blob[21] | 0x0F])), 22, b"\xff" * 4)
    assert "over max_seconds" in decode_problem(claiming)


# --- memory


def peak_memory(function) -> int:
    """Bytes that Python and numpy allocate at once, beyond what there is."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_headers_do_not_allocate():
    flac = encode_sound(make_chord(0.1), "FLAC")
    claiming = patch(patch(flac, 21, bytes([flac[21] | 0x0F])), 22, b"\xff" * 4)  # 2³⁶ samples
    assert peak_memory(lambda: decode_problem(claiming, max_seconds=1e12)) < 3 * 4 * BLOCK
    wav = encode_sound(make_chord(0.1))
    assert (
        peak_memory(lambda: decode_problem(patch(wav, size_of_data(wav), struct.pack("<I", 0x70000000)), max_seconds=1e12))
        < 4 * BLOCK
    )
    wide = patch(patch(wav, 22, struct.pack("<H", 1024)), 32, struct.pack("<H", 2048))
    assert peak_memory(lambda: decode(wide)) < 3 * 4 * BLOCK


@pytest.mark.parametrize("format", ["FLAC", "WAV"])
def test_long_recordings_are_never_in_memory_as_they_were(tmp_path, format):
    path, seconds = tmp_path / "long", 900
    with soundfile.SoundFile(path, "w", 48000, 2, "PCM_16", format=format) as file:
        for _ in range(seconds // 60):
            file.write(np.zeros((60 * 48000, 2), np.int16))
    # 58 MB of samples from 346 MB, and a few blocks
    assert peak_memory(lambda: decode(path)) < 1.3 * 4 * RATE * seconds + 6 * 4 * BLOCK


# --- encoding


@given(st.integers(1, 5000), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_flac_round_trip(n, seed):
    values = np.random.default_rng(seed).integers(-32768, 32768, n, np.int16)
    sound = decode(encode_sound(values, "FLAC"))
    assert not sound.needs_reencoding
    again = encode_flac(sound.samples)
    assert again == encode_flac(sound.samples)
    assert np.array_equal(soundfile.read(io.BytesIO(again), dtype="int16")[0], values)
    assert np.array_equal(decode(again).samples, sound.samples) and not decode(again).needs_reencoding


def test_reencoding_clips_and_rounds():
    samples = np.array([2, -2, 1, -1, 0.5 / 32768, 1.5 / 32768, 0.6 / 32768, -0.6 / 32768, 1e30], np.float32)
    assert decode(encode_flac(samples)).samples.tolist() == [
        x / 32768 for x in (32767, -32768, 32767, -32768, 0, 2, 1, -1, 32767)
    ]


def test_what_needs_reencoding():
    samples = make_chord()
    assert not decode(encode_sound(samples, "FLAC")).needs_reencoding
    for format, rate, subtype in (("FLAC", 16000, "PCM_24"), ("FLAC", 8000, None), ("WAV", 16000, None), ("MP3", 16000, None)):
        assert decode(encode_sound(samples, format, rate, subtype)).needs_reencoding
    assert decode(encode_sound(np.stack([samples, samples], 1), "FLAC")).needs_reencoding


def test_a_part_is_encoded_at_any_rate():
    samples = decode(encode_sound(make_chord(2), "FLAC")).samples
    assert np.array_equal(decode(encode_flac(samples[1000:20000])).samples, samples[1000:20000])
    assert decode(encode_flac(samples[:100], rate=8000), rate=8000).sampling_rate == 8000


# --- hostile bytes

SMALL = make_chord(0.25)
SEEDS = [
    encode_sound(SMALL, "FLAC"),
    encode_sound(SMALL, "WAV"),
    encode_sound(SMALL, "WAV", subtype="FLOAT"),
    encode_sound(SMALL, "WAV", subtype="IMA_ADPCM"),
    encode_sound(SMALL, "OGG", subtype="VORBIS"),
    encode_sound(SMALL, "OGG", subtype="OPUS"),
    encode_sound(SMALL, "MP3"),
    encode_sound(SMALL, "AIFF"),
    encode_sound(np.stack([SMALL, SMALL], 1), "RF64"),
]
places = st.one_of(st.floats(0, 1).map(lambda part: (part, 1 << 20)), st.floats(0, 1).map(lambda part: (part, 120)))
bits = st.one_of(
    st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\x80"]), st.binary(min_size=1, max_size=4)
)
edits = st.lists(st.tuples(places, bits, st.sampled_from(["over", "insert", "delete", "cut"])), min_size=1, max_size=8)


@given(st.sampled_from(SEEDS), edits)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_decode_to_finite_samples_or_are_unreadable(blob, changes):
    for (part, within), new, what in changes:
        at = int(part * min(len(blob), within))
        if what == "over":
            blob = patch(blob, at, new)
        elif what == "insert":
            blob = blob[:at] + new + blob[at:]
        elif what == "delete":
            blob = blob[:at] + blob[at + len(new) :]
        else:
            blob = blob[: max(at, 12)]
    try:
        sound = decode(blob, max_seconds=600)
    except Unreadable as why:
        assert str(why)
    else:
        assert len(sound.samples) and sound.samples.dtype == np.float32 and np.isfinite(sound.samples).all()
