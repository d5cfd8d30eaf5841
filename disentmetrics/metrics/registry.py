"""The metrics by name: those of this package, and those of other packages through entry points.

An entry point of the group ``disentmetrics.metrics`` names a module whose import registers metrics, or a
:class:`~disentmetrics.metrics.base.Metric` in a module. Entry points are read when metrics are listed, or when a
name is not among those registered already.
"""

import logging
import threading
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from disentmetrics.errors import InvalidInputError, did_you_mean, one_line
from disentmetrics.metrics.base import REGISTERED, Metric, register

GROUP = "disentmetrics.metrics"
logger = logging.getLogger("disentmetrics")


class _EntryPoints:
    """Entry points of the group, each loaded once; one that fails costs itself alone.

    Attributes
    ----------
    reasons : dict of str to str
        Why an entry point could not be loaded, by its name.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self._started = False
        self._lock = threading.RLock()  # a module that lists metrics while it is imported must not wait for itself

    def load(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
            for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
                registered = dict(REGISTERED)
                try:
                    _register_from(entry_point)
                except (Exception, SystemExit) as error:  # noqa: BLE001 # a broken package must not break this one
                    REGISTERED.clear()
                    REGISTERED.update(registered)
                    self.reasons[entry_point.name] = _sentence(entry_point, error)
                    logger.warning("%s", self.reasons[entry_point.name])


def _register_from(entry_point: EntryPoint) -> None:
    loaded = entry_point.load()
    if isinstance(loaded, Metric):
        if REGISTERED.get(loaded.name) is not loaded:
            register(loaded)
    elif entry_point.attr:
        raise TypeError(f"{entry_point.value} must be a module or a Metric; it is of type {type(loaded).__name__}")


def _sentence(entry_point: EntryPoint, error: BaseException) -> str:
    package = entry_point.dist.name if entry_point.dist else entry_point.module
    reason = " ".join(str(error).split()) if isinstance(error, InvalidInputError) else one_line(error)
    return (
        f"the entry point {entry_point.name!r} of the package {package!r} registers no metric "
        f"({reason}); fix or uninstall the package"
    )


_ENTRY_POINTS = _EntryPoints()


def registered_metrics() -> dict[str, Metric]:
    """Return all metrics by name, in alphabetical order."""
    _ENTRY_POINTS.load()
    return dict(sorted(REGISTERED.items()))


def broken_entry_points() -> Mapping[str, str]:
    """Return why an entry point registers no metric, in one sentence, by the name of the entry point."""
    _ENTRY_POINTS.load()
    return _ENTRY_POINTS.reasons


def metric_named(name: str) -> Metric:
    """Return the metric of this name.

    Raises
    ------
    InvalidInputError
        If there is none; the message names the nearest one, and packages that could not be loaded.
    """
    if name in REGISTERED:
        return REGISTERED[name]
    known = registered_metrics()
    if name in known:
        return known[name]
    reasons = broken_entry_points()
    if name in reasons:
        raise InvalidInputError(reasons[name])
    broken = "".join(f"; {reason}" for reason in reasons.values())
    raise InvalidInputError(
        f"no metric is named {name!r}{did_you_mean(name, known)}; the metrics are {', '.join(known)}{broken}"
    )


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
    metric = metric_named(name)
    metric.protocol(protocol or "default")
    return metric, protocol or "default"
