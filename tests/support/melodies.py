"""Made recordings whose notes follow a rule, as shards of speech, and HuBERTs small enough to learn it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE

TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
KINDS = {"base": TINY, "large": TINY | {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}}


def melody(seed: int, notes: int = 8) -> np.ndarray:
    """Return tones of 0.2 s that mostly go up a scale: the next one can be predicted, and there are few units."""
    rng = np.random.default_rng(seed)
    t = np.arange(RATE // 5) / RATE
    pitch = rng.integers(5) + np.cumsum(rng.random(notes) < 0.8)
    tones = [0.3 * np.sin(2 * np.pi * 300 * 1.35 ** (p % 5) * t) for p in pitch]
    sound = np.concatenate([*tones, np.zeros(rng.integers(300))])
    return (sound + rng.normal(0, 1e-2, len(sound))).astype(np.float32)


def write_corpus(folder: Path, train: int = 24, validation: int = 8) -> Path:
    """Write speech shards in row groups of 8. The second recording cannot be decoded."""
    (folder / "data").mkdir(parents=True)
    for split, number, begin in (("train", train, 0), ("validation", validation, 1_000)):
        sounds = [encode_flac(melody(begin + i)) for i in range(number)]
        if split == "train":
            sounds[1] = b"fLaC, or so it says"
        rows = {"id": [f"made/{split}/{i}" for i in range(number)], "audio": [{"bytes": s, "path": "a.flac"} for s in sounds]}
        pq.write_table(pa.table(rows), folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=8)
    return folder
