"""Make the table that mojibake is told by: `python -m filters.text.train_mojibake TEXTS --out filters/lists/mojibake.npz`.

TEXTS is a Parquet file with the columns `text` and `language`. Japanese texts are written in one charset and read in another
(`KINDS`), and a table of weights learns to tell the result from texts as they are, Japanese and others.

1. Characters are put into classes: marks, Latin letters and half-width kana each on their own, Han and hangul by how much more often
   mojibake has them, and which kind of it, others by block.
2. A pair of neighbours has the weight of its classes: a logistic regression over stretches of `STRETCH` characters, without intercept.

The table has numbers alone, no text.
"""

from __future__ import annotations

import argparse
import random
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from filters.kernels import buffers
from filters.text.mojibake import CLASSES, EVIDENCE, SCALE, Tables, count_mojibake

WRITTEN = ("utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be")
READ = ("utf-8", "cp932", "euc_jp", "latin-1", "cp1252", "gbk", "gb18030", "big5", "euc_kr", "cp949")
KINDS = [
    *((written, read, errors) for written in WRITTEN for read in READ for errors in ("replace", "ignore")),
    ("utf-8", "latin-1 twice", "replace"),
    ("utf-8", "cp1252 twice", "ignore"),
    ("utf-16-le", "utf-16-be", "ignore"),
]
STRETCH = 16  # characters that are judged together in training
_SAME = {("cp932", "cp932"), ("euc_jp", "euc_jp"), ("utf-8", "utf-8")}
_STEPS = 120
_ROUNDS = 2  # with the clean texts that are hardest to tell
_TEXTS = 5000  # of each group
_LIMIT = 3.0  # of a weight: one pair alone is no evidence
_MARGIN = 10  # of a stretch, on either side
_READ_FAMILIES = {
    "cp932": "cp932",
    "euc_jp": "euc_jp",
    "gbk": "gb",
    "gb18030": "gb",
    "big5": "big5",
    "euc_kr": "kr",
    "cp949": "kr",
}


def kinds() -> list[tuple[str, str, str]]:
    """Return the ways to garble text: written in, read as, and what becomes of errors. Those that garble nothing are left out.

    ISO-2022-JP is ASCII: whoever reads it as another charset sees the same.
    """
    once = {("iso2022_jp", read) for read in READ if read != "utf-8"}
    return [kind for kind in KINDS if kind[:2] not in _SAME | once and kind != ("iso2022_jp", "utf-8", "ignore")]


def garble(text: str, written: str, read: str, errors: str) -> str:
    """Return `text` written in one charset and read in another.

    >>> garble("これ", "utf-8", "cp932", "ignore")
    '縺薙ｌ'
    """
    if read.endswith(" twice"):
        charset = read.removesuffix(" twice")
        for _ in range(2):
            text = text.encode(written).decode(charset, errors)
        return text
    return text.encode(written, "ignore").decode(read, errors)


def narrow_katakana(text: str, hiragana: bool) -> str:
    """Return `text` with half-width katakana; with `hiragana` these, too."""
    if hiragana:
        text = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)
    return "".join(_narrow().get(x, x) for x in unicodedata.normalize("NFD", text))


def _narrow() -> dict[str, str]:
    if not _NARROW:
        for cp in range(0xFF61, 0xFFA0):
            _NARROW[unicodedata.normalize("NFKC", chr(cp))] = chr(cp)
    return _NARROW


_NARROW: dict[str, str] = {}


def make_lists(draw: random.Random, count: int) -> Iterable[str]:
    """Yield lists of characters as dictionaries and tables of charsets have them: drawn, and in the order of a charset."""
    for _ in range(count):
        charset = draw.choice(["euc_jp", "euc_jp", "gb2312", "big5", "euc_kr"])
        first = draw.randrange(0xB0, 0xF4)
        joint = draw.choice(["", "", "、", " ", "　", "\n", "・"])
        if draw.random() < 0.5:
            rows = bytes(x for cell in range(0xA1, 0xFF) for x in (first, cell))
            characters = list(rows.decode(charset, "ignore"))
        else:
            pairs = [bytes([draw.randrange(0xB0, 0xF4), draw.randrange(0xA1, 0xFF)]) for _ in range(60)]
            characters = [pair.decode(charset, "ignore") for pair in pairs]
        if draw.random() < 0.3:
            joint = draw.choice(["（もつれる）", "：そう、くりかえす\n", " jǐ ", "コウ・ク "])
        yield joint.join(characters)


def to_codes(texts: Iterable[str]) -> np.ndarray:
    """Return uint16: the code points of texts, U+FFFF for those beyond the first plane, a newline between texts."""
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.minimum(codes, 0xFFFF).astype(np.uint16)


def _block_class(cp: int) -> str:
    """Return the class of a character that is neither Han nor hangul, as a name."""
    c = chr(cp)
    if cp < 0x80:
        if c.isalpha():
            return "upper" if c.isupper() else "lower"
        return "digit" if c in "123456789" else "control" if cp < 32 and c not in "\t\n\r\0\x1b" else c
    if cp < 0xA0:
        return "C1"
    if cp < 0x100:
        return c if c in "ÂÃãâ¤¥¡\xa0" else "lead" if c in "äåæçèé" else f"Latin-1 {cp >> 4}"
    if 0x80 <= cp < 0xFFFF and len(c.encode("cp1252", "ignore")) == 1:
        return "Windows sign" if c in "‘’“”–—…•" else "Windows letter"
    if cp in (0xFFFD, 0x3000, 0x3001, 0x3002, 0x30FC, 0x30FB, 0xFF61, 0xFF64, 0xFF65, 0xFF9E, 0xFF9F):
        return c
    if 0xFF61 <= cp <= 0xFF9F:
        return f"narrow {(cp - 0xFF61) // 5}"
    if 0x3041 <= cp <= 0x309F:
        return "small hiragana" if c in "ぁぃぅぇぉっゃゅょゎ" else f"hiragana {(cp - 0x3041) // 24}"
    if 0x30A0 <= cp <= 0x30FF:
        return "small katakana" if c in "ァィゥェォッャュョヮヵヶ" else f"katakana {(cp - 0x30A0) // 24}"
    if 0xE000 <= cp <= 0xF8FF:
        return "private"
    if 0xD800 <= cp <= 0xDFFF or cp == 0xFFFF:
        return "beyond"
    if cp < 0x800:
        return f"alphabet {cp >> 7}"
    if 0x3100 <= cp < 0x3400:
        return f"CJK {cp >> 7}"
    if 0xFF00 <= cp <= 0xFF60:
        return "wide " + ("letter" if c.isalpha() else "digit" if c.isdigit() else "sign")
    return f"block {cp >> 8}" if 0x2000 <= cp < 0x3400 else f"block {cp >> 12} of 4096"


def make_classes(clean: list[np.ndarray], garbled: list[np.ndarray], families: list[str]) -> np.ndarray:
    """Return uint8[65536]: the class of every character. `families`: the charset that each kind was read in."""

    def frequencies(codes: np.ndarray) -> np.ndarray:
        counts = np.bincount(codes, minlength=65536) + 0.3
        return np.log(counts / counts.sum())

    as_is = np.max([frequencies(codes) for codes in clean], axis=0)
    broken = np.stack([frequencies(codes) for codes in garbled])
    odds = broken.max(axis=0) - as_is
    names = np.array([_block_class(cp) for cp in range(65536)], object)
    for name, spans in (("Han", [(0x3400, 0xA000), (0xF900, 0xFB00)]), ("hangul", [(0xAC00, 0xD7A4)])):
        members = np.concatenate([np.arange(*span) for span in spans])
        seen = (np.exp(as_is[members]) > np.exp(as_is.min()) * 1.5) | (odds[members] > 0.5)
        # By odds, and of those that speak for mojibake by the charset that has them most.
        bins = np.clip(np.round(odds[members]), -5, 6).astype(int)
        family = np.array(families)[broken[:, members].argmax(axis=0)]
        # Chinese has them, Japanese has not: beside kana they are odd.
        foreign = frequencies(clean[0])[members] < np.log(1e-6)
        for cp, is_seen, step, kind, is_foreign in zip(members, seen, bins, family, foreign, strict=True):
            suffix = (f" {kind}" if step > 0 else "") + (" foreign" if is_foreign and step < 3 else "")
            names[cp] = f"{name} unseen" if not is_seen else f"{name} {step}{suffix}"
    distinct = {name: number for number, name in enumerate(sorted(set(names)))}
    assert len(distinct) <= CLASSES, f"{len(distinct)} classes"
    return np.array([distinct[name] for name in names], np.uint8)


@dataclass
class TrainingSet:
    """Code points of texts; `label`: 1 for mojibake; `weight`: of all together."""

    codes: np.ndarray
    label: int
    weight: float


def train(classes: np.ndarray, sets: list[TrainingSet], table: np.ndarray | None = None, steps: int = _STEPS) -> np.ndarray:
    """Return float32[CLASSES, CLASSES]: the weights of pairs of classes, from those of `table` on."""
    pairs, labels, weights = [], [], []
    for one in sets:
        named = classes[one.codes].astype(np.int32)
        pair = named[:-1] * CLASSES + named[1:]
        rows = pair[: len(pair) // STRETCH * STRETCH].reshape(-1, STRETCH)
        pairs.append(rows)
        labels.append(np.full(len(rows), one.label, np.float32))
        weights.append(np.full(len(rows), one.weight / max(len(rows), 1), np.float32))
    x, y, sample = np.concatenate(pairs), np.concatenate(labels), np.concatenate(weights)
    used, flat = np.unique(x.ravel(), return_inverse=True)
    second = used % CLASSES
    # ASCII, its wide forms and kana alone say nothing: code and base64 look like anything.
    plain = np.unique(np.concatenate([classes[9:127], classes[0x3000:0x3100], classes[0xFF01:0xFF5F]]))
    is_plain = np.isin(used // CLASSES, plain) & np.isin(second, plain)
    pair, single = np.zeros(len(used), np.float32), np.zeros(CLASSES, np.float32)
    if table is not None:
        pair += table.ravel()[used]
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (pair, single)]
    for step in range(1, steps + 1):
        total = np.clip(pair + single[second], -_LIMIT, np.where(is_plain, 0, _LIMIT))
        score = total[flat].reshape(x.shape).sum(axis=1)
        error = (1 / (1 + np.exp(-np.clip(score - _MARGIN * (2 * y - 1), -30, 30))) - y) * sample
        slope = np.bincount(flat, np.repeat(error, STRETCH), len(used)).astype(np.float32)
        for parameters, gradient, (first, square) in (
            (pair, slope + 3e-8 * pair, moments[0]),
            (single, np.bincount(second, slope, CLASSES).astype(np.float32), moments[1]),
        ):
            first += 0.1 * (gradient - first)
            square += 0.01 * (gradient**2 - square)
            parameters -= 0.1 * (first / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-9)
            np.clip(parameters, -_LIMIT, _LIMIT, out=parameters)
        if step % 40 == 0:
            print(
                f"step {step}: wrong {((score > 0) != (y > 0)).mean():.5f}, of clean {(score[y == 0] > 0).mean():.6f}",
                flush=True,
            )
    out = np.repeat(np.minimum(single, 0)[None], CLASSES, axis=0)  # of pairs never seen, what speaks against it alone
    out.ravel()[used] = np.clip(pair + single[second], -_LIMIT, np.where(is_plain, 0, _LIMIT))
    return out


def quantise(table: np.ndarray) -> np.ndarray:
    return np.clip(np.round(table * SCALE), -127, 127).astype(np.int8)


def make_swaps(japanese: np.ndarray) -> np.ndarray:
    """Return int8[65536]: how much more common a kanji is where its bytes in GBK are read as EUC-JP, in `SCALE`ths."""
    counts = np.bincount(japanese, minlength=65536) + 0.3
    log, out = np.log(counts / counts.sum()), np.zeros(65536, np.float32)
    for cp in range(0x4E00, 0xA000):
        try:
            out[cp] = log[ord(chr(cp).encode("gbk").decode("euc_jp"))] - log[cp]
        except (UnicodeError, TypeError):
            out[cp] = -_LIMIT  # in no such text
    return quantise(np.clip(out, -_LIMIT, _LIMIT))


def find_hard(texts: list[str], classes: np.ndarray, table: np.ndarray) -> list[str]:
    """Return the pieces of clean texts that look most like mojibake to a table."""
    pieces = [text[at : at + 160] for text in texts for at in range(0, len(text), 160)]
    data, offsets = buffers(pl.Series(pieces, dtype=pl.String))
    found = count_mojibake(data, offsets[:-1], offsets[1:], classes, quantise(table), np.zeros(65536, bool), EVIDENCE // 3)
    return [pieces[d] for d in np.flatnonzero(found[:, 0])]


def train_on(frame: pl.DataFrame, seed: int = 0) -> Tables:
    """Return what was learnt from the columns `text` and `language`."""
    draw = random.Random(seed)
    japanese = frame.filter(language="ja")["text"].to_list()
    others = frame.filter(pl.col("language") != "ja")["text"].to_list()
    draw.shuffle(japanese)
    draw.shuffle(others)
    some = [text[:1000] for text in japanese[:_TEXTS]]
    clean = [
        TrainingSet(to_codes(some), 0, 6.0),
        TrainingSet(to_codes(text[:600] for text in others[:_TEXTS]), 0, 5.0),
        TrainingSet(to_codes(make_lists(draw, 3000)), 0, 5.0),
        TrainingSet(to_codes(narrow_katakana(text, hiragana=k % 2 == 0) for k, text in enumerate(some[:300])), 0, 3.0),
    ]
    garbled = []
    for kind in kinds():
        weight = 8.0 if kind[0] == "euc_jp" and kind[1].startswith("gb") else 1.0  # kana stay, kanji become others
        garbled.append(
            TrainingSet(to_codes(garble(text[:1000], *kind) for text in draw.sample(some, min(25, len(some)))), 1, weight)
        )
    for one in garbled:
        one.weight /= len(garbled)
    families = [_READ_FAMILIES.get(kind[1], "none") for kind in kinds()]
    classes = make_classes([one.codes for one in clean], [one.codes for one in garbled], families)
    table, hard = train(classes, [*clean, *garbled]), list[str]()
    narrow = [narrow_katakana(text, hiragana=k % 2 == 0) for k, text in enumerate(some[:2000])]
    for _ in range(_ROUNDS):
        hard += find_hard([*japanese, *others, *narrow, *make_lists(draw, 6000)], classes, table)
        print(f"hard: {len(hard):,} pieces", flush=True)
        table = train(classes, [*clean, *garbled, TrainingSet(to_codes(hard), 0, 6.0)], table, _STEPS // 2)
    return Tables(classes, quantise(table), make_swaps(clean[0].codes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tables = train_on(pl.DataFrame(pl.from_arrow(pq.read_table(options.texts))))
    np.savez_compressed(options.out, **tables._asdict())
    print(f"{options.out}: {len(np.unique(tables.classes))} classes, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
