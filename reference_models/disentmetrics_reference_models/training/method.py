"""A method: a configuration, a pure objective, and optional hooks for everything that is not common to all methods.

A method is one module with a configuration (a frozen dataclass derived from :class:`~.config.Config`) and an
objective decorated with ``@method``. Every float field that the configuration adds is a weight of the
objective: models that differ only in weights and seeds can be trained together as one stack.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.likelihoods import mean_observation
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, Shape
from disentmetrics_reference_models.nn.priors import Gaussian, Prior
from disentmetrics_reference_models.nn.standardisation import Standardisation
from disentmetrics_reference_models.training.config import METHODS, Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.optimizers import ParameterGroup
from disentmetrics_reference_models.training.stage import FrozenModel, Stage

PRESETS = ("smoke", "small", "paper")
REPORTED = ("loss", "reconstruction", "kl")
"""Terms of methods with an evidence lower bound."""
Weights = Mapping[str, Tensor]
Codes = Tensor | tuple[Tensor, Tensor]
"""Codes (n, n_codes), or mean and log-variance of a Gaussian posterior."""
NO_INPUTS: Mapping[str, Tensor] = {}


class Batch(NamedTuple):
    """Inputs of an objective in one training step.

    Attributes
    ----------
    observations : (n_batches * batch_size, ...)
        Images in [0, 1], or standardised vectors; independent batches are concatenated.
    noise : mapping of str to Tensor
        Random numbers requested by ``Method.noise``.
    step : ()
        Number of steps completed so far.
    n_rows : int
        Number of rows of the data set.
    inputs : mapping of str to Tensor
        What the readers of ``Method.inputs`` return for these rows, such as standardised factors, and what
        ``Method.rows`` drew with them, such as actions.
    updated : tuple of str
        Names of the parameter groups that are updated by this pass, the model's own being ``""``. An objective may omit
        terms of the others.
    """

    observations: Tensor
    noise: Mapping[str, Tensor]
    step: Tensor
    n_rows: int
    inputs: Mapping[str, Tensor] = NO_INPUTS
    updated: tuple[str, ...] = ("",)


class Drawn(NamedTuple):
    """The rows of a number of training steps.

    Attributes
    ----------
    rows : (n_steps, n) int64
        Rows of the data set, n for each step.
    inputs : mapping of str to (n_steps, ...) Tensor
        Further inputs of these steps, such as the factor that varies in a batch, or actions.
    nuisance_of : (n_steps, n) int64 Tensor, optional
        Position in the step of the row whose nuisance each row takes, so that images may differ in factors alone. By
        default each row has its own.
    """

    rows: Tensor
    inputs: Mapping[str, Tensor] = NO_INPUTS
    nuisance_of: Tensor | None = None


Objective = Callable[[Any, Batch, Weights, Any], Terms]
Reader = Callable[[TrainingData, Draws], NDArray[np.generic]]


@dataclass(frozen=True)
class NoiseShape:
    """Distribution and shape of the random numbers that a method needs in each step.

    Attributes
    ----------
    distribution : {"normal", "uniform"}
        Standard normal, or uniform on [0, 1).
    shape : tuple of int
    """

    distribution: Literal["normal", "uniform"]
    shape: tuple[int, ...]


def _one_sample(config: Config) -> dict[str, NoiseShape]:
    return {"z": NoiseShape("normal", (config.batch_size, config.n_codes))}


def _no_parts(config: Config, shape: Shape) -> dict[str, nn.Module]:
    return {}


def _unchanged_encoder(encoder: nn.Module, config: Config) -> nn.Module:
    return encoder


def _unchanged_config(config: Config, data: TrainingData, stages: Mapping[str, Stage]) -> Config:
    return config


def _none_categorical(config: Config) -> tuple[int, ...]:
    return ()


def _standard_normal(model: Any, weights: Weights, config: Config) -> Prior:
    return Gaussian(torch.zeros(config.n_codes, device=next(model.parameters()).device))


MODEL = ParameterGroup(optimizer=lambda config: config.optimizer_settings)
"""All parameters that belong to no other group, with the optimiser of the configuration."""


def uniform_rows(config: Config, data: TrainingData, n_steps: int, generator: torch.Generator) -> Drawn:
    """Draw independent rows, all equally likely."""
    n = config.batch_size * config.method.n_batches
    return Drawn(torch.randint(len(data), (n_steps, n), generator=generator))


def posterior(model: Any, observations: Tensor, config: Config) -> Codes:
    """Return mean and log-variance of the posterior."""
    mean, log_variance = model.encoder(observations)
    return mean, log_variance


def decoded(model: Any, codes: Tensor, config: Config) -> Tensor:
    """Return the mean observations, images in [0, 1] or standardised vectors, that codes (n, n_codes) decode to."""
    return mean_observation(model.decoder(codes))


def prior_samples(model: Any, weights: Weights, config: Config, n: int, generator: torch.Generator) -> Tensor:
    """Return the mean observations of n samples of the prior of the method."""
    method = config.method
    codes = method.prior(model, weights, config).draw(n, config.n_codes, generator)
    return method.generate(model, codes.to(next(model.parameters())), config)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A training objective with its configuration, presets and components.

    Attributes
    ----------
    name, summary : str
        Name on the command line, and the first line of the docstring of the objective.
    config : type of Config
        Configuration class; its defaults are the preset ``paper``.
    objective : callable
        Maps networks, batch, weights and configuration to named terms, of which ``loss`` is minimised.
    paper : str
        Reference of the publication.
    presets : mapping of str to mapping
        Fields of the configuration that the presets ``smoke`` and ``small`` change.
    noise : callable
        Maps the configuration to the random numbers of a step, by name.
    parts : callable
        Maps configuration and image shape to the modules that the method adds.
    encoder : callable
        Maps the encoder of the architecture and the configuration to the encoder of the model.
    resolve_config : callable
        Maps configuration, data and stages to a configuration that no longer depends on them.
    prior : callable
        Maps networks, weights and configuration to the prior of the latents; N(0, I) for most methods.
    groups : tuple of ParameterGroup
        Groups of parameters, each with its own loss and optimiser, in the order in which they are updated.
    n_batches : int
        Number of independent batches per step.
    reported : tuple of str
        Terms that the objective must return, ``loss`` among them; they are shown during training.
    rows : callable
        Maps configuration, data, number of steps and generator to the rows of these steps; independent uniform rows
        by default.
    inputs : mapping of str to callable
        Readers of further inputs: each maps data and draws (n) to an array (n, ...), which the objective receives as
        ``batch.inputs``.
    networks : callable, optional
        Maps configuration and shape to the networks of the method, any module; by default an
        :class:`~.evidence.AutoEncoder` of the architecture with ``parts`` and ``encoder``.
    represent : callable
        Maps networks, observations and configuration to codes, or to mean and log-variance.
    generate : callable
        Maps networks, codes and configuration to mean observations.
    sample : callable
        Maps networks, weights, configuration, a number and a generator to as many observations of the prior.
    categorical : callable
        Maps the configuration to the number of categories of each latent, 0 for a continuous one, or to nothing if no
        latent is categorical.
    stages : tuple of str
        Text fields of the configuration that name the run folder of a trained model, on which the method builds: it
        is the frozen part ``model.stages[name]``, see :class:`~.stage.FrozenModel`.
    published : mapping of str to mapping
        Fields of the preset ``paper`` by the name of the data set, where the paper gives other settings for it.
    vectorises : bool
        Whether the models of a stack can be computed in one vectorised call; otherwise one after the other.
    encodes, decodes : bool
        Whether the method has an encoder, and a decoder of its codes.
    tuned_on : str
        Data set that the preset ``paper`` is published for, or nothing if its settings are ours.
    reach : float
        Latents are traversed from -reach to reach by default; 3 as in published figures under N(0, 1).
    """

    name: str
    summary: str
    config: type[Config]
    objective: Objective
    paper: str
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noise: Callable[[Any], dict[str, NoiseShape]] = _one_sample
    parts: Callable[[Any, Shape], dict[str, nn.Module]] = _no_parts
    encoder: Callable[[nn.Module, Any], nn.Module] = _unchanged_encoder
    resolve_config: Callable[[Any, TrainingData, Mapping[str, Stage]], Config] = _unchanged_config
    prior: Callable[[Any, Weights, Any], Prior] = _standard_normal
    groups: tuple[ParameterGroup, ...] = (MODEL,)
    n_batches: int = 1
    reported: tuple[str, ...] = REPORTED
    rows: Callable[[Any, TrainingData, int, torch.Generator], Drawn] = uniform_rows
    inputs: Mapping[str, Reader] = field(default_factory=dict)
    networks: Callable[[Any, Shape], nn.Module] | None = None
    represent: Callable[[Any, Tensor, Any], Codes] = posterior
    generate: Callable[[Any, Tensor, Any], Tensor] = decoded
    sample: Callable[[Any, Weights, Any, int, torch.Generator], Tensor] = prior_samples
    categorical: Callable[[Any], Sequence[int]] = _none_categorical
    stages: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    vectorises: bool = True
    encodes: bool = True
    decodes: bool = True
    tuned_on: str = "dsprites"
    reach: float = 3.0

    def preset(self, name: str, data: DataSet | None = None) -> Config:
        """Return the configuration of a preset.

        Parameters
        ----------
        name : {"smoke", "small", "paper"}
        data : DataSet, optional
            Data set to be trained on: ``paper`` gives the settings that the paper publishes for it (see
            :meth:`preset_note`), and vectors have a multilayer perceptron and a Gaussian likelihood.
        """
        if name not in PRESETS:
            raise InvalidInputError(
                f"the preset must be one of {', '.join(PRESETS)}; got {name!r}{did_you_mean(name, PRESETS)}"
            )
        changes = {**COMMON_PRESETS.get(name, {}), **self.presets.get(name, {})}
        if name == "paper" and data is not None:
            changes = dict(self.published.get(STAND_INS.get(data.name, data.name), {}))
        if data is not None and len(data.observation_shape) == 1:
            changes |= {"architecture": "small-fc" if name == "smoke" else "mlp", "likelihood": "gaussian"}
        return self.config().changed(changes)

    def preset_note(self, name: str, data: DataSet) -> str:
        """Return a note if a preset is not what was published for this data set, and otherwise an empty text."""
        published = [*filter(None, (self.tuned_on,)), *self.published]
        if name != "paper" or data.name in published:
            return ""
        place = STAND_INS.get(data.name, "")
        if place in published:
            return f"settings of {self.name} for {place}, whose place {data.name} takes"
        if not published:
            return f"no settings of {self.name} are published for images like these: they are ours"
        used = f"those for {self.tuned_on}" if self.tuned_on else "ours"
        return (
            f"the settings of {self.name} are {used}: none are published for {data.name}; "
            f"published: {', '.join(published)}"
        )

    def build(self, config: Config, shape: Shape, stages: Mapping[str, Stage] | None = None) -> Any:
        """Return newly initialised networks; the caller seeds torch."""
        if self.networks is None:
            model: Any = AutoEncoder(config, shape, self.parts(config, shape))
            model.encoder = self.encoder(model.encoder, config)
        else:
            model = self.networks(config, shape)
        if len(shape) == 1:
            model.add_module("standardisation", Standardisation(shape[0]))
        if stages:
            scaling = model.standardisation if len(shape) == 1 else None
            frozen = {name: FrozenModel(stage, scaling) for name, stage in stages.items()}
            model.add_module("stages", nn.ModuleDict(frozen))
        return model

    def can_vectorise(self, config: Config) -> bool:
        """Return whether the models of a stack can be computed in one vectorised call."""
        return self.vectorises and (self.networks is not None or ARCHITECTURES[config.architecture].vectorises)


STAND_INS = {"faces-like": "faces3d"}
"""Rendered data sets that take the place of ones that may not be redistributed."""
COMMON_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smoke": {"architecture": "small-conv", "n_codes": 6, "n_steps": 1_000, "learning_rate": 1e-3},
    "small": {"n_steps": 20_000},
}


def method(
    *, config: type[Config], paper: str, presets: Mapping[str, Mapping[str, Any]] | None = None, **hooks: Any
) -> Callable[[Objective], Method]:
    """Declare an objective as a method.

    The name of the method is that of the function, its summary the first line of the docstring; see :class:`Method`
    for the hooks. From then on ``config`` knows its method (:attr:`Config.method`).

    Raises
    ------
    InvalidInputError
        If the configuration class already belongs to another method.
    """

    def declare(objective: Objective) -> Method:
        if config in METHODS:
            raise InvalidInputError(
                f"each method needs its own configuration class; {config.__name__} already belongs to "
                f"{METHODS[config].name}; derive a class from it for {objective.__name__}"
            )
        declared = Method(
            name=objective.__name__,
            summary=(objective.__doc__ or "").strip().split("\n")[0].rstrip("."),
            config=config,
            objective=objective,
            paper=paper,
            presets=presets or {},
            **hooks,
        )
        METHODS[config] = declared
        return declared

    return declare
