"""GAN: a generator and a discriminator with convolutional networks."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.gan import GAN, NETWORKS, check_networks, cross_entropy, saturation_free
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import Terms
from disentmetrics_reference_models.training.method import Batch, NoiseShape, Weights, method
from disentmetrics_reference_models.training.optimizers import OptimizerSettings, ParameterGroup

SMOKE: dict[str, Any] = {"networks": "small", "n_noise": 8, "n_steps": 1_500, "batch_size": 64}
SMALL: dict[str, Any] = {"n_steps": 20_000}


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """Settings of InfoGAN on MNIST without its codes.

    Attributes
    ----------
    networks : str
        Generator and discriminator, one of ``gan.NETWORKS``; ``architecture`` is not used.
    n_codes : int
        Always replaced by the number of features of the last hidden layer of the discriminator.
    n_noise : int
        Number of noise variables, uniform on [-1, 1].
    learning_rate, critic_learning_rate : float
        Learning rates of Adam for the generator and for the discriminator; the first beta is 0.5.
    """

    networks: str = "mnist"
    n_noise: int = 62
    batch_size: int = 128
    n_steps: int = 5_000
    learning_rate: float = 1e-3
    critic_learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.networks not in NETWORKS:
            raise InvalidInputError(
                f"networks must be one of {', '.join(NETWORKS)}; got {self.networks!r}"
                f"{did_you_mean(self.networks, NETWORKS)}"
            )
        if self.n_noise < 1:
            raise InvalidInputError(f"n_noise must be at least 1; got {self.n_noise}")
        if self.batch_size < 2:
            raise InvalidInputError(f"batch normalisation needs a batch_size of at least 2; got {self.batch_size}")
        if not self.critic_learning_rate > 0:
            raise InvalidInputError(f"critic_learning_rate must be above 0; got {self.critic_learning_rate}")


GROUPS = (
    ParameterGroup(
        name="critic",
        loss="critic_loss",
        optimizer=lambda config: OptimizerSettings(learning_rate=config.critic_learning_rate, betas=(0.5, 0.999)),
    ),
    ParameterGroup(
        optimizer=lambda config: OptimizerSettings(learning_rate=config.learning_rate, betas=(0.5, 0.999)),
        fresh=lambda _config: True,
    ),
)
"""The discriminator, and then the generator, which faces the updated one."""


def _networks(config: GANConfig, shape: Shape) -> GAN:
    return GAN(check_networks(config.networks, shape), shape, config.n_noise)


def _noise(config: GANConfig) -> dict[str, NoiseShape]:
    return {"noise": NoiseShape("uniform", (config.batch_size, config.n_noise))}


def _features(model: GAN, observations: Tensor, config: GANConfig) -> Tensor:
    return torch.as_tensor(model.critic.features(observations))


def _sample(model: GAN, weights: Weights, config: GANConfig, n: int, generator: torch.Generator) -> Tensor:
    noise = 2 * torch.rand(n, config.n_noise, generator=generator) - 1
    return torch.as_tensor(model.generator(noise.to(next(model.parameters()))))


def _resolve_config(config: GANConfig, data: Any, stages: Any) -> GANConfig:
    return replace(config, n_codes=NETWORKS[config.networks].hidden)


def _no_inverse(model: GAN, codes: Tensor, config: GANConfig) -> Tensor:
    raise InvalidInputError(
        f"gan cannot decode features (got {len(codes)} rows): its generator takes only noise; use its samples, "
        "or train info_gan"
    )


@method(
    config=GANConfig,
    paper="Goodfellow et al. (2014), Generative Adversarial Nets, NeurIPS; networks after Radford et al. (2016), DCGAN",
    presets={"smoke": SMOKE, "small": SMALL},
    networks=_networks,
    noise=_noise,
    groups=GROUPS,
    reported=("loss", "critic_loss"),
    represent=_features,
    generate=_no_inverse,
    sample=_sample,
    resolve_config=_resolve_config,
    vectorises=False,
    tuned_on="mnist",
    decodes=False,
)
def gan(model: GAN, batch: Batch, weights: Weights, config: GANConfig) -> Terms:
    """Train a generator against a discriminator, without codes.

    The discriminator minimises ``-E log D(x) - E log (1 - D(G(z)))``, and then the generator the non-saturating
    ``-E log D(G(z))``. The representation consists of the features of the last hidden layer of the discriminator, as in
    DCGAN: noise is not inferred from images.

    Known failure: nothing makes single features follow single factors; it is the baseline of InfoGAN. Training may
    degenerate after many steps: compare snapshots.
    """
    fake = model.generator(2 * batch.noise["noise"] - 1)
    if "critic" in batch.updated:
        real, generated = model.critic(batch.observations), model.critic(fake.detach())
        accuracy = ((real > 0).float().mean() + (generated < 0).float().mean()) / 2
        return {"critic_loss": cross_entropy(real, generated), "critic_accuracy": accuracy}
    return {"loss": saturation_free(model.critic(fake))}
