"""What importing Seimai does to a program: nothing, unless it is a command of Seimai."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builds import build_environment

ROOT = Path(__file__).parents[3]
TELL = "import gc, sys; print(gc.isenabled(), sys.excepthook is sys.__excepthook__)\n"


@pytest.mark.parametrize("words", [["-m", "mine.tool"], ["-m", "mine"], ["mine/tool.py"]])
def test_a_program_that_imports_seimai_stays_as_it_was(tmp_path, words):
    """Also while `python -m` looks for its module: its package imports Seimai then."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import pipeline\n")
    for name in ("__main__", "tool"):
        (tmp_path / "mine" / f"{name}.py").write_text(f"import pipeline\n{TELL}")
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=build_environment() | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "True True\n", done.stderr
