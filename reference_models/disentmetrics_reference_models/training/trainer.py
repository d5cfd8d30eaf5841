"""The training loop for one model, or for a stack of models that are trained in parallel.

A stack contains models of one method and architecture that differ only in seeds and scalar weights. Each member draws
its batches and noise from its own generator, in chunks whose size does not depend on the stack, so that it is trained
exactly as it would be alone.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError, TrainingError
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, Shape
from disentmetrics_reference_models.training.device_store import DeviceStore, fits_in_memory
from disentmetrics_reference_models.training.method import AutoEncoder, Batch, Config, Method, NoiseShape, Terms

Named = dict[str, Tensor]

_NUMBERS_PER_CHUNK = 1 << 20  # random numbers drawn at once for each member
_MAX_STEPS_PER_CHUNK = 100
_IMAGES_AT_ONCE = 8192  # rendered together
_SAMPLE_SIZE = 1 << 18  # images that represent a data set without a uniform full grid


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of this name; ``auto`` selects the first available one of cuda, mps and cpu."""
    if name != "auto":
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise InvalidInputError(f"device {name!r} is not available; use auto or cpu") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class TrainingImages:
    """The images of a data set in the layout of PyTorch.

    Parameters
    ----------
    data : DataSet
        Data set of square images. The full grid of factors is used where all combinations are equally likely, and
        otherwise a fixed sample of 262,144 images.

    Raises
    ------
    InvalidInputError
        If the observations are not images.
    """

    def __init__(self, data: DataSet) -> None:
        if len(data.observation_shape) != 3:
            raise InvalidInputError(
                f"training needs images of shape (height, width, channels); observations of {data.name} have shape "
                f"{data.observation_shape}"
            )
        height, width, channels = data.observation_shape
        self.data = data
        self.shape: Shape = (channels, height, width)
        self._draws = _training_draws(data)
        self._stores: dict[torch.device, DeviceStore] = {}

    def __len__(self) -> int:
        return len(self._draws)

    def at(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the images at these rows on the device, (*rows.shape, channels, height, width) uint8.

        Devices other than the CPU keep all images in their own memory if there is enough of it.
        """
        if device.type != "cpu" and fits_in_memory(len(self) * math.prod(self.shape), device):
            if device not in self._stores:
                self._stores[device] = DeviceStore(self._observed, len(self), device)
            return self._stores[device].at(torch.from_numpy(rows))
        return torch.from_numpy(self._observed(rows.ravel())).to(device).reshape(*rows.shape, *self.shape)

    def _observed(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        some = self._draws[rows]
        images = self.data.observations(some.factors, some.nuisance)
        return np.ascontiguousarray(np.moveaxis(images, -1, 1))

    def some(self, n: int) -> Tensor:
        """Return a fixed random sample of n images, or all if there are fewer, (n, channels, height, width) uint8."""
        rows = np.random.default_rng(0).permutation(len(self))[:n]
        return self.at(rows, torch.device("cpu"))

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        """Factors of all images (n, n_factors), standardised to mean 0 and variance 1 (0 for a constant factor).

        Discrete factors are represented by the index of their value. A factor with missing values is NaN.
        """
        values = self._draws.factors.astype(np.float64)
        if self.data.space.is_grid:
            values[values < 0] = np.nan
        if not values.size:
            return values.astype(np.float32)
        deviation = np.where(values.max(axis=0) == values.min(axis=0), np.inf, values.std(axis=0))
        return np.asarray((values - values.mean(axis=0)) / deviation, np.float32)

    def factors_at(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the standardised factors at these rows, (*rows.shape, n_factors), on the device."""
        return torch.from_numpy(self.factors[rows]).to(device)


def _training_draws(data: DataSet) -> Draws:
    if data.has_full_grid:
        return data.full_grid()
    return data.sample(_SAMPLE_SIZE, np.random.default_rng(0), replace=True)


@dataclass(frozen=True)
class StepInputs:
    """Rows of the data set and noise for a number of steps, (n_members, n_steps, ...) each."""

    rows: NDArray[np.int64]
    noise: dict[str, Tensor]


def steps_per_chunk(config: Config) -> int:
    """Return for how many steps random numbers are drawn at once; the same for a single model and in a stack."""
    numbers = sum(math.prod(shape.shape) for shape in config.method.noise(config).values())
    numbers += config.batch_size * config.method.n_batches
    return max(1, min(_MAX_STEPS_PER_CHUNK, _NUMBERS_PER_CHUNK // numbers))


def _noise(generator: torch.Generator, distribution: str, shape: tuple[int, ...]) -> Tensor:
    draw: Callable[..., Tensor] = torch.randn if distribution == "normal" else torch.rand
    return draw(shape, generator=generator)


class Trainer:
    """Trains one model, or a stack of models of one method.

    Parameters
    ----------
    configs : sequence of Config
        One configuration per member of the stack; they may differ in seed and weights.
    images : TrainingImages
    device : torch.device, optional
        CPU by default.
    vectorised : bool, optional
        Whether all members of a stack are computed in one vectorised call rather than one after the other. By default
        only on devices other than the CPU, where it is faster.

    Raises
    ------
    InvalidInputError
        If the configurations differ in more than seed and weights, or the architecture cannot be stacked.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        images: TrainingImages,
        device: torch.device | None = None,
        *,
        vectorised: bool | None = None,
    ) -> None:
        _check_stackable(configs)
        method = configs[0].method
        configs = [method.resolve_config(config, images) for config in configs]
        self.method, self.configs, self.images = method, tuple(configs), images
        self.config = configs[0]
        self.device = device or torch.device("cpu")
        self.step = 0
        models = [_initialised(config, images.shape).to(self.device) for config in configs]
        self._model = models[0]
        _set_precision(self._model, self.config.precision)
        # On CPUs, grouped convolutions and batched products are slower than one member after the other.
        self._vectorised = len(models) > 1 and (self.device.type != "cpu" if vectorised is None else vectorised)
        if len(models) == 1:
            self.parameters = {n: _channels_last(p.detach().clone()) for n, p in self._model.named_parameters()}
            self.buffers = {n: b.detach().clone() for n, b in self._model.named_buffers()}
        else:
            stacked, buffers = stack_module_state(models)
            self.parameters = {n: p.detach().clone() for n, p in stacked.items()}
            self.buffers = {n: b.detach().clone() for n, b in buffers.items()}
        for name, parameter in self._model.named_parameters():  # frozen parts stay frozen
            self.parameters[name].requires_grad_(parameter.requires_grad)
        self.weights = {
            name: torch.tensor([config.weights[name] for config in configs], device=self.device)
            for name in self.config.weights
        }
        self.generators = [torch.Generator().manual_seed(_seed_of_draws(config)) for config in configs]
        self._before_chunk = [generator.get_state() for generator in self.generators]
        self.parameter_groups = _parameter_groups(method, self.config, self.parameters)

    @property
    def n_members(self) -> int:
        """Number of models in the stack."""
        return len(self.configs)

    def run(self, until: int) -> Iterator[dict[str, Tensor]]:
        """Train until ``until`` steps are completed, and yield the terms of each step, (n_members, ...) each.

        Training can be interrupted after any step: :meth:`state` contains the generators as they were before the
        random numbers of the current chunk were drawn, which are then drawn again.
        """
        chunk = steps_per_chunk(self.config)
        while self.step < until:
            done = self.step % chunk
            if done:
                self._rewind()
            self._before_chunk = [generator.get_state() for generator in self.generators]
            inputs = self._draw(chunk)
            together = max(1, _IMAGES_AT_ONCE // inputs.rows[:, 0].size)
            for start in range(done, min(chunk, done + until - self.step), together):
                stop = min(start + together, chunk, start + until - self.step)
                images = self.images.at(inputs.rows[:, start:stop], self.device)
                factors = self.images.factors_at(inputs.rows[:, start:stop], self.device)
                for number in range(start, stop):
                    noise = {name: values[:, number].to(self.device) for name, values in inputs.noise.items()}
                    yield self._advance(images[:, number - start], factors[:, number - start], noise)

    def _rewind(self) -> None:
        for generator, state in zip(self.generators, self._before_chunk, strict=True):
            generator.set_state(state)

    def _draw(self, n_steps: int) -> StepInputs:
        n_images = self.config.batch_size * self.method.n_batches
        shapes: dict[str, NoiseShape] = self.method.noise(self.config)
        rows, noise = [], []
        for generator in self.generators:
            rows.append(torch.randint(len(self.images), (n_steps, n_images), generator=generator))
            noise.append({n: _noise(generator, s.distribution, (n_steps, *s.shape)) for n, s in shapes.items()})
        stacked = {name: torch.stack([member[name] for member in noise]) for name in shapes}
        return StepInputs(torch.stack(rows).numpy(), stacked)

    def _advance(self, images: Tensor, factors: Tensor, noise: dict[str, Tensor]) -> dict[str, Tensor]:
        images = images.float() / 255
        if self._vectorised:
            terms = torch.vmap(self._terms)(self.parameters, self.buffers, images, factors, noise, self.weights)
            gradients = self._gradients({name: value.sum() for name, value in terms.items()}, self.parameters)
        else:
            terms, gradients = self._member_by_member(images, factors, noise)
        for names, optimizer in self.parameter_groups.values():
            for name in names:
                gradient = gradients.get(name)  # none for a parameter that no loss uses, which stays as it is
                self.parameters[name].grad = None if gradient is None else _laid_out_as(self.parameters[name], gradient)
            optimizer.step()
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def _member_by_member(self, images: Tensor, factors: Tensor, noise: dict[str, Tensor]) -> tuple[Terms, Named]:
        terms, gradients = [], []
        for member in range(self.n_members):
            own = self.parameters
            if self.n_members > 1:
                own = {n: stacked[member].detach().requires_grad_(stacked.requires_grad) for n, stacked in own.items()}
            terms.append(
                self._terms(
                    own,
                    self.buffers if self.n_members == 1 else _member_of(self.buffers, member),
                    _channels_last(images[member]),
                    factors[member],
                    _member_of(noise, member),
                    _member_of(self.weights, member),
                )
            )
            gradients.append(self._gradients(terms[-1], own))
        if self.n_members == 1:
            return {name: value[None] for name, value in terms[0].items()}, gradients[0]
        return _stacked(terms), _stacked(gradients)

    def _terms(
        self, parameters: Named, buffers: Named, images: Tensor, factors: Tensor, noise: Named, weights: Named
    ) -> Terms:
        step = torch.tensor(float(self.step), device=self.device)
        batch = Batch(images, noise, step, len(self.images), factors)
        objective = _ObjectiveModule(self._model, self.method.objective, self.config)
        state = {f"model.{n}": t for n, t in (*parameters.items(), *buffers.items())}
        terms: Terms = functional_call(objective, state, (batch, weights))
        required = {*self.method.reported, *(f"{a.part}_loss" for a in self.method.adversaries)}
        if missing := sorted(required - terms.keys()):
            raise TrainingError(
                f"the objective of {self.method.name} must return the terms {', '.join(sorted(required))}; "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            )
        return terms

    def _gradients(self, terms: Terms, parameters: Named) -> Named:
        """Return the gradients of the loss of each parameter group with respect to its own parameters."""
        gradients: Named = {}
        for number, (group_name, (names, _)) in enumerate(self.parameter_groups.items(), start=1):
            loss = terms[f"{group_name}_loss" if group_name else "loss"]
            inputs = [parameters[name] for name in names]
            retained = number < len(self.parameter_groups)
            of_group = torch.autograd.grad(loss, inputs, retain_graph=retained, allow_unused=True)
            gradients |= {name: g for name, g in zip(names, of_group, strict=True) if g is not None}
        return gradients

    def state(self) -> dict[str, Tensor]:
        """Return everything needed to resume training, as named tensors on the CPU."""
        tensors = {f"parameter.{n}": p.detach() for n, p in self.parameters.items()}
        tensors |= {f"buffer.{n}": b for n, b in self.buffers.items()}
        for group_name, (names, optimizer) in self.parameter_groups.items():
            for name in names:
                for key, value in optimizer.state[self.parameters[name]].items():
                    tensors[f"optimizer.{group_name}.{key}.{name}"] = torch.as_tensor(value)
        between_chunks = self.step % steps_per_chunk(self.config) == 0
        generators = [g.get_state() for g in self.generators] if between_chunks else self._before_chunk
        tensors |= {f"generator.{i}": state for i, state in enumerate(generators)}
        tensors["step"] = torch.tensor(self.step)
        return {name: value.cpu().contiguous().clone() for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Resume from a state; raise InvalidInputError if it was saved for other models."""
        expected = set(self.state()) | {n for n in tensors if n.startswith("optimizer.")}
        if expected != set(tensors):
            raise InvalidInputError("the checkpoint must be of the same method, networks and number of models")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"parameter.{name}"])
            for name, buffer in self.buffers.items():
                buffer.copy_(tensors[f"buffer.{name}"])
        for group_name, (names, optimizer) in self.parameter_groups.items():
            for name in names:
                parameter = self.parameters[name]
                prefix, suffix = f"optimizer.{group_name}.", f".{name}"
                keys = [k[len(prefix) : -len(suffix)] for k in tensors if k.startswith(prefix) and k.endswith(suffix)]
                for key in (k for k in keys if "." not in k):
                    value = tensors[f"{prefix}{key}{suffix}"].clone()
                    placed = value.to(parameter.device)
                    if key != "step":  # accumulators share the memory layout of their parameter
                        placed = torch.empty_like(parameter.detach()).copy_(value)
                    optimizer.state[parameter][key] = placed
        for number, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator.{number}"])
        self._before_chunk = [generator.get_state() for generator in self.generators]
        self.step = int(tensors["step"])

    def models(self) -> list[AutoEncoder]:
        """Return the networks of each member, in evaluation mode and on the CPU."""
        models = []
        for number, config in enumerate(self.configs):
            model = _initialised(config, self.images.shape)
            state = {**self.parameters, **self.buffers}
            single = self.n_members == 1
            model.load_state_dict({n: (v if single else v[number]).detach().cpu() for n, v in state.items()})
            models.append(model.eval().requires_grad_(False))
        return models


def _member_of(stacked: Named, member: int) -> Named:
    return {name: value[member] for name, value in stacked.items()}


def _stacked(members: list[Named]) -> Named:
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


def _set_precision(model: AutoEncoder, precision: str) -> None:
    """Compute encoder and decoder in bfloat16 if requested; parameters, outputs and all losses stay float32."""
    if precision == "bfloat16":
        for network in (model.encoder, model.decoder):
            network.forward = _in_bfloat16(network.forward)


def _in_bfloat16(forward: Callable[..., Any]) -> Callable[..., Any]:
    def lowered(tensor: Tensor) -> Any:
        with torch.autocast(tensor.device.type, torch.bfloat16):
            output = forward(tensor)
        return tuple(part.float() for part in output) if isinstance(output, tuple) else output.float()

    return lowered


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient in the memory layout of its parameter, which fused optimisers require."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter.detach()).copy_(gradient)


def _channels_last(tensor: Tensor) -> Tensor:
    """Store images and kernels channels-last, the layout on which convolutions are fastest; others are unchanged."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class _ObjectiveModule(torch.nn.Module):
    """Wraps an objective as a module, so that ``functional_call`` can replace the parameters of its networks."""

    def __init__(self, model: AutoEncoder, objective: Callable[..., Terms], config: Config) -> None:
        super().__init__()
        self.model, self.objective, self.config = model, objective, config

    def forward(self, batch: Batch, weights: dict[str, Tensor]) -> Terms:
        return self.objective(self.model, batch, weights, self.config)


def _initialised(config: Config, shape: Shape) -> AutoEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return config.method.build(config, shape)


def _seed_of_draws(config: Config) -> int:
    # A stream independent of the one that draws the initial weights.
    return int(np.random.SeedSequence([config.seed, 1]).generate_state(1, np.uint64)[0] >> 1)


def _check_stackable(configs: Sequence[Config]) -> None:
    if not configs:
        raise InvalidInputError("at least one configuration must be given; got none")
    first = configs[0]
    free = {"seed", *first.weights}
    for config in configs[1:]:
        if type(config) is not type(first):
            raise InvalidInputError(
                f"models of one stack must be of one method; got {type(first).__name__} and {type(config).__name__}"
            )
        differ = [f.name for f in fields(first) if getattr(first, f.name) != getattr(config, f.name)]
        if set(differ) - free:
            raise InvalidInputError(
                f"models of one stack may differ only in {', '.join(sorted(free))}; "
                f"these differ in {', '.join(sorted(set(differ) - free))}"
            )
    if len(configs) > 1 and not ARCHITECTURES[first.architecture].stackable:
        raise InvalidInputError(
            f"architecture {first.architecture} has batch normalisation and cannot be stacked; train each model alone"
        )


ParameterGroup = tuple[tuple[str, ...], torch.optim.Optimizer]


def _parameter_groups(method: Method, config: Config, parameters: dict[str, Tensor]) -> dict[str, ParameterGroup]:
    """Return names of parameters and an optimiser for the model (key ``""``) and for each of its adversaries."""
    prefixes = {adversary.part: f"parts.{adversary.part}." for adversary in method.adversaries}
    trained = [name for name, parameter in parameters.items() if parameter.requires_grad]
    own = tuple(name for name in trained if not name.startswith(tuple(prefixes.values()) or ("\0",)))
    parameter_groups: dict[str, ParameterGroup] = {"": (own, _optimizer(config, [parameters[n] for n in own]))}
    for adversary in method.adversaries:
        names = tuple(name for name in trained if name.startswith(prefixes[adversary.part]))
        adam = torch.optim.Adam(
            [parameters[n] for n in names], lr=adversary.learning_rate(config), betas=adversary.betas, fused=True
        )
        parameter_groups[adversary.part] = (names, adam)
    return parameter_groups


def _optimizer(config: Config, parameters: list[Tensor]) -> torch.optim.Optimizer:
    if config.optimizer == "adagrad":
        fused = all(parameter.device.type == "cpu" for parameter in parameters)  # only implemented for CPUs
        return torch.optim.Adagrad(parameters, lr=config.learning_rate, initial_accumulator_value=0.1, fused=fused)
    return torch.optim.Adam(parameters, lr=config.learning_rate, amsgrad=config.optimizer == "amsgrad", fused=True)


@dataclass(frozen=True)
class History:
    """Terms of the objective during training, averaged over the steps since the previous record.

    Attributes
    ----------
    names : tuple of str
        Columns: ``step``, ``seconds``, ``steps_per_second``, the terms, ``active_codes`` and ``kl_of_code_j`` for
        each latent j.
    rows : (n_rows, n_columns) float64
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return a column."""
        return self.rows[:, self.names.index(name)]


ACTIVE_NATS = 0.01
"""A latent with a smaller mean KL has collapsed."""


class Recorder:
    """Averages the terms of one member between records, and stops training when the loss is not finite.

    Parameters
    ----------
    member : int
        Index of the model in its stack.
    names : tuple of str, optional
        Columns of the records so far, when training is resumed.
    rows : list of list of float, optional
        Records so far.
    """

    def __init__(self, member: int, names: tuple[str, ...] = (), rows: list[list[float]] | None = None) -> None:
        self.member, self.names, self.rows = member, names, rows or []
        self._sums: dict[str, Tensor] = {}
        self._n = 0
        self._since = time.perf_counter()

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step."""
        for name, value in terms.items():
            of_member = value[self.member]
            self._sums[name] = of_member.clone() if name not in self._sums else self._sums[name] + of_member
        self._n += 1

    def record(self, step: int) -> dict[str, float]:
        """Append the means since the last record and return them; raise TrainingError if the loss is not finite."""
        if not self._n:
            return {}
        means = {name: (value / self._n).cpu() for name, value in self._sums.items()}
        seconds = time.perf_counter() - self._since
        row = {"step": float(step), "seconds": seconds, "steps_per_second": self._n / max(seconds, 1e-9)}
        for name, mean in means.items():
            if mean.ndim:
                row |= {f"{name}_{j}": float(v) for j, v in enumerate(mean)}
            else:
                row[name] = float(mean)
        if "kl_of_code" in means:
            row["active_codes"] = float((means["kl_of_code"] > ACTIVE_NATS).sum())
        self._sums, self._n, self._since = {}, 0, time.perf_counter()
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                f"the loss must be finite; it is {row['loss']} at step {step}; "
                "lower the learning rate or change the weights of the objective"
            )
        self.names = tuple(row)
        self.rows.append(list(row.values()))
        return row

    @property
    def history(self) -> History:
        """All records so far."""
        return History(self.names, np.array(self.rows, np.float64).reshape(len(self.rows), len(self.names)))


def with_seeds(config: Config, seeds: Sequence[int]) -> list[Config]:
    """Return a copy of the configuration for each seed.

    Examples
    --------
    >>> [c.seed for c in with_seeds(Config(), range(3))]
    [0, 1, 2]
    """
    return [replace(config, seed=seed) for seed in seeds]


def train_to_end(trainer: Trainer, *, record_every: int = 100, until: int | None = None) -> list[History]:
    """Train for all remaining steps and return the history of each member, for tests and short runs."""
    recorders = [Recorder(member) for member in range(trainer.n_members)]
    last = until or trainer.config.n_steps
    for terms in trainer.run(last):
        for recorder in recorders:
            recorder.add(terms)
            if trainer.step % record_every == 0 or trainer.step == last:
                recorder.record(trainer.step)
    return [recorder.history for recorder in recorders]


def as_dict(config: Config) -> dict[str, Any]:
    """Return the fields of a configuration by name."""
    return {f.name: getattr(config, f.name) for f in fields(config)}
