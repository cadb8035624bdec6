"""`python -m pipeline.compare` on builds of the embedded sample."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from pipeline.compare.command import main
from pipeline.compare.judgement import compare
from pipeline.core.ownership import STATE_FOLDER
from pipeline.corpus.built import open_corpus
from pipeline.manifest import presets, shipped
from pipeline.manifest.model import Bound
from tests.support.builds import read_ledger
from tests.support.commands import CommandRunner

PRESETS = 'measure.presets=["swallow-v1", "llmjp-v1"]'


@pytest.fixture(scope="session")
def corpus(build, shared_folders):
    """The sample, measured for two presets of others, too."""

    def fill(folder):
        done = build("cc100-ja", "--out", folder / "out", "--set", PRESETS, "--set", "deduplicate.enabled=false")
        assert done.returncode == 0, done.stderr

    return shared_folders.make("compared-corpus", fill) / "out"


@pytest.fixture(scope="module")
def ledger(corpus):
    return read_ledger(corpus)


COMMAND = CommandRunner(main)
run, as_json, refused = COMMAND.run, COMMAND.as_json, COMMAND.refused


def test_every_record_is_counted_once_and_as_the_build_decided(corpus, ledger):
    found = as_json("as-built", "swallow-v1", "--on", corpus)
    cells = [found[name] for name in ("both_keep", "only_a_keeps", "only_b_keeps", "neither_keeps")]
    readable = ledger.filter(pl.col("verdict") != "unreadable")
    assert sum(cell["records"] for cell in cells) == found["records"] == len(readable)
    assert sum(cell["characters"] for cell in cells) == readable["chars"].sum()
    assert found["unreadable"] == len(ledger) - len(readable) == 4
    kept = ledger.filter(verdict="kept")
    assert cells[0]["records"] + cells[1]["records"] == len(kept)
    assert cells[0]["characters"] + cells[1]["characters"] == kept["chars"].sum()


def test_the_preset_of_the_build_differs_in_nothing(corpus):
    found = as_json("as-built", "ja-web", "--on", corpus)
    assert found["only_a_keeps"]["records"] == found["only_b_keeps"]["records"] == 0 < found["neither_keeps"]["records"]
    assert found["kept_by_a_dropped_by_b"] == found["kept_by_b_dropped_by_a"] == []


def test_a_rule_drops_what_its_bound_says(corpus, ledger):
    found = as_json("as-built", "as-built", "--set-b", "rules.chars.at_least=300", "--on", corpus, "--examples", 3)
    short = ledger.filter((pl.col("verdict") == "kept") & (pl.col("chars") < 300))
    (difference,) = found["kept_by_a_dropped_by_b"]
    assert (difference["rule"], difference["records"], difference["characters"]) == ("chars", len(short), short["chars"].sum())
    assert found["only_b_keeps"]["records"] == 0
    examples = pl.DataFrame(difference["examples"])
    assert len(examples) == 3 and set(examples["bound"]) == {300}
    rows = ledger.join(examples, on="id", maintain_order="left", suffix="_shown")
    assert rows["id"].to_list() == examples["id"].to_list()  # in the order of the input
    assert rows["chars"].to_list() == rows["value_shown"].to_list()
    assert rows["excerpt"].to_list() == rows["excerpt_shown"].to_list()


def test_rules_of_both_sides_add_up(corpus):
    found = as_json("ja-web", "swallow-v1", "--on", corpus, "--examples", 0, "--set-a", "rules.chars.at_least=900")
    assert found["kept_by_a_dropped_by_b"] and found["kept_by_b_dropped_by_a"]
    for side, total in (("kept_by_a_dropped_by_b", "only_a_keeps"), ("kept_by_b_dropped_by_a", "only_b_keeps")):
        for unit in ("records", "characters"):
            assert sum(difference[unit] for difference in found[side]) == found[total][unit]
        assert not any(difference["examples"] for difference in found[side])
    mirrored = as_json("swallow-v1", "ja-web", "--on", corpus, "--examples", 0, "--set-b", "rules.chars.at_least=900")
    assert mirrored["kept_by_b_dropped_by_a"] == found["kept_by_a_dropped_by_b"]


def test_the_answer_does_not_depend_on_how_the_ledger_is_cut(corpus, ledger, tmp_path):
    whole = open_corpus(corpus)
    files = []
    for number, first in enumerate(range(0, len(ledger), 97)):
        files.append(tmp_path / f"{number:05}.parquet")
        ledger[first : first + 97].write_parquet(files[-1])
    pieces = replace(whole, ledger_files=tuple(files))
    a, b = {"chars": Bound(at_least=300)}, {"hiragana_share": Bound(at_least=0.4)}
    assert compare(pieces, a, b, 4) == compare(whole, a, b, 4)


def test_what_is_printed(corpus):
    done = run("ja-web", "swallow-v1", "--on", corpus)
    assert done.exit_code == 0 and done.output == run("ja-web", "swallow-v1", "--on", corpus).output
    for words in ("A = ja-web", "B = swallow-v1", "both keep", "only A keeps", "characters", "4 more could not be read"):
        assert words in done.stdout
    assert "what A keeps, by the rule of B that drops it" in done.stdout and "(>= 400)" in done.stdout


def test_manifests_and_files_of_ones_own(corpus, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[chars]\nat_least = 300\nreason = "long ones"\n', "utf-8")
    found = as_json("as-built", own, "--on", corpus)
    assert [difference["rule"] for difference in found["kept_by_a_dropped_by_b"]] == ["chars"]
    lock = corpus / "manifest.lock.toml"
    assert as_json(lock, "cc100-ja", "--on", corpus)["only_a_keeps"]["records"] == 0


# -- what is refused


@pytest.fixture(scope="module")
def unprepared(build_as_user):
    return build_as_user("cc100-ja").out


def test_a_measure_that_the_corpus_was_not_built_with(unprepared):
    message = refused("ja-web", "hojichar", "--on", unprepared)
    assert "was not built with 16 measures that hojichar judges: hojichar_leading_kana, hojichar_chars" in message
    assert "and 12 more" in message and "python -m pipeline.build cc100-ja" in message
    assert "--set 'measure.presets=[\"hojichar\"]'" in message and f"--out {unprepared}" in message


def test_one_measure_that_is_missing_is_named(unprepared, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("[llmjp_deflate_ratio]\nat_least = 0.3\n", "utf-8")
    message = refused("ja-web", own, "--on", unprepared)
    assert "was not built with a measure that" in message and "llmjp_deflate_ratio. Nothing is measured here" in message
    assert "--set 'measure.also=[\"llmjp_deflate_ratio\"]'" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hojicha", "ja-web"], ["there is no preset or manifest 'hojicha'; did you mean 'hojichar'?", "as-built stands for"]),
        (["ja-web", "waon"], ["waon: this preset is not for text records. Known: fineweb2-ja, hojichar"]),
        (["ja-web", "image-text-ja"], ["image-text-ja has rules for image-text records; those of", "are text"]),
        (["ja-web", "./nix.toml"], ["./nix.toml: there is no such manifest file"]),
        (["ja-web", "ja-web", "--set-a", "clean.html=never"], ["--set-a clean.html=never: expected a key of the rules"]),
        (
            ["ja-web", "ja-web", "--set-b", "rules.char.at_least=3"],
            ["--set-b rules.char.at_least=3: there is no measure", "did you mean 'chars'?"],
        ),
        (["ja-web", "ja-web", "--set-b", "rules.chars.at_leats=3"], ["there is no such key; did you mean 'at_least'?"]),
        (
            ["ja-web", "ja-web", "--set-b", "rules.chars.iqr=3"],
            ["the bounds of chars are fitted", "--set-b 'rules.skip=[\"chars\"]'"],
        ),
    ],
)
def test_rules_that_make_no_sense(corpus, arguments, words):
    message = refused(*arguments, "--on", corpus)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[hojichar_char]\nat_least = 3\n",
            ["hojichar_char: there is no measure of that name", "did you mean 'hojichar_chars'?"],
        ),
        ("[chars]\nat_leats = 3\n", ["chars.at_leats: there is no such key; did you mean 'at_least'?"]),
        ("[chars]\n", ["chars: a rule needs a bound"]),
        ("chars = 3\n", ["chars = 3: expected bounds"]),
        ("[chars]\nany_of = ['a']\n", ["this measure takes at_least, at_most or iqr"]),
        ("[chars\n", ["not valid TOML"]),
        ("[phash]\nany_of = ['a']\n", ["phash is a measure of images"]),
    ],
)
def test_a_file_of_ones_own_that_makes_no_sense(corpus, tmp_path, text, words):
    own = tmp_path / "own.toml"
    own.write_text(text, "utf-8")
    message = refused("ja-web", own, "--on", corpus)
    assert "own.toml" in message and all(word in message for word in words), message


def test_a_shipped_preset_with_a_measure_that_is_not_there(corpus, build, tmp_path, monkeypatch):
    shutil.copytree(shipped.manifest_folder(), tmp_path / "manifests")
    (tmp_path / "manifests" / "presets" / "broken.toml").write_text("[charz]\nat_least = 3\n", "utf-8")
    for module in (presets, shipped):
        monkeypatch.setattr(module, "manifest_folder", lambda: tmp_path / "manifests")
    expected = "manifests/presets/broken.toml: charz: there is no measure of that name, nor a column of source.keep; did you mean 'chars'?"
    assert expected in refused("ja-web", "broken", "--on", corpus)
    done = build("cc100-ja", "--out", tmp_path / "out", "--set", "rules.preset=broken")
    assert done.returncode == 2 and expected in done.stderr
    done = build("cc100-ja", "--out", tmp_path / "out", "--set", 'measure.presets=["broken"]')
    assert done.returncode == 2 and expected in done.stderr
    assert run("ja-web", "swallow-v1", "--on", corpus).exit_code == 0  # who does not name it is not troubled


def test_folders_without_a_ledger(corpus, tmp_path):
    assert "there is no such folder. Build the corpus first: python -m pipeline.build" in refused(
        "ja-web", "ja-web", "--on", tmp_path / "x"
    )
    assert "was not made by Seimai" in refused("ja-web", "ja-web", "--on", tmp_path)
    shutil.copytree(corpus, tmp_path / "published", ignore=shutil.ignore_patterns(".cache"))
    message = refused("ja-web", "ja-web", "--on", tmp_path / "published")
    assert "was made by Seimai, but its .cache/huggingface/seimai" in message and "cp -a ORIGINAL COPY" in message
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy, ignore=shutil.ignore_patterns("work"))
    state = copy / STATE_FOLDER / "state.json"
    summary = json.loads(state.read_text())
    state.write_text(json.dumps(summary | {"versions": summary["versions"] | {"measure": 1}}))
    assert "was built by another version of Seimai (step measure 1; this one:" in refused("ja-web", "ja-web", "--on", copy)
    state.write_text(json.dumps(summary | {"mixture": ["a", "b"]}))
    assert "is a mixture, whose ledger has no measures: name one of its parts (a, b)" in refused(
        "ja-web", "ja-web", "--on", copy
    )
    state.write_text(json.dumps(summary))
    ledger = copy / "ledger" / summary["ledgers"][0]
    content = ledger.read_bytes()
    for damaged in (b"", content[:-100]):
        ledger.write_bytes(damaged)
        assert "its ledger is damaged" in refused("ja-web", "ja-web", "--on", copy)
    ledger.unlink()
    assert "is gone. Build it again" in refused("ja-web", "ja-web", "--on", copy)
    state.unlink()
    assert "is not built to its end, so there is no ledger yet. Go on with: python -m pipeline.build" in refused(
        "ja-web", "ja-web", "--on", copy
    )


def test_measure_presets_that_make_no_sense(build, tmp_path):
    done = build("cc100-ja", "--out", tmp_path / "out", "--set", 'measure.presets=["hojicha"]')
    assert (
        done.returncode == 2
        and """--set measure.presets=["hojicha"]: 'hojicha': there is no such preset; did you mean 'hojichar'?""" in done.stderr
    )
    done = build("cc100-ja", "--out", tmp_path / "out", "--set", "measure.presets=hojichar")
    assert done.returncode == 2 and "--set measure.presets=hojichar: Input should be a valid list" in done.stderr
