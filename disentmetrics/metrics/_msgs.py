"""Most similar gap score."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.target_scores import TargetScore
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.one_vs_rest import one_vs_rest_scores


@metric(
    family="matching",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Moinfar & Theis (2024), Unsupervised Deep Disentangled Representation of Single-Cell Omics, methods",
    known_failure="Two factors packed losslessly into one latent score as high as one latent each.",
    needs=Needs(rows=3),
    # A single threshold separates only the extreme values of an ordinal factor, whereas ranks use all of them. Close
    # to the threshold of detection: asc is lowered by 0.103 (blurred).
    invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="DRVI: scaled mutual information with 10 equal-width bins (MSGS-SMI)",
            precision=5e-3,  # equal values on the edge of two bins
        ),
        "spn": Protocol(
            source="DRVI: share of right neighbours of the same class (MSGS-SPN)",
            options={"score": "spn"},
            invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
            detects={"rotated", "rotated copy", "missing factor", "blurred"},
        ),
        "bmmi": Protocol(
            source="DRVI: mutual information of the best threshold (MSGS-BMMI)",
            options={"score": "bmmi"},
            invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
            perfect=0.568,
        ),
        "asc": Protocol(
            source="DRVI: absolute Spearman correlation (MSGS-ASC)",
            options={"score": "asc"},
            invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "rotated copy", "missing factor", "blurred"},
            perfect=0.346,
        ),
    },
)
def msgs(representation: Representation, *, score: TargetScore = "smi", n_bins: int = 10) -> RawScore:
    """Most similar gap score: gap between the scores of the two best latents for each one-hot target.

    ``mean over t of [S(1st, t) - S(2nd, t)]``, with S(j, t) the score of latent j for target t, sorted over latents;
    every value of every factor is a one-hot target.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for its values; continuous factors are discretised into 10
        equal-frequency bins.
    score : {"smi", "spn", "bmmi", "asc"}
        Score of a latent for a target; see :func:`disentmetrics.estimators.target_scores.target_scores`.
    n_bins : int
        Number of equal-width bins per latent; only for ``smi``.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if every value of every factor is perfectly separated by one latent and unrelated to all others.
        ``per_factor``: mean over the factor's values. Details: ``scores`` (n_codes, n_targets), ``target_factor`` and
        ``target_value`` (n_targets,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    With a single latent the second score is 0. Tied values, factor values with a single row and dead latents are
    treated as in :data:`disentmetrics.metrics.lms`; the authors' code, which breaks ties by row order, gives 0.37
    instead of 1 for ``spn`` on a perfect code of a full grid.

    Examples
    --------
    >>> kind = np.arange(300) % 3
    >>> msgs(kind, kind).value, msgs(np.stack([kind, -kind], axis=1), kind).value
    (1.0, 0.0)
    """
    targets = representation.cached(one_vs_rest_scores, score, n_bins)
    best, second = best_and_second(targets.scores)
    gap = best - second
    return RawScore(
        value=float(gap.mean()),
        per_factor=targets.mean_of_each_factor(gap, representation.n_factors),
        details={"scores": targets.scores, "target_factor": targets.factor, "target_value": targets.value},
        settings={"targets": str(len(gap))},
        notes=_packing_note(representation, targets.scores, targets.factor),
    )


def _packing_note(
    representation: Representation, scores: NDArray[np.float64], factor: NDArray[np.int64]
) -> tuple[str, ...]:
    names, notes = np.array(representation.space.names), []
    used = np.where(scores.max(axis=0) > 0.5, scores.argmax(axis=0), -1)
    for code in np.unique(used[used >= 0]):
        served = np.unique(factor[used == code])
        if len(served) > 1:
            notes.append(
                f"{representation.code_names[code]} is the best latent for values of {' and '.join(names[served])}: "
                "this metric does not penalise packing"
            )
    return tuple(notes)
