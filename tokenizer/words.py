"""Mark word boundaries for training: no piece crosses the end of a word by MeCab or Sudachi. Encoding needs no dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from filters.published.words import SUDACHI_MODULES
from filters.unidic import UNIDIC_MODULES, open_unidic
from pipeline.core.libraries import require_modules

WordBoundaries = Literal["none", "mecab", "sudachi"]
# Stands between words in the training text. It is for private use, and is removed from texts and from the vocabulary.
DELIMITER = "\ue000"
_LONGEST_LINE = 40_000  # bytes that Sudachi takes at a time: 49,149 at most


def check_words(words: WordBoundaries) -> None:
    """Raise UsageError where the dictionary that marks words is not installed."""
    if words == "mecab":
        require_modules(UNIDIC_MODULES, "words = 'mecab'", "unidic")
    if words == "sudachi":
        require_modules(SUDACHI_MODULES, "words = 'sudachi'", "sudachi")


def make_splitter(words: WordBoundaries) -> Callable[[Iterable[str]], Iterator[str]]:
    """Make the function that puts `DELIMITER` between the words of lines. Lines hold no line feeds and at most 40,000 bytes.

    `mecab` splits into the short units of UniDic (unidic-lite), `sudachi` into the long units of SudachiDict (mode C).
    """
    if words == "mecab":
        return _split_with_mecab
    if words == "sudachi":
        return _split_with_sudachi
    return lambda lines: iter(lines)


def _split_with_mecab(lines: Iterable[str]) -> Iterator[str]:
    # %M is a word with the whitespace before it, so that nothing of the line is lost.
    output = f'-O "" -F %M{DELIMITER} -U %M{DELIMITER} -E ""'
    parse = open_unidic(f"-r /dev/null {output}").parse
    for line in lines:
        words = parse(line)
        # Spaces at the end belong to no word and are left out.
        yield words.removesuffix(DELIMITER) + line[len(words) - words.count(DELIMITER) :]


def _split_with_sudachi(lines: Iterable[str]) -> Iterator[str]:
    try:
        from sudachipy import Dictionary, SplitMode
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"words by Sudachi need {error.name}: pip install 'seimai[sudachi]'") from None
    dictionary = Dictionary(dict="core")
    tokenizer = dictionary.tokenizer() if hasattr(dictionary, "tokenizer") else dictionary.create()
    for line in lines:
        if len(line.encode()) > _LONGEST_LINE:
            raise ValueError(f"a line of {len(line.encode()):,} bytes: Sudachi takes {_LONGEST_LINE:,}")
        yield DELIMITER.join(m.surface() for m in tokenizer.tokenize(line, SplitMode.C))
