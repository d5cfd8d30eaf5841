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
from disentmetrics.estimators.permutation_importance import MIN_GROUPS, exceeds_its_noise
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.probes import single_split, without_split
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
    known_failure="A rotation of a perfect code scores as high as the code itself.",
    needs=Needs(rows=40, groups=2),
    randomised=True,
    parts={"size": (0.0, float("inf")), "informativeness": (0.0, 1.0)},
    invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
    detects={"missing factor", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: ridge regression on codes and random Fourier features, share of the best score",
            needs=Needs(rows=40, groups=MIN_GROUPS),
        ),
        "eastwood2023": Protocol(
            source="Eastwood et al. (2023): forests of 100 trees of increasing depth, loss above the minimal loss",
            options={"probe": "forest depth", "n_train": 10_000, "n_test": 5_000},
            invariant_to={"code order", "sign", "shift", "dead code", "factor order"},
            detects=frozenset(),
            # The score of a perfect code depends on the depths, and noise scores nearly 1: see the notes.
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
    """Explicitness E of DCI-ES: how little probe capacity suffices for the best score of each factor.

    ``mean over k of (mean over log capacity c of the best score up to c) / (best score at any c)``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the choice of rows and the probes.
    probe : {"random features", "forest depth"}
        ``random features``: ridge regression on the standardised codes and 0, 16, 64, 256 or 512 random Fourier
        features of them; capacity is the number of inputs. ``forest depth``: random forests of depth 1, 2, 4, 8, 12,
        20, 32, with the published ``E = 1 - 2 * area between the loss curve and its minimum / range of depths``.
    n_train, n_test : int
        Maximum numbers of training and test rows; fewer rows are split in this ratio, without splitting groups.
    n_trees : int
        Number of trees; only for ``forest depth``.

    Returns
    -------
    RawScore
        E in [0, 1]; part ``size`` is the number of factors divided by the number of varying latents, part
        ``informativeness`` the mean best score. Details: ``capacity`` (n_capacities,) and ``score``
        (n_capacities, n_factors), held-out R² relative to the mean of the training rows. Categorical factors are
        scored by R² of their indicators, or, for ``forest depth``, by accuracy above that of the most frequent class.

    Raises
    ------
    UndefinedScoreError
        If no factor varies among the training rows, or if rows are of fewer than four groups (two for ``forest
        depth``).

    Notes
    -----
    E depends on the family of probes and the grid of capacities: compare only scores computed with the same ones. The
    published form measures the area above the minimum of the loss curve itself, so that a probe that never learns
    scores 1 and noise looks explicit; the default is relative to the score of the best probe, and 0 if that does not
    exceed the mean predictor by three standard errors. It averages over the logarithm of capacity. Codes for which a
    linear probe is optimal score 1, however noisy they are: interpret E together with informativeness.
    ``forest depth`` clips E at 0.

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
    min_groups = 2 if forest else MIN_GROUPS
    capacity = np.array(DEPTHS) if forest else np.array(WIDTHS) + max(1, codes.shape[1])
    scores = np.full((len(capacity), representation.n_factors), np.nan)
    explicit = np.full(representation.n_factors, np.nan)
    for position in range(representation.n_factors):
        factor = representation.cached(target, position)
        split = single_split(representation, factor, n_train, n_test, seed, min_groups=min_groups)
        if split is None:
            continue
        train, test = split
        y_train, y_test = factor.values[train], factor.values[test]
        if forest:
            scores[:, position] = _forest_score(codes[train], y_train, codes[test], y_test, n_trees, seed)
            explicit[position] = max(0.0, explicitness_above_minimum(capacity, 1 - scores[:, position]))
        else:
            units = representation.resampling_units
            scores[:, position], significant = _random_feature_score(
                codes[train],
                codes[test],
                _target_columns(factor, y_train),
                _target_columns(factor, y_test),
                None if units is None else units[test],
                seed,
            )
            explicit[position] = share_of_best_score(capacity, scores[:, position]) if significant else 0.0
    defined = ~np.isnan(explicit)
    excluded = without_split(representation, defined, min_groups=min_groups)
    if not defined.any():
        raise UndefinedScoreError(f"dci_es cannot score any factor: {'; '.join(excluded)}")
    return RawScore(
        value=mean_over_factors(explicit),
        per_factor=explicit,
        details={"capacity": capacity, "score": scores},
        parts={
            "size": float(representation.n_factors / alive.sum()) if alive.any() else float("nan"),
            "informativeness": float(np.clip(scores[:, defined].max(axis=0), 0.0, 1.0).mean()),
        },
        notes=excluded,
    )


def _target_columns(factor: Target, values: NDArray[Any]) -> Floats:
    return np.eye(factor.n_classes)[values] if factor.is_class else values


def _random_feature_score(
    z_train: Floats,
    z_test: Floats,
    y_train: Floats,
    y_test: Floats,
    clusters: NDArray[np.int64] | None,
    seed: Seed,
) -> tuple[Floats, bool]:
    """Return held-out R² at each width, and whether the best one exceeds the mean predictor by 3 standard errors."""
    both = standardise(np.vstack([z_train, z_test]))
    rng = generator(seed, "dci_es random features")
    predictions = random_feature_predictions(both[: len(z_train)], y_train, both[len(z_train) :], WIDTHS, rng)
    baseline = ((y_test - y_train.mean(axis=0)) ** 2).sum(axis=1)
    if baseline.sum() <= 0:
        return np.zeros(len(WIDTHS)), False
    losses = np.stack([((y_pred - y_test) ** 2).sum(axis=1) for y_pred in predictions])
    gain = baseline - losses[losses.sum(axis=1).argmin()]
    return 1 - losses.sum(axis=1) / baseline.sum(), bool(exceeds_its_noise(gain[None], clusters)[0])


def _forest_score(
    z_train: Floats, y_train: NDArray[Any], z_test: Floats, y_test: NDArray[Any], n_trees: int, seed: Seed
) -> Floats:
    """Return held-out R² at each depth; for classes ``(accuracy - a) / (1 - a)``, a of the most frequent class."""
    if not z_train.shape[1]:
        return np.zeros(len(DEPTHS))
    state = int(generator(seed, "dci_es forest").integers(2**31))
    features: Literal["sqrt"] | float = "sqrt" if y_train.ndim == 1 else 1.0
    forests = (
        Forest.fit(z_train, y_train, n_trees=n_trees, state=state, max_features=features, max_depth=depth)
        for depth in DEPTHS
    )
    predictions = (forest.predict(z_test) for forest in forests)
    if y_train.ndim == 1:
        baseline = float((np.bincount(y_train).argmax() != y_test).sum())
        loss = np.array([(y_pred.argmax(axis=1) != y_test).sum() for y_pred in predictions], dtype=np.float64)
    else:
        baseline = float(((y_test - y_train.mean(axis=0)) ** 2).sum())
        loss = np.array([((y_pred - y_test) ** 2).sum() for y_pred in predictions])
    return 1 - loss / baseline if baseline > 0 else np.zeros(len(DEPTHS))
