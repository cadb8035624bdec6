"""What the READMEs show: commands, Python and manifests, in order, and the files that they name, made of samples."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import sentencepiece
import zstandard

from tests.support.images import add_member
from tests.support.texts import make_sentences

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "manifests" / "samples"
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```|(?P<shell>(?:^    \S[^\n]*\n)+)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Lines of one kind: `sh`, `python` or `toml`, without comments."""

    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def read_blocks(document: str) -> list[Block]:
    """Return what a document shows, in order."""
    text = (ROOT / document).read_text("utf-8")
    blocks = []
    for match in _BLOCK.finditer(text):
        body = match["body"] or re.sub("^    ", "", match["shell"], flags=re.MULTILINE)
        lines = (re.sub(r"(^|\s+)#.*", "", line) for line in body.splitlines())
        blocks.append(Block(match["language"] or "sh", tuple(line for line in lines if line.strip())))
    return blocks


def name_manifest(block: Block) -> str | None:
    """Return the name of the manifest that a block of TOML is; None where it is a part of one."""
    name = tomllib.loads(block.text).get("name")
    return name if isinstance(name, str) else None


def make_inputs(folder: Path) -> None:
    """Write, below `folder`, the raw files that the README's commands name."""
    shutil.copy(SAMPLES / "cc100-ja.txt.xz", folder / "ja.txt.xz")
    shutil.copy(SAMPLES / "common-crawl-ja.warc.gz", folder / "CC-MAIN-00000.warc.gz")
    texts = [
        {"text": make_sentences(("c4", i), 8), "url": f"https://c4.example.jp/{i}", "timestamp": "2020-01-01"}
        for i in range(40)
    ]
    (folder / "c4-ja.tfrecord-00000-of-00001.json.gz").write_bytes(gzip.compress(_json_lines(texts)))
    (folder / "wikipedia").mkdir()
    articles = [{"id": str(i), "url": f"https://ja.wikipedia.org/wiki/{i}", "title": f"第{i}項", "text": make_sentences(("w", i), 9)}
                for i in range(40)]  # fmt: skip
    pl.DataFrame(articles).write_parquet(folder / "wikipedia" / "train-00000.parquet")
    (folder / "mine").mkdir()
    rows = [{"body": make_sentences(("mine", i), 7)} for i in range(20)]
    (folder / "mine" / "a.jsonl.zst").write_bytes(zstandard.compress(_json_lines(rows)))
    words = " ".join(make_sentences(("words", i), 5) for i in range(40))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words.split("。")), model_prefix=str(folder / "other"), vocab_size=1000, hard_vocab_limit=False
    )
    _make_images(folder)
    _make_recordings(folder)


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _make_images(folder: Path) -> None:
    """Write tars as img2dataset leaves them, with their Parquet sidecars."""
    (folder / "laion").mkdir()
    for suffix in ("tar", "parquet"):
        shutil.copy(SAMPLES / f"image-text-ja.{suffix}", folder / "laion" / f"00000.{suffix}")


def _make_recordings(folder: Path) -> None:
    """Write one tar with a list of transcripts, as ReazonSpeech has it, and Common Voice's clips and list."""
    reazonspeech, clips = folder / "reazonspeech", folder / "cv-corpus" / "ja" / "clips"
    reazonspeech.mkdir()
    clips.mkdir(parents=True)
    sample = {name: content for name, content in _read_tar(SAMPLES / "speech-ja.tar") if name.endswith((".json", ".flac"))}
    utterances = [name.removesuffix(".flac") for name in sample if name.endswith(".flac")]
    fields = {name: json.loads(sample[f"{name}.json"]) for name in utterances}
    with tarfile.open(reazonspeech / "000.tar", "w") as tar:
        for name in utterances:
            add_member(tar, f"000/{name}.flac", sample[f"{name}.flac"])
    lines = [f"000/{name}.flac\t{fields[name].get('text', '')}\n" for name in utterances]
    (reazonspeech / "tiny.tsv").write_text("".join(lines), "utf-8")
    rows = ["client_id\tpath\tsentence\n"]
    for name in utterances:
        (clips / f"{name}.flac").write_bytes(sample[f"{name}.flac"])
        rows.append(f"{fields[name].get('speaker', 'someone')}\t{name}.flac\t{fields[name].get('text', '')}\n")
    (clips.parent / "validated.tsv").write_text("".join(rows), "utf-8")


def _read_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name, file.read()
