"""Codes of generators, and networks that take images of any size."""

import math

import pytest
import torch
from disentmetrics_reference_models.nn.gan import GAN, NETWORKS, CodeLayout, check_networks

from disentmetrics.errors import InvalidInputError

LAYOUT = CodeLayout((3, 4), 2)


def test_codes_pass_through_the_inputs_of_the_generator() -> None:
    codes = torch.tensor([[2.0, 0.0, -0.5, 0.25], [0.0, 3.0, 1.0, -1.0]])
    inputs = LAYOUT.from_codes(codes)
    assert inputs.tolist()[0] == [0, 0, 1, 1, 0, 0, 0, -0.5, 0.25]
    assert torch.equal(LAYOUT.to_codes(inputs), codes)
    assert (LAYOUT.n_codes, LAYOUT.width) == (4, 9)


def test_random_codes_are_uniform() -> None:
    uniform = torch.rand(20_000, 4, generator=torch.Generator().manual_seed(0))
    inputs = LAYOUT.from_uniform(uniform)
    assert inputs[:, :3].mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert inputs[:, 3:7].mean(0).tolist() == pytest.approx([1 / 4] * 4, abs=0.02)
    assert float(inputs[:, 7:].min()) >= -1
    assert inputs[:, 7:].var(0).tolist() == pytest.approx([1 / 3] * 2, abs=0.02)


def test_the_bound_of_the_information_is_the_entropy_for_a_perfect_recognition_and_0_for_none() -> None:
    codes = LAYOUT.from_uniform(torch.rand(50_000, 4, generator=torch.Generator().manual_seed(0)))
    perfect = torch.cat([50 * codes[:, :7], codes[:, 7:]], 1)
    of_categories, of_continuous = LAYOUT.log_likelihood(perfect, codes)
    assert float(of_categories.mean()) == pytest.approx(0, abs=1e-4)
    assert float(of_continuous.mean()) == pytest.approx(-math.log(2 * math.pi))  # unit variance, two codes
    none, _ = LAYOUT.log_likelihood(torch.zeros_like(codes), codes)
    assert float(none.mean()) == pytest.approx(-math.log(3) - math.log(4))
    assert LAYOUT.entropy == pytest.approx(math.log(3) + math.log(4) + 2 * math.log(2))


@pytest.mark.parametrize(("text", "n", "message"), [("1", 2, "at least 2"), ("x", 2, "numbers"), ("", 0, "one code")])
def test_impossible_codes_are_refused(text: str, n: int, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        CodeLayout.parse(text, n)


@pytest.mark.parametrize("side", [16, 28, 64, 70])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_images_are_generated_and_judged_at_every_size(name: str, side: int) -> None:
    shape = (1, side, side + 4)
    model = GAN(check_networks(name, shape), shape, 5, LAYOUT)
    images = model.generator(torch.randn(3, 5 + LAYOUT.width))
    assert images.shape == (3, *shape)
    assert 0 < float(images.min().detach()) < float(images.max().detach()) < 1
    values, outputs = model.critic.judge(images)
    assert values.shape == (3,)
    assert outputs.shape == (3, LAYOUT.width)


def test_weights_start_small_and_spectral_norms_at_one() -> None:
    shape = (1, 28, 28)
    plain = GAN(NETWORKS["mnist"], shape, 5)
    weight = plain.critic.get_parameter("value.weight")
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.2)
    value = GAN(NETWORKS["small"], shape, 5).critic.value
    assert isinstance(value, torch.nn.Linear)
    assert float(torch.linalg.matrix_norm(value.weight.detach(), 2)) == pytest.approx(1, rel=0.05)


def test_vectors_and_tiny_images_are_refused() -> None:
    for shape in ((7,), (1, 4, 4)):
        with pytest.raises(InvalidInputError, match="needs images of at least 8 x 8 pixels; the observations are"):
            check_networks("mnist", shape)
