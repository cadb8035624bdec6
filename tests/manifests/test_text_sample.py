"""The embedded sample of cc100-ja: its truth file agrees with its text, and with what the measures say."""

import json
import lzma
import tomllib
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import filters
from filters.kernels import to_arrow
from filters.text import minhash, mojibake
from filters.text.boilerplate import boilerplate_lines
from filters.text.normalisation import drop_lines, normalise_spans

MANIFESTS = Path(__file__).parents[2] / "manifests"


@pytest.fixture(scope="module")
def raw():
    return lzma.decompress((MANIFESTS / "samples/cc100-ja.txt.xz").read_bytes())


@pytest.fixture(scope="module")
def truth():
    return [json.loads(line) for line in (MANIFESTS / "samples/cc100-ja.truth.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def rules():
    """The bounds of ja-web on what a document is by itself."""
    bounds = tomllib.loads((MANIFESTS / "presets/ja-web.toml").read_text("utf-8"))
    return {name: bound for name, bound in bounds.items() if filters.MEASURES[name].kind != "corpus"}


@pytest.fixture(scope="module")
def spans(raw, truth):
    starts = np.array([t["offset"] for t in truth])
    return np.frombuffer(raw, np.uint8), starts, starts + np.array([t["bytes"] for t in truth])


@pytest.fixture(scope="module")
def cleaned(spans):
    return normalise_spans(*spans)


@pytest.fixture(scope="module")
def kept_lines(cleaned):
    return drop_lines(cleaned, boilerplate_lines(cleaned))


@pytest.fixture(scope="module")
def dropped_by(spans, cleaned, kept_lines, rules):
    """For every document the first rule in the order of the file that it breaks, or None."""
    data, offsets, lines, characters = kept_lines
    raw, starts, ends = spans
    is_utf8 = cleaned.invalid < 0
    given = mojibake.count_spans(raw, np.where(is_utf8, starts, 0), np.where(is_utf8, ends, 0))
    given |= {"n_boilerplate_lines": lines, "n_boilerplate_chars": characters}
    frame = filters.compute(data, offsets, list(rules), given)

    def broken(value, bound):
        if value is None and bound.get("missing") == "keep":
            return False
        return (
            ("any_of" in bound and value not in bound["any_of"])
            or ("at_least" in bound and value < bound["at_least"])
            or ("at_most" in bound and value > bound["at_most"])
        )

    return [next((name for name, bound in rules.items() if broken(row[name], bound)), None) for row in frame.to_dicts()]


@pytest.fixture(scope="module")
def keys(kept_lines):
    data, offsets, *_ = kept_lines
    return minhash.key(pl.Series("text", to_arrow(data, offsets))).to_list()


@pytest.fixture(scope="module")
def shingles(keys):
    return [frozenset(key[i : i + minhash.SHINGLE] for i in range(len(key) - minhash.SHINGLE + 1)) for key in keys]


def similarity(shingles, a, b):
    return len(shingles[a] & shingles[b]) / len(shingles[a] | shingles[b])


def planted(truth):
    """`{cluster: documents}` and `{near miss: documents}`."""
    clusters, misses = defaultdict(list), defaultdict(list)
    for i, t in enumerate(truth):
        if t["cluster"]:
            clusters[t["cluster"]].append(i)
        if t["kind"] == "near-miss":
            misses[t["note"]].append(i)
    return clusters, misses


def test_the_generator_writes_the_same_again(raw, truth):
    from tests.samples.make_cc100_ja import build

    text, lines = build()
    assert text == raw
    assert [json.loads(line) for line in lines.splitlines()] == truth


def test_offsets_and_separators(raw, truth):
    at = 0
    for i, t in enumerate(truth):
        assert t["offset"] == at
        end = at + t["bytes"]
        document = raw[at:end]
        assert document.strip(b"\r\n") == document
        assert b"\n\n" not in document
        line_end = b"\r\n" if raw[end : end + 1] == b"\r" else b"\n"
        separator = line_end if i == len(truth) - 1 else line_end + b"\n"
        assert raw[end : end + len(separator)] == separator
        at = end + len(separator)
    assert at == len(raw)
    assert raw.split(b"\n\n")[-1].endswith(b"\n")
    assert len(raw.split(b"\n\n")) == len(truth)


def test_labels_are_consistent(truth, rules):
    expected = {"good": "kept", "near-miss": "kept", "rule": "dropped", "language": "dropped", "invalid": "unreadable"}
    for t in truth:
        assert t["expect"] == expected.get(t["kind"], t["expect"])
        assert (t["expect"] == "dropped") == (t["rule"] in rules)
        assert (t["expect"] is None) == (t["cluster"] is not None) == (t["kind"] in ("exact", "near"))


def test_every_rule_is_broken_at_least_twice(truth, rules):
    broken = Counter(t["rule"] for t in truth if t["kind"] == "rule")
    # What the models drop, tests/filters/text/test_text_model.py tries.
    assert set(broken) == set(rules) - {"fluency_score", "quality_score", "advertising_quality"}
    assert min(broken.values()) >= 2


def test_documents_are_dropped_by_the_rule_that_truth_names(truth, dropped_by):
    judged = [(i, t["kind"], t["rule"], by) for i, (t, by) in enumerate(zip(truth, dropped_by)) if t["expect"] != "unreadable"]
    # Of what cleaning emptied there is nothing left to measure: test_text_sample_build.py.
    judged = [one for one in judged if truth[one[0]]["note"] != "nothing but boilerplate lines"]
    wrong = [(i, kind, rule, by) for i, kind, rule, by in judged if by != rule]
    assert not wrong


def test_what_is_not_utf8_is_labelled_unreadable(truth, cleaned):
    assert [t["expect"] == "unreadable" for t in truth] == [i >= 0 for i in cleaned.invalid.tolist()]


def test_exact_clusters_share_their_key_and_not_always_their_bytes(raw, truth, keys):
    clusters, _ = planted(truth)
    exact = [members for members in clusters.values() if truth[members[0]]["kind"] == "exact"]
    different = 0
    for members in exact:
        assert len({keys[i].strip("★☆").replace("☆★", "") for i in members}) == 1  # stars around a title may be a rating
        different += len({raw[truth[i]["offset"] :][: truth[i]["bytes"]] for i in members}) > 1
    assert 0 < different < len(exact)


def test_near_duplicates_and_near_misses_are_as_similar_as_stated(truth, shingles):
    clusters, misses = planted(truth)
    near = [members for members in clusters.values() if truth[members[0]]["kind"] == "near"]
    assert sum(len(members) == 2 for members in near) >= 20
    assert sum(len(members) >= 4 for members in near) >= 3
    for members in near:
        assert all(0.85 <= similarity(shingles, a, b) <= 0.97 for a, b in combinations(members, 2))
    assert len(misses) >= 10
    for a, b in misses.values():
        assert 0.55 <= similarity(shingles, a, b) <= 0.70


def test_nothing_else_is_alike(truth, dropped_by, shingles):
    clusters, misses = planted(truth)
    alike = {pair for members in [*clusters.values(), *misses.values()] for pair in combinations(members, 2)}
    holders, shared = defaultdict(list), Counter()
    for i in (i for i, t in enumerate(truth) if dropped_by[i] is None and t["expect"] != "unreadable"):
        for shingle in shingles[i]:
            shared.update((j, i) for j in holders[shingle])
            holders[shingle].append(i)
    worst = max(similarity(shingles, *pair) for pair in shared if pair not in alike)
    assert worst < 0.4


def test_members_of_a_cluster_stand_apart(truth):
    for members in [group for kind in planted(truth) for group in kind.values()]:
        assert all(b - a > 5 for a, b in combinations(members, 2))
