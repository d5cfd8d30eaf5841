"""Encoder and decoder of a method, and the two terms of the evidence lower bound."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, reparameterise
from disentmetrics_reference_models.nn.likelihoods import reconstruction_loss
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, Shape, check_shape
from disentmetrics_reference_models.training.config import Config

Terms = dict[str, Tensor]


class AutoEncoder(nn.Module):
    """Encoder, decoder and the further modules of a method.

    Attributes
    ----------
    encoder, decoder : Module
        Networks of the chosen architecture.
    parts : ModuleDict
        Modules added by the method, such as a discriminator or a learned prior.
    """

    def __init__(self, config: Config, shape: Shape, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        architecture = ARCHITECTURES[config.architecture]
        check_shape(config.architecture, shape)
        if len(shape) == 1 and config.likelihood == "bernoulli":
            raise InvalidInputError(
                f"a Bernoulli likelihood needs images; the observations are vectors of {shape[0]} features; "
                "use likelihood=gaussian"
            )
        self.encoder = architecture.encoder(shape, config.n_codes)
        self.decoder = architecture.decoder(shape, config.n_codes)
        self.parts = nn.ModuleDict(dict(parts))


class Evidence(NamedTuple):
    """The two terms of the evidence lower bound, from one reparameterised forward pass.

    Attributes
    ----------
    reconstruction : (batch,)
        Negative log-likelihood of each observation, in nats.
    kl : (batch, n_codes)
        KL divergence of the posterior of each latent from the prior, in nats; the prior is N(0, 1) unless the method
        defines another one.
    mean, log_variance, z : (batch, n_codes)
        Parameters of the posterior, and one sample from it.
    output : (batch, ...)
        Output of the decoder, before the sigmoid of images.
    """

    reconstruction: Tensor
    kl: Tensor
    mean: Tensor
    log_variance: Tensor
    z: Tensor
    output: Tensor

    def terms(self, loss: Tensor, **more: Tensor) -> Terms:
        """Return the loss to minimise together with the terms that are logged for every method.

        ``elbo`` is the unmodified evidence lower bound under the prior of the method, whatever its objective is.
        """
        kl = self.kl.mean(0)
        reconstruction = self.reconstruction.mean()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl.sum(),
            "elbo": -reconstruction - kl.sum(),
            "kl_of_code": kl,
            **more,
        }


def evidence(model: AutoEncoder, observations: Tensor, epsilon: Tensor, config: Config) -> Evidence:
    """Encode the observations, sample the posterior with noise ``epsilon`` (batch, n_codes), and decode."""
    mean, log_variance = model.encoder(observations)
    return evidence_of(model, observations, mean, log_variance, epsilon, config)


def evidence_of(
    model: AutoEncoder, observations: Tensor, mean: Tensor, log_variance: Tensor, epsilon: Tensor, config: Config
) -> Evidence:
    """Sample the given posterior and decode."""
    z = reparameterise(mean, log_variance, epsilon)
    output = model.decoder(z)
    reconstruction = reconstruction_loss(output, observations, config.likelihood)
    return Evidence(reconstruction, kl_to_standard_normal(mean, log_variance), mean, log_variance, z, output)
