"""What commands say: collected from the code, as the catalogue of Japanese is keyed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "tokenizer", "trainers", "seimai")
PRINTERS = {"print", "tell", "say", "_say", "report", "translate"}
TABLES = {"Table"}
_CLASS = re.compile(r"^class (\w+)\((\w+)\)", re.MULTILINE)
# Their ValueErrors reach users as what is wrong with a setting.
SETTINGS = ("settings.py", "manifest.py", "model.py")


@cache
def find_errors() -> set[str]:
    """Return the names of the exceptions whose messages users read: SeimaiError and what is derived from it."""
    texts = [path.read_text("utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    bases = {name: base for text in texts for name, base in _CLASS.findall(text)}
    errors = {"SeimaiError"}
    while more := {name for name, base in bases.items() if base in errors} - errors:
        errors |= more
    return errors


def make_template(node: ast.expr) -> str | None:
    """Return a string, or an f-string with {0}, {1} … for its values; None for anything else."""
    pieces = list(_split(node))
    if not any(isinstance(piece, str) for piece in pieces):
        return None
    numbers = iter(range(100))
    return "".join(piece if isinstance(piece, str) else f"{{{next(numbers)}}}" for piece in pieces)


def _split(node: ast.expr) -> Iterator[str | None]:
    """Yield the pieces of a string, None for values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _split(value)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _split(node.left)
        yield from _split(node.right)
    else:
        yield None


def collect_messages() -> dict[str, str]:
    """Return where each template stands that a command may print or raise."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    for argument in _find_texts(node, path):
                        if (template := make_template(argument)) is not None:
                            found.setdefault(template.strip("\n "), f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def _find_texts(call: ast.Call, path: Path) -> list[ast.expr]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    first = call.args[:1]
    if name in find_errors() or name in PRINTERS or (name == "ValueError" and path.name in SETTINGS):
        return first
    if name == "report_errors":
        return [*call.args, *(one.value for one in call.keywords)]
    return []
