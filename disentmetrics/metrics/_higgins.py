"""Higgins score, also known as BetaVAE score or Z-diff."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_groups import Conditioning, Drawable, fixable_factors

Classifier = Literal["converged", "adagrad", "scikit-learn"]
_MAX_CODE = 1e30  # sums of larger differences overflow
_CHUNK = 1 << 22  # values drawn at once: 32 MB; changing it changes the random draws
_IN_CACHE = 1 << 18  # values gathered at once, so that they fit into the processor's cache


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Higgins et al. (2017), beta-VAE, section 3; Kim & Mnih (2018), appendix B, for the classifier",
    known_failure="A representation of all factors but one scores 1: the missing one is identified by elimination.",
    needs=Needs(factors=2, rows=40),
    randomised=True,
    least={"n_train": 10, "n_neighbours": 2},
    invariant_to=all_except("monotone warp", "rotation"),
    detects={"rotated"},
    noise="chance",
    protocols={
        "default": Protocol(
            source="disentmetrics: scale-free features, converged logistic regression, disjoint training and test rows",
            needs=Needs(factors=2, rows=40, groups=2),
        ),
        "higgins2017": Protocol(
            source="Kim & Mnih (2018), appendix B: linear softmax, Adagrad 0.01, 10,000 batches of 10 new "
            "points, 800 test points, L = 200",
            options={"classifier": "adagrad", "n_pairs": 200, "n_train": 100_000, "n_test": 800},
            invariant_to=all_except("scale", "monotone warp", "outlier", "rotation"),
            slow=True,
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: scikit-learn's logistic regression with default settings, "
            "10,000 training and 5,000 test points, L = 64",
            options={"classifier": "scikit-learn", "n_train": 10_000, "n_test": 5_000},
            invariant_to=all_except("scale", "monotone warp", "rotation"),
        ),
    },
)
def higgins(
    representation: Representation,
    *,
    rng: np.random.Generator,
    classifier: Classifier = "converged",
    n_pairs: int = 64,
    n_train: int = 3_000,
    n_test: int = 3_000,
    conditioning: Conditioning = "bins",
    n_neighbours: int = 20,
) -> RawScore:
    """Higgins score: accuracy of a linear classifier of the shared factor from absolute differences of codes.

    A point is drawn by choosing a factor k and L pairs of rows that agree in factor k. Its features are
    ``mean over pairs of |z_j - z'_j|`` and its label is k; the score is the held-out accuracy of a linear classifier.

    Parameters
    ----------
    representation : Representation
        Pairs are drawn from its rows, grouped by factor value; values with fewer than 10 rows are excluded.
        ``conditioning`` specifies the treatment of continuous factors.
    rng : numpy.random.Generator
        Random number generator.
    classifier : {"converged", "adagrad", "scikit-learn"}
        ``converged`` divides each feature by half the distance between its 16 % and 84 % quantiles, and trains and
        tests on disjoint rows, so that a random code scores exactly 1 / K on average. ``adagrad`` and
        ``scikit-learn`` are the published classifiers.
    n_pairs : int
        L, the number of pairs per point.
    n_train, n_test : int
        Numbers of training and test points.
    conditioning : {"bins", "neighbours"}
        Definition of agreement in a continuous factor: rows of one of 10 equal-frequency bins, or a random row and
        its nearest neighbours. The signature records the choice.
    n_neighbours : int
        Number of nearest neighbours, including the row itself; all rows with tied values are included.

    Returns
    -------
    RawScore
        Accuracy in [0, 1]; chance level is 1 / K for K factors; ``per_factor`` is the share of correctly classified
        points of each factor. Details: ``mean_difference`` (n_codes, n_factors), the mean of |z_j - z'_j| over pairs
        that share factor k.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors have a value that enough rows share, or every latent is constant.

    Notes
    -----
    Where one factor determines another, a mixture of their latents scores as high as a perfect code.

    The authors draw pairs from a simulator; on a full grid, drawing from the table is equivalent. Each factor is
    chosen equally often here, and at random by the authors. L = 200 for Higgins et al. is the value quoted by later
    papers. The Adagrad classifier starts at zero and keeps improving with the number of iterations (Kim & Mnih,
    figure 16): report which classifier was used.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> higgins(factors.astype(float), factors).value
    1.0
    """
    fixable = fixable_factors(
        representation,
        rng,
        disjoint=classifier == "converged",
        conditioning=conditioning,
        n_neighbours=n_neighbours,
    )
    positions = fixable.positions
    alive = ~constant(representation.codes)
    if not alive.any():
        raise UndefinedScoreError("higgins needs a latent that varies; every latent is constant")
    codes = representation.codes if alive.all() else np.ascontiguousarray(representation.codes[:, alive])
    if classifier == "converged":
        codes = well_scaled(codes)
    elif np.abs(codes).max() > _MAX_CODE:
        raise UndefinedScoreError(
            f"codes must not exceed {_MAX_CODE:g} for this classifier; got {np.abs(codes).max():g}"
        )
    x_train, y_train = _draw(codes, fixable.train, n_train, n_pairs, rng)
    x_test, y_test = _draw(codes, fixable.test, n_test, n_pairs, rng)
    y_pred = _FITTERS[classifier](x_train, y_train, x_test, len(positions))

    per_factor = np.full(representation.n_factors, np.nan)
    difference = np.full((representation.n_codes, representation.n_factors), np.nan)
    for index, position in enumerate(positions):
        drawn = y_test == index
        per_factor[position] = (y_pred[drawn] == index).mean() if drawn.any() else np.nan
        difference[alive, position] = x_train[y_train == index].mean(axis=0)
    accuracy = float((y_pred == y_test).mean())
    return RawScore(
        value=accuracy,
        per_factor=per_factor,
        details={"mean_difference": difference},
        settings=fixable.settings,
        notes=_elimination_note(representation, per_factor, difference, positions),
        chance=1 / len(positions),
    )


def _draw(
    codes: NDArray[np.floating], groups: list[Drawable], n_points: int, n_pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    labels = rng.permutation(np.arange(n_points) % len(groups))  # each factor equally often: chance is 1 / K
    points = np.empty((n_points, codes.shape[1]), dtype=codes.dtype)
    step = max(1, _CHUNK // (n_pairs * codes.shape[1]))
    for index, group in enumerate(groups):
        mine = np.flatnonzero(labels == index)
        for start in range(0, len(mine), step):
            part = mine[start : start + step]
            points[part] = _mean_difference(codes, *group.draw_pairs(len(part) * n_pairs, rng), n_pairs)
    return points, labels


def _mean_difference(
    codes: NDArray[np.floating], first: NDArray[np.int64], second: NDArray[np.int64], n_pairs: int
) -> NDArray[np.floating]:
    first, second = first.reshape(-1, n_pairs).T, second.reshape(-1, n_pairs).T
    mean = np.empty((first.shape[1], codes.shape[1]), dtype=codes.dtype)
    step = max(1, _IN_CACHE // (n_pairs * codes.shape[1]))
    for start in range(0, len(mean), step):
        difference = codes[first[:, start : start + step]]
        difference -= codes[second[:, start : start + step]]
        np.abs(difference, out=difference)
        mean[start : start + step] = difference.mean(axis=0)  # numpy sums fastest over the first axis
    return mean


def _fit_converged(
    x_train: NDArray[np.floating], y_train: NDArray[np.int64], x_test: NDArray[np.floating], _: int
) -> NDArray[np.int64]:
    from sklearn.linear_model import LogisticRegression  # slow to import

    low, centre, high = np.quantile(x_train, [0.16, 0.5, 0.84], axis=0)
    scale = np.where(high > low, (high - low) / 2, x_train.std(axis=0))
    varies = scale > 0
    if not varies.any():  # pairs of rows hardly ever differ
        return np.full(len(x_test), np.bincount(y_train).argmax())
    model = LogisticRegression(max_iter=10_000, tol=1e-4)
    model.fit((x_train[:, varies] - centre[varies]) / scale[varies], y_train)
    return np.asarray(model.predict((x_test[:, varies] - centre[varies]) / scale[varies]))


def _fit_scikit_learn(
    x_train: NDArray[np.floating], y_train: NDArray[np.int64], x_test: NDArray[np.floating], _: int
) -> NDArray[np.int64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are part of the protocol
        return np.asarray(LogisticRegression().fit(x_train, y_train).predict(x_test))


def _fit_adagrad(
    x_train: NDArray[np.floating], y_train: NDArray[np.int64], x_test: NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    batch_size, learning_rate, epsilon = 10, 0.01, 1e-10
    features = np.hstack([x_train, np.ones((len(x_train), 1))])
    target = np.eye(n_classes)[y_train]
    weights = np.zeros((features.shape[1], n_classes))
    squares = np.zeros_like(weights)
    for start in range(0, len(x_train) - batch_size + 1, batch_size):
        x, y = features[start : start + batch_size], target[start : start + batch_size]
        logits = x @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient = x.T @ (odds / odds.sum(axis=1, keepdims=True) - y) / batch_size
        squares += gradient * gradient
        weights -= learning_rate * gradient / (np.sqrt(squares) + epsilon)
    return np.asarray(np.argmax(np.hstack([x_test, np.ones((len(x_test), 1))]) @ weights, axis=1))


_FITTERS = {"converged": _fit_converged, "scikit-learn": _fit_scikit_learn, "adagrad": _fit_adagrad}


def _elimination_note(
    representation: Representation,
    per_factor: NDArray[np.float64],
    difference: NDArray[np.float64],
    positions: list[int],
) -> tuple[str, ...]:
    mean = difference[:, positions]
    mean = mean[mean.max(axis=1, initial=0.0) > 0]  # NaN or 0 for a constant latent
    if not len(mean):
        return ()
    # Sharing a factor brings the values of a latent that encodes it closer together.
    closeness = (mean / mean.max(axis=1, keepdims=True)).min(axis=0)
    return tuple(
        f"no latent encodes {representation.space.names[k]}, yet {per_factor[k]:.0%} of its points are classified "
        "correctly: a missing factor can be identified by elimination; see factorvae"
        for k, ratio in zip(positions, closeness, strict=True)
        if ratio > 0.97 and per_factor[k] > 0.5
    )
