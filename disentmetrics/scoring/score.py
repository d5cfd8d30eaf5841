"""Score a representation: every metric on all rows, then on resampled and on permuted rows."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

import joblib
import numpy as np

from disentmetrics._utils.progress import tracked
from disentmetrics._utils.random import generator
from disentmetrics._utils.threads import single_threaded_blas, suppress_sklearn_warnings
from disentmetrics._version import __version__
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.metrics import find_metric
from disentmetrics.metrics.base import Metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import half_sample_rows, jackknife_rows
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score
from disentmetrics.scoring.diagnostics import diagnose, diagnose_scores
from disentmetrics.scoring.presets import expand
from disentmetrics.scoring.sensitivity import resolution_notes
from disentmetrics.scoring.summarise import summarise
from disentmetrics.scoring.uncertainty import (
    N_SEEDS,
    IntervalMethod,
    bias_corrected,
    null_interval,
    permutation_p_value,
    slow_bias_weight,
    standard_error,
    t_interval,
)
from disentmetrics.scoring.verdict import verdict
from disentmetrics.statistics.resolution import sampled, with_resolution

N_PERMUTATIONS = 99
N_FEW_PERMUTATIONS = 39
FEWEST_ROWS = 0.25
"""Share of ``enough_rows`` below which there is no interval: weak relations are missed by halves as by all rows."""
SLACK_REPORTED = 0.01
"""Estimated bias above which a note explains the width of an interval."""
MANY_ROWS = 100_000
"""Above this the null hardly varies, so that few permutations suffice."""


_PROBES = ("sklearn.ensemble", "sklearn.linear_model", "sklearn.svm")
"""Imported before threads start: circular imports fail when two threads import them at once."""


@dataclass(frozen=True)
class _Requested:
    """A metric under a protocol."""

    name: str
    metric: Metric
    protocol: str

    def n_permutations(self, n_rows: int) -> int:
        few = self.metric.randomised or self.metric.protocol(self.protocol).costly or n_rows > MANY_ROWS
        return N_FEW_PERMUTATIONS if few else N_PERMUTATIONS

    def point(self, representation: Representation, seed: int) -> Score:
        return self.metric.score(representation, self.protocol, seed=seed)

    def values(self, representation: Representation, seed: int | tuple[int, ...]) -> tuple[float, ...]:
        """Return the value and its parts."""
        parts = self.metric.parts
        try:
            raw = self.metric.evaluate(representation, self.protocol, seed=seed)
        except UndefinedScoreError:
            return (math.nan,) * (1 + len(parts))
        return (raw.value, *(raw.parts[part] for part in parts))


def score(
    representation: Representation,
    metrics: str | Sequence[str] = "default",
    *,
    seed: int = 0,
    interval: IntervalMethod | None = "jackknife",
    null: bool = True,
    n_jobs: int = 1,
    progress: bool = False,
) -> ScoreCard:
    """Score a representation with one or more metrics.

    Parameters
    ----------
    representation : Representation
        Codes and factors of the same observations.
    metrics : str or sequence of str
        Presets (:data:`disentmetrics.scoring.presets.PRESETS`) and names, such as ``"core"``,
        ``["mig", "factorvae@kim2018"]`` or ``"robust,mcc,dci@locatello2019"``.
    seed : int
        Random seed. The same seed gives the same numbers for every ``n_jobs`` and
        every number of CPUs: no matrix product is split among threads.
    interval : {"jackknife", "half-sampling"} or None
        How rows are resampled for the 95 % interval. Randomised metrics always use half-sampling: a
        jackknife would multiply the noise of their own draws by the square root of 19.
    null : bool
        Whether to permute rows for ``null``, ``adjusted`` and ``p_value``: 99 times, or 39 for
        randomised and costly metrics and for more than 100,000 rows.
    n_jobs : int
        Number of threads; -1 uses all CPUs. Results do not depend on it.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ScoreCard
        A metric that is undefined on these rows is included with the reason.

    Raises
    ------
    InvalidInputError
        If a metric, protocol or interval method does not exist.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)
    >>> card = dm.score(dm.Representation(factors * [1.0, -5.0], factors), ["mig", "higgins"])
    >>> card["mig"].value, card["mig"].interval.method, card["higgins"].null
    (1.0, 'jackknife', 0.5)
    """
    if not isinstance(representation, Representation):
        is_table = hasattr(representation, "obsm")
        way = "Representation.from_table(table)" if is_table else "Representation(codes, factors)"
        raise InvalidInputError(
            f"score takes a Representation, such as {way} or the result of encode, and then the metrics: "
            f"score({way}); got {type(representation).__name__}"
        )
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise InvalidInputError(f"n_jobs must be a whole number other than 0; got {n_jobs!r}")
    if interval not in ("jackknife", "half-sampling", None):
        raise InvalidInputError(f"interval must be 'jackknife', 'half-sampling' or None; got {interval!r}")
    names = expand(metrics, posterior=representation.log_variance is not None)
    requested = [_Requested(name, *find_metric(name)) for name in names]
    # Resampled and permuted rows are to keep the noise of these.
    scored = with_resolution(representation.resampled_by_weight(generator(seed, "weights")))
    parallel = _threads(n_jobs)
    with suppress_sklearn_warnings():
        points = parallel(joblib.delayed(a.point)(scored, seed) for a in requested)
    point = dict(zip((a.name for a in requested), points, strict=True))
    defined = [a for a in requested if not point[a.name].undefined]
    steady = [a for a in defined if not a.metric.randomised]
    random = [a for a in defined if a.metric.randomised]
    population = scored.provenance.population

    jobs: list[tuple[str, Callable[[], Representation], list[_Requested], int | tuple[int, ...]]] = []
    if interval:
        jobs += [("seeds", lambda: scored, random, (seed, r)) for r in range(1, N_SEEDS)]
    if interval and not population:
        drawn = generator(seed, "rows")
        ways: list[tuple[list[np.ndarray], list[_Requested]]]
        if interval == "jackknife":
            ways = [(jackknife_rows(scored, drawn), steady), (half_sample_rows(scored, drawn), random)]
        else:
            ways = [(half_sample_rows(scored, drawn), defined)]
        jobs += [
            ("rows", partial(scored.take, rows), group, seed) for subsets, group in ways if group for rows in subsets
        ]
    if null:
        jobs += [
            (
                "null",
                partial(_permuted, scored, (seed, b)),
                [a for a in defined if b < a.n_permutations(len(scored))],
                seed,
            )
            for b in range(N_PERMUTATIONS)
        ]
    jobs = [job for job in jobs if job[2]]
    with single_threaded_blas(), suppress_sklearn_warnings():
        replicates = _run(jobs, n_jobs, progress=progress)
    scores = {}
    for a in requested:
        finished = [
            _with_uncertainty(
                single,
                _Replicates.of(replicates, a.name, index),
                interval,
                population=population,
                n_rows=len(scored),
                enough_rows=a.metric.protocol(a.protocol).enough_rows,
            )
            for index, single in enumerate([point[a.name], *point[a.name].parts.values()])
        ]
        scores[a.name] = replace(finished[0], parts=dict(zip(a.metric.parts, finished[1:], strict=False)))
    finished_scores = [(a.metric, a.protocol, scores[a.name]) for a in requested]
    notes = [
        *diagnose(representation, scored, [(a.metric, a.protocol) for a in requested]),
        *diagnose_scores(scored, finished_scores),
    ]
    with single_threaded_blas(), suppress_sklearn_warnings():
        notes += resolution_notes(scored, finished_scores, seed)
    return ScoreCard(
        scores,
        {**_about(representation, seed), "interval": interval, "null": null, **_origin(representation)},
        tuple(notes),
        summarise(scored, seed=seed),
        verdict(sampled(scored), seed=seed) if scored.n_factors else None,
    )


def _threads(n_jobs: int) -> joblib.Parallel:
    if joblib.effective_n_jobs(n_jobs) > 1:
        for module in _PROBES:
            import_module(module)
    return joblib.Parallel(n_jobs=n_jobs, prefer="threads")


def _permuted(representation: Representation, seed: tuple[int, ...]) -> Representation:
    return representation.shuffled(generator(seed, "null"))


def _run(
    jobs: list[tuple[str, Callable[[], Representation], list[_Requested], int | tuple[int, ...]]],
    n_jobs: int,
    *,
    progress: bool,
) -> dict[tuple[str, str], list[tuple[float, ...]]]:
    def work(
        make: Callable[[], Representation], group: list[_Requested], seed: int | tuple[int, ...]
    ) -> list[tuple[float, ...]]:
        with single_threaded_blas():
            view = make()
            return [a.values(view, seed) for a in group]

    parallel = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results: Iterable[list[tuple[float, ...]]] = parallel(joblib.delayed(work)(*job[1:]) for job in jobs)
    replicates: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for (kind, _, group, _), values in zip(jobs, tracked(results, len(jobs), "scoring", shown=progress), strict=True):
        for a, value in zip(group, values, strict=True):
            replicates.setdefault((a.name, kind), []).append(value)
    return replicates


@dataclass(frozen=True)
class _Replicates:
    """Values of one score on other seeds, on resampled rows and on permuted rows."""

    seeds: list[float]
    rows: list[float]
    null: list[float]

    @classmethod
    def of(cls, values: dict[tuple[str, str], list[tuple[float, ...]]], name: str, index: int) -> "_Replicates":
        return cls(*([parts[index] for parts in values.get((name, kind), [])] for kind in ("seeds", "rows", "null")))


def _with_uncertainty(
    point: Score,
    drawn: _Replicates,
    interval: IntervalMethod | None,
    *,
    population: bool,
    n_rows: int,
    enough_rows: int | None,
) -> Score:
    if point.undefined:
        return point
    notes = list(point.notes)
    bounds = point.bounds
    seeds = [value for value in (point.value, *drawn.seeds) if not math.isnan(value)]
    seed_sd = float(np.std(seeds, ddof=1)) if point.randomised and len(seeds) > 1 else 0.0
    replicates = [value for value in drawn.rows if not math.isnan(value)]
    range_: Interval | None = None
    corrected = None
    if interval and population:
        range_ = t_interval(point.value, seed_sd, N_SEEDS - 1, bounds, "seeds" if point.randomised else "exact")
    elif interval and len(replicates) >= max(2, len(drawn.rows) // 2):
        method: IntervalMethod = "half-sampling" if point.randomised else interval
        # the correction of a bias multiplies the noise of a single seed
        centre = float(np.mean(seeds)) if point.randomised else point.value
        range_, corrected, reported = _resampled_interval(point, centre, replicates, method, n_rows, enough_rows)
        notes += reported
    elif interval:
        reason = "the score is undefined on most resamples of the rows" if drawn.rows else "all rows are of one group"
        notes.append(f"no interval: {reason}")
    permuted = [value for value in drawn.null if not math.isnan(value)]
    mean_null = adjusted = p_value = None
    if permuted:
        mean_null = point.null if point.null is not None else float(np.mean(permuted))
        sign = 1 if point.higher_is_better else -1
        p_value = permutation_p_value(sign * point.value, [sign * value for value in permuted])
        best = bounds[1 if point.higher_is_better else 0]
        expected = null_interval(permuted, bounds)
        # Near the null the score has a kink, where a jackknife underestimates the variance.
        if range_ and not population and expected.low <= point.value <= expected.high:
            range_ = range_.including(expected.low, expected.high, mean_null)
        if math.isfinite(best) and best != mean_null:
            adjusted = (point.value - mean_null) / (best - mean_null)
    return replace(
        point,
        interval=range_,
        corrected=corrected,
        null=mean_null if permuted else None,
        adjusted=adjusted,
        p_value=p_value,
        seed_sd=seed_sd,
        replicates=tuple(drawn.rows),
        notes=tuple(notes),
        n_permutations=len(permuted),
    )


def _resampled_interval(
    point: Score,
    centre: float,
    replicates: list[float],
    method: IntervalMethod,
    n_rows: int,
    enough_rows: int | None,
) -> tuple[Interval | None, float | None, list[str]]:
    """Return the interval from resampled rows, the value without its bias, and notes."""
    bounds, degrees = point.bounds, len(replicates) - 1
    error = standard_error(replicates, method)
    if enough_rows is not None and n_rows < FEWEST_ROWS * enough_rows:
        note = (
            f"no interval: predictors of {n_rows:,} rows miss weak relations, a bias that resampling does not show; "
            f"intervals need {round(FEWEST_ROWS * enough_rows):,} rows"
        )
        return None, None, [note]
    weight = 1.0 if enough_rows is None else slow_bias_weight(n_rows, enough_rows)
    bias = centre - bias_corrected(centre, replicates, method, weight)
    corrected = min(max(centre - bias, bounds[0]), bounds[1])
    # A jackknife multiplies the bias by 19: too uncertain to move the centre by it, so it widens the interval.
    if method == "jackknife":
        return t_interval(point.value, error, degrees, bounds, method, bias=point.value - corrected), corrected, []
    # A bias that falls slowly is known only roughly: between none and twice the estimate.
    slack = 0.0 if enough_rows is None else abs(bias)
    interval = t_interval(corrected, error, degrees, bounds, method, slack=slack).including(point.value)
    notes = []
    if slack > SLACK_REPORTED:
        notes.append(
            f"the interval allows for a bias of up to {2 * slack:.2f}, because predictors of {n_rows:,} rows miss weak "
            f"relations; {enough_rows:,} rows suffice"
        )
    return interval, corrected, notes


def _about(representation: Representation, seed: int) -> dict[str, object]:
    return {
        "data": representation.provenance.data,
        "encoder": representation.provenance.encoder,
        "rows": representation.n_samples,
        "codes": representation.n_codes,
        "factors": list(representation.space.names),
        "kinds": {factor.name: factor.kind_spec for factor in representation.space},
        "row_key": representation.row_key,
        "seed": seed,
        "version": __version__,
    }


def _origin(representation: Representation) -> dict[str, object]:
    """Return how the data can be loaded again, as far as it is known."""
    origin = representation.provenance
    known = {"data_spec": origin.data_spec, "columns": origin.columns}
    return {name: value for name, value in known.items() if value is not None}
