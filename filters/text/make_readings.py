"""Make `filters/lists/kanji_readings.txt` and `kanji_pairs.npz` anew: how kanji are read, and which stand one after the other.

    python -m filters.text.make_readings TEXT...

A line of readings is a kanji of JIS X 0208, its readings in words from Chinese (katakana) and the others (hiragana), by UniDic. Of verbs
and adjectives it is the stem, what is left of the reading without the kana that follow: き and く of 来る. Pairs are those that occur
three times and more in the texts (UTF-8), as bits at the places that `pair_slot` gives them. The project's are of Aozora Bunko (before
1970, for the most part), statutes, encyclopedia and manuals: 131,530 pairs in 190 MB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import fugashi
import numpy as np
import unidic_lite

from filters.text.readings import FIRST_KANJI, KANJI, PAIR_BITS, pair_slot, to_hiragana

LISTS = Path(__file__).parents[1] / "lists"
LEAST = 3  # times that a pair occurs: less may be an error
_CHUNK = 1 << 26  # characters of text that are counted at a time
HEAD = "# Made by filters/text/make_readings.py from UniDic (unidic-lite 1.0.8: BSD, LGPL or GPL), kanji of JIS X 0208.\n"
_ENDINGS = (
    "う く ぐ す つ ぬ ぶ む る い える ける げる せる てる でる ねる べる める れる きる ぎる じる ちる びる みる りる しい"
)
_COMPOUNDS = 24  # nodes that are looked at


def _single_words(tagger: fugashi.Tagger, text: str) -> list[tuple[str, bool]]:
    """Return the readings, in hiragana, of a text as one word, and whether the word is from Chinese."""
    found = []
    for nodes in tagger.nbestToNodeList(text, _COMPOUNDS):
        is_word = len(nodes) == 1 and not nodes[0].is_unk and nodes[0].feature.goshu in ("漢", "和", "記号")  # no names
        if is_word and nodes[0].feature.kana not in (None, "", "*"):
            found.append((to_hiragana(nodes[0].feature.kana), nodes[0].feature.goshu == "漢"))
    return found


def read_kanji(tagger: fugashi.Tagger, kanji: str) -> tuple[list[str], list[str]]:
    """Return the readings of a kanji from Chinese, and its others."""
    chinese: dict[str, None] = {}
    native: dict[str, None] = {}
    for reading, is_chinese in _single_words(tagger, kanji):
        (chinese if is_chinese else native)[reading] = None
    for ending in _ENDINGS.split():
        for reading, _ in _single_words(tagger, kanji + ending):
            if reading.endswith(ending) and len(reading) > len(ending):
                native[reading.removesuffix(ending)] = None
    return list(chinese), [reading for reading in native if reading not in chinese]


def write_readings() -> None:
    tagger = fugashi.Tagger(f'-d "{unidic_lite.DICDIR}"')
    lines = []
    for row in range(0xB0, 0xF5):
        for cell in range(0xA1, 0xFF):
            kanji = bytes([row, cell]).decode("euc_jp", "ignore")
            chinese, native = read_kanji(tagger, kanji) if kanji else ([], [])
            if chinese or native:
                katakana = [reading.translate({cp: cp + 0x60 for cp in range(0x3041, 0x3097)}) for reading in chinese]
                lines.append(" ".join([kanji, *katakana, *native]))
    (LISTS / "kanji_readings.txt").write_text(HEAD + "\n".join(lines) + "\n", "utf-8")


def count_pairs(texts: Iterable[str]) -> np.ndarray:
    """Return the pairs of kanji that occur `LEAST` times and more, as int64[n, 2] code points."""
    times = np.zeros(KANJI * KANJI, np.uint8)
    for text in texts:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64) - FIRST_KANJI
        is_kanji = (points >= 0) & (points < KANJI)
        both = is_kanji[:-1] & is_kanji[1:]
        pairs, counts = np.unique(points[:-1][both] * KANJI + points[1:][both], return_counts=True)
        times[pairs] = np.minimum(times[pairs] + np.minimum(counts, LEAST), LEAST)
    return np.stack(np.divmod(np.flatnonzero(times >= LEAST), KANJI), axis=1) + FIRST_KANJI


def write_pairs(texts: Iterable[str]) -> None:
    bits = np.zeros(1 << PAIR_BITS, np.bool_)
    for first, second in count_pairs(texts).tolist():
        bits[pair_slot(first, second)] = True
    np.savez_compressed(LISTS / "kanji_pairs.npz", pairs=np.packbits(bits, bitorder="little"))


def _read_chunks(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            while text := file.read(_CHUNK):
                yield text


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the lists of readings and pairs of kanji anew.")
    parser.add_argument("texts", nargs="+", type=Path, help="text in UTF-8, for pairs of kanji")
    options = parser.parse_args()
    write_readings()
    write_pairs(_read_chunks(options.texts))


if __name__ == "__main__":
    main()
