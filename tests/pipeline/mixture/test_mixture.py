"""Mixtures as users build them: what is kept, of whom, how much, in which order, and what is said about it."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.core.ownership import STATE_FOLDER
from pipeline.explain.command import main as explain
from tests.pipeline.mixture.conftest import Mixed, Parts, documents_of, named
from tests.support.builds import find_temporaries, hash_outputs, list_times, read_ledger

SMALL_SHARDS = '[shards]\nsize = "40 KB"\nrow_group = 16\nvalidation = 0.1'


@pytest.fixture(scope="module")
def everything(mix, parts: Parts) -> Mixed:
    """All of the three, the first in the file before the others."""
    return mix(parts.mixture("alpha\nbeta\ngamma", SMALL_SHARDS, "everything"))


def rows_by_beginning(ledger: pl.DataFrame, part: str) -> dict[str, dict]:
    return {row["excerpt"][:60]: row for row in ledger.filter(part=part).iter_rows(named=True)}


def test_the_part_with_the_higher_priority_keeps_what_several_have(everything, parts):
    alpha, beta, gamma = (rows_by_beginning(everything.ledger, name) for name in ("alpha", "beta", "gamma"))
    shards = {row["id"]: row for row in everything.shards.iter_rows(named=True)}
    assert all(row["verdict"] == "kept" for row in alpha.values())
    for number, text in enumerate(parts.texts["alpha"][:40]):
        kept, lost = alpha[text[:60]], beta[text[:60]]
        assert (lost["verdict"], lost["duplicate_of"], lost["step"]) == ("duplicate", kept["id"], "deduplicate")
        assert lost["rule"] == ("exact" if number < 10 else "minhash") and lost["similarity"] >= 0.78
        seen = ["alpha", "beta", "gamma"] if 10 <= number < 15 else ["alpha", "beta"]
        assert shards[kept["id"]]["sources_seen"] == kept["sources_seen"] == seen
    for text in parts.texts["beta"][:50]:
        assert gamma[text[:60]]["duplicate_of"] == beta[text[:60]]["id"]
    assert everything.ledger.filter(verdict="duplicate").height == 40 + 55
    # Of the beginning of beta one was removed within beta already: three records of the input became this one.
    assert shards[alpha[parts.texts["alpha"][0][:60]]["id"]]["cluster_size"] == 3
    assert everything.shards.filter(pl.col("sources_seen").list.len() == 1)["cluster_size"].to_list() == [1] * (
        150 + 100 + 30 - 90
    )


def test_nothing_is_lost(everything, parts):
    kept = {
        name: json.loads((parts.folder / name / STATE_FOLDER / "state.json").read_text())["verdicts"]["kept"]
        for name in parts.texts
    }
    by_part = dict(everything.ledger.group_by("part").len().iter_rows())
    assert by_part == {name: counts[0] for name, counts in kept.items()}
    shards, ledger = everything.shards, everything.ledger
    assert sorted(shards["id"]) == sorted(ledger.filter(verdict="kept")["id"]) and ledger["id"].is_unique().all()
    # The rows are those of the parts, but for what the mixture knows better.
    for name in parts.texts:
        part = pl.read_parquet(parts.folder / name / "data" / "*.parquet")
        columns = ["id", "text", "source", "license", "language", "language_score", "chars"]
        ours = shards.filter(part=name).select(columns).sort("id")
        assert ours.equals(part.join(ours, on="id", how="semi").select(columns).sort("id"))
        assert ours["license"].unique().to_list() == [f"terms of {name}"]


def test_the_order_is_drawn_over_the_whole_mixture(everything, mix, parts):
    train = pl.read_parquet(everything.out / "data" / "train-*.parquet")
    names = train["part"].to_list()
    changes = sum(a != b for a, b in zip(names, names[1:]))
    assert changes > len(names) / 3 and train["id"].to_list() != sorted(train["id"])
    other = mix(parts.mixture("alpha\nbeta\ngamma", "seed = 2\n" + SMALL_SHARDS, "seed"))
    assert other.shards["id"].to_list() != everything.shards["id"].to_list()
    assert sorted(other.shards["id"]) == sorted(everything.shards["id"])


def test_duplicates_across_parts_are_those_that_one_corpus_would_have(build, parts, mix, tmp_path):
    """Two parts without deduplication of their own, of one priority: the mixture finds what a build of both together finds."""
    texts = [*parts.texts["beta"], *parts.texts["gamma"]]
    for name, documents in (("left", texts[:140]), ("right", texts[140:]), ("both", texts)):
        raw = tmp_path / f"{name}.txt"
        raw.write_text("\n\n".join(documents) + "\n", "utf-8")
        more = () if name == "both" else ("deduplicate.enabled=false",)
        assert build("cc100-ja", "--input", raw, "--out", tmp_path / name, *named(name, *more)).returncode == 0
    together = read_ledger(tmp_path / "both")
    mixed = mix(parts.mixture(f"{tmp_path}/left priority = 1\n{tmp_path}/right priority = 1", name="across")).ledger
    position = {id_: at for ledger in (together, mixed) for at, id_ in enumerate(ledger["id"])}
    found = [
        {
            (position[a], position[b], kind)
            for a, b, kind in ledger.filter(verdict="duplicate").select("id", "duplicate_of", "rule").rows()
        }
        for ledger in (together, mixed)
    ]
    assert found[0] == found[1] and len(found[0]) > 50
    assert sorted(together.filter(verdict="kept")["cluster_size"]) == sorted(mixed.filter(verdict="kept")["cluster_size"])


def test_who_reads_it(everything, tmp_path):
    import datasets
    import duckdb

    data = everything.out / "data"
    assert len([*data.glob("train-*")]) > 2 and [*data.glob("validation-*")]
    count = len(everything.shards)
    loaded = datasets.load_dataset(str(everything.out), cache_dir=str(tmp_path))
    assert sum(split.num_rows for split in loaded.values()) == count
    row = next(iter(datasets.load_dataset(str(everything.out), split="train", streaming=True)))
    assert row["part"] in row["sources_seen"] and row["epoch"] == 1
    query = f"select count(*) from '{data}/*.parquet' where list_contains(sources_seen, 'beta') and part = 'alpha'"
    assert duckdb.sql(query).fetchall() == [(40,)]
    files = sorted(data.glob("train-*"))
    assert sum(pq.read_metadata(f).num_rows for f in files) == loaded["train"].num_rows
    groups = [pq.read_metadata(files[0]).row_group(i).num_rows for i in range(pq.read_metadata(files[0]).num_row_groups)]
    assert groups[:-1] == [16] * (len(groups) - 1)
    assert not list((everything.out / STATE_FOLDER).glob("write-*")) and find_temporaries(everything.out) == []


def test_columns_that_only_some_parts_have(build, mix, parts, tmp_path):
    lines = [
        {"text": text, "url": f"https://example.com/{i}", "date": "2026-01-01"}
        | ({"license": "MIT", "source": "s"} if i < 9 else {})
        for i, text in enumerate(documents_of("web", 30))
    ]
    raw = tmp_path / "web.jsonl"
    raw.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    assert (
        build("jsonl", "--input", raw, "--out", tmp_path / "web", *named("web"), "--set", "rules.preset=ja-web").returncode == 0
    )
    mixed = mix(parts.mixture(f"beta\n{tmp_path}/web", name="columns"))
    shards = mixed.shards
    assert shards.columns[:3] == ["id", "text", "source"] and shards.columns[-3:] == ["part", "sources_seen", "epoch"]
    assert shards.filter(part="beta")["url"].null_count() == shards.filter(part="beta").height
    assert sorted(shards.filter(part="web")["url"]) == sorted(line["url"] for line in lines)
    for frame in (shards, mixed.ledger.filter(verdict="kept")):
        assert dict(frame["source"].value_counts().rows()) == {"beta/beta.txt": len(shards) - 30, "s": 9, "web/web.jsonl": 21}
    assert "| `MIT` | 9 |" in mixed.card and f"| `terms of beta` | {len(shards) - 30:,} |" in mixed.card


def test_a_sample_among_the_parts_is_told(mix, parts, tmp_path):
    folder = tmp_path / "sample"
    shutil.copytree(parts.folder / "beta", folder)
    inputs = json.loads((folder / STATE_FOLDER / "inputs.json").read_text("utf-8"))
    (folder / STATE_FOLDER / "inputs.json").write_text(json.dumps([inputs[0] | {"identity": "sample-0"}]), "utf-8")
    mixed = mix(parts.mixture(f"{folder}", name="sampled"))
    assert "beta is built from its embedded sample" in mixed.stdout and "beta is built from its embedded sample" in mixed.card


def test_a_part_that_loses_most_to_another_is_told(everything):
    words = "gamma loses 50 of its 85 documents (59%) to beta"
    assert words in everything.stdout and words in everything.card
    assert "beta loses" not in everything.stdout


def test_how_many_documents_several_parts_have_is_told(everything):
    shared = everything.ledger.filter((pl.col("verdict") != "duplicate") & (pl.col("sources_seen").list.len() > 1)).height
    assert shared == 90 and f"{shared} of the documents left are in several parts" in everything.stdout
    assert f"{shared} of the documents left are in several sources" in everything.card


def test_weights_are_met_by_characters(mix, parts):
    weights = {"gamma": 0.2, "alpha": 0.5, "beta": 0.3}
    settings = {"gamma": "epochs = 3; priority = 1", "alpha": "priority = 5", "beta": "priority = 5"}
    lines = [f"{name} weight = {weight}; {settings[name]}" for name, weight in weights.items()]
    mixed = mix(parts.mixture("\n".join(lines), SMALL_SHARDS, "weights"))
    chars = dict(mixed.shards.group_by("part").agg(pl.sum("chars")).iter_rows())
    total = sum(chars.values())
    for name, weight in weights.items():
        assert abs(chars[name] / total - weight) < 0.001, (name, chars)
    # Of two parts with one priority neither keeps all: quality, length and then the order of the file decide.
    both = mixed.ledger.filter((pl.col("verdict") == "duplicate") & pl.col("part").is_in(["alpha", "beta"]))
    assert set(both["part"]) == {"alpha", "beta"}
    # One part is used to the end of its epochs; nothing that is held out is repeated.
    repeated = mixed.shards.filter(pl.col("epoch") > 1)
    validation = pl.read_parquet(mixed.out / "data" / "validation-*.parquet")
    assert set(repeated["part"]) <= {"gamma"} and (validation["epoch"] == 1).all()
    dropped = mixed.ledger.filter(verdict="dropped")
    assert set(dropped["rule"]) == {"budget"} and set(dropped["step"]) == {"select"}
    assert (dropped["value"] >= dropped["bound"]).all() and dropped["bound_text"].str.starts_with("< ").all()
    assert dropped["epochs"].to_list() == [0] * len(dropped)
    assert "`value` is a document's place in that order, from 0 (first) to 1 (last)" in mixed.card
    for line in ("| `gamma` |", "| `alpha` |"):
        assert line in mixed.card


def test_copies_are_spread_and_counted(mix, parts):
    mixed = mix(parts.mixture("gamma chars = 60_000; epochs = 4\nalpha", SMALL_SHARDS, "copies"))
    train = pl.read_parquet(mixed.out / "data" / "train-*.parquet").with_row_index("at")
    copies = train.filter(part="gamma").group_by("id").agg(pl.col("at").sort_by("epoch"), pl.col("epoch").sort())
    many = copies.filter(pl.col("epoch").list.len() > 1)
    assert len(many) > 20
    for at, epochs in many.select("at", "epoch").iter_rows():
        assert epochs == [*range(1, len(epochs) + 1)] and at == sorted(at)
        assert min(b - a for a, b in zip(at, at[1:])) > len(train) / len(at) / 2
    assert abs(mixed.shards.filter(part="gamma")["chars"].sum() - 60_000) <= 60
    counted = dict(mixed.shards.group_by("id").len().iter_rows())
    assert all(counted.get(i, 0) == n for i, n in mixed.ledger.select("id", "epochs").iter_rows())


def test_a_smaller_budget_takes_some_of_what_a_larger_takes(mix, parts):
    small, large = (
        mix(parts.mixture(f"alpha chars = {budget}", "[deduplicate]\nenabled = false", f"budget-{budget}"))
        for budget in (12_000, 30_000)
    )
    assert abs(small.shards["chars"].sum() - 12_000) <= 12 and abs(large.shards["chars"].sum() - 30_000) <= 30
    # But for the last few, which are chosen for their size.
    assert len(set(small.shards["id"]) - set(large.shards["id"])) <= 3


def test_a_part_that_has_too_little_is_told_with_what_was_reached(mix, parts):
    mixed = mix(parts.mixture("gamma chars = 1_000_000; epochs = 2\nbeta chars = 9_000", name="short"))
    assert "warning: gamma has too little:" in mixed.stdout and "of 1,000,000 characters" in mixed.stdout
    assert "with every document 2 times" in mixed.stdout and "gamma has too little" in mixed.card
    assert set(mixed.shards.filter(part="gamma")["epoch"]) == {1, 2}


def test_nothing_to_do_and_what_changed(mix, build, parts, tmp_path):
    manifest = parts.mixture("alpha chars = 20_000\nbeta", SMALL_SHARDS, "again")
    mixed = mix(manifest)
    before = list_times(mixed.out)
    assert "up to date" in build(manifest, "--out", mixed.out).stdout and list_times(mixed.out) == before
    plan = build(manifest, "--out", mixed.out, "--plan")
    assert "a build would do nothing" in plan.stdout and "documents" in plan.stdout and list_times(mixed.out) == before
    work = set((mixed.out / STATE_FOLDER / "work").iterdir())
    done = build(manifest, "--out", mixed.out, "--set", "seed=3")
    assert done.returncode == 0 and "up to date" not in done.stdout
    kept = {p.name for p in work if p.name.startswith("deduplicate")}
    assert kept <= {p.name for p in (mixed.out / STATE_FOLDER / "work").iterdir()}
    (tmp_path / "corpora").symlink_to(parts.folder)  # a lock has the names of its parts, not where they lay
    lock = build(mixed.out / "manifest.lock.toml", "--out", tmp_path / "locked", cwd=tmp_path)
    assert lock.returncode == 0, lock.stderr
    assert hash_outputs(tmp_path / "locked") == hash_outputs(mixed.out)


def test_killed_the_build_goes_on_and_makes_the_same_on_any_number_of_workers(kill_at, build_on_cluster, mix, parts, tmp_path):
    """Begun in one process, gone on with on two workers, finished on two others, as one process alone makes it."""
    manifest = parts.mixture("gamma weight = 0.3; epochs = 2\nalpha weight = 0.7", SMALL_SHARDS, "killed")
    undisturbed = hash_outputs(mix(manifest).out)
    assert len(undisturbed) > 4
    out = tmp_path / "out"
    for workers, moment in ((0, 9), (2, 40)):
        kill_at(moment, out, manifest, "--out", out, "--workers", workers)
        for path in (p for p in out.rglob("*.parquet") if not p.name.startswith(".")):
            pl.read_parquet(path)
    done = build_on_cluster(manifest, "--out", out)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == undisturbed and find_temporaries(out) == []


def test_a_document_of_a_mixture_is_explained(everything):
    for verdict in ("kept", "duplicate"):
        row = everything.ledger.filter(verdict=verdict).row(0, named=True)
        shown = CliRunner().invoke(explain, [str(everything.out), row["id"]], env={"SEIMAI_LANG": "en", "COLUMNS": "100"})
        assert shown.exit_code == 0 and shown.stdout.startswith(f"{row['id']}  {verdict}"), shown.output
        assert (
            "a mixture reads no input; ask the corpus that it is of" in shown.stdout and f"part: {row['part']}" in shown.stdout
        )
