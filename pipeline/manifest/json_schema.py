"""JSON Schema of a manifest file, for editors: `python -m pipeline.manifest.json_schema > manifests/schema.json`."""

from __future__ import annotations

import json
from typing import Any

from filters import MEASURES
from pipeline.core.pipes import outlive_readers
from pipeline.manifest.presets import list_presets
from pipeline.mixture.manifest import MixtureManifest
from pipeline.modalities import MODALITIES
from pipeline.sources import SOURCES


def schema() -> dict[str, Any]:
    """Return the schema. By the source's format, or by parts of a mixture, an editor tells which kind of manifest it has before it."""
    bound = {"$ref": "#/$defs/Bound"}
    definitions: dict[str, Any] = {}
    kinds = []
    for modality in MODALITIES.values():
        manifest = modality.manifest
        one = manifest.model_json_schema()
        definitions |= one.pop("$defs")
        sources = [source for source in SOURCES.values() if source.modality == modality.name]
        measures = {name: m for name, m in MEASURES.items() if m.kind in manifest.kinds}
        for any_column in sorted({source.any_column for source in sources}):
            formats = [source.name for source in sources if source.any_column == any_column]
            rules = {
                "type": "object",
                "properties": {
                    "preset": {"type": "string", "enum": list_presets(manifest)},
                    "skip": {"type": "array", "items": {"enum": [*measures]}},
                }
                | {name: bound | {"description": m.description} for name, m in measures.items()},
                "additionalProperties": bound if any_column else False,  # rules may judge columns of source.keep
            }
            source = {"allOf": [{"$ref": "#/$defs/SourceTable"}, {"properties": {"format": {"enum": formats}}}]}
            kinds.append(one | {"properties": one["properties"] | {"source": source, "rules": rules}})
    mixture = MixtureManifest.model_json_schema()
    definitions |= mixture.pop("$defs")
    return {"title": "Manifest", "anyOf": [*kinds, mixture], "$defs": definitions}


if __name__ == "__main__":
    outlive_readers()
    print(json.dumps(schema(), ensure_ascii=False, indent=1))
