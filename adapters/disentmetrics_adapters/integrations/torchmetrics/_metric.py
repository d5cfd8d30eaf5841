"""Base class of the generated metrics."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torchmetrics
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat, rank_zero_warn

from disentmetrics._utils.random import generator
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace
from disentmetrics.representation import Representation
from disentmetrics.results.score import Score
from disentmetrics_adapters.integrations._named_scores import NamedScore

_ROWS = ("codes", "factors", "log_variance", "priority")
_OF_TORCHMETRICS = {
    "compute_on_cpu", "compute_with_cache", "dist_sync_fn", "dist_sync_on_step", "distributed_available_fn",
    "process_group", "sync_on_compute",
}  # fmt: skip


class ScoreMetric(torchmetrics.Metric):
    """A metric of disentmetrics that accumulates its rows batch by batch.

    ``compute`` returns exactly the value of the metric for all rows at once, as a float64 scalar (float32 on devices
    without float64), or NaN with a warning that gives the reason where it is undefined, as on the two batches of a
    sanity check. Call ``update`` in the loop and ``compute`` at the end of an epoch; calling the metric itself also
    scores every single batch, which is slow and uninformative.

    Parameters
    ----------
    protocol : str
        Settings of a paper.
    seed : int
        Random seed of the metric, and of the rows that ``max_rows`` keeps.
    max_rows : int, optional
        Size of a uniform random sample of all rows to keep (at most twice as many are stored, in addition to the last
        batch). All rows are kept by default. After ``reset`` the sample is drawn with the same seed; each process of a
        distributed run keeps its own sample, from which the common sample is drawn.
    kinds : mapping of factor name to kind, optional
        Overrides the kinds inferred from the values, such as ``{"factor_2": "circular:24"}``.
    factor_names : sequence of str, optional
    space : FactorSpace, optional
        The factors, where known; ``factors`` are then indices of their values.
    **options
        Options of the metric, which override those of the protocol; and those of every ``torchmetrics.Metric``, such
        as ``compute_on_cpu`` and ``sync_on_compute``.

    Attributes
    ----------
    score : Score or None
        Result of the last ``compute``: value, values per factor, details, signature.

    Raises
    ------
    InvalidInputError
        If the protocol or an option does not exist.
    """

    is_differentiable = False
    full_state_update = False
    named: ClassVar[NamedScore]

    codes: list[Tensor]
    factors: list[Tensor]
    log_variance: list[Tensor]
    priority: list[Tensor]
    limit: Tensor

    def __init__(
        self,
        *,
        protocol: str = "default",
        seed: int = 0,
        max_rows: int | None = None,
        kinds: Mapping[str, str] | None = None,
        factor_names: Sequence[str] | None = None,
        space: FactorSpace | None = None,
        **options: Any,
    ) -> None:
        metric = type(self).named.metric
        super().__init__(**{name: options.pop(name) for name in _OF_TORCHMETRICS & set(options)})
        metric.protocol(protocol)
        metric.check_options(options)
        if max_rows is not None and (isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1):
            raise InvalidInputError(f"max_rows must be a whole number of at least 1; got {max_rows!r}")
        generator(seed, "rows")  # raises if the seed is invalid
        self.protocol, self.seed, self.max_rows, self.options = protocol, seed, max_rows, options
        self.table: dict[str, Any] = {"kinds": kinds, "factor_names": factor_names, "space": space}
        self.score: Score | None = None
        self._n_batches = 0
        self._in_forward = False
        for name in _ROWS:
            self.add_state(name, default=[], dist_reduce_fx="cat")
        # A state, so that a collection does not merge the rows of metrics with different limits.
        self.add_state("limit", default=torch.tensor(max_rows or 0), dist_reduce_fx="max")

    def update(self, codes: Tensor, factors: Tensor | None = None, log_variance: Tensor | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        codes : (n, n_codes)
        factors : (n, n_factors)
            Labels as numbers, NaN where missing. None for a metric that does not use factors.
        log_variance : (n, n_codes), optional
            Natural logarithm of the posterior variances.

        Raises
        ------
        InvalidInputError
            If the arrays of the batch are inconsistent with each other or with earlier batches.
        """
        if factors is None and self.named.metric.needs.factors:
            raise InvalidInputError(f"{self.named.name} compares codes with factors; pass both to update")
        batch = {"codes": _rows("codes", codes, self.device)}
        for name, values in (("factors", factors), ("log_variance", log_variance)):
            if values is not None:
                batch[name] = _rows(name, values, self.device)
        for name, values in batch.items():
            if len(values) != len(batch["codes"]):
                raise InvalidInputError(
                    f"{name} must have as many rows as codes, {len(batch['codes'])}; got {len(values)}"
                )
        for name in ("codes", "factors", "log_variance"):
            self._check_like_earlier(name, batch.get(name))
        if self.max_rows is not None:
            batch["priority"] = self._priorities(len(batch["codes"]))
        for name, values in batch.items():
            getattr(self, name).append(values)
        self._n_batches += 1
        self._drop_rows()

    def compute(self) -> Tensor:
        """Return the value for all rows; NaN, with a warning, where it is undefined."""
        if not len(self.codes):  # a tensor once the rows of several processes are gathered
            raise InvalidInputError(f"{self.named.name} has no rows; call update before compute")
        kept = {name: _array(rows) for name, rows in self._kept().items()}
        representation = Representation(
            kept["codes"],
            kept.get("factors"),
            log_variance=kept.get("log_variance"),
            **self.table,
        )
        named = NamedScore(self.named.metric, self.protocol, self.named.part)
        self.score = named.of(representation, seed=self.seed, **self.options)
        if self.score.undefined:
            rank_zero_warn(f"{self.score.name} is undefined, NaN: {self.score.undefined}", UserWarning)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.tensor(self.score.value, dtype=dtype, device=self.device)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch and return the value of this batch alone."""
        self._in_forward = True
        try:
            value = super().forward(*args, **kwargs)
        finally:
            self._in_forward = False
        self._drop_rows()
        return value

    def reset(self) -> None:
        """Remove all rows."""
        super().reset()
        if not self._in_forward:  # torchmetrics also resets inside forward, where each batch needs different draws
            self._n_batches = 0
            self.score = None

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Plot one value, or several computed over time, between the bounds of the metric."""
        return self._plot(val, ax)

    def __repr__(self) -> str:
        settings = {"protocol": self.protocol, "seed": self.seed, "max_rows": self.max_rows, **self.options}
        defaults = {"protocol": "default", "seed": 0, "max_rows": None}
        shown = [
            f"{name}={value!r}" for name, value in settings.items() if name not in defaults or value != defaults[name]
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _check_like_earlier(self, name: str, values: Tensor | None) -> None:
        earlier: list[Tensor] = getattr(self, name)
        if self.codes and (values is None) != (not earlier):
            raise InvalidInputError(f"{name} must be given with every batch or with none; got it with some")
        if values is not None and earlier and values.shape[1:] != earlier[0].shape[1:]:
            raise InvalidInputError(
                f"{name} must have the same number of columns in every batch; got {tuple(values.shape)} after "
                f"{tuple(earlier[0].shape)}"
            )

    def _priorities(self, n: int) -> Tensor:
        """Draw a random number for each row of a batch; the rows with the lowest numbers are a uniform sample."""
        is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank = torch.distributed.get_rank() if is_distributed else 0
        drawn = generator((self.seed, rank, self._n_batches), "rows").integers(2**62, size=n)
        return torch.as_tensor(drawn, device=self.device)

    def _kept(self) -> dict[str, Tensor]:
        rows = {name: _concatenated(getattr(self, name)) for name in _ROWS if len(getattr(self, name))}
        if self.max_rows is None or len(rows["priority"]) <= self.max_rows:
            return rows
        lowest = torch.argsort(rows["priority"])[: self.max_rows].sort().values
        return {name: values[lowest] for name, values in rows.items()}

    def _drop_rows(self) -> None:
        if self.max_rows is not None and sum(map(len, self.priority)) > 2 * self.max_rows:
            for name, values in self._kept().items():
                setattr(self, name, [values])


def class_of(named: NamedScore, name: str, module: str) -> type[ScoreMetric]:
    """Generate the class of a metric, or of a part of it, from its declaration."""
    metric = named.metric
    low, high = metric.parts[named.part] if named.part else metric.bounds
    meaning = inspect.cleandoc(metric.__doc__ or "").partition("\n\nParameters\n")[0]
    declared = {
        "__doc__": (
            f"``{named.name}`` over batches; settings as for :class:`ScoreMetric`, options as for "
            f":data:`disentmetrics.metrics.{metric.name}`.\n\n{meaning}\n\n{metric.known_failure}"
        ),
        "__module__": module,
        "named": named,
        "higher_is_better": named.higher_is_better,
        "plot_lower_bound": low if abs(low) < float("inf") else None,
        "plot_upper_bound": high if abs(high) < float("inf") else None,
    }
    return type(name, (ScoreMetric,), declared)


def _rows(name: str, values: Any, device: torch.device) -> Tensor:
    try:
        tensor = torch.as_tensor(values).detach().to(device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"{name} must be a tensor of numbers; {error}") from error
    if tensor.ndim == 1:
        tensor = tensor[:, None]
    if tensor.ndim != 2:
        raise InvalidInputError(f"{name} must have shape (n, columns); got {tuple(tensor.shape)}")
    return tensor


def _concatenated(rows: list[Tensor] | Tensor) -> Tensor:
    if isinstance(rows, list):  # some tensors may have been moved to the CPU
        rows = [part.to(rows[0].device) for part in rows]
    return dim_zero_cat(rows)


def _array(rows: Tensor) -> Any:
    on_host = rows.cpu()
    return (on_host.float() if on_host.dtype == torch.bfloat16 else on_host).numpy()
