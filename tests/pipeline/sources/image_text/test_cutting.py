import gzip
import hashlib
import io
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import ChangedInputError
from pipeline.sources import pointers
from pipeline.sources.base import CutState, Fields
from pipeline.sources.image_text import tables
from tests.pipeline.sources.helpers import archive, pick
from tests.pipeline.sources.image_text.helpers import (
    CAPTIONS,
    LISTS,
    SOURCE,
    URL,
    URLS,
    img2dataset_members,
    join_lines,
    read_pairs,
    write_sidecar,
)


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """A small file of every form, and a folder of images."""
    folder = tmp_path_factory.mktemp("anything")
    (folder / "images").mkdir()
    (folder / "images" / "1.jpg").write_bytes(b"1")
    table = pl.DataFrame({"url": URLS, "caption": CAPTIONS, "width": [1, None, 3, 4]})
    held = table.with_columns(
        image=pl.struct(bytes=pl.lit(b"x"), path=pl.lit("1.jpg")), key=pl.lit("k"), status=pl.lit("success")
    )
    files = dict(LISTS)
    for name, frame in {"table": table, "held": held}.items():
        for write in ("write_parquet", "write_ipc", "write_ipc_stream"):
            getattr(frame, write)(out := io.BytesIO())
            files[f"{name}, {write}"] = out.getvalue()
    files["coco"] = json.dumps(
        {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "犬"}]}
    ).encode()
    files["tar"] = archive(folder / "a.tar", img2dataset_members("k", "犬")).read_bytes()
    return folder, files


@given(data=st.data(), name=st.sampled_from(["a", "a.tar", "a.json"]), whole=st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_damage_anywhere_is_told_in_words(anything, data, name, whole):
    folder, files = anything
    raw = bytearray(files[data.draw(st.sampled_from([*files]))])
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[at] = data.draw(st.one_of(st.sampled_from(b'\0\n\t\r",{}[]\xff'), st.integers(0, 255)))
    raw = raw if whole else raw[: data.draw(st.integers(0, len(raw)))]
    (folder / name).write_bytes(raw)
    result = read_pairs(folder / name, folder / "images")
    assert len({row["locator"] for row in result.rows}) == len(result.rows)
    assert all(row["locator"].isprintable() and (row["name"] or "").isprintable() for row in result.rows)
    assert all(
        (row["image"] is not None) == (row["problem"] is None) or row["problem"].startswith("caption") for row in result.rows
    )
    (folder / name).unlink()


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Sixty rows, images of 0 to 900 bytes, in every form that is cut in its own way: (path, folder of images)."""
    folder = tmp_path_factory.mktemp("forms")
    bodies = {f"{i:09d}": b"i" * (i * 37 % 900) for i in range(60) if i % 9}
    members = [m for key, body in bodies.items() for m in ((f"{key}.jpg", body), (f"{key}.txt", key.encode()))]
    listing = [(f"{i:09d}", f"{i:09d}", None if i % 9 else "HTTP Error 404") for i in range(60)]
    for name in ("tar", "images"):
        (folder / name).mkdir()
        archive(folder / name / "a.tar", members)
        write_sidecar(folder / name / "a.parquet", listing)
    (folder / "a.tar.gz").write_bytes(gzip.compress((folder / "tar" / "a.tar").read_bytes()))
    (folder / "list.tsv").write_bytes(join_lines([URL.format(key) for key, *_ in listing], [key for key, *_ in listing]))
    held = {"key": [k for k, *_ in listing], "caption": [k for k, *_ in listing], "jpg": [bodies.get(k) for k, *_ in listing]}
    pl.DataFrame(held).write_parquet(folder / "held.parquet")
    return {
        "tar": (folder / "tar" / "a.tar", None), "tar.gz": (folder / "a.tar.gz", None),
        "list": (folder / "list.tsv", folder / "images"), "table": (folder / "held.parquet", None),
    }  # fmt: skip


SIZES = st.one_of(st.integers(1, 3000), st.just(1_000_000))


@pytest.mark.parametrize("form", ["tar", "tar.gz", "list", "table"])
@given(partition=SIZES, many=st.integers(1, 70), batch=st.integers(1, 70), data=st.data())
@settings(max_examples=6, deadline=None)
def test_rows_are_the_same_however_they_are_cut(forms, form, partition, many, batch, data):
    with pytest.MonkeyPatch.context() as patch:
        path, images = forms[form]
        whole = pick(read_pairs(path, images).rows, "locator", "caption", "image", "problem")
        assert len(whole) == 60 - 7 * (form == "tar.gz")
        patch.setattr(pointers, "MOST_ROWS", many)
        plain = read_pairs(path, images, partition).ranges
        patch.setattr(tables, "BATCH", batch)
        patch.setattr(tables, "_BATCH_WITH_IMAGES", batch)
        result = read_pairs(path, images, partition)
        assert pick(result.rows, "locator", "caption", "image", "problem") == whole
        # Neither gaps nor overlaps, and nothing depends on how much is read at a time.
        assert [p.start for p in result.ranges] == [0, *(p.end for p in result.ranges[:-1])]
        assert [(p.start, p.end) for p in result.ranges] == [(p.start, p.end) for p in plain]
        assert {p.file for p in result.ranges} == {2}
        assert result.ranges[-1].end == result.state.size == sum(len(row["image"] or b"") + 1 for row in result.rows)
        assert all(p.records <= many for p in result.ranges)
        assert all(p.end - p.start >= partition or p.records == many for p in result.ranges[:-1])
        assert result.state.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
        # Going on after any range gives the rest, and with a limit its beginning.
        done = data.draw(st.integers(0, len(result.ranges)))
        start, before = (result.ranges[done - 1].end, sum(p.records for p in result.ranges[:done])) if done else (0, 0)
        rest, rest_rows, rest_state = read_pairs(path, images, partition, start=start)
        assert rest == result.ranges[done:]
        assert pick(rest_rows, "locator", "caption", "image", "problem") == whole[before:]
        assert (rest_state.size, rest_state.checksum) == (result.state.size, result.state.checksum)
        limit = data.draw(st.integers(0, 70))
        limited, few, limited_state = read_pairs(path, images, partition, start=start, limit=limit)
        assert pick(few, "locator", "caption", "image", "problem") == whole[before : before + limit]
        assert limited_state.limit == limit - len(few) and limited[:-1] == rest[: len(limited) - 1 if limited else 0]


@pytest.mark.parametrize("form", ["tar", "tar.gz", "list", "table"])
def test_images_that_are_too_large(forms, form):
    path, images = forms[form]
    result = read_pairs(path, images)
    few = read_pairs(path, images, max_document=500).rows
    assert [row["locator"] for row in few] == [row["locator"] for row in result.rows]
    for large, row in zip(result.rows, few):
        size = len(large["image"] or b"")
        assert row["caption"] == large["caption"]
        assert row["image"] == (large["image"] if size <= 500 else None)
        expected = large["problem"] if size <= 500 else f"image of {size} bytes, over source.max_document = 500"
        assert row["problem"] == expected


def test_a_file_that_changes_under_a_range_is_noticed(tmp_path, shard):
    file = SOURCE.find_inputs([str(shard)])[0]
    ((made, body),) = SOURCE.cut(file, 0, CutState(1_000_000, 1_000_000))
    here = SOURCE.read(made, file, np.frombuffer(body, np.uint8), Fields())
    shard.write_bytes(b"short")
    with pytest.raises(ChangedInputError, match="has changed since the build began"):
        here.content(0)
    here.close()
    shard.unlink()
    with pytest.raises(ChangedInputError, match="cannot be read any more"):
        here.content(0)
