"""The lock file: a manifest, and what the build had."""

import tomllib
from types import SimpleNamespace

from pipeline.report.facts import LockFacts
from pipeline.report.lock import collect_versions, write_lock


def read_lock(tmp_path, lock):
    write_lock(SimpleNamespace(out=tmp_path, lock=lock))
    return tomllib.loads((tmp_path / "manifest.lock.toml").read_text("utf-8"))


def test_lock_has_the_manifest_and_what_the_build_had(tmp_path):
    inputs = [{"name": "a.xz", "size": 5, "sha256": "ab"}]
    written = read_lock(tmp_path, LockFacts({"name": "mine", "rules": {}}, {"measure": "12"}, inputs, (8, 16), 100))
    assert written["name"] == "mine" and written["rules"] == {}
    assert written["lock"] == {
        "versions": collect_versions(),
        "fingerprints": {"measure": "12"},
        "inputs": inputs,
        "bands": 8,
        "rows": 16,
        "limit": 100,
    }


def test_lock_leaves_out_what_the_build_did_not_have(tmp_path):
    assert set(read_lock(tmp_path, LockFacts({}, {}, [], None, None))["lock"]) == {"versions", "fingerprints", "inputs"}


def test_versions_are_those_installed():
    versions = collect_versions()
    assert versions["polars"][0].isdigit() and versions["python"].startswith("3.") and "datasketch" not in versions
