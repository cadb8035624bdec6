import polars as pl
import pytest

from tests.pipeline.sources.helpers import archive
from tests.pipeline.sources.image_text.helpers import (
    URLS,
    fake_image,
    img2dataset_members,
    write_sidecar,
)


@pytest.fixture
def shard(tmp_path):
    """Twelve rows as img2dataset writes them, members in the order in which downloads ended; 3 and 7 failed."""
    listing = [(f"{i:09d}", f"題{i}", "HTTP Error 404: Not Found" if i in (3, 7) else None) for i in range(12)]
    members = [m for key, caption, error in reversed(listing) if not error for m in img2dataset_members(key, caption)]
    write_sidecar(tmp_path / "00000.parquet", listing)
    (tmp_path / "00000_stats.json").write_text("{}")
    return archive(tmp_path / "00000.tar", members)


@pytest.fixture
def images(tmp_path):
    """A folder of fetched images: a shard with its sidecar, one without, and loose files."""
    folder = tmp_path / "images"
    (folder / "loose").mkdir(parents=True)
    listing = [("000", "x", None), ("001", "x", "HTTP Error 410: Gone")]
    archive(folder / "00000.tar", img2dataset_members("000"))
    write_sidecar(folder / "00000.parquet", listing)
    frame = pl.read_parquet(folder / "00000.parquet").with_columns(URL=pl.Series(URLS[:2]))
    frame.write_parquet(folder / "00000.parquet")
    archive(folder / "00001.tar", img2dataset_members("100", url=URLS[2]))
    (folder / "loose" / "3.jpg").write_bytes(fake_image("loose 3"))
    return folder
