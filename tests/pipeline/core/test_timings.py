"""What `--plan` says of time and size is what builds on this machine took, in proportion."""

import json

import pytest

from pipeline.core.timings import Timing, find_timing, keep_timing
from pipeline.manifest.loading import load
from pipeline.plan import Plan
from pipeline.report.facts import gather_plan_facts
from pipeline.sources.inputs import resolve

TIMED = Timing("cc100-ja", bytes=50_000_000, records=20_000, seconds=20.0, workers=2, day="2026-11-29")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEIMAI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "timings.json"


def conclude(tmp_path, workers, limit=None):
    """What --plan says of a text of 500 MB."""
    path = tmp_path / "a.txt"
    with open(path, "wb") as file:
        file.truncate(500_000_000)
    plan = Plan(load("cc100-ja"), tuple(resolve([str(path)])), tmp_path / "out", tmp_path / "work", limit)
    return gather_plan_facts(plan, workers).conclusion


def test_time_is_that_of_the_last_build_in_proportion(cache, tmp_path):
    assert "is not known" in conclude(tmp_path, 2) and not cache.exists()
    keep_timing("text", TIMED)
    assert find_timing("text") == TIMED and find_timing("speech") is None
    said = conclude(tmp_path, 2)
    assert "about 3 minutes on 2 workers of this machine" in said  # 200 s: ten times as much
    assert "as fast as cc100-ja was built here on 2026-11-29 (1.2 MB/s each)" in said
    assert "about 7 minutes on 1 worker of" in conclude(tmp_path, 1) and "about 20 s on 20 workers" in conclude(tmp_path, 20)
    keep_timing("text", Timing("short", 1000, 1, 3.0, 2))
    assert find_timing("text") == TIMED


def test_a_limit_is_read_as_records_of_the_size_that_was_seen(cache, tmp_path):
    said = conclude(tmp_path, 2, limit=10_000)
    assert "the first 10,000 documents are read (how much is not known before); a build takes at most" in said
    keep_timing("text", TIMED)
    said = conclude(tmp_path, 2, limit=10_000)  # 25 MB
    assert "the first 10,000 documents are read (about 25.0 MB)" in said and "about 10 s on 2 workers" in said
    assert "about 3 minutes on 2 workers" in conclude(tmp_path, 2, limit=10**9)


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', None])
def test_what_is_in_the_cache_may_be_anything(cache, content):
    cache.parent.mkdir()
    cache.write_text(content or "{}", "utf-8")
    if content is None:
        keep_timing("text", TIMED)
        known = json.loads(cache.read_text("utf-8"))
        cache.write_text(json.dumps({key: value | {"more": 1} for key, value in known.items()}), "utf-8")
    assert find_timing("text") is None
    keep_timing("text", TIMED)
    assert find_timing("text") == TIMED


def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("SEIMAI_CACHE", str(tmp_path / "file" / "folder"))
    keep_timing("text", TIMED)
    assert find_timing("text") is None
