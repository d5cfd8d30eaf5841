"""Scores: a value with its interval, its null and the signature that reproduces it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError

if TYPE_CHECKING:
    pass


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
        ``jackknife`` or ``half-sampling`` over rows; ``seeds`` where the rows are the whole
        population and only the metric's own randomness is left; ``exact`` where nothing is.
    """

    low: float
    high: float
    level: float
    method: str

    def including(self, *values: float) -> "Interval":
        """Return the interval, widened so that it holds these values."""
        return Interval(min(self.low, *values), max(self.high, *values), self.level, self.method)


@dataclass(frozen=True, eq=False)
class Score:
    """What one metric says of one representation.

    Attributes
    ----------
    name : str
        As asked for: ``mig`` or ``mig@chen2018``.
    value : float
        NaN exactly when ``undefined`` gives the reason.
    interval : Interval or None
        None when none was asked for.
    null : float or None
        Mean of the score when rows of codes are permuted against factors.
    corrected : float or None
        ``value`` less the bias that more rows would remove, as the resampled rows show it. None where
        rows were not resampled.
    adjusted : float or None
        ``(value - null) / (best - null)``: 0 for a random code, 1 for a perfect one.
    p_value : float or None
        How often permuted rows score at least as well.
    per_factor : mapping of factor name to float
        The score of each factor, where the metric has one; NaN where undefined.
    details : mapping of name to array
        Matrices behind the value, such as ``mutual_information`` (n_codes, n_factors).
    signature : str
        See :class:`disentmetrics.results.signature.Signature`.
    undefined : str or None
        Why there is no value.
    notes : tuple of str
        What a reader of this score must know, such as a known failure that applies here.
    seed_sd : float
        Standard deviation over the metric's own random draws; 0 for a deterministic metric.
    replicates : tuple of float
        Values on the resampled rows behind the interval, for paired comparison.
    parts : mapping of str to Score
        Further numbers of the same metric: ``card["dci"].parts["completeness"]``, or
        ``card["dci.completeness"]``.
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

    def __float__(self) -> float:
        if self.undefined:
            raise InvalidInputError(f"{self.name} has no value: {self.undefined}")
        return self.value

    def __str__(self) -> str:
        if self.undefined:
            return f"{self.name} undefined: {self.undefined}"
        interval = f" [{self.interval.low:.3f}, {self.interval.high:.3f}]" if self.interval else ""
        return f"{self.name} = {self.value:.3f}{interval}  {self.signature}"
