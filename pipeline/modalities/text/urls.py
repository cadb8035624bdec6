"""URL rules: which list a document's URL is on, and of which registered domain it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import polars as pl
import xxhash
from pydantic import Field

from filters.url import UrlList, UrlListError, domains, find_list, read_list, shipped_list
from filters.url.lists import NO_LIST, SHIPPED
from pipeline.core.errors import UsageError
from pipeline.core.names import did_you_mean
from pipeline.manifest.model import Bound
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step


def _digests(paths: Sequence[str]) -> list[list[str]]:
    """Return names and digests of lists: a list that changes is a change of the manifest."""
    return [[_name(path), xxhash.xxh3_128_hexdigest(Path(path).read_bytes())] for path in paths if Path(path).is_file()]


def _name(path: str) -> str:
    return Path(path).name.partition(".")[0]


class UrlTable(ManifestTable):
    """Lists of domains and URLs, for the rule `url_list`."""

    default_step: ClassVar[Step | None] = "measure"

    block: Annotated[list[str], BelongsTo("measure", _digests)] = Field(
        default_factory=list,
        description="files of domains or beginnings of URLs, one a line; the rule url_list names them as their files, without extension",
    )
    allow: Annotated[list[str], BelongsTo("measure", _digests)] = Field(
        default_factory=list, description="files of domains or beginnings of URLs that no list blocks"
    )

    @property
    def names(self) -> list[str]:
        """Return the names of the lists that a URL can be on."""
        return [*map(_name, self.block), *SHIPPED]

    def check(self, where: str, rule: Bound | None, is_measured: bool) -> None:
        """Raise UsageError for a list that cannot be read, has bad lines or that no rule uses, and for a rule that names none."""
        try:
            self._load()
        except UrlListError as error:
            raise UsageError(f"{where}: urls: {error}") from None
        for name in self.names:
            if self.names.count(name) > 1:
                raise UsageError(f"{where}: urls.block: there are two lists called {name!r}; rename a file")
            if name == NO_LIST:
                raise UsageError(
                    f"{where}: urls.block: a list cannot be called {name!r}, which is what a URL on no list has; rename the file"
                )
        if (self.block or self.allow) and not is_measured:
            named = ", ".join(f'"{name}"' for name in self.names)
            raise UsageError(f"{where}: urls has lists that no rule uses: add rules.url_list = {{ none_of = [{named}] }}")
        for name in [*(rule.none_of or []), *(rule.any_of or [])] if rule else []:
            if name not in (*self.names, NO_LIST):
                raise UsageError(
                    f"{where}: rules.url_list: there is no list {name!r}{did_you_mean(name, self.names)} Known: "
                    f"{', '.join(self.names)}; further ones are files of urls.block"
                )

    def find(self, urls: pl.Series) -> pl.Series:
        """Return the name of the list that each URL is on, null for none."""
        return find_list(urls, *self._load())

    def _load(self) -> tuple[list[UrlList], list[UrlList]]:
        """Return the lists as they are now: a process that stays up may have read them for an earlier build."""
        return _load(tuple(self.block), tuple(self.allow), tuple(map(_stamp, [*self.block, *self.allow])))


def hash_domains(urls: pl.Series) -> pl.Series:
    """Return a hash of the registered domain of each URL, null where there is none."""
    found = domains(urls)
    distinct = found.drop_nulls().unique()
    hashes = pl.Series([xxhash.xxh3_64_intdigest(domain.encode()) for domain in distinct], dtype=pl.UInt64)
    return found.replace_strict(distinct, hashes, default=None, return_dtype=pl.UInt64)


def _stamp(path: str) -> tuple[int, int] | None:
    """Return size and time of change of a list, None where it is not there."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=2)
def _load(
    block: tuple[str, ...], allow: tuple[str, ...], _stamps: tuple[tuple[int, int] | None, ...]
) -> tuple[list[UrlList], list[UrlList]]:
    return [*map(read_list, block), *map(shipped_list, SHIPPED)], [*map(read_list, allow)]
