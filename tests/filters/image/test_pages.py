"""Pages of one template are told apart; copies of one page are found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from filters.image.fingerprint import ACCEPT, COARSE_BYTES, NEAR_IDENTITY, similarities
from filters.image.inspection import inspect
from tests.support.pages import KINDS
from tests.support.photos import encode_image, make_photo

DISTANCE = 10
PAIRS = ((0, 1), (0, 2))


@cache
def draw(kind: str, number: int) -> Image.Image:
    return KINDS[kind](np.random.default_rng(100 + number))


def compare(files: list[bytes], pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Similarity of pairs of files, 0 where no hash brings them together."""
    found = inspect(files)
    left, right = np.array(pairs).T.copy()
    distances = np.bitwise_count(found.hashes[left][:, :, None] ^ found.hashes[right][:, None, :]).min((1, 2))
    return np.where(distances <= DISTANCE, similarities(found.descriptors, left, right), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_one_template_are_not_merged(kind):
    """Two pairs of each of 26 kinds, 52 in all: a third of such pairs were merged by 12 × 12 cells alone."""
    files = [encode_image(draw(kind, number)) for number in range(3)]
    assert inspect(files[:1]).descriptors[0, COARSE_BYTES] == 1
    assert (compare(files, PAIRS) < np.float32(ACCEPT)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_a_page_are_near_duplicates_and_those_of_its_size_nearly_identical(kind):
    page = draw(kind, 0)
    smaller = page.resize((page.width * 3 // 4, page.height * 3 // 4), Image.Resampling.LANCZOS)
    files = [encode_image(page), encode_image(page, quality=80), encode_image(page, "PNG"), encode_image(smaller)]
    found = compare(files, ((0, 1), (0, 2), (0, 3)))
    assert (found[:2] >= np.float32(NEAR_IDENTITY)).all(), found
    assert found[2] >= np.float32(ACCEPT) or kind in ("slide small", "map"), found  # of 360 pixels, of pale lines


@pytest.mark.parametrize("kind", ["receipt", "table", "calendar", "text", "music", "screenshot"])
def test_a_page_that_was_cropped_is_a_near_duplicate_but_takes_no_captions_along(kind):
    page = draw(kind, 0)
    width, height = page.size
    cropped = page.crop((width // 50, height // 100, width - width // 100, height - height // 50))
    (found,) = compare([encode_image(page), encode_image(cropped)], ((0, 1),))
    assert np.float32(ACCEPT) <= found < np.float32(NEAR_IDENTITY)


def test_a_photo_is_no_page():
    assert not inspect([encode_image(make_photo(400, 300))]).descriptors[0, COARSE_BYTES]
