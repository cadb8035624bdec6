"""One Japanese word for each term of `docs/glossary.md`, on pages, in messages, cards and the README; and for every rule a description."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from filters import MEASURES
from pipeline.core.language import list_catalogue, speak, translate, translate_message
from pipeline.manifest.presets import parse_toml
from pipeline.manifest.shipped import list_manifests, manifest_folder

ROOT = Path(__file__).parents[3]
GLOSSARY = (ROOT / "docs/glossary.md").read_text("utf-8").partition("## In Japanese")[2]

# What was said for a term that has another word now.
REJECTED = {
    "source (of a record)": "出所|出典ごと|出典別|出典の内訳",
    "read, clean": "洗浄|整形|読込|読み込み・",
    "kept, dropped, duplicate, unreadable": "読込不能|読取不能|読めないもの",
    "similarity, cluster, survivor": "残した代表|残ったもの|残したもの|残した記録|残った記録",
    "exact duplicate, near duplicate": "完全な重複|類似した|近似重複|類似重複|ほぼ重複",
    "rule, bound": "(?<!単語)(?<!語の)境界|しきい値|閾値|ルール",
    "step": "段階",
    "record, document, text": "文章|この記録|その記録|ほかの記録|記録一件|記録の id|記録は",
    "image-text pair, caption": "説明文",
    "recording, transcript, reading": "文字起こし",
    "shard, split, row": "スプリット",
}


def _list_texts() -> dict[str, str]:
    """Return everything that a reader of Japanese may see, by where it stands."""
    texts = {f"ja.toml: {english}": japanese for english, japanese in list_catalogue().items()}
    labels = json.loads((ROOT / "pipeline/report/page_files/labels.json").read_text("utf-8"))
    texts |= {f"labels.json: {name}": japanese for name, (_, japanese) in labels.items()}
    files = [
        ROOT / "README.ja.md",
        ROOT / "docs/terminal.md",
        ROOT / "pipeline/core/card.py",
        ROOT / "pipeline/report/facts.py",
    ]
    for folder in ("pipeline/report/templates", "pipeline/inspect/templates", "pipeline/modalities", "pipeline/mixture"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".j2")]
    return texts | {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}


def test_rejected_words_are_terms_of_the_glossary():
    missing = [term for term in REJECTED if f"| {term} |" not in GLOSSARY]
    assert not missing


def test_each_term_has_one_japanese_word_everywhere():
    found = []
    for place, text in _list_texts().items():
        for term, rejected in REJECTED.items():
            found += [f"{place}: {match[0]} for {term}" for match in re.finditer(rejected, text)]
    assert not found, "\n".join(found)


def test_words_of_the_catalogue_are_those_of_the_glossary():
    """The headings that pages share are the glossary's words."""
    words = {
        "kept": "採用", "dropped": "除外", "duplicate": "重複", "unreadable": "読み取り不能", "rule": "規則", "bound": "基準",
        "step": "工程", "survivor": "代表", "Source": "入力元", "Where it comes from": "出典", "caption": "キャプション",
        "Caption": "キャプション", "Cleaning": "クリーニング", "near duplicate": "準重複", "exact duplicate": "完全重複",
    }  # fmt: skip
    labels = json.loads((ROOT / "pipeline/report/page_files/labels.json").read_text("utf-8"))
    with speak("ja"):
        assert {word: translate(word) for word in words} == words
    assert all(japanese in GLOSSARY for japanese in words.values())
    with speak("ja"):  # steps are called as the terminal calls them
        for step in ("decide", "deduplicate", "strip", "write", "measure"):
            assert labels[f"step_{step}"][1] == translate(step), step
        assert labels["step_read, clean"][1] == translate("read, clean") == "読み取り・クリーニング"
    of_report = {name: labels[name][1] for name in labels if name in words}
    assert of_report == {name: words[name] for name in of_report} and len(of_report) >= 6


# -- what rules and measures are


def _list_reasons() -> dict[str, str]:
    """Return the reason of every rule of every preset and manifest that ships, by where it stands."""
    found = {}
    for kind in ("", "presets"):
        for name in list_manifests(kind):
            folder = manifest_folder() / kind if kind else manifest_folder()
            table = parse_toml((folder / f"{name}.toml").read_text("utf-8"), name)
            rules = table if kind else table.get("rules", {})
            found |= {
                f"{name}: {rule}": bound["reason"]
                for rule, bound in rules.items()
                if isinstance(bound, dict) and "reason" in bound
            }
    return found


def test_every_reason_of_every_rule_has_its_japanese():
    reasons = _list_reasons()
    assert len(reasons) > 150
    with speak("ja"):
        missing = [f"{place}: {reason}" for place, reason in reasons.items() if translate(reason) == reason]
        assert not missing, "\n".join(missing)
        assert translate("Rules, bars and strips.") == "罫線、帯、細長い飾り。"


def test_every_reason_can_be_read_alone():
    """No rule is explained by the one above it, which pages do not show beside it."""
    leaning = [
        f"{place}: {reason}"
        for place, reason in _list_reasons().items()
        if re.search(r"\b[Aa]s (above|in [a-z]|published)", reason)
    ]
    assert not leaning, "\n".join(leaning)


def test_every_measure_has_its_japanese():
    with speak("ja"):
        missing = [name for name, measure in MEASURES.items() if translate(measure.description) == measure.description]
        assert not missing
        assert translate(MEASURES["hiragana_share"].description) == "ひらがなの割合。"


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("fitted per programme, interquartile ranges 2", "番組ごとに決める（四分位範囲の 2 倍）"),
        ("A column of the input (`source.keep`).", "入力の列（source.keep）。"),
        ("`deduplicate.same_caption` of the manifest.", "マニフェストの deduplicate.same_caption。"),
        (
            "character 5-grams, Jaccard similarity 0.8, verified at an estimate of 0.75 or more",
            "文字 5-gram の Jaccard 係数 0.8、推定値 0.75 以上で照合",
        ),
    ],
)  # fmt: skip
def test_bounds_in_words_have_their_japanese(english, japanese):
    with speak("ja"):
        assert translate_message(english) == japanese
