"""The manifest's table of near duplicates of text, which documents and transcripts share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from pipeline.manifest.steps import BelongsTo, ManifestTable, Step


class MinHashTable(ManifestTable):
    """Exact and near duplicates of text."""

    default_step: ClassVar[Step | None] = "deduplicate"

    enabled: bool = True
    threshold: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of character shingles")
    margin: float = Field(
        0.02,
        ge=0,
        le=0.2,
        description="accepted below the threshold, for the error of estimates: their deviation at 0.8 is 0.018",
    )
    permutations: Annotated[int, BelongsTo("measure")] = Field(112, ge=16, le=1024)
    shingle: Annotated[int, BelongsTo("measure")] = Field(5, ge=2, le=32, description="characters")
    seed: Annotated[int, BelongsTo("measure")] = Field(1, ge=0)
    bands: int | None = Field(None, ge=1, description="default: the best for the threshold, as datasketch finds it")
    rows: int | None = Field(None, ge=1)

    @property
    def accept(self) -> float:
        """The estimated similarity from which on a candidate is a duplicate."""
        return self.threshold - self.margin

    @property
    def compares_content(self) -> bool:
        """Whether similar texts of one frame around other facts are told apart by reading them."""
        return False

    @model_validator(mode="after")
    def _check_sizes(self) -> MinHashTable:
        if self.margin >= self.threshold:
            raise ValueError(f"margin = {self.margin} is not below threshold = {self.threshold}")
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows go together")
        if self.bands and self.rows and self.bands * self.rows > self.permutations:
            raise ValueError(f"bands x rows = {self.bands * self.rows} is more than permutations = {self.permutations}")
        return self
