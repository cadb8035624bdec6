"""`python -m trainers.clip CORPUS`: CLIP or CLOOB on image-text shards, with a Japanese text tower from scratch.

The negatives of a pair are all other pairs of its micro-batch, on all ranks: more ranks are as a larger batch. Accumulating gradients
adds none.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import numpy as np
import torch
import torch.distributed as dist
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from pipeline.core.errors import UsageError
from pipeline.core.settings import Table
from trainers.data.images import BUILD, decoded, floats
from trainers.data.reader import Reader, Shards, stream
from trainers.models.retrieval import TEMPLATES, Evaluation, ZeroShot, captioned
from trainers.models.towers import dual_model, image_size, load_tokenizer, text_tower, vision_tower
from trainers.training.loop import Loop
from trainers.training.settings import Crop, Train, built, command, load

HIGHEST = math.log(100)  # of the logarithm of CLIP's inverse temperature


Positive = Annotated[float, Field(gt=0)]


class Images(Table):
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    crop: Crop = Field((0.9, 1.0), description="share of the largest square that is seen in training")


class Config(Table):
    objective: Literal["clip", "cloob"] = "clip"
    inverse_temperature: float = Field(30.0, gt=0, description="CLOOB's; CLIP learns it")
    hopfield_scale: float = Field(8.0, gt=0, description="CLOOB's: how sharp retrieval is")
    projection: int = Field(512, ge=1)
    text_length: int = Field(77, ge=3, description="tokens of a caption, with BOS and EOS")
    held_in: int = Field(0, ge=0, description="pairs of the training split that recall is reported of, too")
    images: Images
    vision: dict[str, Any]  # `pretrained` (a path or a name on the hub), or model_type and what differs; and `freeze`
    text: dict[str, Any]  # model_type, and what differs from its defaults
    train: Train


def info_nce(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's loss (Radford et al. 2021): the pair among all of the batch, in both directions. Embeddings float[n, d] of length 1."""
    logits, target = scale * images @ texts.T, torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def info_loob(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, sharpness: float) -> torch.Tensor:
    """CLOOB's loss (Fürst et al. 2022, arXiv 2110.11316, section 3) on embeddings float[n, d] of length 1, n of 2 or more.

    Images and texts both retrieve, in a modern Hopfield network, first from the stored images, then from the stored texts. A pair's
    retrieved embeddings are compared, and in contrast to InfoNCE the pair itself is left out of the denominator. As in the authors'
    code the loss is that by the inverse temperature, summed over the two.
    """
    own = torch.eye(len(images), dtype=torch.bool, device=images.device)
    total = images.new_zeros(())
    for stored, others in ((images, texts), (texts, images)):
        anchor, answer = (F.normalize((sharpness * state @ stored.T).softmax(1) @ stored, dim=1) for state in (stored, others))
        logits = scale * anchor @ answer.T
        total = total + (logits.masked_fill(own, -math.inf).logsumexp(1) - logits.diagonal()).mean()
    return total / scale


class _Gather(torch.autograd.Function):
    """float[ranks, …] of every rank's float[…]. The gradient is the sum of all ranks', whose mean the loop takes later on."""

    @staticmethod
    def forward(ctx: Any, mine: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, mine.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total[dist.get_rank()]


@torch.compiler.disable
def gathered(images: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The embeddings of all ranks, in one exchange."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return images, texts
    both = _Gather.apply(torch.stack([images, texts]))
    return both[:, 0].flatten(0, 1), both[:, 1].flatten(0, 1)


class Dual(nn.Module):
    """A VisionTextDualEncoderModel and what it is trained for."""

    def __init__(self, model: Any, settings: Config) -> None:
        super().__init__()
        self.model, self.settings, self.frozen = model, settings, bool(settings.vision.get("freeze"))
        for name, weight in model.vision_model.named_parameters():  # DINOv2's mask is of no use here
            weight.requires_grad_(not self.frozen and "mask_token" not in name)
        if settings.objective == "cloob":
            model.logit_scale.requires_grad_(False).fill_(math.log(settings.inverse_temperature))

    def train(self, mode: bool = True) -> Dual:
        super().train(mode)
        if self.frozen:
            self.model.vision_model.eval()
        return self

    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32[n, d], of length 1, of uint8[n, h, w, 3]."""
        values = floats(pixels, self.settings.images.mean, self.settings.images.std)
        return F.normalize(self.model.visual_projection(self.model.vision_model(values).pooler_output).float(), dim=1)

    def embed_texts(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """float32[n, d], of length 1, of int64[n, tokens]."""
        found = self.model.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.model.text_projection(found).float(), dim=1)

    def loss(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, enabled=False):
            scale = self.model.logit_scale.float().exp()
            if self.settings.objective == "clip":
                return info_nce(images, texts, scale)
            return info_loob(images, texts, scale, self.settings.hopfield_scale)

    def forward(
        self, pixels: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Loss over all ranks' pairs, the inverse temperature, and the share of images to which their own text is the nearest."""
        images, texts = gathered(self.embed_images(pixels), self.embed_texts(input_ids, attention_mask))
        with torch.no_grad():
            nearest = (images @ texts.T).argmax(1) == torch.arange(len(images), device=images.device)
        told = {"scale": self.model.logit_scale.detach().exp(), "accuracy": nearest.float().mean()}
        return self.loss(images, texts), told

    def clamp(self) -> None:
        self.model.logit_scale.data.clamp_(max=HIGHEST)


@command("clip", "clip-vit-b-16")
@click.option("--tokenizer", "place", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
@click.option("--zero-shot", type=click.Path(path_type=Path), help="Folder of classes.tsv, and images in a folder per label.")
@click.option("--templates", type=click.Path(path_type=Path), default=TEMPLATES, help="TSV for --zero-shot.  [default: ours]")
def main(
    corpus: Path, config: str, out: Path, resume: bool, changes: tuple[str, ...], place: Path | None,
    zero_shot: Path | None, templates: Path,
) -> None:  # fmt: skip
    """Train CLIP or CLOOB on CORPUS, a folder of image-text shards with a tokenizer."""
    settings = load(Config, "clip", config, changes)
    shards = Shards(corpus, "train", ["image", "caption"], BUILD)
    tokenizer = load_tokenizer(place or corpus / "tokenizer", settings.text_length)
    classes = ZeroShot.find(zero_shot, templates) if zero_shot else None
    train(settings, shards, corpus, tokenizer, classes, out, resume)


def train(
    settings: Config, shards: Shards, corpus: Path, tokenizer: Any, classes: ZeroShot | None, out: Path, resume: bool
) -> None:  # fmt: skip
    from transformers import CLIPImageProcessor, VisionTextDualEncoderProcessor

    t = settings.train
    run = Loop(t, settings.model_dump(), out, resume, "pairs")
    if t.batch * run.ranks < 2:
        raise UsageError("train.batch: a pair needs others to be told from: 2 or more")
    vision, text = vision_tower(settings.vision), text_tower(settings.text, settings.text_length, tokenizer)
    with built("projection"):
        dual = Dual(dual_model(vision, text, settings.projection), settings)
    size = image_size(vision.config)

    def tokenized(texts: list[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if t.compile else "longest"
        found = tokenizer(texts, padding=padding, truncation=True, return_tensors="pt")
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    def decode(record: dict[str, Any]) -> tuple[np.ndarray, str]:
        rng = np.random.default_rng([t.seed, *record["__key__"]])
        return decoded(record["image"], size, rng, settings.images.crop), captioned(record)

    def collate(items: list[tuple[np.ndarray, str]]) -> tuple[dict[str, torch.Tensor], float]:
        pixels = torch.from_numpy(np.stack([picture for picture, _ in items]))
        return {"pixels": pixels} | tokenized([caption for _, caption in items]), float(len(items))

    reader = Reader(shards, t.seed, t.buffer)
    held_out = run.held_out(corpus, shards.columns)

    def embed_images(pictures: list[np.ndarray]) -> torch.Tensor:
        return dual.embed_images(torch.from_numpy(np.stack(pictures)).to(run.device))

    def embed_texts(texts: list[str]) -> torch.Tensor:
        return dual.embed_texts(**{name: value.to(run.device) for name, value in tokenized(texts).items()})

    evaluation = Evaluation(run, embed_images, embed_texts, dual.loss, size)

    def evaluate() -> dict[str, Any]:
        found: dict[str, Any] = {}
        if held_out is not None:
            found |= evaluation.pairs(held_out, t.evaluate_records)
        if settings.held_in:
            seen = evaluation.pairs(Reader(shards, None), settings.held_in)
            found |= {f"held_in_{name}": value for name, value in seen.items()}
        return found | evaluation.classes(classes) if classes else found

    def export(folder: Path) -> None:
        dual.model.save_pretrained(folder)
        processor = CLIPImageProcessor(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}, resample=2,
            image_mean=list(settings.images.mean), image_std=list(settings.images.std),
        )  # fmt: skip
        VisionTextDualEncoderProcessor(processor, tokenizer).save_pretrained(folder)

    run.fit(
        dual,
        reader,
        lambda spans, taken: stream(reader, spans, t.batch, collate, decode, taken, t.threads),
        evaluate,
        export,
        dual.clamp,
    )


if __name__ == "__main__":
    main()
