"""Score a representation: every metric once, then on resampled and on permuted rows."""

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
from disentmetrics.scoring.summarise import summarise
from disentmetrics.scoring.uncertainty import (
    N_SEEDS,
    IntervalMethod,
    bias_corrected,
    null_interval,
    permutation_p_value,
    standard_error,
    t_interval,
)

N_PERMUTATIONS = 99
N_FEW_PERMUTATIONS = 19
MANY_ROWS = 100_000
"""Above this the null hardly varies, and few permutations show it."""


_PROBES = ("sklearn.ensemble", "sklearn.linear_model", "sklearn.svm")
"""Imported before threads start: modules that import each other fail when two threads import them at once."""


@dataclass(frozen=True)
class _Asked:
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
            outcome = self.metric.evaluate(representation, self.protocol, seed=seed)
        except UndefinedScoreError:
            return (math.nan,) * (1 + len(parts))
        return (outcome.value, *(outcome.parts[part] for part in parts))


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
    """Score codes against factors with every metric asked for.

    Parameters
    ----------
    representation : Representation
        Codes beside factors.
    metrics : str or sequence of str
        Presets (:data:`disentmetrics.scoring.presets.PRESETS`) and names, such as ``"core"``,
        ``["mig", "factorvae@kim2018"]`` or ``"robust,mcc,dci@locatello2019"``.
    seed : int
        Decides every random draw. The same seed gives the same numbers for every ``n_jobs`` and
        every number of processors: no product of matrices is split among threads.
    interval : {"jackknife", "half-sampling"} or None
        How rows are resampled for the 95 % interval. A randomised metric always uses halves: a
        jackknife would multiply the noise of its own draws by the square root of 19.
    null : bool
        Whether to permute rows for ``null``, ``adjusted`` and ``p_value``: 99 times, or 19 for
        randomised and costly metrics and for more than 100,000 rows.
    n_jobs : int
        Threads; -1 for one a processor.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ScoreCard
        A metric that is not defined on these rows is there with its reason; the others run.

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
        raise InvalidInputError(
            "score takes a Representation, such as Representation(codes, factors) or what encode returns; "
            f"got {type(representation).__name__}"
        )
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise InvalidInputError(f"n_jobs must be a whole number other than 0; got {n_jobs!r}")
    if interval not in ("jackknife", "half-sampling", None):
        raise InvalidInputError(f"interval must be 'jackknife', 'half-sampling' or None; got {interval!r}")
    asked = [
        _Asked(name, *find_metric(name)) for name in expand(metrics, posterior=representation.log_variance is not None)
    ]
    scored = representation.resampled_by_weight(generator(seed, "weights"))
    parallel = _threads(n_jobs)
    with suppress_sklearn_warnings():
        points = parallel(joblib.delayed(a.point)(scored, seed) for a in asked)
    point = dict(zip((a.name for a in asked), points, strict=True))
    defined = [a for a in asked if not point[a.name].undefined]
    steady = [a for a in defined if not a.metric.randomised]
    random = [a for a in defined if a.metric.randomised]
    population = scored.provenance.population

    jobs: list[tuple[str, Callable[[], Representation], list[_Asked], int | tuple[int, ...]]] = []
    if interval:
        jobs += [("seeds", lambda: scored, random, (seed, r)) for r in range(1, N_SEEDS)]
    if interval and not population:
        drawn = generator(seed, "rows")
        ways: list[tuple[list[np.ndarray], list[_Asked]]]
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
        found = _run(jobs, n_jobs, progress=progress)
    scores = {}
    for a in asked:
        finished = [
            _finished(one, a.metric, bounds, _Replicates.of(found, a.name, index), interval, population=population)
            for index, (one, bounds) in enumerate(
                [(point[a.name], a.metric.bounds)]
                + [(part, a.metric.parts[name]) for name, part in point[a.name].parts.items()]
            )
        ]
        scores[a.name] = replace(finished[0], parts=dict(zip(a.metric.parts, finished[1:], strict=False)))
    remarks = [
        *diagnose(representation, scored, [(a.metric, a.protocol) for a in asked]),
        *diagnose_scores(scored, [(a.metric, a.protocol, scores[a.name]) for a in asked]),
    ]
    return ScoreCard(
        scores,
        {**_about(representation, seed), "interval": interval, "null": null},
        tuple(remarks),
        summarise(scored, seed=seed),
    )


def _threads(n_jobs: int) -> joblib.Parallel:
    if joblib.effective_n_jobs(n_jobs) > 1:
        for module in _PROBES:
            import_module(module)
    return joblib.Parallel(n_jobs=n_jobs, prefer="threads")


def _permuted(representation: Representation, seed: tuple[int, ...]) -> Representation:
    return representation.shuffled(generator(seed, "null"))


def _run(
    jobs: list[tuple[str, Callable[[], Representation], list[_Asked], int | tuple[int, ...]]],
    n_jobs: int,
    *,
    progress: bool,
) -> dict[tuple[str, str], list[tuple[float, ...]]]:
    def work(
        make: Callable[[], Representation], group: list[_Asked], seed: int | tuple[int, ...]
    ) -> list[tuple[float, ...]]:
        with single_threaded_blas():
            view = make()
            return [a.values(view, seed) for a in group]

    parallel = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results: Iterable[list[tuple[float, ...]]] = parallel(joblib.delayed(work)(*job[1:]) for job in jobs)
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for (kind, _, group, _), values in zip(jobs, tracked(results, len(jobs), "scoring", shown=progress), strict=True):
        for a, value in zip(group, values, strict=True):
            found.setdefault((a.name, kind), []).append(value)
    return found


@dataclass(frozen=True)
class _Replicates:
    """One number of a metric on other seeds, on resampled rows and on permuted rows."""

    seeds: list[float]
    rows: list[float]
    null: list[float]

    @classmethod
    def of(cls, found: dict[tuple[str, str], list[tuple[float, ...]]], name: str, index: int) -> "_Replicates":
        return cls(*([values[index] for values in found.get((name, kind), [])] for kind in ("seeds", "rows", "null")))


def _finished(
    point: Score,
    metric: Metric,
    bounds: tuple[float, float],
    found: _Replicates,
    interval: IntervalMethod | None,
    *,
    population: bool,
) -> Score:
    if point.undefined:
        return point
    notes = list(point.notes)
    seeds = [value for value in (point.value, *found.seeds) if not math.isnan(value)]
    seed_sd = float(np.std(seeds, ddof=1)) if metric.randomised and len(seeds) > 1 else 0.0
    replicates = [value for value in found.rows if not math.isnan(value)]
    range_: Interval | None = None
    corrected = None
    if interval and population:
        range_ = t_interval(point.value, seed_sd, N_SEEDS - 1, bounds, "seeds" if metric.randomised else "exact")
    elif interval and len(replicates) >= max(2, len(found.rows) // 2):
        method: IntervalMethod = "half-sampling" if metric.randomised else interval
        error = standard_error(replicates, method)
        corrected = min(max(bias_corrected(point.value, replicates, method), bounds[0]), bounds[1])
        degrees = len(replicates) - 1
        if method == "jackknife":  # nineteenfold, so its bias is too uncertain to move the middle by it
            range_ = t_interval(point.value, error, degrees, bounds, method, bias=point.value - corrected)
        else:
            range_ = t_interval(corrected, error, degrees, bounds, method).including(point.value)
    elif interval:
        why = "the score is undefined on most resamples of the rows" if found.rows else "all rows are of one group"
        notes.append(f"no interval: {why}")
    permuted = [value for value in found.null if not math.isnan(value)]
    mean_null = adjusted = p_value = None
    if permuted:
        mean_null = point.null if point.null is not None else float(np.mean(permuted))
        upwards = metric.higher_is_better_for(point.name.partition(".")[2])
        sign = 1 if upwards else -1
        p_value = permutation_p_value(sign * point.value, [sign * value for value in permuted])
        best = bounds[1 if upwards else 0]
        expected = null_interval(permuted, bounds)
        if range_ and not population and expected.low <= point.value <= expected.high:
            range_ = range_.including(expected.low, expected.high, mean_null)  # a jackknife fails at the kink of a null
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
        replicates=tuple(found.rows),
        notes=tuple(notes),
    )


def _about(representation: Representation, seed: int) -> dict[str, object]:
    return {
        "data": representation.provenance.data,
        "encoder": representation.provenance.encoder,
        "rows": representation.n_samples,
        "codes": representation.n_codes,
        "factors": list(representation.space.names),
        "row_key": representation.row_key,
        "seed": seed,
        "version": __version__,
    }
