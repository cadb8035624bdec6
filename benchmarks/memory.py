"""What training a GPT keeps in memory on each GPU, counted without one.

    python -m benchmarks.memory [--only gpt2-small]

Weights, gradients, Adam's averages and copies of weights are counted by formula (`trainers.training.needs`), what layers keep for their
gradients by running a forward pass of a configuration on tensors without content, at full size, and adding up what autograd saves. What
is needed for a moment comes on top: gradients of the logits, and one layer when it is computed again. The configuration `tiny` is also
run on real tensors, and both counts have to agree.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode  # torch has no public name for it

from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from trainers.gpt import Config, PackedLanguageModel
from trainers.models.configuration import model_config
from trainers.training.needs import count_fixed_bytes, count_parameters
from trainers.training.optimization import checkpoint_gradients
from trainers.training.settings import list_configs, load_config

PIECES = {"gpt-1b": 44_928, "gpt-neox-small": 44_416, "bilingual-gpt-neox-4b": 65_536}  # as published; 32,000 of the others


def count_saved_bytes(name: str, recompute: bool, mode: AbstractContextManager[Any]) -> tuple[int, int, int]:
    """Return parameters, bytes that are fixed, and bytes that a forward pass of one micro-batch saves for the backward pass."""
    from transformers import AutoModelForCausalLM  # late: heavy

    config = load_config(Config, "gpt", name)
    shape = model_config(config.model, "model", vocab_size=PIECES.get(name, 32_000), bos_token_id=1, eos_token_id=2)
    saved = dict[int, tuple[int, torch.Tensor]]()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage.nbytes(), tensor  # held, so that no other storage gets its number
        return tensor

    with mode:
        module = PackedLanguageModel(AutoModelForCausalLM.from_config(shape, attn_implementation="sdpa")).train()
        if recompute:
            checkpoint_gradients(module)
        ids = torch.ones(config.train.batch, shape.max_position_embeddings, dtype=torch.long)
        positions = (torch.arange(shape.max_position_embeddings) % 100).expand(
            config.train.batch, -1
        )  # documents of 100 tokens
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
            module(ids, positions, ids)
        weights = list(module.parameters())
        sizes = {size for weight in weights for size in (tuple(weight.shape), tuple(weight.shape)[::-1])}
        own = {weight.untyped_storage()._cdata for weight in weights}
        copies = {key for key, (_, tensor) in saved.items() if tensor.dtype == torch.bfloat16 and tuple(tensor.shape) in sizes}
        kept = sum(size for key, (size, _) in saved.items() if key not in own | copies)
        parameters, trained = count_parameters(module)
        bf16 = config.train.model_copy(update={"precision": "bf16"})
        return parameters, count_fixed_bytes(parameters, trained, bf16), kept


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--only", action="append", help="configurations")
    options = parse_options(parser, "memory", {})
    names = [name for name in list_configs("gpt") if name != "tiny"]
    rows = []
    for name in ["tiny"] if options.smoke else options.only or names:
        without = FakeTensorMode(allow_non_fake_inputs=True)
        parameters, fixed, kept = count_saved_bytes(name, False, without)
        again = count_saved_bytes(name, True, FakeTensorMode(allow_non_fake_inputs=True))[2]
        batch = load_config(Config, "gpt", name).train.batch
        rows.append(
            (name, f"{parameters:,}", f"{fixed / 1e9:.1f} GB", f"{batch}", f"{kept / 1e9:.1f} GB", f"{again / 1e9:.1f} GB")
        )
    print(format_table(("", "parameters", "fixed", "sequences", "layers keep", "computed again"), rows))
    counts = [
        count_saved_bytes("tiny", recompute, mode)[2]
        for recompute in (False, True)
        for mode in (FakeTensorMode(allow_non_fake_inputs=True), nullcontext())
    ]
    agree = counts[0] == counts[1] and counts[2] == counts[3]
    bar = Bar(agree, f"tiny: {counts[0]:,} bytes counted, {counts[1]:,} on real tensors; again {counts[2]:,}, {counts[3]:,}")
    return finish([bar], options.smoke) or int(not agree)


if __name__ == "__main__":
    sys.exit(main())
