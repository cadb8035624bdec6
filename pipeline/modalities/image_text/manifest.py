"""What a manifest of image-text pairs can say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from filters import MEASURES
from filters.registry import Kind
from pipeline.core.errors import UsageError
from pipeline.core.libraries import require_modules
from pipeline.core.settings import Size
from pipeline.manifest.model import Manifest, Shards
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step


class Images(ManifestTable):
    """How images are read."""

    default_step: ClassVar[Step | None] = "measure"

    max_pixels: int = Field(100_000_000, ge=1, description="a larger image is not decoded; the ledger has it as unreadable")
    model: str | None = Field(
        None, description="folder of a CLIP-type checkpoint (transformers) for the measure clip_similarity"
    )
    batch: Annotated[int, BelongsTo("report")] = Field(64, ge=1, description="pairs that the model scores at a time")


class DeduplicateImages(ManifestTable):
    """Images with the same bytes and images that look alike; captions of one image are gathered."""

    default_step: ClassVar[Step | None] = "deduplicate"

    enabled: bool = True
    distance: int = Field(10, ge=0, le=16, description="bits of 64 in which perceptual hashes of candidates may differ")
    accept: float = Field(0.9, gt=0, le=1, description="similarity of thumbnails from which on a candidate is a duplicate")
    same_caption: int | None = Field(100, ge=1, description="different images that may carry one and the same caption")


class ImageShards(Shards):
    """Shards of image-text pairs."""

    size: Size = Field(400_000_000, description="bytes of images per shard")
    row_group: Size = Field(32_000_000, description="bytes of images per row group")
    shorter_side: int | None = Field(
        None, ge=16, le=16384, description="pixels: larger images are resized, once; default: as they are"
    )
    format: Literal["keep", "jpeg", "webp", "png"] = Field("keep", description="re-encode all images")
    quality: int = Field(90, ge=1, le=100, description="of JPEG and WebP, where an image is encoded anew")


class ImageTextManifest(Manifest):
    """A corpus of images with captions."""

    modality: ClassVar[str] = "image_text"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "caption", "image")
    images: Images = Images()
    deduplicate: DeduplicateImages = DeduplicateImages()
    shards: ImageShards = ImageShards()

    @classmethod
    def measures_by_default(cls, name: str) -> bool:
        # Most measures of documents say nothing about a line of text.
        return name in ("chars", "japanese_share") or MEASURES[name].kind in ("caption", "image")

    def check(self, where: str) -> None:
        model = self.images.model
        if model is None and "clip_similarity" in self.rules:
            raise UsageError(
                f"{where}: rules.clip_similarity needs a model: name the folder of a CLIP-type checkpoint, images.model. "
                "(The scores that a source brings along are caption_similarity.)"
            )
        if model is not None and not (Path(model) / "config.json").is_file():
            raise UsageError(f"{where}: images.model = {model!r}: there is no checkpoint (config.json) in that folder")
        if model is not None:
            require_modules(["torch", "transformers"], f"{where}: images.model", "clip")
