"""Signatures: all that is needed to repeat a number, in one line."""

from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from disentmetrics.errors import InvalidInputError

_PLAIN = "+,.@/()[]<>= "


@dataclass(frozen=True)
class Signature:
    """How a score was computed: the metric, then fields in a fixed order.

    Parameters
    ----------
    metric : str
        Name of the metric.
    fields : dict of str
        ``protocol``, ``rows``, ``code``, ``data``, ``seed``, ``v`` and fields that the
        metric adds. Characters that would break the line are percent-encoded.

    Examples
    --------
    >>> text = "mig|protocol:default|rows:50000|code:mean|data:dsprites-1|seed:0|v:0.1.0"
    >>> signature = Signature.parse(text)
    >>> signature.metric, signature.fields["rows"], str(signature) == text
    ('mig', '50000', True)
    """

    metric: str
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [quote(self.metric, safe=_PLAIN)]
        parts += [f"{quote(key, safe='')}:{quote(value, safe=_PLAIN)}" for key, value in self.fields.items()]
        return "|".join(parts)

    @classmethod
    def parse(cls, text: str) -> "Signature":
        """Read a signature back; raise InvalidInputError if a field is not ``key:value``."""
        metric, *parts = text.split("|")
        fields: dict[str, str] = {}
        for part in parts:
            key, colon, value = part.partition(":")
            if not colon or not key or unquote(key) in fields:
                raise InvalidInputError(
                    f"a signature is metric|key:value|key:value with every key once; got the part {part!r} in {text!r}"
                )
            fields[unquote(key)] = unquote(value)
        if not metric:
            raise InvalidInputError(f"a signature begins with the name of its metric; got {text!r}")
        return cls(unquote(metric), fields)

    def differences(self, other: "Signature") -> dict[str, tuple[str, str]]:
        """Return the fields in which two signatures disagree, with both values."""
        keys = [*self.fields, *(key for key in other.fields if key not in self.fields)]
        pairs = {key: (self.fields.get(key, "-"), other.fields.get(key, "-")) for key in keys}
        if self.metric != other.metric:
            pairs["metric"] = (self.metric, other.metric)
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
