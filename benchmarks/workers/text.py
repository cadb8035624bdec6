"""The floor of benchmarks/text.py: `python -P text.py SOURCE OUT WORKERS` prints how many documents were written.

The stream is decompressed and cut by this process, split and written as Parquet by the workers, and nothing else is done.
"""

from __future__ import annotations

import lzma
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

PARTITION = 32_000_000  # bytes, as in the manifest
CHUNK = 1 << 20
ROW_GROUP = 1024


def cut(source: Path) -> Iterator[bytes]:
    """Stretches of whole documents, of about PARTITION bytes."""
    if source.suffix == ".zst":
        import zstandard

        stream = zstandard.open(source, "rb")
    else:
        stream = lzma.open(source)
    pending: list[bytes] = []
    size = 0
    with stream:
        while chunk := stream.read(CHUNK):
            pending.append(chunk)
            size += len(chunk)
            boundary = chunk.rfind(b"\n\n") if size >= PARTITION else -1
            if boundary >= 0:
                pending[-1] = chunk[: boundary + 2]
                yield b"".join(pending)
                pending = [chunk[boundary + 2 :]]
                size = len(pending[0])
    yield b"".join(pending)


def write_partition(raw: Path, out: Path) -> int:
    """Split one stretch to documents and write them; returns their number."""
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = np.fromfile(raw, np.uint8)
    raw.unlink()
    line_ends = np.flatnonzero(data == 10)
    if len(data) and data[-1] != 10:
        line_ends = np.append(line_ends, len(data))
    line_starts = np.concatenate([[0], line_ends[:-1] + 1]).astype(np.int64)[: len(line_ends)]
    lengths = line_ends - line_starts
    empty = (lengths == 0) | ((lengths == 1) & (data[np.minimum(line_starts, len(data) - 1)] == 13))
    starts = line_starts[~empty & np.concatenate([[True], empty[:-1]])[: len(empty)]]
    if not len(starts):
        return 0
    offsets = np.append(starts, len(data)).astype(np.int64)
    texts = pa.LargeStringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(data))
    text = pl.Series("text", pl.from_arrow(texts)).str.strip_chars_end("\r\n")
    ids = pl.Series("id", starts).cast(pl.String).str.zfill(10)
    frame = pl.DataFrame({"id": "cc100-ja/" + ids, "text": text}).with_columns(
        source=pl.lit("cc100-ja"),
        license=pl.lit("CC-BY-4.0"),
        language=pl.lit("ja"),
        language_score=pl.lit(1.0, pl.Float32),
        chars=pl.col("text").str.len_chars().cast(pl.Int32),
        cluster_size=pl.lit(1, pl.UInt32),
    )
    table = frame.to_arrow()
    with pq.ParquetWriter(
        out, table.schema, compression="zstd", compression_level=3, use_dictionary=["source", "license", "language"],
        write_statistics=False,
    ) as writer:  # fmt: skip
        writer.write_table(table, row_group_size=ROW_GROUP)
    return len(frame)


def main(source: Path, out: Path, workers: int) -> None:
    total = 0
    waiting: deque[Future[int]] = deque()
    with ProcessPoolExecutor(workers) as pool:
        for number, body in enumerate(cut(source)):
            raw = out / f"{number:05d}.bin"
            raw.write_bytes(body)
            waiting.append(pool.submit(write_partition, raw, out / f"{number:05d}.parquet"))
            if len(waiting) > 2 * workers + 2:
                total += waiting.popleft().result()
        total += sum(future.result() for future in waiting)
    print(total)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
