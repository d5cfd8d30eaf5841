"""Loss-data curve and description length of the labels given the codes."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import Classifier, FittedProbe, fit_probe_at_each_size
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import MOST_CLASSES

_SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)


@metric(
    family="downstream",
    bounds=(-math.inf, 1.0),
    higher_is_better=True,
    paper="Voita & Titov (2020), Information-Theoretic Probing with Minimum Description Length; Whitney, Song, "
    "Brandfonbrener, Altosaar & Cho (2021), Evaluating Representations by the Complexity of Learning Low-Loss "
    "Predictors",
    known_failure="A rotated code scores as high as a perfect one: the probe uses all latents jointly.",
    needs=Needs(rows=20, groups=2),
    randomised=True,
    parts={
        "description_length": (0.0, math.inf),
        "surplus_description_length": (0.0, math.inf),
        "rows_needed": (0.0, math.inf),
        "loss": (0.0, math.inf),
    },
    lower_is_better=("description_length", "surplus_description_length", "rows_needed", "loss"),
    invariant_to=all_except("monotone warp", "repeated rows", "dependent factors"),
    detects={"packed", "missing factor", "blurred"},
    perfect=math.nan,  # below 1: the first rows are the most expensive
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: online code of a logistic regression, losses on held-out rows, tolerance of a "
            "tenth of the entropy",
        ),
    },
)
def loss_data_curve(
    representation: Representation,
    *,
    seed: Seed,
    classifier: Classifier = "logistic",
    tolerance: float = 0.1,
    n_tested: int = N_FOLDS,
) -> RawScore:
    """Share of the description length of each factor's labels that is saved by knowing the codes.

    ``mean over k of 1 - D_k(z) / D_k()``, with the length in nats of an online code for n labels,
    ``D = n_1 log(classes) + sum_i (n_(i+1) - n_i) L(n_i)``, and L(n) the loss per label of a probe trained on n rows:
    D(z) of a probe on the codes, D() of label frequencies only.

    Parameters
    ----------
    representation : Representation
        Factors of any kind; ordinal, circular and continuous factors with more than 10 values are merged into 10
        equal-frequency classes.
    seed : int or tuple of int
        Random seed; folds and classifiers are shared with ``downstream_accuracy``.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        The probe, as for ``downstream_accuracy``.
    tolerance : float
        Tolerated loss e, as a fraction of the loss of label frequencies, for ``rows_needed`` and
        ``surplus_description_length``.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.

    Returns
    -------
    RawScore
        At most 1; 0 if the codes save nothing, negative if they mislead. Parts, means over factors:
        ``description_length`` in nats, of all training labels, at most 10,000; ``surplus_description_length``, ``n_1
        (log(classes) - e) + sum_i (n_(i+1) - n_i) max(L(n_i) - e, 0)`` in nats, and ``rows_needed``, the number of
        rows at which L reaches e, interpolated on a logarithmic scale, both NaN if the loss of some factor never
        reaches e; ``loss``, after training on all rows, in nats. Details: ``rows`` (n,) and ``curve`` (n, n_factors),
        losses in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    Accuracies at selected numbers of rows (``downstream_efficiency``) depend on that selection and ignore confidence;
    the area under the entire curve is a code length, which is defined for every probe and representation, and
    decreases with better codes by Kraft's inequality. The surplus description length does not grow with the table,
    but is infinite if the tolerated loss is not reached, as for a missing factor; therefore it is a part, and the
    saved share, which is bounded and comparable between factors of different entropy, is the value. That share
    increases with the number of rows, because the first rows are the most expensive: compare at equal numbers of
    rows. Numbers of rows are 10, 30, 100, ..., with nested samples; L is measured on held-out rows instead of the
    next block, which has the same expectation and less noise, and probabilities are mixed with uniform ones with the
    weight of one row.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = loss_data_curve(factors.astype(float), factors)
    >>> score.value > 0.8, score.parts["rows_needed"].value < 100
    (True, True)
    """
    probes = fit_probe_at_each_size(representation, _SIZES, classifier, seed, MOST_CLASSES, n_tested)
    curves = [_Curve([row[k] for row in probes]) for k in range(representation.n_factors)]
    lengths = [len(curve.rows) for curve in curves]
    if not any(lengths):
        raise UndefinedScoreError("loss_data_curve needs a factor that varies and rows from at least two groups")
    saved = np.array([curve.saved() for curve in curves])
    defined = [curve for curve in curves if len(curve.rows)]
    longest = max(curves, key=lambda curve: len(curve.rows))
    table = np.full((max(lengths), representation.n_factors), np.nan)
    for k, curve in enumerate(curves):
        table[: len(curve.rows), k] = curve.loss
    return RawScore(
        value=mean_over_factors(saved),
        per_factor=saved,
        details={"rows": longest.rows, "curve": table},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={
            "description_length": float(np.mean([curve.length(curve.loss) for curve in defined])),
            "surplus_description_length": float(np.mean([curve.surplus(tolerance) for curve in defined])),
            "rows_needed": float(np.mean([curve.rows_needed(tolerance) for curve in defined])),
            "loss": float(np.mean([curve.loss[-1] for curve in defined])),
        },
    )


class _Curve:
    """Loss-data curve of one factor; empty if the factor is constant."""

    def __init__(self, probes: list[FittedProbe | None]) -> None:
        by_size: dict[int, FittedProbe] = {}  # sizes beyond the number of rows give the same probe
        for probe in probes:
            if probe is not None:
                by_size.setdefault(probe.n_train, probe)
        points = list(by_size.values())
        self.rows: NDArray[np.int64] = np.array(list(by_size), dtype=np.int64)
        self.loss = np.array([probe.loss for probe in points])
        self.baseline = np.array([probe.baseline_loss for probe in points])
        self.uniform = math.log(max(2, *(int(probe.y_true.max()) + 1 for probe in points))) if points else 0.0

    def length(self, loss: NDArray[np.float64], offset: float = 0.0) -> float:
        """Return the length in nats of an online code with these losses minus the offset, clipped at 0."""
        excess = np.maximum(loss - offset, 0.0)
        return float(self.rows[0] * max(self.uniform - offset, 0.0) + np.diff(self.rows) @ excess[:-1])

    def saved(self) -> float:
        if not len(self.rows):
            return math.nan
        return 1 - self.length(self.loss) / self.length(self.baseline)

    def surplus(self, tolerance: float) -> float:
        tolerated = tolerance * float(self.baseline[-1])
        return self.length(self.loss, tolerated) if self.loss[-1] <= tolerated else math.nan

    def rows_needed(self, tolerance: float) -> float:
        tolerated = tolerance * float(self.baseline[-1])
        below = np.flatnonzero(self.loss <= tolerated)
        if not len(below):
            return math.nan
        first = int(below[0])
        if first == 0:
            return float(self.rows[0])
        before, after = self.loss[first - 1], self.loss[first]
        share = (before - tolerated) / (before - after)
        log_rows = np.log(self.rows[[first - 1, first]])
        return float(np.exp(log_rows[0] + share * (log_rows[1] - log_rows[0])))
