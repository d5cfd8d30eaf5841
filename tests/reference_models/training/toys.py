"""Small methods of each kind that the training core takes beyond variational autoencoders of images.

A generative adversarial network with a categorical code, a method of two modalities, one that builds on a trained
model, one with persistent chains, and one with designed batches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from disentmetrics_reference_models.nn.adversarial import gradient_penalty
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData, standardised_factors
from disentmetrics_reference_models.training.evidence import evidence
from disentmetrics_reference_models.training.method import Batch, Drawn, NoiseShape, method
from disentmetrics_reference_models.training.optimizers import OptimizerSettings, ParameterGroup
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics.datasets.base import Draws

N_CATEGORIES, N_CONTINUOUS, N_NOISE = 3, 2, 4


@dataclass(frozen=True, kw_only=True)
class ToyGANConfig(Config):
    """A critic that is updated at every step, and a generator at every second one."""

    information: float = 1.0
    n_critic: int = 2


class GAN(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        pixels = int(np.prod(shape))
        n_latents = N_NOISE + N_CATEGORIES + N_CONTINUOUS
        self.generator = nn.Sequential(
            nn.Linear(n_latents, 64), nn.ReLU(), nn.Linear(64, pixels), nn.Sigmoid(), nn.Unflatten(1, shape)
        )
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 64), nn.LeakyReLU(0.2))
        self.critic = nn.Linear(64, 1)
        self.recognition = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, N_CATEGORIES + N_CONTINUOUS)
        )

    def value(self, observations: Tensor) -> Tensor:
        return torch.as_tensor(self.critic(self.trunk(observations)))


def latents_of(normal: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise, one-hot category and continuous codes in [-1, 1]."""
    category = functional.one_hot((uniform[:, 0] * N_CATEGORIES).long(), N_CATEGORIES).float()
    return normal, category, 2 * uniform[:, 1 : 1 + N_CONTINUOUS] - 1


def toy_gan_noise(config: ToyGANConfig) -> dict[str, NoiseShape]:
    n = config.batch_size
    return {
        "normal": NoiseShape("normal", (n, N_NOISE)),
        "uniform": NoiseShape("uniform", (n, 1 + N_CONTINUOUS)),
        "mix": NoiseShape("uniform", (n,)),
    }


def recognised(model: GAN, observations: Tensor, config: ToyGANConfig) -> Tensor:
    outputs = model.recognition(observations)
    category = outputs[:, :N_CATEGORIES].argmax(1, keepdim=True).float()
    return torch.cat([outputs[:, N_CATEGORIES:], category], 1)


def generated(model: GAN, codes: Tensor, config: ToyGANConfig) -> Tensor:
    category = functional.one_hot(codes[:, -1].long().clamp(0, N_CATEGORIES - 1), N_CATEGORIES).to(codes)
    noise = codes.new_zeros(len(codes), N_NOISE)
    return torch.as_tensor(model.generator(torch.cat([noise, category, codes[:, :-1]], 1)))


def sampled(model: GAN, weights: Any, config: ToyGANConfig, n: int, generator: torch.Generator) -> Tensor:
    normal = torch.randn(n, N_NOISE, generator=generator)
    uniform = torch.rand(n, 1 + N_CONTINUOUS, generator=generator)
    return torch.as_tensor(model.generator(torch.cat(latents_of(normal, uniform), 1)))


@method(
    config=ToyGANConfig,
    paper="none",
    networks=lambda _config, shape: GAN(shape),
    noise=toy_gan_noise,
    resolve_config=lambda config, _data, _stages: replace(config, n_codes=N_CONTINUOUS + 1),
    groups=(
        ParameterGroup(
            name="critic",
            loss="critic_loss",
            optimizer=lambda _: OptimizerSettings(learning_rate=2e-3, betas=(0.5, 0.9)),
        ),
        ParameterGroup(
            name="trunk",
            loss="critic_loss",
            optimizer=lambda _: OptimizerSettings(name="rmsprop", learning_rate=5e-4),
        ),
        ParameterGroup(
            optimizer=lambda config: config.optimizer_settings,
            period=lambda config: config.n_critic,
            fresh=lambda _: True,
        ),
    ),
    reported=("loss",),
    represent=recognised,
    generate=generated,
    sample=sampled,
    categorical=lambda _: [0] * N_CONTINUOUS + [N_CATEGORIES],
)
def toy_gan(model: GAN, batch: Batch, weights: Mapping[str, Tensor], config: ToyGANConfig) -> dict[str, Tensor]:
    """Wasserstein distance with a gradient penalty, and a lower bound of the information about the codes."""
    noise, category, continuous = latents_of(batch.noise["normal"], batch.noise["uniform"])
    fake = model.generator(torch.cat([noise, category, continuous], 1))
    terms: dict[str, Tensor] = {}
    if "critic" in batch.updated:
        distance = model.value(batch.observations).mean() - model.value(fake.detach()).mean()
        penalty = gradient_penalty(model.value, batch.observations, fake, batch.noise["mix"])
        terms |= {"critic_loss": 10 * penalty - distance, "distance": distance}
    if "" in batch.updated:
        outputs = model.recognition(fake)
        nll = -(functional.log_softmax(outputs[:, :N_CATEGORIES], 1) * category).sum(1)
        nll = nll + 0.5 * ((outputs[:, N_CATEGORIES:] - continuous) ** 2).sum(1)
        terms |= {"loss": weights["information"] * nll.mean() - model.value(fake).mean(), "unexplained": nll.mean()}
    return terms


@dataclass(frozen=True, kw_only=True)
class ToySymbolsConfig(Config):
    """Images and symbols from one latent space."""

    symbols: float = 5.0


def one_hot_factors(data: TrainingData, draws: Draws) -> NDArray[np.float32]:
    sizes = [factor.size or 1 for factor in data.data.space.factors]
    return np.concatenate([np.eye(n, dtype=np.float32)[draws.factors[:, j]] for j, n in enumerate(sizes)], 1)


@method(
    config=ToySymbolsConfig,
    paper="none",
    parts=lambda config, _shape: {"symbols": nn.Linear(config.n_codes, 12)},
    inputs={"symbols": one_hot_factors},
)
def toy_symbols(model: Any, batch: Batch, weights: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Images and symbols from one latent space."""
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    logits = model.parts["symbols"](bound.z)
    of_symbols = functional.binary_cross_entropy_with_logits(logits, batch.inputs["symbols"], reduction="none").sum(1)
    loss = (bound.reconstruction + weights["symbols"] * of_symbols + bound.kl.sum(1)).mean()
    return bound.terms(loss, symbols=of_symbols.mean())


@dataclass(frozen=True, kw_only=True)
class ToyFeaturesConfig(Config):
    """Reconstruction in the latents of a trained model."""

    vision: str = ""


@method(config=ToyFeaturesConfig, paper="none", stages=("vision",))
def toy_features(model: Any, batch: Batch, weights: Any, config: Config) -> dict[str, Tensor]:
    """Reconstruction in the latents of a trained model."""
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    vision = model.stages["vision"]
    target, _ = vision.represent(batch.observations)
    reached, _ = vision.represent(bound.output.sigmoid())
    error = ((reached - target) ** 2).sum(1)
    return bound.terms((10 * error + bound.kl.sum(1)).mean(), features=error.mean())


@dataclass(frozen=True, kw_only=True)
class ToyBoltzmannConfig(Config):
    """A restricted Boltzmann machine with persistent chains."""

    decay: float = 1e-4


class Boltzmann(nn.Module):
    chains: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        n = int(np.prod(shape))
        self.couplings = nn.Parameter(0.01 * torch.randn(n, config.n_codes))
        self.visible, self.hidden = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(config.n_codes))
        self.register_buffer("chains", torch.zeros(config.batch_size, n))

    def free_energy(self, v: Tensor) -> Tensor:
        return -(v @ self.visible) - functional.softplus(v @ self.couplings + self.hidden).sum(1)

    def step(self, v: Tensor, of_hidden: Tensor, of_visible: Tensor) -> Tensor:
        h = (of_hidden < (v @ self.couplings + self.hidden).sigmoid()).to(v)
        return (of_visible < (h @ self.couplings.T + self.visible).sigmoid()).to(v)


def boltzmann_noise(config: Config) -> dict[str, NoiseShape]:
    n = config.batch_size
    return {"hidden": NoiseShape("uniform", (n, config.n_codes)), "visible": NoiseShape("uniform", (n, 256))}


@method(
    config=ToyBoltzmannConfig,
    paper="none",
    networks=Boltzmann,
    noise=boltzmann_noise,
    reported=("loss",),
    represent=lambda model, observations, _config: (observations.flatten(1) @ model.couplings + model.hidden).sigmoid(),
    generate=lambda model, codes, _config: (codes @ model.couplings.T + model.visible).sigmoid().view(-1, 1, 16, 16),
)
def toy_boltzmann(model: Boltzmann, batch: Batch, weights: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Likelihood of a restricted Boltzmann machine, by persistent contrastive divergence."""
    with torch.no_grad():
        model.chains.copy_(model.step(model.chains, batch.noise["hidden"], batch.noise["visible"]))
    positive = model.free_energy(batch.observations.flatten(1)).mean()
    negative = model.free_energy(model.chains).mean()
    return {"loss": positive - negative + weights["decay"] * (model.couplings**2).sum(), "gap": negative - positive}


@dataclass(frozen=True, kw_only=True)
class ToyClampedConfig(Config):
    """Batches in which one factor varies."""

    n_codes: int = 2
    clamping: float = 1.0


def one_factor_varies(config: Config, data: TrainingData, n_steps: int, generator: torch.Generator) -> Drawn:
    """Draw batches in which one factor varies, and which one."""
    sizes = data.data.space.sizes
    varied = torch.randint(len(sizes), (n_steps,), generator=generator)
    factors = torch.stack([torch.randint(n, (n_steps, 1), generator=generator) for n in sizes], -1)
    factors = factors.repeat(1, config.batch_size, 1)
    for j, n in enumerate(sizes):
        steps = varied == j
        factors[steps, :, j] = torch.randint(n, (int(steps.sum()), config.batch_size), generator=generator)
    rows = data.data.space.rows_of(factors.reshape(-1, len(sizes)).numpy())
    return Drawn(torch.from_numpy(rows).view(n_steps, -1), {"varied": varied})


@method(config=ToyClampedConfig, paper="none", rows=one_factor_varies, inputs={"factors": standardised_factors})
def toy_clamped(model: Any, batch: Batch, weights: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Each latent follows one factor: the others are penalised where it varies alone."""
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    active = functional.one_hot(batch.inputs["varied"], config.n_codes).to(bound.mean)
    deviation = (bound.mean - bound.mean.mean(0)) ** 2
    clamped = ((1 - active) * deviation).sum(1).mean()
    spread = (batch.inputs["factors"].var(0) > 1e-6).float().sum()
    loss = (bound.reconstruction + bound.kl.sum(1)).mean() + 50 * weights["clamping"] * clamped
    return bound.terms(loss, clamped=clamped, n_varied=spread)
