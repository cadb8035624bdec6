"""The card: its front matter, its sections, and text from outside that must not become markup."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.core.markdown import code_span, escape_markdown
from pipeline.manifest.loading import load
from pipeline.modalities.text.modality import TextModality
from pipeline.report.card import render_card
from pipeline.report.facts import (
    BuildFacts,
    InputFacts,
    LicenseFacts,
    RuleFacts,
    SplitFacts,
    StepFacts,
    find_token_warnings,
)

MANIFEST = load("cc100-ja").model_copy(
    update={
        "title": "Mine: a “corpus”",
        "description": "Words about it.",
        "license": "CC-BY-4.0",
        "homepage": "https://example.com/",
    }
)
FACTS = BuildFacts(
    out=Path("corpora/mine"),
    manifest=MANIFEST,
    terms=TextModality.terms,
    is_sample=False,
    size_category="1K<n<10K",
    split_rule=("Split.", "分割。"),
    polishing_ratio=0.5,
    steps=[StepFacts("decide", 2000, 1000, 20_000, 10_000)],
    splits=[SplitFacts("train", 1000, 10_000), SplitFacts("validation", 0, 0)],
    split_names=["train"],
    rules=[RuleFacts("chars", 1000, 10_000, "at_least 50", "Characters.")],
    duplicates={"exact": 3, "near": 2, "clusters": 1},
    near_duplicate="Jaccard 0.8",
    unreadable=7,
    inputs=[InputFacts("a.xz", 1_000_000, "ab" * 32, 5_000_000), InputFacts("b.xz", None, None, None)],
    warnings=[],
    training=None,
    tokens=None,
    bytes=30_000,
    seconds=2.0,
    peak_memory=1_000_000,
    training_command="python -m trainers.gpt corpora/mine",
    resolved_manifest={},
    fingerprints={},
    bands_and_rows=None,
    limit=None,
    files=[],
    removed=[],
    licenses=[LicenseFacts("CC-BY-4.0", 1000, 10_000)],
)
TRAINING = {
    "settings": {"model": "unigram", "vocab_size": 32_000},
    "sample": {"bytes": 1_000_000},
    "figures": {"characters_per_token": 1.5, "fallback_share": 0.001},
}
COUNTS = ("documents", "tokens", "separators", "sequences", "left_out", "padding")
TOKENS = {
    "sequence_length": 2048,
    "packing": "concatenate",
    "splits": {"train": dict.fromkeys(COUNTS, 1234), "validation": dict.fromkeys(COUNTS, 0)},
}


def read_front_matter(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_front_matter_names_licence_splits_and_task():
    assert read_front_matter(render_card(FACTS)) == {
        "language": ["ja"],
        "license": "cc-by-4.0",
        "pretty_name": "Mine: a “corpus”",
        "size_categories": ["1K<n<10K"],
        "task_categories": ["text-generation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }


@pytest.mark.parametrize("title", ['"quoted"\n# no heading', "- list", "a: b # c", "精米 {x}", "x" * 500, "---"])
def test_front_matter_holds_any_title(title):
    card = render_card(replace(FACTS, manifest=MANIFEST.model_copy(update={"title": title})))
    front_matter = next(yaml.safe_load_all(card.removeprefix("---\n").split("\n---\n")[0]))
    assert front_matter["pretty_name"] == title.replace("\n", " ")


def test_card_has_every_number():
    lines = render_card(FACTS).splitlines()
    assert "| decide | 2,000 | 1,000 | 20,000 | 10,000 |" in lines
    assert "| train | 1,000 | 10,000 |" in lines
    assert "| `chars` | 1,000 | 10,000 | at_least 50 | Characters. |" in lines
    assert "Duplicates / 重複: 3 exact, 2 near (Jaccard 0.8), in 1 cluster. Unreadable / 読み取り不能: 7." in lines
    assert f"- `a.xz`: 1.0 MB, SHA-256 `{'ab' * 32}`" in lines
    assert "- `b.xz`: size unknown, SHA-256 `not read to its end`" in lines
    assert "License / ライセンス: CC-BY-4.0 — <https://example.com/>" in lines
    assert "Split." in lines and "分割。" in lines


def test_licenses_of_records_are_summed_where_there_are_several():
    assert "| license" not in render_card(FACTS)
    several = [LicenseFacts("CC0 | x", 900, 9_000), LicenseFacts("CC-BY-4.0", 90, 900), LicenseFacts(None, 10, 100)]
    card = render_card(replace(FACTS, licenses=several, warnings=["one"]))
    lines = card.splitlines()
    assert "| `CC0 \\| x` | 900 | 9,000 |" in lines and "| others / その他 | 10 | 100 |" in lines and "\n\n\n" not in card


def test_sections_appear_only_where_there_is_something_to_say():
    card = render_card(FACTS)
    assert not any(heading in card for heading in ("embedded sample", "## Tokenizer", "## Warnings", "\n\n\n"))
    full = render_card(replace(FACTS, is_sample=True, training=TRAINING, tokens=TOKENS, warnings=["one", "two"]))
    assert all(heading in full for heading in ("embedded sample", "## Tokenizer", "## Warnings")) and "\n\n\n" not in full
    assert "32,000 pieces" in full and "1.500 characters per token, 0.100% of characters by bytes" in full
    assert "sequences of 2,048 tokens, packed by concatenate" in full
    assert "| train | 1,234 | 1,234 | 1,234 | 1,234 | 1,234 | 1,234 |" in full
    assert full.endswith("\n\n- one\n- two\n")
    tokens = {"config_name": "tokens", "data_files": [{"split": "train", "path": "tokens/train-*.parquet"}]}
    assert read_front_matter(full)["configs"][1] == tokens


def test_a_validation_split_without_a_sequence_is_told():
    counts = {"documents": 3, "tokens": 1_780, "separators": 3, "sequences": 0}
    (warning,) = find_token_warnings({"tokens": TOKENS | {"splits": {"validation": counts}}})
    assert "validation has 1,783 tokens, less than one sequence of 2,048" in warning and "shards.validation" in warning
    for other in (counts | {"sequences": 1}, counts | {"documents": 0}):
        assert find_token_warnings({"tokens": TOKENS | {"splits": {"validation": other}}}) == []
    assert find_token_warnings(None) == find_token_warnings({"tokens": TOKENS | {"splits": {}}}) == []


def test_text_from_outside_stays_text():
    name = "a`\n# heading\x1b[31m<script>.xz"
    warning = "x.tar: <img src=x onerror=alert(1)> [click](javascript:x)\n## heading | *bold* `code`"
    card = render_card(replace(FACTS, inputs=[InputFacts(name, 1, None, None)], warnings=[warning]))
    assert "\n# heading" not in card and "\n## heading" not in card and "\x1b" not in card
    shown = "- `` a` # heading\N{REPLACEMENT CHARACTER}[31m<script>.xz ``: 1 B, SHA-256 `not read to its end`"
    assert shown in card.splitlines()
    line = r"- x.tar: &lt;img src=x onerror=alert(1)&gt; \[click\](javascript:x) ## heading \| \*bold\* \`code\`"
    assert line in card.splitlines()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("  + item", r"\+ item"),
        ("1. item", r"1\. item"),
        ("20) item", r"20\) item"),
        ("=====", r"\====="),
        ("~~~", r"\~\~\~"),
        ("> quote", "&gt; quote"),
        ("| cell", r"\| cell"),
        ("AT&amp;T", "AT&amp;amp;T"),
        ("3.5 % of file-1.tar_x (a) – 説明", "3.5 % of file-1.tar_x (a) – 説明"),
    ],
)
def test_escaped_markdown_begins_no_block(text, escaped):
    assert escape_markdown(text) == escaped


def test_code_spans_hold_any_backticks():
    assert code_span("a") == "`a`"
    assert code_span("a`b") == "`` a`b ``"
    assert code_span("``a```") == "```` ``a``` ````"
