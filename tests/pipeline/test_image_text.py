"""Builds of image-text pairs as users run them."""

import io
import os

import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.builds import find_temporaries, get_key, hash_outputs, read_keyed_ledger, read_ledger_rows, read_shards
from tests.support.images import SMALL_PARTITIONS, Pair, draw_picture, encode_image, make_caption, write_pairs


def test_every_pair_has_its_verdict(pair_corpus, pairs):
    found = read_ledger_rows(pair_corpus)
    assert sorted(found) == sorted(pairs) and len(read_keyed_ledger(pair_corpus)) == len(pairs)
    kept = {key for key, row in found.items() if row["verdict"] == "kept"}
    assert {f"good{i:03}" for i in range(12, 60)} | {"large", "flipped", "entity"} <= kept
    for i in range(0, 12, 2):
        assert {found[f"good{i:03}"]["verdict"], found[f"same{i:03}"]["verdict"]} == {"kept", "duplicate"}
        loser = min(found[f"good{i:03}"], found[f"same{i:03}"], key=lambda row: row["verdict"])
        assert (loser["rule"], loser["similarity"], loser["step"]) == ("exact", 1.0, "deduplicate")
    for key in ("small", "bright"):
        row = found[key]
        assert (row["verdict"], row["rule"], row["step"]) == ("duplicate", "phash", "deduplicate")
        assert row["duplicate_of"] == found["large"]["id"] and row["cluster_id"] == found["large"]["cluster_id"]
    rules = {key: found[key]["rule"] for key in ("back", "english", "empty", "blank")}
    assert rules["back"] == "navigation_share" and rules["english"] == "caption_language" and rules["empty"] == "chars"
    assert found["icon"]["verdict"] == "dropped" and found["blank"]["verdict"] == "dropped"
    assert found["failed"]["value_text"] == "failed_to_download: HTTP Error 404: Not Found"
    assert found["failed"]["excerpt"] == "取得に失敗した写真"
    assert found["cut"]["verdict"] == "unreadable" and found["cut"]["value_text"].startswith("truncated JPEG")


def test_shards_hold_images_as_they_came_with_all_their_captions(pair_corpus, pairs, tmp_path):
    import datasets  # late: takes a second in every worker

    corpus = datasets.load_dataset(str(pair_corpus), cache_dir=str(tmp_path))
    rows = [row for split in corpus.values() for row in split]
    by_key = {get_key(row["id"]): row for row in rows}
    assert all(isinstance(row["image"], Image.Image) and row["image"].size == (row["width"], row["height"]) for row in rows)
    large = by_key["large"]
    assert large["captions"] == ["大きいほうが残るはずの写真", "小さいほうの写真の説明", "すこし明るい写真の説明"]
    assert (large["caption"], large["cluster_size"]) == (large["captions"][0], 3)
    assert by_key["good030"]["captions"] == [make_caption(30)] and by_key["entity"]["caption"] == '「犬 & 猫」"仲よし" 二匹'
    for path in (pair_corpus / "data").glob("*.parquet"):
        for row in pq.read_table(path, columns=["id", "image", "url", "license"]).to_pylist():
            key = get_key(row["id"])
            assert row["image"]["bytes"] == pairs[key].image and row["image"]["path"] == f"{key}.jpg"
            assert row["url"] == f"https://example.com/{key}" and row["license"]
    sources = read_shards(pair_corpus).join(read_keyed_ledger(pair_corpus), on=["id", "source"], how="anti")
    assert sources.is_empty() and {row["source"] for row in rows} == {
        f"laion-ja/{tar}.tar" for tar in ("00000", "00001", "00002")
    }
    card = (pair_corpus / "README.md").read_text("utf-8")
    assert "- text-to-image" in card and "ペア" in card and "`navigation_share`" in card and "Hamming" not in card


def test_same_bytes_on_two_workers(build_on_cluster, pair_shards, pair_corpus, tmp_path):
    done = build_on_cluster("laion-ja", "--input", f"{pair_shards}/*.tar", "--out", tmp_path / "o", "--set", SMALL_PARTITIONS)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(tmp_path / "o") == hash_outputs(pair_corpus)


def test_same_bytes_after_kills_and_on_two_workers(kill_at, build_on_cluster, pair_shards, pair_corpus, tmp_path):
    out = tmp_path / "out"
    arguments = ("laion-ja", "--input", f"{pair_shards}/*.tar", "--out", out, "--set", SMALL_PARTITIONS)
    for wanted in (3, 20):
        kill_at(wanted, out, *arguments, "--workers", 0)
    done = build_on_cluster(*arguments)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(pair_corpus) and find_temporaries(out) == []


def test_the_same_pairs_from_other_forms_give_the_same_verdicts(build, pair_shards, pairs, pair_corpus, tmp_path):
    """The archives without sidecars, and the list of URLs with the archives as its images."""
    expected = {key: (row["verdict"], row["rule"]) for key, row in read_ledger_rows(pair_corpus).items()}
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in pair_shards.glob("*.tar"):
        os.link(path, bare / path.name)
    done = build("laion-ja", "--input", bare, "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert {k: (r["verdict"], r["rule"]) for k, r in read_ledger_rows(tmp_path / "a").items()} == {
        k: v for k, v in expected.items() if k != "failed"
    }
    listed = tmp_path / "list.tsv"
    order = sorted(pairs)
    lines = [f"https://example.com/{key}\t{(pairs[key].caption or '').replace(chr(10), ' ')}\n" for key in order]
    listed.write_text("".join(lines), "utf-8")
    done = build("cc12m-ja", "--input", listed, "--images", pair_shards, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    rows = read_keyed_ledger(tmp_path / "b")
    assert rows["id"].to_list() == [f"cc12m-ja/{i:010}" for i in range(len(order))]
    # Which of two rows with the same bytes survives depends on their order in the input.
    loose = {key for key in pairs if key[:4] in ("good", "same") and int(key[4:]) < 12}
    found = dict(zip(order, zip(rows["verdict"], rows["rule"])))
    assert {k: v for k, v in found.items() if k not in loose} == {k: v for k, v in expected.items() if k not in loose}
    assert sorted(found[key][0] for key in loose) == sorted(expected[key][0] for key in loose)
    # A URL that nothing was fetched for is a row, too.
    listed.write_text(lines[0] + "https://example.com/none\t誰も取得していない写真\n", "utf-8")
    done = build("cc12m-ja", "--input", listed, "--images", pair_shards, "--out", tmp_path / "c")
    assert (
        read_keyed_ledger(tmp_path / "c")["value_text"].to_list()[1] == "no image: the folder of images has none for this row"
    )


def test_resized_and_encoded_anew(build, pair_shards, pair_corpus, tmp_path):
    out = tmp_path / "o"
    done = build("laion-ja", "--input", f"{pair_shards}/*.tar", "--out", out, "--set", "shards.shorter_side=64",
                 "--set", "shards.format=webp", "--set", "shards.row_group=20 KB", "--set", "shards.size=150 KB",
                 "--set", SMALL_PARTITIONS)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [row for path in (out / "data").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["id"] for row in rows} == set(pl.read_parquet(pair_corpus / "data" / "*.parquet", columns=["id"])["id"])
    for row in rows:
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert image.format == "WEBP" and image.size == (row["width"], row["height"]) and min(image.size) == 64
        assert row["image"]["path"].endswith(".webp")
    files = [pq.ParquetFile(path) for path in (out / "data").glob("train-*.parquet")]
    assert len(files) > 1 and max(file.metadata.num_row_groups for file in files) > 1


def test_one_caption_on_many_images_stays_up_to_the_cap(build, tmp_path):
    many = [Pair(f"{i:03}", encode_image(draw_picture(1000 + i, 160 + 2 * i, 120 + 2 * i)), "犬") for i in range(12)]
    many += [Pair(f"{i:03}", encode_image(draw_picture(1000 + i)), f"犬の写真{i}号") for i in range(12, 15)]
    path = write_pairs(tmp_path / "dogs.tar", many)
    done = build("laion-ja", "--input", path, "--out", tmp_path / "o", "--set", "deduplicate.same_caption=10")
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    assert {key for key, row in found.items() if row["verdict"] != "kept"} == {"000", "001"}
    row = found["000"]
    assert (row["verdict"], row["step"], row["rule"], row["value"], row["bound_text"]) == (
        "dropped", "deduplicate", "same_caption", 12, "<= 10",
    )  # fmt: skip
    assert found["011"]["caption_images"] == 12 and found["013"]["caption_images"] == 1
    assert "`same_caption`" in (tmp_path / "o" / "README.md").read_text("utf-8")
    done = build("laion-ja", "--input", path, "--out", tmp_path / "p", "--set", "deduplicate.enabled=false")
    assert done.returncode == 0 and len(read_shards(tmp_path / "p")) == 15


def test_scores_of_the_source_are_rules_and_columns(build, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i in range(4):
        (images / f"{i}.png").write_bytes(encode_image(draw_picture(i), "PNG"))
    listed = tmp_path / "list.parquet"
    pl.DataFrame(
        {
            "URL": [f"https://example.jp/{i}.png?x=1" for i in range(4)],
            "TEXT": [make_caption(i) for i in range(4)],
            "similarity": [0.31, 0.01, None, float("nan")],
            "punsafe": [0.01, 0.01, 0.99, None],
            "WIDTH": [1000.0, None, 800.0, 3.0],
            "HEIGHT": [900.0, 5.0, 600.0, 3.0],
            "LICENSE": ["?", None, "CC0-1.0", None],
            "SOURCE": [None, None, None, "abc"],
        }
    ).write_parquet(listed)
    done = build("waon-ja", "--input", listed, "--images", images, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    rows = read_keyed_ledger(tmp_path / "o")
    assert rows["rule"].to_list() == [None, "caption_similarity", "punsafe", None]
    assert rows["original_shorter_side"].to_list() == [900, 120, 600, 3]
    kept = read_shards(tmp_path / "o").sort("id")
    assert kept["similarity"].to_list() == [pytest.approx(0.31), None] and kept["license"][0] == "?"
    assert rows["source"].to_list() == ["waon-ja/list.parquet"] * 3 + ["abc"]
    assert kept["source"].to_list() == ["waon-ja/list.parquet", "abc"]
