"""Every command and snippet of both READMEs, in order, on the samples.

What asks for a GPU, or for somebody's cluster, is made small: `SMALLER` says how. What is not run is in `NOT_RUN`, with the reason.
Commands run in this process, which saves them the start.
"""

from __future__ import annotations

import io
import re
import runpy
import shlex
import subprocess
import sys
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

from pipeline.manifest.loading import load_any
from tests.support.builds import build_environment
from tests.support.readme import ROOT, make_inputs, name_manifest, read_blocks

NOT_RUN = {
    "make ": "they run this test; a fresh clone is tried by hand",
    ". .venv/bin/activate": "this is the environment",
    "pip install": "as above",
    "hf upload": "tests/pipeline/test_upload.py asks huggingface_hub what it would send",
    "python -m pipeline.build cc100-ja --download": "15 GB",
    "python -m pipeline.build parquet --input hf://": "tests/pipeline/sources/text/test_hub.py reads from a hub on loopback",
    "python -m pipeline.inspect": "it serves until Ctrl-C; tests/pipeline/inspect asks it",
    "python -m pipeline.fetch": "tests/pipeline/fetch has a server; the README's list names the web's",
    "python -m pipeline.build cc12m-ja": "as above",
}
SMALLER = {
    r"--workers \d+": "",
    r"--vocab-size 32000": "--vocab-size 2000",
    r"(tokenizer.train +corpora/laion-ja)": r"\1 --vocab-size 900",
    r"--sequence-length \d+": "--sequence-length 64",
    r"(pipeline.build gpt-ja)": r"\1 --set tokenizer.vocab_size=2000 --set tokenizer.sequence_length=64",
    r"(trainers.\w+ .*--config )\S+": r"\1tiny --set train.steps=2 --set train.batch=2",
    r"(trainers.ctc (?!.*--config).*)": r"\1 --config tiny --set train.steps=2 --set train.batch=2",
}
IN_PROCESS = ("pipeline.build", "tokenizer.encode")  # commands that take `--workers 0`


def make_smaller(command: str, scheduler: str) -> list[str]:
    """Return the arguments of a command with what `SMALLER` says, and in this process where it would start workers."""
    for pattern, smaller in SMALLER.items():
        command = re.sub(pattern, smaller, command)
    command = command.replace("tcp://host:8786", scheduler)
    if any(f"-m {module} " in command for module in IN_PROCESS) and "--scheduler" not in command and "--plan" not in command:
        command += " --workers 0"
    return shlex.split(command)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run `python -m MODULE …` in this process; returns its exit code and what it says."""
    assert arguments[:2] == ["python", "-m"], arguments
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in (build_environment() | {"COLUMNS": "120"}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", [arguments[2], *arguments[3:]])
        try:
            runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None), said.getvalue()
        except Exception:
            return 1, said.getvalue() + traceback.format_exc()
    return 0, said.getvalue()


@pytest.mark.timeout(900)
def test_the_readme_works_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str) -> None:
    make_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    failed, names = [], {}
    try:
        for block in read_blocks("README.md"):
            if block.language == "python":
                try:
                    exec(compile(block.text, "README.md", "exec"), names)
                except Exception:
                    failed.append(block.text + traceback.format_exc()[-1500:])
            elif block.language == "toml":
                if name := name_manifest(block):
                    Path(f"{name}.toml").write_text(block.text, "utf-8")
                    load_any(f"{name}.toml")
            elif block.language == "sh":
                for command in block.lines:
                    if not command.startswith(tuple(NOT_RUN)):
                        arguments = make_smaller(command, cluster)
                        code, said = run(arguments)
                        if code:
                            failed.append(f"{shlex.join(arguments)}: exit {code}\n{said[-1500:]}")
    finally:
        torch.set_num_threads(threads)
    assert not failed, "\n\n".join(failed)


def test_git_ignores_what_commands_of_the_readme_make_in_a_clone() -> None:
    shown = "\n".join(block.text for document in ("README.md", "docs/tutorial.md") for block in read_blocks(document))
    outputs = {"corpora/cc100-ja", "raw/cc100-ja", ".venv/bin", *re.findall(r"--out (\S+)", shown)}
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=ROOT, input="".join(f"{path.rstrip('/')}/x\n" for path in outputs),
        capture_output=True, text=True,
    )  # fmt: skip
    if asked.returncode == 128:
        pytest.skip("this is no clone")
    assert {f"{path.rstrip('/')}/x" for path in outputs} == {*asked.stdout.splitlines()}


def test_both_readmes_show_the_same_commands_and_snippets() -> None:
    """Titles in Japanese aside."""

    def simplify(document: str) -> list[tuple[str, ...]]:
        return [tuple(line for line in block.lines if not line.startswith("title = ")) for block in read_blocks(document)]

    assert simplify("README.ja.md") == simplify("README.md")
