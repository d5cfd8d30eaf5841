"""Block identifiability: prediction of blocks of factors from blocks of latents."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import number_of_units
from disentmetrics.statistics.factor_regression import factors_as_codes, true_factors
from disentmetrics.statistics.probes import Probe, held_out_score, step_prediction
from disentmetrics.statistics.targets import target, varied_factors

_TIED = 1e-6
Blocks = tuple[tuple[int, ...], ...]


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="von Kügelgen et al. (2021), Self-Supervised Learning with Data Augmentations Provably Isolates Content from "
    "Style, section 5; Lippe et al. (2022), CITRIS, section 6, for codes assigned to factors",
    known_failure="A block of latents that also encodes the factors of all other blocks scores 1; see leakage.",
    needs=Needs(rows=60, groups=2),
    randomised=True,
    parts={"leakage": (0.0, 1.0), "excess_leakage": (0.0, 1.0)},
    lower_is_better=("leakage", "excess_leakage"),
    invariant_to=all_except("relabelled factors", "repeated rows", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: two-fold cross-fitted histogram gradient boosting; each latent is assigned "
            "to the factor that predicts it best",
        ),
        "linear": Protocol(
            source="disentmetrics: least squares and logistic regression, otherwise as the default",
            options={"probe": "linear"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
            costly=False,
            slow=False,
        ),
    },
)
def block_identifiability(
    representation: Representation,
    *,
    seed: Seed,
    code_blocks: Blocks | None = None,
    factor_blocks: Blocks | None = None,
    probe: Probe = "boosting",
    n_folds: int = 2,
    n_rows: int = 3_000,
) -> RawScore:
    """Block identifiability: mean held-out score of each block of factors predicted from its own block of latents.

    The value is ``mean over a of B[a, a]``, where ``B[a, b]`` is the mean over the factors of block b of the held-out
    R² (for categorical factors, chance-corrected accuracy), clipped at 0, of their prediction from the latents of
    block a.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    code_blocks : tuple of tuple of int, optional
        Indices of the latents of each block, in the order of ``factor_blocks``. By default each latent is assigned to
        the block of the factor that a step function of the latent predicts best.
    factor_blocks : tuple of tuple of int, optional
        Indices of the factors of each block. By default every factor is a block.
    probe : {"boosting", "linear"}
        Histogram gradient boosting, or least squares and logistic regression.
    n_folds : int
        Number of cross-validation folds.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if every block of factors is determined by its own latents, 0 if these carry no information about
        it. ``per_factor``: the score from the factor's own block. Part ``leakage``: mean over blocks a of the largest
        ``B[a, b]``, b not a; NaN for a single block. Part ``excess_leakage``: the same after subtracting, clipped at
        0, the score of block b predicted from the true factors of block a, so that dependent factors do not raise it.
        Details: ``scores``, the matrix B; ``from_factors``, the same matrix with the true factors in place of the
        latents; ``block_of_code``, -1 for none.

    Raises
    ------
    InvalidInputError
        If a block contains an index that does not exist or occurs twice, or the numbers of blocks differ.
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Factors that are constant, or labelled in a single group of rows, are excluded. Latents are assigned using all
    rows, which inflates the score of noise only slightly because the score itself is held out. Boosted probes bound
    outlying labels by Tukey's outer fences. CITRIS learns the assignment with its model and uses neural networks as
    probes.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(5, axis=0)
    >>> score = block_identifiability(factors[:, ::-1], factors, protocol="linear")
    >>> round(score.value, 6), abs(round(score.parts["excess_leakage"].value, 6))
    (1.0, 0.0)
    """
    targets = _checked("factor_blocks", factor_blocks, representation.n_factors)
    if targets is None:
        targets = tuple((k,) for k in range(representation.n_factors))
    sources = _checked("code_blocks", code_blocks, representation.n_codes)
    if sources is None:
        sources = _assigned(representation, targets)
    if len(sources) != len(targets):
        raise InvalidInputError(
            f"code_blocks must contain one block for each of {len(targets)} blocks of factors; got {len(sources)}"
        )
    varied = representation.cached(varied_factors) & [
        number_of_units(representation, representation.cached(target, k).rows) > 1
        for k in range(representation.n_factors)
    ]
    kept = [b for b, block in enumerate(targets) if varied[list(block)].any()]
    factors_of = [[k for k in targets[b] if varied[k]] for b in kept]
    codes_of = [sources[b] for b in kept]

    def score(table: Representation | None, columns: tuple[int, ...], factors: list[int]) -> list[float]:
        if table is None or not columns:
            return [0.0] * len(factors)
        scores = [held_out_score(table, k, probe, seed, codes=columns, n_folds=n_folds, n_rows=n_rows) for k in factors]
        return [max(0.0, float(each)) for each in np.nan_to_num(scores)]

    single = [[score(representation, codes, factors) for factors in factors_of] for codes in codes_of]
    matrix = np.array([[np.mean(cell) for cell in row] for row in single]).reshape(len(kept), len(kept))
    # Dependent factors predict each other: no code could leak less than the true factors do.
    truth = representation.cached(factors_as_codes)
    columns = representation.cached(true_factors).of_factor
    ceiling = np.ones_like(matrix)
    for a, b in zip(*np.nonzero(~np.eye(len(kept), dtype=bool)), strict=True):
        own = tuple(column for k in factors_of[a] for column in columns[k])
        ceiling[a, b] = np.mean(score(truth, own, factors_of[b]))
    per_factor = np.full(representation.n_factors, np.nan)
    for a, factors in enumerate(factors_of):
        per_factor[factors] = single[a][a]
    block_of_code = np.full(representation.n_codes, -1)
    for b, block in enumerate(sources):
        block_of_code[list(block)] = b
    mean_over_factors(per_factor)  # raises if no factor varies
    leakage = _mean_of_largest(matrix)
    return RawScore(
        value=float(np.diag(matrix).mean()),
        per_factor=per_factor,
        parts={
            "leakage": leakage,
            "excess_leakage": _mean_of_largest(np.maximum(matrix - ceiling, 0.0)),
        },
        details={"scores": matrix, "from_factors": ceiling, "block_of_code": block_of_code},
        notes=(f"blocks of latents predict other blocks of factors (leakage {leakage:.2f}), which is not penalised",)
        if leakage > 0.1
        else (),
    )


def _checked(name: str, blocks: Blocks | None, size: int) -> Blocks | None:
    if blocks is None:
        return None
    flat = [position for block in blocks for position in block]
    if len(set(flat)) != len(flat) or not set(flat) <= set(range(size)):
        raise InvalidInputError(f"{name} must contain indices from 0 to {size - 1}, each at most once; got {blocks!r}")
    return tuple(tuple(map(int, block)) for block in blocks)


def _assigned(representation: Representation, targets: Blocks) -> Blocks:
    prediction = representation.cached(step_prediction)
    best = prediction.argmax(axis=1)
    # a latent that predicts several factors equally well is assigned to one that no other latent predicts as well
    codes, factors = one_to_one_assignment(np.maximum(prediction, 0.0))
    tied = prediction[codes, factors] >= prediction[codes].max(axis=1) - _TIED
    best[codes[tied]] = factors[tied]
    return tuple(tuple(np.flatnonzero(np.isin(best, block)).tolist()) for block in targets)


def _mean_of_largest(matrix: NDArray[np.float64]) -> float:
    """Return the mean over rows of the largest off-diagonal entry; NaN for a single row."""
    if len(matrix) < 2:
        return math.nan
    return float(np.where(np.eye(len(matrix), dtype=bool), -np.inf, matrix).max(axis=1).mean())
