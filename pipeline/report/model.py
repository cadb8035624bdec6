"""What `report.json` holds: every number of the report, typed and described. `docs/report.schema.json` is made from here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["kept", "dropped", "duplicate", "unreadable"]
Scale = Literal["linear", "log"]


class Table(BaseModel):
    """An object of the report. What is missing from it has its default."""

    model_config = ConfigDict(extra="forbid")


class Words(Table):
    """A term in both languages."""

    en: str
    ja: str


class Corpus(Table):
    """What was built, by the manifest."""

    name: str
    title: str
    description: str
    license: str
    homepage: str | None = None
    modality: Literal["text", "image_text", "speech"]
    is_sample: bool = Field(description="built from the sample that Seimai carries, not from the corpus itself")
    limit: int | None = Field(None, description="first records that were read, where the build was limited")
    records: Words = Field(description="what records are called")
    amount: Words = Field(description="what amounts count")
    unit: Literal["characters", "bytes", "seconds"] = Field(description="of every `amount` in the report")
    near_duplicate: str = Field(description="how alike near duplicates are, in words")


class Totals(Table):
    """Records by verdict. `records` is the sum of the other four."""

    records: int
    kept: int
    dropped: int
    duplicate: int
    unreadable: int
    polishing_ratio: float = Field(description="share of the raw material that is left (精米歩合)")
    polishing_unit: Words = Field(description="what the ratio is a share of")


class State(Table):
    """What was left after a step of the build; `step` is `raw` before the first."""

    step: Literal["raw", "read, clean", "decide", "deduplicate", "strip", "write"]
    records: int
    amount: float


class Split(Table):
    """What is in a split."""

    name: str
    records: int
    amount: float


class Passage(Table):
    """What counts for a rule in the text of an example, with what stands before and after it, where it does so first."""

    text: str
    count: int = Field(description="how often the text has it")
    what: str = Field("", description="`ambiguous`: a phrase that means other things as well; or a language")
    before: str = ""
    after: str = ""


class Record(Table):
    """A row of the ledger, as an example. Text is cut, and shows U+FFFD for what would turn or end a line."""

    id: str
    source: str
    verdict: Verdict
    rule: str | None = None
    value: float | None = None
    value_text: str | None = None
    bound: float | None = Field(None, description="limit that the value broke")
    bound_text: str | None = None
    cluster_size: int | None = None
    measured: float | None = Field(None, description="of a kept record: its value of the measure that it is an example for")
    url: str | None = None
    excerpt: str | None = None
    evidence: list[Passage] = Field(
        [], description="near a bound: what counts for the rule in the first 4,000 characters, what amounts to most first"
    )


class Examples(Table):
    """Records that show what a rule does. `near` and `far` are by the distance between value and bound, `random` by a seed."""

    near: list[Record] = []
    far: list[Record] = []
    random: list[Record] = []
    kept_near: list[Record] = Field([], description="kept, with a value next to the bound")


class Reason(Table):
    """Why records were not kept: a step and its rule."""

    step: str
    rule: str
    verdict: Verdict
    records: int
    amount: float | None = Field(None, description="null where the ledger has no amounts: bytes of images")
    bound: str = Field("", description="in words, as the manifest has it")
    description: str = ""
    source: str | None = Field(None, description="where the bound comes from")
    reason: str | None = Field(None, description="what it is for")
    examples: Examples = Examples()


class Bound(Table):
    """A limit of a measure. Values below `at_least`, or above `at_most`, break it."""

    kind: Literal["at_least", "at_most"]
    value: float


class Bins(Table):
    """Records by value and verdict. Bin i holds edges[i] <= value < edges[i + 1]; the first and the last are open to their side.

    `zeros` are records whose value is 0, where these are more than half: they are in no bin then.
    """

    scale: Scale
    edges: list[float]
    kept: list[int]
    duplicate: list[int]
    dropped: list[int]
    zeros: list[int] | None = Field(None, description="kept, duplicate, dropped")


class WordCount(Table):
    """Records with a word as value, by verdict. `value` is null where there is none."""

    value: str | None
    kept: int
    duplicate: int
    dropped: int


class OtherWords(Table):
    """How many words are not named, and the records with one of them, by verdict."""

    count: int
    kept: int
    duplicate: int
    dropped: int


class Measure(Table):
    """The values of a measure over all readable records."""

    name: str
    description: str
    records: int = Field(description="with a value")
    missing: int
    infinite: int = 0
    bounds: list[Bound] = []
    allowed: list[str] | None = Field(None, description="any_of")
    refused: list[str] | None = Field(None, description="none_of")
    fitted: str | None = Field(None, description="bounds are fitted to the corpus, a programme or a speaker")
    inside: int | None = Field(None, description="records that keep the bound, whatever other rules say")
    outside: int | None = Field(None, description="records that break it")
    dropped: int = Field(0, description="records dropped by this rule: the first that they break")
    quantiles: dict[str, float] = Field(
        {}, description="values at shares 0 to 1 of the ascending finite values, not interpolated"
    )
    bins: Bins | None = None
    words: list[WordCount] = []
    other_words: int = Field(0, description="records with other words")
    others: OtherWords | None = Field(None, description="the other words by verdict, where there are more than are named")


class Removed(Table):
    """Lines that were taken out of records."""

    kind: Words
    lines: int
    chars: int
    samples: list[tuple[str, int]] = Field(
        description="the most frequent, and how often each was removed, as far as tasks knew"
    )


class ClusterSize(Table):
    """Clusters with so many records."""

    least: int
    most: int | None
    clusters: int
    records: int


class Pair(Table):
    """A duplicate, and the survivor of its cluster."""

    duplicate: Record
    survivor: Record | None
    similarity: float | None
    difference: list[tuple[Literal["same", "removed", "added", "gap"], str]] = Field(
        [], description="from the survivor's text to the duplicate's; `gap` stands for equal text that is left out"
    )


class Duplicates(Table):
    """Clusters of duplicates, by their survivors."""

    exact: int
    near: int
    clusters: int = Field(description="with two records at least, of which one was kept in the end")
    sizes: list[ClusterSize] = []
    largest: list[Record] = []
    similarity: Bins | None = Field(None, description="of near duplicates to their survivors")
    accept: float | None = Field(None, description="similarity from which on records are duplicates")
    pairs: list[Pair] = []


class Losses(Table):
    """What the records of a source, or of a domain, became."""

    name: str
    records: int
    unreadable: int
    decide: int = Field(description="dropped by rules")
    deduplicate: int = Field(description="duplicates, and what caps dropped")
    strip: int = Field(description="dropped for what was left without lines that recur")
    kept: int
    kept_amount: float | None = None
    most_at: str | None = Field(None, description="step that took more than half of what entered it, where 20 records did")


class Grouping(Table):
    """Losses by source or domain: those with most records, and all others as one."""

    count: int
    shown: list[Losses]
    others: Losses | None = None


class License(Table):
    """Records in the shards under a licence; null sums up those that are not named."""

    name: str | None
    records: int
    amount: float


class Input(Table):
    """A file that was read."""

    name: str
    size: int | None = None
    bytes: int | None = None
    sha256: str | None = None


class Effort(Table):
    """What the build took. A resumed build counts its last run."""

    seconds: float
    steps: dict[str, float] = Field(description="seconds by step; without those that were done before")
    peak_memory: int = Field(description="bytes, of driver and workers together")
    content_bytes: int = Field(description="of input, uncompressed")


class Report(Table):
    """The report of a build."""

    version: Literal[1] = 1
    corpus: Corpus
    totals: Totals
    funnel: list[State]
    splits: list[Split]
    reasons: list[Reason]
    kept: list[Record] = Field(description="kept records, by a seed")
    measures: list[Measure]
    removed: list[Removed]
    duplicates: Duplicates
    sources: Grouping
    domains: Grouping | None = None
    licenses: list[License]
    tokenizer: dict[str, Any] | None = Field(
        None, description="settings, sample and figures, as tokenizer/training.json has them"
    )
    tokens: dict[str, Any] | None = Field(None, description="counts, as tokens/tokens.json has them")
    inputs: list[Input]
    warnings: list[str]
    effort: Effort
    versions: dict[str, str]
