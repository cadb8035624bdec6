"""Three small corpora that have documents of one another, and mixtures of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import read_ledger, read_shards
from tests.support.sharing import SharedFolders
from tests.support.texts import make_sentences

Build = Callable[..., subprocess.CompletedProcess[str]]


def edit(text: str, number: int = 0) -> str:
    """Return a near duplicate."""
    return f"{text}\nまた明日、{'駅店町道'[number % 4]}で。"


def documents_of(name: str, count: int) -> list[str]:
    return [
        make_sentences((name, i), 5 + i % 7, 35 + i % 11) for i in range(count)
    ]  # of many lengths, so that budgets can be met


@dataclass
class Parts:
    """The corpora, below `folder`, and which documents were planted in several: by the beginning of their text."""

    folder: Path
    texts: dict[str, list[str]] = field(default_factory=dict)

    def mixture(self, parts: str, more: str = "", name: str = "mix") -> Path:
        """Write the manifest of a mixture. `parts` are lines such as "alpha weight = 0.5; epochs = 2"."""
        lines = [f'name = "{name}"', 'title = "Mix"', 'license = "CC0-1.0"', more.split("[")[0]]
        for part in parts.strip().splitlines():
            corpus, _, settings = part.strip().partition(" ")
            folder = corpus if "/" in corpus else self.folder / corpus
            lines += ["[[mixture]]", f'corpus = "{folder}"', *settings.split(";")]
        lines.append(more[more.index("[") :] if "[" in more else "")
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path


def make_texts() -> dict[str, list[str]]:
    """Alpha stands alone; beta has documents of alpha, as they are and edited; most of gamma is beta's, and some is alpha's."""
    alpha, beta, gamma = documents_of("alpha", 150), documents_of("beta", 100), documents_of("gamma", 30)
    beta += [*alpha[:10], *(edit(text, i) for i, text in enumerate(alpha[10:40]))]
    gamma += [*(edit(text, i) for i, text in enumerate(beta[:50])), *alpha[10:15]]
    # A duplicate within beta, of a document that alpha has, too.
    beta.append(alpha[0].replace("。", "、"))
    return {"alpha": alpha, "beta": beta, "gamma": gamma}


@pytest.fixture(scope="session")
def parts(build: Build, shared_folders: SharedFolders) -> Parts:
    texts = make_texts()

    def fill(folder: Path) -> None:
        for name, documents in texts.items():
            raw = folder / f"{name}.txt"
            raw.write_text("\n\n".join(documents) + "\n", "utf-8")
            done = build("cc100-ja", "--input", raw, "--out", folder / name, *named(name))
            assert done.returncode == 0, done.stderr

    return Parts(shared_folders.make("mixture-parts", fill), texts)


def named(name: str, *more: str) -> list[str]:
    """Return the options of a part's build."""
    settings = (
        f"name={name}",
        f"title={name}",
        f"license=terms of {name}",
        "source.partition=20 KB",
        "shards.size=60 KB",
        *more,
    )
    return [word for setting in settings for word in ("--set", setting)]


@dataclass
class Mixed:
    """A mixture that was built."""

    out: Path
    stdout: str

    @property
    def shards(self) -> Any:
        return read_shards(self.out)

    @property
    def ledger(self) -> Any:
        return read_ledger(self.out)

    @property
    def card(self) -> str:
        return (self.out / "README.md").read_text("utf-8")


@pytest.fixture(scope="session")
def mix(build: Build, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Mixed]:
    """Build a mixture."""

    def run(manifest: Path, *options: object) -> Mixed:
        out = tmp_path_factory.mktemp("mixture") / "out"
        done = build(manifest, "--out", out, *options)
        assert done.returncode == 0, done.stderr
        return Mixed(out, done.stdout)

    return run
