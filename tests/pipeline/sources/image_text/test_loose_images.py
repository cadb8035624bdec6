import gzip
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.image_text.loose_images import LooseImage, LooseImages
from tests.pipeline.sources.helpers import pick
from tests.pipeline.sources.image_text.helpers import SOURCE, read_pairs

NFC, NFD = (unicodedata.normalize(form, "がぞう.jpg") for form in ("NFC", "NFD"))
NONE = "no image: the folder of images has none for this row"


def find_all(files, keys):
    """Which file every key of a list means, or why none."""
    lookup, claims = LooseImages({path: LooseImage(Path(path), 1) for path in files}), {}
    lookup.claim(pl.Series(keys, dtype=pl.String), claims)
    found = [lookup.find(key, claims) for key in keys]
    return [str(image.path) if isinstance(image, LooseImage) else image for image in found]


@pytest.mark.parametrize(
    "files, key, expected",
    [
        (["a/1.jpg"], "a/1.jpg", "a/1.jpg"),
        (["a/1.jpg"], ".\\a\\1.jpg", "a/1.jpg"),
        (["a/1.jpg"], "C:\\data\\a\\1.jpg", "a/1.jpg"),
        (["a/1.jpg"], "/mnt/data/a/1.jpg", "a/1.jpg"),
        (["1.jpg", "a/1.jpg"], "/mnt/data/a/1.jpg", "a/1.jpg"),
        (["a/1.jpg"], "1.jpg", "a/1.jpg"),
        (["val/1.jpg"], "train/1.jpg", NONE),
        (["a/1.jpg", "b/1.jpg"], "1.jpg", f"{NONE}: several files are called 1.jpg, none by this path"),
        (["a.jpg"], "A.JPG", f"{NONE}: a.jpg differs in case"),
        (["a.png"], "a.jpg", NONE),
        (["a.jpg"], "a", NONE),
        ([NFD], NFC, NFD),
        ([NFC], f"/mnt/{NFD}", NFC),
        ([NFC, NFD], NFD, NFD),
        (["犬.jpg"], "%E7%8A%AC.jpg", "犬.jpg"),
        (["犬.jpg", "%E7%8A%AC.jpg"], "%E7%8A%AC.jpg", "%E7%8A%AC.jpg"),
        (["犬 1.jpg"], "https://example.com/x/%E7%8A%AC%201.jpg?w=1#top", "犬 1.jpg"),
        (["100%.jpg"], "100%.jpg", "100%.jpg"),
        (["what?.jpg"], "what?.jpg", "what?.jpg"),
        (["#1.jpg"], "#1.jpg", "#1.jpg"),
        (["a.jpg?w=1"], "https://example.com/a.jpg?w=1", "a.jpg?w=1"),
        (["example.com/x/a.jpg"], "https://example.com/x/a.jpg", "example.com/x/a.jpg"),
        (["y/a.jpg"], "https://example.com/x/a.jpg", NONE),
        (["data/a.jpg"], "file:///home/me/data/a.jpg", "data/a.jpg"),
        (["a.jpg"], "../a.jpg", NONE),
        (["a.jpg"], "https://example.com/", NONE),
    ],
)
def test_what_a_key_means(files, key, expected):
    assert find_all(files, [key]) == [expected]


def test_a_file_that_several_rows_could_mean_is_nobody_s():
    several = f"{NONE}: several rows could mean 1.jpg"
    assert find_all(["1.jpg"], ["a/1.jpg", "b/1.jpg", "a/1.jpg"]) == [several] * 3
    assert find_all(["1.jpg"], ["a/1.jpg", "1.jpg"]) == [several, "1.jpg"]
    assert find_all(["1.jpg"], ["a/1.jpg", "a/1.jpg"]) == ["1.jpg", "1.jpg"]
    assert find_all(["1.jpg"], ["https://a/1.jpg?id=1", "https://a/1.jpg?id=2"]) == [several] * 2


PART = st.sampled_from(["a", "b", "1.jpg", "2.jpg", NFC, NFD, "%31.jpg", ".."])
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)


@given(st.sets(PATH, max_size=5), st.lists(st.one_of(PATH, PATH.map("https://host/{}".format)), max_size=6))
@settings(max_examples=300)
def test_a_key_means_what_has_its_path_or_an_end_of_it(files, keys):
    found = find_all(files, keys)
    for key, file in zip(keys, found, strict=True):
        if file in files:
            path = unicodedata.normalize("NFC", key.removeprefix("https://").replace("%31", "1"))
            own = unicodedata.normalize("NFC", file.replace("%31", "1"))
            ends = (f"/{path}".endswith(f"/{own}"), f"/{own}".endswith(f"/{path.removeprefix('host/')}"))
            assert any(ends)
            # No two keys but such as mean the same path share a file, unless one of them is its path.
            others = {other for other, found_file in zip(keys, found, strict=True) if found_file == file and other not in files}
            assert len({unicodedata.normalize("NFC", other.replace("%31", "1")) for other in others}) <= 2
        elif key in files:
            raise AssertionError(f"{key} is there")


def test_the_whole_list_decides_even_in_small_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.sources.image_text.tables.BATCH", 1)
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    (tmp_path / "list.tsv").write_text("".join(f"https://host/{path}\t{path}\n" for path in ("a/1.jpg", "2.jpg", "b/1.jpg")))
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    assert pick(result.rows, "caption", "image") == [("a/1.jpg", None), ("2.jpg", b"2.jpg"), ("b/1.jpg", None)]


def test_ampersands_of_html_in_urls(tmp_path):
    url = "https://host/a.jpg?w=1&copy=2"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"a")
    (tmp_path / "images" / "a.json").write_text(f'{{"url": "{url}"}}')
    (tmp_path / "list.tsv").write_text(f"{url.replace('&', '&amp;')}\ta &amp; b\n")
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "images")
    assert pick(result.rows, "url", "caption", "image") == [(url, "a &amp; b", b"a")]


def read_lists(lists, folder):
    """The captions and images of several lists that are built together."""
    files = SOURCE.find_inputs([str(path) for path in lists], images=str(folder))
    return [pick(read_pairs(file, folder).rows, "caption", "image") for file in files]


def write_lists(folder, images, lists):
    for name in images:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(name.encode())
    for name, text in lists.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return [folder / name for name in lists]


def test_lists_that_share_a_folder_do_not_share_its_files(tmp_path):
    lists = {
        "a.tsv": "https://a/1.jpg\ta\nhttps://a/2.jpg\ta\nhttps://c/3.jpg\ta\n",
        "b.tsv.gz": "https://b/1.jpg\tb\nhttps://c/3.jpg\tb\n",
        "c.csv": "file_name,text\n/mnt/4.jpg,c\n2.jpg,c\n",
        "d.json": '{"images": [{"id": 1, "file_name": "val/4.jpg"}], "annotations": [{"image_id": 1, "caption": "d"}]}',
    }
    paths = write_lists(tmp_path, ["1.jpg", "2.jpg", "3.jpg", "4.jpg"], lists)
    found = read_lists(paths, tmp_path / "images")
    assert found[0] == [("a", None), ("a", None), ("a", b"3.jpg")]
    assert found[1] == [("b", None), ("b", b"3.jpg")]
    assert found[2] == [("c", None), ("c", b"2.jpg")]
    assert found[3] == [("d", None)]


def test_lists_of_different_folders_do_not_mean_one_file_by_one_name(tmp_path):
    lists = dict.fromkeys(("train/list.csv", "val/list.csv"), "file_name,text\n1.jpg,one\nx/2.jpg,two\n")
    paths = write_lists(tmp_path, ["train/1.jpg", "x/2.jpg"], lists)
    assert read_lists(paths, tmp_path / "images") == [[("one", None), ("two", b"x/2.jpg")]] * 2
    assert read_lists(paths[:1], tmp_path / "images") == [[("one", b"train/1.jpg"), ("two", b"x/2.jpg")]]


def test_a_list_is_read_anew_when_another_of_the_build_changes(tmp_path):
    paths = write_lists(tmp_path, ["1.jpg"], {"a.tsv": "https://a/1.jpg\ta\n", "b.tsv": "https://b/2.jpg\tb\n"})
    before = SOURCE.find_inputs([str(path) for path in paths], images=str(tmp_path / "images"))
    paths[1].write_text("https://b/1.jpg\tbb\n")
    after = SOURCE.find_inputs([str(path) for path in paths], images=str(tmp_path / "images"))
    alone = SOURCE.find_inputs([str(paths[0])], images=str(tmp_path / "images"))
    assert len({before[0].identity, after[0].identity, alone[0].identity}) == 3
