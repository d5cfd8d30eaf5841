"""Estimation of total correlation by a discriminator on held-out codes (density-ratio trick)."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.adversarial import discriminator_loss, log_ratio
from disentmetrics_reference_models.nn.networks import Discriminator
from disentmetrics_reference_models.nn.total_correlation import permute_codes

_MIN_ROWS = 100


class DensityRatioEstimate(NamedTuple):
    """Total correlation and accuracy of a discriminator on held-out codes.

    Attributes
    ----------
    total_correlation : float
        ``E_q(z)[log D(z) / (1 - D(z))]``, in nats; may be negative.
    standard_error : float
        Standard error of this mean over the held-out codes.
    accuracy : float
        Fraction of codes and permuted codes classified correctly; 0.5 if no dependence is detected.
    """

    total_correlation: float
    standard_error: float
    accuracy: float


def density_ratio(
    codes: ArrayLike,
    *,
    n_steps: int = 1_000,
    batch_size: int = 512,
    learning_rate: float = 2e-3,
    width: int = 64,
    n_layers: int = 2,
    seed: int = 0,
) -> DensityRatioEstimate:
    """Estimate the total correlation of codes by the density ratio that a discriminator learns.

    The discriminator is trained on a random half of the rows to distinguish codes from codes whose latents are permuted
    independently, and evaluated on the other half.

    Parameters
    ----------
    codes : (n_rows, n_codes) real
        Samples of the aggregate posterior (of the posteriors, not their means), at least 100 rows.
    n_steps, batch_size, learning_rate : int, int, float
        Settings of Adam; the learning rate follows a cosine schedule down to 0.
    width, n_layers : int
        Size of the discriminator. FactorVAE uses 1000 and 6, which take minutes on a CPU and overfit fewer than
        100,000 codes.
    seed : int
        Random seed of the halves, initial weights, batches and permutations.

    Returns
    -------
    DensityRatioEstimate
        Strong dependence is underestimated, as reported by Kim & Mnih (2018): no codes lie where the density ratio is
        largest. Constant latents are ignored.

    Raises
    ------
    InvalidInputError
        If codes are not a finite matrix with at least 100 rows, or a setting is not positive.

    References
    ----------
    Kim & Mnih (2018), *Disentangling by Factorising*, ICML, equation 3. They use the discriminator that is trained
    jointly with the model, on its training codes.

    Examples
    --------
    >>> codes = np.random.default_rng(0).standard_normal((1000, 2))
    >>> abs(density_ratio(codes, n_steps=50).total_correlation) < 0.1
    True
    """
    for name, number in (("n_steps", n_steps), ("batch_size", batch_size), ("width", width), ("n_layers", n_layers)):
        if number < 1:
            raise InvalidInputError(f"{name} must be at least 1; got {number}")
    if not 0 < learning_rate < math.inf:
        raise InvalidInputError(f"learning_rate must be above 0; got {learning_rate}")
    generator = torch.Generator().manual_seed(seed)
    rows = _standardised(codes)
    rows = rows[torch.randperm(len(rows), generator=generator)]
    training, held_out = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if rows.shape[1] < 2:
        return DensityRatioEstimate(0.0, 0.0, 0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        discriminator = Discriminator(rows.shape[1], width, n_layers)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=learning_rate, betas=(0.5, 0.9))
    for step in range(n_steps):
        drawn = torch.randint(len(training), (2, batch_size), generator=generator)
        permuted = permute_codes(training[drawn[1]], torch.rand(batch_size, rows.shape[1], generator=generator))
        loss, _ = discriminator_loss(discriminator, training[drawn[0]], permuted)
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        ratios = log_ratio(discriminator(held_out)).double()
        permuted = permute_codes(held_out, torch.rand(held_out.shape, generator=generator))
        _, accuracy = discriminator_loss(discriminator, held_out, permuted)
    return DensityRatioEstimate(float(ratios.mean()), float(ratios.std()) / math.sqrt(len(ratios)), float(accuracy))


def _standardised(codes: ArrayLike) -> Tensor:
    """Return codes with mean 0 and variance 1, which leaves density ratios unchanged, without constant latents."""
    rows: NDArray[np.float64] = np.asarray(codes, np.float64)
    if rows.ndim != 2 or len(rows) < _MIN_ROWS or not rows.shape[1] or not np.isfinite(rows).all():
        raise InvalidInputError(
            f"codes must be a matrix of finite numbers with at least {_MIN_ROWS} rows and one column; "
            f"got shape {rows.shape}{'' if np.isfinite(rows).all() else ' with values that are not finite'}"
        )
    deviation = rows.std(axis=0)
    varying = np.ptp(rows, axis=0) > 0
    return torch.from_numpy(((rows - rows.mean(axis=0))[:, varying] / deviation[varying]).astype(np.float32))
