"""Identities of the decomposition of the KL, and the published mistakes that they detect."""

import math

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.nn.gaussians import log_density, reparameterise
from disentmetrics_reference_models.nn.total_correlation import (
    ESTIMATES,
    decompose,
    pairwise_log_density,
    permute_codes,
    stratified_weights,
)


def posteriors(n: int = 40, n_codes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(n, n_codes, generator=generator, dtype=torch.float64)
    mean[:, -1] = 0.8 * mean[:, 0] + 0.2 * mean[:, -1]
    log_variance = torch.randn(n, n_codes, generator=generator, dtype=torch.float64) - 1
    z = reparameterise(mean, log_variance, torch.randn(n, n_codes, generator=generator, dtype=torch.float64))
    return z, mean, log_variance


@pytest.mark.parametrize("estimate", sorted(ESTIMATES))
def test_the_three_parts_add_up_to_the_kl_sample_by_sample(estimate: str) -> None:
    z, mean, log_variance = posteriors()
    parts = decompose(z, mean, log_variance, 1000, estimate=estimate)
    kl = (log_density(z, mean, log_variance) - log_density(z)).sum(1)
    torch.testing.assert_close(sum(parts, torch.zeros(40, dtype=torch.float64)), kl)


def test_weighted_sampling_differs_from_the_plain_average_by_a_constant() -> None:
    z, mean, log_variance = posteriors(n_codes=4)
    weighted = decompose(z, mean, log_variance, 500, estimate="mws").total_correlation
    plain = decompose(z, mean, log_variance, 500, estimate="batch").total_correlation
    torch.testing.assert_close(weighted - plain, torch.full((40,), 3 * math.log(500), dtype=torch.float64))


def test_stratified_weights_sum_to_one_in_every_row() -> None:
    for batch_size, n_rows in ((2, 2), (5, 5), (8, 100), (64, 737_280)):
        weights = stratified_weights(batch_size, n_rows, like=torch.zeros(1, dtype=torch.float64)).exp()
        torch.testing.assert_close(weights.sum(1), torch.ones(batch_size, dtype=torch.float64))
        assert weights.diagonal().tolist() == pytest.approx([1 / n_rows] * batch_size)


def strided_weights(batch_size: int, n_rows: int) -> torch.Tensor:
    """Return the matrix of the authors' code: filled with a stride of B, so that it fills columns."""
    m = batch_size - 1
    weights = torch.full((batch_size, batch_size), 1 / m, dtype=torch.float64)
    weights.view(-1)[::batch_size] = 1 / n_rows
    weights.view(-1)[1::batch_size] = (n_rows - m) / (n_rows * m)
    weights[m - 1, 0] = (n_rows - m) / (n_rows * m)
    return weights.log()


def density_over_batches(weights: torch.Tensor, n_rows: int, batch_size: int) -> tuple[float, float]:
    """Return the mean over batches of the estimated density at a sample of image 0, and the true density."""
    _, mean, log_variance = posteriors(n_rows, 1, seed=3)
    rng = np.random.default_rng(0)
    z = mean[:1] + 0.3
    of_each = pairwise_log_density(z, mean, log_variance).sum(2)[0].exp()
    estimates = []
    for _ in range(20_000):
        others = rng.choice(np.arange(1, n_rows), batch_size - 1, replace=False)
        position = rng.integers(batch_size)
        batch = np.insert(others, position, 0)
        estimates.append(float((weights[position].exp() * of_each[batch]).sum()))
    return float(np.mean(estimates)), float(of_each.mean())


def test_the_stratified_estimate_is_unbiased_and_the_strided_matrix_is_not() -> None:
    n_rows, batch_size = 30, 6
    right, true = density_over_batches(
        stratified_weights(batch_size, n_rows, like=torch.zeros(1, dtype=torch.float64)), n_rows, batch_size
    )
    wrong, _ = density_over_batches(strided_weights(batch_size, n_rows), n_rows, batch_size)
    assert right == pytest.approx(true, rel=0.02)
    assert abs(wrong - true) > 0.1 * true


def test_the_total_correlation_of_gaussians_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    correlation = 0.9
    n = 2000
    first = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    second = correlation * first + math.sqrt(1 - correlation**2) * torch.randn(
        n, 1, generator=generator, dtype=torch.float64
    )
    mean = torch.cat([first, second], 1) * math.sqrt(0.9)
    log_variance = torch.full((n, 2), math.log(0.1), dtype=torch.float64)
    z = reparameterise(mean, log_variance, torch.randn(n, 2, generator=generator, dtype=torch.float64))
    tc = decompose(z, mean, log_variance, n, estimate="batch").total_correlation.mean()
    of_samples = 0.9 * correlation
    assert float(tc) == pytest.approx(-0.5 * math.log(1 - of_samples**2), abs=0.05)


def test_permuted_codes_keep_their_marginals_and_lose_their_dependence() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(5000, 1, generator=generator)
    z = torch.cat([first, first + 0.1 * torch.randn(5000, 1, generator=generator), -first], 1)
    permuted = permute_codes(z, torch.rand(5000, 3, generator=generator))
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    assert torch.corrcoef(permuted.T).triu(1).abs().max() < 0.05
    assert torch.corrcoef(z.T).triu(1).abs().max() > 0.99
