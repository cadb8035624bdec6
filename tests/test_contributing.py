"""The recipes of CONTRIBUTING.md and the README's snippets, run as they stand."""

import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

import filters
from filters.registry import MEASURES
from pipeline.manifest.loading import load
from pipeline.sources import CutState
from pipeline.sources.inputs import resolve

ROOT = Path(__file__).resolve().parents[1]


def block(document: str, heading: str, language: str) -> str:
    text = (ROOT / document).read_text("utf-8")
    section = text[text.index(f"## {heading}") :]
    return re.search(rf"```{language}\n(.*?)```", section, re.S)[1]


def test_add_a_measure(tmp_path):
    try:
        exec(block("CONTRIBUTING.md", "Add a measure", "python"), {})
        frame = filters.measure_frame(pl.DataFrame({"text": ["何? 猫だ。", "犬。"]}), ["question_share"])
        assert frame["question_share"].to_list() == [0.5, 0.0]
        manifest = tmp_path / "m.toml"
        manifest.write_text(
            block("CONTRIBUTING.md", "Add a manifest", "toml") + "question_share = { at_most = 0.5 }\n", "utf-8"
        )
        assert load(str(manifest)).rules["question_share"].at_most == 0.5
        assert "question_share" in load(str(manifest)).measures
    finally:
        MEASURES.pop("question_share", None)


@pytest.mark.parametrize("document, heading", [("CONTRIBUTING.md", "Add a manifest"), ("README.md", "Choose what is kept")])
def test_manifests_in_the_documents_are_valid(tmp_path, document, heading):
    text = block(document, heading, "toml")
    tomllib.loads(text)
    path = tmp_path / "my.toml"
    path.write_text(text, "utf-8")
    manifest = load(str(path))
    assert manifest.rules["chars"].at_least == 200
    assert "language" in manifest.rules


def test_the_manifest_of_pairs_in_the_readme_is_valid(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(block("README.md", "Images with captions", "toml"), "utf-8")
    manifest = load(str(path))
    assert manifest.rules["original_shorter_side"].at_least == 200 and "caption_language" in manifest.rules
    assert (manifest.shards.shorter_side, manifest.shards.format) == (256, "jpeg")


@pytest.mark.parametrize("text", ["一行目\n二行目\n三", "一行目\n二行目\n三\n", "甲\n" * 200_000])
def test_add_a_source(tmp_path, text):
    scope: dict = {}
    exec(block("CONTRIBUTING.md", "Add a source", "python"), scope)
    path = tmp_path / "lines.txt"
    path.write_text(text, "utf-8")
    state = CutState(32_000_000, 64_000_000)
    found, raw = [], text.encode()
    for partition, body in scope["cut"](resolve([str(path)])[0], 0, 0, state):
        part = tmp_path / "part"
        part.write_bytes(body)
        records = scope["read"](partition, part)
        for start, end, offset in zip(records.starts, records.ends, records.offsets):
            found.append(records.data[start:end].tobytes().decode())
            assert raw[offset : offset + end - start].decode() == found[-1]
    assert found == text.splitlines()
    assert state.size == len(raw) and state.checksum


def test_measures_alone_as_in_the_readme():
    scope: dict = {}
    exec(block("README.md", "Choose what is kept", "python"), scope)
    assert scope["frame"].height == 1
    frame = filters.measure_frame(scope["frame"], ["hiragana_share", "sentences", "language"])
    assert frame.row(0)[1:] == (0.5, 2, "ja")


def test_every_measure_is_documented():
    text = (ROOT / "docs" / "measures.md").read_text("utf-8")
    for name, measure in MEASURES.items():
        assert f"| `{name}` |" in text and measure.description in text, f"docs/measures.md: {name}"


@pytest.mark.parametrize(
    "document, heading", [("README.md", "Tokenizers and token shards"), ("README.ja.md", "トークナイザとトークンシャード")]
)
def test_the_table_of_tokenizers_in_the_readme_is_valid(tmp_path, document, heading):
    path = tmp_path / "my.toml"
    path.write_text(block("CONTRIBUTING.md", "Add a manifest", "toml") + block(document, heading, "toml"), "utf-8")
    table = load(str(path)).tokenizer
    assert (table.vocab_size, table.memory, table.sequence_length) == (32_000, 2_000_000_000, 2048)
