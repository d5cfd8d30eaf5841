"""FactorVAE score, also known as majority vote or Z-min-variance."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, standard_deviation, well_scaled
from disentmetrics.estimators.majority_vote import OFTEN, correct_votes, note_on_ties, tally
from disentmetrics.estimators.rank_correlation import standardised_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_groups import Conditioning, Drawable, fixable_factors

Pruning = Literal["kl", "sd"]
Variance = Literal["robust", "plain"]
_CHUNK = 1 << 22  # values drawn at once: 32 MB; changing it changes the random draws
_IN_CACHE = 1 << 18  # values gathered at once, so that they fit into the processor's cache


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Kim & Mnih (2018), Disentangling by Factorising, section 4 and appendix C",
    known_failure="Rotated and mixed codes still win most votes: a random rotation scores about 0.9.",
    needs=Needs(factors=2, rows=40),
    randomised=True,
    least={"n_rows": 2, "n_test": 0, "n_neighbours": 2},
    invariant_to=all_except("rotation", "determined factors"),
    detects={"rotated", "packed", "missing factor"},
    noise="chance",
    protocols={
        "default": Protocol(
            source="disentmetrics: variances of ranks, ties divided, constant and collapsed latents excluded, "
            "disjoint training and test rows",
            needs=Needs(factors=2, rows=40, groups=2),
        ),
        "kim2018": Protocol(
            source="Kim & Mnih (2018): 800 votes of 100 rows, scored on the same votes; collapsed latents excluded",
            options={"variance": "plain", "n_train": 800, "n_test": 0, "n_rows": 100},
            invariant_to=all_except(
                "code order", "monotone warp", "outlier", "noise code", "rotation", "determined factors"
            ),
            unsettled={"code order", "noise code"},
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5, study settings: latents with standard deviation below 0.05 "
            "excluded, 10,000 training and 5,000 test votes of 64 rows",
            options={"pruning": "sd", "variance": "plain", "n_train": 10_000, "n_test": 5_000},
            invariant_to=all_except(
                "code order", "scale", "monotone warp", "outlier", "noise code", "rotation", "determined factors"
            ),
            unsettled={"code order", "noise code"},
        ),
    },
)
def factorvae(
    representation: Representation,
    *,
    rng: np.random.Generator,
    pruning: Pruning = "kl",
    variance: Variance = "robust",
    n_train: int = 5_000,
    n_test: int = 5_000,
    n_rows: int = 64,
    conditioning: Conditioning = "bins",
    n_neighbours: int = 20,
) -> RawScore:
    """FactorVAE score: accuracy of a majority vote for the factor fixed in a batch, by the least varying latent.

    A vote is drawn by choosing a factor k and L rows that agree in factor k; it pairs k with the latent
    ``j = argmin s_j``, ``s_j = Var(z_j in the batch) / Var(z_j over all rows)``. Each latent predicts the factor with
    which it is paired most often; the score is the share of votes predicted correctly.

    Parameters
    ----------
    representation : Representation
        Batches are drawn from its rows, grouped by factor value; values with fewer than 10 rows are excluded.
        ``conditioning`` specifies the treatment of continuous factors.
    rng : numpy.random.Generator
        Random number generator.
    pruning : {"kl", "sd"}
        ``kl`` excludes constant latents and, with posterior variances, those whose mean KL to N(0, 1) is at most 0.01
        nats; ``sd`` excludes latents with a standard deviation below 0.05, regardless of their scale.
    variance : {"robust", "plain"}
        ``robust``: variances of ranks, with ``1 - w_j (1 - s_j)`` in place of s_j. The weight w_j is the standard
        deviation of s in batches of random rows for a normal latent, divided by that for latent j, and at most 1, so
        that a latent which is constant in most rows does not win the votes of batches in which it happens to be
        constant. Tied votes are divided among the latents that vary least. ``plain``: the published variances; ties
        go to the first latent.
    n_train, n_test : int
        Numbers of training and test votes; with ``n_test=0`` the training votes are scored.
    n_rows : int
        L, the number of rows in a batch.
    conditioning : {"bins", "neighbours"}
        Definition of agreement in a continuous factor: rows of one of 10 equal-frequency bins, or a random row and
        its nearest neighbours. The signature records the choice.
    n_neighbours : int
        Number of nearest neighbours, including the row itself; all rows with tied values are included.

    Returns
    -------
    RawScore
        Accuracy in [0, 1]; chance level is 1 / K for K factors; ``per_factor`` is the share of correct votes for each
        factor. Details: ``votes`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors have a value that enough rows share.

    Notes
    -----
    The standard deviation of s follows from the fourth moment of the ranks. Between a latent of noise that is active in
    1 % of the rows and perfect latents of five factors, ``plain`` variances score 0.5 and ``robust`` ones 1.0. Where
    one factor determines another, both their latents are constant while the former is fixed: a perfect code of three
    factors, one of which determines a second, scores 0.83 (``plain``: 0.67 or 1, by the order of latents).

    The variance of a categorical latent is Gini's: half the probability that two rows differ. Each factor
    is chosen equally often here, and at random by the authors. Scoring the training votes overestimates the accuracy
    by a few points (for five factors ``kim2018`` assigns 0.23 to 5 random latents and 0.25 to 10). If no latent
    survives pruning the score is 0. L = 100 for Kim & Mnih is the value quoted by reimplementations.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> factorvae(factors.astype(float), factors).value
    1.0
    """
    fixable = fixable_factors(
        representation,
        rng,
        disjoint=n_test > 0 and pruning == "kl",
        conditioning=conditioning,
        n_neighbours=n_neighbours,
    )
    positions = fixable.positions
    kept, rule = _surviving_latents(representation, pruning)
    if not kept.any():
        return RawScore(
            value=0.0,
            settings={"prune": rule, **fixable.settings},
            notes=(f"every latent is excluded by the rule {rule}; the score is 0, as in Kim & Mnih",),
            chance=1 / len(positions),
        )
    robust = variance == "robust"
    spread = _RobustSpread(representation, kept, n_rows) if robust else _Spread(representation, kept)
    votes, n_tied = _votes(spread, fixable.train, n_train, n_rows, rng, share_ties=robust)
    tested = votes
    if n_test:
        tested, n_tied = _votes(spread, fixable.test, n_test, n_rows, rng, share_ties=robust)
    correct, drawn = correct_votes(votes, tested, share_ties=robust), tested.sum(axis=1)

    per_factor = np.full(representation.n_factors, np.nan)
    per_factor[positions] = np.divide(correct, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    table = np.zeros((representation.n_codes, representation.n_factors))
    table[np.ix_(np.flatnonzero(kept), np.array(positions))] = votes.T
    return RawScore(
        value=float(correct.sum() / drawn.sum()),
        per_factor=per_factor,
        details={"votes": table},
        settings={"prune": rule, **fixable.settings},
        notes=() if robust else _notes(representation, kept, n_rows, n_tied / drawn.sum()),
        chance=1 / len(positions),
    )


def _surviving_latents(representation: Representation, pruning: Pruning) -> tuple[NDArray[np.bool_], str]:
    if pruning == "sd":
        return standard_deviation(representation.codes) >= 0.05, "sd<0.05"
    alive = ~constant(representation.codes)
    if representation.mean_kl is None:
        return alive, "constant"
    return alive & (representation.mean_kl > KL_THRESHOLD), f"{representation.kl_name}<={KL_THRESHOLD}"


class _Spread:
    """Variance of each surviving latent within batches of rows, relative to its variance over all rows."""

    def __init__(self, representation: Representation, kept: NDArray[np.bool_]) -> None:
        codes = representation.codes
        self.codes = well_scaled(codes if kept.all() else np.ascontiguousarray(codes[:, kept]))
        self.categorical = np.flatnonzero(representation.categorical_codes[kept])
        self.everywhere = np.var(self.codes, axis=0, ddof=1, dtype=np.float64)
        for code in self.categorical:
            self.everywhere[code] = _gini(self.codes[None, :, code])[0]

    def relative(self, rows: NDArray[np.int64]) -> Floats:
        variance = np.empty((len(rows), self.codes.shape[1]), dtype=self.codes.dtype)
        step = max(1, _IN_CACHE // (rows.shape[1] * self.codes.shape[1]))
        for start in range(0, len(rows), step):
            batch = self.codes[rows[start : start + step].T]  # numpy sums fastest over the first axis
            batch -= batch.mean(axis=0)
            np.multiply(batch, batch, out=batch)
            variance[start : start + step] = batch.sum(axis=0)
        variance /= rows.shape[1] - 1
        for code in self.categorical:
            variance[:, code] = _gini(self.codes[rows, code])
        return np.asarray(variance / self.everywhere)


class _RobustSpread(_Spread):
    """Variance of each latent's ranks within batches, relative to all rows; a noisy one is shrunk towards 1.

    The relative variance s of a latent that is constant in most rows is 0 in many batches by chance. It becomes
    ``1 - w (1 - s)`` with w the standard deviation of s in batches of random rows for a normal latent, divided by that
    for this latent, and at most 1.
    """

    def __init__(self, representation: Representation, kept: NDArray[np.bool_], n_rows: int) -> None:
        super().__init__(representation, kept)
        numeric = ~representation.categorical_codes[kept]
        ranks = representation.cached_by_codes(standardised_ranks)[:, kept]
        self.codes = np.where(numeric, ranks, self.codes)
        self.everywhere[numeric] = np.var(ranks[:, numeric], axis=0, ddof=1)
        fourth = (ranks**4).mean(axis=0)
        noise = np.sqrt((fourth - (n_rows - 3) / (n_rows - 1)) / n_rows)
        for code in self.categorical:
            noise[code] = _gini_noise(self.codes[:, code], n_rows)
        self.weight = np.minimum(1.0, np.sqrt(2 / (n_rows - 1)) / np.maximum(noise, 1e-300))

    def relative(self, rows: NDArray[np.int64]) -> Floats:
        return np.asarray(1 - self.weight * (1 - super().relative(rows)))


def _gini_noise(values: NDArray[np.floating], n: int) -> float:
    """Return the standard deviation of Gini's variance in samples of ``n`` rows, relative to its mean."""
    share = np.unique(values, return_counts=True)[1] / len(values)
    differ = 1 - (share**2).sum()
    # the variance of a U-statistic with kernel [x != y] / 2 (Hoeffding 1948)
    of_mean = (share * (1 - share - differ) ** 2).sum() / 4
    of_kernel = differ * (1 - differ) / 4
    return float(np.sqrt(2 / (n * (n - 1)) * (2 * (n - 2) * of_mean + of_kernel)) / (differ / 2))


def _gini(values: NDArray[np.floating]) -> Floats:
    """Return Gini's variance of each row of (t, n) categories: half the share of pairs that differ."""
    n = values.shape[1]
    same = np.zeros(len(values))
    for category in np.unique(values):
        same += (values == category).sum(axis=1, dtype=np.float64) ** 2
    return np.asarray((n * n - same) / (2 * n * (n - 1)))


def _votes(
    spread: _Spread,
    groups: list[Drawable],
    n_votes: int,
    n_rows: int,
    rng: np.random.Generator,
    *,
    share_ties: bool,
) -> tuple[Floats, int]:
    """Return the votes for each latent by fixed factor, (n_factors, n_latents), and how many were tied."""
    chosen = rng.permutation(np.arange(n_votes) % len(groups))  # each factor equally often: chance is 1 / K
    votes = np.zeros((len(groups), spread.codes.shape[1]))
    n_tied = 0
    step = max(1, _CHUNK // (n_rows * spread.codes.shape[1]))
    for index, group in enumerate(groups):
        n_mine = int((chosen == index).sum())
        for start in range(0, n_mine, step):
            relative = spread.relative(group.draw(min(step, n_mine - start), n_rows, rng))
            each, tied = tally(relative, share_ties=share_ties)
            votes[index] += each
            n_tied += tied
    return votes, n_tied


def _notes(representation: Representation, kept: NDArray[np.bool_], n_rows: int, tied: float) -> tuple[str, ...]:
    """Describe what decides votes under published protocols although it should not."""
    codes = representation.codes[:, kept]
    names = np.array(representation.code_names)[kept]
    # a batch of 64 rows is only ever constant by chance where one value has more than half of all rows
    share = (codes == np.quantile(codes, 0.5, axis=0, method="lower")).mean(axis=0) ** n_rows
    notes = [
        f"{name} takes one value in so many rows that {100 * part:.0f} % of random batches do not vary in it: it wins "
        "votes whichever factor is fixed (the default protocol discounts such latents)"
        for name, part in zip(names[share > OFTEN], share[share > OFTEN], strict=True)
    ]
    return (*notes, *note_on_ties(tied))
