"""Encoder and decoder networks of the papers, which can be combined with any method.

Images are (batch, channels, height, width) in [0, 1], vectors (batch, n_features). An encoder returns mean and
log-variance of the posterior, (batch, n_codes) each; a decoder returns logits of images, or means of vectors, with the
shape of the observations. Convolutional networks take images of any height and width from 8: each strided layer halves
the sides, rounded down, and for sides below 64 there are fewer such layers, so that the smallest feature map is at
least 4 x 4 (3 x 3 for odd sides).
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from disentmetrics.errors import InvalidInputError

Shape = tuple[int, ...]
"""(channels, height, width) of images, (n_features,) of vectors."""


class GaussianEncoder(nn.Module):
    """A network followed by a linear layer for mean and log-variance.

    Parameters
    ----------
    body : Module
        Maps observations to features (batch, width).
    width, n_codes : int
    log_std : bool
        Whether the second half of the linear layer is the logarithm of the standard deviation, not of the variance.
    """

    def __init__(self, body: nn.Module, width: int, n_codes: int, *, log_std: bool = False) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 2 * n_codes)
        self.log_std = log_std

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance."""
        mean, spread = self.head(self.body(observations)).chunk(2, dim=-1)
        return mean, 2 * spread if self.log_std else spread


def _halved(sides: tuple[int, int], n: int) -> list[tuple[int, int]]:
    """Return the sides before and after each of n layers with stride 2."""
    return [(sides[0] >> k, sides[1] >> k) for k in range(n + 1)]


def n_stages(n: int, sides: tuple[int, int]) -> int:
    """Return how many of n strided layers images of these sides pass, down to a side of 4 (3 if it is odd)."""
    return min(n, max(1, min(sides).bit_length() - 3))


def doubling(before: int, after: int, sides: tuple[int, int]) -> nn.Module:
    """Return a transposed convolution of kernel 4 and stride 2 to these sides, which may be odd."""
    return nn.ConvTranspose2d(before, after, 4, 2, 1, output_padding=(sides[0] % 2, sides[1] % 2))


def convolutional(
    channels: tuple[int, ...], hidden: tuple[int, ...], *, hidden_is_linear: bool = False, log_std: bool = False
) -> tuple[Callable[[Shape, int], nn.Module], Callable[[Shape, int], nn.Module]]:
    """Return constructors of an encoder of strided convolutions and dense layers, and of the mirrored decoder.

    Parameters
    ----------
    channels : tuple of int
        Output channels of each convolution.
    hidden : tuple of int
        Widths of the dense layers between convolutions and latents.
    hidden_is_linear : bool
        Whether to omit the ReLU after the last dense layer of the encoder.
    log_std : bool
        Whether the encoder returns the logarithm of the standard deviation.
    """

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        depth, *sides = shape
        n = n_stages(len(channels), (sides[0], sides[1]))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((depth, *channels[:n])):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
        width = channels[n - 1] * (sides[0] >> n) * (sides[1] >> n)
        layers.append(nn.Flatten())
        for after in hidden:
            layers += [nn.Linear(width, after), nn.ReLU()]
            width = after
        body = nn.Sequential(*(layers[:-1] if hidden_is_linear else layers))
        return GaussianEncoder(body, width, n_codes, log_std=log_std)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        depth, *sides = shape
        n = n_stages(len(channels), (sides[0], sides[1]))
        *larger, small = _halved((sides[0], sides[1]), n)
        widths = (n_codes, *reversed(hidden), channels[n - 1] * small[0] * small[1])
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        layers.append(nn.Unflatten(1, (channels[n - 1], *small)))
        up = (*reversed(channels[:n]), depth)
        for number, (before, after) in enumerate(itertools.pairwise(up)):
            layers.append(doubling(before, after, larger[n - 1 - number]))
            layers += [nn.ReLU()] if number < n - 1 else []
        return nn.Sequential(*layers)

    return encoder, decoder


def dense(
    hidden: tuple[int, ...], decoder_hidden: tuple[int, ...], activation: Callable[[], nn.Module] = nn.Tanh
) -> tuple[Callable[[Shape, int], nn.Module], Callable[[Shape, int], nn.Module]]:
    """Return constructors of a fully connected encoder with ReLU and of a decoder with the given activation.

    They take images and vectors.
    """

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(shape)
        for after in hidden:
            layers += [nn.Linear(width, after), nn.ReLU()]
            width = after
        return GaussianEncoder(nn.Sequential(*layers), width, n_codes)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        layers: list[nn.Module] = []
        width = n_codes
        for after in decoder_hidden:
            layers += [nn.Linear(width, after), activation()]
            width = after
        return nn.Sequential(*layers, nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape))

    return encoder, decoder


def patched(
    channels: tuple[int, ...], hidden: int, patch: int = 4
) -> tuple[Callable[[Shape, int], nn.Module], Callable[[Shape, int], nn.Module]]:
    """Return constructors of an encoder whose first layer embeds non-overlapping patches, and of its mirrored decoder.

    The following layers operate on a sixteenth of the positions, where networks of the papers spend most of their time
    at high resolution.

    Parameters
    ----------
    channels : tuple of int
        Output channels of the patch embedding, and of each strided convolution after it.
    hidden : int
        Width of the dense layer between convolutions and latents.
    patch : int
        Side of a patch in pixels.
    """

    def sizes(shape: Shape) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        sides = (shape[1] // patch, shape[2] // patch)
        n = n_stages(len(channels) - 1, sides) if min(sides) > 4 else 0
        return channels[: n + 1], _halved(sides, n)

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        widths, (*_, (height, width)) = sizes(shape)
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch), nn.Conv2d(shape[0] * patch**2, widths[0], 1), nn.ReLU()]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * height * width, hidden), nn.ReLU()]
        return GaussianEncoder(nn.Sequential(*layers), hidden, n_codes)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        widths, (*larger, small) = sizes(shape)
        inner = widths[-1] * small[0] * small[1]
        layers: list[nn.Module] = [nn.Linear(n_codes, hidden), nn.ReLU(), nn.Linear(hidden, inner), nn.ReLU()]
        layers.append(nn.Unflatten(1, (widths[-1], *small)))
        for (before, after), after_sides in zip(itertools.pairwise(reversed(widths)), reversed(larger), strict=True):
            layers += [doubling(before, after, after_sides), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(widths[0], shape[0] * patch**2, 1), nn.PixelShuffle(patch))

    return encoder, decoder


def pooled(
    channels: tuple[int, ...], kernel: int, decoder_channels: tuple[int, ...], decoder_kernel: int, *, padded: bool
) -> tuple[Callable[[Shape, int], nn.Module], Callable[[Shape, int], nn.Module]]:
    """Return constructors of an encoder of convolutions with max-pooling, and of a decoder of upsampled convolutions.

    Parameters
    ----------
    channels, decoder_channels : tuple of int
        Output channels of the convolutions, each followed by max-pooling of 2 x 2 in the encoder, and preceded by
        doubling the sides in the decoder; the last convolution of the decoder, to the image, is added.
    kernel, decoder_kernel : int
    padded : bool
        Whether convolutions keep the sides.
    """
    margins = (kernel // 2, decoder_kernel // 2) if padded else (0, 0)

    def smallest(side: int) -> int:
        for _ in channels:
            side = (side + 2 * margins[0] - kernel + 1) // 2
        return side

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((shape[0], *channels)):
            layers += [nn.Conv2d(before, after, kernel, padding=margins[0]), nn.MaxPool2d(2), nn.ReLU()]
        width = channels[-1] * smallest(shape[1]) * smallest(shape[2])
        return GaussianEncoder(nn.Sequential(*layers, nn.Flatten()), width, n_codes)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        small = (channels[-1], smallest(shape[1]), smallest(shape[2]))
        layers: list[nn.Module] = [nn.Linear(n_codes, math.prod(small)), nn.ReLU(), nn.Unflatten(1, small)]
        for before, after in itertools.pairwise((channels[-1], *decoder_channels, shape[0])):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, decoder_kernel, padding=margins[1])]
            layers.append(nn.ReLU())
        return nn.Sequential(*layers[:-1])

    return encoder, decoder


class _ChenEncoder(nn.Module):
    def __init__(self, shape: Shape, n_codes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((shape[0], 32, 32, 64), (32, 32, 64, 64), strict=True):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        side = (shape[1] // 16, shape[2] // 16)
        self.body = nn.Sequential(*layers, nn.Conv2d(64, 512, side), nn.BatchNorm2d(512), nn.ReLU())
        self.head = nn.Conv2d(512, 2 * n_codes, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head(self.body(images)).flatten(1).chunk(2, dim=-1)
        return mean, log_variance


def _chen_decoder(shape: Shape, n_codes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Unflatten(1, (n_codes, 1, 1))]
    layers += [nn.ConvTranspose2d(n_codes, 512, 1), nn.BatchNorm2d(512), nn.ReLU()]
    layers += [nn.ConvTranspose2d(512, 64, (shape[1] // 16, shape[2] // 16)), nn.BatchNorm2d(64), nn.ReLU()]
    larger = _halved((shape[1], shape[2]), 4)
    for before, after, sides in zip((64, 64, 32), (64, 32, 32), larger[3:0:-1], strict=True):
        layers += [doubling(before, after, sides), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, doubling(32, shape[0], larger[0]))


@dataclass(frozen=True)
class Architecture:
    """A pair of encoder and decoder networks.

    Attributes
    ----------
    encoder, decoder : callable
        Map the shape of an observation and the number of latents to a module.
    source : str
        Publication that used it.
    least_side : int
        Smallest height and width of images; 0 if vectors are taken too.
    multiple : int
        Height and width must be multiples of it.
    side : int or None
        The only height and width, if there is only one.
    vectorises : bool
        Whether the models of a stack can be computed in one vectorised call; the running statistics of batch
        normalisation prevent it.
    """

    encoder: Callable[[Shape, int], nn.Module]
    decoder: Callable[[Shape, int], nn.Module]
    source: str
    least_side: int = 8
    multiple: int = 1
    side: int | None = None
    vectorises: bool = True

    def takes(self, shape: Shape) -> bool:
        """Return whether observations can have this shape."""
        sides = shape[1:]
        if not sides:
            return not self.least_side
        if self.side is not None:
            return set(sides) == {self.side}
        return min(sides) >= self.least_side and not any(side % self.multiple for side in sides)

    @property
    def requirement(self) -> str:
        """The shapes that :meth:`takes`, in words."""
        if not self.least_side:
            return "images or vectors"
        if self.side is not None:
            return f"images of {self.side} x {self.side} pixels"
        multiples = f"whose sides are multiples of {self.multiple}, " if self.multiple > 1 else ""
        return f"images {multiples}of at least {self.least_side} x {self.least_side} pixels"


def check_shape(architecture: str, shape: Shape) -> None:
    """Raise InvalidInputError, which names architectures that fit, if an architecture does not take this shape."""
    chosen = ARCHITECTURES[architecture]
    if chosen.takes(shape):
        return
    what = f"images of {shape[1]} x {shape[2]}" if len(shape) > 1 else f"vectors of {shape[0]} features"
    fitting = [name for name, other in ARCHITECTURES.items() if other.takes(shape)]
    raise InvalidInputError(
        f"architecture {architecture} needs {chosen.requirement}; the observations are {what}; architectures that take "
        f"them: {', '.join(fitting)}"
    )


ARCHITECTURES = {
    "higgins-fc": Architecture(
        *dense((1200, 1200), (1200, 1200, 1200)), "Higgins et al. (2017), dSprites", least_side=0
    ),
    "higgins-conv": Architecture(*convolutional((32, 32, 64, 64), (256,)), "Higgins et al. (2017), chairs and faces"),
    "burgess": Architecture(*convolutional((32, 32, 32, 32), (256, 256)), "Burgess et al. (2018)"),
    "burgess-log-std": Architecture(
        *convolutional((32, 32, 32, 32), (256, 256), log_std=True),
        "Burgess et al. (2018); the encoder returns the logarithm of the standard deviation, as in the paper",
    ),
    "kim": Architecture(
        *convolutional((32, 32, 64, 64), (128,), hidden_is_linear=True), "Kim & Mnih (2018), 2D Shapes; linear FC 128"
    ),
    "kim-rgb": Architecture(
        *convolutional((32, 32, 64, 64), (256,), hidden_is_linear=True), "Kim & Mnih (2018), 3D Shapes; linear FC 256"
    ),
    "chen-conv": Architecture(
        _ChenEncoder, _chen_decoder, "Chen et al. (2018), 3D Faces", least_side=16, vectorises=False
    ),
    "dc-ign": Architecture(
        *pooled((96, 48, 24), 5, (48, 96, 96), 7, padded=False), "Kulkarni et al. (2015), DC-IGN", side=150
    ),
    "dc-ign-64": Architecture(
        *pooled((96, 48, 48), 3, (48, 96), 3, padded=True),
        "Higgins et al. (2017), DC-IGN on dSprites",
        least_side=16,
        multiple=8,
    ),
    "patch-conv": Architecture(
        *patched((32, 32, 64), 256), "ours, for training on CPUs: a tenth of the operations of burgess", multiple=4
    ),
    "mlp": Architecture(*dense((256, 256), (256, 256), nn.ReLU), "ours, for vectors", least_side=0),
    "small-conv": Architecture(*convolutional((16, 16, 16), (64,)), "ours, for images of 16 x 16 and smoke tests"),
    "small-fc": Architecture(*dense((64,), (64,), nn.ReLU), "ours, for smoke tests", least_side=0),
}
"""Networks by name. ``higgins-fc`` is also the MLP of Chen et al. (2018) for dSprites."""


class Discriminator(nn.Module):
    """Classifies codes as samples of the aggregate posterior (logit 0) or of another distribution (logit 1).

    By default six hidden layers of 1000 units with leaky ReLU of slope 0.2, as in Kim & Mnih (2018), appendix A.

    Parameters
    ----------
    n_codes, width, n_layers : int
    """

    def __init__(self, n_codes: int, width: int = 1000, n_layers: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (n_codes, *[width] * (n_layers - 1)):
            layers += [nn.Linear(before, width), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, codes: Tensor) -> Tensor:
        """Return the two logits of each row of codes."""
        return torch.as_tensor(self.body(codes))
