"""The command line that all trainers share."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Generic

import click

from pipeline.core import help
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.ownership import CORPUS_FOLDERS, NamedPath, check_owner, refuse_overlap
from pipeline.core.paths import refuse_unwritable
from pipeline.core.publication import adopt_earlier_state
from trainers.training.checkpoints import Checkpoints
from trainers.training.ranks import own_rank, report_to_torchrun
from trainers.training.settings import Config, list_configs, load_config


@dataclass(frozen=True)
class RunOptions(Generic[Config]):
    """What every trainer is asked for. `config_name`: what the configuration was called by, a name or a path."""

    corpus: Path
    config: Config
    out: Path
    resume: bool
    command: str = "trainers"
    config_name: str = ""


def config_options(trainer: str, default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--config` and `--set`, which come as `config` and `changes`."""
    names = ", ".join(list_configs(trainer))
    config = click.option("--config", default=default, show_default=True, metavar="NAME|PATH", help=f"One of {names}.")
    changes = click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the configuration; repeatable.")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return config(changes(function))

    return decorate


def command(trainer: str, default: str, config_class: type[Config]) -> Callable[[Callable[..., None]], click.Command]:
    """Make a click command of a function that gets RunOptions and its own options. `default` names its configuration.

    Only one run at a time uses `--out`. Errors that a user can fix come without a traceback.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @config_options(trainer, default)
        @click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
        @click.option("--out", type=click.Path(path_type=Path), default=Path("runs") / trainer, show_default=True)
        @click.argument("corpus", type=click.Path(path_type=Path, exists=True, file_okay=False))
        @wraps(function)
        def run(corpus: Path, config: str, out: Path, resume: bool, changes: tuple[str, ...], **own_options: Any) -> None:
            again = "add --resume to go on from the last checkpoint, if one was saved"
            with report_errors("training", "--out", again), report_to_torchrun():
                if file := next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None):
                    raise UsageError(f"--out: {file} is a file")
                silence_libraries()
                refuse_overlap([NamedPath(f"--out {out}", out)], [NamedPath(str(corpus), corpus)], within=False)
                data = [NamedPath(str(corpus / name), corpus / name) for name in CORPUS_FOLDERS if (corpus / name).is_dir()]
                refuse_overlap([NamedPath(f"--out {out}", out)], data)
                adopt_earlier_state(out)
                check_owner(out, f"trainers.{trainer}")
                refuse_unwritable("--out", out)
                Checkpoints(out, keep=1).check_folder(resume)  # before units or latents are made
                with hold_lock(out) if own_rank()[0] == 0 else nullcontext():
                    settings = load_config(config_class, trainer, config, changes)
                    function(RunOptions(corpus, settings, out, resume, f"trainers.{trainer}", config), **own_options)

        return help.command()(run)

    return decorate


def silence_libraries() -> None:
    """Hide progress bars and remarks of transformers on what a trainer decides itself, unless TRANSFORMERS_VERBOSITY asks for them."""
    from transformers.utils import logging  # late: heavy

    logging.disable_progress_bar()
    if "TRANSFORMERS_VERBOSITY" not in os.environ:
        logging.set_verbosity_error()
