"""Imports point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAVES = {f"pipeline.{name}" for name in ("command", "engine", "errors", "files", "shards", "table")}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "pipeline")}
    return {name for name in found if name.split(".")[0] in ("filters", "pipeline", "tokenizer", "trainers", "manifests")}


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("filters", {"filters"}),
        ("tokenizer", {"filters", "tokenizer", *LEAVES}),
        ("trainers", {"filters", "tokenizer", "trainers", *LEAVES}),
    ],
)
def test_rooms_import_only_what_they_may(room: str, allowed: set[str]) -> None:
    for path in (ROOT / room).rglob("*.py"):
        wrong = {n for n in imported(path) if n not in allowed and n.split(".")[0] not in allowed}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_leaves_know_nothing_of_corpora(leaf: str) -> None:
    path = ROOT / f"{leaf.replace('.', '/')}.py"
    assert {n for n in imported(path) if not n.startswith("filters")} <= LEAVES
