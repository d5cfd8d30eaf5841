"""The parts of a method: a frozen configuration, a pure objective and optional components.

A method is one module with a configuration (a frozen dataclass derived from :class:`Config`) and an
objective decorated with ``@method``. Every float field that the configuration adds is a weight of the
objective: models that differ only in weights and seeds can be trained together as one stack.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, reparameterise
from disentmetrics_reference_models.nn.likelihoods import LIKELIHOODS, reconstruction_loss
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, Shape
from disentmetrics_reference_models.nn.priors import Gaussian, Prior

PRESETS = ("smoke", "small", "paper")
REPORTED = ("loss", "reconstruction", "kl")
"""Terms of methods with an evidence lower bound."""
Terms = dict[str, Tensor]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters shared by all methods.

    Attributes
    ----------
    architecture : str
        Encoder and decoder networks, one of ``networks.ARCHITECTURES``.
    n_codes : int
        Number of latent dimensions.
    likelihood : {"bernoulli", "gaussian", "laplace"}
        Likelihood of the decoder.
    batch_size, n_steps : int
        Images per training step, and number of steps; with 0 steps the networks keep their initial weights.
    optimizer : {"adam", "amsgrad", "adagrad"}
        Adam uses betas (0.9, 0.999); the accumulators of Adagrad start at 0.1, as in TensorFlow.
    learning_rate : float
        Learning rate of encoder and decoder.
    precision : {"float32", "bfloat16"}
        Precision of the forward and backward passes of encoder and decoder during training. Parameters, losses and
        trained models are always float32.
    seed : int
        Random seed of initial weights, batches and noise.
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
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise InvalidInputError(
                    f"{name} must be one of {', '.join(allowed)}; got {value!r}{did_you_mean(str(value), allowed)}"
                )
        for name, least in (("n_codes", 1), ("batch_size", 1), ("n_steps", 0)):
            if getattr(self, name) < least:
                raise InvalidInputError(f"{name} must be at least {least}; got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise InvalidInputError(f"learning_rate must be above 0; got {self.learning_rate}")
        if self.seed < 0:
            raise InvalidInputError(f"seed must not be negative; got {self.seed}")

    @property
    def method(self) -> "Method":
        """The method that this configuration belongs to.

        Raises
        ------
        InvalidInputError
            If no method was declared with this class.
        """
        declared = _DECLARED.get(type(self))
        if declared is None:
            raise InvalidInputError(
                f"{type(self).__name__} does not belong to a method; use the configuration of a method, such as "
                "BetaVAEConfig, or declare one with @method(config=...)"
            )
        return declared

    @property
    def weights(self) -> dict[str, float]:
        """Scalar weights of the objective: the float fields that the method adds, except learning rates."""
        common = {f.name for f in dataclasses.fields(Config)}
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in common}
        return {
            name: value
            for name, value in own.items()
            if isinstance(value, float) and not name.endswith("learning_rate")
        }

    def changed(self, changes: Mapping[str, Any]) -> "Config":
        """Return a copy with some fields replaced; text is converted to the type of the field.

        Raises
        ------
        InvalidInputError
            If there is no such field (the message names the nearest one) or the value cannot be converted.
        """
        types = {f.name: type(getattr(self, f.name)) for f in dataclasses.fields(self)}
        converted = {}
        for name, value in changes.items():
            if name not in types:
                raise InvalidInputError(
                    f"{type(self).__name__} has no field {name!r}{did_you_mean(name, types)}; "
                    f"its fields are {', '.join(types)}"
                )
            converted[name] = _converted(name, value, types[name])
        return dataclasses.replace(self, **converted)


PRECISIONS = ("float32", "bfloat16")
OPTIMIZERS = ("adam", "amsgrad", "adagrad")


def _converted(name: str, value: Any, target_type: type) -> Any:
    if target_type is bool:
        flags = {"true": True, "false": False}
        if str(value).lower() not in flags:
            raise InvalidInputError(f"{name} must be true or false; got {value!r}")
        return flags[str(value).lower()]
    try:
        return target_type(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name} must be a {target_type.__name__}; got {value!r}") from error


class Batch(NamedTuple):
    """Inputs of an objective in one training step.

    Attributes
    ----------
    images : (n_batches * batch_size, channels, height, width)
        In [0, 1]; independent batches are concatenated.
    noise : mapping of str to Tensor
        Random numbers requested by ``Method.noise``.
    step : ()
        Number of steps completed so far.
    n_rows : int
        Number of images in the entire data set.
    factors : (n_batches * batch_size, n_factors)
        Factors of the images, standardised over the data set to mean 0 and variance 1 (0 for a constant factor); no
        columns if the data set has no known factors.
    """

    images: Tensor
    noise: Mapping[str, Tensor]
    step: Tensor
    n_rows: int
    factors: Tensor = torch.empty(0, 0)


class AutoEncoder(nn.Module):
    """Encoder, decoder and the further modules of a method.

    Attributes
    ----------
    encoder, decoder : Module
        Networks of the chosen architecture.
    parts : ModuleDict
        Modules added by the method, such as a discriminator or a learned prior.
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
            f"networks need square images whose side is a power of two of at least 8; got {height} x {width}; "
            "resize the images of the data set first"
        )
    side = ARCHITECTURES[name].side
    if side not in {None, height}:
        raise InvalidInputError(f"architecture {name} needs images of side {side}; got {height}")


class Evidence(NamedTuple):
    """The two terms of the evidence lower bound, from one reparameterised forward pass.

    Attributes
    ----------
    reconstruction : (batch,)
        Negative log-likelihood of each image, in nats.
    kl : (batch, n_codes)
        KL divergence of the posterior of each latent from the prior, in nats; the prior is N(0, 1) unless the method
        defines another one.
    mean, log_variance, z : (batch, n_codes)
        Parameters of the posterior, and one sample from it.
    output : (batch, channels, height, width)
        Output of the decoder, before the sigmoid.
    """

    reconstruction: Tensor
    kl: Tensor
    mean: Tensor
    log_variance: Tensor
    z: Tensor
    output: Tensor

    def terms(self, loss: Tensor, **more: Tensor) -> Terms:
        """Return the loss to minimise together with the terms that are logged for every method.

        ``elbo`` is the unmodified evidence lower bound under the prior of the method, whatever its objective is.
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
    """Encode the images, sample the posterior with noise ``epsilon`` (batch, n_codes), and decode."""
    mean, log_variance = model.encoder(images)
    return evidence_of(model, images, mean, log_variance, epsilon, config)


def evidence_of(
    model: AutoEncoder, images: Tensor, mean: Tensor, log_variance: Tensor, epsilon: Tensor, config: Config
) -> Evidence:
    """Sample the given posterior and decode."""
    z = reparameterise(mean, log_variance, epsilon)
    output = model.decoder(z)
    reconstruction = reconstruction_loss(output, images, config.likelihood)
    return Evidence(reconstruction, kl_to_standard_normal(mean, log_variance), mean, log_variance, z, output)


Objective = Callable[[AutoEncoder, Batch, Weights, Any], Terms]


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


class TrainingData(Protocol):
    """Properties of the data that a method may use to complete its configuration before training."""

    def some(self, n: int) -> Tensor:
        """Return n images, or all if there are fewer, (n, channels, height, width) uint8."""

    @property
    def factors(self) -> NDArray[np.float32]:
        """Standardised factors of all images (n, n_factors); NaN for a factor with missing values."""


def _unchanged_config(config: Config, data: TrainingData) -> Config:
    return config


def _standard_normal(model: AutoEncoder, weights: Weights, config: Config) -> Prior:
    return Gaussian(torch.zeros(config.n_codes, device=next(model.parameters()).device))


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """A module that is trained against the model, with a separate loss and optimiser.

    Attributes
    ----------
    part : str
        Its name in ``AutoEncoder.parts``; its loss is the term ``{part}_loss``.
    learning_rate : callable
        Maps the configuration to the learning rate.
    betas : tuple of float
        Betas of its Adam optimiser.
    """

    part: str
    learning_rate: Callable[[Any], float]
    betas: tuple[float, float] = (0.5, 0.9)


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
        Maps configuration and data to a configuration that no longer depends on the data.
    prior : callable
        Maps networks, weights and configuration to the prior of the latents; N(0, I) for most methods.
    adversaries : tuple of Adversary
        Modules that are trained with separate losses.
    n_batches : int
        Number of independent batches per step.
    reported : tuple of str
        Terms that the objective must return, ``loss`` among them; they are shown during training.
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
    resolve_config: Callable[[Any, TrainingData], Config] = _unchanged_config
    prior: Callable[[AutoEncoder, Weights, Any], Prior] = _standard_normal
    adversaries: tuple[Adversary, ...] = ()
    n_batches: int = 1
    reported: tuple[str, ...] = REPORTED

    def preset(self, name: str) -> Config:
        """Return the configuration of a preset: smoke, small or paper."""
        if name not in PRESETS:
            raise InvalidInputError(
                f"the preset must be one of {', '.join(PRESETS)}; got {name!r}{did_you_mean(name, PRESETS)}"
            )
        changes = {**COMMON_PRESETS.get(name, {}), **self.presets.get(name, {})}
        return self.config().changed(changes) if name != "paper" else self.config()

    def build(self, config: Config, shape: Shape) -> AutoEncoder:
        """Return newly initialised networks; the caller seeds torch."""
        model = AutoEncoder(config, shape, self.parts(config, shape))
        model.encoder = self.encoder(model.encoder, config)
        return model


_DECLARED: dict[type[Config], Method] = {}

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
    encoder: Callable[[nn.Module, Any], nn.Module] = _unchanged_encoder,
    resolve_config: Callable[[Any, TrainingData], Config] = _unchanged_config,
    prior: Callable[[AutoEncoder, Weights, Any], Prior] = _standard_normal,
    adversaries: tuple[Adversary, ...] = (),
    n_batches: int = 1,
    reported: tuple[str, ...] = REPORTED,
) -> Callable[[Objective], Method]:
    """Declare an objective as a method.

    The name of the method is that of the function, its summary the first line of the docstring; see :class:`Method`
    for the parameters. From then on ``config`` knows its method (:attr:`Config.method`).

    Raises
    ------
    InvalidInputError
        If the configuration class already belongs to another method.
    """

    def declare(objective: Objective) -> Method:
        if config in _DECLARED:
            raise InvalidInputError(
                f"each method needs its own configuration class; {config.__name__} already belongs to "
                f"{_DECLARED[config].name}; derive a class from it for {objective.__name__}"
            )
        declared = Method(
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
            reported=reported,
        )
        _DECLARED[config] = declared
        return declared

    return declare
