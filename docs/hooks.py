"""What the site adds to its pages: sections of the READMEs, the keys of manifests, commands, and links that hold there.

A page says `{{ README.md: Heading }}`, `{{ README.ja.md }}`, `{{ manifests }}` or `{{ commands }}` on a line of its own.
"""

from __future__ import annotations

import html
import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
_INSERT = re.compile(r"^\{\{ (?P<name>[\w.]+)(?:: (?P<heading>.+))? \}\}$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]*)\]\((?P<target>[^)\s:#]+)(?P<anchor>#[^)]*)?\)")
_TARGET = re.compile(r"\]\((?P<target>[^)\s:#]+)(?P<anchor>#[^)]*)?\)")
_PAGES = {"README.md": "docs/index.md", "README.ja.md": "docs/ja.md"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page with what it asks for, and with links between pages of the site only: another file is named."""
    folder = Path("docs", page.file.src_uri).parent

    def insert(match: re.Match[str]) -> str:
        if match["name"] == "manifests":
            return describe_manifests()
        if match["name"] == "commands":
            return list_commands()
        return resolve_links(read_section(match["name"], match["heading"]), Path(), folder)

    return _INSERT.sub(insert, resolve_links(markdown, folder, folder))


def resolve_links(text: str, base: Path, folder: Path) -> str:
    """Return a text of a file in `base` with its links and pictures as a page in `folder` has them.

    Both are relative to the root of the repository. Raises FileNotFoundError where a link leads to nothing.
    """

    def find(link: re.Match[str]) -> str:
        path = os.path.normpath(base / link["target"])
        path = _PAGES.get(path, path)
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"{link[0]} in {base}: there is no {path}")
        return path

    def name_outside(link: re.Match[str]) -> str:
        path = find(link)
        if path.startswith("docs/") and Path(path).suffix:
            return link[0]
        return link["text"] if link["text"].strip("`") == path else f"{link['text']} (`{path}`)"

    def lead_inside(link: re.Match[str]) -> str:
        return f"]({os.path.relpath(find(link), folder)}{link['anchor'] or ''})"

    return _TARGET.sub(lead_inside, _LINK.sub(name_outside, text))


def read_section(document: str, heading: str | None) -> str:
    """Return what stands below a heading of a README, or all of it. Raises ValueError where there is no such heading."""
    text = (ROOT / document).read_text("utf-8")
    if heading is None:
        return text
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if section is None:
        raise ValueError(f"{document} has no section {heading!r}")
    return section[1].strip()


# -- manifests


def describe_manifests() -> str:
    """Return tables of the keys of every kind of manifest, from their JSON Schema."""
    schema = json.loads((ROOT / "manifests" / "schema.json").read_text("utf-8"))
    definitions, seen, text = schema["$defs"], set[str](), list[str]()
    for kind in schema["anyOf"]:
        heading = kind["description"].rstrip(".")
        if heading in seen:  # the same kind with other formats
            continue
        seen.add(heading)
        plain = {name: key for name, key in kind["properties"].items() if _find_table(key) not in definitions}
        text += [f"## {heading}", _tabulate({name: key for name, key in plain.items() if name not in {"source", "rules"}})]
        for name, key in kind["properties"].items():
            reference = _find_table(key)
            if reference in definitions and reference not in seen:
                seen.add(reference)
                brackets = f"[[{name}]]" if key.get("type") == "array" else f"[{name}]"
                text += [f"### `{brackets}`{'' if kind is schema['anyOf'][0] else ' of ' + heading[0].lower() + heading[1:]}"]
                text += [definitions[reference].get("description", ""), _tabulate(definitions[reference]["properties"])]
    bound = definitions["Bound"]
    names = "A rule is named after a [measure](../measures.md) or a column of `source.keep`."
    text += ["## `[rules]`: bounds", f"{bound['description']} {names}"]
    return "\n\n".join([*text, _tabulate(bound["properties"])])


def _find_table(key: dict[str, Any]) -> str:
    """Return the name of the table that a key holds, "" where it holds a value."""
    options = [key, key.get("items", {}), *key.get("anyOf", []), *key.get("allOf", [])]
    return next((option["$ref"].rpartition("/")[2] for option in options if "$ref" in option), "")


def _tabulate(keys: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", _name_type(key), _show_default(key), _escape(key.get("description", ""))) for name, key in keys.items()
    ]
    return "\n".join(["| key | type | default | |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def _name_type(key: dict[str, Any]) -> str:
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "anyOf" in key:
        return " or ".join(_name_type(option) for option in key["anyOf"] if option.get("type") != "null")
    if table := _find_table(key):
        return f"table ({table})"
    names = {"integer": "number", "boolean": "true, false", "array": "list", "object": "table", "string": "text"}
    types = key.get("type", "string")
    return " or ".join(names.get(one, one) for one in ([types] if isinstance(types, str) else types))


def _show_default(key: dict[str, Any]) -> str:
    if "default" not in key:
        return "required" if "type" in key else ""
    return "" if key["default"] in (None, "", [], {}) else f"`{json.dumps(key['default'], ensure_ascii=False)}`"


def _escape(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("[", "&#91;")


# -- commands


def list_commands() -> str:
    """Return a section for every command: how it is called, its help, and a table of its arguments and options."""
    from pipeline.core.command_names import WORDS
    from seimai.command import main

    sections = []
    for module, words in WORDS.items():
        command: click.Command = main
        for word in words.split():
            assert isinstance(command, click.Group)
            subcommand = command.get_command(click.Context(command), word)
            assert subcommand is not None
            command = subcommand
        sections.append(f"## `seimai {words}`\n\n{describe_command(command, (f'python -m {module}', f'seimai {words}'))}")
    return "\n\n".join(sections)


def describe_command(command: click.Command, names: tuple[str, ...]) -> str:
    """Return how a command is called, by any of its names, its help, and a table of its arguments and options."""
    context = click.Context(command)
    arguments = " ".join(command.collect_usage_pieces(context))
    usage = "\n".join(f"    {name} {arguments}" for name in names)
    help_text = _escape(inspect.cleandoc(command.help or "").replace("\b\n", ""))
    records = filter(None, (parameter.get_help_record(context) for parameter in command.get_params(context)))
    rows = [f"| <code>{_escape(html.escape(name))}</code> | {_escape(' '.join(text.split()))} |" for name, text in records]
    return "\n".join([usage, "", help_text, "", "| option | |", "|---|---|", *rows])
