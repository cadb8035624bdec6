"""How many examples hypothesis tries: HYPOTHESIS_PROFILE is `dev` (a fifth), `ci` (as each test says) or `nightly` (tenfold).

Without that variable it is `ci` where CI is set, else `dev`.
"""

from __future__ import annotations

import os

from hypothesis import settings

SCALES = {"dev": 0.2, "ci": 1.0, "nightly": 10.0}
_FEWEST = 5


def get_name() -> str:
    return os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")


def load() -> None:
    """Register the profiles and load the one that is asked for. No example has a deadline: the first of a kernel compiles it."""
    for name, scale in SCALES.items():
        settings.register_profile(name, deadline=None, max_examples=max(_FEWEST, round(100 * scale)))
    settings.load_profile(get_name())


def examples(count: int, **options: object) -> settings:
    """Try `count` examples under the profile `ci`, fewer or more under the others: `@examples(150)` instead of `@settings(…)`."""
    return settings(max_examples=max(min(count, _FEWEST), round(count * SCALES[get_name()])), **options)  # type: ignore[arg-type]
