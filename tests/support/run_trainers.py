"""Run trainers as commands, and be interrupted at a step that is known: `python run_trainers.py JSON`, also under torchrun.

A command is {"trainer", "arguments", "signal"?, "at"?, "rank"?, "record"?}: the signal is sent to the process itself as it collates
the batch `at` (counted from 1), on that rank; the ids of every row that is read are appended to `record`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def run(command: dict[str, Any]) -> int:
    trainer = importlib.import_module(f"trainers.{command['trainer']}")
    rank, calls = os.environ.get("RANK", "0"), 0
    collate = getattr(trainer, "collate", None)

    def collating(columns: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if record := command.get("record"):
            with open(f"{record}-{rank}", "a") as file:
                file.writelines(f"{row.tolist()}\n" for row in columns["input_ids"])
        if calls == command.get("at") and rank == str(command.get("rank", 0)):
            os.kill(os.getpid(), getattr(signal, command["signal"]))
        return collate(columns, *arguments)

    if collate:
        trainer.collate = collating
    try:
        trainer.main(command["arguments"], standalone_mode=False)
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        trainer.collate = collate


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    codes = [run(command) for command in json.loads(sys.argv[1])]
    print(f"codes {codes}", flush=True)
