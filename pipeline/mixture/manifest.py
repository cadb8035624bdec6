"""What the manifest of a mixture can say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator, model_validator

from pipeline.core.paths import expand_home
from pipeline.core.settings import Amount
from pipeline.dedup.settings import MinHashTable
from pipeline.manifest.model import Described
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step
from pipeline.modalities.text.manifest import TextShards
from tokenizer.settings import Tokenise, Training

MOST_PRIORITIES = 1000  # of what fits above the quality in a record's priority (`pipeline.dedup.minhash.priorities`)
WEIGHTS_ERROR = 1e-6  # by which a sum of weights may differ from 1


class MixturePart(ManifestTable):
    """A built corpus, and how much of it goes into the mixture."""

    default_step: ClassVar[Step | None] = "select"

    corpus: Annotated[str, BelongsTo("report")] = Field(
        min_length=1, description="a built corpus: its folder, or its name for corpora/<name>"
    )
    priority: Annotated[int | None, BelongsTo("deduplicate")] = Field(
        None,
        description="of a document that several parts have, the part with the highest keeps it; default: the first in the file",
    )
    weight: float | None = Field(
        None, gt=0, le=1, description="share of the mixture, in tokens where a tokenizer is named, else in characters"
    )
    tokens: Amount | None = Field(None, description='budget in tokens, such as 3_000_000_000 or "3 B"')
    chars: Amount | None = Field(None, description="budget in characters")
    epochs: int = Field(
        1, ge=1, le=1000, description="most times that a document is repeated to reach the weight or the budget"
    )

    @property
    def folder(self) -> Path:
        """Where the corpus is: the path that is named, or the folder of that name under corpora/."""
        is_path = "/" in self.corpus or self.corpus.startswith((".", "~"))
        return expand_home(self.corpus) if is_path else Path("corpora") / self.corpus

    @property
    def budget(self) -> int | None:
        return self.tokens or self.chars

    @model_validator(mode="after")
    def _check_target(self) -> MixturePart:
        targets = [name for name in ("weight", "tokens", "chars") if getattr(self, name) is not None]
        if len(targets) > 1:
            raise ValueError(f"{' and '.join(targets)} exclude one another: name one")
        if self.epochs > 1 and not targets:
            raise ValueError(f"epochs = {self.epochs} has nothing to reach: name a weight or a budget (tokens, chars)")
        return self


class MixtureTokenizer(Tokenise):
    """A tokenizer to count and encode with: one that is named, or one that is trained on the parts by their weights."""

    path: str | None = Field(None, description="a trained tokenizer: its folder or .model file; then nothing is trained")

    @model_validator(mode="after")
    def _check_path(self) -> MixtureTokenizer:
        trained = sorted(self.model_fields_set & set(Training.model_fields))
        if self.path is not None and trained:
            raise ValueError(f"path names a tokenizer that is trained already: leave out {', '.join(trained)}")
        return self


class MixtureManifest(Described):
    """A mixture of built corpora of documents."""

    modality: ClassVar[str] = "text"

    mixture: Annotated[list[MixturePart], BelongsTo("report")] = Field(
        min_length=1
    )  # `MixturePlan` asks each for its parameters
    tokens: Annotated[Amount | None, BelongsTo("select")] = Field(
        None, description="size of the whole, where parts have weights"
    )
    chars: Annotated[Amount | None, BelongsTo("select")] = Field(
        None, description="size of the whole, where parts have weights"
    )
    seed: Annotated[int, BelongsTo("select")] = Field(
        1, ge=0, lt=2**63, description="of the choice and of the order of documents"
    )
    deduplicate: MinHashTable = MinHashTable()
    shards: TextShards = TextShards()
    tokenizer: Annotated[MixtureTokenizer | None, BelongsTo("tokenise")] = Field(
        None, description="by which tokens are counted; afterwards the mixture is encoded with it"
    )

    @property
    def unit(self) -> str:
        """What amounts are counted in: "tokens" or "chars"."""
        if any(part.chars for part in self.mixture) or self.chars:
            return "chars"
        return "tokens" if self.tokenizer else "chars"

    @property
    def total(self) -> int | None:
        """The size of the whole, where the manifest names one."""
        return self.tokens or self.chars

    @property
    def priorities(self) -> list[int]:
        """The priority of every part, the highest first to keep a document."""
        return [len(self.mixture) - i if part.priority is None else part.priority for i, part in enumerate(self.mixture)]

    @field_validator("mixture")
    @classmethod
    def _check_parts(cls, parts: list[MixturePart]) -> list[MixturePart]:
        weights = {part.corpus: part.weight for part in parts if part.weight is not None}
        if weights and len(weights) < len(parts):
            without = [part.corpus for part in parts if part.weight is None]
            if any(part.budget for part in parts):
                raise ValueError(f"weights and budgets are mixed: {_list(weights)} have a weight, {_list(without)} not")
            raise ValueError(f"all parts have a weight, or none: {_list(without)} has none")
        total = sum(weights.values())
        if weights and abs(total - 1) > WEIGHTS_ERROR:
            terms = " + ".join(f"{weight:g}" for weight in weights.values())
            raise ValueError(f"weights add up to {terms} = {total:g}, expected 1")
        if len({part.priority is None for part in parts}) > 1:
            without = [part.corpus for part in parts if part.priority is None]
            raise ValueError(f"all parts have a priority, or none: {_list(without)} has none")
        if (
            len({part.priority for part in parts}) > MOST_PRIORITIES
            or parts[0].priority is None
            and len(parts) > MOST_PRIORITIES
        ):
            raise ValueError(f"there are at most {MOST_PRIORITIES} different priorities: give some parts the same")
        units = {name for part in parts for name in ("tokens", "chars") if getattr(part, name) is not None}
        if len(units) > 1:
            raise ValueError("some budgets are in tokens, some in chars: name all in one unit")
        for number, part in enumerate(parts):
            if any(part.folder == other.folder for other in parts[:number]):
                raise ValueError(f"{part.corpus} is a part twice: name it once (and let it be repeated with epochs)")
        return parts

    @model_validator(mode="after")
    def _check_amounts(self) -> MixtureManifest:
        if self.tokens and self.chars:
            raise ValueError("tokens and chars exclude one another: name one")
        if self.total and self.mixture[0].weight is None:
            key = "tokens" if self.tokens else "chars"
            raise ValueError(f"{key} = {self.total} is the size of the whole, for parts with weights; these have none")
        if self.tokenizer is None and (self.tokens or any(part.tokens for part in self.mixture)):
            raise ValueError(
                'tokens are counted by a tokenizer: add a table [tokenizer], with path = "…" or with what is to be trained, '
                "or name the budgets in chars"
            )
        return self


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
