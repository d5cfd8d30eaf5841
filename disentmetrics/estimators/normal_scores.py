"""Codes replaced by the normal quantiles of their ranks."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from disentmetrics.estimators.rank_correlation import standardise


def normal_scores(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the standard normal quantile of each column's ranks, standardised; 0 for a constant column.

    Equal values share their mean rank. Dependence of the columns is kept, whatever strictly
    increasing map each had been through.

    Examples
    --------
    >>> normal_scores(np.array([[1.0], [2.0], [1000.0]])).ravel().round(6) + 0.0
    array([-1.224745,  0.      ,  1.224745])
    """
    from scipy.stats import rankdata  # slow to import

    return standardise(np.asarray(ndtri((rankdata(codes, axis=0) - 0.5) / len(codes))))
