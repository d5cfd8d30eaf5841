"""Metrics that read a circular factor as an angle read its true angle, whatever its distribution and unit."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.statistics.factor_regression import true_factors
from disentmetrics.statistics.targets import factor_columns, label_angles

RNG = np.random.default_rng(0)
N = 600
DEGREES = {
    "von Mises": np.rad2deg(RNG.vonmises(0, 8, N)),
    "hours 8 to 20 of 24": 15 * RNG.integers(8, 21, N),
    "few and uneven": RNG.choice([0, 10, 20, 30, 180], N),
    "both ends": 45 * RNG.integers(-4, 9, N),
}


@pytest.mark.parametrize("name", DEGREES)
@pytest.mark.parametrize("unit", [24.0, 360.0, 2 * np.pi])
def test_cosine_and_sine_of_an_angle_are_its_linear_code(name: str, unit: float) -> None:
    turn = DEGREES[name] / 360
    codes = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], axis=1)
    table = dm.Representation(codes, {"angle": turn * unit}, kinds={"angle": f"circular:{unit}"})
    assert dm.metrics.linear_r2(table).value > 0.999
    np.testing.assert_allclose(factor_columns(table, 0), codes, atol=1e-6)
    spread = codes.std(axis=0)
    np.testing.assert_allclose(table.cached(true_factors).columns * spread, codes - codes.mean(axis=0), atol=1e-6)
    strengths = dm.metrics.sap(table, protocol="kumar2018").details["predictability"]
    np.testing.assert_allclose(strengths, 1.0, atol=1e-6)


def test_angles_of_a_given_space_are_those_of_its_values() -> None:
    uneven = FactorSpace([Factor("azimuth", 4, "circular", (11.0, 95.0, 191.0, 350.0), 360)])
    labels = RNG.integers(-1, 4, N)
    angle = np.deg2rad(np.array([11.0, 95.0, 191.0, 350.0, np.nan]))[labels]
    table = dm.Representation(np.zeros(N), labels, space=uneven)
    np.testing.assert_allclose(factor_columns(table, 0), np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=1e-12)
    real = FactorSpace([Factor("azimuth", None, "circular", period=360)])
    same = dm.Representation(np.zeros(N), np.rad2deg(angle) - 720, space=real)
    np.testing.assert_allclose(factor_columns(same, 0), factor_columns(table, 0), atol=1e-9)


def test_dsprites_at_a_full_turn_is_dsprites_at_none() -> None:
    data = dm.load_dataset("dsprites")
    angles = data.space["orientation"].angles([0, 13, 39])
    np.testing.assert_allclose(angles, [0, 2 * np.pi / 3, 0], atol=1e-12)


def grid(n_angles: int) -> tuple[np.ndarray, np.ndarray]:
    factors = np.indices((n_angles, 3)).reshape(2, -1).T
    turn = factors / (n_angles, 3)
    codes = np.stack([f(2 * np.pi * turn[:, k]) for k in range(2) for f in (np.cos, np.sin)], axis=1)
    return factors, codes


@pytest.mark.parametrize(("n_angles", "limit"), [(12, 1e-9), (360, 0.05)])
def test_d_lsbd_knows_the_angles_of_bins(n_angles: int, limit: float) -> None:
    factors, codes = grid(n_angles)
    space = FactorSpace([Factor("angle", n_angles, "circular"), Factor("hue", 3, "circular")])
    table = dm.Representation(codes, factors, space=space)
    assert dm.metrics.d_lsbd(table).value < limit
    if n_angles > 100:  # bins of equal frequency
        np.testing.assert_allclose(label_angles(table, 0), 2 * np.pi * (np.arange(10) + 0.5) / 10, atol=0.01)


def test_d_lsbd_rotates_back_by_the_angle_of_the_value_not_by_its_rank() -> None:
    hours = np.array([0.0, 1, 8, 9, 16, 17])  # two triangles, so that the plane of the points is a circle
    index = np.indices((6, 3)).reshape(2, -1).T.repeat(2, axis=0)
    turn = np.stack([hours[index[:, 0]] / 24, index[:, 1] / 3], axis=1)
    codes = np.hstack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
    right = dm.Representation(
        codes, {"hour": hours[index[:, 0]], "hue": index[:, 1]}, kinds={"hour": "circular:24", "hue": "circular"}
    )
    ranks = dm.Representation(codes, index, kinds={"factor_0": "circular", "factor_1": "circular"})
    values = [list(dm.metrics.d_lsbd(table).per_factor.values()) for table in (right, ranks)]
    assert values[0][0] == pytest.approx(0, abs=1e-9)
    assert values[1][0] > 0.05
    assert values[0][1] == pytest.approx(0, abs=1e-9)


def test_rows_are_predicted_on_the_circle() -> None:
    table = dm.Representation(
        np.stack([np.cos(np.deg2rad(DEGREES["few and uneven"])), np.sin(np.deg2rad(DEGREES["few and uneven"]))], 1),
        {"angle": DEGREES["few and uneven"], "other": RNG.integers(0, 2, N)},
        kinds={"angle": "circular:360"},
    )
    score = dm.metrics.compositional_accuracy(table, protocol="linear")
    assert score.per_factor["angle"] == 1.0
