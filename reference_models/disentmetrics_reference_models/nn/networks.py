"""Encoder and decoder networks of the papers, which can be combined with any method.

Images are (batch, channels, height, width) in [0, 1]. An encoder returns mean and log-variance of
the posterior, (batch, n_codes) each; a decoder returns logits with the shape of the images. Image sides are
powers of two; for sides below 64, networks have fewer strided layers, so that their smallest feature map is 4 x 4.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]
"""Channels, height, width."""


class GaussianEncoder(nn.Module):
    """A network followed by a linear layer for mean and log-variance.

    Parameters
    ----------
    body : Module
        Maps images to features (batch, width).
    width, n_codes : int
    """

    def __init__(self, body: nn.Module, width: int, n_codes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 2 * n_codes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance."""
        mean, log_variance = self.head(self.body(images)).chunk(2, dim=-1)
        return mean, log_variance


def _strided(channels: tuple[int, ...], side: int) -> tuple[list[nn.Module], int]:
    """Return convolutions of kernel 4 and stride 2 with ReLU, as many as the side allows, and the remaining side."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        if side <= 4:
            break
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
        side //= 2
    return layers, side


def _n_stages(n: int, side: int) -> int:
    return min(n, max(1, side.bit_length() - 3))  # down to a side of 4


def convolutional(
    channels: tuple[int, ...], hidden: tuple[int, ...], *, hidden_is_linear: bool = False
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
    """

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        n = _n_stages(len(channels), shape[1])
        layers, side = _strided((shape[0], *channels[:n]), shape[1])
        width = channels[n - 1] * side * (shape[2] * side // shape[1])
        layers.append(nn.Flatten())
        for after in hidden:
            layers += [nn.Linear(width, after), nn.ReLU()]
            width = after
        return GaussianEncoder(nn.Sequential(*(layers[:-1] if hidden_is_linear else layers)), width, n_codes)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        n = _n_stages(len(channels), shape[1])
        small = (shape[1] >> n, shape[2] >> n)
        widths = (n_codes, *reversed(hidden), channels[n - 1] * small[0] * small[1])
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        layers.append(nn.Unflatten(1, (channels[n - 1], *small)))
        up = (*reversed(channels[:n]), shape[0])
        for number, (before, after) in enumerate(itertools.pairwise(up)):
            layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1))
            layers += [nn.ReLU()] if number < n - 1 else []
        return nn.Sequential(*layers)

    return encoder, decoder


def dense(
    hidden: tuple[int, ...], decoder_hidden: tuple[int, ...], activation: Callable[[], nn.Module] = nn.Tanh
) -> tuple[Callable[[Shape, int], nn.Module], Callable[[Shape, int], nn.Module]]:
    """Return constructors of a fully connected encoder with ReLU and of a decoder with the given activation."""

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        width = shape[0] * shape[1] * shape[2]
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
        return nn.Sequential(*layers, nn.Linear(width, shape[0] * shape[1] * shape[2]), nn.Unflatten(1, shape))

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

    def sizes(shape: Shape) -> tuple[tuple[int, ...], tuple[int, int]]:
        n = _n_stages(len(channels) - 1, shape[1] // patch) if shape[1] > 4 * patch else 0
        return channels[: n + 1], (shape[1] // patch >> n, shape[2] // patch >> n)

    def encoder(shape: Shape, n_codes: int) -> nn.Module:
        widths, (height, width) = sizes(shape)
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch), nn.Conv2d(shape[0] * patch**2, widths[0], 1), nn.ReLU()]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * height * width, hidden), nn.ReLU()]
        return GaussianEncoder(nn.Sequential(*layers), hidden, n_codes)

    def decoder(shape: Shape, n_codes: int) -> nn.Module:
        widths, small = sizes(shape)
        inner = widths[-1] * small[0] * small[1]
        layers: list[nn.Module] = [nn.Linear(n_codes, hidden), nn.ReLU(), nn.Linear(hidden, inner), nn.ReLU()]
        layers.append(nn.Unflatten(1, (widths[-1], *small)))
        for before, after in itertools.pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(widths[0], shape[0] * patch**2, 1), nn.PixelShuffle(patch))

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
    for before, after in zip((64, 64, 32), (64, 32, 32), strict=True):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, shape[0], 4, 2, 1))


@dataclass(frozen=True)
class Architecture:
    """A pair of encoder and decoder networks.

    Attributes
    ----------
    encoder, decoder : callable
        Map (channels, height, width) and the number of latents to a module.
    source : str
        Publication that used it.
    side : int or None
        Required side of the images; None for any power of two of at least 8.
    stackable : bool
        Whether models can be trained as one stack; the running statistics of batch normalisation prevent it.
    """

    encoder: Callable[[Shape, int], nn.Module]
    decoder: Callable[[Shape, int], nn.Module]
    source: str
    side: int | None = None
    stackable: bool = True


ARCHITECTURES = {
    "higgins-fc": Architecture(*dense((1200, 1200), (1200, 1200, 1200)), "Higgins et al. (2017), dSprites"),
    "higgins-conv": Architecture(*convolutional((32, 32, 64, 64), (256,)), "Higgins et al. (2017), chairs and faces"),
    "burgess": Architecture(*convolutional((32, 32, 32, 32), (256, 256)), "Burgess et al. (2018)"),
    "kim": Architecture(
        *convolutional((32, 32, 64, 64), (128,), hidden_is_linear=True), "Kim & Mnih (2018), 2D Shapes; linear FC 128"
    ),
    "kim-rgb": Architecture(
        *convolutional((32, 32, 64, 64), (256,), hidden_is_linear=True), "Kim & Mnih (2018), 3D Shapes; linear FC 256"
    ),
    "chen-conv": Architecture(_ChenEncoder, _chen_decoder, "Chen et al. (2018), 3D Faces", stackable=False),
    "patch-conv": Architecture(
        *patched((32, 32, 64), 256), "ours, for training on CPUs: a tenth of the operations of burgess"
    ),
    "small-conv": Architecture(*convolutional((16, 16, 16), (64,)), "ours, for images of 16 x 16 and smoke tests"),
    "small-fc": Architecture(*dense((64,), (64,), nn.ReLU), "ours, for smoke tests"),
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
