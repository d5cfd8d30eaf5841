"""Downstream accuracy after removing the most important latents of a factor."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import Classifier, fit_probe
from disentmetrics.statistics.mutual_information import information_matrix
from disentmetrics.statistics.targets import MOST_CLASSES

_N_TRAIN = 1_000


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="disentanglement_lib 1.5, reduced_downstream_task; after Locatello et al. (2019)",
    known_failure="Duplicating every latent gives 0: the information remains in the copy.",
    needs=Needs(codes=2, factors=2, rows=40, groups=2),
    randomised=True,
    parts={"own": (-1.0, 1.0), "others": (-1.0, 1.0)},
    lower_is_better=("others",),
    invariant_to=all_except(
        "monotone warp", "outlier", "duplicated code", "repeated rows", "rotation", "dependent factors"
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    perfect=math.nan,  # 1, up to 0.02: predictions of a removed factor scatter around chance level
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: most informative latent removed, logistic regression on 1,000 rows",
        ),
    },
)
def reduced_downstream(
    representation: Representation, *, seed: Seed, n_dropped: int = 1, classifier: Classifier = "logistic"
) -> RawScore:
    """Reduced downstream accuracy: loss for a factor when its latents are removed minus loss for other factors.

    ``mean over k of (A_k - A_k^(-k)) - mean over j != k of (A_j - A_j^(-k))``, with A_j the chance-corrected held-out
    accuracy for factor j, and A_j^(-k) that without the most important latents of factor k.

    Parameters
    ----------
    representation : Representation
        At least two latents and two factors.
    seed : int or tuple of int
        Random seed; folds are shared with ``downstream_accuracy``.
    n_dropped : int
        Number of latents removed per factor; fewer if none would be left.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``; trained on 1,000 rows.

    Returns
    -------
    RawScore
        In [-1, 1]; 1 if removing the latents of a factor destroys the prediction of that factor and of no other, 0 if
        nothing or everything is lost. Parts: ``own`` and ``others``, the two losses. Details: ``loss``
        (n_factors whose latents are removed, n_factors predicted), NaN for factors that do not vary.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or all rows belong to one group.

    Notes
    -----
    Importance is the mutual information of single latents, estimated by rank spacings; the authors use the
    importances of gradient boosting, refitted after each removal, and report raw accuracies. Accuracies are
    chance-corrected, ``(a - b) / (1 - b)`` with b that of the most frequent class, so that factors with few and with
    many values are comparable. A factor that is not encoded loses nothing.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> reduced_downstream(factors.astype(float), factors).value > 0.9
    True
    """
    n = representation.n_factors
    importance = representation.cached(information_matrix, "finite-resolution", 20)
    before = _chance_corrected_accuracy(representation, seed, classifier, None)
    loss = np.full((n, n), np.nan)
    varied = np.flatnonzero(~np.isnan(before))
    if len(varied) < 2:
        raise UndefinedScoreError("reduced_downstream needs two factors that vary and rows from at least two groups")
    for k in varied:
        order = np.argsort(-importance[:, k], kind="stable")
        kept = np.sort(order[min(n_dropped, representation.n_codes - 1) :])
        loss[k] = before - _chance_corrected_accuracy(representation, seed, classifier, tuple(int(j) for j in kept))
    per_factor, own, others = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for k in varied:
        own[k], others[k] = loss[k, k], np.delete(loss[k], k)[~np.isnan(np.delete(before, k))].mean()
    per_factor[varied] = own[varied] - others[varied]
    return RawScore(
        value=float(np.clip(mean_over_factors(per_factor), -1.0, 1.0)),
        per_factor=per_factor,
        details={"loss": loss},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={
            name: float(np.clip(mean_over_factors(values), -1.0, 1.0))
            for name, values in (("own", own), ("others", others))
        },
    )


def _chance_corrected_accuracy(
    representation: Representation, seed: Seed, classifier: Classifier, codes: tuple[int, ...] | None
) -> NDArray[np.float64]:
    probes = [
        representation.cached(fit_probe, k, _N_TRAIN, classifier, seed, codes=codes)
        for k in range(representation.n_factors)
    ]
    return np.array([np.nan if probe is None else probe.above_chance for probe in probes])
