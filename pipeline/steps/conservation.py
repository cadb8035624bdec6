"""Conservation of input: at the end of the steps that read it, every input is what it was when the build began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import BuildError, ChangedInputError, SeimaiError, UsageError
from pipeline.plan import Plan
from pipeline.sources import SOURCES
from pipeline.sources.inputs import InputFile, check_unchanged, describe_file, is_url, make_change_error
from pipeline.steps.cut import Unit, forget_unit

_MOST_NAMED = 10  # inputs that changed


@contextmanager
def guard_inputs(plan: Plan, forget: Callable[[set[str]], object], local_only: bool = False) -> Iterator[None]:
    """Run a step that reads inputs. Raises ChangedInputError where one, or what is read along with it, is not what it was: files that
    the manifest names are that, too.

    That comes before what the step itself says: a file that is cut while it is read looks damaged. `forget` is called with the URLs
    of the inputs that have changed, none where they are as they were again; what was made of them must go. A remote input that does not
    answer at the end is passed over, since every answer that was read named its version.
    """
    failure: SeimaiError | None = None
    try:
        yield
    except SeimaiError as error:
        failure = error
    changed = find_changed(plan, local_only)
    if not changed and replace(plan).fingerprints != plan.fingerprints:
        named = ", ".join(plan.named_files)
        failure = ChangedInputError(
            f"a file that the manifest names has changed since the build began ({named}). Nothing was published. "
            "Let whatever writes it finish, and run the same command again"
        )
    if changed:
        more = [f"… and {len(changed) - _MOST_NAMED} more inputs"] if len(changed) > _MOST_NAMED else []
        noticed = [f"({failure})"] if failure else []  # which may name the one file of a folder
        failure = ChangedInputError("\n".join([*(str(error) for _, error in changed[:_MOST_NAMED]), *more, *noticed]))
    if isinstance(failure, ChangedInputError):
        forget({file.url for file, _ in changed})
    if failure is not None:
        raise failure


def find_changed(plan: Plan, local_only: bool = False) -> list[tuple[InputFile, ChangedInputError]]:
    """Return the inputs that differ from what the build began with, each with what is to be said of it."""
    looked_at = [file for file in plan.inputs if not file.is_sample and not (local_only and is_url(file.url))]
    changed = {file.url: error for file in looked_at if (error := _compare_alone(file)) is not None}
    patterns = [pattern for pattern in plan.patterns if not is_url(pattern)]
    if patterns and not changed:  # what is read along is part of the identity, which finding the inputs anew tells
        try:
            found = SOURCES[plan.manifest.source.format].find_inputs([*plan.patterns], **plan.manifest.source.options)
        except UsageError as error:
            return [(file, ChangedInputError(f"{error}\n{make_change_error(file)}")) for file in looked_at[:1]]
        except BuildError:
            found = []
        identities = {file.url: file.identity for file in found}
        for file in looked_at:
            if found and identities.get(file.url) != file.identity and not is_url(file.url):
                changed[file.url] = make_change_error(file, "or what is read along with it" if Path(file.url).is_file() else "")
    return [(file, changed[file.url]) for file in looked_at if file.url in changed]


def forget_changed(folder: Path, units: Sequence[Unit], urls: set[str]) -> None:
    """Remove what was measured of the inputs at `urls`; of all where it is not known any more which changed."""
    for unit in units:
        if not urls or any(file.url in urls for file in unit.files):
            forget_unit(folder, unit.number)


def _compare_alone(file: InputFile) -> ChangedInputError | None:
    """Return what is to be said of a file that differs, looked at by itself."""
    try:
        if not is_url(file.url):
            check_unchanged(file)
        elif describe_file(file.url).version != file.version:
            return make_change_error(file)
    except ChangedInputError as error:
        return error
    except UsageError as error:
        return ChangedInputError(f"{error}: it was there when the build began. Put it back and run the same command again")
    except BuildError:
        pass  # it does not answer
    return None
