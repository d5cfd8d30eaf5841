"""Most similar averaging score."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.target_scores import TargetScore
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.one_vs_rest import one_vs_rest_scores


@metric(
    family="matching",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Moinfar & Theis (2024), Unsupervised Deep Disentangled Representation of Single-Cell Omics, methods",
    known_failure="A single latent that encodes all factors losslessly scores as high as one latent per factor.",
    needs=Needs(rows=3),
    # A single threshold separates only the extreme values of an ordinal factor, whereas ranks use all of them. Close
    # to the threshold of detection: asc is lowered by 0.095 (rotated), 0.091 (packed) and 0.106 (blurred).
    invariant_to=all_except("monotone warp", "outlier", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="DRVI: scaled mutual information with 10 equal-width bins (MSAS-SMI)",
            precision=5e-3,  # equal values on the edge of two bins
        ),
        "spn": Protocol(
            source="DRVI: share of right neighbours of the same class (MSAS-SPN)",
            options={"score": "spn"},
            invariant_to=all_except("repeated rows", "rotation"),
            detects={"rotated", "missing factor", "blurred"},
        ),
        "bmmi": Protocol(
            source="DRVI: mutual information of the best threshold (MSAS-BMMI)",
            options={"score": "bmmi"},
            invariant_to=all_except("rotation", "dependent factors"),
            perfect=0.569,
        ),
        "asc": Protocol(
            source="DRVI: absolute Spearman correlation (MSAS-ASC)",
            options={"score": "asc"},
            invariant_to=all_except("rotation", "dependent factors"),
            detects={"missing factor", "blurred"},
            perfect=0.368,
        ),
    },
)
def msas(representation: Representation, *, score: TargetScore = "smi", n_bins: int = 10) -> RawScore:
    """Most similar averaging score: mean score of the best latent for each one-hot target.

    ``mean over t of max over j of S(j, t)``, with S(j, t) the score of latent j for target t; every value of every
    factor is a one-hot target.

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
        In [0, 1]; 1 if every value of every factor is perfectly separated by some latent. ``per_factor``: mean over
        the factor's values. Details: ``scores`` (n_codes, n_targets), ``target_factor`` and ``target_value``
        (n_targets,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A latent may be the best one for any number of targets: the score measures informativeness, not disentanglement.
    The maximum over many latents is above 0 for noise. Tied values, factor values with a single row and dead latents
    are treated as in :data:`disentmetrics.metrics.lms`.

    Examples
    --------
    >>> kind = np.arange(300) % 3
    >>> msas(kind, kind).value, round(msas(kind, kind, protocol="bmmi").value, 3)
    (1.0, 0.758)
    """
    targets = representation.cached(one_vs_rest_scores, score, n_bins)
    best = targets.scores.max(axis=0)
    return RawScore(
        value=float(best.mean()),
        per_factor=targets.mean_of_each_factor(best, representation.n_factors),
        details={"scores": targets.scores, "target_factor": targets.factor, "target_value": targets.value},
        settings={"targets": str(len(best))},
        notes=_sharing_note(representation, targets.scores, best),
    )


def _sharing_note(
    representation: Representation, scores: NDArray[np.float64], best: NDArray[np.float64]
) -> tuple[str, ...]:
    used = scores.argmax(axis=0)[best > 0.5]
    if len(used) <= len(np.unique(used)):
        return ()
    shared = f"{len(used)} factor values share {len(np.unique(used))} of {representation.n_codes} latents"
    return (f"{shared}: this metric does not penalise values that share a latent",)
