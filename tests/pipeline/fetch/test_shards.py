"""Finished shards: their layout, their bytes, and fetching again."""

import hashlib
import io
import json

import pytest
from PIL import Image

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.fetch.command import fetch
from pipeline.fetch.settings import FetchSettings
from pipeline.verify import verify
from tests.support.damage import damage


def test_shards_are_img2datasets(site, console, write_list, shards_in, tmp_path):
    urls = [f"{site.url}/image/{i}" for i in range(5)]
    rows = [
        *((url, f"説明の文 {i}") for i, url in enumerate(urls)),
        (f"{site.url}/nothing", "ない"),
        ("悪い", "URL"),
        (urls[0], "再び"),
    ]
    source = write_list(tmp_path / "list.tsv", rows)
    asked = site.requests["/image/0"]
    summary = fetch([source], tmp_path / "out", FetchSettings(allow_private=True, shard_size=8), console)
    assert site.requests["/image/0"] == asked + 1  # though it is in the list twice
    assert summary.rows == 8 and summary.requested == 7
    assert summary.statuses == {"success": 6, "failed_to_download": 2}
    assert summary.reasons == {"HTTP 404": 1, "bad URL": 1}
    table = shards_in(tmp_path / "out").sidecars()
    assert table.columns == [
        "url", "caption", "key", "status", "error_message", "width", "height", "original_width", "original_height", "sha256",
    ]  # fmt: skip
    assert table["url"].to_list() == [url for url, _ in rows]
    assert table["caption"].to_list() == [caption for _, caption in rows]
    assert table["key"].to_list() == [f"00000{i}" for i in range(8)]
    files = shards_in(tmp_path / "out").members("00000.tar")
    assert list(files) == [f"00000{i}.{e}" for i in (0, 1, 2, 3, 4, 7) for e in ("jpg", "txt", "json")]
    for i, said in enumerate(table.iter_rows(named=True)):
        if said["status"] == "success":
            image = files[f"{said['key']}.jpg"]
            assert image == site.picture(i % 7) and hashlib.sha256(image).hexdigest() == said["sha256"]
            assert Image.open(io.BytesIO(image)).size == (said["width"], said["height"])
            assert files[f"{said['key']}.txt"].decode() == said["caption"]
            assert json.loads(files[f"{said['key']}.json"]) == said
    stats = json.loads((tmp_path / "out" / "00000_stats.json").read_text())
    assert (stats["count"], stats["successes"], stats["failed_to_download"], stats["failed_to_resize"]) == (8, 6, 2, 0)
    assert stats["status_dict"] == {"success": 6, "HTTP 404": 1, "bad URL": 1}
    assert stats["start_time"] <= stats["end_time"]
    assert not list((tmp_path / "out" / STATE_FOLDER / "spool").iterdir())


def test_two_runs_give_the_same_bytes_and_the_second_asks_for_nothing(
    site, quick_paths, console, write_list, shards_in, tmp_path
):
    rows = [(f"{site.url}/{path}", f"文 {i}") for i, path in enumerate(quick_paths)]
    rows += [(f"{site.url}/image/{i}?same", f"画像 {i}") for i in range(40)]
    source = write_list(tmp_path / "list.tsv", rows)
    for name, connections in (("a", 50), ("b", 7)):
        settings = FetchSettings(
            allow_private=True, shard_size=20, connections=connections, timeout=30, retries=0, max_bytes=50_000
        )
        fetch([source], tmp_path / name, settings, console)
    assert shards_in(tmp_path / "a").digests() == shards_in(tmp_path / "b").digests()
    before = site.requests.total()
    assert fetch([source], tmp_path / "a", settings, console).requested == 0
    assert site.requests.total() == before
    assert shards_in(tmp_path / "a").sidecars()["url"].to_list() == [url for url, _ in rows]


def test_retry_failed_asks_only_for_what_may_pass(site, console, write_list, shards_in, tmp_path):
    paths = [*(f"image/{i}?again" for i in range(6)), "then/500?again", "nothing?again", "then/404?again", "reset?again"]
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/{path}", path) for path in paths])
    settings = FetchSettings(allow_private=True, retries=0)
    assert fetch([source], tmp_path / "out", settings, console).statuses["success"] == 6
    first = shards_in(tmp_path / "out").members("00000.tar")
    assert fetch([source], tmp_path / "out", settings, console).requested == 0
    again = fetch([source], tmp_path / "out", FetchSettings(allow_private=True, retries=0, retry_failed=True), console)
    assert again.requested == 2 and again.statuses["success"] == 7
    assert again.reasons == {"HTTP 404": 2, "connection broken off": 1}
    assert [site.requests[f"/{path}"] for path in paths[:6]] == [1] * 6 and site.requests["/nothing?again"] == 1
    assert shards_in(tmp_path / "out").members("00000.tar").items() > first.items()
    assert shards_in(tmp_path / "out").sidecars()["url"].to_list() == [f"{site.url}/{path}" for path in paths]


def test_private_addresses_may_be_allowed_afterwards(site, console, write_list, shards_in, tmp_path):
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/{i}?private", "一") for i in range(3)])
    first = fetch([source], tmp_path / "out", FetchSettings(), console)
    assert first.reasons == {"private address": 3}
    assert "--allow-private --retry-failed" in console.file.getvalue()
    assert fetch([source], tmp_path / "out", FetchSettings(retry_failed=True), console).requested == 0
    again = fetch([source], tmp_path / "out", FetchSettings(allow_private=True, retry_failed=True), console)
    assert again.requested == again.statuses["success"] == 3


def test_images_of_a_coco_file(site, console, write_list, shards_in, tmp_path):
    coco = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "coco_url": f"{site.url}/image/{i}?coco"} for i in range(3)],
        "annotations": [{"id": 10 + i, "image_id": i % 3, "caption": f"説明{i}"} for i in range(6)],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(coco), "utf-8")
    done = fetch([str(path)], tmp_path / "out", FetchSettings(allow_private=True), console)
    assert (done.rows, done.requested, done.statuses) == (6, 3, {"success": 6})
    assert shards_in(tmp_path / "out").sidecars()["caption"].to_list() == [f"説明{i}" for i in range(6)]


def test_another_list_is_refused(site, console, write_list, shards_in, tmp_path):
    one = write_list(tmp_path / "one.tsv", [(f"{site.url}/image/{i}", "一") for i in range(6)])
    two = write_list(tmp_path / "two.tsv", [(f"{site.url}/image/{i}?two", "二") for i in range(6)])
    less = write_list(tmp_path / "less.tsv", [(f"{site.url}/image/{i}", "一") for i in range(3)])
    settings = FetchSettings(allow_private=True, shard_size=3)
    fetch([one], tmp_path / "out", settings, console)
    with pytest.raises(UsageError, match="another list"):
        fetch([two], tmp_path / "out", settings, console)
    with pytest.raises(UsageError, match="--shard-size"):
        fetch([one], tmp_path / "out", FetchSettings(allow_private=True, shard_size=6), console)
    with pytest.raises(BuildError, match=r"00001.parquet"):
        fetch([less], tmp_path / "out", settings, console)


def test_of_a_damaged_shard_only_what_is_damaged_is_fetched_again(site, console, write_list, shards_in, tmp_path):
    rows = [(f"{site.url}/image/{i}?damaged", f"説明 {i}") for i in range(6)]
    source, settings = write_list(tmp_path / "list.tsv", rows), FetchSettings(allow_private=True)
    out = tmp_path / "out"
    fetch([source], out, settings, console)
    whole = shards_in(out).digests()
    assert verify(out)[1] == []
    for how, file, requested in (
        ("flipped bit", "00000.tar", 1),
        ("halved", "00000.tar", 3),
        ("zero tail", "00000.tar", 3),
        ("emptied", "00000.tar", 6),
        ("flipped bit", "00000.parquet", 6),
        ("halved", "00000.parquet", 6),
        ("emptied", "00000_stats.json", 6),
    ):
        damage(out / file, how)
        assert verify(out)[1], (how, file)
        again = fetch([source], out, settings, console)
        assert again.statuses == {"success": 6} and again.requested <= requested, (how, file)
        assert shards_in(out).digests() == whole, (how, file)
        assert verify(out)[1] == []
