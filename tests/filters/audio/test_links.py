"""Files that go on after what their first header promises: every sample is there, or the file is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from filters.audio.decoding import decode
from filters.audio.inspection import inspect
from filters.audio.samples import RATE
from tests.filters.audio.test_decoding import decode_problem, make_chord, patch, size_of_data
from tests.support.sounds import encode_sound

FORMS = [
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("FLAC", None),
    ("WAV", None),
    ("WAVEX", None),
    ("RF64", None),
    ("AIFF", None),
    ("MP3", None),
]
ID3 = b"ID3\x03\0\0\0\0\0\x40" + bytes(64)
ID3V1 = b"TAG" + bytes(125)
_APE = b"APETAGEX" + struct.pack("<III", 2000, 40 + 32, 1)  # a header, 40 bytes of an item, a footer
APE = (
    _APE
    + struct.pack("<I", 0xA0000000)
    + bytes(8)
    + b"\x20\0\0\0\0\0\0\0title\0"
    + bytes(26)
    + _APE
    + struct.pack("<I", 1 << 31)
    + bytes(8)
)
MP3_SEAM = 2 * 1152 + 1105 + 1152  # samples: padding, delay and the second file's tag, which is a frame of silence


@pytest.mark.parametrize(("format", "subtype"), FORMS)
def test_files_that_are_concatenated_are_one_recording(format, subtype):
    first, second = make_chord(1.5), make_chord(2.5, seed=1)
    a, b = (encode_sound(samples, format, subtype=subtype) for samples in (first, second))
    expected = np.concatenate([decode(a).samples, decode(b).samples])
    for blob in (a + b, ID3 + a + ID3 + b + ID3V1, a + ID3V1 + b):
        sound = decode(blob)
        if format == "MP3":
            assert len(expected) <= len(sound.samples) <= len(expected) + MP3_SEAM
        else:
            assert np.array_equal(sound.samples, expected) and sound.seconds == 4
        assert sound.needs_reencoding and sound.is_complete
        part = decode(blob, start=1, end=3.5)
        assert np.abs(part.samples - sound.samples[RATE : 7 * RATE // 2]).max() < 1e-5 and not part.is_complete
    assert "over max_seconds" in decode_problem(a + b, max_seconds=2)


def test_links_of_another_rate_and_other_channels():
    stereo = encode_sound(np.stack([make_chord(1, 44100)] * 2, 1), "OGG", 44100, "VORBIS")
    sound = decode(encode_sound(make_chord(1), "OGG", subtype="VORBIS") + stereo)
    assert len(sound.samples) == 2 * RATE and sound.seconds == 2 and (sound.sampling_rate, sound.channels) == (RATE, 1)
    assert decode_problem(stereo + encode_sound(make_chord(1), "OGG", subtype="VORBIS"), channels=[1]).startswith(
        "no channel 1"
    )


@pytest.mark.parametrize("other", [(8000, 1), (16000, 2)])
def test_mp3_that_changes_is_refused(other):
    rate, channels = other
    more = encode_sound(np.repeat(make_chord(1, rate)[:, None], channels, 1), "MP3", rate)
    problem = decode_problem(encode_sound(make_chord(1), "MP3") + more)
    assert problem.startswith("MP3 whose sampling rate or number of channels changes")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_ends_between_pages_is_truncated(subtype):
    blob = encode_sound(make_chord(20), "OGG", subtype=subtype)
    last_page = blob.rindex(b"OggS")
    assert decode_problem(blob[:last_page]) == "truncated OGG: no page says that the stream ends"
    assert decode_problem(blob[:last_page] + blob).startswith("truncated OGG")


def test_ogg_with_two_streams_at_once_is_refused():
    a, b = (encode_sound(make_chord(1, seed=seed), "OGG", subtype="VORBIS") for seed in (0, 1))
    page = a.index(b"OggS", 4), b.index(b"OggS", 4)
    both = a[: page[0]] + b[: page[1]] + a[page[0] :] + b[page[1] :]
    assert "several streams of sound at once" in decode_problem(both)


@pytest.mark.parametrize(("format", "subtype"), FORMS)
@pytest.mark.parametrize(
    "more",
    [ID3V1, APE, APE + ID3V1, ID3, b"LYRICSBEGIN" + bytes(89) + b"000100LYRICS200", bytes(3000), b"\0", b"\r\n", b"junk" * 750],
    ids=["id3v1", "ape", "both", "id3v2", "lyrics", "zeros", "nul", "newline", "junk"],
)
def test_tags_and_junk_refuse_nothing(format, subtype, more):
    blob = encode_sound(make_chord(2), format, subtype=subtype)
    expected = decode(blob).samples
    sound = decode(blob + more)
    assert np.array_equal(sound.samples, expected) and sound.is_complete
    assert np.array_equal(decode(ID3 + ID3 + blob + more).samples, expected)


def set_total(flac: bytes, samples: int) -> bytes:
    return patch(flac, 21, bytes([flac[21] & 0xF0 | samples >> 32]) + struct.pack(">I", samples & 0xFFFFFFFF))


@pytest.mark.parametrize("total", [1, 16_000, 47_999])
def test_flac_that_goes_on_is_read_on(total):
    blob = encode_sound(make_chord(3), "FLAC")
    short = set_total(blob, total)
    sound = decode(short)
    assert np.array_equal(sound.samples, decode(blob).samples) and sound.seconds == 3 and sound.needs_reencoding
    junk = decode_problem(short + b"junk" * 2000) if total < 47_999 else None
    assert junk is None or junk.startswith(f"damaged FLAC: it goes on after the {total:,} samples of its header")
    assert decode_problem(set_total(blob, 48_001)) == "truncated FLAC: 48,000 of 48,001 samples"
    assert decode(set_total(blob, 0) + set_total(blob, 0)).seconds == 6


def count_of_xing(mp3: bytes) -> tuple[int, int]:
    at = max(mp3.find(b"Xing"), mp3.find(b"Info")) + 8
    return at, int.from_bytes(mp3[at : at + 4], "big")


@pytest.mark.parametrize("share", [0, 0.01, 0.5])
def test_mp3_with_fewer_frames_in_its_tag_is_read_on(share):
    blob = encode_sound(make_chord(3), "MP3")
    at, count = count_of_xing(blob)
    assert np.array_equal(decode(patch(blob, at, struct.pack(">I", int(count * share)))).samples, decode(blob).samples)
    for more in (1, 2):  # the tag's own frame is counted
        assert np.array_equal(decode(patch(blob, at, struct.pack(">I", count + more))).samples, decode(blob).samples)
    assert decode_problem(patch(blob, at, struct.pack(">I", count * 2))).startswith("truncated MP3")


@pytest.mark.parametrize("format", ["WAV", "RF64"])
def test_wav_that_promises_less_is_refused(format):
    blob = encode_sound(make_chord(2), format)
    at, width = (size_of_data(blob), "<I") if format == "WAV" else (28, "<Q")
    for size in (1000, 32_000):
        problem = decode_problem(patch(blob, at, struct.pack(width, size)))
        assert (
            problem
            == f"{64_000 - size:,} bytes follow after the {size:,} bytes of samples that the header promises, and are no chunk"
        )
    assert len(decode(patch(blob, at, struct.pack(width, 64_000 - 2_000))).samples) == 2 * RATE - 1_000


def test_few_bytes_of_a_codec_are_much_sound():
    blob = encode_sound(make_chord(2), "WAV", subtype="GSM610")
    assert "3,250 bytes follow after the 3,250 bytes" in decode_problem(
        patch(blob, size_of_data(blob), struct.pack("<I", 3250))
    )


def test_wav_of_unknown_length_with_a_known_file_size():
    blob = encode_sound(make_chord(2))
    assert np.array_equal(decode(patch(blob, size_of_data(blob), bytes(4))).samples, decode(blob).samples)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_streamed_wavs_one_after_the_other(size):
    blob = encode_sound(make_chord(2))
    streamed = patch(patch(blob, size_of_data(blob), struct.pack("<I", size)), 4, struct.pack("<I", 0xFFFFFFFF))
    sound = decode(streamed + streamed)
    assert np.array_equal(sound.samples, np.tile(decode(blob).samples, 2))


def test_rf64_of_unknown_length():
    blob = encode_sound(make_chord(2), "RF64")
    assert np.array_equal(decode(patch(blob, 28, bytes(8))).samples, decode(blob).samples)


@pytest.mark.parametrize("size", [0, 8, 0xFFFFFFFF])
def test_aiff_of_unknown_length(size):
    blob = encode_sound(make_chord(2), "AIFF")
    at, frames = blob.index(b"SSND") + 4, blob.index(b"COMM") + 10
    streamed = patch(patch(patch(blob, at, struct.pack(">I", size)), frames, bytes(4)), 4, bytes(4))
    assert np.array_equal(decode(streamed).samples, decode(blob).samples)


def test_two_chunks_of_samples_are_refused():
    blob = encode_sound(make_chord(1))
    assert decode_problem(blob + blob[size_of_data(blob) - 4 :]) == "several chunks of samples in one file"


def test_chosen_channels():
    left, right = make_chord(1), make_chord(1, seed=1)
    blob = encode_sound(np.stack([left, right], 1), "WAV", subtype="FLOAT")
    assert np.array_equal(decode(blob, channels=[0]).samples, left) and np.array_equal(
        decode(blob, channels=[1]).samples, right
    )
    assert np.allclose(decode(blob, channels=[1, 0]).samples, (left + right) / 2)
    assert decode(blob, channels=[0]).needs_reencoding
    assert decode_problem(blob, channels=[2]) == "no channel 2: the recording has 2 channels, numbered from 0"
    assert decode_problem(encode_sound(left), channels=[1]) == "no channel 1: the recording has 1 channel, numbered from 0"
    found = inspect([blob, blob], channels=[[0], None])
    assert found.exact[0] != found.exact[1]


def test_files_on_disk_are_read_the_same(tmp_path):
    for format, subtype in FORMS:
        blob = encode_sound(make_chord(0.5), format, subtype=subtype) * 2
        path = tmp_path / f"{format}-{subtype}"
        path.write_bytes(blob)
        assert np.array_equal(decode(path).samples, decode(blob).samples)
    (tmp_path / "empty").write_bytes(b"")
    assert "empty file" in decode_problem(tmp_path / "empty")


@pytest.mark.parametrize(
    ("first", "second"), [("FLAC", "WAV"), ("FLAC", "OGG"), ("OGG", "FLAC"), ("OGG", "AIFF"), ("MP3", "WAV")]
)
def test_another_format_that_follows_is_refused(first, second):
    blob = encode_sound(make_chord(1.5), first) + encode_sound(make_chord(2.5, seed=1), second)
    assert f"{second} follows after {first} in one file" in decode_problem(blob)


@pytest.mark.parametrize(
    ("format", "subtype", "chunk", "at", "order"),
    [("WAV", "FLOAT", b"fact", 8, "<"), ("WAV", "IMA_ADPCM", b"fact", 8, "<"), ("AIFF", None, b"COMM", 10, ">")],
)
def test_counts_of_samples_beside_their_size(format, subtype, chunk, at, order):
    blob = encode_sound(make_chord(2), format, subtype=subtype)
    at += blob.index(chunk)
    whole = decode(blob).samples
    for count in (0, 16000, 32000, 0xFFFFFFFF):  # never filled in, or of a file that was continued
        assert np.array_equal(decode(patch(blob, at, struct.pack(f"{order}I", count))).samples, whole)
    assert f"truncated {format}" in decode_problem(patch(blob, at, struct.pack(f"{order}I", 64000)))


@pytest.mark.parametrize(("at", "value"), [(22, 3), (34, 7), (34, 8)])
def test_a_header_that_contradicts_itself(at, value):
    blob = encode_sound(make_chord(1), "WAV")
    assert "contradicts itself" in decode_problem(patch(blob, at, struct.pack("<H", value)))
    assert len(decode(patch(blob, 32, struct.pack("<H", 4))).samples) == RATE  # the size of a sample alone is wrong
