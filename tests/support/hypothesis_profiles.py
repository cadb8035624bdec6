"""How many examples hypothesis tries, by HYPOTHESIS_PROFILE: `ci` and `dev` three tenths of what each test says, `thorough` that, `nightly`
ten times that.

Without that variable it is `ci` where CI is set, else `dev`. `ci` tries the same examples every time, since what decides about one change
must not fail for an older fault; the others try others each time, which is how such faults come to light.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

SCALES = {"dev": 0.3, "ci": 0.3, "thorough": 1.0, "nightly": 10.0}
FUZZ_EXAMPLES = 250  # a test that tries at least so many is marked `fuzz`
_FEWEST = 5
_SETTINGS = "_hypothesis_internal_use_settings"  # where hypothesis and its plugin of pytest keep a test's settings


def _get_name() -> str:
    return os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")


def load_profile() -> None:
    """Register the profiles and load the one that is asked for. No example has a deadline: the first of a kernel compiles it."""
    for name in SCALES:
        settings.register_profile(name, deadline=None, derandomize=name == "ci")
    settings.load_profile(_get_name())


def apply_profile(items: list[pytest.Item]) -> None:
    """Mark the tests with many examples as `fuzz`, and multiply the number of examples of each by the profile's scale."""
    scale = SCALES[_get_name()]
    tests = [item for item in items if isinstance(item, pytest.Function) and hasattr(item.function, _SETTINGS)]
    stated = {test.function: getattr(test.function, _SETTINGS).max_examples for test in tests}
    for test in tests:
        if stated[test.function] >= FUZZ_EXAMPLES:
            test.add_marker("fuzz")
    for function, count in stated.items():
        scaled = settings(getattr(function, _SETTINGS), max_examples=max(min(count, _FEWEST), round(count * scale)))
        setattr(function, _SETTINGS, scaled)
