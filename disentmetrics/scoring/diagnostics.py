"""Diagnostics of codes, factors and rows that may mislead a reader of the scores, in sentences."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, standard_deviation
from disentmetrics.estimators.independence import independence_p_value
from disentmetrics.estimators.mutual_information import adjusted_information, contingency, entropy
from disentmetrics.estimators.rank_correlation import rank_correlation
from disentmetrics.metrics.base import Invariance, Metric
from disentmetrics.representation import Representation, is_binned
from disentmetrics.representation.resampling import random_subset
from disentmetrics.results.score import Score
from disentmetrics.statistics.resolution import sampled
from disentmetrics.statistics.significance import significant_information
from disentmetrics.statistics.targets import factor_columns

Requested = Sequence[tuple[Metric, str]]

NARROW = 0.01
"""Share of the spread of the widest latent below which an uninformative latent is reported as possibly unused."""
COPIED = 0.999
"""Rank correlation above which two latents are copies of each other."""
DEPENDENT = 0.05
"""Mutual information, as a share of the smaller entropy, above which two factors are reported as dependent."""
MOST_OUTLYING = 0.05
"""Share of the rows up to which distant labels are reported as outlying; more of them are a group of their own."""
FEWEST_OTHER_LABELS = 5
"""Number of distinct labels from which others can be outlying."""
DETERMINED = 0.6
"""The same share, above which even metrics that tolerate dependent factors may score a perfect code below 1."""
MIN_ROWS_OF_CLASS = 10
"""Number of rows below which a value is reported as rare."""
MIN_ROWS_OF_CELL = 5
"""Rows per cell of bins and values below which plug-in estimates of mutual information are reported as biased."""
MOST_CODES_PER_ROW = 0.1
"""Latents per row above which probes are reported to overfit."""
WEAKLY_ENCODED = 0.05
"""Share of a factor's entropy below which a latent barely encodes it."""
PACKED = 0.25
"""Share of a factor's entropy above which a latent counts as carrying it."""
GOOD = 0.9
"""Share of the way from chance, or from the worst value, to the best one above which a score looks good."""
FAR_FROM_PRIOR = 4.0
"""Second moment of a latent under the aggregate posterior, about 1 in a trained VAE, above which the encoder appears to
see other inputs than those it was trained on."""
_MANY_CODES = 512
_ENOUGH_ROWS = 5_000
_MANY_FACTORS = 60
_CENTRAL_RANGE_OF_NORMAL = 3.29
"""Standard deviations between the 5 % and the 95 % quantile of a normal distribution."""


def diagnose(representation: Representation, scored: Representation, requested: Requested) -> list[str]:
    """Return sentences about codes, factors and rows that may mislead a reader of the scores.

    Parameters
    ----------
    representation, scored : Representation
        As given, and the rows that were scored.
    requested : sequence of (Metric, protocol)

    Returns
    -------
    list of str
        Sentences, each with the number that it is based on.
    """
    return [
        *_silent_codes(representation, scored),
        *_wide_posteriors(representation),
        *_far_from_the_prior(representation),
        *_log_variances_among_codes(representation),
        *_copied_codes(sampled(scored)),
        *_labels(representation),
        *_encoded_factors(scored),
        *_dependent_factors(scored, requested),
        *_too_few_rows(scored, requested),
        *_resampling(representation, scored),
    ]


def diagnose_scores(scored: Representation, scores: Sequence[tuple[Metric, str, Score]]) -> list[str]:
    """Return a sentence about scores that look good although a factor is missing, which their metrics do not penalise.

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
    missing = [name for name, share in _best_shares(scored) if share < WEAKLY_ENCODED]
    blind, seeing = [], []
    for metric, protocol, score in scores:
        penalised = "missing factor" in metric.protocol(protocol).detects
        if penalised and not score.undefined:
            seeing.append(score.name)
        elif not penalised and metric.family != "unsupervised" and _looks_good(score):
            blind.append(f"{score.name} is {score.value:.2f}")
    if not missing or not blind:
        return []
    these = "this metric does" if len(blind) == 1 else "these metrics do"
    sentence = (
        f"{_some(blind)} although {_and(missing)} {'is' if len(missing) == 1 else 'are'} missing from the codes: "
        f"{these} not penalise missing factors; see {_some(seeing) or 'factorvae'}"
    )
    return [sentence]


def _looks_good(score: Score) -> bool:
    low, high = score.bounds
    best, worst = (high, low) if score.higher_is_better else (low, high)
    start = score.null if score.null is not None else worst
    if score.undefined or not np.isfinite([best, start]).all() or best == start:
        return False
    return (score.value - start) / (best - start) >= GOOD


def _best_shares(representation: Representation) -> list[tuple[str, float]]:
    """Return each factor that varies, with the largest share of its entropy that one latent carries."""
    if len(representation) < 2 * MIN_ROWS_OF_CLASS:
        return []
    information = representation.cached(significant_information)
    names = representation.space.names
    return [(names[k], float(information.share[:, k].max())) for k in np.flatnonzero(information.defined)]


def _silent_codes(representation: Representation, scored: Representation) -> Iterator[str]:
    codes, names = representation.codes, np.array(representation.code_names)
    dead = constant(codes)
    if dead.any():
        yield f"{dead.sum()} of {len(dead)} latents are constant: {_some(names[dead])}"
    if representation.mean_kl is not None:
        collapsed = (representation.mean_kl <= KL_THRESHOLD) & ~dead
        if collapsed.any():
            prior = "the prior" if representation.kl is None else "the model's own prior"
            yield (
                f"{collapsed.sum()} of {len(dead)} latents are collapsed to {prior} (mean KL at most "
                f"{KL_THRESHOLD} nats): {_some(names[collapsed])}"
            )
    elif representation.n_codes > 1:
        spread = standard_deviation(codes)
        widest = float(_spread_without_tails(codes).max())
        quiet = (spread < NARROW * widest) & ~dead
        # A narrow latent may only have another unit: whether it is used is a question of information, not of scale.
        quiet = quiet & ~scored.cached(significant_information).related_codes if quiet.any() else quiet
        if quiet.any():
            listed = [f"{name} ({sd:.2g})" for name, sd in zip(names[quiet], spread[quiet], strict=True)]
            uninformative = ", are not informative about any factor" if scored.n_factors else ""
            yield (
                f"{quiet.sum()} of {len(dead)} latents vary by less than {_percent(NARROW)} of the widest (standard "
                f"deviation {widest:.2g}){uninformative} and may be unused: {_some(listed)}"
            )


def _spread_without_tails(codes: NDArray[np.floating]) -> Floats:
    """Return the standard deviation of each latent, estimated from its central 90 % where outliers inflate it."""
    some = codes[random_subset(len(codes), _ENOUGH_ROWS, generator(0, "spread"))].astype(np.float64)
    low, high = np.quantile(some, [0.05, 0.95], axis=0)
    central = high / _CENTRAL_RANGE_OF_NORMAL - low / _CENTRAL_RANGE_OF_NORMAL
    return np.asarray(np.minimum(central, standard_deviation(codes)))


def _wide_posteriors(representation: Representation) -> Iterator[str]:
    if representation.log_variance is None or not (low := float(representation.log_variance.min())) > 0:
        return
    yield (
        f"all log-variances are positive ({low:.2g} to {float(representation.log_variance.max()):.2g}), so that every "
        "posterior is wider than the prior: if the encoder returns standard deviations or variances, specify that by "
        "spread=std or spread=variance"
    )


def _far_from_the_prior(representation: Representation) -> Iterator[str]:
    """Report posteriors whose mixture is far from N(0, 1): the KL term makes its second moment about 1."""
    if representation.log_variance is None or representation.kl is not None:
        return
    moments = _second_moments(representation.codes, representation.log_variance)
    far = moments > FAR_FROM_PRIOR  # small moments are those of a small weight of the KL as well
    if far.mean() > 0.5:
        worst = int(np.argmax(moments))
        size = f"{moments[worst]:.2g}" if np.isfinite(moments[worst]) else "infinite"
        yield (
            f"the aggregate posterior of {far.sum()} of {len(far)} latents is far from N(0, 1) (second moment of "
            f"{representation.code_names[worst]}: {size} instead of about 1): if the encoder is a VAE "
            "with this prior, check that its inputs have the range and layout that it was trained with (range=, "
            "layout=)"
        )


def _log_variances_among_codes(representation: Representation) -> Iterator[str]:
    """Report codes of which every second one, or the second half, are the log-variances of the others.

    The mixture of the posteriors of a trained VAE is close to N(0, 1) in its second moment, for used and for collapsed
    latents, whereas exp(z) of latents z around 0 has a mean above 1.
    """
    codes, n_codes = representation.codes, representation.n_codes
    if representation.log_variance is not None or n_codes % 2 or n_codes < 4:
        return
    half = n_codes // 2
    arrangements = {
        "halves": (codes[:, :half], codes[:, half:]),
        "log_variance_first": (codes[:, half:], codes[:, :half]),
        "interleaved": (codes[:, ::2], codes[:, 1::2]),
    }
    for name, (mean, log_variance) in arrangements.items():
        if log_variance.max() > 3 or not (log_variance.mean(axis=0) < 0.1).all():
            continue
        moments = _second_moments(mean, log_variance)
        near = ((moments > 1 / 2) & (moments < 2)).all() and np.median(np.abs(np.log(moments))) < np.log(1.4)
        # a used latent has a mean that varies and a narrow posterior; small codes of any kind have exp(z) near 1
        used = ((mean.astype(np.float64) ** 2).mean(axis=0) > 0.5) & (_mean_exp(log_variance) < 0.25)
        if near and used.any():
            yield (
                f"the {n_codes} latents may be means and log-variances of {half} latents, by their moments: if so, "
                f"separate them (select={name} for an encoder, --log-variance-columns for a table); otherwise ignore "
                "this"
            )
            return


def _second_moments(mean: NDArray[np.floating], log_variance: NDArray[np.floating]) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray((mean.astype(np.float64) ** 2).mean(axis=0) + _mean_exp(log_variance))


def _mean_exp(log_variance: NDArray[np.floating]) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(log_variance.astype(np.float64)).mean(axis=0))


def _copied_codes(representation: Representation) -> Iterator[str]:
    if not 1 < representation.n_codes <= _MANY_CODES:
        return
    # Random rows: on a grid in order, every k-th row would miss values of the factors that vary fastest.
    rows = random_subset(len(representation), _ENOUGH_ROWS, generator(0, "copied codes"))
    some = representation.codes[rows]
    alike = rank_correlation(some, some) > COPIED
    listed = [
        f"{representation.code_names[i]} and {representation.code_names[j]}"
        for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True)
    ]
    if listed and len(some) > 2:
        yield (
            f"latents that are copies of each other (rank correlation above {COPIED}): {_some(listed)}; "
            "gap-based metrics, such as mig, score 0 on factors that only such copies encode"
        )


def _labels(representation: Representation) -> Iterator[str]:
    if not representation.n_factors:
        yield "no factors are known: metrics that compare codes with factors are undefined"
    yield from representation.notes
    for position, factor in enumerate(representation.space):
        labels = representation.labels(position)
        missing = int((labels < 0).sum())
        if missing:
            yield f"factor {factor.name}: {missing} of {len(labels)} rows have no label and are left out for it"
        yield from _outlying_labels(representation, position)
        if labels.max() <= 0 or (labels[labels >= 0] == labels.max()).all():
            yield f"factor {factor.name} takes a single value and is left out"
            continue
        counts = np.bincount(labels[labels >= 0])
        rare = np.flatnonzero((counts > 0) & (counts < MIN_ROWS_OF_CLASS))
        consequence = "metrics that fix a factor leave them out and probes can barely learn them"
        if len(rare) and is_binned(factor):
            yield (
                f"factor {factor.name} has few rows: {len(rare)} of {np.count_nonzero(counts)} bins of its values "
                f"have fewer than {MIN_ROWS_OF_CLASS} (fewest: {counts[rare].min()}); {consequence}: add rows"
            )
        elif len(rare):
            least = int(rare[np.argmin(counts[rare])])
            name = factor.values[least] if factor.values else least
            name = f"{name:g}" if isinstance(name, float) else name
            yield (
                f"factor {factor.name}: {len(rare)} of {np.count_nonzero(counts)} values have fewer than "
                f"{MIN_ROWS_OF_CLASS} rows (rarest: {name}, {counts[least]} of them); {consequence}: merge them or add "
                "rows"
            )


def _outlying_labels(representation: Representation, position: int) -> Iterator[str]:
    """Report rare labels that are further from all others than these span, such as 1000 among 0 .. 99."""
    factor = representation.space.factors[position]
    numeric = factor.size is None or (factor.values and not isinstance(factor.values[0], str))
    if factor.kind not in {"ordinal", "continuous"} or not numeric:
        return
    column = representation.cached(factor_columns, position)[:, 0]
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    start, end = _core(values, counts)
    outlying = [*zip(values[:start], counts[:start], strict=True), *zip(values[end:], counts[end:], strict=True)]
    if outlying:
        outlying.sort(key=lambda pair: -abs(pair[0]))
        listed = _some([f"{value:g} ({count} {'row' if count == 1 else 'rows'})" for value, count in outlying], 3)
        yield (
            f"factor {factor.name} has outlying labels: {listed}, while all others are from {values[start]:g} to "
            f"{values[end - 1]:g}; they dominate metrics of linear relations, such as linear_r2; if they mark missing "
            f"labels, give missing={outlying[0][0]:g}"
        )


def _core(values: NDArray[np.floating], counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return the range of sorted values without those whose distance to it exceeds its own width.

    The range grows from the middle half of the rows. All values belong to it if more than a few rows would not.
    """
    everything = (0, len(values))
    if len(values) < FEWEST_OTHER_LABELS:
        return everything
    below = np.cumsum(counts) / counts.sum()
    start, last = (int(np.searchsorted(below, share)) for share in (0.25, 0.75))
    wide = np.flatnonzero(np.diff(values) > values[last] - values[start])  # gaps that the range might not cross
    while True:
        before, after = wide[wide < start], wide[wide >= last]
        start = int(before[-1]) + 1 if len(before) else 0
        last = int(after[0]) if len(after) else len(values) - 1
        width = values[last] - values[start]
        if len(after) and values[last + 1] - values[last] <= width:
            last += 1
        elif len(before) and values[start] - values[start - 1] <= width:
            start -= 1
        else:
            break
    n_outside = counts.sum() - counts[start : last + 1].sum()
    few = n_outside <= max(1, MOST_OUTLYING * counts.sum()) and last - start + 1 >= FEWEST_OTHER_LABELS
    return (start, last + 1) if few and width > 0 else everything


def _encoded_factors(representation: Representation) -> Iterator[str]:
    if len(representation) < 2 * MIN_ROWS_OF_CLASS:
        return
    information = representation.cached(significant_information)
    share = information.share
    names, codes = representation.space.names, representation.code_names
    for k in np.flatnonzero(information.defined):
        best = int(np.argmax(share[:, k]))
        most = share[best, k]
        if most == 0:
            yield f"no latent is informative about {names[k]}"
        elif most < WEAKLY_ENCODED:
            yield (
                f"{names[k]} is barely encoded: {codes[best]} carries the most information "
                f"({100 * most:.1f} % of its entropy)"
            )
        carriers = np.flatnonzero(share[:, k] > PACKED)
        if len(carriers) > 1:
            carriers = carriers[np.argsort(-share[carriers, k], kind="stable")]
            listed = [f"{codes[j]} ({_percent(share[j, k])})" for j in carriers]
            circle = (
                "; a circular factor needs two latents to be encoded without a discontinuity"
                if representation.space.factors[k].kind == "circular"
                else ""
            )
            yield (
                f"{names[k]} is encoded in {len(listed)} latents, with the share of its entropy that each carries: "
                f"{_and(listed)}{circle}"
            )
    several = []
    for j in np.flatnonzero((share > PACKED).sum(axis=1) > 1):
        carried = [f"{names[k]} {_percent(share[j, k])}" for k in np.flatnonzero(share[j] > PACKED)]
        several.append(f"{codes[j]} ({', '.join(carried)})")
    if several:
        yield f"latents that encode several factors, with the share of each factor's entropy: {_some(several)}"


def _dependent_factors(representation: Representation, requested: Requested) -> Iterator[str]:
    n_factors = min(representation.n_factors, _MANY_FACTORS)
    dependent = []
    for k in range(n_factors):
        for other in range(k + 1, n_factors):
            share = _common(representation.labels(k), representation.labels(other))
            if share > DEPENDENT:
                dependent.append((share, f"{representation.space.names[k]} and {representation.space.names[other]}"))
    if not dependent:
        return
    dependent.sort(reverse=True)
    listed = _some([f"{names} ({_percent(share)})" for share, names in dependent], 4)
    tolerated: set[Invariance] = {"dependent factors"}
    if dependent[0][0] > DETERMINED:
        tolerated.add("determined factors")
    unaffected = [
        metric.full_name(protocol)
        for metric, protocol in requested
        if tolerated <= set(metric.protocol(protocol).invariant_to)
    ]
    yield (
        f"dependent factors, with their mutual information as a share of the smaller entropy: {listed}; many metrics "
        "score even a perfect code below its best value, and mixtures of such factors above it; a perfect code keeps "
        f"its score under: {', '.join(unaffected) or 'none of the requested metrics'}"
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


def _too_few_rows(representation: Representation, requested: Requested) -> Iterator[str]:
    n_rows, n_codes = len(representation), representation.n_codes
    probing = [metric.name for metric, _ in requested if metric.family in {"predictor", "downstream"}]
    if probing and n_codes > MOST_CODES_PER_ROW * n_rows:
        yield (
            f"{n_codes} latents for {n_rows} rows is more than one latent per ten rows: the probes of "
            f"{_some(dict.fromkeys(probing))} overfit; add rows or select latents"
        )
    values = max((int(representation.labels(k).max()) + 1 for k in range(representation.n_factors)), default=1)
    binned: dict[str, int] = {}
    for metric, protocol in requested:
        n_bins = metric.protocol(protocol).options.get("n_bins", (metric.formula.__kwdefaults__ or {}).get("n_bins"))
        if n_bins and protocol != "default" and n_rows < MIN_ROWS_OF_CELL * n_bins * values:
            binned[f"{metric.name}@{protocol}"] = MIN_ROWS_OF_CELL * n_bins * values
    if binned:
        yield (
            f"{n_rows} rows are fewer than {MIN_ROWS_OF_CELL} per cell of bins and values ({max(binned.values())} "
            f"would suffice): the mutual information estimated by {_some(binned)} is biased upwards; the default "
            "protocols correct for it"
        )


def _resampling(representation: Representation, scored: Representation) -> Iterator[str]:
    if representation.groups is not None and not (representation.shuffles_groups or representation.sequential):
        yield (
            "the null permutes single rows, because permuting entire groups requires at least 10 of them: p-values of "
            "clustered rows are too small"
        )
    if len(scored) < len(representation):
        yield (
            f"{len(scored)} of {len(representation)} rows were retained, with probabilities proportional to their "
            "weights"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _and(listed: Sequence[str], most: int = 8) -> str:
    if len(listed) > most:
        return _some(listed, most)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
