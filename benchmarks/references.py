"""Straightforward implementations, as in the code published with the papers."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC

from disentmetrics.comparison.udr import ALPHA, relative_strength

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

CHEN_SAMPLES = 10_000
N_TRAIN, N_TEST, N_ROWS = 10_000, 5_000, 64  # points of disentanglement_lib, and images or pairs in a point
GLOBAL_ROWS = 10_000  # images that its FactorVAE encodes for the global variance
SMALLEST_SD = 0.05  # of a latent that its FactorVAE score includes
N_TREES = 100  # of a gradient boosting as scikit-learn has it
WHAT = {
    "mig": "20 bins by np.digitize, sklearn.metrics.mutual_info_score of one pair after the other",
    "dci": "sklearn.ensemble.GradientBoostingClassifier, 100 trees per class",
    "sap": "sklearn.svm.LinearSVC of one latent and one factor after the other",
    "explicitness": "sklearn.linear_model.LogisticRegression and roc_auc_score per factor",
    "higgins": "higgins of disentanglement_lib, points drawn one by one, codes looked up in a table",
    "factorvae": "factorvae of disentanglement_lib, votes drawn one by one, codes looked up in a table",
}
IMAGES = {"higgins": 2 * N_ROWS * (N_TRAIN + N_TEST), "factorvae": N_ROWS * (N_TRAIN + N_TEST) + GLOBAL_ROWS}


def mixtures(codes: Floats, log_variance: Floats, factors: Integers) -> list[tuple[Floats, Floats]]:
    """Return means and inverse deviations (n_codes, n_rows): of all rows, then of each value of each factor."""
    parts = [np.full(len(codes), fill_value=True)]
    parts += [column == value for column in factors.T for value in np.unique(column)]
    return [(codes[rows].T.copy(), np.exp(-0.5 * log_variance[rows]).T.copy()) for rows in parts]


def sampled_entropies(of: list[tuple[Floats, Floats]], n_samples: int, rng: np.random.Generator) -> list[Floats]:
    """Estimate the entropy of each mixture from samples of it, as Chen et al. do for the gap."""
    return [_sampled_entropy(mean, precision, n_samples, rng) for mean, precision in of]


def _sampled_entropy(mean: Floats, precision: Floats, n_samples: int, rng: np.random.Generator) -> Floats:
    rows = rng.integers(mean.shape[1], size=n_samples)
    drawn = mean[:, rows] + rng.standard_normal((len(mean), n_samples)).astype(mean.dtype) / precision[:, rows]
    entropy = np.empty(len(mean))
    for code in range(len(mean)):
        density = np.zeros(n_samples)
        for start in range(0, mean.shape[1], 2**16):
            part = slice(start, start + 2**16)
            distance = (drawn[code, :, None] - mean[code, part]) * precision[code, part]
            density += (np.exp(-0.5 * distance * distance) * precision[code, part]).sum(axis=1)
        entropy[code] = -np.log(density / (mean.shape[1] * np.sqrt(2 * np.pi))).mean()
    return entropy


def binned_mig(codes: Floats, factors: Integers) -> float:
    """Mutual information gap over 20 bins of equal width, one pair of latent and factor at a time."""
    nats = information_by_pairs(codes, factors)
    entropies = [mutual_info_score(factor, factor) for factor in factors.T]
    ranked = np.sort(nats, axis=0)
    return float(np.mean((ranked[-1] - ranked[-2]) / entropies))


def higgins_by_drawing(codes: Floats, sizes: tuple[int, ...], rng: np.random.Generator) -> float:
    """Draw factors point by point, and look up the codes of their images."""

    def point() -> tuple[Floats, int]:
        k = int(rng.integers(len(sizes)))
        first, second = _draw(sizes, N_ROWS, rng), _draw(sizes, N_ROWS, rng)
        second[:, k] = first[:, k]
        return np.abs(_encode(codes, first, sizes) - _encode(codes, second, sizes)).mean(axis=0), k

    points, labels = zip(*(point() for _ in range(N_TRAIN + N_TEST)), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are part of the protocol
        model = LogisticRegression().fit(points[:N_TRAIN], labels[:N_TRAIN])
    return float(model.score(points[N_TRAIN:], labels[N_TRAIN:]))


def factorvae_by_drawing(codes: Floats, sizes: tuple[int, ...], rng: np.random.Generator) -> float:
    """Draw factors vote by vote, and look up the codes of their images."""
    variance = np.var(_encode(codes, _draw(sizes, GLOBAL_ROWS, rng), sizes), axis=0, ddof=1)
    alive = np.flatnonzero(np.sqrt(variance) >= SMALLEST_SD)

    def vote() -> tuple[int, int]:
        k = int(rng.integers(len(sizes)))
        drawn = _draw(sizes, N_ROWS, rng)
        drawn[:, k] = drawn[0, k]
        local = np.var(_encode(codes, drawn, sizes), axis=0, ddof=1)
        return int(np.argmin(local[alive] / variance[alive])), k

    votes = np.zeros((len(alive), len(sizes)), dtype=np.int64)
    for _ in range(N_TRAIN):
        votes[vote()] += 1
    factor_of_code = votes.argmax(axis=1)
    return float(np.mean([factor_of_code[code] == k for code, k in (vote() for _ in range(N_TEST))]))


def _draw(sizes: tuple[int, ...], n: int, rng: np.random.Generator) -> Integers:
    return np.stack([rng.integers(size, size=n) for size in sizes], axis=1)


def _encode(codes: Floats, factors: Integers, sizes: tuple[int, ...]) -> Floats:
    looked_up: Floats = codes[np.ravel_multi_index(tuple(factors.T), sizes)]
    return looked_up


def udr_by_spearman(first: Floats, second: Floats) -> float:
    """Compare two models by scipy's rank correlation of all their latents."""
    correlation = spearmanr(first, second).statistic
    return relative_strength(np.abs(correlation[: first.shape[1], first.shape[1] :]))


def udr_by_lasso(first: Floats, second: Floats) -> float:
    """Compare two models by scikit-learn's Lasso regression of the latents of the second on those of the first."""
    one, other = ((codes - codes.mean(axis=0)) / codes.std(axis=0) for codes in (first, second))
    return relative_strength(np.abs(Lasso(alpha=ALPHA).fit(one, other).coef_).T)


def information_by_pairs(codes: Floats, factors: Integers) -> Floats:
    """Mutual information of every latent in 20 bins with every factor, in nats, one pair at a time."""
    return np.array([[mutual_info_score(factor, code) for factor in factors.T] for code in map(_binned, codes.T)])


def information_of_pairs(codes: Floats, factors: Integers, pairs: list[tuple[int, int]]) -> Floats:
    """Mutual information of some pairs of latent and factor."""
    return np.array([mutual_info_score(factors[:, k], _binned(codes[:, j])) for j, k in pairs])


def _binned(code: Floats) -> Integers:
    return np.asarray(np.digitize(code, np.histogram(code, 20)[1][:-1]))


def dci_by_boosting(codes: Floats, factors: Integers, n_trees: int) -> Floats:
    """Importances of latents by scikit-learn's gradient boosting, one classifier per factor."""
    models = [GradientBoostingClassifier(n_estimators=n_trees, random_state=0).fit(codes, v) for v in factors.T]
    return np.stack([model.feature_importances_ for model in models], axis=1)


def sap_by_support_vectors(codes: Floats, factors: Integers) -> float:
    """Gap between the two latents from which a linear support vector machine predicts a factor best."""
    train, test = _halves(len(codes))
    accuracy = np.zeros((codes.shape[1], factors.shape[1]))
    for j, k in np.ndindex(accuracy.shape):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
            model.fit(codes[train, j : j + 1], factors[train, k])
        accuracy[j, k] = model.score(codes[test, j : j + 1], factors[test, k])
    ranked = np.sort(accuracy, axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))


def explicitness_by_logistic_regression(codes: Floats, factors: Integers) -> float:
    """Mean area under the curves of one class against the rest, from one logistic regression per factor."""
    train, test = _halves(len(codes))
    areas = []
    for factor in factors.T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            odds = LogisticRegression().fit(codes[train], factor[train]).predict_proba(codes[test])
        areas.append(np.mean([roc_auc_score(factor[test] == value, odds[:, value]) for value in range(odds.shape[1])]))
    return float(np.mean(areas))


def _halves(n_rows: int) -> tuple[Integers, Integers]:
    order = np.random.default_rng(0).permutation(n_rows)
    return order[: n_rows * 2 // 3], order[n_rows * 2 // 3 :]
