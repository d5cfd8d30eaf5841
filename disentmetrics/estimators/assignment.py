"""One-to-one assignment of rows to columns of a matrix."""

import numpy as np
from numpy.typing import NDArray


def one_to_one_assignment(matrix: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match latents and factors one to one with the largest sum; return latents and factors of the pairs.

    The Hungarian method; with fewer latents than factors some factors stay unmatched.

    Examples
    --------
    >>> codes, factors = one_to_one_assignment(np.array([[0.9, 0.8], [0.8, 0.1], [0.0, 0.0]]))
    >>> codes.tolist(), factors.tolist()
    ([0, 1], [1, 0])
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    codes, factors = linear_sum_assignment(-matrix)
    return np.asarray(codes, dtype=np.int64), np.asarray(factors, dtype=np.int64)
