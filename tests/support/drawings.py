"""Drawings of patterns in colours, with Japanese captions: small image-text pairs that a tiny model can learn."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"赤": (220, 20, 20), "青": (20, 20, 220), "緑": (20, 160, 20), "黄色": (230, 220, 20)}
PATTERNS = ("横の縞模様", "縦の縞模様", "四角", "何もない")


def draw(colour: str, pattern: str, rng: np.random.Generator) -> bytes:
    """Return a PNG of 52 × 40 pixels, with noise."""
    pixels = np.full((40, 52, 3), 255, np.uint8)
    white = {"横の縞模様": np.s_[::8], "縦の縞模様": np.s_[:, ::8], "四角": np.s_[10:30, 15:37], "何もない": np.s_[0:0]}[
        pattern
    ]
    pixels[:] = COLOURS[colour]
    pixels[white] = 255
    if pattern.endswith("縞模様"):
        for k in (1, 2, 3):
            pixels[k::8] = 255 if pattern.startswith("横") else pixels[k::8]
            pixels[:, k::8] = 255 if pattern.startswith("縦") else pixels[:, k::8]
    pixels = np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def draw_pairs(number: int, seed: int) -> list[tuple[bytes, str]]:
    """Return images and captions."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(number):
        colour, pattern = list(COLOURS)[i % 4], PATTERNS[i // 4 % 4]
        pairs.append((draw(colour, pattern, rng), f"{colour}い色で{pattern}の絵、その{i}番"))
    return pairs


def write_zero_shot(folder: Path) -> Path:
    """Write a folder of classes: each colour is one, with three drawings; one more file is no image."""
    rng = np.random.default_rng(9)
    lines = []
    for number, colour in enumerate(COLOURS):
        (folder / f"n{number}").mkdir(parents=True)
        lines.append(f"n{number}\t{colour}い色")
        for i in range(3):
            (folder / f"n{number}" / f"{i}.png").write_bytes(draw(colour, PATTERNS[i], rng))
    (folder / "n0" / "broken.png").write_bytes(b"no image")
    (folder / "classes.tsv").write_text("\n".join(lines), "utf-8")
    return folder
