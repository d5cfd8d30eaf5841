"""Unfairness: dependence of predictions of a target factor on sensitive factors."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import MOST_ROWS, Classifier, FittedProbe, fit_probe
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import MOST_CLASSES, class_target


@metric(
    family="downstream",
    bounds=(0.0, 1.0),
    higher_is_better=False,
    paper="Locatello, Abbati, Rainforth, Bauer, Schölkopf & Bachem (2019), On the Fairness of Disentangled "
    "Representations, section 4",
    known_failure="Uninformative codes are perfectly fair, because all predictions are equal.",
    needs=Needs(factors=2, rows=40, groups=2),
    randomised=True,
    parts={"maximum": (0.0, 1.0), "worst_pair": (0.0, 1.0)},
    invariant_to=all_except("monotone warp"),
    # Each defect raises the score from 0 to little more than the 0.1 that counts as detected.
    detects={"packed", "missing factor", "blurred"},
    perfect=0.0,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: cross-fitted logistic regression, predictions compared at equal values of the "
            "target, 10 classes per factor",
        ),
        "locatello2019": Protocol(
            source="Locatello et al. (2019), code of disentanglement_lib: gradient boosting with 100 trees per class, "
            "each value a class; interventions by conditioning",
            options={"classifier": "gradient-boosting", "all_values": True, "n_tested": 1, "matched": False},
            invariant_to=frozenset(),
            detects=frozenset(),
            perfect=math.nan,  # chance variation of small samples
            noise=math.nan,
            slow=True,
        ),
    },
)
def unfairness(
    representation: Representation,
    *,
    seed: Seed,
    classifier: Classifier = "logistic",
    all_values: bool = False,
    n_tested: int = N_FOLDS,
    matched: bool = True,
) -> RawScore:
    """Unfairness: mean total variation of predictions of a factor under interventions on another factor.

    ``mean over targets i and sensitive factors s != i of mean_c TV(p(y_i | do(v_s = c)),
    p(y_i))``, with y_i the class predicted from all latents, and ``TV(p, q) = sum |p - q| / 2``.

    Parameters
    ----------
    representation : Representation
        At least two factors.
    seed : int or tuple of int
        Random seed; folds and classifiers are shared with ``downstream_accuracy``.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``.
    all_values : bool
        Whether each value is a class; otherwise at most 10 classes per factor, for targets and sensitive factors.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.
    matched : bool
        Whether rows with v_s = c are weighted so that each value of the target is as frequent among them as among all
        rows, as under an intervention; otherwise they have equal weights.

    Returns
    -------
    RawScore
        In [0, 1]; lower is better, 0 if no prediction depends on another factor. ``per_factor`` is the mean for the
        factor as the target. Parts: ``maximum``, with the maximum over c in place of the mean, and ``worst_pair``,
        the mean over c for the worst pair of target and sensitive factor. Details: ``total_variation``
        (n_factors as target, n_factors as sensitive), NaN where undefined.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or all rows belong to one group.

    Notes
    -----
    The authors change v_s in a simulator and keep all other factors. In a table the rows with v_s = c replace this
    intervention, which is equivalent if factors are independent and, with ``matched``, also if only v_s and the
    target depend on each other. Chance variation of few rows contributes up to about
    ``sqrt(classes / rows with v_s = c) / 3``; compare with the null. All predictions are out of fold.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> unfairness(factors.astype(float), factors).value
    0.0
    """
    max_classes = None if all_values else MOST_CLASSES
    n = representation.n_factors
    mean, largest = np.full((n, n), np.nan), np.full((n, n), np.nan)
    for i in range(n):
        probe = representation.cached(fit_probe, i, MOST_ROWS, classifier, seed, most=max_classes, n_tested=n_tested)
        for s in range(n):
            if probe is not None and s != i:
                mean[i, s], largest[i, s] = _total_variation(representation, probe, s, max_classes, matched=matched)
    pairs = ~np.isnan(mean)
    if not pairs.any():
        raise UndefinedScoreError("unfairness needs two factors that vary and rows from at least two groups")
    per_factor = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in mean])
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"total_variation": mean},
        settings={"classes": "values" if all_values else f"<={MOST_CLASSES}"},
        parts={"maximum": float(largest[pairs].mean()), "worst_pair": float(mean[pairs].max())},
    )


def _total_variation(
    representation: Representation, probe: FittedProbe, sensitive: int, max_classes: int | None, *, matched: bool
) -> tuple[float, float]:
    """Return the mean and maximum over values of the sensitive factor of the total variation of predictions."""
    factor = representation.cached(class_target, sensitive, max_classes)
    if not factor.varies:
        return math.nan, math.nan
    c = factor.values[probe.rows]
    y_true, y_pred, c = probe.y_true[c >= 0], probe.y_pred[c >= 0], c[c >= 0]
    n_classes = int(max(probe.y_true.max(), probe.y_pred.max())) + 1
    counts = np.zeros((factor.n_classes, n_classes, n_classes))  # sensitive value, true class, predicted class
    np.add.at(counts, (c, y_true, y_pred), 1.0)
    counts = counts[counts.any(axis=(1, 2))]
    if len(counts) < 2:
        return math.nan, math.nan
    predicted = _matched(counts) if matched else counts.sum(axis=1) / counts.sum(axis=(1, 2))[:, None]
    weight = counts.sum(axis=(1, 2)) / counts.sum()
    variation = np.abs(predicted - weight @ predicted).sum(axis=1) / 2
    return float(weight @ variation), float(variation.max())


def _matched(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution of predicted classes under each sensitive value, standardised to the true classes.

    True classes that do not occur with a sensitive value cannot be reweighted; they use the predictions over all
    sensitive values.
    """
    seen = counts.sum(axis=2, keepdims=True)
    overall = counts.sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    given = np.where(seen > 0, counts / np.maximum(seen, 1.0), overall)
    frequency = seen.sum(axis=0)[:, 0] / counts.sum()
    return np.asarray(np.einsum("t,stg->sg", frequency, given))
