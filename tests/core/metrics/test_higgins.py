import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics._utils.random import generator
from disentmetrics.metrics import find_metric

PROTOCOLS = ["default", "locatello2019", "higgins2017"]
FEW = {"default": {}, "locatello2019": {}, "higgins2017": {"n_train": 20_000, "n_pairs": 50}}


def uniform_factors(n: int = 6_000) -> np.ndarray:
    return np.random.default_rng(0).integers((3, 6, 8, 5), size=(n, 4))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perfect_codes_score_one_and_noise_scores_chance(protocol: str) -> None:
    factors = uniform_factors()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    noise = np.random.default_rng(1).normal(size=(6_000, 4))
    assert dm.metrics.higgins(ideal, factors, protocol=protocol, **FEW[protocol]).value >= 0.99
    assert dm.metrics.higgins(noise, factors, protocol=protocol, **FEW[protocol]).value == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_known_failure_a_missing_factor_is_identified_by_elimination_and_a_note_reports_it(protocol: str) -> None:
    factors = uniform_factors()
    codes = (factors - factors.mean(0)) / factors.std(0)
    score = dm.metrics.higgins(codes[:, :3], factors, protocol=protocol, **FEW[protocol])
    assert score.value > 0.98
    assert [note for note in score.notes if note.startswith("no latent encodes factor_3")]
    assert dm.metrics.factorvae(codes[:, :3], factors).value < 0.85


def test_no_note_is_made_where_every_factor_is_followed() -> None:
    factors = uniform_factors()
    assert dm.metrics.higgins(factors.astype(float), factors).notes == ()


def test_a_random_code_scores_one_over_k_on_average_because_halves_are_disjoint() -> None:
    rng = np.random.default_rng(3)
    factors = rng.integers(3, size=(400, 4))
    metric, _ = find_metric("higgins")
    values = [
        metric.evaluate(dm.Representation(rng.normal(size=(400, 5)), factors), seed=s, n_train=500, n_test=500).value
        for s in range(40)
    ]
    assert np.mean(values) == pytest.approx(0.25, abs=4 * np.std(values) / np.sqrt(40))


def test_pairs_share_their_value_and_are_never_a_row_with_itself() -> None:
    from disentmetrics.statistics.factor_groups import rows_by_value

    factors = uniform_factors(500)
    representation = dm.Representation(factors.astype(float), factors)
    for position in range(4):
        first, second = rows_by_value(representation, position).draw_pairs(5_000, generator(0, "test"))
        assert (factors[first, position] == factors[second, position]).all()
        assert (first != second).all()


def test_features_are_the_mean_absolute_difference_given_each_factor() -> None:
    """On a uniform grid the expectation is known: 0 for the shared factor, E|v - v'| for the others."""
    factors = np.indices((4, 5)).reshape(2, -1).T.repeat(40, axis=0)
    score = dm.metrics.higgins(factors.astype(float), factors, protocol="locatello2019", n_train=20_000)
    apart = [np.abs(np.subtract.outer(np.arange(s), np.arange(s))).mean() for s in (4, 5)]
    expected = np.array([[0.0, apart[0]], [apart[1], 0.0]])
    assert score.details["mean_difference"] == pytest.approx(expected, abs=0.01)


def test_the_default_does_not_depend_on_the_scale_of_codes() -> None:
    factors = uniform_factors()
    codes = factors + np.random.default_rng(2).normal(size=factors.shape)
    plain = dm.metrics.higgins(codes, factors).value
    assert dm.metrics.higgins(codes * [1e-6, 1.0, 1e3, 1e6], factors).value == pytest.approx(plain, abs=1e-6)


def test_the_adagrad_classifier_is_that_of_a_plain_loop() -> None:
    from disentmetrics.metrics._higgins import _fit_adagrad

    rng = np.random.default_rng(0)
    points, labels, new = rng.normal(size=(200, 3)), rng.integers(4, size=200), rng.normal(size=(50, 3))
    weights, bias = np.zeros((4, 3)), np.zeros(4)
    sum_w, sum_b = np.zeros((4, 3)), np.zeros(4)
    for start in range(0, 200, 10):
        grad_w, grad_b = np.zeros((4, 3)), np.zeros(4)
        for x, y in zip(points[start : start + 10], labels[start : start + 10], strict=True):
            p = np.exp(weights @ x + bias)
            p /= p.sum()
            p[y] -= 1
            grad_w += np.outer(p, x) / 10
            grad_b += p / 10
        sum_w, sum_b = sum_w + grad_w**2, sum_b + grad_b**2
        weights -= 0.01 * grad_w / (np.sqrt(sum_w) + 1e-10)
        bias -= 0.01 * grad_b / (np.sqrt(sum_b) + 1e-10)
    assert np.array_equal(_fit_adagrad(points, labels, new, 4), (new @ weights.T + bias).argmax(axis=1))


@pytest.mark.parametrize(
    ("codes", "factors", "reason"),
    [
        (np.ones((200, 2)), np.random.default_rng(0).integers(3, size=(200, 2)), "every latent is constant"),
        (
            np.random.default_rng(0).normal(size=(200, 2)),
            np.arange(200) % 3,
            "2 or more factors that take two values; got 1",
        ),
        (np.random.default_rng(0).normal(size=(30, 2)), np.indices((5, 6)).reshape(2, -1).T, "40 or more rows"),
        (np.random.default_rng(0).normal(size=(64, 2)), np.indices((8, 8)).reshape(2, -1).T, "at least 10 rows share"),
    ],
)
def test_tables_that_cannot_be_scored_give_a_reason(codes: np.ndarray, factors: np.ndarray, reason: str) -> None:
    score = dm.metrics.higgins(codes, factors)
    assert score.undefined is not None
    assert reason in score.undefined
