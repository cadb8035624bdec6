"""`python -m trainers.hubert CORPUS`: a HuBERT that learns to say which unit hides behind a mask.

Two iterations: the units of the first are clusters of MFCC, those of the second clusters of what a layer of the first model hands on, and
the second model begins anew (Hsu et al. 2021, arXiv 2106.07447). Units are made where they are missing (`trainers.targets`). The head is
here, which transformers lacks; what is saved is a plain HubertModel.

Which part of a recording is taken and which frames are masked is drawn from (seed, epoch, record), whatever the number of ranks or threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from filters.audio.decoding import RATE
from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from trainers.data.reader import Reader, Shards, Skip, stream
from trainers.data.recordings import BUILD, Frames, padded, padding_proof, preprocessor, samples_of, sound_inputs, spans
from trainers.models.hubert_targets import Clusters, targets
from trainers.training.loop import Loop
from trainers.training.settings import Train, built, command, load, model_config

COLUMNS = ["id", "audio", "labels"]
TOLERANCE = 0.1  # seconds between the length of a recording and that of its labels: fairseq's
HIDDEN = -100  # the unit of frames that are not to be predicted


class Config(Table):
    model: dict[str, Any]  # model_type = "hubert", and what differs from its defaults
    first: Clusters  # units of iteration 1, of MFCC
    second: Clusters  # units of iteration 2, of a layer
    shortest: int = Field(ge=400, description="samples; shorter recordings are skipped")
    crop: int = Field(ge=400, description="samples; of longer recordings a part is taken at random")
    mask_share: float = Field(gt=0, le=1, description="of the frames, if spans did not overlap")
    mask_length: int = Field(ge=1, description="frames of a span")
    temperature: float = Field(gt=0, description="by which cosines are divided")
    projection: int = Field(ge=1, description="dimensions in which frames are compared with units")
    feature_gradient: float = Field(ge=0, le=1, description="how much of the gradient the convolutions get")
    feature_penalty: float = Field(
        ge=0, description="times the mean square of what the convolutions put out, added to the loss"
    )
    normalise: bool = Field(description="whether samples get mean 0 and variance 1")
    train: Train


class MaskedPrediction(nn.Module):
    """A HubertModel and a head: the cosine of a frame's projection with the vector of every unit."""

    def __init__(self, hubert: Any, units: int, config: Config) -> None:
        super().__init__()
        self.hubert = padding_proof(hubert)
        self.project = nn.Linear(hubert.config.hidden_size, config.projection)
        self.units = nn.Parameter(torch.rand(units, config.projection))
        self.temperature, self.penalty, self.gradient = config.temperature, config.feature_penalty, config.feature_gradient
        self.features: torch.Tensor  # of the convolutions, of the last call: [batch, channels, frames]
        hubert.feature_extractor.register_forward_hook(self._keep)

    def _keep(self, _: nn.Module, args: Any, features: torch.Tensor) -> None:
        if features.requires_grad and self.gradient != 1:
            features.register_hook(lambda gradient: gradient * self.gradient)
        self.features = features

    def logits(self, frames: torch.Tensor) -> torch.Tensor:
        """float32[n, units] of frames that the HubertModel put out, [n, hidden_size]."""
        projected = F.normalize(self.project(frames).float(), dim=-1)
        return projected @ F.normalize(self.units.float(), dim=-1).T / self.temperature

    def forward(self, labels: torch.Tensor, there: torch.Tensor, **sound: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Loss, and what is told of it: int64[batch, frames] with HIDDEN where nothing is to be said, bool[batch, frames] of no padding."""
        hidden = self.hubert(**sound).last_hidden_state
        asked = labels != HIDDEN
        logits, labels = self.logits(hidden[asked]), labels[asked]
        found = F.cross_entropy(logits, labels)
        squares = self.features.float().square().mean(1)
        penalty = (squares * there).sum() / there.sum()
        del self.features
        counts = torch.bincount(labels, minlength=len(self.units))
        right = (logits.argmax(-1) == labels).sum()
        told = {
            "masked_loss": found,
            "accuracy": right / len(labels),
            "largest_unit": counts.max() / len(labels),
            "penalty": penalty,
        }
        return found + self.penalty * penalty, told


class Decoder:
    """From records to parts of recordings with their units and masks."""

    def __init__(self, config: Config, frames: Frames, rate: int) -> None:
        self.config, self.frames, self.rate = config, frames, rate
        self.every, rest = divmod(rate * frames.stride, RATE)  # labels per frame of the model
        if rest or not self.every:
            raise UsageError(
                f"units that come {rate} times a second do not fit a model with a frame every {frames.stride} samples: "
                "its frames must be as many or a whole part of them (model.conv_stride)"
            )

    def __call__(self, record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """float32 samples; int64 labels (HIDDEN where not masked) and bool mask of the frames that they make."""
        c = self.config
        if record["labels"] is None:
            raise Skip("its units could not be made")
        samples = samples_of(record["audio"], c.normalise)
        if len(samples) < c.shortest:
            raise Skip("shorter than shortest")
        if abs(len(record["labels"]) / self.rate - len(samples) / RATE) > TOLERANCE:
            raise InputError(
                f"{record['id']} has {len(record['labels']) / self.rate:.2f} s of units for {len(samples) / RATE:.2f} s of sound: "
                "remove the corpus' folder of targets, and it is made anew"
            )
        labels = record["labels"][:: self.every]
        total = min(self.frames.count(len(samples)), len(labels))
        size = min(total, self.frames.count(c.crop))
        rng = np.random.default_rng([c.train.seed, *record["__key__"]])
        first = int(rng.integers(total - size + 1))
        mask = spans(rng, size, c.mask_share, c.mask_length)
        labels = np.where(mask, labels[first : first + size].astype(np.int64), HIDDEN)
        return samples[self.frames.slice(first, size)], labels, mask


def collate(items: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[dict[str, torch.Tensor], float]:
    """Inputs of `MaskedPrediction`, and how many seconds they are."""
    samples, labels, masks = zip(*items, strict=True)
    sound, seconds = sound_inputs(samples, masks)
    there = padded([np.ones(len(m), bool) for m in masks])
    return sound | {"labels": padded(labels, HIDDEN), "there": there}, seconds


def evaluated(loop: Loop, module: MaskedPrediction, reader: Reader, decoder: Decoder, train: Train) -> dict[str, float]:
    """Loss of masked frames, the share that is predicted rightly, and that of the most frequent unit, which is what guessing would get."""
    loss, right, counts, skipped = 0.0, 0.0, torch.zeros(len(module.units), dtype=torch.float64), 0
    chosen = reader.once(loop.rank, loop.ranks, train.evaluate_records)
    for batch in stream(reader, chosen, train.batch, collate, decoder, threads=train.threads):
        labels = batch.inputs["labels"]
        labels = labels[labels != HIDDEN]
        told = module(**{name: value.to(loop.device) for name, value in batch.inputs.items()})[1]
        loss, right = loss + float(told["masked_loss"]) * len(labels), right + float(told["accuracy"]) * len(labels)
        counts, skipped = counts + torch.bincount(labels, minlength=len(counts)), skipped + batch.skipped
    counts = loop.summed(counts)
    total = max(float(counts.sum()), 1.0)
    return {
        "masked_loss": loop.sum(loss) / total,
        "accuracy": loop.sum(right) / total,
        "largest_unit": float(counts.max()) / total,
        "skipped": int(loop.sum(skipped)),
    }


@command("hubert", "hubert-base")
@click.option(
    "--iteration", type=click.IntRange(1, 2), default=1, show_default=True, help="1: units of MFCC. 2: of a model's layer."
)
@click.option("--from", "before", metavar="MODEL", help="Iteration 2: the model of the first one, whose layer makes the units.")
@click.option("--targets", "place", type=click.Path(path_type=Path), help="Folder of units.  [default: below CORPUS/targets]")
def main(
    corpus: Path,
    config: str,
    out: Path,
    resume: bool,
    changes: tuple[str, ...],
    iteration: int,
    before: str | None,
    place: Path | None,
) -> None:
    """Train a HuBERT on CORPUS, a folder of speech that Seimai built."""
    settings = load(Config, "hubert", config, changes)
    clusters = settings.first if iteration == 1 else settings.second
    place, told = targets(corpus, clusters, before, click.echo, place, settings.train.threads)
    train(settings, corpus, place, told, iteration, out, resume)


def train(settings: Config, corpus: Path, place: Path, told: dict[str, Any], iteration: int, out: Path, resume: bool) -> None:
    from transformers import HubertModel

    shape = model_config(settings.model, "model")
    if shape.model_type != "hubert" or not (shape.apply_spec_augment and shape.mask_time_prob > 0):
        raise UsageError(
            'model: model_type = "hubert" is what is trained here, with apply_spec_augment and a mask_time_prob over 0'
        )
    shards = Shards(corpus, "train", COLUMNS, BUILD, [place])
    decoder = Decoder(settings, Frames.of(shape), told["rate"])
    config = settings.model_dump() | {"iteration": iteration, "units": told["centres_sha256"]}
    run = Loop(settings.train, config, out, resume, "audio_seconds")
    with built("model"):
        model = HubertModel(shape)
    module = MaskedPrediction(model, told["k"], settings)
    reader = Reader(shards, settings.train.seed, settings.train.buffer)
    held_out = run.held_out(corpus, COLUMNS, [place])

    def evaluate() -> dict[str, Any]:
        return {} if held_out is None else evaluated(run, module, held_out, decoder, settings.train)

    def export(folder: Path) -> None:
        model.save_pretrained(folder)
        preprocessor(settings.normalise).save_pretrained(folder)

    run.fit(
        module,
        reader,
        lambda spans, taken: stream(
            reader, spans, settings.train.batch, collate, decoder, taken=taken, threads=settings.train.threads
        ),
        evaluate,
        export,
        unused=shape.layerdrop > 0,
    )


if __name__ == "__main__":
    main()
