"""Linear symmetry-based disentanglement of circular factors."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.metrics.base import Needs, Protocol, RawScore, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import label_angles, varied_factors
from disentmetrics.statistics.traversals import cells

_ROUNDING = 1e-18  # fraction of the variance that rounding errors can produce


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=False,
    paper="Tonnaer, Pérez Rey, Menkovski, Holenderski & Portegies (2022), Quantifying and Learning Linear "
    "Symmetry-Based Disentanglement, section 4",
    known_failure="Two factors that rotate the same plane are not penalised.",
    needs=Needs(rows=9, circular=True),
    perfect=float("nan"),  # no example of the property suite has circular factors
    noise=float("nan"),
    protocols={
        "default": Protocol(
            source="Tonnaer et al. (2022): two whitened principal components per factor, inverse rotation by integer "
            "multiples of the angle up to 10",
        ),
    },
)
def d_lsbd(representation: Representation, *, max_turns: int = 10) -> RawScore:
    """Linear symmetry-based disentanglement: variance left after undoing the rotation by each circular factor.

    ``mean over k of min over w of Var(rho_w(-v_k) u_k) / Var(u_k)``, lower is better. For factor k the mean over its
    values is subtracted from the codes, u_k are the first two principal components of the residuals scaled to equal
    variance, and rho_w(-v_k) rotates each row back by the integer w, from -10 to 10, times the angle of its value.

    Parameters
    ----------
    representation : Representation
        All factors must be circular, and every combination of their values must be present.
    max_turns : int
        Largest absolute value of w, the number of rotations per cycle of the factor.

    Returns
    -------
    RawScore
        In [0, 1]; 0 if each factor rotates its own plane, 1 if a factor changes nothing or acts unlike a rotation.
        Details: ``turns`` (n_factors,), the w with the smallest variance.

    Raises
    ------
    UndefinedScoreError
        If a factor is not circular, or a combination of factors is missing.

    Notes
    -----
    Linear maps of the codes are allowed, so that rotating or scaling the codes does not change the score as long as
    each factor keeps its own plane. The authors' code sums over factors and divides by zero if a factor changes
    nothing; here that factor scores 1. Rows with equal factor values are averaged. A single latent scores 0.5 at
    best: it contains one of two coordinates. Rows with missing labels are excluded.

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
    codes = well_scaled(representation.codes).astype(np.float64)[:, ~representation.cached_by_codes(constant)]
    value = np.full(representation.n_factors, np.nan)
    turns = np.zeros(representation.n_factors, dtype=np.int64)
    for position in map(int, positions):
        table = representation.cached(cells, position)
        if (table.runs_in_cell != table.n_values).any() or not len(table.rows):
            raise UndefinedScoreError(
                "d_lsbd needs every combination of the factors' values (a full grid); some are missing from this table"
            )
        in_run = np.bincount(table.run)
        points = np.add.reduceat(codes[table.rows], np.cumsum(in_run) - in_run) / in_run[:, None]
        points = points.reshape(-1, table.n_values, codes.shape[1])
        residual = (points - points.mean(axis=1, keepdims=True)).reshape(-1, codes.shape[1])
        angle = representation.cached(label_angles, position)[table.run_value]
        value[position], turns[position] = _variance_left(residual, angle, float(np.var(points)), max_turns)
    return RawScore(value=mean_over_factors(value), per_factor=value, details={"turns": turns})


def _variance_left(
    residual: NDArray[np.float64], angle: NDArray[np.float64], total_variance: float, max_turns: int
) -> tuple[float, int]:
    """Return the smallest share of variance left after rotating back, and the multiple w of the angle."""
    if not residual.size or np.mean(np.square(residual)) <= _ROUNDING * total_variance:
        return 1.0, 0  # the factor does not change the codes
    left, singular, _ = np.linalg.svd(residual, full_matrices=False)
    kept = singular[:2] ** 2 > _ROUNDING * singular[0] ** 2
    plane = left[:, :2][:, kept]  # principal components of equal variance
    point = plane[:, 0] + 1j * (plane[:, 1] if plane.shape[1] > 1 else 0.0)
    w = np.arange(-max_turns, max_turns + 1)
    # the variance left after rotation is E|u|² - |E[u exp(-iwv)]|²
    mean = np.array([np.mean(point * np.exp(-1j * k * angle)) for k in w])
    share = 1 - np.abs(mean) ** 2 / np.mean(np.abs(point) ** 2)
    best = int(share.argmin())
    return float(np.clip(share[best], 0.0, 1.0)), int(w[best])
