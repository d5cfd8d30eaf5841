"""Optional packages: imported where they are used, and asked for by the exact command."""

import contextlib
from collections.abc import Iterator

from disentmetrics.errors import MissingExtraError


@contextlib.contextmanager
def optional(package: str, *, extra: str) -> Iterator[None]:
    """Around the import of an optional package: if just that package is absent, say how to get it.

    Raises
    ------
    MissingExtraError
        If ``package`` is not installed. A package that is there but broken raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f'this encoder needs the package {package}: pip install "disentmetrics[{extra}]"'
        ) from error
