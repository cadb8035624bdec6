"""Which step of a build each field of a manifest belongs to.

Fingerprints are made from this: a change of a field redoes its step and what follows, and nothing before. A field inherits the
`default_step` of its table unless it declares another. `tests/pipeline/manifest/test_steps.py` fails for a field with neither, and for
one whose step it has not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from pipeline.core.settings import Table

# `inputs`: fields that only choose what is read; inputs have identities of their own. `report`: what only the dataset card shows.
# `count` and `select` are steps of a mixture.
Step = Literal["inputs", "measure", "decide", "deduplicate", "strip", "count", "select", "write", "tokenise", "report"]


@dataclass(frozen=True)
class BelongsTo:
    """Marks a field of a table, in `Annotated`, with a step that depends on it; `part` says on what of the value."""

    step: Step
    part: Callable[[Any], Any] = lambda value: value


class ManifestTable(Table):
    """A table of a manifest. Its fields belong to `default_step`, where they declare no other."""

    default_step: ClassVar[Step | None] = None


def declared_steps(table: type[BaseModel], name: str) -> list[BelongsTo]:
    """Return what a field of a table declares, else what the table does; empty where neither declares anything."""
    markers = [marker for marker in table.model_fields[name].metadata if isinstance(marker, BelongsTo)]
    default = getattr(table, "default_step", None)
    return markers or ([BelongsTo(default)] if default else [])


def is_annotated(table: type[BaseModel], name: str) -> bool:
    """Return whether a field declares its step itself."""
    return any(isinstance(marker, BelongsTo) for marker in table.model_fields[name].metadata)


def parameters(table: BaseModel, step: Step) -> dict[str, Any]:
    """Return the values of a table, and of the tables in it, that a step depends on. The order of rules counts."""
    return dict(_parameters(table, step))


def _parameters(table: BaseModel, step: Step) -> Iterator[tuple[str, Any]]:
    for name in type(table).model_fields:
        value = getattr(table, name)
        nested = not is_annotated(type(table), name)
        if nested and isinstance(value, ManifestTable):
            yield name, parameters(value, step)
        elif nested and isinstance(value, dict) and all(isinstance(one, ManifestTable) for one in value.values()):
            yield name, [(key, parameters(one, step)) for key, one in value.items()]
        else:
            plain = value.model_dump() if isinstance(value, BaseModel) else value
            for marker in declared_steps(type(table), name):
                if marker.step == step:
                    yield name, marker.part(plain)


def list_named_files(table: BaseModel) -> Iterator[str]:
    """Yield the paths in a table, and in the tables in it, of files on whose content a step depends."""
    for name in type(table).model_fields:
        value = getattr(table, name)
        if isinstance(value, ManifestTable):
            yield from list_named_files(value)
        elif any(marker.part is not BelongsTo.part for marker in declared_steps(type(table), name)):
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
