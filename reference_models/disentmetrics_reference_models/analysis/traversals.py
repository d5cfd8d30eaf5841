"""Latent traversals of a trained model, and tuning maps of its latents over two factors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.inspection.preview import ImageRow, check_path, draw_sheet
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import codes_by_kl
from disentmetrics_reference_models.analysis.posteriors import encode_means, random_draws
from disentmetrics_reference_models.training.run import Run

N_OBSERVATIONS = 2000
"""Number of observations over which the KL of a latent is averaged."""
_OTHER_DRAWS = 8


@dataclass(frozen=True)
class LatentTraversal:
    """Images decoded while one latent at a time is varied and the others keep their values for one observation.

    Attributes
    ----------
    images : (n_codes, n_values, height, width, channels) uint8
        Decoded images, one row per latent in the order of descending KL.
    codes : (n_codes,) int
        Index of the latent of each row.
    kl : (n_codes,) float
        Mean KL of these latents from the prior of the model, in nats; see :func:`~.posteriors.kl_per_latent`. NaN if
        the model has no posteriors; latents are then in their own order.
    values : (n_values,) float
        Values of the latent that is varied; a categorical latent takes its categories in turn.
    observation, reconstruction : (height, width, channels) uint8
        The observation that provides the other latents, and its reconstruction.
    """

    images: NDArray[np.uint8]
    codes: NDArray[np.int64]
    kl: NDArray[np.float64]
    values: NDArray[np.float64]
    observation: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]


@dataclass(frozen=True)
class TuningMaps:
    """Posterior mean of each latent at each combination of two factors.

    Attributes
    ----------
    maps : (n_codes, n_down, n_across) float
        Means over a few draws of all other sources of variation, the same draws at every position; one map per latent
        in the order of descending KL.
    codes : (n_codes,) int
        Index of the latent of each map.
    kl : (n_codes,) float
        Mean KL of these latents from the prior of the model over the observations of the maps, in nats; NaN if the
        model has no posteriors.
    factors : (str, str)
        The factor on the horizontal axis, from left to right, and the one on the vertical axis, from top to bottom.
    """

    maps: NDArray[np.float64]
    codes: NDArray[np.int64]
    kl: NDArray[np.float64]
    factors: tuple[str, str]


def traversal_images(
    run: Run, data: DataSet, *, n_values: int = 11, reach: float | None = None, seed: int = 0
) -> LatentTraversal:
    """Decode traversals of all latents, in the order of descending mean KL.

    Parameters
    ----------
    run : Run
    data : DataSet
        Data set of images with the shape of the training images. The mean KL is computed on 2000 random ones, and
        traversals start from the first of them.
    n_values : int
        Number of equally spaced values, including both ends.
    reach : float, optional
        Latents are varied from -reach to reach; that of the method by default: 3 for most, which are standard
        deviations under N(0, 1), and 1 for codes in [-1, 1]. Published figures use 3 (Burgess et al., 2018) or 2.
    seed : int
        Random seed of the observations.

    Returns
    -------
    LatentTraversal

    Raises
    ------
    InvalidInputError
        If the images have another shape, ``n_values`` is below 2, or ``reach`` is not positive.
    """
    if n_values < 2:
        raise InvalidInputError(f"n_values must be at least 2; got {n_values}")
    reach = run.method.reach if reach is None else reach
    if not 0 < reach < np.inf:
        raise InvalidInputError(f"reach must be above 0; got {reach}")
    if len(run.shape) == 1:
        raise InvalidInputError(
            f"traversals are images; {run.method.name} was trained on vectors of {run.shape[0]} features"
        )
    draws = random_draws(data, N_OBSERVATIONS, np.random.default_rng(seed))
    means, order, kl = _ordered(run, data, draws)
    values, start = np.linspace(-reach, reach, n_values), means[0]
    codes = np.tile(start, (len(order), n_values, 1))
    codes[np.arange(len(order)), :, order] = values
    for code, n in enumerate(run.n_categories):
        if n:
            codes[np.flatnonzero(order == code)[0], :, code] = np.arange(n_values) % n
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
    """Map the posterior means over two factors, averaged over all other sources of variation.

    Parameters
    ----------
    run : Run
    data : DataSet
        Data set of images with the shape of the training images and a full grid of factors.
    across, down : str
        The factors on the horizontal and the vertical axis, such as the position of an object.
    seed : int
        Random seed of 8 draws of the other factors and the nuisance, if there are any.

    Returns
    -------
    TuningMaps

    Raises
    ------
    InvalidInputError
        If the data set does not have two such factors, they are continuous, or the data are rows of a table.

    Notes
    -----
    As in figure 2 of Burgess et al. (2018), *Understanding disentangling in β-VAE*.
    """
    factors, nuisance, shape = _position_grid(data, across, down, np.random.default_rng(seed))
    means, order, kl = _ordered(run, data, Draws(factors, nuisance))
    by_position = means.reshape(*shape, -1).mean(axis=2)
    return TuningMaps(by_position.transpose(2, 0, 1)[order], order, kl[order], (across, down))


def _ordered(
    run: Run, data: DataSet, draws: Draws
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return codes, the order of the latents by descending KL, and the KL of each; NaN without posteriors."""
    means, kl = encode_means(run, data, draws)
    if kl is None:
        return means, np.arange(means.shape[1]), np.full(means.shape[1], np.nan)
    return means, codes_by_kl(kl), kl


def _position_grid(
    data: DataSet, across: str, down: str, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.uint64], tuple[int, int, int]]:
    """Return flattened factors and nuisances of the grid (down, across, draw of the rest), and its shape."""
    if not data.has_distribution:
        raise InvalidInputError(f"tuning maps need a data set with a full grid of factors; {data.name} has none")
    if across == down or not {across, down} <= set(data.space.names):
        raise InvalidInputError(
            f"tuning maps need two different factors of {data.name} ({', '.join(data.space.names)}); "
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


def traversal_sheet(
    traversal: LatentTraversal | None,
    tuning: TuningMaps | None = None,
    *,
    samples: NDArray[np.uint8] | None = None,
    title: str,
) -> NDArray[np.uint8]:
    """Draw traversals, one row per latent, and samples of the prior and tuning maps below them.

    Parameters
    ----------
    traversal : LatentTraversal, optional
        None for a model that does not decode its codes.
    tuning : TuningMaps, optional
    samples : (n, height, width, channels) uint8, optional
        Images of samples of the prior, see :meth:`~.run.Run.sample`.
    title : str

    Returns
    -------
    (height, width, 3) uint8
        Maps are blue for negative values, white at 0 and red for positive values, with a common scale that is given in
        the footer.
    """
    rows = [] if traversal is None else _traversal_rows(traversal)
    n_columns = 11 if traversal is None else len(traversal.values)
    drawn = () if samples is None else samples
    for first in range(0, len(drawn), n_columns):
        name, about = ("", "") if first else ("samples", "of the prior")
        rows.append(ImageRow(name, about, np.asarray(drawn[first : first + n_columns])))
    if tuning is None:
        return draw_sheet(title, rows, n_columns=n_columns)
    scale = max(float(np.abs(tuning.maps).max()), np.finfo(np.float64).tiny)
    for first in range(0, len(tuning.codes), n_columns):
        part = slice(first, first + n_columns)
        shown = zip(tuning.codes[part], tuning.kl[part], strict=True)
        below = tuple(f"{code}: {_nats(kl)}".rstrip(": ") for code, kl in shown)
        about = f"{tuning.factors[0]} across, {tuning.factors[1]} down" if first == 0 else ""
        rows.append(ImageRow("tuning" if first == 0 else "", about, _coloured(tuning.maps[part] / scale), below))
    footer = f"tuning: posterior mean of each latent, blue -{scale:.2g}, white 0, red {scale:.2g}"
    return draw_sheet(title, rows, footer, n_columns=n_columns)


def _traversal_rows(traversal: LatentTraversal) -> list[ImageRow]:
    pair = np.stack([traversal.observation, traversal.reconstruction])
    rows = [ImageRow("start", "", pair, ("observed", "decoded"))]
    last = len(traversal.codes) - 1
    labels = tuple(f"{value:z.2g}" for value in traversal.values)
    for number, (code, kl, images) in enumerate(zip(traversal.codes, traversal.kl, traversal.images, strict=True)):
        rows.append(ImageRow(f"latent {code}", _nats(kl), images, labels if number == last else ()))
    return rows


def _nats(kl: float) -> str:
    return f"{kl:.2f} nats" if np.isfinite(kl) else ""


def _coloured(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Map values from -1 to 1 to blue, white and red, with the channels in a new last axis."""
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
        If the file cannot be written; no partial file is left behind.
    """
    check_path(path)
    from PIL import Image

    image = Image.fromarray(sheet)
    with atomic_path(path) as temporary:
        image.save(temporary, format="png", optimize=True)
