"""The recipes of CONTRIBUTING.md and the README's snippets, run as they stand."""

import json
import re
import tomllib
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import filters
from filters.registry import MEASURES
from pipeline.core.inline import InlineEngine
from pipeline.manifest.loading import load
from pipeline.plan import Plan
from pipeline.run import run
from pipeline.sources import SOURCES
from pipeline.sources.inputs import resolve
from tests.support.texts import make_sentences

ROOT = Path(__file__).resolve().parents[1]


def block(document: str, heading: str, language: str) -> str:
    text = (ROOT / document).read_text("utf-8")
    section = text[text.index(f"## {heading}") :]
    return re.search(rf"```{language}\n(.*?)```", section, re.S)[1]


def test_add_a_measure(tmp_path):
    try:
        exec(block("CONTRIBUTING.md", "Add a measure", "python"), {})
        frame = filters.measure_frame(pl.DataFrame({"text": ["何? 猫だ。", "犬。"]}), ["questions"])
        assert frame["questions"].to_list() == [0.5, 0.0]
        manifest = tmp_path / "m.toml"
        manifest.write_text(block("CONTRIBUTING.md", "Add a manifest", "toml") + "questions = { at_most = 0.5 }\n", "utf-8")
        assert load(str(manifest)).rules["questions"].at_most == 0.5
        assert "questions" in load(str(manifest)).measures
    finally:
        MEASURES.pop("questions", None)


@pytest.mark.parametrize("document, heading", [("CONTRIBUTING.md", "Add a manifest"), ("README.md", "Choose what is kept")])
def test_manifests_in_the_documents_are_valid(tmp_path, document, heading):
    text = block(document, heading, "toml")
    tomllib.loads(text)
    path = tmp_path / "my.toml"
    path.write_text(text, "utf-8")
    manifest = load(str(path))
    assert manifest.rules["chars"].at_least == 200
    assert "language" in manifest.rules


@pytest.mark.parametrize(
    "document, heading", [("README.md", "Text in any format"), ("README.ja.md", "どんな形式のテキストでも")]
)
def test_the_manifest_of_json_lines_in_the_readme_builds(tmp_path, build, document, heading):
    """Pages of HTML in a column of another name, judged by a score of their own."""
    path, pages = tmp_path / "my.toml", tmp_path / "pages.jsonl"
    path.write_text(block(document, heading, "toml"), "utf-8")
    texts = [make_sentences(i) for i in range(4)]
    with open(pages, "w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            page = {"body": f"<html><body><nav><a href='/'>ホーム</a></nav><p>{text}</p></body></html>", "score": number}
            file.write(json.dumps(page | {"url": f"https://example.jp/{number}", "license": "CC0-1.0"}) + "\n")
    done = build(path, "--input", pages, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    ledger = pl.read_parquet(tmp_path / "o" / "ledger" / "*.parquet")
    assert ledger["rule"].to_list() == ["score", "score", "score", None] and ledger["bound"][:3].to_list() == [2.5] * 3
    shards = pl.read_parquet(tmp_path / "o" / "data" / "*.parquet")
    assert shards.select("url", "date", "score", "license").rows() == [("https://example.jp/3", None, 3.0, "CC0-1.0")]
    assert shards["text"][0].startswith(texts[3][:40]) and "ホーム" not in shards["text"][0]


def test_the_manifest_of_pairs_in_the_readme_is_valid(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(block("README.md", "Images with captions", "toml"), "utf-8")
    manifest = load(str(path))
    assert manifest.rules["original_shorter_side"].at_least == 200 and "caption_language" in manifest.rules
    assert (manifest.shards.shorter_side, manifest.shards.format) == (256, "jpeg")


@pytest.fixture
def pages_format(monkeypatch):
    """The source of the recipe, listed as it says."""
    scope: dict = {}
    exec(block("CONTRIBUTING.md", "Add a text format", "python"), scope)
    monkeypatch.setitem(SOURCES, "pages", scope["PagesSource"]())


def test_add_a_text_format(pages_format, tmp_path):
    texts = [make_sentences(f"page {i}") for i in range(60)]
    lines = [json.dumps({"body": text, "url": f"https://example.com/{i}"}) for i, text in enumerate(texts)]
    bad = {
        7: "not JSON",
        9: '{"url": "https://example.com/9"}',
        11: '{"body": 5, "url": "u"}',
        13: '{"body": "\\ud800", "url": "u"}',
    }
    for number, line in bad.items():
        lines[number] = line
    raw = tmp_path / "pages.jsonl"
    raw.write_text("\n".join(lines), "utf-8")
    settings = {"source.format": "pages", "source.keep": ["url"], "source.partition": "2 KB", "deduplicate.enabled": False}
    manifest = load("cc100-ja", [f"{key}={json.dumps(value)}" for key, value in settings.items()])
    plan = Plan(manifest, tuple(resolve([str(raw)])), tmp_path / "out", tmp_path / "work")
    engine = InlineEngine(tmp_path, Console(quiet=True))  # a source that only this test knows cannot be sent to a worker
    summary = run(plan, engine, keep_going=False)
    assert summary["verdicts"]["unreadable"][0] == 4 and len(summary["inputs"]) == 1
    shards = pl.read_parquet(tmp_path / "out" / "data" / "*.parquet")
    number = shards["url"].str.extract(r"(\d+)$").cast(pl.Int64)
    assert len(shards) == 56 and shards["text"].to_list() == [texts[i] for i in number]
    ledger = pl.read_parquet(tmp_path / "out" / "ledger" / "*.parquet").filter(verdict="unreadable")
    offsets = [sum(len(line.encode()) + 1 for line in lines[:n]) for n in bad]
    assert ledger["id"].to_list() == [f"cc100-ja/{offset:010d}" for offset in offsets]
    assert ledger["excerpt"].to_list() == [*bad.values()]
    assert ledger["value_text"].str.contains("not a document of the format pages").all()


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
