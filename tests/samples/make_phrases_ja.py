"""Write the sample of the manifest `phrases-ja` to manifests/samples: `phrases-ja.parquet`.

    python -m tests.samples.make_phrases_ja

A phrase says what an animal is like and what it does, 「白い猫が眠る。」, in words of which there are 22 in all. It is read by voices that
nobody has (`make_speech_ja`): few enough words, often enough, for a small model to learn to recognise them in phrases and from voices that
it never heard.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from tests.samples.make_speech_ja import RATE, Voice, spoken

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
NAME = "phrases-ja"
SEED = 20261129
VOICES, PHRASES = 20, 12  # and phrases of every voice

LIKE = {"赤い": "アカイ", "白い": "シロイ", "黒い": "クロイ", "青い": "アオイ", "大きい": "オーキイ", "小さい": "チイサイ"}
ANIMALS = {
    "犬": "イヌ", "猫": "ネコ", "鳥": "トリ", "魚": "サカナ", "馬": "ウマ", "象": "ゾー", "亀": "カメ", "牛": "ウシ",
}  # fmt: skip
DOES = {
    "走る": "ハシル", "眠る": "ネムル", "笑う": "ワラウ", "鳴く": "ナク", "来る": "クル", "食べる": "タベル", "歌う": "ウタウ",
    "泳ぐ": "オヨグ",
}  # fmt: skip


class Recording(NamedTuple):
    text: str
    reading: str
    speaker: str
    audio: bytes  # Ogg Opus


def encode(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 1), RATE, format="OGG", subtype="OPUS", compression_level=0.95)
    return out.getvalue()


def recordings() -> Iterator[Recording]:
    """Yield every phrase once, each by one voice."""
    random = np.random.default_rng(SEED)
    phrases = [(a, n, v) for a in LIKE for n in ANIMALS for v in DOES]
    drawn = iter(random.choice(len(phrases), VOICES * PHRASES, replace=False))
    for number in range(VOICES):
        pitch, mora, tract = random.uniform(105, 235), random.uniform(0.112, 0.138), random.uniform(0.98, 1.2)
        voice = Voice(f"made-{number + 1:02d}", pitch, mora, tract)
        for _ in range(PHRASES):
            like, animal, does = phrases[next(drawn)]
            reading = LIKE[like] + ANIMALS[animal] + "ガ" + DOES[does]
            yield Recording(f"{like}{animal}が{does}。", reading, voice.name, encode(spoken(reading, voice, random)))


def build(folder: Path) -> None:
    rows = list(recordings())
    audio = [{"bytes": row.audio, "path": f"{number:03d}.opus"} for number, row in enumerate(rows)]
    columns = {"audio": audio, "text": [row.text for row in rows], "speaker": [row.speaker for row in rows]}
    pq.write_table(pa.table(columns), folder / f"{NAME}.parquet", compression="zstd", write_statistics=False)


if __name__ == "__main__":
    build(SAMPLES)
