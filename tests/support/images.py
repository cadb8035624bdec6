"""Made-up pictures with captions, and archives of them as img2dataset writes them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from PIL import Image, ImageEnhance, ImageOps

SMALL_PARTITIONS = "source.partition=60 KB"  # many partitions of few pairs
THINGS = "猫 犬 海 山 花火 電車 桜 城 寿司 富士山 湖 灯台 紅葉 雪だるま 金魚 風車 鳥居 提灯 屋台 船".split()
PLACES = "公園 駅前 庭 川辺 港 市場 教室 屋根の上 雪原 夜の街".split()


class Pair(NamedTuple):
    key: str
    image: bytes | None
    caption: str | None
    suffix: str = "jpg"


def draw_picture(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """Draw a picture unlike that of any other seed: a few blobs of colour on a gradient."""
    random_source = np.random.default_rng(seed)
    small = Image.fromarray(random_source.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def encode_image(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def make_caption(number: int) -> str:
    return f"{PLACES[number % 10]}の{THINGS[number // 10 % 20]}の写真その{number}、とてもきれい"


def add_member(tar: tarfile.TarFile, name: str, content: bytes, **fields: Any) -> None:
    """Add a member to a tar; `fields` are those of its header."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def write_pairs(path: Path, pairs: Iterable[Pair]) -> Path:
    """Write an archive as img2dataset does, and its sidecar beside it; a pair without an image is in the sidecar alone."""
    pairs = list(pairs)
    with tarfile.open(path, "w") as tar:
        for key, image, caption, suffix in pairs:
            if image is not None:
                add_member(tar, f"{key}.{suffix}", image)
                if caption is not None:
                    add_member(tar, f"{key}.txt", caption.encode())
                fields = {"key": key, "url": f"https://example.com/{key}", "caption": caption}
                add_member(tar, f"{key}.json", json.dumps(fields).encode())
    pl.DataFrame(
        {
            "url": [f"https://example.com/{pair.key}" for pair in pairs],
            "caption": [pair.caption for pair in pairs],
            "key": [pair.key for pair in pairs],
            "status": ["success" if pair.image is not None else "failed_to_download" for pair in pairs],
            "error_message": [None if pair.image is not None else "HTTP Error 404: Not Found" for pair in pairs],
        },
        schema=dict.fromkeys(("url", "caption", "key", "status", "error_message"), pl.String),
    ).write_parquet(path.with_suffix(".parquet"))
    return path


def make_mixed_pairs() -> dict[str, Pair]:
    """Make pairs by key, with every verdict among them; the key says what is special about one."""
    base = draw_picture(80, 320, 240)
    brighter = ImageEnhance.Brightness(base.resize((300, 225))).enhance(1.1)
    pairs = [
        *(Pair(f"good{i:03}", encode_image(draw_picture(i)), make_caption(i)) for i in range(60)),
        *(Pair(f"same{i:03}", encode_image(draw_picture(i)), f"同じ写真に別の説明{i}") for i in range(0, 12, 2)),
        Pair("large", encode_image(base, quality=92), "大きいほうが残るはずの写真"),
        Pair("small", encode_image(base.resize((240, 180)), quality=70), "小さいほうの写真の説明"),
        Pair("bright", encode_image(brighter, quality=60), "すこし明るい写真の説明"),
        Pair("flipped", encode_image(ImageOps.mirror(base)), "左右を逆にした別の写真"),
        Pair("icon", encode_image(draw_picture(70, 24, 24)), "ねずみの絵"),
        Pair("back", encode_image(draw_picture(71)), "戻る"),
        Pair("english", encode_image(draw_picture(72)), "A dog in the park on a sunny day"),
        Pair("empty", encode_image(draw_picture(73)), None),
        Pair("blank", encode_image(Image.new("RGB", (200, 200), "white")), "白い紙の写真です"),
        Pair("failed", None, "取得に失敗した写真"),
        Pair("cut", encode_image(draw_picture(74))[:900], "途中で切れた写真"),
        Pair("entity", encode_image(draw_picture(75)), "「犬 &amp;amp; 猫」&quot;仲よし&quot;\n\n  二匹"),
    ]
    return {pair.key: pair for pair in pairs}
