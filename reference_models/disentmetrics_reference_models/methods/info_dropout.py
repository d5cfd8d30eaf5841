"""Information Dropout: activations multiplied by log-normal noise, whose strength the image decides."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.priors import Gaussian, LearnedGaussian
from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    Config,
    Terms,
    Weights,
    evidence,
    method,
)

LEAST_ACTIVATION = 1e-4
LEAST_NOISE = 1e-3


@dataclass(frozen=True, kw_only=True)
class InfoDropoutConfig(Config):
    """The networks of Kim & Mnih (2018); the paper has no auto-encoder of images of this kind (settings are ours).

    Attributes
    ----------
    beta : float
        Weight of the KL; 1, 4 and 8 are worth a try. The authors' supervised loss divides it by the number
        of images; here it counts per image, as in every method.
    most_noise : float
        Largest standard deviation of the log of the noise; 0.7 for CIFAR in the paper.
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
    """Turns the two heads of an encoder into log f and log α² of ``z = f exp(α ε)``.

    ``f = softplus`` of the first head, at least 0.0001, and ``α = 0.001 + most_noise * sigmoid`` of the
    second. As log z ~ N(log f, α²), these are the mean and log-variance of the codes log z, and whoever
    encodes needs to know no more.

    Parameters
    ----------
    encoder : Module
        Of the architecture.
    most_noise : float
    """

    most_noise: Tensor

    def __init__(self, encoder: nn.Module, most_noise: float) -> None:
        super().__init__()
        self.encoder = encoder
        # A buffer, as members of a stack may differ in it.
        self.register_buffer("most_noise", torch.tensor(most_noise))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return log f and log α²."""
        activation, noise = self.encoder(images)
        log_f = functional.softplus(activation).clamp(min=LEAST_ACTIVATION).log()
        return log_f, 2 * (LEAST_NOISE + self.most_noise * noise.sigmoid()).log()


def _encoder(encoder: nn.Module, config: InfoDropoutConfig) -> nn.Module:
    return LogNormalEncoder(encoder, config.most_noise)


def _parts(config: InfoDropoutConfig, shape: Shape) -> dict[str, nn.Module]:
    return {"prior": LearnedGaussian(config.n_codes)}


def prior_of(model: AutoEncoder, weights: Weights, config: InfoDropoutConfig) -> Gaussian:
    """Return the prior of log z as it stands."""
    found: Gaussian = model.parts["prior"]()
    return found


@method(
    config=InfoDropoutConfig,
    paper="Achille & Soatto (2018), Information Dropout: Learning Optimal Representations Through Noisy Computation, "
    "PAMI",
    parts=_parts,
    encoder=_encoder,
    prior=prior_of,
)
def info_dropout(model: AutoEncoder, batch: Batch, weights: Weights, config: InfoDropoutConfig) -> Terms:
    """Multiply activations by noise, and pay for what they tell.

    ``loss = E_q[-log p(x | z)] + β sum_j KL(q(z_j | x) || r(z_j))`` with ``z = f(x) exp(α(x) ε)``, f a
    softplus, and r log-normal with mean and variance learned for each code. The KL of log-normals is that
    of the normals of their logs. As r is learned with the rest it stands for the aggregate posterior's
    marginals, so that the KL is I(x; z) + TC(z). The representation is log f(x).

    Differs from the paper: the decoder's input is log z, which is safer than z; the image takes the label's
    place, as in its unsupervised part; r is learned for each code, in the authors' code for each layer.

    Known failure: the noise has a largest strength, so that a code is silent only when f is constant, not by
    noise. Kim & Mnih could not reproduce scores with it on
    dSprites, and none are published.
    """
    bound = evidence(model, batch.images, batch.noise["z"], config)
    prior = prior_of(model, weights, config)
    bound = bound._replace(kl=prior.kl(bound.mean, bound.log_variance, bound.z))
    loss = (bound.reconstruction + weights["beta"] * bound.kl.sum(1)).mean()
    return bound.terms(loss, noise=(0.5 * bound.log_variance).exp().mean())
