"""Settings of a trainer: a TOML file under `configs/`, and `--set` on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from pipeline.core.errors import UsageError
from pipeline.core.settings import Size, Table
from trainers.data.reader import BUFFER

CONFIGS = Path(__file__).parents[1] / "configs"

Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


def _check_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the lower share comes first")
    return pair


Crop = Annotated[tuple[Share, Share], AfterValidator(_check_order)]


class Train(Table):
    """The table `[train]`."""

    steps: int = Field(ge=1, description="of the optimiser")
    batch: int = Field(ge=1, description="records per rank and micro-batch")
    seconds: float | None = Field(
        None,
        gt=0,
        description="of sound per rank and micro-batch, each recording as long as the longest; `batch` still limits records",
    )
    accumulate: int = Field(1, ge=1, description="micro-batches per step")
    lr: float = Field(gt=0, description="the highest learning rate")
    schedule: Literal["linear", "cosine", "constant_with_warmup", "polynomial"] = "linear"
    warmup: int = Field(0, ge=0, description="steps")
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="of matrices and convolutions; trainers.training.weight_decay")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = Field(False, description="torch.compile")
    gradient_checkpointing: bool = Field(
        False, description="layers are computed again for their gradients: less memory, about a third more computation"
    )
    seed: int = Field(1, ge=0, le=2**31)
    buffer: Size = Field(BUFFER, description="bytes of row groups among which records are shuffled, per rank")
    threads: int = Field(4, ge=1, le=128, description="threads that decode images and sound, per rank")
    apart: bool = Field(False, description="read and decode in a worker process, so as not to hold up the loop")
    log_every: int = Field(10, ge=1)
    evaluate_every: int = Field(1_000, ge=1)
    evaluate_records: int = Field(1_000, ge=1, description="of the validation split, at most")
    save_every: int = Field(1_000, ge=1)
    keep: int = Field(2, ge=1, description="checkpoints")


# These may change when a run is resumed: they say how long it runs and how it is watched, not what a step computes.
CHANGEABLE = (
    "steps", "log_every", "evaluate_every", "evaluate_records", "save_every", "keep", "threads", "apart", "gradient_checkpointing",
)  # fmt: skip
Config = TypeVar("Config", bound=Table)


def list_configs(trainer: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / trainer).glob("*.toml"))


def load_config(config: type[Config], trainer: str, name: str, changes: Sequence[str] = ()) -> Config:
    """Load the configuration of a trainer by name or path, with changes KEY.KEY=VALUE. Raises UsageError that names the wrong setting."""
    path = CONFIGS / trainer / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        configs = ", ".join(list_configs(trainer))
        raise UsageError(f"there is no configuration {name!r} of {trainer}: {configs}, or the path of a TOML file")
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    for change in changes:
        _apply(change, settings)
    try:
        return config(**settings)
    except ValidationError as error:
        problems = [_describe(config, path, changes, e["loc"], e["msg"], e["input"]) for e in error.errors()]
        raise UsageError("\n".join(problems)) from None


def _apply(change: str, settings: dict[str, Any]) -> None:
    """Set the value of one `--set`. Text that is no TOML value is taken as it is."""
    key, equals, text = change.partition("=")
    if not equals or not all(name.strip() for name in key.split(".")):
        raise UsageError(f"--set {change}: expected KEY=VALUE, such as train.steps=100")
    *tables, last = key.strip().split(".")
    table = settings
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {change}: {name} is no table")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


def _describe(
    config: type[Table], path: Path, changes: Sequence[str], location: tuple[int | str, ...], problem: str, value: Any
) -> str:
    """Return one line about one setting: whether the file or --set has it, and which settings exist if it is unknown."""
    key = ".".join(map(str, location))
    table: Any = config
    for name in location[:-1]:
        table = table.model_fields[name].annotation if name in getattr(table, "model_fields", {}) else None
    fields = getattr(table, "model_fields", {})
    is_unknown = bool(fields) and location[-1] not in fields
    origin = f"{path}: {key}"
    for change in changes:
        changed = change.partition("=")[0].strip()
        if changed == key or (is_unknown and changed.startswith(f"{key}.")):
            origin = f"--set {change}"
        elif key.startswith(f"{changed}."):
            origin = f"--set {change}: {key}"
    if is_unknown:
        return f"{origin}: there is no such setting, but {', '.join(fields)}"
    return f"{origin}: {problem}, found {value!r}"
