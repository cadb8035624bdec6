"""The files of a report, which are published with the corpus: `report.json`, `report.html` and `croissant.json`."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.checksums import REPORT_FILES
from pipeline.core.names import escape_unprintable
from pipeline.core.storage import read_json, to_json, write_atomically
from pipeline.report.croissant import describe_dataset
from pipeline.report.facts import BuildFacts
from pipeline.report.gather import GatheredReport, add_tokens
from pipeline.report.model import Report
from pipeline.report.page import read_pictures, render_page

_JSON, _PAGE, _CROISSANT = REPORT_FILES


def write_report(gathered: GatheredReport, facts: BuildFacts, folder: Path, corpus: Path) -> None:
    """Write the report of a build to `folder`, from where it is published; shards and ledger lie in `corpus`."""
    report = gathered.report.model_dump(mode="json")
    contents = {
        _JSON: escape_unprintable(to_json(report, indent=1)) + "\n",
        _PAGE: render_page(report, gathered.pictures),
        _CROISSANT: escape_unprintable(to_json(describe_dataset(gathered.report, facts, corpus), indent=1)) + "\n",
    }
    for name, content in contents.items():
        with write_atomically(folder / name) as temporary:
            temporary.write_text(content, "utf-8")


def read_report(folder: Path, facts: BuildFacts) -> GatheredReport | None:
    """Return the report that was published in `folder`, with the tokenizer and tokens of `facts`; None where there is none of this code."""
    try:
        report = Report.model_validate(read_json(folder / _JSON))
        pictures = read_pictures((folder / _PAGE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return GatheredReport(add_tokens(report, facts), pictures)
