"""An S3 server on loopback (moto), with a bucket, that remembers what was asked of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

BUCKET, KEY_ID, SECRET = "corpora", "canary-key-id", "canary-secret-key"


@dataclass
class Bucket:
    """The objects of a bucket. `ranges`: the ranges of bytes that were asked for, "" for a whole object."""

    client: Any
    ranges: list[str] = field(default_factory=list)

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    """Serve a bucket, s3://corpora, to this process and those that it starts."""
    boto3 = pytest.importorskip("boto3")
    s3fs = pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    application = moto.DomainDispatcherApplication(moto.create_backend_app)
    bucket = Bucket(None)

    def record(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            bucket.ranges.append(environ.get("HTTP_RANGE", ""))
        return application(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, record, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}"), ("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/dev/null"),
        ):  # fmt: skip
            patch.setenv(name, value)
        bucket.client = boto3.client("s3")
        bucket.client.create_bucket(Bucket=BUCKET)
        s3fs.S3FileSystem.clear_instance_cache()
        yield bucket
        s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    thread.join()
