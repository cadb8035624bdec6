"""`report.html`: one file with styles, scripts, labels and data in it, which loads nothing and runs nothing but its own scripts.

The data is JSON that the page's script shows by `textContent` alone; the Content-Security-Policy names the scripts and styles by their
digests, so that nothing that comes from a corpus is ever markup, style or code.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from pipeline.core.language import speak, translate_text
from pipeline.core.names import escape_unprintable
from pipeline.core.storage import to_json

_SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "report.js")
# The style element that Observable Plot puts into every chart, without which Chromium reports an error.
_PLOT_STYLE = re.compile(r"\.text\(`([^`]*--plot-background[^`]*)`\)")
_PLOT_CLASS = "plot-d6a7b5"
_PICTURES = re.compile(r'<script type="application/json" id="pictures">(.*?)</script>', re.DOTALL)


def render_page(report: dict[str, Any], pictures: dict[str, str]) -> str:
    """Return the page of a report, given as `Report` dumps it."""
    policy, style, scripts = _read_assets()
    title = escape(report["corpus"]["title"])
    data = {
        "report": report,
        "pictures": pictures,
        "labels": json.loads(_read("labels.json")),
        "japanese": find_japanese(report),
    }
    islands = "\n".join(
        f'<script type="application/json" id="{name}">{embed_json(value)}</script>' for name, value in data.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{title} · Seimai</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<noscript><p class="notice">This page shows its data by a script of its own; report.json has the same numbers. / '
        "この頁の表示にはスクリプトが必要です。同じ数値は report.json にあります。</p></noscript>\n"
        f'<div id="page"></div>\n{islands}\n'
        + "\n".join(f"<script>{script}</script>" for script in scripts)
        + "\n</body>\n</html>\n"
    )


def find_japanese(report: dict[str, Any]) -> dict[str, str]:
    """Return the Japanese of what a report says in English: descriptions, reasons, bounds in words and warnings, by the English."""
    described = [*report["reasons"], *report["measures"]]
    texts = {one.get(name) for one in described for name in ("description", "reason", "bound")}
    texts |= {report["corpus"]["near_duplicate"], *report["warnings"]}
    with speak("ja"):
        japanese = {text: translate_text(text) for text in texts if text}
    return {english: japanese[english] for english in sorted(japanese) if japanese[english] != english}


def read_pictures(page: str) -> dict[str, str]:
    """Return the pictures that a page has in it. Raises ValueError where it is none of ours."""
    found = _PICTURES.search(page)
    if found is None:
        raise ValueError("a page without pictures")
    pictures = json.loads(found[1])
    return {str(name): str(url) for name, url in pictures.items()}


def embed_json(value: Any) -> str:
    """Return JSON for a script element: no character in it ends the element, or is obeyed by a terminal or an editor.

    >>> embed_json({"text": "</script>\u2028"})
    '{"text": "\\\\u003c/script\\\\u003e\\\\u2028"}'
    """
    text = escape_unprintable(to_json(value))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _read_assets() -> tuple[str, str, tuple[str, ...]]:
    """Return the policy, the style and the scripts of every page."""
    style, scripts = _read("report.css"), tuple(map(_read, _SCRIPTS))
    templates = _PLOT_STYLE.findall(scripts[1])
    plot_styles = [re.sub(r"\$\{\w+\}", _PLOT_CLASS, template.replace("\\n", "\n")) for template in templates]
    policy = {
        "default-src": ["'none'"],
        "script-src": [*map(_digest, scripts)],
        "style-src": [*map(_digest, [style, *plot_styles])],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in policy.items()), style, scripts


def _read(name: str) -> str:
    return (files("pipeline.report") / "page_files" / name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
