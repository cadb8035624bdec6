"""The dataset card, `README.md`: YAML for Hugging Face, then what was done with which result, in English and Japanese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.card import describe_config, describe_token_config, dump_front_matter, render_added
from pipeline.core.language import speak, translate_message, translate_text
from pipeline.core.markdown import code_span, escape_markdown, escape_paragraphs, link, make_line, table_code_span
from pipeline.core.names import hide_folders
from pipeline.core.storage import write_atomically
from pipeline.report.facts import BuildFacts, format_file_size
from pipeline.report.licenses import describe_license


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
        "amount": facts.terms.format_amount,
        "file_size": format_file_size,
        "code_span": code_span,
        "table_code_span": table_code_span,
        "escape_markdown": escape_markdown,
        "escape_paragraphs": escape_paragraphs,
        "link": link,
        "japanese": _translate,
        "without_places": lambda text: hide_folders(_say(text), facts.places),
    }
    added = render_added(facts.training, facts.tokens)
    card = environment.get_template(facts.template).render(
        facts=facts, front_matter=dump_front_matter(_describe_dataset(facts)), added=added
    )
    return card.rstrip("\n") + "\n"


def _say(text: str) -> str:
    """Return a message as commands print it in English."""
    with speak("en"):
        return translate_message(text)


def _translate(text: str) -> str:
    """Return the Japanese of a text of ours, behind " / "; nothing where there is none."""
    with speak("ja"):
        japanese = translate_text(text)
    return f" / {japanese}" if japanese != text else ""


def _describe_dataset(facts: BuildFacts) -> dict[str, Any]:
    """Return the front matter, with Hugging Face's names."""
    configs = {"default": {split: f"data/{split}-*.parquet" for split in facts.split_names}}
    return {
        "language": ["ja"],
        **describe_license(facts.declared_licenses, facts.manifest.license_name, facts.manifest.license_link),
        "pretty_name": make_line(facts.manifest.title),
        "size_categories": [facts.size_category],
        "task_categories": [facts.terms.task],
        "configs": [*map(describe_config, configs, configs.values()), *describe_token_config(facts.tokens)],
    }
