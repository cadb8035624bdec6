"""The command `seimai`: all commands under one name, each loaded when it is called.

`python -m MODULE` and `seimai WORDS` are the same commands; `pipeline.core.command_names` has which is which.
"""

from __future__ import annotations

import difflib
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from seimai.packages import PACKAGES, check_packages

_HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Subcommand:
    """A command that is loaded when it is called: `load` imports it. `help`: its line in the list of commands."""

    help: str
    load: Callable[[], click.Command]


class LazyGroup(click.Group):
    """A group that knows of its commands what its help shows, and imports the one that is called."""

    def __init__(
        self, name: str, subcommands: dict[str, Subcommand], help: str, params: Sequence[click.Parameter] = ()
    ) -> None:
        super().__init__(name, help=help, context_settings=_HELP, no_args_is_help=True, params=[*params])
        self.subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        subcommand = self.subcommands.get(cmd_name)
        if subcommand is None:
            return None
        try:
            check_packages()
            return _load(subcommand)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] in PACKAGES:
                raise
            raise click.ClickException(
                f"{ctx.command_path} {cmd_name} needs {error.name}, which is not installed: pip install 'seimai[train]'"
            ) from None
        except ImportError as error:
            raise click.ClickException(str(error)) from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments, under the name that it was called by: to Python most are `main`."""
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except click.ClickException as error:
            close = self._find_close(args[0])
            _complain(ctx, click.UsageError(f"No such command {args[0]!r}. Did you mean {close!r}?", ctx) if close else error)
        return args[0] if name is not None else None, command, rest

    def _find_close(self, word: str) -> str | None:
        """Return the command that a word, which is none, was meant to be: also one of a group in this one."""
        if word in self.subcommands:  # which cannot be loaded
            return None
        if word in TRAIN:
            return f"train {word}"
        return next(iter(difflib.get_close_matches(word, self.subcommands, 1)), None)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _complain(ctx, error)

    def get_help(self, ctx: click.Context) -> str:
        if _speaks_japanese():
            from pipeline.core.help import Formatter

            ctx.formatter_class = Formatter
        return super().get_help(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.help) for name, one in self.subcommands.items()])


def _complain(ctx: click.Context, error: click.ClickException) -> NoReturn:
    """Raise an error of the command line; where the user speaks Japanese, print it and end the command."""
    if not _speaks_japanese():
        raise error from None
    from pipeline.core.terminal import Terminal  # late, as all that is not needed for help in English

    Terminal(stderr=True).print(f"error: {error.format_message()}")
    ctx.exit(error.exit_code)


def _print_version(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if not is_wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"seimai {version('seimai')}")
    except PackageNotFoundError:  # in a clone that was not installed
        click.echo("seimai, unknown version: it is not installed")
    ctx.exit()


VERSION = click.Option(
    ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version and exit."
)


def _speaks_japanese() -> bool:
    """Return whether the user is spoken to in Japanese; not where a package that it takes is hidden."""
    try:
        check_packages()
        from pipeline.core.language import choose_language
    except ImportError:
        return False
    return choose_language() == "ja"


def _load(subcommand: Subcommand) -> click.Command:
    """Import a command, without looking for garbage meanwhile: there is none, and looking takes a seventh of the time."""
    gc.disable()
    try:
        return subcommand.load()
    finally:
        gc.freeze()
        gc.enable()


# -- what each name stands for; imported late, since any of them takes longer than `seimai --help` may


def _load_build() -> click.Command:
    from pipeline.build import main

    return main


def _load_fetch() -> click.Command:
    from pipeline.fetch.command import main

    return main


def _load_verify() -> click.Command:
    from pipeline.verify import main

    return main


def _load_compare() -> click.Command:
    from pipeline.compare.command import main

    return main


def _load_inspect() -> click.Command:
    from pipeline.inspect.command import main

    return main


def _load_explain() -> click.Command:
    from pipeline.explain.command import main

    return main


def _load_whatif() -> click.Command:
    from pipeline.whatif.command import main

    return main


def _load_encode() -> click.Command:
    from tokenizer.encode import main

    return main


def _load_evaluate() -> click.Command:
    from tokenizer.evaluate import main

    return main


def _load_export() -> click.Command:
    from tokenizer.export import main

    return main


def _load_train_tokenizer() -> click.Command:
    from tokenizer.train import main

    return main


def _load_train_gpt() -> click.Command:
    from trainers.gpt import main

    return main


def _load_train_clip() -> click.Command:
    from trainers.clip import main

    return main


def _load_train_diffusion() -> click.Command:
    from trainers.diffusion import main

    return main


def _load_train_hubert() -> click.Command:
    from trainers.hubert import main

    return main


def _load_train_ctc() -> click.Command:
    from trainers.ctc import main

    return main


def _load_train_units() -> click.Command:
    from trainers.targets import main

    return main


def _load_generate() -> click.Command:
    from trainers.generate import main

    return main


def _load_train_quality() -> click.Command:
    from filters.train_quality import main

    return _wrap_program("quality", main)


def _wrap_program(name: str, program: Callable[[Sequence[str], str], int]) -> click.Command:
    """Return a click command that hands its arguments, and what it is called, on to a program with a parser of its own."""

    def run(arguments: tuple[str, ...]) -> None:
        raise SystemExit(program(arguments, click.get_current_context().command_path))

    parameter = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    settings: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": []}
    return click.Command(name, context_settings=settings, callback=run, params=[parameter])


TRAIN = {
    "tokenizer": Subcommand("A tokenizer, on a corpus or several.", _load_train_tokenizer),
    "gpt": Subcommand("A GPT, on the token shards of a corpus.", _load_train_gpt),
    "clip": Subcommand("CLIP or CLOOB, on images with captions.", _load_train_clip),
    "diffusion": Subcommand("Stable Diffusion, on images with captions.", _load_train_diffusion),
    "hubert": Subcommand("HuBERT, on speech.", _load_train_hubert),
    "ctc": Subcommand("A recogniser, on speech with transcripts.", _load_train_ctc),
    "units": Subcommand("The units that HuBERT predicts, ahead of training.", _load_train_units),
    "quality": Subcommand("A model of text, on good and bad texts, for the measure quality_score.", _load_train_quality),
}
COMMANDS = {
    "build": Subcommand("Build a corpus: from raw material to sharded Parquet.", _load_build),
    "fetch": Subcommand("Fetch the images that a list of URLs names.", _load_fetch),
    "train": Subcommand(
        "Train a tokenizer or a model: seimai train gpt CORPUS.",
        lambda: LazyGroup("train", TRAIN, "Train a tokenizer or a model on a built corpus."),
    ),
    "generate": Subcommand("Let a trained model write, draw, rank captions or write down speech.", _load_generate),
    "encode": Subcommand("Turn the text of a corpus into token shards.", _load_encode),
    "evaluate": Subcommand("Compare tokenizers on texts.", _load_evaluate),
    "export": Subcommand("Write a tokenizer for Hugging Face's AutoTokenizer.", _load_export),
    "compare": Subcommand("Show where two sets of rules differ on a built corpus.", _load_compare),
    "inspect": Subcommand("Browse a built corpus in a web browser.", _load_inspect),
    "explain": Subcommand("Show the life of a record of a built corpus, or judge a text.", _load_explain),
    "whatif": Subcommand("Show what other bounds would keep of a built corpus.", _load_whatif),
    "verify": Subcommand("Compare what was published with its checksums.", _load_verify),
}
main = LazyGroup(
    "seimai",
    COMMANDS,
    "Turn raw Japanese text, image-text pairs and speech into training data, and train on it.\n\n"
    "seimai build cc100-ja builds the embedded sample. seimai COMMAND --help says more of a command.",
    [VERSION],
)
