"""Measured parts without a build around them: documents in, a part of the workspace out."""

from pathlib import Path

from pipeline.manifest.model import Manifest
from pipeline.sources.base import Range
from pipeline.sources.inputs import InputFile
from pipeline.steps.cut import Partition, Unit, name_partition
from pipeline.steps.measure import Job, measure
from pipeline.workspace import Part


def measure_documents(manifest: Manifest, folder: Path, index: int, documents: list[str], start: int = 0) -> Part:
    """Measure documents, as CC-100 has them, as the only partition of unit `index`; they begin at byte `start` of the input."""
    part = Part(folder, name_partition(index, 0))
    body = "\n\n".join(documents).encode()
    part.raw.parent.mkdir(parents=True, exist_ok=True)
    part.raw.write_bytes(body)
    unit = Unit(index, 0, (InputFile("f", "f", None, "f"),))
    partition = Partition(part.name, (Range(0, start, start + len(body), len(body)),), (len(body),))
    assert measure(Job(manifest, folder), unit, partition)["records"] == len(documents)
    return part
