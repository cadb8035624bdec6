"""The losses of CLIP and CLOOB by their definitions, on one rank and on two."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from trainers.models import contrastive_losses
from trainers.training.ranks import join_group


def embeddings(n: int, d: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return F.normalize(torch.randn(n, d).double(), dim=1), F.normalize(torch.randn(n, d).double(), dim=1)


def test_info_nce_is_that_of_transformers() -> None:
    from transformers.models.vision_text_dual_encoder.modeling_vision_text_dual_encoder import image_text_contrastive_loss

    images, texts = embeddings(7)
    expected = image_text_contrastive_loss(14.0 * texts @ images.T)
    assert contrastive_losses.info_nce(images, texts, torch.tensor(14.0)).item() == pytest.approx(expected.item(), abs=1e-12)


def published_info_loob(images: torch.Tensor, texts: torch.Tensor, inverse: float, beta: float) -> tuple[float, float]:
    """Return what the paper writes (Fürst et al. 2022, equations 8 and 9), pair by pair: the terms of images, and those of texts."""

    def retrieved(state: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
        weights = [math.exp(beta * float(state @ row)) for row in stored]
        found = sum(w * row for w, row in zip(weights, stored)) / sum(weights)
        return found / found.norm()

    of_images, of_texts, n = 0.0, 0.0, len(images)
    for i in range(n):
        own = math.exp(inverse * float(retrieved(images[i], images) @ retrieved(texts[i], images)))
        others = sum(
            math.exp(inverse * float(retrieved(images[i], images) @ retrieved(texts[j], images))) for j in range(n) if j != i
        )
        of_images -= math.log(own / others) / n
        own = math.exp(inverse * float(retrieved(images[i], texts) @ retrieved(texts[i], texts)))
        others = sum(
            math.exp(inverse * float(retrieved(images[j], texts) @ retrieved(texts[i], texts))) for j in range(n) if j != i
        )
        of_texts -= math.log(own / others) / n
    return of_images, of_texts


def test_info_loob_is_the_mean_of_the_published_terms_in_nats() -> None:
    """As rinna's japanese-clip computes it; the paper's own code has the sum, divided by the inverse temperature."""
    images, texts = embeddings(5)
    of_images, of_texts = published_info_loob(images, texts, 30.0, 15.0)
    found = contrastive_losses.info_loob(images, texts, torch.tensor(30.0, dtype=torch.float64), 15.0)
    assert found.item() == pytest.approx((of_images + of_texts) / 2, abs=1e-9)
    assert found.item() * 2 / 30 == pytest.approx((of_images + of_texts) / 30, abs=1e-9)


def test_a_gradient_of_cloob_is_as_large_as_one_of_clip() -> None:
    """So that `clip` and `eps` mean the same to both."""
    images, texts = embeddings(64, 32)
    norms = []
    for loss in (contrastive_losses.info_nce, lambda *given: contrastive_losses.info_loob(*given, 15.0)):
        own = images.clone().requires_grad_()
        loss(own, texts, torch.tensor(30.0).double()).backward()
        norms.append(own.grad.norm().item())
    assert 0.3 < norms[1] / norms[0] < 3


class Towers(nn.Module):
    """Two linear towers with the losses of the trainer, gathered over ranks."""

    def __init__(self, objective: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.image, self.text = nn.Linear(5, 4).double(), nn.Linear(5, 4).double()
        self.scale, self.objective = nn.Parameter(torch.tensor(2.0).double()), objective

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        images, texts = contrastive_losses.gather_embeddings(
            *(F.normalize(tower(values[i]), dim=1) for i, tower in enumerate((self.image, self.text)))
        )
        scale = self.scale.exp()
        if self.objective == "clip":
            return contrastive_losses.info_nce(images, texts, scale)
        return contrastive_losses.info_loob(images, texts, scale, 15.0)


def as_rank(place: str) -> None:
    join_group(torch.device("cpu"))
    rank = dist.get_rank()
    values = torch.load(f"{place}/values.pt")
    found = {}
    for objective in ("clip", "cloob"):
        module = nn.parallel.DistributedDataParallel(Towers(objective))
        loss = module(values[:, rank::2])
        loss.backward()
        found[objective] = loss.detach(), {name: p.grad for name, p in module.module.named_parameters()}
    torch.save(found, f"{place}/rank-{rank}.pt")
    dist.barrier()


def test_two_ranks_have_the_loss_and_the_gradients_of_one_with_twice_the_batch(tmp_path: Path, on_ranks: Any) -> None:
    torch.manual_seed(5)
    values = torch.randn(2, 12, 5).double()
    torch.save(values, tmp_path / "values.pt")
    done = on_ranks(2, __file__, tmp_path)
    assert done.returncode == 0, done.stderr
    for objective in ("clip", "cloob"):
        one_rank = Towers(objective)
        loss = one_rank(values)
        loss.backward()
        for rank in range(2):
            found, gradients = torch.load(tmp_path / f"rank-{rank}.pt")[objective]
            assert torch.allclose(found, loss, atol=1e-12)
            for name, weight in one_rank.named_parameters():
                assert torch.allclose(gradients[name], weight.grad, atol=1e-12), (objective, name)


if __name__ == "__main__":  # one of two ranks
    as_rank(sys.argv[1])
