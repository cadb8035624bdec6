import polars as pl
import pytest

from pipeline.core.errors import UsageError
from tests.pipeline.sources.helpers import archive, pick
from tests.pipeline.sources.image_text.helpers import (
    DATA,
    SOURCE,
    img2dataset_members,
    needs_data,
    read_pairs,
    write_sidecar,
)


def test_globs_and_folders_take_sidecars_and_statistics_along(tmp_path, shard):
    archive(tmp_path / "00001.tar", img2dataset_members("a"))
    for pattern in (str(tmp_path / "*"), str(tmp_path)):
        assert [f.name for f in SOURCE.find_inputs([pattern])] == ["00000.tar", "00001.tar"]
    # A Parquet file without a tar of its name is an input of its own.
    write_sidecar(tmp_path / "00002.parquet", [])
    assert [f.name for f in SOURCE.find_inputs([str(tmp_path / "*")])] == ["00000.tar", "00001.tar", "00002.parquet"]


def test_what_a_folder_holds_beside_its_tars_is_warned_of(tmp_path, shard, images):
    assert read_pairs(SOURCE.find_inputs([str(tmp_path / "images")])[0]).state.warning == (
        f"of {tmp_path / 'images'} only 2 tars are read, not 1 images: give them a folder of their own"
    )
    (tmp_path / "images" / "loose" / "3.jpg").unlink()
    first, second = SOURCE.find_inputs([str(tmp_path / "images")])
    assert (first.note, second.note) == (None, None)
    pl.DataFrame({"jpg": [b"x"], "caption": ["x"]}).write_parquet(tmp_path / "images" / "other.parquet")
    first, second = SOURCE.find_inputs([str(tmp_path / "images")])
    assert "only 2 tars are read, not 1 Parquet files" in first.note and second.note is None and "note" not in first.describe()
    # Images that a list is built with are not left out.
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "1.jpg").write_bytes(b"1")
    pl.DataFrame({"file_name": ["1.jpg"], "caption": ["x"]}).write_parquet(tmp_path / "lists" / "list.parquet")
    (file,) = SOURCE.find_inputs([str(tmp_path / "lists")], images=str(tmp_path / "lists"))
    result = read_pairs(file, tmp_path / "lists")
    assert pick(result.rows, "caption", "image") == [("x", b"1")] and result.state.warning is None


def test_inputs_of_the_same_name_are_told_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        archive(tmp_path / name / "0.tar", img2dataset_members(name))
    assert [f.name for f in SOURCE.find_inputs([str(tmp_path / "a"), str(tmp_path / "b" / "0.tar")])] == ["a/0.tar", "b/0.tar"]
    assert [f.name for f in SOURCE.find_inputs([str(tmp_path)])] == ["a/0.tar", "b/0.tar"]
    with pytest.raises(UsageError, match="given twice: .*a/0.tar"):
        SOURCE.find_inputs([str(tmp_path), str(tmp_path / "a" / "0.tar")])


def test_inputs_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        SOURCE.find_inputs([str(tmp_path / "gone.tar")])
    with pytest.raises(UsageError, match="neither tars, tables .* nor images"):
        SOURCE.find_inputs([str(tmp_path)])
    with pytest.raises(UsageError, match="--images .*gone"):
        SOURCE.find_inputs([str(tmp_path)], images=str(tmp_path / "gone"))
    (tmp_path / "a\nb").mkdir()
    (tmp_path / "a\nb" / "1.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="control characters"):
        SOURCE.find_inputs([str(tmp_path / "a\nb")])


def test_identity_changes_with_everything_that_is_read(tmp_path, shard, images):
    def identity(path=shard, folder=images):
        return SOURCE.find_inputs([str(path)], images=folder and str(folder))[0].identity

    seen = {identity(), identity(folder=None)}
    assert identity() in seen and len(seen) == 2
    for change in (
        lambda: shard.with_suffix(".parquet").write_bytes(b"another"),
        lambda: shard.with_suffix(".parquet").unlink(),
        lambda: shard.write_bytes(b"another"),
        lambda: (images / "loose" / "3.jpg").write_bytes(b"another"),
        lambda: (images / "00000.parquet").unlink(),
        lambda: (images / "new.jpg").write_bytes(b"new"),
        lambda: (images / "new.jpg").rename(images / "renamed.jpg"),
    ):
        change()
        assert identity() not in seen
        seen.add(identity())
    photos = {identity(images / "loose", None)}
    (images / "loose" / "3.txt").write_text("題")
    assert identity(images / "loose", None) not in photos


@needs_data
def test_development_data():
    expected = pl.concat([pl.read_parquet(path) for path in sorted((DATA / "img2dataset").glob("*.parquet"))])
    files = SOURCE.find_inputs([str(DATA / "img2dataset" / "*")])
    assert [f.name for f in files] == [f"0000{i}.tar" for i in range(5)]
    all_rows, states = [], []
    for file in files:
        _, here, state = read_pairs(file)
        all_rows += here
        states.append(state)
    assert [row["locator"] for row in all_rows] == expected["key"].to_list()
    assert [row["url"] for row in all_rows] == expected["url"].to_list()
    assert [row["caption"] for row in all_rows] == expected["caption"].to_list()
    assert sum(row["image"] is not None for row in all_rows) == expected["status"].eq("success").sum()
    assert not any(state.damage or state.warning for state in states)
