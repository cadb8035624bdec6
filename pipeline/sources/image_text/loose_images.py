"""Loose images of a folder, found by what a list calls them: a path, a name, or a URL.

A file is meant by its path in the folder. A path that leads on from elsewhere means it where one of the two is an end of the other
(/data/train/1.jpg is train/1.jpg, and 1.jpg is train/1.jpg, but val/1.jpg is neither), the longest end first. Case counts; %E7%8A%AC
and 犬, and the Unicode forms of が, are the same where nothing is called exactly so. What several rows call differently, in one list or
in several that share the folder, or what several files are called, nobody has: the caption of another would be as likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl

from pipeline.sources.names import NameIndex, normalise_name

# File → the only key that means it, or None where there are several. A path is one together with the folder of its list.
Claims = dict[str, tuple[str, str] | None]

_NONE = "no image: the folder of images has none for this row"


class LooseImage(NamedTuple):
    path: Path
    size: int


class _Match(NamedTuple):
    """The path in the folder that a key means; `is_exact` where it is the path itself."""

    path: str
    is_exact: bool


class LooseImages:
    """The images of a folder by their paths in it."""

    def __init__(self, images: Mapping[str, LooseImage]) -> None:
        self._images = dict(images)
        self._index = NameIndex(self._images)
        self._by_name: dict[str, list[str]] = {}
        self._by_lower: dict[str, str] = {}
        for path in self._images:
            name = normalise_name(path.rpartition("/")[2])
            self._by_name.setdefault(name, []).append(path)
            self._by_lower[name.casefold()] = path

    def __len__(self) -> int:
        return len(self._images)

    def claim(self, keys: pl.Series, claims: Claims, origin: str = "") -> None:
        """Note in `claims` which files the keys of a list in the folder `origin` mean."""
        for key in keys.drop_nulls().unique(maintain_order=True):
            if (match := self._match(key)) is not None:
                claim = _name_claim(key, origin)
                if claims.setdefault(match.path, claim) != claim:
                    claims[match.path] = None

    def find(self, key: str, claims: Claims, origin: str = "") -> LooseImage | str:
        """Return the file that a key means, or why there is none. The key is looked up, never opened."""
        match, claim = self._match(key), _name_claim(key, origin)
        if match is not None and (match.is_exact or claims.get(match.path, claim) == claim):
            return self._images[match.path]
        if match is not None:
            return f"{_NONE}: several rows could mean {match.path}"
        name = normalise_name(_remove_query(key).rpartition("/")[2])
        if len(self._by_name.get(name, [])) > 1:
            return f"{_NONE}: several files are called {name}, none by this path"
        if name not in self._by_name and (other := self._by_lower.get(name.casefold())):
            return f"{_NONE}: {other} differs in case"
        return _NONE

    def _match(self, key: str) -> _Match | None:
        forms = list(dict.fromkeys(_list_forms(key)))
        for form in forms:
            path = self._index.find(form)
            if path is not None:
                return _Match(path, "://" not in key)
        for form in forms:
            if (path := self._find_end(form)) is not None:
                return _Match(path, False)
        return None

    def _find_end(self, path: str) -> str | None:
        """Return the file whose path is an end of `path`, the longest first, or the only one that has `path` as its end."""
        parts = normalise_name(path).strip("/").split("/")
        if ".." in parts or not parts[-1]:
            return None
        candidates = self._by_name.get(parts[-1], [])
        shared = [(min(len(own := normalise_name(other).split("/")), len(parts)), other, own) for other in candidates]
        ends = [(length, other) for length, other, own in shared if own[-length:] == parts[-length:]]
        longest = max((length for length, _ in ends), default=0)
        best = [other for length, other in ends if length == longest]
        return best[0] if len(best) == 1 else None


def _name_claim(key: str, origin: str) -> tuple[str, str]:
    """Return what makes a key of one list the same as one of another: a URL is the same everywhere."""
    return key, "" if "://" in key else origin


def _remove_query(key: str) -> str:
    return key.split("#", 1)[0].split("?", 1)[0] if "://" in key else key


def _list_forms(key: str) -> Iterator[str]:
    """Yield the paths that a key may be, the most literal first."""
    if "://" not in key:
        yield key.removeprefix("./")
        yield key.replace("\\", "/").removeprefix("./")
        yield unquote(key.removeprefix("./"), errors="surrogateescape")
        yield key.replace("\\", "/").strip().strip("\u200b\ufeff").removeprefix("./")
        return
    scheme, _, rest = key.split("#", 1)[0].partition("://")
    for path in (rest, rest.split("?", 1)[0]):
        local = path.partition("/")[2]
        for form in (path, local) if scheme != "file" else (f"/{local}",):
            yield form
            yield unquote(form, errors="surrogateescape")
