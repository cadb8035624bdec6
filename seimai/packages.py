"""Whether Seimai's packages are those that Python finds by their names, which a program's own modules may have, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("filters", "manifests", "pipeline", "tokenizer", "trainers")
_ROOT = Path(__file__).resolve().parents[1]


def check_packages() -> None:
    """Raise ImportError where a module of another has the name of one of Seimai's packages, which says where it is and what to do."""
    if hidden := list(_find_hidden()):
        found = "; ".join(f"{place} hides Seimai's package {name!r}" for name, place in hidden)
        raise ImportError(
            f"{found}. Python takes the first module of a name that it finds, and looks beside the script and in the working folder "
            "before it looks among installed packages. Rename or move that file. Where the script needs no module of its own, start it "
            "with `python -P SCRIPT`, which does not look beside it; the command `seimai` works in any folder.",
            name=hidden[0][0],
        )


def _find_hidden() -> Iterator[tuple[str, str]]:
    """Yield the names of hidden packages, and the file or folder that hides each."""
    for name in PACKAGES:
        if name in sys.modules:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        else:
            spec = find_spec(name)
            places = [spec.origin, *(spec.submodule_search_locations or ())] if spec is not None else []
        known = [place for place in places if place]
        if known and not any(Path(place).resolve().is_relative_to(_ROOT / name) for place in known):
            yield name, known[0]
