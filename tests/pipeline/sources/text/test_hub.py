"""Datasets of the Hugging Face Hub, read from where they are. The library asks a hub on loopback, in a process of its own: it learns the
address when it is imported."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import polars as pl
import pytest

from tests.support.hub import serve_hub

SCRIPT = """
import json, sys
from pipeline.core.errors import SeimaiError
from pipeline.sources import SOURCES
from pipeline.sources.base import Fields
from tests.pipeline.sources.text.helpers import read_all

for url in json.loads(sys.argv[1]):
    source = SOURCES["parquet" if "tables" in url else "text"]
    try:
        files = source.find_inputs([url])
        source.check_fields(files, Fields())
        texts = [text for file in files for text in read_all(source, file, partition=2000).texts()]
        identities = [file.identity for file in files]
        print(json.dumps({"files": [f.name for f in files], "identities": identities, "note": files[0].note, "texts": texts}))
    except SeimaiError as error:
        print(json.dumps({"error": str(error)}))
"""
TEXTS = [f"文書{i}" * 20 for i in range(40)]


def make_parquet(texts):
    out = io.BytesIO()
    pl.DataFrame({"text": texts, "unread": [os.urandom(5000) for _ in texts]}).write_parquet(out, row_group_size=10)
    return out.getvalue()


@pytest.fixture(scope="module")
def hub():
    with serve_hub() as hub:
        hub.datasets["owner/tables"] = {
            "README.md": b"# tables",
            ".gitattributes": b"",
            "data/train-00000-of-00002.parquet": make_parquet(TEXTS[:20]),
            "data/train-00001-of-00002.parquet": make_parquet(TEXTS[20:]),
            "data/test-00000-of-00001.parquet": make_parquet(["held out"]),
        }
        lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
        hub.datasets["owner/lines"] = {"ja/a.jsonl": lines, "en/a.jsonl": b'{"text": "English"}\n'}
        hub.datasets["owner/script"] = {"script.py": b"raise SystemExit", "README.md": b""}
        yield hub


@pytest.fixture(scope="module")
def results(hub):
    urls = [
        "owner/tables", "owner/tables@main/data/test-00000-of-00001.parquet", "owner/lines/ja", "owner/lines/*/a.jsonl", "owner/script",
        "owner/absent", "owner/lines/absent", "owner/lines/fr/*.jsonl",
    ]  # fmt: skip
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": ""}
    command = [sys.executable, "-c", SCRIPT, json.dumps([f"hf://datasets/{url}" for url in urls])]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert out.returncode == 0, out.stderr
    return dict(zip(urls, map(json.loads, out.stdout.splitlines()), strict=True))


def test_a_dataset_by_name_is_its_split_train(results):
    result = results["owner/tables"]
    assert result["texts"] == TEXTS
    assert result["files"] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert "only the split train is read (2 files), not test (1: data/test-00000-of-00001.parquet)" in result["note"]
    assert len({*result["identities"]}) == 2


def test_nothing_is_downloaded_as_a_whole(hub, results):
    content = hub.datasets["owner/tables"]
    fetched = [(path, last + 1 - first) for path, first, last in hub.ranges if path.startswith("data/train")]
    assert fetched and sum(size for _, size in fetched) < 0.9 * sum(len(content[path]) for path in {*dict(fetched)})


def test_a_path_with_a_revision_is_one_file(results):
    assert results["owner/tables@main/data/test-00000-of-00001.parquet"].get("texts") == ["held out"], results


def test_folders_and_globs_of_json_lines(results):
    assert results["owner/lines/ja"]["texts"] == TEXTS
    assert sorted(results["owner/lines/*/a.jsonl"]["texts"]) == sorted([*TEXTS, "English"])


def test_a_script_is_never_run(results):
    assert "script.py, which is never run" in results["owner/script"]["error"]


@pytest.mark.parametrize("name", ["owner/absent", "owner/lines/absent", "owner/lines/fr/*.jsonl"])
def test_what_is_not_there_is_told(results, name):
    assert f"hf://datasets/{name}" in results[name]["error"]
