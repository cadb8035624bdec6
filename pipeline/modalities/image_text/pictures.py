"""Images with captions: small pictures for reports."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from filters.image.decoding import open_upright
from filters.inspected import Unreadable
from pipeline.core.errors import ChangedInputError
from pipeline.core.tables import read_arrow_file
from pipeline.modalities.image_text.manifest import ImageTextManifest
from pipeline.sources.rows import Rows
from pipeline.workspace import Part

SIDE, QUALITY = 144, 55


def draw_images(manifest: ImageTextManifest, part: Part, rows: list[int]) -> list[bytes | None]:
    """Return the images of some records of a partition as WebP of at most SIDE by SIDE pixels, None for what cannot be read."""
    pairs = Rows(read_arrow_file(part.raw)[rows])
    try:
        return [_draw(pairs, row, manifest.images.max_pixels) for row in range(len(rows))]
    finally:
        pairs.close()


def _draw(pairs: Rows, row: int, max_pixels: int) -> bytes | None:
    try:
        picture = open_upright(pairs.content(row), SIDE, max_pixels)
    except (Unreadable, ChangedInputError):  # the corpus is made by now
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    picture.info = {}
    out = BytesIO()
    picture.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()
