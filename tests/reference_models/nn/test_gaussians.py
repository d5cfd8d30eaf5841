"""Densities and divergences of Gaussians against torch.distributions and Monte Carlo."""

import torch
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, log_density, reparameterise
from torch.distributions import Normal, kl_divergence


def test_densities_and_divergences_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance, z = torch.randn(3, 50, 4, generator=generator)
    normal = Normal(mean, (0.5 * log_variance).exp())
    torch.testing.assert_close(log_density(z, mean, log_variance), normal.log_prob(z))
    torch.testing.assert_close(log_density(z), Normal(0.0, 1.0).log_prob(z))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), kl_divergence(normal, Normal(0.0, 1.0)))


def test_the_analytic_kl_is_the_mean_of_log_ratios() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.tensor([1.5]), torch.tensor([-1.0])
    z = reparameterise(mean, log_variance, torch.randn(200_000, 1, generator=generator))
    ratios = log_density(z, mean, log_variance) - log_density(z)
    error = ratios.std() / len(z) ** 0.5
    assert abs(ratios.mean() - kl_to_standard_normal(mean, log_variance)) < 4 * error
    assert abs(z.mean() - 1.5) < 0.01
    assert abs(z.var() - torch.tensor(-1.0).exp()) < 0.01
