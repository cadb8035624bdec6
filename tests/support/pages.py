"""Pages drawn by code: of every kind as many as wanted, in one layout and with other words, digits, bars or notes."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


WORDS = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november "
    "oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu"
).split()


def words(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n))


def slide(rng, w=960, h=540, ground="white", band=None, body=None):
    im = Image.new("RGB", (w, h), ground)
    d = ImageDraw.Draw(im)
    if band:
        d.rectangle((0, 0, w, h // 8), fill=band)
    d.text((w // 16, h // 5), words(rng, 3).title(), font=font(h // 12), fill="black")
    body = body or []
    for i, line in enumerate(body):
        d.text((w // 12, h // 2.4 + i * h // 12), line, font=font(h // 22), fill=(60, 60, 60))
    d.text((w * 3 // 4, h * 15 // 16), "company 2019", font=font(h // 36), fill="grey")
    return im


def title_slide(rng, w=960, h=540, ground=(20, 40, 110)):
    im = Image.new("RGB", (w, h), ground)
    d = ImageDraw.Draw(im)
    d.text((w // 2, h // 2), words(rng, 2).title(), font=font(h // 9), fill="white", anchor="mm")
    d.rectangle((0, h * 9 // 10, w, h), fill=(240, 180, 0))
    return im


def receipt(rng: np.random.Generator, w: int = 360, h: int = 800) -> Image.Image:
    base = np.random.default_rng(7)
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    d.text((w // 2, 40), "SUPER MARKET", font=font(30), fill="black", anchor="mm")
    for i in range(18):
        y = 90 + i * 34
        d.text((20, y), base.choice(WORDS), font=font(20), fill="black")
        d.text((w - 20, y), f"{rng.integers(100, 9999):,}", font=font(20), fill="black", anchor="ra")
    d.text((20, h - 70), "TOTAL", font=font(28), fill="black")
    d.text((w - 20, h - 70), f"{rng.integers(10000, 99999):,}", font=font(28), fill="black", anchor="ra")
    return im


def form(rng: np.random.Generator, w: int = 700, h: int = 900) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    d.text((w // 2, 50), "APPLICATION FORM", font=font(32), fill="black", anchor="mm")
    for i in range(12):
        y = 110 + i * 60
        d.rectangle((40, y, w - 40, y + 60), outline="black", width=2)
        d.line((220, y, 220, y + 60), fill="black", width=2)
        d.text((52, y + 18), WORDS[i], font=font(20), fill="black")
        d.text((240, y + 16), words(rng, 2), font=font(22), fill=(30, 30, 120))
    return im


def table(rng: np.random.Generator, w: int = 800, h: int = 600) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    for r in range(14):
        d.line((30, 30 + r * 40, w - 30, 30 + r * 40), fill=(150, 150, 150))
        if r < 13:
            for c in range(7):
                d.text(
                    (45 + c * 105, 40 + r * 40), WORDS[c] if r == 0 else f"{rng.integers(0, 999)}", font=font(18), fill="black"
                )
    return im


def draw_axes(w: int, h: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty chart, and what draws on it."""
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    d.line((60, 30, 60, h - 50), fill="black", width=2)
    d.line((60, h - 50, w - 30, h - 50), fill="black", width=2)
    return im, d


def bars(rng: np.random.Generator, w: int = 800, h: int = 500) -> Image.Image:
    im, d = draw_axes(w, h)
    for i in range(10):
        top = rng.integers(60, h - 80)
        d.rectangle((90 + i * 66, int(top), 130 + i * 66, h - 50), fill=(70, 130, 180))
    return im


def lines(rng: np.random.Generator, w: int = 800, h: int = 500) -> Image.Image:
    im, d = draw_axes(w, h)
    for g in range(8):
        d.line((60, 40 + g * 52, w - 30, 40 + g * 52), fill=(220, 220, 220))
    y = np.clip(250 + np.cumsum(rng.normal(0, 22, 30)), 50, h - 60)
    d.line([(60 + i * 24, float(v)) for i, v in enumerate(y)], fill=(200, 40, 40), width=3)
    return im


def map_(rng: np.random.Generator, w: int = 700, h: int = 700) -> Image.Image:
    base = np.random.default_rng(3)
    im = Image.new("RGB", (w, h), (240, 236, 224))
    d = ImageDraw.Draw(im)
    for _ in range(14):
        x, y = base.integers(0, w, 2), base.integers(0, h, 2)
        d.line((int(x[0]), int(y[0]), int(x[1]), int(y[1])), fill="white", width=14)
        d.line((int(x[0]), int(y[0]), int(x[1]), int(y[1])), fill=(200, 200, 190), width=2)
    for _ in range(6):
        x, y = rng.integers(40, w - 60), rng.integers(40, h - 60)
        d.ellipse((int(x), int(y), int(x) + 22, int(y) + 22), fill=(220, 40, 40))
        d.text((int(x) + 26, int(y)), rng.choice(WORDS), font=font(18), fill="black")
    return im


def screenshot(rng, w=1024, h=768, dark=False):
    bg, fg = ((30, 30, 30), (220, 220, 220)) if dark else ("white", (20, 20, 20))
    im = Image.new("RGB", (w, h), bg)
    d = ImageDraw.Draw(im)
    d.rectangle((0, 0, w, 40), fill=(60, 90, 150))
    d.rectangle((0, 40, 180, h), fill=(225, 228, 232) if not dark else (45, 45, 48))
    for i in range(12):
        d.text((14, 60 + i * 32), WORDS[i], font=font(16), fill=fg)
    for i in range(22):
        d.text((200, 60 + i * 30), words(rng, rng.integers(3, 9)), font=font(16), fill=fg)
    return im


def dialog(rng: np.random.Generator, w: int = 420, h: int = 260) -> Image.Image:
    im = Image.new("RGB", (w, h), (240, 240, 240))
    d = ImageDraw.Draw(im)
    d.rectangle((0, 0, w, 30), fill=(0, 90, 160))
    d.text((10, 6), "Settings", font=font(16), fill="white")
    for i in range(4):
        d.text((20, 50 + i * 36), WORDS[i], font=font(15), fill="black")
        d.rectangle((150, 46 + i * 36, w - 20, 72 + i * 36), fill="white", outline="grey")
        d.text((158, 50 + i * 36), words(rng, 2), font=font(15), fill="black")
    d.rectangle((w - 180, h - 50, w - 110, h - 20), fill=(225, 225, 225), outline="grey")
    d.text((w - 160, h - 44), "OK", font=font(15), fill="black")
    return im


def manga(rng: np.random.Generator, w: int = 700, h: int = 1000) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    for x0, y0, x1, y1 in ((30, 30, 670, 330), (30, 350, 340, 650), (360, 350, 670, 650), (30, 670, 670, 970)):
        d.rectangle((x0, y0, x1, y1), outline="black", width=4)
        for _ in range(5):
            cx, cy, r = rng.integers(x0 + 40, x1 - 40), rng.integers(y0 + 40, y1 - 40), rng.integers(15, 38)
            d.ellipse((int(cx - r), int(cy - r), int(cx + r), int(cy + r)), outline="black", width=3)
        d.text((x0 + 30, y0 + 20), words(rng, 2), font=font(18), fill="black")
    return im


def music(rng: np.random.Generator, w: int = 800, h: int = 1000) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    for s in range(8):
        y0 = 80 + s * 110
        for k in range(5):
            d.line((40, y0 + k * 12, w - 40, y0 + k * 12), fill="black")
        for n in range(20):
            x, y = 80 + n * 34, y0 + 48 - 6 * int(rng.integers(0, 9))
            d.ellipse((x, y - 5, x + 14, y + 5), fill="black")
            d.line((x + 13, y, x + 13, y - 36), fill="black", width=2)
    return im


def text_page(rng: np.random.Generator, w: int = 700, h: int = 1000) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    for i in range(34):
        d.text((50, 50 + i * 27), words(rng, 9)[:58], font=font(18), fill="black")
    return im


def certificate(rng: np.random.Generator, w: int = 900, h: int = 640) -> Image.Image:
    im = Image.new("RGB", (w, h), (252, 248, 235))
    d = ImageDraw.Draw(im)
    d.rectangle((20, 20, w - 20, h - 20), outline=(160, 120, 40), width=8)
    d.text((w // 2, 120), "CERTIFICATE", font=font(54), fill=(120, 80, 20), anchor="mm")
    d.text((w // 2, 300), words(rng, 2).title(), font=font(40), fill="black", anchor="mm")
    d.text((w // 2, 480), "for outstanding work", font=font(24), fill="grey", anchor="mm")
    return im


def sign(rng: np.random.Generator, w: int = 600, h: int = 400) -> Image.Image:
    im = Image.new("RGB", (w, h), (0, 110, 60))
    d = ImageDraw.Draw(im)
    d.rectangle((12, 12, w - 12, h - 12), outline="white", width=6)
    d.text((w // 2, h // 2), rng.choice(WORDS).upper(), font=font(70), fill="white", anchor="mm")
    return im


def calendar(rng: np.random.Generator, w: int = 700, h: int = 560) -> Image.Image:
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    d.text((w // 2, 40), rng.choice(WORDS).title(), font=font(34), fill="black", anchor="mm")
    start = int(rng.integers(0, 7))
    for k in range(31):
        c, r = (start + k) % 7, (start + k) // 7
        d.text((60 + c * 92, 110 + r * 72), str(k + 1), font=font(26), fill="black")
    return im


def glyph(rng: np.random.Generator, w: int = 400, h: int = 400) -> Image.Image:
    """character card"""
    im = Image.new("RGB", (w, h), "white")
    d = ImageDraw.Draw(im)
    d.text((w // 2, h // 2), chr(65 + int(rng.integers(0, 26))), font=font(220), fill="black", anchor="mm")
    d.text((w // 2, h - 40), rng.choice(WORDS), font=font(28), fill="black", anchor="mm")
    return im


def receipt_one(rng, **k):
    im = receipt(np.random.default_rng(11), **k)
    d = ImageDraw.Draw(im)
    d.rectangle((200, 720, 352, 780), fill="white")
    d.text((340, 730), f"{rng.integers(10000, 99999):,}", font=font(28), fill="black", anchor="ra")
    return im


def invoice_date(rng):
    im = form(np.random.default_rng(4))
    d = ImageDraw.Draw(im)
    d.rectangle((238, 472, 600, 524), fill="white")
    d.text((240, 486), f"2019-{rng.integers(10, 13)}-{rng.integers(10, 29)}", font=font(22), fill=(30, 30, 120))
    return im


BODY = ["first point of the agenda", "second point of the agenda", "third point"]
KINDS = {
    "slide": lambda r: slide(r),
    "slide body": lambda r: slide(r, body=BODY),
    "slide band": lambda r: slide(r, band=(200, 30, 30), body=BODY),
    "slide dark": lambda r: slide(r, ground=(30, 34, 48), band=(90, 90, 200)),
    "slide small": lambda r: slide(r, 480, 270, body=BODY),
    "slide large": lambda r: slide(r, 1920, 1080, body=BODY),
    "title slide": title_slide,
    "slide 4:3": lambda r: slide(r, 800, 600, ground=(245, 245, 220), body=BODY),
    "receipt": receipt,
    "receipt total": receipt_one,
    "form": form,
    "form date": invoice_date,
    "table": table,
    "bars": bars,
    "lines": lines,
    "map": map_,
    "screenshot": screenshot,
    "screenshot dark": lambda r: screenshot(r, dark=True),
    "dialog": dialog,
    "manga": manga,
    "music": music,
    "text": text_page,
    "certificate": certificate,
    "sign": sign,
    "calendar": calendar,
    "glyph": glyph,
}
