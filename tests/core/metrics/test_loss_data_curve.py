import numpy as np
import pytest

import disentmetrics as dm


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_the_description_length_is_the_sum_of_its_curve() -> None:
    factors = factors_of(1_000, 5)
    codes = factors + 0.5 * np.random.default_rng(11).normal(size=factors.shape)
    score = dm.metrics.loss_data_curve(codes, factors, tolerance=0.9)
    rows, curve = score.details["rows"], score.details["curve"][:, 0]
    assert rows.tolist() == [10, 30, 100, 300, 800]
    assert (np.diff(curve) < 0).all()
    by_hand = 10 * np.log(5) + sum((b - a) * loss for a, b, loss in zip(rows[:-1], rows[1:], curve, strict=False))
    assert score.parts["description_length"].value == pytest.approx(by_hand)
    assert score.parts["loss"].value == curve[-1]
    surplus = score.parts["surplus_description_length"].value
    assert 0 < surplus < by_hand
    needed = score.parts["rows_needed"].value
    assert rows[0] <= needed <= rows[-1]
    # On the logarithmic scale of rows the tolerated loss, 0.9 of log 5, lies on the curve at this number of rows.
    assert np.interp(np.log(needed), np.log(rows), curve) == pytest.approx(0.9 * np.log(5), abs=0.02)


def test_noise_saves_nothing_and_a_missing_factor_is_never_reached() -> None:
    factors = factors_of(1_500, 3, 4)
    noise = dm.metrics.loss_data_curve(np.random.default_rng(12).normal(size=(1_500, 4)), factors)
    assert noise.value == pytest.approx(0.0, abs=0.03)
    missing = dm.metrics.loss_data_curve(factors[:, :1].astype(float), factors)
    assert missing.parts["surplus_description_length"].undefined is not None
    assert missing.parts["rows_needed"].undefined is not None
    perfect = dm.metrics.loss_data_curve(factors.astype(float), factors)
    assert noise.value < missing.value < perfect.value
