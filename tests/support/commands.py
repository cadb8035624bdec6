"""Commands that are run in this process, as tests of what they print and refuse need them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click
from click.testing import CliRunner, Result


@dataclass(frozen=True)
class CommandRunner:
    """A command, in a language, on a terminal of so many columns."""

    command: click.Command
    columns: int = 300
    language: str = "en"

    def run(self, *arguments: object) -> Result:
        environment = {"COLUMNS": str(self.columns), "SEIMAI_LANG": self.language}
        return CliRunner().invoke(self.command, [*map(str, arguments)], env=environment)

    def as_json(self, *arguments: object) -> Any:
        """Return what the command prints with `--json`."""
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def refused(self, *arguments: object) -> str:
        """Return the error of wrong usage."""
        done = self.run(*arguments)
        assert done.exit_code == 2 and not done.stdout, done.output
        return done.stderr
