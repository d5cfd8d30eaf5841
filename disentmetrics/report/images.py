"""Pictures of the report: sample observations, and what each code of a model with a decoder does."""

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
from disentmetrics.report.heat import Picture, png, sheet
from disentmetrics.results.card import ScoreCard

N_SAMPLES = 24
N_VALUES = 9
REACH = 3.0
"""Codes run from minus to plus three standard deviations of the prior, as in Burgess et al. (2018)."""
MAX_TRAVERSED = 32
"""Codes that are shown, those of the highest KL."""
_SMALLEST_SIDE = 64  # pixels on the screen, with room for a label
_LARGEST_SIDE = 96  # pixels that a picture of a few centimetres can show


@runtime_checkable
class Decoder(Protocol):
    """What a report asks of an encoder for latent traversals: a method that turns codes into images.

    The models of ``reference:RUN_DIR`` have it. Any other encoder may: nothing is imported to find out.
    """

    def decode(self, codes: NDArray[np.floating], /) -> NDArray[np.uint8]:
        """Return images (n, height, width, channels) of codes (n, n_codes)."""
        ...


@dataclass(frozen=True)
class Strip:
    """Pictures in a row, and what stands beside and below them."""

    name: str
    about: str
    picture: Picture
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pictures:
    """What the report shows of a data set and of a model.

    Attributes
    ----------
    title : str
        Of the data set.
    samples : tuple of Strip
        Random observations, then each factor running through its values alone.
    start : Strip or None
        The observation that traversals start from, and its posterior mean decoded.
    traversals : tuple of Strip
        One code a strip.
    order : str
        How the codes are ordered, in words.
    """

    title: str
    samples: tuple[Strip, ...]
    start: Strip | None = None
    traversals: tuple[Strip, ...] = ()
    order: str = ""


def pictures(
    data: DataSet, encoder: Encoder | None = None, cards: Sequence[ScoreCard] = (), *, seed: int = 0
) -> Pictures:
    """Take pictures of a data set and, where the encoder has a decoder, of latent traversals.

    Parameters
    ----------
    data : DataSet
        Of images (height, width, 1 or 3).
    encoder : Encoder, optional
        With a method ``decode`` (:class:`Decoder`).
    cards : sequence of ScoreCard
        The KL of each code is read from the card of this encoder, told by its fingerprint, to order them.
    seed : int
        Decides which observations are drawn.

    Returns
    -------
    Pictures

    Raises
    ------
    InvalidInputError
        If observations are no images, or the encoder has no decoder.
    EncoderError
        If the decoder returns anything but images.
    """
    shape = data.observation_shape
    if len(shape) != 3 or shape[2] not in {1, 3}:
        raise InvalidInputError(
            "a report shows images of shape (height, width, 1 or 3); "
            f"observations of {data.name} have shape {shape}: leave --data out"
        )
    samples = tuple(_samples(data, np.random.default_rng(seed)))
    if encoder is None:
        return Pictures(title_of(data), samples)
    if not isinstance(encoder, Decoder):
        raise InvalidInputError(
            "latent traversals need a model that can decode codes to images (a method decode), such as "
            "reference:RUN_DIR; this encoder has none: leave --model out"
        )
    kl = _kl_of(encoder, cards)
    start, strips = _traversals(encoder, data, kl, np.random.default_rng(seed))
    if kl is None:
        order = "Codes are in their own order: none of the cards is of this model and holds their KL."
    elif len(kl) > MAX_TRAVERSED:
        order = f"Ordered by KL; {len(kl) - MAX_TRAVERSED} codes of lower KL are left out."
    else:
        order = "Ordered by KL, highest first."
    return Pictures(title_of(data), samples, start, strips, order)


def _samples(data: DataSet, rng: np.random.Generator) -> Iterator[Strip]:
    for number, row in enumerate(sheet_rows(data, rng, N_SAMPLES)):
        looks = data.observations(row.draws.factors, row.draws.nuisance)
        yield _strip(row.name or ("" if number else "samples"), row.about, looks, row.labels)


def _traversals(
    encoder: Encoder, data: DataSet, kl: NDArray[np.float64] | None, rng: np.random.Generator
) -> tuple[Strip, tuple[Strip, ...]]:
    draws = data.sample(1, rng)
    observation = data.observations(draws.factors, draws.nuisance)
    answer = encoder(observation)
    mean = np.asarray(answer.mean if isinstance(answer, Posterior) else answer, dtype=np.float64)
    known = kl is not None and len(kl) == mean.shape[1]
    order = (codes_by_kl(kl) if known and kl is not None else np.arange(mean.shape[1]))[:MAX_TRAVERSED]
    values = np.linspace(-REACH, REACH, N_VALUES)
    codes = np.tile(mean[0], (len(order), N_VALUES, 1))
    codes[np.arange(len(order)), :, order] = values
    decoded = _decoded(encoder, codes.reshape(-1, mean.shape[1]))
    images = decoded.reshape(len(order), N_VALUES, *decoded.shape[1:])
    reconstruction = _decoded(encoder, mean)
    if reconstruction.shape == observation.shape:
        pair = np.concatenate([observation, reconstruction])
        start = _strip("start", "observed, decoded", pair, ("observed", "decoded"))
    else:
        start = _strip("start", "decoded", reconstruction, ("decoded",))
    labels = tuple(f"{value:z.3g}" for value in values)
    strips = tuple(
        _strip(f"z{code}", f"KL {kl[code]:.2f} nats" if known and kl is not None else "", row, labels)
        for code, row in zip(order, images, strict=True)
    )
    return start, strips


def _decoded(encoder: Encoder, codes: NDArray[np.float64]) -> NDArray[np.uint8]:
    if not isinstance(encoder, Decoder):
        raise InvalidInputError("latent traversals need a model that can decode codes to images")
    images = np.asarray(encoder.decode(codes))
    if images.ndim != 4 or len(images) != len(codes) or images.shape[3] not in {1, 3} or images.dtype != np.uint8:
        raise EncoderError(
            f"decode must return uint8 images ({len(codes)}, height, width, 1 or 3) of {len(codes)} codes; "
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


def _strip(name: str, about: str, looks: NDArray[np.uint8], labels: tuple[str, ...]) -> Strip:
    # Neighbouring pixels are left out rather than mixed: sharp shapes stay sharp.
    step = max(1, -(-max(looks.shape[1:3]) // _LARGEST_SIDE))
    columns = len(looks) if labels else 12
    picture = png(sheet(looks[:, ::step, ::step], columns), name)
    enlarged = max(1, _SMALLEST_SIDE // -(-looks.shape[2] // step))
    shown = replace(picture, width=enlarged * picture.width, height=enlarged * picture.height)
    return Strip(name, about, shown, labels)
