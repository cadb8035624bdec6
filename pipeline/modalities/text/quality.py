"""The model that `quality_score` comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import xxhash
from pydantic import Field

from filters.text.text_model import TextModelError, load_model
from pipeline.core.errors import UsageError
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step


def _digest(path: str | None) -> str | None:
    """Return the digest of a model's file: a model that changes is a change of the manifest."""
    return xxhash.xxh3_128_hexdigest(Path(path).read_bytes()) if path and Path(path).is_file() else path


class QualityTable(ManifestTable):
    """The model that `quality_score` comes from."""

    default_step: ClassVar[Step | None] = "measure"

    model: Annotated[str | None, BelongsTo("measure", _digest)] = Field(
        None, description="file that python -m filters.train_quality wrote (default: the model that ships with Seimai)"
    )

    def check(self, where: str) -> None:
        """Raise UsageError for a file that is no model, or of another version."""
        if self.model is not None:
            try:
                load_model(self.model)
            except TextModelError as error:
                raise UsageError(f"{where}: quality.model: {error}") from None
