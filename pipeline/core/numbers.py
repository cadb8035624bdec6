"""Numbers as messages, ledgers and reports show them."""

from __future__ import annotations

import math

import numpy as np

_WHOLE = 1e15  # whole numbers below it are written out
_SHARES = 1000  # what a measure stores as float32 has a few digits below it: shares, ratios, seconds


def show_number(number: float, digits: int = 6) -> str:
    """Return a number with all the digits that it needs: no other number reads the same.

    Only a value that a float32 has, as measures are stored, is rounded below 1,000: to `digits` significant digits.

    >>> [show_number(number) for number in (20240114, 20240114.5, 0.025, 1e-05, 0.1234567)]
    ['20240114', '20240114.5', '0.025', '1e-05', '0.1234567']
    >>> show_number(float(np.float32(0.4)))
    '0.4'
    """
    if isinstance(number, int):
        return str(number)
    if math.isfinite(number) and number == int(number) and abs(number) < _WHOLE:
        return str(int(number))
    short = f"{number:.{digits}g}"
    if float(short) == number or not math.isfinite(number):
        return short
    with np.errstate(over="ignore"):
        is_float32 = float(np.float32(number)) == number
    if is_float32 and abs(number) < _SHARES:
        return short
    if number == int(number) and abs(number) < 2**64:
        return str(int(number))
    return str(np.float32(number)) if is_float32 else repr(number)


def show_fitted(limit: float) -> str:
    """Return a bound that was fitted to a corpus: to four digits, or one behind the point from 1,000 on, as the ledger has it."""
    return f"{limit:.1f}" if abs(limit) >= 1000 else f"{limit:.4g}"
