"""Vision towers: what a checkpoint lacks is told, and never stays random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    VisionTextDualEncoderModel,
    ViTConfig,
    ViTForImageClassification,
)

from pipeline.core.errors import UsageError
from trainers.clip import Config, Contrastive
from trainers.data.images import normalise_pixels
from trainers.models.towers import build_vision_tower, join_towers
from trainers.training.settings import load_config

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}


def save_classifier(folder: Path) -> Path:
    """Save a ViT as google/vit-base-patch16-224 is: with a classifier, and without a pooler."""
    torch.manual_seed(1)
    ViTForImageClassification(ViTConfig(**SIZES)).save_pretrained(folder)
    return folder


def remove_weight(folder: Path, name: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        {key: value for key, value in weights.items() if not key.endswith(name)}, folder / "model.safetensors", {"format": "pt"}
    )


def join(tower: Any, **vision: Any) -> Contrastive:
    config = load_config(Config, "clip", "tiny")
    text = BertModel(BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=9))
    return Contrastive(join_towers(tower, text, 8), config.model_copy(update={"vision": vision}))


@pytest.mark.parametrize("freeze", [True, False])
def test_without_a_pooler_the_first_position_stands_for_the_image(tmp_path: Path, freeze: bool) -> None:
    path, said = str(save_classifier(tmp_path / "vit")), list[str]()
    tower = build_vision_tower({"pretrained": path, "freeze": freeze}, said.append)
    assert said == [
        f"{path} lacks pooler.dense.bias, pooler.dense.weight: the hidden state of the first position stands for the image",
        f"{path} also has classifier.bias, classifier.weight: not used",
    ]
    module = join(tower, freeze=freeze).eval()
    pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    images = module.config.images
    with torch.no_grad():
        values = normalise_pixels(pixels, images.mean, images.std)
        hidden = ViTForImageClassification.from_pretrained(path).vit(values).last_hidden_state[:, 0]
        expected = F.normalize(module.model.visual_projection(hidden), dim=1)
        torch.testing.assert_close(module.embed_images(pixels), expected, atol=1e-6, rtol=0)
        module.model.save_pretrained(tmp_path / "saved")  # and others see the same
        again = VisionTextDualEncoderModel.from_pretrained(tmp_path / "saved").eval()
        torch.testing.assert_close(
            F.normalize(again.get_image_features(values).pooler_output, dim=1), expected, atol=1e-6, rtol=0
        )
    trained = {name for name, weight in tower.named_parameters() if weight.requires_grad}
    assert trained == (set() if freeze else {name for name, _ in tower.named_parameters() if "pooler" not in name})


def test_a_pooler_that_is_there_is_used(tmp_path: Path) -> None:
    torch.manual_seed(2)
    whole, said = AutoModel.from_config(ViTConfig(**SIZES)).eval(), list[str]()
    whole.save_pretrained(tmp_path)
    tower = build_vision_tower({"pretrained": str(tmp_path), "freeze": True}, said.append)
    values = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(tower(values).pooler_output, whole(values).pooler_output) and not said


def test_weights_that_are_missing_are_told_and_refused_where_they_would_stay_random(tmp_path: Path) -> None:
    path, said = save_classifier(tmp_path / "vit"), list[str]()
    remove_weight(path, "layers.1.mlp.fc2.weight")
    remove_weight(path, "layer.1.output.dense.weight")
    with pytest.raises(UsageError, match=r"vision.pretrained: .* lacks .*layers?\.1\..*weight, which would be left random"):
        build_vision_tower({"pretrained": str(path), "freeze": True}, said.append)
    build_vision_tower({"pretrained": str(path)}, said.append)
    assert any("weight: random at first, and trained" in line for line in said)


def test_what_is_no_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vision.freeze: a new tower would stay random"):
        build_vision_tower({"model_type": "vit", "freeze": True} | SIZES, print)
    with pytest.raises(UsageError, match="a vit_mae makes no vector of 16 numbers"):
        build_vision_tower({"model_type": "vit_mae"} | SIZES, print)
    torch.manual_seed(3)
    CLIPVisionModel(CLIPVisionConfig(**SIZES)).save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text("utf-8")
    (tmp_path / "config.json").write_text(text.replace('"intermediate_size": 32', '"intermediate_size": 48'), "utf-8")
    with pytest.raises(UsageError, match=r"other shapes than its configuration says: .*fc1.bias \(32,\) instead of \(48,\)"):
        build_vision_tower({"pretrained": str(tmp_path)}, print)
