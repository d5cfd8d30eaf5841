"""Every metric as a ``torchmetrics.Metric``, which accumulates batches in any training loop.

There is one class per registered metric, generated from its declaration: ``Mig``, ``FactorisedSupport``, ``DciEs``; and
one per part: ``DciCompleteness``. ``metric("mig@chen2018")`` returns an instance by name, and ``collection("core")``
all metrics of a preset. PyTorch and torchmetrics are imported when the first class is used.

Examples
--------
>>> import torch
>>> from disentmetrics_adapters.integrations.torchmetrics import Mig
>>> mig = Mig()
>>> for batch in torch.cartesian_prod(torch.arange(6), torch.arange(8)).repeat(20, 1).split(64):
...     mig.update(batch * torch.tensor([1.0, -5.0]), batch)
>>> mig.compute()
tensor(1., dtype=torch.float64)
>>> mig.score.name, list(mig.score.per_factor)
('mig', ['factor_0', 'factor_1'])
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import InvalidInputError, MissingExtraError, did_you_mean
from disentmetrics.metrics import registered_metrics
from disentmetrics.scoring.presets import expand
from disentmetrics_adapters.integrations._named_scores import NamedScore

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from disentmetrics_adapters.integrations.torchmetrics._metric import ScoreMetric


def metric(name: str, **settings: Any) -> "ScoreMetric":
    """Return a metric by name.

    Parameters
    ----------
    name : str
        ``mig``, ``mig@chen2018`` or ``dci.completeness``.
    **settings
        See :class:`disentmetrics_adapters.integrations.torchmetrics._metric.ScoreMetric`.

    Returns
    -------
    torchmetrics.Metric
        An instance of the generated class, such as ``Mig``.

    Raises
    ------
    InvalidInputError
        If the metric, protocol, part or setting does not exist.
    MissingExtraError
        If torchmetrics is not installed.

    Examples
    --------
    >>> metric("dci.completeness", protocol="eastwood2018", seed=3)
    DciCompleteness(protocol='eastwood2018', seed=3)
    """
    named = NamedScore.parse(name)
    if "@" in name and settings.get("protocol", named.protocol) != named.protocol:
        raise InvalidInputError(f"the protocol must be given once; got {name} and protocol={settings['protocol']!r}")
    if "@" in name:
        settings = {**settings, "protocol": named.protocol}
    return _class(_class_name(named))(**settings)


def collection(
    metrics: str | Sequence[str] = "default", *, posterior: bool = False, **settings: Any
) -> "MetricCollection":
    """Return a ``MetricCollection`` of presets and metrics, which share their rows.

    Parameters
    ----------
    metrics : str or sequence of str
        As for :func:`disentmetrics.score`.
    posterior : bool
        Whether ``update`` will receive log-variances: presets then include the metrics that require them.
    **settings
        Settings of all metrics, such as ``max_rows`` and ``seed``.

    Raises
    ------
    InvalidInputError
        If a name is neither a preset nor a metric.

    Examples
    --------
    >>> list(collection(["mig", "mig@locatello2019"], seed=1))
    ['mig', 'mig@locatello2019']
    """
    made: dict[str, Any] = {name: metric(name, **settings) for name in expand(metrics, posterior=posterior)}
    with _install_hint():
        from torchmetrics import MetricCollection
    return MetricCollection(made)


def _class_name(named: NamedScore) -> str:
    words = f"{named.metric.name}_{named.part or ''}".split("_")
    return "".join(word[:1].upper() + word[1:] for word in words)


def _classes() -> dict[str, NamedScore]:
    every = [NamedScore(m, part=part) for m in registered_metrics().values() for part in (None, *m.parts)]
    return {_class_name(named): named for named in every}


def _class(name: str) -> "type[ScoreMetric]":
    if name not in globals():
        with _install_hint():
            from disentmetrics_adapters.integrations.torchmetrics._metric import class_of
        globals()[name] = class_of(_classes()[name], name, __name__)  # stored, so that pickles find the same class
    made: type[ScoreMetric] = globals()[name]
    return made


@contextlib.contextmanager
def _install_hint() -> Iterator[None]:
    """Context of imports that names the install command if a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "torchmetrics"}:
            raise
        raise MissingExtraError(
            f"these metrics require the package {error.name}: {install_command('torch')} torchmetrics"
        ) from error


def __getattr__(name: str) -> Any:
    classes = _classes()
    if name not in classes:
        raise AttributeError(f"no metric is named {name!r}{did_you_mean(name, classes)}")
    return _class(name)


def __dir__() -> list[str]:
    return ["collection", "metric", *_classes()]
