"""The sample of `wikipedia-ja` is what its generator writes, and becomes what its truth file says."""

import bz2
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters import normalise
from pipeline.manifest.loading import load
from pipeline.modalities.text.measure import measure_documents
from pipeline.sources.base import CutState, Fields
from pipeline.sources.inputs import resolve
from pipeline.sources.text.wikipedia_xml import WikipediaXmlSource
from pipeline.steps.decide import decide_frame
from tests.samples.make_wikipedia_ja import build

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
PATH = SAMPLES / "wikipedia-ja.xml.bz2"


@pytest.fixture(scope="module")
def truth():
    return pl.read_ndjson(SAMPLES / "wikipedia-ja.truth.jsonl")


@pytest.fixture(scope="module")
def measured():
    file = resolve([str(PATH)])[0]
    state = CutState(32_000_000, 64_000_000)
    ((piece, body),) = WikipediaXmlSource().cut(file, 0, state)
    assert state.damage is None
    rows = WikipediaXmlSource().read(piece, file, np.frombuffer(body, np.uint8), Fields())
    rows.frame = rows.frame.with_columns(file=pl.lit(0))
    return pl.DataFrame(pl.from_arrow(measure_documents(load("wikipedia-ja"), rows).table))


def test_the_generator_writes_the_same_again(truth):
    dump, lines = build()
    assert bz2.decompress(PATH.read_bytes()) == dump
    assert [json.loads(line) for line in lines.splitlines()] == truth.to_dicts()


def test_pages_are_what_the_truth_says(measured, truth):
    assert measured["locator"].to_list() == truth["offset"].to_list()
    assert measured["keep:title"].to_list() == [
        t if note == "" else None for t, note in truth.select("title", "note").iter_rows()
    ]
    assert [kind or "article" for kind in measured["m:page_kind"]] == truth["kind"].to_list()
    for text, expected in zip(measured["text"], normalise(truth["text"])):
        assert text == expected
    verdicts = decide_frame(measured, load("wikipedia-ja").rules)
    assert verdicts["verdict"].to_list() == truth["expect"].to_list()
    assert verdicts["rule"].to_list() == truth["rule"].to_list()
    (problem,) = measured["unreadable"].drop_nulls()
    line = 1 + build()[0][: truth["offset"][-1]].count(b"\n")
    assert problem.startswith(f"no page that can be read, in line {line}: no well-formed XML (mismatched tag")
