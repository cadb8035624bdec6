"""The command `seimai`."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.core.command_names import WORDS, show_commands
from seimai.command import COMMANDS, TRAIN, main
from tests.support.builds import build_environment
from tests.test_imports import MODULES

ROOT = Path(__file__).parents[2]
NOT_FOR_USERS = {
    "seimai", "pipeline.core.local_worker", "tokenizer.fitting", "pipeline.manifest.json_schema", "pipeline.report.json_schema",
    "filters.text.changes_document",
    "filters.text.make_katakana", "filters.text.make_readings", "filters.text.train_mojibake",
    "pipeline.compare.command", "pipeline.explain.command", "pipeline.fetch.command", "pipeline.inspect.command",
    "pipeline.whatif.command",  # of `__main__`
}  # fmt: skip
NAMES = [name for name in COMMANDS if name != "train"] + [f"train {name}" for name in TRAIN]


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)], prog_name="seimai", env={"COLUMNS": "300"})


def test_every_command_has_a_word():
    assert sorted(WORDS.values()) == sorted(NAMES)
    commands = {
        name.removesuffix(".__main__")
        for name, path in MODULES.items()
        if name.endswith("__main__") or re.search(r'\nif __name__ == "__main__":|\n@command\(', path.read_text("utf-8"))
    }
    assert commands - NOT_FOR_USERS == set(WORDS)


@pytest.mark.parametrize("words", NAMES)
def test_every_command_says_what_it_is_for_under_its_own_name(words):
    done = run(*words.split(), "--help")
    assert done.exit_code == 0 and f"usage: seimai {words} " in done.output.lower(), done.output


def test_help_is_there_without_loading_anything():
    done = run("--help")
    assert done.exit_code == 0 and all(f"  {name} " in done.output for name in COMMANDS)
    program = "import sys, seimai.command; print({'numpy', 'polars', 'pyarrow', 'torch', 'rich'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert loaded.stdout == "set()\n", loaded.stderr


def test_messages_name_commands_as_they_were_started(tmp_path):
    missing = tmp_path / "corpus"
    done = run("compare", "ja-web", "hojichar", "--on", missing)
    assert done.exit_code == 2 and "seimai build" in done.stderr and "python -m" not in done.stderr
    done = run("encode", missing)
    assert done.exit_code == 2 and "python -m" not in done.output, done.output
    done = run("build", "cc100-jaa")
    assert done.exit_code == 2 and "did you mean 'cc100-ja'?" in done.stderr
    assert run("bild").exit_code == 2 and run().exit_code == 2


@pytest.mark.parametrize(
    ("words", "close"),
    [
        ("biuld", "'build'"), ("train gtp", "'gpt'"), ("gpt", "'train gpt'"), ("--versio", "'--version'"),
        ("build --inptu x", "'--input'"), ("build cc100-ja -out x", "'--out'"), ("build cc100-ja -w 3", "'--work', '--workers'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_is_nearly_right_is_asked_for(monkeypatch, words, close, language):
    monkeypatch.setenv("SEIMAI_LANG", language)
    done = run(*words.split())
    question = {"en": "Did you mean", "ja": "ですか？"}[language]
    assert done.exit_code == 2 and close in done.stderr and question in done.stderr, done.stderr
    assert language == "en" or "No such" not in done.stderr


def test_the_version_is_printed():
    assert run("--version").output == f"seimai {version('seimai')}\n"


def test_what_a_command_is_called():
    text = "python -m tokenizer.train X && python -m trainers.gpt X; python -m pipeline.build.x; torchrun -m trainers.gpt"
    assert show_commands(text) == text
    with click.Context(main):
        shown = "seimai train tokenizer X && seimai train gpt X; python -m pipeline.build.x; torchrun -m trainers.gpt"
        assert show_commands(text) == shown


@pytest.mark.parametrize("program", [["-m", "seimai", "build", "cc100-ja"], ["-c", "import seimai; seimai.build"]])
def test_a_module_that_hides_a_package_is_named(program, tmp_path):
    (tmp_path / "pipeline.py").write_text("raise SystemExit('this is not Seimai')\n")
    done = subprocess.run(
        [sys.executable, *program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=build_environment() | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1 and done.stdout == ""
    assert f"{tmp_path / 'pipeline.py'} hides Seimai's package 'pipeline'." in done.stderr
    assert ("Traceback" in done.stderr) == (program[0] == "-c")


def test_the_console_command_beside_modules_of_the_same_names(tmp_path):
    """Its script is not in the working folder, so that folder is not on the path."""
    (tmp_path / "pipeline.py").write_text("raise SystemExit('this is not Seimai')\n")
    program = f"import sys; sys.path.append({str(ROOT)!r}); from seimai.command import main; main(prog_name='seimai')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "build", "cc100-ja", "--plan"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "conclusion" not in done.stderr and "measure" in done.stdout, done.stderr


def test_beside_a_clone_the_package_is_not_its_folder(tmp_path):
    """A folder `seimai` without a package in it, as a clone is, would be a package to Python, and come before the real one."""
    (tmp_path / "seimai").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import seimai; print(seimai.Corpus)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "seimai.corpus.Corpus" in done.stdout, done.stderr
