"""The failures that a user is told about in a sentence or two, without a traceback."""

from __future__ import annotations

import errno


class SeimaiError(Exception):
    """Message and way out for the user; `exit_code` is what the command returns."""

    exit_code = 1


class BuildError(SeimaiError):
    """The build could not be finished; what was good is kept."""


class UsageError(SeimaiError):
    """The command line or the manifest is wrong; nothing was done."""

    exit_code = 2


class InputError(BuildError):
    """An input file is damaged or cannot be read (to its end)."""


def explain_os_error(error: OSError, doing: str, elsewhere: str = "--out or --work") -> BuildError:
    """A BuildError for a failed read or write, with what to do about it: options `elsewhere` say where files go."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BuildError(
            f"no space left on the disk while {doing}{where}. Nothing half-written is left under a final name. "
            f"Free some space, or write elsewhere with {elsewhere}, and run the same command again: it goes on from here."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BuildError(f"not allowed to write while {doing}{where}: {error.strerror}. Choose another {elsewhere}.")
    return BuildError(f"{doing} failed{where}: {error.strerror or error}")
