"""`python -m trainers.ctc CORPUS --model MODEL`: a recogniser of speech from a HuBERT, by connectionist temporal classification.

Its alphabet is the characters of the transcripts (or of their katakana readings); the convolutions stay as they are. What is reported is
the character error rate of the validation split, decoded greedily: all edits over all characters. Saves a HubertForCTC and its processor.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

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
from pipeline.core.storage import fingerprint, write_json
from trainers.data.reader import Reader, Shards, Skip, stream
from trainers.data.recordings import (
    BUILD,
    Frames,
    loaded,
    model_sha256,
    normalises,
    padded,
    padding_proof,
    preprocessor,
    samples_of,
    sound_inputs,
    spans,
)
from trainers.training.loop import Loop
from trainers.training.settings import Train, command, load

PAD, UNKNOWN, SPACE = "[PAD]", "[UNK]", "|"  # the first is CTC's blank
NONE = -1  # behind the characters of a transcript
SAMPLES = 3  # transcripts that are shown at each evaluation


class Config(Table):
    model: dict[str, Any]  # what is changed in the configuration of the model that is begun with, such as dropouts
    text: Literal["transcript", "reading"] = "transcript"
    characters: int = Field(ge=1, description="of the alphabet, at most: the most frequent")
    least: int = Field(ge=1, description="times that a character has to occur to be one of them")
    longest: int = Field(ge=400, description="samples; longer recordings are skipped")
    mask_share: float = Field(ge=0, le=1, description="of the frames, if spans did not overlap")
    mask_length: int = Field(ge=1, description="frames of a span")
    train: Train


def alphabet(shards: Shards, text: str, characters: int, least: int) -> dict[str, int]:
    """Ids of the blank, of what is none of the characters, of the space, and of characters from the most to the least frequent."""
    counts: Counter[str] = Counter()
    for number in range(len(shards.files)):
        for line in shards.read([number]).take(np.arange(shards.files[number][2]))[text]:
            counts.update((line or "").strip())
    for known in (" ", SPACE):
        counts.pop(known, None)
    found = sorted((c for c, n in counts.items() if n >= least), key=lambda c: (-counts[c], c))[:characters]
    if not found:
        raise UsageError(f"no character occurs {least:,} times in the column {text!r}: is there any {text}? Or lower `least`")
    return {token: i for i, token in enumerate([PAD, UNKNOWN, SPACE, *found])}


def ids_of(text: str, ids: dict[str, int]) -> np.ndarray:
    return np.array([ids.get(c, ids[UNKNOWN]) for c in text.replace(" ", SPACE)], np.int64)


def text_of(best: np.ndarray, ids: dict[str, int]) -> str:
    """The text of the best token at every frame: repetitions are one, blanks none. What is unknown is a character that no text has."""
    tokens = list(ids)
    told = {PAD: "", UNKNOWN: "\N{REPLACEMENT CHARACTER}", SPACE: " "}
    return "".join(told.get(tokens[i], tokens[i]) for i, _ in groupby(best.tolist())).strip()


class Recogniser(nn.Module):
    """A HubertForCTC with the loss per character."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        padding_proof(model.hubert)
        model.freeze_feature_encoder()

    def forward(self, labels: torch.Tensor, frames: torch.Tensor, **sound: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Mean loss in nats per character: int64[batch, characters] padded with NONE, int64[batch] frames of each recording."""
        logits = self.model(**sound).logits
        lengths = (labels != NONE).sum(1)
        with torch.autocast(logits.device.type, enabled=False):
            chances = F.log_softmax(logits.float(), -1).transpose(0, 1)
            loss = F.ctc_loss(chances, labels.clamp(min=0), frames, lengths, blank=0, reduction="sum")
        return loss / lengths.sum(), {}


class Decoder:
    """From records to samples, ids of characters, mask and text; `masks` only while training."""

    def __init__(self, config: Config, frames: Frames, ids: dict[str, int], normalise: bool, masks: bool) -> None:
        self.config, self.frames, self.ids, self.normalise, self.masks = config, frames, ids, normalise, masks

    def __call__(self, record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
        text = (record[self.config.text] or "").strip()
        if not text:
            raise Skip("no transcript")
        samples = samples_of(record["audio"], self.normalise)
        labels, frames = ids_of(text, self.ids), self.frames.count(len(samples))
        if len(samples) > self.config.longest:
            raise Skip("longer than longest")
        if frames < len(labels) + sum(a == b for a, b in pairwise(labels.tolist())):  # between equal ones there is a blank
            raise Skip("more characters than frames")
        rng = np.random.default_rng([self.config.train.seed, *record["__key__"]])
        share = self.config.mask_share if self.masks else 0.0
        return samples, labels, spans(rng, frames, share, self.config.mask_length), text


def collate(items: list[tuple[np.ndarray, np.ndarray, np.ndarray, str]]) -> tuple[dict[str, Any], float]:
    """Inputs of `Recogniser` and `text`; and how many seconds they are."""
    samples, labels, masks, texts = zip(*items, strict=True)
    sound, seconds = sound_inputs(samples, masks)
    frames = torch.tensor([len(mask) for mask in masks])
    return sound | {"labels": padded(labels, NONE), "frames": frames, "text": texts}, seconds


def evaluated(
    loop: Loop, module: Recogniser, reader: Reader, decoder: Decoder, train: Train, ids: dict[str, int]
) -> dict[str, Any]:
    """Loss per character; edits over characters of the reference, over the whole split; and the first few transcripts."""
    loss, edits, characters, skipped, shown = 0.0, 0.0, 0, 0, list[str]()
    chosen = reader.once(loop.rank, loop.ranks, train.evaluate_records)
    for batch in stream(reader, chosen, train.batch, collate, decoder, threads=train.threads):
        texts = batch.inputs.pop("text")
        inputs = {name: value.to(loop.device) for name, value in batch.inputs.items()}
        lengths = np.array([len(text) for text in texts])
        loss += float(module(**inputs)[0]) * lengths.sum()
        best = module.model(inputs["input_values"], attention_mask=inputs["attention_mask"]).logits.argmax(-1).cpu().numpy()
        heard = [text_of(row[:count], ids) for row, count in zip(best, inputs["frames"].tolist(), strict=True)]
        rates = error_rates(pl.Series(texts), pl.Series(heard, dtype=pl.String)).to_numpy()
        edits, characters, skipped = edits + np.rint(rates * lengths).sum(), characters + lengths.sum(), skipped + batch.skipped
        shown += [f"{text} → {other}" for text, other in zip(texts, heard, strict=True)][: SAMPLES - len(shown)]
    total = max(loop.sum(characters), 1.0)
    told = {"loss": loop.sum(loss) / total, "character_error_rate": loop.sum(edits) / total, "skipped": int(loop.sum(skipped))}
    return told | {"sample": shown}


@command("ctc", "hubert-base")
@click.option("--model", "begin", required=True, metavar="MODEL", help="Folder of a HubertModel, or its name on the Hub.")
def main(corpus: Path, config: str, out: Path, resume: bool, changes: tuple[str, ...], begin: str) -> None:
    """Make a recogniser of MODEL with the transcripts of CORPUS, a folder of speech that Seimai built."""
    train(load(Config, "ctc", config, changes), corpus, begin, out, resume)


def train(settings: Config, corpus: Path, begin: str, out: Path, resume: bool) -> None:
    from transformers import HubertConfig, HubertForCTC, Wav2Vec2CTCTokenizer, Wav2Vec2Processor

    if unknown := [key for key in settings.model if not hasattr(HubertConfig(), key)]:
        raise UsageError(f"model.{unknown[0]}: hubert has no such setting")
    columns = ["audio", settings.text]
    shards = Shards(corpus, "train", columns, BUILD)
    ids = alphabet(Shards(corpus, "train", [settings.text], BUILD), settings.text, settings.characters, settings.least)
    config = settings.model_dump() | {"begin": model_sha256(begin), "alphabet": fingerprint(list(ids))}
    run = Loop(settings.train, config, out, resume, "audio_seconds")
    model = loaded(
        HubertForCTC, begin, **settings.model, vocab_size=len(ids), pad_token_id=0, bos_token_id=None, eos_token_id=None
    )
    module, frames, normalise = Recogniser(model), Frames.of(model.config), normalises(begin, model.config)
    reader = Reader(shards, settings.train.seed, settings.train.buffer)
    held_out = run.held_out(corpus, columns)

    def inputs(items: Any) -> tuple[dict[str, Any], float]:
        found, seconds = collate(items)
        return {name: value for name, value in found.items() if name != "text"}, seconds

    def evaluate() -> dict[str, Any]:
        if held_out is None:
            return {}
        found = evaluated(run, module, held_out, Decoder(settings, frames, ids, normalise, False), settings.train, ids)
        for line in found["sample"]:
            run.console.print(line, highlight=False, markup=False, soft_wrap=True)
        return found

    def export(folder: Path) -> None:
        model.save_pretrained(folder)
        write_json(folder / "vocab.json", ids)
        tokenizer = Wav2Vec2CTCTokenizer(
            str(folder / "vocab.json"), bos_token=None, eos_token=None, unk_token=UNKNOWN, pad_token=PAD, word_delimiter_token=SPACE,
            clean_up_tokenization_spaces=False,
        )  # fmt: skip
        Wav2Vec2Processor(preprocessor(normalise), tokenizer).save_pretrained(folder)

    decoder = Decoder(settings, frames, ids, normalise, True)
    run.fit(
        module,
        reader,
        lambda spans, taken: stream(
            reader, spans, settings.train.batch, inputs, decoder, taken=taken, threads=settings.train.threads
        ),
        evaluate,
        export,
        unused=model.config.layerdrop > 0,
    )


if __name__ == "__main__":
    main()
