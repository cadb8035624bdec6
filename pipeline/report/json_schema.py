"""`python -m pipeline.report.json_schema`: the JSON Schema of `report.json`."""

from __future__ import annotations

import json

from pipeline.core.pipes import outlive_readers
from pipeline.report.model import Report


def make_schema() -> str:
    """Return the schema as text."""
    return json.dumps(Report.model_json_schema(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    outlive_readers()
    print(make_schema(), end="")
