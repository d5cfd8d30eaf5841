"""The nearest valid name, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or nothing.

    Examples
    --------
    >>> did_you_mean("dsprite", ["dsprites", "rooms"])
    "; did you mean 'dsprites'?"
    """
    nearest = get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
