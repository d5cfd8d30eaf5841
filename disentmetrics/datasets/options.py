"""Validation and conversion of data-set options, which are text on the command line."""

import math
from collections.abc import Sequence

from disentmetrics.errors import InvalidInputError, did_you_mean


def no_target(name: str, target: str) -> None:
    """Check that no path follows the name of a data set that is generated.

    Raises
    ------
    InvalidInputError
        If a path was given.
    """
    if target:
        raise InvalidInputError(f"{name} is generated and reads no file; got the path {target!r}: remove it")


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; an empty string in ``allowed`` makes the option optional.

    Raises
    ------
    InvalidInputError
        If the value is not allowed.
    """
    if value not in allowed:
        names = [name for name in allowed if name]
        raise InvalidInputError(
            f"option {option} must be {'omitted or ' if '' in allowed else ''}{' or '.join(names)}; "
            f"got {value!r}{did_you_mean(str(value), names)}"
        )
    return value


def whole_number(option: str, value: str | int, low: int, high: int) -> int:
    """Return ``value`` as an integer from ``low`` to ``high``.

    Raises
    ------
    InvalidInputError
        If it is not an integer or is out of range.

    Examples
    --------
    >>> whole_number("size", "32", 8, 256)
    32
    """
    try:
        number = int(value) if not isinstance(value, float) else low - 1
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise InvalidInputError(f"option {option} must be an integer from {low} to {high}; got {value!r}")
    return number


def real_number(option: str, value: str | float, low: float, high: float) -> float:
    """Return ``value`` as a real number from ``low`` to ``high``.

    Raises
    ------
    InvalidInputError
        If it is not a number or is out of range.

    Examples
    --------
    >>> real_number("noise", "0.1", 0, 10)
    0.1
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise InvalidInputError(f"option {option} must be a number from {low:g} to {high:g}; got {value!r}")
    return number
