"""Write the sample of the manifest `image-text-ja` to manifests/samples: `image-text-ja.tar`, `.parquet` and `.truth.jsonl`.

    python tests/samples/make_image_text_ja.py            # the same files again
    python tests/samples/make_image_text_ja.py --seeds    # after a change of a scene: prints SEEDS anew

A scene draws a picture and says in Japanese what it drew, out of the same throws of the dice, so that caption and picture agree.
No font, photograph or clip art is used. What a caption or picture can have wrong with it is planted and labelled in the truth
file. The layout is img2dataset's: KEY.jpg (png, webp), KEY.txt and KEY.json in a tar, and a Parquet file that also lists what
could not be downloaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageEnhance, ImageOps

SEED = 20250412
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
NAME = "image-text-ja"
FINE = 3  # pictures are drawn three times as large and scaled down: smooth edges

# -- drawing -------------------------------------------------------------------------------------------------------------------

COLOURS = {
    "赤い": "#c8322d",
    "青い": "#2f6db5",
    "黄色い": "#f0c02e",
    "緑の": "#3f9a4f",
    "白い": "#f7f4ec",
    "黒い": "#2a2a30",
    "オレンジ色の": "#ee8226",
    "ピンクの": "#ee8fb0",
    "紫の": "#7f4fa3",
    "茶色の": "#8a5a35",
    "水色の": "#8fcbe8",
    "灰色の": "#8f9499",
}

Point = tuple[float, float]


def mix(a: str, b: str, share: float) -> str:
    one, two = ImageColor.getrgb(a)[:3], ImageColor.getrgb(b)[:3]
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(one, two, strict=True))


def dark(colour: str, share: float = 0.3) -> str:
    return mix(colour, "#101018", share)


def light(colour: str, share: float = 0.4) -> str:
    return mix(colour, "#ffffff", share)


def pick(r: random.Random, *names: str) -> tuple[str, str]:
    name = r.choice(names or tuple(COLOURS))
    return name, COLOURS[name]


class Canvas:
    """Height is 100, width `w`; colours may have an alpha (`#rrggbbaa`)."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.w = 100 * width / height
        self.unit = height * FINE / 100
        self.image = Image.new("RGB", (width * FINE, height * FINE), "#ffffff")
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.mirror = True  # whether left and right may be exchanged

    def _at(self, points: list[Point]) -> list[Point]:
        return [(x * self.unit, y * self.unit) for x, y in points]

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: str, round_: float = 0) -> None:
        box = self._at([(min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))])
        self.pen.rounded_rectangle(box, round_ * self.unit, colour) if round_ else self.pen.rectangle(box, colour)

    def ell(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        self.pen.ellipse(self._at([(x - rx, y - ry), (x + rx, y + ry)]), colour)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        self.ell(x, y, radius, radius, colour)

    def ring(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        self.pen.ellipse(self._at([(x - radius, y - radius), (x + radius, y + radius)]), None, colour, round(width * self.unit))

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, colour: str) -> None:
        self.pen.pieslice(self._at([(x - rx, y - ry), (x + rx, y + ry)]), start, end, colour)

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, colour: str, width: float) -> None:
        self.pen.arc(self._at([(x - rx, y - ry), (x + rx, y + ry)]), start, end, colour, round(width * self.unit))

    def poly(self, points: list[Point], colour: str) -> None:
        self.pen.polygon(self._at(points), colour)

    def line(self, points: list[Point], colour: str, width: float = 1) -> None:
        self.pen.line(self._at(points), colour, max(1, round(width * self.unit)), "curve")

    def petal(self, x: float, y: float, length: float, width: float, angle: float, colour: str) -> None:
        """An ellipse that begins at (x, y) and points to `angle` (degrees, clockwise from the right)."""
        a = math.radians(angle)
        steps = [2 * math.pi * i / 24 for i in range(24)]
        along = [(length / 2 * (1 + math.cos(t)), width / 2 * math.sin(t)) for t in steps]
        self.poly([(x + u * math.cos(a) - v * math.sin(a), y + u * math.sin(a) + v * math.cos(a)) for u, v in along], colour)

    def brush(self, points: list[Point], colour: str, first: float, last: float) -> None:
        """A stroke along `points`, whose width goes from `first` to `last`."""
        n = 40
        for i in range(len(points) - 1):
            (x0, y0), (x1, y1) = points[i : i + 2]
            for j in range(n + 1):
                t = (i + j / n) / (len(points) - 1)
                width = first + (last - first) * t
                self.disc(x0 + (x1 - x0) * j / n, y0 + (y1 - y0) * j / n, width / 2, colour)

    def grade(self, top: str, low: str, y0: float = 0, y1: float = 100) -> None:
        a, b = round(y0 * self.unit), round(y1 * self.unit)
        if b > a:
            shade = Image.linear_gradient("L").resize((self.image.width, b - a))
            both = [Image.new("RGB", shade.size, colour) for colour in (low, top)]
            self.image.paste(Image.composite(*both, shade), (0, a))

    def glow(self, x: float, y: float, radius: float, colour: str, strength: float = 0.7) -> None:
        side = round(2 * radius * self.unit)
        mask = Image.radial_gradient("L").point(lambda v: round(max(0.0, 255 - v * 2**0.5) * strength)).resize((side, side))
        self.image.paste(colour, (round((x - radius) * self.unit), round((y - radius) * self.unit)), mask)

    def clouds(self, r: random.Random, low: str, high: str, across: int, down: int, octaves: int = 3) -> None:
        """The whole canvas in smooth noise between two colours."""
        total = np.zeros((self.image.height, self.image.width))
        for o in range(octaves):
            grid = across << o, down << o
            octave = Image.frombytes("L", grid, r.randbytes(grid[0] * grid[1])).resize(
                self.image.size, Image.Resampling.BICUBIC
            )
            total += np.asarray(octave, float) / 2**o
        total = (total - total.min()) / (total.max() - total.min())
        mask = Image.fromarray((total * 255).round().astype(np.uint8))
        both = [Image.new("RGB", mask.size, colour) for colour in (high, low)]
        self.image.paste(Image.composite(*both, mask))

    def ridge(self, r: random.Random, base: float, height: float, colour: str, peaks: int = 5) -> None:
        step = self.w / (peaks * 2)
        tops = [
            (i * step, base - (height * r.uniform(0.55, 1) if i % 2 else height * r.uniform(0, 0.4)))
            for i in range(peaks * 2 + 1)
        ]
        self.poly([(0, 100), *tops, (self.w, 100)], colour)

    def done(self) -> Image.Image:
        image = self.image.resize(self.size, Image.Resampling.BOX)
        return ImageOps.mirror(image) if self.mirror else image


# -- what scenes have in common ------------------------------------------------------------------------------------------------

# Word, sky above and at the horizon, sun or moon, light on things.
TIMES = [
    ("夕焼けの", "#57386f", "#f79a48", "#ffe39a"),
    ("朝焼けの", "#4a6ea6", "#ffc3a0", "#fff3cf"),
    ("昼の", "#3a88d0", "#d3ecf7", ""),
    ("月夜の", "#0b1330", "#2d4474", "#f5eec6"),
    ("曇りの日の", "#87929d", "#d6dadb", ""),
]


def sky(c: Canvas, r: random.Random, horizon: float = 100, times: str = "夕朝昼月曇") -> str:
    word, top, low, disc = r.choice([t for t in TIMES if t[0][0] in times])
    c.grade(top, low, 0, horizon)
    x, y, size = r.uniform(0.12, 0.88) * c.w, r.uniform(0.2, 0.75) * horizon, r.uniform(5, 11)
    if word[0] == "月":
        for _ in range(40):
            c.disc(r.uniform(0, c.w), r.uniform(0, horizon), r.uniform(0.25, 0.6), "#ffffffc0")
    if disc:
        c.glow(x, y, size * 4, disc, 0.6)
        c.disc(x, y, size, disc)
    else:
        for _ in range(r.randint(2, 4)):
            puff(c, r, r.uniform(0.1, 0.9) * c.w, r.uniform(0.12, 0.6) * horizon, r.uniform(6, 12))
    return word


def puff(c: Canvas, r: random.Random, x: float, y: float, size: float) -> None:
    for dx, dy, s in ((-1.1, 0.15, 0.6), (-0.4, -0.2, 0.8), (0.45, -0.1, 0.75), (1.1, 0.2, 0.5)):
        c.ell(x + dx * size, y + dy * size, size * s, size * s * 0.7, "#ffffffd8")


def backdrop(c: Canvas, r: random.Random) -> str:
    """Fills the canvas and says what with; what follows in the caption is a verb."""
    _, colour = pick(r, "水色の", "ピンクの", "黄色い", "緑の", "灰色の", "オレンジ色の", "青い", "紫の")
    pale, deep = light(colour, r.uniform(0.45, 0.75)), light(colour, r.uniform(0, 0.3))
    kind = r.randrange(8)
    c.grade(pale, mix(pale, deep, 0.5))
    if kind == 0:
        floor = r.uniform(45, 80)
        c.grade("#b98a58", "#8c6238", floor, 100)
        for i in range(1, 5):
            c.line([(0, floor + i * i * 2.5), (c.w, floor + i * i * 2.5)], "#6d4a29", 0.6)
        return "木の床に"
    if kind == 1:
        gap = r.uniform(16, 28)
        for i in range(int(c.w / gap) + 2):
            for j in range(int(100 / gap) + 2):
                c.disc((i + j % 2 / 2) * gap, j * gap, gap * 0.28, deep)
        return "水玉模様を背景に"
    if kind == 2:
        gap = r.uniform(12, 26)
        for i in range(0, int(c.w / gap) + 1, 2):
            c.rect(i * gap, 0, (i + 1) * gap, 100, deep)
        return "縦縞を背景に"
    if kind == 3:
        lean = r.uniform(-60, 60)
        c.poly([(c.w / 2 + lean, 0), (c.w, 0), (c.w, 100), (c.w / 2 - lean, 100)], dark(deep, 0.25))
        return "二色に塗り分けた背景に"
    if kind == 4:
        x, y, n = r.uniform(0.3, 0.7) * c.w, r.uniform(20, 80), r.randint(5, 9)
        for i in range(n):
            a, b = 2 * math.pi * i / n, 2 * math.pi * (i + 0.5) / n
            c.poly(
                [(x, y), (x + 220 * math.cos(a), y + 220 * math.sin(a)), (x + 220 * math.cos(b), y + 220 * math.sin(b))], deep
            )
        return "放射状の線を背景に"
    if kind == 5:
        floor = r.uniform(55, 82)
        c.rect(0, floor, c.w, 100, dark(deep, 0.35))
        x = r.uniform(0.1, 0.6) * c.w
        c.rect(x, 8, x + 34, floor - 18, "#ffffff")
        c.rect(x + 2, 10, x + 32, floor - 20, "#bfe3f5")
        c.rect(x + 16, 10, x + 18, floor - 20, "#ffffff")
        return "窓のある部屋に"
    if kind == 6:
        c.glow(r.uniform(0.2, 0.8) * c.w, r.uniform(20, 80), r.uniform(50, 80), "#ffffff", 0.9)
        return "やわらかな光の中に"
    gap = r.uniform(14, 24)
    for i in range(0, int(100 / gap) + 1, 2):
        c.rect(0, i * gap, c.w, (i + 1) * gap, deep)
    c.glow(r.uniform(0, c.w), r.uniform(0, 100), c.w * 0.8, "#ffffff", 0.5)  # a plain line is taken for a border
    return "横縞を背景に"


def tree(c: Canvas, x: float, base: float, height: float, colour: str) -> None:
    c.rect(x - height * 0.05, base - height * 0.45, x + height * 0.05, base, "#6b4a2c")
    for dx, dy, s in ((-0.2, 0.55, 0.2), (0.2, 0.55, 0.2), (0, 0.75, 0.24), (0, 0.55, 0.22)):
        c.disc(x + dx * height, base - dy * height, s * height, colour)
    c.disc(x - 0.08 * height, base - 0.8 * height, 0.12 * height, light(colour, 0.2))


def eyes(c: Canvas, x: float, y: float, apart: float, size: float, colour: str = "#1d1a1a") -> None:
    for dx in (-apart, apart):
        c.disc(x + dx, y, size, colour)
        c.disc(x + dx + size * 0.3, y - size * 0.3, size * 0.3, "#ffffff")


def spot(c: Canvas, r: random.Random, margin: float = 0.3) -> tuple[float, float, float]:
    """Where the one thing in a picture stands, and how large it is."""
    return r.uniform(margin, 1 - margin) * c.w, r.uniform(44, 60), r.uniform(0.75, 1.2) * min(1.0, c.w / 100)


def fit(c: Canvas) -> float:
    """By what to scale something broad, so that it is whole in an upright picture."""
    return min(1.0, c.w / 115)


Scene = Callable[[Canvas, random.Random], str]
SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    SCENES[function.__name__] = function
    return function


# -- landscapes ----------------------------------------------------------------------------------------------------------------


def sea(c: Canvas, r: random.Random, horizon: float, when: str) -> None:
    top, low = {
        "夕": ("#c96a4a", "#4b2f58"),
        "朝": ("#e0a58f", "#3a5f8e"),
        "昼": ("#3f95c9", "#175a94"),
        "月": ("#24406f", "#0a1530"),
    }.get(when[0], ("#8e9ca6", "#4d5c68"))
    c.grade(top, low, horizon, 100)
    for _ in range(14):
        y = r.uniform(horizon + 3, 98)
        x, length = r.uniform(0, c.w), r.uniform(4, 16)
        c.line([(x, y), (x + length, y)], "#ffffff50", 0.8)


@scene
def yacht(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(35, 75)
    when = sky(c, r, horizon, "夕朝昼月")
    sea(c, r, horizon, when)
    name, colour = pick(r, "赤い", "白い", "黄色い", "オレンジ色の")
    x, y, s = r.uniform(0.3, 0.7) * c.w, horizon + r.uniform(6, 20), r.uniform(0.7, 1.5)
    s *= fit(c)
    c.poly([(x - 2 * s, y - 4 * s), (x - 2 * s, y - 44 * s), (x - 24 * s, y - 4 * s)], colour)
    c.poly([(x + 1 * s, y - 4 * s), (x + 1 * s, y - 38 * s), (x + 18 * s, y - 4 * s)], light(colour, 0.35))
    c.poly([(x - 24 * s, y - 2 * s), (x + 22 * s, y - 2 * s), (x + 15 * s, y + 7 * s), (x - 17 * s, y + 7 * s)], "#5a3520")
    return f"{when}海に浮かぶ{name}帆のヨット"


@scene
def snowy_peak(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 92)
    x, top, half = r.uniform(0.3, 0.7) * c.w, r.uniform(12, 36), r.uniform(50, 85)
    base = r.uniform(72, 90)
    c.poly([(x - half, base), (x - half * 0.12, top), (x + half * 0.12, top), (x + half, base)], "#4a6386")
    snow, cap = r.uniform(0.3, 0.5), []
    for i in range(9):
        t = snow * (1 if i % 2 else 0.62)
        left, right = x - half * (0.12 + 0.88 * t), x + half * (0.12 + 0.88 * t)
        cap.append((left + (right - left) * i / 8, top + (base - top) * t))
    c.poly([(x - half * 0.12, top), (x + half * 0.12, top), *reversed(cap)], "#f6f8fb")
    c.grade("#3f6b45", "#274a30", base, 100)
    return f"{when}空にそびえる雪をかぶった山"


@scene
def layered_mountains(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "青い", "緑の", "紫の", "灰色の", "茶色の")
    c.grade(light(colour, 0.9), light(colour, 0.6))
    n = r.randint(3, 5)
    start = r.uniform(25, 55)
    for i in range(n):
        c.ridge(
            r,
            start + (100 - start) * i / n + 8,
            r.uniform(14, 30),
            mix(light(colour, 0.65), dark(colour, 0.35), i / (n - 1)),
            r.randint(2, 5),
        )
    word = {"青い": "青く", "緑の": "緑に", "紫の": "紫色に", "灰色の": "灰色に", "茶色の": "茶色に"}[name]
    return f"{word}かすむ山並みが{n}重に連なる風景"


@scene
def island_palms(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(35, 60)
    when = sky(c, r, horizon, "夕朝昼")
    sea(c, r, horizon, when)
    x = r.uniform(0.3, 0.7) * c.w
    c.ell(x, horizon + 28, 48, 13, "#ecd7a0")
    n = r.randint(1, 3)
    for i in range(n):
        foot, lean = x + (i - (n - 1) / 2) * 24, r.uniform(-12, 12)
        head = (foot + lean, horizon - r.uniform(2, 16))
        c.line([(foot, horizon + 26), (foot + lean * 0.4, horizon + 8), head], "#7a5530", 3)
        for angle in (150, 185, 215, 325, 355, 30):
            c.petal(*head, 22, 6, angle, "#2f7d43" if angle % 2 else "#3c9450")
    return f"{when}砂浜の島に立つ{n}本のヤシの木" if n > 1 else f"{when}小さな島に1本だけ立つヤシの木"


@scene
def lighthouse(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(55, 75)
    when = sky(c, r, horizon)
    sea(c, r, horizon, when)
    x, h = r.uniform(0.2, 0.8) * c.w, horizon - r.uniform(19, 30)
    name, colour = pick(r, "赤い", "青い", "緑の", "黒い")
    c.poly([(x - 36, 100), (x - 20, horizon - 2), (x + 18, horizon - 4), (x + 40, 100)], "#5b6558")
    if when[0] in "夕月曇":
        side = 1 if x < c.w / 2 else -1
        c.poly([(x, horizon - h), (x + side * 130, horizon - h - 22), (x + side * 130, horizon - h + 20)], "#fff2b060")
    for i in range(5):
        y0, y1 = horizon - h * (1 - i / 5), horizon - h * (1 - (i + 1) / 5)
        c.poly([(x - 5 - i, y0), (x + 5 + i, y0), (x + 6 + i, y1), (x - 6 - i, y1)], "#fbfaf5" if i % 2 else colour)
    c.rect(x - 4, horizon - h - 9, x + 4, horizon - h, "#ffe58a")
    c.poly([(x - 6, horizon - h - 8), (x, horizon - h - 15), (x + 6, horizon - h - 8)], colour)
    return f"{when}岬に立つ{name}縞の灯台"


@scene
def rice_fields(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(22, 50)
    when = sky(c, r, horizon, "夕朝昼曇")
    season, colour = r.choice([("稲穂が実った", "#d7a93a"), ("青々とした", "#63ad4d"), ("水を張った", "#9cc3d6")])
    c.ridge(r, horizon + 2, 14, "#55766a", 4)
    c.grade(light(colour, 0.2), dark(colour, 0.2), horizon, 100)
    x = r.uniform(0.2, 0.8) * c.w
    for i in range(-9, 10):
        c.line([(x + i * 5, horizon), (x + i * 42, 100)], dark(colour, 0.4), 1.2)
    for y in (horizon + 8, horizon + 22, horizon + 42):
        c.line([(0, y), (c.w, y)], "#5c7a3a", 1.6)
    return f"{when}空の下に広がる{season}田んぼ"


@scene
def desert(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(35, 60)
    when = sky(c, r, horizon, "夕朝昼月")
    c.grade("#e3b76c", "#b07c3c", horizon, 100)
    n = r.randint(1, 3)
    for i in range(n):
        x, h = c.w * (i + r.uniform(0.3, 0.7)) / n, r.uniform(24, 44)
        c.poly([(x - h * 0.9, horizon + 6), (x, horizon - h), (x + h * 0.2, horizon + 8)], "#d9a95c")
        c.poly([(x, horizon - h), (x + h * 0.9, horizon + 4), (x + h * 0.2, horizon + 8)], "#96662f")
    for _ in range(3):
        y = r.uniform(horizon + 18, 92)
        c.ell(r.uniform(0, c.w), y + 14, r.uniform(40, 70), 12, "#c9974e")
    return f"{when}砂漠に並ぶ{n}つのピラミッド" if n > 1 else f"{when}砂漠にそびえるピラミッド"


@scene
def waterfall(c: Canvas, r: random.Random) -> str:
    season, leaf = r.choice([("新緑の", "#5aa544"), ("紅葉の", "#cf5a2a"), ("深い森の", "#24563a")])
    c.grade(light(leaf, 0.5), dark(leaf, 0.3))
    x, half = r.uniform(0.25, 0.75) * c.w, r.uniform(8, 22)
    c.poly([(x - 55, 8), (x + 55, 8), (x + 60, 90), (x - 62, 90)], "#59574f")
    c.rect(x - half, 8, x + half, 82, "#e9f4f8")
    for _ in range(7):
        u = r.uniform(-half, half)
        c.line([(x + u, 14), (x + u, 80)], "#b4d4e0", 1)
    c.ell(x, 90, c.w * 0.5, 13, "#4f93ab")
    for _ in range(8):
        c.disc(x + r.uniform(-half, half) * 1.3, 81 + r.uniform(-3, 3), r.uniform(2, 5), "#ffffffb0")
    for _ in range(26):
        side = r.choice([-1, 1])
        c.disc(
            x + side * r.uniform(half + 14, 80), r.uniform(0, 70), r.uniform(4, 10), mix(leaf, "#182818", r.uniform(0, 0.45))
        )
    return f"{season}谷を流れ落ちる{'太い' if half > 14 else '細い'}滝"


@scene
def country_road(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(30, 60)
    when = sky(c, r, horizon)
    c.grade("#88b45a", "#4e7f38", horizon, 100)
    x, near = r.uniform(0.25, 0.75) * c.w, r.uniform(0.2, 0.8) * c.w
    c.poly([(x - 1, horizon), (x + 1, horizon), (near + 34, 100), (near - 34, 100)], "#6f7073")
    for i in range(6):
        t0, t1 = (i / 6) ** 1.8, ((i + 0.5) / 6) ** 1.8
        a, b = horizon + (100 - horizon) * t0, horizon + (100 - horizon) * t1
        c.line([(x + (near - x) * t0, a), (x + (near - x) * t1, b)], "#f5f0dc", 0.5 + 2 * t1)
    n = r.randint(2, 4)
    for i in range(n):
        t = 0.1 + 0.55 * i / n
        tree(c, x + (near - x) * t + (28 + 40 * t), horizon + (100 - horizon) * t, 14 + 46 * t, "#2f7040")
    return f"{when}野原をまっすぐ延びる道と並木"


@scene
def forest_night(c: Canvas, r: random.Random) -> str:
    c.grade("#0a0f2b", "#2a3a6a")
    slope = r.uniform(-50, 50)
    for _ in range(150):
        t = r.random()
        x = c.w * t + r.gauss(0, 7)
        c.disc(x, 35 + slope * (t - 0.5) + r.gauss(0, 9), r.uniform(0.3, 0.8), "#ffffffa0")
    for width in (26, 18, 10, 5):
        c.line([(0, 35 - slope / 2), (c.w, 35 + slope / 2)], "#c8d4ff14", width)
    for _ in range(r.randint(6, 12)):
        x, h, base = r.uniform(0, c.w), r.uniform(24, 58), 104
        for i in range(3):
            c.poly(
                [
                    (x - 5 - 4 * i, base - h + h * (i + 1) / 3),
                    (x, base - h + h * i / 4),
                    (x + 5 + 4 * i, base - h + h * (i + 1) / 3),
                ],
                "#0c1c1a",
            )
    return "針葉樹の森の上に広がる天の川"


@scene
def fireworks(c: Canvas, r: random.Random) -> str:
    c.grade("#07081c", "#1d1c46")
    n = r.randint(1, 4)
    for i in range(n):
        x, y, size = c.w * (i + r.uniform(0.3, 0.7)) / n, r.uniform(22, 60), r.uniform(16, 34) if n > 1 else r.uniform(30, 42)
        _, colour = pick(r, "赤い", "黄色い", "緑の", "水色の", "ピンクの")
        c.glow(x, y, size * 1.3, colour, 0.45)
        for k in range(18):
            a = 2 * math.pi * k / 18
            c.line(
                [
                    (x + size * 0.2 * math.cos(a), y + size * 0.2 * math.sin(a)),
                    (x + size * math.cos(a), y + size * math.sin(a)),
                ],
                light(colour, 0.3),
                1,
            )
            c.disc(x + size * math.cos(a), y + size * math.sin(a), 1.6, light(colour, 0.7))
    c.rect(0, 90, c.w, 100, "#04040c")
    for _ in range(12):
        c.disc(r.uniform(0, c.w), r.uniform(91, 99), 0.7, "#ffd98a")
    return f"夜空に開く{n}つの打ち上げ花火" if n > 1 else "夜空いっぱいに開く大輪の花火"


@scene
def snow_scene(c: Canvas, r: random.Random) -> str:
    c.grade("#8fa3bd", "#e3eaf1")
    ground = r.uniform(60, 78)
    c.ell(r.uniform(0.2, 0.8) * c.w, ground + 34, c.w * 0.9, 42, "#f7fafc")
    x, s = r.uniform(0.25, 0.75) * c.w, r.uniform(0.8, 1.25)
    c.disc(x, 80, 17 * s, "#ffffff")
    c.disc(x, 80 - 25 * s, 12 * s, "#ffffff")
    c.ring(x, 80, 17 * s, "#c7d3de", 0.8)
    c.ring(x, 80 - 25 * s, 12 * s, "#c7d3de", 0.8)
    eyes(c, x, 80 - 27 * s, 4 * s, 1.5 * s)
    c.poly([(x, 80 - 24 * s), (x + 9 * s, 80 - 22 * s), (x, 80 - 21 * s)], "#ee8226")
    name, colour = pick(r, "赤い", "青い", "緑の", "黄色い")
    hat = r.random() < 0.5
    if hat:
        c.poly([(x - 9 * s, 80 - 35 * s), (x + 9 * s, 80 - 35 * s), (x + 6 * s, 80 - 52 * s), (x - 6 * s, 80 - 52 * s)], colour)
    else:
        c.rect(x - 11 * s, 80 - 17 * s, x + 11 * s, 80 - 12 * s, colour, 2)
        c.rect(x + 4 * s, 80 - 13 * s, x + 9 * s, 80 + 2 * s, colour, 1)
    for _ in range(36):
        c.disc(r.uniform(0, c.w), r.uniform(0, 95), r.uniform(0.6, 1.5), "#ffffff")
    return f"雪の降る中、{name}{'帽子をかぶった' if hat else 'マフラーを巻いた'}雪だるま"


@scene
def bamboo(c: Canvas, r: random.Random) -> str:
    c.grade("#d9ecb8", "#6e9c4e")
    n = r.randint(5, 8)
    for i in range(n):
        x, width = c.w * (i + r.uniform(0.1, 0.9)) / n, r.uniform(2.5, 7)
        colour = mix("#7fae4b", "#2f6a35", r.random())
        lean = r.uniform(-6, 6)
        for j in range(6):
            y = j * 18 - r.uniform(0, 5)
            c.line([(x + lean * (1 - y / 100), y), (x + lean * (1 - (y + 17) / 100), y + 17)], colour, width)
            c.line(
                [(x + lean * (1 - y / 100) - width / 2, y), (x + lean * (1 - y / 100) + width / 2, y)], light(colour, 0.5), 1
            )
    for _ in range(24):
        c.petal(r.uniform(0, c.w), r.uniform(0, 60), r.uniform(8, 14), 2.4, r.uniform(20, 160), "#3f7d3acc")
    return "木漏れ日のさす竹林"


@scene
def moon_pampas(c: Canvas, r: random.Random) -> str:
    c.grade("#1b2248", "#6a5a86")
    x, y, size = r.uniform(0.3, 0.7) * c.w, r.uniform(26, 45), r.uniform(15, 25)
    c.glow(x, y, size * 2.2, "#ffe9a6", 0.6)
    c.disc(x, y, size, "#fbeeb4")
    rabbit = r.random() < 0.5
    if rabbit:
        c.ell(x, y + 4, size * 0.4, size * 0.28, "#d8c27a")
        c.disc(x - size * 0.35, y - 3, size * 0.2, "#d8c27a")
        c.petal(x - size * 0.35, y - 5, size * 0.5, size * 0.16, -100, "#d8c27a")
        c.petal(x - size * 0.3, y - 5, size * 0.5, size * 0.16, -65, "#d8c27a")
    for _ in range(r.randint(7, 13)):
        foot = r.uniform(-0.1, 0.9) * c.w
        tip = (foot + r.uniform(6, 30), r.uniform(38, 68))
        c.line([(foot, 102), (foot + 3, 80), tip], "#8c8147", 0.9)
        for k in range(5):
            c.petal(*tip, 13, 2.4, -75 + 24 * k, "#e6d9a8")
    return "ススキ野原にのぼる、うさぎ模様の満月" if rabbit else "ススキ野原にのぼる満月"


@scene
def rainbow(c: Canvas, r: random.Random) -> str:
    c.grade("#7fb4dc", "#dcebf2")
    x, y, size = r.uniform(0.2, 0.8) * c.w, r.uniform(75, 100), r.uniform(45, 80)
    for i, colour in enumerate(("#d8433b", "#ee8a2e", "#f3cf3f", "#58ad52", "#3f7fc4", "#5c4a9e", "#8b55a6")):
        c.ring(x, y, size - 3 * i, colour, 3.3)
    ground = r.uniform(66, 80)
    c.ell(c.w * r.uniform(0, 0.4), ground + 38, c.w * 0.7, 42, "#5fa350")
    c.ell(c.w * r.uniform(0.6, 1), ground + 36, c.w * 0.6, 38, "#4b8f45")
    n = r.randint(1, 4)
    for _ in range(n):
        puff(c, r, r.uniform(0, c.w), r.uniform(8, 40), r.uniform(7, 11))
    return "雨上がりの丘にかかる七色の虹"


@scene
def sakura_river(c: Canvas, r: random.Random) -> str:
    c.grade("#a9d3ee", "#e9f3f7")
    x, bottom = r.uniform(0.3, 0.7) * c.w, r.uniform(0.2, 0.8) * c.w
    c.grade("#8fb866", "#5f9148", 52, 100)
    c.poly([(x - 4, 50), (x + 4, 50), (bottom + 30, 100), (bottom - 30, 100)], "#6fa9c6")
    for side in (-1, 1):
        for i in range(4):
            t = i / 4
            px, size = x + (bottom - x) * t + side * (12 + 44 * t), 10 + 20 * t
            c.line([(px, 56 + 34 * t), (px + side * 2, 40 + 4 * t)], "#57402f", 1 + 3 * t)
            for _ in range(7):
                c.disc(
                    px + r.gauss(0, size * 0.5),
                    40 - 8 * t + r.gauss(0, size * 0.35),
                    size * 0.42,
                    r.choice(["#f6c6d6", "#f2aec6", "#fbdde6"]),
                )
    return "川の両岸に満開の桜並木が続く春の景色"


# -- towns and vehicles --------------------------------------------------------------------------------------------------------


@scene
def houses(c: Canvas, r: random.Random) -> str:
    ground = r.uniform(72, 86)
    when = sky(c, r, ground)
    c.grade("#86a56a", "#5d7d49", ground, 100)
    name, roof = pick(r, "赤い", "青い", "茶色の", "緑の", "オレンジ色の")
    n = r.randint(2, 4)
    step = c.w / n
    for i in range(n):
        x, width, h = step * (i + 0.5), step * r.uniform(0.5, 0.78), r.uniform(20, 44)
        c.rect(x - width / 2, ground - h, x + width / 2, ground, r.choice(["#f3e7cf", "#e8dccb", "#dfe5e8"]))
        c.poly([(x - width * 0.62, ground - h), (x, ground - h - r.uniform(12, 26)), (x + width * 0.62, ground - h)], roof)
        c.rect(x - width * 0.1, ground - 15, x + width * 0.1, ground, "#7a5232")
        for dx in (-0.32, 0.32):
            c.rect(
                x + width * (dx - 0.09),
                ground - h * 0.75,
                x + width * (dx + 0.09),
                ground - h * 0.45,
                "#ffd977" if when[0] in "月夕" else "#9cc7e0",
            )
    return f"{when}空の下に{name}屋根の家が{n}軒並ぶ住宅街"


@scene
def cottage(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 80)
    c.ell(c.w / 2, 104, c.w * 0.8, 36, "#6fae58")
    x, s = r.uniform(0.35, 0.65) * c.w, r.uniform(0.9, 1.3)
    s *= fit(c)
    name, roof = pick(r, "赤い", "青い", "茶色の", "緑の", "紫の")
    tree_x = x + r.choice([-1, 1]) * 36 * s
    tree(c, tree_x, 84, 46 * s, "#37803f")
    c.rect(x + 9 * s, 78 - 46 * s, x + 14 * s, 78 - 24 * s, "#8a4b3a")
    c.rect(x - 20 * s, 78 - 26 * s, x + 20 * s, 78, "#f6ecd6")
    c.poly([(x - 26 * s, 78 - 25 * s), (x, 78 - 46 * s), (x + 26 * s, 78 - 25 * s)], roof)
    c.rect(x - 5 * s, 78 - 17 * s, x + 5 * s, 78, "#855a35")
    for dx in (-13, 13):
        c.rect(x + (dx - 4) * s, 78 - 19 * s, x + (dx + 4) * s, 78 - 10 * s, "#8fc1de")
    for i in range(3):
        c.disc(x + (11.5 + 3 * i) * s, 78 - (50 + 6 * i) * s, (2 + i) * s, "#ffffffb0")
    return f"{when}丘の上に建つ{name}屋根の一軒家と大きな木"


@scene
def night_city(c: Canvas, r: random.Random) -> str:
    c.grade("#0d1230", "#4a3a6e")
    moon = r.random() < 0.5
    if moon:
        x, y = r.uniform(0.15, 0.85) * c.w, r.uniform(14, 30)
        c.glow(x, y, 30, "#f8eebd", 0.5)
        c.disc(x, y, 9, "#f8eebd")
    x = 0.0
    while x < c.w:
        width, h = r.uniform(10, 26), r.uniform(22, 80)
        c.rect(x, 100 - h, x + width, 100, mix("#10142b", "#2b3052", r.random()))
        for i in range(int(width / 5)):
            for j in range(int(h / 8)):
                if r.random() < 0.45:
                    c.rect(
                        x + 1.5 + 5 * i,
                        100 - h + 3 + 8 * j,
                        x + 4 + 5 * i,
                        100 - h + 7 + 8 * j,
                        r.choice(["#ffd56e", "#ffe9b0", "#9fd0ff"]),
                    )
        x += width + r.uniform(0, 3)
    return "満月に照らされた夜のビル街" if moon else "窓に明かりのともる夜の高層ビル群"


@scene
def brick_station(c: Canvas, r: random.Random) -> str:
    ground = r.uniform(74, 88)
    sky(c, r, ground, "昼夕曇")
    c.rect(0, ground, c.w, 100, "#a9a9a4")
    x, s = c.w * r.uniform(0.4, 0.6), c.w / 130 * r.uniform(0.9, 1.15)
    c.rect(x - 58 * s, ground - 30 * s, x + 58 * s, ground, "#a4503a")
    c.rect(x - 58 * s, ground - 33 * s, x + 58 * s, ground - 29 * s, "#57636a")
    for dx in (-46, 0, 46):
        w = 15 * s if dx else 13 * s
        top = ground - (40 if dx else 36) * s
        c.rect(x + dx * s - w, top, x + dx * s + w, ground, "#95432f")
        if dx:
            c.pie(x + dx * s, top, w, 16 * s, 180, 360, "#4f5c63")
        else:
            c.poly([(x - w * 1.1, top), (x, top - 13 * s), (x + w * 1.1, top)], "#57636a")
    for i in range(-5, 6):
        for y in (25, 14):
            c.rect(x + (i * 10 - 2) * s, ground - y * s, x + (i * 10 + 2) * s, ground - (y - 7) * s, "#f3ead8")
    c.rect(x - 5 * s, ground - 10 * s, x + 5 * s, ground, "#33302e")
    return "丸屋根を左右にのせた赤れんがの駅舎"


@scene
def torii(c: Canvas, r: random.Random) -> str:
    water = r.random() < 0.5
    horizon = r.uniform(50, 72)
    when = sky(c, r, horizon, "夕朝昼月")
    if water:
        sea(c, r, horizon, when)
    else:
        c.grade("#c9bda3", "#9d8f74", horizon, 100)
        for side in (0.05, 0.95):
            tree(c, side * c.w, horizon + 12, 62, "#2d5f38")
    x, base = r.uniform(0.38, 0.62) * c.w, horizon + 14
    s = r.uniform(0.65, 0.95) * base / 62
    s *= fit(c)
    for dx in (-20, 20):
        c.poly(
            [
                (x + dx * s - 2.5, base - 52 * s),
                (x + dx * s + 2.5, base - 52 * s),
                (x + dx * s * 1.1 + 3, base),
                (x + dx * s * 1.1 - 3, base),
            ],
            "#d0402b",
        )
    c.rect(x - 27 * s, base - 42 * s, x + 27 * s, base - 38 * s, "#d0402b")
    c.rect(x - 2 * s, base - 52 * s, x + 2 * s, base - 40 * s, "#d0402b")
    c.poly(
        [(x - 36 * s, base - 58 * s), (x + 36 * s, base - 58 * s), (x + 32 * s, base - 51 * s), (x - 32 * s, base - 51 * s)],
        "#d0402b",
    )
    c.poly(
        [(x - 37 * s, base - 61 * s), (x + 37 * s, base - 61 * s), (x + 36 * s, base - 57 * s), (x - 36 * s, base - 57 * s)],
        "#2d2626",
    )
    return f"{when}海に立つ朱色の鳥居" if water else f"{when}参道に立つ朱色の大鳥居"


@scene
def pagoda(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 90)
    x, s, n = r.uniform(0.25, 0.75) * c.w, r.uniform(0.8, 1.05), r.choice([3, 5])
    c.grade("#7d9a66", "#4f6f42", 86, 100)
    for _ in range(6):
        tree(c, r.uniform(0, c.w), 92, r.uniform(16, 30), r.choice(["#3d7240", "#c2562e", "#5d8a3c"]))
    step = 66 * s / n
    c.rect(x - 0.8, 90 - 66 * s - 16 * s, x + 0.8, 90 - 60 * s, "#8d6d2d")
    for i in range(n):
        y, half = 90 - i * step, (26 - i * 13 / n) * s
        c.rect(x - half * 0.55, y - step, x + half * 0.55, y, "#f1e6cf")
        for dx in (-0.5, 0, 0.5):
            c.rect(x + half * dx - 1, y - step, x + half * dx + 1, y, "#b23b2a")
        c.poly(
            [
                (x - half * 1.15, y - step * 0.52),
                (x - half * 0.6, y - step),
                (x + half * 0.6, y - step),
                (x + half * 1.15, y - step * 0.52),
            ],
            "#3e4347",
        )
    return f"{when}森の上にそびえる{'五' if n == 5 else '三'}重塔"


@scene
def castle(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 96)
    x, s = r.uniform(0.35, 0.65) * c.w, r.uniform(0.85, 1.2)
    s *= fit(c)
    c.poly([(x - 46 * s, 96), (x - 34 * s, 66), (x + 34 * s, 66), (x + 46 * s, 96)], "#8b8c86")
    for i in range(5):
        for j in range(3):
            c.rect(x + (i * 14 - 34 + 3 * j) * s, 70 + 9 * j, x + (i * 14 - 24 + 3 * j) * s, 76 + 9 * j, "#777871", 1)
    for i in range(3):
        y, half = 66 - 17 * i * s, (30 - 8 * i) * s
        c.rect(x - half * 0.8, y - 12 * s, x + half * 0.8, y, "#fbfaf6")
        for dx in (-0.5, 0, 0.5):
            c.rect(x + half * dx - 1.5 * s, y - 8 * s, x + half * dx + 1.5 * s, y - 3 * s, "#3a3d44")
        c.poly(
            [
                (x - half * 1.1, y - 10 * s),
                (x - half * 0.45, y - 18 * s),
                (x + half * 0.45, y - 18 * s),
                (x + half * 1.1, y - 10 * s),
            ],
            "#47525a",
        )
    c.grade("#6d8f58", "#4c6c40", 94, 100)
    return f"{when}石垣の上に建つ白壁の天守閣"


@scene
def arched_bridge(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "赤い", "茶色の", "緑の", "灰色の")
    c.grade("#bfe0ee", "#e8f3ef", 0, 54)
    for _ in range(7):
        tree(c, r.uniform(0, c.w), 56, r.uniform(22, 50), r.choice(["#3e7d45", "#d0692e", "#78a845"]))
    c.grade("#5f9fb5", "#35708c", 52, 100)
    x, half, rise = r.uniform(0.4, 0.6) * c.w, r.uniform(0.38, 0.5) * c.w, r.uniform(16, 36)
    for lift, width, tone in ((0, 6, colour), (11, 2, dark(colour))):
        c.line([(x + half * t / 12, 66 - lift - rise * (1 - (t / 12) ** 2)) for t in range(-12, 13)], tone, width)
    for t in range(-11, 12, 2):
        y = 66 - rise * (1 - (t / 12) ** 2)
        c.line([(x + half * t / 12, y), (x + half * t / 12, y - 13)], dark(colour), 1.5)
    for _ in range(9):
        y, px = r.uniform(74, 97), r.uniform(0, c.w)
        c.line([(px, y), (px + 12, y)], "#ffffff60", 0.8)
    return f"池にかかる{name}太鼓橋"


@scene
def suspension_bridge(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(62, 80)
    when = sky(c, r, horizon)
    sea(c, r, horizon, when)
    a, b, top = c.w * r.uniform(0.15, 0.3), c.w * r.uniform(0.7, 0.85), r.uniform(12, 30)
    deck = horizon - r.uniform(6, 16)
    name, colour = pick(r, "赤い", "白い", "灰色の", "青い")
    cable = [(a + (b - a) * t / 16, top + (deck - 4 - top) * (1 - (t / 8 - 1) ** 2)) for t in range(17)]
    c.line([(-20, deck), *cable, (c.w + 20, deck)], colour, 1.4)
    for x, y in cable[1:-1]:
        c.line([(x, y), (x, deck)], colour, 0.7)
    c.rect(0, deck - 1.5, c.w, deck + 2, dark(colour))
    for x in (a, b):
        c.rect(x - 3, top - 3, x + 3, horizon + 5, colour)
    return f"{when}海峡にかかる{name}主塔の吊り橋"


@scene
def windmill(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 76, "夕朝昼曇")
    x, s, turn = r.uniform(0.28, 0.72) * c.w, r.uniform(0.85, 1.2), r.uniform(0, 90)
    for i in range(5):
        _, colour = pick(r, "赤い", "黄色い", "ピンクの", "紫の")
        c.rect(0, 74 + i * 5.5, c.w, 100, colour if i % 2 else "#5f9a4b")
    c.poly([(x - 8 * s, 80 - 40 * s), (x + 8 * s, 80 - 40 * s), (x + 13 * s, 80), (x - 13 * s, 80)], "#efe3cb")
    c.pie(x, 80 - 40 * s, 8 * s, 9 * s, 180, 360, "#7a4b30")
    c.rect(x - 3 * s, 80 - 12 * s, x + 3 * s, 80, "#7a4b30")
    for k in range(4):
        a = math.radians(turn + 90 * k)
        u, v = math.cos(a), math.sin(a)
        y = 80 - 41 * s
        c.poly(
            [
                (x + 5 * u, y + 5 * v),
                (x + 34 * s * u, y + 34 * s * v),
                (x + 34 * s * u - 8 * v, y + 34 * s * v + 8 * u),
                (x + 5 * u - 8 * v, y + 5 * v + 8 * u),
            ],
            "#fffdf5",
        )
        c.line([(x, y), (x + 35 * s * u, y + 35 * s * v)], "#5e4630", 1.2)
    return f"{when}花畑に立つ風車"


@scene
def train(c: Canvas, r: random.Random) -> str:
    ground = r.uniform(64, 84)
    when = sky(c, r, ground)
    c.ridge(r, ground, 22, "#6e8f7c", 4)
    c.rect(0, ground, c.w, 100, "#8f8a7c")
    name, colour = pick(r, "緑の", "赤い", "青い", "オレンジ色の", "黄色い")
    n, h = r.randint(1, 3), r.uniform(26, 38)
    length = c.w * 0.96 / n if n > 1 else c.w * 0.7
    x0 = (c.w - length * n) / 2
    for i in range(n):
        x = x0 + i * length
        c.rect(x + 1, ground - h - 3, x + length - 1, ground - 3, "#eceff0", 3)
        c.rect(x + 1, ground - h * 0.42, x + length - 1, ground - h * 0.2, colour)
        doors = max(2, round(length / 26))
        for k in range(doors):
            px = x + length * (k + 0.5) / doors
            c.rect(px - 8, ground - h * 0.92, px + 2, ground - h * 0.55, "#35506a", 1)
            c.rect(px + 4, ground - h * 0.95, px + 9, ground - 4, "#c9cfd2")
        for px in (x + length * 0.2, x + length * 0.8):
            c.disc(px, ground - 2, 4, "#303236")
    for y in (ground + 2, ground + 9):
        c.line([(0, y), (c.w, y)], "#54514b", 1.2)
    cars = f"{n}両編成の" if n > 1 else "1両だけの"
    return f"{when}山里を走る{name}帯の{cars}電車"


@scene
def steam_train(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 74, "夕朝昼曇")
    c.grade("#8aa860", "#5b7b40", 74, 100)
    x, s = r.uniform(0.35, 0.55) * c.w, r.uniform(0.85, 1.15)
    s *= fit(c)
    y = 82
    c.rect(x - 38 * s, y - 38 * s, x - 14 * s, y - 8 * s, "#23262b")
    c.rect(x - 33 * s, y - 33 * s, x - 19 * s, y - 22 * s, "#a9c4d0")
    c.rect(x - 16 * s, y - 28 * s, x + 34 * s, y - 8 * s, "#33373d", 5)
    c.poly([(x + 20 * s, y - 26 * s), (x + 18 * s, y - 42 * s), (x + 30 * s, y - 42 * s), (x + 28 * s, y - 26 * s)], "#23262b")
    c.disc(x + 4 * s, y - 29 * s, 5 * s, "#b8923a")
    for dx in (-28, -8, 8, 24):
        c.disc(x + dx * s, y - 6 * s, 7.5 * s, "#8f2f28")
        c.disc(x + dx * s, y - 6 * s, 3 * s, "#23262b")
    for i in range(7):
        c.disc(x + (24 - 13 * i) * s, y - (48 + 3 * i) * s - r.uniform(0, 6), (4 + 1.7 * i) * s, "#f2f2f0d8")
    c.line([(0, y + 2), (c.w, y + 2)], "#4d463c", 1.6)
    return f"{when}野原を煙をはいて走る黒い蒸気機関車"


@scene
def car(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "赤い", "青い", "黄色い", "緑の", "白い", "水色の")
    ground = r.uniform(62, 82)
    when = sky(c, r, ground)
    x0 = 0.0
    while x0 < c.w:
        width = r.uniform(14, 34)
        c.rect(x0, ground - r.uniform(20, 56), x0 + width, ground, mix("#b9a58c", "#7f8791", r.random()))
        x0 += width
    c.rect(0, ground - 2, c.w, 100, "#5b5d61")
    x, s = r.uniform(0.35, 0.65) * c.w, r.uniform(0.85, 1.3)
    s *= fit(c)
    y = ground + 8
    c.rect(x - 32 * s, y - 20 * s, x + 32 * s, y - 4 * s, colour, 4)
    c.poly([(x - 20 * s, y - 18 * s), (x - 13 * s, y - 32 * s), (x + 12 * s, y - 32 * s), (x + 21 * s, y - 18 * s)], colour)
    c.poly([(x - 16 * s, y - 19 * s), (x - 11 * s, y - 29 * s), (x - 1 * s, y - 29 * s), (x - 1 * s, y - 19 * s)], "#bfe0ee")
    c.poly([(x + 1 * s, y - 19 * s), (x + 1 * s, y - 29 * s), (x + 10 * s, y - 29 * s), (x + 16 * s, y - 19 * s)], "#bfe0ee")
    for dx in (-18, 18):
        c.disc(x + dx * s, y - 4 * s, 7 * s, "#222226")
        c.disc(x + dx * s, y - 4 * s, 3 * s, "#c9ced2")
    c.disc(x + 31 * s, y - 14 * s, 2.2 * s, "#fff3b8")
    return f"{when}街を走る{name}乗用車"


@scene
def bus(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "青い", "緑の", "オレンジ色の")
    x, y, s = spot(c, r, 0.42)
    y += 18
    c.rect(x - 38 * s, y - 36 * s, x + 38 * s, y, colour, 4)
    c.rect(x - 38 * s, y - 14 * s, x + 38 * s, y - 9 * s, "#fbf7ea")
    for i in range(5):
        c.rect(x + (-34 + 14 * i) * s, y - 31 * s, x + (-23 + 14 * i) * s, y - 18 * s, "#cfe6f0", 1)
    for dx in (-22, 22):
        c.disc(x + dx * s, y, 7.5 * s, "#232327")
        c.disc(x + dx * s, y, 3 * s, "#d5d8da")
    return f"{back}止まる{name}路線バスのイラスト"


@scene
def bicycle(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "青い", "緑の", "黒い", "黄色い")
    x, y, s = spot(c, r, 0.42)
    y += 12
    for dx in (-22, 22):
        c.ring(x + dx * s, y, 15 * s, "#2b2b2f", 2 * s)
        for k in range(6):
            a = math.pi * k / 6
            u, v = 14 * s * math.cos(a), 14 * s * math.sin(a)
            c.line([(x + dx * s - u, y - v), (x + dx * s + u, y + v)], "#8d9196", 0.5)
    seat, bar, crank = (x - 9 * s, y - 24 * s), (x + 15 * s, y - 26 * s), (x - 2 * s, y)
    for a, b in (
        ((x - 22 * s, y), seat),
        (seat, crank),
        (crank, (x - 22 * s, y)),
        (seat, bar),
        (crank, bar),
        (bar, (x + 22 * s, y)),
    ):
        c.line([a, b], colour, 2.4 * s)
    c.line([seat, (x - 10 * s, y - 30 * s)], "#2b2b2f", 2 * s)
    c.ell(x - 11 * s, y - 31 * s, 7 * s, 2.4 * s, "#2b2b2f")
    c.line([bar, (x + 14 * s, y - 34 * s), (x + 22 * s, y - 36 * s)], "#2b2b2f", 2 * s)
    return f"{back}置かれた{name}自転車"


@scene
def aeroplane(c: Canvas, r: random.Random) -> str:
    word = sky(c, r, 100, "夕朝昼曇")
    x, y, s = r.uniform(0.4, 0.6) * c.w, r.uniform(35, 65), r.uniform(0.8, 1.25)
    name, colour = pick(r, "赤い", "青い", "緑の", "オレンジ色の")
    climb = r.uniform(-0.5, 0.5)

    def at(u: float, v: float) -> Point:
        return x + (u - v * climb) * s, y + (v + u * climb) * s

    c.poly([at(-34, -14), at(-26, -14), at(-16, -3), at(-30, -3)], colour)
    c.poly([at(-36, 0), at(-30, -5), at(28, -6), at(39, 0), at(28, 5), at(-28, 4)], "#f8f9fa")
    c.poly([at(-4, 1), at(8, 1), at(-10, 24), at(-17, 24)], "#b9c2ca")
    c.poly([at(2, -5), at(10, -5), at(0, -20), at(-5, -20)], "#d3dae0")
    for u in range(-20, 25, 7):
        c.disc(*at(u, -2), 1.3 * s, "#41607c")
    return f"{word}空を飛ぶ{name}尾翼の旅客機"


@scene
def balloons(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 100, "夕朝昼")
    c.ridge(r, 96, 18, "#5d8462", 5)
    n = r.randint(1, 4)
    for i in range(n):
        _, one = pick(r, "赤い", "青い", "黄色い", "緑の", "紫の", "ピンクの")
        x, y = c.w * (i + r.uniform(0.35, 0.65)) / n, r.uniform(24, 56)
        s = r.uniform(0.6, 0.95) if n > 1 else r.uniform(1.2, 1.6)
        c.line([(x - 9 * s, y + 12 * s), (x - 3 * s, y + 27 * s)], "#5b4632", 0.7)
        c.line([(x + 9 * s, y + 12 * s), (x + 3 * s, y + 27 * s)], "#5b4632", 0.7)
        c.poly([(x - 14 * s, y + 9 * s), (x + 14 * s, y + 9 * s), (x + 4 * s, y + 22 * s), (x - 4 * s, y + 22 * s)], one)
        c.disc(x, y, 17 * s, one)
        c.ell(x, y, 9 * s, 17 * s, light(one, 0.55))
        c.ell(x, y, 3 * s, 17 * s, one)
        c.rect(x - 4 * s, y + 26 * s, x + 4 * s, y + 32 * s, "#8a5a35", 1)
    return f"{when}空に浮かぶ{n}つの熱気球" if n > 1 else f"{when}空に浮かぶ1つの大きな熱気球"


@scene
def rocket(c: Canvas, r: random.Random) -> str:
    c.grade("#070a24", "#33255c")
    for _ in range(45):
        c.disc(r.uniform(0, c.w), r.uniform(0, 100), r.uniform(0.3, 0.9), "#ffffffd0")
    px, py, ps = r.choice([0.15, 0.85]) * c.w, r.uniform(15, 85), r.uniform(10, 24)
    _, planet = pick(r, "オレンジ色の", "水色の", "緑の", "紫の")
    c.disc(px, py, ps, planet)
    c.arc(px, py, ps * 1.6, ps * 0.4, 0, 360, light(planet, 0.6), 1.6)
    name, colour = pick(r, "赤い", "青い", "黄色い")
    x, y, s = r.uniform(0.4, 0.6) * c.w, r.uniform(40, 52), r.uniform(0.9, 1.3)
    c.poly([(x - 6 * s, y + 22 * s), (x, y + 42 * s), (x + 6 * s, y + 22 * s)], "#f7a32e")
    c.poly([(x - 3 * s, y + 22 * s), (x, y + 33 * s), (x + 3 * s, y + 22 * s)], "#fff0a8")
    for side in (-1, 1):
        c.poly([(x + side * 8 * s, y + 4 * s), (x + side * 17 * s, y + 24 * s), (x + side * 7 * s, y + 20 * s)], colour)
    c.ell(x, y - 4 * s, 10 * s, 29 * s, "#eff1f4")
    c.rect(x - 7 * s, y + 17 * s, x + 7 * s, y + 24 * s, "#5d6470")
    c.disc(x, y - 9 * s, 5 * s, colour)
    c.disc(x, y - 9 * s, 3.4 * s, "#a5d8ee")
    return f"惑星のそばを飛ぶ{name}翼のロケット"


@scene
def ship(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(50, 72)
    when = sky(c, r, horizon)
    sea(c, r, horizon, when)
    name, colour = pick(r, "赤い", "青い", "黒い", "緑の")
    x, y, s, n = r.uniform(0.4, 0.6) * c.w, horizon + 8, r.uniform(0.9, 1.3), r.randint(1, 3)
    s *= fit(c)
    for i in range(n):
        px = x + (-14 + 14 * i) * s
        c.rect(px - 4 * s, y - 46 * s, px + 4 * s, y - 26 * s, "#e8a13a")
        c.rect(px - 4 * s, y - 46 * s, px + 4 * s, y - 41 * s, "#2b2b30")
    c.rect(x - 30 * s, y - 28 * s, x + 26 * s, y - 10 * s, "#f7f6f1")
    for i in range(7):
        c.disc(x + (-25 + 7.6 * i) * s, y - 19 * s, 1.9 * s, "#41617e")
    c.poly([(x - 42 * s, y - 12 * s), (x + 46 * s, y - 12 * s), (x + 36 * s, y + 7 * s), (x - 37 * s, y + 7 * s)], colour)
    return f"{when}海を進む、煙突が{n}本ある{name}船体の客船"


@scene
def utility_poles(c: Canvas, r: random.Random) -> str:
    when = sky(c, r, 100, "夕朝月曇")
    n = r.randint(2, 4)
    xs = [c.w * (i + r.uniform(0.2, 0.8)) / n for i in range(n)]
    tops = [12 + 30 * i / n + r.uniform(-4, 4) for i in range(n)]
    ink = "#17141c"
    for k in range(3):
        points = [(-10, tops[0] + 4 + 7 * k)]
        for i, (x, y) in enumerate(zip(xs, tops, strict=True)):
            points += [((points[-1][0] + x) / 2, y + 12 + 7 * k), (x, y + 3 + 5 * k)] if i else [(x, y + 3 + 5 * k)]
        c.line([*points, (c.w + 10, points[-1][1] + 4)], ink, 0.7)
    for x, y in zip(xs, tops, strict=True):
        c.rect(x - 1.4, y, x + 1.4, 100, ink)
        for k in range(2):
            c.rect(x - 10, y + 3 + 7 * k, x + 10, y + 5 + 7 * k, ink)
    c.ridge(r, 100, 16, ink, 6)
    return f"{when}空に黒く浮かぶ{n}本の電柱と電線"


@scene
def signal(c: Canvas, r: random.Random) -> str:
    word = sky(c, r, 100, "昼夕曇月")
    lit = r.randrange(3)
    c.mirror = False
    x, y, s = r.uniform(0.35, 0.65) * c.w, r.uniform(28, 55), r.uniform(0.9, 1.35)
    across = r.random() < 0.6
    c.rect(x - 2, y, x + 2, 100, "#7b8085")
    c.rect(
        x - (32 if across else 13) * s,
        y - (12 if across else 32) * s,
        x + (32 if across else 13) * s,
        y + (12 if across else 32) * s,
        "#33383d",
        6,
    )
    for i, colour in enumerate(("#3bbf8a", "#f2c230", "#e0392f") if across else ("#e0392f", "#f2c230", "#3bbf8a")):
        dx, dy = ((i - 1) * 20 * s, 0) if across else (0, (i - 1) * 20 * s)
        on = i == (lit if across else 2 - lit)
        if on:
            c.glow(x + dx, y + dy, 22 * s, colour, 0.8)
        c.disc(x + dx, y + dy, 8 * s, colour if on else mix(colour, "#20242a", 0.78))
    return f"{word}空の下の、{('青', '黄色', '赤')[lit]}が点灯している{'横型' if across else '縦型'}の信号機"


# -- living things -------------------------------------------------------------------------------------------------------------


@scene
def cat(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = r.choice([("黒猫", "#2b2a31"), ("白猫", "#f5f1ea"), ("茶トラの猫", "#d98e46"), ("灰色の猫", "#8e949c")])
    x, y, s = spot(c, r)
    line = dark(colour) if name != "黒猫" else "#45434d"
    side = r.choice([-1, 1])
    c.line([(x + side * 16 * s, y + 34 * s), (x + side * 34 * s, y + 26 * s), (x + side * 32 * s, y + 4 * s)], colour, 6 * s)
    c.ell(x, y + 22 * s, 21 * s, 23 * s, colour)
    for dx in (-1, 1):
        c.poly([(x + dx * 18 * s, y - 12 * s), (x + dx * 16 * s, y - 36 * s), (x + dx * 3 * s, y - 22 * s)], colour)
        c.poly([(x + dx * 15 * s, y - 17 * s), (x + dx * 14.5 * s, y - 29 * s), (x + dx * 7 * s, y - 21 * s)], "#eeb0b4")
        c.ell(x + dx * 8 * s, y + 43 * s, 7 * s, 4 * s, light(colour, 0.2))
    c.ell(x, y - 8 * s, 20 * s, 17 * s, colour)
    if name == "茶トラの猫":
        for dx in (-6, 0, 6):
            c.line([(x + dx * s, y - 24 * s), (x + dx * s, y - 16 * s)], line, 2 * s)
        for dy in (10, 19, 28):
            c.line([(x - 20 * s, y + dy * s), (x - 9 * s, y + (dy + 2) * s)], line, 2 * s)
            c.line([(x + 20 * s, y + dy * s), (x + 9 * s, y + (dy + 2) * s)], line, 2 * s)
    for dx in (-8, 8):
        c.ell(x + dx * s, y - 9 * s, 4 * s, 4.6 * s, "#e4c93f" if name != "白猫" else "#6fb2d9")
        c.ell(x + dx * s, y - 9 * s, 1.4 * s, 4 * s, "#17151a")
    c.poly([(x - 2 * s, y - 3 * s), (x + 2 * s, y - 3 * s), (x, y)], "#e88f95")
    for dx in (-1, 1):
        for dy in (-2, 1):
            c.line([(x + dx * 6 * s, y + dy * s), (x + dx * 25 * s, y + (dy * 2.2) * s)], light(line, 0.45), 0.6)
    return f"{back}座る{name}"


@scene
def sleeping_cat(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = r.choice([("黒猫", "#2b2a31"), ("白猫", "#f5f1ea"), ("三毛猫", "#f5f1ea"), ("灰色の猫", "#8e949c")])
    x, y, s = spot(c, r, 0.4)
    cushion, cloth = pick(r, "赤い", "青い", "緑の", "紫の")
    c.ell(x, y + 20 * s, 46 * s, 16 * s, dark(cloth, 0.2))
    c.ell(x, y + 16 * s, 44 * s, 14 * s, cloth)
    c.ell(x + 5 * s, y, 32 * s, 20 * s, colour)
    if name == "三毛猫":
        c.ell(x + 16 * s, y - 8 * s, 12 * s, 9 * s, "#d98e46")
        c.ell(x - 2 * s, y + 8 * s, 9 * s, 7 * s, "#3b3438")
    c.arc(x + 5 * s, y + 2 * s, 31 * s, 19 * s, 20, 150, dark(colour, 0.15) if name != "黒猫" else "#45434d", 5 * s)
    for dx in (-30, -14):
        c.poly(
            [(x + (dx - 5) * s, y - 4 * s), (x + dx * s, y - 19 * s), (x + (dx + 6) * s, y - 5 * s)],
            colour if dx < -20 or name != "三毛猫" else "#d98e46",
        )
    c.ell(x - 22 * s, y + 4 * s, 15 * s, 12 * s, colour)
    for dx in (-28, -17):
        c.arc(x + dx * s, y + 3 * s, 3 * s, 2.4 * s, 0, 180, "#5c4a4c" if name != "黒猫" else "#cfc9d4", 1)
    return f"{back}置いた{cushion}座布団で丸くなって眠る{name}"


@scene
def dog(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour, inner = r.choice(
        [
            ("柴犬", "#d68f4a", "#f6e6cf"),
            ("黒い犬", "#34323a", "#8a6b52"),
            ("白い犬", "#f4f0e8", "#ffffff"),
            ("茶色の犬", "#83552f", "#b98a5e"),
        ]
    )
    x, y, s = spot(c, r)
    s *= 1.15
    floppy = name != "柴犬" and r.random() < 0.7
    c.ell(x, y + 38 * s, 27 * s, 24 * s, colour)
    c.ell(x, y + 42 * s, 14 * s, 22 * s, inner)
    for dx in (-1, 1):
        if not floppy:
            c.poly([(x + dx * 24 * s, y - 8 * s), (x + dx * 21 * s, y - 36 * s), (x + dx * 4 * s, y - 22 * s)], colour)
            c.poly([(x + dx * 20 * s, y - 14 * s), (x + dx * 19 * s, y - 29 * s), (x + dx * 10 * s, y - 20 * s)], inner)
    c.ell(x, y - 2 * s, 26 * s, 23 * s, colour)
    if floppy:
        for dx in (-1, 1):
            c.ell(x + dx * 25 * s, y + 1 * s, 8 * s, 19 * s, dark(colour, 0.3) if name != "黒い犬" else "#1d1c22")
    c.ell(x, y + 9 * s, 13 * s, 11 * s, inner)
    eyes(c, x, y - 5 * s, 10 * s, 3.4 * s)
    c.ell(x, y + 4 * s, 4.6 * s, 3.4 * s, "#1d1a1a")
    tongue = r.random() < 0.5
    if tongue:
        c.ell(x, y + 18 * s, 4 * s, 6 * s, "#e5737f")
    c.line([(x - 6 * s, y + 12 * s), (x, y + 14 * s), (x + 6 * s, y + 12 * s)], "#1d1a1a", 1)
    return f"{back}{'座って舌を出す' if tongue else '座ってこちらを見つめる'}{name}"


@scene
def walking_dog(c: Canvas, r: random.Random) -> str:
    ground = r.uniform(66, 84)
    when = sky(c, r, ground)
    c.grade("#8bb35c", "#5a8a3e", ground, 100)
    name, colour = r.choice([("柴犬", "#d68f4a"), ("黒い犬", "#2e2c33"), ("白い犬", "#f4f0e8"), ("ぶちの犬", "#f4f0e8")])
    x, s = r.uniform(0.4, 0.6) * c.w, r.uniform(0.85, 1.35)
    s *= fit(c)
    y = ground + 10
    for dx in (-22, -13, 13, 21):
        c.line([(x + dx * s, y - 20 * s), (x + (dx + r.choice([-4, 4])) * s, y)], dark(colour, 0.12), 5 * s)
    c.ell(x, y - 25 * s, 29 * s, 12 * s, colour)
    c.line([(x - 26 * s, y - 28 * s), (x - 35 * s, y - 44 * s)], colour, 5 * s)
    c.ell(x + 31 * s, y - 38 * s, 13 * s, 10 * s, colour)
    c.ell(x + 42 * s, y - 34 * s, 8 * s, 5 * s, light(colour, 0.3))
    c.disc(x + 49 * s, y - 35 * s, 2.2 * s, "#1d1a1a")
    c.disc(x + 35 * s, y - 40 * s, 1.8 * s, "#1d1a1a" if name != "黒い犬" else "#f3e9d0")
    c.ell(x + 24 * s, y - 36 * s, 5 * s, 10 * s, dark(colour, 0.35) if name != "黒い犬" else "#16151a")
    if name == "ぶちの犬":
        c.ell(x - 8 * s, y - 28 * s, 9 * s, 7 * s, "#3b322e")
        c.ell(x + 13 * s, y - 22 * s, 6 * s, 5 * s, "#3b322e")
    collar, band = pick(r, "赤い", "青い", "緑の")
    c.line([(x + 18 * s, y - 30 * s), (x + 27 * s, y - 26 * s)], band, 3 * s)
    return f"{when}草原を散歩する{collar}首輪の{name}"


@scene
def rabbit(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "白い", "茶色の", "灰色の", "黒い")
    x, y, s = spot(c, r)
    bent = r.random() < 0.5
    for dx in (-1, 1):
        tip = 150 if bent and dx == 1 else 0
        c.petal(x + dx * 8 * s, y - 8 * s, 42 * s, 13 * s, -90 + dx * (12 + tip / 5), colour)
        c.petal(x + dx * 8 * s, y - 12 * s, 32 * s, 6 * s, -90 + dx * (12 + tip / 5), "#f2bcc4")
    c.ell(x, y + 36 * s, 24 * s, 22 * s, colour)
    c.ell(x, y + 5 * s, 20 * s, 18 * s, colour)
    eyes(c, x, y + 2 * s, 8.5 * s, 2.6 * s, "#a8323a" if name == "白い" else "#141318")
    c.poly([(x - 2 * s, y + 8 * s), (x + 2 * s, y + 8 * s), (x, y + 11 * s)], "#e88f95")
    carrot = r.random() < 0.5
    if carrot:
        c.poly([(x - 12 * s, y + 24 * s), (x + 4 * s, y + 22 * s), (x + 24 * s, y + 38 * s)], "#ee8226")
        c.petal(x - 8 * s, y + 23 * s, 16 * s, 6 * s, 200, "#4c9a4a")
        c.petal(x - 8 * s, y + 23 * s, 16 * s, 6 * s, 230, "#4c9a4a")
    return f"{back}座って{'にんじんを抱える' if carrot else '片耳を折る' if bent else '両耳を立てる'}{name}うさぎ"


@scene
def panda(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r)
    s *= 1.1
    c.ell(x, y + 36 * s, 28 * s, 24 * s, "#f8f6f2")
    for dx in (-1, 1):
        c.ell(x + dx * 24 * s, y + 30 * s, 9 * s, 17 * s, "#232227")
        c.ell(x + dx * 18 * s, y + 52 * s, 12 * s, 9 * s, "#232227")
        c.disc(x + dx * 21 * s, y - 22 * s, 9 * s, "#232227")
    c.ell(x, y - 4 * s, 27 * s, 24 * s, "#fdfcf9")
    for dx in (-1, 1):
        c.petal(x + dx * 6 * s, y - 11 * s, 15 * s, 11 * s, 90 - dx * 35, "#232227")
        c.disc(x + dx * 10 * s, y - 4 * s, 2.4 * s, "#ffffff")
    c.ell(x, y + 5 * s, 4 * s, 3 * s, "#232227")
    leaf = r.random() < 0.6
    if leaf:
        c.line([(x - 30 * s, y + 34 * s), (x + 30 * s, y + 14 * s)], "#5f9a3f", 3 * s)
        for k in (-20, 0, 20):
            c.petal(x + k * s, y + (24 - k / 3) * s, 14 * s, 5 * s, -70 + k, "#7cb94f")
    return f"{back}{'笹を持って' if leaf else 'どっしりと'}座るパンダ"


@scene
def penguins(c: Canvas, r: random.Random) -> str:
    c.grade("#8fc7e6", "#d9eef7", 0, 60)
    floor = r.uniform(52, 74)
    c.grade("#f4fafd", "#c3dcec", floor, 100)
    c.poly([(c.w * 0.55, floor), (c.w * 0.75, floor - r.uniform(12, 34)), (c.w * 0.98, floor)], "#ffffff")
    n = r.randint(1, 4)
    for i in range(n):
        s = r.uniform(0.6, 0.9) if n > 1 else r.uniform(1.2, 1.5)
        x, y = c.w * (i + r.uniform(0.35, 0.65)) / n, r.uniform(88, 96)
        for dx in (-1, 1):
            c.petal(x + dx * 10 * s, y - 36 * s, 26 * s, 8 * s, 90 - dx * 28, "#1d2430")
            c.ell(x + dx * 6 * s, y, 6 * s, 2.6 * s, "#ef9a2c")
        c.ell(x, y - 23 * s, 15 * s, 24 * s, "#1d2430")
        c.ell(x, y - 19 * s, 10 * s, 19 * s, "#fbfbf8")
        c.disc(x, y - 45 * s, 11 * s, "#1d2430")
        for dx in (-4.4, 4.4):
            c.disc(x + dx * s, y - 45 * s, 4.4 * s, "#fbfbf8")
            c.disc(x + dx * s, y - 45 * s, 1.6 * s, "#1d2430")
        c.poly([(x - 3 * s, y - 41 * s), (x + 3 * s, y - 41 * s), (x, y - 36 * s)], "#ef9a2c")
    return f"氷の上に並ぶ{n}羽のペンギン" if n > 1 else "氷の上に立つ1羽のペンギン"


@scene
def bird_on_branch(c: Canvas, r: random.Random) -> str:
    word = sky(c, r, 100, "朝昼夕曇")
    name, colour = pick(r, "青い", "黄色い", "赤い", "緑の", "白い")
    y, lean = r.uniform(58, 76), r.uniform(-16, 16)
    c.line([(-5, y - lean), (c.w + 5, y + lean)], "#6b4a2c", 4)
    for _ in range(9):
        t = r.random()
        c.petal(
            c.w * t,
            y + lean * (2 * t - 1),
            r.uniform(9, 16),
            6,
            r.choice([-60, -120, 70, 110]),
            r.choice(["#4f9a48", "#6fb257"]),
        )
    n = r.randint(1, 3)
    for i in range(n):
        x = c.w * (i + r.uniform(0.4, 0.6)) / n
        s = r.uniform(0.6, 0.9) if n > 1 else r.uniform(1.2, 1.6)
        foot = y + lean * (2 * x / c.w - 1) - 2
        c.poly([(x - 10 * s, foot - 14 * s), (x - 32 * s, foot - 2 * s), (x - 26 * s, foot + 5 * s)], dark(colour))
        c.ell(x, foot - 14 * s, 17 * s, 13 * s, colour)
        c.disc(x + 12 * s, foot - 27 * s, 10 * s, colour)
        c.ell(x + 3 * s, foot - 9 * s, 11 * s, 7 * s, "#fbf3e0")
        c.petal(x + 4 * s, foot - 18 * s, 24 * s, 10 * s, 165, dark(colour, 0.35))
        c.poly([(x + 20 * s, foot - 29 * s), (x + 29 * s, foot - 26 * s), (x + 20 * s, foot - 24 * s)], "#e59b2c")
        c.disc(x + 14 * s, foot - 29 * s, 1.8 * s, "#16141a")
    return f"{word}空を背に枝にとまる{n}羽の{name}小鳥" if n > 1 else f"{word}空を背に枝にとまる{name}小鳥"


@scene
def goldfish(c: Canvas, r: random.Random) -> str:
    c.grade("#cdeef5", "#5fb0cc")
    for _ in range(r.randint(3, 7)):
        x = r.uniform(0, c.w)
        for i in range(4):
            c.petal(x + (i % 2) * 2, 98 - i * 12, 18, 5, -100 + 20 * (i % 2), "#3d8f5a")
    c.grade("#d9c59a", "#b79c6c", 92, 100)
    n = r.randint(1, 4)
    name, colour = r.choice([("赤い", "#e0492c"), ("白い", "#f8f3ea"), ("黒い", "#2d2b33")])
    for i in range(n):
        s = fit(c) * (r.uniform(0.5, 0.85) if n > 1 else r.uniform(1.2, 1.6))
        x, y, d = c.w * (i + r.uniform(0.4, 0.6)) / n, r.uniform(24, 72), r.choice([-1, 1])
        for turn in (-28, 0, 28):
            c.petal(x - d * 14 * s, y, 26 * s, 11 * s, (180 if d > 0 else 0) + turn, light(colour, 0.35))
        c.petal(x, y - 6 * s, 16 * s, 9 * s, -90 - d * 25, light(colour, 0.25))
        c.ell(x, y, 20 * s, 12 * s, colour)
        c.disc(x + d * 13 * s, y - 2 * s, 2.6 * s, "#ffffff")
        c.disc(x + d * 13.5 * s, y - 2 * s, 1.5 * s, "#15141a")
        for k in range(3):
            c.ring(x + d * (24 + 2 * k) * s, y - (8 + 9 * k) * s, (1.4 + 0.5 * k) * s, "#ffffff", 0.6)
    return f"水草の揺れる水槽を泳ぐ{n}匹の{name}金魚" if n > 1 else f"水草の揺れる水槽を泳ぐ{name}金魚"


@scene
def jellyfish(c: Canvas, r: random.Random) -> str:
    c.grade("#123a6e", "#050d26")
    n = r.randint(1, 4)
    name, colour = pick(r, "ピンクの", "白い", "水色の", "黄色い")
    for i in range(n):
        s = r.uniform(0.6, 1) if n > 1 else r.uniform(1.3, 1.7)
        x, y = c.w * (i + r.uniform(0.35, 0.65)) / n, r.uniform(24, 54)
        c.glow(x, y, 34 * s, colour, 0.4)
        for k in range(-3, 4):
            c.line([(x + k * 4 * s + r.uniform(-4, 4), y + j * 8 * s) for j in range(5)], light(colour, 0.2) + "b0", 1.1 * s)
        c.pie(x, y + 2 * s, 18 * s, 19 * s, 180, 360, light(colour, 0.3) + "e0")
        for k in range(-2, 3):
            c.disc(x + k * 7 * s, y + 2 * s, 4 * s, light(colour, 0.5))
    return f"暗い水の中を漂う{n}匹の{name}クラゲ" if n > 1 else f"暗い水の中を漂う{name}クラゲ"


@scene
def whale(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(42, 62)
    when = sky(c, r, horizon + 15, "夕朝昼曇")
    x, s = r.uniform(0.4, 0.6) * c.w, r.uniform(0.9, 1.3)
    s *= fit(c)
    y = horizon + 12
    c.poly(
        [
            (x - 34 * s, y - 2 * s),
            (x - 46 * s, y - 24 * s),
            (x - 56 * s, y - 28 * s),
            (x - 50 * s, y - 16 * s),
            (x - 60 * s, y - 10 * s),
        ],
        "#2f4a68",
    )
    c.pie(x, y + 4 * s, 40 * s, 32 * s, 180, 360, "#3a5878")
    c.ell(x + 18 * s, y + 2 * s, 24 * s, 11 * s, "#dfe6ea")
    c.disc(x + 24 * s, y - 9 * s, 2.2 * s, "#10161e")
    for dx in (-9, -3, 3, 9):
        c.line(
            [(x + 10 * s, y - 28 * s), (x + (10 + dx) * s, y - 46 * s), (x + (10 + 2 * dx) * s, y - 40 * s)], "#ffffffd0", 1.6
        )
    sea(c, r, y + 2, when)
    return f"{when}海で潮を吹くクジラ"


@scene
def turtle(c: Canvas, r: random.Random) -> str:
    c.grade("#4fb3cf", "#12608f")
    for _ in range(4):
        x = r.uniform(0, c.w)
        c.poly([(x, 0), (x + 8, 0), (x + 34, 100), (x + 4, 100)], "#ffffff22")
    c.ell(r.uniform(0, c.w), 106, c.w * 0.6, 16, "#d9c48f")
    x, y, s, turn = r.uniform(0.4, 0.6) * c.w, r.uniform(38, 62), r.uniform(1, 1.4), r.uniform(-40, 40)
    s *= fit(c)
    for angle, length in ((-50, 36), (50, 36), (145, 24), (215, 24)):
        c.petal(x, y, length * s, 12 * s, turn + angle, "#6d9c58")
    c.petal(x, y, 38 * s, 13 * s, turn, "#7dab63")
    a = math.radians(turn)
    c.disc(x + 32 * s * math.cos(a), y + 32 * s * math.sin(a) - 2, 1.6 * s, "#14160f")
    c.disc(x, y, 22 * s, "#7a5a32")
    for k in range(6):
        b = a + math.pi * k / 3
        c.disc(x + 12 * s * math.cos(b), y + 12 * s * math.sin(b), 6 * s, "#a37c48")
    c.disc(x, y, 6.5 * s, "#b58d55")
    return "光のさす海中を泳ぐウミガメ"


@scene
def butterfly(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "青い", "黄色い", "オレンジ色の", "紫の", "白い")
    x, y, s = spot(c, r, 0.4)
    s *= 1.2
    tilt = r.uniform(-35, 35)
    for side in (-1, 1):
        for angle, length, width in ((-38, 40, 27), (35, 30, 23)):
            direction = -90 + tilt + side * (90 + angle)
            c.petal(x, y, length * s, width * s, direction, dark(colour, 0.55))
            c.petal(x, y, length * 0.86 * s, width * 0.72 * s, direction, colour)
            a = math.radians(direction)
            c.disc(x + length * 0.65 * s * math.cos(a), y + length * 0.65 * s * math.sin(a), 4 * s, light(colour, 0.65))
    c.petal(x - 16 * s * math.sin(math.radians(-tilt)), y + 18 * s, 38 * s, 5 * s, -90 + tilt, "#27222a")
    for k in (-1, 1):
        a = math.radians(-90 + tilt + 20 * k)
        c.line([(x, y - 16 * s), (x + 34 * s * math.cos(a), y + 34 * s * math.sin(a))], "#27222a", 0.9)
    return f"{back}羽を広げた{name}蝶"


@scene
def snail(c: Canvas, r: random.Random) -> str:
    c.grade("#9fb9a9", "#d5e2d2")
    for _ in range(30):
        x, y = r.uniform(0, c.w), r.uniform(0, 90)
        c.line([(x, y), (x - 2, y + 8)], "#ffffff90", 0.7)
    x, y, s = r.uniform(0.4, 0.6) * c.w, r.uniform(54, 70), r.uniform(0.95, 1.35)
    s *= fit(c)
    c.petal(-6, y + 26 * s, c.w * 1.05, 44, r.uniform(-10, 10), "#4d8f4a")
    c.line([(-6, y + 24 * s), (c.w, y + 26 * s)], "#38703a", 1.4)
    c.ell(x + 6 * s, y + 18 * s, 38 * s, 7 * s, "#e4cfa4")
    c.petal(x + 30 * s, y + 20 * s, 26 * s, 12 * s, -55, "#e4cfa4")
    for dx in (44, 50):
        c.line([(x + 42 * s, y + 2 * s), (x + dx * s, y - 14 * s)], "#e4cfa4", 1.8 * s)
        c.disc(x + dx * s, y - 14 * s, 2.2 * s, "#3b3128")
    name, colour = pick(r, "茶色の", "オレンジ色の", "紫の", "青い")
    c.disc(x, y - 2 * s, 22 * s, colour)
    turns = [
        (x + 2.9 * s * t * math.cos(t * 1.0), y - 2 * s + 2.9 * s * t * math.sin(t * 1.0))
        for t in [i / 4 for i in range(2, 28)]
    ]
    c.line(turns, light(colour, 0.6), 2.2 * s)
    return f"雨の日に葉の上をはう、{name}殻のかたつむり"


@scene
def flower(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "黄色い", "ピンクの", "白い", "紫の", "青い")
    n, x, y, s = r.choice([5, 6, 8, 12]), *spot(c, r, 0.36)
    s *= 1.2
    turn = r.uniform(0, 60)
    c.line([(x, y), (x + r.uniform(-14, 14), 104)], "#3f7d3a", 3.4 * s)
    c.petal(x + 2, 88, 28 * s, 12 * s, r.choice([-35, 215]), "#4f9548")
    for k in range(n):
        c.petal(x, y, 36 * s, 150 / n * s, turn + 360 * k / n, colour if k % 2 else light(colour, 0.14))
    c.disc(x, y, 9 * s, "#e9b73a" if name != "黄色い" else "#7d5226")
    return f"{back}咲く、花びらが{n}枚の{name}花"


@scene
def tulips(c: Canvas, r: random.Random) -> str:
    word = sky(c, r, 80, "昼朝夕曇")
    c.grade("#7fb35a", "#4d8440", 78, 100)
    names = r.sample(["赤い", "黄色い", "ピンクの", "白い", "紫の"], r.randint(1, 3))
    n = r.randint(3, 6)
    for i in range(n):
        x, y, s = c.w * (i + 0.5) / n, r.uniform(32, 60), min(1.25, c.w / n / 26)
        colour = COLOURS[names[i % len(names)]]
        c.line([(x, y), (x, 98)], "#3d8340", 2.4)
        for side in (-1, 1):
            c.petal(x, 96, 32, 8, -90 + side * 24, "#4c9a4a")
        for angle in (-116, -64, -90):
            c.petal(x, y + 6 * s, 27 * s, 13 * s, angle, colour if angle != -90 else light(colour, 0.2))
    colours = "・".join(
        {"赤い": "赤", "黄色い": "黄", "ピンクの": "ピンク", "白い": "白", "紫の": "紫"}[name] for name in names
    )
    return f"{word}花壇に並ぶ{n}本の{colours}のチューリップ"


@scene
def sunflower_field(c: Canvas, r: random.Random) -> str:
    horizon = r.uniform(25, 48)
    when = sky(c, r, horizon, "夕朝昼")
    c.grade("#7fa844", "#3f6f2c", horizon, 100)
    for row in range(4):
        t = (row + 0.5) / 4
        y, size = horizon + (100 - horizon) * t**1.4, 3 + 13 * t
        x = r.uniform(0, size * 2)
        while x < c.w + size:
            for k in range(10):
                c.petal(x, y, size, size * 0.42, 36 * k, "#f5c12d")
            c.disc(x, y, size * 0.42, "#6a4320")
            x += size * r.uniform(2.1, 2.7)
    return f"{when}空の下、一面に咲くひまわり畑"


@scene
def cactus(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "青い", "白い", "黄色い", "茶色の")
    x, y, s = spot(c, r)
    y += 6
    c.rect(x - 9 * s, y - 46 * s, x + 9 * s, y + 20 * s, "#4c9a58", 8 * s)
    for side, dy in ((-1, r.uniform(-14, 2)), (1, r.uniform(-24, -8))):
        c.line([(x, y + dy * s), (x + side * 20 * s, y + dy * s), (x + side * 20 * s, y + (dy - 18) * s)], "#418a4d", 9 * s)
    for dy in range(-38, 16, 9):
        for dx in (-4, 4):
            c.line([(x + dx * s - 1.5, y + dy * s), (x + dx * s + 1.5, y + dy * s - 1.5)], "#e9f2d0", 0.7)
    bloom = r.random() < 0.5
    if bloom:
        for k in range(6):
            c.petal(x, y - 46 * s, 11 * s, 7 * s, 60 * k, "#ee7fa8")
    c.poly([(x - 20 * s, y + 16 * s), (x + 20 * s, y + 16 * s), (x + 15 * s, y + 44 * s), (x - 15 * s, y + 44 * s)], colour)
    c.rect(x - 23 * s, y + 12 * s, x + 23 * s, y + 20 * s, dark(colour, 0.15), 1)
    return f"{back}置かれた、{name}鉢の{'花が咲いた' if bloom else ''}サボテン"


@scene
def maple_leaves(c: Canvas, r: random.Random) -> str:
    c.grade("#f3e7d0", "#d9c19a")
    n = r.randint(1, 5)
    name, colour = r.choice([("赤い", "#c9362a"), ("黄色い", "#e0a92c"), ("緑の", "#5d9a45"), ("オレンジ色の", "#df7428")])
    for i in range(n):
        x, y = c.w * (i + r.uniform(0.35, 0.65)) / n, r.uniform(28, 72)
        s, turn = (r.uniform(0.55, 0.9) if n > 1 else r.uniform(1.4, 1.8)), r.uniform(0, 360)
        for angle, length in ((-90, 30), (-42, 27), (-138, 27), (5, 21), (175, 21), (40, 13), (140, 13)):
            c.petal(x, y, length * s, 9 * s, angle + turn, mix(colour, "#f7d37a", r.uniform(0, 0.2)))
        a = math.radians(90 + turn)
        c.line([(x, y), (x + 22 * s * math.cos(a), y + 22 * s * math.sin(a))], dark(colour, 0.4), 1.4)
    return f"和紙の上に散らした{n}枚の{name}もみじの葉" if n > 1 else f"和紙の上に置いた1枚の{name}もみじの葉"


@scene
def mushrooms(c: Canvas, r: random.Random) -> str:
    c.grade("#2f4a38", "#6f8a56")
    for _ in range(7):
        x, width = r.uniform(0, c.w), r.uniform(4, 11)
        c.rect(x, 0, x + width, 84, mix("#3a2e22", "#22362a", r.random()))
    c.grade("#5c7a3c", "#38522a", 80, 100)
    n = r.randint(1, 3)
    name, colour = pick(r, "赤い", "茶色の", "紫の", "オレンジ色の")
    for i in range(n):
        s = r.uniform(0.6, 1) if n > 1 else r.uniform(1.3, 1.6)
        x, y = c.w * (i + r.uniform(0.4, 0.6)) / n, r.uniform(86, 95)
        c.rect(x - 7 * s, y - 34 * s, x + 7 * s, y, "#f1e6d0", 4 * s)
        c.pie(x, y - 30 * s, 27 * s, 27 * s, 180, 360, colour)
        c.ell(x, y - 30 * s, 27 * s, 4 * s, dark(colour, 0.3))
        for dx, dy, size in ((-14, -40, 4), (3, -48, 5), (15, -38, 3)):
            c.disc(x + dx * s, y + dy * s, size * s, "#fbf6ea")
    return f"森に生えた、白い斑点のある{n}本の{name}きのこ" if n > 1 else f"森に生えた、白い斑点のある{name}きのこ"


@scene
def lone_tree(c: Canvas, r: random.Random) -> str:
    season, leaf = r.choice(
        [("満開の桜の木", "#f3b6ca"), ("紅葉した木", "#d2602b"), ("若葉の木", "#7dbb4d"), ("雪の積もった木", "#f4f8fb")]
    )
    when = sky(c, r, 84)
    c.ell(c.w * r.uniform(0.3, 0.7), 112, c.w * 0.9, 34, "#dfe9ee" if leaf == "#f4f8fb" else "#7aa858")
    x, h = r.uniform(0.25, 0.75) * c.w, r.uniform(60, 84)
    c.line([(x, 90), (x - 1, 90 - h * 0.5)], "#5a4130", 6)
    for lean in (-16, 14):
        c.line([(x, 90 - h * 0.35), (x + lean, 90 - h * 0.66)], "#5a4130", 3)
    for _ in range(26):
        a, d = r.uniform(0, 2 * math.pi), math.sqrt(r.random())
        c.disc(
            x + 26 * d * math.cos(a),
            90 - h * 0.72 + 20 * d * math.sin(a),
            r.uniform(5, 9),
            mix(leaf, "#ffffff", r.uniform(0, 0.25)),
        )
    return f"{when}丘に一本だけ立つ{season}"


# -- food and things -----------------------------------------------------------------------------------------------------------


def plate(c: Canvas, x: float, y: float, size: float, colour: str = "#fbfaf6") -> None:
    c.ell(x + 2, y + 4, size, size * 0.96, "#00000030")
    c.ell(x, y, size, size * 0.96, colour)
    c.ell(x, y, size * 0.76, size * 0.72, dark(colour, 0.06))


@scene
def fried_egg(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.4)
    name, colour = pick(r, "白い", "青い", "黄色い", "ピンクの")
    plate(c, x, y, 42 * s, light(colour, 0.3))
    n = r.randint(1, 3)
    for i in range(n):
        a = 2 * math.pi * i / n + 0.6
        ex, ey = x + (13 * s * math.cos(a) if n > 1 else 0), y + (13 * s * math.sin(a) if n > 1 else 0)
        size = 10 * s if n > 1 else 15 * s
        for k in range(7):
            b = 2 * math.pi * k / 7
            c.disc(ex + size * 0.65 * math.cos(b), ey + size * 0.65 * math.sin(b), size * r.uniform(0.5, 0.75), "#ffffff")
        c.disc(ex, ey, size * 0.58, "#f5a623")
        c.disc(ex - size * 0.18, ey - size * 0.18, size * 0.14, "#ffe3a0")
    return f"{back}置かれた{name}皿の目玉焼き{n}つ"


@scene
def onigiri(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    n = r.randint(1, 3)
    filling, dot = r.choice([("梅干し", "#c8323a"), ("鮭", "#f08a62"), ("昆布", "#2f2a24")])
    c.rect(0.06 * c.w, 80, 0.94 * c.w, 92, "#a9743f", 2)
    for i in range(n):
        s = min(1.7 if n == 1 else 1.1, c.w / n / 52)
        x, y = c.w * (0.1 + 0.8 * (i + 0.5) / n), 80 - 24 * s + r.uniform(-1, 1)
        corners = [(x, y - 16 * s), (x + 16 * s, y + 12 * s), (x - 16 * s, y + 12 * s)]
        c.line([*corners, corners[0], corners[1]], "#fdfcf8", 24 * s)
        for corner in corners:
            c.disc(*corner, 12 * s, "#fdfcf8")
        c.rect(x - 9 * s, y + 4 * s, x + 9 * s, y + 24 * s, "#25332b")
        c.disc(x, y - 9 * s, 5 * s, dot)
    return f"{back}並ぶ{filling}のおにぎり{n}個" if n > 1 else f"{back}置かれた{filling}のおにぎり"


@scene
def ramen(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.42)
    bowl, colour = pick(r, "赤い", "黒い", "白い", "青い")
    c.disc(x, y, 42 * s, colour)
    c.ring(x, y, 42 * s, dark(colour, 0.25), 1.6)
    c.disc(x, y, 35 * s, "#c98a3c")
    for k in range(6):
        c.arc(x + r.uniform(-8, 8), y + r.uniform(-6, 6), 22 * s, 17 * s, 60 * k, 60 * k + 190, "#f3d98c", 2.6 * s)
    turn = r.uniform(0, 2 * math.pi)

    def at(angle: float, far: float = 19) -> Point:
        return x + far * s * math.cos(turn + angle), y + far * s * math.sin(turn + angle)

    c.ell(*at(0), 9 * s, 11 * s, "#fbf6ea")
    c.disc(*at(0), 5.6 * s, "#f0922a")
    for k in (0, 0.5):
        c.disc(*at(1.9 + k), 11 * s, "#a9694a")
        c.disc(*at(1.9 + k), 7 * s, "#c98a68")
    c.disc(*at(3.6), 9 * s, "#fdfaf5")
    c.arc(*at(3.6), 5 * s, 5 * s, 0, 270, "#ea86a4", 2 * s)
    px, py = at(4.9, 22)
    c.rect(px - 9 * s, py - 12 * s, px + 9 * s, py + 9 * s, "#22332a")
    for _ in range(10):
        c.disc(*at(r.uniform(0, 6.3), r.uniform(2, 12)), 1.8 * s, "#5fa945")
    return f"{back}置かれた{bowl}丼のラーメンを真上から見たところ"


@scene
def sushi(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    n, y = r.randint(1, 4), r.uniform(52, 66)
    kinds = {"まぐろ": "#c2343c", "サーモン": "#f28a56", "玉子": "#f5cf4a", "いか": "#f7f3f0"}
    names = r.sample(list(kinds), min(n, len(kinds)))
    c.rect(0.03 * c.w, y + 18, 0.97 * c.w, y + 26, "#7d4f2a", 1)
    c.rect(0.1 * c.w, y + 26, 0.16 * c.w, y + 34, "#6a4120")
    c.rect(0.84 * c.w, y + 26, 0.9 * c.w, y + 34, "#6a4120")
    for i, name in enumerate(names):
        x, half = c.w * (0.05 + 0.9 * (i + 0.5) / n), min(34, 0.4 * c.w / n)
        h = 18 if n > 2 else 26
        c.rect(x - half, y + 18 - h * 0.7, x + half, y + 18, "#fdfcf6", h * 0.3)
        c.rect(x - half * 1.06, y + 12 - h, x + half * 1.06, y + 18 - h * 0.5, kinds[name], h * 0.25)
        for k in (-0.5, 0, 0.5):
            c.line([(x + half * (k - 0.12), y + 13 - h), (x + half * (k + 0.12), y + 17 - h * 0.5)], light(kinds[name], 0.4), 1)
        if name == "玉子":
            c.rect(x - half * 0.16, y + 12 - h, x + half * 0.16, y + 18, "#25332b")
    return f"{back}置かれた寿司下駄に並ぶ{'、'.join(names)}のにぎり寿司"


@scene
def cake(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.4)
    y += 10
    whole = r.random() < 0.5
    name, cream, sponge = r.choice(
        [
            ("ショートケーキ", "#fffaf2", "#f3d58a"),
            ("チョコレートケーキ", "#5d3a28", "#82543a"),
            ("抹茶ケーキ", "#8fae5c", "#b7cc85"),
        ]
    )
    c.ell(x, y + 24 * s, 46 * s, 11 * s, "#f4f6f8")
    if whole:
        c.rect(x - 34 * s, y - 10 * s, x + 34 * s, y + 20 * s, cream, 4)
        c.ell(x, y - 10 * s, 34 * s, 9 * s, light(cream, 0.25))
        c.rect(x - 34 * s, y + 2 * s, x + 34 * s, y + 7 * s, sponge)
        for k in range(-3, 4):
            c.disc(x + 9 * k * s, y - 12 * s, 4.6 * s, "#d8323c")
    else:
        c.poly([(x - 32 * s, y + 18 * s), (x - 32 * s, y - 14 * s), (x + 32 * s, y - 8 * s), (x + 32 * s, y + 20 * s)], sponge)
        c.poly([(x - 32 * s, y - 14 * s), (x + 20 * s, y - 24 * s), (x + 32 * s, y - 8 * s)], cream)
        c.line([(x - 32 * s, y + 2 * s), (x + 32 * s, y + 6 * s)], cream, 4 * s)
        c.disc(x + 4 * s, y - 22 * s, 8 * s, "#d8323c")
        c.petal(x + 4 * s, y - 29 * s, 9 * s, 4 * s, -40, "#4c9a4a")
    return f"{back}置かれた、いちごをのせた{'丸い' if whole else '一切れの'}{name}"


@scene
def dango(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.38)
    n, turn = r.randint(1, 3), r.uniform(-60, 60)
    kind, colours = r.choice(
        [("三色団子", ("#f2a7b8", "#fdfaf2", "#9cc46a")), ("みたらし団子", ("#c47a2c",) * 3), ("草団子", ("#7d9c50",) * 3)]
    )
    plate(c, x, y, 43 * s, "#3e5266")
    for i in range(n):
        a, off = math.radians(-90 + turn), (i - (n - 1) / 2) * 20 * s
        u, v = math.cos(a), math.sin(a)
        px, py = x - off * v, y + off * u
        c.line([(px - 32 * s * u, py - 32 * s * v), (px + 26 * s * u, py + 26 * s * v)], "#d9b679", 2 * s)
        for k, colour in enumerate(colours):
            d = (18 - 16 * k) * s
            c.disc(px + d * u, py + d * v, 8.6 * s, colour)
            c.disc(px + d * u - 2.4 * s, py + d * v - 2.6 * s, 2 * s, light(colour, 0.55))
    return f"{back}置かれた紺色の皿にのった{n}本の{kind}"


@scene
def fruit(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    kind, colour = r.choice(
        [("りんご", "#cf3230"), ("みかん", "#f29a2a"), ("青りんご", "#8dbb45"), ("レモン", "#f3d63c"), ("桃", "#f6b3b0")]
    )
    n = r.randint(1, 4)
    for i in range(n):
        s = min(1.5 if n == 1 else 1.0, c.w / n / 44)
        x, y = c.w * (0.08 + 0.84 * (i + 0.5) / n), r.uniform(46, 70)
        c.ell(x, y + 21 * s, 20 * s, 4 * s, "#00000035")
        if kind == "レモン":
            c.ell(x, y, 26 * s, 17 * s, colour)
            c.disc(x + 25 * s, y, 4 * s, colour)
        else:
            c.disc(x, y, 21 * s, colour)
        c.ell(x - 7 * s, y - 8 * s, 5 * s, 3.4 * s, light(colour, 0.6))
        if kind != "レモン":
            c.line([(x, y - 18 * s), (x + 2 * s, y - 27 * s)], "#6b4a2c", 1.8 * s)
            c.petal(x + 1 * s, y - 22 * s, 14 * s, 6 * s, -25, "#4c9a4a")
    return f"{back}並ぶ{n}個の{kind}" if n > 1 else f"{back}置かれた1個の{kind}"


@scene
def watermelon(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.42)
    half = r.random() < 0.5
    size = 44 * s
    if half:
        y -= 8
        c.pie(x, y, size, size, 0, 180, "#2f7d43")
        c.pie(x, y, size * 0.92, size * 0.92, 0, 180, "#e9f0c8")
        c.pie(x, y, size * 0.86, size * 0.86, 0, 180, "#e4484c")
        seeds = [
            (x + size * d * math.cos(a), y + size * d * math.sin(a)) for d in (0.35, 0.62) for a in (0.5, 1.1, 1.6, 2.1, 2.7)
        ]
    else:
        c.poly([(x, y - 36 * s), (x + 38 * s, y + 28 * s), (x - 38 * s, y + 28 * s)], "#e4484c")
        c.poly(
            [(x + 38 * s, y + 28 * s), (x + 43 * s, y + 38 * s), (x - 43 * s, y + 38 * s), (x - 38 * s, y + 28 * s)], "#2f7d43"
        )
        c.line([(x - 38 * s, y + 28 * s), (x + 38 * s, y + 28 * s)], "#e9f0c8", 3 * s)
        seeds = [(x + dx * s, y + dy * s) for dx, dy in ((0, -16), (-9, 0), (9, 0), (-18, 15), (0, 14), (18, 15))]
    for u, v in seeds:
        c.ell(u, v, 1.5 * s, 2.4 * s, "#25201e")
    return f"{back}置かれた{'半分に切った' if half else '三角に切った'}スイカ"


@scene
def coffee(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, y, s = spot(c, r, 0.4)
    name, colour = pick(r, "白い", "赤い", "青い", "緑の", "黄色い")
    drink, liquid = r.choice([("コーヒー", "#4a2d1c"), ("緑茶", "#9aa83f"), ("紅茶", "#b5562a"), ("牛乳", "#faf7ef")])
    if r.random() < 0.5:
        c.ell(x, y + 32 * s, 40 * s, 8 * s, light(colour, 0.6))
        c.ring(x + 27 * s, y + 8 * s, 12 * s, colour, 4 * s)
        c.poly([(x - 27 * s, y - 10 * s), (x + 27 * s, y - 10 * s), (x + 19 * s, y + 32 * s), (x - 19 * s, y + 32 * s)], colour)
        c.ell(x, y - 10 * s, 27 * s, 6 * s, light(colour, 0.5))
        c.ell(x, y - 9 * s, 23 * s, 4 * s, liquid)
        for dx in (-9, 3, 14):
            c.line([(x + dx * s, y - 20 * s), (x + (dx + 4) * s, y - 28 * s), (x + (dx - 1) * s, y - 38 * s)], "#ffffffc8", 2)
        return f"{back}置かれた、湯気の立つ{drink}の入った{name}カップ"
    plate(c, x, y, 43 * s, light(colour, 0.65))
    c.rect(x + 24 * s, y - 4 * s, x + 40 * s, y + 4 * s, dark(colour, 0.1), 3)
    c.disc(x, y, 29 * s, colour)
    c.disc(x, y, 25 * s, liquid)
    return f"{back}置かれた{name}カップの{drink}を上から見たところ"


@scene
def bento(c: Canvas, r: random.Random) -> str:
    backdrop(c, r)
    name, colour = pick(r, "赤い", "黒い", "緑の", "茶色の")
    x0, y0, x1, y1 = c.w * r.uniform(0.05, 0.14), r.uniform(12, 24), c.w * r.uniform(0.86, 0.95), r.uniform(76, 88)
    c.rect(x0, y0, x1, y1, colour, 5)
    split = x0 + (x1 - x0) * r.uniform(0.4, 0.6)
    c.rect(x0 + 4, y0 + 4, split - 1, y1 - 4, "#fdfcf7", 2)
    c.disc((x0 + split) / 2, (y0 + y1) / 2, 6, "#c8323a")
    middle = (y0 + y1) / 2 + r.uniform(-6, 6)
    c.rect(split + 1, y0 + 4, x1 - 4, middle - 1, "#e7d7b4", 2)
    c.rect(split + 1, middle + 1, x1 - 4, y1 - 4, "#7fae55", 2)
    for k in range(3):
        u = split + (x1 - split) * (k + 0.7) / 3.8
        c.rect(u - 4, y0 + 8, u + 5, middle - 5, "#f5cf4a", 2)
        c.disc(u, (middle + y1) / 2, 5, "#d8372f")
    return f"{name}弁当箱に詰めた、梅干しごはんと卵焼きとミニトマト"


@scene
def wall_clock(c: Canvas, r: random.Random) -> str:
    backdrop(c, r)
    x, y, s = spot(c, r, 0.42)
    name, colour = pick(r, "赤い", "青い", "黒い", "緑の", "茶色の")
    hour, half = r.randint(1, 12), r.random() < 0.5
    c.mirror = False
    square = r.random() < 0.4
    if square:
        c.rect(x - 40 * s, y - 40 * s, x + 40 * s, y + 40 * s, colour, 4)
        c.rect(x - 35 * s, y - 35 * s, x + 35 * s, y + 35 * s, "#fdfcf8", 2)
    else:
        c.disc(x, y, 42 * s, colour)
        c.disc(x, y, 37 * s, "#fdfcf8")
    for k in range(12):
        a = math.radians(30 * k)
        c.disc(x + 31 * s * math.sin(a), y - 31 * s * math.cos(a), (2.2 if k % 3 == 0 else 1.1) * s, "#33333a")
    for angle, length, width in ((30 * hour + (15 if half else 0), 18, 4), (180 if half else 0, 28, 2.6)):
        a = math.radians(angle)
        c.line([(x, y), (x + length * s * math.sin(a), y - length * s * math.cos(a))], "#26262c", width * s)
    c.disc(x, y, 3 * s, "#b8322d")
    return f"{hour}時{'半' if half else 'ちょうど'}を指す{name}{'四角い' if square else '丸い'}掛け時計"


@scene
def umbrella(c: Canvas, r: random.Random) -> str:
    c.grade("#8c9bab", "#c3ccd3")
    for _ in range(40):
        x, y = r.uniform(0, c.w), r.uniform(0, 100)
        c.line([(x, y), (x - 2, y + 9)], "#ffffff80", 0.6)
    names = ["赤い", "黄色い", "青い", "ピンクの", "緑の"]
    n = r.randint(1, 3)
    chosen = r.sample(names, n)
    for i, name in enumerate(chosen):
        s = r.uniform(0.55, 0.8) if n > 1 else r.uniform(1.1, 1.4)
        x, y = c.w * (i + 0.5) / n, r.uniform(40, 62)
        c.line([(x, y - 2), (x, y + 34 * s), (x + 4 * s, y + 38 * s), (x + 8 * s, y + 34 * s)], "#4d3626", 2 * s)
        c.pie(x, y, 34 * s, 32 * s, 180, 360, COLOURS[name])
        c.pie(x, y, 13 * s, 32 * s, 180, 360, light(COLOURS[name], 0.25))
        for dx in (-24, 0, 24):
            c.ell(x + dx * s, y + 1, 11 * s if dx else 13 * s, 4 * s, "#a3aeb9")
    return f"雨の中に開いた{'と'.join(name + '傘' for name in chosen)}"


@scene
def lantern(c: Canvas, r: random.Random) -> str:
    c.grade("#191226", "#48264a")
    n, name = r.randint(2, 6), r.choice(["赤い", "白い", "黄色い"])
    colour = {"赤い": "#d8382c", "白い": "#f6efdd", "黄色い": "#f2b83a"}[name]
    sag = r.uniform(4, 26)
    points = [(c.w * i / 12, 14 + sag * (1 - (i / 6 - 1) ** 2)) for i in range(13)]
    c.line(points, "#8a7a6a", 0.8)
    for i in range(n):
        t = (i + 0.5) / n
        x, y, s = c.w * t, 14 + sag * (1 - (2 * t - 1) ** 2), min(1.15, c.w / n / 30)
        c.glow(x, y + 26 * s, 32 * s, colour, 0.55)
        c.ell(x, y + 26 * s, 13 * s, 19 * s, colour)
        for k in range(-2, 3):
            c.line([(x - 12.4 * s, y + (26 + 6 * k) * s), (x + 12.4 * s, y + (26 + 6 * k) * s)], dark(colour, 0.25), 0.6)
        for dy in (6, 44):
            c.rect(x - 7 * s, y + dy * s, x + 7 * s, y + (dy + 3) * s, "#241c1c")
    return f"夜の祭りに連なる{n}個の{name}提灯"


@scene
def carp_streamers(c: Canvas, r: random.Random) -> str:
    sky(c, r, 100, "昼")
    n, pole = r.randint(2, 4), c.w * r.uniform(0.08, 0.2)
    c.rect(pole - 1, 4, pole + 1, 100, "#8f8a80")
    c.disc(pole, 5, 3, "#e5b83a")
    for i in range(n):
        colour = ("#2d2d38", "#cf3b34", "#2f6db5", "#3f9a4f")[i]
        y, length, h = 14 + 76 * i / n, c.w * r.uniform(0.5, 0.76), 62 / n
        wave = r.uniform(-6, 6)
        c.poly(
            [
                (pole + 2, y),
                (pole + length * 0.6, y + wave),
                (pole + length, y - 2),
                (pole + length * 0.88, y + h / 2),
                (pole + length, y + h + 2),
                (pole + length * 0.6, y + h * 0.8 + wave),
                (pole + 2, y + h),
            ],
            colour,
        )
        c.disc(pole + length * 0.12, y + h * 0.45, h * 0.26, "#ffffff")
        c.disc(pole + length * 0.12, y + h * 0.45, h * 0.13, "#15151a")
        for k in range(3, 8):
            c.arc(pole + length * k / 10, y + h * 0.48 + wave * k / 9, h * 0.2, h * 0.28, 90, 270, "#ffffffb0", 1)
    return f"青空を泳ぐ{n}匹の鯉のぼり"


@scene
def daruma(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    n = r.randint(1, 3)
    name, colour = pick(r, "赤い", "白い", "黄色い", "緑の")
    one_eye = r.random() < 0.5
    for i in range(n):
        s = min(1.35 if n == 1 else 0.95, c.w / n / 58)
        x, y = c.w * (0.06 + 0.88 * (i + 0.5) / n), r.uniform(50, 64)
        c.ell(x, y + 28 * s, 27 * s, 6 * s, "#00000035")
        c.ell(x, y, 30 * s, 31 * s, colour)
        c.ell(x, y - 6 * s, 20 * s, 16 * s, "#f7e6cf")
        for dx in (-8, 8):
            c.disc(x + dx * s, y - 6 * s, 5.4 * s, "#ffffff")
            c.line([(x + (dx - 6) * s, y - 13 * s), (x + (dx + 6) * s, y - 15 * s)], "#22201f", 2.2 * s)
            if dx < 0 or not one_eye:
                c.disc(x + dx * s, y - 6 * s, 3 * s, "#22201f")
        c.arc(x, y + 3 * s, 5 * s, 3 * s, 20, 160, "#a8322d", 1.4 * s)
        for dx in (-10, 0, 10):
            c.line(
                [(x + dx * s, y + 14 * s), (x + dx * 1.1 * s, y + 26 * s)], "#e7bf4a" if name != "黄色い" else "#b8322d", 2 * s
            )
    return (
        f"{back}並ぶ、{'片目だけ入った' if one_eye else '両目の入った'}{n}つの{name}だるま"
        if n > 1
        else f"{back}置かれた、{'片目だけ入った' if one_eye else '両目の入った'}{name}だるま"
    )


@scene
def folding_fan(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "青い", "紫の", "緑の", "白い")
    x, y, s = c.w / 2 + r.uniform(-8, 8), r.uniform(78, 92), r.uniform(0.85, 1.1) * min(1.0, c.w / 110)
    first, last = r.uniform(195, 215), r.uniform(325, 345)
    c.pie(x, y, 66 * s, 66 * s, first, last, colour)
    c.pie(x, y, 44 * s, 44 * s, first, last, light(colour, 0.5))
    c.pie(x, y, 28 * s, 28 * s, first, last, "#d9bd8c")
    for k in range(13):
        a = math.radians(first + (last - first) * k / 12)
        c.line(
            [(x, y), (x + 66 * s * math.cos(a), y + 66 * s * math.sin(a))],
            "#6f522f" if k in (0, 12) else "#6f522f60",
            1.6 if k in (0, 12) else 0.7,
        )
    mid = math.radians((first + last) / 2)
    c.disc(x + 52 * s * math.cos(mid), y + 52 * s * math.sin(mid), 8 * s, "#e9bd3c")
    return f"{back}開いて飾った、金の丸を描いた{name}扇子"


@scene
def books(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    stacked, n = r.random() < 0.5, r.randint(3, 7)
    if stacked:
        y = 88.0
        for _ in range(n):
            _, colour = pick(r, "赤い", "青い", "緑の", "茶色の", "紫の", "オレンジ色の")
            h, shift, half = min(12, 74 / n), r.uniform(-6, 6), r.uniform(26, 36) * min(1, c.w / 90)
            c.rect(c.w / 2 - half + shift, y - h, c.w / 2 + half + shift, y, colour, 1)
            c.rect(c.w / 2 + half + shift - 5, y - h + 2, c.w / 2 + half + shift, y - 2, "#fbf6e8")
            c.rect(c.w / 2 - half + shift + 6, y - h, c.w / 2 - half + shift + 8, y, light(colour, 0.5))
            y -= h
        return f"{back}積み重ねた{n}冊の本"
    c.rect(0, 82, c.w, 90, "#7d5433")
    x = c.w * 0.12
    for i in range(n):
        _, colour = pick(r, "赤い", "青い", "緑の", "茶色の", "紫の", "黄色い")
        width, h = c.w * 0.74 / n, r.uniform(38, 64)
        lean = 8 if i == n - 1 else 0
        c.poly([(x, 82), (x + lean, 82 - h), (x + lean + width - 1, 82 - h), (x + width - 1, 82)], colour)
        c.rect(x + 1 + lean / 2, 82 - h * 0.7, x + width - 2 + lean / 2, 82 - h * 0.56, light(colour, 0.6))
        x += width
    return f"{back}立てて並べた{n}冊の本"


@scene
def shirt(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "白い", "赤い", "青い", "黒い", "黄色い", "緑の")
    x, y, s = spot(c, r, 0.42)
    body = [
        (-14, -34),
        (-22, -32),
        (-42, -12),
        (-31, 0),
        (-22, -8),
        (-22, 38),
        (22, 38),
        (22, -8),
        (31, 0),
        (42, -12),
        (22, -32),
        (14, -34),
    ]
    c.poly([(x + 1.5 + u * s, y + 2 + v * s) for u, v in body], "#00000030")
    c.poly([(x + u * s, y + v * s) for u, v in body], colour)
    c.pie(x, y - 34 * s, 13 * s, 9 * s, 0, 180, dark(colour, 0.25))
    mark = r.choice(["星", "ハート", "丸", "横縞"])
    ink = "#f2c230" if name not in ("黄色い", "白い") else "#2f6db5"
    if mark == "星":
        tips = [
            (
                x + (15 if k % 2 == 0 else 6) * s * math.sin(math.pi * k / 5),
                y + 4 * s - (15 if k % 2 == 0 else 6) * s * math.cos(math.pi * k / 5),
            )
            for k in range(10)
        ]
        c.poly(tips, ink)
    elif mark == "ハート":
        for dx in (-6, 6):
            c.disc(x + dx * s, y - 2 * s, 7.6 * s, "#e85b7c")
        c.poly([(x - 13 * s, y + 1 * s), (x + 13 * s, y + 1 * s), (x, y + 19 * s)], "#e85b7c")
    elif mark == "丸":
        c.disc(x, y + 4 * s, 14 * s, ink)
    else:
        for dy in (-10, 2, 14, 26):
            c.rect(x - 22 * s, y + dy * s, x + 22 * s, y + (dy + 6) * s, ink)
    return f"{back}広げた、{mark}の柄の{name}Tシャツ"


@scene
def vase(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "青い", "白い", "茶色の", "緑の", "黒い")
    x, y, s = spot(c, r)
    y += 14
    n = r.randint(1, 4)
    flower_name, tone = pick(r, "赤い", "黄色い", "ピンクの", "紫の")
    for i in range(n):
        a = math.radians(-90 + (i - (n - 1) / 2) * 30)
        px, py = x + 52 * s * math.cos(a), y - 6 * s + 52 * s * math.sin(a)
        c.line([(x, y - 8 * s), (px, py)], "#3f7d3a", 2 * s)
        for k in range(6):
            c.petal(px, py, 12 * s, 8 * s, 60 * k, tone)
        c.disc(px, py, 3.6 * s, "#f6e3a0")
    c.ell(x, y + 20 * s, 20 * s, 20 * s, colour)
    c.poly([(x - 8 * s, y - 12 * s), (x + 8 * s, y - 12 * s), (x + 12 * s, y + 8 * s), (x - 12 * s, y + 8 * s)], colour)
    c.ell(x, y - 12 * s, 10 * s, 3 * s, light(colour, 0.4))
    c.ell(x - 8 * s, y + 16 * s, 3 * s, 8 * s, light(colour, 0.5))
    return f"{back}置かれた{name}花瓶に生けた{n}輪の{flower_name}花"


@scene
def gift(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    name, colour = pick(r, "赤い", "青い", "緑の", "白い", "紫の")
    ribbon, tone = pick(r, *[k for k in ("黄色い", "ピンクの", "水色の", "オレンジ色の") if k != name])
    x, y, s = spot(c, r, 0.4)
    y += 6
    c.rect(x - 34 * s, y - 12 * s, x + 34 * s, y + 38 * s, colour, 1)
    c.rect(x - 38 * s, y - 20 * s, x + 38 * s, y - 8 * s, dark(colour, 0.12), 1)
    c.rect(x - 6 * s, y - 20 * s, x + 6 * s, y + 38 * s, tone)
    for side in (-1, 1):
        c.petal(x, y - 20 * s, 26 * s, 14 * s, -90 + side * 52, tone)
        c.petal(x, y - 20 * s, 18 * s, 7 * s, -90 + side * 52, dark(tone, 0.2))
    c.disc(x, y - 21 * s, 5 * s, dark(tone, 0.1))
    return f"{back}置かれた、{ribbon}リボンをかけた{name}贈り物の箱"


@scene
def christmas_tree(c: Canvas, r: random.Random) -> str:
    back = backdrop(c, r)
    x, s = r.uniform(0.3, 0.7) * c.w, r.uniform(0.85, 1.1)
    c.rect(x - 4 * s, 82, x + 4 * s, 94, "#6b4a2c")
    for i in range(3):
        c.poly(
            [(x - (18 + 7 * i) * s, 44 + 20 * i), (x, 44 + 20 * i - 32 * s), (x + (18 + 7 * i) * s, 44 + 20 * i)],
            ("#3f8f53", "#37824b", "#2f7543")[i],
        )
    for i in range(3):
        for k in range(-1 - i, 2 + i):
            c.disc(x + k * 11 * s, 42 + 20 * i - (2 - abs(k) % 2 * 6), 3 * s, ("#e0392f", "#f2c230", "#5aa9e0")[(k + i) % 3])
    tips = [
        (
            x + (8 if k % 2 == 0 else 3.4) * s * math.sin(math.pi * k / 5),
            44 - 32 * s - (8 if k % 2 == 0 else 3.4) * s * math.cos(math.pi * k / 5),
        )
        for k in range(10)
    ]
    c.poly(tips, "#f6ce3e")
    return f"{back}飾られた、星をのせたクリスマスツリー"


@scene
def tatami(c: Canvas, r: random.Random) -> str:
    c.grade("#e9dfc6", "#d6c8a5", 0, 72)
    floor = r.uniform(52, 70)
    c.grade("#b6bd7a", "#979f58", floor, 100)
    x = r.uniform(0.3, 0.7) * c.w
    for i in range(-4, 5):
        c.line([(x + i * 16, floor), (x + i * 46, 100)], "#3e4a34", 1.4)
    c.line([(0, floor + 16), (c.w, floor + 16)], "#3e4a34", 1.2)
    n = r.randint(2, 4)
    left, width = c.w * r.uniform(0.04, 0.2), c.w * r.uniform(0.55, 0.76)
    c.rect(left - 2, 8, left + width + 2, floor, "#6f4c2c")
    for i in range(n):
        a, b = left + width * i / n + 1, left + width * (i + 1) / n - 1
        c.rect(a, 10, b, floor - 1, "#fbf8ee")
        for k in range(1, 4):
            c.line([(a, 10 + (floor - 11) * k / 4), (b, 10 + (floor - 11) * k / 4)], "#8f6c45", 0.8)
        c.line([((a + b) / 2, 10), ((a + b) / 2, floor)], "#8f6c45", 0.8)
    if r.random() < 0.5:
        c.ell(x, floor + 26, 30, 6, "#7a3f24")
        c.rect(x - 3, floor + 26, x + 3, floor + 36, "#5f3019")
        return f"{n}枚の障子と丸いちゃぶ台のある畳の部屋"
    return f"{n}枚の障子が並ぶ畳の部屋"


@scene
def piano_keys(c: Canvas, r: random.Random) -> str:
    n, top = r.randint(5, 11), r.uniform(8, 34)
    c.grade("#3c2a20", "#1a120e")
    c.mirror = False
    c.rect(0, top - 3, c.w, top, "#a8322d")
    width = c.w / n
    for i in range(n):
        c.rect(i * width + 0.5, top, (i + 1) * width - 0.5, 97, "#fbfaf5", 1)
        c.rect(i * width + 0.5, 91, (i + 1) * width - 0.5, 97, "#dedbd2", 1)
    for i in range(n):
        if i % 7 in (0, 1, 3, 4, 5) and i < n - 1:
            c.rect((i + 0.7) * width, top, (i + 1.3) * width, top + (97 - top) * 0.62, "#1c1a1d", 1)
    return f"白い鍵が{n}本写ったピアノの鍵盤"


# -- charts, maps, patterns, shapes --------------------------------------------------------------------------------------------


@scene
def bar_chart(c: Canvas, r: random.Random) -> str:
    c.grade("#ffffff", "#dbe4ec")
    name, colour = pick(r, "青い", "緑の", "オレンジ色の", "紫の", "赤い")
    n, trend = r.randint(4, 9), r.choice(["右肩上がり", "右肩下がり", "真ん中が高い", "真ん中が低い"])
    across = r.random() < 0.35
    c.mirror = False
    for k in range(5):
        p = 14 + 18 * k
        c.line(
            [(10, p), (c.w - 6, p)] if not across else [(10 + (c.w - 16) * k / 4, 8), (10 + (c.w - 16) * k / 4, 90)],
            "#d5dae0",
            0.7,
        )
    for i in range(n):
        t = i / (n - 1)
        value = {"右肩上がり": t, "右肩下がり": 1 - t, "真ん中が高い": 1 - abs(2 * t - 1), "真ん中が低い": abs(2 * t - 1)}[
            trend
        ]
        value = 0.18 + 0.72 * value + r.uniform(-0.05, 0.05)
        if across:
            y = 10 + 80 * i / n
            c.rect(10, y, 10 + (c.w - 18) * value, y + 80 / n * 0.7, colour)
        else:
            x = 12 + (c.w - 20) * i / n
            c.rect(x, 90 - 78 * value, x + (c.w - 20) / n * 0.7, 90, colour)
    c.line([(10, 8), (10, 90), (c.w - 6, 90)], "#3b434c", 1.2)
    if across:
        shape = {
            "右肩上がり": "下へいくほど長い",
            "右肩下がり": "上から順に短くなる",
            "真ん中が高い": "真ん中が長い",
            "真ん中が低い": "真ん中が短い",
        }[trend]
        return f"{shape}{n}本の{name}横棒グラフ"
    return f"{trend}{'の' if trend.startswith('右') else ''}{n}本の{name}棒グラフ"


@scene
def line_chart(c: Canvas, r: random.Random) -> str:
    c.grade("#ffffff", "#cfdcea")
    c.mirror = False
    n = r.randint(1, 3)
    names = r.sample(["赤", "青", "緑"], n)
    for k in range(5):
        c.line([(10, 12 + 19 * k), (c.w - 5, 12 + 19 * k)], "#d5dae0", 0.7)
    for name in names:
        a, b, phase = r.uniform(25, 78), r.uniform(25, 78), r.uniform(0, 6)
        points = [(10 + (c.w - 16) * i / 8, a + (b - a) * i / 8 + 9 * math.sin(phase + i * 1.3)) for i in range(9)]
        colour = {"赤": "#d23b35", "青": "#2f6db5", "緑": "#3f9a4f"}[name]
        c.line(points, colour, 1.8)
        for p in points:
            c.disc(*p, 2, colour)
    c.line([(10, 6), (10, 92), (c.w - 4, 92)], "#3b434c", 1.2)
    return f"{'と'.join(names)}の{n}本の線を比べた折れ線グラフ" if n > 1 else f"{names[0]}の線1本の折れ線グラフ"


@scene
def pie_chart(c: Canvas, r: random.Random) -> str:
    c.grade("#fdfdfb", "#e9edf0")
    n, start = r.randint(3, 6), r.uniform(0, 360)
    x, y, size = r.uniform(0.4, 0.6) * c.w, 50 + r.uniform(-4, 4), r.uniform(32, 42) * min(1, c.w / 100)
    shares = [r.uniform(0.6, 2.4) for _ in range(n)]
    ring = r.random() < 0.5
    at = start
    for share, colour in zip(shares, ("#d9534a", "#3b7dc4", "#f0b93a", "#58a865", "#8a63ad", "#e58a3a"), strict=False):
        end = at + 360 * share / sum(shares)
        c.pie(x, y, size, size, at, end, colour)
        at = end
    if ring:
        c.disc(x, y, size * 0.5, "#f6f7f6")
    return f"{n}色に分けた{'ドーナツ型の' if ring else ''}円グラフ"


@scene
def street_map(c: Canvas, r: random.Random) -> str:
    c.grade("#f1ede2", "#e8e3d5")
    slope = r.uniform(-0.5, 0.5)
    if r.random() < 0.7:
        y, river = r.uniform(20, 80), True
        c.line(
            [(-5, y), (c.w * 0.35, y + r.uniform(-18, 18)), (c.w * 0.7, y + r.uniform(-18, 18)), (c.w + 5, y)],
            "#9cc9e6",
            r.uniform(7, 13),
        )
    else:
        river = False
    px, py = r.uniform(0.05, 0.6) * c.w, r.uniform(5, 60)
    c.rect(px, py, px + 30, py + 24, "#b9dba4", 3)
    for k in range(r.randint(2, 4)):
        x = c.w * (k + r.uniform(0.3, 0.7)) / 3
        c.line([(x, -5), (x + 100 * slope, 105)], "#ffffff", r.uniform(2, 5))
    for k in range(r.randint(2, 3)):
        y = 100 * (k + r.uniform(0.3, 0.7)) / 3
        c.line([(-5, y), (c.w + 5, y - c.w * slope)], "#ffffff", r.uniform(2, 5))
    y = r.uniform(20, 80)
    c.line([(-5, y), (c.w + 5, 100 - y)], "#f3c15a", 4)
    x, y = r.uniform(0.25, 0.75) * c.w, r.uniform(30, 62)
    c.poly([(x - 9, y), (x + 9, y), (x, y + 19)], "#d8342f")
    c.disc(x, y - 2, 10, "#d8342f")
    c.disc(x, y - 2, 4, "#ffffff")
    return f"{'川と公園' if river else '公園'}のある街の地図に立てた赤いピン"


@scene
def treasure_map(c: Canvas, r: random.Random) -> str:
    c.grade("#dcc590", "#c4a566")
    x, y = c.w * r.uniform(0.4, 0.6), r.uniform(45, 55)
    lumps = [
        (x + r.uniform(24, 46) * math.cos(k) * min(1, c.w / 110), y + r.uniform(20, 38) * math.sin(k))
        for k in [2 * math.pi * i / 14 for i in range(14)]
    ]
    c.poly(lumps, "#a9b068")
    c.line([*lumps, lumps[0]], "#6b4f2a", 1.4)
    trail = [(x - 24, y + 14), (x - 10, y - 4), (x + 4, y + 8), (x + 18, y - 8)]
    for a, b in zip(trail, trail[1:], strict=False):
        for k in range(4):
            c.disc(a[0] + (b[0] - a[0]) * k / 4, a[1] + (b[1] - a[1]) * k / 4, 1.1, "#5a3820")
    u, v = trail[-1]
    for d in (-1, 1):
        c.line([(u - 5, v - 5 * d), (u + 5, v + 5 * d)], "#c0281f", 2.4)
    for k in range(2):
        m = x - 14 + 12 * k
        c.poly([(m - 6, y - 8), (m, y - 20), (m + 6, y - 8)], "#6b5a3a")
    u, v = c.w * r.choice([0.12, 0.88]), r.choice([14, 86])
    for k in range(4):
        c.petal(u, v, 10, 4, 90 * k, "#6b4f2a")
    return "赤いばつ印で宝のありかを示した島の古地図"


@scene
def seigaiha(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "青い", "緑の", "赤い", "紫の")
    size = r.uniform(11, 26)
    c.mirror = False
    for row in range(int(200 / size) + 3):
        for k in range(-1, int(c.w / size / 2) + 2):
            x, y = (2 * k + row % 2) * size, row * size / 2
            for i, share in enumerate((1, 0.74, 0.48, 0.22)):
                c.disc(x, y, size * share, "#fbf8ef" if i % 2 else colour)
    word = {"青い": "藍色", "緑の": "緑色", "赤い": "朱色", "紫の": "紫色"}[name]
    return f"{word}と白の青海波の文様"


@scene
def checker(c: Canvas, r: random.Random) -> str:
    pair = r.choice(
        [
            ("紺と白", "#26406e", "#f7f5ee"),
            ("緑と黒", "#2f8f5b", "#1e2420"),
            ("紫と白", "#7f4fa3", "#f5f0f7"),
            ("赤とクリーム色", "#c0392b", "#f6ecd2"),
        ]
    )
    size = r.uniform(12, 30)
    c.grade(pair[2], light(pair[2], 0.2))
    for i in range(int(c.w / size) + 1):
        for j in range(int(100 / size) + 1):
            if (i + j) % 2:
                c.rect(i * size, j * size, (i + 1) * size, (j + 1) * size, mix(pair[1], "#000000", r.uniform(0, 0.12)))
    return f"{pair[0]}の市松模様"


@scene
def asanoha(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "赤い", "青い", "緑の", "ピンクの", "紫の")
    c.grade(colour, dark(colour, 0.15))
    size = r.uniform(18, 36)
    h = size * math.sqrt(3) / 2
    for j in range(-1, int(100 / h) + 2):
        for i in range(-1, int(c.w / size) + 2):
            a, b, d = (
                ((i + j % 2 / 2) * size, j * h),
                ((i + 1 + j % 2 / 2) * size, j * h),
                ((i + 0.5 + j % 2 / 2) * size, (j + 1) * h),
            )
            e = ((i + 1.5 + j % 2 / 2) * size, (j + 1) * h)
            for p, q, s in ((a, b, d), (b, d, e)):
                m = ((p[0] + q[0] + s[0]) / 3, (p[1] + q[1] + s[1]) / 3)
                for u in (p, q, s):
                    c.line([u, m], "#fdf9f0", 1.2)
                c.line([p, q, s, p], "#fdf9f0", 1.2)
    word = {"赤い": "赤地", "青い": "紺地", "緑の": "緑地", "ピンクの": "桃色の地", "紫の": "紫地"}[name]
    return f"{word}に白い線の麻の葉文様"


@scene
def scales(c: Canvas, r: random.Random) -> str:
    word, one, two = r.choice(
        [("黒と金色", "#25242a", "#d2a740"), ("白と赤", "#f9f5ee", "#c63a34"), ("青と水色", "#2b5f9e", "#a9d5ea")]
    )
    c.grade(two, light(two, 0.15))
    size = r.uniform(16, 36)
    for j in range(int(100 / size) + 1):
        for i in range(-1, int(c.w / size) + 2):
            x = (i + j % 2 / 2) * size
            c.poly([(x, (j + 1) * size), (x + size / 2, j * size), (x + size, (j + 1) * size)], one)
    return f"{word}の三角形を並べた鱗文様"


@scene
def shippo(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "オレンジ色の", "青い", "紫の", "緑の", "灰色の")
    c.grade("#fbf8f0", "#f3eddd")
    size = r.uniform(13, 28)
    for j in range(-1, int(100 / size) + 2):
        for i in range(-1, int(c.w / size) + 2):
            c.petal(i * size, j * size, size * 1.41, size * 0.42, 45, colour)
            c.petal((i + 1) * size, j * size, size * 1.41, size * 0.42, 135, colour)
            if (i + j) % 2:
                c.disc(i * size + size / 2, j * size, size * 0.12, dark(colour, 0.2))
    return f"{name}七宝つなぎの文様"


@scene
def stripes(c: Canvas, r: random.Random) -> str:
    names = r.sample(["赤", "青", "黄色", "緑", "白", "黒"], r.randint(2, 4))
    tone = {"赤": "#c8322d", "青": "#2f6db5", "黄色": "#f0c02e", "緑": "#3f9a4f", "白": "#f7f4ec", "黒": "#2a2a30"}
    width, lean = r.uniform(10, 24), r.uniform(40, 110) * r.choice([-1, 1])
    for k in range(-12, 30):
        colour = tone[names[k % len(names)]]
        c.poly([(k * width, 0), ((k + 1) * width, 0), ((k + 1) * width + lean, 100), (k * width + lean, 100)], colour)
    c.glow(c.w / 2, 50, 70, "#ffffff", 0.12)
    return f"{'と'.join(names)}の斜めの縞模様"


@scene
def calligraphy(c: Canvas, r: random.Random) -> str:
    c.grade("#fbf9f2", "#efe9da")
    c.mirror = False
    strokes = {
        "山": [[(50, 14), (50, 76)], [(22, 42), (22, 78), (78, 78)], [(78, 40), (78, 82)]],
        "川": [[(26, 18), (24, 60), (14, 84)], [(50, 22), (50, 72)], [(76, 16), (76, 86)]],
        "大": [[(16, 38), (84, 34)], [(50, 12), (46, 48), (16, 88)], [(50, 44), (64, 70), (86, 88)]],
        "木": [[(18, 34), (82, 32)], [(50, 10), (50, 90)], [(48, 36), (36, 56), (16, 74)], [(52, 36), (64, 56), (86, 72)]],
        "三": [[(24, 24), (76, 22)], [(30, 50), (70, 48)], [(14, 80), (86, 77)]],
        "十": [[(14, 46), (86, 42)], [(50, 12), (50, 90)]],
        "人": [[(50, 14), (44, 48), (16, 86)], [(47, 40), (62, 66), (88, 86)]],
        "土": [[(26, 40), (74, 38)], [(50, 12), (50, 82)], [(12, 84), (88, 82)]],
        "日": [[(28, 16), (28, 86)], [(28, 16), (72, 16), (72, 86)], [(28, 50), (72, 50)], [(28, 82), (72, 82)]],
        "月": [
            [(32, 14), (31, 56), (20, 88)],
            [(32, 14), (72, 14), (72, 88), (64, 84)],
            [(32, 37), (72, 37)],
            [(32, 58), (72, 58)],
        ],
        "〇": [[(50 + 36 * math.sin(t / 4), 50 - 34 * math.cos(t / 4)) for t in range(24)]],
    }
    sign = r.choice(list(strokes))
    name, ink = r.choice([("墨", "#17161a"), ("墨", "#17161a"), ("朱墨", "#c23a26")])
    s, shift = r.uniform(0.8, 1), r.uniform(-6, 6)
    for stroke in strokes[sign]:
        c.brush(
            [(c.w / 2 + (u - 50) * s + shift, 50 + (v - 50) * s) for u, v in stroke], ink, r.uniform(9, 13), r.uniform(5, 9)
        )
    if r.random() < 0.6:
        c.rect(c.w * 0.84, 84, c.w * 0.84 + 9, 93, "#c0322a", 1)
    if sign == "〇":
        return f"半紙に{name}で描いた円相"
    return f"半紙に{name}で「{sign}」と書いた書道作品"


@scene
def circles(c: Canvas, r: random.Random) -> str:
    _, back = pick(r, "水色の", "ピンクの", "黄色い", "灰色の", "黒い")
    c.grade(light(back, 0.5) if back != "#2a2a30" else back, back)
    n = r.randint(3, 8)
    for _ in range(n):
        _, colour = pick(r, "赤い", "青い", "黄色い", "緑の", "紫の", "オレンジ色の")
        c.disc(r.uniform(0.1, 0.9) * c.w, r.uniform(10, 90), r.uniform(10, 32), colour + "c8")
    return f"透けて重なり合う{n}個の円を描いた抽象画"


@scene
def mondrian(c: Canvas, r: random.Random) -> str:
    c.grade("#faf8f2", "#f3f0e8")
    xs = [0, *sorted(r.uniform(0.15, 0.85) * c.w for _ in range(r.randint(2, 3))), c.w]
    ys = [0, *sorted(r.uniform(15, 85) for _ in range(r.randint(2, 3))), 100]
    tones = {"赤": "#c8322d", "青": "#24529c", "黄色": "#f0c02e", "黒": "#2a2a30"}
    used = []
    for i in range(len(xs) - 1):
        for j in range(len(ys) - 1):
            if r.random() < 0.5:
                used.append(r.choice(list(tones)))
                c.rect(xs[i], ys[j], xs[i + 1], ys[j + 1], tones[used[-1]])
    for x in xs[1:-1]:
        c.rect(x - 1.6, 0, x + 1.6, 100, "#17161a")
    for y in ys[1:-1]:
        c.rect(0, y - 1.6, c.w, y + 1.6, "#17161a")
    if not used:
        return "黒い線だけで白い画面を区切った抽象画"
    return f"黒い線で区切った四角形のいくつかを{'と'.join(dict.fromkeys(used))}で塗った抽象画"


@scene
def mosaic(c: Canvas, r: random.Random) -> str:
    _, one = pick(r, "赤い", "青い", "緑の", "紫の", "オレンジ色の")
    _, two = pick(r, "黄色い", "水色の", "白い", "ピンクの")
    nx, ny = r.randint(3, 5), r.randint(3, 4)
    p = [
        [
            (
                c.w * (i + (r.uniform(-0.3, 0.3) if 0 < i < nx else 0)) / nx,
                100 * (j + (r.uniform(-0.3, 0.3) if 0 < j < ny else 0)) / ny,
            )
            for j in range(ny + 1)
        ]
        for i in range(nx + 1)
    ]
    for i in range(nx):
        for j in range(ny):
            for q in ((p[i][j], p[i + 1][j], p[i][j + 1]), (p[i + 1][j], p[i + 1][j + 1], p[i][j + 1])):
                c.poly(list(q), mix(one, two, r.random()))
    return f"{2 * nx * ny}枚の三角形でできたモザイク画"


@scene
def spiral(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "赤い", "青い", "緑の", "紫の", "黒い", "オレンジ色の")
    c.grade(light(colour, 0.88), light(colour, 0.65))
    x, y, turns, turn = c.w * r.uniform(0.35, 0.65), r.uniform(35, 65), r.uniform(2.4, 4), r.uniform(0, 6.3)
    steps = 120
    points = [
        (
            x + 52 * t / steps * math.cos(turn + turns * 2 * math.pi * t / steps),
            y + 52 * t / steps * math.sin(turn + turns * 2 * math.pi * t / steps),
        )
        for t in range(steps)
    ]
    c.brush(points[::2], colour, 2, r.uniform(6, 9))
    return f"中心から外へ太くなっていく{name}渦巻き"


@scene
def waves(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "青い", "緑の", "紫の", "オレンジ色の", "赤い")
    c.grade(light(colour, 0.85), light(colour, 0.7))
    n, high, long, phase = r.randint(3, 6), r.uniform(5, 16), r.uniform(25, 70), r.uniform(0, 6)
    for i in range(n):
        y = 100 * (i + 0.6) / n
        top = [(x * c.w / 40, y + high * math.sin(phase + i * 1.7 + x * c.w / 40 / long * 2 * math.pi)) for x in range(41)]
        c.poly([(0, 110), *top, (c.w, 110)], mix(light(colour, 0.55), dark(colour, 0.35), i / n))
    return f"濃淡をつけた{n}本の{name}波の模様"


@scene
def bokeh(c: Canvas, r: random.Random) -> str:
    word, one, two = r.choice(
        [("夜の街の", "#10132c", "#352a52"), ("森の", "#163322", "#44703c"), ("夕暮れの", "#4a2540", "#b5603c")]
    )
    c.clouds(r, one, two, 3, 3, 2)
    for _ in range(r.randint(9, 18)):
        colour = r.choice(["#ffd98a", "#ffb27a", "#fff3d0", "#9fd0ff", "#ff9aa8"])
        x, y, size = r.uniform(0, c.w), r.uniform(0, 100), r.uniform(4, 16)
        c.disc(x, y, size, colour + "70")
        c.ring(x, y, size, colour + "90", 0.8)
    return f"{word}明かりを丸くぼかした背景写真風の画像"


@scene
def cloudscape(c: Canvas, r: random.Random) -> str:
    word, low, high, across, down = r.choice(
        [
            ("青空に広がる白い雲", "#3f86c8", "#fbfdff", 2, 2),
            ("夕日に染まる雲", "#6b4a7c", "#ffc07a", 2, 3),
            ("どんよりとした雨雲", "#5b656f", "#c3c9cd", 3, 2),
            ("風紋のある砂地", "#b78d4f", "#ecd3a0", 1, 8),
            ("苔の生えた地面の質感", "#2c4a22", "#8fb35a", 4, 4),
            ("さざ波の立つ湖の水面", "#1d4f78", "#a8d5e8", 2, 9),
            ("大理石の模様", "#8f8f96", "#fafafa", 2, 3),
            ("木目の板", "#8a5a35", "#d8a974", 9, 1),
        ]
    )
    c.clouds(r, low, high, across, down, 3)
    return word


@scene
def polygons(c: Canvas, r: random.Random) -> str:
    name, colour = pick(r, "赤い", "青い", "緑の", "黄色い", "紫の")
    sides, x, y, size, turn = (
        r.randint(3, 6),
        c.w * r.uniform(0.35, 0.65),
        r.uniform(42, 58),
        r.uniform(30, 44),
        r.uniform(0, 2),
    )
    c.grade(dark(colour, 0.6), dark(colour, 0.3))
    n = r.randint(2, 5)
    for k in range(n):
        here = size * (1 - k / (n + 0.5))
        points = [
            (x + here * math.cos(turn + 2 * math.pi * i / sides), y + here * math.sin(turn + 2 * math.pi * i / sides))
            for i in range(sides)
        ]
        c.poly(points, light(colour, 0.15 + 0.7 * k / n))
    word = {3: "三角形", 4: "四角形", 5: "五角形", 6: "六角形"}[sides]
    return f"暗い地に{n}重に重ねた{name}{word}"


# -- which pictures ------------------------------------------------------------------------------------------------------------

LONG = (
    "{}を描いた一枚です。輪郭線は引かず、色の面だけを重ねて形をつくりました。細かいところはあえて省き、遠くから見ても何であるかがすぐに"
    "分かるように、明るい部分と暗い部分の差を大きめにとっています。小さく印刷しても形がつぶれません。",
    "絵本の見開きのために用意した挿絵のうちの一点で、題は「{}」。文章を添えなくても場面が伝わるように、目立つものだけを画面の中ほどに集め、"
    "まわりには余白を残しました。色数を抑えてあるので、ほかの絵と並べても落ち着いて見えます。",
    "{}。教室の壁に貼る大きな掲示物の下絵として作ったもので、実際の掲示では同じ図柄を縦横それぞれ八倍に引き伸ばして使う予定です。"
    "影や質感をつけていないのは、はさみで切った色紙を貼って再現するときに、子どもたちが迷わないようにするためです。",
    "この画像に写っているもの：{}。見本として載せるために描いた絵なので、特定の場所や商品や人物を表したものではありません。大きさを変えたり"
    "左右を入れ替えたりして、どのような見え方になるかを比べるのに使ってください。",
)

FLIPPED = "is there flipped, too: no duplicate"

# Scene, caption ({} is what the scene says), how the picture is stored, what is special. Every scene is there once besides these.
SPECIAL: list[tuple[str, str, str, str]] = [
    *(("dog", "犬", form, "short caption, the same on three pictures") for form in ("jpg", "webp")),
    ("walking_dog", "犬", "webp", "short caption, the same on three pictures"),
    ("cat", "猫", "webp", "short caption, the same on two pictures"),
    ("sleeping_cat", "猫", "webp", "short caption, the same on two pictures"),
    ("flower", "花", "webp", "short caption"),
    ("snowy_peak", "富士山", "jpg", "kanji only"),
    ("brick_station", "東京駅前", "webp", "kanji only"),
    ("sakura_river", "桜並木", "webp", "kanji only"),
    ("rice_fields", "田園風景", "webp", "kanji only"),
    ("night_city", "都心の夜景", "webp", "mostly kanji"),
    ("fireworks", "打上花火", "webp", "kanji only"),
    ("sushi", "おすし", "webp", "hiragana only"),
    ("balloons", "カラフルバルーン", "webp", "katakana only"),
    ("lighthouse", LONG[0], "webp", "long caption"),
    ("bird_on_branch", LONG[1], "webp", "long caption"),
    ("ramen", LONG[2], "webp", "long caption"),
    ("train", LONG[3], "webp", "long caption"),
    ("island_palms", "&quot;{}&quot;と題したイラスト", "webp", "HTML entities"),
    ("cake", "コーヒー&amp;ケーキの店の品書きから、{}", "jpg", "HTML entities"),
    ("windmill", "{}&nbsp;&#x2014;&nbsp;版画風のイラスト", "webp", "HTML entities"),
    ("butterfly", "標本箱&amp;amp;図鑑のための挿絵、{}", "webp", "HTML entities, escaped twice"),
    ("castle", "&lt;冬の旅&gt; {}", "webp", "HTML entities"),
    ("bus", "【イラスト】{}（2024年、No.12）", "webp", "Latin letters and digits"),
    ("bar_chart", "図3-2　アンケート（N=240）の結果を表す、{}", "png", "Latin letters and digits"),
    ("line_chart", "Fig. 5 {}（2019～2023年度）", "png", "Latin letters and digits"),
    ("rocket", "SF小説の表紙案 No.7：{}", "webp", "Latin letters and digits"),
    ("yacht", "  {}\n（夏休みの絵日記より） ", "webp", "line end and spaces around"),
    ("fruit", "ｲﾗｽﾄ素材：{}", "webp", "half-width katakana"),
    ("suspension_bridge", "{}🌉✨", "webp", "emoji"),
    ("torii", "{}", "letterbox", "white border to 256 × 256"),
    ("steam_train", "{}", "letterbox", "white border to 256 × 256"),
    ("street_map", "{}", "letterbox", "white border to 256 × 256"),
    ("pagoda", "{}", "orientation", "EXIF orientation 6"),
    ("calligraphy", "{}", "cmyk", "CMYK JPEG"),
    ("piano_keys", "16ビットの白黒画像、{}", "16-bit", "16-bit greyscale PNG"),
    ("spiral", "くるくる回る{}のアニメーション", "gif", "animated GIF under the name .jpg, as img2dataset names it"),
    ("forest_night", "モノクロの{}", "grey", "greyscale JPEG"),
    ("goldfish", "丸く切り抜いた画像、{}", "alpha", "PNG with transparency"),
    ("panda", "{}", "png as jpg", "PNG under the name .jpg"),
    ("car", "{}", "webp", FLIPPED),
]

# Pictures of pairs whose caption is at fault: the scene, the caption, why.
CAPTIONS: list[tuple[str, str | None, str]] = [
    ("rainbow", "戻る", "navigation"),
    ("waterfall", "次へ", "navigation"),
    ("utility_poles", "ホーム", "navigation"),
    ("gift", "トップページへ戻る", "navigation"),
    ("shirt", "クリックで拡大", "navigation"),
    ("country_road", "画像", "placeholder"),
    ("maple_leaves", "サムネイル", "placeholder"),
    ("mondrian", "写真1", "placeholder"),
    ("circles", "NO IMAGE", "placeholder"),
    ("desert", "DSC_0123.JPG", "file_name"),
    ("signal", "IMG_2045", "file_name"),
    ("lone_tree", "https://example.com/gallery/view?id=2291", "url"),
    ("windmill", "http://example.jp/img/season/01.html", "url"),
    ("yacht", "A small sailing boat on the open sea at the end of the day", "english"),
    ("night_city", "Skyline of the city at night, with lights in the windows", "english"),
    ("sleeping_cat", "一只小猫趴在软软的垫子上睡着了，看起来非常舒服", "chinese"),
    ("brick_station", "这是我们城市的老火车站，已经有一百多年的历史了", "chinese"),
    ("walking_dog", "這隻小狗正在草地上散步，看起來非常開心", "chinese"),
    ("tulips", "봄이 오면 공원에 튤립이 활짝 핍니다", "korean"),
    ("snow_scene", "눈 오는 날 아이들이 만든 눈사람", "korean"),
    ("bicycle", "￥39,800", "price"),
    ("wall_clock", "4,980円", "price"),
    ("lantern", "KX-2290B-04", "part_number"),
    ("cat", "#猫 #ねこ部 #にゃんすたぐらむ #猫のいる暮らし #ねこ好きさんと繋がりたい", "hashtags"),
    ("vase", "激安 花瓶 激安 通販 花瓶 激安 送料無料 花瓶 通販 激安 花瓶 激安", "keyword_spam"),
    ("umbrella", "傘 激安 傘 通販 傘 激安 傘 送料無料 傘 激安 傘 通販 傘 激安 傘 通販", "keyword_spam"),
    ("rabbit", None, "empty"),
    ("penguins", "", "empty"),
    ("mushrooms", "\u3000 ", "empty"),
    ("watermelon", "★★★★★", "symbols"),
    ("bokeh", "無修正アダルト動画が見放題のアダルトサイト", "adult"),
]

# Pictures that are there again: the scene, its caption, and what became of the others.
ALIKE: list[tuple[str, tuple[tuple[str, str], ...]]] = [
    ("layered_mountains", (("same", "朝もやの中に重なる山々"),)),
    ("onigiri", (("same", "手作りのおにぎり"),)),
    ("fried_egg", (("same", "朝ごはんに焼いた目玉焼き"),)),
    ("stripes", (("same", "斜めの線の背景素材"),)),
    ("cactus", (("same", "机の上の小さなサボテン"),)),
    ("yacht", (("smaller", "帆を張ったヨット"),)),
    ("whale", (("smaller", "海で潮を吹くクジラの絵"),)),
    ("polygons", (("quality", "重なった多角形の図案"),)),
    ("treasure_map", (("quality", "宝島の地図"),)),
    ("turtle", (("brighter", "海の中を泳ぐ亀"),)),
    ("snail", (("cropped", "梅雨のかたつむり"),)),
    ("mosaic", (("cropped", "三角形のモザイク"),)),
    ("houses", (("smaller", "町の家々"), ("quality", "家の並ぶ通りの絵"), ("brighter", "かわいい家のイラスト"))),
    ("folding_fan", (("smaller", "開いた扇子"), ("cropped", "扇子のイラスト"))),
]

SIZES = [(176, 132), (132, 168), (144, 144), (188, 134), (132, 176), (172, 132), (192, 136), (134, 172), (160, 140), (168, 134)]
LARGE = {"pie_chart": (400, 280), "waves": (320, 240), "rainbow": (300, 200), "shirt": (240, 320)}
LETTERBOXED = {"torii": (256, 176), "steam_train": (256, 160), "street_map": (160, 256)}
# A tar spends two to three thousand bytes on a record besides the picture, so pictures have to be small: most are WebP.
FORMS = ["webp", "webp", "webp", "webp", "webp", "jpg", "webp", "webp", "webp", "png", "webp", "webp", "webp"]
WEBP_QUALITY = 30

# What the dice of each picture begin with, so chosen that no two pictures look alike (`--seeds`).
SEEDS = [
    int(seed)
    for seed in """
    0 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 1 0 0 0 0 1 0 1 0 0 0 0 1 0 0 1 0 2 6 0 0 6 2 1 3 0 0 0 2 3 0 1 1
    2 3 0 1 1 1 5 1 7 5 0 2 0 0 0 0 3 1 3 1 1 1 2 1 3 0 0 1 3 0 1 3 0 2 1 3 0 2 0 1 0 0 1 0 0 2 2 1 0 1 0 0 16 3 2 2 3 0 2
    1 0 1 8 2 0 1 1 2 1 0 0 2 0 7 4 3 12 3 0 0 1 4 0 1 2 1 0 3 2 2 1 3 3 6 6 4 10 13 7 3 9 20 4 0 1 4 7 6 2 2 1 1 8 4
    """.split()
]


@dataclass
class Picture:
    """A picture to draw: `role` says what it is for."""

    scene: str
    caption: str | None
    form: str
    note: str
    size: tuple[int, int]
    role: str = "kept"
    again: tuple[tuple[str, str], ...] = ()


def pictures() -> list[Picture]:
    found = [Picture(name, caption, form, note, (0, 0)) for name, caption, form, note in SPECIAL]
    alike = {name for name, _ in ALIKE}
    found += [Picture(name, "{}", FORMS[i % len(FORMS)], "", (0, 0)) for i, name in enumerate(SCENES) if name not in alike]
    for i, picture in enumerate(found):
        picture.size = SIZES[i * 7 % len(SIZES)]
        if picture.scene in LARGE:
            picture.size, picture.form = LARGE[picture.scene], "webp"
        if picture.form == "letterbox":
            picture.size = LETTERBOXED[picture.scene]
    for name, again in ALIKE:
        # An image of the same size must be the worse one by its bytes, too: what is to survive is in no doubt.
        same_size = any(how in ("quality", "brighter") for how, _ in again)
        found.append(Picture(name, "{}", "jpg" if same_size else "webp", "", (200, 150), "alike", again))
    found += [Picture(name, caption, "webp", "", (160, 128), why) for name, caption, why in CAPTIONS]
    return found


def drawn(picture: Picture, seed: int) -> tuple[Image.Image, str]:
    r = random.Random(f"{SEED} {picture.scene} {seed}")
    c = Canvas(*picture.size)
    said = SCENES[picture.scene](c, r)
    c.mirror = c.mirror and r.random() < 0.5
    image = c.done()
    if picture.form in ("16-bit", "grey"):
        image = image.convert("L")
    elif picture.form == "letterbox":
        image = ImageOps.pad(image, (256, 256), color="#ffffff")
    elif picture.form == "alpha":
        mask = Image.new("L", (image.width * FINE, image.height * FINE))
        ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), 255)
        image.putalpha(mask.resize(image.size, Image.Resampling.BOX))
    return image, said


# -- files of pictures ---------------------------------------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(image: Image.Image, quality: int = 70, **options: object) -> bytes:
    return saved(image, "JPEG", quality=quality, optimize=True, **options)


def palette(image: Image.Image, colours: int = 48) -> bytes:
    return saved(image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE), "PNG", optimize=True)


def encoded(image: Image.Image, form: str) -> tuple[bytes, str]:
    """The file, and how its name ends."""
    if form == "webp":
        return saved(image, "WEBP", quality=WEBP_QUALITY, method=6), "webp"
    if form == "png":
        return palette(image), "png"
    if form == "png as jpg":
        return palette(image), "jpg"
    if form == "alpha":
        return saved(image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE), "PNG", optimize=True), "png"
    if form == "16-bit":
        return saved(Image.fromarray(np.asarray(image, np.uint16) * 257), "PNG", optimize=True), "png"
    if form == "cmyk":
        return jpeg(image.convert("CMYK"), 60), "jpg"
    if form == "orientation":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        return jpeg(image.transpose(Image.Transpose.ROTATE_90), exif=exif), "jpg"
    if form == "gif":
        small = image.quantize(8, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        frames = [small, small.transpose(Image.Transpose.ROTATE_180)]
        return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0), "jpg"
    return jpeg(image, progressive=len(form) % 2 == 0), "jpg"


def variant(image: Image.Image, how: str) -> bytes:
    if how == "smaller":
        return encoded(image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.LANCZOS), "webp")[0]
    if how == "quality":
        return jpeg(image, quality=50)
    if how == "brighter":
        return jpeg(ImageEnhance.Brightness(image).enhance(1.06), quality=60)
    cut = round(image.width * 0.015), round(image.height * 0.015)
    return encoded(image.crop((cut[0], cut[1], image.width - cut[0], image.height - cut[1])), "webp")[0]


def bomb() -> bytes:
    """A PNG of few bytes that says it has 50,000 by 50,000 pixels, of which a few lines are there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 50_000
    lines = zlib.compress(bytes(200 * (1 + side // 8)), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


HTML = """<!DOCTYPE html>
<html lang="ja"><head><meta charset="utf-8"><title>ページが見つかりません</title></head>
<body><h1>404</h1><p>お探しの画像は移動または削除されました。</p></body></html>
"""


def icon(r: random.Random, width: int, height: int) -> bytes:
    c = Canvas(width, height)
    _, colour = pick(r)
    c.grade("#ffffff", "#e6e6e6")
    shape = r.randrange(3)
    if shape == 0:
        c.disc(c.w / 2, 50, 40, colour)
    elif shape == 1:
        c.poly([(c.w * 0.15, 50), (c.w * 0.8, 10), (c.w * 0.8, 90)], colour)
    else:
        c.rect(c.w * 0.15, 15, c.w * 0.85, 85, colour, 15)
    return saved(c.done(), "PNG", optimize=True)


def wide(r: random.Random, name: str, width: int, height: int) -> bytes:
    c = Canvas(width, height)
    SCENES[name](c, r)
    return jpeg(c.done(), 50)


# -- records -------------------------------------------------------------------------------------------------------------------


@dataclass
class Record:
    """A row of the sidecar and, unless its download failed, three members of the tar."""

    caption: str | None
    data: bytes | None
    suffix: str = "jpg"
    verdict: str = "kept"
    why: str | None = None
    note: str = ""
    error: str | None = None
    original: tuple[int, int] | None = None  # where the downloader resized it
    size: tuple[int, int] | None = None
    exif: str = "{}"
    of: Record | None = None  # what it is a duplicate of
    key: str = ""

    def measured(self) -> Record:
        if self.data is not None and self.size is None and self.verdict != "unreadable":
            self.size = Image.open(io.BytesIO(self.data)).size
        return self


def good(seeds: list[int]) -> Iterator[Record]:
    """Records of all drawn pictures, the ones with bad captions among them."""
    for picture, seed in zip(pictures(), seeds, strict=True):
        image, said = drawn(picture, seed)
        data, suffix = encoded(image, picture.form)
        if picture.role not in ("kept", "alike"):
            yield Record(picture.caption, data, suffix, "dropped", picture.role)
            continue
        record = Record(str(picture.caption).replace("{}", said), data, suffix, note=picture.note)
        if picture.form == "letterbox":
            record.original = picture.size[0] * 3, picture.size[1] * 3
        if picture.form == "orientation":
            record.exif = json.dumps({"Image Orientation": "Rotated 90 CW"})
        yield record
        if picture.note.startswith(FLIPPED):
            yield Record(f"左右を反転した、{said}", jpeg(ImageOps.mirror(image)), note="flipped: no duplicate")
        for how, caption in picture.again:
            if how == "same":
                yield Record(caption, data, suffix, "duplicate", "exact_duplicate_of", of=record)
            else:
                kind = "webp" if how in ("smaller", "cropped") else "jpg"
                yield Record(caption, variant(image, how), kind, "duplicate", "near_duplicate_of", how, of=record)


def bad(r: random.Random) -> Iterator[Record]:
    """Records whose file is at fault, or missing."""
    icons = [
        "印刷用の表示に切り替えるボタンの絵",
        "赤い丸の小さなアイコン",
        "矢印のアイコン",
        "新着記事を示す印",
        "地図を開くボタン",
    ]
    for caption, size in zip(icons, [(16, 16), (24, 24), (31, 20), (20, 20), (28, 28)], strict=True):
        yield Record(caption, icon(r, *size), "png", "dropped", "icon")
    yield Record("間隔をあけるための透明な画像", saved(Image.new("P", (1, 1)), "GIF"), "jpg", "dropped", "spacer")
    yield Record("表の罫線に使う細い画像", saved(Image.new("RGB", (200, 2), "#336699"), "PNG"), "png", "dropped", "spacer")
    yield Record("真っ白な雪原の写真", saved(Image.new("RGB", (240, 180), "#ffffff"), "PNG"), "png", "dropped", "blank")
    yield Record("曇った空を見上げたところ", jpeg(Image.new("RGB", (256, 192), "#9aa0a6")), "jpg", "dropped", "blank")
    yield Record("夜の海を写した黒い写真", saved(Image.new("RGB", (220, 220), "#05060a"), "WEBP"), "webp", "dropped", "blank")
    yield Record("山の味覚フェアを知らせる横長の広告", wide(r, "layered_mountains", 728, 60), "jpg", "dropped", "banner")
    yield Record("春の旅行キャンペーンの案内", wide(r, "waves", 600, 44), "jpg", "dropped", "banner")
    yield Record("縦に長い竹の飾り", wide(r, "bamboo", 48, 560), "jpg", "dropped", "banner")
    for name, caption, cut in (("houses", "途中で切れた住宅街の絵", 0.5), ("tulips", "途中で切れたチューリップの絵", 0.3)):
        data = wide(r, name, 240, 180)
        yield Record(caption, data[: int(len(data) * cut)], "jpg", "unreadable", "truncated")
    yield Record("移転した博物館の外観", HTML.encode(), "jpg", "unreadable", "not_an_image", "HTML")
    yield Record("削除された料理の写真", HTML.replace("404", "410").encode(), "jpg", "unreadable", "not_an_image", "HTML")
    yield Record("空のファイルになった花の写真", b"", "jpg", "unreadable", "not_an_image", "no bytes")
    yield Record("とても大きな白地図", bomb(), "png", "unreadable", "bomb", "says 50,000 × 50,000 pixels")
    failures = [
        ("山頂から見た雲海", "HTTP Error 404: Not Found"),
        ("商店街の夏祭り", "HTTP Error 404: Not Found"),
        ("古い校舎の廊下", "HTTP Error 403: Forbidden"),
        ("港に並ぶ漁船", "HTTP Error 410: Gone"),
        ("手編みのマフラー", "HTTP Error 500: Internal Server Error"),
        ("栗ごはんの炊き上がり", "<urlopen error timed out>"),
        ("庭に来たメジロ", "<urlopen error [Errno -2] Name or service not known>"),
        ("雪の中の露天風呂", "The read operation timed out"),
        ("朝市に並ぶ野菜", "HTTP Error 429: Too Many Requests"),
        ("縁側で昼寝をする犬", "HTTP Error 404: Not Found"),
    ]
    for caption, error in failures:
        yield Record(caption, None, "jpg", "unreadable", "failed_to_download", error=error)


def records() -> list[Record]:
    r = random.Random(SEED)
    found = [record.measured() for record in (*good(SEEDS), *bad(r))]
    first, rest = found[0], found[1:]
    r.shuffle(rest)
    found = [first, *rest]
    # Of images of one size the first is to survive, whichever way one looks: so it comes first.
    for i, record in enumerate(found):
        later = [j for j in range(i) if found[j].of is record and found[j].size == record.size]
        if later:
            found[later[0]], found[i] = found[i], found[later[0]]
    for i, record in enumerate(found):
        record.key = f"{0:05}{i:04}"
    return found


def meta(record: Record, at: int) -> dict[str, object]:
    host = ("example.com", "example.jp", "img.example.com", "www.example.jp")[at * 7 % 4]
    path = ("images", "photo", "blog/media", "items")[at * 5 % 4]
    failed = record.data is None
    width, height = record.size or (None, None)
    original = record.original or (width, height)
    return {
        "url": f"https://{host}/{path}/{zlib.crc32(str(at).encode()) % 10**6:06}.{record.suffix}",
        "caption": record.caption,
        "key": record.key,
        "status": "failed_to_download" if failed else "success",
        "error_message": record.error,
        "width": width,
        "height": height,
        "original_width": original[0],
        "original_height": original[1],
        "exif": None if failed else record.exif,
        "sha256": hashlib.sha256(record.data).hexdigest() if record.data is not None else None,
    }


def build(folder: Path) -> None:
    found = records()
    rows = [meta(record, at) for at, record in enumerate(found)]
    order = list(range(len(found)))
    random.Random(SEED + 1).shuffle(order)  # img2dataset writes in the order in which downloads end
    with tarfile.open(folder / f"{NAME}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for i in order:
            record = found[i]
            if record.data is None:
                continue
            members = {
                record.suffix: record.data,
                "txt": (record.caption or "").encode(),
                "json": json.dumps(rows[i], ensure_ascii=False).encode(),
            }
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{record.key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    texts = {"url", "caption", "key", "status", "error_message", "exif", "sha256"}
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in rows[0]])
    pq.write_table(
        pa.Table.from_pylist(rows, schema),
        folder / f"{NAME}.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
    )
    lines = []
    for record in found:
        truth = {"key": record.key, "verdict": record.verdict}
        if record.of:
            truth |= {"why": f"{record.why} {record.of.key}", "survivor": record.of.key}
        elif record.why:
            truth["why"] = record.why
        if record.note:
            truth["note"] = record.note
        lines.append(json.dumps(truth, ensure_ascii=False))
    (folder / f"{NAME}.truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- how alike -----------------------------------------------------------------------------------------------------------------


def phash(image: Image.Image) -> np.ndarray:
    """bool[64]: which of the lowest 8 × 8 frequencies of 32 × 32 pixels, without an even border, are above their median."""
    image = image.convert("RGB")
    corner = Image.new("RGB", image.size, image.getpixel((0, 0)))
    box = ImageChops.difference(image, corner).convert("L").point(lambda v: 255 * (v > 12)).getbbox()
    content = image.crop(box).convert("L")
    content = content.resize((min(64, content.width), min(64, content.height)), Image.Resampling.BOX)
    grey = np.asarray(content.resize((32, 32), Image.Resampling.BILINEAR), float)
    dct = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(32) + 1) / 64)
    low = (dct @ grey @ dct.T).ravel()
    return low > np.median(low)


def seeds(apart: int = 22) -> list[int]:
    """For every picture in turn the first seed with which it looks unlike all those before."""
    found: list[int] = []
    hashes: list[np.ndarray] = []
    for picture in pictures():
        for seed in range(3000):
            image, _ = drawn(picture, seed)
            new = [phash(image)]
            if picture.note.startswith(FLIPPED):
                new.append(phash(ImageOps.mirror(image)))
            if all((one != other).sum() >= apart for i, one in enumerate(new) for other in (*new[:i], *hashes)):
                break
        else:
            raise SystemExit(f"nothing new to be seen in {picture.scene}")
        found.append(seed)
        hashes += new
    return found


def main() -> None:
    if "--seeds" in sys.argv:
        print(seeds())
    else:
        build(SAMPLES)


if __name__ == "__main__":
    main()
