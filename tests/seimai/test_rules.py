"""Rules and measures without a corpus say what a build says."""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa
import pytest

import seimai
from tests.support.builds import read_ledger, read_shards
from tests.support.texts import make_sentences, split_documents


@pytest.fixture(scope="module")
def documents(mixed):
    """The documents of the mixed corpus as bytes, some of which are not UTF-8."""
    return pl.DataFrame({"text": [document.content for document in split_documents(mixed.read_bytes())]})


@pytest.fixture(scope="module")
def ledger(reference):
    return read_ledger(reference)


@pytest.mark.e2e
def test_every_verdict_is_that_of_the_build(reference, documents, ledger):
    rules = seimai.Rules(seimai.Corpus(reference))
    assert seimai.Rules(str(reference)).bounds == rules.bounds
    verdicts = rules.apply(documents)
    of_step = pl.col("step") == "decide"
    expected = ledger.select(
        verdict=pl.when(of_step | (pl.col("verdict") == "unreadable")).then("verdict").otherwise(pl.lit("kept")),
        rule=pl.when(of_step).then("rule"),
    )
    assert verdicts.select("verdict", "rule").equals(expected)
    assert verdicts["verdict"].n_unique() == 3
    explained = rules.explain(documents)
    assert [(one.verdict, one.rule) for one in explained] == expected.rows()
    for one in explained:
        broken = one.rules.filter("broken")["rule"].to_list()
        assert one.rule in broken if one.verdict == "dropped" else broken == []
        assert (one.text is None) == (one.verdict == "unreadable")


@pytest.mark.e2e
def test_every_measure_is_that_of_the_ledger(reference, documents, ledger):
    names = ["chars", "kana_share", "language", "boilerplate_share", "mojibake_share", "quality_score"]
    assert seimai.measure(documents, names).equals(ledger.select(names))


@pytest.mark.e2e
def test_texts_are_cleaned_as_those_in_shards(reference, documents, ledger):
    shards = read_shards(reference)
    kept = documents.with_columns(seimai.clean(documents).alias("cleaned"), ledger["id"], ledger["recurring_lines"])
    joined = shards.join(kept, on="id").filter(pl.col("recurring_lines").fill_null(0) == 0)
    assert len(joined) > 10 and joined["text"].equals(joined["cleaned"], check_names=False)


def test_every_rule_has_its_value_and_bound():
    rules = seimai.Rules("ja-web", set={"rules.chars.at_least": 50, "rules.skip": ["fluency_score"]})
    explained = rules.explain("今すぐ登録!")
    assert (explained.verdict, explained.rule, explained.text) == ("dropped", "chars", "今すぐ登録!")
    by_rule = {row["rule"]: row for row in explained.rules.iter_rows(named=True)}
    assert list(by_rule) == list(rules.bounds) and "fluency_score" not in by_rule
    chars, language = by_rule["chars"], by_rule["language"]
    assert (chars["value"], chars["value_text"], chars["bound"], chars["broken"]) == (6.0, None, "at_least 50", True)
    assert (language["value"], language["value_text"], language["bound"], language["broken"]) == (
        None,
        "ja",
        "any_of ja",
        False,
    )
    assert language["reason"] and chars["description"]
    assert explained.not_judged == ("recurring_line_share",)
    lines = repr(explained).splitlines()
    assert lines[0] == "dropped by chars"
    assert [line.split() for line in lines if line.split()[0] == "chars"] == [["chars", "6", "at_least", "50", "broken"]]
    assert seimai.Rules("ja-web").explain(make_sentences(1)).verdict == "kept"


def test_what_is_kept_of_a_table_and_what_rules_judge_beside_the_text(tmp_path):
    manifest = tmp_path / "mine.toml"
    manifest.write_text(
        'name = "mine"\ntitle = "M"\nlicense = "x"\n[source]\nformat = "jsonl"\nkeep = ["score:float"]\n'
        '[rules]\nscore = { at_least = 2.5 }\nurl_list = { none_of = ["adult"] }\n',
        "utf-8",
    )
    frame = pl.DataFrame(
        {"body": ["猫", "犬", "鳥", "魚"], "score": ["3", "2", None, "x"], "url": ["https://a.jp", None, None, None]}
    )
    verdicts = seimai.Rules(manifest).apply(frame)
    assert verdicts["verdict"].to_list() == ["kept", "dropped", "dropped", "dropped"]
    assert verdicts["rule"].to_list() == [None, "score", "score", "score"]
    assert seimai.Rules(manifest).apply(["猫"])["rule"].to_list() == ["score"]  # a value that is missing breaks a rule
    alone = seimai.Rules(manifest, set={"rules": {"score": {"at_least": 2.5}}})
    assert alone.apply(frame)["rule"].to_list() == [None, "score", "score", "score"]
    assert alone.explain(frame)[1].rules.select("rule", "value", "broken").rows() == [("score", 2.0, True)]


@pytest.mark.parametrize(
    ("reference", "settings", "message"),
    [
        ("ja-wep", {}, r"there is no preset or manifest 'ja-wep'; did you mean 'ja-web'\?"),
        ("caption-ja", {}, "not for text records"),
        ("image-text-ja", {}, "has rules for image-text records"),
        ("mine.toml", {}, "there is no such manifest file"),
        ("ja-web", {"rules.charz.at_least": 5}, r"did you mean 'chars'\?"),
        ("ja-web", {"rules.chars.at_least": "many"}, "rules.chars.at_least"),
        ("ja-web", {"rules.chars.iqr": 1.5}, r'fitted to a corpus .* Leave it out: set=\{"rules.skip": \["chars"\]\}$'),
    ],
)
def test_rules_that_cannot_be(reference, settings, message):
    with pytest.raises(seimai.UsageError, match=message):
        seimai.Rules(reference, set=settings)


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", r"two columns 'text': rename one .* Its columns: 'text' \(twice\)\. Name the column of text with column=$"),
        ("ja", r"列 'text' が二つあります。.*'text' \(twice\)"),
    ],
)
def test_a_table_with_two_columns_of_one_name(language, message, monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", language)
    with pytest.raises(seimai.UsageError, match=message):
        seimai.Rules("ja-web").apply(pa.table([["猫"], ["犬"]], names=["text", "text"]))


@pytest.mark.parametrize(
    ("names", "message"),
    [("charz", r"did you mean 'chars'\?"), ("recurring_line_share", "in its corpus"), (["phash_bits"], "no measure")],
)
def test_measures_that_cannot_be(names, message):
    with pytest.raises(seimai.UsageError, match=message):
        seimai.measure(["猫"], names)


def test_settings_of_cleaning():
    assert seimai.clean("①", compatibility="expand") == "1" and seimai.clean("①") == "①"
    assert seimai.clean("<p>猫</p>", html="always") == "猫"
    with pytest.raises(seimai.UsageError, match=r"clean.widht: there is no such key; did you mean 'width'\?"):
        seimai.clean("①", widht="fold")


def test_signatures_estimate_similarity():
    text = make_sentences(3, lines=20)
    near, other = text.replace("昨日", "今日"), make_sentences(4, lines=20)
    found = seimai.signatures(pl.Series([text, near, other, "犬", None]), permutations=256)
    assert (
        found.schema["minhash"] == pl.Array(pl.UInt32, 256) and found["minhash"].is_null().to_list() == [False] * 3 + [True] * 2
    )
    minima = found["minhash"].head(3).to_numpy()
    assert (minima[0] == minima[1]).mean() > 0.7 > 0.4 > (minima[0] == minima[2]).mean()
    assert found["exact"].n_unique() == 5 and found["key"][4] is None
    assert seimai.signatures([]).schema == seimai.signatures(["犬"]).schema
    spaced = seimai.signatures([text, text.replace("、", " 、 ")])
    assert spaced["key"][0] == spaced["key"][1] and spaced["minhash"][0].equals(spaced["minhash"][1])
    with pytest.raises(seimai.UsageError, match="expected numbers from 1 on"):
        seimai.signatures([text], permutations=0)


def test_a_preset_of_ones_own(tmp_path):
    (tmp_path / "preset.toml").write_text("[chars]\nat_least = 2\n", "utf-8")
    assert seimai.Rules(tmp_path / "preset.toml").apply(["猫", "猫だ"])["rule"].to_list() == ["chars", None]
    (tmp_path / "preset.toml").write_text(json.dumps({}), "utf-8")
    with pytest.raises(seimai.UsageError, match="not valid TOML"):
        seimai.Rules(tmp_path / "preset.toml")
