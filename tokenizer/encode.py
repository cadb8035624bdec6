"""`python -m tokenizer.encode CORPUS`: documents to token ids to sequences of one length, in Parquet.

Two rounds of tasks. *encode* turns some row groups of a shard each to ids, in an order of documents that a seed decides, and leaves
them in a file. *pack* makes one shard of tokens each: every shard has a range of the order's keys, which is one slice of every file.
So documents are shuffled over the whole split with sequential reads alone, memory is bounded by the size of a shard, and the
outcome depends on input and settings only.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from filters.kernels import buffers
from pipeline.core.command import report_errors
from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.shards import name_shard
from pipeline.core.storage import find_leftovers, fingerprint, read_json, remove_temporaries, write_atomically, write_json
from tokenizer.model import Tokenizer
from tokenizer.packing import gathered, keys, pack, reordered
from tokenizer.settings import Encoding, checked
from tokenizer.texts import Texts, row_groups, strings

if TYPE_CHECKING:
    from pipeline.core.engine import Engine

VERSION = 1  # to be raised when token shards change for the same input
TOLD = "tokens.json"  # what a folder of token shards is made of
METADATA = b"seimai.tokens"  # the same, in short, in every shard's schema
_PART = 32_000_000  # bytes of text per task
_ROW_GROUP = 1 << 21  # tokens
_INDEX = np.dtype([("key", np.uint64), ("length", np.int64)])


@dataclass(frozen=True)
class Part:
    """Some row groups of a shard of text."""

    number: int  # in its split
    split: str
    file: str
    first: int
    last: int  # exclusive
    document: int  # number, in the split, of the first
    bytes: int

    def tokens(self, folder: Path) -> Path:
        """Ids of its documents, in the order of their keys."""
        return folder / f"{self.split}-{self.number:05d}.tokens.npy"

    def index(self, folder: Path) -> Path:
        """Key and length of every document, in the same order."""
        return folder / f"{self.split}-{self.number:05d}.index.npy"

    def done(self, folder: Path) -> Path:
        return folder / f"{self.split}-{self.number:05d}.json"


@dataclass(frozen=True)
class Job:
    """What tasks have to know."""

    tokenizer: str  # folder or file
    sha256: str
    column: str
    settings: Encoding
    folder: Path  # of intermediates; the new shards are below it until they are whole
    bos: int
    eos: int
    pad: int

    @property
    def data(self) -> Path:
        return self.folder / "out"


@lru_cache(maxsize=2)
def _loaded(path: str, sha256: str) -> Tokenizer:
    tokenizer = Tokenizer.load(path)
    if tokenizer.fingerprint != sha256:
        raise BuildError(f"the tokenizer in {path} was replaced while text was encoded; run the same command again")
    return tokenizer


# -- the two tasks


def encode_part(job: Job, part: Part) -> dict[str, Any]:
    """Encode the documents of one part; returns counts."""
    if (known := read_json(part.done(job.folder))) is not None:
        return known
    tokenizer = _loaded(job.tokenizer, job.sha256)
    try:
        with pq.ParquetFile(part.file) as file:
            if job.column not in file.schema_arrow.names:
                raise UsageError(f"{part.file} has no column {job.column!r}, which the files before it have")
            table = file.read_row_groups(range(part.first, part.last), columns=[job.column])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{part.file} cannot be read: {error}") from None
    texts = strings(table.column(0), Path(part.file), job.column).fill_null("")
    data, offsets = buffers(texts)
    ids, ends = tokenizer.encode(data, offsets)
    order_keys = keys(part.document, len(texts), job.settings.shuffle)
    order = np.argsort(order_keys)
    order = order[np.diff(ends)[order] > 0]  # a document without a token is no document to a model
    separators = 1 + job.settings.bos
    kind = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    out = np.empty(len(ids) + separators * len(order), kind)
    index = np.empty(len(order), _INDEX)
    index["key"] = order_keys[order]
    index["length"] = gathered(ids, ends, order, job.bos if job.settings.bos else -1, job.eos, out)
    for path, values in ((part.tokens(job.folder), out), (part.index(job.folder), index)):
        with write_atomically(path) as temporary, open(temporary, "wb") as into:
            np.save(into, values)
    counts = {
        "documents": len(texts),
        "empty": len(texts) - len(order),
        "characters": int(texts.str.len_chars().sum()),
        "bytes": int(offsets[-1] - offsets[0]),
        "tokens": len(ids),
        "separators": separators * len(order),
    }
    write_json(part.done(job.folder), counts)
    return counts


def _slices(job: Job, parts: list[Part], shard: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Index and ids of the documents that belong to a shard, of every part."""
    low, high = (-(-(k << 64) // count) for k in (shard, shard + 1))
    for part in parts:
        index = np.load(part.index(job.folder), mmap_mode="r")
        first = int(np.searchsorted(index["key"], np.uint64(low)))
        last = int(np.searchsorted(index["key"], np.uint64(high))) if high < 1 << 64 else len(index)
        if first < last:
            begin = int(index["length"][:first].sum())
            here = np.array(index[first:last])
            ids = np.load(part.tokens(job.folder), mmap_mode="r")
            yield here, ids[begin : begin + int(here["length"].sum())]


def pack_shard(job: Job, split: str, parts: list[Part], shard: int, count: int) -> dict[str, Any]:
    """Write one shard of tokens; returns counts."""
    done = job.folder / f"shard-{split}-{shard:05d}.json"
    if (known := read_json(done)) is not None:
        return known
    slices = list(_slices(job, parts, shard, count))
    ids = np.concatenate([np.zeros(0, np.uint16), *(tokens for _, tokens in slices)])
    index = np.concatenate([np.zeros(0, _INDEX), *(piece for piece, _ in slices)])
    del slices
    order = np.argsort(index["key"])
    lengths = np.ascontiguousarray(index["length"])
    shuffled = np.empty_like(ids)
    reordered(ids, np.cumsum(lengths) - lengths, lengths, order, shuffled)
    settings = job.settings
    packed = pack(shuffled, lengths[order], settings.sequence_length, settings.packing, job.pad, settings.shuffle)
    if len(packed.input_ids):
        _write(job, job.data / name_shard(split, shard, count), packed.input_ids, packed.starts, packed.start_offsets)
    counts = {
        "sequences": len(packed.input_ids), "tokens": packed.tokens, "left_out": packed.left_out, "padding": packed.padding,
    }  # fmt: skip
    write_json(done, counts)
    return counts


def _write(job: Job, path: Path, input_ids: np.ndarray, starts: np.ndarray, start_offsets: np.ndarray) -> None:
    length = input_ids.shape[1]
    metadata = {
        "sequence_length": length, "tokenizer": job.sha256, "packing": job.settings.packing, "bos": job.bos, "eos": job.eos,
        "pad": job.pad,
    }  # fmt: skip
    fields = [pa.field(name, pa.list_(pa.int32()), nullable=False) for name in ("input_ids", "document_starts")]
    schema = pa.schema(fields, {METADATA: json.dumps(metadata).encode()})
    rows = max(1, _ROW_GROUP // length)
    with (
        write_atomically(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
        ) as writer,
    ):
        for at in range(0, len(input_ids), rows):
            here = input_ids[at : at + rows]
            ids = pa.ListArray.from_arrays(np.arange(len(here) + 1, dtype=np.int32) * length, here.reshape(-1))
            offsets = start_offsets[at : at + len(here) + 1]
            begins = pa.ListArray.from_arrays(offsets - offsets[0], starts[offsets[0] : offsets[-1]])
            writer.write_table(pa.Table.from_arrays([ids, begins], schema=schema), row_group_size=rows)


# -- the whole


def parts_of(texts: Texts, split: str) -> list[Part]:
    """Cut the row groups of a split's shards into parts of about 32 MB of text: the same on any machine."""
    found: list[Part] = []
    document = 0
    for file in texts.files:
        groups = row_groups(file, str(texts.column))
        first, size, rows = 0, 0, 0
        for number, (count, amount) in enumerate(groups):
            size, rows = size + amount, rows + count
            if size >= _PART or number == len(groups) - 1:
                found.append(Part(len(found), split, str(file.absolute()), first, number + 1, document, size))
                document, first, size, rows = document + rows, number + 1, 0, 0
    return found


def splits_of(corpus: Path, column: str | None) -> dict[str, Texts]:
    """The texts of a corpus by split: by the names of its shards, or all of it as `train`. Raises UsageError where there are none."""
    found = Texts.find(corpus, None, column)
    if found.files[0].suffix != ".parquet":
        raise UsageError(f"{corpus}: token shards are made of Parquet files, such as the shards of a corpus that Seimai built")
    names = sorted({file.name.split("-")[0] for file in found.files})
    if not all(name in ("train", "validation", "test") for name in names):
        return {"train": found}
    return {name: Texts(tuple(f for f in found.files if f.name.startswith(f"{name}-")), found.column) for name in names}


def identity(corpus: Path, splits: dict[str, Texts]) -> list[Any]:
    """What changes when the text does: the fingerprint of the build where Seimai made the corpus, else sizes and times of files."""
    state = read_json(corpus / ".seimai" / "state.json") if corpus.is_dir() else None
    if isinstance(state, dict) and "written" in state:
        return [state["written"]]
    return [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for texts in splits.values() for f in texts.files]


def check_tokens(tokens: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """What a folder of token shards is made of. Raises UsageError where it is none, or was made with another tokenizer."""
    told = _told(tokens)
    if told is None:
        if (tokens / TOLD).exists():
            raise UsageError(
                f"{tokens / TOLD} is damaged: make the shards anew with python -m tokenizer.encode CORPUS --overwrite"
            )
        raise UsageError(f"{tokens} has no token shards: make some with python -m tokenizer.encode CORPUS")
    if told["tokenizer"] != tokenizer.fingerprint:
        raise UsageError(
            f"the token shards in {tokens} were made with another tokenizer ({told['tokenizer'][:12]}, not {tokenizer.fingerprint[:12]}): "
            "make them anew with python -m tokenizer.encode CORPUS --overwrite"
        )
    return told


_COUNTS = ("documents", "empty", "characters", "bytes", "tokens", "separators", "sequences", "left_out", "padding")


def _told(folder: Path) -> dict[str, Any] | None:
    """What `tokens.json` tells, where there is a sound one."""
    told = read_json(folder / TOLD)
    try:
        sound = (
            all(isinstance(told[key], str) for key in ("fingerprint", "tokenizer"))
            and all(isinstance(counts[name], int) for counts in told["splits"].values() for name in _COUNTS)
            and all(isinstance(name, str) and Path(name).name == name for name in told["shards"])
        )
    except (TypeError, KeyError, AttributeError):
        return None
    return told if sound else None


class Encode:
    """One run: a corpus, a tokenizer, a folder for token shards."""

    def __init__(
        self, corpus: Path, tokenizer: Path, settings: Encoding, out: Path | None = None, column: str | None = None
    ) -> None:
        self.corpus, self.settings, self.out = corpus, settings, (out or corpus / "tokens").resolve()
        self.tokenizer = Tokenizer.load(tokenizer)
        self.splits = splits_of(corpus, column)
        roles = {role: self.tokenizer.id_of(role) for role in ("bos", "eos", "pad")}
        if roles["eos"] is None or (settings.bos and roles["bos"] is None):
            raise UsageError(f"the tokenizer in {tokenizer} has no {'EOS' if roles['eos'] is None else 'BOS'} token")
        if settings.packing == "best-fit" and roles["pad"] is None:
            raise UsageError(f"the tokenizer in {tokenizer} has no PAD token, which packing best-fit needs; use concatenate")
        self.fingerprint = fingerprint(
            VERSION, self.tokenizer.fingerprint, settings.model_dump(include=set(Encoding.model_fields)), identity(corpus, self.splits),
            [texts.column for texts in self.splits.values()],
        )  # fmt: skip
        self.folder = self.out.parent / f".{self.out.name}-{self.fingerprint}"
        ids = {role: -1 if value is None else value for role, value in roles.items()}
        column_ = str(next(iter(self.splits.values())).column)
        self.job = Job(
            str(tokenizer.absolute()), self.tokenizer.fingerprint, column_,
            Encoding(**settings.model_dump(include=set(Encoding.model_fields))), self.folder, **ids,
        )  # fmt: skip

    def up_to_date(self) -> dict[str, Any] | None:
        """Counts of the token shards that are there, where they are these."""
        told = _told(self.out)
        if told is None or told["fingerprint"] != self.fingerprint:
            return None
        return told if all((self.out / name).is_file() for name in told["shards"]) else None

    def check_out(self, overwrite: bool) -> None:
        """Raise UsageError where the output folder holds something else."""
        if self.out.is_dir() and any(self.out.iterdir()):
            if not (self.out / TOLD).is_file():
                raise UsageError(f"{self.out} is not empty and holds no token shards; choose another --out")
            if not overwrite:
                check_tokens(self.out, self.tokenizer)
        elif self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out} is a file, not a folder")

    def run(self, engine: Engine) -> dict[str, Any]:
        """Do what is not done yet, and put the shards in place; returns what `tokens.json` tells."""
        self.job.data.mkdir(parents=True, exist_ok=True)
        remove_temporaries(self.folder)
        parts = {split: parts_of(texts, split) for split, texts in self.splits.items()}
        encoded = self._encode(engine, [part for some in parts.values() for part in some])
        told: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "tokenizer": self.tokenizer.fingerprint,
            "vocab_size": len(self.tokenizer),
            **self.job.settings.model_dump(),
            "ids": {"bos": self.job.bos, "eos": self.job.eos, "pad": self.job.pad},
            "splits": {},
        }
        for split, some in parts.items():
            told["splits"][split] = self._pack(engine, split, some, _summed([encoded[part] for part in some]))
        told["shards"] = sorted(path.name for path in self.job.data.glob("*.parquet"))
        if not told["splits"].get("train", {"sequences": 1})["sequences"]:
            n = told["splits"]["train"]["tokens"]
            shutil.rmtree(self.folder, ignore_errors=True)
            raise UsageError(
                f"the whole of {self.corpus} makes {n:,} tokens, not one sequence of {self.settings.sequence_length:,}: "
                "use a smaller --sequence-length, or --packing best-fit"
            )
        self._publish(told)
        return told

    def _encode(self, engine: Engine, parts: list[Part]) -> dict[Part, dict[str, Any]]:
        step = engine.step("encode", total=float(sum(part.bytes for part in parts)))
        found: dict[Part, dict[str, Any]] = {}
        for number, counts in engine.run("encoding", [(encode_part, (self.job, part)) for part in parts]):
            found[parts[number]] = counts
            step.advance(parts[number].bytes, counts["documents"])
        step.finish()
        return found

    def _pack(self, engine: Engine, split: str, parts: list[Part], encoded: dict[str, int]) -> dict[str, int]:
        total, size = (
            encoded["tokens"] + encoded["separators"],
            max(self.settings.tokens_per_shard, self.settings.sequence_length),
        )
        count = max(1, total // size)
        step = engine.step("pack" if split == "train" else f"pack {split[:7]}", total=float(4 * total))
        tasks = [(pack_shard, (self.job, split, parts, shard, count)) for shard in range(count)]
        results: list[dict[str, int]] = []
        for _, counts in engine.run("packing", tasks):
            results.append(counts)
            step.advance(4.0 * (counts["tokens"] + counts["left_out"]), counts["sequences"])
        step.finish()
        packed = _summed(results)
        if packed["tokens"] + packed["left_out"] != total:
            raise BuildError(
                f"tokens were lost: {total:,} came in, {packed['tokens']:,} are in sequences and {packed['left_out']:,} were left out. "
                "This is a fault of Seimai; please report it"
            )
        return encoded | {name: packed[name] for name in ("sequences", "left_out", "padding")}

    def _publish(self, told: dict[str, Any]) -> None:
        write_json(self.job.data / TOLD, told)
        old = self.folder / "old"
        shutil.rmtree(old, ignore_errors=True)
        if self.out.exists():
            self.out.rename(old)
        self.job.data.rename(self.out)
        for left in find_leftovers(self.out, "[0-9a-f]{16}"):
            shutil.rmtree(left, ignore_errors=True)


def _summed(counts: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(c[name] for c in counts) for name in counts[0]} if counts else {}


def encoded_table(told: dict[str, Any]) -> Table:
    """Tokens in and out by split, for the terminal."""
    table = Table(box=None, pad_edge=False)
    table.add_column("split")
    names = ("documents", "tokens", "separators", "sequences", "left_out", "padding")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for split, counts in told["splits"].items():
        table.add_row(split, *(f"{counts[name]:,}" for name in names))
    return table


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--tokenizer", type=click.Path(path_type=Path), help="Folder or .model file.  [default: CORPUS/tokenizer]")
@click.option("--sequence-length", type=int, default=2048, show_default=True, metavar="N", help="Tokens per sequence.")
@click.option(
    "--packing", type=click.Choice(["concatenate", "best-fit"]), default="concatenate", show_default=True,
    help="Cut the stream of documents anywhere, or keep documents whole where they fit and pad.",
)  # fmt: skip
@click.option("--bos", is_flag=True, help="Put BOS before every document; EOS always ends it.")
@click.option("--shuffle", type=int, default=1, show_default=True, metavar="SEED", help="Decides the order of documents.")
@click.option("--tokens-per-shard", type=int, default=1 << 24, show_default=True, metavar="N", help="About so many.")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the token shards.  [default: CORPUS/tokens]")
@click.option("--overwrite", is_flag=True, help="Replace token shards that were made with another tokenizer.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: one per core]")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Address of a running Dask scheduler, over shared storage.")
def main(
    corpus: Path,
    tokenizer: Path | None,
    column: str | None,
    out: Path | None,
    overwrite: bool,
    workers: int | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Encode the documents of CORPUS, a folder that Seimai built (or of Parquet files), and pack them into sequences.

    Killed, the same command goes on from there. The same input gives the same bytes on any number of workers.
    """
    console = Console()
    with report_errors("encoding", "--out"):
        if scheduler and workers:
            raise UsageError("--workers is for the local cluster; a scheduler has the workers that were started for it")
        settings = checked(Encoding, options)
        job = Encode(corpus, tokenizer or corpus / "tokenizer", settings, out, column)
        told = job.up_to_date()
        if told is None:
            job.check_out(overwrite)
            told = run_alone(job, workers, scheduler, console)
        else:
            console.print(f"{job.out} is up to date: nothing to do", highlight=False, markup=False)
        console.print()
        console.print(encoded_table(told))
        console.print(f"\n{job.out}", style="bold", highlight=False, markup=False)
        look = f"import polars as pl; print(pl.scan_parquet('{job.out}/train-*.parquet').head().collect())"
        console.print(f'  python -c "{look}"', highlight=False, markup=False, soft_wrap=True)


def run_alone(job: Encode, workers: int | None, scheduler: str | None, console: Console) -> dict[str, Any]:
    """Run on an engine of its own. Raises BuildError where another process is at work on the same folder."""
    from pipeline.core.engine import Engine

    job.folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(job.out), Engine(workers, scheduler, job.folder / "dask", console) as engine:
        return job.run(engine)


if __name__ == "__main__":
    main()
