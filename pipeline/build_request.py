"""What is to be built: the options of the command, and what can be refused before what builds is loaded, which takes a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.inline import check_options
from pipeline.core.paths import refuse_missing
from pipeline.manifest.shipped import check_reference


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built, from what and where: the options of the command, by the same names.

    `overrides`: assignments as `--set` has them, or keys and values. `folders`: of content that the input names, as `images`.
    """

    manifest: str
    inputs: tuple[str, ...] = ()
    download: bool = False
    out: Path | None = None
    work: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    limit: int | None = None
    overrides: tuple[str | tuple[str, Any], ...] = ()
    keep_going: bool = False
    clean: bool = False
    folders: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UsageError for what is wrong whatever the manifest says: options that exclude one another, names of nothing."""
        if self.download and self.inputs:
            raise UsageError("--download and --input exclude one another")
        check_options(self.workers, self.scheduler)
        check_reference(self.manifest)
        for path in self.inputs:
            refuse_missing(path)
