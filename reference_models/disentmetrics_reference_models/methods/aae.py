"""Adversarial autoencoder with a coefficient: no KL of single images, only of all together."""

from disentmetrics_reference_models.nn.adversarial import (
    ADVERSARY,
    SMOKE,
    AdversarialConfig,
    discriminator,
    noise_and_prior,
    opposed,
)
from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    Terms,
    Weights,
    evidence_of,
    method,
)

LEAST_LOG_VARIANCE = -10.0


class AAEConfig(AdversarialConfig):
    """As FactorVAE, with γ = 10; 1 is the weight of Makhzani et al. (2015)."""


@method(
    config=AAEConfig,
    paper="Kim & Mnih (2018), Disentangling by Factorising, ICML, appendix F; after Makhzani et al. (2015)",
    presets={"smoke": SMOKE},
    noise=noise_and_prior,
    parts=discriminator,
    adversaries=(ADVERSARY,),
)
def aae(model: AutoEncoder, batch: Batch, weights: Weights, config: AAEConfig) -> Terms:
    """Match the aggregate posterior to the prior, with no KL of single images.

    ``loss = E_q[-log p(x | z)] + γ E_q(z)[log D(z) / (1 - D(z))]`` where D tells codes from samples of the
    prior. The log-variance is kept above -10: nothing else stops it from falling, and spikes are told
    apart trivially.

    Differs from Makhzani et al.: a ratio of densities in place of the loss of a generator.
    """
    mean, log_variance = model.encoder(batch.images)
    bounded = log_variance.clamp(min=LEAST_LOG_VARIANCE)
    bound = evidence_of(model, batch.images, mean, bounded, batch.noise["z"], config)
    return opposed(model, bound, bound.reconstruction.mean(), (bound.z, batch.noise["prior"]), weights)
