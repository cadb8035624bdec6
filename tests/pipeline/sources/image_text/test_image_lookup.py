import json
import resource

import polars as pl
import pytest

from pipeline.core.errors import UsageError
from pipeline.sources.image_text import image_finder, image_lookup
from tests.pipeline.sources.image_text.helpers import (
    DATA,
    LISTS,
    SOURCE,
    URL,
    check_list,
    fake_image,
    join_lines,
    needs_data,
    read_pairs,
    write_sidecar,
)


def test_a_list_without_its_images_says_how_to_fetch_them(tmp_path):
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match=r"python -m pipeline\.fetch .*list\.tsv --out .*--images"):
        read_pairs(tmp_path / "list.tsv")


def test_images_that_are_not_there(tmp_path):
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match="--images .*gone: there is no such folder"):
        read_pairs(tmp_path / "list.tsv", tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "empty")
    assert result.state.warning == f"there is no image in {tmp_path / 'empty'}"
    assert [row["problem"] for row in result.rows] == ["no image: the folder of images has none for this row"] * 4


def test_loose_files_by_path_and_by_name(tmp_path):
    folder = tmp_path / "images"
    for name in ("a/1.jpg", "b/1.jpg", "a/2.jpg", "3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(secret)
    (folder / "outside").symlink_to(tmp_path)
    (folder / "00000").symlink_to(tmp_path)
    write_sidecar(folder / "00000.parquet", [("secret", "x", "failed")])
    wanted = {
        "a/1.jpg": b"a/1.jpg", "./b/1.jpg": b"b/1.jpg", "1.jpg": None, "elsewhere/2.jpg": None,
        "/mnt/data/a/2.jpg": b"a/2.jpg", "3.png": b"3.png",
        "https://example.com/x/3.png": None, "link.jpg": None, "../secret.jpg": None, str(secret): None,
        "outside/secret.jpg": None, "../../../../../../../etc/passwd": None, "/etc/passwd": None, "": None, "secret": None,
        "a": None, "a/../3.png": None,
    }  # fmt: skip
    pl.DataFrame({"file_name": [*wanted], "caption": "x"}).write_parquet(tmp_path / "list.parquet")
    result = read_pairs(tmp_path / "list.parquet", folder)
    # A file is the image of what has its path, and of nothing that only ends alike.
    assert dict(zip(wanted, (row["image"] for row in result.rows))) == wanted
    assert all((row["image"] is None) == (row["problem"] is not None) for row in result.rows)


def test_of_many_urls_that_end_alike_none_has_the_file(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "image.jpg").write_bytes(b"the one")
    urls = [URL.format(f"{i}/image.jpg") for i in (1, 1, 2, 3)]
    (tmp_path / "list.tsv").write_bytes(join_lines(urls, "abcd"))
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    assert [row["image"] for row in result.rows] == [None] * 4
    assert all(row["problem"].endswith("several rows could mean image.jpg") for row in result.rows)
    (tmp_path / "list.tsv").write_bytes(join_lines(urls[:2], "ab"))
    assert [row["image"] for row in read_pairs(tmp_path / "list.tsv", tmp_path / "images").rows] == [b"the one"] * 2


def test_img2dataset_s_files_as_images(tmp_path):
    folder = tmp_path / "images"
    (folder / "00000").mkdir(parents=True)
    write_sidecar(folder / "00000.parquet", [("000", "x", None), ("001", "x", "HTTP Error 404"), ("002", "x", None)])
    for key in ("000", "002"):
        (folder / "00000" / f"{key}.jpg").write_bytes(fake_image(key))
        (folder / "00000" / f"{key}.txt").write_text("x")
    urls = [URL.format(f"00{i}") for i in range(4)]
    (tmp_path / "list.tsv").write_bytes(join_lines(urls, "abcd"))
    result = read_pairs(tmp_path / "list.tsv", folder)
    assert [row["image"] for row in result.rows] == [fake_image("000"), None, fake_image("002"), None]
    assert [row["name"] for row in result.rows] == ["000.jpg", None, "002.jpg", None]
    assert "HTTP Error 404" in result.rows[1]["problem"] and "has none for this row" in result.rows[3]["problem"]


def test_img2dataset_s_files_without_their_sidecars(tmp_path):
    folder = tmp_path / "images" / "00000"
    folder.mkdir(parents=True)
    for key in ("000", "002"):
        (folder / f"{key}.jpg").write_bytes(fake_image(key))
        (folder / f"{key}.json").write_text(json.dumps({"key": key, "url": URL.format(key)}))
    (folder / "003.jpg").write_bytes(fake_image("003"))
    (folder / "003.json").write_text("[]")
    (tmp_path / "list.tsv").write_bytes(join_lines([URL.format(f"00{i}") for i in range(4)], "abcd"))
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    assert [row["image"] for row in result.rows] == [fake_image("000"), None, fake_image("002"), None]


def test_img2dataset_s_parquet_mode_is_no_folder_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    frame = {"url": ["https://a"], "key": ["0"], "status": ["success"], "jpg": [b"x"]}
    pl.DataFrame(frame).write_parquet(tmp_path / "images" / "00000.parquet")
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    with pytest.raises(UsageError, match="--input instead of --images"):
        read_pairs(tmp_path / "list.tsv", tmp_path / "images")


def test_damage_in_the_folder_of_images_is_a_warning(tmp_path, images):
    raw = (images / "00001.tar").read_bytes()
    (images / "00002.tar").write_bytes(raw[:700])
    (images / "00003.tar").write_bytes(b"")
    (images / "00004.tar").write_bytes(raw)
    (images / "00004.parquet").write_bytes(b"PAR1")
    (tmp_path / "list.tsv").write_bytes(LISTS["cc12m"])
    result = check_list(tmp_path / "list.tsv", images)
    assert all(f"0000{i}" in result.state.warning for i in (2, 3, 4)), result.state.warning


def test_more_loose_files_than_may_be_open(tmp_path):
    (tmp_path / "images").mkdir()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    for i in range(400):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(fake_image(i))
    (tmp_path / "list.tsv").write_bytes(join_lines([URL.format(f"{i}.jpg") for i in range(400)], ["x"] * 400))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, limit[1]))
        result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert [row["image"] for row in result.rows] == [fake_image(i) for i in range(400)]


def test_the_folder_of_images_is_read_once_for_many_lists(tmp_path, images, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.tsv").write_bytes(LISTS["cc12m"])
    read = []
    monkeypatch.setattr(image_finder, "ImageLookup", lambda folder: read.append(folder) or image_lookup.ImageLookup(folder))
    for file in SOURCE.find_inputs([str(tmp_path / "*.tsv")], images=str(images)):
        assert len(read_pairs(file, images).rows) == 4
    assert len(read) == 1


@needs_data
@pytest.mark.parametrize("name", ["laion-metadata.parquet", "cc12m-ja.tsv"])
def test_development_lists_find_their_images(name):
    result = read_pairs(DATA / name, DATA / "img2dataset")
    assert len(result.rows) == {"laion-metadata.parquet": 5000, "cc12m-ja.tsv": 2000}[name] and result.state.warning is None
    held = pl.concat([pl.read_parquet(path) for path in sorted((DATA / "img2dataset").glob("*.parquet"))])
    fetched = set(held.filter(status="success")["url"])
    assert all((row["problem"] is None) == (row["url"] in fetched) for row in result.rows)
    assert sum(bool(row["caption"]) for row in result.rows) > 0.9 * len(result.rows)
