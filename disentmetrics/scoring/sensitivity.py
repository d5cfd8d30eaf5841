"""Notes on scores that depend on how finely codes are read."""

from collections.abc import Iterator, Sequence

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Metric
from disentmetrics.representation import Representation
from disentmetrics.results.score import Score
from disentmetrics.statistics.resolution import with_scaled_blur

SENSITIVE = 0.05
"""Change of a score above which a note gives the value at another resolution."""
FINER, COARSER = 1 / 3, 3.0
"""Multiples of the resolution that are tried."""


def resolution_notes(scored: Representation, scores: Sequence[tuple[Metric, str, Score]], seed: int = 0) -> list[str]:
    """Return a sentence about scores that another resolution of the codes would change by more than 0.05.

    Parameters
    ----------
    scored : Representation
        The rows that were scored.
    scores : sequence of (Metric, protocol, Score)
    seed : int
        Random seed of the scores.

    Returns
    -------
    list of str
        At most one sentence. With posterior variances it compares samples of the posterior with posterior means.
        Without, it compares the stated resolution with a finer one, and with a coarser one that scores higher: lower
        scores at a coarse resolution are no fault of the codes.
    """
    if scored.log_variance is not None:
        return list(_samples_and_means(scored, scores, seed))
    return list(_finer_and_coarser(scored, scores))


def _samples_and_means(scored: Representation, scores: Sequence[tuple[Metric, str, Score]], seed: int) -> Iterator[str]:
    means, listed = scored.without_posterior(), []
    for metric, protocol, score in scores:
        if score.undefined or metric.protocol(protocol).reads == "mean":
            continue
        value = _value(metric, means, protocol, seed)
        if value is not None and abs(value - score.value) > SENSITIVE:
            listed.append(f"{score.name} {score.value:.3f} ({value:.3f})")
    if listed:
        yield (
            "read from samples of the posterior, and in brackets from posterior means, where no noise hides small "
            f"traces of factors: {', '.join(listed)}"
        )


def _finer_and_coarser(scored: Representation, scores: Sequence[tuple[Metric, str, Score]]) -> Iterator[str]:
    resolved = [item for item in scores if "|resolution:step|" in item[2].signature and not item[0].randomised]
    if not resolved:
        return
    tables = {scale: with_scaled_blur(scored, scale) for scale in (FINER, COARSER)}
    listed = []
    for metric, protocol, score in resolved:
        if score.undefined:
            continue
        finer, coarser = (_value(metric, table, protocol, 0) for table in tables.values())
        if finer is not None and abs(finer - score.value) > SENSITIVE:
            listed.append(f"{score.name} {score.value:.3f} (three times finer: {finer:.3f})")
        elif coarser is not None and coarser - score.value > SENSITIVE:
            listed.append(f"{score.name} {score.value:.3f} (three times coarser: {coarser:.3f})")
    if listed:
        yield (
            "latents carry traces of other factors about as large as a tenth of their own step, the resolution at "
            f"which they are read; scores that depend on it: {', '.join(listed)}"
        )


def _value(metric: Metric, representation: Representation, protocol: str, seed: int) -> float | None:
    try:
        return metric.evaluate(representation, protocol, seed=seed).value
    except UndefinedScoreError:
        return None
