import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError


def normal(n: int, k: int, correlation: float = 0.0, seed: int = 0) -> np.ndarray:
    covariance = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(k), covariance, size=n)


def test_blocks_that_are_given_and_blocks_that_are_assigned() -> None:
    factors = normal(900, 4)
    inside = [normal(2, 2, seed=1), normal(2, 2, seed=2)]
    codes = np.hstack([factors[:, 2:] @ inside[0], factors[:, :2] @ inside[1]])
    score = dm.metrics.block_identifiability(
        codes, factors, protocol="linear", code_blocks=((2, 3), (0, 1)), factor_blocks=((0, 1), (2, 3))
    )
    assert score.value == pytest.approx(1.0)
    assert abs(score.parts["leakage"].value) < 0.02
    assigned = dm.metrics.block_identifiability(codes, factors, protocol="linear", factor_blocks=((0, 1), (2, 3)))
    assert assigned.value == pytest.approx(1.0)
    assert assigned.details["block_of_code"].tolist() == [1, 1, 0, 0]
    swapped = dm.metrics.block_identifiability(
        codes, factors, protocol="linear", code_blocks=((0, 1), (2, 3)), factor_blocks=((0, 1), (2, 3))
    )
    assert abs(swapped.value) < 0.02
    assert swapped.parts["leakage"].value == pytest.approx(1.0)


def test_excess_leakage_does_not_charge_the_dependence_of_the_factors() -> None:
    factors = normal(3_000, 3, correlation=0.7)
    perfect = dm.metrics.block_identifiability(factors, factors, protocol="linear")
    mixed = dm.metrics.block_identifiability(
        factors + 0.5 * factors[:, [1, 2, 0]], factors, protocol="linear", code_blocks=((0,), (1,), (2,))
    )
    assert perfect.parts["leakage"].value == pytest.approx(0.49, abs=0.04)  # the square of the correlation
    assert perfect.parts["excess_leakage"].value == pytest.approx(0.0, abs=1e-9)
    assert mixed.parts["excess_leakage"].value > 0.15


def test_invalid_blocks_are_refused() -> None:
    factors = normal(100, 2)
    for options, message in (
        ({"code_blocks": ((0,), (0,))}, "each at most once"),
        ({"factor_blocks": ((0,), (5,))}, "must contain indices from 0 to 1"),
        ({"code_blocks": ((0, 1),)}, "one block for each of 2 blocks of factors; got 1"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            dm.metrics.block_identifiability(factors, factors, protocol="linear", **options)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("n_values", [1, 2, 5])
def test_a_latent_that_predicts_two_factors_is_assigned_to_the_one_left(order: tuple[int, ...], n_values: int) -> None:
    """The latent of a factor that determines another predicts both."""
    rng = np.random.default_rng(0)
    first = rng.integers(10, size=1_000)
    factors = np.stack([first, first * n_values // 10 if n_values > 1 else first, rng.integers(6, size=1_000)], axis=1)
    kinds = {f"factor_{k}": "ordinal" for k in range(3)}
    for table in (
        dm.Representation(factors[:, order] + 0.0, factors, kinds=kinds),
        dm.Representation(factors + 0.0, factors[:, order], kinds=kinds),
    ):
        assert dm.metrics.block_identifiability.score(table, "linear").value == pytest.approx(1.0, abs=1e-6)
