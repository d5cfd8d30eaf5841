"""How few labels a probe needs: the loss-data curve, and the length of a code for the labels."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import MOST_CLASSES, Classifier, FittedProbe, fit_probe_at_each_size
from disentmetrics.statistics.probes import N_FOLDS

_SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)


@metric(
    family="downstream",
    bounds=(-math.inf, 1.0),
    higher_is_better=True,
    paper="Voita & Titov (2020), Information-Theoretic Probing with Minimum Description Length; Whitney, Song, "
    "Brandfonbrener, Altosaar & Cho (2021), Evaluating Representations by the Complexity of Learning Low-Loss "
    "Predictors",
    known_failure="Rotated codes score as well as perfect ones: the probe reads all codes together.",
    needs=Needs(rows=20),
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
    perfect=math.nan,  # the first rows cost most
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: online code of a logistic regression, losses on held-out rows, tolerance a "
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
    """Share of the description length of a factor's labels that knowing the codes saves.

    ``mean over k of 1 - D_k(z) / D_k()`` with the length in nats of an online code of n labels,
    ``D = n_1 log(classes) + sum_i (n_(i+1) - n_i) L(n_i)``, and L(n) the loss per label of a probe that learnt from
    n rows: from the codes, or from the frequencies of the labels alone.

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
        The loss that is to be reached, as a share of the loss of frequencies alone, for ``rows_needed`` and
        ``surplus_description_length``.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.

    Returns
    -------
    RawScore
        At most 1; 0 where the codes save nothing, below it where they mislead. Parts, means over factors:
        ``description_length`` in nats, of as many labels as a fold has to learn from, at most 10,000;
        ``surplus_description_length``, ``n_1 (log(classes) - e) + sum_i (n_(i+1) - n_i) max(L(n_i) - e, 0)`` in
        nats and ``rows_needed``, the rows at which L falls to e on the logarithmic scale of n, both NaN if some
        factor's loss never falls to e; ``loss``, that from all rows, in nats. Details: ``rows`` (n,) and
        ``curve`` (n, n_factors), losses in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    Accuracies at chosen numbers of rows (``downstream_efficiency``) depend on the choice and see no confidence;
    the area under the whole curve is a code length, which is defined for every probe and every
    representation, and falls with better codes by Kraft's inequality. The surplus description length does not grow
    with the table, but is infinite where the tolerated loss is not reached, as for a factor that
    is missing: it is a part, and the saved share, which is bounded and compares factors of unlike entropy, the
    value. That share grows with the number of rows, as the first rows cost most: compare at equal numbers. Numbers
    of rows are 10, 30, 100, ..., each among the next; L is measured on other rows instead of the next block, which
    has the same expectation and less noise, and probabilities are mixed with uniform ones as one row would.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = loss_data_curve(factors.astype(float), factors)
    >>> score.value > 0.8, score.parts["rows_needed"].value < 100
    (True, True)
    """
    found = fit_probe_at_each_size(representation, _SIZES, classifier, seed, MOST_CLASSES, n_tested)
    curves = [_Curve([row[k] for row in found]) for k in range(representation.n_factors)]
    lengths = [len(curve.rows) for curve in curves]
    if not any(lengths):
        raise UndefinedScoreError("loss_data_curve needs a factor that varies, and rows of two groups or more")
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
    """The losses of one factor; empty where there is nothing to learn."""

    def __init__(self, learnt: list[FittedProbe | None]) -> None:
        different: dict[int, FittedProbe] = {}
        for one in learnt:
            if one is not None:
                different.setdefault(one.n_train, one)
        points = list(different.values())
        self.rows: NDArray[np.int64] = np.array(list(different), dtype=np.int64)
        self.loss = np.array([one.loss for one in points])
        self.baseline = np.array([one.baseline_loss for one in points])
        self.uniform = math.log(max(2, *(int(one.truth.max()) + 1 for one in points))) if points else 0.0

    def length(self, loss: NDArray[np.float64], offset: float = 0.0) -> float:
        """Return the nats of an online code whose losses, less the offset and not below 0, are these."""
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
        logs = np.log(self.rows[[first - 1, first]])
        return float(np.exp(logs[0] + share * (logs[1] - logs[0])))
