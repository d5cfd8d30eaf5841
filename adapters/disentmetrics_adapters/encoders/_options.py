"""Checks and conversion of options, which arrive as text from the command line."""

import hashlib
import json
import logging
from pathlib import Path

from disentmetrics.errors import InvalidInputError, did_you_mean

log = logging.getLogger("disentmetrics")


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``allowed``."""
    if value not in allowed:
        raise InvalidInputError(
            f"{name} must be one of {', '.join(allowed)}; got {value!r}{did_you_mean(value, allowed)}"
        )
    return value


def yes_no(name: str, value: str) -> bool:
    """Convert ``yes`` or ``no``."""
    return choice(name, value, ("yes", "no")) == "yes"


def positive_integer(name: str, value: str) -> int:
    """Convert a whole number of at least 1."""
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise InvalidInputError(f"{name} must be a whole number of at least 1; got {value!r}")
    return number


def positive_number(name: str, value: str) -> float:
    """Convert a number greater than 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise InvalidInputError(f"{name} must be a number greater than 0; got {value!r}")
    return number


def existing_file(path: str, what: str) -> Path:
    """Return the path of an existing file."""
    file = Path(path).expanduser()
    if not file.is_file():
        kind = "is a folder" if file.is_dir() else "does not exist"
        raise InvalidInputError(f"{what} must be a file; {path!r} {kind} (current folder: {Path.cwd()})")
    return file


def fingerprint_of(scheme: str, *parts: object) -> str:
    """Return a fingerprint of everything that determines the codes: hashes of files, and options.

    Examples
    --------
    >>> fingerprint_of("onnx", "a", 1) == fingerprint_of("onnx", "a", 1) != fingerprint_of("onnx", "a1")
    True
    """
    text = json.dumps(parts, default=str, ensure_ascii=True)
    return f"{scheme}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
