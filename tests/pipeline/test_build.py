import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.core.ownership import STATE_FOLDER
from pipeline.manifest.loading import load
from pipeline.verify import verify
from pipeline.workspace import REASON
from tests.support.builds import find_temporaries, hash_outputs, list_times, read_ledger, read_shards
from tests.support.texts import SMALL_PARTITIONS, make_sentences, split_documents

NO_CHARS = pl.DataFrame(schema={"chars": pl.UInt32})

HEAD = (
    "id source verdict step rule value value_text bound bound_text duplicate_of similarity cluster_id cluster_size excerpt"
).split()  # DESIGN.md, section 4

REMOVED = (
    "boilerplate_lines boilerplate_chars recurring_lines recurring_chars recurring_line_share recurring_spans measured_chars"
).split()


@pytest.fixture(scope="module")
def ledger(reference):
    return read_ledger(reference)


@pytest.fixture(scope="module")
def shards(reference):
    return read_shards(reference)


def row(ledger, beginning):
    found = ledger.filter(pl.col("excerpt").str.starts_with(beginning))
    assert len(found) == 1
    return found.row(0, named=True)


# -- what one build leaves behind


def test_every_record_is_in_the_ledger_once_and_in_order(ledger, mixed):
    documents = split_documents(mixed.read_bytes())
    assert ledger["id"].to_list() == [f"cc100-ja/{offset:010d}" for offset, _ in documents]
    assert set(ledger["verdict"].unique()) == {"kept", "dropped", "duplicate", "unreadable"}


def test_ledger_columns(ledger):
    manifest = load("cc100-ja")
    assert ledger.columns == [*HEAD, *manifest.measures, *REMOVED]
    kept, dropped, duplicate, unreadable = (
        ledger.filter(verdict=v) for v in ("kept", "dropped", "duplicate", "unreadable")
    )  # fmt: skip
    for column in ("step", *REASON, "duplicate_of", "similarity"):
        assert kept[column].null_count() == len(kept)
    assert set(dropped["step"]) == {"decide"} and set(dropped["rule"]) <= set(manifest.rules)
    assert (dropped["value"].is_null() ^ dropped["value_text"].is_null()).all() and not dropped["bound_text"].has_nulls()
    assert set(duplicate["step"]) == {"deduplicate"} and set(duplicate["rule"]) == {"exact", "minhash"}
    assert set(unreadable["step"]) == {"read"}
    for frame in (dropped, unreadable):
        assert frame["cluster_id"].null_count() == len(frame)
    assert ledger["excerpt"].str.len_chars().max() == 200


def test_numbers_compare_and_sort_as_numbers(ledger, reference):
    """In DuckDB; a value is that of the measure's column, not rounded."""
    files = f"{reference}/ledger/*.parquet"
    rows = duckdb.sql(
        f"select value, chars, bound from '{files}' where rule = 'chars' and value < 50 order by value"
    ).fetchall()
    assert rows and rows == sorted(rows) and all(value == chars < bound for value, chars, bound in rows)
    per_rule = duckdb.sql(
        f"select rule, min(value - bound), max(value - bound) from '{files}' where value_text is null group by 1"
    )
    for rule, least, most in per_rule.fetchall():
        if rule is not None and rule not in ("exact", "minhash"):
            assert least > 0 or most < 0, rule  # on one side of its bound, or NULL where a rule has two
    for rule, of_rule in ledger.filter((pl.col("verdict") == "dropped") & pl.col("value").is_not_null()).group_by("rule"):
        assert (of_rule["value"] == of_rule[rule[0]].cast(pl.Float64)).all()


def test_shards_hold_what_the_ledger_says_was_kept(ledger, shards, mixed):
    kept = ledger.filter(verdict="kept")
    assert sorted(shards["id"]) == sorted(kept["id"])
    assert shards.columns == "id text source license language language_score chars cluster_size".split()
    assert set(shards["source"]) == {f"cc100-ja/{mixed.name}"} and set(shards["language"]) == {"ja"}
    assert (shards["text"].str.len_chars() == shards["chars"]).all()
    joined = shards.join(kept, on="id", suffix="_ledger", validate="1:1")
    for column in ("language", "chars", "cluster_size"):
        assert (joined[column] == joined[f"{column}_ledger"]).all()
    raw = dict(split_documents(mixed.read_bytes()))
    plain = joined.filter(~pl.col("text").str.contains("^(空白行|零|改行)"))
    assert len(plain) > 250
    for id_, text in plain.select("id", "text").iter_rows():
        assert raw[int(id_.split("/")[1])].decode().replace("\r\n", "\n") == text


def test_duplicates(ledger):
    duplicates = ledger.filter(verdict="duplicate")
    kept = ledger.filter(verdict="kept")
    # 20 documents repeat another in all but spaces at the end; of 15 pairs with different last lines one each is left.
    assert len(duplicates.filter(rule="exact")) == 20
    assert len(duplicates.filter(rule="minhash")) == 15
    assert (duplicates.filter(rule="exact")["similarity"] == 1).all()
    assert (duplicates["similarity"] >= 0.78).all()
    assert duplicates["duplicate_of"].is_in(kept["id"].implode()).all()
    sizes = ledger.filter(pl.col("cluster_id").is_not_null()).group_by("cluster_id").agg(pl.len(), pl.first("cluster_size"))
    assert (sizes["len"] == sizes["cluster_size"]).all()


def test_validation_is_split_by_cluster(build, mixed, tmp_path):
    out = tmp_path / "out"
    sets = ("--set", SMALL_PARTITIONS, "--set", "shards.validation=0.3", "--set", "deduplicate.threshold=0.99")
    done = build("cc100-ja", "--input", mixed, "--out", out, *sets, "--set", "shards.size=50 KB")
    assert done.returncode == 0, done.stderr
    names = [p.name for p in sorted((out / "data").iterdir())]
    trains = [n for n in names if n.startswith("train")]
    assert trains == [f"train-{i:05d}-of-{len(trains):05d}.parquet" for i in range(len(trains))] and len(trains) > 2
    ledger = read_ledger(out).filter(verdict="kept")
    held = pl.read_parquet(out / "data" / "validation-*.parquet").with_columns(split=pl.lit("validation"))
    train = pl.read_parquet(out / "data" / "train-*.parquet").with_columns(split=pl.lit("train"))
    both = pl.concat([held, train]).join(ledger.select("id", "cluster_id"), on="id")
    assert len(both) == len(ledger)
    assert 0.15 < len(held) / len(both) < 0.45
    assert (both.group_by("cluster_id").agg(pl.col("split").n_unique())["split"] == 1).all()
    # In input order.
    assert train["id"].to_list() == sorted(train["id"]) and held["id"].to_list() == sorted(held["id"])


def test_counts_add_up_in_summary_card_and_output(reference, ledger):
    state = json.loads((reference / STATE_FOLDER / "state.json").read_text())
    for split, counted in state["splits"].items():
        chars = pl.concat(
            [pl.read_parquet(file, columns=["chars"]) for file in (reference / "data").glob(f"{split}-*")] or [NO_CHARS]
        )
        assert counted == [len(chars), chars["chars"].sum()], split
    verdicts = dict(ledger["verdict"].value_counts().iter_rows())
    assert {v: n for v, (n, _, _) in state["verdicts"].items()} == verdicts
    assert sum(verdicts.values()) == state["total"]["records"] == len(ledger)
    said = (reference.parent / "stdout").read_text()
    assert re.search(rf"read, clean +{len(ledger)} +{len(ledger) - verdicts['unreadable']} ", said)
    assert "polishing ratio" in said and "peak memory" in said and f"exact duplicate {20}" in said
    assert f"pl.scan_parquet('{reference}/data/*.parquet')" in said
    progress = (reference.parent / "stderr").read_text()
    for step in ("measure", "decide", "deduplicate", "write"):
        assert re.search(rf"^{step} +.*records", progress, re.M)
    card = (reference / "README.md").read_text()
    assert card.startswith("---\nlanguage:\n- ja\n") and f"| read, clean | {len(ledger):,} |" in card


def test_the_lock_file_is_a_manifest(reference, tmp_path, mixed):
    import hashlib

    lock = tomllib.loads((reference / "manifest.lock.toml").read_text("utf-8"))
    details = lock.pop("lock")
    assert details["inputs"] == [
        {"name": "mixed.txt", "size": mixed.stat().st_size, "bytes": mixed.stat().st_size,
         "sha256": hashlib.sha256(mixed.read_bytes()).hexdigest()}
    ]  # fmt: skip
    assert 0 < details["bands"] * details["rows"] <= 112
    # What was built is built again from the lock file as it stands.
    expected = load("cc100-ja", ["source.partition=20 KB", "license=unknown"])
    own = {
        "title": f"{expected.title} (own input)",
        "description": "",
        "homepage": None,
        "license_name": None,
        "license_link": None,
    }
    assert load(str(reference / "manifest.lock.toml")) == expected.model_copy(update=own)


def test_nothing_half_written_is_left(reference):
    assert find_temporaries(reference) == []
    assert sorted(p.name for p in reference.iterdir()) == [
        ".cache", "README.md", "SHA256SUMS", "croissant.json", "data", "ledger", "manifest.lock.toml", "report.html", "report.json"
    ]  # fmt: skip
    assert not [*(reference / STATE_FOLDER / "work").rglob("*.bin")]


# -- the same bytes


def test_same_bytes_on_two_workers(build_on_cluster, mixed, reference, tmp_path):
    out = tmp_path / "out"
    done = build_on_cluster("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(reference)


def test_the_partition_size_changes_no_record(build, mixed, reference, tmp_path, ledger):
    out = tmp_path / "out"
    done = build("cc100-ja", "--input", mixed, "--out", out)
    assert done.returncode == 0, done.stderr
    assert read_ledger(out).equals(ledger)
    assert hash_outputs(out) == hash_outputs(reference)


# -- rebuilding


@dataclass
class Corpus:
    out: Path
    options: tuple[object, ...]  # that it was built with


@pytest.fixture(scope="module")
def own_corpus(build, mixed, tmp_path_factory):
    """A built corpus that tests of this module may change."""
    out = tmp_path_factory.mktemp("own") / "out"
    options = ("--input", mixed, "--out", out, "--set", SMALL_PARTITIONS)
    done = build("cc100-ja", *options)
    assert done.returncode == 0, done.stderr
    return Corpus(out, options)


def test_unchanged_does_nothing(build, own_corpus):
    out, options = own_corpus.out, own_corpus.options
    before = list_times(out)
    done = build("cc100-ja", *options)
    assert done.returncode == 0
    assert "is up to date: nothing to do" in done.stdout and "pl.scan_parquet" in done.stdout
    assert list_times(out) == before


def test_a_changed_bound_measures_nothing_anew(build, own_corpus):
    out, options = own_corpus.out, own_corpus.options
    before = list_times(out / STATE_FOLDER / "work")
    old = hash_outputs(out)
    done = build("cc100-ja", *options, "--set", "rules.chars.at_least=200")
    assert done.returncode == 0, done.stderr
    after = list_times(out / STATE_FOLDER / "work")
    measured = {p: t for p, t in after.items() if "/measure-" in str(p)}
    assert measured and measured.items() <= before.items()
    assert not [p for p in after if "/decide-" in str(p) and p in before]
    ledger = read_ledger(out)
    short = ledger.filter(rule="chars")
    assert len(short) > 30 and set(short["bound"]) == {200} and (short["chars"] < 200).all()
    assert hash_outputs(out) != old
    # And back again.
    done = build("cc100-ja", *options)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == old


def test_plan_shows_and_writes_nothing(build, mixed, own_corpus, tmp_path):
    out = tmp_path / "out"
    done = build("cc100-ja", "--input", mixed, "--out", out, "--plan", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(mixed) in done.stdout and done.stdout.count("to do") == 5 and "othing was done" in done.stdout
    assert [*tmp_path.iterdir()] == []
    built, options = own_corpus.out, own_corpus.options
    before = list_times(built)
    said = build("cc100-ja", *options, "--plan").stdout
    assert list_times(built) == before
    assert len(re.findall(r"^ *(measure|decide|deduplicate|write) +done", said, re.M)) == 4 and "up to date" in said


def test_a_report_that_is_gone_comes_back(build, own_corpus):
    out, options = own_corpus.out, own_corpus.options
    before = hash_outputs(out)
    (out / "report.html").unlink()
    (out / "croissant.json").write_text("my own words", "utf-8")
    done = build("cc100-ja", *options)
    assert done.returncode == 0 and f"kept in {out / 'croissant.kept.json'}" in done.stdout, done.stderr
    assert (out / "report.html").is_file() and (out / "croissant.kept.json").read_text("utf-8") == "my own words"
    assert hash_outputs(out) == before and verify(out)[1] == []


def test_json_is_all_that_standard_output_has(build, own_corpus):
    done = build("cc100-ja", *own_corpus.options, "--json")
    summary, report = json.loads(done.stdout), json.loads((own_corpus.out / "report.json").read_text("utf-8"))
    assert "up to date" in done.stderr
    assert summary["folder"] == str(own_corpus.out)
    assert summary["funnel"] == report["funnel"] and summary["splits"] == report["splits"]
    dropped = {one["rule"]: one["records"] for one in report["reasons"] if one["verdict"] == "dropped"}
    assert {one["rule"]: one["records"] for one in summary["rules"]} == dropped
    assert build("cc100-ja", *own_corpus.options, "--json", "--plan").returncode == 2


# -- inputs


def test_several_inputs(build, tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a/1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n\n".join(make_sentences(f"{name}{i}") for i in range(30)), "utf-8")
    out = tmp_path / "out"
    done = build(
        "cc100-ja", "--input", "a/1.txt", "--input", "b/*.txt", "--out", "out", "--set", SMALL_PARTITIONS, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    expected = [
        f"cc100-ja/{name}/{offset:010d}"
        for name in ("a/1.txt", "b/1.txt", "b/2.txt")
        for offset, _ in split_documents((tmp_path / name).read_bytes())
    ]
    assert read_ledger(out)["id"].to_list() == expected
    assert (read_ledger(out)["verdict"] == "kept").all()  # without a single duplicate


def test_limit(build, mixed, tmp_path, ledger):
    """Into a folder that is named from elsewhere, with intermediates in another, beside what a link leads to."""
    out = tmp_path / "out"
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    done = build(
        "cc100-ja", "--input", mixed, "--out", "../out", "--work", "link/../work", "--limit", 45, "--set", SMALL_PARTITIONS,
        cwd=tmp_path / "here",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = read_ledger(out)
    assert found["id"].to_list() == ledger["id"].to_list()[:45]
    assert set(found["verdict"]) == {"kept", "dropped", "duplicate", "unreadable"}
    assert [*(tmp_path / "elsewhere" / "work").iterdir()] and not (tmp_path / "here" / "work").exists()


def test_a_manifest_of_ones_own_from_any_folder(build, tmp_path):
    (tmp_path / "my.toml").write_text(
        'name = "my-corpus"\ntitle = "My"\nlicense = "CC0-1.0"\n[source]\nformat = "cc100"\n'
        "[rules]\nchars = { at_least = 100 }\n[deduplicate]\nenabled = false\n[shards]\nvalidation = 0\n", "utf-8"
    )  # fmt: skip
    text = "\n\n".join([*(make_sentences(i) for i in range(20)), *(make_sentences(i) for i in range(5)), "短い。", "Hello."])
    (tmp_path / "in.txt").write_text(text, "utf-8")
    done = build("./my.toml", "--input", "in.txt", "--work", "intermediates", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "corpora" / "my-corpus"
    assert [p.name for p in (out / "data").iterdir()] == ["train-00000-of-00001.parquet"]
    ledger = read_ledger(out)
    assert ledger["verdict"].to_list() == ["kept"] * 25 + ["dropped"] * 2
    assert ledger["rule"].to_list()[25:] == ["chars", "chars"]
    assert ledger["bound"].to_list()[25:] == [100] * 2
    assert read_shards(out)["id"][0] == "my-corpus/0000000000"
    assert any((tmp_path / "intermediates").rglob("part-*.parquet")) and not any((out / STATE_FOLDER).rglob("part-*"))


def test_documents_that_all_break_a_rule(build, tmp_path):
    (tmp_path / "in.txt").write_text("短い。\n\nHello.\n", "utf-8")
    done = build("cc100-ja", "--input", tmp_path / "in.txt", "--out", tmp_path / "out")
    assert done.returncode == 1 and "not one of the documents was kept" in done.stderr
    assert build("cc100-ja", "--input", tmp_path / "in.txt", "--out", tmp_path / "out").returncode == 1, (
        "up to date, and as empty"
    )
    assert read_ledger(tmp_path / "out")["verdict"].to_list() == ["dropped"] * 2
    assert all(pq.read_metadata(p).num_rows == 0 for p in (tmp_path / "out" / "data").iterdir())


def test_usage(build):
    for arguments, words in (
        ([], "name a manifest, such as cc100-ja"),
        (["cc100-ja", "--workers", "-1"], "--workers"),
        (["cc100-ja", "--download", "--input", "x"], "exclude one another"),
        (["cc100-ja", "--inptu", "x"], "--input"),
    ):
        done = build(*arguments)
        assert done.returncode == 2 and words in done.stderr and done.stdout == ""
