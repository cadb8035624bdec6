"""The samples that the trainers' configurations `tiny` are for: their makers write them again, and a build keeps every record."""

import io
from itertools import islice, product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from tests.samples import make_drawings_ja, make_phrases_ja
from tests.support.builds import read_shards

SAMPLES = Path(__file__).parents[2] / "manifests/samples"


def test_drawings_are_what_their_maker_writes() -> None:
    embedded = pl.read_parquet(SAMPLES / "drawings-ja.parquet")
    made = list(make_drawings_ja.drawings())
    assert embedded["caption"].to_list() == [drawing.caption for drawing in made] and len(made) == 600
    assert embedded["caption"].n_unique() == 30 and embedded["image"].struct.field("bytes").n_unique() == 600
    for row, drawing in zip(embedded["image"][::40], made[::40], strict=True):
        ours, theirs = (
            np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"), float) for blob in (row["bytes"], drawing.image)
        )
        assert (
            ours.shape == (64, 64, 3) and np.abs(ours - theirs).mean() < 2
        )  # Pillow may quantise otherwise in another release


def test_phrases_are_what_their_maker_writes() -> None:
    embedded = pl.read_parquet(SAMPLES / "phrases-ja.parquet")
    assert len(embedded) == 240 and embedded["text"].n_unique() == 240 and embedded["speaker"].n_unique() == 20
    for row, made in zip(embedded.iter_rows(named=True), islice(make_phrases_ja.recordings(), 2)):
        assert (row["text"], row["speaker"]) == (made.text, made.speaker)
        lengths = [soundfile.info(io.BytesIO(blob)).frames for blob in (row["audio"]["bytes"], made.audio)]
        assert lengths[0] == lengths[1]  # encoders may change from one release to the next, durations may not


def test_they_are_small() -> None:
    assert sum((SAMPLES / f"{name}-ja.parquet").stat().st_size for name in ("drawings", "phrases")) < 1_200_000


@pytest.mark.parametrize(("name", "records", "held_out"), [("drawings-ja", 600, 61), ("phrases-ja", 240, 48)])
def test_a_build_keeps_all_and_holds_out_enough(build, tmp_path: Path, name: str, records: int, held_out: int) -> None:
    done = build(name, "--out", tmp_path / name)
    assert done.returncode == 0, done.stderr
    assert len(read_shards(tmp_path / name)) == records
    validation = pl.read_parquet(tmp_path / name / "data" / "validation-*.parquet")
    assert len(validation) == held_out
    if name == "phrases-ja":
        words = [make_phrases_ja.LIKE, make_phrases_ja.ANIMALS, make_phrases_ja.DOES]
        made = {
            f"{like}{animal}が{verb}。": f"{a}{n}ガ{v}"
            for (like, a), (animal, n), (verb, v) in product(*(w.items() for w in words))
        }
        said = [made[text].replace("キイ", "キー").replace("チイ", "チー") for text in validation["transcript"]]
        assert said == validation["reading"].to_list()  # a long vowel is heard the same, however it is written
        assert validation["speaker"].n_unique() == 4
