"""Names of files: from bytes to text, and from a name in a list to the file that it means.

A name is a string in which bytes that are not UTF-8 are surrogates, as `os.fsdecode` has them: names differ where their bytes do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_HALFWIDTH_KATAKANA = re.compile("[\uff61-\uff9f]")  # what EUC-JP looks like when it is read as CP932
_NO_CHARACTER = re.compile("[\x80-\xa0\uf8f0-\uf8f3]")  # what Python's CP932 makes of bytes that it has nothing for
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode_name(name: str) -> str:
    """Return a name as text. What is not UTF-8 is read as CP932 or EUC-JP, part by part, and else has U+FFFD in it.

    Different names may become the same text: for labels and for comparison in a second attempt, never for a key.
    """
    if not _SURROGATE.search(name):
        return name
    return "/".join(_decode_part(part) for part in name.split("/"))  # neither encoding has a slash in its characters


def _decode_part(part: str) -> str:
    if not _SURROGATE.search(part):
        return part
    raw = part.encode("utf-8", "surrogateescape")
    decoded = []
    for encoding in ("cp932", "euc_jp"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _NO_CHARACTER.search(text):
            decoded.append(text)
    if not decoded:
        return raw.decode("utf-8", "replace")
    return min(decoded, key=lambda text: len(_HALFWIDTH_KATAKANA.findall(text)))


def normalise_name(name: str) -> str:
    """Return a name as text in NFC: macOS writes が as か with a mark, and lists of the same files do not.

    A name in no known encoding stays as it is.
    """
    if name.isascii():
        return name
    text = decode_name(name)
    is_guess = "\N{REPLACEMENT CHARACTER}" in text and bool(_SURROGATE.search(name))  # other bytes would look the same
    return name if is_guess else unicodedata.normalize("NFC", text)


def label_names(names: Iterable[str]) -> dict[str, str]:
    """Return a text for every name, different ones for different names: of those that decode alike the later ones get ~2, ~3."""
    distinct = dict.fromkeys(names)
    labels = {name: name for name in distinct if not _SURROGATE.search(name)}
    taken = set(labels)
    for name in distinct:
        if name not in labels:
            text, nth = decode_name(name), 1
            while (label := text if nth == 1 else f"{text}~{nth}") in taken:
                nth += 1
            labels[name] = label
            taken.add(label)
    return labels


class NameIndex:
    """Finds the name that another means: the same, or else the only one that is the same in NFC."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._by_normal_form: dict[str, str | None] = {}
        for name in self._names:
            if not name.isascii():
                normal = normalise_name(name)
                self._by_normal_form[normal] = None if normal in self._by_normal_form else name

    def find(self, name: str) -> str | None:
        if name in self._names or name.isascii():
            return name if name in self._names else None
        return self._by_normal_form.get(normalise_name(name))
