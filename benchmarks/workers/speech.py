"""The floor of benchmarks/speech.py: `python -P speech.py FOLDER OUT WORKERS` prints recordings and seconds as JSON."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 32_000_000  # bytes of audio, as in the manifest


class Recording(NamedTuple):
    name: str
    content: bytes
    seconds: float


def read_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in a tar."""
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile():
                file = tar.extractfile(member)
                yield member.name, file.read() if file else b""


def read_transcripts(path: Path) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in path.read_text("utf-8").splitlines())


def make_schema() -> pa.Schema:
    """The columns of our shards; the benchmark checks that they are the same."""
    import pyarrow as pa

    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.schema([
        ("id", pa.string()), ("audio", audio), ("transcript", pa.string()), ("reading", pa.string()), ("duration", pa.float32()),
        ("sampling_rate", pa.int32()), ("speaker", pa.string()), ("programme", pa.string()), ("source", pa.string()),
        ("license", pa.string()), ("cluster_size", pa.uint32()),
    ])  # fmt: skip


def read_batches(path: Path) -> Iterator[list[Recording]]:
    """Decoded once each, as many as make a row group."""
    import soundfile

    pending: list[Recording] = []
    size = 0
    for name, body in read_tar(path):
        if name.endswith(".flac"):
            samples, rate = soundfile.read(BytesIO(body), dtype="float32")
            pending.append(Recording(name.removeprefix("./"), body, len(samples) / rate))
            size += len(body)
            if size >= ROW_GROUP:
                yield pending
                pending, size = [], 0
    if pending:
        yield pending


def write_tar(path: Path, transcripts: dict[str, str], out: Path) -> tuple[int, float]:
    """Write the recordings of one tar as Parquet; returns their number and seconds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = make_schema()
    compressed = ["audio.path", *(name for name in schema.names if name != "audio")]
    count, seconds = 0, 0.0
    with pq.ParquetWriter(
        out / f"{path.stem}.parquet", schema, compression={"audio.bytes": "none"} | dict.fromkeys(compressed, "zstd"),
        compression_level=dict.fromkeys(compressed, 3), use_dictionary=["source", "license"], write_statistics=False,
    ) as writer:  # fmt: skip
        for batch in read_batches(path):
            n = len(batch)
            names = [recording.name for recording in batch]
            contents = pa.array([recording.content for recording in batch], pa.binary())
            columns = {
                "id": pa.array([f"reazonspeech/{name}" for name in names]),
                "audio": pa.StructArray.from_arrays([contents, pa.array([Path(name).name for name in names])], ["bytes", "path"]),
                "transcript": pa.array([transcripts.get(name) for name in names], pa.string()),
                "duration": pa.array([recording.seconds for recording in batch], pa.float32()),
                "sampling_rate": pa.array([16_000] * n, pa.int32()),
                "source": pa.repeat(pa.scalar("reazonspeech"), n),
                "license": pa.repeat(pa.scalar("CDLA-Sharing-1.0"), n),
                "cluster_size": pa.repeat(pa.scalar(1, pa.uint32()), n),
            }  # fmt: skip
            arrays = [columns.get(field.name, pa.nulls(n, field.type)) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count, seconds = count + n, seconds + sum(recording.seconds for recording in batch)
    return count, seconds


def main(folder: Path, out: Path, workers: int) -> None:
    transcripts = read_transcripts(folder / "v2-tsv" / "all.tsv")
    with ProcessPoolExecutor(workers) as pool:
        counts = list(pool.map(partial(write_tar, transcripts=transcripts, out=out), sorted((folder / "v2").glob("*.tar"))))
    print(json.dumps([sum(count for count, _ in counts), sum(seconds for _, seconds in counts)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
