"""Paths are files, whatever is in their names, and suggested commands can be pasted."""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.core.tables import read_arrow_file, read_parquet, read_parquet_schema, scan_parquet, suggest_look

ROOT = Path(__file__).resolve().parents[3]
NAMES = [
    "t[1]", "a*b", "q?x", "b{1,2}", "x y", "p%20q", "h#1", "k=v", "全角　空白", "z\u200dj", "か\u3099", "~", "a:b", "it's", 'd"q', "$HOME",
    "!x", "back\\slash", "`ls`",
]  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def folder(request, tmp_path_factory):
    """A folder with a table, beside others that its name could stand for as a pattern."""
    below = tmp_path_factory.mktemp("names")
    for other in ("t1", "aXb", "qyx", "b1", request.param):
        (below / other).mkdir()
        frame = pl.DataFrame({"name": [other], "k": ["a column"]})
        frame.write_parquet(below / other / "a.parquet")
        frame.write_ipc(below / other / "a.arrow")
    return below / request.param


def test_a_path_is_one_file(folder):
    row = (folder.name, "a column")
    path = folder / "a.parquet"
    assert (
        read_parquet(path).rows() == scan_parquet(path).collect().rows() == read_arrow_file(folder / "a.arrow").rows() == [row]
    )
    assert read_parquet(str(path), columns=["name"]).rows() == [row[:1]]
    assert scan_parquet(path, path).collect().rows() == [row] * 2
    assert read_parquet_schema(path) == {"name": pl.String, "k": pl.String}


def test_the_suggested_command_shows_that_file(folder):
    command = suggest_look(folder, "a.parquet")
    words = ["bash", "-c", f'python() {{ printf %s "$2"; }}; {command}']
    code = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    printed: list[pl.DataFrame] = []
    exec(code, {"print": printed.append})
    assert printed[0]["name"].to_list() == [folder.name]
    assert shlex.split(command)[:2] == ["python", "-c"]


def test_nothing_else_gives_polars_a_path():
    found = []
    for package in ("filters", "pipeline", "seimai", "tokenizer", "trainers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path == ROOT / "pipeline" / "core" / "tables.py":
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                is_call = (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                )
                if (
                    not is_call
                    or node.func.value.id not in ("pl", "polars")
                    or not node.func.attr.startswith(("read_", "scan_"))
                ):
                    continue
                argument = node.args[0] if node.args else None
                is_open_file = isinstance(argument, ast.Call) and ast.unparse(argument.func) in ("io.BytesIO", "open")
                if not is_open_file and not (isinstance(argument, ast.Name) and argument.id == "lines"):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


PRINT = """
import sys
from pathlib import Path
import click
from rich.console import Console
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError

@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def main(path):
    console = Console()
    with report_errors("testing"):
        console.print(path, path.exists(), "━", soft_wrap=True)
        click.echo(path)
        raise UsageError(f"{path}: 失敗")

main()
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_japanese_path_on_any_terminal(tmp_path, environment):
    (tmp_path / "print.py").write_text(PRINT, "utf-8")
    (tmp_path / "コーパス").mkdir()
    done = subprocess.run(
        [sys.executable, "print.py", "コーパス"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **environment},
        capture_output=True,
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr, done.stderr
    assert b"True" in done.stdout  # the path is the same that was given
