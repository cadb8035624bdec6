"""Word boundaries for training: where MeCab or Sudachi sees a word end, no piece goes on. No dictionary is needed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

Words = Literal["none", "mecab", "sudachi"]
# Between words in the training text; of private use, and removed from texts and from the vocabulary.
DELIMITER = "\ue000"
_LONGEST = 40_000  # bytes that Sudachi takes at a time: 49,149 at most


def splitter(words: Words) -> Callable[[Iterable[str]], Iterator[str]]:
    """What puts `DELIMITER` between the words of lines. Lines hold no line feeds and at most 40,000 bytes.

    `mecab` splits into the short units of UniDic (unidic-lite), `sudachi` into the long units of SudachiDict (mode C).
    """
    if words == "mecab":
        return _mecab
    if words == "sudachi":
        return _sudachi
    return lambda lines: iter(lines)


def _mecab(lines: Iterable[str]) -> Iterator[str]:
    import fugashi
    import unidic_lite

    # %M is a word with the whitespace before it, so that nothing of the line is lost.
    shown = f'-O "" -F %M{DELIMITER} -U %M{DELIMITER} -E ""'
    parse = fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r /dev/null {shown}').parse
    for line in lines:
        found = parse(line)
        # Spaces at the end belong to no word and are left out.
        yield found.removesuffix(DELIMITER) + line[len(found) - found.count(DELIMITER) :]


def _sudachi(lines: Iterable[str]) -> Iterator[str]:
    try:
        from sudachipy import Dictionary, SplitMode
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"words by Sudachi need {error.name}: pip install 'seimai[sudachi]'") from None
    made = Dictionary(dict="core")
    tokenizer = made.tokenizer() if hasattr(made, "tokenizer") else made.create()
    for line in lines:
        if len(line.encode()) > _LONGEST:
            raise ValueError(f"a line of {len(line.encode()):,} bytes: Sudachi takes {_LONGEST:,}")
        yield DELIMITER.join(m.surface() for m in tokenizer.tokenize(line, SplitMode.C))
