import numpy as np
import pytest

import disentmetrics as dm


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def ordinal(codes: np.ndarray, factors: np.ndarray) -> dm.Representation:
    return dm.Representation(codes, factors, kinds={f"factor_{k}": "ordinal" for k in range(factors.shape[1])})


def test_z_max_var_of_noise_is_chance_since_votes_are_scored_on_other_rows() -> None:
    values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        factors = grid(4, 5, 6, 3)
        values.append(dm.metrics.z_max_var.score(ordinal(rng.normal(size=(360, 6)), factors), seed=seed).value)
    assert np.mean(values) == pytest.approx(0.25, abs=0.03)


def test_z_max_var_votes_for_the_latent_that_varies_most() -> None:
    """Reference implementation as a loop over cells: the limit of many votes of many rows."""
    rng = np.random.default_rng(0)
    factors = grid(4, 5, 6)
    codes = factors @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(120, 4))
    votes = np.zeros((4, 3))
    for k in range(3):
        others = np.delete(factors, k, axis=1)
        for cell in np.unique(others, axis=0):
            of_cell = codes[(others == cell).all(axis=1)]
            votes[(of_cell.var(axis=0) / codes.var(axis=0)).argmax(), k] += len(of_cell)
    expected = votes.max(axis=1).sum() / votes.sum()
    score = dm.metrics.z_max_var.score(
        ordinal(codes, factors), "carbonneau2022", n_rows=2_000, n_train=3_000, n_test=3_000, rescale=False
    )
    assert score.value == pytest.approx(expected, abs=0.03)


def test_known_failure_of_z_max_var_every_latent_may_change_with_a_factor() -> None:
    factors = grid(5, 5, 5)
    mixed = factors @ (np.full((3, 3), 0.6) + 0.4 * np.eye(3))
    assert dm.metrics.z_max_var.score(ordinal(mixed, factors)).value == 1.0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_votes_for_a_factor_that_no_latent_follows_are_divided(order: tuple[int, ...]) -> None:
    """No latent varies with the third factor; both keep the majority of their own."""
    factors = grid(5, 4, 6)
    codes = factors[:, order] + 0.0
    assert dm.metrics.z_max_var.score(ordinal(codes, factors)).value == pytest.approx(2 / 3, abs=0.01)
    published = dm.metrics.z_max_var.score(ordinal(codes, factors), "carbonneau2022")
    assert any("33 % of the votes are tied" in note for note in published.notes)
