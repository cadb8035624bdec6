"""Dumps of Wikipedia, written as MediaWiki and CirrusSearch write them."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ja">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <base>https://ja.wikipedia.org/wiki/%E3%83%A1%E3%82%A4%E3%83%B3%E3%83%9A%E3%83%BC%E3%82%B8</base>
    <namespaces><namespace key="0" case="first-letter" /><namespace key="10" case="first-letter">Template</namespace></namespaces>
  </siteinfo>
"""
END = "\n</mediawiki>\n"


def page(title: str, text: str, namespace: int = 0, page_id: int = 1, redirect: str | None = None) -> str:
    """Return a page of an XML dump."""
    leads_on = "" if redirect is None else f"    <redirect title={quoteattr(redirect)} />\n"
    return (
        f"<page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{page_id}</id>\n{leads_on}"
        "    <revision>\n"
        "      <id>3</id>\n      <timestamp>2024-01-02T03:04:05Z</timestamp>\n      <model>wikitext</model>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>\n'
        "      <sha1>x</sha1>\n    </revision>\n  </page>"
    )


def cirrus_lines(title: str, text: str, page_id: int = 1, **fields: Any) -> str:
    """Return the two lines of a page in a CirrusSearch dump."""
    action = {"index": {"_type": "_doc", "_id": str(page_id)}}
    document = {
        "template": ["Template:Lang"], "namespace": 0, "wiki": "jawiki", "title": title, "timestamp": "2024-01-02T03:04:05Z",
        "text_bytes": len(text), "category": ["町"], "redirect": [{"namespace": 0, "title": "別名"}], "source_text": f"'''{text}'''",
        "text": text, **fields,
    }  # fmt: skip
    return json.dumps(action, separators=(",", ":")) + "\n" + json.dumps(document) + "\n"
