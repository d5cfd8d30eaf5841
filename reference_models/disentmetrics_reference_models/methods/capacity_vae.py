"""β-VAE with controlled capacity: the KL is held at a target that grows."""

from dataclasses import dataclass

from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    Config,
    Terms,
    Weights,
    evidence,
    method,
)


@dataclass(frozen=True, kw_only=True)
class CapacityVAEConfig(Config):
    """As published for dSprites.

    Attributes
    ----------
    gamma : float
        Weight of the distance from the capacity. It only has to keep the KL within 1 nat of it.
    capacity : float
        Last target of the KL, in nats; 50 for CelebA.
    n_growing : float
        Steps over which the target grows from 0, linearly.
    """

    gamma: float = 1000.0
    capacity: float = 25.0
    n_growing: float = 100_000.0


@method(
    config=CapacityVAEConfig,
    paper="Burgess et al. (2018), Understanding disentangling in beta-VAE, equation 8",
    presets={
        "smoke": {"gamma": 100.0, "capacity": 6.0, "n_growing": 600.0},
        "small": {"gamma": 100.0, "n_growing": 12_000.0},
    },
)
def capacity_vae(model: AutoEncoder, batch: Batch, weights: Weights, config: CapacityVAEConfig) -> Terms:
    """Let information in bit by bit, at a rate that is prescribed.

    ``loss = E_q[-log p(x | z)] + γ |KL(q(z | x) || N(0, I)) - C(t)|`` with ``C(t) = min(C, C t / T)``. The
    absolute value is that of the mean over the batch, not a mean of absolute values.

    Known failure: with a large learning rate the target is met by a few codes that tell everything
    (a public run with γ = 100 and learning rate 0.001 ends at 25 nats in 4 codes, and blurred).
    """
    bound = evidence(model, batch.images, batch.noise["z"], config)
    target = weights["capacity"] * (batch.step / weights["n_growing"]).clamp(max=1.0)
    distance = (bound.kl.sum(1).mean() - target).abs()
    return bound.terms(bound.reconstruction.mean() + weights["gamma"] * distance, capacity=target)
