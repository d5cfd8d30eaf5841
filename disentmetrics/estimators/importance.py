"""Concentration of an importance matrix: over its rows, disentanglement; over its columns, completeness.

Eastwood & Williams (2018), *A Framework for the Quantitative Evaluation of Disentangled
Representations*, section 2. The matrix may contain the importances of any predictor, mutual
information, or other non-negative quantities.
"""

import numpy as np

from disentmetrics._utils.typing import Floats


def disentanglement(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the disentanglement of each latent and its weight.

    ``D_j = 1 - H_K(R_j. / sum_k R_jk)``, the entropy H_K to base K, the number of factors; the weight of
    latent j is its share of all importance.

    Parameters
    ----------
    matrix : (n_codes, n_factors) float
        Importance R_jk of latent j for factor k; not negative.

    Returns
    -------
    values : (n_codes,) float
        In [0, 1]: 1 if the latent is important for one factor only, 0 if equally for all or for none.
        With one factor, 1 for every latent of non-zero importance.
    weights : (n_codes,) float
        Sum to 1, or are all 0 if every importance is 0; ``values @ weights`` is the score of the matrix.

    Examples
    --------
    >>> values, weights = disentanglement(np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    >>> values, weights
    (array([1., 0., 0.]), array([0.6, 0.4, 0. ]))
    """
    peak = matrix.max(initial=0.0)
    scaled = matrix / peak if peak > 0 else matrix  # sums of extreme importances neither overflow nor underflow
    mass = scaled.sum(axis=1)
    matters = mass > 0
    values = np.zeros(len(matrix))
    share = scaled[matters] / mass[matters, None]
    n_factors = matrix.shape[1]
    values[matters] = 1.0
    if n_factors > 1:
        logarithm = np.log(np.where(share > 0, share, 1.0))
        values[matters] = np.clip(1 + (share * logarithm).sum(axis=1) / np.log(n_factors), 0.0, 1.0)
    return values, mass / (mass.sum() or 1.0)


def completeness(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the completeness of each factor and its weight, the factor's share of all importance.

    ``C_k = 1 - H_D(R_.k / sum_j R_jk)``, the entropy to base D, the number of latents.

    Parameters
    ----------
    matrix : (n_codes, n_factors) float
        Importance R_jk of latent j for factor k; not negative.

    Returns
    -------
    values : (n_factors,) float
        In [0, 1]: 1 if a single latent is important for the factor, 0 if all are equally or none is.
        With one latent, 1 for every factor for which it is important.
    weights : (n_factors,) float
        Sum to 1, or are all 0 if every importance is 0.

    Examples
    --------
    >>> values, weights = completeness(np.array([[2.0, 1.0], [0.0, 1.0]]))
    >>> values, weights
    (array([1., 0.]), array([0.5, 0.5]))
    """
    return disentanglement(matrix.T)
