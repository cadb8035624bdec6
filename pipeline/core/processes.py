"""Processes of Python that import what this one imports, whatever modules lie in the working folder."""

from __future__ import annotations

import json
import os
import sys

_PROGRAM = "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), None, '__main__', True)"


def find_import_path() -> list[str]:
    """Return where this process imports from, as other processes can use it."""
    return [os.path.abspath(entry) for entry in sys.path]


def make_python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of Seimai as `python -m` does, but for that it looks for none in the working folder."""
    return [sys.executable, "-P", "-c", _PROGRAM, json.dumps(find_import_path()), module, *arguments]
