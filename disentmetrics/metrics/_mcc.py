"""The mean correlation coefficient."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds
from disentmetrics.statistics.association import correlation_matrix
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import factor_columns, varied_factors

Correlation = Literal["spearman", "pearson"]
Fit = Literal["none", "affine"]
Rows = Literal["held-out", "all"]
Normaliser = Literal["factors", "pairs"]

Prepare = Callable[[NDArray[np.floating]], Floats]
_PREPARE: dict[str, Prepare] = {"spearman": standardised_ranks, "pearson": standardise}


@metric(
    family="matching",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Hyvärinen & Morioka (2016), Unsupervised Feature Extraction by Time-Contrastive Learning, section 6; "
    "Khemakhem et al. (2020), ICE-BeeM, section 5, for strong and weak",
    known_failure="A rotation of perfect codes scores 0.8 with three factors and 0.6 with ten.",
    needs=Needs(rows=20),
    randomised=True,
    parts={"weakest": (-1.0, 1.0)},
    # A duplicated latent helps a little where two factors compete for one latent: by at most 0.020 on the examples,
    # which is the tolerance.
    invariant_to=all_except("relabelled factors", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: Spearman, paired and oriented on training rows and measured on others, every factor "
            "counted",
        ),
        "crossfit_pearson": Protocol(
            source="disentmetrics: as the default, with Pearson's correlation",
            options={"correlation": "pearson"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
        ),
        "spearman": Protocol(
            source="Spearman on all rows, every factor counted",
            options={"rows": "all"},
            invariant_to=all_except("duplicated code", "relabelled factors", "rotation"),
        ),
        "hyvarinen2016": Protocol(
            source="Hyvärinen & Morioka (2016): Pearson on all rows, every factor counted",
            options={"correlation": "pearson", "rows": "all"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
        ),
        "khemakhem2020": Protocol(
            source="Khemakhem et al. (2020), code of ICE-BeeM: Pearson on all rows, mean over the pairs found",
            options={"correlation": "pearson", "rows": "all", "normaliser": "pairs"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
        ),
        "weak": Protocol(
            source="disentmetrics: up to an affine map, fitted on training rows and measured on others (Khemakhem et "
            "al. 2020 fit with canonical correlations)",
            options={"correlation": "pearson", "fit": "affine"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
            detects={"packed", "missing factor", "blurred"},
        ),
    },
)
def mcc(
    representation: Representation,
    *,
    seed: Seed,
    correlation: Correlation = "spearman",
    fit: Fit = "none",
    rows: Rows = "held-out",
    normaliser: Normaliser = "factors",
) -> RawScore:
    """Mean correlation of factors with codes, each factor paired with a code of its own.

    ``max over one-to-one pairings of [sum over pairs |corr(z_j, v_k)|] / number of factors``. Held out:
    pairing and sign come from the training rows of five folds, the signed correlation from the other
    fold, so that unrelated codes score 0 on average instead of the largest of many chance correlations.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    correlation : {"spearman", "pearson"}
        Of ranks, or of values.
    fit : {"none", "affine"}
        ``affine``: codes are first mapped to the factors by least squares.
    rows : {"held-out", "all"}
        Where the correlation is measured; ``all`` pairs and measures absolute correlations on all rows.
    normaliser : {"factors", "pairs"}
        With fewer codes than factors some factors find no code: they count as 0, or not at all.

    Returns
    -------
    RawScore
        In [-1, 1]: 1 where each factor has a code that follows it without noise, 0 for unrelated codes.
        Per factor: correlation with its own code. Part ``weakest``: the smallest of these. Details:
        ``correlation`` (n_codes, n_factors), absolute, on all rows, and ``assignment`` (n_factors,), the
        code of each factor on all rows, -1 for none.

    Raises
    ------
    UndefinedScoreError
        If no factor takes two values, or the labelled rows do not make two folds.

    Notes
    -----
    A categorical or circular factor has several columns (indicators; cosine and sine): its correlation
    with a code is that of the code with the combination of the columns that suits the code best on the
    training rows; authors' codes read categories as numbers. Dead codes correlate with nothing;
    the authors' codes divide by 0 or fail there. After an affine map fitted to each factor, no pairing
    beats the map's own, so none is searched.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(5, axis=0)
    >>> round(mcc(-np.exp(factors[:, ::-1]), factors).value, 6)
    1.0
    >>> [round(mcc(factors[:, 0], factors, protocol=name).value, 6) for name in ("default", "khemakhem2020")]
    [0.5, 1.0]
    """
    defined = representation.cached(varied_factors)
    matrix = representation.cached(correlation_matrix, correlation)
    if not defined.any():
        raise UndefinedScoreError("mcc needs a factor that takes two values; every factor is constant")
    assignment = _pair(matrix, defined)
    if rows == "all" and fit == "none":
        found = np.where(assignment >= 0, matrix[assignment, np.arange(len(defined))], 0.0)
    elif fit == "none":
        found = representation.cached(_held_out_pairs, correlation, seed)
    else:
        found = representation.cached(_affine, correlation, rows, seed)
    per_factor = np.where(defined, found, np.nan)
    if np.isnan(per_factor).all():
        raise UndefinedScoreError("mcc needs a factor that takes two values in the rows of some fold; there is none")
    counted = per_factor
    if normaliser == "pairs" and fit == "none":
        counted = np.where(assignment >= 0, per_factor, np.nan)
    return RawScore(
        value=mean_over_factors(counted),
        per_factor=per_factor,
        parts={"weakest": float(np.nanmin(counted))},
        details={"correlation": matrix, "assignment": assignment},
        notes=_mixing_note(representation, matrix, assignment) if fit == "none" else (),
    )


def _pair(matrix: NDArray[np.float64], defined: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the code of each factor, -1 where there is none."""
    codes, positions = one_to_one_assignment(matrix[:, defined])
    assignment = np.full(len(defined), -1)
    assignment[np.flatnonzero(defined)[positions]] = codes
    return assignment


def _held_out_pairs(representation: Representation, correlation: Correlation, seed: Seed) -> NDArray[np.float64]:
    """Return the signed correlation of each factor with its code, 0 where it has none, NaN where undefined."""
    prepare = _PREPARE[correlation]
    folded = _Folded(representation)
    splits = folds(representation, np.arange(len(representation)), N_FOLDS, seed)
    if len(splits) < 2:
        raise UndefinedScoreError("mcc pairs codes and factors on some groups of rows and scores others; got one group")
    for train, test in splits:
        known = representation.take(train)
        assignment = _pair(correlation_matrix(known, correlation), known.cached(varied_factors))
        for position, code in enumerate(assignment):
            learned, scored = folded.labelled(position, train), folded.labelled(position, test)
            columns = representation.cached(factor_columns, position)
            found = 0.0
            if code >= 0 and len(scored) > 1:
                before, after = (prepare(representation.codes[some][:, [code]]) for some in (learned, scored))
                found = _correlation(after, _combined(before, columns[learned], columns[scored], prepare))
            folded.add(position, scored, found)
    return folded.mean()


def _combined(code: Floats, known: Floats, new: Floats, prepare: Prepare) -> Floats:
    """Return the combination of a factor's columns on new rows that goes with a code on known rows."""
    if known.shape[1] == 1:
        return np.asarray(prepare(new) * np.sign(np.sum(prepare(known) * code)))
    centre = known.mean(axis=0)
    return np.asarray((new - centre) @ np.linalg.lstsq(known - centre, code, rcond=None)[0])


def _affine(representation: Representation, correlation: Correlation, rows: Rows, seed: Seed) -> NDArray[np.float64]:
    """Return the correlation of each factor with its least-squares map from all codes."""
    everything = np.arange(len(representation))
    splits = [(everything, everything)] if rows == "all" else folds(representation, everything, N_FOLDS, seed)
    codes = standardise(representation.codes)
    folded = _Folded(representation)
    for train, test in splits:
        for positions in folded.labelled_together(train):
            learned = folded.labelled(positions[0], train)
            blocks = [representation.cached(factor_columns, position) for position in positions]
            centre, wanted = codes[learned].mean(axis=0), np.hstack([block[learned] for block in blocks])
            weights = np.linalg.lstsq(codes[learned] - centre, wanted - wanted.mean(axis=0), rcond=None)[0]
            ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
            for position, block, weight in zip(positions, blocks, np.split(weights, ends, axis=1), strict=True):
                scored = folded.labelled(position, test)
                if len(scored) < 2:
                    continue
                guess, truth = (codes[scored] - centre) @ weight, block[scored]
                if truth.shape[1] == 1:
                    guess, truth = _PREPARE[correlation](guess), _PREPARE[correlation](truth)
                folded.add(position, scored, _correlation(guess, truth))
    return folded.mean()


def _correlation(first: Floats, second: Floats) -> float:
    """Correlate two tables of equal shape, all columns at once; 0 where one is constant."""
    one, other = (values - values.mean(axis=0) for values in (first, second))
    scale = np.sqrt(np.sum(one**2) * np.sum(other**2))
    return float(np.sum(one * other) / scale) if scale > 1e-12 * one.size else 0.0


class _Folded:
    """Correlations of factors fold by fold, each weighted by its rows."""

    def __init__(self, representation: Representation) -> None:
        columns = [representation.cached(factor_columns, k) for k in range(representation.n_factors)]
        self._columns = columns
        self._missing = np.stack([np.isnan(column[:, 0]) for column in columns])
        self._total = np.zeros(len(columns))
        self._weight = np.zeros(len(columns))

    def labelled(self, position: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the rows that have a label."""
        return np.asarray(rows[~self._missing[position, rows]])

    def labelled_together(self, rows: NDArray[np.int64]) -> list[list[int]]:
        """Return factors in lists of those that have labels on the same rows; none without labels."""
        alike: dict[bytes, list[int]] = {}
        for position, missing in enumerate(self._missing[:, rows]):
            if not missing.all():
                alike.setdefault(missing.tobytes(), []).append(position)
        return list(alike.values())

    def add(self, position: int, rows: NDArray[np.int64], found: float) -> None:
        """Count a correlation on these rows, unless the factor is constant on them."""
        if len(rows) > 1 and np.ptp(self._columns[position][rows], axis=0).any():
            self._total[position] += len(rows) * found
            self._weight[position] += len(rows)

    def mean(self) -> NDArray[np.float64]:
        return np.where(self._weight > 0, self._total / np.maximum(self._weight, 1), np.nan)


def _mixing_note(
    representation: Representation, matrix: NDArray[np.float64], assignment: NDArray[np.int64]
) -> tuple[str, ...]:
    paired = np.flatnonzero(assignment >= 0)
    others = matrix[assignment[paired]].copy()
    others[np.arange(len(paired)), paired] = 0.0
    mixed = others.max(axis=1) > 0.3
    if not mixed.any():
        return ()
    names = ", ".join(representation.code_names[code] for code in assignment[paired][mixed])
    return (
        f"codes {names} also correlate by more than 0.3 with a factor of another code: mixing costs this score little",
    )
