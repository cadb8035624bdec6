"""Measuring image-text pairs: which rows share an image."""

from __future__ import annotations

import polars as pl

from pipeline.modalities.image_text.measure import first_rows_of_images


def test_rows_of_one_image_are_decoded_once_and_others_on_their_own():
    frame = pl.DataFrame(
        {
            "content_path": ["a", "a", "b", "a", None, None, "b", "a"],
            "content_offset": [0, 512, 0, 0, None, None, 0, 512],
            "content_bytes": [None, None, None, None, b"x", None, None, None],
        },
        schema_overrides={"content_bytes": pl.Binary},
    )
    assert first_rows_of_images(frame).tolist() == [0, 1, 2, 0, 4, 5, 2, 1]
