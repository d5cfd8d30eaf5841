"""Contexts in which metrics run: single-threaded matrix products, no warnings from scikit-learn."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def single_threaded_blas() -> AbstractContextManager[object]:
    """Limit matrix products to one thread inside the context."""
    # Sums split over threads round differently, and threads on few processors mostly wait for each other.
    limits: AbstractContextManager[object] = _loaded_libraries(len(sys.modules)).limit(limits=1)
    return limits


@lru_cache(maxsize=1)
def _loaded_libraries(_n_modules: int) -> ThreadpoolController:
    """Return the loaded libraries that have threads: finding them takes longer than many a metric."""
    return ThreadpoolController()  # imports load libraries, so this is repeated whenever there are more modules


@contextmanager
def suppress_sklearn_warnings() -> Iterator[None]:
    """Ignore scikit-learn's warnings about rare classes and convergence inside the context.

    Rare classes are noted in the score card, and protocols stop solvers early on purpose. Python's warning filters
    are shared by all threads, so enter the context before starting threads.
    """
    with warnings.catch_warnings():
        for message in ("The number of unique classes is greater than 50%", ".*(failed to|did not) converge"):
            warnings.filterwarnings("ignore", message, UserWarning)
        yield
