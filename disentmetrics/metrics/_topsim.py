"""Topographic similarity of messages and factors."""

from typing import Literal

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.pair_distances import edit_distances, hamming_distances, rank_correlation_of_counts
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import sorted_subset
from disentmetrics.statistics.symbols import messages
from disentmetrics.statistics.targets import label_table, varied_factors

_DISTANCES = {"hamming": hamming_distances, "edit": edit_distances}


@metric(
    family="geometry",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Brighton & Kirby (2006), Understanding Linguistic Evolution by Visualizing the Emergence of Topographic "
    "Mappings",
    known_failure="A language with one position per factor that omits one factor still scores high.",
    needs=Needs(rows=4, symbols=True),
    randomised=True,
    # Changes after which codes are no longer symbols leave the score undefined. Code order does not matter on the
    # examples of the property suite, in which no symbol occurs at two positions.
    invariant_to=all_except("scale", "shift", "monotone warp", "noise code", "duplicated code", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: Hamming distances between messages, 1,000 rows",
        ),
        "chaabouni2020": Protocol(
            source="Chaabouni et al. (2020): edit distances between messages, 1,000 rows",
            options={"distance": "edit"},
        ),
    },
)
def topsim(
    representation: Representation,
    *,
    rng: np.random.Generator,
    distance: Literal["hamming", "edit"] = "hamming",
    n_rows: int = 1_000,
) -> RawScore:
    """Topographic similarity: rank correlation between distances of messages and distances of their factors.

    Spearman's correlation, over pairs of rows, of the number of positions in which the messages differ (or their edit
    distance) with the number of factors in which the rows differ.

    Parameters
    ----------
    representation : Representation
        ``codes`` contains the symbols of a message, one column per position: integers, each of which recurs. Rows
        with a missing label are excluded; continuous factors are discretised into 10 equal-frequency bins; circular
        factors keep their discrete values.
    rng : numpy.random.Generator
        Random number generator for the choice of rows.
    distance : {"hamming", "edit"}
        Distance between messages.
    n_rows : int
        Maximum number of rows, drawn without replacement, all pairs of which are used.

    Returns
    -------
    RawScore
        In [-1, 1]; 1 if the distance between messages increases monotonically with the number of differing factors, 0
        on average for messages unrelated to the factors. ``per_factor`` is the correlation with whether the rows
        differ in that factor, NaN for a constant factor.

    Raises
    ------
    UndefinedScoreError
        If codes are not symbols, or all messages or all factor combinations of the rows are equal.

    Notes
    -----
    All factors have equal weight, and distances between their values are ignored; for one-hot inputs this ranks pairs
    as the authors' cosine distance does. Their code uses all rows. Constant positions do not contribute to distances.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(3, axis=0)
    >>> round(topsim(factors, factors).value, 6), round(topsim(factors[:, :1] * 5 + factors[:, 1:], factors).value, 2)
    (1.0, 0.37)
    """
    labels = representation.cached(label_table)
    rows = np.flatnonzero((labels >= 0).all(axis=1))
    rows = sorted_subset(rows, n_rows, rng)
    if len(rows) < 3:
        raise UndefinedScoreError(f"topsim needs at least 3 rows with all labels; got {len(rows)}")
    between_messages = _DISTANCES[distance](messages(representation)[rows])
    value = rank_correlation_of_counts(between_messages, hamming_distances(labels[rows]))
    if np.isnan(value):
        raise UndefinedScoreError("topsim needs messages and factors that differ; all pairs have equal distances")
    per_factor = np.full(representation.n_factors, np.nan)
    for factor in np.flatnonzero(representation.cached(varied_factors)):
        differs = hamming_distances(labels[rows][:, [factor]])
        per_factor[factor] = rank_correlation_of_counts(between_messages, differs)
    return RawScore(value=value, per_factor=per_factor, settings={"paired": str(len(rows))})
