"""What methods with a discriminator share: its losses, its noise, its settings."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from disentmetrics_reference_models.nn.networks import Discriminator, Shape
from disentmetrics_reference_models.training.method import (
    Adversary,
    AutoEncoder,
    Config,
    Evidence,
    NoiseShape,
    Terms,
    Weights,
)


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(Config):
    """As published for dSprites: the networks of Kim & Mnih (2018), Adam 0.0001.

    Attributes
    ----------
    gamma : float
        Weight of the divergence that the discriminator estimates.
    discriminator_width, discriminator_layers : int
        Of the discriminator.
    discriminator_learning_rate : float
        Of its Adam, with betas (0.5, 0.9); 0.00001 for 3D Shapes, chairs and CelebA.
    """

    architecture: str = "kim"
    learning_rate: float = 1e-4
    gamma: float = 10.0
    discriminator_width: int = 1000
    discriminator_layers: int = 6
    discriminator_learning_rate: float = 1e-4


SMOKE: dict[str, Any] = {
    "gamma": 6.0,
    "discriminator_width": 64,
    "discriminator_layers": 3,
    "discriminator_learning_rate": 1e-3,
}
"""What makes the preset ``smoke`` small."""

ADVERSARY = Adversary(part="discriminator", learning_rate=lambda config: float(config.discriminator_learning_rate))


def discriminator(config: AdversarialConfig, shape: Shape) -> dict[str, nn.Module]:
    """Return the part that tells codes apart."""
    return {"discriminator": Discriminator(config.n_codes, config.discriminator_width, config.discriminator_layers)}


def noise_and_prior(config: Config) -> dict[str, NoiseShape]:
    """Return the noise of a method that compares codes with samples of the prior."""
    shape = (config.batch_size, config.n_codes)
    return {"z": NoiseShape("normal", shape), "prior": NoiseShape("normal", shape)}


def log_ratio(logits: Tensor) -> Tensor:
    """Return the log of the ratio of densities that a discriminator's two logits stand for, (batch,)."""
    return logits[:, 0] - logits[:, 1]


def discriminator_loss(judge: nn.Module, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of telling codes apart, and the share told right; no gradient reaches the codes.

    Parameters
    ----------
    judge : Module
        The discriminator.
    own, other : (batch, n_codes)
        Codes of class 0 (the aggregate posterior) and of class 1.
    """
    of_own, of_other = judge(own.detach()), judge(other.detach())
    first = functional.softplus(of_own[:, 1] - of_own[:, 0]).mean()
    second = functional.softplus(of_other[:, 0] - of_other[:, 1]).mean()
    right = ((log_ratio(of_own) > 0).float().mean() + (log_ratio(of_other) < 0).float().mean()) / 2
    return 0.5 * (first + second), right


def opposed(model: AutoEncoder, bound: Evidence, loss: Tensor, other: tuple[Tensor, Tensor], weights: Weights) -> Terms:
    """Add the estimated divergence to a loss, and the discriminator's own loss to the terms.

    Parameters
    ----------
    model : AutoEncoder
    bound : Evidence
        Whose samples are compared.
    loss : ()
        What the model minimises besides.
    other : pair of (batch, n_codes)
        Codes from which the discriminator learns: of the aggregate posterior, and of what they are compared with.
    weights : mapping
        With ``gamma``.
    """
    judge = model.parts["discriminator"]
    divergence = log_ratio(judge(bound.z)).mean()
    adversary, right = discriminator_loss(judge, *other)
    return bound.terms(
        loss + weights["gamma"] * divergence,
        discriminator_loss=adversary,
        discriminator_accuracy=right,
        divergence=divergence,
    )
