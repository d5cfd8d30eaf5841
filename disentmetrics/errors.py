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


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or nothing.

    Examples
    --------
    >>> did_you_mean("dsprite", ["dsprites", "rooms"])
    "; did you mean 'dsprites'?"
    """
    nearest = get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
