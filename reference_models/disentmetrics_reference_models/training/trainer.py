"""The training loop for one model, or for a stack of models that are trained in parallel.

A stack contains models of one method and architecture that differ only in seeds and scalar weights. Each member draws
its batches and noise from its own generator, in chunks whose size does not depend on the stack, so that it is trained
exactly as it would be alone.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from disentmetrics.errors import InvalidInputError, TrainingError
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import Terms
from disentmetrics_reference_models.training.history import History, Recorder
from disentmetrics_reference_models.training.method import Batch, Method, NoiseShape
from disentmetrics_reference_models.training.optimizers import ParameterGroup
from disentmetrics_reference_models.training.stage import Stage

Named = dict[str, Tensor]

_NUMBERS_PER_CHUNK = 1 << 20  # random numbers drawn at once for each member
_MAX_STEPS_PER_CHUNK = 100
_GENERATED_AT_ONCE = 1024  # observations, while the steps before are computed
_COPIED_AT_ONCE = 8192  # observations that are in the memory of the device


@dataclass(frozen=True)
class StepInputs:
    """What is drawn for a number of steps, (n_members, n_steps, ...) each.

    Attributes
    ----------
    rows : int64
        Rows of the data set.
    nuisance : uint64 or None
        Nuisances of these rows, where the data set has any.
    inputs, noise : dict of str to Tensor
        Further inputs of ``Method.rows``, and random numbers.
    """

    rows: NDArray[np.int64]
    nuisance: NDArray[np.uint64] | None
    inputs: Named
    noise: Named


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
    data : TrainingData
    device : torch.device, optional
        CPU by default.
    stages : mapping of str to Stage, optional
        The trained models that the method builds on; the configurations contain their fingerprints.
    vectorised : bool, optional
        Whether all members of a stack are computed in one vectorised call rather than one after the other. By default
        on devices other than the CPU, where it is faster, if the method and its networks permit it.

    Raises
    ------
    InvalidInputError
        If the configurations differ in more than seed and weights, or cannot be computed in one call as requested.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        data: TrainingData,
        device: torch.device | None = None,
        *,
        stages: Mapping[str, Stage] | None = None,
        vectorised: bool | None = None,
    ) -> None:
        _check_stackable(configs)
        method = configs[0].method
        if method.networks is not None and configs[0].precision != "float32":
            raise InvalidInputError(f"{method.name} has networks of its own, which train in float32; omit precision")
        for group in method.groups:
            if group.period(configs[0]) < 1:
                raise InvalidInputError(
                    f"the period of the group {group.name or 'of the model'} of {method.name} must be at least 1; got "
                    f"{group.period(configs[0])}"
                )
        self.stages = dict(stages or {})
        configs = [method.resolve_config(config, data, self.stages) for config in configs]
        self.method, self.configs, self.data = method, tuple(configs), data
        self.config = configs[0]
        self.device = device or torch.device("cpu")
        self.step = 0
        models = [_prepared(_initialised(config, data.shape, self.stages), data).to(self.device) for config in configs]
        self._model = models[0]
        _set_precision(self._model, self.config.precision)
        self._vectorised = _is_vectorised(method, self.config, self.device, len(models), requested=vectorised)
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
            drawn = self._draw(chunk)
            is_copied = self.device.type != "cpu" and drawn.nuisance is None
            at_once = _COPIED_AT_ONCE if is_copied else _GENERATED_AT_ONCE
            together = max(1, at_once // max(1, drawn.rows[:, 0].size))
            stop = min(chunk, done + until - self.step)
            parts = [slice(start, min(start + together, stop)) for start in range(done, stop, together)]
            with ThreadPoolExecutor(1) as ahead:
                upcoming = ahead.submit(self._observe, drawn, parts[0])
                for part, following in itertools.zip_longest(parts, parts[1:]):
                    observations, inputs = upcoming.result()
                    if following is not None:
                        upcoming = ahead.submit(self._observe, drawn, following)
                    for number in range(part.stop - part.start):
                        noise = {n: values[:, part.start + number].to(self.device) for n, values in drawn.noise.items()}
                        of_step = {n: values[:, number].to(self.device) for n, values in inputs.items()}
                        yield self._advance(observations[:, number], of_step, noise)

    def _observe(self, drawn: StepInputs, part: slice) -> tuple[Tensor, Named]:
        """Return observations and further inputs of some steps, (n_members, n_steps, ...) each."""
        rows, nuisance = drawn.rows[:, part], None if drawn.nuisance is None else drawn.nuisance[:, part]
        inputs = {name: values[:, part] for name, values in drawn.inputs.items()}
        return self.data.at(rows, self.device, nuisance), inputs | self._read(rows, nuisance)

    def _rewind(self) -> None:
        for generator, state in zip(self.generators, self._before_chunk, strict=True):
            generator.set_state(state)

    def _draw(self, n_steps: int) -> StepInputs:
        shapes: dict[str, NoiseShape] = self.method.noise(self.config)
        rows, nuisance, inputs, noise = [], [], [], []
        for generator, config in zip(self.generators, self.configs, strict=True):
            drawn = self.method.rows(config, self.data, n_steps, generator)
            noise.append({n: _noise(generator, s.distribution, (n_steps, *s.shape)) for n, s in shapes.items()})
            rows.append(drawn.rows.numpy())
            inputs.append(dict(drawn.inputs))
            if self.data.draws_nuisance:
                rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
                flat = self.data.draw_nuisance(rows[-1].ravel(), rng)
                own = np.reshape(np.asarray(flat, np.uint64), rows[-1].shape)
                taken = drawn.nuisance_of
                nuisance.append(own if taken is None else np.take_along_axis(own, taken.numpy(), 1))
        return StepInputs(np.stack(rows), np.stack(nuisance) if nuisance else None, _stacked(inputs), _stacked(noise))

    def _read(self, rows: NDArray[np.int64], nuisance: NDArray[np.uint64] | None) -> Named:
        """Return the further inputs of the method for these rows."""
        if not self.method.inputs:
            return {}
        draws = self.data.draws(rows.ravel(), None if nuisance is None else nuisance.ravel())
        read = {name: torch.from_numpy(reader(self.data, draws)) for name, reader in self.method.inputs.items()}
        return {name: values.reshape(*rows.shape, *values.shape[1:]) for name, values in read.items()}

    def _advance(self, observations: Tensor, inputs: Named, noise: Named) -> dict[str, Tensor]:
        observations = self.data.scaled(observations)
        terms: Terms = {}
        groups = self.method.groups
        remaining = due = [group for group in groups if (self.step + 1) % group.period(self.config) == 0]
        while remaining:
            fresh = [number for number, group in enumerate(remaining) if number and group.fresh(self.config)]
            together = remaining[: fresh[0]] if fresh else remaining
            remaining = remaining[len(together) :]
            terms |= self._update(together, observations, inputs, noise)
        required = {*self.method.reported, *(group.loss for group in groups)}
        if len(due) == len(groups) and (missing := sorted(required - terms.keys())):
            raise TrainingError(
                f"the objective of {self.method.name} must return the terms {', '.join(sorted(required))}; "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            )
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def _update(self, groups: list[ParameterGroup], observations: Tensor, inputs: Named, noise: Named) -> Terms:
        """Update these groups by one pass, and return its terms."""

        def of_member(parameters: Named, buffers: Named, *rest: Any) -> Terms:
            return self._terms(tuple(group.name for group in groups), parameters, buffers, *rest)

        if self._vectorised:
            terms = torch.vmap(of_member)(self.parameters, self.buffers, observations, inputs, noise, self.weights)
            gradients = self._gradients(groups, {n: value.sum() for n, value in terms.items()}, self.parameters)
        else:
            terms, gradients = self._member_by_member(of_member, groups, observations, inputs, noise)
        for group in groups:
            names, optimizer = self.parameter_groups[group.name]
            for name in names:
                gradient = gradients.get(name)  # none for a parameter that no loss uses, which stays as it is
                self.parameters[name].grad = None if gradient is None else _laid_out_as(self.parameters[name], gradient)
            optimizer.step()
        return terms

    def _member_by_member(
        self,
        of_member: Callable[..., Terms],
        groups: list[ParameterGroup],
        observations: Tensor,
        inputs: Named,
        noise: Named,
    ) -> tuple[Terms, Named]:
        terms, gradients = [], []
        for member in range(self.n_members):
            own = self.parameters
            if self.n_members > 1:
                own = {n: stacked[member].detach().requires_grad_(stacked.requires_grad) for n, stacked in own.items()}
            terms.append(
                of_member(
                    own,
                    self.buffers if self.n_members == 1 else _member_of(self.buffers, member),
                    _channels_last(observations[member]),
                    _member_of(inputs, member),
                    _member_of(noise, member),
                    _member_of(self.weights, member),
                )
            )
            gradients.append(self._gradients(groups, terms[-1], own))
        if self.n_members == 1:
            return {name: value[None] for name, value in terms[0].items()}, gradients[0]
        return _stacked(terms), _stacked(gradients)

    def _terms(
        self,
        updated: tuple[str, ...],
        parameters: Named,
        buffers: Named,
        observations: Tensor,
        inputs: Named,
        noise: Named,
        weights: Named,
    ) -> Terms:
        step = torch.tensor(float(self.step), device=self.device)
        batch = Batch(observations, noise, step, len(self.data), inputs, updated)
        objective = _ObjectiveModule(self._model, self.method.objective, self.config)
        state = {f"model.{n}": t for n, t in (*parameters.items(), *buffers.items())}
        terms: Terms = functional_call(objective, state, (batch, weights))
        return terms

    def _gradients(self, groups: list[ParameterGroup], terms: Terms, parameters: Named) -> Named:
        """Return the gradients of the loss of each group with respect to its own parameters."""
        gradients: Named = {}
        for number, group in enumerate(groups, start=1):
            names, _ = self.parameter_groups[group.name]
            if group.loss not in terms:
                raise TrainingError(
                    f"the objective of {self.method.name} must return the term {group.loss} whenever "
                    f"{group.name or 'the model'} is updated; it is missing"
                )
            inputs = [parameters[name] for name in names]
            retained = number < len(groups)
            of_group = torch.autograd.grad(terms[group.loss], inputs, retain_graph=retained, allow_unused=True)
            gradients |= {name: g for name, g in zip(names, of_group, strict=True) if g is not None}
        return gradients

    def state(self) -> dict[str, Tensor]:
        """Return everything needed to resume training, as named tensors on the CPU."""
        tensors = {f"parameter.{n}": p.detach() for n, p in self.parameters.items()}
        tensors |= {f"buffer.{n}": b for n, b in self.buffers.items()}
        for group_name, (names, optimizer) in self.parameter_groups.items():
            for name in names:
                for key, value in optimizer.state[self.parameters[name]].items():
                    if value is None:  # such as the momentum of SGD without momentum
                        continue
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

    def models(self) -> list[Any]:
        """Return the networks of each member, in evaluation mode and on the CPU."""
        models = []
        for number, config in enumerate(self.configs):
            model = _initialised(config, self.data.shape, self.stages)
            state = {**self.parameters, **self.buffers}
            single = self.n_members == 1
            model.load_state_dict({n: (v if single else v[number]).detach().cpu() for n, v in state.items()})
            models.append(model.eval().requires_grad_(False))
        return models


def _member_of(stacked: Named, member: int) -> Named:
    return {name: value[member] for name, value in stacked.items()}


def _stacked(members: list[Named]) -> Named:
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


def _set_precision(model: nn.Module, precision: str) -> None:
    """Compute the networks in bfloat16 if requested; parameters, outputs and all losses stay float32."""
    if precision == "bfloat16":
        for name, network in model.named_children():
            if name not in {"parts", "stages", "standardisation"}:
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

    def __init__(self, model: nn.Module, objective: Callable[..., Terms], config: Config) -> None:
        super().__init__()
        self.model, self.objective, self.config = model, objective, config

    def forward(self, batch: Batch, weights: dict[str, Tensor]) -> Terms:
        return self.objective(self.model, batch, weights, self.config)


def _initialised(config: Config, shape: tuple[int, ...], stages: Mapping[str, Stage]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return config.method.build(config, shape, stages)


def _prepared(model: Any, data: TrainingData) -> Any:
    """Give a model of vectors the mean and standard deviation of the data."""
    if len(data.shape) == 1:
        mean, deviation = data.scaling
        model.standardisation.load_state_dict({"mean": mean, "deviation": deviation})
    return model


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


def _is_vectorised(
    method: Method, config: Config, device: torch.device, n_members: int, *, requested: bool | None
) -> bool:
    can = method.can_vectorise(config)
    if requested and n_members > 1 and not can:
        raise InvalidInputError(
            f"models of {method.name} with architecture {config.architecture} cannot be computed in one call, because "
            "they have batch normalisation or the like; omit vectorised=True to train them one after the other"
        )
    # On CPUs, grouped convolutions and batched products are slower than one member after the other.
    return n_members > 1 and can and (device.type != "cpu" if requested is None else requested)


def _parameter_groups(
    method: Method, config: Config, parameters: dict[str, Tensor]
) -> dict[str, tuple[tuple[str, ...], torch.optim.Optimizer]]:
    """Return names of parameters and an optimiser for each group; those of no other group belong to ``""``."""
    prefixes = tuple(f"{group.name}." for group in method.groups if group.name)
    trained = [name for name, parameter in parameters.items() if parameter.requires_grad]
    groups = {}
    for group in method.groups:
        names = tuple(
            n for n in trained if (n.startswith(f"{group.name}.") if group.name else not n.startswith(prefixes))
        )
        if not names:
            raise InvalidInputError(
                f"each parameter group must have trained parameters; {group.name or 'the model'} of {method.name} "
                "has none"
            )
        groups[group.name] = (names, group.optimizer(config).build([parameters[n] for n in names]))
    return groups


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
