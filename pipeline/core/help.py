"""Commands of click whose help and complaints are in the language of the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import click
from rich.cells import cell_len

from pipeline.core.language import choose_language, translate, translate_message
from pipeline.core.names import shorten
from pipeline.core.paths import find_path_problem

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
_WIDEST_TERM = 30  # cells of the options' column, beyond which the help begins on a line of its own
_SHOWN = 80  # characters of a path that is none
_NOT_FIRST = "、。，．」』）］｝・ー々ゝゞぁぃぅぇぉっゃゅょァィゥェォッャュョ！？：；…)]}>,.:;!?"  # of a line (行頭禁則)
_NOT_LAST = "「『（［｛([{"  # 行末禁則
_UNIT = re.compile(r"[^\S\n]+|[!-~\u00a0-\u02ff]+|.", re.DOTALL)


def wrap_cells(text: str, width: int) -> list[str]:
    """Break a paragraph into lines of at most `width` cells: between any two wide characters, between words of Latin letters, and as
    Japanese typography allows.

    >>> wrap_cells("原文から学習用データへ。--out で出力先を指定します。", 24)
    ['原文から学習用データへ。', '--out で出力先を指定しま', 'す。']
    """
    units: list[str] = []
    for unit in _UNIT.findall(" ".join(text.split())):
        if units and (unit[0] in _NOT_FIRST or units[-1][-1] in _NOT_LAST) and not units[-1].isspace():
            units[-1] += unit
        else:
            units.append(unit)
    lines = [""]
    for unit in units:
        if cell_len(lines[-1]) + cell_len(unit.rstrip()) > width and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        if lines[-1] or not unit.isspace():
            lines[-1] += unit
    return [line.rstrip() for line in lines]


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text, each on one line: what the catalogue is keyed by."""
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()) if paragraph.strip()]


class Formatter(click.HelpFormatter):
    """Writes help in Japanese. English goes through click's own."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{translate('Usage:')} " if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        super().write_heading(translate(heading))

    def write_text(self, text: str) -> None:
        if choose_language() == "en":
            super().write_text(text)
            return
        indent = " " * self.current_indent
        paragraphs = [wrap_cells(translate(one), self.width - self.current_indent) for one in split_paragraphs(text)]
        self.write("\n".join("".join(f"{indent}{line}\n" for line in lines) for lines in paragraphs))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = _WIDEST_TERM, col_spacing: int = 2) -> None:
        if choose_language() == "en":
            super().write_dl(rows, col_max, col_spacing)
            return
        rows = [*rows]
        column = min(max(cell_len(term) for term, _ in rows), col_max) + col_spacing
        start = self.current_indent + column
        for term, description in rows:
            lines = wrap_cells(_translate_description(description), max(self.width - start, 20))
            first = f"{' ' * self.current_indent}{term}"
            if cell_len(term) > column - col_spacing:
                self.write(f"{first}\n")
                first = ""
            self.write(f"{first}{' ' * (start - cell_len(first))}{lines[0]}\n".rstrip(" "))
            for line in lines[1:]:
                self.write(f"{' ' * start}{line}\n")


def _split_extras(description: str) -> tuple[str, list[str]]:
    """Return the help of an option without what follows it in brackets, such as its default, and that, piece by piece."""
    groups = re.findall(r"(?:^|\s+)\[([^\]]*)\]", description)
    words = re.sub(r"(?:^|\s+)\[[^\]]*\]", "", description)
    return " ".join(words.split()), [extra for group in groups for extra in group.split("; ")]


def _translate_description(description: str) -> str:
    words, extras = _split_extras(description)
    shown = translate_message(words)
    return f"{shown} [{'; '.join(map(translate_message, extras))}]".strip() if extras else shown


class Context(click.Context):
    formatter_class = Formatter


class _Complaint(click.UsageError):
    """A usage error in the language of the user."""

    def show(self, file: IO[Any] | None = None) -> None:
        if choose_language() == "en" or self.ctx is None:
            super().show(file)
            return
        hint = translate("Try '{0}' for help.").replace("{0}", f"{self.ctx.command_path} --help")
        click.echo(f"{self.ctx.get_usage()}\n{hint}\n", err=True)
        click.echo(translate("Error: {0}").replace("{0}", self.message), err=True)


class _Translated(click.Command):
    context_class = Context

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            complaint = self._suggest_options(error) if isinstance(error, click.NoSuchOption) else error
            if choose_language() == "en":
                raise complaint from None
            raise _Complaint(translate_message(complaint.format_message()), complaint.ctx) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, but refuse an empty path, as of a shell's unset variable: `Path("")` is the current folder."""
        given, _, _ = self.make_parser(ctx).parse_args(args=[*args])
        for parameter in self.params:
            values = given.get(parameter.name or "") if isinstance(parameter.type, click.Path) else None
            for value in values if isinstance(values, list | tuple) else [values]:
                if isinstance(value, str) and (problem := find_path_problem(value)) is not None:
                    raise click.BadParameter(f"{shorten(value, _SHOWN)!r}: {problem}" if value else problem, ctx, parameter)
        return super().parse_args(ctx, args)

    def _suggest_options(self, error: click.NoSuchOption) -> click.UsageError:
        """Return the error with the options that an unknown one with a single dash may be short for: --out for -o and -out."""
        name, options = error.option_name, [option for parameter in self.params for option in parameter.opts]
        close = [] if name.startswith("--") else [repr(option) for option in options if option.startswith(f"-{name}")]
        if not close:
            return error
        if len(close) == 1:
            return click.UsageError(f"No such option {name!r}. Did you mean {close[0]}?", error.ctx)
        return click.UsageError(f"No such option {name!r}. (Did you mean one of: {', '.join(close)}?)", error.ctx)


class Command(_Translated):
    """A command whose help and complaints are in the language of the user."""


class Group(_Translated, click.Group):
    """A group of such commands."""

    command_class = Command


def command(**options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorate a function as a command of Seimai, with -h for --help."""
    return click.command(cls=Command, context_settings=HELP_OPTIONS, **options)


def list_help(one: click.Command) -> Iterator[str]:
    """Yield what the help of a command says, as the catalogue is keyed: paragraphs, the help of options, what follows it in brackets."""
    yield from split_paragraphs(one.help or "")
    for option in one.params:
        words, extras = _split_extras(getattr(option, "help", None) or "")
        yield from (words, *extras)
    for child in getattr(one, "commands", {}).values():
        yield from list_help(child)
