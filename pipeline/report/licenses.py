"""Licences as the Hub knows them: its ids, else `other` with a short name and a link (https://huggingface.co/docs/hub/repositories-licenses)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_HUB_IDS = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd
    bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0
    cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0
    cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl
    lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1
    openmdw-1.0 openrail openrail++ osl-3.0 pddl postgresql unknown unlicense wtfpl zlib
    """.split()
)
# SPDX has versions where the Hub has one id for all.
_SPDX = re.compile(r"(odc-by|odbl|pddl|gfdl)-\d(?:\.\d)?|((?:a|l)?gpl-\d\.\d)(?:\+)?")
_CREATIVE_COMMONS = re.compile(r"cc-(by(?:-nc)?(?:-nd|-sa)?)-(\d\.\d)(?:-([a-z]{2}))?")
_LONGEST_NAME = 50  # characters of a name that is made of a sentence


def find_hub_id(license: str) -> str | None:
    """Return the Hub's id of a licence, given by that or by its SPDX id in any case; None where it has none.

    >>> find_hub_id("CC-BY-4.0"), find_hub_id("ODC-By-1.0"), find_hub_id("GPL-3.0-or-later"), find_hub_id("see the page")
    ('cc-by-4.0', 'odc-by', 'gpl-3.0', None)
    """
    name = re.sub(r"-(?:only|or-later)$", "", license.strip().lower())
    if (match := _SPDX.fullmatch(name)) is not None:
        name = match[1] or match[2]
    return name if name in _HUB_IDS else None


def describe_license(licenses: Sequence[str], name: str | None = None, link: str | None = None) -> dict[str, Any]:
    """Return the keys of a card's front matter that say under which licence a corpus is.

    `licenses`: of the corpus itself, then those of its parts, which count where its own is none that the Hub knows. `name` and `link`
    are those of the manifest.
    """
    own, *parts = licenses
    ids = [find_hub_id(own)] if find_hub_id(own) or not parts else [*map(find_hub_id, parts)]
    known = [one for one in dict.fromkeys(ids) if one is not None]
    if len(known) == len(dict.fromkeys(ids)):
        return {"license": known[0] if len(known) == 1 else known}
    described = {"license": "other", "license_name": name or _make_name(own)}
    if link := link or _find_link(own):
        described["license_link"] = link
    return described


def _make_name(license: str) -> str:
    """Return an id made of a sentence: lower case, letters, digits, dots and hyphens.

    >>> _make_name("CDLA-Sharing-1.0; use limited to Article 30-4 of the Copyright Act of Japan")
    'cdla-sharing-1.0-use-limited-to-article-30-4-of'
    """
    slug = re.sub(r"[^a-z0-9.]+", "-", license.lower().replace("'", "")).strip("-.")
    if len(slug) > _LONGEST_NAME:
        slug = slug[: _LONGEST_NAME + 1].rpartition("-")[0] or slug[:_LONGEST_NAME]
    return slug or "see-the-card"


def _find_link(license: str) -> str | None:
    """Return where the terms of a Creative Commons licence stand that the Hub has no id for."""
    match = _CREATIVE_COMMONS.fullmatch(license.strip().lower())
    if match is None:
        return None
    country = f"{match[3]}/" if match[3] else ""
    return f"https://creativecommons.org/licenses/{match[1]}/{match[2]}/{country}"
