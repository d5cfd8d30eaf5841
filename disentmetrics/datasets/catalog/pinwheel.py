"""The pinwheel: points in the plane on twisted arms, after Johnson et al. (2016) and Mathieu et al. (2019).

Factors: arm (categorical), radial and tangential position (continuous).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.options import no_target, whole_number
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

N_ARMS = 4
RADIAL_SPREAD, TANGENTIAL_SPREAD, RATE = 0.3, 0.1, 0.25
_MAX_POSITION = 8  # 23 standard deviations from the mean; radially a twist of 745 radians
_BIBTEX = """@inproceedings{mathieu19,
  author = {Emile Mathieu and Tom Rainforth and N. Siddharth and Yee Whye Teh},
  title = {Disentangling Disentanglement in Variational Autoencoders},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}"""
_DECIMALS = 9  # mathematics libraries agree on these and several more


def _space(n_arms: int) -> FactorSpace:
    return FactorSpace([
        Factor("arm", n_arms, "categorical"),
        Factor("radial", None, "continuous"),
        Factor("tangential", None, "continuous"),
    ])  # fmt: skip


class Pinwheel(DataSet):
    """Points (x, y) on the arms of a pinwheel.

    The point (radial, tangential), with radial ~ N(1, 0.3²) and tangential ~ N(0, 0.1²), is rotated
    about the origin by 2π arm / n_arms + exp(radial) / 4, counter-clockwise, which twists the arms.
    Coordinates are rounded to 9 decimals, so that every machine gives the same.

    Parameters
    ----------
    n_arms : int
        Number of arms, all equally likely.

    Raises
    ------
    InvalidInputError
        From ``observations``, if radial or tangential lies outside -8 .. 8.

    References
    ----------
    Johnson, Duvenaud, Wiltschko, Datta, Adams (2016), *Composing graphical models with neural
    networks for structured representations and fast inference*; as used by Mathieu,
    Rainforth, Siddharth, Teh (2019), *Disentangling Disentanglement in Variational
    Autoencoders*, with 4 arms of 100 points.

    Examples
    --------
    >>> Pinwheel().observations([[0, 1.0, 0.0], [1, 1.0, 0.0]])
    array([[ 0.77784274,  0.62845896],
           [-0.62845896,  0.77784274]])
    """

    name = "pinwheel"
    observation_shape = (2,)

    def __init__(self, n_arms: int = N_ARMS) -> None:
        self.space = _space(n_arms)
        self.fingerprint = f"pinwheel-1-{n_arms}"

    def __reduce__(self) -> tuple[type["Pinwheel"], tuple[int | None]]:
        return type(self), (self.space["arm"].size,)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return the points (n, 2) float64 with these factors."""
        arm, radial, tangential = factors.T
        for name, position in (("radial", radial), ("tangential", tangential)):
            if len(position) and not -_MAX_POSITION <= position.min() <= position.max() <= _MAX_POSITION:
                raise InvalidInputError(
                    f"{name} must lie in -{_MAX_POSITION} .. {_MAX_POSITION}, beyond which there are no points; "
                    f"got {position.min():g} .. {position.max():g}"
                )
        angle = 2 * np.pi * arm / (self.space["arm"].size or 1) + RATE * np.exp(radial)
        cos, sin = np.cos(angle), np.sin(angle)
        points = np.stack([radial * cos - tangential * sin, radial * sin + tangential * cos], axis=1)
        return np.round(points, _DECIMALS)

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw arms uniformly and positions from their Gaussian distributions, as (n, 3)."""
        arm = rng.integers(self.space["arm"].size or 1, size=n)
        positions = rng.standard_normal((n, 2)) * (RADIAL_SPREAD, TANGENTIAL_SPREAD) + (1, 0)
        return np.column_stack([arm, positions])


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=Pinwheel.name,
        summary="points in the plane on 4 twisted arms; ?n_arms= sets their number",
        space=_space(N_ARMS),
        offline=True,
        licence="Apache-2.0",
        citation="the design of Johnson, Duvenaud, Wiltschko, Datta, Adams (2016), Composing graphical models with "
        "neural networks, as used by Mathieu, Rainforth, Siddharth, Teh (2019), Disentangling Disentanglement in "
        "Variational Autoencoders",
        bibtex=_BIBTEX,
    )


def load(target: str = "", *, n_arms: str | int = N_ARMS) -> Pinwheel:
    """Return the pinwheel.

    Parameters
    ----------
    target : str
        Must be empty.
    n_arms : int
        Number of arms, 2 to 64.

    Returns
    -------
    Pinwheel

    Raises
    ------
    InvalidInputError
        If the number of arms is out of range, or a path is given.
    """
    no_target(Pinwheel.name, target)
    return Pinwheel(whole_number("n_arms", n_arms, 2, 64))
