"""Seimai from Python: what the commands do, with tables in and polars frames out.

    import seimai

    corpus = seimai.build("cc100-ja", out="corpora/mine", set={"rules.chars.at_least": 100})
    corpus.ledger.filter(verdict="dropped").group_by("rule").len().collect()

    print(seimai.Rules("ja-web").explain("今すぐ登録!"))
    seimai.clean(["ﾊﾞナナ　です。"])

Names are loaded when they are first used: `import seimai` itself takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seimai.packages import check_packages

if TYPE_CHECKING:
    from seimai.api import (
        BuildError,
        Corpus,
        Explanation,
        InputError,
        Rules,
        SeimaiError,
        Tokenizer,
        UsageError,
        build,
        clean,
        measure,
        signatures,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'seimai' has no attribute {name!r}")
    check_packages()
    from seimai import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
