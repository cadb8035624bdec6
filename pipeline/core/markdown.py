"""Text from outside as Markdown that shows it literally, for dataset cards."""

from __future__ import annotations

import re

from pipeline.core.names import make_visible, strip_secrets


def escape_markdown(text: str) -> str:
    """Return `text` from outside as one line of Markdown that shows it literally: no HTML, link, emphasis, list or heading."""
    line = re.sub(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|^[#+\-=])", r"\\\1", make_line(text).strip())
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
    return f"<{shown}>" if re.fullmatch(r"https?://[^\s<>\"'`\\()\[\]{}|]+", make_line(shown)) else escape_markdown(shown)


def code_span(text: str) -> str:
    """Return `text` from outside as a code span of Markdown, with more backticks around it than it has in a row."""
    line = make_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    return f"{fence}{space}{line}{space}{fence}"


def table_code_span(text: str) -> str:
    """Return `text` from outside as a code span in a cell of a table, where a vertical bar is escaped even in code."""
    return code_span(text).replace("|", "\\|")


def make_line(text: str) -> str:
    """Return `text` from outside as one line, with controls made visible."""
    return make_visible(re.sub(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]", " ", text))
