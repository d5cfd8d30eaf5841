"""Configuration, noise and losses shared by methods with a discriminator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Discriminator, Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Evidence, Terms
from disentmetrics_reference_models.training.method import MODEL, NoiseShape, Weights
from disentmetrics_reference_models.training.optimizers import OptimizerSettings, ParameterGroup

UPDATES = ("common", "fresh")


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(Config):
    """Published settings for dSprites: networks of Kim & Mnih (2018), Adam with learning rate 0.0001.

    Attributes
    ----------
    gamma : float
        Weight of the divergence that the discriminator estimates.
    discriminator_width, discriminator_layers : int
        Width and number of hidden layers of the discriminator.
    discriminator_learning_rate : float
        Learning rate of the discriminator's Adam, whose betas are (0.5, 0.9); published: 0.0001 for dSprites, 0.00001
        for 3D Shapes, chairs and CelebA.
    discriminator_update : {"common", "fresh"}
        Whether the discriminator is updated in the pass that updates the model, or afterwards in a fresh one, on codes
        of the updated encoder, as in algorithm 2 of Kim & Mnih (2018); this takes half as long again.
    """

    architecture: str = "kim"
    learning_rate: float = 1e-4
    gamma: float = 10.0
    discriminator_width: int = 1000
    discriminator_layers: int = 6
    discriminator_learning_rate: float = 1e-4
    discriminator_update: str = "common"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.discriminator_update not in UPDATES:
            raise InvalidInputError(
                f"discriminator_update must be one of {', '.join(UPDATES)}; got {self.discriminator_update!r}"
            )


SMOKE: dict[str, Any] = {
    "gamma": 6.0,
    "discriminator_width": 64,
    "discriminator_layers": 3,
    "discriminator_learning_rate": 1e-3,
}
"""Fields that the preset ``smoke`` changes."""

GROUPS = (
    MODEL,
    ParameterGroup(
        name="parts.discriminator",
        loss="discriminator_loss",
        optimizer=lambda config: OptimizerSettings(learning_rate=config.discriminator_learning_rate, betas=(0.5, 0.9)),
        fresh=lambda config: config.discriminator_update == "fresh",
    ),
)
"""The model, and the discriminator that is trained against it."""


def discriminator(config: AdversarialConfig, shape: Shape) -> dict[str, nn.Module]:
    """Return the discriminator of the method."""
    return {"discriminator": Discriminator(config.n_codes, config.discriminator_width, config.discriminator_layers)}


def noise_and_prior(config: Config) -> dict[str, NoiseShape]:
    """Return the noise of the posterior samples and the samples of the prior."""
    shape = (config.batch_size, config.n_codes)
    return {"z": NoiseShape("normal", shape), "prior": NoiseShape("normal", shape)}


def log_ratio(logits: Tensor) -> Tensor:
    """Return the log-density ratio (batch,) given by the two logits of a discriminator, log D / (1 - D)."""
    return logits[:, 0] - logits[:, 1]


def discriminator_loss(discriminator: nn.Module, codes: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Return cross-entropy and accuracy of a discriminator; no gradient flows to the codes.

    Parameters
    ----------
    discriminator : Module
    codes : (batch, n_codes)
        Codes of class 0, the aggregate posterior.
    reference : (batch, n_codes)
        Codes of class 1, such as permuted codes or samples of the prior.
    """
    logits, reference_logits = discriminator(codes.detach()), discriminator(reference.detach())
    # The cross-entropy of two logits is the softplus of their difference.
    of_codes = functional.softplus(logits[:, 1] - logits[:, 0]).mean()
    of_reference = functional.softplus(reference_logits[:, 0] - reference_logits[:, 1]).mean()
    accuracy = ((log_ratio(logits) > 0).float().mean() + (log_ratio(reference_logits) < 0).float().mean()) / 2
    return 0.5 * (of_codes + of_reference), accuracy


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, mix: Tensor) -> Tensor:
    """Return ``E (|∇ critic(x)| - 1)²`` at random points x between real and generated observations.

    The norm is over all axes of an observation. It can be differentiated in the parameters of the critic, alone and in
    stacks, for which ``torch.func`` takes the place of ``torch.autograd.grad``.

    Parameters
    ----------
    critic : callable
        Maps observations (batch, ...) to values (batch,) or (batch, 1), each of which depends on its own observation:
        no batch normalisation.
    real, generated : (batch, ...)
    mix : (batch,)
        Random numbers in [0, 1), one for each observation.

    References
    ----------
    Gulrajani et al. (2017), *Improved Training of Wasserstein GANs*, NeurIPS.

    Examples
    --------
    >>> gradient_penalty(lambda x: 3 * x.sum(1), torch.zeros(4, 1), torch.ones(4, 1), torch.rand(4))
    tensor(4.)
    """
    shares = mix.view(-1, *[1] * (real.ndim - 1))
    between = shares * real.detach() + (1 - shares) * generated.detach()
    gradient: Tensor = torch.func.grad(lambda x: critic(x).sum())(between)
    penalty: Tensor = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
    return penalty


def adversarial_terms(
    model: AutoEncoder, bound: Evidence, loss: Tensor, training_codes: tuple[Tensor, Tensor], weights: Weights
) -> Terms:
    """Add the divergence estimated by the discriminator to a loss, and the loss of the discriminator to the terms.

    Parameters
    ----------
    model : AutoEncoder
    bound : Evidence
        Its samples ``z`` are passed to the discriminator.
    loss : ()
        Loss of the model without the divergence.
    training_codes : pair of (batch, n_codes)
        Codes that the discriminator is trained on: from the aggregate posterior, and from the reference distribution.
    weights : mapping
        With ``gamma``.
    """
    discriminator = model.parts["discriminator"]
    divergence = log_ratio(discriminator(bound.z)).mean()
    cross_entropy, accuracy = discriminator_loss(discriminator, *training_codes)
    return bound.terms(
        loss + weights["gamma"] * divergence,
        discriminator_loss=cross_entropy,
        discriminator_accuracy=accuracy,
        divergence=divergence,
    )
