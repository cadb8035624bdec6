"""The map of the house: which room may import which, and no circle anywhere. CONTRIBUTING.md shows the same map in words."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("filters", "pipeline", "tokenizer", "trainers", "manifests", "seimai")

# Every room, the lowest first, with the rooms that it may import beside itself. A module belongs to the longest name that fits.
ROOMS: dict[str, set[str]] = {
    "manifests": set(),
    "filters": set(),
    "pipeline.core": {"filters"},
    "tokenizer": {"filters", "pipeline.core"},
    "trainers.data": {"filters", "pipeline.core"},
    "trainers.training": {"pipeline.core", "trainers.data"},
    "trainers.models": {"filters", "tokenizer", "pipeline.core", "trainers.data", "trainers.training"},
    "trainers": {"filters", "tokenizer", "pipeline.core", "trainers.data", "trainers.training", "trainers.models"},
    "pipeline.sources": {"filters", "pipeline.core"},
    "pipeline.manifest.steps": {"pipeline.core"},
    "pipeline.manifest.source_options": set(),
    "pipeline.manifest.shipped": {"pipeline.core", "manifests"},
    "pipeline.manifest.model": {
        "filters", "tokenizer", "pipeline.core", "pipeline.sources", "pipeline.manifest.source_options", "pipeline.manifest.steps",
    },
    "pipeline.workspace": {"pipeline.core", "pipeline.manifest.steps"},
    "pipeline.dedup": {"filters", "pipeline.core", "pipeline.manifest.steps", "pipeline.workspace"},
    "pipeline.modalities": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest.steps", "pipeline.manifest.model", "pipeline.workspace",
        "pipeline.dedup",
    },
    "pipeline.mixture.manifest": {
        "tokenizer", "pipeline.core", "pipeline.manifest.steps", "pipeline.manifest.model", "pipeline.dedup", "pipeline.modalities",
    },
    "pipeline.manifest": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest.steps", "pipeline.manifest.source_options",
        "pipeline.manifest.shipped", "pipeline.manifest.model", "pipeline.modalities", "pipeline.mixture.manifest",
    },
    "pipeline.plan": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest.steps", "pipeline.manifest.model", "pipeline.workspace",
    },
    "pipeline.steps": {
        "filters", "tokenizer", "pipeline.core", "pipeline.sources", "pipeline.manifest.model", "pipeline.workspace",
        "pipeline.dedup", "pipeline.modalities", "pipeline.plan",
    },
    "pipeline.corpus": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model", "pipeline.manifest.shipped",
        "pipeline.manifest.steps", "pipeline.mixture.manifest", "pipeline.workspace", "pipeline.modalities", "pipeline.plan",
        "pipeline.steps",
    },
    "pipeline.report": {
        "filters", "tokenizer", "pipeline.core", "pipeline.sources", "pipeline.manifest.steps", "pipeline.manifest.model",
        "pipeline.workspace", "pipeline.dedup", "pipeline.modalities", "pipeline.plan", "pipeline.steps", "pipeline.corpus",
    },
    "pipeline.fetch": {"pipeline.core", "pipeline.sources"},
    "pipeline.publish": {"pipeline.core", "pipeline.workspace", "pipeline.report"},
    "pipeline.mixture": {
        "filters", "tokenizer", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.steps",
        "pipeline.manifest.model", "pipeline.mixture.manifest", "pipeline.workspace", "pipeline.dedup", "pipeline.modalities",
        "pipeline.plan", "pipeline.report", "pipeline.publish", "pipeline.corpus",
    },
    "pipeline.run": {
        "pipeline.core", "pipeline.sources", "pipeline.workspace", "pipeline.modalities", "pipeline.plan", "pipeline.steps",
        "pipeline.report", "pipeline.publish",
    },
    "pipeline.compiling": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model", "pipeline.manifest.shipped",
        "pipeline.dedup", "pipeline.plan", "pipeline.run",
    },
    "pipeline.compare": {
        "filters", "pipeline.core", "pipeline.manifest", "pipeline.manifest.model", "pipeline.workspace", "pipeline.steps",
        "pipeline.corpus",
    },
    "pipeline.explain": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model", "pipeline.modalities",
        "pipeline.workspace", "pipeline.steps", "pipeline.corpus", "pipeline.report",
    },
    "pipeline.whatif": {
        "filters", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model", "pipeline.modalities",
        "pipeline.workspace", "pipeline.plan", "pipeline.steps", "pipeline.dedup", "pipeline.corpus", "pipeline.report",
    },
    "pipeline.inspect": {
        "filters", "pipeline.core", "pipeline.manifest.model", "pipeline.modalities", "pipeline.steps", "pipeline.corpus",
        "pipeline.report",
    },
    "pipeline.verify": {"pipeline.core"},
    "pipeline.build_request": {"pipeline.core", "pipeline.manifest.shipped"},
    "pipeline.build_inputs": {
        "pipeline.core", "pipeline.sources", "pipeline.manifest.model", "pipeline.manifest.shipped", "pipeline.workspace",
        "pipeline.plan", "pipeline.fetch", "pipeline.publish", "pipeline.build_request",
    },
    "pipeline.building": {
        "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model", "pipeline.plan", "pipeline.modalities",
        "pipeline.steps", "pipeline.report", "pipeline.publish", "pipeline.mixture.manifest", "pipeline.mixture", "pipeline.run",
        "pipeline.compiling", "pipeline.verify", "pipeline.build_request", "pipeline.build_inputs",
    },
    "pipeline.build": {
        "pipeline.core", "pipeline.manifest", "pipeline.manifest.source_options", "pipeline.report", "pipeline.build_request",
        "pipeline.building",
    },
    "seimai": {
        "filters", "tokenizer", "trainers", "pipeline.core", "pipeline.sources", "pipeline.manifest", "pipeline.manifest.model",
        "pipeline.mixture", "pipeline.mixture.manifest", "pipeline.modalities", "pipeline.steps", "pipeline.report", "pipeline.fetch",
        "pipeline.compare", "pipeline.inspect", "pipeline.verify", "pipeline.build_request", "pipeline.building", "pipeline.build",
        "pipeline.corpus", "pipeline.explain", "pipeline.whatif",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One module that another imports, and whether the import stands inside a function."""

    module: str
    inside_function: bool
    line: int


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def imports_of(module: str) -> Iterator[Import]:
    """Yield the project's own modules that a module imports; `from a import b` is of a.b where that is a module."""
    tree = parse(module)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    inside = {id(child) for function in functions for child in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{module}: imports are absolute"
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in dotted]
        else:
            continue
        for name in names:
            if name in MODULES:
                yield Import(name, id(node) in inside, node.lineno)


def third_party_imports(module: str) -> set[str]:
    """Return the packages that a module imports beside the project's own and Python's."""
    names = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def room_of(module: str) -> str:
    """Return the room that a module belongs to."""
    rooms = [room for room in ROOMS if module == room or module.startswith(f"{room}.")]
    assert rooms or module == "pipeline", f"{module} belongs to no room: add it to the map"
    return max(rooms, key=len, default="pipeline")


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_the_map_allows(module):
    room = room_of(module)
    if room == "pipeline":
        return
    for imported in imports_of(module):
        other = room_of(imported.module)
        assert other in {room, *ROOMS[room]}, f"{module}:{imported.line} imports {imported.module}"


def test_the_map_points_down():
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        upward = [other for other in allowed if order.index(other) > order.index(room)]
        assert not upward, f"{room} may not import {upward}, which stand above it"


def test_there_is_no_circle():
    graph = {module: {i.module for i in imports_of(module)} - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import one another: {' -> '.join(error.args[1])}")


def test_nothing_is_imported_inside_a_function_to_hide_a_circle():
    """Heavy libraries may be imported late; the project's own modules only where they bring such a library along."""
    late = {(module, i.module) for module in MODULES for i in imports_of(module) if i.inside_function}
    assert late <= LATE, f"import at the top of the file: {sorted(late - LATE)}"


# Own modules that bring a heavy library along, and are imported where it is needed; and what a function imports that is sent by value.
LATE = {
    ("pipeline.modalities.image_text.measure", "filters.image.clip"),  # torch, transformers
    ("pipeline.core.code_identity", "pipeline.core.code_identity"),
    ("pipeline.inspect.command", "pipeline.inspect.serving"),  # starlette and uvicorn, which are an extra
    # What builds takes a second to load, and options that are wrong are refused before.
    *(("pipeline.build", f"pipeline.{name}") for name in ("building", "manifest.overview", "report.summary")),
    # `import seimai` and `seimai --help` take no time: what they offer is loaded when it is called.
    ("seimai", "seimai.api"),
    *(("seimai.command", f"tokenizer.{name}") for name in ("train", "encode", "evaluate", "export")),
    *(("seimai.command", f"trainers.{name}") for name in ("gpt", "clip", "diffusion", "hubert", "ctc", "targets", "generate")),
    *(
        ("seimai.command", f"pipeline.{name}")
        for name in (
            "build",
            "fetch.command",
            "compare.command",
            "explain.command",
            "whatif.command",
            "inspect.command",
            "verify",
        )
    ),
    ("seimai.command", "filters.train_quality"),
    *(("seimai.command", f"pipeline.core.{name}") for name in ("help", "language", "terminal")),
}


def test_nothing_is_imported_by_a_name_in_a_string():
    for module, path in MODULES.items():
        if module.split(".")[0] in ("pipeline", "filters"):
            text = path.read_text("utf-8")
            assert "import_module" not in text and "__import__" not in text, module
