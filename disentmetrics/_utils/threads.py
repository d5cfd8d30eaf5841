"""One thread for each matrix product, and no warnings of scikit-learn, while metrics run."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from threadpoolctl import threadpool_limits


def single_threaded_blas() -> AbstractContextManager[object]:
    """Keep products of matrices from being split among threads while the context lasts."""
    # Split sums round differently; and threads that share few processors wait for each other more than they work.
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@contextmanager
def suppress_sklearn_warnings() -> Iterator[None]:
    """Silence what scikit-learn says of probes while the context lasts.

    That many values are rare the score card says itself, and protocols stop solvers early on purpose. For
    work in threads it must be entered before they start: Python keeps one list of filters for all.
    """
    with warnings.catch_warnings():
        for remark in ("The number of unique classes is greater than 50%", ".*(failed to|did not) converge"):
            warnings.filterwarnings("ignore", remark, UserWarning)
        yield
