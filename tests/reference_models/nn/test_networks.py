"""Networks take every shape that their architecture declares, and decode to the shape that they encode."""

import pytest
import torch
from disentmetrics_reference_models.nn.networks import ARCHITECTURES, check_shape

from disentmetrics.errors import InvalidInputError

SIDES = [(8, 8), (16, 16), (28, 28), (32, 32), (64, 64), (80, 80), (150, 150), (64, 40), (33, 47), (9, 31)]


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_images_are_decoded_to_their_own_shape_or_refused(name: str, sides: tuple[int, int]) -> None:
    shape, architecture = (3, *sides), ARCHITECTURES[name]
    if not architecture.takes(shape):
        with pytest.raises(InvalidInputError, match=rf"architecture {name} needs .*; the observations are images of"):
            check_shape(name, shape)
        return
    check_shape(name, shape)
    mean, log_variance = architecture.encoder(shape, 5)(torch.rand(2, *shape))
    assert mean.shape == log_variance.shape == (2, 5)
    assert architecture.decoder(shape, 5)(mean).shape == (2, *shape)


def test_every_published_network_takes_images_of_28_80_and_150_pixels() -> None:
    convolutional = [name for name, a in ARCHITECTURES.items() if a.least_side and a.multiple == 1 and a.side is None]
    assert {"burgess", "higgins-conv", "kim", "chen-conv"} <= set(convolutional)
    assert all(ARCHITECTURES[name].takes((1, side, side)) for name in convolutional for side in (28, 80, 150))


@pytest.mark.parametrize("name", ["higgins-fc", "mlp", "small-fc"])
def test_vectors_are_decoded_to_vectors(name: str) -> None:
    architecture = ARCHITECTURES[name]
    mean, _ = architecture.encoder((7,), 3)(torch.rand(2, 7))
    assert architecture.decoder((7,), 3)(mean).shape == (2, 7)


def test_the_encoder_of_burgess_may_return_the_logarithm_of_the_standard_deviation() -> None:
    shape, images = (1, 16, 16), torch.rand(4, 1, 16, 16)
    encoders = []
    for name in ("burgess", "burgess-log-std"):
        torch.manual_seed(0)
        encoders.append(ARCHITECTURES[name].encoder(shape, 3))
    (mean, log_variance), (same, twice) = (encoder(images) for encoder in encoders)
    assert torch.equal(mean, same)
    assert torch.equal(twice, 2 * log_variance)
