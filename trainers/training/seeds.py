"""Seeds of all that draws at random: torch's generator, numpy's and Python's own.

Libraries draw from any of the three: transformers masks the features of a HuBERT with numpy's, for instance.
"""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_generators(seed: int) -> None:
    """Seed the generators of torch, numpy and Python. `seed` has 32 bits."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def mix_seeds(*numbers: int) -> int:
    """Return 32 bits that depend on all numbers, such as a seed, a step and a rank."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
