"""Token shards: documents, encoded and packed into sequences of one length, in Parquet.

There are two rounds of tasks. An *encode* task turns some row groups of a shard into ids, orders the documents by keys that a seed
decides, and writes one file. A *pack* task writes one shard of tokens: it takes a range of the keys, which is one slice of every file.
So documents are shuffled over all of the split, yet files are read in sequence. Memory is bounded by the size of a shard. The output
depends on input and settings alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.kernels import buffers
from pipeline.core.added import replace_added
from pipeline.core.checksums import describe_staged, sizes_differ
from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.identity import identify_shards
from pipeline.core.libraries import find_versions
from pipeline.core.ownership import (
    NamedPath,
    mark_scratch,
    place_scratch,
    refuse_overlap,
    remove_scratch,
    remove_scratch_leftovers,
)
from pipeline.core.publication import folder_publication
from pipeline.core.shards import name_shard
from pipeline.core.storage import fingerprint, remove_temporaries, write_array, write_atomically
from pipeline.core.tables import open_parquet
from pipeline.core.tasks import resumable
from pipeline.core.vouching import write_checked
from tokenizer.model import Tokenizer
from tokenizer.packing import join_documents, order_keys, pack, reorder_documents
from tokenizer.settings import Encoding
from tokenizer.texts import Texts, check_column, read_row_groups, to_strings
from tokenizer.token_shards import (
    TOKENS_FILE,
    EncodedCounts,
    PackedCounts,
    check_tokens,
    read_description,
    refuse_foreign_folder,
)

VERSION = 3  # raise it when token shards change for the same input
LIBRARIES = ("llvmlite", "numba", "numpy", "pyarrow", "sentencepiece")  # that token shards depend on
SCHEMA_KEY = b"seimai.tokens"  # key of the description in every shard's schema
_RANGE_BYTES = 32_000_000  # of text per task
_ROW_GROUP_TOKENS = 1 << 21
_INDEX_TYPE = np.dtype([("key", np.uint64), ("length", np.int64)])


Counts = TypeVar("Counts", EncodedCounts, PackedCounts)


@dataclass(frozen=True)
class RowGroupRange:
    """Some row groups of a shard of text."""

    number: int  # in its split
    split: str
    file: str
    first: int
    last: int  # exclusive
    document: int  # number, in the split, of the first
    bytes: int

    def tokens_path(self, folder: Path) -> Path:
        """Where the ids of its documents are, in the order of their keys."""
        return folder / f"{self.split}-{self.number:05d}.tokens.npy"

    def index_path(self, folder: Path) -> Path:
        """Where key and length of every document are, in the same order."""
        return folder / f"{self.split}-{self.number:05d}.index.npy"

    def marker_path(self, folder: Path) -> Path:
        """Where its counts are, once it is encoded."""
        return folder / f"{self.split}-{self.number:05d}.json"


@dataclass(frozen=True)
class EncodingContext:
    """What every task needs."""

    tokenizer: str  # folder or file
    sha256: str
    column: str
    settings: Encoding
    folder: Path  # of intermediates; the new shards are below it until they are complete
    bos: int
    eos: int
    pad: int

    @property
    def shards(self) -> Path:
        return self.folder / "out"


@lru_cache(maxsize=2)
def _load_tokenizer(path: str, sha256: str) -> Tokenizer:
    tokenizer = Tokenizer.load(path)
    if tokenizer.fingerprint != sha256:
        raise BuildError(f"the tokenizer in {path} was replaced while text was encoded; run the same command again")
    return tokenizer


# -- the two tasks


def encode_range(context: EncodingContext, part: RowGroupRange) -> EncodedCounts:
    """Encode the documents of one range, unless it is done."""
    return EncodedCounts(**_encode_range(context, part))


@resumable(lambda context, part: part.marker_path(context.folder))
def _encode_range(context: EncodingContext, part: RowGroupRange) -> dict[str, int]:
    tokenizer = _load_tokenizer(context.tokenizer, context.sha256)
    try:
        with open_parquet(part.file) as file:
            if context.column not in file.schema_arrow.names:
                raise UsageError(f"{part.file} has no column {context.column!r}, which the files before it have")
            table = file.read_row_groups(range(part.first, part.last), columns=[context.column])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{part.file} cannot be read: {error}") from None
    texts = to_strings(table.column(0), Path(part.file), context.column).fill_null("")
    data, offsets = buffers(texts)
    ids, ends = tokenizer.encode(data, offsets)
    document_keys = order_keys(part.document, len(texts), context.settings.shuffle)
    order = np.argsort(document_keys)
    order = order[np.diff(ends)[order] > 0]  # a document without a token is no document to a model
    separators = 1 + context.settings.bos
    id_type = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    out = np.empty(len(ids) + separators * len(order), id_type)
    index = np.empty(len(order), _INDEX_TYPE)
    index["key"] = document_keys[order]
    index["length"] = join_documents(ids, ends, order, context.bos if context.settings.bos else -1, context.eos, out)
    for path, values in ((part.tokens_path(context.folder), out), (part.index_path(context.folder), index)):
        write_array(path, values)
    counts = EncodedCounts(
        documents=len(texts),
        empty=len(texts) - len(order),
        characters=int(texts.str.len_chars().sum()),
        bytes=int(offsets[-1] - offsets[0]),
        tokens=len(ids),
        separators=separators * len(order),
    )
    return asdict(counts)


def _read_slices(
    context: EncodingContext, parts: list[RowGroupRange], shard: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield index and ids of the documents that belong to a shard, of every range."""
    low, high = (-(-(k << 64) // count) for k in (shard, shard + 1))
    for part in parts:
        index = np.load(part.index_path(context.folder), mmap_mode="r")
        first = int(np.searchsorted(index["key"], np.uint64(low)))
        last = int(np.searchsorted(index["key"], np.uint64(high))) if high < 1 << 64 else len(index)
        if first < last:
            begin = int(index["length"][:first].sum())
            entries = np.array(index[first:last])
            ids = np.load(part.tokens_path(context.folder), mmap_mode="r")
            yield entries, ids[begin : begin + int(entries["length"].sum())]


def pack_shard(context: EncodingContext, split: str, parts: list[RowGroupRange], shard: int, count: int) -> PackedCounts:
    """Write one shard of tokens, unless it is done."""
    return PackedCounts(**_pack_shard(context, split, parts, shard, count))


def _shard_marker(context: EncodingContext, split: str, shard: int) -> Path:
    return context.folder / f"shard-{split}-{shard:05d}.json"


@resumable(lambda context, split, parts, shard, count: _shard_marker(context, split, shard))
def _pack_shard(context: EncodingContext, split: str, parts: list[RowGroupRange], shard: int, count: int) -> dict[str, int]:
    slices = list(_read_slices(context, parts, shard, count))
    ids = np.concatenate([np.zeros(0, np.uint16), *(tokens for _, tokens in slices)])
    index = np.concatenate([np.zeros(0, _INDEX_TYPE), *(piece for piece, _ in slices)])
    del slices
    order = np.argsort(index["key"])
    lengths = np.ascontiguousarray(index["length"])
    shuffled = np.empty_like(ids)
    reorder_documents(ids, np.cumsum(lengths) - lengths, lengths, order, shuffled)
    settings = context.settings
    packed = pack(shuffled, lengths[order], settings.sequence_length, settings.packing, context.pad, settings.shuffle)
    if len(packed.input_ids):
        _write_shard(
            context, context.shards / name_shard(split, shard, count), packed.input_ids, packed.starts, packed.start_offsets
        )
    return asdict(PackedCounts(len(packed.input_ids), packed.tokens, packed.left_out, packed.padding))


def _write_shard(
    context: EncodingContext, path: Path, input_ids: np.ndarray, starts: np.ndarray, start_offsets: np.ndarray
) -> None:
    length = input_ids.shape[1]
    metadata = {
        "sequence_length": length, "tokenizer": context.sha256, "packing": context.settings.packing, "bos": context.bos, "eos": context.eos,
        "pad": context.pad,
    }  # fmt: skip
    columns = [pa.field(name, pa.list_(pa.int32()), nullable=False) for name in ("input_ids", "document_starts")]
    schema = pa.schema(columns, {SCHEMA_KEY: json.dumps(metadata).encode()})
    rows = max(1, _ROW_GROUP_TOKENS // length)
    with (
        write_atomically(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
        ) as writer,
    ):
        for at in range(0, len(input_ids), rows):
            sequences = input_ids[at : at + rows]
            ids = pa.ListArray.from_arrays(np.arange(len(sequences) + 1, dtype=np.int32) * length, sequences.reshape(-1))
            offsets = start_offsets[at : at + len(sequences) + 1]
            begins = pa.ListArray.from_arrays(offsets - offsets[0], starts[offsets[0] : offsets[-1]])
            writer.write_table(pa.Table.from_arrays([ids, begins], schema=schema), row_group_size=rows)


# -- a corpus


def divide_split(texts: Texts, split: str) -> list[RowGroupRange]:
    """Divide the row groups of a split's shards into ranges of about 32 MB of text: the same on any machine."""
    ranges: list[RowGroupRange] = []
    document = 0
    for file in texts.files:
        groups = read_row_groups(file, str(texts.column))
        first, size, rows = 0, 0, 0
        for number, (count, amount) in enumerate(groups):
            size, rows = size + amount, rows + count
            if size >= _RANGE_BYTES or number == len(groups) - 1:
                ranges.append(RowGroupRange(len(ranges), split, str(file.absolute()), first, number + 1, document, size))
                document, first, size, rows = document + rows, number + 1, 0, 0
    return ranges


def find_splits(corpus: Path, column: str | None) -> dict[str, Texts]:
    """Find the texts of a corpus by split: by the names of its shards, or all as `train`. Raises UsageError where there are none."""
    texts = Texts.find(corpus, None, column)
    if texts.files[0].suffix != ".parquet":
        raise UsageError(f"{corpus}: token shards are made of Parquet files, such as the shards of a corpus that Seimai built")
    names = sorted({file.name.split("-")[0] for file in texts.files})
    if not all(name in ("train", "validation", "test") for name in names):
        return {"train": texts}
    return {name: Texts(tuple(f for f in texts.files if f.name.startswith(f"{name}-")), texts.column) for name in names}


def identify_input(splits: dict[str, Texts]) -> str:
    """Return the fingerprint of the shards, of all splits."""
    return identify_shards(sorted(file for texts in splits.values() for file in texts.files))


def _refuse_other_tokenizer(tokens: Path, tokenizer: Tokenizer) -> None:
    """Raise UsageError where token shards are damaged, or of another tokenizer: a model may be in training on them."""
    description = read_description(tokens)
    if description is None or description["tokenizer"] != tokenizer.fingerprint:
        check_tokens(tokens, tokenizer)


class TooFewTokensError(UsageError):
    """A corpus does not fill one sequence. `way_out`: what to do about it, which goes by the command that was given."""

    def __init__(
        self, corpus: Path, tokens: int, length: int, way_out: str = "use a smaller --sequence-length, or --packing best-fit"
    ) -> None:
        super().__init__(f"the whole of {corpus} makes {tokens:,} tokens, not one sequence of {length:,}: {way_out}")
        self.corpus, self.tokens, self.length = corpus, tokens, length


class TokenShardBuild:
    """One run: a corpus, a tokenizer, a folder for token shards."""

    def __init__(
        self, corpus: Path, tokenizer: Path, settings: Encoding, out: Path | None = None, column: str | None = None
    ) -> None:
        self.corpus, self.settings, self.named = corpus, settings, (out or corpus / "tokens").absolute()
        self.out = self.named.resolve()  # `named` may be a link in a corpus
        self.tokenizer = Tokenizer.load(tokenizer)
        self.splits = find_splits(corpus, column)
        roles = {role: self.tokenizer.id_of(role) for role in ("bos", "eos", "pad")}
        if roles["eos"] is None or (settings.bos and roles["bos"] is None):
            raise UsageError(f"the tokenizer in {tokenizer} has no {'EOS' if roles['eos'] is None else 'BOS'} token")
        if settings.packing == "best-fit" and roles["pad"] is None:
            raise UsageError(f"the tokenizer in {tokenizer} has no PAD token, which packing best-fit needs; use concatenate")
        self.input = identify_input(self.splits)
        self.fingerprint = fingerprint(
            VERSION, find_versions(LIBRARIES), self.tokenizer.fingerprint, settings.model_dump(include=set(Encoding.model_fields)),
            self.input,
            [texts.column for texts in self.splits.values()],
        )  # fmt: skip
        self.folder = place_scratch(self.out, self.fingerprint)
        ids = {role: -1 if value is None else value for role, value in roles.items()}
        column_ = str(next(iter(self.splits.values())).column)
        self.context = EncodingContext(
            str(tokenizer.absolute()), self.tokenizer.fingerprint, column_,
            Encoding(**settings.model_dump(include=set(Encoding.model_fields))), self.folder, **ids,
        )  # fmt: skip

    def find_complete(self) -> dict[str, Any] | None:
        """Return the description of the token shards in the output folder; None where they are not those that `run` would write."""
        description = None if folder_publication(self.out).journal.exists() else read_description(self.out)
        if description is None or description["fingerprint"] != self.fingerprint:
            return None
        return None if sizes_differ(self.out, description["files"]) else description

    def check_output_folder(self, overwrite: bool) -> None:
        """Raise UsageError where the output folder holds something else, or what is encoded; or a file lacks the column."""
        for texts in self.splits.values():
            for file in texts.files:
                check_column(file, self.context.column)
        files = dict.fromkeys(file for texts in self.splits.values() for file in texts.files)
        read = [*(NamedPath(str(file), file) for file in files), NamedPath("the tokenizer", Path(self.context.tokenizer))]
        refuse_overlap([NamedPath(f"--out {self.out}", self.out)], read)
        refuse_foreign_folder(self.out)
        if not overwrite and (self.out / TOKENS_FILE).is_file():
            _refuse_other_tokenizer(self.out, self.tokenizer)

    def run(self, engine: Engine) -> dict[str, Any]:
        """Do what is not done yet and publish the shards; returns their description."""
        folder_publication(self.out).complete()
        if (description := self.find_complete()) is not None:  # a killed run published it
            return description
        mark_scratch(self.folder)
        self.context.shards.mkdir(exist_ok=True)
        remove_temporaries(self.folder)
        ranges = {split: divide_split(texts, split) for split, texts in self.splits.items()}
        encoded = self._encode(engine, [part for parts in ranges.values() for part in parts])
        description = {
            "fingerprint": self.fingerprint,
            "corpus": self.input,
            "column": self.context.column,
            "tokenizer": self.tokenizer.fingerprint,
            "vocab_size": len(self.tokenizer),
            **self.context.settings.model_dump(),
            "ids": {"bos": self.context.bos, "eos": self.context.eos, "pad": self.context.pad},
            "splits": {},
        }
        for split, parts in ranges.items():
            total = _sum_counts(EncodedCounts, [encoded[part] for part in parts])
            packed = self._pack(engine, split, parts, total)
            description["splits"][split] = asdict(total) | {
                name: getattr(packed, name) for name in ("sequences", "left_out", "padding")
            }
        description["shards"] = sorted(
            path.name for path in self.context.shards.glob("*.parquet") if _is_scratch(f"out/{path.name}")
        )
        if not description["splits"].get("train", {"sequences": 1})["sequences"]:
            n = description["splits"]["train"]["tokens"]
            remove_scratch(self.folder, _is_scratch)
            raise TooFewTokensError(self.corpus, n, self.settings.sequence_length)
        staged = {self.context.shards / name: name for name in description["shards"]}
        description["files"] = describe_staged(engine, staged, self.folder.glob("shard-*.json"))
        self._publish(description)
        return description

    def _encode(self, engine: Engine, parts: list[RowGroupRange]) -> dict[RowGroupRange, EncodedCounts]:
        step = engine.step("encode", total=float(sum(part.bytes for part in parts)))
        encoded: dict[RowGroupRange, EncodedCounts] = {}
        for number, counts in engine.run("encoding", [(encode_range, (self.context, part)) for part in parts]):
            encoded[parts[number]] = counts
            step.advance(parts[number].bytes, counts.documents)
        step.finish()
        return encoded

    def _pack(self, engine: Engine, split: str, parts: list[RowGroupRange], encoded: EncodedCounts) -> PackedCounts:
        total = encoded.tokens + encoded.separators
        count = max(1, total // max(self.settings.tokens_per_shard, self.settings.sequence_length))
        step = engine.step("pack" if split == "train" else split, total=float(4 * total))
        tasks = [(pack_shard, (self.context, split, parts, shard, count)) for shard in range(count)]
        results: list[PackedCounts] = []
        for _, counts in engine.run("packing", tasks):
            results.append(counts)
            step.advance(4.0 * (counts.tokens + counts.left_out), counts.sequences)
        step.finish()
        packed = _sum_counts(PackedCounts, results)
        if packed.tokens + packed.left_out != total:
            raise BuildError(
                f"tokens were lost: {total:,} came in, {packed.tokens:,} are in sequences and {packed.left_out:,} were left out. "
                "This is a fault of Seimai; please report it"
            )
        return packed

    def _publish(self, description: dict[str, Any]) -> None:
        if identify_input(self.splits) != self.input:
            raise BuildError(f"{self.corpus} was built anew while it was encoded: run the same command again")
        write_checked(self.context.shards / TOKENS_FILE, description)
        description_in_place = read_description(self.out)
        if description_in_place is not None:
            known = {*description_in_place["shards"], TOKENS_FILE}
        else:  # damaged: `check_output_folder` found that token shards are in there
            known = {path.name for path in self.out.glob("*") if _is_scratch(f"out/{path.name}")}
        replace_added(self.named, self.context.shards, known, self.folder.glob("shard-*.json"))
        self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Remove the intermediates of all runs to this folder."""
        remove_scratch_leftovers(self.out, "[0-9a-f]{16}", _is_scratch)


def _is_scratch(path: str) -> bool:
    """Return whether a path in the folder of intermediates is of a file that encoding writes there, or Dask."""
    return (
        path.startswith("dask/")
        or re.fullmatch(
            rf"out/|(?:out/|shard-)?[a-z]+-\d{{5}}(?:-of-\d{{5}})?(?:\.(?:tokens|index))?\.(?:npy|json|parquet)|out/{re.escape(TOKENS_FILE)}",
            path,
        )
        is not None
    )


def _sum_counts(kind: type[Counts], counts: list[Counts]) -> Counts:
    return kind(**{field.name: sum(getattr(c, field.name) for c in counts) for field in fields(kind)})
