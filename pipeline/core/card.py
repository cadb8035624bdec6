"""What of a dataset card, `README.md`, changes when a command adds a tokenizer or token shards to a corpus: one entry of its front
matter, so that `load_dataset(corpus, "tokens")` finds them, and one section. All else stays as it is, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipeline.core.markdown import escape_markdown
from pipeline.core.storage import format_size

CARD_FILE = "README.md"
_SECTION, _NEXT_SECTION = "## Tokenizer / トークナイザ", "## Files / ファイル"
_TOKENS = "tokens"  # the configuration of the token shards
_COUNTS = ("documents", "tokens", "separators", "sequences", "left_out", "padding")
_NO_FOLDING = 1 << 20  # characters in a line of YAML

Record = Mapping[str, Any]  # the content of `training.json` or `tokens.json`


def update_card(card: str, training: Record | None, tokens: Record | None) -> str:
    """Return a card that tells of this tokenizer and these token shards, and of no others. Without front matter it is somebody's own."""
    parts = re.fullmatch(r"---\n(.*?\n)---\n(.*)", card, re.DOTALL)
    try:
        front_matter = yaml.safe_load(parts[1]) if parts else None
    except yaml.YAMLError:
        return card
    if parts is None or not isinstance(front_matter, dict) or not isinstance(front_matter.get("configs", []), list):
        return card
    configs = front_matter.get("configs", [])
    others = [one for one in configs if not isinstance(one, dict) or one.get("config_name") != _TOKENS]
    wanted = [*others, *describe_token_config(tokens)]
    head = parts[1] if wanted == configs else dump_front_matter(front_matter | {"configs": wanted})
    return f"---\n{head}---\n{_replace_section(parts[2], render_added(training, tokens))}"


def dump_front_matter(front_matter: Record) -> str:
    """Return front matter as YAML, without the lines of dashes."""
    return yaml.safe_dump(dict(front_matter), allow_unicode=True, sort_keys=False, width=_NO_FOLDING)


def describe_config(name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration for `load_dataset`: a path for every split."""
    return {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in paths.items()]}


def describe_token_config(tokens: Record | None) -> list[dict[str, Any]]:
    """Return the configuration of token shards, in a list; none where there are none."""
    splits = tokens["splits"] if tokens else {}
    paths = {split: f"{_TOKENS}/{split}-*.parquet" for split, counts in splits.items() if counts["sequences"]}
    return [describe_config(_TOKENS, paths)] if paths else []


def describe_drawn(training: Record) -> str:
    """Return of what a tokenizer's text was drawn, where of several corpora: each with its share."""
    corpora = training["sample"].get("corpora", [])
    total = max(sum(corpus["drawn"] for corpus in corpora), 1)
    return ", ".join(f"{corpus['name']} {corpus['drawn'] / total:.1%}" for corpus in corpora) if len(corpora) > 1 else ""


def render_added(training: Record | None, tokens: Record | None) -> str:
    """Return the section on a tokenizer and token shards, with an empty line at its end; "" where there are none."""
    paragraphs = [*_describe_training(training), *_describe_tokens(tokens)]
    return "".join(f"{paragraph}\n\n" for paragraph in ([_SECTION, *paragraphs] if paragraphs else []))


def _describe_training(training: Record | None) -> Sequence[str]:
    if training is None:
        return []
    settings, size = training["settings"], format_size(training["sample"]["bytes"])
    drawn = escape_markdown(describe_drawn(training))
    lines = [
        f"`tokenizer/`: SentencePiece {settings['model']}, {settings['vocab_size']:,} pieces, trained on {size} of text"
        f"{f' ({drawn})' if drawn else ''}; `AutoTokenizer.from_pretrained` loads the folder. / {size} のテキストから学習したトークナイザ。"
    ]
    if figures := training["figures"]:
        density, whose = f"{figures['characters_per_token']:.3f}", "the parts' " if drawn else ""
        lines.append(
            f"On {whose}held-out text {density} characters per token, {figures['fallback_share']:.3%} of characters by bytes. / "
            f"{'各部分の' if drawn else ''}検証用テキストで1トークンあたり {density} 文字。"
        )
    return lines


def _describe_tokens(tokens: Record | None) -> Sequence[str]:
    if tokens is None:
        return []
    head = ["split", *(name.replace("_", " ") for name in _COUNTS)]
    rows = [[split, *(f"{counts[name]:,}" for name in _COUNTS)] for split, counts in tokens["splits"].items()]
    table = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    table.insert(1, f"|---|{'---:|' * len(_COUNTS)}")
    return [
        f"`tokens/`: sequences of {tokens['sequence_length']:,} tokens, packed by {tokens['packing']}. / 固定長のトークン列。",
        "\n".join(table),
    ]


def _replace_section(body: str, section: str) -> str:
    """Return a card's body with this section in the place of the one that it has, else before the section on files, else at its end."""
    lines = body.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.rstrip("\n") == _SECTION), None)
    if first is not None:
        last = next((i for i in range(first + 1, len(lines)) if lines[i].startswith("## ")), len(lines))
    else:
        first = last = next((i for i, line in enumerate(lines) if line.rstrip("\n") == _NEXT_SECTION), len(lines))
    before, after = "".join(lines[:first]), "".join(lines[last:])
    if section and not after:
        before = before.rstrip("\n") + "\n\n"
    return (before + section + after).rstrip("\n") + "\n"
