"""Japanese in Latin letters: words that are made of Japanese syllables, and the particles and endings among them."""

from __future__ import annotations

import re

PARSED_SHARE = 0.9  # of the letters: in words that are made of Japanese syllables
MARKED_SHARE = 0.12  # of the words: particles and endings
LEAST_KINDS, LEAST_WITH_ENDING = 3, 2  # different particles and endings; the second where a verb's ending is among them
LEAST_LETTERS = 8
PREFIX = 300  # characters that are looked at
LONG_WORD = 20  # letters: words of syllables alone do not grow so long but where no spaces are written
_VOWEL = "[aiueoāīūēōâîûêô]"
_SYLLABLES = (
    r"(?:(?:kk?y?|gg?y?|ss?h?y?|zz?y?|tt?y?|t?ts|t?ch|cch|dd?y?|nn?y?|hy?|bb?y?|pp?y?|my?|ry?|f|j|w|y)?"
    rf"{_VOWEL}|[nm](?!{_VOWEL}))+"
)
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_PARSES = re.compile(_SYLLABLES)
# What romaji hardly has: three words in a row with a letter, a pair of letters or an ending that are none of Japanese.
_NOT = r"(?:[^\W\d_]*(?:[lqvx]|th|nd|st|rt|c(?!h)|[bdfgjkmprstwyz](?![^\W\d_]))[^\W\d_]*)"
_FOREIGN = re.compile(rf"\b{_NOT}\W+{_NOT}\W+{_NOT}\b")
_PARTICLES = frozenset("wa ga wo ni no de to mo ka yo kara made yori da".split())
_ENDING = re.compile(".*(?:desu|masu|masen|mashita|mashou?|deshita|deshou?|shita|shite|suru|kudasai|teiru|nakatta|nasai)")
_GREETING = re.compile(".*(?:gozaimasu|gozaimashita|kudasai|itadakimasu)|konnichiwa|konbanwa|sumimasen|gomennasai|arigatou")


def is_romaji(text: str) -> bool:
    """Say whether a text in Latin letters is Japanese.

    >>> is_romaji("Ohayou gozaimasu, ogenki desu ka?"), is_romaji("This is a test of the system.")
    (True, False)
    """
    text = text[:PREFIX].lower()
    if _FOREIGN.search(text):
        return False
    words = [word.replace("-", "").replace("'", "") for word in _WORD.findall(text)]
    letters = sum(map(len, words))
    parsed = [word for word in words if _PARSES.fullmatch(word)]
    if letters < LEAST_LETTERS or sum(map(len, parsed)) < PARSED_SHARE * letters:
        return False
    if sum(len(word) for word in parsed if len(word) >= LONG_WORD) >= letters / 2 or _GREETING.fullmatch(words[-1]):
        return True
    endings = [word for word in parsed if _ENDING.fullmatch(word)]
    marked = [*endings, *(word for word in parsed if word in _PARTICLES)]
    return len(marked) >= MARKED_SHARE * len(words) and len(set(marked)) >= (LEAST_WITH_ENDING if endings else LEAST_KINDS)
