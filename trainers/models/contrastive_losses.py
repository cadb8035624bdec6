"""The losses of CLIP and CLOOB, over the pairs of all ranks."""

from __future__ import annotations

import math
import warnings

import torch
import torch.distributed as dist
from torch.distributed.nn.functional import all_gather
from torch.nn import functional as F


def info_nce(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return CLIP's loss (Radford et al. 2021): find the pair in the batch, in both directions. Embeddings are float[n, d] of length 1."""
    logits, target = scale * images @ texts.T, torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def info_loob(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, sharpness: float) -> torch.Tensor:
    """Return CLOOB's loss (Fürst et al. 2022, arXiv 2110.11316, section 3). Embeddings are float[n, d] of length 1, n at least 2.

    Images and texts retrieve from a modern Hopfield network, first from the stored images, then from the stored texts. The
    retrieved embeddings of a pair are compared. Unlike in InfoNCE, the denominator leaves out the pair itself. The result is the mean
    of both directions, in nats, as in rinna's japanese-clip. The paper's authors take the sum and divide by the inverse temperature:
    theirs is 2 / `scale` times this one.
    """
    own_pair = torch.eye(len(images), dtype=torch.bool, device=images.device)
    total = images.new_zeros(())
    for stored, others in ((images, texts), (texts, images)):
        anchor, answer = (F.normalize((sharpness * state @ stored.T).softmax(1) @ stored, dim=1) for state in (stored, others))
        logits = scale * anchor @ answer.T
        total = total + (logits.masked_fill(own_pair, -math.inf).logsumexp(1) - logits.diagonal()).mean()
    return total / 2


@torch.compiler.disable
def gather_embeddings(images: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the embeddings of all ranks, in one exchange, with gradients.

    The gradient is the sum over ranks. DistributedDataParallel then takes the mean, so every weight gets the gradient that one
    rank with all pairs would compute.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return images, texts
    with warnings.catch_warnings():
        # torch 2.13 deprecates it in favour of functions that are still private, and that torch 2.4 has under other names.
        warnings.simplefilter("ignore", FutureWarning)
        pairs = torch.stack(all_gather(torch.stack([images, texts])))
    return pairs[:, 0].flatten(0, 1), pairs[:, 1].flatten(0, 1)
