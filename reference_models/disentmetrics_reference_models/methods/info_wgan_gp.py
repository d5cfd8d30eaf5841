"""InfoWGAN-GP: InfoGAN with the Wasserstein distance and a gradient penalty."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.methods.gan import SMALL, SMOKE
from disentmetrics_reference_models.methods.info_gan import (
    InfoGANConfig,
    categorical,
    generated,
    information,
    networks,
    recognised,
    resolve_config,
)
from disentmetrics_reference_models.nn.adversarial import gradient_penalty
from disentmetrics_reference_models.nn.gan import GAN, NETWORKS
from disentmetrics_reference_models.training.evidence import Terms
from disentmetrics_reference_models.training.method import Batch, NoiseShape, Weights, method
from disentmetrics_reference_models.training.optimizers import OptimizerSettings, ParameterGroup


@dataclass(frozen=True, kw_only=True)
class InfoWGANGPConfig(InfoGANConfig):
    """Settings of Kim & Mnih (2018) for dSprites; λ is that of their best run, n_critic and the steps are ours.

    Attributes
    ----------
    n_noise : int
        Number of noise variables, standard normal; the paper tries 5 to 160.
    penalty : float
        Weight η of the gradient penalty.
    n_critic : int
        Number of updates of the critic per update of the generator.
    """

    networks: str = "wgan"
    n_noise: int = 5
    categories: str = "3"
    n_continuous: int = 4
    batch_size: int = 64
    n_steps: int = 300_000
    learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-4
    information: float = 0.2
    penalty: float = 10.0
    n_critic: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if NETWORKS[self.networks].norm == "batch":
            suitable = [name for name, sizes in NETWORKS.items() if sizes.norm != "batch"]
            raise InvalidInputError(
                f"a gradient penalty needs a critic without batch normalisation: networks must be one of "
                f"{', '.join(suitable)}; got {self.networks}"
            )
        if self.n_critic < 1:
            raise InvalidInputError(f"n_critic must be at least 1; got {self.n_critic}")


def _noise(config: InfoWGANGPConfig) -> dict[str, NoiseShape]:
    n = config.batch_size
    return {
        "noise": NoiseShape("normal", (n, config.n_noise)),
        "codes": NoiseShape("uniform", (n, config.layout.n_codes)),
        "mix": NoiseShape("uniform", (n,)),
    }


def _sample(model: GAN, weights: Weights, config: InfoWGANGPConfig, n: int, generator: torch.Generator) -> Tensor:
    draws = torch.randn(n, config.n_noise, generator=generator)
    codes = config.layout.from_uniform(torch.rand(n, config.layout.n_codes, generator=generator))
    return torch.as_tensor(model.generator(torch.cat([draws, codes], 1).to(next(model.parameters()))))


def _optimizer(rate: str) -> Any:
    return lambda config: OptimizerSettings(learning_rate=getattr(config, rate), betas=(0.5, 0.999))


@method(
    config=InfoWGANGPConfig,
    paper="Kim & Mnih (2018), Disentangling by Factorising, ICML, appendix G; after Gulrajani et al. (2017)",
    presets={
        "smoke": {**SMOKE, "networks": "small-wgan", "critic_learning_rate": 1e-3, "n_critic": 2, "information": 1.0},
        "small": SMALL,
    },
    networks=networks,
    noise=_noise,
    groups=(
        ParameterGroup(name="critic", loss="critic_loss", optimizer=_optimizer("critic_learning_rate")),
        ParameterGroup(
            optimizer=_optimizer("learning_rate"), period=lambda config: config.n_critic, fresh=lambda _config: True
        ),
    ),
    reported=("loss", "critic_loss", "information"),
    represent=recognised,
    generate=generated,
    sample=_sample,
    categorical=categorical,
    resolve_config=resolve_config,
    vectorises=False,
    reach=1.0,
)
def info_wgan_gp(model: GAN, batch: Batch, weights: Weights, config: InfoWGANGPConfig) -> Terms:
    """Wasserstein GAN with a gradient penalty and a lower bound of the information about the codes.

    The critic minimises ``E D(G) - E D(x) + η E (|∇ D(x̂)| - 1)² - λ L_I`` at every step, with x̂ at random between real
    and generated images and the norm over all pixels, and the generator ``-E D(G) - λ L_I`` at every n_critic-th step;
    L_I is that of InfoGAN, in nats. The critic has layer normalisation: each value must depend on its own image alone.
    ``networks=wgan-big n_noise=128`` are the larger networks of appendix H.

    Differs from the paper, in which some numbers are lost: standard normal noise, n_critic = 5, and convolutions of
    kernel 3 in the layers of the larger networks without stride.

    Known failure: "disappointingly low" scores in the paper: mostly scale is learned, and positions share the category.
    """
    layout = config.layout
    codes = layout.from_uniform(batch.noise["codes"])
    fake = model.generator(torch.cat([batch.noise["noise"], codes], 1))
    if "critic" in batch.updated:
        judged, outputs = model.critic.judge(fake.detach())
        distance = model.critic(batch.observations).mean() - judged.mean()
        penalty = gradient_penalty(model.critic, batch.observations, fake, batch.noise["mix"])
        bound, of_categories = information(layout, outputs, codes)
        return {
            "critic_loss": weights["penalty"] * penalty - distance - weights["information"] * bound,
            "distance": distance,
            "gradient_penalty": penalty,
            "information": bound,
            "information_of_categories": of_categories,
        }
    judged, outputs = model.critic.judge(fake)
    bound, _ = information(layout, outputs, codes)
    return {"loss": -judged.mean() - weights["information"] * bound}
