"""Commands: options from a table of settings, and errors as messages with an exit code."""

import errno
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from pydantic import Field, field_validator

from pipeline.core.command import report_errors
from pipeline.core.errors import BuildError, UsageError
from pipeline.core.options import add_options, parse_options
from pipeline.core.settings import Table
from pipeline.manifest.loading import load_any
from pipeline.manifest.model import source_options
from pipeline.manifest.source_options import FOLDER_OPTIONS
from pipeline.sources.inputs import describe_file
from tests.support.builds import build_environment


class Settings(Table):
    count: int = Field(3, ge=1, le=9, description="How many.", json_schema_extra={"metavar": "N"})
    speed: float | None = Field(None, gt=0, description="How fast.")
    user_name: str = Field("me", description="Who.")
    tags: tuple[str, ...] = Field(("a", "b"), description="Which; repeatable.")
    loud: bool = Field(False, description="Shout.")

    @field_validator("user_name")
    @classmethod
    def _check(cls, value):
        if not value:
            raise ValueError("a name")
        return value


@click.command()
@add_options(Settings)
def command(**options):
    with report_errors("testing"):
        click.echo(repr(parse_options(Settings, options)))


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_every_field_is_an_option_with_its_default():
    assert run().output.strip() == repr(Settings())
    given = run("--count", "9", "--speed", "0.5", "--user-name", "you", "--tags", "x", "--tags", "y", "--loud")
    assert given.output.strip() == repr(Settings(count=9, speed=0.5, user_name="you", tags=("x", "y"), loud=True))


def test_help_has_order_bounds_defaults_and_descriptions():
    text = run("--help").output
    assert [text.index(f"--{name}") for name in ("count", "speed", "user-name", "tags", "loud")] == sorted(
        text.index(f"--{name}") for name in ("count", "speed", "user-name", "tags", "loud")
    )
    words = " ".join(text.split())
    assert "--count N How many. [default: 3; 1<=x<=9]" in words
    assert "How fast. [x>0]" in words and "[default: a, b]" in words and "--loud Shout." in words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--count", "10"), "1<=x<=9"), (("--speed", "0"), "x>0"), (("--user-name", ""), "error: --user-name: a name")],
)
def test_a_bad_value_is_wrong_usage(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and message in result.stderr


@pytest.fixture
def interrupt_handler():
    """Restore what Ctrl-C does: after one, the next ends the process."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("wrong"), 2, "error: wrong"),
        (BuildError("name\x1b[2J\nnext"), 1, "error: name\N{REPLACEMENT CHARACTER}[2J\nnext"),
        (OSError(errno.ENOSPC, "No space left", "/x"), 1, "error: no space left on the disk while testing (/x)."),
        (OSError(errno.EACCES, "Permission denied", "/x"), 1, "Permission denied. Choose another --out or --work."),
        (OSError(errno.EIO, "Input/output error"), 1, "error: testing failed: Input/output error"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to go on"),
    ],
)
def test_errors_end_the_process_with_a_message(capsys, error, code, message, interrupt_handler):
    with pytest.raises(SystemExit) as end, report_errors("testing"):
        raise error
    assert end.value.code == code and message in capsys.readouterr().err


@pytest.mark.parametrize(
    "write",
    [
        # not pyarrow, which removes what it could not write
        lambda: pl.DataFrame({"a": [1]}).write_parquet("/dev/full"),
        lambda: np.arange(100_000).tofile("/dev/full"),
    ],
)
def test_a_full_disk_is_told_by_whatever_library(capsys, write):
    with pytest.raises(SystemExit) as end, report_errors("testing"):
        write()
    told = capsys.readouterr().err
    assert end.value.code == 1 and "no space left on the disk while testing" in told and "Traceback" not in told


def test_a_limit_on_the_size_of_files_is_told(capsys, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(SystemExit), report_errors("testing"):
            np.arange(100_000).tofile(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "larger than `ulimit -f` allows while testing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "problem"), [("", "no path is given"), ("x\udcff", "expected a path in UTF-8"), ("a" * 256, "255 bytes")]
)
def test_what_is_no_path_is_refused_by_every_option_that_takes_one(given, problem, tmp_path, monkeypatch):
    """As where a variable of the shell is not set: the current folder is not meant."""
    from pipeline.build import main
    from tokenizer.train import main as train

    monkeypatch.chdir(tmp_path)
    for invoked in (CliRunner().invoke(main, ["jsonl", "--out", given]), CliRunner().invoke(train, ["x", "--out", given])):
        assert invoked.exit_code == 2 and "'--out'" in invoked.stderr and problem in invoked.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["jsonl", "--input", ""], ["jsonl", "--input", "x", "--images", ""], [""]])
def test_an_empty_input_is_not_the_current_folder(arguments, tmp_path, monkeypatch):
    from pipeline.build import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text('{"text": "猫"}\n', "utf-8")
    for language, words in (
        ("en", " no path is given"),
        ("ja", "パスが空です"),
    ):
        monkeypatch.setenv("SEIMAI_LANG", language)
        invoked = CliRunner().invoke(main, arguments)
        assert invoked.exit_code == 2 and re.search(words, invoked.stderr), invoked.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cc100-jaa"], "there is no manifest 'cc100-jaa'; did you mean 'cc100-ja'?"),
        (["mine.toml"], "mine.toml: there is no such manifest file"),
        (["cc100-ja", "--input", "ja.txt.xz"], "ja.txt.xz: there is no such file"),
        (["cc100-ja", "--outt", "x"], "No such option"),
        (["cc100-ja", "--workers", "2", "--scheduler", "tcp://a:1"], "--workers is for the local cluster"),
    ],
)
def test_what_names_nothing_is_refused_before_what_builds_is_loaded(arguments, words, tmp_path):
    """Which takes longer than anything else that a refusal does."""
    heavy = "polars", "pyarrow", "numba", "pipeline.building"
    code = f"""
import sys
from pipeline.build import main
try:
    main(sys.argv[1:])
finally:
    print([name for name in {heavy} if name in sys.modules])
"""
    environment = build_environment() | {"PYTHONPATH": str(Path(__file__).parents[3]), "SEIMAI_LANG": "en"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "[]\n") and words in done.stderr, done.stderr


def test_options_of_the_command_are_those_of_the_manifest():
    assert {name: option for name, option in source_options().items() if option.flag} == FOLDER_OPTIONS
    assert [option.flag for option in FOLDER_OPTIONS.values()] == [f"--{name}" for name in FOLDER_OPTIONS]


def test_what_cannot_be_reached_and_what_is_empty_is_named(tmp_path):
    with pytest.raises(BuildError, match="^ftp://127.0.0.1:1/y cannot be reached: ConnectionRefusedError"):
        describe_file("ftp://127.0.0.1:1/y")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UsageError, match=r"empty.jsonl is empty: expected a manifest, which is a TOML file"):
        load_any(str(tmp_path / "empty.jsonl"))
