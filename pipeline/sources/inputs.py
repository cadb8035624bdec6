"""Input files: what the paths, globs and URLs of `--input` stand for."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.errors import BuildError, ChangedInputError, UsageError
from pipeline.core.names import is_printable, strip_secrets
from pipeline.core.storage import fingerprint

_LOCAL_IDENTITY = re.compile(r"(\d+-\d+-\d+)(?=\+|$)")  # what `identify_local` returns, before what companions add
_VERSION_HEADERS = ("ETag", "Last-Modified")  # that tell versions of a file apart, the better one first


@dataclass(frozen=True)
class InputFile:
    """One raw file. `name` is what ids use where there are several; `identity` changes when the content does.

    `companions`: files that are read along with it, such as lists of transcripts; `identity` covers them, too. `siblings`: the inputs
    that share a folder of content with it, itself among them; they are not written down with each. `note`: a warning for the build's
    summary about how the file was chosen. `url` may hold a password or a signature: it is for reading alone, `shown_url` for showing.
    `version`: what a server calls the version of the file: a header and its value.
    """

    name: str
    url: str
    size: int | None
    identity: str
    companions: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    note: str | None = None
    version: tuple[str, str] | None = None

    @property
    def shown_url(self) -> str:
        """Return the URL without user and query."""
        return strip_secrets(self.url)

    @property
    def is_sample(self) -> bool:
        """Return whether this is a manifest's embedded sample."""
        return is_sample_identity(self.identity)

    def describe(self, folder: Path | None = None) -> dict[str, Any]:
        """Return what a build writes down of the file. Paths are relative to `folder`; without one there are only names."""

        def shorten(url: str) -> str:
            if is_url(url):
                return strip_secrets(url)
            return os.path.relpath(url, folder.resolve()) if folder else os.path.basename(url)

        described = {"name": self.name, "url": shorten(self.url), "size": self.size, "identity": self.identity}
        return described | ({"companions": [*map(shorten, self.companions)]} if self.companions else {})


def locate_input(folder: Path, url: str) -> str:
    """Return the path or URL of an input as `InputFile.describe` wrote it down relative to `folder`."""
    return url if is_url(url) else os.path.normpath(folder.resolve() / url)


def is_sample_identity(identity: str) -> bool:
    return identity.startswith("sample-")


def is_url(text: str) -> bool:
    return "://" in text


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL and the path in it."""
    import fsspec  # late: it takes a tenth of a second, and local input does without

    try:
        # A request that makes no progress for two minutes is given up and taken up again.
        options = {"client_kwargs": {"timeout": _http_timeout()}} if _is_http(url) else {}
        return fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{strip_secrets(url)}: {error}") from None
    except OSError as error:  # of a file system that connects as it is made, as that of FTP does
        raise _explain_unreachable(strip_secrets(url), error) from None


def open_remote(file: InputFile, **options: Any) -> Any:
    """Open a remote file for reading. Raises ChangedInputError, now or when it is read, where it is not the version that is expected."""
    filesystem, path = open_filesystem(file.url)
    if _is_http(file.url):
        # Without compression on the way, for which servers name versions differently. Who cannot send the range of this version sends
        # the whole of the new one, and `check_version` sees which it is.
        headers = {"Accept-Encoding": "identity"}
        if file.version and not file.version[1].startswith("W/") and file.version[0] == "ETag":
            headers["If-Range"] = file.version[1]
        options |= {"headers": headers, "raise_for_status": partial(_check_answer, file)}
    elif not file.url.startswith("hf://"):  # which lists a repository once
        filesystem.invalidate_cache()  # of listings, which have sizes and versions
    try:
        opened = filesystem.open(path, "rb", **options)
    except FileNotFoundError as error:  # what fsspec says of any failure of its first look
        raise error.__cause__ if isinstance(error.__cause__, ChangedInputError) else error from None
    if not _is_http(file.url):
        check_version(file, getattr(opened, "details", None) or {}, getattr(opened, "size", None))
    return opened


async def _check_answer(file: InputFile, answer: Any) -> None:
    """Raise ChangedInputError where an answer over HTTP is of another version of the file; what else is amiss fsspec tells."""
    if answer.status not in (200, 206):
        return
    size = answer.headers.get("Content-Range", "").rpartition("/")[2] if answer.status == 206 else ""
    if answer.status == 200 and "Content-Encoding" not in answer.headers:
        size = answer.headers.get("Content-Length", "")
    check_version(file, answer.headers, int(size) if size.isdecimal() else None)


def check_version(file: InputFile, description: Mapping[str, Any], size: int | None) -> None:
    """Raise ChangedInputError where a remote file is described as another version, or of another size, than the build began with."""
    if size is not None and file.size is not None and size != file.size:
        raise make_change_error(file, f"from {file.size:,} to {size:,} bytes")
    if file.version is None:
        return
    header, expected = file.version
    served = description.get(header) if header else (find_version(description) or ("", None))[1]
    if served is not None and str(served).removeprefix("W/") != expected.removeprefix("W/"):
        raise make_change_error(file, f"{header or 'version'} was {expected}, now {served}")


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


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
        raise UsageError(
            f"{url} is a directory; name the file in it, or a glob such as {shlex.quote(url.rstrip('/') + '/*.xz')}"
        )
    if not path.exists():
        raise UsageError(f"{url}: there is no such file")
    if not path.is_file():
        raise UsageError(f"{url} is not a regular file")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{url} cannot be read (permission denied)")
    status = path.stat()
    return InputFile(path.name, str(path.resolve()), status.st_size, identify_local(status))


def identify_local(status: os.stat_result) -> str:
    """Return what changes when a local file is written to or replaced: size, time of change, and number."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def make_change_error(file: InputFile, details: str = "") -> ChangedInputError:
    """Return the error for an input that is not what it was when the build began."""
    return ChangedInputError(
        f"{file.shown_url} has changed since the build began{details and f' ({details})'}. Nothing was published from it. "
        "Let whatever writes it finish, or build from a copy, and run the same command again"
    )


def check_unchanged(file: InputFile) -> None:
    """Raise ChangedInputError where a local file is not what it was when the build began. What is read along with it is not looked at."""
    known = _LOCAL_IDENTITY.match(file.identity)
    if is_url(file.url) or known is None:
        return
    try:
        status = os.stat(file.url)
    except OSError as error:
        raise ChangedInputError(
            f"{file.url} cannot be read any more ({error.strerror}): it was there when the build began. "
            "Put it back and run the same command again"
        ) from None
    if known[1] != identify_local(status):
        size = f"from {file.size:,} to {status.st_size:,} bytes" if file.size not in (None, status.st_size) else ""
        raise make_change_error(file, size)


def _describe_remote(url: str) -> InputFile:
    shown = strip_secrets(url)
    if not is_printable(shown):
        raise UsageError(
            f"--input {shown!r}: ids and reports need a URL without control characters; write them as %0A and the like"
        )
    filesystem, path = open_filesystem(url)
    try:
        filesystem.invalidate_cache()  # of listings: it is asked again at the end
        info = filesystem.info(path)
    except FileNotFoundError as error:
        # fsspec also raises this where a server cannot be reached.
        if error.__cause__ is not None and getattr(error.__cause__, "status", None) not in (404, 410):
            reason = error.__cause__
            raise BuildError(f"{shown} cannot be reached: {type(reason).__name__}: {reason}") from None
        raise UsageError(f"{shown}: there is no such file") from None
    except Exception as error:
        raise _explain_unreachable(shown, error) from None
    version = find_version(info)
    identity = f"{shown}-{info.get('size')}-{version[1] if version else ''}"
    if shown != url:
        identity += f"-{fingerprint(url)}"  # another query may be another file
    return InputFile(shown.rstrip("/").rsplit("/", 1)[-1], url, info.get("size"), identity, version=version)


def _explain_unreachable(shown: str, error: Exception) -> BuildError:
    """Return the error for a server that does not answer, or whose answer is no."""
    hint = ""
    if type(error).__name__ == "NoCredentialsError":  # of botocore
        hint = """: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3='{"anon": true}' for a bucket that all may read"""
    return BuildError(f"{shown} cannot be reached: {type(error).__name__}: {error}{hint}")


def find_version(info: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what the headers of an answer, or fsspec's description of a file, say of its version. Any two files differ in it."""
    for header in _VERSION_HEADERS:
        if value := info.get(header):
            return header, str(value)
    stamp = info.get("etag") or info.get("LastModified") or info.get("blob_id") or info.get("mtime") or info.get("created")
    return ("", str(stamp)) if stamp else None


def describe_file(url: str) -> InputFile:
    """Return the input file at a path or URL. Raises UsageError where there is none that can be read."""
    if not url:
        raise UsageError("--input is empty")
    return _describe_remote(url) if is_url(url) else _describe_local(url)


def _expand(pattern: str) -> list[str]:
    if is_url(pattern) and any(c in pattern for c in "*[") and not pattern.startswith("http"):
        filesystem, path = open_filesystem(pattern)
        scheme = pattern.split("://", 1)[0]
        try:
            filesystem.invalidate_cache()
            return [f"{scheme}://{match}" for match in sorted(filesystem.glob(path))]
        except Exception as error:
            raise _explain_unreachable(strip_secrets(pattern), error) from None
    if not is_url(pattern) and any(c in pattern for c in "*?[") and not Path(pattern).exists():
        _refuse_unlisted_folders(pattern)
        matches = sorted(glob.glob(pattern, recursive=True))
        return [match for match in matches if not Path(match).is_dir()] or matches
    return [pattern]


def _refuse_unlisted_folders(pattern: str) -> None:
    """Raise UsageError where a glob leads through a folder that may not be listed: `glob` takes it for an empty one."""
    parts = Path(pattern).parts[:-1]
    for end in range(1, len(parts) + 1):
        above = str(Path(*parts[:end]))
        is_listed = end == len(parts) or glob.has_magic(parts[end])
        for folder in glob.glob(f"{above}/", recursive=True):
            if not os.access(folder, os.X_OK | (os.R_OK if is_listed else 0)):
                raise UsageError(
                    f"--input {pattern}: {folder} cannot be listed (permission denied), so that what is in it would be missing: "
                    "make it readable, or name the files that are to be read"
                )


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
    return make_names_distinct(files)


def make_names_distinct(files: list[InputFile]) -> list[InputFile]:
    """Return `files` with names that differ: where some do not, as much of every path as it takes, or what stands for a query.

    Raises UsageError where a file is there twice.
    """
    refuse_repeated(files)
    if len({file.name for file in files}) == len(files):
        return files
    common = os.path.commonprefix([file.shown_url.rsplit("/", 1)[0] + "/" for file in files])
    names = [file.shown_url[common.rfind("/") + 1 :] for file in files]
    return [
        replace(file, name=name if names.count(name) == 1 else f"{name}~{fingerprint(file.url)}")
        for file, name in zip(files, names, strict=True)
    ]


def refuse_repeated(files: list[InputFile]) -> None:
    """Raise UsageError where an input is given twice."""
    seen: set[str] = set()
    for file in files:
        if file.url in seen:
            raise UsageError(f"an input is given twice: {file.shown_url}")
        seen.add(file.url)
