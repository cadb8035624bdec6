"""`python -m trainers.gpt CORPUS`: a GPT-2 or GPT-NeoX from scratch, on packed token shards.

    python -m trainers.gpt CORPUS --config tiny                # without a GPU: a minute on a laptop's processor
    torchrun --nproc-per-node 8 -m trainers.gpt CORPUS         # on eight GPUs; `train.batch` is the sequences of each

Documents that share a sequence do not see one another. Positions start at 0 with every document, and transformers masks attention
where positions start anew, as long as it gets no other mask. The metrics are the loss per token and, because that depends on the
tokenizer, bits per character.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from tokenizer.model import Tokenizer, proto
from tokenizer.token_shards import check_tokens
from trainers.data.batches import Collate
from trainers.data.reader import Columns, Reader
from trainers.data.shards import Shards
from trainers.models.attention import choose_attention
from trainers.models.configuration import explain_model_errors, model_config
from trainers.training.command import RunOptions, command
from trainers.training.loop import Loop
from trainers.training.seeds import seed_generators
from trainers.training.settings import Train

BUILD_HINT = "make them with python -m tokenizer.train CORPUS and python -m tokenizer.encode CORPUS"
COLUMNS = ["input_ids", "document_starts"]
IGNORED = -100  # the label of positions without loss
NONE = -1  # no token
EVALUATION_BATCH = 8  # sequences
SAMPLE_TOKENS = 64
EXAMPLE = "日本の"  # a text that the trained model is asked to go on with
_PIECE = proto.ModelProto.SentencePiece


class Config(Table):
    model: dict[str, Any]  # model_type, and what differs from its defaults
    train: Train


class PackedLanguageModel(nn.Module):
    """A causal language model on packed sequences."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the mean loss in nats over labels that are not IGNORED. All are int64[batch, length]."""
        logits = self.model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
        next_labels = F.pad(labels[:, 1:], (0, 1), value=IGNORED)  # cutting off the last logits would copy all of them
        return F.cross_entropy(logits.flatten(0, 1).float(), next_labels.flatten()), {}


def collate(columns: Columns, length: int, pad: int, bos: int = NONE) -> tuple[dict[str, torch.Tensor], float]:
    """Return the inputs of `PackedLanguageModel`, cut from rows of token shards to sequences of `length`, and the number of tokens.

    A document begins with BOS at position 0, and so does generation. BOS itself is not predicted. Without BOS (-1) the first token
    of a document is predicted from the EOS of the one before, and generation begins after EOS.

    >>> columns = {"input_ids": np.array([[1, 5, 2, 1, 8, 3]]), "document_starts": [[0, 3]]}
    >>> inputs, tokens = collate(columns, length=3, pad=3, bos=1)
    >>> inputs["input_ids"].tolist(), inputs["position_ids"].tolist()
    ([[1, 5, 2], [1, 8, 3]], [[0, 1, 2], [0, 1, 2]])
    >>> inputs["labels"].tolist(), tokens
    ([[-100, 5, 2], [-100, 8, -100]], 5.0)
    """
    rows: Any = columns["input_ids"]  # every row has the same length
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu":
        raise InputError(f"the column input_ids does not hold sequences of ids, all of one length: {BUILD_HINT}")
    is_start: Any = np.zeros(rows.shape, bool)
    for row, starts in enumerate(columns["document_starts"]):
        is_start[row, starts] = True
    ids: Any = rows.astype(np.int64).reshape(-1, length)
    is_start = is_start.reshape(-1, length)
    is_start[:, 0] = True
    index = np.arange(length)
    positions = index - np.maximum.accumulate(np.where(is_start, index, 0), axis=1)
    labels = np.where((ids == pad) | (ids == bos), IGNORED, ids)
    inputs = {"input_ids": ids, "position_ids": positions, "labels": labels}
    return {name: torch.from_numpy(values) for name, values in inputs.items()}, float((ids != pad).sum())


def count_characters(tokenizer: Tokenizer) -> np.ndarray:
    """Return int64[pieces]: the characters of text that each piece stands for. Of a character spelled in bytes, the first byte counts."""
    counts = []
    for piece in tokenizer.proto.pieces:
        if piece.type == _PIECE.BYTE:
            is_continuation = 0x80 <= int(piece.piece[3:5], 16) < 0xC0
            counts.append(int(not is_continuation))
        else:
            counts.append(len(piece.piece) if piece.type in (_PIECE.NORMAL, _PIECE.USER_DEFINED) else 0)
    return np.array(counts, np.int64)


def choose_sequence_length(tokens: int, positions: int) -> int:
    """Return the length of the shards' sequences, or the model's positions if these divide it. Raises UsageError."""
    if tokens <= positions:
        return tokens
    if tokens % positions:
        raise UsageError(
            f"sequences of {tokens} tokens do not fit a model with {positions} positions: "
            f"python -m tokenizer.encode CORPUS --sequence-length {positions} --overwrite"
        )
    return positions


def count_batch_records(batch: int, tokens: int, length: int) -> int:
    """Return how many records, of so many tokens, make a batch of sequences of `length`. Raises UsageError.

    >>> count_batch_records(8, 2048, 1024), count_batch_records(8, 1024, 1024)
    (4, 8)
    """
    if batch * length % tokens:
        raise UsageError(
            f"train.batch: {batch} sequences of {length:,} tokens are no whole number of the shards' records, which have {tokens:,}: "
            f"choose a multiple of {tokens // length}, with another train.accumulate, or make shards with "
            f"python -m tokenizer.encode CORPUS --sequence-length {length} --overwrite"
        )
    return batch * length // tokens


def evaluate_tokens(
    loop: Loop, module: PackedLanguageModel, reader: Reader, collate_columns: Collate, characters: np.ndarray
) -> dict[str, float]:
    """Return loss (nats per token), bits per character, and the entropy of the same tokens by their frequency alone."""
    nats, token_count, character_count = 0.0, 0, 0
    frequencies = torch.zeros(len(characters), dtype=torch.float64)
    limit = loop.settings.evaluate_records
    for batch in loop.evaluation_batches(reader, limit, collate_columns, size=EVALUATION_BATCH):
        inputs = {name: value.to(loop.device) for name, value in batch.inputs.items()}
        labels = batch.inputs["labels"][:, 1:]
        labels = labels[labels != IGNORED]
        nats += float(module(**inputs)[0]) * len(labels)
        token_count += len(labels)
        character_count += int(characters[labels.numpy()].sum())
        frequencies += torch.bincount(labels, minlength=len(characters))
    nats, token_count, character_count = loop.sum(nats), int(loop.sum(token_count)), int(loop.sum(character_count))
    frequencies = loop.sum_tensor(frequencies)
    shares = frequencies[frequencies > 0] / frequencies.sum()
    return {
        "loss": nats / max(token_count, 1),
        "bits_per_character": nats / math.log(2) / max(character_count, 1),
        "unigram_entropy": float(-(shares * shares.log()).sum()),
    }


def generate_sample(model: Any, tokenizer: Tokenizer, device: torch.device) -> str:
    """Generate a short text after the model's BOS. The same weights generate the same text."""
    seed_generators(0)
    start = torch.tensor([[model.config.bos_token_id]], device=device)
    length = min(SAMPLE_TOKENS, model.config.max_position_embeddings - 1)
    ids = model.generate(
        start, attention_mask=torch.ones_like(start), max_new_tokens=length, do_sample=True, top_p=0.95, remove_invalid_values=True,
        eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id,
    )  # fmt: skip
    return tokenizer.decode(ids[0, 1:].cpu().numpy())


@command("gpt", "gpt2-small", Config)
@click.option(
    "--tokens", "tokens_dir", type=click.Path(path_type=Path), help="Folder of token shards.  [default: CORPUS/tokens]"
)
@click.option("--tokenizer", "tokenizer_dir", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
def main(options: RunOptions[Config], tokens_dir: Path | None, tokenizer_dir: Path | None) -> None:
    """Train a GPT on CORPUS, a folder that Seimai built and tokenised."""
    train(options, tokens_dir or options.corpus / "tokens", tokenizer_dir or options.corpus / "tokenizer")


def train(options: RunOptions[Config], tokens_dir: Path, tokenizer_dir: Path) -> None:
    """Train on the token shards in `tokens_dir`, which the tokenizer in `tokenizer_dir` made, and save model and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # late: heavy

    settings = options.config.train

    # -- the corpus

    shards = Shards(tokens_dir, "train", COLUMNS, BUILD_HINT)
    tokenizer = Tokenizer.load(tokenizer_dir)
    token_settings = check_tokens(tokens_dir, tokenizer, options.corpus)

    # -- the model

    begins_with_bos = bool(token_settings.get("bos"))
    eos, pad = tokenizer.id_of("eos"), tokenizer.id_of("pad")
    first = tokenizer.id_of("bos") if begins_with_bos else eos  # what a text is generated after
    bos = NONE if first == eos or first is None else first
    token_ids = {"bos_token_id": first, "eos_token_id": eos, "pad_token_id": pad}
    config = model_config(options.config.model, "model", vocab_size=len(tokenizer), **token_ids)
    row_length = token_settings["sequence_length"]
    length = choose_sequence_length(row_length, config.max_position_embeddings)
    settings = settings.model_copy(update={"batch": count_batch_records(settings.batch, row_length, length)})
    options = replace(options, config=options.config.model_copy(update={"train": settings}))
    loop = Loop(options, "tokens")  # before the model: it seeds the initial weights
    attention = choose_attention(config, settings.compile, loop.device)
    with explain_model_errors("model"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, trust_remote_code=False)
    module, characters = PackedLanguageModel(model), count_characters(tokenizer)

    # -- what the loop asks for

    validation = loop.open_validation(tokens_dir, COLUMNS)
    if not begins_with_bos:
        loop.warn(
            "documents of these shards do not begin with BOS, so generation has to begin after EOS: "
            "python -m tokenizer.encode CORPUS --bos --overwrite"
        )

    def collate_columns(columns: Columns) -> tuple[dict[str, torch.Tensor], float]:
        inputs, amount = collate(columns, length, pad or 0, bos)
        if not 0 <= int(inputs["input_ids"].min()) <= int(inputs["input_ids"].max()) < len(tokenizer):
            raise InputError(
                f"the token shards in {tokens_dir} hold ids that the tokenizer in {tokenizer_dir} has not: {BUILD_HINT} --overwrite"
            )
        return inputs, amount

    def evaluate() -> dict[str, Any]:
        metrics: dict[str, Any] = {}
        model.set_attn_implementation("sdpa")  # its shapes are not those that were compiled
        if validation is not None:
            metrics = evaluate_tokens(loop, module, validation, collate_columns, characters)
        if loop.rank == 0:
            metrics["sample"] = generate_sample(model, tokenizer, loop.device)
        model.set_attn_implementation(attention)
        return metrics

    def export(folder: Path) -> None:
        if config.model_type == "gpt_neox":  # as transformers before 5, and converters, call them
            rope = config.rope_parameters
            model.config.rotary_pct, model.config.rotary_emb_base = rope["partial_rotary_factor"], rope["rope_theta"]
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tokenizer_dir, trust_remote_code=False).save_pretrained(folder)

    reader = Reader(shards, settings.seed, settings.buffer)
    example = ["trainers.generate", options.out, EXAMPLE]
    loop.fit(module, reader, collate_columns, evaluate, export, amount_per_record=row_length, next_command=example)


if __name__ == "__main__":
    main()
