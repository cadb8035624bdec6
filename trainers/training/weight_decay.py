"""Which weights decay: matrices and convolutions. Biases, norms, embeddings, class tokens and positions do not.

The shape alone does not tell: the class token of a ViT has three dimensions, its table of positions, too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.core.errors import UsageError

_OWN_NAMES = re.compile(r"bias|token|position|pos_embed|embedding")  # of weights that no module of their own holds


def split_by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the trained weights that decay and those that do not, both in the module's order.

    A weight that two modules share, such as GPT-2's embedding and its output, decays only if it does in both.
    """
    spared = {
        id(weight)
        for owner in module.modules()
        for name, weight in owner.named_parameters(recurse=False)
        if _is_spared(owner, name, weight)
    }
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    return [weight for weight in trained if id(weight) not in spared], [weight for weight in trained if id(weight) in spared]


def _is_spared(owner: nn.Module, name: str, weight: nn.Parameter) -> bool:
    is_vector = sum(size > 1 for size in weight.shape) < 2  # biases, gains, a single token of whatever shape
    is_embedding_or_norm = isinstance(owner, nn.Embedding) or "Norm" in type(owner).__name__
    return is_vector or is_embedding_or_norm or bool(_OWN_NAMES.search(name))


def check_same_division(optimizer: torch.optim.Optimizer, state: dict[str, Any], out: Path) -> None:
    """Raise UsageError if a checkpoint of the run in `out` divides the weights in another way into decaying and other ones."""
    sizes, stored = ([len(group["params"]) for group in groups] for groups in (optimizer.param_groups, state["param_groups"]))
    if sizes != stored and sum(sizes) == sum(stored):
        raise UsageError(
            f"the run in {out} was begun by an earlier version, in which embeddings, class tokens and positions decayed: "
            "go on with that version, or begin anew in another --out"
        )
