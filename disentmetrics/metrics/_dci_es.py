"""Explicitness and size of DCI-ES."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.forest import Forest
from disentmetrics.estimators.loss_capacity import (
    explicitness_above_minimum,
    random_feature_predictions,
    share_of_best_score,
)
from disentmetrics.estimators.permutation_importance import exceeds_its_noise
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import train_and_test_rows
from disentmetrics.statistics.targets import Target, target

Probe = Literal["random features", "forest depth"]
WIDTHS = (0, 16, 64, 256, 512)
DEPTHS = (1, 2, 4, 8, 12, 20, 32)


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Eastwood et al. (2023), DCI-ES: An Extended Disentanglement Framework with Connections to "
    "Identifiability, section 4",
    known_failure="A rotation of perfect codes scores as high as the codes themselves.",
    needs=Needs(rows=40),
    randomised=True,
    parts={"size": (0.0, float("inf")), "informativeness": (0.0, 1.0)},
    invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
    detects={"missing factor", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: ridge regression on codes and random cosines, share of the best score, gated",
        ),
        "eastwood2023": Protocol(
            source="Eastwood et al. (2023): forests of 100 trees by depth, error above the least error",
            options={"probe": "forest depth", "n_train": 10_000, "n_test": 5_000},
            invariant_to={"code order", "sign", "shift", "dead code", "factor order"},
            detects=frozenset(),
            # Depth decides the score of a perfect code, and noise scores nearly 1: see the notes.
            perfect=float("nan"),
            noise=float("nan"),
        ),
    },
)
def dci_es(
    representation: Representation,
    *,
    seed: Seed = 0,
    probe: Probe = "random features",
    n_train: int = 2_000,
    n_test: int = 2_000,
    n_trees: int = 100,
) -> RawScore:
    """How small a probe suffices to read each factor as well as any: explicitness E.

    ``mean over k of (mean over log capacity c of the best score up to c) / (best score of all)``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Decides rows and probes.
    probe : {"random features", "forest depth"}
        ``random features``: ridge regression on standardised codes and 0, 16, 64, 256 or 512 random cosines of them;
        capacity is the number of inputs. ``forest depth``: random forests of depth 1, 2, 4, 8, 12, 20, 32, and
        the published form ``1 - 2 * area above the least error / span of depths``.
    n_train, n_test : int
        Maximum numbers of training and test rows; fewer rows are split in this ratio, without splitting groups.
    n_trees : int
        Only for ``forest depth``.

    Returns
    -------
    RawScore
        E in [0, 1]; part ``size`` is the number of factors over that of codes that vary, part ``informativeness`` the
        mean best score. Details: ``capacity`` (n_capacities,) and ``score`` (n_capacities, n_factors), held-out R²
        about the mean of the training rows. Categories count by indicators, or by accuracy above that of the most
        frequent class for ``forest depth``.

    Raises
    ------
    UndefinedScoreError
        If no factor varies on the rows to learn from.

    Notes
    -----
    E depends on the family of probes and its grid: compare only what was made with the same. The published form
    measures the area above the curve's own minimum, so that a probe that never learns scores 1 and noise looks
    explicit; the default is a share of what the best probe learns, and 0 where the best is not better than the mean by
    three standard errors. It counts capacities by their logarithm. Codes that a linear probe reads as well as any
    score 1, however much noise they hold: read E beside informativeness. ``forest depth`` counts 0 where
    the area is more than all.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = dci_es(factors.astype(float), factors)
    >>> round(score.value, 3), score.parts["size"].value
    (1.0, 1.0)
    """
    alive = ~representation.cached_by_codes(constant)
    codes = well_scaled(representation.codes[:, alive]).astype(np.float64)
    forest = probe == "forest depth"
    capacity = np.array(DEPTHS) if forest else np.array(WIDTHS) + max(1, codes.shape[1])
    scores = np.full((len(capacity), representation.n_factors), np.nan)
    explicit = np.full(representation.n_factors, np.nan)
    for position in range(representation.n_factors):
        aim = representation.cached(target, position)
        train, test = train_and_test_rows(representation, aim.rows, n_train, n_test, seed)
        where = np.full(len(representation), -1)
        where[aim.rows] = np.arange(len(aim.rows))
        known, wanted = aim.values[where[train]], aim.values[where[test]]
        if not aim.varies or not len(test) or not len(train) or not np.ptp(known, axis=0).any():
            continue
        if forest:
            scores[:, position] = _forest_score(codes[train], known, codes[test], wanted, n_trees, seed)
            explicit[position] = max(0.0, explicitness_above_minimum(capacity, 1 - scores[:, position]))
        else:
            clusters = None if representation.groups is None else representation.groups[test]
            scores[:, position], learns = _random_feature_score(
                codes[train], codes[test], _columns(aim, known), _columns(aim, wanted), clusters, seed
            )
            explicit[position] = share_of_best_score(capacity, scores[:, position]) if learns else 0.0
    defined = ~np.isnan(explicit)
    if not defined.any():
        raise UndefinedScoreError(
            "dci_es needs a factor that varies on the rows to learn from; every factor is constant"
        )
    return RawScore(
        value=mean_over_factors(explicit),
        per_factor=explicit,
        details={"capacity": capacity, "score": scores},
        parts={
            "size": float(representation.n_factors / alive.sum()) if alive.any() else float("nan"),
            "informativeness": float(np.clip(scores[:, defined].max(axis=0), 0.0, 1.0).mean()),
        },
    )


def _columns(aim: Target, values: NDArray[Any]) -> Floats:
    return np.eye(aim.n_classes)[values] if aim.is_class else values


def _random_feature_score(
    codes: Floats, new: Floats, known: Floats, wanted: Floats, clusters: NDArray[np.int64] | None, seed: Seed
) -> tuple[Floats, bool]:
    """Return held-out R² at each width, and whether the best beats the mean by three standard errors."""
    both = standardise(np.vstack([codes, new]))
    rng = generator(seed, "dci_es random features")
    guesses = random_feature_predictions(both[: len(codes)], known, both[len(codes) :], WIDTHS, rng)
    baseline = ((wanted - known.mean(axis=0)) ** 2).sum(axis=1)
    if baseline.sum() <= 0:
        return np.zeros(len(WIDTHS)), False
    losses = np.stack([((guess - wanted) ** 2).sum(axis=1) for guess in guesses])
    gain = baseline - losses[losses.sum(axis=1).argmin()]
    return 1 - losses.sum(axis=1) / baseline.sum(), bool(exceeds_its_noise(gain[None], clusters)[0])


def _forest_score(
    codes: Floats, known: NDArray[Any], new: Floats, wanted: NDArray[Any], n_trees: int, seed: Seed
) -> Floats:
    """Return held-out R² at each depth, or ``(accuracy - a) / (1 - a)`` for classes."""
    if not codes.shape[1]:
        return np.zeros(len(DEPTHS))
    state = int(generator(seed, "dci_es forest").integers(2**31))
    features: Literal["sqrt"] | float = "sqrt" if known.ndim == 1 else 1.0
    forests = (
        Forest.fit(codes, known, n_trees=n_trees, state=state, max_features=features, max_depth=depth)
        for depth in DEPTHS
    )
    guesses = (forest.predict(new) for forest in forests)
    if known.ndim == 1:
        baseline = float((np.bincount(known).argmax() != wanted).sum())
        loss = np.array([(guess.argmax(axis=1) != wanted).sum() for guess in guesses], dtype=np.float64)
    else:
        baseline = float(((wanted - known.mean(axis=0)) ** 2).sum())
        loss = np.array([((guess - wanted) ** 2).sum() for guess in guesses])
    return 1 - loss / baseline if baseline > 0 else np.zeros(len(DEPTHS))
