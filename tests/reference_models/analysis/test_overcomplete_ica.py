"""ICA with heavy-tailed sources under mean-field inference: quadrature, monotone free energy and learned loadings."""

import math

import numpy as np
import pytest
from disentmetrics_reference_models.analysis.overcomplete_ica import (
    Posteriors,
    SparseSources,
    directions,
    expected_log_prior,
    fit,
    free_energy,
    optimal_loadings,
    plot_components,
    update_posteriors,
)
from scipy import integrate, stats

from disentmetrics.errors import InvalidInputError


def toy(noise_variance: float, seed: int) -> tuple[SparseSources, np.ndarray]:
    model = SparseSources(directions(0, 60, 120), noise_variance, 3.5)
    return model, model.sample(200, np.random.default_rng(seed))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.3), (1.5, 1.0), (-4.0, 0.5)])
def test_the_quadrature_agrees_with_integration(mean: float, deviation: float) -> None:
    def integrand(z: float) -> float:
        return float(stats.norm.pdf(z, mean, deviation) * stats.t.logpdf(z, 3.5))

    integral, _ = integrate.quad(integrand, mean - 10 * deviation, mean + 10 * deviation)
    quadrature = expected_log_prior(Posteriors(np.array([[mean]]), np.array([[deviation]])), 3.5)
    assert quadrature.item() == pytest.approx(integral, abs=1e-4)


def test_the_free_energy_bounds_the_likelihood() -> None:
    model = SparseSources(np.array([[2.0]]), 0.3, 3.5)
    data = np.array([[-3.0], [0.2], [1.0]])

    def density(z: float, x: float) -> float:
        return float(stats.norm.pdf(x, 2 * z, math.sqrt(0.3)) * stats.t.pdf(z, 3.5))

    truth = np.mean([math.log(integrate.quad(density, -20, 20, args=(x,), points=[x / 2])[0]) for x in data.ravel()])
    posteriors = Posteriors(np.zeros((3, 1)), np.ones((3, 1)))
    for _ in range(50):
        posteriors = update_posteriors(model, data, posteriors)
    assert truth - 0.02 < free_energy(model, data, posteriors) < truth


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_no_step_decreases_the_free_energy(beta: float) -> None:
    model, data = toy(0.3, 0)
    rng = np.random.default_rng(0)
    posteriors = Posteriors(rng.normal(size=(200, 3)), rng.uniform(0.1, 2.0, (200, 3)))
    before = free_energy(model, data, posteriors, beta)
    for _ in range(20):
        posteriors = update_posteriors(model, data, posteriors, beta)
        after = free_energy(model, data, posteriors, beta)
        assert after > before
        before = after
    learned = SparseSources(optimal_loadings(data, posteriors), 0.3, 3.5)
    best = free_energy(learned, data, posteriors, beta)
    assert best > before
    for move in rng.normal(scale=0.01, size=(5, 2, 3)):
        assert free_energy(SparseSources(learned.loadings + move, 0.3, 3.5), data, posteriors, beta) < best
    assert (np.diff(fit(model, data, beta=beta, max_sweeps=100).free_energy) > -1e-12).all()


@pytest.mark.parametrize("noise_variance", [0.05, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_two_strongest_components_become_nearly_orthogonal(noise_variance: float, seed: int) -> None:
    model, data = toy(noise_variance, seed)
    fitted = fit(model, data)
    assert fitted.converged
    assert fitted.separation > 75
    assert math.degrees(math.acos(model.loadings[:, 0] @ model.loadings[:, 1])) == pytest.approx(60)


def test_a_fit_that_reaches_the_maximum_number_of_sweeps_has_not_converged() -> None:
    model, data = toy(0.05, 0)
    fitted = fit(model, data, max_sweeps=30)
    assert not fitted.converged
    assert len(fitted.free_energy) == 31


def test_all_sources_are_pruned_for_large_beta() -> None:
    model, data = toy(1.0, 0)
    fitted = fit(model, data, beta=200.0)
    assert fitted.contribution.max() < 1e-3
    assert math.isnan(fitted.separation) or 0 <= fitted.separation <= 90


def test_separation_is_the_angle_between_lines() -> None:
    model = SparseSources(directions(10, 170, 90), 0.1, 3.5)
    posteriors = Posteriors(np.array([[1.0, 2.0, 0.0], [-1.0, -2.0, 0.0]]), np.ones((2, 3)))
    fitted = fit(model, model.sample(5, np.random.default_rng(0)), max_sweeps=1)
    changed = type(fitted)(model, posteriors, 1.0, fitted.free_energy, converged=True)
    assert changed.contribution == pytest.approx([1.0, 2.0, 0.0])
    assert changed.separation == pytest.approx(20)


def test_components_are_plotted() -> None:
    pytest.importorskip("matplotlib")
    model, data = toy(0.3, 2)
    figure = plot_components(data, [fit(model, data, beta=beta, max_sweeps=20) for beta in (1.0, 5.0)])
    assert [len(panel.lines) for panel in figure.axes] == [4, 4]
    assert all("not converged" in panel.get_title() for panel in figure.axes)


def test_invalid_settings_raise_errors() -> None:
    model, data = toy(0.3, 0)
    with pytest.raises(InvalidInputError, match="beta must be above 0"):
        fit(model, data, beta=0.0)
    with pytest.raises(InvalidInputError, match="max_sweeps must be above 0"):
        fit(model, data, max_sweeps=0)
    with pytest.raises(InvalidInputError, match="degrees_of_freedom must be above 0"):
        SparseSources(directions(0, 90), 0.1, 0.0)
    with pytest.raises(InvalidInputError, match="loadings must be"):
        SparseSources(np.ones(2), 0.1, 3.0)
