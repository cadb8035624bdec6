"""What ranks compute together."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist


class Agreement:
    """Sums, means and decisions over ranks: the same on each."""

    ranks: int

    def sum_tensor(self, value: Any) -> torch.Tensor:
        """Return the sum over ranks as float64 on the CPU."""
        tensor = torch.as_tensor(value, dtype=torch.float64, device="cpu").clone()
        if self.ranks > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum(self, value: float | torch.Tensor) -> float:
        return float(self.sum_tensor(value))

    def mean(self, value: float | torch.Tensor) -> float:
        return self.sum(value) / self.ranks

    def any_rank(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank."""
        return self.sum(float(flag)) > 0

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order."""
        values = [value] * self.ranks
        if self.ranks > 1:
            dist.all_gather_object(values, value)
        return values

    def wait_for_ranks(self) -> None:
        """Return when every rank is here."""
        self.sum(0.0)
