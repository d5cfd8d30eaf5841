"""Latent matching score."""

import numpy as np

from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.target_scores import TargetScore
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.one_vs_rest import one_vs_rest_scores


@metric(
    family="matching",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Moinfar & Theis (2024), Unsupervised Deep Disentangled Representation of Single-Cell Omics, methods",
    known_failure="A factor encoded without noise in one latent scores at most 1 / (number of its values).",
    needs=Needs(rows=3),
    # Three latents can be matched with three of the 19 factor values of the examples. Close to the threshold of
    # detection: rotated lowers the default by 0.106.
    invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation"),
    detects={"rotated", "blurred"},
    perfect=0.158,
    protocols={
        "default": Protocol(
            source="DRVI: scaled mutual information with 10 equal-width bins (LMS-SMI)",
            precision=5e-3,  # equal values on the edge of two bins
        ),
        "spn": Protocol(
            source="DRVI: share of right neighbours of the same class (LMS-SPN)",
            options={"score": "spn"},
            invariant_to=all_except("duplicated code", "repeated rows", "rotation"),
            detects={"blurred"},
        ),
        "bmmi": Protocol(
            source="DRVI: mutual information of the best threshold (LMS-BMMI)",
            options={"score": "bmmi"},
            invariant_to=all_except("duplicated code", "rotation"),
        ),
        "asc": Protocol(
            source="DRVI: absolute Spearman correlation (LMS-ASC)",
            options={"score": "asc"},
            invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
            detects=frozenset(),
            perfect=0.109,
        ),
    },
)
def lms(representation: Representation, *, score: TargetScore = "smi", n_bins: int = 10) -> RawScore:
    """Latent matching score: mean score of one-hot targets under the best one-to-one matching with latents.

    ``max over one-to-one matchings of [sum over pairs S(j, t)] / number of targets``, with S(j, t) the score of
    latent j for target t; every value of every factor is a one-hot target. Unmatched targets count as 0.

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
        In [0, 1]; 1 if every value of every factor has its own latent. ``per_factor``: mean over the factor's values.
        Details: ``scores`` (n_codes, n_targets), ``target_factor`` and ``target_value`` (n_targets,), which identify
        the targets, and ``assignment`` (n_targets,), the latent of each target, -1 for none.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Designed for latents that are each active for one cell type or process; a latent that runs through all values of a
    factor can be matched with only one of them. The authors' code breaks ties between equal values of a latent by row
    order, so that ``spn`` depends on the order of the file; here ``spn`` is the mean over all orders of tied rows. A
    value with a single row has no neighbour and is not a target of ``spn``; the authors' code returns NaN. Dead
    latents score 0.

    Examples
    --------
    >>> kind = np.arange(300) % 3
    >>> one_hot = np.eye(3)[kind]
    >>> lms(one_hot, kind).value, round(lms(kind, kind).value, 6)
    (1.0, 0.333333)
    """
    targets = representation.cached(one_vs_rest_scores, score, n_bins)
    codes, columns = one_to_one_assignment(targets.scores)
    own = np.zeros(len(targets.factor))
    own[columns] = targets.scores[codes, columns]
    assignment = np.full(len(own), -1)
    assignment[columns] = codes
    return RawScore(
        value=float(own.mean()),
        per_factor=targets.mean_of_each_factor(own, representation.n_factors),
        details={
            "scores": targets.scores,
            "target_factor": targets.factor,
            "target_value": targets.value,
            "assignment": assignment,
        },
        settings={"targets": str(len(own))},
        notes=_size_note(len(own), representation.n_codes),
    )


def _size_note(n_targets: int, n_codes: int) -> tuple[str, ...]:
    if n_targets <= n_codes:
        return ()
    note = f"{n_targets} factor values are matched one-to-one with {n_codes} latents"
    return (f"{note}: no representation of this size can score above {n_codes / n_targets:.3f}",)
