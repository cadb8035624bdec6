import io

import polars as pl
import pytest

from tests.pipeline.sources.helpers import pick, problems
from tests.pipeline.sources.image_text.helpers import (
    SOURCE,
    read_pairs,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A dataset of 150 real images as `datasets` saves it: by save_to_disk, to_parquet, and in splits."""
    import datasets
    from PIL import Image

    folder = tmp_path_factory.mktemp("saved")
    drawn = []
    for i in range(150):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (i, 0, 0)).save(out, "PNG")
        drawn.append(out.getvalue())
    columns = {"id": [*range(150)], "image": [{"bytes": b, "path": f"x/{i}.png"} for i, b in enumerate(drawn)]}
    columns |= {"caption": [None if i == 5 else f"題{i}" for i in range(150)], "problem": ["1+1=?"] * 150}
    features = datasets.Features(
        {"id": datasets.Value("int64"), "image": datasets.Image(), "caption": datasets.Value("string")}
    )
    features["problem"] = datasets.Value("string")
    made = datasets.Dataset.from_dict(columns, features=features)
    datasets.disable_progress_bars()
    made.save_to_disk(folder / "arrow", num_shards=2)
    made.to_parquet(folder / "parquet" / "train.parquet")
    datasets.DatasetDict({"train": made.select(range(100)), "test": made.select(range(100, 150))}).save_to_disk(
        folder / "splits"
    )
    return folder, [(None if i == 5 else f"題{i}", drawn[i]) for i in range(150)]


@pytest.mark.parametrize("form", ["arrow", "parquet", "splits"])
def test_datasets_with_images(saved, form):
    folder, expected = saved
    files = SOURCE.find_inputs([str(folder / form)])
    assert len(files) == {"arrow": 2, "parquet": 1, "splits": 2}[form]
    all_rows = [row for file in files for row in read_pairs(file, partition=3000).rows]
    in_order = expected[100:] + expected[:100] if form == "splits" else expected
    assert pick(all_rows, "caption", "image") == in_order
    assert not problems(all_rows) and all_rows[0]["name"].endswith(".png")


def test_a_table_that_is_damaged_in_the_middle_gives_what_came_before(saved, tmp_path):
    folder, expected = saved
    raw = bytearray(next((folder / "arrow").glob("*.arrow")).read_bytes())
    (tmp_path / "a.arrow").write_bytes(raw[: len(raw) // 2])
    assert "not a whole Arrow file" in read_pairs(tmp_path / "a.arrow").state.damage
    frame = pl.DataFrame({"caption": [c for c, _ in expected], "jpg": [b for _, b in expected]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=64, compression="snappy")
    raw = bytearray((tmp_path / "a.parquet").read_bytes())
    raw[len(raw) * 6 // 10 : len(raw) * 6 // 10 + 400] = b"\xff" * 400
    (tmp_path / "a.parquet").write_bytes(raw)
    result = read_pairs(tmp_path / "a.parquet", partition=3000)
    assert "not a whole Parquet file" in result.state.damage
    assert 64 <= len(result.rows) < 150 and pick(result.rows, "caption", "image") == expected[: len(result.rows)]
    again = read_pairs(tmp_path / "a.parquet", partition=3000, start=result.ranges[-1].end)
    assert again[0] == [] and again[2].damage == result.state.damage


def test_images_that_are_paths_only(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    images = pl.Series("image", [{"bytes": b"one", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}, None], dtype=struct)
    pl.DataFrame([images, pl.Series("text", ["一", "二", "三"])]).write_parquet(tmp_path / "a.parquet")
    result = read_pairs(tmp_path / "a.parquet")
    assert pick(result.rows, "caption", "image") == [("一", b"one"), ("二", None), ("三", None)]
    assert list(problems(result.rows).values()) == [
        "no image: the row has no bytes, only a path: name the folder of the images with --images", "no image: the row has no bytes",
    ]  # fmt: skip
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "2.jpg").write_bytes(b"two")
    result = read_pairs(tmp_path / "a.parquet", tmp_path / "images")
    assert [row["image"] for row in result.rows] == [b"one", b"two", None]
    assert set(problems(result.rows)) == {"0000000002"}
