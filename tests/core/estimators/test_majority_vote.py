import numpy as np
import pytest

from disentmetrics.estimators.majority_vote import correct_votes, note_on_ties, tally


def test_divided_votes_do_not_depend_on_the_order_of_latents(rng: np.random.Generator) -> None:
    variance = rng.integers(3, size=(500, 4)).astype(np.float64)
    votes, n_tied = tally(variance, share_ties=True)
    order = [2, 0, 3, 1]
    assert tally(variance[:, order], share_ties=True)[0] == pytest.approx(votes[order])
    assert votes.sum() == pytest.approx(500)
    assert n_tied == sum((row == row.min()).sum() > 1 for row in variance)


def test_differences_of_rounding_are_ties() -> None:
    assert tally(np.array([[1e-31, 0.0]]), share_ties=True)[1] == 1
    assert tally(np.array([[1e-9, 0.0]]), share_ties=True)[1] == 0


def test_equal_majorities_predict_equal_shares_in_every_order_of_factors(rng: np.random.Generator) -> None:
    train, test = rng.integers(4, size=(2, 5, 6)) + 0.0
    correct = correct_votes(train, test, share_ties=True)
    order = [4, 2, 0, 1, 3]
    assert correct_votes(train[order], test[order], share_ties=True) == pytest.approx(correct[order])
    assert correct_votes(train, test, share_ties=False).sum() == sum(
        test[k, j] for j, k in enumerate(train.argmax(axis=0))
    )


def test_few_ties_are_not_reported() -> None:
    assert note_on_ties(0.009) == ()
    assert note_on_ties(0.4)[0].startswith("40 % of the votes are tied")
