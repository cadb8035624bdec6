"""Measured parts of inputs that are as they were, where another input of the build has changed: they are taken over, not made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.core.storage import fingerprint, link_or_copy, read_json, write_json
from pipeline.plan import Plan
from pipeline.steps.cut import Unit
from pipeline.workspace import unit_record

_UNITS = "units.json"  # in a folder of the step measure: what stands for each unit, in order


def adopt_units(plan: Plan, units: Sequence[Unit]) -> None:
    """Take the finished units over that an earlier build measured in the same way, of the same files at the same place in the order.

    Then write down what a later build may take over. Only call this while holding the lock of the folder for intermediates.
    """
    if plan.limit is not None:
        return
    folder = plan.workspace.folder("measure")
    settings = replace(plan, inputs=()).fingerprints["measure"]  # of all but the inputs
    keys = [fingerprint(settings, unit.first, [[file.name, file.identity] for file in unit.files]) for unit in units]
    for earlier in sorted(plan.work.glob("measure-*")):
        known = read_json(earlier / _UNITS) if earlier != folder else None
        for unit, key, other in zip(units, keys, known if isinstance(known, list) else (), strict=False):
            if key == other and not unit_record(folder, unit.number).exists() and unit_record(earlier, unit.number).is_file():
                _link_unit(earlier, folder, unit.number)
    if read_json(folder / _UNITS) != keys:
        write_json(folder / _UNITS, keys)


def _link_unit(earlier: Path, folder: Path, unit: int) -> None:
    """Link the files of a unit into another folder; last comes the one that vouches for the others."""
    record = unit_record(earlier, unit)
    paths = [
        *earlier.glob(f"part-{unit:05d}-*"),
        *(earlier / "raw").glob(f"{unit:05d}-*.bin"),
        *(earlier / "cut").glob(f"{unit:05d}-*.json"),
    ]
    for path in [*sorted(paths), record]:
        target = folder / path.relative_to(earlier)
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(path, target)
