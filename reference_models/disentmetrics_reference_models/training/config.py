"""Hyperparameters shared by all methods."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.likelihoods import LIKELIHOODS
from disentmetrics_reference_models.nn.networks import ARCHITECTURES
from disentmetrics_reference_models.training.optimizers import OPTIMIZERS, OptimizerSettings

if TYPE_CHECKING:
    from disentmetrics_reference_models.training.method import Method

PRECISIONS = ("float32", "bfloat16")
METHODS: dict[type["Config"], "Method"] = {}
"""The method that each class of configurations was declared with."""


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
        Likelihood of the decoder; not Bernoulli for vectors.
    batch_size, n_steps : int
        Observations per training step, and number of steps; with 0 steps the networks keep their initial weights.
    optimizer : {"adam", "amsgrad", "adagrad", "rmsprop", "sgd"}
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
    optimizer: Literal["adam", "amsgrad", "adagrad", "rmsprop", "sgd"] = "adam"
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
        declared = METHODS.get(type(self))
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

    @property
    def optimizer_settings(self) -> OptimizerSettings:
        """Optimiser of the model, with the common learning rate."""
        return OptimizerSettings(name=self.optimizer, learning_rate=self.learning_rate)

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


def _converted(name: str, value: Any, target_type: type) -> Any:
    if target_type is bool:
        flags = {"true": True, "false": False}
        if str(value).lower() not in flags:
            raise InvalidInputError(f"{name} must be true or false; got {value!r}")
        return flags[str(value).lower()]
    try:
        return target_type(value)
    except (TypeError, ValueError) as error:
        kind = {int: "a whole number", float: "a number"}.get(target_type, "text")
        raise InvalidInputError(f"{name} must be {kind}; got {value!r}") from error


def as_dict(config: Config) -> dict[str, Any]:
    """Return the fields of a configuration by name."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
