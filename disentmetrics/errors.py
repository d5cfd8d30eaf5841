"""The exceptions users see: each message says what must hold, what came and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class DisentmetricsError(Exception):
    """Base of every error that disentmetrics raises on purpose."""


class InvalidInputError(DisentmetricsError, ValueError):
    """Arrays, options or names that break a stated condition."""


class CorruptFileError(DisentmetricsError, ValueError):
    """A file that is truncated, altered or not of the promised layout."""


class UntrustedFileError(DisentmetricsError):
    """A file that could execute code when read, such as a pickle."""


class MissingExtraError(DisentmetricsError, ImportError):
    """An optional package is needed; the message holds the exact ``pip install``."""


class DownloadError(DisentmetricsError, OSError):
    """A data-set file could not be fetched or does not match its checksum."""


class StorageError(DisentmetricsError, OSError):
    """A file could not be written; nothing half-written was left behind."""


class EncoderError(DisentmetricsError, RuntimeError):
    """An encoder crashed, timed out or returned something that is not a code."""


class TrainingError(DisentmetricsError, RuntimeError):
    """Training cannot go on, such as after a loss that is no number; the last checkpoint is intact."""


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
