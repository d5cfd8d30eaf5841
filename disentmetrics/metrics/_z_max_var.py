"""Z-max-variance, the metric of RF-VAE."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, standard_deviation, well_scaled
from disentmetrics.estimators.majority_vote import correct_votes, note_on_ties, tally
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import halves
from disentmetrics.statistics.factor_groups import RowGroups
from disentmetrics.statistics.traversals import cells, factors_alone, left_out

Pruning = Literal["kl", "sd"]
_MIN_CELLS = 2
_CHUNK = 1 << 20  # values drawn at once: 8 MB; changing it changes the random draws


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Kim, Wang, Sahu & Pavlovic (2019), Relevance Factor VAE, section 4",
    known_failure="Entangled latents score 1 if a different latent varies most with each factor.",
    needs=Needs(factors=2, rows=40),
    randomised=True,
    least={"n_rows": 2},
    invariant_to=all_except("monotone warp", "outlier", "noise code", "rotation"),
    detects={"rotated", "packed", "missing factor"},
    noise="chance",
    protocols={
        "default": Protocol(
            source="disentmetrics: constant and collapsed latents excluded, disjoint training and test rows",
            needs=Needs(factors=2, rows=40, groups=2),
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): latents with standard deviation below 0.05 excluded, 800 training "
            "and 800 test votes of 200 of the same rows; rescaled so that chance level is 0",
            options={"pruning": "sd", "n_train": 800, "n_test": 800, "n_rows": 200, "rescale": True},
            invariant_to=all_except("code order", "scale", "monotone warp", "outlier", "noise code", "rotation"),
            noise=0.0,
            unsettled={"code order"},
        ),
    },
)
def z_max_var(
    representation: Representation,
    *,
    rng: np.random.Generator,
    pruning: Pruning = "kl",
    n_train: int = 5_000,
    n_test: int = 5_000,
    n_rows: int = 64,
    n_bins: int = 3,
    rescale: bool = False,
) -> RawScore:
    """Z-max-variance: accuracy of a majority vote for the only varying factor, by the most varying latent.

    A vote is drawn by choosing a factor k and L rows that agree in all factors but k; it pairs k with the latent
    ``j = argmax Var(z_j in the batch) / Var(z_j over all rows)``. Each latent predicts the factor with which it is
    paired most often; the score is the share of votes predicted correctly.

    Parameters
    ----------
    representation : Representation
        Batches are drawn from its rows: half of them must have a partner that differs in factor k alone, as on a full
        grid; a factor without such rows is excluded.
    rng : numpy.random.Generator
        Random number generator.
    pruning : {"kl", "sd"}
        ``kl`` excludes constant latents and, with posterior variances, those whose mean KL to N(0, 1) is at most 0.01
        nats, and uses disjoint rows for training and test votes; ``sd`` excludes latents with a standard deviation
        below 0.05, and uses all rows for both. Votes for which several latents vary equally, as where none follows
        factor k, are divided among them with ``kl``, and go to the first of them with ``sd``.
    n_train, n_test : int
        Numbers of training and test votes.
    n_rows : int
        L, the number of rows in a batch.
    n_bins : int
        Number of equal-frequency bins of continuous factors; with more bins too few rows agree.
    rescale : bool
        Whether the accuracy is rescaled so that chance level is 0, and clipped at 0.

    Returns
    -------
    RawScore
        Accuracy in [0, 1]; chance level is 1 / K for K factors; ``per_factor`` is the share of correct votes for each
        factor, never rescaled. Details: ``votes`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors change alone in half of the rows.

    Notes
    -----
    The authors draw batches from a simulator. A cell, the rows that agree in all other factors, is drawn with a
    probability proportional to its number of rows, and rows within it with replacement. Rows with missing labels are
    excluded. If every latent is excluded the score is 0.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> z_max_var(factors.astype(float), factors).value
    1.0
    """
    usable = factors_alone(representation, "z_max_var", least=2, n_bins=n_bins)
    disjoint = pruning == "kl"
    parts = halves(representation, rng) if disjoint else (None, None)
    train, test = ([cells(representation, k, rows, n_bins=n_bins).groups() for k in usable] for rows in parts)
    positions = [k for k, *both in zip(usable, train, test, strict=True) if _enough(both)]
    if len(positions) < 2:
        raise UndefinedScoreError("z_max_var needs two factors that change alone in each half of the rows")
    train, test = ([one for k, one in zip(usable, side, strict=True) if k in positions] for side in (train, test))
    kept, rule = _surviving_latents(representation, pruning)
    if not kept.any():
        note = f"every latent is excluded by the rule {rule}; the score is 0"
        return RawScore(value=0.0, settings={"prune": rule}, notes=(note,), chance=_chance(positions, rescale=rescale))
    codes = well_scaled(np.ascontiguousarray(representation.codes[:, kept]))
    codes = codes / codes.std(axis=0, ddof=1, dtype=np.float64)
    share_ties = pruning == "kl"
    votes, _ = _votes(codes, train, n_train, n_rows, rng, share_ties=share_ties)
    tested, n_tied = _votes(codes, test, n_test, n_rows, rng, share_ties=share_ties)
    correct, drawn = correct_votes(votes, tested, share_ties=share_ties), tested.sum(axis=1)

    per_factor = np.full(representation.n_factors, np.nan)
    per_factor[positions] = np.divide(correct, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    table = np.zeros((representation.n_codes, representation.n_factors))
    table[np.ix_(np.flatnonzero(kept), np.array(positions))] = votes.T
    accuracy, chance = float(correct.sum() / drawn.sum()), 1 / len(positions)
    return RawScore(
        value=max(0.0, (accuracy - chance) / (1 - chance)) if rescale else accuracy,
        per_factor=per_factor,
        details={"votes": table},
        settings={"prune": rule},
        notes=(*left_out(representation, usable), *(() if share_ties else note_on_ties(n_tied / drawn.sum()))),
        chance=_chance(positions, rescale=rescale),
    )


def _enough(both: list[RowGroups]) -> bool:
    return all(len(groups.count) >= _MIN_CELLS for groups in both)


def _chance(positions: list[int], *, rescale: bool) -> float:
    return 0.0 if rescale else 1 / len(positions)


def _surviving_latents(representation: Representation, pruning: Pruning) -> tuple[NDArray[np.bool_], str]:
    if pruning == "sd":
        return standard_deviation(representation.codes) >= 0.05, "sd<0.05"
    alive = ~representation.cached_by_codes(constant)
    if representation.mean_kl is None:
        return alive, "constant"
    return alive & (representation.mean_kl > KL_THRESHOLD), f"{representation.kl_name}<={KL_THRESHOLD}"


def _votes(
    codes: NDArray[np.float64],
    groups: list[RowGroups],
    n_votes: int,
    n_rows: int,
    rng: np.random.Generator,
    *,
    share_ties: bool,
) -> tuple[Floats, int]:
    """Return the votes for each latent by varied factor, (n_factors, n_latents), and how many were tied."""
    chosen = rng.permutation(np.arange(n_votes) % len(groups))  # each factor equally often: chance is 1 / K
    votes = np.zeros((len(groups), codes.shape[1]))
    n_tied = 0
    step = max(1, _CHUNK // (n_rows * codes.shape[1]))
    for index, group in enumerate(groups):
        n_mine = int((chosen == index).sum())
        for start in range(0, n_mine, step):
            batch = codes[
                group.draw(min(step, n_mine - start), n_rows, rng).T
            ]  # numpy sums fastest over the first axis
            batch -= batch.mean(axis=0)
            each, tied = tally(-np.einsum("lvj,lvj->vj", batch, batch) / n_rows, share_ties=share_ties)
            votes[index] += each
            n_tied += tied
    return votes, n_tied
