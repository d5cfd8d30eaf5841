"""Images of the report: sample observations, and latent traversals of models with a decoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.inspection.preview import sheet_rows, title_of
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.errors import EncoderError, InvalidInputError
from disentmetrics.estimators.activity import codes_by_kl
from disentmetrics.report.heat import PageImage, png, sheet
from disentmetrics.results.card import ScoreCard

N_SAMPLES = 24
N_VALUES = 9
REACH = 3.0
"""Latents are varied over three standard deviations of the prior in both directions, as in Burgess et al. (2018)."""
MAX_TRAVERSED = 32
"""Largest number of latents shown, those with the highest KL."""
_SMALLEST_SIDE = 64  # pixels on the screen, with room for a label
_LARGEST_SIDE = 96  # pixels that a figure of a few centimetres can show


@runtime_checkable
class Decoder(Protocol):
    """An encoder with a method that decodes codes to images, as latent traversals need.

    Models of ``reference:RUN_DIR`` have one; any other encoder may provide it.
    """

    def decode(self, codes: NDArray[np.floating], /) -> NDArray[np.uint8]:
        """Return images (n, height, width, channels) of codes (n, n_codes)."""
        ...


@dataclass(frozen=True)
class Strip:
    """Images in a row, with a name, a description and labels below."""

    name: str
    about: str
    image: PageImage
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportImages:
    """Sample observations of a data set and latent traversals of a model, for the report.

    Attributes
    ----------
    title : str
        Title of the data set.
    samples : tuple of Strip
        Random observations, then each factor varied on its own.
    start : Strip or None
        The observation that traversals start from, and its reconstruction.
    traversals : tuple of Strip
        One strip per latent.
    order : str
        Order of the latents, in words.
    """

    title: str
    samples: tuple[Strip, ...]
    start: Strip | None = None
    traversals: tuple[Strip, ...] = ()
    order: str = ""


def report_images(
    data: DataSet, encoder: Encoder | None = None, cards: Sequence[ScoreCard] = (), *, seed: int = 0
) -> ReportImages:
    """Return sample observations of a data set and, for an encoder with a decoder, latent traversals.

    Parameters
    ----------
    data : DataSet
        Data set of images (height, width, 1 or 3).
    encoder : Encoder, optional
        Encoder with a method ``decode`` (:class:`Decoder`).
    cards : sequence of ScoreCard
        Latents are ordered by the KL on the card of this encoder, which its fingerprint identifies.
    seed : int
        Random seed of the drawn observations.

    Returns
    -------
    ReportImages

    Raises
    ------
    InvalidInputError
        If observations are not images, or the encoder has no decoder.
    EncoderError
        If the decoder returns anything but images.
    """
    shape = data.observation_shape
    if len(shape) != 3 or shape[2] not in {1, 3}:
        raise InvalidInputError(
            "images of a report must have shape (height, width, 1 or 3); "
            f"observations of {data.name} have shape {shape}: leave --data out"
        )
    samples = tuple(_samples(data, np.random.default_rng(seed)))
    if encoder is None:
        return ReportImages(title_of(data), samples)
    if not isinstance(encoder, Decoder):
        raise InvalidInputError(
            "latent traversals need a model with a method decode (codes to images), such as "
            "reference:RUN_DIR; this encoder has none: leave --model out"
        )
    kl = _kl_of(encoder, cards)
    start, strips = _traversals(encoder, data, kl, np.random.default_rng(seed))
    if kl is None:
        order = "Latents are in their original order: no card of this model with KL values was given."
    elif len(kl) > MAX_TRAVERSED:
        order = f"Ordered by KL; {len(kl) - MAX_TRAVERSED} latents with lower KL are not shown."
    else:
        order = "Ordered by KL, highest first."
    return ReportImages(title_of(data), samples, start, strips, order)


def _samples(data: DataSet, rng: np.random.Generator) -> Iterator[Strip]:
    for number, row in enumerate(sheet_rows(data, rng, N_SAMPLES)):
        observations = data.observations(row.draws.factors, row.draws.nuisance)
        yield _strip(row.name or ("" if number else "samples"), row.about, observations, row.labels)


def _traversals(
    encoder: Encoder, data: DataSet, kl: NDArray[np.float64] | None, rng: np.random.Generator
) -> tuple[Strip, tuple[Strip, ...]]:
    draws = data.sample(1, rng)
    observation = data.observations(draws.factors, draws.nuisance)
    answer = encoder(observation)
    mean = np.asarray(answer.mean if isinstance(answer, Posterior) else answer, dtype=np.float64)
    has_kl = kl is not None and len(kl) == mean.shape[1]
    order = (codes_by_kl(kl) if has_kl and kl is not None else np.arange(mean.shape[1]))[:MAX_TRAVERSED]
    values = np.linspace(-REACH, REACH, N_VALUES)
    codes = np.tile(mean[0], (len(order), N_VALUES, 1))
    codes[np.arange(len(order)), :, order] = values
    decoded = _decoded(encoder, codes.reshape(-1, mean.shape[1]))
    images = decoded.reshape(len(order), N_VALUES, *decoded.shape[1:])
    reconstruction = _decoded(encoder, mean)
    if reconstruction.shape == observation.shape:
        pair = np.concatenate([observation, reconstruction])
        start = _strip("start", "observation, reconstruction", pair, ("observation", "reconstruction"))
    else:
        start = _strip("start", "reconstruction", reconstruction, ("reconstruction",))
    labels = tuple(f"{value:z.3g}" for value in values)
    strips = tuple(
        _strip(f"z{code}", f"KL {kl[code]:.2f} nats" if has_kl and kl is not None else "", row, labels)
        for code, row in zip(order, images, strict=True)
    )
    return start, strips


def _decoded(encoder: Encoder, codes: NDArray[np.float64]) -> NDArray[np.uint8]:
    if not isinstance(encoder, Decoder):
        raise InvalidInputError("latent traversals need a model with a method decode (codes to images)")
    images = np.asarray(encoder.decode(codes))
    if images.ndim != 4 or len(images) != len(codes) or images.shape[3] not in {1, 3} or images.dtype != np.uint8:
        raise EncoderError(
            f"decode must return uint8 images ({len(codes)}, height, width, 1 or 3) for {len(codes)} codes; "
            f"it returned {images.dtype} of shape {images.shape}"
        )
    return images


def _kl_of(encoder: Encoder, cards: Sequence[ScoreCard]) -> NDArray[np.float64] | None:
    fingerprint = getattr(encoder, "fingerprint", None)
    for card in cards:
        summary = card.summary
        if fingerprint and card.about.get("encoder") == fingerprint and summary is not None and summary.kl is not None:
            return summary.kl if not summary.n_left_out else None
    return None


def _strip(name: str, about: str, observations: NDArray[np.uint8], labels: tuple[str, ...]) -> Strip:
    # Pixels are skipped rather than averaged, so that sharp shapes stay sharp.
    step = max(1, -(-max(observations.shape[1:3]) // _LARGEST_SIDE))
    columns = len(observations) if labels else 12
    image = png(sheet(observations[:, ::step, ::step], columns), name)
    enlarged = max(1, _SMALLEST_SIDE // -(-observations.shape[2] // step))
    shown = replace(image, width=enlarged * image.width, height=enlarged * image.height)
    return Strip(name, about, shown, labels)
