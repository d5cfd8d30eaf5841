import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError

M = dm.metrics


def dependent(n: int = 5_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.integers(6, size=n)
    return np.stack([first, np.where(rng.random(n) < 0.6, first, rng.integers(6, size=n)), rng.integers(4, size=n)], 1)


def test_dmig_by_hand() -> None:
    factors = dependent()
    rng = np.random.default_rng(1)
    codes = factors + rng.normal(size=factors.shape) * [0.6, 0.3, 0.5]
    score = M.dmig(codes, factors, estimator="quantile")
    nats = score.details["mutual_information"]
    conditional = scipy_entropy(np.bincount(factors[:, 0])) - mutual_info_score(factors[:, 0], factors[:, 1])
    assert score.per_factor["factor_0"] == pytest.approx((nats[0, 0] - nats[1, 0]) / conditional, abs=0.01)
    assert score.details["owner"].tolist() == [0, 1, 2]


def test_a_declared_owner_is_used_and_a_wrong_one_scores_zero() -> None:
    factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    codes = np.c_[factors[:, ::-1], np.zeros(2_000)].astype(float)
    for name in ("dmig", "xmig", "dlig"):
        metric = M.find_metric(name)[0]
        assert metric(codes, factors).value > 0.99
        assert metric(codes, factors, owners=(1, 0)).value > 0.99
        assert metric(codes, factors, owners=(0, 1)).value < 0.01
        assert metric(codes, factors, owners=(1, -1)).value == pytest.approx(0.5, abs=0.01)
        assert "owners:declared" in metric(codes, factors, owners=(1, 0)).signature


@pytest.mark.parametrize("owners", [(0,), (0, 3), (0, 0), (-2, 1), (0.5, 1)])
def test_owners_that_do_not_exist_are_refused(owners: tuple[int, ...]) -> None:
    factors = np.random.default_rng(0).integers(5, size=(100, 2))
    with pytest.raises(InvalidInputError, match="owners must (give a latent|assign each latent to at most one factor)"):
        M.dmig(factors.astype(float), factors, owners=owners)


def test_a_factor_that_is_a_function_of_another_is_undefined_for_dmig() -> None:
    first = np.random.default_rng(0).integers(4, size=1_000)
    factors = np.c_[first, first, np.random.default_rng(1).integers(4, size=1_000)]
    score = M.dmig(factors.astype(float), factors)
    assert np.isnan(score.per_factor["factor_0"])
    assert score.value == pytest.approx(1.0, abs=0.005)
    assert M.dmig(factors.astype(float), factors, estimator="rank-spacing").value == pytest.approx(1.0)
