import warnings

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from disentmetrics.estimators.lasso_path import PENALTIES, cross_validated_lasso


def test_penalty_and_coefficients_are_those_of_a_plain_loop_over_folds(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(300, 4))
    target = inputs @ [1.0, 0.5, 0.0, 0.0] + rng.normal(size=300)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    target = (target - target.mean()) / target.std()
    fold = rng.permutation(300) % 5
    error = np.zeros((5, len(PENALTIES)))
    for f in range(5):
        for index, penalty in enumerate(PENALTIES):
            model = Lasso(alpha=penalty, fit_intercept=False, tol=1e-10, max_iter=100_000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(inputs[fold != f], target[fold != f])
            error[f, index] = ((model.predict(inputs[fold == f]) - target[fold == f]) ** 2).mean()
    mean = error.mean(0)
    least = mean.argmin()
    chosen = int(np.flatnonzero(mean <= mean[least] + error[:, least].std(ddof=1) / np.sqrt(5))[0])
    coefficients, penalties = cross_validated_lasso(inputs, target[:, None], fold)
    assert penalties[0] == PENALTIES[chosen]
    expected = Lasso(alpha=PENALTIES[chosen], fit_intercept=False, tol=1e-12).fit(inputs, target).coef_
    assert coefficients[:, 0] == pytest.approx(expected, abs=1e-6)


def test_noise_gets_no_coefficient(rng: np.random.Generator) -> None:
    inputs, targets = rng.normal(size=(400, 5)), rng.normal(size=(400, 3))
    coefficients, _ = cross_validated_lasso(inputs, targets, np.arange(400) % 5)
    assert (coefficients == 0).mean() > 0.8


def test_one_fold_leaves_nothing_to_choose_by(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(50, 2))
    _, penalties = cross_validated_lasso(inputs, inputs, np.zeros(50, int))
    assert penalties.tolist() == [1.0, 1.0]
