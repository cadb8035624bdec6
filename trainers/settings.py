"""What a trainer is told: a TOML file under `configs/`, and `--set` on the command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import click
from pydantic import AfterValidator, Field, ValidationError

from pipeline.core.command import report_errors
from pipeline.core.errors import SeimaiError, UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.settings import Size, Table
from trainers.data import BUFFER
from trainers.ranks import own_rank, recorded

CONFIGS = Path(__file__).parent / "configs"


Decay = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the lower share comes first")
    return pair


Crop = Annotated[tuple[Share, Share], AfterValidator(_ordered)]


class Train(Table):
    """The table `[train]`."""

    steps: int = Field(ge=1, description="of the optimiser")
    batch: int = Field(ge=1, description="records per rank and micro-batch")
    accumulate: int = Field(1, ge=1, description="micro-batches per step")
    lr: float = Field(gt=0, description="the highest")
    schedule: Literal["linear", "cosine", "constant_with_warmup", "polynomial"] = "linear"
    warmup: int = Field(0, ge=0, description="steps")
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="of what has two dimensions or more; biases and norms have none")
    clip: float = Field(1.0, gt=0, description="norm of the gradient")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = Field(False, description="torch.compile")
    seed: int = Field(1, ge=0, le=2**31)
    buffer: Size = Field(BUFFER, description="bytes of row groups among which records are shuffled, per rank")
    threads: int = Field(4, ge=1, le=128, description="that decode images and sound, per rank")
    apart: bool = Field(False, description="read and decode in a process of their own, so as not to hold up the loop")
    log_every: int = Field(10, ge=1)
    evaluate_every: int = Field(1_000, ge=1)
    evaluate_records: int = Field(1_000, ge=1, description="of the validation split, at most")
    save_every: int = Field(1_000, ge=1)
    keep: int = Field(2, ge=1, description="checkpoints")


# What may change when a run goes on: it says how long and how it is watched, not what is computed at a step.
FREE = ("steps", "log_every", "evaluate_every", "evaluate_records", "save_every", "keep", "threads", "apart")
Config = TypeVar("Config", bound=Table)


def names(trainer: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / trainer).glob("*.toml"))


def load(kind: type[Config], trainer: str, name: str, changes: tuple[str, ...] = ()) -> Config:
    """The configuration of a trainer by name or path, with `key.key=value` changes. Raises UsageError that says what is wrong where."""
    path = CONFIGS / trainer / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"there is no configuration {name!r} of {trainer}: {', '.join(names(trainer))}, or the path of a TOML file"
        )
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise UsageError(f"--set {change}: expected KEY=VALUE, such as train.steps=100")
        *tables, last = key.strip().split(".")
        at = found
        for part in tables:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise UsageError(f"--set {change}: {part} is no table")
        try:
            at[last] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            at[last] = text
    try:
        return kind(**found)
    except ValidationError as error:
        raise UsageError(
            "\n".join(_wrong(kind, path, changes, e["loc"], e["msg"], e["input"]) for e in error.errors())
        ) from None


def _wrong(kind: type[Table], path: Path, changes: tuple[str, ...], where: tuple[int | str, ...], what: str, found: Any) -> str:
    """One line on one setting: whether the file or --set has it, and what there is where it is unknown."""
    key = ".".join(map(str, where))
    table: Any = kind
    for name in where[:-1]:
        table = table.model_fields[name].annotation if name in getattr(table, "model_fields", {}) else None
    known = getattr(table, "model_fields", {})
    unknown = bool(known) and where[-1] not in known
    by = f"{path}: {key}"
    for change in changes:
        told = change.partition("=")[0].strip()
        if told == key or (unknown and told.startswith(f"{key}.")):
            by = f"--set {change}"
        elif key.startswith(f"{told}."):
            by = f"--set {change}: {key}"
    return f"{by}: there is no such setting, but {', '.join(known)}" if unknown else f"{by}: {what}, found {found!r}"


def model_config(table: dict[str, Any], where: str, **given: Any) -> Any:
    """A transformers configuration of a table with `model_type` and what differs from its defaults. Raises UsageError on unknown keys."""
    from transformers import AutoConfig

    options = dict(table)
    kind = options.pop("model_type", None)
    try:
        defaults = AutoConfig.for_model(kind)
    except ValueError:
        raise UsageError(f"{where}.model_type: transformers has no {kind!r}") from None
    if unknown := [key for key in options if not hasattr(defaults, key) or callable(getattr(defaults, key))]:
        raise UsageError(f"{where}.{unknown[0]}: {kind} has no such setting")
    if fixed := [key for key in options if key in given]:
        raise UsageError(f"{where}.{fixed[0]}: the tokenizer decides it, {given[fixed[0]]}")
    with built(where):
        found = AutoConfig.for_model(kind, **options, **given)
    for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "max_position_embeddings"):
        if getattr(found, key, 1) < 1:
            raise UsageError(f"{where}.{key}: {getattr(found, key)}, but one is the least")
    return found


@contextmanager
def built(where: str) -> Iterator[None]:
    """What libraries raise at settings that do not go together becomes a UsageError."""
    try:
        yield
    except SeimaiError:
        raise
    except Exception as error:  # their kinds of errors differ from model to model
        what = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{where}: no model can be made of these settings: {what[:300]}") from error


def named(place: str, what: str) -> None:
    """Raises UsageError where `place` is neither a folder nor OWNER/NAME on the Hub, before the network is asked."""
    if not Path(place).exists() and (place.count("/") != 1 or place[0] in "./~"):
        raise UsageError(f"{what}: there is no folder {place}, and it is no name of a model on the Hub (OWNER/NAME)")


def quiet() -> None:
    """No bars for files of a moment, and no remarks on what a trainer decides itself, unless TRANSFORMERS_VERBOSITY asks for them."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    if "TRANSFORMERS_VERBOSITY" not in os.environ:
        logging.set_verbosity_error()


def command(trainer: str, default: str) -> Callable[[Callable[..., None]], click.Command]:
    """A click command with the options of every trainer; functions get `corpus, config, out, resume, changes` and their own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def called(**given: Any) -> None:
            """One run at a time in --out, and no traceback where the user can do something about it."""
            with (
                report_errors("training", "--out", "add --resume to go on from the last checkpoint, if one was saved"),
                recorded(),
            ):
                if wrong := next((p for p in (given["out"], *given["out"].parents) if p.exists() and not p.is_dir()), None):
                    raise UsageError(f"--out: {wrong} is a file")
                quiet()
                with hold_lock(given["out"]) if own_rank()[0] == 0 else nullcontext():
                    function(**given)

        options = [
            click.argument("corpus", type=click.Path(path_type=Path, exists=True, file_okay=False)),
            click.option(
                "--config", default=default, show_default=True, metavar="NAME|PATH", help=f"One of {', '.join(names(trainer))}."
            ),
            click.option("--out", type=click.Path(path_type=Path), default=Path("runs") / trainer, show_default=True),
            click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out."),
            click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the configuration; repeatable."),
        ]
        for option in reversed(options):
            option(called)
        return click.command(context_settings={"help_option_names": ["-h", "--help"]})(called)

    return decorate
