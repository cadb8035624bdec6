"""Mixed documents: how much of a document is in lines of another language than Japanese.

A document is judged by its letters together (`filters.text.language`), where kana outweigh what is written without them: one Japanese line
among eight of Chinese makes a document with kana enough. So documents that are not Japanese through and through are looked at line by line.
A line is told by script: kana with their Han, Han that weigh for Chinese (those of a document together), hangul, other scripts, and Latin letters
where they are words of a sentence. Code, addresses, numbers and short labels are no evidence of any language.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import buffers, jit, to_arrow
from filters.text import language
from filters.text import language_script as s
from filters.text.language_model import UNKNOWN

LEAST_SHARE = 0.4  # of lines in Japanese, from which on a document is Japanese: a text and its translation, line by line, have 0.5
ALPHABET = 0.5  # what a character counts in a line in an alphabet: the same news take 55 in Japanese, 54 in Korean, 43 in Chinese, 106 in English
MOST_FOREIGN = 0.05  # of the letters, alphabets by half: documents below, with hiragana as in prose, are not looked at line by line
MOST_PLAIN_HAN = 0.4  # hiragana / (hiragana + Han): as in prose
LEAST_LETTERS = 5  # of a line; shorter ones are labels
LEAST_WORDS = 5  # in Latin letters
SENTENCE_SHARE = 0.75  # of the visible characters: Latin letters in a line that is a sentence
MOST_SIGNS = 0.03  # of the visible characters: signs of programs in such a line

COUNTERS = (*language.COUNTERS, "language_kind", "n_japanese_line_weight", "n_told_line_weight")
JAPANESE, MIXED, ROMAJI, OTHER = "japanese", "mixed", "romaji", "other"
