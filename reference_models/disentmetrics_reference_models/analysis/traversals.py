"""What each code of a trained model does: latent traversals, and maps of its tuning to position."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.inspection.preview import PictureRow, check_path, drawn_sheet
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import codes_by_kl
from disentmetrics_reference_models.analysis.posteriors import kl_of_codes, posteriors_of, some_draws
from disentmetrics_reference_models.training.run import Run

N_OBSERVATIONS = 2000
"""Observations that the mean KL of a code is over."""
_OTHER_DRAWS = 8


@dataclass(frozen=True)
class LatentTraversal:
    """One code at a time runs through its values while the others stay as they are for one observation.

    Attributes
    ----------
    images : (n_codes, n_values, height, width, channels) uint8
        Decoded; the row of the code with the highest KL comes first.
    codes : (n_codes,) int
        Which code each row is of.
    kl : (n_codes,) float
        Mean KL of these codes' posteriors from the model's own prior, in nats; see :func:`~.posteriors.kl_of_codes`.
    values : (n_values,) float
        Of the code that runs.
    observation, reconstruction : (height, width, channels) uint8
        Where the other codes are taken from, and its posterior mean decoded.
    """

    images: NDArray[np.uint8]
    codes: NDArray[np.int64]
    kl: NDArray[np.float64]
    values: NDArray[np.float64]
    observation: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]


@dataclass(frozen=True)
class TuningMaps:
    """Posterior mean of each code at each position.

    Attributes
    ----------
    maps : (n_codes, n_down, n_across) float
        Averaged over a few draws of whatever else varies, the same at every position; highest KL first.
    codes : (n_codes,) int
        Which code each map is of.
    kl : (n_codes,) float
        Mean KL of these codes' posteriors from the model's own prior over the observations of the maps, in nats.
    factors : (str, str)
        The factor across, from left to right, and the one down.
    """

    maps: NDArray[np.float64]
    codes: NDArray[np.int64]
    kl: NDArray[np.float64]
    factors: tuple[str, str]


def traversal_images(
    run: Run, data: DataSet, *, n_values: int = 11, reach: float = 3.0, seed: int = 0
) -> LatentTraversal:
    """Decode traversals of every code, in the order of descending mean KL.

    Parameters
    ----------
    run : Run
    data : DataSet
        Of images that the model takes: 2000 random ones decide the mean KL, the first of them is where codes start.
    n_values : int
        Evenly spaced, both ends included.
    reach : float
        Values run from -reach to reach, whatever the prior: these are standard deviations under N(0, 1). 3 in Burgess
        et al. (2018), 2 in some others' figures.
    seed : int
        Decides the observations.

    Returns
    -------
    LatentTraversal

    Raises
    ------
    InvalidInputError
        If the model takes other images, there are fewer than 2 values, or the reach is not above 0.
    """
    if n_values < 2:
        raise InvalidInputError(f"n_values must be at least 2; got {n_values}")
    if not 0 < reach < np.inf:
        raise InvalidInputError(f"reach must be above 0; got {reach}")
    draws = some_draws(data, N_OBSERVATIONS, np.random.default_rng(seed))
    posteriors = posteriors_of(run, data, draws)
    kl = kl_of_codes(run, posteriors)
    order, values = codes_by_kl(kl), np.linspace(-reach, reach, n_values)
    start = posteriors.mean[0].astype(np.float64)
    codes = np.tile(start, (len(order), n_values, 1))
    codes[np.arange(len(order)), :, order] = values
    images = run.decode(codes.reshape(-1, len(order)))
    return LatentTraversal(
        images=images.reshape(len(order), n_values, *images.shape[1:]),
        codes=order,
        kl=kl[order],
        values=values,
        observation=data.observations(draws.factors[:1], draws.nuisance[:1])[0],
        reconstruction=run.decode(start[None])[0],
    )


def tuning_maps(run: Run, data: DataSet, across: str = "x", down: str = "y", *, seed: int = 0) -> TuningMaps:
    """Encode every position of an object, and average the codes over whatever else varies.

    Parameters
    ----------
    run : Run
    data : DataSet
        Of images that the model takes, with a full grid of factors.
    across, down : str
        Two factors of position, horizontal and vertical.
    seed : int
        Decides the other factors and the nuisance: 8 draws, or none where nothing else varies.

    Returns
    -------
    TuningMaps

    Raises
    ------
    InvalidInputError
        If there are no two such factors, they are continuous, or the data are rows of a table.

    Notes
    -----
    As in figure 2 of Burgess et al. (2018), *Understanding disentangling in β-VAE*, for blobs.
    """
    factors, nuisance, shape = _everywhere(data, across, down, np.random.default_rng(seed))
    posteriors = posteriors_of(run, data, Draws(factors, nuisance))
    kl = kl_of_codes(run, posteriors)
    order = codes_by_kl(kl)
    by_position = posteriors.mean.astype(np.float64).reshape(*shape, -1).mean(axis=2)
    return TuningMaps(by_position.transpose(2, 0, 1)[order], order, kl[order], (across, down))


def _everywhere(
    data: DataSet, across: str, down: str, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.uint64], tuple[int, int, int]]:
    """Return observations at (down, across, draw of the rest), flat, and that shape."""
    if not data.has_distribution:
        raise InvalidInputError(f"tuning maps need data with a full grid of factors; {data.name} has none")
    if across == down or not {across, down} <= set(data.space.names):
        raise InvalidInputError(
            f"tuning maps are over two different factors of {data.name} ({', '.join(data.space.names)}); "
            f"got {across!r} and {down!r}"
        )
    columns = [data.space.names.index(name) for name in (down, across)]
    n_down, n_across = (data.space.sizes[column] for column in columns)
    n_draws = _OTHER_DRAWS if len(data.space) > 2 or data.nuisances else 1
    others = data.sample_factors(n_draws, rng)
    shape = (n_down, n_across, n_draws)
    factors = np.broadcast_to(others, (*shape, others.shape[1])).copy()
    factors[..., columns[0]] = np.arange(n_down)[:, None, None]
    factors[..., columns[1]] = np.arange(n_across)[:, None]
    flat = factors.reshape(-1, others.shape[1])
    if data.nuisances:
        nuisance = np.tile(data.sample_nuisance(others, rng), n_down * n_across)
    else:
        nuisance = data.default_nuisance(flat)
    return flat, nuisance, shape


def traversal_sheet(traversal: LatentTraversal, tuning: TuningMaps | None = None, *, title: str) -> NDArray[np.uint8]:
    """Draw traversals, a row each, and below them the tuning maps.

    Returns
    -------
    (height, width, 3) uint8
        Maps are blue below 0, white at 0 and red above, all on one scale, which is written below.
    """
    n_columns = len(traversal.values)
    pair = np.stack([traversal.observation, traversal.reconstruction])
    rows = [PictureRow("start", "", pair, ("observed", "decoded"))]
    last = len(traversal.codes) - 1
    labels = tuple(f"{value:z.2g}" for value in traversal.values)
    for number, (code, kl, images) in enumerate(zip(traversal.codes, traversal.kl, traversal.images, strict=True)):
        rows.append(PictureRow(f"code {code}", _nats(kl), images, labels if number == last else ()))
    if tuning is None:
        return drawn_sheet(title, rows, n_columns=n_columns)
    scale = max(float(np.abs(tuning.maps).max()), np.finfo(np.float64).tiny)
    for first in range(0, len(tuning.codes), n_columns):
        part = slice(first, first + n_columns)
        below = tuple(f"{code}: {_nats(kl)}" for code, kl in zip(tuning.codes[part], tuning.kl[part], strict=True))
        about = f"{tuning.factors[0]} across, {tuning.factors[1]} down" if first == 0 else ""
        rows.append(PictureRow("tuning" if first == 0 else "", about, _coloured(tuning.maps[part] / scale), below))
    footer = f"tuning: mean of each code, blue -{scale:.2g}, white 0, red {scale:.2g}"
    return drawn_sheet(title, rows, footer, n_columns=n_columns)


def _nats(kl: float) -> str:
    return f"{kl:.2f} nats"


def _coloured(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return values from -1 to 1 as blue, white and red, with a last axis for the channels."""
    rest = np.rint(255 * (1 - np.abs(shares)))
    full = np.full_like(rest, 255)
    return np.stack([np.where(shares < 0, rest, full), rest, np.where(shares > 0, rest, full)], -1).astype(np.uint8)


def save_traversal(sheet: NDArray[np.uint8], path: Path) -> None:
    """Write a sheet as PNG.

    Raises
    ------
    InvalidInputError
        If the path does not end in .png.
    StorageError
        If the file cannot be written; nothing half-written is left behind.
    """
    check_path(path)
    from PIL import Image

    image = Image.fromarray(sheet)
    with atomic_path(path) as temporary:
        image.save(temporary, format="png", optimize=True)
