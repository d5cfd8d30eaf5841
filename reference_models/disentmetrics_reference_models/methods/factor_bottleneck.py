"""Decoder trained on ground-truth factors that pass through a noisy channel of increasing capacity."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData, standardised_factors
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence_of
from disentmetrics_reference_models.training.method import Batch, Weights, method
from disentmetrics_reference_models.training.stage import Stage

INITIAL_SCALE, INITIAL_LOG_NOISE = 0.1, -0.1


@dataclass(frozen=True, kw_only=True)
class FactorBottleneckConfig(Config):
    """Published settings for dSprites; the batch size of 64 and the 300,000 steps are not stated there.

    Attributes
    ----------
    n_codes : int
        Always replaced by the number of factors of the data set.
    gamma : float
        Weight of the deviation of the KL from its target.
    first_capacity, capacity : float
        Target of the KL at the first and at the last step, in nats; it increases linearly.
    """

    n_codes: int = 5
    gamma: float = 1000.0
    first_capacity: float = 0.5
    capacity: float = 25.0


class NoEncoder(nn.Module):
    """Placeholder for an encoder, which raises an error when it is called."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raise InvalidInputError."""
        raise InvalidInputError(
            f"factor_bottleneck cannot encode images (got {len(images)}): its codes are functions of the ground-truth "
            "factors; use its decoder, or train another method"
        )


class FactorBottleneck(nn.Module):
    """A noisy channel for each factor, ``z_i = s_i f_i + n_i ε_i`` with learned s_i and n_i > 0.

    Parameters
    ----------
    n_factors : int
    """

    def __init__(self, n_factors: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((n_factors,), INITIAL_SCALE))
        self.log_noise = nn.Parameter(torch.full((n_factors,), INITIAL_LOG_NOISE))

    def forward(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latents, given standardised factors (batch, n_factors)."""
        mean = self.scale * factors
        return mean, (2 * self.log_noise).expand_as(mean)


def _encoder(encoder: nn.Module, config: FactorBottleneckConfig) -> nn.Module:
    return NoEncoder()


def _parts(config: FactorBottleneckConfig, shape: Shape) -> dict[str, nn.Module]:
    return {"bottleneck": FactorBottleneck(config.n_codes)}


def _resolve_config(
    config: FactorBottleneckConfig, data: TrainingData, stages: Mapping[str, Stage]
) -> FactorBottleneckConfig:
    if not data.n_factors or np.isnan(data.factor_scaling[0]).any():
        raise InvalidInputError(
            "factor_bottleneck needs data whose factors are all known; "
            f"got {'factors with missing values' if data.n_factors else 'none'}; train another method"
        )
    return replace(config, n_codes=data.n_factors)


@method(
    config=FactorBottleneckConfig,
    paper="Burgess et al. (2018), Understanding disentangling in beta-VAE, equation 7",
    presets={
        "smoke": {"n_steps": 2_000, "gamma": 10.0, "capacity": 6.0, "learning_rate": 1e-2},
        "small": {"gamma": 10.0},
    },
    parts=_parts,
    encoder=_encoder,
    resolve_config=_resolve_config,
    inputs={"factors": standardised_factors},
    encodes=False,
)
def factor_bottleneck(model: AutoEncoder, batch: Batch, weights: Weights, config: FactorBottleneckConfig) -> Terms:
    """Ground-truth factors through a noisy channel of limited capacity.

    ``loss = E[-log p(x | z)] + γ |sum_i E KL_i - C(t)|`` with ``z_i = s_i f_i + n_i ε_i``,
    ``KL_i = ½ (s_i² f_i² + n_i² - 1 - 2 log n_i)``, standardised factors f, and a capacity C that increases linearly
    during training. There is no encoder. For a given signal-to-noise ratio s_i² / n_i², the KL is minimal where
    s_i² + n_i² = 1, and its mean is then ``-log n_i = ½ log(1 + s_i² / n_i²)``.

    Differs from the paper: no shift is learned, because with standardised factors it only increases the KL.

    Known failure: the normalised steps of Adam follow the sign of the dominant term, so a large γ distributes the
    capacity evenly for a long time: at γ = 1000 it takes the published number of steps until a factor that does not
    affect the image has lost its share. The other presets use γ = 10: in 20,000 steps on mini-sprites, position passes
    0.75 nats at a capacity of 2.3, scale at 3.3, shape and orientation at 10; with γ = 1000, all at 3.7 to 3.9. Noise
    above 1 also increases the KL without
    carrying information, so it is initialised slightly below 1. A circular factor is a single real number with a jump
    at its period, and a category is represented by its index, as in the paper.
    """
    mean, log_variance = model.parts["bottleneck"](batch.inputs["factors"])
    bound = evidence_of(model, batch.observations, mean, log_variance, batch.noise["z"], config)
    progress = (batch.step / config.n_steps).clamp(max=1.0)
    target = weights["first_capacity"] + (weights["capacity"] - weights["first_capacity"]) * progress
    deviation = (bound.kl.sum(1).mean() - target).abs()
    return bound.terms(bound.reconstruction.mean() + weights["gamma"] * deviation, capacity=target)
