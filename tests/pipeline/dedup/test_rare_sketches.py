"""Sketches that only some records have are stored for these alone, and zeros for others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from pipeline.dedup.facts import _fill_sketches, pack_rare_sketches, sketch_width
from pipeline.workspace import Part


def test_rare_sketches_come_behind_the_others(tmp_path):
    part = Part(tmp_path, "0")
    layout = SimpleNamespace(array=lambda name, index: part.array(name))
    drawn = np.random.default_rng(0)
    sketches, rare, having = (
        drawn.integers(0, 256, (9, 3), np.uint8),
        drawn.integers(1, 256, (2, 5), np.uint8),
        np.array([2, 7]),
    )
    np.save(part.array("sketches"), sketches)
    assert sketch_width(layout) == 3
    np.save(part.array("rare_sketches"), pack_rare_sketches(having, rare))
    assert sketch_width(layout) == 8
    rows = np.array([0, 2, 6, 7, 8])
    out = np.full((5, 8), 9, np.uint8)
    _fill_sketches(layout, 0, rows, out)
    assert (out[:, :3] == sketches[rows]).all()
    assert (out[[1, 3], 3:] == rare).all() and not out[[0, 2, 4], 3:].any()
    np.save(part.array("rare_sketches"), pack_rare_sketches(having[:0], rare[:0]))
    _fill_sketches(layout, 0, rows, out)
    assert not out[:, 3:].any()
