"""Majority votes of batches for latents, with ties divided equally or given to the first latent."""

import numpy as np

from disentmetrics._utils.typing import Floats

OFTEN = 0.01
"""Share of votes above which an artefact of the published protocols is reported."""
_ROUNDING = 1e-12


def tally(variance: Floats, *, share_ties: bool) -> tuple[Floats, int]:
    """Count for each latent in how many batches it varies least.

    Parameters
    ----------
    variance : (n_batches, n_codes) float
        Relative variances, which are equal if they differ by less than 1e-12.
    share_ties : bool
        Whether a tied vote is divided among the latents of least variance, or goes to the first of them.

    Returns
    -------
    votes : (n_codes,) float
        Sum to n_batches.
    n_tied : int
        Number of batches in which several latents vary least.

    Examples
    --------
    >>> tally(np.array([[0.0, 0.0], [1.0, 0.5]]), share_ties=True)
    (array([0.5, 1.5]), 1)
    >>> tally(np.array([[0.0, 0.0], [1.0, 0.5]]), share_ties=False)
    (array([1., 1.]), 1)
    """
    least = variance <= variance.min(axis=1, keepdims=True) + _ROUNDING
    n_least = least.sum(axis=1)
    n_tied = int((n_least > 1).sum())
    if share_ties:
        return (least / n_least[:, None]).sum(axis=0), n_tied
    return np.bincount(variance.argmin(axis=1), minlength=variance.shape[1]).astype(np.float64), n_tied


def correct_votes(train: Floats, test: Floats, *, share_ties: bool) -> Floats:
    """Return how many test votes of each factor are predicted by the majority of the training votes.

    Parameters
    ----------
    train, test : (n_factors, n_codes) float
        Votes for each latent, by the factor that was fixed or varied.
    share_ties : bool
        Whether a latent with equally many training votes of several factors predicts each of them by an equal share,
        or the first of them.

    Returns
    -------
    (n_factors,) float

    Examples
    --------
    >>> votes = np.array([[5.0, 1.0], [5.0, 3.0]])
    >>> correct_votes(votes, votes, share_ties=True), correct_votes(votes, votes, share_ties=False)
    (array([2.5, 5.5]), array([5., 3.]))
    """
    predicted = train >= train.max(axis=0) - _ROUNDING * np.maximum(train.max(axis=0), 1.0)
    if not share_ties:
        predicted = np.arange(len(train))[:, None] == train.argmax(axis=0)
    return np.asarray((test * predicted / predicted.sum(axis=0)).sum(axis=1))


def note_on_ties(share: float) -> tuple[str, ...]:
    """Return a note on ties that go to the first latent, if these are more than 1 % of the votes."""
    if share <= OFTEN:
        return ()
    note = (
        f"{100 * share:.0f} % of the votes are tied and go to the first of the tied latents, as in the published code: "
        "the score depends on the order of latents (the default protocol divides such votes)"
    )
    return (note,)
