"""Exceptions. Each message states what is required, what was given and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class DisentmetricsError(Exception):
    """Base class of all errors that disentmetrics raises."""


class InvalidInputError(DisentmetricsError, ValueError):
    """Arrays, options or names that violate a documented condition."""


class CorruptFileError(DisentmetricsError, ValueError):
    """A file that is truncated, altered or not of the expected format."""


class UntrustedFileError(DisentmetricsError):
    """A file that could execute code when read, such as a pickle."""


class MissingExtraError(DisentmetricsError, ImportError):
    """An optional package is needed; the message contains the exact ``pip install``."""


class DownloadError(DisentmetricsError, OSError):
    """A data-set file could not be downloaded or does not match its checksum."""


class StorageError(DisentmetricsError, OSError):
    """A file could not be written; no incomplete file was left behind."""


class EncoderError(DisentmetricsError, RuntimeError):
    """An encoder failed, timed out or returned invalid codes."""


class TrainingError(DisentmetricsError, RuntimeError):
    """Training cannot continue, such as after a loss of NaN; the last checkpoint is intact."""


class UndefinedScoreError(DisentmetricsError, ValueError):
    """A metric has no value on these rows; the message is the reason that the score carries."""


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error in one line.

    Examples
    --------
    >>> one_line(ValueError("two words", "one more")), one_line(SystemExit())
    ("ValueError: ('two words', 'one more')", 'SystemExit')
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or nothing, as for a name that is no text.

    Examples
    --------
    >>> did_you_mean("dsprite", ["dsprites", "rooms"])
    "; did you mean 'dsprites'?"
    """
    nearest = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
