"""Densities integrate to one, samplers follow them, and closed forms agree with both."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.nn import gaussians
from disentmetrics_reference_models.nn.priors import (
    FourGaussians,
    Gaussian,
    LearnedExponents,
    LpNested,
    Prior,
    SampledPrior,
    SpikeAndSlab,
    StudentT,
    VarianceSpectrum,
    unit_scale,
)
from scipy import stats
from torch import Tensor


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def lp_nested(sizes: tuple[int, ...], exponents: list[float], root: float, scale: float | None = None) -> LpNested:
    p = torch.tensor(exponents, dtype=torch.float64)
    s = unit_scale(sizes, p, number(root)) if scale is None else number(scale)
    return LpNested(sizes, p, number(root), s)


PRIORS: dict[str, SampledPrior] = {
    "anisotropic": Gaussian(torch.tensor([0.7, -1.0], dtype=torch.float64)),
    "shifted": Gaussian(torch.tensor([0.7, -1.0], dtype=torch.float64), torch.tensor([0.5, -0.2], dtype=torch.float64)),
    "student-t": StudentT(number(9.0)),
    "sparse": SpikeAndSlab(number(0.6)),
    "mixture": FourGaussians(),
}
NESTED = {
    "one subspace": lp_nested((2,), [1.3], 2.4),
    "two subspaces": lp_nested((1, 1), [1.7, 3.0], 1.9),
}


def grid(n: int, reach: float) -> tuple[Tensor, float]:
    # Centres of cells: no point lies at a discontinuity of a density.
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 * reach - reach
    return torch.cartesian_prod(axis, axis), (2 * reach / n) ** 2


@pytest.mark.parametrize("name", [*PRIORS, *NESTED])
def test_densities_of_the_plane_integrate_to_one(name: str) -> None:
    prior = {**PRIORS, **NESTED}[name]
    points, cell = grid(900, 9.0)
    # Tails of a Student-t reach out of the square.
    assert float(prior.log_density(points).sum(1).exp().sum() * cell) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_samples_have_the_density(name: str) -> None:
    prior = PRIORS[name]
    rng = np.random.default_rng(0)
    noise = [torch.from_numpy(draw((40_000, 2))) for draw in (rng.standard_normal, rng.random)]
    samples = prior.sample(*noise)
    points, cell = grid(900, 9.0)
    density = prior.log_density(points).sum(1).exp().reshape(900, 900) * cell
    edges = np.linspace(-9, 9, 901)
    for j in range(2):
        cumulative = np.concatenate([[0.0], density.sum(1 - j).cumsum(0).numpy()])
        test = stats.kstest(samples[:, j].numpy(), lambda x, c=cumulative: np.interp(x, edges, c))
        assert test.pvalue > 1e-3


@pytest.mark.parametrize("name", PRIORS)
def test_the_mean_log_density_of_samples_is_minus_the_entropy(name: str) -> None:
    prior = PRIORS[name]
    rng = np.random.default_rng(1)
    samples = prior.sample(*(torch.from_numpy(draw((40_000, 2))) for draw in (rng.standard_normal, rng.random)))
    points, cell = grid(900, 9.0)
    log_p = prior.log_density(points).sum(1)
    log_densities = prior.log_density(samples).sum(1)
    error = float(log_densities.std()) / len(log_densities) ** 0.5
    assert abs(float(log_densities.mean() - (log_p.exp() * log_p).sum() * cell)) < 4 * error + 2e-3


@pytest.mark.parametrize("prior", [*PRIORS.values(), lp_nested((2, 1), [1.9, 2.5], 2.1)])
def test_draws_are_those_of_the_generator_and_have_finite_density(prior: Prior) -> None:
    n_codes = 3 if isinstance(prior, LpNested) else 2
    one, same, other = (prior.draw(50, n_codes, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == (50, n_codes)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert prior.log_density(one.double()).isfinite().all()


def test_densities_are_those_of_scipy() -> None:
    z = torch.linspace(-4, 4, 30, dtype=torch.float64)
    assert StudentT(number(9.0)).log_density(z).numpy() == pytest.approx(stats.t(9).logpdf(z.numpy()))
    sparse = 0.8 * stats.norm(0, 0.05).pdf(z.numpy()) + 0.2 * stats.norm().pdf(z.numpy())
    assert SpikeAndSlab(number(0.8)).log_density(z).exp().numpy() == pytest.approx(sparse)
    factorial = lp_nested((1,) * 30, [1.5] * 30, 1.5, 0.7).log_density(z)
    assert factorial.numpy() == pytest.approx(stats.gennorm(1.5, scale=0.7 ** (1 / 1.5)).logpdf(z.numpy()))


def test_a_sparse_prior_without_spike_is_gaussian() -> None:
    z = torch.linspace(-4, 4, 9).requires_grad_()
    log_density = SpikeAndSlab(torch.tensor(0.0)).log_density(z)
    torch.testing.assert_close(log_density, gaussians.log_density(z))
    torch.testing.assert_close(torch.autograd.grad(log_density.sum(), z)[0], -z)
    noise = torch.randn(9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SpikeAndSlab(torch.tensor(0.0)).sample(noise, torch.zeros(9)), noise)


@pytest.mark.parametrize("name", ["anisotropic", "shifted"])
def test_the_divergence_of_gaussians_is_the_mean_of_log_ratios(name: str) -> None:
    prior = PRIORS[name]
    mean, log_variance = torch.tensor([[1.5, -0.3], [-1.0, 0.5]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    epsilon = torch.randn(100_000, 2, generator=generator, dtype=torch.float64)
    z = gaussians.reparameterise(mean, log_variance, epsilon)
    ratios = Prior.kl(prior, mean, log_variance, z)
    error = ratios.std(0) / len(z) ** 0.5
    assert ((ratios.mean(0) - prior.kl(mean, log_variance, z)).abs() < 4 * error).all()
    torch.testing.assert_close(
        Gaussian(torch.zeros(2)).kl(mean, log_variance, z), gaussians.kl_to_standard_normal(mean, log_variance)
    )


def test_the_spread_of_variances_has_a_fixed_mean() -> None:
    flat = VarianceSpectrum([0.0, 0.0, 0.0], learned=False)
    torch.testing.assert_close(flat(torch.tensor(1.0)), torch.zeros(3))
    assert not list(flat.parameters())
    uneven = VarianceSpectrum([3.0, 1.0, 0.0], learned=True)
    variances = uneven(torch.tensor(2.0)).exp()
    assert float(variances.mean().detach()) == pytest.approx(2.0)
    assert float((variances[0] / variances[1]).detach()) == pytest.approx(math.exp(2))
    assert [name for name, _ in uneven.named_parameters()] == ["theta"]


# Lp-nested


def nested_log_density(z: Tensor, prior: LpNested) -> Tensor:
    """Return the log-density by the recursion over the tree, as it is published."""
    p0, s, n = prior.root, prior.scale, sum(prior.sizes)
    parts = z.split(prior.sizes, dim=-1)
    radii = [(part.abs() ** p).sum(-1) ** (1 / p) for p, part in zip(prior.exponents, parts, strict=True)]
    f = sum((v**p0 for v in radii), torch.zeros((), dtype=z.dtype)) ** (1 / p0)
    return p0.log() - torch.lgamma(n / p0) - n / p0 * s.log() - f**p0 / s - nested_log_surface(prior)


def nested_log_surface(prior: LpNested) -> Tensor:
    """Return the log of the surface of the unit ball: a sum over the inner nodes of the tree."""
    nodes = [(prior.root, list(prior.sizes))]
    nodes += [(p, [1] * size) for p, size in zip(prior.exponents, prior.sizes, strict=True)]
    total = number(sum(prior.sizes) * math.log(2))
    for p, below in nodes:
        total = total - (len(below) - 1) * p.log()
        for k in range(1, len(below)):
            a, b = sum(below[:k]) / p, below[k] / p
            total = total + torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return total


MANY = lp_nested((4, 1, 2), [2.2, 1.3, 0.7], 2.1, 1.7)


def test_the_nested_density_is_the_sum_of_subspaces() -> None:
    z = torch.randn(20, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(MANY.log_density(z).sum(1), nested_log_density(z, MANY), rtol=1e-12, atol=1e-12)
    first = lp_nested((4,), [2.2], 2.1, 1.7).log_density(z[:, :4])
    torch.testing.assert_close(MANY.log_density(z)[:, :4], first)


def test_all_exponents_two_and_scale_two_are_the_standard_normal() -> None:
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior = lp_nested((3, 2, 1), [2.0, 2.0, 2.0], 2.0)
    assert float(prior.scale) == pytest.approx(2.0)
    torch.testing.assert_close(prior.log_density(z), gaussians.log_density(z))


def test_the_sampler_has_the_entropy_of_the_closed_form_and_the_marginal_variance() -> None:
    samples = MANY.sample(60_000, np.random.default_rng(0))
    n, p0, s = 7, MANY.root, MANY.scale
    entropy = n / p0 - p0.log() + torch.lgamma(n / p0) + n / p0 * s.log() + nested_log_surface(MANY)
    surprise = -nested_log_density(samples, MANY)
    error = float(surprise.std()) / len(samples) ** 0.5
    assert abs(float(surprise.mean() - entropy)) < 4 * error
    squares = samples**2
    errors = squares.std(0) / len(samples) ** 0.5
    assert ((squares.mean(0) - MANY.variance()).abs() < 4.5 * errors).all()
    assert (samples.mean(0).abs() < 4.5 * samples.std(0) / len(samples) ** 0.5).all()


def test_samples_by_the_recursion_are_samples_of_the_density() -> None:
    """Draw from the root down, with a Dirichlet at each node, and compare radii and codes with our sampler's."""
    rng = np.random.default_rng(1)
    p0, s, n = float(MANY.root), float(MANY.scale), 20_000
    shares = rng.dirichlet(np.array(MANY.sizes) / p0, n) ** (1 / p0)
    radius = rng.gamma(sum(MANY.sizes) / p0, s, (n, 1)) ** (1 / p0)
    parts = [
        share[:, None] * rng.dirichlet(np.full(size, 1 / p), n) ** (1 / p)
        for share, size, p in zip(shares.T, MANY.sizes, MANY.exponents.tolist(), strict=True)
    ]
    theirs = radius * np.concatenate(parts, 1)
    ours = MANY.sample(n, np.random.default_rng(2)).abs().numpy()
    for j in range(7):
        assert stats.ks_2samp(theirs[:, j], ours[:, j]).pvalue > 1e-3
    assert stats.ks_2samp(theirs[:, :4].max(1), ours[:, :4].max(1)).pvalue > 1e-3


def test_published_variances_and_the_scale_of_unit_variance() -> None:
    authors = lp_nested((4,) * 5, [2.2] * 5, 2.1, 1.0)
    assert authors.variance().numpy() == pytest.approx(0.495, abs=5e-4)
    ours = lp_nested((4,) * 5, [2.2] * 5, 2.1)
    assert float(ours.scale) == pytest.approx(2.093, abs=5e-4)
    torch.testing.assert_close(ours.variance(), torch.ones(20, dtype=torch.float64))
    assert float(lp_nested((3, 1), [1.9, 2.5], 2.0).variance().mean()) == pytest.approx(1.0)


def test_gradients_are_finite_at_zero() -> None:
    z = torch.zeros(2, 7, dtype=torch.float64).requires_grad_()
    assert torch.isfinite(torch.autograd.grad(MANY.log_density(z).sum(), z)[0]).all()


def test_learned_exponents_have_their_initial_value_and_learning_rate() -> None:
    exponents = LearnedExponents(3, 2.1, 0.5)
    assert exponents().tolist() == pytest.approx([2.1] * 3)
    optimizer = torch.optim.Adam(exponents.parameters(), lr=1e-2)
    exponents().sum().backward()
    optimizer.step()
    moved = (exponents().detach() - 1.8).log() - math.log(0.3)
    assert moved.tolist() == pytest.approx([-5e-3] * 3, rel=1e-3)


# Rotations


def rotation(n: int) -> Tensor:
    matrix = torch.randn(n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return torch.as_tensor(torch.linalg.qr(matrix).Q)


def objective(prior: Any, mean: Tensor, root: Tensor, decode: Tensor, epsilon: Tensor, *, beta: float = 3.0) -> float:
    """Return the β-VAE objective of one point for posterior N(mean, root root^T) and a linear decoder."""
    z = mean + epsilon @ root.T
    posterior = torch.distributions.MultivariateNormal(mean, scale_tril=torch.linalg.cholesky(root @ root.T))
    kl = posterior.log_prob(z) - prior.log_density(z).sum(1)
    return float((((z @ decode.T - 1.0) ** 2).sum(1) + beta * kl).mean())


@pytest.mark.parametrize(
    ("prior", "invariant"),
    [
        (Gaussian(torch.zeros(4, dtype=torch.float64)), True),
        (lp_nested((2, 2), [2.0, 2.0], 2.0), True),
        (Gaussian(torch.tensor([1.0, 0.3, -0.3, -1.0], dtype=torch.float64)), False),
        (StudentT(number(3.0)), False),
        (SpikeAndSlab(number(0.5)), False),
        (lp_nested((2, 2), [1.5, 1.5], 1.5), False),
        (lp_nested((2, 2), [2.2, 2.2], 2.1), False),
    ],
)
def test_only_the_isotropic_objective_does_not_see_a_rotation(prior: Any, invariant: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    epsilon = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    mean = torch.tensor([2.0, 0.1, -0.5, 0.0], dtype=torch.float64)
    root = torch.diag(torch.tensor([0.1, 1.0, 0.5, 0.3], dtype=torch.float64))
    decode = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    turn = rotation(4)
    plain = objective(prior, mean, root, decode, epsilon)
    turned = objective(prior, turn @ mean, turn @ root, decode @ turn.T, epsilon)
    if invariant:
        assert turned == pytest.approx(plain, rel=1e-12)
    else:
        assert abs(turned - plain) > 1e-3


def test_a_subspace_of_exponent_two_may_be_rotated_within() -> None:
    prior = lp_nested((3, 1), [2.0, 2.0], 1.5)
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    within = torch.block_diag(rotation(3), torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close(prior.log_density(z @ within).sum(1), prior.log_density(z).sum(1))
    assert (prior.log_density(z @ rotation(4)) - prior.log_density(z)).sum(1).abs().max() > 0.1


def test_codes_of_the_mixture_share_its_density() -> None:
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale = torch.tensor(0.03, dtype=torch.float64).sqrt()
    centres = [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)]
    of_each = [torch.distributions.Normal(number(0.0), scale).log_prob(z - torch.tensor(c)).sum(1) for c in centres]
    shares = FourGaussians().log_density(z)
    torch.testing.assert_close(shares.sum(1), torch.logsumexp(torch.stack(of_each), 0) - math.log(4))
    torch.testing.assert_close(FourGaussians().log_density(z.flip(1)), shares.flip(1))
    beside = FourGaussians().log_density(torch.tensor([[0.1, 1.0]], dtype=torch.float64))[0]
    assert float(beside[1] - beside[0]) == pytest.approx(0.1**2 / (2 * 0.03))  # only the first latent is off-centre
