"""The sample of `common-crawl-ja` is what its generator writes, and says what its truth file says."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.sources.base import CutState, Fields
from pipeline.sources.inputs import resolve
from pipeline.sources.text.warc import WARCSource
from tests.samples.make_common_crawl_ja import PAGES as DRAWN
from tests.samples.make_common_crawl_ja import build, draw

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
PATH = SAMPLES / "common-crawl-ja.warc.gz"


@pytest.fixture(scope="module")
def truth():
    return [json.loads(line) for line in (SAMPLES / "common-crawl-ja.truth.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def rows():
    file = resolve([str(PATH)])[0]
    state = CutState(32_000_000, 64_000_000)
    ((piece, body),) = WARCSource().cut(file, 0, state)
    found = WARCSource().read(piece, file, np.frombuffer(body, np.uint8), Fields())
    texts = [found.text.data[start:end].tobytes() for start, end in zip(found.text.starts, found.text.ends)]
    return [row | {"text": text} for row, text in zip(found.frame.to_dicts(), texts)]


def test_the_generator_writes_the_same_again(truth):
    records, lines = build()
    assert gzip.decompress(PATH.read_bytes()) == b"".join(records)
    assert [json.loads(line) for line in lines.splitlines()] == truth


def test_pages_are_read_as_the_truth_says(rows, truth):
    assert [(row["locator"], row["url"], row["date"]) for row in rows] == [(t["id"], t["url"], t["date"]) for t in truth]
    for row, t, page in zip(rows, truth, DRAWN):
        assert row["text"] == draw(page)
        assert row["problem"] == (t["note"] if t["expect"] == "unreadable" else None)
        text = row["text"].decode(t["charset"], "replace")
        assert all(paragraph in text for paragraph in t["paragraphs"])
