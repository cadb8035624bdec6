"""Made-up recordings with transcripts, and archives of them in WebDataset's layout."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from tests.support.images import add_member

SMALL_PARTITIONS = "source.partition=200 KB"  # many partitions of few recordings
RATE = 16_000
SENTENCES = [
    f"{place}で{thing}を見ました。"
    for place in "公園 駅前 庭先 川辺 港町 市場".split()
    for thing in "猫 犬 鳥 虫 魚 花".split()
]


class Recording(NamedTuple):
    audio: bytes
    fields: dict[str, Any]  # of the JSON beside it
    suffix: str = "flac"


def make_voice(seed: int, seconds: float = 2.0, rate: int = RATE, quiet: float = 0.2) -> np.ndarray:
    """Return something like speech, another for every seed: bursts of harmonics at about seven a second, silence around them.

    Samples are multiples of 2**-15: libsndfile rounds others differently for FLAC and for WAV.
    """
    random_source = np.random.default_rng(seed)
    count = int(seconds * 7)
    bursts = [np.zeros(int(quiet * rate))]
    for _ in range(count):
        n = int(rate * (seconds - 2 * quiet) / count)
        time = np.arange(n) / rate
        pitch, colour = random_source.uniform(100, 250), random_source.uniform(300, 2500)
        harmonics = np.arange(1, int(3500 / pitch))
        gains = np.exp(-(((harmonics * pitch - colour) / 400) ** 2)) + 0.02
        bursts.append((np.sin(2 * np.pi * pitch * np.outer(time, harmonics)) @ gains) * np.hanning(n))
    bursts.append(np.zeros(int(quiet * rate)))
    samples = np.concatenate(bursts)
    samples = 0.3 * samples / np.abs(samples).max() + 0.001 * random_source.standard_normal(len(samples))
    return np.rint(samples * 2**15) / 2**15


def encode_audio(samples: np.ndarray, kind: str = "FLAC", rate: int = RATE, subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype or ("PCM_16" if kind in ("FLAC", "WAV") else None))
    return out.getvalue()


def write_recordings(path: Path, recordings: Mapping[str, Recording]) -> Path:
    """Write KEY.flac (or another suffix) and KEY.json for every recording to a tar."""
    with tarfile.open(path, "w") as tar:
        for key, recording in recordings.items():
            add_member(tar, f"{key}.{recording.suffix}", recording.audio)
            add_member(tar, f"{key}.json", json.dumps(recording.fields, ensure_ascii=False).encode())
    return path


def make_mixed_recordings() -> dict[str, Recording]:
    """Make recordings by key, with every verdict among them; the key says what is special about one."""
    good = {
        f"good{i:02}": Recording(encode_audio(make_voice(i)), {"text": text, "speaker": f"s{i % 3}"})
        for i, text in enumerate(SENTENCES)
    }
    return good | {
        "same-samples": Recording(encode_audio(make_voice(0), "WAV"), {"text": SENTENCES[0], "speaker": "s9"}, "wav"),
        "quieter": Recording(encode_audio(0.4 * make_voice(1), "OGG"), {"text": SENTENCES[1], "speaker": "s9"}, "ogg"),
        "again": Recording(encode_audio(make_voice(500)), {"text": SENTENCES[5], "speaker": "s2"}),
        "no-text": Recording(encode_audio(make_voice(501)), {"speaker": "s1"}),
        "cut-off": Recording(encode_audio(make_voice(502))[:9000], {"text": "途中で終わります。", "speaker": "s1"}),
    }
