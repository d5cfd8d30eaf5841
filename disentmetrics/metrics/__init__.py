"""Every metric, one a file; a file put here is found by itself."""

import importlib
import pkgutil

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.metrics.base import Metric, registered_metrics

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def find_metric(spec: str) -> tuple[Metric, str]:
    """Return the metric and protocol named by ``name`` or ``name@protocol``.

    Raises
    ------
    InvalidInputError
        If there is no such metric or protocol; the message names the nearest one.

    Examples
    --------
    >>> metric, protocol = find_metric("mig@chen2018")
    >>> metric.name, protocol
    ('mig', 'chen2018')
    """
    name, _, protocol = spec.partition("@")
    known = registered_metrics()
    if name not in known:
        raise InvalidInputError(
            f"no metric is named {name!r}{did_you_mean(name, known)}; the metrics are {', '.join(known)}"
        )
    known[name].protocol(protocol or "default")
    return known[name], protocol or "default"


def __getattr__(name: str) -> Metric:
    known = registered_metrics()
    if name not in known:
        raise AttributeError(f"no metric is named {name!r}; the metrics are {', '.join(known)}")
    return known[name]


def __dir__() -> list[str]:
    return ["find_metric", *registered_metrics()]
