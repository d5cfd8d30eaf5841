"""Gaussian blobs: one soft spot of light, whose place is all there is to tell."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.options import no_target, real_number, whole_number
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SIZE, WIDTH, POSITIONS = 64, 4.0, 32
_MOST_POSITIONS = 1024
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
    """Return the centres in pixels from the image's edge, ``width`` away from it at both ends."""
    return width + (size - 2 * width) * np.arange(positions) / (positions - 1)


def _products(down: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the products (n, size, size) of profiles (n, size) in y and x, rounded to levels."""
    brightness = (255 * down)[:, :, None] * across[:, None, :]
    brightness += np.float32(0.5)
    return brightness.astype(np.uint8)


class Blobs(DataSet):
    """A Gaussian blob on black, at each point of a grid of places.

    Brightness falls off as exp(-r² / 2w²) from the centre, so that w is the standard
    deviation. Centres lie on an even grid from w to size - w in x (to the right) and y (down).

    Parameters
    ----------
    size : int
        Height and width of an image in pixels.
    width : float
        The standard deviation w of the blob in pixels.
    positions : int
        How many values each of x and y has.

    Raises
    ------
    InvalidInputError
        If the blob does not fit in, or places are so close that their images are equal.

    References
    ----------
    Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), *Understanding
    disentangling in β-VAE*, Fig. 2. Width, grid and number of images are not given there:
    w = 4 of 64 pixels and 32 x 32 places are our choice.

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
                f"the blob must fit in: twice its width must be less than the size {size}; got width {width:g}"
            )
        self.size, self.width, self.positions = size, width, positions
        is_default = (size, width, positions) == (SIZE, WIDTH, POSITIONS)
        self.fingerprint = "blobs-1" if is_default else f"blobs-1-{size}-{width!r}-{positions}"
        self.observation_shape = (size, size, 1)
        centres = _centres(size, width, positions)
        self.space = _space(centres)
        offsets = (np.arange(size) + 0.5 - centres[:, None]) / width
        # Rounded, so that every mathematics library gives the same.
        self._profiles = np.round(np.exp(-0.5 * offsets * offsets), 12).astype(np.float32)
        dullest = np.full((1, 1), self._profiles.max(axis=1).min())
        brightest_lines = _products(dullest, self._profiles.reshape(1, -1)).reshape(positions, size)
        if not (brightest_lines[1:] != brightest_lines[:-1]).any(axis=1).all():
            raise InvalidInputError(
                f"neighbouring places must look different; with {positions} positions on {size} pixels "
                f"and width {width:g} some do not: take fewer positions"
            )

    def __reduce__(self) -> tuple[type["Blobs"], tuple[int, float, int]]:
        return type(self), (self.size, self.width, self.positions)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, size, size, 1) with these factors, black 0 and white 255."""
        images = np.empty((len(factors), *self.observation_shape), np.uint8)
        at_once = max(1, 2**18 // self.size**2)  # so that temporaries stay in the processor's cache
        for start in range(0, len(factors), at_once):
            x, y = factors[start : start + at_once].T
            images[start : start + at_once, ..., 0] = _products(self._profiles[y], self._profiles[x])
        return images


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=Blobs.name,
        summary="a Gaussian blob on black, at 32 x 32 places; ?size=, ?width= and ?positions= change it",
        space=_space(_centres(SIZE, WIDTH, POSITIONS)),
        offline=True,
        licence="Apache-2.0",
        citation="modelled on Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), "
        "Understanding disentangling in beta-VAE, Fig. 2",
        bibtex=_BIBTEX,
        remarks=("the paper gives neither width nor grid: 4 of 64 pixels and 32 x 32 places are a choice",),
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
        How many values each of x and y has, at least 2.

    Returns
    -------
    Blobs

    Raises
    ------
    InvalidInputError
        If an option is out of range, places would look alike, or a path is given.
    """
    no_target(Blobs.name, target)
    return Blobs(
        whole_number("size", size, 8, 256),
        real_number("width", width, 0.25, 128),
        whole_number("positions", positions, 2, _MOST_POSITIONS),
    )
