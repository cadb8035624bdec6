"""What of a card changes with a tokenizer and token shards: one entry of its front matter and one section, and nothing else."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.card import render_added, update_card

COUNTS = ("documents", "tokens", "separators", "sequences", "left_out", "padding")
TRAINING = {
    "settings": {"model": "unigram", "vocab_size": 32_000},
    "sample": {"bytes": 1_000_000, "corpora": [{"name": "a_b*", "drawn": 3}, {"name": "c", "drawn": 1}]},
    "figures": {},
}
TOKENS = {
    "sequence_length": 2048,
    "packing": "concatenate",
    "splits": {"train": dict.fromkeys(COUNTS, 1234), "validation": dict.fromkeys(COUNTS, 0)},
}
HEAD = "---\nlicense: mit # mine\nconfigs:\n- config_name: default\n  data_files: data/*.parquet\n---\n"


@given(st.lists(st.sampled_from(["# Title\n", "words\n", "\n", "## Files / ファイル\n", "## Mine\n", "---\n"]), max_size=8))
def test_adding_is_told_once_and_undone_without_a_trace(lines):
    card = HEAD + "".join(lines).rstrip("\n") + "\n"
    added = update_card(card, TRAINING, TOKENS)
    assert update_card(added, TRAINING, TOKENS) == added and added.count("## Tokenizer") == 1
    assert [one["config_name"] for one in yaml.safe_load(added.split("---\n")[1])["configs"]] == ["default", "tokens"]
    other = update_card(added, TRAINING | {"settings": {"model": "bpe", "vocab_size": 900}}, None)
    assert "900 pieces" in other and "32,000" not in other and "`tokens/`" not in other
    removed = update_card(other, None, None)
    body = card.split("---\n", 2)[2]
    assert removed.split("---\n", 2)[2].split() == body.split() and "## Tokenizer" not in removed


def test_a_card_without_front_matter_is_somebodys_own():
    for card in ("# Mine\n", "---\n[unclosed\n---\n", "---\nconfigs: 5\n---\n", ""):
        assert update_card(card, TRAINING, TOKENS) == card


def test_a_card_is_not_written_anew_where_it_tells_of_all_that_is_there():
    card = HEAD + "# Title\n\n## Files / ファイル\n"
    assert update_card(card, None, None) == card
    section = render_added(TRAINING, TOKENS)
    assert r"(a_b\* 75.0%, c 25.0%)" in section and "| train | 1,234 |" in section
    assert update_card(card, TRAINING, None).index("## Tokenizer") < update_card(card, TRAINING, None).index("## Files")
