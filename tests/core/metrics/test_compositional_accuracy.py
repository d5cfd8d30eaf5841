import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace, Kind


def test_additive_codes_generalise_to_unseen_combinations_and_lookup_tables_do_not() -> None:
    factors = np.indices((5, 5)).reshape(2, -1).T.repeat(16, axis=0)
    additive = factors @ [[1.0, 1.0], [1.0, -1.0]]
    assert dm.metrics.compositional_accuracy(additive, factors, protocol="linear").value == 1.0
    name = np.random.default_rng(0).permutation(25)[
        factors[:, 0] * 5 + factors[:, 1]
    ]  # combinations, numbered at random
    by_heart = dm.metrics.compositional_accuracy(name.astype(float), factors)
    assert by_heart.value < 0.1
    assert dm.metrics.nonlinear_r2(name.astype(float), factors).value > 0.5  # on rows of seen combinations


def test_no_combination_is_in_both_training_and_test_rows() -> None:
    """One-hot codes of the combination are uninformative about unseen combinations."""
    factors = np.indices((3, 4)).reshape(2, -1).T.repeat(20, axis=0)
    codes = np.eye(12)[factors[:, 0] * 4 + factors[:, 1]]
    assert dm.metrics.compositional_accuracy(codes, factors, protocol="linear").value < 0.25


@pytest.mark.parametrize("kind", ["ordinal", "categorical", "circular"])
def test_values_of_every_kind_are_predicted(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(600, 2))
    space = FactorSpace([Factor("a", 5, kind), Factor("b", 5, "ordinal")])
    angle = 2 * np.pi * factors[:, :1] / 5
    codes = np.hstack([np.cos(angle), np.sin(angle), factors])
    score = dm.metrics.compositional_accuracy.score(dm.Representation(codes, factors, space=space))
    assert score.value > 0.95


def test_unrelated_codes_score_near_0_for_any_frequencies() -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.choice(3, 900, p=[0.9, 0.05, 0.05]), rng.choice(2, 900, p=[0.9, 0.1])], axis=1)
    score = dm.metrics.compositional_accuracy(rng.normal(size=(900, 2)), factors, protocol="linear")
    assert abs(score.value) < 0.3


def test_options_and_notes_of_compositional_accuracy() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(10, size=(300, 4))
    rows = dm.metrics.compositional_accuracy(factors.astype(float), factors, protocol="linear")
    assert "this is nearly a split of rows" in rows.notes[0]
    pairs = dm.metrics.compositional_accuracy(factors.astype(float), factors, protocol="linear", held=(0, 1))
    assert pairs.notes == ()
    assert pairs.value == 1.0
    with pytest.raises(InvalidInputError, match="held must contain factor indices from 0 to 3"):
        dm.metrics.compositional_accuracy(factors, factors, held=(7,))
