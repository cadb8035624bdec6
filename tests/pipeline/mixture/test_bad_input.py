"""What cannot be mixed is refused before any work is done, with the way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tomli_w

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.manifest.loading import load, load_any
from pipeline.mixture.corpora import LedgerSlice, check_unchanged, open_corpora
from pipeline.mixture.records import Partition, collect
from tests.pipeline.mixture.conftest import Parts


@pytest.fixture
def refused(parts: Parts, build, tmp_path):
    """The message that a mixture is refused with."""

    def message(text: str, more: str = "", *options: str) -> str:
        out = tmp_path / "out"
        done = build(parts.mixture(text, more, f"refused-{tmp_path.name}"), "--out", out, *options)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr and not out.exists()
        return done.stderr.partition("\n")[2]  # the first line says what is built

    return message


@pytest.fixture
def copy(parts: Parts, tmp_path) -> Path:
    """A part that a test may damage."""
    folder = tmp_path / "alpha"
    shutil.copytree(parts.folder / "alpha", folder)
    state = json.loads((folder / STATE_FOLDER / "state.json").read_text("utf-8"))
    (folder / STATE_FOLDER / "state.json").write_text(
        json.dumps(state | {"work": str(folder / STATE_FOLDER / "work")}), "utf-8"
    )
    return folder


def test_every_part_that_is_not_built_is_named_with_its_command(refused, parts, tmp_path):
    message = refused(f"{tmp_path}/cc100-ja\nalpha\n{tmp_path}/mine")
    first, second = message.splitlines()
    assert f"there is no {tmp_path}/cc100-ja" in first
    assert f"python -m pipeline.build cc100-ja --input PATH --out {tmp_path}/cc100-ja" in first
    assert f"python -m pipeline.build MANIFEST.toml --input PATH --out {tmp_path}/mine" in second


def test_a_name_stands_for_a_folder_under_corpora(build, tmp_path):
    done = build("gpt-ja", cwd=tmp_path)
    assert done.returncode == 2 and "gpt-ja: [[mixture]] wikipedia-ja: there is no corpora/wikipedia-ja" in done.stderr
    assert "Build it first: python -m pipeline.build cc100-ja --input PATH\n" in done.stderr


def test_a_folder_that_is_no_finished_corpus(refused, copy, tmp_path):
    (tmp_path / "other").mkdir()
    assert "was not made by Seimai" in refused(f"{tmp_path}/other")
    (copy / STATE_FOLDER / "state.json").unlink()
    message = refused(str(copy))
    assert "is not built to its end. Go on with: python -m pipeline.build" in message and "--input" in message


def test_a_mixture_is_no_part(refused, mix, parts, tmp_path, build):
    mixed = mix(parts.mixture("beta", name="inner"))
    assert "is a mixture itself: name its parts instead (beta)" in refused(str(mixed.out))
    done = build(parts.mixture(f"{mixed.out}", name="itself"), "--out", mixed.out)
    assert done.returncode == 2 and "a mixture cannot contain itself" in done.stderr


def test_parts_hold_documents(refused, copy):
    manifest = load("image-text-ja").model_dump(mode="json", exclude_none=True)
    (copy / "manifest.lock.toml").write_text(tomli_w.dumps(manifest), "utf-8")
    assert "its records are image-text; a mixture is of documents" in refused(str(copy))


def test_a_part_that_kept_nothing(refused, copy):
    path = copy / STATE_FOLDER / "state.json"
    state = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(state | {"verdicts": {"dropped": [150, 1, 1]}}), "utf-8")
    assert "kept not one document: there is nothing to mix" in refused(str(copy))


def test_a_part_of_which_others_have_everything(mix, copy, parts):
    (copy / "manifest.lock.toml").write_text(
        (copy / "manifest.lock.toml").read_text("utf-8").replace('"alpha"', '"copy"', 1), "utf-8"
    )
    with pytest.raises(AssertionError, match="its weight of 0.5 cannot be met: nothing of it is left") as refused:
        mix(parts.mixture(f"alpha weight = 0.5; priority = 2\n{copy} weight = 0.5; priority = 1", name="nothing"))
    assert "All of its 150 documents are duplicates: 150 of alpha's. Drop this part, give it a higher priority" in str(
        refused.value
    )
    mixed = mix(parts.mixture(f"alpha priority = 2\n{copy} priority = 1", name="nothing"))
    assert "copy contributes nothing: other parts have all of its documents" in mixed.stdout
    assert "copy loses 150 of its 150 documents (100%) to alpha" in mixed.stdout


def test_parts_of_another_version(refused, copy):
    path = copy / STATE_FOLDER / "state.json"
    state = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(state | {"versions": state["versions"] | {"measure": 1}}), "utf-8")
    message = refused(str(copy))
    assert (
        "another version of Seimai (measure 1, " in message and f"this one: measure {state['versions']['measure']}" in message
    )
    del state["versions"]
    path.write_text(json.dumps(state), "utf-8")
    assert "without versions of its steps" in refused(str(copy))


def test_signatures_that_do_not_compare(refused):
    message = refused("alpha", "[deduplicate]\npermutations = 64\nshingle = 4")
    assert "deduplicate.permutations = 112, the mixture has 64, deduplicate.shingle = 5, the mixture has 4" in message
    assert "--set deduplicate.permutations=64 --set deduplicate.shingle=4" in message


def test_intermediates_that_are_gone(refused, copy):
    signatures = next((copy / STATE_FOLDER / "work").glob("measure-*/*.signatures.npy"))
    signatures.unlink()
    message = refused(str(copy))
    assert "some of its intermediates are gone" in message and f"mv {copy} {copy}.old; python -m pipeline.build" in message
    shutil.rmtree(copy / STATE_FOLDER / "work")
    message = refused(str(copy))
    assert "its intermediates are gone" in message and f"--out {copy}" in message
    assert f"{copy}.old/manifest.lock.toml --input " in message


def test_partitions_that_are_missing(refused, copy):
    measured = next((copy / STATE_FOLDER / "work").glob("measure-*"))
    max(measured.glob("part-*.json")).unlink()
    assert "150: some are missing" in refused(str(copy))
    next((copy / "ledger").iterdir()).unlink()
    assert ".parquet is gone" in refused(str(copy))


def test_two_of_one_name(refused, copy, parts):
    assert "are both called alpha, so that ids would stand for two documents" in refused(f"alpha\n{copy}")
    link = copy.parent / "link"
    link.symlink_to(parts.folder / "alpha")
    assert "are the same corpus: name it once" in refused(f"alpha\n{link}")


@pytest.mark.parametrize(
    "text, more, words",
    [
        ("a weight = 0.5\nb weight = 0.4", "", "weights add up to 0.5 + 0.4 = 0.9, expected 1"),
        ("a weight = 0.5\nb", "", "all parts have a weight, or none: b has none"),
        ("a weight = 0.5\nb chars = 5", "", "weights and budgets are mixed: a have a weight, b not"),
        ("a weight = 0.5; chars = 5", "", "weight and chars exclude one another"),
        ("a weight = 0", "", "mixture[1].weight: Input should be greater than 0, found 0"),
        ("a weight = 0.5\nb weight = -0.5", "", "mixture[2].weight: Input should be greater than 0, found -0.5"),
        ("a chars = 0", "", "mixture[1].chars"),
        ("a chars = 'much'", "", "found 'much'"),
        ("a\nb\na", "", "a is a part twice"),
        ("a priority = 1\nb", "", "all parts have a priority, or none: b has none"),
        ("a chars = 5\nb tokens = 5", "[tokenizer]\nvocab_size = 500", "some budgets are in tokens, some in chars"),
        ("a tokens = 5", "", "tokens are counted by a tokenizer: add a table [tokenizer]"),
        ("a epochs = 2", "", "epochs = 2 has nothing to reach"),
        ("a", "chars = 5", "chars = 5 is the size of the whole, for parts with weights"),
        ("a weight = 1", "chars = 5\ntokens = 6", "tokens and chars exclude one another"),
        ("a wieght = 1", "", "mixture[1].wieght: there is no such key; did you mean 'weight'?"),
        ("a", "[tokenizer]\npath = 'x'\nvocab_size = 500", "path names a tokenizer that is trained already: leave out vocab_size"),
        ("a", "[rules]\nchars = { at_least = 5 }", "rules: there is no such key"),
        ("a", "[deduplicate]\ntreshold = 0.5", "did you mean 'threshold'?"),
    ],
)  # fmt: skip
def test_manifests_that_make_no_sense(parts, text, more, words):
    manifest = parts.mixture("\n".join(f"./{line}" for line in text.splitlines()), more, "senseless")
    with pytest.raises(UsageError) as caught:
        load_any(str(manifest))
    assert words in str(caught.value).replace(f"{parts.folder}/", "").replace("./", ""), caught.value


def test_a_corpus_is_not_replaced_by_a_mixture(build, parts, copy):
    done = build(parts.mixture("beta", name="over"), "--out", copy)
    assert done.returncode == 2 and "holds a corpus that is no mixture" in done.stderr


def test_options_for_the_builds_of_the_parts(refused):
    message = refused("alpha", "", "--input", __file__, "--limit", "5", "--keep-going")
    assert "is a mixture of built corpora: --input, --limit, --keep-going is for the builds of its parts" in message


def test_tokenizers_that_cannot_be_used(refused, tmp_path):
    assert "there is no tokenizer in" in refused("alpha", f"[tokenizer]\npath = '{tmp_path}/none'")
    (tmp_path / "damaged.model").write_bytes(b"no model")
    assert "is not a SentencePiece model" in refused("alpha", f"[tokenizer]\npath = '{tmp_path}/damaged.model'")


def test_a_vocabulary_that_the_text_of_the_parts_does_not_support(build, parts, tmp_path):
    manifest = parts.mixture("alpha weight = 0.01\ngamma weight = 0.99", "[tokenizer]\nvocab_size = 20_000", "large")
    done = build(manifest, "--out", tmp_path / "out")
    assert done.returncode == 2 and "vocab_size = 20,000 is more than this text supports" in done.stderr
    assert "By their weights the parts give " in done.stderr and "named with tokenizer.path" in done.stderr


def test_a_part_that_was_built_anew_meanwhile(parts, copy):
    corpora = open_corpora(load_any(str(parts.mixture(f"{copy}\nbeta", name="anew"))), parts.folder / "anew")
    assert check_unchanged(corpora) == []
    (copy / STATE_FOLDER / "state.json").write_text("{}")
    assert check_unchanged(corpora) == ["alpha"]
    alpha, beta = corpora
    ledger = (LedgerSlice(beta.ledgers[0][0], 1, alpha.rows[0]),)
    with pytest.raises(BuildError, match="are not about the same records"):
        collect(Partition(0, 0, alpha.parts[0], alpha.rows[0], ledger), 0, copy)
    with pytest.raises(BuildError, match="the ledger"):
        collect(Partition(0, 0, alpha.parts[0], alpha.rows[0], (LedgerSlice(beta.ledgers[0][0], 0, 3),)), 0, copy)
