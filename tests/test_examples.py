"""Every example in a docstring is a test."""

import doctest
import importlib
from pathlib import Path

import pytest

from filters import measure_text

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("filters", "pipeline", "seimai", "tokenizer", "trainers")
WITH_EXAMPLES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_examples(path):
    module = importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    found = doctest.testmod(module, extraglobs={"measure_text": measure_text})
    assert found.attempted and not found.failed
