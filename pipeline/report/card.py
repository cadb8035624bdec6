"""The dataset card, `README.md`: YAML for Hugging Face, then what was done with which result, in English and Japanese."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.names import hide_folders, make_visible, strip_secrets
from pipeline.core.storage import write_atomically
from pipeline.report.facts import BuildFacts, format_file_size

_NO_FOLDING = 1 << 20  # characters in a line of YAML


def write_card(facts: BuildFacts, folder: Path) -> None:
    """Write the card of a build to `folder`, from where it is published."""
    with write_atomically(folder / "README.md") as temporary:
        temporary.write_text(render_card(facts), "utf-8")


def render_card(facts: BuildFacts) -> str:
    """Return the card as Markdown.

    The manifest may be a stranger's, and names of input files, removed lines and warnings, which quote them, come from outside: the
    template passes them all through `code_span`, `escape_markdown` and their like.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # late: most commands print no card

    environment = Environment(  # autoescape is for HTML, this is Markdown
        loader=PackageLoader("pipeline.report"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "file_size": format_file_size,
        "code_span": code_span,
        "table_code_span": table_code_span,
        "escape_markdown": escape_markdown,
        "escape_paragraphs": escape_paragraphs,
        "link": link,
        "without_places": lambda text: hide_folders(text, facts.places),
    }
    front_matter = yaml.safe_dump(_describe_dataset(facts), allow_unicode=True, sort_keys=False, width=_NO_FOLDING)
    return environment.get_template(facts.template).render(facts=facts, front_matter=front_matter).rstrip("\n") + "\n"


def escape_markdown(text: str) -> str:
    """Return `text` from outside as one line of Markdown that shows it literally: no HTML, link, emphasis, list or heading."""
    line = re.sub(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|^[#+\-=])", r"\\\1", _make_line(text).strip())
    line = re.sub(r"^(\d+)([.)])(?= |$)", r"\1\\\2", line)  # would begin a numbered list
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # GitHub and Hugging Face make links of bare URLs.
    return re.sub(r"(?i)\b(www)\.", r"\1&#46;", line.replace("://", "&#58;//"))


def escape_paragraphs(text: str) -> str:
    """Return `text` from outside as paragraphs of Markdown that show it literally."""
    return "\n\n".join(filter(None, map(escape_markdown, re.split(r"\n\s*\n", text))))


def link(url: str) -> str:
    """Return a link to `url` where it is one of http or https, else its text."""
    shown = strip_secrets(url.strip())
    return f"<{shown}>" if re.fullmatch(r"https?://[^\s<>\"'`\\()\[\]{}|]+", _make_line(shown)) else escape_markdown(shown)


def code_span(text: str) -> str:
    """Return `text` from outside as a code span of Markdown, with more backticks around it than it has in a row."""
    line = _make_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    return f"{fence}{space}{line}{space}{fence}"


def table_code_span(text: str) -> str:
    """Return `text` from outside as a code span in a cell of a table, where a vertical bar is escaped even in code."""
    return code_span(text).replace("|", "\\|")


def _make_line(text: str) -> str:
    return make_visible(re.sub(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]", " ", text))


def _describe_dataset(facts: BuildFacts) -> dict[str, Any]:
    """Return the front matter, with Hugging Face's names."""
    configs = {"default": {split: f"data/{split}-*.parquet" for split in facts.split_names}}
    if facts.tokens:
        configs["tokens"] = {
            split: f"tokens/{split}-*.parquet" for split, counts in facts.tokens["splits"].items() if counts["sequences"]
        }
    return {
        "language": ["ja"],
        "license": "other",
        "license_name": _make_line(facts.manifest.license),
        "pretty_name": _make_line(facts.manifest.title),
        "size_categories": [facts.size_category],
        "task_categories": [facts.terms.task],
        "configs": [
            {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in paths.items()]}
            for name, paths in configs.items()
        ],
    }
