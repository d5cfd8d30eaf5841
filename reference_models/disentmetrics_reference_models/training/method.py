"""What a method is: a frozen configuration, a pure objective, and what else it needs; found by themselves.

A method is one module of this package that holds a configuration (a frozen dataclass derived
from :class:`Config`) and an objective under ``@method``. Every float field of its own is a weight:
models that differ in weights and seeds alone are trained together as one stack.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models import methods
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, reparameterise
from disentmetrics_reference_models.nn.likelihoods import LIKELIHOODS, reconstruction_loss
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, Shape
from disentmetrics_reference_models.nn.priors import Gaussian, Prior

PRESETS = ("smoke", "small", "paper")
Terms = dict[str, Tensor]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every method is told.

    Attributes
    ----------
    architecture : str
        Name of the networks, see ``networks.ARCHITECTURES``.
    n_codes : int
        Codes of the model.
    likelihood : {"bernoulli", "gaussian", "laplace"}
        Of the decoder.
    batch_size, n_steps : int
        Images in a step, and steps; without steps, networks stay as they are initialised.
    optimizer : {"adam", "amsgrad", "adagrad"}
        Adam with betas (0.9, 0.999); Adagrad starts its sums at 0.1, as TensorFlow does.
    learning_rate : float
        Of the networks.
    precision : {"float32", "bfloat16"}
        What encoder and decoder multiply in while they learn; the rest, and trained models, use float32.
    seed : int
        Decides initial weights, batches and noise.
    """

    architecture: str = "burgess"
    n_codes: int = 10
    likelihood: str = "bernoulli"
    batch_size: int = 64
    n_steps: int = 300_000
    optimizer: Literal["adam", "amsgrad", "adagrad"] = "adam"
    learning_rate: float = 5e-4
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        choices: dict[str, Collection[str]] = {
            "architecture": ARCHITECTURES,
            "likelihood": LIKELIHOODS,
            "optimizer": OPTIMIZERS,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise InvalidInputError(
                    f"{name} must be one of {', '.join(known)}; got {value!r}{did_you_mean(str(value), known)}"
                )
        for name, least in (("n_codes", 1), ("batch_size", 1), ("n_steps", 0)):
            if getattr(self, name) < least:
                raise InvalidInputError(f"{name} must be at least {least}; got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise InvalidInputError(f"learning_rate must be above 0; got {self.learning_rate}")
        if self.seed < 0:
            raise InvalidInputError(f"seed must not be negative; got {self.seed}")

    @property
    def weights(self) -> dict[str, float]:
        """The scalar weights of the method: its own float fields, but for rates of learning."""
        common = {f.name for f in dataclasses.fields(Config)}
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in common}
        return {
            name: value
            for name, value in own.items()
            if isinstance(value, float) and not name.endswith("learning_rate")
        }

    def changed(self, changes: Mapping[str, Any]) -> "Config":
        """Return a configuration with some fields changed; text is read as the field's type.

        Raises
        ------
        InvalidInputError
            If there is no such field (the message names the nearest) or the value is of another type.
        """
        kinds = {f.name: type(getattr(self, f.name)) for f in dataclasses.fields(self)}
        read = {}
        for name, value in changes.items():
            if name not in kinds:
                raise InvalidInputError(
                    f"{type(self).__name__} has no field {name!r}{did_you_mean(name, kinds)}; "
                    f"its fields are {', '.join(kinds)}"
                )
            read[name] = _read(name, value, kinds[name])
        return dataclasses.replace(self, **read)


PRECISIONS = ("float32", "bfloat16")
OPTIMIZERS = ("adam", "amsgrad", "adagrad")


def _read(name: str, value: Any, kind: type) -> Any:
    if kind is bool:
        flags = {"true": True, "false": False}
        if str(value).lower() not in flags:
            raise InvalidInputError(f"{name} must be true or false; got {value!r}")
        return flags[str(value).lower()]
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name} must be a {kind.__name__}; got {value!r}") from error


class Batch(NamedTuple):
    """What an objective sees in one step.

    Attributes
    ----------
    images : (n_batches * batch_size, channels, height, width)
        In [0, 1]; independent batches stand one after the other.
    noise : mapping of str to Tensor
        What the method asked for, see ``Method.noise``.
    step : ()
        Steps done before.
    n_rows : int
        Number of images in the whole data set.
    factors : (n_batches * batch_size, n_factors)
        Of the images, each with mean 0 and variance 1 over the data set, or 0 if it is constant; no column where
        none is known.
    """

    images: Tensor
    noise: Mapping[str, Tensor]
    step: Tensor
    n_rows: int
    factors: Tensor = torch.empty(0, 0)


class AutoEncoder(nn.Module):
    """The networks of a method.

    Attributes
    ----------
    encoder, decoder : Module
        Of the architecture.
    parts : ModuleDict
        What the method adds, such as a discriminator or a prior with parameters.
    """

    def __init__(self, config: Config, shape: Shape, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        architecture = ARCHITECTURES[config.architecture]
        _check_shape(config.architecture, shape)
        self.encoder = architecture.encoder(shape, config.n_codes)
        self.decoder = architecture.decoder(shape, config.n_codes)
        self.parts = nn.ModuleDict(dict(parts))


def _check_shape(name: str, shape: Shape) -> None:
    _, height, width = shape
    if height != width or height < 8 or height & (height - 1):
        raise InvalidInputError(
            f"networks take square images whose side is a power of two from 8; got {height} x {width}; "
            "map the data set to such images first"
        )
    side = ARCHITECTURES[name].side
    if side not in {None, height}:
        raise InvalidInputError(f"architecture {name} takes images of side {side}; got {height}")


class Evidence(NamedTuple):
    """One reparameterised pass through the networks: the two sides of the evidence lower bound.

    Attributes
    ----------
    reconstruction : (batch,)
        Negative log-likelihood of each image, in nats.
    kl : (batch, n_codes)
        KL of each code's posterior from the prior, in nats: from N(0, 1) unless the method has a prior of its own.
    mean, log_variance, z : (batch, n_codes)
        The posterior and a sample of it.
    output : (batch, channels, height, width)
        Of the decoder.
    """

    reconstruction: Tensor
    kl: Tensor
    mean: Tensor
    log_variance: Tensor
    z: Tensor
    output: Tensor

    def terms(self, loss: Tensor, **more: Tensor) -> Terms:
        """Return what is logged for every method, with the loss to be minimised and more terms.

        ``elbo`` is the plain evidence lower bound under the method's prior, whatever the method optimises.
        """
        kl = self.kl.mean(0)
        reconstruction = self.reconstruction.mean()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl.sum(),
            "elbo": -reconstruction - kl.sum(),
            "kl_of_code": kl,
            **more,
        }


def evidence(model: AutoEncoder, images: Tensor, epsilon: Tensor, config: Config) -> Evidence:
    """Encode, sample with the noise ``epsilon`` (batch, n_codes), and decode."""
    mean, log_variance = model.encoder(images)
    return evidence_of(model, images, mean, log_variance, epsilon, config)


def evidence_of(
    model: AutoEncoder, images: Tensor, mean: Tensor, log_variance: Tensor, epsilon: Tensor, config: Config
) -> Evidence:
    """Sample a posterior that is in hand, and decode."""
    z = reparameterise(mean, log_variance, epsilon)
    output = model.decoder(z)
    reconstruction = reconstruction_loss(output, images, config.likelihood)
    return Evidence(reconstruction, kl_to_standard_normal(mean, log_variance), mean, log_variance, z, output)


Objective = Callable[[AutoEncoder, Batch, Weights, Any], Terms]


@dataclass(frozen=True)
class NoiseShape:
    """Random numbers a method needs in each step.

    Attributes
    ----------
    law : {"normal", "uniform"}
        Standard normal, or uniform on [0, 1).
    shape : tuple of int
    """

    law: Literal["normal", "uniform"]
    shape: tuple[int, ...]


def _one_sample(config: Config) -> dict[str, NoiseShape]:
    return {"z": NoiseShape("normal", (config.batch_size, config.n_codes))}


def _no_parts(config: Config, shape: Shape) -> dict[str, nn.Module]:
    return {}


def _as_it_is(encoder: nn.Module, config: Config) -> nn.Module:
    return encoder


class TrainingData(Protocol):
    """What a method may read off the data before training."""

    def some(self, n: int) -> Tensor:
        """Return n images, or all if there are fewer: (n, channels, height, width) uint8."""

    @property
    def factors(self) -> NDArray[np.float32]:
        """Standardised factors of all images (n, n_factors); NaN for a factor that is missing somewhere."""


def _unchanged_config(config: Config, data: TrainingData) -> Config:
    return config


def _standard_normal(model: AutoEncoder, weights: Weights, config: Config) -> Prior:
    return Gaussian(torch.zeros(config.n_codes, device=next(model.parameters()).device))


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """A part that is trained against the model, by a loss and an optimiser of its own.

    Attributes
    ----------
    part : str
        Its name among the parts; its loss is the term ``{part}_loss``.
    learning_rate : callable
        From the configuration.
    betas : tuple of float
        Of its Adam.
    """

    part: str
    learning_rate: Callable[[Any], float]
    betas: tuple[float, float] = (0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of the field.

    Attributes
    ----------
    name, summary : str
        As on the command line, and its first line of documentation.
    config : type of Config
        Its configuration; the defaults are the preset ``paper``.
    objective : callable
        From networks, batch, weights and configuration to terms; ``loss`` is minimised.
    paper : str
        The source.
    presets : mapping of str to mapping
        Changes of the configuration that make the presets ``smoke`` and ``small``.
    noise : callable
        From the configuration to the random numbers of a step, by name.
    parts : callable
        From configuration and shape of images to the modules that the method adds.
    encoder : callable
        From the encoder of the architecture and the configuration to the encoder of the model.
    resolve_config : callable
        From a configuration and the data to a configuration that leaves nothing to be read off the data.
    prior : callable
        From networks, weights and configuration to the prior of the codes; N(0, I) for most methods.
    adversaries : tuple of Adversary
        Parts with losses of their own.
    n_batches : int
        Independent batches in a step.
    """

    name: str
    summary: str
    config: type[Config]
    objective: Objective
    paper: str
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noise: Callable[[Any], dict[str, NoiseShape]] = _one_sample
    parts: Callable[[Any, Shape], dict[str, nn.Module]] = _no_parts
    encoder: Callable[[nn.Module, Any], nn.Module] = _as_it_is
    resolve_config: Callable[[Any, TrainingData], Config] = _unchanged_config
    prior: Callable[[AutoEncoder, Weights, Any], Prior] = _standard_normal
    adversaries: tuple[Adversary, ...] = ()
    n_batches: int = 1

    def preset(self, name: str) -> Config:
        """Return the configuration of a preset: smoke, small or paper."""
        if name not in PRESETS:
            raise InvalidInputError(
                f"a preset is one of {', '.join(PRESETS)}; got {name!r}{did_you_mean(name, PRESETS)}"
            )
        changes = {**COMMON_PRESETS.get(name, {}), **self.presets.get(name, {})}
        return self.config().changed(changes) if name != "paper" else self.config()

    def build(self, config: Config, shape: Shape) -> AutoEncoder:
        """Return freshly initialised networks; the caller seeds torch."""
        model = AutoEncoder(config, shape, self.parts(config, shape))
        model.encoder = self.encoder(model.encoder, config)
        return model


COMMON_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smoke": {"architecture": "small-conv", "n_codes": 6, "n_steps": 1_000, "learning_rate": 1e-3},
    "small": {"n_steps": 20_000},
}


def method(
    *,
    config: type[Config],
    paper: str,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    noise: Callable[[Any], dict[str, NoiseShape]] = _one_sample,
    parts: Callable[[Any, Shape], dict[str, nn.Module]] = _no_parts,
    encoder: Callable[[nn.Module, Any], nn.Module] = _as_it_is,
    resolve_config: Callable[[Any, TrainingData], Config] = _unchanged_config,
    prior: Callable[[AutoEncoder, Weights, Any], Prior] = _standard_normal,
    adversaries: tuple[Adversary, ...] = (),
    n_batches: int = 1,
) -> Callable[[Objective], Method]:
    """Declare an objective as a method; its name is the function's, its summary the first line of its docstring."""

    def declare(objective: Objective) -> Method:
        return Method(
            name=objective.__name__,
            summary=(objective.__doc__ or "").strip().split("\n")[0].rstrip("."),
            config=config,
            objective=objective,
            paper=paper,
            presets=presets or {},
            noise=noise,
            parts=parts,
            encoder=encoder,
            resolve_config=resolve_config,
            prior=prior,
            adversaries=adversaries,
            n_batches=n_batches,
        )

    return declare


@cache
def find_methods() -> dict[str, Method]:
    """Return every method there is, by name; a new module of this package is found by itself."""
    found: dict[str, Method] = {}
    for listed in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{listed.name}")
        found |= {value.name: value for value in vars(module).values() if isinstance(value, Method)}
    return dict(sorted(found.items()))


def find_method(name: str) -> Method:
    """Return the method of this name; raise InvalidInputError, naming the nearest, if there is none."""
    known = find_methods()
    if name not in known:
        raise InvalidInputError(
            f"no method is named {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}"
        )
    return known[name]
