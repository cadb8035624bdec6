"""Recordings as batches: frames, and spans of them that are masked."""

from __future__ import annotations

import numpy as np
from transformers import HubertConfig, HubertModel

from tests.support import melodies
from trainers.data.recordings import Frames, draw_mask
from trainers.models.mfcc import compute_mfcc


def test_frames_are_those_of_the_convolutions() -> None:
    config = HubertConfig()
    frames = Frames.from_config(config)
    assert (frames.stride, frames.window) == (320, 400)
    model = HubertModel(HubertConfig(**melodies.TINY))
    for samples in (400, 719, 720, 721, 16_000, 250_000):
        assert frames.count(samples) == int(model._get_feat_extract_output_lengths(samples))
        # A frame is as long as two of MFCC are apart: every second label, without one over.
        assert frames.count(samples) == len(compute_mfcc(np.zeros(samples, np.float32))[::2])
        assert frames.count(samples) == frames.count(len(np.zeros(samples)[frames.slice(0, frames.count(samples))]))
    assert frames.count(399) == 0


def test_masks_are_spans_as_many_as_asked_for() -> None:
    masks = [draw_mask(np.random.default_rng(i), 500, 0.8, 10) for i in range(50)]
    assert all((a == b).all() for a, b in zip(masks, (draw_mask(np.random.default_rng(i), 500, 0.8, 10) for i in range(50))))
    # 40 spans of 10 among 500 frames: 1 - (1 - 10/491)^40 of them, about.
    assert abs(np.mean(masks) - (1 - (1 - 10 / 491) ** 40)) < 0.03
    for mask in masks:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]])))
        assert (edges[1::2] - edges[::2] >= 10).all()
    assert draw_mask(np.random.default_rng(0), 7, 0.8, 10).all() and not draw_mask(np.random.default_rng(0), 7, 0.0, 10).any()
