"""Training data: the observations of a data set as tensors, drawn by row, with another nuisance each time."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.device_store import DeviceStore, fits_in_memory

_SAMPLE_SIZE = 1 << 18  # observations that represent a data set without a uniform full grid
_STATISTICS_SIZE = 1 << 16  # observations from which vectors are standardised
_MOST_MEAN = 1e5  # standard deviations


class TrainingData:
    """The observations of a data set in the layout of PyTorch.

    Parameters
    ----------
    data : DataSet
        Images or vectors. The full grid of factors is used where all combinations are equally likely, and otherwise a
        fixed sample of 262,144 draws. Nuisances are not fixed: each time that a row is drawn, it has another one, as
        in the samples that are scored. The rows of a table are its recorded observations.

    Attributes
    ----------
    shape : tuple of int
        (channels, height, width) of images, (n_features,) of vectors.
    draws_nuisance : bool
        Whether a row has another nuisance each time that it is drawn.

    Raises
    ------
    InvalidInputError
        If the observations are neither images nor vectors.
    """

    def __init__(self, data: DataSet) -> None:
        if len(data.observation_shape) not in {1, 3}:
            raise InvalidInputError(
                f"training needs images of shape (height, width, channels), or vectors; observations of {data.name} "
                f"have shape {data.observation_shape}"
            )
        self.data = data
        *sides, last = data.observation_shape
        self.shape: Shape = (last, *sides)
        self.draws_nuisance = bool(data.nuisances) and not data.is_observed
        # The grid is computed row by row; other data sets list their rows.
        is_computed = data.has_full_grid and data.has_distribution
        self._draws = None if is_computed else _listed_draws(data)
        self._stores: dict[torch.device, DeviceStore] = {}

    def __len__(self) -> int:
        return len(self.data) if self._draws is None else len(self._draws)

    def draws(self, rows: NDArray[np.int64], nuisance: NDArray[np.uint64] | None = None) -> Draws:
        """Return factors and nuisance of these rows (n,); each with its default nuisance unless given."""
        drawn = self.data.draws(self.data.space.indices_of(rows)) if self._draws is None else self._draws[rows]
        return drawn if nuisance is None else Draws(drawn.factors, nuisance, drawn.groups)

    def draw_nuisance(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint64] | None:
        """Draw a nuisance for each row (n,); None if rows determine their observations."""
        return self.data.sample_nuisance(self.draws(rows).factors, rng) if self.draws_nuisance else None

    def at(self, rows: NDArray[np.int64], device: torch.device, nuisance: NDArray[np.uint64] | None = None) -> Tensor:
        """Return the observations at these rows on the device, (*rows.shape, *shape), uint8 images or float32 vectors.

        Devices other than the CPU keep all images in their own memory if there is enough of it.
        """
        is_image = len(self.shape) > 1
        on_device = nuisance is None and is_image and device.type != "cpu"
        if on_device and fits_in_memory(len(self) * math.prod(self.shape), device):
            if device not in self._stores:
                self._stores[device] = DeviceStore(self._observed, len(self), device)
            return self._stores[device].at(torch.from_numpy(rows))
        flat = None if nuisance is None else nuisance.ravel()
        observed = torch.from_numpy(self._observed(rows.ravel(), flat))
        return observed.to(device).reshape(*rows.shape, *self.shape)

    def _observed(self, rows: NDArray[np.int64], nuisance: NDArray[np.uint64] | None = None) -> NDArray[Any]:
        some = self.draws(rows, nuisance)
        observations = self.data.observations(some.factors, some.nuisance)
        if len(self.shape) == 1:
            return np.ascontiguousarray(observations, np.float32)
        return np.ascontiguousarray(np.moveaxis(observations, -1, 1))

    def some(self, n: int) -> Tensor:
        """Return a fixed random sample of n observations, or all if there are fewer, (n, *shape)."""
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(self))[:n]
        return self.at(rows, torch.device("cpu"), self.draw_nuisance(rows, rng))

    @cached_property
    def scaling(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature of vectors, (n_features,) float32 each; 1 for constant features.

        Computed from 65,536 observations at most.

        Raises
        ------
        InvalidInputError
            If a feature is not finite, or its mean so large that single precision does not resolve its values.
        """
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(self))[:_STATISTICS_SIZE]
        some = self.draws(rows, self.draw_nuisance(rows, rng))
        sample = self.data.observations(some.factors, some.nuisance).astype(np.float64)
        name, n = self.data.name, sample.shape[1]
        if bad := int((~np.isfinite(sample)).any(axis=0).sum()):
            raise InvalidInputError(
                f"training needs finite observations; {bad} of {n} features of {name} have missing or infinite values: "
                "fill them in or leave them out"
            )
        constant = sample.min(axis=0) == sample.max(axis=0)
        mean, deviation = sample.mean(axis=0), np.where(constant, 1.0, sample.std(axis=0))
        if coarse := int((~constant & (np.abs(mean) > _MOST_MEAN * deviation)).sum()):
            raise InvalidInputError(
                f"single precision must resolve every feature; the mean of {coarse} of {n} features of {name} is more "
                f"than {_MOST_MEAN:,.0f} times the standard deviation: subtract a constant from them"
            )
        return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()

    def scaled(self, observations: Tensor) -> Tensor:
        """Return observations (..., *shape) as objectives receive them: images in [0, 1], or standardised vectors."""
        if len(self.shape) > 1:
            return observations.float() / 255
        mean, deviation = (values.to(observations.device) for values in self.scaling)
        return (observations - mean) / deviation

    def require_grid(self, method: str) -> None:
        """Raise InvalidInputError if there is no uniform full grid, from which the method forms its batches."""
        if not (self.data.has_distribution and self.data.has_full_grid):
            raise InvalidInputError(
                f"{method} needs a full grid of factors, all equally likely; {self.data.name} has none; "
                "train another method"
            )

    def check_factors(self, field: str, names: Sequence[str]) -> None:
        """Raise InvalidInputError if a field of a configuration names factors that do not exist, or one twice."""
        known = self.data.space.names
        for name in names:
            if name not in known:
                raise InvalidInputError(
                    f"{field} must be factors of {self.data.name}, {', '.join(known)}; got {name!r}"
                    f"{did_you_mean(name, known)}"
                )
        if len(set(names)) < len(names):
            raise InvalidInputError(f"{field} must name each factor once; got {','.join(names)}")

    @property
    def n_factors(self) -> int:
        """Number of factors of the data set."""
        return len(self.data.space)

    @cached_property
    def factor_scaling(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each factor, (n_factors,) each; infinite deviation of a constant factor.

        Discrete factors are represented by the index of their value. NaN for a factor with missing values.
        """
        columns = [self._factor_column(j) for j in range(self.n_factors)]
        mean = np.array([column.mean() for column in columns])
        deviation = np.array([np.inf if column.min() == column.max() else column.std() for column in columns])
        return mean, deviation

    def _factor_column(self, j: int) -> NDArray[np.float64]:
        if self._draws is None:
            return np.arange(self.data.space.factors[j].size or 1, dtype=np.float64)  # equally likely
        values = self._draws.factors[:, j].astype(np.float64)
        if self.data.space.is_grid:
            values[values < 0] = np.nan
        return values


def _listed_draws(data: DataSet) -> Draws:
    if data.has_full_grid:
        return data.full_grid()
    return data.sample(_SAMPLE_SIZE, np.random.default_rng(0), replace=True)


def standardised_factors(data: TrainingData, draws: Draws) -> NDArray[np.float32]:
    """Return the factors (n, n_factors), standardised over the data set to mean 0 and variance 1.

    A constant factor is 0, and a factor with missing values NaN.
    """
    mean, deviation = data.factor_scaling
    return np.asarray((draws.factors.astype(np.float64) - mean) / deviation, np.float32)
