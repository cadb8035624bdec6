"""Rules alone: whether they would keep a text, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import polars as pl
from rich.cells import cell_len, set_cell_size

from filters.kernels import to_arrow
from pipeline.core.checksums import LOCK_FILE
from pipeline.core.names import make_printable
from pipeline.core.numbers import show_number
from pipeline.core.python_names import call_from_python
from pipeline.corpus.evidence import MeasuredText, check_measures, find_evidence
from pipeline.explain.judgement import BASE, check_text_rules, judge_rules, measure_texts
from pipeline.manifest import rules as named_rules
from pipeline.manifest.loading import load
from pipeline.manifest.model import Bound, is_of_corpus
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import CleanedDocuments
from pipeline.steps.decide import decide_records
from seimai.arguments import AnyPath, read_path, read_settings
from seimai.corpus import Corpus
from seimai.measures import clean_rows
from seimai.texts import TEXT

_EVIDENCE_SCHEMA = {"text": pl.String, "start": pl.Int64, "end": pl.Int64, "amount": pl.Float64, "what": pl.String}


@dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """What rules say of one text.

    `verdict`: kept, dropped or unreadable; `rule`: the first rule that is broken, None where none is. `text`: what is left of the text
    once it is clean, which is what was measured. `rules`: a row for each rule in their order, with `value` (a number) or `value_text`,
    `bound`, `broken`, and what it measures and is for (`description`, `reason`). `not_judged`: rules on what is known of a text only in
    its corpus.

    >>> Rules("ja-web").explain("今だけ送料無料でポイント還元、今すぐ登録！").evidence()["text"].to_list()
    ['今だけ', '送料無料', 'ポイント還元', '今すぐ登録']
    """

    verdict: str
    rule: str | None
    text: str | None
    rules: pl.DataFrame
    not_judged: tuple[str, ...] = ()
    _manifest: TextManifest | None = None
    _raw: str | None = None

    @call_from_python()
    def evidence(self, measure: str | None = None) -> pl.DataFrame:
        """Return what in the text counts for a measure, by default for the rule that is broken first: a row for each place.

        Columns: `text`, `start` and `end` in characters of the text that was measured, `amount` (how much of the measure's counter),
        `what` (`ambiguous`: a phrase that means other things as well; a language). No rows where nothing in the text shows it. All of the
        text is read; a million characters of mojibake take 40 s. Raises UsageError for what is no measure.
        """
        names = [name for name in (measure, self.rule) if name is not None][:1]
        if measure is not None:
            check_measures([measure], "measure=")
        shown = (
            find_evidence(self._manifest, names[0], MeasuredText(self._raw, self.text), reads_all=True)
            if names and self._manifest
            else None
        )
        rows = [(shown.text[span.start : span.end], *span) for span in shown.spans] if shown else []
        return pl.DataFrame(rows, _EVIDENCE_SCHEMA, orient="row")

    def __repr__(self) -> str:
        heading = f"{self.verdict} by {self.rule}" if self.rule else self.verdict
        cells = [(row["rule"], _show_value(row), row["bound"]) for row in self.rules.iter_rows(named=True)]
        widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        rows = ["  ".join(map(set_cell_size, row, widths)) for row in cells]
        lines = [f"  {row}{'  broken' * bool(broken)}".rstrip() for row, broken in zip(rows, self.rules["broken"], strict=True)]
        unknown = [f"not judged without a corpus: {', '.join(self.not_judged)}"] if self.not_judged else []
        return "\n".join([heading, *lines, *unknown])


def _show_value(row: Mapping[str, Any]) -> str:
    if row["value"] is not None:
        return show_number(row["value"])
    return make_printable(row["value_text"]) if row["value_text"] is not None else "–"


class Rules:
    """The rules of a preset, of a manifest, or those that a corpus was built by, to be tried on texts.

    `reference`: the name of a preset or manifest of documents, the path of a TOML file of either, or a Corpus or its folder. `set`: keys of
    the manifest and other values for them, as `build` takes them. Raises UsageError, also for rules whose bounds are fitted to a corpus.

    >>> rules = Rules("ja-web")
    >>> rules.apply(["吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。", "Hello"])["rule"].to_list()
    [None, 'language']
    """

    @call_from_python()
    def __init__(self, reference: AnyPath | Corpus, set: Mapping[str, Any] | None = None) -> None:
        overrides = read_settings(set)
        if not isinstance(reference, Corpus):
            reference = read_path("reference", reference)
            if (Path(reference) / LOCK_FILE).is_file():
                reference = Corpus(reference)
        if isinstance(reference, Corpus):
            manifest: Any = load(str(reference.path / LOCK_FILE), overrides, reads_files=False)
        else:
            manifest, _ = named_rules.load_rules(reference, overrides, BASE, TextManifest)
        self.name = str(reference.path if isinstance(reference, Corpus) else reference)
        self.manifest = check_text_rules(manifest, self.name, takes_settings=True)

    def __repr__(self) -> str:
        return f"Rules({self.name!r}, {len(self.manifest.rules)} rules)"

    @property
    def bounds(self) -> dict[str, Bound]:
        """The rules that judge single texts, in their order."""
        return self.manifest.document_rules

    @overload
    def explain(self, texts: str, column: str | None = None) -> Explanation: ...
    @overload
    def explain(self, texts: Any, column: str | None = None) -> list[Explanation]: ...
    @call_from_python()
    def explain(self, texts: Any, column: str | None = None) -> Explanation | list[Explanation]:
        """Say of a text which rules keep it and which drop it: every measure, with its value and bound. Of many, a list.

        `texts` and `column` as for `clean`. A table may have columns beside the text that rules judge, such as url. Raises UsageError.

        >>> explained = Rules("ja-web").explain("今すぐ登録!")
        >>> explained.verdict, explained.rule
        ('dropped', 'chars')
        >>> explained.rules.row(by_predicate=pl.col("rule") == "chars", named=True)["value"]
        6.0
        """
        explanations = [one for measured in self._measure(texts, column) for one in self._explain(*measured)]
        return explanations[0] if isinstance(texts, str) else explanations

    @call_from_python()
    def apply(self, texts: Any, column: str | None = None) -> pl.DataFrame:
        """Judge many texts: a row for each, with `verdict`, the `rule` that is broken first, its value and bound, as the ledger has them.

        `texts` and `column` as for `explain`: `frame.filter(rules.apply(frame)["verdict"] == "kept")`.
        """
        return pl.concat([decide_records(frame, self.bounds) for _, frame in self._measure(texts, column)])

    def _measure(self, texts: Any, column: str | None) -> Iterator[tuple[CleanedDocuments, pl.DataFrame]]:
        """Yield cleaned texts, and the measured table that rules judge, some thousand rows at a time."""
        for documents in clean_rows(texts, self.manifest, column):
            yield documents, measure_texts(self.manifest, documents)

    def _explain(self, documents: CleanedDocuments, frame: pl.DataFrame) -> Iterator[Explanation]:
        cleaned = pl.Series(TEXT, to_arrow(documents.data, documents.offsets))
        not_judged = tuple(filter(is_of_corpus, self.manifest.rules))
        for number, judged in enumerate(judge_rules(self.manifest, frame, self.bounds)):
            text = None if judged.verdict == "unreadable" else cleaned[number]
            raw = documents.read_text(number)
            yield Explanation(judged.verdict, judged.rule, text, judged.rules, not_judged, self.manifest, raw)
