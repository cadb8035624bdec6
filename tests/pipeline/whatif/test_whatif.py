"""What-if, compared with builds: of the samples of all modalities, and of records made up by hypothesis."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.terminal import Terminal
from pipeline.corpus.built import open_corpus
from pipeline.corpus.rules import load_rules
from pipeline.manifest.model import Bound
from pipeline.steps.decide import decide_frame, find_broken_rule
from pipeline.whatif.answer import answer
from pipeline.whatif.changes import OUTCOME
from pipeline.whatif.command import main
from pipeline.whatif.near import Neighbour
from pipeline.whatif.terminal import print_neighbours
from tests.support.bounds import draw_changes
from tests.support.builds import read_ledger
from tests.support.commands import CommandRunner

COMMAND = CommandRunner(main)
run, as_json, refused = COMMAND.run, COMMAND.as_json, COMMAND.refused


@pytest.fixture(scope="module")
def corpus(build_as_user):
    return build_as_user("cc100-ja").out


@pytest.fixture(scope="module")
def ledger(corpus):
    return read_ledger(corpus)


def predict(folder, overrides, replay=True):
    corpus = open_corpus(folder)
    rules = load_rules("as-built", overrides, "--set", corpus, allow_fitted=True).rules
    return answer(corpus, corpus.manifest.model_copy(update={"rules": rules}), 1, replay)


def read_state(folder):
    return json.loads((folder / STATE_FOLDER / "state.json").read_text("utf-8"))


def check_against_build(manifest, folder, overrides, build):
    """Predict what other rules do to a corpus, build it again with them, and compare every record."""
    before, found = read_ledger(folder), predict(folder, overrides)
    done = build(manifest, "--out", folder, *(word for one in overrides for word in ("--set", one)))
    assert done.returncode in (0, 1) and "not one of the" in done.stderr if done.returncode else True, done.stderr
    after, state = read_ledger(folder), read_state(folder)
    now = after.select(pl.col(OUTCOME).name.prefix("now_"))
    keys = ["source", *OUTCOME, *now.columns]
    expected = pl.concat([before, now], how="horizontal").group_by(keys).agg(pl.len().cast(pl.Int64).alias("records"))
    cells = found.changes.cells.group_by(keys).agg(pl.sum("records"))
    assert cells.sort(keys).equals(expected.sort(keys)), (
        overrides,
        cells.join(expected, on=keys, how="anti", nulls_equal=True),
    )
    records, amount = state["after_decide"]
    assert found.is_exact and found.passing.after.records == records, overrides
    kept, _, kept_amount = state["verdicts"].get("kept", [0, 0, 0])
    assert found.kept.after.records == kept, overrides
    if open_corpus(folder).amount is not None:
        assert (found.passing.after.amount, found.kept.after.amount) == (amount, kept_amount), overrides
    rules = dict(after.filter(step="decide").group_by("rule").len().iter_rows())
    assert {rule: now for rule, (_, now) in found.rules.items() if now} == rules


@pytest.mark.parametrize(("manifest", "seeds"), [("cc100-ja", (1, 2, 3)), ("image-text-ja", (4,)), ("speech-ja", (5,))])
def test_what_a_build_would_keep(manifest, seeds, build, build_as_user, tmp_path):
    for seed in seeds:
        folder = tmp_path / str(seed)
        shutil.copytree(build_as_user(manifest).out, folder)
        check_against_build(manifest, folder, draw_changes(open_corpus(folder), seed), build)


def test_without_a_change_nothing_changes(corpus):
    found = predict(corpus, [])
    assert not found.lost and not found.gained and found.is_exact and not found.is_replayed
    cells = found.changes.cells
    assert cells.select(OUTCOME).equals(cells.select(pl.col(f"now_{name}").alias(name) for name in OUTCOME))
    kept, _, amount = read_state(corpus)["verdicts"]["kept"]
    assert found.kept.before == found.kept.after == (kept, amount)


def test_what_hiragana_costs(corpus, ledger):
    found = as_json(corpus, "--set", "rules.hiragana_share.at_least=0.45", "--no-replay", "--examples", 2)
    short = ledger.filter((pl.col("verdict") == "kept") & (pl.col("hiragana_share") < 0.45))
    assert found["kept"]["lost"] == {"records": len(short), "characters": short["measured_chars"].sum()}
    assert found["lost_by_rule"]["hiragana_share"]["records"] == len(short) > 0 == found["kept"]["gained"]["records"]
    assert found["kept_is_exact"] is False and found["deduplication"] == {"replayed": False, "reason": "--no-replay was given"}
    assert found["changed_rules"]["hiragana_share"]["after"] == "at_least 0.45"
    assert {example["id"] for example in found["examples"]} <= set(short["id"]) and len(found["examples"]) == 2
    assert all(example["value"] < 0.45 and example["bound_text"] == ">= 0.45" for example in found["examples"])


def test_other_presets(corpus, ledger):
    found = as_json(corpus, "--preset", "ja-web-strict", "--no-replay")
    assert found["rules_of"] == "ja-web-strict" and found["changed_rules"]
    passing = len(ledger.filter(pl.col("step").is_null() | pl.col("step").is_in(["deduplicate", "strip"])))
    assert found["passing"]["before"]["records"] == passing


def test_records_near_a_bound(corpus, ledger):
    found = as_json(corpus, "--near", "quality_score", "--examples", 2)["nearest"]
    limit = found[0]["limit"]
    values = ledger.filter(pl.col("verdict") != "unreadable")["quality_score"].cast(pl.Float64).drop_nulls().sort()
    below, above = values.filter(values < limit), values.filter(values >= limit)
    assert [one["value"] for one in found] == [*below.tail(2), *above.head(2)]
    assert [one["fits"] for one in found] == [False, False, True, True]
    rows = dict(ledger.select("id", "verdict").iter_rows())
    assert all(rows[one["id"]] == one["verdict"] for one in found)
    assert "the records nearest to" in run(corpus, "--near", "quality_score").stdout


def test_a_value_equal_to_the_bound_falls_as_in_a_build(corpus, ledger):
    """Measures have 32 bits: the decimal of one lies on either side of it, and a build compares with 32 bits."""
    values = ledger.filter(pl.col("verdict") == "kept")["hiragana_share"].drop_nulls()
    for is_below in (False, True):
        value = next(
            one for one in values if (float(str(np.float32(one))) > one) is is_below and float(str(np.float32(one))) != one
        )
        for side, fitting in (("at_least", values >= value), ("at_most", values <= value)):
            bound = f"rules.hiragana_share.{side}={np.float32(value)}"
            near = as_json(corpus, "--set", bound, "--near", "hiragana_share", "--examples", 3)["nearest"]
            assert [one["fits"] for one in near if one["value"] == value] and all(
                one["fits"] for one in near if one["value"] == value
            )
            lost = as_json(corpus, "--set", bound, "--no-replay")["kept"]["lost"]["records"]
            assert lost == int((~fitting).sum())


def test_large_values_do_not_touch_what_is_beside_them(capsys):
    huge = [
        Neighbour(0.5, False, -9.2e18, "a/1", "dropped", "x", "本文"),
        Neighbour(0.5, True, 1.5, "a/2", "kept", None, "本文"),
    ]
    print_neighbours(Terminal(), "x", huge)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["-9.2e+18", "breaks", "the", "bound", "dropped", "by", "x", "a/1"], ["本文"],
        ["1.5", "keeps", "the", "bound", "kept", "a/2"], ["本文"],
    ]  # fmt: skip
    assert lines[1].index("dropped") == lines[3].index("kept")


def test_what_is_printed(corpus):
    done = run(corpus, "--set", "rules.chars.at_most=800", "--set", 'rules.skip=["boilerplate_share"]')
    assert done.exit_code == 0, done.output
    for words in (
        "chars: at_least 20 -> at_least 20, at_most 800", "boilerplate_share: at_most 0.5 -> no bound", "pass the rules", "are kept",
        "duplicates were found anew", "losses, by the rule that drops it now", "gains, by the rule that dropped it",
    ):  # fmt: skip
        assert words in done.stdout, done.stdout
    assert "- chars" in done.stdout and "+ boilerplate_share" in done.stdout


def test_what_makes_no_sense(corpus, tmp_path):
    assert "nothing is to be changed: name another bound" in refused(corpus)
    assert "expected a key of the rules" in refused(corpus, "--set", "clean.html=never")
    assert "did you mean 'chars'?" in refused(corpus, "--set", "rules.char.at_least=3")
    message = refused(corpus, "--set", "rules.llmjp_deflate_ratio.at_least=0.3")
    assert "Nothing is measured here; build it with them: python -m pipeline.build cc100-ja" in message
    assert 'measure.also=["llmjp_deflate_ratio"]\'' in message
    assert "did you mean 'quality_score'?" in refused(corpus, "--near", "quality_scor")
    assert (
        "it is measured, but no rule bounds it. Give it a bound: --set rules.hiragana_share.at_most=VALUE (or at_least)."
        in refused(corpus, "--near", "hiragana_share")
    )
    assert "there is no rule and no measure of that name; did you mean 'hiragana_share'? Rules: " in refused(
        corpus, "--near", "hiragana_shar"
    )
    assert "this corpus was built without that measure" in refused(corpus, "--near", "gopher_words")
    assert "--examples 0 would show none" in refused(corpus, "--near", "chars", "--examples", 0)
    for value in ("true", "false"):
        message = refused(corpus, "--set", f"rules.chars.at_least={value}")
        assert f"a number is expected, not {value}" in message and "chars.at_least" in message
    assert "its bound is about words" in refused(corpus, "--near", "language")
    assert "there is no such folder" in refused(tmp_path / "x", "--near", "chars")
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy, ignore=shutil.ignore_patterns("work"))
    message = refused(copy, "--set", "rules.chars.at_least=300", "--replay")
    assert "--replay: the build's intermediates, with the signatures, are gone" in message
    found = as_json(copy, "--set", "rules.chars.at_least=300")
    assert found["deduplication"]["reason"] == "the build's intermediates, with the signatures, are gone"


VALUES = st.one_of(st.none(), st.floats(allow_nan=True, width=32))
LIMITS = st.one_of(st.none(), st.floats(-2, 2))


@given(
    rows=st.lists(st.tuples(VALUES, VALUES, st.booleans()), min_size=1, max_size=20),
    bounds=st.lists(st.tuples(LIMITS, LIMITS, st.sampled_from(["drop", "keep"])), min_size=2, max_size=2),
)
def test_the_rule_that_is_broken_first(rows, bounds):
    columns = {"m:url_share": pl.Float32, "m:chars": pl.Float32}
    frame = pl.DataFrame([row[:2] for row in rows], schema=columns, orient="row")
    frame = frame.with_columns(unreadable=pl.Series(["no" if row[2] else None for row in rows], dtype=pl.String))
    rules = {
        name: Bound(at_least=low if high is None or low is None else min(low, high), at_most=high, missing=missing)
        for name, (low, high, missing) in zip(("url_share", "chars"), bounds, strict=True)
        if low is not None or high is not None
    }
    names = [*rules]
    readable = pl.col("unreadable").is_null()
    found = frame.select(pl.when(readable).then(find_broken_rule(rules))).to_series().to_list()
    expected = decide_frame(frame, rules)["rule"].to_list()
    assert [None if number is None else names[number] for number in found] == expected
