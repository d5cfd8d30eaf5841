"""Evaluation of a trained model as a generative model: likelihood bounds, KL terms and total correlation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.analysis.density_ratio import density_ratio
from disentmetrics_reference_models.analysis.evidence_bounds import (
    CODES_AT_ONCE,
    N_PARTICLES,
    evidence_bounds,
    latent_variable_model,
)
from disentmetrics_reference_models.analysis.posterior_evaluation import (
    CustomPrior,
    PosteriorReport,
    evaluate_posteriors,
)
from disentmetrics_reference_models.analysis.posteriors import encode_draws, kl_per_latent, random_draws
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.nn.total_correlation import decompose
from disentmetrics_reference_models.training.run import Run

N_ROWS, N_IMAGES, N_SAMPLES = 10_000, 64, 2_000
_BATCH, _N_BATCHES = 256, 20
_RATIO_ROWS = 20_000  # samples of the aggregate posterior, half of them for training
NAMES = (
    "importance_weighted_bound",
    "evidence_lower_bound",
    "reconstruction",
    "kl",
    "mutual_information",
    "total_correlation",
    "dimension_wise_kl",
    "total_correlation_mws",
    "total_correlation_mss",
    "total_correlation_density_ratio",
    "gaussian_total_correlation",
    "wasserstein_correlation",
    "hoyer_sparsity",
)
HEADINGS = ("score", "value", "standard error", "estimator")


class Estimate(NamedTuple):
    """One score of a model.

    Attributes
    ----------
    value : float
        In nats, except for the Wasserstein correlation and the Hoyer sparsity.
    standard_error : float
        NaN if the value is exact for these rows, or no standard error is available.
    how : str
        Estimator and number of samples.
    """

    value: float
    standard_error: float
    how: str


@dataclass(frozen=True)
class GenerativeReport:
    """Unsupervised scores of a trained model.

    Attributes
    ----------
    estimates : dict of str to Estimate
        Scores by name, in the order of the table.
    posteriors : PosteriorReport
        Scores of the posteriors, with the KL of each latent from the prior of the model.
    prior : str
        Name of the family of the prior.
    """

    estimates: dict[str, Estimate]
    posteriors: PosteriorReport
    prior: str

    def __getitem__(self, name: str) -> Estimate:
        """Return the estimate of this name."""
        return self.estimates[name]

    def cells(self) -> list[tuple[str, str, str, str]]:
        """Return the table as text, with columns ``HEADINGS``: the estimates, then the latents by descending KL."""
        rows = [(n, _number(e.value), _number(e.standard_error), e.how) for n, e in self.estimates.items()]
        kl, active = self.posteriors.kl_of_code, self.posteriors.active
        notes = np.where(active, "", "not active")
        return rows + [(f"kl of latent {j}", _number(kl[j]), "", str(notes[j])) for j in self.posteriors.order]

    def as_dict(self) -> dict[str, Any]:
        """Return all results as plain values for JSON, with None for missing numbers."""
        return {
            "prior": self.prior,
            "estimates": {
                n: {"value": _finite(e.value), "standard_error": _finite(e.standard_error), "how": e.how}
                for n, e in self.estimates.items()
            },
            "kl_of_code": [_finite(value) for value in self.posteriors.kl_of_code.tolist()],
            "active": self.posteriors.active.tolist(),
        }


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def evaluate_run(
    run: Run,
    data: DataSet,
    *,
    n_rows: int = N_ROWS,
    n_images: int | None = N_IMAGES,
    n_particles: int = N_PARTICLES,
    n_samples: int = N_SAMPLES,
    seed: int = 0,
    progress: bool = False,
) -> GenerativeReport:
    """Evaluate a trained model as a generative model under its own prior, without labels.

    Parameters
    ----------
    run : Run
        A model of any method that encodes images.
    data : DataSet
        Data set of images with the shape of the training images.
    n_rows : int
        Number of random images (all, if there are fewer) whose posteriors represent the aggregate posterior.
    n_images : int, optional
        Number of images whose log-likelihood is bounded; None for all images of the data set, a batch at a time. Kim &
        Mnih (2018) use all, which requires a GPU.
    n_particles : int
        Number of particles for each image; 5000 in Kim & Mnih (2018).
    n_samples : int
        Number of samples of the aggregate posterior for the decomposition of the KL.
    seed : int
        Random seed of images, particles and samples.
    progress : bool
        Show a progress bar of the images whose log-likelihood is bounded.

    Returns
    -------
    GenerativeReport
        It contains these estimates:

        - ``importance_weighted_bound``, ``evidence_lower_bound``, ``reconstruction``: bounds of log p(x) and the
          expected log-likelihood, averaged over images (see :func:`~.evidence_bounds.evidence_bounds`);
        - ``kl``: mean KL from the prior;
        - ``mutual_information``, ``total_correlation``, ``dimension_wise_kl``: its terms, computed with the mixture of
          the posteriors of all rows;
        - ``total_correlation_mws``, ``total_correlation_mss``: minibatch estimates from batches of 256, as in training;
          the constant bias of minibatch-weighted sampling, (n_codes - 1) log N, is subtracted;
        - ``total_correlation_density_ratio``: estimated by a discriminator (see
          :func:`~.density_ratio.density_ratio`);
        - ``gaussian_total_correlation``, ``wasserstein_correlation``, ``hoyer_sparsity``: scores of posterior means.

    Raises
    ------
    InvalidInputError
        If the model cannot encode these images, or a setting is below 2.

    Notes
    -----
    The estimates of the total correlation have different biases: the mixture of a subset of the images overestimates
    it, minibatches more so, and the density ratio underestimates strong dependence.
    """
    for name, number in (("n_rows", n_rows), ("n_images", n_images), ("n_samples", n_samples)):
        if number is not None and number < 2:
            raise InvalidInputError(f"{name} must be at least 2; got {number}")
    draws = random_draws(data, n_rows, np.random.default_rng(seed))
    posteriors = encode_draws(run, data, draws)
    mean, log_variance = np.asarray(posteriors.mean), np.asarray(posteriors.log_variance)
    prior = run.on("cpu").prior

    def log_density(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.inference_mode():
            return np.asarray(prior.log_density(torch.from_numpy(codes)).sum(1).numpy())

    model_prior = CustomPrior(log_density, kl_per_latent(posteriors))
    report = evaluate_posteriors(mean, log_variance, prior=model_prior, n_samples=n_samples, seed=seed)
    of_bounds = _all_draws(data, seed) if n_images is None else draws[:n_images]
    if n_images is not None and n_images > n_rows:
        of_bounds = random_draws(data, n_images, np.random.default_rng(seed))
    estimates = dict(_bounds(run, data, of_bounds, n_particles, seed, progress=progress))
    estimates |= _posterior_estimates(report, len(mean), n_samples)
    estimates |= _sample_estimates(torch.from_numpy(mean), torch.from_numpy(log_variance), seed)
    return GenerativeReport({name: estimates[name] for name in NAMES}, report, type(prior).__name__)


def _all_draws(data: DataSet, seed: int) -> Draws:
    if not data.has_full_grid:
        raise InvalidInputError(f"{data.name} has no finite number of images; give a number of them")
    every = data.full_grid()
    if data.nuisances and not data.is_observed:
        return Draws(every.factors, data.sample_nuisance(every.factors, np.random.default_rng(seed)), every.groups)
    return every


def _bounds(
    run: Run, data: DataSet, draws: Draws, n_particles: int, seed: int, *, progress: bool
) -> Iterator[tuple[str, Estimate]]:
    with progress_bar(shown=progress) as bar:
        task = bar.add_task("bounds of the log-likelihood", total=len(draws))

        def batches() -> Iterator[Tensor]:
            at_once = max(1, CODES_AT_ONCE // n_particles)
            for start in range(0, len(draws), _BATCH):
                batch = draws[start : start + _BATCH]
                for part in run.inputs(data.observations(batch.factors, batch.nuisance)).split(at_once):
                    yield part
                    bar.advance(task, len(part))

        bounds = evidence_bounds(latent_variable_model(run), batches(), n_particles=n_particles, seed=seed)
    how = f"{len(draws)} images, {n_particles} particles"
    for name, values in zip(NAMES[:3], bounds, strict=True):
        yield name, Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)), how)


def _posterior_estimates(report: PosteriorReport, n_rows: int, n_samples: int) -> dict[str, Estimate]:
    parts, rows = report.decomposition, f"{n_rows} rows"
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    mixture = f"mixture of {rows}, {n_samples} samples"
    estimates = {"kl": Estimate(float(report.kl_of_code.sum()), math.nan, rows)}
    for name, error in zip(names, parts.standard_error, strict=True):
        estimates[name] = Estimate(getattr(parts, name), error, mixture)
    for name in ("gaussian_total_correlation", "wasserstein_correlation", "hoyer_sparsity"):
        estimates[name] = Estimate(getattr(report, name), math.nan, f"means of {rows}")
    return estimates


def _sample_estimates(mean: Tensor, log_variance: Tensor, seed: int) -> Iterator[tuple[str, Estimate]]:
    generator = torch.Generator().manual_seed(seed)
    n_rows, n_codes = mean.shape
    batch = min(_BATCH, n_rows)
    for estimate in ("mws", "mss"):
        constant = (n_codes - 1) * math.log(n_rows) if estimate == "mws" else 0.0
        values = []
        for _ in range(_N_BATCHES):
            chosen = torch.randperm(n_rows, generator=generator)[:batch]
            m, v = mean[chosen].double(), log_variance[chosen].double()
            z = reparameterise(m, v, torch.randn(m.shape, generator=generator, dtype=torch.float64))
            values.append(float(decompose(z, m, v, n_rows, estimate=estimate).total_correlation.mean()) - constant)
        error = float(np.std(values, ddof=1)) / math.sqrt(_N_BATCHES)
        how = f"{_N_BATCHES} batches of {batch}"
        yield f"total_correlation_{estimate}", Estimate(float(np.mean(values)), error, how)
    rows = torch.randint(n_rows, (_RATIO_ROWS,), generator=generator)
    z = reparameterise(mean[rows], log_variance[rows], torch.randn(_RATIO_ROWS, n_codes, generator=generator))
    ratio = density_ratio(z.numpy(), seed=seed)
    how = f"{_RATIO_ROWS // 2} samples, accuracy {ratio.accuracy:.1%}"
    yield "total_correlation_density_ratio", Estimate(ratio.total_correlation, ratio.standard_error, how)
