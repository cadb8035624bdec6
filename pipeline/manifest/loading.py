"""Manifests: one TOML file per corpus, typed and validated before any work is done."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from filters import MEASURES
from filters.registry import Kind
from filters.transcript.readings import Dictionary
from filters.transcript.spoken import Treatment
from pipeline.core.errors import UsageError
from pipeline.core.settings import Size, Table
from pipeline.sources import SOURCES
from tokenizer.settings import Tokenise

# Keys of `source` that some formats have, with what they are for.
_OPTIONS = {
    "images": "--images is for lists of images",
    "audio": "--audio is for lists of recordings",
    "transcripts": "source.transcripts is for recordings",
}
# Measured only where a rule or `measure.also` asks for them: they cost a tenth of the measure step and no shipped preset uses them.
ON_REQUEST = tuple(f"duplicate_{n}gram_share" for n in (6, 7, 8, 9))


class Source(Table):
    """Where the raw material is and how it is read."""

    format: str = Field(description="wire format: a key of pipeline.sources.SOURCES", json_schema_extra={"enum": [*SOURCES]})
    url: str | None = Field(None, description="what --download fetches")
    sample: str | None = Field(None, description="embedded sample under manifests/samples/, built where there is no raw corpus")
    partition: Size = Field(32_000_000, description="raw bytes per task")
    max_document: Size = Field(
        64_000_000, description="a longer document (or image) is not read; the ledger has it as unreadable"
    )
    images: str | None = Field(None, description="folder of the images that a list names by URL or path; what --images sets")
    audio: str | None = Field(None, description="folder of the recordings that a list names by path; what --audio sets")
    transcripts: str | None = Field(
        None,
        description="which lists of transcripts are read: names in the input folder or paths, as a glob such as train.tsv or v2-tsv/*.tsv",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description='what a table calls its columns, where Seimai does not know the names: caption = "alt_ja"',
    )

    @field_validator("columns")
    @classmethod
    def _standard(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        wire = SOURCES.get(info.data.get("format", ""))
        if wire is None or not value:  # of the format there is a message already
            return value
        if not wire.columns:
            raise ValueError(f"source.format = {info.data['format']!r} has no columns to be named")
        for name in value:
            if name not in wire.columns:
                raise ValueError(
                    f"{name}: Seimai has no such column{near(name, wire.columns)} Known: {', '.join(wire.columns)}"
                )
        return value

    @property
    def options(self) -> dict[str, str]:
        """What the source's `inputs` is told."""
        return {key: value for key in _OPTIONS if (value := getattr(self, key)) is not None}

    @property
    def content(self) -> str | None:
        """The folder of the images or recordings that a list names."""
        return self.images or self.audio

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SOURCES:
            raise ValueError(f"there is no such wire format{near(value, SOURCES)} Known: {', '.join(SOURCES)}")
        return value


class Clean(Table):
    """How text is normalised."""

    compatibility: Literal["keep", "expand"] = Field("keep", description="① ㍻ ㈱ ²: keep, or expand as NFKC does")


class CleanText(Clean):
    """How documents are cleaned."""

    boilerplate: bool = Field(True, description="drop short lines that hold a phrase of the list boilerplate")
    boilerplate_line_chars: int = Field(60, ge=1, description="longest line, in characters, taken for boilerplate")


class CleanTranscript(Clean):
    """How transcripts are put as they are spoken."""

    tags: Treatment = Field("remove", description="（笑） [拍手] ♪ ≫: kept, removed, or marked as [笑]")
    speakers: Literal["keep", "remove"] = Field("remove", description="「田中：」 before what is said")
    fillers: Treatment = Field("keep", description="えー あのー: kept, removed, or marked as (F えー)")


class Measure(Table):
    """What is measured beside what the rules need."""

    also: list[str] = Field(default_factory=list)


class Bound(Table):
    """The bounds of one rule. A document is dropped where its value is out of them."""

    at_least: float | None = None
    at_most: float | None = None
    any_of: list[str] | None = None
    none_of: list[str] | None = None
    iqr: float | None = Field(
        None,
        gt=0,
        description="bounds fitted to the corpus: quartiles of the values' logarithms, and so many interquartile ranges beyond",
    )
    by: Literal["corpus", "programme", "speaker"] = Field(
        "corpus", description="what the bounds of iqr are fitted to, each on its own"
    )
    missing: Literal["drop", "keep"] = Field("drop", description="what becomes of a record without a value, as of a score")
    source: str | None = Field(None, description="where the bound comes from")
    reason: str | None = Field(None, description="what it is for")

    @model_validator(mode="after")
    def _some(self) -> Bound:
        if all(x is None for x in (self.at_least, self.at_most, self.any_of, self.none_of, self.iqr)):
            raise ValueError("a rule needs a bound: at_least, at_most, any_of, none_of or iqr")
        if self.any_of == []:
            raise ValueError("any_of = []: nothing could be kept")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least = {self.at_least} is above at_most = {self.at_most}: nothing could be kept")
        return self


class Deduplicate(Table):
    """Exact and near duplicates."""

    enabled: bool = True
    threshold: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of character shingles")
    margin: float = Field(
        0.02,
        ge=0,
        le=0.2,
        description="accepted below the threshold, for the error of estimates: their deviation at 0.8 is 0.018",
    )
    permutations: int = Field(112, ge=16, le=1024)
    shingle: int = Field(5, ge=2, le=32, description="characters")
    seed: int = Field(1, ge=0)
    bands: int | None = Field(None, ge=1, description="default: what datasketch finds best for the threshold")
    rows: int | None = Field(None, ge=1)

    @property
    def accept(self) -> float:
        """The estimated similarity from which on a candidate is a duplicate."""
        return self.threshold - self.margin

    @model_validator(mode="after")
    def _fits(self) -> Deduplicate:
        if self.margin >= self.threshold:
            raise ValueError(f"margin = {self.margin} is not below threshold = {self.threshold}")
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows go together")
        if self.bands and self.rows and self.bands * self.rows > self.permutations:
            raise ValueError(f"bands x rows = {self.bands * self.rows} is more than permutations = {self.permutations}")
        return self


class Images(Table):
    """How images are read."""

    max_pixels: int = Field(100_000_000, ge=1, description="a larger image is not decoded; the ledger has it as unreadable")
    model: str | None = Field(
        None, description="folder of a CLIP-type checkpoint (transformers) for the measure clip_similarity"
    )
    batch: int = Field(64, ge=1, description="pairs that the model scores at a time")


class DeduplicateImages(Table):
    """Images with the same bytes and images that look alike; captions of one image are gathered."""

    enabled: bool = True
    distance: int = Field(10, ge=0, le=16, description="bits of 64 in which perceptual hashes of candidates may differ")
    accept: float = Field(0.9, gt=0, le=1, description="similarity of thumbnails from which on a candidate is a duplicate")
    same_caption: int | None = Field(100, ge=1, description="different images that may carry one and the same caption")


class Recordings(Table):
    """How recordings are read."""

    rate: int = Field(16_000, ge=4_000, le=48_000, description="samples per second that recordings are brought to, mono")
    longest: float = Field(
        14_400, gt=0, description="seconds; a longer recording is not decoded, the ledger has it as unreadable"
    )
    cut: float | None = Field(
        None,
        gt=1,
        description="seconds: longer recordings are cut at silences into shard rows of at most so many, without their transcript",
    )


class Transcripts(Table):
    """How transcripts are read aloud."""

    dictionary: Dictionary = Field("unidic", description="of readings: unidic (fugashi) or sudachi")


class DeduplicateSpeech(Table):
    """Recordings with the same samples and recordings that sound alike; and sentences that a speaker reads again."""

    enabled: bool = True
    distance: int = Field(10, ge=0, le=16, description="bits of 64 in which acoustic hashes of candidates may differ")
    accept: float = Field(0.9, gt=0, le=1, description="similarity of spectra from which on a candidate is a duplicate")
    same_sentence: int | None = Field(
        1, ge=1, description="recordings of one sentence by one speaker, where speakers are known"
    )
    similar_transcripts: int | None = Field(
        None, ge=1, description="recordings with nearly the same transcript, by whomever; found as near duplicates of text are"
    )
    transcripts: Deduplicate = Field(Deduplicate(), description="what nearly the same is, as for text")


class Shards(Table):
    """The Parquet files that trainers read."""

    size: Size = Field(128_000_000, description="bytes of text per shard, before compression")
    validation: float = Field(0.01, ge=0, lt=1, description="share of clusters held out")
    compression_level: int = Field(3, ge=1, le=22, description="zstd")


class TextShards(Shards):
    """Shards of documents."""

    row_group: int = Field(1024, ge=1, description="documents per row group")


class ImageShards(Shards):
    """Shards of image-text pairs."""

    size: Size = Field(400_000_000, description="bytes of images per shard")
    row_group: Size = Field(32_000_000, description="bytes of images per row group")
    shorter_side: int | None = Field(
        None, ge=16, le=16384, description="pixels: larger images are resized, once; default: as they are"
    )
    format: Literal["keep", "jpeg", "webp", "png"] = Field("keep", description="re-encode all images")
    quality: int = Field(90, ge=1, le=100, description="of JPEG and WebP, where an image is encoded anew")


class SpeechShards(Shards):
    """Shards of recordings."""

    size: Size = Field(128_000_000, description="bytes of audio per shard")
    row_group: Size = Field(32_000_000, description="bytes of audio per row group")


class Manifest(Table):
    """A corpus. What a manifest can say beyond this depends on the modality of its source."""

    modality: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]  # of measures that its rules may name

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = Field(min_length=1)
    description: str = ""
    license: str
    homepage: str | None = None
    source: Source
    clean: Clean = Clean()
    measure: Measure = Measure()
    rules: dict[str, Bound] = Field(default_factory=dict)
    deduplicate: Any
    shards: Any
    tokenizer: Tokenise | None = Field(
        None, description="step 5: train a tokenizer on what was kept; of documents, make token shards"
    )

    @property
    def measures(self) -> list[str]:
        """Names of the measures that a build of this manifest computes, in registry order."""
        wanted = set(self.rules) | set(self.measure.also)
        return [name for name in MEASURES if name in wanted or self._by_default(name)]

    def _by_default(self, name: str) -> bool:
        raise NotImplementedError

    @property
    def measured_by(self) -> list[Any]:
        """Settings beyond source, clean and measures that the measure step depends on."""
        raise NotImplementedError


class TextManifest(Manifest):
    """A corpus of documents."""

    modality: ClassVar[str] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "document")
    clean: CleanText = CleanText()
    deduplicate: Deduplicate = Deduplicate()
    shards: TextShards = TextShards()

    def _by_default(self, name: str) -> bool:
        return MEASURES[name].kind in self.kinds and name not in ON_REQUEST

    @property
    def measured_by(self) -> list[Any]:
        d = self.deduplicate
        return [d.permutations, d.shingle, d.seed]


class ImageTextManifest(Manifest):
    """A corpus of images with captions."""

    modality: ClassVar[str] = "image-text"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "caption", "image")
    images: Images = Images()
    deduplicate: DeduplicateImages = DeduplicateImages()
    shards: ImageShards = ImageShards()

    def _by_default(self, name: str) -> bool:
        # Most measures of documents say nothing about a line of text.
        return name in ("chars", "japanese_share") or MEASURES[name].kind in ("caption", "image")

    @property
    def measured_by(self) -> list[Any]:
        return [self.images.max_pixels, self.images.model]


class SpeechManifest(Manifest):
    """A corpus of recordings, with or without transcripts."""

    modality: ClassVar[str] = "speech"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "transcript", "audio")
    clean: CleanTranscript = CleanTranscript()
    recordings: Recordings = Recordings()
    transcripts: Transcripts = Transcripts()
    deduplicate: DeduplicateSpeech = DeduplicateSpeech()
    shards: SpeechShards = SpeechShards()

    def _by_default(self, name: str) -> bool:
        return name in ("chars", "japanese_share") or MEASURES[name].kind in ("transcript", "audio")

    @property
    def measured_by(self) -> list[Any]:
        d = self.deduplicate
        near = [d.transcripts.permutations, d.transcripts.shingle, d.transcripts.seed]
        return [
            self.recordings.rate, self.recordings.longest, self.transcripts.dictionary,
            near if d.similar_transcripts is not None else None,
        ]  # fmt: skip


MANIFESTS: dict[str, type[Manifest]] = {m.modality: m for m in (TextManifest, ImageTextManifest, SpeechManifest)}


def _kind_of(table: dict[str, Any]) -> type[Manifest]:
    """The class of manifest that the source's format asks for; where it is amiss, one that will say so."""
    source = table.get("source")
    wire = SOURCES.get(str(source.get("format"))) if isinstance(source, dict) else None
    return MANIFESTS[wire.modality if wire else "text"]


def folder() -> Traversable:
    """The folder of the manifests that ship with Seimai."""
    return files("manifests")


def available(kind: str = "") -> list[str]:
    """Names of the shipped manifests (or, with kind="presets", presets)."""
    root = folder() / kind if kind else folder()
    return sorted(entry.name.removesuffix(".toml") for entry in root.iterdir() if entry.name.endswith(".toml"))


def near(word: str, known: Iterable[str]) -> str:
    """'; did you mean …?' for the nearest known word, or a full stop."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else "."


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from None


def _read(reference: str) -> tuple[dict[str, Any], str]:
    path = Path(reference)
    if path.suffix == ".toml" or "/" in reference:
        if not path.is_file():
            raise UsageError(f"{reference}: there is no such manifest file")
        try:
            return _parse(path.read_text("utf-8"), reference), reference
        except UnicodeDecodeError:
            raise UsageError(f"{reference}: a manifest is a TOML file in UTF-8; this is not text") from None
    known = available()
    if reference not in known:
        raise UsageError(
            f"there is no manifest {reference!r}{near(reference, known)} Known: {', '.join(known)}. A path to a TOML file works too."
        )
    return _parse(
        (folder() / f"{reference}.toml").read_text("utf-8"), f"manifests/{reference}.toml"
    ), f"manifests/{reference}.toml"


def _preset(name: str) -> dict[str, Any]:
    return _parse((folder() / "presets" / f"{name}.toml").read_text("utf-8"), f"manifests/presets/{name}.toml")


def presets(kind: type[Manifest]) -> list[str]:
    """Names of the shipped presets whose measures are all measures of such records."""
    return [name for name in available("presets") if all(MEASURES[rule].kind in kind.kinds for rule in _preset(name))]


def _with_preset(table: dict[str, Any], where: str, kind: type[Manifest]) -> dict[str, Any]:
    rules = table.get("rules", {})
    if not isinstance(rules, dict):
        raise UsageError(f"{where}: rules = {rules!r}: expected a table, with a preset or a bound for each rule")
    rules = dict(rules)
    preset, skip = rules.pop("preset", None), rules.pop("skip", [])
    if not isinstance(skip, list) or not all(isinstance(name, str) for name in skip):
        raise UsageError(f"{where}: rules.skip = {skip!r}: expected a list of rules")
    base: dict[str, Any] = {}
    if preset is not None:
        known = presets(kind)
        if preset not in known:
            other = preset in available("presets")
            what = (
                f"this preset is not for {kind.modality} records."
                if other
                else f"there is no such preset{near(str(preset), known)}"
            )
            raise UsageError(f"{where}: rules.preset = {preset!r}: {what} Known: {', '.join(known)}")
        base = _preset(preset)
    for name in [*rules, *skip]:
        if name not in MEASURES:
            raise UsageError(f"{where}: rules.{name}: there is no measure of that name{near(name, MEASURES)}")
    for name in skip:
        base.pop(name, None)
    merged = {name: dict(bound) for name, bound in base.items()}
    for name, bound in rules.items():
        if not isinstance(bound, dict):
            raise UsageError(f"{where}: rules.{name} = {bound!r}: expected bounds, such as {{ at_least = 0.1 }}")
        merged[name] = merged.get(name, {}) | bound
    return table | {"rules": merged}


def _override(table: dict[str, Any], assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"--set {assignment}: expected key=value, such as --set rules.chars.at_least=100")
    try:
        parsed = tomllib.loads(f"x = {value.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    *parents, last = key.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {assignment}: {parent} is not a table")
    table[last] = parsed


def _fields_at(location: tuple[Any, ...], manifest: type[Manifest]) -> list[str]:
    model: Any = manifest
    for part in location:
        if model is manifest and part == "rules":
            model = "rules"
        elif model == "rules":
            model = Bound
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _sentence(error: Any, where: str, manifest: type[Manifest]) -> str:
    location = error["loc"]
    key = ".".join(str(x) for x in location)
    if error["type"] == "extra_forbidden":
        known = _fields_at(location[:-1], manifest)
        return f"{where}: {key}: there is no such key{near(str(location[-1]), known)} Known here: {', '.join(known)}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    found = "" if isinstance(error["input"], dict) else f", found {error['input']!r}"
    return f"{where}: {key}: {message}{found}"


def load(reference: str, overrides: Iterable[str] = ()) -> Manifest:
    """The manifest named or pointed to by `reference`, with `key=value` overrides.

    Raises UsageError, naming file, key, what was found and what was expected.
    """
    table, where = _read(reference)
    table.pop("lock", None)  # a manifest.lock.toml is a manifest: what it records of a build is no part of it
    for assignment in overrides:
        _override(table, assignment)
    kind = _kind_of(table)
    try:
        manifest = kind.model_validate(_with_preset(table, where, kind))
    except ValidationError as error:
        raise UsageError("\n".join(_sentence(e, where, kind) for e in error.errors())) from None
    for name in manifest.measure.also:
        if name not in MEASURES:
            raise UsageError(f"{where}: measure.also: there is no measure {name!r}{near(name, MEASURES)}")
    for name in [*manifest.measure.also, *manifest.rules]:
        if MEASURES[name].kind not in manifest.kinds:
            raise UsageError(
                f"{where}: {name} is a measure of {MEASURES[name].kind}s; the records of "
                f"source.format = {manifest.source.format!r} are {manifest.modality}"
            )
    if isinstance(manifest, ImageTextManifest):
        _check_model(manifest, where)
    for key in manifest.source.options:
        if key not in SOURCES[manifest.source.format].options:
            raise UsageError(f"{where}: {_OPTIONS[key]}; source.format = {manifest.source.format!r} has none")
    for name, bound in manifest.rules.items():
        numeric = bound.at_least is not None or bound.at_most is not None or bound.iqr is not None
        worded = bound.any_of is not None or bound.none_of is not None
        if bound.by != "corpus" and (bound.iqr is None or not isinstance(manifest, SpeechManifest)):
            raise UsageError(
                f"{where}: rules.{name}.by = {bound.by!r} is for iqr, and for recordings, which have programmes and speakers"
            )
        if numeric == MEASURES[name].words or worded != MEASURES[name].words:
            want = "any_of or none_of" if MEASURES[name].words else "at_least, at_most or iqr"
            raise UsageError(f"{where}: rules.{name}: this measure takes {want}")
    return manifest


def _check_model(manifest: ImageTextManifest, where: str) -> None:
    model = manifest.images.model
    if model is None and "clip_similarity" in manifest.rules:
        raise UsageError(
            f"{where}: rules.clip_similarity needs a model: name the folder of a CLIP-type checkpoint, images.model. "
            "(The scores that a source brings along are caption_similarity.)"
        )
    if model is not None and not (Path(model) / "config.json").is_file():
        raise UsageError(f"{where}: images.model = {model!r}: there is no checkpoint (config.json) in that folder")


def schema() -> dict[str, Any]:
    """JSON Schema of a manifest file, for editors (`manifests/schema.json`)."""
    bound = {"$ref": "#/$defs/Bound"}
    definitions: dict[str, Any] = {}
    kinds = []
    for manifest in MANIFESTS.values():
        one = manifest.model_json_schema()
        definitions |= one.pop("$defs")
        formats = [name for name, wire in SOURCES.items() if wire.modality == manifest.modality]
        # By its format an editor tells which kind of manifest it has before it.
        source = {"allOf": [{"$ref": "#/$defs/Source"}, {"properties": {"format": {"enum": formats}}}]}
        measures = {name: m for name, m in MEASURES.items() if m.kind in manifest.kinds}
        rules = {
            "type": "object",
            "properties": {
                "preset": {"type": "string", "enum": presets(manifest)},
                "skip": {"type": "array", "items": {"enum": [*measures]}},
            }
            | {name: bound | {"description": m.description} for name, m in measures.items()},
            "additionalProperties": False,
        }
        one["properties"] |= {"source": source, "rules": rules}
        kinds.append(one)
    return {"title": "Manifest", "anyOf": kinds, "$defs": definitions}


if __name__ == "__main__":
    print(json.dumps(schema(), ensure_ascii=False, indent=1))
