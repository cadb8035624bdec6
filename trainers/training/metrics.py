"""Metrics of a run: `metrics.jsonl`, TensorBoard and the console."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from pipeline.core.names import make_printable
from pipeline.core.storage import to_json

_SHOWN = 120  # characters of a text on the console; metrics.jsonl has all of it
ONLY_IF_ANY = ("skipped", "overflows")  # shown on the console


class MetricsLog:
    """Append lines to `<out>/metrics.jsonl`, with null for what is no finite number.

    Lines after `step`, which a killed run wrote after its last checkpoint, are removed.
    """

    def __init__(self, out: Path, step: int, last_step: int, console: Console) -> None:
        self.path, self.last_step, self.console = out / "metrics.jsonl", last_step, console
        out.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text("utf-8").splitlines() if step and self.path.is_file() else []
        self.path.write_text("".join(f"{line}\n" for line in lines if _step_of(line) <= step), "utf-8")
        self.board = SummaryWriter(out / "tensorboard", purge_step=step + 1)

    def write(self, split: str, line: dict[str, Any]) -> None:
        """Write one line, which has a `step`."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(to_json({"split": split} | line) + "\n")
        numbers = {k: v for k, v in line.items() if isinstance(v, int | float) and k != "step"}
        for name, value in numbers.items():
            if math.isfinite(value):
                self.board.add_scalar(f"{split}/{name}", value, line["step"])
        shown = "  ".join(f"{k} {v:,.4g}" for k, v in numbers.items() if k not in ONLY_IF_ANY or v)
        self.console.print(f"{split:10} step {line['step']:,}/{self.last_step:,}  {shown}", highlight=False, soft_wrap=True)
        for name, text in line.items():
            if isinstance(text, str):  # what the model says at an evaluation
                said = make_printable(" ".join(text.split()))[:_SHOWN]
                self.console.print(f"{'':10} {name}: {said}", highlight=False, markup=False, soft_wrap=True)


def _step_of(line: str) -> float:
    """Return the step of a line, or infinity for a line that a killed process left incomplete."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError):
        return math.inf
