"""What a manifest of recordings with transcripts can say."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from filters import MEASURES
from filters.published.words import SUDACHI_MODULES
from filters.registry import Kind
from filters.transcript.readings import Dictionary
from filters.transcript.spoken import Treatment
from filters.unidic import UNIDIC_MODULES
from pipeline.core.libraries import require_modules
from pipeline.core.settings import Size
from pipeline.dedup.settings import MinHashTable
from pipeline.manifest.model import Clean, Manifest, Shards
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step


class CleanTranscript(Clean):
    """How transcripts are put as they are spoken."""

    tags: Treatment = Field("remove", description="（笑） [拍手] ♪ ≫: kept, removed, or marked as [笑]")
    speakers: Literal["keep", "remove"] = Field("remove", description="「田中：」 before what is said")
    fillers: Treatment = Field("keep", description="えー あのー: kept, removed, or marked as (F えー)")


class Recordings(ManifestTable):
    """How recordings are read."""

    default_step: ClassVar[Step | None] = "measure"

    rate: int = Field(16_000, ge=4_000, le=48_000, description="samples per second that recordings are brought to, mono")
    longest: float = Field(
        14_400, gt=0, description="seconds; a longer recording is not decoded, the ledger has it as unreadable"
    )
    cut: Annotated[float | None, BelongsTo("write")] = Field(
        None,
        gt=1,
        description="seconds: longer recordings are cut at silences into shard rows of at most so many, without their transcript",
    )


class Transcripts(ManifestTable):
    """How transcripts are read aloud."""

    default_step: ClassVar[Step | None] = "measure"

    dictionary: Dictionary = Field("unidic", description="of readings: unidic (fugashi) or sudachi")


class DeduplicateSpeech(ManifestTable):
    """Recordings with the same samples and recordings that sound alike; and sentences that a speaker reads again."""

    default_step: ClassVar[Step | None] = "deduplicate"

    enabled: bool = True
    distance: int = Field(10, ge=0, le=16, description="bits of 64 in which acoustic hashes of candidates may differ")
    accept: float = Field(0.9, gt=0, le=1, description="similarity of spectra from which on a candidate is a duplicate")
    same_sentence: int | None = Field(
        1, ge=1, description="recordings of one sentence by one speaker, where speakers are known"
    )
    similar_transcripts: Annotated[
        int | None, BelongsTo("deduplicate"), BelongsTo("measure", lambda value: value is not None)
    ] = Field(
        None, ge=1, description="recordings with nearly the same transcript, by whomever; found as near duplicates of text are"
    )
    transcripts: MinHashTable = Field(MinHashTable(), description="what nearly the same is, as for text")


class SpeechShards(Shards):
    """Shards of recordings."""

    size: Size = Field(128_000_000, description="bytes of audio per shard")
    row_group: Size = Field(32_000_000, description="bytes of audio per row group")


class SpeechManifest(Manifest):
    """A corpus of recordings, with or without transcripts."""

    modality: ClassVar[str] = "speech"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "transcript", "audio")
    clean: CleanTranscript = CleanTranscript()
    recordings: Recordings = Recordings()
    transcripts: Transcripts = Transcripts()
    deduplicate: DeduplicateSpeech = DeduplicateSpeech()
    shards: SpeechShards = SpeechShards()

    def check(self, where: str) -> None:
        require_modules(["scipy"], f"{where}: the fingerprint of recordings", "speech")
        if self.transcripts.dictionary == "sudachi":
            require_modules(SUDACHI_MODULES, f"{where}: transcripts.dictionary = 'sudachi'", "speech,sudachi")
        else:
            require_modules(UNIDIC_MODULES, f"{where}: readings of transcripts", "speech")

    @classmethod
    def measures_by_default(cls, name: str) -> bool:
        return name in ("chars", "japanese_share") or MEASURES[name].kind in ("transcript", "audio")
