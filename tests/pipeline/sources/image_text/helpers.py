import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.modalities.image_text.measure import read_captions
from pipeline.sources.base import CutState, Fields
from pipeline.sources.image_text.source import ImageTextSource
from pipeline.sources.inputs import InputFile
from tests.pipeline.sources.helpers import BOM, Result, pick, problems

SOURCE = ImageTextSource()


def read_pairs(path, images=None, partition=32_000_000, max_document=64_000_000, number=2, **options):
    """Cut one input and read it, its captions included; `image` holds the bytes."""
    file = path if isinstance(path, InputFile) else SOURCE.find_inputs([str(path)], images=images and str(images))[0]
    state = CutState(partition, max_document, content=images and str(images), **options)
    ranges, all_rows = [], []
    for made, body in SOURCE.cut(file, number, state):
        read = SOURCE.read(made, file, np.frombuffer(body, np.uint8), Fields())
        frame, _ = read_captions(read)
        rows = [row | {"image": read.content(i)} for i, row in enumerate(frame.iter_rows(named=True))]
        assert made.records == len(rows) > 0
        assert made.end - made.start == sum(len(row["image"] or b"") + 1 for row in rows)
        ranges.append(made)
        all_rows += rows
        read.close()
    return Result(ranges, all_rows, state)


DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "image-text"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")
URL = "https://example.com/{}"


def pick_pairs(rows):
    return pick(rows, "locator", "caption", "image")


def fake_image(name):
    """Bytes that only this name has; what cuts and reads pairs never decodes."""
    return b"\xff\xd8\xff" + str(name).encode() * 9


def img2dataset_members(key, caption="", url=None):
    """What img2dataset writes of one fetched image."""
    meta = {
        "key": key,
        "url": url or URL.format(key),
        "caption": caption,
        "status": "success",
        "width": 256,
        "original_width": 800,
    }
    text = [(f"{key}.txt", caption.encode())] if caption is not None else []
    return [(f"{key}.jpg", fake_image(key)), *text, (f"{key}.json", json.dumps(meta).encode())]


def write_sidecar(path, listing):
    """A sidecar of (key, caption, error): error None where the image was fetched."""
    pl.DataFrame(
        {
            "URL": [URL.format(key) for key, *_ in listing],
            "TEXT": [caption for _, caption, _ in listing],
            "similarity": [0.25 for _ in listing],
            "key": [key for key, *_ in listing],
            "status": ["failed_to_download" if error else "success" for *_, error in listing],
            "error_message": [error for *_, error in listing],
            "width": [None if error else 256 for *_, error in listing],
            "original_width": [None if error else 800 for *_, error in listing],
            "exif": ["{}" for _ in listing],
        },
        schema_overrides={"TEXT": pl.String, "error_message": pl.String},
    ).write_parquet(path)
    return path


CAPTIONS = ["犬の写真", '引用"符"と,読点', "", "猫 & 猫"]
URLS = [URL.format(f"{i}.jpg?size=1") for i in range(4)]
EXPECTED = [fake_image("000"), None, fake_image("100"), fake_image("loose 3")]


def check_list(path, images, captions=CAPTIONS, **options):
    """Read a list of `URLS` with the folder `images`, and check that its rows have their images and captions."""
    result = read_pairs(path, images, **options)
    assert pick(result.rows, "image", "caption") == [*zip(EXPECTED, captions)]
    assert problems(result.rows) == {"0000000001": "failed_to_download: HTTP Error 410: Gone"}
    assert [row["locator"] for row in result.rows] == [f"{i:010d}" for i in range(4)]
    assert [row["url"] for row in result.rows] == URLS
    assert result.state.damage is None
    return result


def join_lines(*cells, end="\n", separator="\t"):
    return end.join(separator.join(row) for row in zip(*cells)).encode()


QUOTED = "url,caption\r\n" + "".join(f'{u},"{c.replace(chr(34), chr(34) * 2)}"\r\n' for u, c in zip(URLS, CAPTIONS))
LISTS = {
    "cc12m": join_lines(URLS, CAPTIONS) + b"\n",
    "cc12m without a last line end": join_lines(URLS, CAPTIONS),
    "cc12m, crlf": join_lines(URLS, CAPTIONS, end="\r\n") + b"\r\n",
    "cc12m, bom": BOM + join_lines(URLS, CAPTIONS),
    "cc12m, empty lines": b"\n\n" + join_lines(URLS, CAPTIONS, end="\n\n") + b"\n \n",
    "cc3m": join_lines(CAPTIONS, URLS),
    "header": b"caption\tkept\turl\n" + join_lines(CAPTIONS, "abcd", URLS),
    "header, bom, crlf": BOM + b'"URL"\tTEXT\r\n' + join_lines(URLS, CAPTIONS, end="\r\n"),
    "header twice": b"url\tcaption\tcaption\turl\tseimai:problem\n" + join_lines(URLS, CAPTIONS, "abcd", "abcd", "abcd"),
    "cc12m, cr": join_lines(URLS, CAPTIONS, end="\r"),
    "header, bom, cr": BOM + b"url\tcaption\r" + join_lines(URLS, CAPTIONS, end="\r") + b"\r",
    "csv, cr": QUOTED.replace("\r\n", "\r").encode(),
    "csv": QUOTED.encode(),
    "csv, bom": BOM + QUOTED.encode().rstrip(),
    "jsonl": "\n".join(json.dumps({"url": u, "caption": c}) for u, c in zip(URLS, CAPTIONS)).encode(),
    "jsonl, cr": "\r".join(json.dumps({"url": u, "caption": c}) for u, c in zip(URLS, CAPTIONS)).encode(),
    "jsonl, bom": BOM + "\n".join(json.dumps({"TEXT": c, "URL": u, "x": [1]}) for u, c in zip(URLS, CAPTIONS)).encode(),
}
