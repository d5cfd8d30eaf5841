"""Mean correlation coefficient."""

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
from disentmetrics.statistics.targets import column_target, factor_columns, varied_factors

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
    known_failure="A rotation of a perfect code scores 0.8 with three factors and 0.6 with ten.",
    needs=Needs(rows=20),
    randomised=True,
    parts={"weakest": (-1.0, 1.0)},
    # A duplicated latent helps a little where two factors compete for one latent: by at most 0.020 on the examples,
    # which is the tolerance.
    invariant_to=all_except("relabelled factors", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: Spearman, cross-fitted (matching and signs from training rows), mean over all "
            "factors",
            needs=Needs(rows=20, groups=2),
        ),
        "crossfit_pearson": Protocol(
            source="disentmetrics: as the default, with Pearson's correlation",
            options={"correlation": "pearson"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
            needs=Needs(rows=20, groups=2),
        ),
        "spearman": Protocol(
            source="Spearman on all rows, mean over all factors",
            options={"rows": "all"},
            invariant_to=all_except("duplicated code", "relabelled factors", "rotation"),
        ),
        "hyvarinen2016": Protocol(
            source="Hyvärinen & Morioka (2016): Pearson on all rows, mean over all factors",
            options={"correlation": "pearson", "rows": "all"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
        ),
        "khemakhem2020": Protocol(
            source="Khemakhem et al. (2020), code of ICE-BeeM: Pearson on all rows, mean over matched pairs",
            options={"correlation": "pearson", "rows": "all", "normaliser": "pairs"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors", "rotation"),
        ),
        "weak": Protocol(
            source="disentmetrics: up to a cross-fitted affine map (Khemakhem et al. 2020 use canonical correlation "
            "analysis)",
            options={"correlation": "pearson", "fit": "affine"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
            detects={"packed", "missing factor", "blurred"},
            needs=Needs(rows=20, groups=2),
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
    """Mean correlation coefficient of factors and latents under the best one-to-one matching.

    ``max over one-to-one matchings of [sum over pairs |corr(z_j, v_k)|] / number of factors``. With held-out rows,
    matching and signs are determined on the training rows of five folds and the signed correlation on the other fold,
    so that unrelated codes score 0 on average instead of the largest of many chance correlations.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    correlation : {"spearman", "pearson"}
        Correlation of ranks or of values.
    fit : {"none", "affine"}
        ``affine``: codes are first mapped to the factors by least squares ("weak" MCC).
    rows : {"held-out", "all"}
        Rows on which the correlation is measured; ``all`` uses all rows for both matching and absolute correlations.
    normaliser : {"factors", "pairs"}
        With fewer latents than factors, unmatched factors count as 0 (``factors``) or are ignored (``pairs``).

    Returns
    -------
    RawScore
        In [-1, 1]; 1 if each factor is encoded without noise in its own latent, 0 for unrelated codes.
        ``per_factor``: correlation with the matched latent. Part ``weakest``: the smallest of these. Details:
        ``correlation`` (n_codes, n_factors), absolute, on all rows, and ``assignment`` (n_factors,), the latent
        matched with each factor on all rows, -1 for none.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or the labelled rows cannot be split into two folds.

    Notes
    -----
    A categorical or circular factor has several columns (indicators; cosine and sine): its correlation with a latent
    is that of the latent with its best linear combination of these columns, fitted on the training rows; the authors'
    implementations treat categories as numbers. Dead latents have correlation 0; the authors' implementations divide
    by 0 or fail. After an affine map fitted to each factor, no matching is better than the identity, which is
    therefore used.

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
        raise UndefinedScoreError("mcc needs a factor with at least two values; every factor is constant")
    assignment = _match(matrix, defined)
    if rows == "all" and fit == "none":
        corr = np.where(assignment >= 0, matrix[assignment, np.arange(len(defined))], 0.0)
    elif fit == "none":
        corr = representation.cached(_held_out_pairs, correlation, seed)
    else:
        corr = representation.cached(_affine, correlation, rows, seed)
    per_factor = np.where(defined, corr, np.nan)
    if np.isnan(per_factor).all():
        raise UndefinedScoreError("mcc needs a factor with at least two values within some fold; there is none")
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


def _match(matrix: NDArray[np.float64], defined: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the latent matched with each factor, -1 if there is none."""
    codes, positions = one_to_one_assignment(matrix[:, defined])
    assignment = np.full(len(defined), -1)
    assignment[np.flatnonzero(defined)[positions]] = codes
    return assignment


def _held_out_pairs(representation: Representation, correlation: Correlation, seed: Seed) -> NDArray[np.float64]:
    """Return the signed correlation of each factor with its matched latent, 0 if unmatched, NaN where undefined."""
    prepare = _PREPARE[correlation]
    folded = _Folded(representation)
    splits = folds(representation, np.arange(len(representation)), N_FOLDS, seed)
    if len(splits) < 2:
        raise UndefinedScoreError("mcc matches on some groups of rows and scores others; there is only one group")
    for train, test in splits:
        training_rows = representation.take(train)
        assignment = _match(correlation_matrix(training_rows, correlation), training_rows.cached(varied_factors))
        for position, code in enumerate(assignment):
            labelled_train, labelled_test = folded.labelled(position, train), folded.labelled(position, test)
            columns = representation.cached(factor_columns, position)
            corr = 0.0
            if code >= 0 and len(labelled_test) > 1:
                z_train, z_test = (
                    prepare(representation.codes[split][:, [code]]) for split in (labelled_train, labelled_test)
                )
                v_test = _combined(z_train, columns[labelled_train], columns[labelled_test], prepare)
                corr = _correlation(z_test, v_test)
            folded.add(position, labelled_test, corr)
    return folded.mean()


def _combined(z_train: Floats, v_train: Floats, v_test: Floats, prepare: Prepare) -> Floats:
    """Return the linear combination of a factor's columns on test rows that fits a latent on training rows."""
    if v_train.shape[1] == 1:  # only the sign is free
        return np.asarray(prepare(v_test) * np.sign(np.sum(prepare(v_train) * z_train)))
    centre = v_train.mean(axis=0)
    return np.asarray((v_test - centre) @ np.linalg.lstsq(v_train - centre, z_train, rcond=None)[0])


def _affine(representation: Representation, correlation: Correlation, rows: Rows, seed: Seed) -> NDArray[np.float64]:
    """Return the correlation of each factor with its least-squares prediction from all latents."""
    everything = np.arange(len(representation))
    splits = [(everything, everything)] if rows == "all" else folds(representation, everything, N_FOLDS, seed)
    codes = standardise(representation.codes)
    folded = _Folded(representation)
    for train, test in splits:
        for positions in folded.labelled_together(train):
            labelled_train = folded.labelled(positions[0], train)
            blocks = [representation.cached(factor_columns, position) for position in positions]
            centre, y_train = codes[labelled_train].mean(axis=0), np.hstack([block[labelled_train] for block in blocks])
            weights = np.linalg.lstsq(codes[labelled_train] - centre, y_train - y_train.mean(axis=0), rcond=None)[0]
            ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
            for position, block, weight in zip(positions, blocks, np.split(weights, ends, axis=1), strict=True):
                labelled_test = folded.labelled(position, test)
                if len(labelled_test) < 2:
                    continue
                y_pred, y_test = (codes[labelled_test] - centre) @ weight, block[labelled_test]
                if y_test.shape[1] == 1:
                    y_pred, y_test = _PREPARE[correlation](y_pred), _PREPARE[correlation](y_test)
                folded.add(position, labelled_test, _correlation(y_pred, y_test))
    return folded.mean()


def _correlation(first: Floats, second: Floats) -> float:
    """Return the correlation over all entries of two centred tables of equal shape; 0 if one is constant."""
    one, other = (values - values.mean(axis=0) for values in (first, second))
    scale = np.sqrt(np.sum(one**2) * np.sum(other**2))
    return float(np.sum(one * other) / scale) if scale > 1e-12 * one.size else 0.0


class _Folded:
    """Mean over folds of the correlation of each factor, weighted by numbers of rows."""

    def __init__(self, representation: Representation) -> None:
        factors = [representation.cached(column_target, k) for k in range(representation.n_factors)]
        self._columns = [factor.values for factor in factors]
        self._present = np.stack([factor.present for factor in factors])
        self._total = np.zeros(len(factors))
        self._weight = np.zeros(len(factors))

    def labelled(self, position: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the subset of these rows that has a label."""
        return np.asarray(rows[self._present[position, rows]])

    def labelled_together(self, rows: NDArray[np.int64]) -> list[list[int]]:
        """Return lists of factors that are labelled on the same rows, without unlabelled factors."""
        by_mask: dict[bytes, list[int]] = {}
        for position, present in enumerate(self._present[:, rows]):
            if present.any():
                by_mask.setdefault(present.tobytes(), []).append(position)
        return list(by_mask.values())

    def add(self, position: int, rows: NDArray[np.int64], corr: float) -> None:
        """Add the correlation on these rows, unless the factor is constant on them."""
        if len(rows) > 1 and np.ptp(self._columns[position][rows], axis=0).any():
            self._total[position] += len(rows) * corr
            self._weight[position] += len(rows)

    def mean(self) -> NDArray[np.float64]:
        return np.where(self._weight > 0, self._total / np.maximum(self._weight, 1), np.nan)


def _mixing_note(
    representation: Representation, matrix: NDArray[np.float64], assignment: NDArray[np.int64]
) -> tuple[str, ...]:
    matched = np.flatnonzero(assignment >= 0)
    others = matrix[assignment[matched]].copy()
    others[np.arange(len(matched)), matched] = 0.0
    mixed = others.max(axis=1) > 0.3
    if not mixed.any():
        return ()
    names = ", ".join(representation.code_names[code] for code in assignment[matched][mixed])
    mixing = f"latents whose correlation with the factor of another latent exceeds 0.3: {names}"
    return (f"{mixing}; this metric hardly penalises mixing",)
