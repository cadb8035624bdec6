"""How kanji are read, for telling spellings of one word from two words: りんご and 林檎, 保証 and 保障."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from filters.kernels import inline, jit

FIRST_KANJI, KANJI = 0x4E00, 0x5200  # code points
PAIR_BITS = 21
_LONGEST_UNKNOWN = 3  # kana of a kanji without readings
_LONGEST = 8  # kana of a reading
_MOST = 63  # kana of a word
# Kanji that are taken for one another by eye, in what a scanner read or a hand copied.
LOOK_ALIKE = (
    "必心 合台 末未 士土 日曰目 自白 大犬太 人入八 千干于 午牛 王玉主 石右 持待特 間問聞 績積 網綱 緑縁 遺遣 微徴 侯候 治冶 巨臣 "
    "刀力 己已巳 天夫 失矢 木本 住往 体休 料科 氷永水 鳥烏島 輪輸 複復 堀掘 幣弊 滅減 裁栽載 季委 拾捨 逐遂 奮奪 暮墓幕 壁璧 宜宣 "
    "哀衰 困因囚 貧貪 崇祟 斤斥 孤弧 隊墜 撤徹 衝衡 祝視 縦緩 師帥 券巻 析折 抗坑 陥稲"
).split()


class Readings(NamedTuple):
    """The readings of kanji for compiled code, in hiragana without voicing and small kana.

    Those of kanji k are `starts[slot[k]]` to `starts[slot[k] + 1]`: rows of `kana` (uint16, 0 behind the end), `is_chinese` of each.
    `pairs`: bits, by `pair_slot`, of kanji that stand one after the other in text.
    `looks` is the number of a kanji's group of `LOOK_ALIKE`, 0 of others. By code point, up to U+9FFF.
    """

    slot: np.ndarray
    starts: np.ndarray
    kana: np.ndarray
    is_chinese: np.ndarray
    looks: np.ndarray
    pairs: np.ndarray


@inline
def pair_slot(first, second):
    """Return which bit of `Readings.pairs` two code points have."""
    word = np.uint64(first) << np.uint64(16) | np.uint64(second)
    return np.int64(word * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - PAIR_BITS))


def to_hiragana(text: str) -> str:
    return text.translate({cp: cp - 0x60 for cp in range(0x30A1, 0x30F7)})


_VOICED = "がぎぐげござじずぜぞだぢづでどばびぶべぼぱぴぷぺぽぁぃぅぇぉっゃゅょゎゔ"
_PLAIN = dict(zip(_VOICED, "かきくけこさしすせそたちつてとはひふへほはひふへほあいうえおつやゆよわう", strict=True))


@lru_cache(maxsize=1)
def plain_kana() -> np.ndarray:
    """Return uint16[65536]: the hiragana of a kana without voicing and in its full size, 0 of others."""
    out = np.zeros(1 << 16, np.uint16)
    for cp in range(0x3041, 0x3097):
        out[cp] = out[cp + 0x60] = ord(_PLAIN.get(chr(cp), chr(cp)))
    return out


@lru_cache(maxsize=1)
def load_readings() -> Readings:
    """Return the readings of `filters/lists/kanji_readings.txt`."""
    slot, looks = np.full(0xA000, -1, np.int32), np.zeros(0xA000, np.int16)
    starts, rows, is_chinese = [0], [], []
    for line in files("filters").joinpath("lists/kanji_readings.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        kanji, *readings = line.split(" ")
        slot[ord(kanji)] = len(starts) - 1
        for reading in readings:
            plain = plain_kana()[[ord(c) for c in reading]]
            plain = plain[plain > 0][:_LONGEST]
            rows.append(np.concatenate([plain, np.zeros(_LONGEST - len(plain), np.uint16)]))
            is_chinese.append(0x30A1 <= ord(reading[0]) <= 0x30F6)
        starts.append(len(rows))
    for number, group in enumerate(LOOK_ALIKE, 1):
        looks[[ord(c) for c in group]] = number
    with files("filters").joinpath("lists/kanji_pairs.npz").open("rb") as file:
        pairs = np.load(file)["pairs"]
    return Readings(slot, np.array(starts, np.int32), np.array(rows, np.uint16), np.array(is_chinese, np.bool_), looks, pairs)


@inline
def _stand_together(first, second, pairs):
    bit = pair_slot(first, second)
    return pairs[bit >> 3] >> (bit & 7) & 1 != 0


@jit
def is_pair(first, second, readings):
    """Return whether two kanji stand one after the other in text."""
    return _stand_together(first, second, readings.pairs)


@jit
def may_be_mistaken(a, b, before, after, readings):
    """Return whether kanji a may stand for b by mistake, between two others (0 where there is none).

    They share a reading (one from Chinese, in a compound, where both have such), or look alike, or one of them makes no word with its
    neighbours.
    """
    if a >= len(readings.slot) or b >= len(readings.slot):
        return False
    is_compound = before > 0 or after > 0
    for cp in (a, b):
        is_word = before and _stand_together(before, cp, readings.pairs) or after and _stand_together(cp, after, readings.pairs)
        if is_compound and not is_word:
            return True
    if readings.looks[a] and readings.looks[a] == readings.looks[b]:
        return True
    x, y = readings.slot[a], readings.slot[b]
    if x < 0 or y < 0:
        return False
    first, second = readings.starts[x : x + 2], readings.starts[y : y + 2]
    needs_chinese = (
        is_compound and readings.is_chinese[first[0] : first[1]].any() and readings.is_chinese[second[0] : second[1]].any()
    )
    for i in range(first[0], first[1]):
        for j in range(second[0], second[1]):
            if needs_chinese and not (readings.is_chinese[i] or readings.is_chinese[j]):
                continue
            if readings.kana[i, 0] == 0x304A and readings.kana[i, 1] == 0:  # お of 大 and 小
                continue
            if (readings.kana[i] == readings.kana[j]).all():
                return True
    return False


@jit
def is_read_so(kana, n, word, m, plain, readings):
    """Return whether `word[:m]`, of kanji and kana, may be read as `kana[:n]`, of kana; voicing does not count (がっこう 学校)."""
    if n > _MOST:
        return False
    reached = np.uint64(1)  # bit p: the first p kana are read
    for i in range(m):
        cp = word[i]
        following = np.uint64(0)
        own = plain[cp] if cp < len(plain) else np.uint16(0)
        slot = readings.slot[cp] if cp < len(readings.slot) else np.int32(-1)
        for p in range(n):
            if not reached >> np.uint64(p) & np.uint64(1):
                continue
            if own:
                if plain[kana[p]] == own:
                    following |= np.uint64(1) << np.uint64(p + 1)
                continue
            if slot < 0:  # how it is read is not known
                for k in range(p + 1, min(p + _LONGEST_UNKNOWN, n) + 1):
                    following |= np.uint64(1) << np.uint64(k)
                continue
            for row in range(readings.starts[slot], readings.starts[slot + 1]):
                k = 0
                while k < _LONGEST and readings.kana[row, k]:
                    if p + k >= n:
                        k = -1
                        break
                    is_last = k + 1 == _LONGEST or readings.kana[row, k + 1] == 0
                    here = plain[kana[p + k]]
                    if here != readings.kana[row, k] and not (is_last and k and here == 0x3064):  # がく is read がっ
                        k = -1
                        break
                    k += 1
                if k > 0:
                    following |= np.uint64(1) << np.uint64(p + k)
        reached = following
        if reached == 0:
            return False
    return bool(reached >> np.uint64(n) & np.uint64(1))
