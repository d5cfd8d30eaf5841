"""Linear symmetry-based disentanglement of circular factors."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.metrics.base import Needs, Protocol, RawScore, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.traversals import cells

_NOTHING = 1e-18  # share of the variance that rounding leaves


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=False,
    paper="Tonnaer, Pérez Rey, Menkovski, Holenderski & Portegies (2022), Quantifying and Learning Linear "
    "Symmetry-Based Disentanglement, section 4",
    known_failure="One plane that two factors share is not punished as long as each turns it by itself.",
    needs=Needs(rows=9, circular=True),
    perfect=float("nan"),  # no example of the property suite has circular factors
    noise=float("nan"),
    protocols={
        "default": Protocol(
            source="Tonnaer et al. (2022): two principal components a factor, of equal variance, turned back by whole "
            "multiples of the angle up to 10",
        ),
    },
)
def d_lsbd(representation: Representation, *, max_turns: int = 10) -> RawScore:
    """Variance that is left when the rotation by a circular factor is undone; 0 is best.

    For factor k the mean over its values is taken from the codes, the two principal components of the rest are
    scaled to equal variance, and each row is turned back by ``w`` times the angle of its
    value. The score is the variance then left over the variance before, for the whole ``w`` in
    -10 .. 10 where it is least; the mean over factors is taken last.

    Parameters
    ----------
    representation : Representation
        Every factor circular, and every combination of their values present.
    max_turns : int
        Largest |w|.

    Returns
    -------
    RawScore
        In [0, 1]; 0 where each factor turns a plane of its own, 1 where a factor moves nothing or moves the codes
        unlike a rotation. Details: ``turns`` (n_factors,), w of the least variance.

    Raises
    ------
    UndefinedScoreError
        If a factor is not circular, or a combination of factors is missing.

    Notes
    -----
    Any linear change of the codes is allowed, so that rotating or scaling the codes changes nothing where the factors
    keep planes of their own. The authors' code sums over factors and divides by zero where a factor moves nothing;
    here that factor scores 1. Rows with the same factors are averaged. A single code scores 0.5 at best: it holds one
    of two coordinates. Rows with missing labels are excluded.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> angles = 2 * np.pi * np.indices((8, 6)).reshape(2, -1) / [[8], [6]]
    >>> factors = np.indices((8, 6)).reshape(2, -1).T
    >>> torus = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(4, -1).T
    >>> grid = dm.Representation(torus, factors, kinds={"factor_0": "circular", "factor_1": "circular"})
    >>> round(d_lsbd.score(grid).value, 9)
    0.0
    """
    positions = np.flatnonzero(representation.cached(varied_factors))
    _check_circular(representation)
    codes = well_scaled(representation.codes).astype(np.float64)[:, ~representation.cached_by_codes(constant)]
    value = np.full(representation.n_factors, np.nan)
    turns = np.zeros(representation.n_factors, dtype=np.int64)
    for position in map(int, positions):
        table = representation.cached(cells, position)
        if (table.runs_in_cell != table.n_values).any() or not len(table.rows):
            raise UndefinedScoreError(
                "d_lsbd needs every combination of the factors' values, as a full grid does; this table lacks some"
            )
        in_run = np.bincount(table.run)
        points = np.add.reduceat(codes[table.rows], np.cumsum(in_run) - in_run) / in_run[:, None]
        points = points.reshape(-1, table.n_values, codes.shape[1])
        moved = (points - points.mean(axis=1, keepdims=True)).reshape(-1, codes.shape[1])
        angle = 2 * np.pi * table.run_value / (representation.space.factors[position].size or 1)
        value[position], turns[position] = _left(moved, angle, float(np.var(points)), max_turns)
    return RawScore(value=mean_over_factors(value), per_factor=value, details={"turns": turns})


def _check_circular(representation: Representation) -> None:
    others = [factor.name for factor in representation.space if factor.kind != "circular"]
    if others:
        raise UndefinedScoreError(f"d_lsbd is defined for circular factors alone; these are not: {', '.join(others)}")


def _left(moved: NDArray[np.float64], angle: NDArray[np.float64], whole: float, max_turns: int) -> tuple[float, int]:
    if not moved.size or np.mean(np.square(moved)) <= _NOTHING * whole:
        return 1.0, 0
    left, singular, _ = np.linalg.svd(moved, full_matrices=False)
    kept = singular[:2] ** 2 > _NOTHING * singular[0] ** 2
    plane = left[:, :2][:, kept]  # components of equal variance
    point = plane[:, 0] + 1j * (plane[:, 1] if plane.shape[1] > 1 else 0.0)
    w = np.arange(-max_turns, max_turns + 1)
    mean = np.array([np.mean(point * np.exp(-1j * k * angle)) for k in w])
    share = 1 - np.abs(mean) ** 2 / np.mean(np.abs(point) ** 2)
    best = int(share.argmin())
    return float(np.clip(share[best], 0.0, 1.0)), int(w[best])
