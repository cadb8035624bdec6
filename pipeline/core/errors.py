"""Failures that a user reads about in a sentence or two, without a traceback."""

from __future__ import annotations

import errno
import os
import re
import resource

from pipeline.core.names import make_visible


class SeimaiError(Exception):
    """A failure whose message names the thing, the place and the way out. `exit_code` is the command's.

    Messages may quote URLs and servers: secrets and what a terminal would obey are taken out of them here.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(make_visible(str(message)))


class BuildError(SeimaiError):
    """The work could not be finished. What was good is kept."""


class UsageError(SeimaiError):
    """The command line or the manifest is wrong. Nothing was done."""

    exit_code = 2


class InputError(BuildError):
    """An input file is damaged, or cannot be read to its end."""


class ChangedInputError(BuildError):
    """An input is not what it was when the build began. What was made of it is of no use; what was made of others is."""


def find_os_error(error: BaseException | None) -> OSError | None:
    """Return the system's error that `error` is, or that polars (in an error of its own) and numpy tell in words; None for others."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if found := re.search(r"\(os error (\d+)\)(?:: (/[^\n]*))?", str(error)):
        return OSError(int(found[1]), os.strerror(int(found[1])), found[2])
    if "No space left on device" in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if isinstance(error, OSError) and "requested and" in str(error):  # numpy, which does not say why
        reason = errno.EFBIG if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY else errno.ENOSPC
        return OSError(reason, os.strerror(reason))
    return None


def explain_os_error(error: OSError, activity: str, out_options: str = "--out or --work") -> BuildError:
    """Return a BuildError for a failed read or write during `activity`. `out_options` say where files go."""
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BuildError(
            f"no space left on the disk while {activity}{place}. Nothing half-written is left under a final name. "
            f"Free some space, or write elsewhere with {out_options}, and run the same command again: it goes on from here."
        )
    if error.errno == errno.EFBIG:
        return BuildError(
            f"a file grew larger than `ulimit -f` allows while {activity}{place}: raise that limit. What is finished is kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BuildError(f"not allowed to write while {activity}{place}: {error.strerror}. Choose another {out_options}.")
    return BuildError(f"{activity}{place} failed: {error.strerror or error}")
