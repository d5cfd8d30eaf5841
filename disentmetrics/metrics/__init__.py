"""The metrics, one per file; every module in this folder is imported, so that a new file is a new metric.

``disentmetrics.metrics.mig(codes, factors)`` or ``disentmetrics.metrics.mig(representation)`` returns a Score.
"""

import importlib
import pkgutil

from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics.base import Metric
from disentmetrics.metrics.registry import (
    broken_entry_points as broken_entry_points,
    find_metric as find_metric,
    metric_named,
    registered_metrics as registered_metrics,
)


def _import_modules() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


_import_modules()


def __getattr__(name: str) -> Metric:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return metric_named(name)
    except InvalidInputError as error:
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    return ["find_metric", *registered_metrics()]
