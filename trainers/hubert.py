"""`python -m trainers.hubert CORPUS`: a HuBERT that learns to predict the units behind a mask.

There are two iterations (Hsu et al. 2021, arXiv 2106.07447). The units of the first are clusters of MFCC, those of the second are
clusters of a layer's hidden states in the first model; the second model begins from scratch. Missing units are made first
(`trainers.models.hubert_targets`). The prediction head, which transformers lacks, is here; a plain HubertModel is saved.

Which part of a recording is taken and which frames are masked is drawn from (seed, epoch, record), whatever the number of ranks or
threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from filters.audio.samples import RATE
from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from pipeline.core.terminal import tell
from trainers.data.batches import Record, Skip
from trainers.data.length_batches import LengthBatches
from trainers.data.reader import Reader
from trainers.data.recordings import BUILD_HINT, Frames, collate_audio, decode_samples, draw_mask, pad, pad_ones
from trainers.data.shards import Shards
from trainers.models.configuration import explain_model_errors, model_config
from trainers.models.hubert import ignore_padding, make_feature_extractor
from trainers.models.hubert_targets import Clusters, Targets, build_targets
from trainers.training.command import RunOptions, command
from trainers.training.loop import Loop
from trainers.training.settings import Train, list_configs

COLUMNS = ["id", "audio", "labels"]
TOLERANCE = 0.1  # seconds between the length of a recording and that of its labels: fairseq's
IGNORED = -100  # the label of frames that are not predicted


class Config(Table):
    model: dict[str, Any]  # model_type = "hubert", and what differs from its defaults
    first: Clusters  # units of iteration 1, of MFCC
    second: Clusters  # units of iteration 2, of a layer
    shortest: int = Field(ge=400, description="samples; shorter recordings are skipped")
    crop: int = Field(ge=400, description="samples; of longer recordings a part is taken at random")
    mask_share: float = Field(gt=0, le=1, description="share of the frames that is masked, if spans did not overlap")
    mask_length: int = Field(ge=1, description="frames of a span")
    temperature: float = Field(gt=0, description="by which cosines are divided")
    projection: int = Field(ge=1, description="dimensions in which frames are compared with units")
    feature_gradient: float = Field(ge=0, le=1, description="share of the gradient that the convolutions get")
    feature_penalty: float = Field(ge=0, description="weight, in the loss, of the mean square of the convolutions' output")
    normalise: bool = Field(description="whether samples get mean 0 and variance 1")
    train: Train

    def clusters(self, iteration: int) -> Clusters:
        return self.first if iteration == 1 else self.second


class MaskedPrediction(nn.Module):
    """A HubertModel and a head: the cosine between a frame's projection and the vector of every unit."""

    def __init__(self, hubert: Any, units: int, config: Config) -> None:
        super().__init__()
        self.hubert = ignore_padding(hubert)
        self.project = nn.Linear(hubert.config.hidden_size, config.projection)
        self.units = nn.Parameter(torch.rand(units, config.projection))
        self.temperature = config.temperature
        self.feature_penalty, self.feature_gradient = config.feature_penalty, config.feature_gradient
        self.features: torch.Tensor  # output of the convolutions in the last call: [batch, channels, frames]
        hubert.feature_extractor.register_forward_hook(self._keep_features)

    def _keep_features(self, _: nn.Module, args: Any, features: torch.Tensor) -> None:
        if features.requires_grad and self.feature_gradient != 1:
            features.register_hook(lambda gradient: gradient * self.feature_gradient)
        self.features = features

    def logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Return float32[n, units] of frames [n, hidden_size] that the HubertModel put out.

        In single precision: cosines divided by 0.1 would be off by up to 0.04 in bf16.
        """
        with torch.autocast(frames.device.type, enabled=False):
            projected = F.normalize(self.project(frames.float()), dim=-1)
            return projected @ F.normalize(self.units.float(), dim=-1).T / self.temperature

    def forward(
        self, labels: torch.Tensor, frame_mask: torch.Tensor, **audio: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the loss and its metrics.

        `labels` are int64[batch, frames], IGNORED where nothing is predicted; `frame_mask` is bool[batch, frames], false in padding.
        """
        hidden = self.hubert(**audio).last_hidden_state
        is_predicted = labels != IGNORED
        logits, labels = self.logits(hidden[is_predicted]), labels[is_predicted]
        masked_loss = F.cross_entropy(logits, labels)
        squares = self.features.float().square().mean(1)
        penalty = (squares * frame_mask).sum() / frame_mask.sum()
        del self.features
        frequencies = torch.bincount(labels, minlength=len(self.units))
        right = (logits.argmax(-1) == labels).sum()
        metrics = {
            "masked_loss": masked_loss,
            "accuracy": right / len(labels),
            "largest_unit": frequencies.max() / len(labels),
            "penalty": penalty,
        }
        return masked_loss + self.feature_penalty * penalty, metrics


class Recording(NamedTuple):
    """A recording before a part of it is taken."""

    samples: np.ndarray  # float32
    labels: np.ndarray  # one for every frame
    key: tuple[int, ...]  # decides what is drawn for it


class Decoder:
    """Decode records to recordings, and take parts of them. `rate` is that of the labels, per second."""

    def __init__(self, config: Config, frames: Frames, rate: int) -> None:
        self.config, self.frames, self.rate = config, frames, rate
        self.labels_per_frame, remainder = divmod(rate * frames.stride, RATE)
        if remainder or not self.labels_per_frame:
            raise UsageError(
                f"units that come {rate} times a second do not fit a model with a frame every {frames.stride} samples: "
                "each of its frames must last as long as one unit or several (model.conv_stride)"
            )

    def __call__(self, record: Record) -> Recording:
        """Raises Skip, and InputError if labels and recording differ in length."""
        config = self.config
        if record["labels"] is None:
            raise Skip("its units could not be made")
        samples = decode_samples(record["audio"], config.normalise)
        if len(samples) < config.shortest:
            raise Skip("shorter than shortest")
        if abs(len(record["labels"]) / self.rate - len(samples) / RATE) > TOLERANCE:
            raise InputError(
                f"{record['id']} has {len(record['labels']) / self.rate:.2f} s of units for {len(samples) / RATE:.2f} s of sound: "
                "remove the corpus' folder of targets, and it is made anew"
            )
        labels = record["labels"][:: self.labels_per_frame][: self.frames.count(len(samples))]
        return Recording(samples, labels.astype(np.int64), record["__key__"])

    def measure(self, columns: dict[str, Any]) -> np.ndarray:
        """Return float64[n] seconds of what is taken of each record at most, as their labels say."""
        lengths = [0 if labels is None else len(labels) for labels in columns["labels"]]
        return np.minimum(np.array(lengths, np.float64) / self.rate, self.config.crop / RATE)

    def length_batches(self) -> LengthBatches | None:
        settings = self.config.train
        return LengthBatches(settings.seconds, settings.batch, self.measure) if settings.seconds else None

    def collate_for_training(self, recordings: list[Recording]) -> tuple[dict[str, torch.Tensor], float]:
        """Take as much of every recording as the shortest has, as fairseq does, so that nothing is padded."""
        return self._collate(recordings, min(len(recording.labels) for recording in recordings))

    def collate(self, recordings: list[Recording]) -> tuple[dict[str, torch.Tensor], float]:
        """Return the inputs of `MaskedPrediction`, and how many seconds they are."""
        return self._collate(recordings, self.frames.count(self.config.crop))

    def _collate(self, recordings: list[Recording], longest: int) -> tuple[dict[str, torch.Tensor], float]:
        samples, labels, masks = zip(*(self.take(recording, longest) for recording in recordings), strict=True)
        audio, seconds = collate_audio(samples, masks)
        return audio | {"labels": pad(labels, IGNORED), "frame_mask": pad_ones([len(mask) for mask in masks])}, seconds

    def take(self, recording: Recording, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return samples, labels (IGNORED where not masked) and mask of a part that has `longest` frames at most."""
        config, total = self.config, len(recording.labels)
        length = min(total, longest, self.frames.count(config.crop))
        rng = np.random.default_rng([config.train.seed, *recording.key])
        first = int(rng.integers(total - length + 1))
        mask = draw_mask(rng, length, config.mask_share, config.mask_length)
        labels = np.where(mask, recording.labels[first : first + length], IGNORED)
        return recording.samples[self.frames.slice(first, length)], labels, mask


def evaluate_units(loop: Loop, module: MaskedPrediction, reader: Reader, decoder: Decoder) -> dict[str, float]:
    """Return the loss of masked frames, the share predicted rightly, and that of the most frequent unit, which guessing would get."""
    loss, right, skipped = 0.0, 0.0, 0
    frequencies = torch.zeros(len(module.units), dtype=torch.float64)
    for batch in loop.evaluation_batches(reader, loop.settings.evaluate_records, decoder.collate, decoder):
        labels = batch.inputs["labels"]
        labels = labels[labels != IGNORED]
        metrics = module(**{name: value.to(loop.device) for name, value in batch.inputs.items()})[1]
        loss += float(metrics["masked_loss"]) * len(labels)
        right += float(metrics["accuracy"]) * len(labels)
        frequencies += torch.bincount(labels, minlength=len(frequencies))
        skipped += batch.skipped
    frequencies = loop.sum_tensor(frequencies)
    total = max(float(frequencies.sum()), 1.0)
    return {
        "masked_loss": loop.sum(loss) / total,
        "accuracy": loop.sum(right) / total,
        "largest_unit": float(frequencies.max()) / total,
        "skipped": int(loop.sum(skipped)),
    }


@command("hubert", "hubert-base", Config)
@click.option(
    "--iteration", type=click.IntRange(1, 2), default=1, show_default=True, help="1: units of MFCC. 2: of a model's layer."
)
@click.option(
    "--from", "start_model", metavar="MODEL", help="Iteration 2: the model of the first one, whose layer makes the units."
)
@click.option(
    "--targets", "targets_dir", type=click.Path(path_type=Path), help="Folder of units.  [default: in CORPUS, below .cache]"
)
def main(options: RunOptions[Config], iteration: int, start_model: str | None, targets_dir: Path | None) -> None:
    """Train a HuBERT on CORPUS, a folder of speech that Seimai built."""
    configure_model(options.config)  # what cannot be trained is refused before units are made
    clusters, threads = options.config.clusters(iteration), options.config.train.threads
    targets = build_targets(options.corpus, clusters, start_model, tell, targets_dir, threads)
    train(options, targets, iteration)


def configure_model(config: Config) -> Any:
    """Return the HubertConfig of the model. Raises UsageError where it is none, or cannot be trained here."""
    hubert_config = model_config(config.model, "model")
    masks_time = hubert_config.model_type == "hubert" and hubert_config.apply_spec_augment and hubert_config.mask_time_prob > 0
    if not masks_time:
        raise UsageError(
            'model: model_type = "hubert" is what is trained here, with apply_spec_augment and a mask_time_prob over 0'
        )
    return hubert_config


def train(options: RunOptions[Config], targets: Targets, iteration: int) -> None:
    from transformers import HubertModel  # late: heavy

    config, settings = options.config, options.config.train
    hubert_config = configure_model(config)
    shards = Shards(options.corpus, "train", COLUMNS, BUILD_HINT, [targets.folder])
    decoder = Decoder(config, Frames.from_config(hubert_config), targets.rate)
    loop = Loop(options, "audio_seconds", {"iteration": iteration, "units": targets.centres_sha256})
    with explain_model_errors("model"):
        model = HubertModel(hubert_config)
    module = MaskedPrediction(model, targets.k, config)
    validation = loop.open_validation(options.corpus, COLUMNS, [targets.folder])
    if validation:
        validation.length_batches = decoder.length_batches()

    def evaluate() -> dict[str, Any]:
        return {} if validation is None else evaluate_units(loop, module, validation, decoder)

    def export(folder: Path) -> None:
        model.save_pretrained(folder)
        make_feature_extractor(config.normalise).save_pretrained(folder)

    reader = Reader(shards, settings.seed, settings.buffer, decoder.length_batches())
    collate = decoder.collate_for_training if settings.seconds else decoder.collate
    drops_layers = hubert_config.layerdrop > 0
    size = ["--config", options.config_name] if options.config_name in list_configs("ctc") else []
    loop.fit(
        module, reader, collate, evaluate, export, decode=decoder, unused_parameters=drops_layers,
        next_command=["trainers.ctc", options.corpus, *size, "--model", options.out / "model"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
