import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from disentmetrics.estimators.forest import Forest


@pytest.mark.parametrize("width", [1, 2])
def test_numbers_and_importances_are_those_of_scikit_learn(rng: np.random.Generator, width: int) -> None:
    inputs, new = rng.normal(size=(2, 200, 3))
    target = inputs[:, :width] + rng.normal(size=(200, width))
    ours = Forest.fit(inputs, target, n_trees=7, state=3, max_depth=5)
    theirs = RandomForestRegressor(7, random_state=3, max_depth=5).fit(inputs, target[:, 0] if width == 1 else target)
    assert np.array_equal(ours.predict(new), theirs.predict(new).reshape(200, width))
    assert ours.importance == pytest.approx(theirs.feature_importances_, abs=1e-12)


def test_probabilities_are_those_of_scikit_learn_and_zero_for_unseen_classes(rng: np.random.Generator) -> None:
    inputs, new = rng.normal(size=(2, 300, 4))
    target = np.array([0, 1, 3])[np.digitize(inputs[:, 0] + 0.5 * rng.normal(size=300), [-0.5, 0.5])]
    ours = Forest.fit(inputs, target, n_trees=9, state=0, max_features="sqrt", min_samples_leaf=4)
    theirs = RandomForestClassifier(9, random_state=0, min_samples_leaf=4).fit(inputs, target)
    assert np.array_equal(ours.predict(new)[:, [0, 1, 3]], theirs.predict_proba(new))
    assert (ours.predict(new)[:, 2] == 0).all()
    assert ours.importance == pytest.approx(theirs.feature_importances_, abs=1e-12)


def test_without_a_split_nothing_is_important() -> None:
    forest = Forest.fit(np.zeros((20, 2)), np.arange(20.0)[:, None], n_trees=3, state=0)
    assert forest.importance.tolist() == [0.0, 0.0]
