import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.statistics.factor_regression import codes_from_factors, true_factors


@pytest.mark.parametrize("kind", ["ordinal", "categorical", "circular", "continuous"])
@pytest.mark.parametrize("metric", ["linear_r2", "nonlinear_r2"])
def test_every_kind_of_factor_and_missing_labels(metric: str, kind: Kind) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=(400, 1))
    codes = np.hstack(
        [np.cos(2 * np.pi * labels / 5), np.sin(2 * np.pi * labels / 5), labels, rng.normal(size=(400, 1))]
    )
    space = FactorSpace([Factor("v", None if kind == "continuous" else 5, kind)])
    values = labels.astype(float) if kind == "continuous" else labels
    holes = np.where(np.arange(400)[:, None] < 100, np.nan if kind == "continuous" else -1, values)
    for factors in (values, holes):
        table = dm.Representation(codes, factors, space=space)
        score = getattr(dm.metrics, metric).score(table)
        assert score.value > 0.9
        assert 0.1 < score.parts["codes_from_factors"].value <= 1.0
        shuffled = dm.Representation(rng.normal(size=(400, 2)), factors, space=space)
        assert getattr(dm.metrics, metric).score(shuffled).value < 0.15


def test_rows_with_a_missing_label_do_not_predict_codes() -> None:
    factors = np.random.default_rng(0).integers(4, size=(200, 2))
    factors[:50, 0] = -1
    space = FactorSpace([Factor("a", 4, "ordinal"), Factor("b", 4, "categorical")])
    table = dm.Representation(factors - 5.0, factors, space=space)
    truth = true_factors(table)
    assert truth.rows.tolist() == list(range(50, 200))
    assert truth.of_factor == ((0,), (1, 2, 3))
    assert codes_from_factors(table, "linear", 0)[0] == pytest.approx(1.0)
