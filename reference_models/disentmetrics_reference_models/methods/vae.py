"""VAE: the evidence lower bound."""

from dataclasses import dataclass

from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence
from disentmetrics_reference_models.training.method import Batch, Weights, method


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """Networks of Burgess et al. (2018), Adam."""


@method(
    config=VAEConfig,
    paper="Kingma & Welling (2014), Auto-Encoding Variational Bayes, ICLR",
)
def vae(model: AutoEncoder, batch: Batch, weights: Weights, config: VAEConfig) -> Terms:
    """Evidence lower bound with a standard normal prior.

    ``loss = E_q[-log p(x | z)] + KL(q(z | x) || N(0, I))``, averaged over the images of the batch.
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    return bound.terms((bound.reconstruction + bound.kl.sum(1)).mean())
