"""Generators, critics and recognition networks of generative adversarial networks, and their codes."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.networks import Shape, doubling, n_stages

Norm = Literal["batch", "layer", "spectral"]


@dataclass(frozen=True)
class GANNetworks:
    """Sizes of the networks of a generative adversarial network.

    Attributes
    ----------
    critic : tuple of int
        Channels of its convolutions with stride 2, shared with the recognition network.
    unstrided : tuple of int
        Channels of further convolutions with stride 1, of the critic; mirrored in the generator.
    hidden : int
        Width of the dense layer of the critic after the convolutions.
    recognition : int
        Width of the hidden layer of the recognition network.
    norm : {"batch", "layer", "spectral"}
        Normalisation of the critic: of batches, from its second layer; of the dense layers of each observation; or of
        the largest singular value of every weight matrix.
    generator : tuple of int
        Channels of the generator from its smallest feature map to the last but one.
    generator_hidden : int
        Width of the dense layer of the generator.
    normalised_last : bool
        Whether batch normalisation of the generator follows the activation instead of preceding it.
    slope : float
        Slope of the leaky rectifiers of the critic below 0.
    source : str
    """

    critic: tuple[int, ...]
    hidden: int
    recognition: int
    norm: Norm
    generator: tuple[int, ...]
    generator_hidden: int
    source: str
    unstrided: tuple[int, ...] = ()
    normalised_last: bool = True
    slope: float = 0.2


NETWORKS = {
    "mnist": GANNetworks((64, 128), 1024, 128, "batch", (128, 64), 1024, "Chen et al. (2016), MNIST",
                         normalised_last=False, slope=0.01),
    "dsprites": GANNetworks((32, 32, 64, 64), 128, 128, "spectral", (64, 64, 32, 32), 128, "Lin et al. (2020)"),
    "wgan": GANNetworks((32, 32, 64, 64), 128, 128, "layer", (64, 64, 32, 32), 128, "Kim & Mnih (2018)"),
    "wgan-big": GANNetworks((64, 128, 256), 1024, 128, "layer", (256, 256, 256, 128, 64), 1024, "Kim & Mnih (2018)",
                            unstrided=(256, 256)),
    "small": GANNetworks((32, 64), 128, 64, "spectral", (32, 32), 128, "ours, for images of 16 x 16"),
    "small-wgan": GANNetworks((32, 64), 128, 64, "layer", (32, 32), 128, "ours, for images of 16 x 16"),
}  # fmt: skip
"""Networks by name."""


def initialised(layer: nn.Module) -> nn.Module:
    """Draw the weights of a dense or convolutional layer from N(0, 0.02²), as in DCGAN, and set its biases to 0."""
    nn.init.normal_(layer.get_parameter("weight"), 0.0, 0.02)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


class CodeLayout(NamedTuple):
    """Codes of a generator: categories, then continuous codes uniform on [-1, 1].

    Attributes
    ----------
    categories : tuple of int
        Number of values of each categorical code.
    n_continuous : int
    """

    categories: tuple[int, ...]
    n_continuous: int

    @classmethod
    def parse(cls, categories: str, n_continuous: int) -> "CodeLayout":
        """Read numbers of categories, separated by commas; none if the text is empty.

        Raises
        ------
        InvalidInputError
            If a number is not at least 2, or there is no code.

        Examples
        --------
        >>> CodeLayout.parse("10,3", 2)
        CodeLayout(categories=(10, 3), n_continuous=2)
        """
        words = [word.strip() for word in categories.split(",") if word.strip()]
        if not all(word.isdecimal() and int(word) > 1 for word in words):
            raise InvalidInputError(
                f"categories must be numbers of at least 2, such as 10 or 20,20; got {categories!r}"
            )
        if n_continuous < 0 or not (words or n_continuous):
            raise InvalidInputError(
                f"there must be at least one code; got {n_continuous} continuous ones and no category"
            )
        return cls(tuple(int(word) for word in words), n_continuous)

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return len(self.categories) + self.n_continuous

    @property
    def width(self) -> int:
        """Number of inputs of the generator, and of outputs of the recognition network."""
        return sum(self.categories) + self.n_continuous

    @property
    def entropy(self) -> float:
        """Entropy of the codes in nats (differential for the continuous ones)."""
        return sum(math.log(n) for n in self.categories) + self.n_continuous * math.log(2)

    def from_uniform(self, uniform: Tensor) -> Tensor:
        """Return codes as inputs of the generator (n, width), one-hot categories first, from [0, 1) noise."""
        n = len(self.categories)
        parts = [
            functional.one_hot((uniform[:, j] * size).long(), size).to(uniform)
            for j, size in enumerate(self.categories)
        ]
        return torch.cat([*parts, 2 * uniform[:, n:] - 1], 1)

    def from_codes(self, codes: Tensor) -> Tensor:
        """Return codes (n, n_codes), categories as their index, as inputs of the generator (n, width)."""
        n = len(self.categories)
        indices = codes[:, :n].round().long()
        parts = [
            functional.one_hot(indices[:, j].clamp(0, size - 1), size).to(codes)
            for j, size in enumerate(self.categories)
        ]
        return torch.cat([*parts, codes[:, n:]], 1)

    def to_codes(self, outputs: Tensor) -> Tensor:
        """Return the most probable categories and the means of the continuous codes (n, n_codes)."""
        *logits, means = outputs.split([*self.categories, self.n_continuous], 1)
        return torch.cat([*(part.argmax(1, keepdim=True).to(outputs) for part in logits), means], 1)

    def log_likelihood(self, outputs: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return log Q(c | x) of the categories and of the continuous codes, summed over codes, (n,) each, in nats.

        Parameters
        ----------
        outputs : (n, width)
            Logits of the categories, and means of unit Gaussians.
        codes : (n, width)
            Codes as inputs of the generator.
        """
        *logits, means = outputs.split([*self.categories, self.n_continuous], 1)
        *chosen, values = codes.split([*self.categories, self.n_continuous], 1)
        of_categories = outputs.new_zeros(len(outputs))
        for part, one_hot in zip(logits, chosen, strict=True):
            of_categories = of_categories + (functional.log_softmax(part, 1) * one_hot).sum(1)
        squares = 0.5 * ((means - values) ** 2).sum(1)
        return of_categories, -squares - 0.5 * self.n_continuous * math.log(2 * math.pi)


class Generator(nn.Module):
    """Maps noise and codes to images in [0, 1].

    Parameters
    ----------
    sizes : GANNetworks
    shape : (channels, height, width)
    n_inputs : int
    """

    def __init__(self, sizes: GANNetworks, shape: Shape, n_inputs: int) -> None:
        super().__init__()
        depth, *sides = shape
        n = n_stages(len(sizes.critic), (sides[0], sides[1]))
        larger = [(sides[0] >> k, sides[1] >> k) for k in range(n + 1)]
        n_unstrided, small = len(sizes.unstrided), larger[n]
        channels = sizes.generator[-(n + n_unstrided) :]
        hidden, first = sizes.generator_hidden, channels[0] * small[0] * small[1]
        layers = self._dense(sizes, n_inputs, hidden) + self._dense(sizes, hidden, first)
        layers.append(nn.Unflatten(1, (channels[0], *small)))
        for stage, (before, after) in enumerate(itertools.pairwise((*channels, depth))):
            if stage < n_unstrided:
                layers.append(initialised(nn.ConvTranspose2d(before, after, 3, 1, 1)))
            else:
                layers.append(initialised(doubling(before, after, larger[n - 1 - stage + n_unstrided])))
            if stage + 1 < len(channels):
                layers += self._activated(sizes, nn.BatchNorm2d(after), self._rectifier(sizes))
        self.body = nn.Sequential(*layers, nn.Sigmoid())

    def _dense(self, sizes: GANNetworks, before: int, after: int) -> list[nn.Module]:
        return [initialised(nn.Linear(before, after)), *self._activated(sizes, nn.BatchNorm1d(after), nn.ReLU())]

    @staticmethod
    def _rectifier(sizes: GANNetworks) -> nn.Module:
        return nn.LeakyReLU(sizes.slope) if sizes.normalised_last else nn.ReLU()

    @staticmethod
    def _activated(sizes: GANNetworks, norm: nn.Module, activation: nn.Module) -> list[nn.Module]:
        return [activation, norm] if sizes.normalised_last else [norm, activation]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return images (n, channels, height, width)."""
        return torch.as_tensor(self.body(inputs))


class Critic(nn.Module):
    """Judges images, and recognises their codes from the same features.

    Parameters
    ----------
    sizes : GANNetworks
    shape : (channels, height, width)
    n_outputs : int
        Number of outputs of the recognition network; 0 for none.
    """

    def __init__(self, sizes: GANNetworks, shape: Shape, n_outputs: int) -> None:
        super().__init__()
        depth, *sides = shape
        n = n_stages(len(sizes.critic), (sides[0], sides[1]))
        layers: list[nn.Module] = []
        strided = itertools.pairwise((depth, *sizes.critic[:n]))
        for number, (before, after) in enumerate(strided):
            layers += _layer(sizes, nn.Conv2d(before, after, 4, 2, 1), after, normalised=number > 0)
        for before, after in itertools.pairwise((sizes.critic[n - 1], *sizes.unstrided)):
            layers += _layer(sizes, nn.Conv2d(before, after, 3, 1, 1), after, normalised=True)
        channels = (sizes.unstrided or sizes.critic[:n])[-1]
        layers.append(nn.Flatten())
        inner = channels * (sides[0] >> n) * (sides[1] >> n)
        layers += _layer(sizes, nn.Linear(inner, sizes.hidden), sizes.hidden, normalised=True)
        self.features = nn.Sequential(*layers)
        self.value = _maybe_spectral(sizes, nn.Linear(sizes.hidden, 1))
        head = _layer(sizes, nn.Linear(sizes.hidden, sizes.recognition), sizes.recognition, normalised=True)
        last = _maybe_spectral(sizes, nn.Linear(sizes.recognition, n_outputs)) if n_outputs else nn.Identity()
        self.recognition = nn.Sequential(*head, last) if n_outputs else nn.Identity()  # never called without codes

    def forward(self, images: Tensor) -> Tensor:
        """Return the value or logit of each image, (n,)."""
        return torch.as_tensor(self.value(self.features(images))[:, 0])

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return value (n,) and outputs of the recognition network (n, n_outputs)."""
        features = self.features(images)
        return self.value(features)[:, 0], self.recognise(features)

    def recognise(self, features: Tensor) -> Tensor:
        """Return the outputs of the recognition network for these features."""
        return torch.as_tensor(self.recognition(features))


def _maybe_spectral(sizes: GANNetworks, layer: nn.Module) -> nn.Module:
    layer = initialised(layer)
    return parametrizations.spectral_norm(layer) if sizes.norm == "spectral" else layer


def _layer(sizes: GANNetworks, layer: nn.Module, width: int, *, normalised: bool) -> list[nn.Module]:
    """Return a layer with its activation and normalisation."""
    activation = nn.LeakyReLU(sizes.slope)
    if sizes.norm == "batch" and normalised:
        is_dense = isinstance(layer, nn.Linear)
        norm = nn.BatchNorm1d(width) if is_dense else nn.BatchNorm2d(width)
        return [initialised(layer), norm, activation]
    if sizes.norm == "layer" and isinstance(layer, nn.Linear):
        return [initialised(layer), activation, nn.LayerNorm(width)]
    return [_maybe_spectral(sizes, layer), activation]


class GAN(nn.Module):
    """Generator and critic.

    Parameters
    ----------
    sizes : GANNetworks
    shape : (channels, height, width)
    n_noise : int
    layout : CodeLayout, optional
        Codes that the critic recognises; none for a plain GAN.
    """

    def __init__(self, sizes: GANNetworks, shape: Shape, n_noise: int, layout: CodeLayout | None = None) -> None:
        super().__init__()
        width = layout.width if layout else 0
        self.generator = Generator(sizes, shape, n_noise + width)
        self.critic = Critic(sizes, shape, width)


def check_networks(name: str, shape: Shape) -> GANNetworks:
    """Return the networks of this name, which take images of at least 8 x 8 pixels.

    Raises
    ------
    InvalidInputError
        If the observations are vectors or smaller.
    """
    if len(shape) == 1 or min(shape[1:]) < 8:
        what = f"vectors of {shape[0]} features" if len(shape) == 1 else f"images of {shape[1]} x {shape[2]}"
        raise InvalidInputError(f"this method needs images of at least 8 x 8 pixels; the observations are {what}")
    return NETWORKS[name]


def saturation_free(logits: Tensor) -> Tensor:
    """Return the loss of a generator, ``-E log D``, for logits of generated images."""
    return functional.softplus(-logits).mean()


def cross_entropy(real: Tensor, generated: Tensor) -> Tensor:
    """Return the loss of a discriminator, ``-E log D(x) - E log (1 - D(G))``, for its logits."""
    return functional.softplus(-real).mean() + functional.softplus(generated).mean()
