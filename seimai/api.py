"""Everything that `import seimai` offers, in one place."""

from __future__ import annotations

from pipeline.core.errors import BuildError, InputError, SeimaiError, UsageError
from seimai.corpus import Corpus, build
from seimai.measures import clean, measure, signatures
from seimai.rules import Explanation, Rules
from seimai.tokenizer import Tokenizer

__all__ = [
    "BuildError",
    "Corpus",
    "Explanation",
    "InputError",
    "Rules",
    "SeimaiError",
    "Tokenizer",
    "UsageError",
    "build",
    "clean",
    "measure",
    "signatures",
]
