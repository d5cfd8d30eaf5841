"""Every metric as a ``torchmetrics.Metric``: batches in, one number out, in any training loop.

There is one class for each registered metric, made from its declaration: ``Mig``, ``FactorisedSupport``,
``DciEs``; and one for each part: ``DciCompleteness``. ``metric("mig@chen2018")`` makes an instance by name, and
``collection("core")`` all of a preset. PyTorch and torchmetrics are imported with the first of them.

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

from disentmetrics.errors import InvalidInputError, MissingExtraError, did_you_mean
from disentmetrics.metrics import registered_metrics
from disentmetrics.scoring.presets import expand
from disentmetrics_adapters.integrations._named_scores import NamedScore

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from disentmetrics_adapters.integrations.torchmetrics._metric import ScoreMetric


def metric(name: str, **settings: Any) -> "ScoreMetric":
    """Make the metric of this name.

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
        If there is no such metric, protocol, part or setting.
    MissingExtraError
        If torchmetrics is not installed.

    Examples
    --------
    >>> metric("dci.completeness", protocol="eastwood2018", seed=3)
    DciCompleteness(protocol='eastwood2018', seed=3)
    """
    named = NamedScore.parse(name)
    if "@" in name and settings.get("protocol", named.protocol) != named.protocol:
        raise InvalidInputError(f"the protocol is named twice: {name} and protocol={settings['protocol']!r}")
    if "@" in name:
        settings = {**settings, "protocol": named.protocol}
    return _class(_class_name(named))(**settings)


def collection(
    metrics: str | Sequence[str] = "default", *, posterior: bool = False, **settings: Any
) -> "MetricCollection":
    """Make a ``MetricCollection`` of presets and names, whose metrics keep their rows only once.

    Parameters
    ----------
    metrics : str or sequence of str
        As for :func:`disentmetrics.score`.
    posterior : bool
        Whether ``update`` will be given log-variances: presets then hold the metrics that need them.
    **settings
        Of every metric, such as ``max_rows`` and ``seed``.

    Raises
    ------
    InvalidInputError
        If one is neither a preset nor a metric.

    Examples
    --------
    >>> list(collection(["mig", "mig@locatello2019"], seed=1))
    ['mig', 'mig@locatello2019']
    """
    made: dict[str, Any] = {name: metric(name, **settings) for name in expand(metrics, posterior=posterior)}
    with _needed():
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
        with _needed():
            from disentmetrics_adapters.integrations.torchmetrics._metric import class_of
        globals()[name] = class_of(_classes()[name], name, __name__)  # kept, so that pickles find the class itself
    made: type[ScoreMetric] = globals()[name]
    return made


@contextlib.contextmanager
def _needed() -> Iterator[None]:
    """Around imports: ask for the packages by the exact command if just they are absent."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "torchmetrics"}:
            raise
        raise MissingExtraError(
            f'these metrics need the package {error.name}: pip install "disentmetrics[torch]" torchmetrics'
        ) from error


def __getattr__(name: str) -> Any:
    classes = _classes()
    if name not in classes:
        raise AttributeError(f"no metric is named {name!r}{did_you_mean(name, classes)}")
    return _class(name)


def __dir__() -> list[str]:
    return ["collection", "metric", *_classes()]
