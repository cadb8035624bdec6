"""What became of a URL, in the words of img2dataset's sidecars."""

from __future__ import annotations

import re
from dataclasses import dataclass

PRIVATE_ADDRESS = "private address"
_TEMPORARY = re.compile(r"timeout|connection |no such host for now|HTTP (408|425|429|5\d\d)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The bytes of an image, or the reason why there are none."""

    status: str  # success, failed_to_download, or failed_to_resize for what is not an image
    reason: str | None = None
    extension: str = ""
    width: int | None = None  # pixels
    height: int | None = None
    sha256: str | None = None
    body: bytes = b""


class FetchError(Exception):
    """One try failed for `reason`. `wait`: seconds for which the host asks to be left alone."""

    def __init__(self, reason: str, wait: float = 0.0, status: str = "failed_to_download") -> None:
        super().__init__(reason)
        self.reason, self.wait, self.status = reason, wait, status


def is_temporary(reason: str | None, allow_private: bool = False) -> bool:
    """Return whether the same request may succeed later.

    With `allow_private` this also holds where an address was refused for being private.
    """
    if reason is None:
        return False
    return (allow_private and reason == PRIVATE_ADDRESS) or _TEMPORARY.match(reason) is not None
