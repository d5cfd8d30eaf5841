"""Gaussian blobs: a single bright spot whose position (x, y) is the only factor of variation.

Modelled on Burgess et al. (2018), *Understanding disentangling in β-VAE*, Fig. 2.
"""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.options import no_target, real_number, whole_number
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SIZE, WIDTH, POSITIONS = 64, 4.0, 32
_MAX_POSITIONS = 1024
_BIBTEX = """@article{burgess18,
  author = {Christopher P. Burgess and Irina Higgins and Arka Pal and Loic Matthey and Nick Watters
            and Guillaume Desjardins and Alexander Lerchner},
  title = {Understanding disentangling in $\\beta$-VAE},
  journal = {arXiv preprint arXiv:1804.03599},
  year = {2018}
}"""


def _space(centres: NDArray[np.float64]) -> FactorSpace:
    values = tuple(centres.tolist())
    return FactorSpace([Factor(name, len(values), "ordinal", values) for name in ("x", "y")])


def _centres(size: int, width: float, positions: int) -> NDArray[np.float64]:
    """Return evenly spaced centres in pixels from the edge of the image, from ``width`` to ``size - width``."""
    return width + (size - 2 * width) * np.arange(positions) / (positions - 1)


def _outer_products(y_profiles: NDArray[np.float32], x_profiles: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the outer products (n, size, size) of profiles (n, size) in y and x, rounded to grey levels."""
    brightness = (255 * y_profiles)[:, :, None] * x_profiles[:, None, :]
    brightness += np.float32(0.5)
    return brightness.astype(np.uint8)


class Blobs(DataSet):
    """A Gaussian blob on a black background, at each point of a regular grid of positions.

    The intensity is exp(-r² / 2w²) at distance r from the centre, so w is the standard
    deviation. Centres are evenly spaced from w to size - w in x (to the right) and y (down).

    Parameters
    ----------
    size : int
        Height and width of an image in pixels.
    width : float
        The standard deviation w of the blob in pixels.
    positions : int
        Number of values of x and of y.

    Raises
    ------
    InvalidInputError
        If the blob does not fit into the image, or neighbouring positions give identical images.

    References
    ----------
    Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), *Understanding
    disentangling in β-VAE*, Fig. 2. The paper does not specify the width of the blob or the grid:
    w = 4 pixels of 64 and 32 x 32 positions are a choice made here.

    Examples
    --------
    >>> data = Blobs(size=16, width=1, positions=15)
    >>> data.observations([[7, 7]])[0, 8, :, 0]
    array([  0,   0,   0,   0,   0,  10,  73, 199, 199,  73,  10,   0,   0,
             0,   0,   0], dtype=uint8)
    """

    name = "blobs"

    def __init__(self, size: int = SIZE, width: float = WIDTH, positions: int = POSITIONS) -> None:
        if not 0 < 2 * width < size:
            raise InvalidInputError(
                f"twice the width of the blob must be less than the image size {size}; got width {width:g}"
            )
        self.size, self.width, self.positions = size, width, positions
        is_default = (size, width, positions) == (SIZE, WIDTH, POSITIONS)
        self.fingerprint = "blobs-1" if is_default else f"blobs-1-{size}-{width!r}-{positions}"
        self.observation_shape = (size, size, 1)
        centres = _centres(size, width, positions)
        self.space = _space(centres)
        offsets = (np.arange(size) + 0.5 - centres[:, None]) / width
        # Rounded, so that the images do not depend on the mathematics library.
        self._profiles = np.round(np.exp(-0.5 * offsets * offsets), 12).astype(np.float32)
        # Neighbouring positions must differ even in the blob whose brightest pixel is dimmest.
        lowest_peak = np.full((1, 1), self._profiles.max(axis=1).min())
        brightest_lines = _outer_products(lowest_peak, self._profiles.reshape(1, -1)).reshape(positions, size)
        if not (brightest_lines[1:] != brightest_lines[:-1]).any(axis=1).all():
            raise InvalidInputError(
                f"neighbouring positions must give different images; with {positions} positions on {size} pixels "
                f"and width {width:g} some are identical: use fewer positions"
            )

    def __reduce__(self) -> tuple[type["Blobs"], tuple[int, float, int]]:
        return type(self), (self.size, self.width, self.positions)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, size, size, 1) with these factors, black 0 and white 255."""
        images = np.empty((len(factors), *self.observation_shape), np.uint8)
        batch_size = max(1, 2**18 // self.size**2)  # temporaries fit into the CPU cache
        for start in range(0, len(factors), batch_size):
            x, y = factors[start : start + batch_size].T
            images[start : start + batch_size, ..., 0] = _outer_products(self._profiles[y], self._profiles[x])
        return images


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=Blobs.name,
        summary="a Gaussian blob on black at 32 x 32 positions; ?size=, ?width= and ?positions= set image size, "
        "blob width and number of positions",
        space=_space(_centres(SIZE, WIDTH, POSITIONS)),
        offline=True,
        licence="Apache-2.0",
        citation="modelled on Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), "
        "Understanding disentangling in beta-VAE, Fig. 2",
        bibtex=_BIBTEX,
        remarks=(
            "the paper does not specify width and grid: 4 pixels of 64 and 32 x 32 positions are a choice made here",
        ),
    )


def load(
    target: str = "",
    *,
    size: str | int = SIZE,
    width: str | float = WIDTH,
    positions: str | int = POSITIONS,
) -> Blobs:
    """Return Gaussian blobs.

    Parameters
    ----------
    target : str
        Must be empty.
    size : int
        Height and width of an image in pixels, 8 to 256.
    width : float
        Standard deviation of the blob in pixels.
    positions : int
        Number of values of x and of y, at least 2.

    Returns
    -------
    Blobs

    Raises
    ------
    InvalidInputError
        If an option is out of range, neighbouring positions would give identical images, or a path is given.
    """
    no_target(Blobs.name, target)
    return Blobs(
        whole_number("size", size, 8, 256),
        real_number("width", width, 0.25, 128),
        whole_number("positions", positions, 2, _MAX_POSITIONS),
    )
