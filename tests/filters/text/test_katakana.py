"""Katakana is cut as MeCab cuts it with the whole of UniDic."""

import random
from pathlib import Path

import fugashi
import unidic_lite

from filters.text.katakana import CHARACTERS, cut_katakana


def test_words_are_those_of_mecab():
    tagger = fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r "{Path(unidic_lite.DICDIR) / "mecabrc"}"')
    rng = random.Random(1)
    words = "サーバー コンピューター パリ ロオマ マラソン テレビ ベルリン ミラー ラビン ー ン ヴァイオリン ホテル キー ボード".split()
    texts = ["".join(rng.choices(words, k=rng.randint(1, 5)))[: rng.randint(3, 40)] for _ in range(200)]
    texts += ["".join(rng.choices(CHARACTERS, k=rng.randint(1, 40))) for _ in range(100)]
    known = 0
    for text in texts:
        nodes = tagger(text)
        expected = None if any(node.is_unk for node in nodes) else tuple(node.surface for node in nodes)
        assert cut_katakana(text) == expected, text
        known += expected is not None
    assert 100 < known < len(texts)
