import hashlib
import pickle

import numpy as np
import pytest
from scipy import stats

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.pinwheel import Pinwheel
from disentmetrics.errors import InvalidInputError


@pytest.fixture
def factors(rng: np.random.Generator) -> np.ndarray:
    return Pinwheel().sample_factors(4000, rng)


def test_points_are_rotated_by_arm_and_twist(factors: np.ndarray) -> None:
    arm, radial, tangential = factors.T
    points = Pinwheel().observations(factors) @ (1, 1j)
    np.testing.assert_allclose(np.abs(points), np.hypot(radial, tangential), atol=1e-8)
    untwisted = points * np.exp(-0.25j * np.exp(radial)) * (-1j) ** arm
    np.testing.assert_allclose(untwisted, radial + 1j * tangential, atol=1e-8)


def test_consecutive_arms_differ_by_a_quarter_turn(factors: np.ndarray) -> None:
    points = Pinwheel().observations(factors)
    factors[:, 0] = (factors[:, 0] + 1) % 4
    np.testing.assert_allclose(
        Pinwheel().observations(factors), np.column_stack([-points[:, 1], points[:, 0]]), atol=1e-8
    )


def test_arms_are_evenly_spaced_for_any_number() -> None:
    points = load_dataset("pinwheel?n_arms=7").observations([[arm, 1, 0] for arm in range(7)]) @ (1, 1j)
    np.testing.assert_allclose(points[1:] / points[:-1], np.exp(2j * np.pi / 7), atol=1e-8)


def test_arms_are_equally_likely_and_positions_are_gaussian(factors: np.ndarray) -> None:
    arm, radial, tangential = factors.T
    assert stats.chisquare(np.bincount(arm.astype(int), minlength=4)).pvalue > 1e-3
    assert stats.kstest(radial, "norm", (1, 0.3)).pvalue > 1e-3
    assert stats.kstest(tangential, "norm", (0, 0.1)).pvalue > 1e-3
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.06


def test_arms_are_separated_where_points_are_dense(factors: np.ndarray) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    points, arm = Pinwheel().observations(factors), factors[:, 0]
    predicted = KNeighborsClassifier(5).fit(points[:2000], arm[:2000]).predict(points[2000:])
    assert (predicted == arm[2000:]).mean() > 0.97


def test_points_are_the_same_on_every_machine() -> None:
    grid = [
        [arm, radial / 16, tangential / 16] for arm in range(4) for radial in range(33) for tangential in (-3, 0, 4)
    ]
    points = Pinwheel().observations(grid).astype("<f8")
    assert (
        hashlib.sha256(points.tobytes()).hexdigest()
        == "7281ca5e19ade203a2d63673f6ad29426702d9efe8726801ee9a29fbcfd8fa91"
    )


def test_the_number_of_arms_is_part_of_the_fingerprint_and_survives_pickling() -> None:
    data = load_dataset("pinwheel?n_arms=5")
    sent = pickle.loads(pickle.dumps(data))
    assert sent.fingerprint == data.fingerprint != load_dataset("pinwheel").fingerprint
    assert sent.space["arm"].size == 5


@pytest.mark.parametrize(
    ("factors", "complaint"),
    [
        ([[4, 1.0, 0.0]], "'arm' must be whole and lie in 0 .. 3"),
        ([[0.5, 1.0, 0.0]], "'arm' must be whole"),
        ([[0, 9.0, 0.0]], "radial must lie in -8 .. 8, beyond which there are no points; got 9 .. 9"),
        ([[0, np.inf, 0.0]], "finite"),
        ([[0, -1e308, 0.0]], "radial must lie in -8 .. 8"),
        ([[0, 1.0, 1e308]], "tangential must lie in -8 .. 8"),
        ([[0, 1.0, -8.1]], "got -8.1"),
        ([[0, 1.0]], r"shape \(n, 3\)"),
    ],
)
def test_wrong_factors_are_refused(factors: list[list[float]], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        Pinwheel().observations(factors)


def test_there_is_no_grid_and_too_few_arms_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="pinwheel has no full grid"):
        Pinwheel().full_grid()
    with pytest.raises(
        InvalidInputError, match="select needs a grid of factors or a table of rows; pinwheel has no full grid"
    ):
        load_dataset("pinwheel?select=arm:0")
    for option in ("correlate=arm,radial,0.5", "chen2018=radial,arm,B"):
        with pytest.raises(InvalidInputError, match="'radial' is continuous"):
            load_dataset(f"pinwheel?{option}")
    with pytest.raises(InvalidInputError, match="n_arms must be an integer from 2 to 64"):
        load_dataset("pinwheel?n_arms=1")
