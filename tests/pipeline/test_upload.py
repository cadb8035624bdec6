"""What an upload to the Hub sends: the corpus, with a card that the Hub understands, and nothing of how or where it was built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
from click.testing import CliRunner
from filelock import FileLock
from huggingface_hub import DatasetCard
from huggingface_hub.utils import DEFAULT_IGNORE_PATTERNS, filter_repo_objects

from pipeline.core.errors import UsageError
from pipeline.core.ownership import EARLIER_STATE_FOLDER, STATE_FOLDER
from pipeline.core.publication import adopt_earlier_state
from pipeline.core.storage import sum_file_sizes
from pipeline.verify import verify
from tests.support.sharing import SharedFolders
from tests.support.texts import SMALL_PARTITIONS
from tokenizer.encode import main as encode
from tokenizer.model import Tokenizer
from tokenizer.token_shards import check_tokens
from tokenizer.train import main as train

Build = Callable[..., Any]
PUBLISHED = {"README.md", "SHA256SUMS", "croissant.json", "manifest.lock.toml", "report.html", "report.json"}


@pytest.fixture
def corpus(reference: Path, tmp_path: Path) -> Path:
    """A copy of the reference corpus, with its intermediates."""
    shutil.copytree(reference, tmp_path / "out", symlinks=True)
    return tmp_path / "out"


@pytest.fixture(scope="module")
def with_tokens(reference: Path, shared_folders: SharedFolders) -> Path:
    """The reference corpus, to which commands of their own have added a tokenizer and token shards. Nothing may write to it."""

    def fill(folder: Path) -> None:
        shutil.copytree(reference, folder / "out", symlinks=True)
        run(train, folder / "out", "--vocab-size", 700)
        run(encode, folder / "out", "--sequence-length", 64, "--workers", 0)

    return shared_folders.make("with-tokens", fill) / "out"


def run(command: Any, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def list_uploaded(folder: Path) -> list[str]:
    """Return what `upload_folder`, `upload_large_folder` and `hf upload` would send."""
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return list(filter_repo_objects(files, ignore_patterns=DEFAULT_IGNORE_PATTERNS))


def read_text(file: Path) -> str:
    """Return the content of a file as text: of Parquet the metadata and all values."""
    if file.suffix != ".parquet":
        return file.read_bytes().decode("utf-8", "replace")
    return json.dumps(pl.read_parquet(file).to_dicts(), default=str, ensure_ascii=False) + str(pl.read_parquet_schema(file))


def test_an_upload_has_the_corpus_and_neither_intermediates_nor_paths(with_tokens, mixed):
    uploaded = list_uploaded(with_tokens)
    assert {name.split("/")[0] for name in uploaded} == PUBLISHED | {"data", "ledger", "tokenizer", "tokens"}
    assert sum_file_sizes(with_tokens / STATE_FOLDER) > 0 and not any("seimai" in name for name in uploaded)
    places = {str(parent) for path in (with_tokens, mixed, Path.home(), Path.cwd()) for parent in (path, *path.parents)}
    places = {place for place in places if place.count("/") > 1 or place == str(Path.home())}
    for name in uploaded:
        content = read_text(with_tokens / name)
        assert [place for place in places if place in content] == [], name
    assert (with_tokens / ".cache" / "huggingface" / ".gitignore").read_text() == "*\n"


def test_the_hub_understands_the_card_and_datasets_the_folder(with_tokens, tmp_path):
    card = DatasetCard.load(with_tokens / "README.md")
    assert (card.data.license, card.data.get("license_name")) == ("unknown", None)  # the input is not the manifest's corpus
    assert card.data.pretty_name == "CC-100 Japanese, polished (own input)"
    assert [config["config_name"] for config in card.data.configs] == ["default", "tokens"]
    told = json.loads((with_tokens / "tokens" / "tokens.json").read_text())
    # A cache of its own: datasets takes folders of the same name and card for the same data.
    tokens = datasets.load_dataset(str(with_tokens), "tokens", split="train", cache_dir=str(tmp_path))
    assert tokens.num_rows == told["splits"]["train"]["sequences"] and "input_ids" in tokens.column_names
    text = datasets.load_dataset(str(with_tokens), split="train", cache_dir=str(tmp_path))
    assert "text" in text.column_names
    assert "## Tokenizer / トークナイザ" in card.text and "sequences of 64 tokens" in card.text
    assert verify(with_tokens)[1] == []


def test_what_is_added_to_a_card_that_somebody_edited_leaves_their_words(corpus):
    card = (corpus / "README.md").read_text("utf-8").replace("pretty_name", "pretty_name: mine\nx_name")
    (corpus / "README.md").write_text(card + "\n## My own words\n", "utf-8")
    run(train, corpus, "--vocab-size", 700)
    run(encode, corpus, "--sequence-length", 64, "--workers", 0)
    now = (corpus / "README.md").read_text("utf-8")
    assert "pretty_name: mine" in now and now.endswith("\n## My own words\n") and now.count("## Tokenizer") == 1
    assert now.index("## Tokenizer") < now.index("## Files") and not list(corpus.glob("README.kept*"))
    run(encode, corpus, "--sequence-length", 32, "--workers", 0)
    assert "sequences of 32 tokens" in (corpus / "README.md").read_text("utf-8")
    assert verify(corpus)[1] == []


def test_tokens_of_a_corpus_that_was_built_anew_are_refused_with_the_command(build, with_tokens, mixed, tmp_path):
    """The README's way: build, train, encode; another rule; then the same with a table [tokenizer]."""
    corpus = tmp_path / "out"
    shutil.copytree(with_tokens, corpus, symlinks=True)
    arguments = ("cc100-ja", "--input", mixed, "--out", corpus, "--set", SMALL_PARTITIONS)
    tokenizer = Tokenizer.load(corpus / "tokenizer")
    assert check_tokens(corpus / "tokens", tokenizer, corpus)["sequence_length"] == 64
    done = build(*arguments)
    assert "is up to date" in done.stdout and "tokenizer.encode" not in done.stdout
    done = build(*arguments, "--set", "rules.chars.at_least=165")
    command = f"python -m tokenizer.encode {corpus} --sequence-length 64"
    assert f"{command} && python -m trainers.gpt {corpus}" in done.stdout and "tokenizer.train" not in done.stdout
    with pytest.raises(UsageError, match=f"was built anew.*{command}$"):
        check_tokens(corpus / "tokens", tokenizer, corpus)
    configs = DatasetCard.load(corpus / "README.md").data.configs
    assert [config["config_name"] for config in configs] == ["default"]  # nobody loads tokens of another text
    run(encode, corpus, "--sequence-length", 64, "--workers", 0)
    check_tokens(corpus / "tokens", tokenizer, corpus)
    assert [config["config_name"] for config in DatasetCard.load(corpus / "README.md").data.configs] == ["default", "tokens"]
    settings = (
        "--set",
        "rules.chars.at_least=165",
        "--set",
        "tokenizer.vocab_size=650",
        "--set",
        "tokenizer.sequence_length=64",
    )
    done = build(*arguments, *settings)
    assert done.returncode == 0 and "tokenizer.kept" in done.stderr and "tokenizer.encode" not in done.stdout, done.stderr
    assert Tokenizer.load(corpus / "tokenizer.kept").fingerprint == tokenizer.fingerprint
    assert verify(corpus)[1] == [] and not list(corpus.glob("*.kept*/*.kept*"))


@pytest.mark.parametrize("folder", ["tokenizer", "tokens"])
def test_what_is_in_the_way_in_the_end_is_refused_in_the_beginning(build, mixed, tmp_path, folder):
    out = tmp_path / "out"
    assert build("cc100-ja", "--input", mixed, "--out", out, "--limit", 3).returncode == 0
    (out / folder).mkdir()
    (out / folder / "mine.txt").write_text("mine")
    before = sorted((out / STATE_FOLDER).rglob("*"))
    done = build("cc100-ja", "--input", mixed, "--out", out, "--limit", 4, "--set", "tokenizer.vocab_size=700")
    assert done.returncode == 2 and f"{out / folder} is not empty" in done.stderr.replace("\n", " "), done.stderr
    assert sorted((out / STATE_FOLDER).rglob("*")) == before and "measure" not in done.stdout


def test_the_state_folder_of_an_earlier_version_is_taken_over(build, corpus, mixed):
    """With all that is in it, a user's own files too; while that version is at work it stays where it is."""
    arguments = ("cc100-ja", "--input", mixed, "--out", corpus, "--set", SMALL_PARTITIONS)
    (corpus / STATE_FOLDER).rename(corpus / EARLIER_STATE_FOLDER)
    (corpus / EARLIER_STATE_FOLDER / "notes.txt").write_text("mine")
    with FileLock(corpus / EARLIER_STATE_FOLDER / "lock"):
        done = build(*arguments)
    assert done.returncode == 2 and "another process is at work in it" in done.stderr.replace("\n", " ")
    assert "is up to date" in build(*arguments).stdout
    assert (corpus / STATE_FOLDER / "notes.txt").read_text() == "mine" and not (corpus / EARLIER_STATE_FOLDER).exists()
    (corpus / EARLIER_STATE_FOLDER).mkdir()  # somebody else's
    adopt_earlier_state(corpus)
    assert (corpus / EARLIER_STATE_FOLDER).is_dir()


def test_intermediates_go_when_they_are_asked_to(build, corpus, mixed):
    arguments = ("cc100-ja", "--input", mixed, "--out", corpus, "--set", SMALL_PARTITIONS)
    work = corpus / STATE_FOLDER / "work"
    (folder,) = work.glob("measure-*")
    (folder / "notes.txt").write_text("mine")
    assert f"in {work}, for other rules and for mixtures; the same command with --clean" in build(*arguments).stdout
    done = build(*arguments, "--clean")
    assert done.returncode == 0 and "removed: another rule" in done.stdout
    assert [path for path in work.glob("*-*/**/*") if path.is_file()] == [folder / "notes.txt"]
    assert "intermediates" not in build(*arguments).stdout.replace("notes", "") or sum_file_sizes(work) < 10_000
