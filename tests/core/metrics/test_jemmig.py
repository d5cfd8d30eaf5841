import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm
from disentmetrics.testing import EXAMPLES

M = dm.metrics


@pytest.mark.parametrize("seed", range(3))
def test_jemmig_is_one_for_a_perfect_code_of_any_resolution(seed: int) -> None:
    factors = np.random.default_rng(seed).random((6_000, 4))
    perfect = M.jemmig(factors, factors).value
    assert perfect == pytest.approx(1.0, abs=1e-3)
    assert M.jemmig(np.exp(5 * factors), factors).value == pytest.approx(perfect, abs=1e-12)
    published = M.jemmig(factors, factors, protocol="carbonneau2022", n_bins=20)
    assert published.value == pytest.approx(0.87, abs=0.01)
    noise = np.random.default_rng(9).normal(size=(6_000, 4))
    assert M.jemmig(noise, factors).value < 0.01
    assert M.jemmig(noise, factors, protocol="carbonneau2022").value > 0.08


def test_a_constant_latent_is_credited_by_equal_width_bins_and_not_by_default() -> None:
    factors = np.random.default_rng(0).integers(4, size=(1_000, 2))
    still = np.ones((1_000, 2))
    assert M.jemmig(still, factors, protocol="carbonneau2022").value > 0.5
    assert M.jemmig(still, factors).value == 0.0


def test_jemmig_of_an_unbalanced_factor_is_the_normalised_information_less_half_the_next() -> None:
    rng = np.random.default_rng(0)
    factor = rng.choice(3, p=[0.6, 0.3, 0.1], size=2_000)
    copy = np.where(rng.random(2_000) < 0.8, factor, rng.integers(3, size=2_000))
    duplicated = M.jemmig(np.c_[factor, copy].astype(float), factor)
    nats = duplicated.details["mutual_information"]
    h = scipy_entropy(np.bincount(factor))
    assert duplicated.value == pytest.approx((2 * nats[0, 0] - nats[1, 0]) / (2 * h))
    assert nats[1, 0] == pytest.approx(mutual_info_score(copy, factor), abs=0.01)


def test_the_sign_of_a_latent_does_not_matter_on_an_odd_number_of_rows() -> None:
    for seed in range(20):
        table = EXAMPLES["noisy"](301, np.random.default_rng(seed))
        flipped = dm.Representation(-table.codes, table.factors, space=table.space)
        assert M.jemmig.evaluate(flipped).value == pytest.approx(M.jemmig.evaluate(table).value, abs=1e-12)
