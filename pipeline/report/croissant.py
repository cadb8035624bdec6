"""`croissant.json`: what a corpus is, in Croissant 1.0 with its vocabulary for responsible AI, which data-set search engines read.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html, https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.report.facts import BuildFacts
from pipeline.report.licenses import describe_license
from pipeline.report.model import Report

_CONFORMS = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
_PARQUET = "application/vnd.apache.parquet"
_VOCABULARY = (
    "citeAs", "column", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath",
    "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform", "equivalentProperty",
)  # fmt: skip
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in _VOCABULARY},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
_CONTENT = {"image": "sc:ImageObject", "audio": "sc:AudioObject"}
_FOLDERS = {
    "shards": ("data", "Shards: one row per kept record."),
    "ledger": ("ledger", "One row per input record, with its verdict."),
}
_ANNOTATED = {
    "language": "language identification by fastText's lid.176",
    "quality_score": "a linear model of quality (docs/quality-model.md of Seimai)",
    "fluency_score": "a linear model of fluency (docs/quality-model.md of Seimai)",
    "clip_similarity": "similarity of image and caption by the CLIP model that the manifest names",
}


def describe_dataset(report: Report, facts: BuildFacts, folder: Path) -> dict[str, Any]:
    """Return the metadata of a corpus whose shards and ledger lie in `folder`."""
    files = [entry for entry in facts.files if entry["path"].split("/")[0] in ("data", "ledger")]
    schemas = {
        name: pq.read_schema(folder / of_folder[0]["path"])
        for name, (prefix, _) in _FOLDERS.items()
        if (of_folder := [entry for entry in files if entry["path"].startswith(f"{prefix}/")])
    }
    corpus = report.corpus
    link = describe_license(facts.declared_licenses, facts.manifest.license_name, facts.manifest.license_link)
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": corpus.name,
        "alternateName": corpus.title,
        "description": corpus.description or corpus.title,
        "license": link.get("license_link") or corpus.license,
        "url": corpus.homepage or f"https://huggingface.co/datasets/{corpus.name}",
        "version": f"{report.version}.0.0",
        "inLanguage": "ja",
        "keywords": ["Japanese", corpus.modality.replace("_", "-"), "deduplicated", "filtered"],
        "creator": {"@type": "Organization", "name": "Built with Seimai", "url": "https://pypi.org/project/seimai/"},
        "distribution": [*_list_file_sets(schemas), *map(_describe_file, files)],
        "recordSet": [_describe_records(name, schema) for name, schema in schemas.items()],
        **_describe_responsibly(report),
    }
    return {name: value for name, value in described.items() if value not in (None, [])}


def _list_file_sets(schemas: dict[str, pa.Schema]) -> Iterator[dict[str, Any]]:
    for name in schemas:
        folder, description = _FOLDERS[name]
        yield {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "description": description,
            "encodingFormat": _PARQUET,
            "includes": f"{folder}/*.parquet",
        }


def _describe_file(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry["path"],
        "name": entry["path"],
        "contentUrl": entry["path"],
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": _PARQUET,
        "sha256": entry["sha256"],
    }


def _describe_records(name: str, schema: pa.Schema) -> dict[str, Any]:
    fields = []
    for field in schema:
        source: dict[str, Any] = {"fileSet": {"@id": name}, "extract": {"column": field.name}}
        if pa.types.is_struct(field.type):
            source["transform"] = {"jsonPath": "bytes"}
        described = {
            "@type": "cr:Field",
            "@id": f"{name}/{field.name}",
            "name": field.name,
            "dataType": _find_data_type(field),
            "source": source,
        }
        fields.append(described | ({"repeated": True} if pa.types.is_list(field.type) else {}))
    return {
        "@type": "cr:RecordSet",
        "@id": f"{name}-records",
        "name": f"{name}-records",
        "key": {"@id": f"{name}/id"},
        "field": fields,
    }


def _find_data_type(field: pa.Field) -> str:
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    if pa.types.is_struct(kind):
        return _CONTENT[field.name]
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def _describe_responsibly(report: Report) -> dict[str, Any]:
    """Return what RAI asks for, as far as a build knows it."""
    corpus, totals = report.corpus, report.totals
    records = corpus.records.en
    rules = [
        f"{reason.rule} ({reason.bound or reason.step}): {reason.records:,} {records} dropped."
        + (f" {reason.reason}" if reason.reason else "")
        for reason in report.reasons
        if reason.verdict == "dropped"
    ]
    removed = [f"{one.lines:,} lines ({one.kind.en}) were removed." for one in report.removed]
    lost = [
        f"Source {one.name} lost more than half of its {records} in the step {one.most_at}."
        for one in report.sources.shown
        if one.most_at
    ]
    tools = [_ANNOTATED[measure.name] for measure in report.measures if measure.name in _ANNOTATED]
    return {
        "rai:dataCollection": f"Taken as it was from {len(report.inputs)} input files, whose SHA-256 are in manifest.lock.toml. "
        f"{corpus.description}".strip(),
        "rai:dataCollectionRawData": f"{totals.records:,} {records}; the ledger has a row for each.",
        "rai:dataCollectionMissingData": f"{totals.unreadable:,} {records} could not be read; the ledger says why.",
        "rai:dataPreprocessingProtocol": [
            "Text is normalised and cleaned by Seimai (docs/cleaning.md has every change with its reason).",
            *removed,
            f"Duplicates: {report.duplicates.exact:,} exact and {report.duplicates.near:,} near ({corpus.near_duplicate}) were removed.",
        ],
        "rai:dataManipulationProtocol": rules,
        "rai:machineAnnotationTools": tools,
        "rai:dataBiases": [
            "Rules are heuristics and models that prefer running, standard Japanese; dialect, poetry, lists and mixed languages are "
            "dropped more often. report.html has examples near every bound.",
            *lost,
        ],
        "rai:dataLimitations": "Seimai checks no facts, finds no copyright and removes no benchmark's test data.",
        "rai:personalSensitiveInformation": "Personal information was not removed: what the input says of people, the corpus says, too.",
        "rai:dataUseCases": f"Training and evaluation of models ({', '.join(_find_tasks(corpus.modality))}).",
        "rai:dataReleaseMaintenancePlan": "The same manifest and input give the same shards: build again where either has changed.",
    }


def _find_tasks(modality: str) -> tuple[str, ...]:
    return {
        "text": ("language modelling",),
        "image_text": ("image-text contrastive learning", "text to image"),
        "speech": ("speech recognition", "self-supervised learning of speech"),
    }[modality]
