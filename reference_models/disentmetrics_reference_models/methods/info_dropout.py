"""Information Dropout: activations with log-normal multiplicative noise whose scale depends on the image."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.priors import Gaussian, LearnedGaussian
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence
from disentmetrics_reference_models.training.method import Batch, Weights, method

MIN_ACTIVATION = 1e-4
MIN_NOISE = 1e-3


@dataclass(frozen=True, kw_only=True)
class InfoDropoutConfig(Config):
    """Networks of Kim & Mnih (2018); the paper has no comparable autoencoder of images, so these settings are ours.

    Attributes
    ----------
    beta : float
        Weight of the KL; values to try are 1, 4 and 8. The supervised loss of the authors divides it by the number
        of images; here it is per image, as in all methods.
    most_noise : float
        Largest standard deviation of the logarithm of the noise; 0.7 for CIFAR in the paper.
    """

    architecture: str = "kim"
    learning_rate: float = 1e-4
    beta: float = 1.0
    most_noise: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.most_noise > 0:
            raise InvalidInputError(f"most_noise must be above 0; got {self.most_noise}")


class LogNormalEncoder(nn.Module):
    """Maps the two outputs of an encoder to log f and log α² of ``z = f exp(α ε)``.

    ``f`` is the softplus of the first output, at least 0.0001, and ``α = 0.001 + most_noise * sigmoid`` of the
    second. As log z ~ N(log f, α²), these are the mean and log-variance of the latents log z, so the module is an
    ordinary Gaussian encoder.

    Parameters
    ----------
    encoder : Module
        Encoder of the architecture.
    most_noise : float
        Largest standard deviation of the logarithm of the noise.
    """

    most_noise: Tensor

    def __init__(self, encoder: nn.Module, most_noise: float) -> None:
        super().__init__()
        self.encoder = encoder
        # A buffer, because members of a stack may have different values.
        self.register_buffer("most_noise", torch.tensor(most_noise))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return log f and log α²."""
        activation, noise = self.encoder(images)
        log_f = functional.softplus(activation).clamp(min=MIN_ACTIVATION).log()
        return log_f, 2 * (MIN_NOISE + self.most_noise * noise.sigmoid()).log()


def log_normal_encoder(encoder: nn.Module, config: InfoDropoutConfig) -> nn.Module:
    """Return the encoder of log f and log α²."""
    return LogNormalEncoder(encoder, config.most_noise)


def learned_prior(config: InfoDropoutConfig, shape: Shape) -> dict[str, nn.Module]:
    """Return the learned prior of log z."""
    return {"prior": LearnedGaussian(config.n_codes)}


def prior_of(model: AutoEncoder, weights: Weights, config: InfoDropoutConfig) -> Gaussian:
    """Return the prior of log z at its current parameters."""
    prior: Gaussian = model.parts["prior"]()
    return prior


@method(
    config=InfoDropoutConfig,
    paper="Achille & Soatto (2018), Information Dropout: Learning Optimal Representations Through Noisy Computation, "
    "PAMI",
    parts=learned_prior,
    encoder=log_normal_encoder,
    prior=prior_of,
    tuned_on="",
)
def info_dropout(model: AutoEncoder, batch: Batch, weights: Weights, config: InfoDropoutConfig) -> Terms:
    """Multiplicative noise on activations with an information penalty.

    ``loss = E_q[-log p(x | z)] + β sum_j KL(q(z_j | x) || r(z_j))`` with ``z = f(x) exp(α(x) ε)``, f a
    softplus, and r log-normal with learned mean and variance for each latent. The KL of two log-normal distributions
    equals that of the normal distributions of their logarithms. The learned r approximates the marginals of the
    aggregate posterior, so that the KL approximates I(x; z) + TC(z). The representation is log f(x).

    Differs from the paper: the input of the decoder is log z, which is numerically safer than z; the image replaces the
    label, as in the unsupervised part of the paper; r is learned for each latent, in the authors' code for each layer.

    Known failure: the scale of the noise is bounded, so a latent carries no information only if f is constant.
    Kim & Mnih could not reproduce its scores on dSprites, and none are published.
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    prior = prior_of(model, weights, config)
    bound = bound._replace(kl=prior.kl(bound.mean, bound.log_variance, bound.z))
    loss = (bound.reconstruction + weights["beta"] * bound.kl.sum(1)).mean()
    return bound.terms(loss, noise=(0.5 * bound.log_variance).exp().mean())
