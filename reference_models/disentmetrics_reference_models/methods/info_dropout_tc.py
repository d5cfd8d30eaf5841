"""Information Dropout with separate weights for mutual information and total correlation."""

from dataclasses import dataclass

from disentmetrics_reference_models.methods.info_dropout import (
    InfoDropoutConfig,
    learned_prior,
    log_normal_encoder,
    prior_of,
)
from disentmetrics_reference_models.nn.total_correlation import check_estimate, decompose
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence
from disentmetrics_reference_models.training.method import MODEL, Batch, Weights, method
from disentmetrics_reference_models.training.optimizers import ParameterGroup


@dataclass(frozen=True, kw_only=True)
class InfoDropoutTCConfig(InfoDropoutConfig):
    """Settings of Information Dropout; no values of the weights are published for images.

    Attributes
    ----------
    gamma : float
        Weight of the total correlation; ``beta`` is that of the mutual information.
    estimate : {"mws", "mss", "batch"}
        Estimator of the density of the aggregate posterior: minibatch-weighted sampling, minibatch stratified sampling,
        or the plain average over the batch.
    """

    gamma: float = 6.0
    estimate: str = "mws"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_estimate(self.estimate)


@method(
    config=InfoDropoutTCConfig,
    paper="Achille & Soatto (2018), Information Dropout: Learning Optimal Representations Through Noisy Computation, "
    "PAMI",
    parts=learned_prior,
    encoder=log_normal_encoder,
    prior=prior_of,
    groups=(
        MODEL,
        ParameterGroup(name="parts.prior", loss="prior_loss", optimizer=lambda config: config.optimizer_settings),
    ),
    tuned_on="",
)
def info_dropout_tc(model: AutoEncoder, batch: Batch, weights: Weights, config: InfoDropoutTCConfig) -> Terms:
    """Multiplicative noise on activations, with separate weights for information and total correlation.

    ``loss = E_q[-log p(x | z)] + β E KL(q(z | x) || q(z)) + γ TC(z)`` with the noise of Information Dropout. For β = γ
    it is Information Dropout with the best factorised prior. The aggregate posterior q(z) is intractable, as the paper
    says; here its density is estimated from the batch, as in β-TCVAE. The prior, to which the logged KL refers, is
    fitted to the latents and does not influence them. The representation is log f(x).

    Differs from the paper, which states the objective without an estimator; the input of the decoder is log z.

    Known failure: with ``mws`` the logged terms are off by constants, and estimates from small batches are noisy.
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    mi, tc, _ = (
        part.mean()
        for part in decompose(bound.z, bound.mean, bound.log_variance, batch.n_rows, estimate=config.estimate)
    )
    prior = prior_of(model, weights, config)
    bound = bound._replace(kl=prior.kl(bound.mean, bound.log_variance, bound.z))
    return bound.terms(
        bound.reconstruction.mean() + weights["beta"] * mi + weights["gamma"] * tc,
        mutual_information=mi,
        total_correlation=tc,
        prior_loss=bound.kl.sum(1).mean(),
    )
