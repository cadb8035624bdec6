"""`python -m trainers.clip CORPUS`: CLIP or CLOOB on image-text shards, with a Japanese text tower from scratch.

The negatives of a pair are all other pairs of its micro-batch, on all ranks. So more ranks are the same as a larger batch;
accumulating gradients adds no negatives.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from pipeline.core.errors import UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint
from trainers.data.batches import Record
from trainers.data.images import BUILD_HINT, CAPTIONS, decode_square, normalise_pixels, read_caption
from trainers.data.reader import Reader
from trainers.data.shards import Shards
from trainers.models.configuration import explain_model_errors
from trainers.models.contrastive_losses import gather_embeddings, info_loob, info_nce
from trainers.models.retrieval import TEMPLATES, Evaluation, Pair, ZeroShotClasses
from trainers.models.towers import (
    build_text_tower,
    build_vision_tower,
    has_fixed_pooler,
    image_size,
    join_towers,
    load_tokenizer,
)
from trainers.training.command import RunOptions, command
from trainers.training.loop import Loop
from trainers.training.settings import Crop, Positive, Train

COLUMNS = ["image", "caption"]
HIGHEST_LOGIT_SCALE = math.log(100)  # CLIP's limit of the logarithm of its inverse temperature


class Images(Table):
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    crop: Crop = Field((0.9, 1.0), description="share of the largest square that is seen in training")


class Config(Table):
    objective: Literal["clip", "cloob"] = "clip"
    inverse_temperature: float = Field(30.0, gt=0, description="CLOOB's, fixed; CLIP learns its own")
    hopfield_scale: float = Field(15.0, gt=0, description="CLOOB's: how sharp retrieval is")
    projection: int = Field(512, ge=1)
    text_length: int = Field(77, ge=3, description="tokens of a caption, with BOS and EOS")
    held_in: int = Field(0, ge=0, description="pairs of the training split whose recall is reported, too")
    images: Images
    vision: dict[str, Any]  # `pretrained` (a path or a name on the hub), or model_type and what differs; and `freeze`
    text: dict[str, Any]  # model_type, and what differs from its defaults
    train: Train


class Contrastive(nn.Module):
    """A VisionTextDualEncoderModel with the objective it is trained for."""

    def __init__(self, model: Any, config: Config) -> None:
        super().__init__()
        self.model, self.config, self.is_frozen = model, config, bool(config.vision.get("freeze"))
        fixed = "pooler." if has_fixed_pooler(model.vision_model) else "mask_token"
        for name, weight in model.vision_model.named_parameters():
            weight.requires_grad_(not self.is_frozen and fixed not in name)  # DINOv2's mask is not used here
        if config.objective == "cloob":
            model.logit_scale.requires_grad_(False).fill_(math.log(config.inverse_temperature))

    def train(self, mode: bool = True) -> Contrastive:
        super().train(mode)
        if self.is_frozen:
            self.model.vision_model.eval()
        return self

    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32[n, d] of length 1 of uint8[n, h, w, 3]."""
        values = normalise_pixels(pixels, self.config.images.mean, self.config.images.std)
        return F.normalize(self.model.visual_projection(self.model.vision_model(values).pooler_output).float(), dim=1)

    def embed_texts(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return float32[n, d] of length 1 of int64[n, tokens]."""
        pooled = self.model.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.model.text_projection(pooled).float(), dim=1)

    def loss(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, enabled=False):
            scale = self.model.logit_scale.float().exp()
            if self.config.objective == "clip":
                return info_nce(images, texts, scale)
            return info_loob(images, texts, scale, self.config.hopfield_scale)

    def forward(
        self, pixels: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the loss over the pairs of all ranks, the inverse temperature, and the share of images whose own text is nearest."""
        images, texts = gather_embeddings(self.embed_images(pixels), self.embed_texts(input_ids, attention_mask))
        with torch.no_grad():
            is_nearest = (images @ texts.T).argmax(1) == torch.arange(len(images), device=images.device)
        metrics = {"scale": self.model.logit_scale.detach().exp(), "accuracy": is_nearest.float().mean()}
        return self.loss(images, texts), metrics

    def clamp_logit_scale(self) -> None:
        self.model.logit_scale.data.clamp_(max=HIGHEST_LOGIT_SCALE)


@command("clip", "clip-vit-b-16", Config)
@click.option("--tokenizer", "tokenizer_dir", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
@click.option("--zero-shot", type=click.Path(path_type=Path), help="Folder of classes.tsv, and images in a folder per label.")
@click.option("--templates", type=click.Path(path_type=Path), default=TEMPLATES, help="TSV for --zero-shot.  [default: ours]")
def main(options: RunOptions[Config], tokenizer_dir: Path | None, zero_shot: Path | None, templates: Path) -> None:
    """Train CLIP or CLOOB on CORPUS, a folder of image-text shards with a tokenizer."""
    shards = Shards(options.corpus, "train", COLUMNS, BUILD_HINT, optional=CAPTIONS)
    tokenizer = load_tokenizer(tokenizer_dir or options.corpus / "tokenizer", options.config.text_length)
    classes = ZeroShotClasses.load(zero_shot, templates) if zero_shot else None
    train(options, shards, tokenizer, classes)


def train(options: RunOptions[Config], shards: Shards, tokenizer: Any, classes: ZeroShotClasses | None) -> None:
    from transformers import CLIPImageProcessor, VisionTextDualEncoderProcessor  # late: heavy

    config, settings = options.config, options.config.train
    loop = Loop(options, "pairs", {"vocabulary": fingerprint(tokenizer.get_vocab())})
    if settings.batch * loop.ranks < 2:
        raise UsageError("train.batch: the loss compares a pair with others: 2 or more")
    vision = build_vision_tower(config.vision, loop.warn)
    text = build_text_tower(config.text, config.text_length, tokenizer)
    with explain_model_errors("projection"):
        module = Contrastive(join_towers(vision, text, config.projection), config)
    size = image_size(vision.config)

    def tokenize(captions: list[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if settings.compile else "longest"
        tokens = tokenizer(captions, padding=padding, truncation=True, return_tensors="pt")
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def decode(record: Record) -> Pair:
        rng = np.random.default_rng([settings.seed, *record["__key__"]])
        return Pair(decode_square(record["image"], size, rng, config.images.crop), read_caption(record, rng))

    def collate(pairs: list[Pair]) -> tuple[dict[str, torch.Tensor], float]:
        pixels = torch.from_numpy(np.stack([pair.picture for pair in pairs]))
        return {"pixels": pixels} | tokenize([pair.caption for pair in pairs]), float(len(pairs))

    def embed_images(pictures: list[np.ndarray]) -> torch.Tensor:
        return module.embed_images(torch.from_numpy(np.stack(pictures)).to(loop.device))

    def embed_texts(captions: list[str]) -> torch.Tensor:
        return module.embed_texts(**{name: value.to(loop.device) for name, value in tokenize(captions).items()})

    evaluation = Evaluation(loop, embed_images, embed_texts, module.loss, size)
    validation = loop.open_validation(options.corpus, COLUMNS)

    def evaluate() -> dict[str, Any]:
        metrics: dict[str, Any] = {}
        if validation is not None:
            metrics |= evaluation.evaluate_pairs(validation, settings.evaluate_records)
        if config.held_in:
            of_training = evaluation.evaluate_pairs(Reader(shards, None), config.held_in)
            metrics |= {f"held_in_{name}": value for name, value in of_training.items()}
        return metrics | evaluation.classify(classes) if classes else metrics

    def export(folder: Path) -> None:
        module.model.save_pretrained(folder)
        processor = CLIPImageProcessor(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}, resample=2,
            image_mean=list(config.images.mean), image_std=list(config.images.std),
        )  # fmt: skip
        VisionTextDualEncoderProcessor(processor, tokenizer).save_pretrained(folder)

    reader = Reader(shards, settings.seed, settings.buffer)
    loop.fit(
        module, reader, collate, evaluate, export, decode=decode, after_step=module.clamp_logit_scale, amount_per_record=1,
        next_command=["trainers.generate", options.out, "--corpus", options.corpus],
    )  # fmt: skip


if __name__ == "__main__":
    main()
