"""`python -m trainers.gpt CORPUS`: a GPT-2 or GPT-NeoX from scratch, on packed token shards.

Documents that share a sequence do not see one another: positions start at 0 with every document, and where positions start anew
transformers masks attention, as long as no other mask is given. What is reported is the loss per token and, since that depends on
the tokenizer, bits per character.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from tokenizer.encode import check_tokens
from tokenizer.model import Tokenizer, proto
from trainers.data.reader import Reader, Shards, stream
from trainers.models.attention import implementation
from trainers.training.loop import Loop
from trainers.training.settings import Train, built, command, load, model_config

BUILD = "make them with python -m tokenizer.train CORPUS and python -m tokenizer.encode CORPUS"
_PIECE = proto.ModelProto.SentencePiece


class Config(Table):
    model: dict[str, Any]  # model_type, and what differs from its defaults
    train: Train


class Packed(nn.Module):
    """A causal language model on packed sequences."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Mean loss in nats over labels that are not -100; all are int64[batch, length]."""
        logits = self.model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
        following = F.pad(labels[:, 1:], (0, 1), value=-100)  # cutting the last logits off would copy all of them
        return F.cross_entropy(logits.flatten(0, 1).float(), following.flatten()), {}


def collate(columns: dict[str, Any], length: int, pad: int) -> tuple[dict[str, torch.Tensor], float]:
    """Inputs of `Packed` from rows of token shards, which are cut to sequences of `length`; and how many tokens they are.

    The first token of a document is predicted from the end of the one before, which is how generation begins: after EOS.
    """
    rows: Any = columns["input_ids"]  # every row has the same length
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu":
        raise InputError(f"the column input_ids does not hold sequences of ids, all of one length: {BUILD}")
    begins: Any = np.zeros(rows.shape, bool)
    for row, starts in enumerate(columns["document_starts"]):
        begins[row, starts] = True
    ids: Any = rows.astype(np.int64).reshape(-1, length)
    begins = begins.reshape(-1, length)
    begins[:, 0] = True
    at = np.arange(length)
    positions = at - np.maximum.accumulate(np.where(begins, at, 0), axis=1)
    found = {"input_ids": ids, "position_ids": positions, "labels": np.where(ids == pad, -100, ids)}
    return {name: torch.from_numpy(values) for name, values in found.items()}, float((ids != pad).sum())


def characters(tokenizer: Tokenizer) -> np.ndarray:
    """int64[pieces]: how many characters of text every piece stands for; of a character that goes by bytes, the first byte counts."""
    found = []
    for p in tokenizer.proto.pieces:
        if p.type == _PIECE.BYTE:
            found.append(int(not 0x80 <= int(p.piece[3:5], 16) < 0xC0))
        else:
            found.append(len(p.piece) if p.type in (_PIECE.NORMAL, _PIECE.USER_DEFINED) else 0)
    return np.array(found, np.int64)


def sequence_length(tokens: int, positions: int) -> int:
    """Of the model: the tokens' own, or as many as it has positions for, where those divide it."""
    if tokens <= positions:
        return tokens
    if tokens % positions:
        raise UsageError(
            f"sequences of {tokens} tokens do not fit a model with {positions} positions: "
            f"python -m tokenizer.encode CORPUS --sequence-length {positions} --overwrite"
        )
    return positions


def evaluated(loop: Loop, packed: Packed, reader: Reader, collated: Any, per_piece: np.ndarray, limit: int) -> dict[str, float]:
    """Loss (nats per token), bits per character, and the entropy of the same tokens by their frequency alone."""
    nats, tokens, chars = 0.0, 0, 0
    counts = torch.zeros(len(per_piece), dtype=torch.float64)
    for batch in stream(reader, reader.once(loop.rank, loop.ranks, limit), 8, collated):
        inputs = {name: value.to(loop.device) for name, value in batch.inputs.items()}
        labels = batch.inputs["labels"][:, 1:]
        labels = labels[labels >= 0]
        nats += float(packed(**inputs)[0]) * len(labels)
        tokens, chars = tokens + len(labels), chars + int(per_piece[labels.numpy()].sum())
        counts += torch.bincount(labels, minlength=len(per_piece))
    nats, tokens, chars = loop.sum(nats), int(loop.sum(tokens)), int(loop.sum(chars))
    counts = loop.summed(counts)
    shares = counts[counts > 0] / counts.sum()
    return {
        "loss": nats / max(tokens, 1),
        "bits_per_character": nats / math.log(2) / max(chars, 1),
        "unigram_entropy": float(-(shares * shares.log()).sum()),
    }


def sample(model: Any, tokenizer: Tokenizer, device: torch.device) -> str:
    """A short text of the model's own, the same for the same weights."""
    torch.manual_seed(0)
    start = torch.tensor([[tokenizer.id_of("eos")]], device=device)
    length = min(64, model.config.max_position_embeddings - 1)
    ids = model.generate(
        start, attention_mask=torch.ones_like(start), max_new_tokens=length, do_sample=True, top_p=0.95, remove_invalid_values=True,
        eos_token_id=tokenizer.id_of("eos"), pad_token_id=tokenizer.id_of("pad"),
    )  # fmt: skip
    return tokenizer.decode(ids[0, 1:].cpu().numpy())


@command("gpt", "gpt2-small")
@click.option("--tokens", type=click.Path(path_type=Path), help="Folder of token shards.  [default: CORPUS/tokens]")
@click.option("--tokenizer", "place", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
def main(
    corpus: Path, config: str, out: Path, resume: bool, changes: tuple[str, ...], tokens: Path | None, place: Path | None
) -> None:
    """Train a GPT on CORPUS, a folder that Seimai built and tokenised."""
    settings = load(Config, "gpt", config, changes)
    tokens, place = tokens or corpus / "tokens", place or corpus / "tokenizer"
    shards = Shards(tokens, "train", ["input_ids", "document_starts"], BUILD)
    tokenizer = Tokenizer.load(place)
    told = check_tokens(tokens, tokenizer)
    train(settings, shards, tokens, place, tokenizer, told, out, resume)


def train(
    settings: Config, shards: Shards, tokens: Path, place: Path, tokenizer: Tokenizer, told: dict[str, Any], out: Path, resume: bool
) -> None:  # fmt: skip
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = {name: tokenizer.id_of(name) for name in ("bos", "eos", "pad")}
    shape = model_config(
        settings.model, "model", vocab_size=len(tokenizer), **{f"{name}_token_id": i for name, i in ids.items()}
    )
    length = sequence_length(told["sequence_length"], shape.max_position_embeddings)
    run = Loop(settings.train, settings.model_dump(), out, resume, "tokens")
    fast = implementation(shape, settings.train.compile, run.device)
    with built("model"):
        model = AutoModelForCausalLM.from_config(shape, attn_implementation=fast)
    packed, per_piece = Packed(model), characters(tokenizer)

    def collated(columns: dict[str, Any]) -> tuple[dict[str, torch.Tensor], float]:
        found, amount = collate(columns, length, ids["pad"] or 0)
        if not 0 <= int(found["input_ids"].min()) <= int(found["input_ids"].max()) < len(tokenizer):
            raise InputError(
                f"the token shards in {tokens} hold ids that the tokenizer in {place} has not: {BUILD} --overwrite"
            )
        return found, amount

    reader = Reader(shards, settings.train.seed, settings.train.buffer)
    held_out = run.held_out(tokens, shards.columns)

    def evaluate() -> dict[str, Any]:
        found: dict[str, Any] = {}
        model.set_attn_implementation("sdpa")  # shapes are not those that were compiled for
        if held_out is not None:
            found = evaluated(run, packed, held_out, collated, per_piece, settings.train.evaluate_records)
        if run.rank == 0:
            found["sample"] = sample(model, tokenizer, run.device)
        model.set_attn_implementation(fast)
        return found

    def export(folder: Path) -> None:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(place).save_pretrained(folder)

    run.fit(
        packed,
        reader,
        lambda spans, taken: stream(reader, spans, settings.train.batch, collated, taken=taken),
        evaluate,
        export,
    )


if __name__ == "__main__":
    main()
