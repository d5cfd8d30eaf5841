"""Reconstruction losses: sums over pixels, in nats."""

import math

import pytest
import torch
from disentmetrics_reference_models.nn.likelihoods import LIKELIHOODS, mean_observation, reconstruction_loss
from torch.distributions import Bernoulli, Laplace, Normal


def images_and_output() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(2, (5, 3, 8, 8), generator=generator).float()
    return images, torch.randn(5, 3, 8, 8, generator=generator)


def test_losses_are_negative_log_densities_summed_over_pixels() -> None:
    images, output = images_and_output()
    mean = output.sigmoid()
    expected = {
        "bernoulli": Bernoulli(logits=output).log_prob(images),
        "gaussian": Normal(mean, math.sqrt(0.1)).log_prob(images),
        "laplace": Laplace(mean, 0.1).log_prob(images),
    }
    assert set(expected) == set(LIKELIHOODS)
    for name, log_density in expected.items():
        loss = reconstruction_loss(output, images, name)
        assert loss.shape == (5,)
        torch.testing.assert_close(loss, -log_density.sum((1, 2, 3)), rtol=1e-4, atol=1e-3)


def test_a_mean_over_pixels_would_be_seen() -> None:
    # At β = 4 a mean over the 4,096 pixels of dSprites would make the KL count 16,384 times.
    black = torch.zeros(2, 1, 64, 64)
    assert reconstruction_loss(black, black).tolist() == pytest.approx([4096 * math.log(2)] * 2)


def test_the_image_seen_is_the_mean() -> None:
    _, output = images_and_output()
    torch.testing.assert_close(mean_observation(output), output.sigmoid())
    vectors = output.flatten(1)
    assert torch.equal(mean_observation(vectors), vectors)
    for name, law in {"gaussian": Normal(vectors, math.sqrt(0.1)), "laplace": Laplace(vectors, 0.1)}.items():
        truth = -law.log_prob(vectors + 1).sum(1)
        torch.testing.assert_close(reconstruction_loss(vectors, vectors + 1, name), truth, rtol=1e-4, atol=1e-3)
