"""`python -m trainers.ctc CORPUS --model MODEL`: a speech recogniser from a HuBERT, by connectionist temporal classification.

Its alphabet is the characters of the transcripts, or of their katakana readings. The convolutions stay as they are, unless
`freeze_convolutions` is false. The metric is the
character error rate of the validation split, decoded greedily: all edits over all characters. A HubertForCTC is saved with its
processor.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
import numpy as np
import polars as pl
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from filters.transcript.edit_distance import error_rates
from pipeline.core.errors import UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint, read_json, write_json
from trainers.data.batches import Record, Skip
from trainers.data.length_batches import LengthBatches
from trainers.data.reader import Reader
from trainers.data.recordings import (
    BUILD_HINT,
    Frames,
    collate_audio,
    decode_samples,
    draw_mask,
    measure_durations,
    pad,
)
from trainers.data.shards import Shards
from trainers.models.hubert import (
    expects_normalised_samples,
    hash_model,
    ignore_padding,
    load_hubert,
    make_feature_extractor,
)
from trainers.training.command import RunOptions, command
from trainers.training.loop import Loop
from trainers.training.settings import Train

PAD, UNKNOWN, SPACE = "[PAD]", "[UNK]", "|"  # the first is CTC's blank
NO_CHARACTER = -1  # the label behind the characters of a transcript
TRANSCRIPTS_SHOWN = 3  # at each evaluation


class Config(Table):
    model: dict[str, Any]  # changes of the configuration of the model that training begins with, such as dropouts
    text: Literal["transcript", "reading"] = "transcript"
    characters: int = Field(ge=1, description="of the alphabet, at most: the most frequent")
    least: int = Field(ge=1, description="times that a character has to occur to be one of them")
    freeze_convolutions: bool = Field(True, description="as they are in the model that training begins with")
    held_in: int = Field(0, ge=0, description="recordings of the training split whose error rate is reported, too")
    longest: int = Field(ge=400, description="samples; longer recordings are skipped")
    mask_share: float = Field(ge=0, le=1, description="share of the frames that is masked, if spans did not overlap")
    mask_length: int = Field(ge=1, description="frames of a span")
    train: Train


def build_alphabet(shards: Shards, config: Config) -> dict[str, int]:
    """Return ids of the blank, the unknown character, the space, and the characters from the most to the least frequent."""
    counts: Counter[str] = Counter()
    for number, group in enumerate(shards.row_groups):
        for text in shards.read([number]).take(np.arange(group.rows))[config.text]:
            counts.update((text or "").strip())
    for special in (" ", SPACE):
        counts.pop(special, None)
    frequent = [character for character, count in counts.items() if count >= config.least]
    characters = sorted(frequent, key=lambda character: (-counts[character], character))[: config.characters]
    if not characters:
        raise UsageError(
            f"no character occurs {config.least:,} times in the column {config.text!r}: is there any {config.text}? Or lower `least`"
        )
    return {token: i for i, token in enumerate([PAD, UNKNOWN, SPACE, *characters])}


def text_to_ids(text: str, ids: dict[str, int]) -> np.ndarray:
    return np.array([ids.get(character, ids[UNKNOWN]) for character in text.replace(" ", SPACE)], np.int64)


def ids_to_text(best: np.ndarray, ids: dict[str, int]) -> str:
    """Return the text of the best token at every frame: repetitions count once, blanks not at all.

    An unknown character becomes U+FFFD, which no text has.
    """
    tokens = list(ids)
    special = {PAD: "", UNKNOWN: "\N{REPLACEMENT CHARACTER}", SPACE: " "}
    return "".join(special.get(tokens[i], tokens[i]) for i, _ in groupby(best.tolist())).strip()


class Recogniser(nn.Module):
    """A HubertForCTC with the loss per character."""

    def __init__(self, model: Any, freeze_convolutions: bool = True) -> None:
        super().__init__()
        self.model = model
        ignore_padding(model.hubert)
        if freeze_convolutions:
            model.freeze_feature_encoder()

    def logits(self, **audio: torch.Tensor) -> torch.Tensor:
        """Return float32[batch, frames, tokens], computed in single precision."""
        hidden = self.model.dropout(self.model.hubert(**audio).last_hidden_state)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.model.lm_head(hidden.float())

    def loss(self, logits: torch.Tensor, labels: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Return the mean loss in nats per character.

        `labels` are int64[batch, characters], padded with NO_CHARACTER; `frames` is the int64[batch] number of each recording's frames.
        """
        lengths = (labels != NO_CHARACTER).sum(1)
        with torch.autocast(logits.device.type, enabled=False):
            log_probabilities = F.log_softmax(logits, -1).transpose(0, 1)
            loss = F.ctc_loss(log_probabilities, labels.clamp(min=0), frames, lengths, blank=0, reduction="sum")
        return loss / lengths.sum()

    def forward(self, labels: torch.Tensor, frames: torch.Tensor, **audio: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the loss per character, and no metrics."""
        return self.loss(self.logits(**audio), labels, frames), {}


class Utterance(NamedTuple):
    samples: np.ndarray  # float32
    labels: np.ndarray  # int64[characters]
    mask: np.ndarray  # bool[frames]
    text: str


class Decoder:
    """Decode records to utterances. Frames are masked in training only."""

    def __init__(self, config: Config, frames: Frames, ids: dict[str, int], normalise: bool, masks: bool) -> None:
        self.config, self.frames, self.ids, self.normalise, self.masks = config, frames, ids, normalise, masks

    def __call__(self, record: Record) -> Utterance:
        """Raises Skip."""
        text = (record[self.config.text] or "").strip()
        if not text:
            raise Skip("no transcript")
        samples = decode_samples(record["audio"], self.normalise)
        labels, frames = text_to_ids(text, self.ids), self.frames.count(len(samples))
        if len(samples) > self.config.longest:
            raise Skip("longer than longest")
        blanks = sum(a == b for a, b in pairwise(labels.tolist()))  # needed between equal characters
        if frames < len(labels) + blanks:
            raise Skip("more characters than frames")
        rng = np.random.default_rng([self.config.train.seed, *record["__key__"]])
        share = self.config.mask_share if self.masks else 0.0
        return Utterance(samples, labels, draw_mask(rng, frames, share, self.config.mask_length), text)


def collate(utterances: list[Utterance]) -> tuple[dict[str, torch.Tensor], float]:
    """Return the inputs of `Recogniser`, and how many seconds they are."""
    samples, labels, masks, _ = zip(*utterances, strict=True)
    audio, seconds = collate_audio(samples, masks)
    frames = torch.tensor([len(mask) for mask in masks])
    return audio | {"labels": pad(labels, NO_CHARACTER), "frames": frames}, seconds


def collate_with_text(utterances: list[Utterance]) -> tuple[dict[str, Any], float]:
    """Add the transcripts as `text`."""
    inputs, seconds = collate(utterances)
    return inputs | {"text": tuple(utterance.text for utterance in utterances)}, seconds


def evaluate_transcripts(loop: Loop, module: Recogniser, reader: Reader, decoder: Decoder, limit: int) -> dict[str, Any]:
    """Return the loss per character, edits over characters of the reference in all of the first `limit` records, and a few transcripts."""
    loss, edits, characters, skipped, shown = 0.0, 0.0, 0, 0, list[str]()
    for batch in loop.evaluation_batches(reader, limit, collate_with_text, decoder):
        texts = batch.inputs.pop("text")
        inputs = {name: value.to(loop.device) for name, value in batch.inputs.items()}
        lengths = np.array([len(text) for text in texts])
        labels, frames = inputs.pop("labels"), inputs.pop("frames")
        logits = module.logits(**inputs)
        loss += float(module.loss(logits, labels, frames)) * lengths.sum()
        best = logits.argmax(-1).cpu().numpy()
        heard = [ids_to_text(row[:count], decoder.ids) for row, count in zip(best, frames.tolist(), strict=True)]
        rates = error_rates(pl.Series(texts), pl.Series(heard, dtype=pl.String)).to_numpy()
        edits += np.rint(rates * lengths).sum()
        characters += lengths.sum()
        skipped += batch.skipped
        lines = [f"{text} → {transcript}" for text, transcript in zip(texts, heard, strict=True)]
        shown += lines[: TRANSCRIPTS_SHOWN - len(shown)]
    total = max(loop.sum(characters), 1.0)
    return {
        "loss": loop.sum(loss) / total,
        "character_error_rate": loop.sum(edits) / total,
        "skipped": int(loop.sum(skipped)),
        "sample": shown,
    }


def load_recogniser(loop: Loop, model_class: Any, path: str, ids: dict[str, int], **options: Any) -> Any:
    """Load a HubertForCTC. Its head is new unless the checkpoint has one for the very same alphabet."""

    def is_frozen(name: str) -> bool:
        return ".feature_extractor." in name

    model, report = load_hubert(model_class, path, loop.warn, is_frozen, new=("lm_head.",), **options)
    is_new = any(name.startswith("lm_head.") for name in (*report.missing, *report.mismatched))
    if not is_new and read_json(Path(path) / "vocab.json") != ids:
        torch.nn.init.normal_(model.lm_head.weight, std=model.config.initializer_range)
        torch.nn.init.zeros_(model.lm_head.bias)
        is_new = True
    if is_new:
        loop.console.print(f"{path} has no lm_head for this alphabet: a new one is trained", highlight=False, markup=False)
    return model


@command("ctc", "hubert-base", Config)
@click.option("--model", "start_model", required=True, metavar="MODEL", help="Folder of a HubertModel, or its name on the Hub.")
def main(options: RunOptions[Config], start_model: str) -> None:
    """Make a recogniser of MODEL with the transcripts of CORPUS, a folder of speech that Seimai built."""
    train(options, start_model)


def train(options: RunOptions[Config], start_model: str) -> None:
    from transformers import HubertConfig, HubertForCTC, Wav2Vec2CTCTokenizer, Wav2Vec2Processor  # late: heavy

    config, settings, corpus = options.config, options.config.train, options.corpus
    if unknown := [key for key in config.model if not hasattr(HubertConfig(), key)]:
        raise UsageError(f"model.{unknown[0]}: hubert has no such setting")
    columns = ["audio", config.text]
    shards = Shards(corpus, "train", columns, BUILD_HINT, optional=["duration"])
    length_batches = LengthBatches(settings.seconds, settings.batch, measure_durations) if settings.seconds else None
    ids = build_alphabet(Shards(corpus, "train", [config.text], BUILD_HINT), config)
    identity = {"begin": hash_model(start_model), "alphabet": fingerprint(list(ids))}
    loop = Loop(options, "audio_seconds", identity)
    special = {"vocab_size": len(ids), "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
    model = load_recogniser(loop, HubertForCTC, start_model, ids, **config.model, **special)
    module, frames = Recogniser(model, config.freeze_convolutions), Frames.from_config(model.config)
    normalise = expects_normalised_samples(start_model, model.config)
    validation = loop.open_validation(corpus, columns)
    if validation:
        validation.length_batches = length_batches

    def evaluate() -> dict[str, Any]:
        decoder, metrics = Decoder(config, frames, ids, normalise, masks=False), dict[str, Any]()
        if validation:
            metrics |= evaluate_transcripts(loop, module, validation, decoder, settings.evaluate_records)
        if config.held_in:
            own = Reader(shards, None, length_batches=length_batches)
            of_training = evaluate_transcripts(loop, module, own, decoder, config.held_in)
            metrics |= {f"held_in_{name}": value for name, value in of_training.items()}
        for line in metrics.get("sample", metrics.get("held_in_sample", [])):
            loop.console.print(line, highlight=False, markup=False, soft_wrap=True)
        return metrics

    def export(folder: Path) -> None:
        model.save_pretrained(folder)
        write_json(folder / "vocab.json", ids)
        tokenizer = Wav2Vec2CTCTokenizer(
            str(folder / "vocab.json"), bos_token=None, eos_token=None, unk_token=UNKNOWN, pad_token=PAD, word_delimiter_token=SPACE,
            clean_up_tokenization_spaces=False,
        )  # fmt: skip
        Wav2Vec2Processor(make_feature_extractor(normalise), tokenizer).save_pretrained(folder)

    reader = Reader(shards, settings.seed, settings.buffer, length_batches)
    decoder = Decoder(config, frames, ids, normalise, masks=True)
    drops_layers = model.config.layerdrop > 0
    loop.fit(
        module, reader, collate, evaluate, export, decode=decoder, unused_parameters=drops_layers,
        next_command=["trainers.generate", options.out, "--corpus", corpus],
    )  # fmt: skip


if __name__ == "__main__":
    main()
