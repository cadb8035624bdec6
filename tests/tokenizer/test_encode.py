"""Token shards lose nothing, and have the same bytes on any number of workers and after kills."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_corpus_lock
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.paths import shorten_path
from pipeline.core.vouching import write_checked
from tokenizer import encode
from tokenizer.export import export
from tokenizer.model import Tokenizer
from tokenizer.token_shards import check_tokens

LENGTH = 128
SETTINGS = ("--sequence-length", LENGTH, "--tokens-per-shard", 50_000)  # of the reference
BOS, EOS, PAD = 1, 2, 3


def digest_shards(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.parquet"))}


@pytest.fixture(scope="module")
def tokenizer(trained: Callable[..., Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    export(trained(), folder)
    return folder


@pytest.fixture(scope="module")
def run(tokenizer: Path) -> Callable[..., Result]:
    """Run the command in this process, its tasks there, too, or elsewhere."""

    def call(*arguments: object, where: tuple[object, ...] = ("--workers", 0)) -> Result:
        given = [] if "--tokenizer" in arguments else ["--tokenizer", tokenizer]
        return CliRunner().invoke(encode.main, [str(a) for a in (*arguments, *given, *where)], env={"COLUMNS": "600"})

    return call


@pytest.fixture(scope="module")
def reference(run: Callable[..., Result], corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokens") / "tokens"
    done = run(corpus, "--out", out, *SETTINGS)
    assert done.exit_code == 0, done.output
    return out


def test_what_is_added_to_a_corpus_waits_for_no_build(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    """Lock file and sums of a corpus are of one command at a time: a build that is at work keeps others out, and they it."""
    built = tmp_path / "corpus"
    (built / STATE_FOLDER).mkdir(parents=True)
    (built / "data").symlink_to(corpus / "data")
    with hold_corpus_lock(built / "tokens"):
        done = run(built, *SETTINGS)
        assert done.exit_code == 1 and f"another command is at work in {built}; wait for it" in done.stderr
        assert run(built, *SETTINGS, "--out", tmp_path / "elsewhere").exit_code == 0
    assert not (built / "tokens").exists()


def split_at_starts(shards: Path, split: str) -> list[list[int]]:
    frame = pl.read_parquet(shards / f"{split}-*.parquet")
    pieces = []
    for ids, starts in frame.iter_rows():
        pieces += [ids[a:b] for a, b in zip(starts, [*starts[1:], len(ids)])]
    return pieces


def first_documents(shards: Path, count: int) -> list[tuple[int, ...]]:
    """The first documents of the training split, cut at EOS."""
    stream = pl.read_parquet(shards / "train-*.parquet")["input_ids"].explode().to_numpy()
    return [tuple(ids) for ids in np.split(stream, np.flatnonzero(stream == EOS) + 1)[:count]]


def count_complete_documents(shards: Path, split: str, texts: pl.Series, model: Tokenizer) -> int:
    """How many documents stand complete in a shard; fails where one is there more often than in the corpus."""
    left = dict(texts.value_counts().iter_rows())
    complete = 0
    for shard in sorted(shards.glob(f"{split}-*.parquet")):
        stream = pl.read_parquet(shard)["input_ids"].explode().to_numpy()
        for document in np.split(stream, np.flatnonzero(stream == EOS) + 1)[:-1]:
            left[model.decode(document[1:-1])] -= 1
            complete += 1
    assert min(left.values()) >= 0
    return complete


def test_every_document_is_there_once_and_splits_stay_apart(reference: Path, corpus: Path, tokenizer: Path) -> None:
    description = json.loads((reference / "tokens.json").read_text())
    model = Tokenizer.load(tokenizer)
    assert description["tokenizer"] == model.fingerprint and description["vocab_size"] == 3000
    assert len([name for name in description["shards"] if name.startswith("train")]) > 2
    for split in ("train", "validation"):
        counts = description["splits"][split]
        texts = pl.read_parquet(corpus / "data" / f"{split}-*.parquet")["text"].fill_null("")
        assert counts["documents"] == len(texts) and counts["characters"] == texts.str.len_chars().sum()
        assert counts["bytes"] == texts.str.len_bytes().sum()
        ids = {text: model.processor.encode(text) for text in texts}
        assert counts["tokens"] == sum(len(ids[text]) for text in texts)
        assert counts["empty"] == (texts == "").sum() and counts["separators"] == 2 * (counts["documents"] - counts["empty"])
        frame = pl.read_parquet(reference / f"{split}-*.parquet")
        assert frame.height == counts["sequences"] and frame["input_ids"].list.len().unique().to_list() == [LENGTH]
        assert counts["tokens"] + counts["separators"] == counts["sequences"] * LENGTH + counts["left_out"]
        complete = count_complete_documents(reference, split, texts, model)
        shards = len(list(reference.glob(f"{split}-*.parquet")))
        assert counts["separators"] // 2 - complete <= counts["left_out"] + shards


def test_documents_are_shuffled_by_a_seed(reference: Path, run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    assert run(corpus, "--out", tmp_path / "t", *SETTINGS, "--shuffle", 2).exit_code == 0
    pieces, other_pieces = (sorted(map(tuple, split_at_starts(p, "train"))) for p in (reference, tmp_path / "t"))
    assert pieces != other_pieces
    documents, other_documents = (first_documents(p, 50) for p in (reference, tmp_path / "t"))
    assert documents != other_documents and len(documents) == 50


@pytest.mark.e2e
def test_the_same_bytes_on_two_workers(
    reference: Path, run: Callable[..., Result], cluster: str, corpus: Path, tmp_path: Path
) -> None:
    options = (corpus, "--out", tmp_path / "t", *SETTINGS)
    assert run(*options, where=("--scheduler", cluster)).exit_code == 0
    assert digest_shards(tmp_path / "t") == digest_shards(reference)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]


@pytest.mark.e2e
def test_the_same_bytes_after_kills(
    reference: Path, run: Callable[..., Result], corpus: Path, tokenizer: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t"
    command = [sys.executable, "-m", "tokenizer.encode", str(corpus), "--tokenizer", str(tokenizer), "--out", str(out)]
    # With a worker of its own: it finds the tasks by the name of their module, which is not that of a command.
    command += ["--sequence-length", str(LENGTH), "--tokens-per-shard", "50000", "--workers", "1"]
    deaths = 0
    for wait in ("*.tokens.npy", "shard-train-*.json"):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until and not list(tmp_path.glob(f".t-*/{wait}")):
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            deaths += 1
        process.wait()
    assert deaths
    subprocess.run(command, check=True)
    assert digest_shards(out) == digest_shards(reference)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]


def test_best_fit_pads_and_leaves_nothing_out(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "t"
    done = run(corpus, "--out", out, "--sequence-length", LENGTH, "--packing", "best-fit")
    assert done.exit_code == 0, done.output
    for split, counts in json.loads((out / "tokens.json").read_text())["splits"].items():
        assert counts["left_out"] == 0 and counts["separators"] == 2 * (counts["documents"] - counts["empty"])
        pieces = split_at_starts(out, split)
        padding = sum(len(piece) for piece in pieces if piece[0] == PAD)
        assert padding == counts["padding"] == counts["sequences"] * LENGTH - counts["tokens"] - counts["separators"]
        begins, ends = sum(piece[0] == BOS for piece in pieces), sum(piece[-1] == EOS for piece in pieces)
        assert begins == ends == counts["documents"] - counts["empty"]


def test_bos_can_be_left_out(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    """Unless it is, every document is `<s> … </s>`, as the paper's models know it."""
    for name, options, begins in (("with", (), BOS), ("without", ("--no-bos",), None)):
        assert run(corpus, "--out", tmp_path / name, "--sequence-length", LENGTH, *options).exit_code == 0
        description = json.loads((tmp_path / name / "tokens.json").read_text())
        counts = description["splits"]["train"]
        assert description["bos"] == (begins is not None)
        assert counts["separators"] == (1 + description["bos"]) * (counts["documents"] - counts["empty"])
        firsts = {document[0] for document in first_documents(tmp_path / name, 50)}
        assert firsts == {BOS} if begins else BOS not in firsts


def test_shards_are_read_by_others_and_say_what_they_are(reference: Path, tokenizer: Path) -> None:
    import datasets

    loaded = datasets.load_dataset("parquet", data_files=str(reference / "train-*.parquet"), split="train")
    assert len(loaded[0]["input_ids"]) == LENGTH and loaded[0]["document_starts"][0] == 0
    schema = pq.read_schema(next(reference.glob("train-*.parquet")))
    assert schema.field("input_ids").type.value_type == "int32"
    metadata = json.loads(schema.metadata[b"seimai.tokens"])
    assert metadata["sequence_length"] == LENGTH and metadata["tokenizer"] == Tokenizer.load(tokenizer).fingerprint


def test_what_is_done_is_not_done_again(reference: Path, run: Callable[..., Result], corpus: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in reference.iterdir()}
    done = run(corpus, "--out", reference, *SETTINGS)
    assert done.exit_code == 0 and "is up to date" in done.output
    assert f"\n{shorten_path(reference)}\n" in done.output
    assert {p.name: p.stat().st_mtime_ns for p in reference.iterdir()} == before


# -- what is refused


def read_error(done: Result, code: int = 2) -> str:
    """The output of a command that fails with a sentence."""
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def test_tokens_of_another_tokenizer_are_not_replaced_unasked(
    reference: Path, run: Callable[..., Result], corpus: Path, trained: Callable[..., Tokenizer], tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "t")
    export(trained("bpe"), tmp_path / "bpe")
    options = (corpus, "--out", tmp_path / "t", "--sequence-length", LENGTH, "--tokenizer", tmp_path / "bpe")
    assert "made with another tokenizer" in read_error(run(*options))
    assert digest_shards(tmp_path / "t") == digest_shards(reference)
    with pytest.raises(UsageError, match="made with another tokenizer"):
        check_tokens(reference, trained("bpe"))
    assert check_tokens(reference, trained())["sequence_length"] == LENGTH
    assert run(*options, "--overwrite").exit_code == 0
    assert check_tokens(tmp_path / "t", trained("bpe"))["vocab_size"] == 3000


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sequence-length", 0], "--sequence-length: Input should be greater than or equal to 2, found 0"),
        (["--sequence-length", 16_000_000], "not one sequence of 16,000,000: use a smaller --sequence-length"),
        (["--tokens-per-shard", 0], "--tokens-per-shard:"),
        (["--column", "body"], "has no column 'body'"),
        (["--tokenizer", "nowhere"], "there is no tokenizer in nowhere"),
    ],
)
def test_bad_options_are_refused(
    options: list[Any], expected: str, run: Callable[..., Result], corpus: Path, tmp_path: Path
) -> None:
    assert expected in read_error(run(corpus, "--out", tmp_path / "t", *options))
    assert not (tmp_path / "t").exists()


def test_folders_that_hold_something_else_are_refused(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert "choose another --out" in read_error(run(corpus, "--out", tmp_path / "mine"))
    (tmp_path / "text.txt").write_text("one\n")
    assert "made of Parquet files" in read_error(run(tmp_path / "text.txt", "--out", tmp_path / "t"))
    assert "does not exist" in read_error(run(tmp_path / "nowhere", "--out", tmp_path / "t"))


def test_a_damaged_shard_is_named(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "data", tmp_path / "made" / "data")
    shard = tmp_path / "made" / "data" / "train-00001-of-00002.parquet"
    content = bytearray(shard.read_bytes())
    content[200:20_000] = os.urandom(19_800)
    shard.write_bytes(content)
    assert "train-00001-of-00002.parquet cannot be read" in read_error(run(tmp_path / "made", "--out", tmp_path / "t"), 1)
    assert not (tmp_path / "t").exists()


def test_an_empty_corpus_says_so(run: Callable[..., Result], tmp_path: Path) -> None:
    pl.DataFrame({"text": pl.Series(["", ""], dtype=pl.String)}).write_parquet(tmp_path / "x.parquet")
    assert "makes 0 tokens, not one sequence" in read_error(run(tmp_path / "x.parquet", "--out", tmp_path / "t"))


@pytest.mark.parametrize(
    "description",
    [
        {}, [], {"fingerprint": 1}, {"tokenizer": 5, "fingerprint": "x", "splits": {}, "shards": []},
        {"tokenizer": "x", "fingerprint": "x", "splits": {"train": {}}, "shards": []},
        {"tokenizer": "x", "fingerprint": "x", "splits": {}, "shards": ["../../../etc/passwd"]},
    ],
)  # fmt: skip
def test_a_damaged_tokens_json_is_refused(
    description: Any, reference: Path, run: Callable[..., Result], corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "t")
    if isinstance(description, dict):
        write_checked(tmp_path / "t" / "tokens.json", description)
    else:
        (tmp_path / "t" / "tokens.json").write_text(json.dumps(description))
    assert "tokens.json is damaged" in read_error(run(corpus, "--out", tmp_path / "t", "--sequence-length", LENGTH))


def test_intermediates_of_others_are_kept(run: Callable[..., Result], corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / ".t-v2-0123456789abcdef"
    other.mkdir()
    assert run(corpus, "--out", tmp_path / "t", "--sequence-length", LENGTH).exit_code == 0
    assert other.is_dir()
