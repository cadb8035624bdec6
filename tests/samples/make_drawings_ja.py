"""Write the sample of the manifest `drawings-ja` to manifests/samples: `drawings-ja.parquet`.

    python -m tests.samples.make_drawings_ja

A drawing is one shape in one colour on white paper, and its caption says which: 「赤い丸」. Where the shape stands and how large it is
differs from drawing to drawing. So a small model can learn all that the captions say, and one sees at a glance whether it has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
NAME = "drawings-ja"
SEED = 20261129
EACH = 20  # drawings of every caption
SIDE = 64  # pixels
FINE = 4  # times as large as it is drawn: smooth edges

COLOURS = {
    "赤い": (214, 40, 40), "青い": (36, 92, 200), "緑の": (40, 150, 70), "黄色い": (240, 196, 30), "紫の": (130, 60, 170),
    "黒い": (32, 32, 36),
}  # fmt: skip
SHAPES = ("丸", "三角", "四角", "星", "輪")


class Drawing(NamedTuple):
    caption: str
    image: bytes  # PNG


def corners(count: int, x: float, y: float, radii: tuple[float, ...]) -> list[tuple[float, float]]:
    """Return `count` points around (x, y), the first above it, whose distances take turns."""
    angles = [2 * math.pi * k / count - math.pi / 2 for k in range(count)]
    return [(x + radii[k % len(radii)] * math.cos(a), y + radii[k % len(radii)] * math.sin(a)) for k, a in enumerate(angles)]


def draw(shape: str, colour: tuple[int, int, int], random: np.random.Generator) -> bytes:
    """Return a PNG in 16 colours."""
    side = SIDE * FINE
    image = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(image)
    radius = random.uniform(0.26, 0.38) * side
    x, y = random.uniform(0.44, 0.56, 2) * side
    box = [x - radius, y - radius, x + radius, y + radius]
    if shape == "丸":
        pen.ellipse(box, colour)
    elif shape == "輪":
        pen.ellipse(box, None, colour, round(radius * 0.36))
    elif shape == "四角":
        pen.rectangle([x - radius * 0.86, y - radius * 0.86, x + radius * 0.86, y + radius * 0.86], colour)
    elif shape == "三角":
        pen.polygon(corners(3, x, y + radius * 0.2, (radius * 1.15,)), colour)
    else:
        pen.polygon(corners(10, x, y, (radius * 1.15, radius * 0.5)), colour)
    out = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BOX).quantize(16).save(out, "PNG", optimize=True)
    return out.getvalue()


def drawings() -> Iterator[Drawing]:
    random = np.random.default_rng(SEED)
    for _ in range(EACH):
        for name, colour in COLOURS.items():
            for shape in SHAPES:
                yield Drawing(name + shape, draw(shape, colour, random))


def build(folder: Path) -> None:
    rows = list(drawings())
    images = [{"bytes": row.image, "path": f"{number:03d}.png"} for number, row in enumerate(rows)]
    table = pa.table({"image": images, "caption": [row.caption for row in rows]})
    pq.write_table(table, folder / f"{NAME}.parquet", compression="zstd", write_statistics=False)


if __name__ == "__main__":
    build(SAMPLES)
