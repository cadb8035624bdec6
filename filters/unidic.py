"""UniDic, the dictionary of MeCab: it comes with extras of the package, since it takes 250 MB."""

from __future__ import annotations

from typing import Any

UNIDIC_MODULES = ("fugashi", "unidic_lite")


def open_unidic(options: str) -> Any:
    """Return fugashi's tagger with unidic-lite and further options of MeCab. Raises ModuleNotFoundError that says how to install it."""
    try:
        import fugashi  # late: what is read needs it where readings or words by MeCab are asked for
        import unidic_lite
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"words and readings by UniDic need {error.name}: pip install 'seimai[unidic]'") from None
    return fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" {options}')
