"""The loop that all trainers share: steps, evaluation, metrics, checkpoints. Plain torch; `torchrun` makes it several ranks.

A run is exact: whatever is drawn at a step (dropout, masks, noise) is seeded by (seed, step, micro-batch, rank), and where every rank
stands in the shards is part of a checkpoint, so that what was stopped goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from rich.console import Console
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.storage import write_json
from trainers.data.reader import Batch, Reader, Shards
from trainers.data.record_assignment import Deal
from trainers.data.worker_process import apart
from trainers.training.checkpoints import Checkpoints
from trainers.training.ranks import Stopping, own_device, own_rank
from trainers.training.settings import Train

Streams = Callable[[Iterator[Any], int], Iterator[Batch]]  # (spans, records taken so far) -> batches


def step_of(line: str) -> float:
    """Of a line of metrics; endless where it is none, as of a process that was killed while it wrote."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError):
        return math.inf


class Loop:
    """One run in `out`. `config` is the whole configuration, as JSON: a checkpoint belongs to it."""

    def __init__(self, settings: Train, config: dict[str, Any], out: Path, resume: bool, unit: str) -> None:
        self.settings, self.config, self.out, self.unit = settings, json.loads(json.dumps(config)), out, unit
        self.rank, self.ranks = own_rank()
        self.device = own_device()
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.ranks > 1 and not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo")
        self.console = Console(stderr=True, quiet=self.rank > 0)
        self.checkpoints = Checkpoints(out, settings.keep)
        self.state = self.checkpoints.begin(self.config, resume)
        self.step: int = self.state["step"] if self.state else 0
        torch.manual_seed(settings.seed)  # of the initial weights: the same on every rank

    # -- the run

    def fit(
        self, module: nn.Module, reader: Reader, batches: Streams, evaluate: Callable[[], dict[str, Any]],
        export: Callable[[Path], None], after: Callable[[], None] = lambda: None, parts: dict[str, Any] | None = None, unused: bool = False,
    ) -> None:  # fmt: skip
        """Train `module`, whose forward takes a batch's inputs and returns (loss, metrics), from where the run stands to its last step.

        `after` runs after each step, `parts` are further things with a state (an average of weights). `unused`: not every parameter is
        used at every step. Ends the process with 143 after SIGTERM, 130 after Ctrl-C. Raises BuildError where the loss is no number.
        """
        from transformers import get_scheduler

        s = self.settings
        self.shards, self.deal, taken, skipped = reader.shards.fingerprint, Deal(reader.shards.total, self.ranks), 0, 0
        if self.deal.total < self.ranks:
            raise UsageError(f"{self.ranks} ranks cannot share {self.deal.total} records")
        if (wanted := s.batch * s.accumulate * self.ranks) > self.deal.total:
            self.warn(f"a step takes {wanted:,} records, and there are {self.deal.total:,}: some are seen again within it")
        module.to(self.device)
        trained = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": s.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, s.lr, s.betas, s.eps, fused=self.device.type == "cuda")
        scaler = torch.amp.GradScaler(self.device.type, enabled=s.precision == "fp16")
        schedule = get_scheduler(s.schedule, optimizer, s.warmup, s.steps)
        parts = {"model": module, "optimizer": optimizer, "scaler": scaler, "schedule": schedule} | (parts or {})
        if self.state:
            taken = self._restore(parts)
        wrapped = DistributedDataParallel(module, find_unused_parameters=unused) if self.ranks > 1 else module
        called: Any = torch.compile(wrapped) if s.compile else wrapped
        kind = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[s.precision]
        begin = partial(batches, self.deal.spans(self.rank, taken), taken)
        stream = apart(begin) if s.apart else begin()
        stopping = Stopping(self.ranks)
        metrics, losses, amount, began = self._metrics(), list[torch.Tensor](), 0.0, time.perf_counter()
        board = SummaryWriter(self.out / "tensorboard", purge_step=self.step + 1) if self.rank == 0 else None
        if self.step >= s.steps:
            self.console.print(f"the run is at step {self.step:,} already, of {s.steps:,}", highlight=False)
        while self.step < s.steps:
            module.train()
            total: dict[str, torch.Tensor] = {}
            for micro in range(s.accumulate):
                batch = next(stream)
                taken, skipped, amount = batch.taken, skipped + batch.skipped, amount + batch.amount
                torch.manual_seed(int(np.random.SeedSequence([s.seed, self.step, micro, self.rank]).generate_state(1)[0]))
                inputs = {name: self.there(value) for name, value in batch.inputs.items()}
                held = self.ranks > 1 and micro < s.accumulate - 1
                cast = torch.autocast(self.device.type, kind) if kind else nullcontext()
                with wrapped.no_sync() if held else nullcontext(), cast:  # type: ignore[operator]
                    loss, told = called(**inputs)
                scaler.scale(loss / s.accumulate).backward()
                for name, value in (told | {"loss": loss}).items():
                    total[name] = total.get(name, 0) + torch.as_tensor(value).detach().float() / s.accumulate
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(trained, s.clip)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            lr = schedule.get_last_lr()[0]
            schedule.step()
            after()
            self.step += 1
            losses.append(total["loss"])
            last = self.step == s.steps
            stop = self.agreed(bool(stopping.by))
            saves = stop or last or self.step % s.save_every == 0
            line = dict[str, Any]()
            if saves or self.step % s.log_every == 0:
                self._check(torch.stack(losses))
                losses = []
                seconds, began = time.perf_counter() - began, time.perf_counter()
                line = {"step": self.step, "lr": lr, "gradient_norm": float(norm)} | {k: self.mean(v) for k, v in total.items()}
                line |= {f"{self.unit}_per_second": self.sum(amount) / seconds, "skipped": int(self.sum(skipped))}
                amount, skipped = 0.0, 0
                if self.device.type == "cuda":
                    line["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
            if saves:  # before anything is said: whoever reads it may be gone
                self._check(torch.stack([p.detach().sum().float() for p in trained]).sum()[None], "a weight")
                self._save(parts, taken)
            if line:
                self._log(metrics, board, line, "train")
            if last or (self.step % s.evaluate_every == 0 and not stop):
                module.eval()
                with torch.no_grad():
                    found = evaluate()
                if found:
                    self._log(metrics, board, {"step": self.step} | found, "validation")
                began = time.perf_counter()
                stop = self.agreed(bool(stopping.by))
                if stop and not saves:
                    self._save(parts, taken)
            if stop or last:
                break
        stopping.end()
        if self.rank == 0:
            module.eval()
            self.checkpoints.whole(self.out / "model", export)
            self.console.print(f"{self.out / 'model'}", style="bold", highlight=False, markup=False)
        if self.step < s.steps:
            self.console.print(f"stopped at step {self.step:,} of {s.steps:,}; the same command with --resume goes on")
            sys.exit(128 + (stopping.by or signal.SIGTERM))

    def _save(self, parts: dict[str, Any], taken: int) -> None:
        everyone: list[Any] = [taken] * self.ranks
        if self.ranks > 1:
            dist.all_gather_object(everyone, taken)
        if self.rank == 0:
            state = {
                "step": self.step, "config": self.config, "deal": asdict(self.deal), "taken": everyone, "shards": self.shards,
            }  # fmt: skip
            self.checkpoints.save(self.step, state | {name: part.state_dict() for name, part in parts.items()})

    def _restore(self, parts: dict[str, Any]) -> int:
        """Put a checkpoint's state in place; returns how many records this rank has taken of the present deal."""
        assert self.state
        try:
            if self.state["shards"] != self.shards:
                raise UsageError(f"the shards are not those that the run in {self.out} was begun with: choose another --out")
            for name, part in parts.items():
                part.load_state_dict(self.state[name])
            told, taken = self.state["deal"], self.state["taken"]
            known = Deal(told["total"], told["ranks"], tuple(map(tuple, told["queue"])), told["epoch"])
        except (LookupError, TypeError, RuntimeError, ValueError) as error:
            raise BuildError(self.checkpoints.damaged(self.checkpoints.all()[-1], error)) from None
        self.state = None
        self.deal = known if known.ranks == self.ranks else known.again(taken, self.ranks)
        return taken[self.rank] if known.ranks == self.ranks else 0

    def held_out(self, place: Path, columns: list[str], beside: Sequence[Path] = ()) -> Reader | None:
        """Of the validation split; without one there is a warning, and nothing is evaluated."""
        hint = "build the corpus with --set shards.validation=0.05, say, to have some"
        try:
            return Reader(Shards(place, "validation", columns, hint, beside), None)
        except UsageError as error:
            self.warn(f"nothing is evaluated: {error}")
            return None

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow", highlight=False, markup=False)

    def there(self, value: Any) -> Any:
        """On the device. From pinned memory, so that what is queued there goes on meanwhile."""
        if not torch.is_tensor(value):
            return value
        return (value.pin_memory() if self.device.type == "cuda" else value).to(self.device, non_blocking=True)

    # -- metrics, and what ranks agree on

    def summed(self, value: Any) -> torch.Tensor:
        """The sum over ranks: float64, on the processor."""
        tensor = torch.as_tensor(value, dtype=torch.float64, device="cpu").clone()
        if self.ranks > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum(self, value: float | torch.Tensor) -> float:
        return float(self.summed(value))

    def mean(self, value: float | torch.Tensor) -> float:
        return self.sum(value) / self.ranks

    def agreed(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return self.sum(float(flag)) > 0

    def _check(self, values: torch.Tensor, what: str = "the loss") -> None:
        """Of the last steps, up to this one."""
        wrong = (~torch.isfinite(values)).nonzero()
        where = self.step - len(values) + 1 + int(wrong[0]) if len(wrong) else 0
        if self.agreed(bool(len(wrong))):
            raise BuildError(
                f"{what} is no finite number any more, from step {where or 'that another rank names'} on. What was saved before: "
                f"{self.checkpoints.last}. Begin anew in another --out with a lower train.lr or a longer train.warmup."
            )

    def _metrics(self) -> Path:
        """`metrics.jsonl` without what a run that was killed wrote after its last checkpoint."""
        path = self.out / "metrics.jsonl"
        if self.rank == 0:
            self.out.mkdir(parents=True, exist_ok=True)
            lines = path.read_text("utf-8").splitlines() if path.is_file() and self.step else []
            kept = [line for line in lines if step_of(line) <= self.step]
            path.write_text("".join(f"{line}\n" for line in kept), "utf-8")
            write_json(self.out / "config.json", self.config)
        return path

    def _log(self, path: Path, board: SummaryWriter | None, line: dict[str, Any], split: str) -> None:
        if board is None:
            return
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"split": split} | line, ensure_ascii=False) + "\n")
        numbers = {k: v for k, v in line.items() if isinstance(v, int | float) and k != "step"}
        for name, value in numbers.items():
            if math.isfinite(value):
                board.add_scalar(f"{split}/{name}", value, line["step"])
        shown = "  ".join(f"{k} {v:,.4g}" for k, v in numbers.items() if k != "skipped" or v)
        self.console.print(
            f"{split:10} step {line['step']:,}/{self.settings.steps:,}  {shown}", highlight=False, soft_wrap=True
        )
