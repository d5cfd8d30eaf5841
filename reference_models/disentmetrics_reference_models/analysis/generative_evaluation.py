"""A trained model as a generative model, in one table: its bounds, what its KL is spent on, how dependent codes are."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.analysis.density_ratio import density_ratio
from disentmetrics_reference_models.analysis.evidence_bounds import N_PARTICLES, evidence_bounds, latent_variable_model
from disentmetrics_reference_models.analysis.posterior_report import OwnPrior, PosteriorReport, evaluate_posteriors
from disentmetrics_reference_models.analysis.posteriors import kl_of_codes, posteriors_of, some_draws
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.nn.total_correlation import decompose
from disentmetrics_reference_models.training.run import Run, as_images

N_ROWS, N_IMAGES, N_SAMPLES = 10_000, 64, 2_000
_BATCH, _N_BATCHES = 256, 20
_RATIO_ROWS = 20_000  # samples of the aggregate posterior, half of them to learn from
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
HEADINGS = ("score", "value", "standard error", "how")


class Estimate(NamedTuple):
    """One score of a model.

    Attributes
    ----------
    value : float
        In nats, but for the Wasserstein correlation and the Hoyer sparsity.
    standard_error : float
        NaN where it is exact for these rows, or has none.
    how : str
        Over what it is, and by which estimate.
    """

    value: float
    standard_error: float
    how: str


@dataclass(frozen=True)
class GenerativeReport:
    """What is said of a trained model without labels.

    Attributes
    ----------
    estimates : dict of str to Estimate
        By name, in the order of the table.
    posteriors : PosteriorReport
        With the KL of each code from the model's own prior, and which codes are active.
    prior : str
        Of which family the prior is.
    """

    estimates: dict[str, Estimate]
    posteriors: PosteriorReport
    prior: str

    def __getitem__(self, name: str) -> Estimate:
        """Return an estimate."""
        return self.estimates[name]

    def cells(self) -> list[tuple[str, str, str, str]]:
        """Return the table as text, under ``HEADINGS``: estimates, then each code by descending KL."""
        rows = [(n, _number(e.value), _number(e.standard_error), e.how) for n, e in self.estimates.items()]
        kl, active = self.posteriors.kl_of_code, self.posteriors.active
        remarks = np.where(active, "", "not active")
        return rows + [(f"kl of code {j}", _number(kl[j]), "", str(remarks[j])) for j in self.posteriors.order]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; None where there is no number."""
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
    n_images: int = N_IMAGES,
    n_particles: int = N_PARTICLES,
    n_samples: int = N_SAMPLES,
    seed: int = 0,
) -> GenerativeReport:
    """Evaluate a trained model as a generative model, under its own prior.

    Parameters
    ----------
    run : Run
        Of any method that encodes images.
    data : DataSet
        Of images that the model takes.
    n_rows : int
        Random images (all, if there are fewer) whose posteriors stand for the aggregate posterior.
    n_images, n_particles : int
        The first of them, for which the likelihood is bounded, with so many particles each. Kim & Mnih (2018) take
        5000 particles and every image, which takes a GPU.
    n_samples : int
        Samples of the aggregate posterior for the decomposition of the KL.
    seed : int
        Decides images, particles and samples.

    Returns
    -------
    GenerativeReport
        With these estimates:

        - ``importance_weighted_bound``, ``evidence_lower_bound``, ``reconstruction``: bounds of log p(x) and the
          expected log-likelihood, averages over images (see :func:`~.evidence_bounds.evidence_bounds`);
        - ``kl``: mean KL from the prior;
        - ``mutual_information``, ``total_correlation``, ``dimension_wise_kl``: its parts, by the mixture of the rows;
        - ``total_correlation_mws``, ``total_correlation_mss``: by batches of 256, as in training; the constant by
          which minibatch-weighted sampling is off, (n_codes - 1) log N, is taken away;
        - ``total_correlation_density_ratio``: by a discriminator (see :func:`~.density_ratio.density_ratio`);
        - ``gaussian_total_correlation``, ``wasserstein_correlation``, ``hoyer_sparsity``: of posterior means.

    Raises
    ------
    InvalidInputError
        If the model takes other images or none, or a number is below 2.

    Notes
    -----
    The estimates of the total correlation differ by what they are: the mixture of a part of the images is too large,
    batches more so, and the density ratio too small where codes are strongly dependent.
    """
    for name, number in (("n_rows", n_rows), ("n_images", n_images), ("n_samples", n_samples)):
        if number < 2:
            raise InvalidInputError(f"{name} must be at least 2; got {number}")
    draws = some_draws(data, n_rows, np.random.default_rng(seed))
    posteriors = posteriors_of(run, data, draws)
    mean, log_variance = np.asarray(posteriors.mean), np.asarray(posteriors.log_variance)
    prior = run.prior

    def log_density(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.inference_mode():
            return np.asarray(prior.log_density(torch.from_numpy(codes)).sum(1).numpy())

    own = OwnPrior(log_density, kl_of_codes(run, posteriors, seed=seed))
    report = evaluate_posteriors(mean, log_variance, prior=own, n_samples=n_samples, seed=seed)
    some = draws[:n_images]
    images = as_images(data.observations(some.factors, some.nuisance), run.shape)
    estimates = dict(_bounds(run, images, n_particles, seed))
    estimates |= _of_posteriors(report, len(mean), n_samples)
    estimates |= _of_samples(torch.from_numpy(mean), torch.from_numpy(log_variance), seed)
    return GenerativeReport({name: estimates[name] for name in NAMES}, report, type(prior).__name__)


def _bounds(run: Run, images: Tensor, n_particles: int, seed: int) -> Iterator[tuple[str, Estimate]]:
    found = evidence_bounds(latent_variable_model(run), images, n_particles=n_particles, seed=seed)
    how = f"{len(images)} images, {n_particles} particles"
    for name, values in zip(NAMES[:3], found, strict=True):
        yield name, Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)), how)


def _of_posteriors(report: PosteriorReport, n_rows: int, n_samples: int) -> dict[str, Estimate]:
    parts, rows = report.decomposition, f"{n_rows} rows"
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    mixture = f"mixture of {rows}, {n_samples} samples"
    found = {"kl": Estimate(float(report.kl_of_code.sum()), math.nan, rows)}
    for name, error in zip(names, parts.standard_error, strict=True):
        found[name] = Estimate(getattr(parts, name), error, mixture)
    for name in ("gaussian_total_correlation", "wasserstein_correlation", "hoyer_sparsity"):
        found[name] = Estimate(getattr(report, name), math.nan, f"means of {rows}")
    return found


def _of_samples(mean: Tensor, log_variance: Tensor, seed: int) -> Iterator[tuple[str, Estimate]]:
    generator = torch.Generator().manual_seed(seed)
    n_rows, n_codes = mean.shape
    batch = min(_BATCH, n_rows)
    for estimate in ("mws", "mss"):
        constant = (n_codes - 1) * math.log(n_rows) if estimate == "mws" else 0.0
        found = []
        for _ in range(_N_BATCHES):
            chosen = torch.randperm(n_rows, generator=generator)[:batch]
            m, v = mean[chosen].double(), log_variance[chosen].double()
            z = reparameterise(m, v, torch.randn(m.shape, generator=generator, dtype=torch.float64))
            found.append(float(decompose(z, m, v, n_rows, estimate=estimate).total_correlation.mean()) - constant)
        error = float(np.std(found, ddof=1)) / math.sqrt(_N_BATCHES)
        how = f"{_N_BATCHES} batches of {batch}"
        yield f"total_correlation_{estimate}", Estimate(float(np.mean(found)), error, how)
    rows = torch.randint(n_rows, (_RATIO_ROWS,), generator=generator)
    z = reparameterise(mean[rows], log_variance[rows], torch.randn(_RATIO_ROWS, n_codes, generator=generator))
    ratio = density_ratio(z.numpy(), seed=seed)
    how = f"{_RATIO_ROWS // 2} samples, told right {ratio.accuracy:.1%}"
    yield "total_correlation_density_ratio", Estimate(ratio.total_correlation, ratio.standard_error, how)
