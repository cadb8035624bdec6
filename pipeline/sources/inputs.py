"""Input files: what the paths, globs and URLs of `--input` stand for."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.names import is_printable

_LOCAL_IDENTITY = re.compile(r"\d+-\d+")  # size and time of change


@dataclass(frozen=True)
class InputFile:
    """One raw file. `name` is what ids use where there are several; `identity` changes when the content does.

    `companions`: files that are read along with it, such as lists of transcripts; `identity` covers them, too. `siblings`: the inputs
    that share a folder of content with it, itself among them; they are not written down with each. `note`: a warning for the build's
    summary about how the file was chosen.
    """

    name: str
    url: str
    size: int | None
    identity: str
    companions: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    note: str | None = None

    @property
    def is_sample(self) -> bool:
        """Return whether this is a manifest's embedded sample."""
        return is_sample_identity(self.identity)

    def as_dict(self) -> dict[str, Any]:
        left_out = {"note", "siblings"} if self.companions else {"note", "siblings", "companions"}
        values = asdict(replace(self, siblings=())) | {"companions": [*self.companions]}
        return {name: value for name, value in values.items() if name not in left_out}


def is_sample_identity(identity: str) -> bool:
    return identity.startswith("sample-")


def is_url(text: str) -> bool:
    return "://" in text


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL and the path in it."""
    import fsspec  # late: it takes a tenth of a second, and local input does without

    try:
        # A request that makes no progress for two minutes is given up and taken up again.
        options = {"client_kwargs": {"timeout": _http_timeout()}} if url.startswith(("http://", "https://")) else {}
        return fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from None


def _http_timeout() -> Any:
    import aiohttp  # late, as fsspec

    return aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=120)


def _describe_local(url: str) -> InputFile:
    path = Path(url)
    if not is_printable(url):
        raise UsageError(
            f"--input {url!r}: ids and reports need a file name in UTF-8 without control characters; rename or link the file"
        )
    if path.is_dir():
        raise UsageError(f"{url} is a directory; name the file in it, or a glob such as '{url.rstrip('/')}/*.xz'")
    if not path.exists():
        raise UsageError(f"{url}: there is no such file")
    if not path.is_file():
        raise UsageError(f"{url} is not a regular file")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{url} cannot be read (permission denied)")
    status = path.stat()
    return InputFile(path.name, str(path.resolve()), status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def check_unchanged(file: InputFile) -> None:
    """Raise InputError where a local file is not what it was when the build began."""
    if is_url(file.url) or file.is_sample or not _LOCAL_IDENTITY.fullmatch(file.identity):
        return
    try:
        status = os.stat(file.url)
    except OSError as error:
        raise InputError(
            f"{file.url} cannot be read any more ({error.strerror}): it was there when the build began. "
            "Put it back and run the same command again"
        ) from None
    if file.identity != f"{status.st_size}-{status.st_mtime_ns}":
        raise InputError(f"{file.url} has changed since the build began: run the same command again")


def _describe_remote(url: str) -> InputFile:
    filesystem, path = open_filesystem(url)
    try:
        info = filesystem.info(path)
    except FileNotFoundError as error:
        # fsspec also raises this where a server cannot be reached.
        if error.__cause__ is not None and getattr(error.__cause__, "status", None) not in (404, 410):
            reason = error.__cause__
            raise BuildError(f"{url} cannot be reached: {type(reason).__name__}: {reason}") from None
        raise UsageError(f"{url}: there is no such file") from None
    except Exception as error:
        raise BuildError(f"{url} cannot be reached: {type(error).__name__}: {error}") from None
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return InputFile(url.rstrip("/").rsplit("/", 1)[-1], url, info.get("size"), f"{url}-{info.get('size')}-{stamp}")


def describe_file(url: str) -> InputFile:
    """Return the input file at a path or URL. Raises UsageError where there is none that can be read."""
    if not url:
        raise UsageError("--input is empty")
    return _describe_remote(url) if is_url(url) else _describe_local(url)


def _expand(pattern: str) -> list[str]:
    if is_url(pattern) and any(c in pattern for c in "*[") and not pattern.startswith("http"):
        filesystem, path = open_filesystem(pattern)
        scheme = pattern.split("://", 1)[0]
        return [f"{scheme}://{match}" for match in sorted(filesystem.glob(path))]
    if not is_url(pattern) and any(c in pattern for c in "*?[") and not Path(pattern).exists():
        matches = sorted(glob.glob(pattern, recursive=True))
        return [match for match in matches if not Path(match).is_dir()] or matches
    return [pattern]


def resolve(patterns: list[str]) -> list[InputFile]:
    """Return the input files of paths, globs and URLs, in the order given (a glob's in order of name).

    Raises UsageError where a pattern matches nothing or a file is named twice.
    """
    files: list[InputFile] = []
    for pattern in patterns:
        matches = _expand(pattern)
        if not matches:
            raise UsageError(f"--input {pattern}: nothing matches")
        files += [describe_file(match) for match in matches]
    refuse_repeated(files)
    if len({f.name for f in files}) < len(files):
        # Same base names: tell them apart by as much of the path as it takes.
        common = os.path.commonprefix([f.url.rsplit("/", 1)[0] + "/" for f in files])
        common = common[: common.rfind("/") + 1]
        files = [InputFile(f.url[len(common) :], f.url, f.size, f.identity) for f in files]
    return files


def refuse_repeated(files: list[InputFile]) -> None:
    """Raise UsageError where an input is given twice."""
    seen: set[str] = set()
    for file in files:
        if file.url in seen:
            raise UsageError(f"an input is given twice: {file.url}")
        seen.add(file.url)
