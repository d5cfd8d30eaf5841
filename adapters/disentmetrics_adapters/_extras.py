"""Imports of optional packages, with the exact install command where one is missing."""

import contextlib
from collections.abc import Iterator

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import MissingExtraError


@contextlib.contextmanager
def optional(package: str, *, extra: str) -> Iterator[None]:
    """Context of an import of an optional package, which names the install command if the package is missing.

    Raises
    ------
    MissingExtraError
        If ``package`` is not installed. A package that is installed but broken raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(f"this encoder needs the package {package}: {install_command(extra)}") from error
