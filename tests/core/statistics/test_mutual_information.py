"""Mutual information of latents and factors against scikit-learn."""

from typing import get_args

import numpy as np
from sklearn.metrics import mutual_info_score

from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import Bins, code_bins, factor_entropies, information_matrix


def space(*kinds: Kind, size: int = 5) -> FactorSpace:
    return FactorSpace([Factor(f"v{k}", None if kind == "continuous" else size, kind) for k, kind in enumerate(kinds)])


def test_information_in_bins_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    factors = rng.integers(5, size=(400, 2))
    codes = factors + rng.normal(size=(400, 2))
    table = Representation(codes, factors, space=space("ordinal", "ordinal"))
    for how in get_args(Bins):
        bins = code_bins(table, how, 8)
        expected = [[mutual_info_score(z, v) for v in factors.T] for z in bins]
        found = information_matrix(table, how, 8)
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(factor_entropies(table), [mutual_info_score(v, v) for v in factors.T])
