"""Input from S3: read where it lies, one version of every object, and no key of it in any file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator

import polars as pl
import pytest

from pipeline.core.errors import BuildError, ChangedInputError, UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.manifest.loading import load
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState
from pipeline.sources.inputs import resolve
from pipeline.sources.streams import Stream
from tests.support.builds import read_ledger
from tests.support.formats import make_jsonl, make_parquet
from tests.support.images import add_member, draw_picture, encode_image, make_caption
from tests.support.s3 import KEY_ID, SECRET, Bucket, serve_bucket
from tests.support.texts import make_sentences

DOCUMENTS = [make_sentences(f"bucket {i}") for i in range(40)]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serve_bucket() as served:
        yield served


def test_builds_read_text_tables_and_images(bucket, build, tmp_path):
    bucket.put("text/a.jsonl", make_jsonl(DOCUMENTS[:20]))
    bucket.put("text/b.jsonl.gz", gzip.compress(make_jsonl(DOCUMENTS[20:30]), mtime=0))
    bucket.put("text/c.parquet", make_parquet(DOCUMENTS[30:]))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for number in range(3):
            add_member(tar, f"{number}.jpg", encode_image(draw_picture(number)))
            add_member(tar, f"{number}.txt", make_caption(number).encode())
    bucket.put("pairs.tar", archive.getvalue())
    for name, pattern, column, wanted in (
        ("ja-web", "s3://corpora/text/*", "text", DOCUMENTS),
        ("laion-ja", "s3://corpora/pairs.tar", "caption", [make_caption(number) for number in range(3)]),
    ):
        out = tmp_path / name
        done = build(name, "--input", pattern, "--out", out)
        assert done.returncode == 0, done.stderr
        assert sorted(pl.read_parquet(out / "data" / "*.parquet")[column]) == sorted(wanted)
        assert len(read_ledger(out)) == len(wanted)
        assert "up to date" in build(name, "--input", pattern, "--out", out).stdout  # by their ETags
        written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
        assert not [content for content in written if KEY_ID.encode() in content or SECRET.encode() in content]
    inputs = json.loads((tmp_path / "ja-web" / STATE_FOLDER / "inputs.json").read_text())
    assert [file["url"] for file in inputs] == [f"s3://corpora/text/{name}" for name in ("a.jsonl", "b.jsonl.gz", "c.parquet")]


def test_an_object_that_is_replaced_while_it_is_read_is_refused(bucket):
    old = make_jsonl(DOCUMENTS) * 600  # several blocks of what a request asks for
    bucket.put("large.jsonl", old)
    (file,) = resolve(["s3://corpora/large.jsonl"])
    stream = Stream(file)
    assert stream.read(1000) == old[:1000]
    bucket.put("large.jsonl", old[:-1] + b" ")  # of the same size
    with pytest.raises(ChangedInputError, match="large.jsonl has changed since the build began"):
        while stream.read(1 << 20):
            pass
    with pytest.raises(ChangedInputError, match="ETag was"):
        Stream(file).read(1)


def test_a_table_is_read_by_ranges_of_one_version(bucket):
    table = make_parquet(DOCUMENTS)
    bucket.put("table.parquet", table)
    (file,) = resolve(["s3://corpora/table.parquet"])
    source, fields = SOURCES["parquet"], load("ja-web").source.fields
    bucket.ranges.clear()
    first, *_, last = [piece for piece, _ in source.cut(file, 0, CutState(2000, 1 << 20))]
    assert len(source.read(first, file, None, fields).frame) == first.end
    asked = [wanted for wanted in bucket.ranges if wanted]
    sizes = [int(end) - int(start) for start, end in (wanted.removeprefix("bytes=").split("-") for wanted in asked)]
    assert asked and max(sizes) < len(table)
    bucket.put("table.parquet", table[:100] + bytes([table[100] ^ 1]) + table[101:])
    with pytest.raises(ChangedInputError, match="ETag was"):
        source.read(last, file, None, fields)


def test_what_is_not_there_is_told(bucket, monkeypatch):
    for pattern, error, message in (
        ("s3://corpora/none.jsonl", UsageError, "there is no such file"),
        ("s3://corpora/none*", UsageError, "nothing matches"),
        ("s3://no-bucket/a", BuildError, "NoSuchBucket"),
    ):
        with pytest.raises(error, match=message):
            resolve([pattern])


def test_missing_keys_are_told_with_what_to_set(bucket, monkeypatch, tmp_path):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(BuildError, match=r"set AWS_ACCESS_KEY_ID .*FSSPEC_S3='\{\"anon\": true\}'"):
        resolve(["s3://corpora/text/a.jsonl"])
    with pytest.raises(BuildError, match="set AWS_ACCESS_KEY_ID"):
        resolve(["s3://corpora/text/*"])
    s3fs.S3FileSystem.clear_instance_cache()
