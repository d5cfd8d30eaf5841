"""The straightforward way to each number, as in the code that goes with the papers."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score

from disentmetrics.udr import ALPHA, relative_strength

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

CHEN_SAMPLES = 10_000
N_TRAIN, N_TEST, N_ROWS = 10_000, 5_000, 64  # points of disentanglement_lib, and images or pairs in a point
GLOBAL_ROWS = 10_000  # images that its FactorVAE encodes for the global variance
SMALLEST_SD = 0.05  # of a code that takes part in its FactorVAE
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
    """Mutual information gap over 20 bins of equal width, one pair of code and factor at a time."""
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    nats = np.array([[mutual_info_score(factor, code) for factor in factors.T] for code in binned])
    entropies = [mutual_info_score(factor, factor) for factor in factors.T]
    ranked = np.sort(nats, axis=0)
    return float(np.mean((ranked[-1] - ranked[-2]) / entropies))


def higgins_by_drawing(codes: Floats, sizes: tuple[int, ...], rng: np.random.Generator) -> float:
    """Draw factors for one point after the other, and look the codes of their images up."""

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
    """Draw factors for one vote after the other, and look the codes of their images up."""
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
    """Compare two models by scipy's rank correlation of all their codes."""
    correlation = spearmanr(first, second).statistic
    return relative_strength(np.abs(correlation[: first.shape[1], first.shape[1] :]))


def udr_by_lasso(first: Floats, second: Floats) -> float:
    """Compare two models by scikit-learn's Lasso of the second one's codes on the first one's."""
    one, other = ((codes - codes.mean(axis=0)) / codes.std(axis=0) for codes in (first, second))
    return relative_strength(np.abs(Lasso(alpha=ALPHA).fit(one, other).coef_).T)
