"""The total correlation that a discriminator sees: it learns codes from permuted codes, and is asked about others."""

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

_LEAST_ROWS = 100


class DensityRatioEstimate(NamedTuple):
    """What a discriminator says of codes that it has not learned from.

    Attributes
    ----------
    total_correlation : float
        ``E_q(z)[log D(z) / (1 - D(z))]``, in nats; may come out below 0.
    standard_error : float
        Of that mean, from the codes that were kept aside alone.
    accuracy : float
        Share of codes and permuted codes that it tells right; 0.5 where it sees no dependence.
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
    """Estimate the total correlation of codes by the ratio of densities that a discriminator learns.

    A random half of the rows teaches it to tell codes from codes that are permuted each on their own; the estimate is
    over the other half.

    Parameters
    ----------
    codes : (n_rows, n_codes) real
        Samples of the aggregate posterior, one a row: samples of the posteriors and not their means. At least 100.
    n_steps, batch_size, learning_rate : int, int, float
        Of Adam; the rate falls to 0 along half a cosine.
    width, n_layers : int
        Of the discriminator. 1000 and 6 are those of FactorVAE, which take minutes without a GPU and remember
        fewer codes than 100,000 by heart.
    seed : int
        Decides halves, initial weights, batches and permutations.

    Returns
    -------
    DensityRatioEstimate
        Where codes are strongly dependent it is too small, as Kim & Mnih (2018) say of theirs: no codes lie where the
        ratio is largest. Codes that do not vary are left out.

    Raises
    ------
    InvalidInputError
        If codes are no finite matrix of so many rows, or a number is below 1.

    References
    ----------
    Kim & Mnih (2018), *Disentangling by Factorising*, ICML, equation 3. Their estimate is that of the discriminator
    that is trained with the model, on codes it learns from.

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
    taught, asked = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if rows.shape[1] < 2:
        return DensityRatioEstimate(0.0, 0.0, 0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Discriminator(rows.shape[1], width, n_layers)
    optimizer = torch.optim.Adam(judge.parameters(), lr=learning_rate, betas=(0.5, 0.9))
    for step in range(n_steps):
        drawn = torch.randint(len(taught), (2, batch_size), generator=generator)
        other = permute_codes(taught[drawn[1]], torch.rand(batch_size, rows.shape[1], generator=generator))
        loss, _ = discriminator_loss(judge, taught[drawn[0]], other)
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        ratios = log_ratio(judge(asked)).double()
        _, right = discriminator_loss(judge, asked, permute_codes(asked, torch.rand(asked.shape, generator=generator)))
    return DensityRatioEstimate(float(ratios.mean()), float(ratios.std()) / math.sqrt(len(ratios)), float(right))


def _standardised(codes: ArrayLike) -> Tensor:
    """Return codes of mean 0 and variance 1, which changes no ratio of densities; constant ones are left out."""
    rows: NDArray[np.float64] = np.asarray(codes, np.float64)
    if rows.ndim != 2 or len(rows) < _LEAST_ROWS or not rows.shape[1] or not np.isfinite(rows).all():
        raise InvalidInputError(
            f"codes must be a matrix of finite numbers with at least {_LEAST_ROWS} rows and one column; "
            f"got shape {rows.shape}{'' if np.isfinite(rows).all() else ' with numbers that are not finite'}"
        )
    spread = rows.std(axis=0)
    varying = np.ptp(rows, axis=0) > 0
    return torch.from_numpy(((rows - rows.mean(axis=0))[:, varying] / spread[varying]).astype(np.float32))
