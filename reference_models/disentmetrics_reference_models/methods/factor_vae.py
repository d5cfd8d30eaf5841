"""FactorVAE: the total correlation that a discriminator sees is pressed down."""

from dataclasses import dataclass

from disentmetrics_reference_models.nn.adversarial import ADVERSARY, SMOKE, AdversarialConfig, discriminator, opposed
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.nn.total_correlation import permute_codes
from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    NoiseShape,
    Terms,
    Weights,
    evidence,
    method,
)


@dataclass(frozen=True, kw_only=True)
class FactorVAEConfig(AdversarialConfig):
    """As published for dSprites.

    Attributes
    ----------
    gamma : float
        Weight of the total correlation: 35 for dSprites, 7 for 3D Shapes.
    """

    gamma: float = 35.0


def _noise(config: FactorVAEConfig) -> dict[str, NoiseShape]:
    shape = (config.batch_size, config.n_codes)
    return {
        "z": NoiseShape("normal", shape),
        "second_z": NoiseShape("normal", shape),
        "permutation": NoiseShape("uniform", shape),
    }


@method(
    config=FactorVAEConfig,
    paper="Kim & Mnih (2018), Disentangling by Factorising, ICML",
    presets={"smoke": SMOKE},
    noise=_noise,
    parts=discriminator,
    adversaries=(ADVERSARY,),
    n_batches=2,
)
def factor_vae(model: AutoEncoder, batch: Batch, weights: Weights, config: FactorVAEConfig) -> Terms:
    """Press down the total correlation that a discriminator sees.

    ``loss = -ELBO + γ E_q(z)[log D(z) / (1 - D(z))]``: the discriminator D tells codes of one batch from
    codes of another batch permuted over its rows. It learns from detached codes of a second, independent
    batch (algorithm 2 of the paper), and its gradient is taken apart from the model's.

    Known failure: the discriminator underestimates the total correlation, the more the better it is
    hidden; the term may be negative.
    """
    first, second = batch.images[: config.batch_size], batch.images[config.batch_size :]
    bound = evidence(model, first, batch.noise["z"], config)
    mean, log_variance = model.encoder(second)
    z = reparameterise(mean, log_variance, batch.noise["second_z"])
    loss = (bound.reconstruction + bound.kl.sum(1)).mean()
    return opposed(model, bound, loss, (bound.z, permute_codes(z, batch.noise["permutation"])), weights)
