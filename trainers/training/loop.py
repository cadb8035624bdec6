"""The loop that all trainers share: steps, evaluation, metrics, checkpoints. Plain torch; `torchrun` makes it several ranks.

A run is exact. Whatever is drawn at a step (dropout, masks, noise) is seeded by (seed, step, micro-batch, rank), and a checkpoint
holds the position of every rank in the shards. So a run that was stopped continues as if it had not been.
"""

from __future__ import annotations

import json
import math
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import claim_folder
from pipeline.core.storage import write_json
from pipeline.core.terminal import Terminal
from trainers.data.batches import Batch, Collate, Record, stream
from trainers.data.reader import Reader
from trainers.data.record_assignment import Assignment
from trainers.data.shards import Shards
from trainers.data.worker_process import read_in_worker_process
from trainers.training.agreement import Agreement
from trainers.training.checkpoints import Checkpoints
from trainers.training.command import RunOptions
from trainers.training.metrics import MetricsLog
from trainers.training.needs import describe_data, describe_memory
from trainers.training.optimization import Optimization, StepResult
from trainers.training.ranks import StopSignals, join_group, own_device, own_rank
from trainers.training.seeds import seed_generators
from trainers.training.settings import Train
from trainers.training.weight_decay import check_same_division

Decode = Callable[[Record], Any]


class Loop(Agreement):
    """One run in `options.out`. `unit` is what its speed is counted in.

    A checkpoint belongs to the configuration and to `identity`: values that must be the same when a run is resumed.
    """

    def __init__(self, options: RunOptions[Any], unit: str, identity: dict[str, Any] | None = None) -> None:
        self.settings: Train = options.config.train
        self.out, self.unit, self.command = options.out, unit, options.command
        self.config = json.loads(json.dumps(options.config.model_dump() | (identity or {})))
        self.rank, self.ranks = own_rank()
        self.device = own_device()
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.ranks > 1:
            join_group(self.device)
        self.console = Terminal(stderr=True, quiet=self.rank > 0)
        self.checkpoints = Checkpoints(self.out, self.settings.keep)
        self.state = self.checkpoints.load_newest(self.config, options.resume)
        self.step: int = self.state["step"] if self.state else 0
        self._check_same_step()
        seed_generators(self.settings.seed)  # so that initial weights are the same on every rank

    # -- the run

    def fit(
        self, module: nn.Module, reader: Reader, collate: Collate, evaluate: Callable[[], dict[str, Any]],
        export: Callable[[Path], Any], *, decode: Decode | None = None, after_step: Callable[[], None] = lambda: None,
        stateful: dict[str, Any] | None = None, unused_parameters: bool = False, amount_per_record: float | None = None,
        fixed_models: Sequence[nn.Module] = (), next_command: Sequence[object] = (),
    ) -> None:  # fmt: skip
        """Train `module`, whose forward takes the inputs of a batch and returns (loss, metrics), up to the last step.

        After a step, where it is their turn: check and save, write metrics, evaluate. A run that is told to stop saves at once.
        `collate` and `decode` are those of `stream`. `evaluate` returns metrics; `export` writes the model to a folder. `stateful`
        are further things whose state a checkpoint holds, such as an average of weights. What is said of the run before it begins
        takes in `amount_per_record`, in the loop's unit, and `fixed_models`, which are used but neither trained nor in `module`. The last
        line of a run that reached its end is `next_command`, a module and its arguments. Ends
        the process with 143 after SIGTERM and 130 after Ctrl-C. Raises BuildError if the loss is no longer finite.
        """
        settings = self.settings
        self._assign_records(reader)
        optimization = Optimization(module, settings, self.device, self.ranks, unused_parameters)
        averaged = bool(stateful)
        stateful = optimization.stateful_parts() | (stateful or {})
        self.taken = self._restore(stateful) if self.state else 0
        optimization.own_state()
        if change := optimization.schedule.smooth_transition():
            self.warn(change)
        if self.rank == 0:
            self._say_what_is_needed(reader, [module, *fixed_models], amount_per_record, averaged)
        optimization.wrap()
        batches = self._read(reader, collate, decode)
        signals = StopSignals(self.ranks)
        log = self._open_log()
        if self.step >= settings.steps:
            self.console.print(f"the run is at step {self.step:,} already, of {settings.steps:,}", highlight=False)
        results, started = list[StepResult](), time.perf_counter()
        while self.step < settings.steps:
            module.train()
            results.append(optimization.step(batches, self.step, self.rank))
            self.taken = results[-1].taken
            if not results[-1].overflowed:
                after_step()
            self.step += 1
            is_last = self.step == settings.steps
            stop = self.any_rank(bool(signals.received))
            save = stop or is_last or self.step % settings.save_every == 0
            line = dict[str, Any]()
            if save or self.step % settings.log_every == 0:
                self._check_losses(results)
                line = self._summarise(results, time.perf_counter() - started)
                results, started = [], time.perf_counter()
            if save:  # before anything is printed: whoever reads stderr may be gone
                sums = [parameter.detach().sum().float() for parameter in optimization.parameters]
                self._check_finite(torch.stack(sums).sum()[None], "a weight")
                self._save(stateful)
            if line and log:
                log.write("train", line)
            if is_last or (self.step % settings.evaluate_every == 0 and not stop):
                module.eval()
                with torch.no_grad(), optimization.autocast():
                    metrics = evaluate()
                if metrics and log:
                    log.write("validation", {"step": self.step} | metrics)
                stop = self.any_rank(bool(signals.received))
                if stop and not save:
                    line = self._summarise(results, time.perf_counter() - started) if results else {}
                    self._save(stateful)
                    if line and log:
                        log.write("train", line)
                started = time.perf_counter()
            if stop:
                break
        signals.restore_handlers()
        if self.rank == 0:
            module.eval()
            self.checkpoints.save_model(export)
            self.console.print(f"{self.out / 'model'}", style="bold", highlight=False, markup=False, soft_wrap=True)
            if next_command and self.step == settings.steps:
                self.console.print(f"  python -m {shlex.join(map(str, next_command))}", highlight=False, soft_wrap=True)
        self.wait_for_ranks()  # none ends, or begins another run, while the first still writes
        if self.step < settings.steps:
            self.console.print(f"stopped at step {self.step:,} of {settings.steps:,}; the same command with --resume goes on")
            sys.exit(128 + (signals.received or signal.SIGTERM))

    def _assign_records(self, reader: Reader) -> None:
        self.shards_fingerprint, self.shards_identity = reader.shards.fingerprint, reader.shards.identity
        self.assignment = Assignment(reader.shards.total, self.ranks)
        if self.assignment.total < self.ranks:
            raise UsageError(f"{self.ranks} ranks cannot share {self.assignment.total} records")
        if self.settings.seconds and not reader.length_batches:
            raise UsageError("train.seconds: only batches of sound have a length; here train.batch is what decides")
        records = self.settings.batch * self.settings.accumulate * self.ranks
        if records > self.assignment.total and not self.settings.seconds:
            self.warn(
                f"a step takes {records:,} records, and there are {self.assignment.total:,}: some are seen again within it"
            )

    def _read(self, reader: Reader, collate: Collate, decode: Decode | None) -> Iterator[Batch]:
        """Yield batches from where the rank stands, without end."""
        taken, settings = self.taken, self.settings

        def make_batches() -> Iterator[Batch]:
            spans = self.assignment.spans(self.rank, taken)
            return stream(reader, spans, settings.batch, collate, decode, taken, settings.threads)

        return read_in_worker_process(make_batches) if settings.apart else make_batches()

    def _open_log(self) -> MetricsLog | None:
        """Open the metrics and write the configuration; only on the first rank."""
        if self.rank > 0:
            return None
        claim_folder(self.out, self.command)
        log = MetricsLog(self.out, self.step, self.settings.steps, self.console)
        write_json(self.out / "config.json", self.config | {"shards": self.shards_identity})
        return log

    def _say_what_is_needed(
        self, reader: Reader, modules: list[nn.Module], amount_per_record: float | None, averaged: bool
    ) -> None:
        """Say what the run takes, before it takes it."""
        memory = torch.cuda.get_device_properties(self.device).total_memory if self.device.type == "cuda" else None
        lines, warning = describe_memory(modules, self.settings, memory, averaged)
        in_batch = None
        if reader.length_batches:  # the first row group tells about how many records have the seconds of a batch
            rows = np.arange(reader.shards.rows[0])
            in_batch = reader.length_batches.count_records(reader.shards.read([0]).take(rows))
        lines += describe_data(self.settings, self.ranks, self.assignment.total, self.unit, amount_per_record, in_batch)
        for line in lines:
            self.console.print(line, highlight=False, soft_wrap=True)
        if warning:
            self.warn(warning)

    def _summarise(self, results: list[StepResult], seconds: float) -> dict[str, Any]:
        """Return the means of the metrics over steps that changed the weights, and the speed, since the last line."""
        norms = [result.gradient_norm for result in results if not result.overflowed]
        line = {"step": self.step, "lr": results[-1].lr}
        line["gradient_norm"] = float(torch.stack(norms).mean()) if norms else math.nan
        taken = [result for result in results if not result.overflowed] or results
        for name in results[-1].metrics:
            line[name] = self.mean(torch.stack([result.metrics[name] for result in taken]).mean())
        line[f"{self.unit}_per_second"] = self.sum(sum(result.amount for result in results)) / seconds
        line["skipped"] = int(self.sum(sum(result.skipped for result in results)))
        if self.settings.precision == "fp16":
            line["overflows"] = len(results) - len(norms)
        if self.device.type == "cuda":
            line["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return line

    def _save(self, stateful: dict[str, Any]) -> None:
        """Write a checkpoint. The names in it stay as they are, so that runs of earlier versions can be resumed."""
        taken = self.gather(self.taken)
        if self.rank == 0:
            state = {"step": self.step, "config": self.config, "deal": self.assignment.to_state(), "taken": taken}
            state |= {"shards": self.shards_fingerprint, "content": self.shards_identity}
            self.checkpoints.save(self.step, state | {name: part.state_dict() for name, part in stateful.items()})

    def _restore(self, stateful: dict[str, Any]) -> int:
        """Load a checkpoint into `stateful`; return how many records this rank has taken of its assignment."""
        state, self.state = self.state, None
        assert state
        try:
            content = state.get("content", self.shards_identity)  # which earlier versions did not write down
            if (state["shards"], content) != (self.shards_fingerprint, self.shards_identity):
                raise UsageError(
                    f"the shards are not those that the run in {self.out} was begun with: the corpus, or what was made of it, was made "
                    "anew since. Begin anew in another --out, without --resume"
                )
            check_same_division(stateful["optimizer"], state["optimizer"], self.out)
            for name, part in stateful.items():
                part.load_state_dict(state[name])
            stored, taken = Assignment.from_state(state["deal"]), state["taken"]
        except (LookupError, TypeError, RuntimeError, ValueError) as error:
            damage = f"{type(error).__name__}: {str(error)[:200]}"
            raise BuildError(self.checkpoints.describe_damage(self.checkpoints.folders()[-1], damage)) from None
        if stored.ranks == self.ranks:
            self.assignment = stored
            return taken[self.rank]
        self.assignment = stored.reassign(taken, self.ranks)
        return 0

    # -- evaluation

    def open_validation(self, folder: Path, columns: list[str], derived: Sequence[Path] = ()) -> Reader | None:
        """Open the validation split. Without one, warn that nothing is evaluated and return None."""
        hint = "build the corpus with --set shards.validation=0.05, say, to have some"
        try:
            return Reader(Shards(folder, "validation", columns, hint, derived), None)
        except UsageError as error:
            self.warn(f"nothing is evaluated: {error}")
            return None

    def evaluation_batches(
        self, reader: Reader, limit: int, collate: Collate, decode: Decode | None = None, size: int | None = None
    ) -> Iterator[Batch]:
        """Yield this rank's share of the first `limit` records. A batch is as large as in training, unless `size` is given."""
        spans = reader.one_pass(self.rank, self.ranks, limit)
        return stream(reader, spans, size or self.settings.batch, collate, decode, threads=self.settings.threads)

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow", highlight=False, markup=False)

    def _check_same_step(self) -> None:
        """Check that all ranks begin at the same step. Raises BuildError on every rank if they do not."""
        steps = self.gather(self.step)
        if len(set(steps)) > 1:
            listing = ", ".join(f"{step:,}" for step in steps)
            raise BuildError(
                f"the ranks would go on from different steps ({listing}): {self.checkpoints.folder} is not the same for all of them. "
                "Choose an --out on a disk that they share; if it is one, try again."
            )

    def _check_losses(self, results: list[StepResult]) -> None:
        """Check the losses of steps. That of a step which overflowed in fp16, and so changed nothing, may be anything."""
        losses = [torch.zeros_like(each.metrics["loss"]) if each.overflowed else each.metrics["loss"] for each in results]
        self._check_finite(torch.stack(losses))

    def _check_finite(self, values: torch.Tensor, name: str = "the loss") -> None:
        """Check the values of the last steps, up to this one. Raises BuildError on every rank if one of them is not finite."""
        wrong = (~torch.isfinite(values)).nonzero()
        step = self.step - len(values) + 1 + int(wrong[0]) if len(wrong) else "(named by another rank)"
        if self.any_rank(bool(len(wrong))):
            raise BuildError(
                f"{name} is not finite from step {step} on. What was saved before: "
                f"{self.checkpoints.newest_name}. Begin anew in another --out with a lower train.lr or a longer train.warmup."
            )
