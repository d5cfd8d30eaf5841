"""β-VAE with controlled capacity increase."""

from dataclasses import dataclass

from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence
from disentmetrics_reference_models.training.method import Batch, Weights, method


@dataclass(frozen=True, kw_only=True)
class CapacityVAEConfig(Config):
    """Published settings for dSprites.

    Attributes
    ----------
    gamma : float
        Weight of the deviation of the KL from its target. It only needs to keep the KL within 1 nat of it.
    capacity : float
        Final target of the KL, C_max, in nats; published: 25 for dSprites, 50 for CelebA.
    n_growing : float
        Number of steps T over which the target increases linearly from 0.
    """

    gamma: float = 1000.0
    capacity: float = 25.0
    n_growing: float = 100_000.0


@method(
    config=CapacityVAEConfig,
    paper="Burgess et al. (2018), Understanding disentangling in beta-VAE, equation 8",
    presets={
        "smoke": {"capacity": 6.0, "n_growing": 600.0},
        "small": {"n_growing": 12_000.0},
    },
    published={"celeba": {"capacity": 50.0, "n_codes": 32}},
)
def capacity_vae(model: AutoEncoder, batch: Batch, weights: Weights, config: CapacityVAEConfig) -> Terms:
    """KL follows a linearly increasing target capacity.

    ``loss = E_q[-log p(x | z)] + γ |KL(q(z | x) || N(0, I)) - C(t)|`` with ``C(t) = min(C_max, C_max t / T)``. The
    absolute value applies to the KL averaged over the batch, not to the KL of each image.

    Differs from the paper: the encoder returns a log-variance; ``architecture=burgess-log-std`` returns the logarithm
    of the standard deviation, as in the paper.

    Known failure: with a large learning rate, few latents carry all information (a public run with γ = 100 and
    learning rate 0.001 ends with 25 nats in 4 latents and blurred reconstructions).
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    target = weights["capacity"] * (batch.step / weights["n_growing"]).clamp(max=1.0)
    deviation = (bound.kl.sum(1).mean() - target).abs()
    return bound.terms(bound.reconstruction.mean() + weights["gamma"] * deviation, capacity=target)
