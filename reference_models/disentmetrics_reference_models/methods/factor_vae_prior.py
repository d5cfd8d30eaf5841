"""Modified FactorVAE: the divergence from the prior that a discriminator sees is pressed down."""

from disentmetrics_reference_models.nn.adversarial import (
    ADVERSARY,
    SMOKE,
    AdversarialConfig,
    discriminator,
    noise_and_prior,
    opposed,
)
from disentmetrics_reference_models.training.method import AutoEncoder, Batch, Terms, Weights, evidence, method


class FactorVAEPriorConfig(AdversarialConfig):
    """As FactorVAE, with γ = 10 (no value is published)."""


@method(
    config=FactorVAEPriorConfig,
    paper="Kim & Mnih (2018), Disentangling by Factorising, ICML, appendix F",
    presets={"smoke": SMOKE},
    noise=noise_and_prior,
    parts=discriminator,
    adversaries=(ADVERSARY,),
)
def factor_vae_prior(model: AutoEncoder, batch: Batch, weights: Weights, config: FactorVAEPriorConfig) -> Terms:
    """Press down the divergence of the aggregate posterior from the prior, besides the KL of each image.

    ``loss = -ELBO + γ E_q(z)[log D(z) / (1 - D(z))]`` where D tells codes from samples of the prior.

    Known failure: somewhat lower scores than FactorVAE in the paper, as the prior is matched in every
    respect and not in its independence alone.
    """
    bound = evidence(model, batch.images, batch.noise["z"], config)
    loss = (bound.reconstruction + bound.kl.sum(1)).mean()
    return opposed(model, bound, loss, (bound.z, batch.noise["prior"]), weights)
