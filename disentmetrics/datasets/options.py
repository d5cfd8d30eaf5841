"""Options of data sets arrive as text from the command line; here they are checked and converted."""

import math
from collections.abc import Sequence

from disentmetrics.errors import InvalidInputError, did_you_mean


def no_target(name: str, target: str) -> None:
    """Refuse a path after the name of a data set that is rendered.

    Raises
    ------
    InvalidInputError
        If there is one.
    """
    if target:
        raise InvalidInputError(f"{name} is rendered and reads no file; got the path {target!r}: leave it out")


def one_of(option: str, given: str, known: Sequence[str]) -> str:
    """Return ``given`` if it is one of ``known``, of which an empty one stands for leaving it out.

    Raises
    ------
    InvalidInputError
        If it is none of them.
    """
    if given not in known:
        named = [name for name in known if name]
        raise InvalidInputError(
            f"option {option} must be {'left out, or ' if '' in known else ''}{' or '.join(named)}; "
            f"got {given!r}{did_you_mean(str(given), named)}"
        )
    return given


def whole_number(option: str, given: str | int, low: int, high: int) -> int:
    """Return ``given`` as a whole number from ``low`` to ``high``.

    Raises
    ------
    InvalidInputError
        If it is none.

    Examples
    --------
    >>> whole_number("size", "32", 8, 256)
    32
    """
    try:
        number = int(given) if not isinstance(given, float) else low - 1
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise InvalidInputError(f"option {option} must be a whole number from {low} to {high}; got {given!r}")
    return number


def real_number(option: str, given: str | float, low: float, high: float) -> float:
    """Return ``given`` as a real number from ``low`` to ``high``.

    Raises
    ------
    InvalidInputError
        If it is none.

    Examples
    --------
    >>> real_number("noise", "0.1", 0, 10)
    0.1
    """
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise InvalidInputError(f"option {option} must be a number from {low:g} to {high:g}; got {given!r}")
    return number
