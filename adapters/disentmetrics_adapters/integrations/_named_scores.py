"""One number of one metric by its name, such as ``mig@chen2018`` or ``dci.completeness``."""

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
        """Read ``metric[@protocol][.part]``; raise InvalidInputError with the nearest if there is none."""
        whole, dot, part = name.partition(".")
        metric, protocol = find_metric(whole)
        if dot and part not in metric.parts:
            raise InvalidInputError(
                f"{metric.name} has no part {part!r}{did_you_mean(part, metric.parts)}; "
                f"it has {', '.join(metric.parts) or 'none'}"
            )
        return cls(metric, protocol, part if dot else None)

    @property
    def full_name(self) -> str:
        """Name of the metric with its protocol, as a score card holds it."""
        return self.metric.name if self.protocol == "default" else f"{self.metric.name}@{self.protocol}"

    @property
    def name(self) -> str:
        """The name as it is read."""
        return f"{self.full_name}.{self.part}" if self.part else self.full_name

    @property
    def higher_is_better(self) -> bool:
        """Direction of the metric or part."""
        return self.metric.higher_is_better_for(self.part or "")

    def of(self, representation: Representation, *, seed: int, **options: Any) -> Score:
        """Score a representation, without interval and null."""
        score = self.metric.score(representation, self.protocol, seed=seed, **options)
        if self.part is None or score.undefined:
            return score
        return score.parts[self.part]
