"""Scores of a perfect code, and of a code that mixes two factors, where these factors depend on each other.

    python benchmarks/dependent_factors.py
    python benchmarks/dependent_factors.py --metrics dci,factorvae,mcc

Two of three factors are dependent (KINDS). The perfect code is the standardised factors; the mixture contains the sum
and the difference of the dependent two instead. The table of docs/metrics.md is the output for the default metrics.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.metrics import find_metric

METRICS = (
    "higgins,dlig,dmig,mcc,explicitness_adj,linear_r2,tmex@linear,minimality,irs,z_max_var,snc,block_identifiability@linear,"
    "dci,dci.completeness,factorvae,targeted_ablation,strong_downstream,mig,mig_sup,dcimig,jemmig,sap,modularity,"
    "modularity_adj,compactness_adj,infomec,msgs,omes"
)
N_VALUES = 10
Integers = NDArray[np.int64]


def correlated(rho: float) -> Callable[[int, np.random.Generator], Integers]:
    """Return a function that draws two uniform factors with a Gaussian copula of correlation ``rho``."""

    def draw(n: int, rng: np.random.Generator) -> Integers:
        first, other = rng.normal(size=(2, n))
        pair = np.stack([first, rho * first + np.sqrt(1 - rho**2) * other], axis=1)
        return np.argsort(np.argsort(pair, axis=0), axis=0) * N_VALUES // n

    return draw


def equal_but(exceptions: float) -> Callable[[int, np.random.Generator], Integers]:
    """Return a function that draws two factors that are equal except in a share of the rows."""

    def draw(n: int, rng: np.random.Generator) -> Integers:
        first, other = rng.integers(N_VALUES, size=(2, n))
        return np.stack([first, np.where(rng.random(n) < exceptions, other, first)], axis=1)

    return draw


def ordered(n: int, rng: np.random.Generator) -> Integers:
    """Draw two factors, the second of which is at most the first."""
    pairs = rng.integers(N_VALUES, size=(6 * n, 2))
    return np.asarray(pairs[pairs[:, 1] <= pairs[:, 0]][:n])


def function(of: Callable[[Integers], Integers]) -> Callable[[int, np.random.Generator], Integers]:
    """Return a function that draws a factor and another one that it determines."""

    def draw(n: int, rng: np.random.Generator) -> Integers:
        first = rng.integers(N_VALUES - 1, size=n)
        return np.stack([first, np.unique(of(first), return_inverse=True)[1]], axis=1)

    return draw


KINDS: dict[str, tuple[Callable[[int, np.random.Generator], Integers], float]] = {
    "ρ = .7": (correlated(0.7), 0.0),
    "ρ = .9": (correlated(0.9), 0.0),
    "ρ = .9, blurred": (correlated(0.9), 0.3),
    "95 % equal": (equal_but(0.05), 0.0),
    "b ≤ a": (ordered, 0.0),
    "b = a // 2": (function(lambda a: a // 2), 0.0),
    "b = (a > 4)": (function(lambda a: (a > 4).astype(np.int64)), 0.0),
    "b = (a - 4)²": (function(lambda a: (a - 4) ** 2), 0.0),
    "b = a": (function(lambda a: a), 0.0),
}
"""Ways in which two factors depend on each other, and the noise of the codes."""


def codes_of(kind: str, n: int, seed: int = 0) -> tuple[dm.Representation, dm.Representation]:
    """Return the perfect code of three factors, and the one that mixes the first two."""
    rng = np.random.default_rng(seed)
    draw, noise = KINDS[kind]
    factors = np.column_stack([draw(n, rng), rng.integers(6, size=n)])
    perfect = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    mixture = perfect @ np.array([[1, 1, 0], [1, -1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    space = dm.FactorSpace([dm.Factor(f"v{k}", int(factors[:, k].max()) + 1, "ordinal") for k in range(3)])
    blurred = (codes + noise * rng.normal(size=codes.shape) for codes in (perfect, mixture))
    first, second = (dm.Representation(codes, factors, space=space) for codes in blurred)
    return first, second


def table(names: list[str], n: int) -> str:
    """Return the scores of both codes as a Markdown table."""
    lines = [f"| metric | {' | '.join(KINDS)} |", "|---" * (1 + len(KINDS)) + "|"]
    drawn = [codes_of(kind, n) for kind in KINDS]
    for name in names:
        whole, _, part = name.partition(".")
        metric, protocol = find_metric(whole)
        cells = []
        for pair in drawn:
            scores = [metric.score(codes, protocol) for codes in pair]
            values = [(score.parts[part] if part else score).value for score in scores]
            cells.append(" / ".join("–" if np.isnan(value) else f"{value:.2f}" for value in values))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", default=METRICS, help="names with commas")
    parser.add_argument("--rows", type=int, default=2_000)
    options = parser.parse_args()
    print(table(options.metrics.split(","), options.rows))


if __name__ == "__main__":
    main()
