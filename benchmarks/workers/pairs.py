"""The floor of benchmarks/pairs.py, and webdataset: `python -P pairs.py TASK PATTERN OUT WORKERS` prints [written, unreadable]."""

from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 32_000_000  # bytes of images, as in the manifest


class Pair(NamedTuple):
    key: str
    image: bytes
    width: int
    height: int
    caption: str


def read_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a plain tar's files, at some microseconds a member, where tarfile takes 40."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while at + 512 <= len(data) and data[at]:
            header = data[at : at + 512]
            if header[156] not in b"0\0":
                raise SystemExit(f"{path}: a member that is no plain file")
            size = int(header[124:136].rstrip(b" \0"), 8)
            yield header[:100].rstrip(b"\0").decode(), data[at + 512 : at + 512 + size]
            at += 512 + -(-size // 512) * 512


# -- the floor


def make_schema() -> pa.Schema:
    """The columns of our shards; the benchmark checks that they are the same."""
    import pyarrow as pa

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    strings = pa.list_(pa.field("element", pa.string()))
    return pa.schema([
        ("id", pa.string()), ("image", image), ("caption", pa.string()), ("captions", strings), ("url", pa.string()),
        ("width", pa.int32()), ("height", pa.int32()), ("phash", pa.string()), ("similarity", pa.float32()),
        ("source", pa.string()), ("license", pa.string()), ("cluster_size", pa.uint32()),
    ])  # fmt: skip


def make_table(path: Path, pairs: list[Pair], urls: dict[str, str]) -> pa.Table:
    """Pairs of one tar as rows of a shard."""
    import pyarrow as pa

    schema, n = make_schema(), len(pairs)
    images = [pa.array([pair.image for pair in pairs], pa.binary()), pa.array([f"{pair.key}.jpg" for pair in pairs])]
    columns = {
        "id": pa.array([f"laion-ja/{path.name}/{pair.key}" for pair in pairs]),
        "image": pa.StructArray.from_arrays(images, ["bytes", "path"]),
        "caption": pa.array([pair.caption for pair in pairs]),
        "captions": pa.array([[pair.caption] for pair in pairs], schema.field("captions").type),
        "url": pa.array([urls[pair.key] for pair in pairs]),
        "width": pa.array([pair.width for pair in pairs], pa.int32()),
        "height": pa.array([pair.height for pair in pairs], pa.int32()),
        "phash": pa.nulls(n, pa.string()),
        "similarity": pa.nulls(n, pa.float32()),
        "source": pa.repeat(pa.scalar("laion-ja"), n),
        "license": pa.repeat(pa.scalar("CC-BY-4.0"), n),
        "cluster_size": pa.repeat(pa.scalar(1, pa.uint32()), n),
    }  # fmt: skip
    return pa.table(columns, schema=schema)


def copy_tar(path: Path, out: Path) -> tuple[int, int]:
    """Decode every image of one tar once and write the pairs; returns rows written and images that cannot be decoded."""
    import pyarrow.parquet as pq
    from PIL import Image

    schema = make_schema()
    sidecar = pq.read_table(path.with_suffix(".parquet"), columns=["key", "url"]).to_pydict()
    urls = dict(zip(sidecar["key"], sidecar["url"], strict=True))
    images: dict[str, tuple[bytes, int, int]] = {}
    written = unreadable = size = 0
    pending: list[Pair] = []
    compressed = ["image.path", "captions.list.element", *(name for name in schema.names if name not in ("image", "captions"))]
    with pq.ParquetWriter(
        out / f"{path.stem}.parquet", schema, compression={"image.bytes": "none"} | dict.fromkeys(compressed, "zstd"),
        compression_level=dict.fromkeys(compressed, 3), use_dictionary=["source", "license"], write_statistics=False,
    ) as writer:  # fmt: skip
        for name, body in read_tar(path):
            key, _, suffix = name.partition(".")
            if suffix == "jpg":
                try:
                    images[key] = body, *Image.open(BytesIO(body)).convert("RGB").size
                except Exception:  # whatever a decoder raises
                    unreadable += 1
            elif suffix == "txt" and key in images:
                pending.append(Pair(key, *images.pop(key), body.decode("utf-8", "replace")))
                written, size = written + 1, size + len(pending[-1].image)
                if size >= ROW_GROUP:
                    writer.write_table(make_table(path, pending, urls))
                    pending, size = [], 0
        if pending:
            writer.write_table(make_table(path, pending, urls))
    return written, unreadable


# -- in the peers' environment


def run_webdataset(path: Path, out: Path, phash: bool) -> tuple[int, int]:
    """Decode, filter and write one tar with webdataset; returns rows written and images that cannot be decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import webdataset as wds

    if phash:
        import imagehash
    unreadable = 0

    def count_unreadable(_: Exception) -> bool:
        nonlocal unreadable
        unreadable += 1
        return True

    def add_phash(sample: dict[str, Any]) -> dict[str, Any]:
        return sample | {"phash": str(imagehash.phash(sample["jpg"]))}

    def has_good_size(sample: dict[str, Any]) -> bool:
        width, height = sample["jpg"].size
        return max(width, height) >= 48 and max(width, height) <= 8 * min(width, height)

    samples = (
        wds.WebDataset(str(path), shardshuffle=False, nodesplitter=lambda urls: urls)
        .map(lambda sample: sample | {"bytes": sample["jpg"]})
        .decode("pil", handler=count_unreadable)
        .select(has_good_size)
    )
    rows: list[dict[str, Any]] = []
    written = size = 0
    writer = None

    def write(writer: pq.ParquetWriter | None) -> pq.ParquetWriter:
        table = pa.Table.from_pylist(rows)
        writer = writer or pq.ParquetWriter(out / f"{path.stem}.parquet", table.schema, compression={"bytes": "none"})
        writer.write_table(table)
        rows.clear()
        return writer

    for sample in samples.map(add_phash) if phash else samples:
        width, height = sample["jpg"].size
        rows.append({
            "id": sample["__key__"], "bytes": sample["bytes"], "caption": sample["txt"], "url": sample["json"]["url"],
            "width": width, "height": height, "phash": sample.get("phash", ""),
        })  # fmt: skip
        written, size = written + 1, size + len(sample["bytes"])
        if size >= ROW_GROUP:
            writer, size = write(writer), 0
    if rows:
        writer = write(writer)
    if writer:
        writer.close()
    return written, unreadable


TASKS: dict[str, Callable[..., tuple[int, int]]] = {
    "floor": copy_tar,
    "webdataset": partial(run_webdataset, phash=False),
    "webdataset, phash": partial(run_webdataset, phash=True),
}


def main(task: str, pattern: str, out: Path, workers: int) -> None:
    folder, name = os.path.split(pattern)
    with ProcessPoolExecutor(workers) as pool:
        counts = list(pool.map(partial(TASKS[task], out=out), sorted(Path(folder).glob(name))))
    print(json.dumps([sum(column) for column in zip(*counts, strict=True)]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
