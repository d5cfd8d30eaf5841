"""What a reader must know of codes, factors and rows before reading their scores, in sentences."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import KL_THRESHOLD, constant, mean_kl
from disentmetrics.estimators.independence import independence_p_value
from disentmetrics.estimators.mutual_information import adjusted_information, contingency, entropy
from disentmetrics.estimators.rank_correlation import rank_correlation
from disentmetrics.metrics.base import Metric
from disentmetrics.representation import Representation, is_binned
from disentmetrics.results.score import Score
from disentmetrics.statistics.significance import significant_information

Asked = Sequence[tuple[Metric, str]]

COPIED = 0.999
"""Rank correlation above which two codes are copies of each other."""
DEPENDENT = 0.05
"""Share of the smaller entropy that two factors must have in common to be called dependent."""
MIN_ROWS_OF_CLASS = 10
"""Rows of a value below which it is called rare."""
MIN_ROWS_OF_CELL = 5
"""Rows for each cell of bins and values below which plug-in normalized_mutual_information are called too high."""
MOST_CODES_PER_ROW = 0.1
"""Codes for each row above which probes are said to overfit."""
WEAKLY_ENCODED = 0.05
"""Share of a factor's entropy below which a code hardly tells it."""
PACKED = 0.25
"""Share of its entropy above which a factor is packed into a code beside another, or carried by a further code."""
GOOD = 0.9
"""Share of the way from chance, or from the lower bound, to the best value from which a score looks good."""
_MANY_CODES = 512
_ENOUGH_ROWS = 5_000
_MANY_FACTORS = 60


def diagnose(representation: Representation, scored: Representation, asked: Asked) -> list[str]:
    """Describe what may mislead a reader of the scores.

    Parameters
    ----------
    representation, scored : Representation
        As given, and the rows that were scored.
    asked : sequence of (Metric, protocol)

    Returns
    -------
    list of str
        A sentence each, with the number that it stands on.
    """
    return [
        *_silent_codes(representation),
        *_copied_codes(representation),
        *_factor_remarks(representation),
        *_told_factors(scored),
        *_dependent_factors(scored, asked),
        *_too_few_rows(scored, asked),
        *_resampling(representation, scored),
    ]


def diagnose_scores(scored: Representation, scores: Sequence[tuple[Metric, str, Score]]) -> list[str]:
    """Describe which scores look good although a factor is missing, because the metric cannot see that.

    Parameters
    ----------
    scored : Representation
        The rows that were scored.
    scores : sequence of (Metric, protocol, Score)

    Returns
    -------
    list of str
        At most one sentence.
    """
    missing = [name for name, share in _most_told(scored) if share < WEAKLY_ENCODED]
    blind, seeing = [], []
    for metric, protocol, score in scores:
        sees = "missing factor" in metric.protocol(protocol).detects
        if sees and not score.undefined:
            seeing.append(score.name)
        elif not sees and metric.family != "unsupervised" and _looks_good(metric, score):
            blind.append(f"{score.name} is {score.value:.2f}")
    if not missing or not blind:
        return []
    are = "is" if len(missing) == 1 else "are"
    which = "this score" if len(blind) == 1 else "these scores"
    lack = f"{_and(missing)} {are} missing from the codes, which does not lower {which}"
    return [f"{_some(blind)} although {lack}: see {_some(seeing) or 'factorvae'}"]


def _looks_good(metric: Metric, score: Score) -> bool:
    low, high = metric.bounds
    best, worst = (high, low) if metric.higher_is_better else (low, high)
    start = score.null if score.null is not None else worst
    if score.undefined or not np.isfinite([best, start]).all() or best == start:
        return False
    return (score.value - start) / (best - start) >= GOOD


def _most_told(representation: Representation) -> list[tuple[str, float]]:
    """Return each factor that varies with the largest share of its entropy that a code tells."""
    if len(representation) < 2 * MIN_ROWS_OF_CLASS:
        return []
    gated = representation.cached(significant_information)
    names = representation.space.names
    return [(names[k], float(gated.share[:, k].max())) for k in np.flatnonzero(gated.defined)]


def _silent_codes(representation: Representation) -> Iterator[str]:
    codes, names = representation.codes, np.array(representation.code_names)
    dead = constant(codes)
    if dead.any():
        yield f"{dead.sum()} of {len(dead)} codes are constant: {_some(names[dead])}"
    if representation.log_variance is not None:
        collapsed = (mean_kl(codes, representation.log_variance) <= KL_THRESHOLD) & ~dead
        if collapsed.any():
            yield (
                f"{collapsed.sum()} of {len(dead)} codes are collapsed to the prior (mean KL at most "
                f"{KL_THRESHOLD} nats): {_some(names[collapsed])}"
            )
    elif representation.n_codes > 1:
        spread = np.std(codes, axis=0, dtype=np.float64)
        quiet = (spread < 0.01 * spread.max()) & ~dead
        if quiet.any():
            listed = [f"{name} ({sd:.2g})" for name, sd in zip(names[quiet], spread[quiet], strict=True)]
            yield (
                f"{quiet.sum()} of {len(dead)} codes vary by less than 1 % of the widest (standard deviation "
                f"{spread.max():.2g}) and may be dead: {_some(listed)}"
            )


def _copied_codes(representation: Representation) -> Iterator[str]:
    if not 1 < representation.n_codes <= _MANY_CODES:
        return
    some = representation.codes[:: max(1, len(representation) // _ENOUGH_ROWS)]
    alike = rank_correlation(some, some) > COPIED
    listed = [
        f"{representation.code_names[i]} and {representation.code_names[j]}"
        for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True)
    ]
    if listed and len(some) > 2:
        yield (
            f"codes that are copies of each other (rank correlation above {COPIED}): {_some(listed)}; "
            "metrics of a gap between two codes, such as mig, score 0 on what they tell"
        )


def _factor_remarks(representation: Representation) -> Iterator[str]:
    if not representation.n_factors:
        yield "no factor is known: metrics that compare codes with factors have no value here"
    for position, factor in enumerate(representation.space):
        labels = representation.labels(position)
        missing = int((labels < 0).sum())
        if missing:
            yield f"factor {factor.name}: {missing} of {len(labels)} rows have no label and are left out for it"
        if labels.max() <= 0 or (labels[labels >= 0] == labels.max()).all():
            yield f"factor {factor.name} takes a single value and is left out"
            continue
        counts = np.bincount(labels[labels >= 0])
        rare = np.flatnonzero((counts > 0) & (counts < MIN_ROWS_OF_CLASS))
        if len(rare) and is_binned(factor):
            yield (
                f"factor {factor.name} has few rows: {len(rare)} of {np.count_nonzero(counts)} bins of its values "
                f"have fewer than {MIN_ROWS_OF_CLASS} (fewest: {counts[rare].min()}); metrics that fix a factor leave "
                "them out and probes can hardly learn them: add rows"
            )
        elif len(rare):
            least = int(rare[np.argmin(counts[rare])])
            name = factor.values[least] if factor.values else least
            yield (
                f"factor {factor.name}: {len(rare)} of {np.count_nonzero(counts)} values have fewer than "
                f"{MIN_ROWS_OF_CLASS} rows (rarest: {name}, {counts[least]}); metrics that fix a factor leave them "
                "out and probes can hardly learn them: merge them or add rows"
            )


def _told_factors(representation: Representation) -> Iterator[str]:
    if len(representation) < 2 * MIN_ROWS_OF_CLASS:
        return
    gated = representation.cached(significant_information)
    names, codes = representation.space.names, representation.code_names
    for k in np.flatnonzero(gated.defined):
        best = int(np.argmax(gated.share[:, k]))
        most = gated.share[best, k]
        if most == 0:
            yield f"factor {names[k]} is told by no code"
        elif most < WEAKLY_ENCODED:
            yield f"factor {names[k]} is hardly told by any code: {codes[best]} tells most, {most:.1%} of its entropy"
        carriers = np.flatnonzero(gated.share[:, k] > PACKED)
        if len(carriers) > 1:
            carriers = carriers[np.argsort(-gated.share[carriers, k], kind="stable")]
            listed = [f"{codes[j]} ({gated.share[j, k]:.0%})" for j in carriers]
            each = "both" if len(listed) == 2 else "all"
            circle = (
                ", as a circle takes two codes to be told without a seam" if _is_circle(representation, int(k)) else ""
            )
            yield f"{_and(listed)} {each} carry {names[k]}, with the share of its entropy that each tells{circle}"
    packing = []
    for j in np.flatnonzero((gated.share > PACKED).sum(axis=1) > 1):
        told = [f"{names[k]} {gated.share[j, k]:.0%}" for k in np.flatnonzero(gated.share[j] > PACKED)]
        packing.append(f"{codes[j]} ({', '.join(told)})")
    if packing:
        yield (
            f"codes that pack several factors, with the share of each factor's entropy that they tell: {_some(packing)}"
        )


def _dependent_factors(representation: Representation, asked: Asked) -> Iterator[str]:
    n_factors = min(representation.n_factors, _MANY_FACTORS)
    found = []
    for k in range(n_factors):
        for other in range(k + 1, n_factors):
            share = _common(representation.labels(k), representation.labels(other))
            if share > DEPENDENT:
                found.append((share, f"{representation.space.names[k]} and {representation.space.names[other]}"))
    if not found:
        return
    found.sort(reverse=True)
    listed = _some([f"{names} ({share:.0%})" for share, names in found], 4)
    safe = [
        metric.name if protocol == "default" else f"{metric.name}@{protocol}"
        for metric, protocol in asked
        if "dependent factors" in metric.protocol(protocol).invariant_to
    ]
    yield (
        f"dependent factors, with the share of the smaller entropy that they have in common: {listed}; a perfect "
        f"code scores below 1 on many metrics; not affected here: {', '.join(safe) or 'none of those asked for'}"
    )


def _common(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    both = (first >= 0) & (second >= 0)
    if both.sum() < MIN_ROWS_OF_CLASS:
        return 0.0
    first, second = first[both], second[both]
    counts = contingency(first, second, int(first.max()) + 1, int(second.max()) + 1)
    if entropy(counts.sum(axis=1)) < entropy(counts.sum(axis=0)):
        counts = counts.T
    smaller = entropy(counts.sum(axis=0))
    if smaller == 0 or independence_p_value(counts) > 0.01:
        return 0.0
    return adjusted_information(counts) / smaller


def _too_few_rows(representation: Representation, asked: Asked) -> Iterator[str]:
    n_rows, n_codes = len(representation), representation.n_codes
    probing = [metric.name for metric, _ in asked if metric.family in {"predictor", "downstream"}]
    if probing and n_codes > MOST_CODES_PER_ROW * n_rows:
        yield (
            f"{n_codes} codes for {n_rows} rows are more than one code for ten rows: the probes of "
            f"{_some(dict.fromkeys(probing))} overfit; add rows or choose codes"
        )
    values = max((int(representation.labels(k).max()) + 1 for k in range(representation.n_factors)), default=1)
    binned: dict[str, int] = {}
    for metric, protocol in asked:
        n_bins = metric.protocol(protocol).options.get("n_bins", (metric.formula.__kwdefaults__ or {}).get("n_bins"))
        if n_bins and protocol != "default" and n_rows < MIN_ROWS_OF_CELL * n_bins * values:
            binned[f"{metric.name}@{protocol}"] = MIN_ROWS_OF_CELL * n_bins * values
    if binned:
        yield (
            f"{n_rows} rows are fewer than {MIN_ROWS_OF_CELL} for each cell of bins and values "
            f"({max(binned.values())} would do): normalized_mutual_information of {_some(binned)} are too high; the default protocols "
            "are corrected for it"
        )


def _resampling(representation: Representation, scored: Representation) -> Iterator[str]:
    if representation.groups is not None and not (representation.shuffles_groups or representation.sequential):
        yield (
            "for the null, rows were shuffled one by one: whole groups can only change places if there are "
            "10 or more; p-values of clustered rows are then too small"
        )
    if len(scored) < len(representation):
        yield (
            f"{len(scored)} of {len(representation)} rows were kept, each with a probability proportional to its weight"
        )


def _is_circle(representation: Representation, position: int) -> bool:
    return representation.space.factors[position].kind == "circular"


def _and(listed: Sequence[str], most: int = 8) -> str:
    if len(listed) > most:
        return _some(listed, most)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
