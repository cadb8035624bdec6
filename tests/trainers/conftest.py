"""A small corpus with tokenizer and token shards, and trainers that run in this process or several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from pipeline.core.inline import InlineEngine
from tests.support import run_trainers
from tests.support.texts import make_sentences
from tokenizer.encoding import TokenShardBuild
from tokenizer.export import export
from tokenizer.fitting import fit
from tokenizer.model import Tokenizer, finish_model
from tokenizer.settings import Encoding, Training
from tokenizer.train import main as train_tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums on one thread are those of other processes with OMP_NUM_THREADS=1."""
    torch.set_num_threads(1)


Pairs = list[tuple[bytes | None, str | None]]  # image files and captions


def write_pairs(folder: Path, split: str, records: Pairs, group: int = 25) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    images = pa.array(
        [{"bytes": b, "path": None} for b, _ in records], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    table = pa.table({"image": images, "caption": pa.array([caption for _, caption in records], pa.string())})
    pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=group)


@pytest.fixture(scope="session")
def shards() -> Callable[..., None]:
    return write_pairs


@pytest.fixture(scope="session")
def pairs_corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[int, int], Pairs], int], Path]:
    """120 pairs of which two cannot be used, 24 to validate on, and a tokenizer: of `pairs(number, seed)`, and its pieces."""

    def make_corpus(pairs: Callable[[int, int], Pairs], pieces: int) -> Path:
        folder, train = tmp_path_factory.mktemp("corpus"), pairs(120, 1)
        train[7], train[50] = (b"no image", "壊れた絵"), (train[50][0], None)
        write_pairs(folder, "train", train)
        write_pairs(folder, "validation", pairs(24, 2))
        found = CliRunner().invoke(train_tokenizer, [str(folder), "--vocab-size", str(pieces)])
        assert found.exit_code == 0, found.output
        return folder

    return make_corpus


@pytest.fixture(scope="session")
def tokenised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of made sentences with `tokenizer` and `tokens`: sequences of 32."""
    folder = tmp_path_factory.mktemp("tokenised") / "corpus"
    (folder / "data").mkdir(parents=True)
    texts = [make_sentences(i, 2 + i % 3, 12 + i % 17) for i in range(300)]
    for split, rows in (("train", texts[:260]), ("validation", texts[260:])):
        pl.DataFrame({"text": rows}).write_parquet(folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=64)
    lines = folder / "lines"
    lines.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    export(Tokenizer(finish_model(fit(Training(vocab_size=640, model="bpe"), lines).content)), folder / "tokenizer")
    TokenShardBuild(folder, folder / "tokenizer", Encoding(sequence_length=32)).run(InlineEngine(folder, Console(quiet=True)))
    return folder


def losses(out: Path) -> dict[int, float]:
    """Training loss by step."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    found = [(line["step"], line["loss"]) for line in lines if line["split"] == "train"]
    assert len(dict(found)) == len(found), "a step was logged twice"
    return dict(found)


@pytest.fixture(scope="session")
def losses_of() -> Callable[[Path], dict[int, float]]:
    return losses


@pytest.fixture(scope="session")
def train() -> Callable[..., int]:
    """Run trainers in this process: (trainer, arguments, when to stop or where to note records) -> exit code."""

    def run(trainer: str, *arguments: object, **more: Any) -> int:
        return int(run_trainers.run({"trainer": trainer, "arguments": [str(a) for a in arguments]} | more))

    return run


@pytest.fixture(scope="session")
def on_ranks() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script, or a module after "-m", on so many ranks, each a process of its own."""

    def run(count: int, *command: object, timeout: float = 150) -> subprocess.CompletedProcess[str]:
        launch = [sys.executable]
        if count > 1:
            launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        process = subprocess.Popen(
            [*launch, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            said, errors = process.communicate(timeout=timeout)
        except BaseException:  # ranks that wait for one another would go on for half an hour
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)

    return run


@pytest.fixture(scope="session")
def train_on_ranks(on_ranks: Callable[..., Any]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`train`, several commands one after the other, on so many ranks."""

    def run(count: int, commands: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        return on_ranks(count, run_trainers.__file__, json.dumps(commands, default=str))

    return run


SMALL_GPT = [
    "--config", "tiny", "--set", "model.n_embd=32", "--set", "model.n_layer=1", "--set", "model.n_head=2", "--set", "train.steps=30",
    "--set", "train.batch=4", "--set", "train.evaluate_every=15", "--set", "train.save_every=15", "--set", "train.warmup=5",
]  # fmt: skip


@pytest.fixture(scope="session")
def small_gpt() -> list[str]:
    """Options of a GPT that learns something in 30 steps."""
    return SMALL_GPT


@pytest.fixture(scope="session")
def gpt_run(tokenised: Path, train: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of the small GPT."""
    out = tmp_path_factory.mktemp("gpt") / "run"
    assert train("gpt", tokenised, "--out", out, *SMALL_GPT) == 0
    return out


@pytest.fixture
def refused(train: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a GPT that must be refused; return what is said."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert train("gpt", *arguments) in (1, 2)
        return capsys.readouterr().err

    return run
