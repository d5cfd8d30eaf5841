"""Scores: a value with its interval, its null and the signature that reproduces it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        Ends, within the metric's bounds.
    level : float
        Nominal coverage, such as 0.95.
    method : str
        ``jackknife`` or ``half-sampling`` over rows; ``seeds`` if the rows are the entire
        population, so that only the metric's own randomness is left; ``exact`` if there is none either.
    """

    low: float
    high: float
    level: float
    method: str

    def including(self, *values: float) -> "Interval":
        """Return the interval, widened to contain these values."""
        return Interval(min(self.low, *values), max(self.high, *values), self.level, self.method)


@dataclass(frozen=True, eq=False)
class Score:
    """The value of one metric for one representation, with its uncertainty.

    Attributes
    ----------
    name : str
        As requested: ``mig`` or ``mig@chen2018``.
    value : float
        NaN exactly when ``undefined`` gives the reason.
    interval : Interval or None
        None if none was requested.
    null : float or None
        Mean of the score when rows of codes are permuted against factors.
    corrected : float or None
        ``value`` minus the bias that more rows would remove, estimated from the resampled rows. None where
        rows were not resampled.
    adjusted : float or None
        ``(value - null) / (best - null)``: 0 for a random code, 1 for a perfect one.
    p_value : float or None
        Share of permutations, including the identity, that score at least as well; extrapolated if it is below
        ``smallest_p_value``, see :func:`disentmetrics.scoring.uncertainty.permutation_p_value`.
    per_factor : mapping of factor name to float
        The score of each factor, where the metric has one; NaN where undefined.
    details : mapping of name to array
        Matrices behind the value, such as ``mutual_information`` (n_codes, n_factors).
    signature : str
        See :class:`disentmetrics.results.signature.Signature`.
    undefined : str or None
        Reason for which there is no value.
    notes : tuple of str
        Caveats for the reader of this score, such as a known failure that applies here.
    seed_sd : float
        Standard deviation over the metric's own random draws; 0 for a deterministic metric.
    replicates : tuple of float
        Values on the resampled rows behind the interval, for paired comparison.
    parts : mapping of str to Score
        Further numbers of the same metric: ``card["dci"].parts["completeness"]``, or
        ``card["dci.completeness"]``.
    bounds : pair of float
        Smallest and largest possible value; infinite where there is none.
    higher_is_better : bool or None
        None where the metric does not declare it.
    randomised : bool
        Whether the metric draws random numbers, so that its value depends on the seed.
    question : str
        Key of the question that the metric answers, see ``disentmetrics.results.questions``; empty if unknown.
    n_permutations : int
        Number of permutations behind ``null`` and ``p_value``; 0 if there were none or the number is unknown.
    """

    name: str
    value: float
    signature: str
    interval: Interval | None = None
    null: float | None = None
    adjusted: float | None = None
    p_value: float | None = None
    per_factor: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    undefined: str | None = None
    notes: tuple[str, ...] = ()
    seed_sd: float = 0.0
    replicates: tuple[float, ...] = ()
    corrected: float | None = None
    parts: Mapping[str, "Score"] = field(default_factory=dict)
    bounds: tuple[float, float] = (-math.inf, math.inf)
    higher_is_better: bool | None = None
    randomised: bool = False
    question: str = ""
    n_permutations: int = 0

    @property
    def smallest_p_value(self) -> float | None:
        """The p-value of a score that no permutation reaches, ``1 / (n_permutations + 1)``; None if unknown."""
        return 1 / (1 + self.n_permutations) if self.n_permutations else None

    def __float__(self) -> float:
        if self.undefined:
            raise InvalidInputError(f"{self.name} has no value: {self.undefined}")
        return self.value

    def __str__(self) -> str:
        if self.undefined:
            return f"{self.name} undefined: {self.undefined}"
        interval = f" [{self.interval.low:.3f}, {self.interval.high:.3f}]" if self.interval else ""
        return f"{self.name} = {self.value:.3f}{interval}  {self.signature}"
