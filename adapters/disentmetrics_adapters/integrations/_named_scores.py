"""Scores by name, such as ``mig@chen2018`` or ``dci.completeness``."""

from dataclasses import dataclass
from typing import Any

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.metrics import find_metric
from disentmetrics.metrics.base import Metric
from disentmetrics.representation import Representation
from disentmetrics.results.score import Score


@dataclass(frozen=True)
class NamedScore:
    """A metric under a protocol, or one of its parts.

    Examples
    --------
    >>> named = NamedScore.parse("dci@eastwood2018.completeness")
    >>> named.metric.name, named.protocol, named.part, named.name
    ('dci', 'eastwood2018', 'completeness', 'dci@eastwood2018.completeness')
    """

    metric: Metric
    protocol: str = "default"
    part: str | None = None

    @classmethod
    def parse(cls, name: str) -> "NamedScore":
        """Parse ``metric[@protocol][.part]``; raise InvalidInputError with the nearest name if it does not exist."""
        metric_name, dot, part = name.partition(".")
        metric, protocol = find_metric(metric_name)
        if dot and part not in metric.parts:
            raise InvalidInputError(
                f"{metric.name} has no part {part!r}{did_you_mean(part, metric.parts)}; "
                f"it has {', '.join(metric.parts) or 'none'}"
            )
        return cls(metric, protocol, part if dot else None)

    @property
    def full_name(self) -> str:
        """Name of the metric with its protocol, as in a score card."""
        return self.metric.name if self.protocol == "default" else f"{self.metric.name}@{self.protocol}"

    @property
    def name(self) -> str:
        """Name of the score, as :meth:`parse` reads it."""
        return f"{self.full_name}.{self.part}" if self.part else self.full_name

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values of the metric or part are better."""
        return self.metric.higher_is_better_for(self.part or "")

    def of(self, representation: Representation, *, seed: int, **options: Any) -> Score:
        """Score a representation, without interval or null."""
        score = self.metric.score(representation, self.protocol, seed=seed, **options)
        if self.part is None or score.undefined:
            return score
        return score.parts[self.part]
