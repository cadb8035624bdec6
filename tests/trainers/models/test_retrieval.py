"""Recall on pairs, and zero-shot classification by the names of classes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.core.errors import UsageError
from tests.support import drawings
from trainers.models.retrieval import TEMPLATES, Evaluation, ZeroShotClasses, compute_recall, number_distinct, read_templates


def test_recall_counts_what_has_the_same_caption_or_the_same_image() -> None:
    images = torch.eye(4)
    assert compute_recall(images, images, torch.arange(4), torch.arange(4))["recall_at_1"] == 1
    turned = images[[1, 2, 3, 0]]
    found = compute_recall(images, turned, torch.arange(4), torch.arange(4))
    assert found["recall_at_1"] == 0 and found["recall_at_5"] == 1 and found["recall_by_chance"] == 0.25
    # The text nearest to image 1 is that of pair 0, which says the same; and images 2 and 3 are one.
    same = compute_recall(images, turned, number_distinct(["a", "b", "c", "c"]), number_distinct(["x", "x", "y", "z"]))
    assert same["image_to_text_recall_at_1"] == 0.5 and same["recall_by_chance"] == 0.5 and same["pairs"] == 4


def test_recall_at_ranks_by_counting() -> None:
    torch.manual_seed(0)
    images, texts = (F.normalize(torch.randn(60, 8).double(), dim=1) for _ in range(2))
    found = compute_recall(images, texts, torch.arange(60), torch.arange(60))
    order = (images @ texts.T).argsort(1, descending=True)
    position = (order == torch.arange(60)[:, None]).int().argmax(1)
    for k in (1, 5, 10):
        assert found[f"image_to_text_recall_at_{k}"] == pytest.approx((position < k).double().mean().item())


def test_images_are_classified_by_the_names_of_classes(tmp_path: Path) -> None:
    """With towers that see and name colours, on one rank and on two; a fifth class is called wrongly."""
    folder = drawings.write_zero_shot(tmp_path)
    (folder / "n4").mkdir()
    (folder / "n4" / "0.png").write_bytes(drawings.draw("青", "四角", np.random.default_rng(0)))
    (folder / "classes.tsv").write_text((folder / "classes.tsv").read_text("utf-8") + "\nn4\t{}紫色", "utf-8")

    colours = drawings.COLOURS | {"紫": (150, 20, 150)}

    def embed_images(pictures: list[np.ndarray]) -> torch.Tensor:
        means = torch.tensor(np.stack([picture.reshape(-1, 3).astype(np.float32).mean(0) for picture in pictures]))
        return F.normalize(means - means.mean(1, keepdim=True), dim=1)

    def embed_texts(texts: list[str]) -> torch.Tensor:
        assert len(texts) <= 4 and not any("{}" in text.replace("{}紫", "") for text in texts)
        named = torch.tensor([next(rgb for name, rgb in colours.items() if name in text) for text in texts]).float()
        return F.normalize(named - named.mean(1, keepdim=True), dim=1)

    counts = []
    for rank, ranks in ((0, 1), (0, 2), (1, 2)):

        def sum_tensor(found: torch.Tensor) -> torch.Tensor:
            counts.append(found)
            return found

        settings, warned = SimpleNamespace(batch=4, threads=2), list[str]()
        loop: Any = SimpleNamespace(settings=settings, rank=rank, ranks=ranks, sum_tensor=sum_tensor, warn=warned.append)
        found = Evaluation(loop, embed_images, embed_texts, lambda a, b: a, 24).classify(
            ZeroShotClasses.load(folder, TEMPLATES)
        )
        if ranks == 1:
            assert found == {"zero_shot_top_1": 12 / 13, "zero_shot_top_5": 1, "zero_shot_images": 13}
            assert warned == ["1 of 14 images to classify cannot be decoded"]
    assert torch.equal(counts[0], counts[1] + counts[2])


def test_the_templates_that_are_shipped_are_many_and_have_a_place_for_the_name() -> None:
    found = read_templates(TEMPLATES)
    assert 20 <= len(found) == len(set(found)) and all(template.count("{}") == 1 for template in found)


def test_what_is_wrong_with_a_folder_of_classes_is_said(tmp_path: Path) -> None:
    good = drawings.write_zero_shot(tmp_path / "good")
    assert len(ZeroShotClasses.load(good, TEMPLATES).images) == 13
    with pytest.raises(UsageError, match="classes.tsv cannot be read"):
        ZeroShotClasses.load(tmp_path, TEMPLATES)
    for text, words in (("n0 赤\n", "line 1: expected label TAB"), ("n0\t赤\nn0\t青\n", "line 2: expected a label that"),
                        ("n0\t赤\nn9\t青\n", "line 2: there are no images"), ("n0\t赤\n", "names 1 classes")):  # fmt: skip
        (good / "classes.tsv").write_text(text, "utf-8")
        with pytest.raises(UsageError, match=words):
            ZeroShotClasses.load(good, TEMPLATES)
    (tmp_path / "templates.tsv").write_text("写真\n", "utf-8")
    with pytest.raises(UsageError, match="line 1: '写真' has no {}"):
        read_templates(tmp_path / "templates.tsv")
