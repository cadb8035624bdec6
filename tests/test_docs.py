"""The site of the documentation builds without a warning, and has what it generates."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.command_names import WORDS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(folder),
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_reached(site: Path) -> None:
    """Strict: a page that no menu names, a link to nowhere and a docstring that cannot be read are warnings, and fail."""
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (site / page).is_file()} == set()


def test_reference_has_all_keys_and_commands(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert [words for words in WORDS.values() if f"<code>seimai {words}</code>" not in commands] == []
    assert "--keep-going" in commands and "--sequence-length" in commands
    manifests = (site / "reference" / "manifests.html").read_text("utf-8")
    assert all(
        f"<code>{key}</code>" in manifests for key in ("at_least", "validation", "sequence_length", "same_domain", "weight")
    )
    python = (site / "reference" / "python.html").read_text("utf-8")
    assert "keep_going" in python and "measure_frame" in python


def test_sections_of_the_readme_are_there(site: Path) -> None:
    pages = {path.name: path.read_text("utf-8") for path in (site / "how-to").glob("*.html")}
    assert "source.columns.text" in pages["formats.html"] and "trainers.gpt" in pages["train.html"]
    assert not [name for name, text in pages.items() if "{{" in text]


def test_no_request_to_anybody_else(site: Path) -> None:
    """Pages load nothing from other hosts: no fonts, no scripts."""
    loads = re.compile(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\s\">]+)")
    assert {address for page in site.rglob("*.html") for address in loads.findall(page.read_text("utf-8"))} == set()
