"""What a failed task means, and what to do about it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.code_identity import list_code_differences
from pipeline.core.errors import BuildError, SeimaiError, explain_os_error, find_os_error
from pipeline.core.language import translate

_AGAIN = "run the same command again: finished parts are kept"
_SIGNALS = {
    signal.SIGKILL: "was killed, most likely since memory ran out: use fewer --workers or a smaller --set source.partition",
    signal.SIGBUS: "met a file that was cut, or a disk that was full or failed, while it had the file mapped: look after the disk",
}


def explain_failure(
    activity: str, number: int, error: BaseException | None, work: Path, deaths: Sequence[str] = ()
) -> BaseException:
    """Return the error to raise for task `number`, with what to do about it. `deaths`: what is known of workers that died."""
    from distributed.scheduler import KilledWorker

    activity = translate(activity)
    if isinstance(error, SeimaiError):
        return error
    if isinstance(error, KilledWorker):
        return BuildError(f"{activity}: part {number} ended one worker after the other. {_explain_deaths(deaths)}")
    if (told := find_os_error(error)) is not None:
        if told.errno == errno.ENOENT:  # polars does not say of what
            return BuildError(
                f"{activity}: a file or folder was removed while the command ran ({told.filename or work}). "
                "Run the same command again: what is missing is made anew"
            )
        return explain_os_error(told, activity)
    if error is None:
        return BuildError(f"{activity}: part {number} was lost with its worker. Run the same command again to go on.")
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    failure = BuildError(
        f"{activity} failed on part {number}: {type(error).__name__}: {error}{notes}\n"
        f"Run the same command again: what is finished under {work} is kept, and what is damaged there is noticed and made anew. "
        "If it fails in the same way, please report it with what SEIMAI_TRACEBACK=1 shows."
    )
    failure.__cause__ = error
    return failure


def _explain_deaths(deaths: Sequence[str]) -> str:
    """Return how the workers ended, as far as it is known, and the way out."""
    if not deaths:
        return f"Most likely they ran out of memory. Use fewer --workers or a smaller --set source.partition, and {_AGAIN}."
    last = deaths[-1]
    number = last.rpartition("killed by signal ")[2]
    known = _SIGNALS.get(signal.Signals(int(number))) if number.isdigit() and int(number) in set(signal.Signals) else None
    if known is not None:
        return f"The last one {known}, and {_AGAIN}."
    return f"The last one: {last}. To go on, {_AGAIN}; please report it if it ends in the same way."


def refuse_worker(activity: str, here: Mapping[str, Any], there: Mapping[str, Any], is_local: bool) -> BuildError:
    """Return the error for a task that a worker with other code was given, and did not do."""
    differences = "".join(f"\n  {sentence}" for sentence in list_code_differences(here, there))
    way_out = (
        "The code was changed while this command ran"
        if is_local
        else "Install on this worker what this command runs, or the other way round, and start the worker anew"
    )
    return BuildError(
        f"{activity}: a worker on {there.get('host')} (process {there.get('pid')}) has other code than this command on "
        f"{here['host']}, so it was given nothing to do.{differences}\n{way_out}; then {_AGAIN}."
    )
