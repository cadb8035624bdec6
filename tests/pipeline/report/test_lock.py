"""The lock file: a manifest, and what the build had."""

import hashlib
import tomllib
from types import SimpleNamespace

from pipeline.report.facts import InputFacts
from pipeline.report.lock import collect_versions, write_lock

CARD = {"path": "README.md", "sha256": hashlib.sha256(b"card").hexdigest(), "bytes": 4}


def read_lock(out, **facts):
    """Write the lock of a build with these facts, others absent, and read it."""
    (out / "README.md").write_text("card", "utf-8")
    absent = {"resolved_manifest": {}, "fingerprints": {}, "inputs": [], "bands_and_rows": None, "limit": None, "files": []}
    write_lock(SimpleNamespace(**absent | facts | {"out": out, "further_lock": dict}), out, ["README.md"])
    return tomllib.loads((out / "manifest.lock.toml").read_text("utf-8"))


def test_lock_has_the_manifest_and_what_the_build_had(tmp_path):
    written = read_lock(
        tmp_path,
        resolved_manifest={"name": "mine", "rules": {}},
        fingerprints={"measure": "12"},
        inputs=[InputFacts("a.xz", 5, "ab", 50), InputFacts("b.xz", None, None, 0)],
        bands_and_rows=(8, 16),
        limit=100,
        files=[{"path": "data/train-00000-of-00001.parquet", "sha256": "cd", "bytes": 7, "rows": 2}],
    )
    assert written["name"] == "mine" and written["rules"] == {}
    assert written["lock"] == {
        "versions": collect_versions(),
        "fingerprints": {"measure": "12"},
        "inputs": [{"name": "a.xz", "size": 5, "sha256": "ab", "bytes": 50}, {"name": "b.xz", "bytes": 0}],
        "files": [CARD, {"path": "data/train-00000-of-00001.parquet", "sha256": "cd", "bytes": 7, "rows": 2}],
        "bands": 8,
        "rows": 16,
        "limit": 100,
    }


def test_lock_leaves_out_what_the_build_did_not_have(tmp_path):
    assert set(read_lock(tmp_path)["lock"]) == {"versions", "fingerprints", "inputs", "files"}


def test_versions_are_those_installed():
    versions = collect_versions()
    assert versions["polars"][0].isdigit() and versions["python"].startswith("3.") and "datasketch" not in versions
