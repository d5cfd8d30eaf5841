"""DC-IGN: a variational autoencoder that learns from batches in which one known factor varies."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms, evidence_of
from disentmetrics_reference_models.training.method import Batch, Drawn, Weights, method
from disentmetrics_reference_models.training.optimizers import OptimizerSettings, ParameterGroup
from disentmetrics_reference_models.training.stage import Stage

CLAMPS = ("mean", "first")
_DECAY = 0.99  # of the running variance of the latents


@dataclass(frozen=True, kw_only=True)
class DCIGNConfig(Config):
    """Settings for images of 64 x 64; those of the paper, for faces of 150 x 150, are ``faces3d`` below.

    The first latents belong to the factors of the data set, in their order; the others are intrinsic.

    Attributes
    ----------
    clamp : {"mean", "first"}
        What the latents of factors that do not vary in a batch are replaced by before decoding: their mean over the
        batch, or their value for its first image, as in the authors' code.
    invariance : float
        Strength s of the gradient that draws these latents to their mean; 1/100 in the paper (not verified).
    intrinsic : float
        How many times as often as a batch of a factor a batch occurs in which only the nuisance varies; 0 if the data
        set has none. The paper has 10.
    """

    learning_rate: float = 5e-4
    clamp: str = "mean"
    invariance: float = 0.01
    intrinsic: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clamp not in CLAMPS:
            raise InvalidInputError(f"clamp must be one of {', '.join(CLAMPS)}; got {self.clamp!r}")
        if self.batch_size < 2:
            raise InvalidInputError(f"dc_ign needs a batch_size of at least 2; got {self.batch_size}")
        for name in ("invariance", "intrinsic"):
            if not getattr(self, name) >= 0:
                raise InvalidInputError(f"{name} must not be negative; got {getattr(self, name)}")


class RunningVariance(nn.Module):
    """Mean and mean square of the latents over recent batches."""

    mean: Tensor
    square: Tensor

    def __init__(self, n_codes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_codes))
        self.register_buffer("square", torch.ones(n_codes))

    def forward(self, codes: Tensor) -> Tensor:
        """Add a batch (n, n_codes), and return the variance of each latent."""
        with torch.no_grad():
            self.mean.mul_(_DECAY).add_((1 - _DECAY) * codes.mean(0))
            self.square.mul_(_DECAY).add_((1 - _DECAY) * (codes**2).mean(0))
            return self.square - self.mean**2


def _parts(config: DCIGNConfig, shape: Shape) -> dict[str, nn.Module]:
    return {"variance": RunningVariance(config.n_codes)}


def one_factor_varies(config: DCIGNConfig, data: TrainingData, n_steps: int, generator: torch.Generator) -> Drawn:
    """Draw batches in which one factor varies, or only the nuisance, and which latents are active in each."""
    sizes, n = data.data.space.sizes, config.batch_size
    shares = torch.ones(len(sizes) + data.draws_nuisance)
    if data.draws_nuisance:
        shares[-1] = config.intrinsic
    varied = torch.multinomial(shares, n_steps, replacement=True, generator=generator)
    factors = torch.stack([torch.randint(size, (n_steps, 1), generator=generator) for size in sizes], -1)
    factors = factors.repeat(1, n, 1)
    for j, size in enumerate(sizes):
        values = torch.randint(size, (n_steps, n), generator=generator)
        factors[..., j] = torch.where((varied == j)[:, None], values, factors[..., j])
    rows = data.data.space.rows_of(factors.reshape(-1, len(sizes)).numpy())
    unit = torch.arange(config.n_codes)
    is_intrinsic = (varied == len(sizes))[:, None]
    active = torch.where(is_intrinsic, unit >= len(sizes), unit == varied[:, None]).float()
    own = torch.arange(n).expand(n_steps, n)
    nuisance_of = torch.where(is_intrinsic, own, torch.zeros_like(own))
    return Drawn(torch.from_numpy(rows).view(n_steps, n), {"active": active}, nuisance_of)


def _resolve_config(config: DCIGNConfig, data: TrainingData, stages: Mapping[str, Stage]) -> DCIGNConfig:
    data.require_grid("dc_ign")
    least = data.n_factors + data.draws_nuisance
    if config.n_codes < least:
        raise InvalidInputError(
            f"dc_ign needs a latent for each of {data.n_factors} factors{' and the nuisance' * data.draws_nuisance}: "
            f"n_codes must be at least {least}; got {config.n_codes}"
        )
    return config


@method(
    config=DCIGNConfig,
    paper="Kulkarni, Whitney, Kohli, Tenenbaum (2015), Deep Convolutional Inverse Graphics Network, NeurIPS",
    parts=_parts,
    rows=one_factor_varies,
    resolve_config=_resolve_config,
    groups=(
        ParameterGroup(
            optimizer=lambda config: OptimizerSettings(learning_rate=config.learning_rate, betas=(0.9, 0.99))
        ),
    ),
    reported=("loss", "reconstruction", "kl", "invariance_ratio"),
    presets={"smoke": {"n_steps": 3_000}},
    published={"faces3d": {"architecture": "kim-rgb", "n_codes": 200, "batch_size": 20, "n_steps": 300_000}},
    tuned_on="",
)
def dc_ign(model: AutoEncoder, batch: Batch, weights: Weights, config: DCIGNConfig) -> Terms:
    """Clamp the latents of factors that do not vary in a batch.

    In each batch one factor varies. The latents that do not belong to it are replaced by their mean over the batch
    before decoding, for mean and log-variance alike; they receive no gradient of the reconstruction, but ``s`` times
    their deviation from the mean. ``loss = E_q[-log p(x | z)] + sum_active KL_j + s/2 sum_inactive ((μ_j - μ̄_j)² +
    (l_j - l̄_j)²)``. The factors are known: this is supervision by grouping. The logged invariance ratio is the variance
    of inactive latents within a batch over their variance across batches.

    Differs from the authors' code, which clamps to the first image (``clamp=first``), leaves the invariance gradient
    out by default, and draws the kinds of batches equally often; and from the paper in the optimiser, which is Adam
    with betas (0.9, 0.99), close to its RMSprop with momentum. Without nuisances there are no intrinsic batches, which
    would contain one image repeatedly. ``architecture=dc-ign`` are the published networks for 150 x 150.

    Known failure: a single real number has to represent categories and angles, in which it jumps.
    """
    mean, log_variance = model.encoder(batch.observations)
    active = batch.inputs["active"]

    def clamped(values: Tensor) -> tuple[Tensor, Tensor]:
        average = values.mean(0).detach()
        kept = average if config.clamp == "mean" else values[0].detach()
        return active * values + (1 - active) * kept, values - average

    mean_in, deviation = clamped(mean)
    log_variance_in, deviation_of_variance = clamped(log_variance)
    bound = evidence_of(model, batch.observations, mean_in, log_variance_in, batch.noise["z"], config)
    own = kl_to_standard_normal(mean, log_variance)
    pull = (1 - active) * (deviation**2 + deviation_of_variance**2)
    loss = (bound.reconstruction + (active * own).sum(1) + 0.5 * weights["invariance"] * pull.sum(1)).mean()
    within, total = mean.detach().var(0), model.parts["variance"](mean.detach())
    ratio = ((1 - active) * within).sum() / ((1 - active) * total).sum().clamp(min=1e-8)
    terms = bound._replace(kl=own).terms(loss, invariance_ratio=ratio)
    del terms["elbo"]  # the reconstruction is that of clamped latents
    return terms
