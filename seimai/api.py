"""Everything that `import seimai` offers, in one place; `seimai.__all__` lists it."""

from __future__ import annotations

from pipeline.core.errors import BuildError as BuildError
from pipeline.core.errors import InputError as InputError
from pipeline.core.errors import SeimaiError as SeimaiError
from pipeline.core.errors import UsageError as UsageError
from seimai.corpus import Corpus as Corpus
from seimai.corpus import build as build
from seimai.measures import clean as clean
from seimai.measures import measure as measure
from seimai.measures import signatures as signatures
from seimai.rules import Explanation as Explanation
from seimai.rules import Rules as Rules
from seimai.tokenizer import Tokenizer as Tokenizer
