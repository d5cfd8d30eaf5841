import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators import gaussian_mixture
from disentmetrics.estimators.gaussian_mixture import mixture_information

Floats = NDArray[np.float64]
HALF_LOG_2_PI_E = 0.5 * np.log(2 * np.pi * np.e)


def entropy(mean: Floats, deviation: Floats, weights: Floats | None = None) -> float:
    labels = np.zeros((len(mean), 1), dtype=int)
    information = mixture_information(mean[:, None], 2 * np.log(deviation)[:, None], labels, [1], weights=weights)
    return float(information.code_entropy[0])


def information_of_one_code(
    mean: Floats, deviation: Floats, labels: NDArray[np.int64], weights: Floats | None = None
) -> float:
    result = mixture_information(
        mean[:, None], 2 * np.log(deviation)[:, None], labels[:, None], [labels.max() + 1], weights=weights
    )
    return float(result.mutual_information[0, 0])


def quadrature_entropy(mean: Floats, deviation: Floats, weights: Floats) -> float:
    """Gauss-Legendre rule between all points that lie whole standard deviations from a mean."""
    edges = np.unique(mean[:, None] + deviation[:, None] * np.arange(-9, 10))
    nodes, steps = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    points = (edges[:-1, None] + half * (1 + nodes)).ravel()
    scaled = (points[:, None] - mean) / deviation
    density = (weights / weights.sum() * np.exp(-(scaled**2) / 2) / deviation).sum(axis=1) / np.sqrt(2 * np.pi)
    return float((half * steps).ravel() @ -xlogy(density, density))


def quadrature_information(mean: Floats, deviation: Floats, labels: NDArray[np.int64], weights: Floats) -> float:
    conditional = sum(
        weights[labels == v].sum()
        / weights.sum()
        * quadrature_entropy(mean[labels == v], deviation[labels == v], weights[labels == v])
        for v in np.unique(labels)
    )
    return float(quadrature_entropy(mean, deviation, weights) - conditional)


@pytest.mark.parametrize("deviation", [1e-8, 0.3, 1.0, 1e5])
@pytest.mark.parametrize("n_samples", [1, 7])
def test_equal_components_have_the_entropy_of_one_gaussian(deviation: float, n_samples: int) -> None:
    value = entropy(np.full(n_samples, 3.0), np.full(n_samples, deviation))
    assert value == pytest.approx(HALF_LOG_2_PI_E + np.log(deviation), abs=1e-4)


def test_two_far_gaussians_have_one_bit_more_than_their_mean_entropy() -> None:
    value = entropy(np.array([0.0, 1000.0]), np.array([1.0, 0.01]))
    assert value == pytest.approx(np.log(2) + HALF_LOG_2_PI_E + np.log(0.1), abs=1e-4)


def test_information_vanishes_where_every_value_has_the_same_mixture() -> None:
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=60), rng.lognormal(-2, 1.5, size=60)
    labels = np.repeat([0, 1, 2], 60)
    value = information_of_one_code(np.tile(mean, 3), np.tile(deviation, 3), labels)
    assert 0 <= value < 1e-9


def test_information_of_disjoint_narrow_values_is_the_entropy_of_the_factor() -> None:
    labels = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    value = information_of_one_code(labels * 1.0, np.full(100, 0.01), labels)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    assert value == pytest.approx(-shares @ np.log(shares), abs=1e-6)


def test_a_value_without_rows_changes_nothing() -> None:
    labels = np.array([0, 2, 2, 4])
    by_gaps = information_of_one_code(labels * 0.5, np.ones(4), labels)
    assert by_gaps == pytest.approx(information_of_one_code(labels * 0.5, np.ones(4), labels // 2), abs=1e-12)


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 12))
    spread = 10 ** draw(st.floats(-2, 3))
    unequal = draw(st.sampled_from([0.0, 0.2, 1.0, 3.0]))
    deviation = np.exp(unequal * rng.normal(size=size))
    return spread * rng.normal(size=size), deviation, rng.integers(0, 3, size), rng.dirichlet(np.ones(size))


@given(mixtures())
def test_entropy_and_information_agree_with_quadrature(
    mixture: tuple[Floats, Floats, NDArray[np.int64], Floats],
) -> None:
    mean, deviation, labels, weights = mixture
    assert entropy(mean, deviation, weights) == pytest.approx(quadrature_entropy(mean, deviation, weights), abs=5e-4)
    assert information_of_one_code(mean, deviation, labels, weights) == pytest.approx(
        quadrature_information(mean, deviation, labels, weights), abs=5e-4
    )


@pytest.mark.parametrize(("narrowest", "widest"), [(0.05, 0.2), (1e-3, 1.0), (1e-5, 1.0)])
def test_many_components_agree_with_quadrature_to_1e_4(narrowest: float, widest: float) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 150)
    mean = 0.4 * labels + 0.1 * rng.normal(size=150)
    deviation = np.exp(rng.uniform(np.log(narrowest), np.log(widest), 150))
    expected = quadrature_information(mean, deviation, labels, np.ones(150))
    assert information_of_one_code(mean, deviation, labels) == pytest.approx(expected, abs=1e-4)
    expected = quadrature_entropy(mean, deviation, np.ones(150))
    assert entropy(mean, deviation) == pytest.approx(expected, abs=1e-4)


def test_sampled_estimator_agrees_within_its_standard_error() -> None:
    rng = np.random.default_rng(2)
    n_samples, n_draws = 2000, 4000
    labels = rng.integers(0, 3, n_samples)
    mean = np.sin(labels) + 0.5 * rng.normal(size=n_samples)
    deviation = rng.uniform(0.1, 0.4, n_samples)

    def log_density(at: Floats, rows: NDArray[np.bool_]) -> Floats:
        scaled = (at[:, None] - mean[rows]) / deviation[rows]
        terms = -(scaled**2) / 2 - np.log(deviation[rows]) - np.log(2 * np.pi) / 2
        return np.asarray(logsumexp(terms, axis=1) - np.log(rows.sum()))

    drawn = rng.integers(0, n_samples, n_draws)
    at = mean[drawn] + deviation[drawn] * rng.normal(size=n_draws)
    gained = -log_density(at, np.full(n_samples, True))
    for v in range(3):
        here = labels[drawn] == v
        gained[here] += log_density(at[here], labels == v)
    value = information_of_one_code(mean, deviation, labels)
    assert abs(value - gained.mean()) < 4 * gained.std() / np.sqrt(n_draws)
    assert value > 0.1  # so that the standard error, 0.01, could reveal a wrong value


@pytest.mark.parametrize(("scale", "tolerance"), [(1.0, 1e-9), (3.7, 1e-9), (1e-6, 1e-9), (-2.0, 1e-5)])
def test_information_is_unchanged_by_scale_and_shift(scale: float, tolerance: float) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 500)
    mean, deviation = labels + rng.normal(size=500), rng.lognormal(-1, 1, size=500)
    before = information_of_one_code(mean, deviation, labels)
    after = information_of_one_code(scale * mean + 5.0, abs(scale) * deviation, labels)
    assert after == pytest.approx(before, abs=tolerance)
    moved = entropy(scale * mean + 5.0, abs(scale) * deviation)
    assert moved == pytest.approx(entropy(mean, deviation) + np.log(abs(scale)), abs=tolerance)


def test_order_of_rows_codes_and_factors_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    mean, log_variance = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    factors = rng.integers(0, 4, (200, 2))
    before = mixture_information(mean, log_variance, factors, [4, 4]).mutual_information
    rows, codes = rng.permutation(200), [2, 0, 1]
    after = mixture_information(mean[rows][:, codes], log_variance[rows][:, codes], factors[rows][:, ::-1], [4, 4])
    np.testing.assert_allclose(after.mutual_information, before[codes][:, ::-1], atol=1e-10)


def test_rows_without_a_label_are_left_out_for_that_factor_alone() -> None:
    rng = np.random.default_rng(5)
    factors = rng.integers(0, 3, (300, 2))
    mean, log_variance = factors + rng.normal(size=(300, 2)), np.full((300, 2), -3.0)
    everything = mixture_information(mean, log_variance, factors, [3, 3])
    holes = factors.copy()
    holes[:100, 1] = -1
    result = mixture_information(mean, log_variance, holes, [3, 3])
    without = mixture_information(mean[100:], log_variance[100:], factors[100:], [3, 3])
    np.testing.assert_allclose(result.mutual_information[:, 0], everything.mutual_information[:, 0], atol=1e-12)
    np.testing.assert_allclose(result.mutual_information[:, 1], without.mutual_information[:, 1], atol=1e-5)
    np.testing.assert_allclose(result.code_entropy, everything.code_entropy, atol=1e-12)
    assert abs(without.mutual_information[1, 1] - everything.mutual_information[1, 1]) > 1e-3


def test_a_factor_without_labels_has_no_information_and_affects_no_other() -> None:
    mean = np.array([[0.0], [0.0], [9.0]])
    factors = np.array([[-1, 0], [-1, 0], [-1, 1]])
    result = mixture_information(mean, np.zeros((3, 1)), factors, [2, 2])
    assert np.isnan(result.mutual_information[0, 0])
    assert result.mutual_information[0, 1] == pytest.approx(np.log(3) - np.log(4) / 3, abs=1e-3)
    factors[2, 0] = 1
    weightless = mixture_information(mean, np.zeros((3, 1)), factors, [2, 2], weights=[1, 1, 0])
    assert np.isnan(weightless.mutual_information[0, 0])


def test_a_weight_counts_as_so_many_rows() -> None:
    rng = np.random.default_rng(6)
    labels, mean, deviation = rng.integers(0, 3, 50), rng.normal(size=50), rng.uniform(0.1, 1, 50)
    copies = rng.integers(1, 4, 50)
    row = np.repeat(np.arange(50), copies)
    repeated = information_of_one_code(mean[row], deviation[row], labels[row])
    weighted = information_of_one_code(mean, deviation, labels, copies / 2)
    assert weighted == pytest.approx(repeated, abs=1e-6)


def test_a_far_outlier_costs_neither_resolution_nor_memory() -> None:
    rng = np.random.default_rng(7)
    mean, deviation = rng.normal(size=199), np.full(199, 1e-3)
    inside = quadrature_entropy(mean, deviation, np.ones(199))
    tracemalloc.start()
    value = entropy(np.append(mean, 1e6), np.append(deviation, 1e-3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    share = 1 / 200
    outside = HALF_LOG_2_PI_E + np.log(1e-3)
    expected = (1 - share) * (inside - np.log(1 - share)) + share * (outside - np.log(share))
    assert value == pytest.approx(expected, abs=1e-4)
    assert peak < 30e6


def test_collapsed_and_precise_rows_in_one_code_are_both_resolved() -> None:
    deviation = np.array([1.0, 1e-6])
    value = entropy(np.zeros(2), deviation)
    assert value == pytest.approx(quadrature_entropy(np.zeros(2), deviation, np.ones(2)), abs=5e-4)


@pytest.mark.parametrize(("batch", "few_rows"), [(1, 15), (16, 0), (16, 1e9), (2**14, 1e9)])
def test_batches_and_sparse_tables_change_nothing(monkeypatch: pytest.MonkeyPatch, batch: int, few_rows: float) -> None:
    rng = np.random.default_rng(8)
    mean, log_variance = rng.normal(size=(400, 2)), 3 * rng.normal(size=(400, 2)) - 3
    factors = rng.integers(0, [2, 9], (400, 2))
    usual = mixture_information(mean, log_variance, factors, [2, 9])
    monkeypatch.setattr(gaussian_mixture, "BATCH", batch)
    monkeypatch.setattr(gaussian_mixture, "FEW_ROWS", few_rows)
    other = mixture_information(mean, log_variance, factors, [2, 9])
    np.testing.assert_allclose(other.mutual_information, usual.mutual_information, atol=1e-10)
    np.testing.assert_allclose(other.code_entropy, usual.code_entropy, atol=1e-10)


def test_constant_latents_carry_no_information() -> None:
    factors = np.arange(12)[:, None] % 3
    result = mixture_information(np.full((12, 1), 2.5), np.full((12, 1), -4.0), factors, [3])
    assert result.mutual_information[0, 0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(result.conditional_entropy[0], result.code_entropy, atol=1e-12)


def test_single_precision_is_accepted_and_inputs_are_left_alone() -> None:
    rng = np.random.default_rng(9)
    mean, log_variance = rng.normal(size=(2, 100, 2)).astype(np.float32)
    factors = rng.integers(0, 3, (100, 1)).astype(np.int8)
    for array in (mean, log_variance, factors):
        array.flags.writeable = False
    single = mixture_information(mean, log_variance, factors, [3])
    double = mixture_information(mean.astype(np.float64), log_variance.astype(np.float64), factors, [3])
    np.testing.assert_array_equal(single.mutual_information, double.mutual_information)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros((4, 2))}, "both have shape"),
        ({"mean": np.zeros((0, 1)), "log_variance": np.zeros((0, 1))}, "at least one of each"),
        ({"factors": np.zeros((3, 1), dtype=int)}, "after the rows of mean"),
        ({"factors": np.zeros((4, 1))}, "must be integers"),
        ({"mean": np.full((4, 1), np.nan)}, "mean must be finite"),
        ({"log_variance": np.full((4, 1), -np.inf)}, "log_variance must be finite"),
        ({"factors": np.full((4, 1), 2)}, r"factor 0 must lie in 0 \.\. 1"),
        ({"factors": np.full((4, 1), -2)}, r"factor 0 must lie in 0 \.\. 1"),
        ({"weights": np.zeros(4)}, "some positive"),
        ({"weights": -np.ones(4)}, "none negative"),
        ({"weights": np.ones(3)}, "4 finite numbers"),
        ({"log_variance": np.full((4, 1), -100.0)}, "latent 0 must span less than"),
        ({"log_variance": np.full((4, 1), -2000.0)}, "latent 0 must span less than"),
        ({"log_variance": np.full((4, 1), 2000.0)}, "latent 0 must span less than"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    arrays: dict[str, Any] = {
        "mean": np.arange(4.0)[:, None],
        "log_variance": np.zeros((4, 1)),
        "factors": np.array([[0], [0], [1], [1]]),
    }
    with pytest.raises(InvalidInputError, match=message):
        mixture_information(n_values=[2], **(arrays | change))
