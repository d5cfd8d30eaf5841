"""A generator from the true factors, which pass a bottleneck that opens bit by bit: no encoder sees images."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    Config,
    Terms,
    TrainingData,
    Weights,
    evidence_of,
    method,
)

FIRST_SCALE, FIRST_LOG_NOISE = 0.1, -0.1


@dataclass(frozen=True, kw_only=True)
class FactorBottleneckConfig(Config):
    """As published for dSprites; batches of 64 and 300,000 steps are not stated there.

    Attributes
    ----------
    n_codes : int
        One for each factor of the data set, whatever is asked for.
    gamma : float
        Weight of the distance from the capacity.
    first_capacity, capacity : float
        Target of the KL at the first and at the last step, in nats; it grows linearly.
    """

    n_codes: int = 5
    gamma: float = 1000.0
    first_capacity: float = 0.5
    capacity: float = 25.0


class NoEncoder(nn.Module):
    """Stands where other methods have an encoder, and refuses images."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raise InvalidInputError."""
        raise InvalidInputError(
            f"factor_bottleneck encodes no images (got {len(images)}): its codes are made of the true factors; "
            "use it by its decoder, or train another method"
        )


class FactorBottleneck(nn.Module):
    """Noisy channels, one for each factor: ``z_i = s_i f_i + n_i ε_i``, where s_i and n_i > 0 are learned.

    Parameters
    ----------
    n_factors : int
    """

    def __init__(self, n_factors: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((n_factors,), FIRST_SCALE))
        self.log_noise = nn.Parameter(torch.full((n_factors,), FIRST_LOG_NOISE))

    def forward(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the codes of standardised factors (batch, n_factors)."""
        mean = self.scale * factors
        return mean, (2 * self.log_noise).expand_as(mean)


def _encoder(encoder: nn.Module, config: FactorBottleneckConfig) -> nn.Module:
    return NoEncoder()


def _parts(config: FactorBottleneckConfig, shape: Shape) -> dict[str, nn.Module]:
    return {"bottleneck": FactorBottleneck(config.n_codes)}


def _resolve_config(config: FactorBottleneckConfig, data: TrainingData) -> FactorBottleneckConfig:
    n_factors = data.factors.shape[1]
    if not n_factors or np.isnan(data.factors).any():
        raise InvalidInputError(
            "factor_bottleneck takes data whose factors are all known; "
            f"got {'some with values missing' if n_factors else 'none'}; train another method"
        )
    return replace(config, n_codes=n_factors)


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
)
def factor_bottleneck(model: AutoEncoder, batch: Batch, weights: Weights, config: FactorBottleneckConfig) -> Terms:
    """Tell the decoder the true factors, as many nats as it may have, and see which it takes first.

    ``loss = E[-log p(x | z)] + γ |sum_i E KL_i - C(t)|`` with ``z_i = s_i f_i + n_i ε_i``,
    ``KL_i = ½ (s_i² f_i² + n_i² - 1 - 2 log n_i)``, standardised factors f, and C that grows linearly over
    training. For a ratio s_i² / n_i² of signal to noise the KL is least where s_i² + n_i² = 1, and is then
    ``-log n_i = ½ log(1 + s_i² / n_i²)`` on average.

    Differs from the paper: no shift is learned, as with standardised factors it only costs KL.

    Known failure: Adam follows the sign of the heavier term, so that a large γ shares the capacity out evenly for long:
    at γ = 1000 it takes the published number of steps until a factor that does not show has given its share back
    (the other presets have γ = 10). Noise that has grown above 1 pays for the capacity too, and tells nothing; it
    starts a little below. A circular factor is one real number, which jumps where it comes round, and a category is the
    index of its value, as in the paper.
    """
    mean, log_variance = model.parts["bottleneck"](batch.factors)
    bound = evidence_of(model, batch.images, mean, log_variance, batch.noise["z"], config)
    done = (batch.step / config.n_steps).clamp(max=1.0)
    target = weights["first_capacity"] + (weights["capacity"] - weights["first_capacity"]) * done
    distance = (bound.kl.sum(1).mean() - target).abs()
    return bound.terms(bound.reconstruction.mean() + weights["gamma"] * distance, capacity=target)
