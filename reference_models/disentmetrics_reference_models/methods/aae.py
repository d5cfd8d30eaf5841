"""Adversarial autoencoder: the aggregate posterior, not each posterior, is matched to the prior."""

from disentmetrics_reference_models.nn.adversarial import (
    GROUPS,
    SMOKE,
    AdversarialConfig,
    adversarial_terms,
    discriminator,
    noise_and_prior,
)
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence_of
from disentmetrics_reference_models.training.method import Batch, Weights, method

LEAST_LOG_VARIANCE = -10.0


class AAEConfig(AdversarialConfig):
    """Settings of FactorVAE with γ = 10; the weight of Makhzani et al. (2015) is 1."""


@method(
    config=AAEConfig,
    paper="Kim & Mnih (2018), Disentangling by Factorising, ICML, appendix F; after Makhzani et al. (2015)",
    presets={"smoke": SMOKE},
    noise=noise_and_prior,
    parts=discriminator,
    groups=GROUPS,
)
def aae(model: AutoEncoder, batch: Batch, weights: Weights, config: AAEConfig) -> Terms:
    """Adversarial matching of the aggregate posterior to the prior, without a KL per image.

    ``loss = E_q[-log p(x | z)] + γ E_q(z)[log D(z) / (1 - D(z))]``, where the discriminator D distinguishes codes from
    samples of the prior. The log-variance is bounded below by -10: nothing else prevents the posteriors from collapsing
    to points, which D would distinguish from the prior trivially.

    Differs from Makhzani et al.: a density ratio replaces the generator loss.
    """
    mean, log_variance = model.encoder(batch.observations)
    bounded = log_variance.clamp(min=LEAST_LOG_VARIANCE)
    bound = evidence_of(model, batch.observations, mean, bounded, batch.noise["z"], config)
    return adversarial_terms(model, bound, bound.reconstruction.mean(), (bound.z, batch.noise["prior"]), weights)
