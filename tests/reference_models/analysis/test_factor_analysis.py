"""Factor analysis under mean-field inference: closed forms against direct sums, and the maximum of the bound."""

import math
import re
import sys

import numpy as np
import pytest
from disentmetrics_reference_models.analysis.factor_analysis import (
    FactorAnalysis,
    overcomplete,
    overcomplete_scan,
    plot_overcomplete,
    plot_rotation,
    rotated,
    rotation_scan,
)

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import InvalidInputError, MissingExtraError

LOADINGS = np.diag([3.0, 1.0])
MODEL = FactorAnalysis(LOADINGS, 0.1)
DATA = MODEL.sample(300, np.random.default_rng(0))
DEGREES = np.arange(0.0, 91.0, 15.0)


def test_the_gap_is_the_kl_of_the_factorised_from_the_exact_posterior() -> None:
    model = FactorAnalysis(np.random.default_rng(1).normal(size=(4, 3)), 0.3)
    precision = model.precision()
    variances = 1 / np.diag(precision)
    divergence = 0.5 * (
        np.trace(precision @ np.diag(variances)) - 3 - np.log(variances).sum() - np.linalg.slogdet(precision)[1]
    )
    data = model.sample(50, np.random.default_rng(2))
    assert model.gap() == pytest.approx(divergence)
    assert model.free_energy(data) == pytest.approx(model.log_likelihood(data) - model.gap())


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_no_other_factorised_posterior_is_better(beta: float) -> None:
    model = FactorAnalysis(rotated(LOADINGS, 30), 0.1)
    means, variances = model.mean_field(DATA, beta)

    def value(shift: float, factor: float) -> float:
        m, v = means + shift, variances * factor
        distance = (
            np.square(DATA - m @ model.loadings.T).sum(axis=1) + (np.square(model.loadings).sum(axis=0) * v).sum()
        )
        kl = 0.5 * (v + m**2 - 1 - np.log(v)).sum(axis=1)
        return float((-distance / 0.2 - math.log(0.2 * math.pi) - beta * kl).mean())

    best = value(0.0, 1.0)
    assert model.free_energy(DATA, beta) == pytest.approx(best)
    assert all(value(*move) < best for move in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.05), (0.0, 0.95)))


def test_the_bound_is_maximal_for_orthogonal_loadings_and_the_likelihood_is_constant() -> None:
    scan = rotation_scan(DATA, LOADINGS, 0.1, [0, 15, 30, 45, 90])
    assert scan.gap.round(3).tolist() == [0.0, 0.168, 0.394, 0.477, 0.0]
    assert scan.log_likelihood == pytest.approx(scan.log_likelihood[0])
    assert scan.free_energy == pytest.approx(scan.log_likelihood - scan.gap)
    full_scan = rotation_scan(DATA, LOADINGS, 0.1, DEGREES)
    assert set(np.argsort(full_scan.free_energy)[-2:].tolist()) == {0, len(DEGREES) - 1}
    assert int(np.argmin(full_scan.free_energy)) == 3


def test_the_preference_of_the_tempered_model_decreases_with_beta_at_the_same_rotations() -> None:
    scans = {beta: rotation_scan(DATA, LOADINGS, 0.1, DEGREES, beta) for beta in (1.0, 2.0, 5.0, 10.0, 100.0)}
    assert [round(scan.amplitude, 3) for scan in scans.values()] == [0.477, 0.448, 0.376, 0.294, 0.037]
    untempered = [np.ptp(scan.free_energy) for scan in scans.values()]
    assert untempered == pytest.approx([0.48, 0.90, 1.88, 2.94, 3.69], abs=0.006)
    for scan in scans.values():
        assert set(np.argsort(scan.free_energy)[-2:].tolist()) == {0, len(DEGREES) - 1}
        tempered = scan.free_energy / scan.beta + scan.gap
        assert tempered == pytest.approx(tempered[0])


def test_sharing_an_axis_between_two_latents_lowers_the_bound() -> None:
    scan = overcomplete_scan(DATA, 0.1, [0.0, 0.25, 0.5, 0.75, 1.0])
    assert scan.gap[[0, -1]].tolist() == [0.0, 0.0]
    assert scan.gap[2] == pytest.approx(0.593, abs=5e-4)
    assert scan.log_likelihood == pytest.approx(scan.log_likelihood[0])
    assert int(np.argmin(scan.free_energy)) == 2


def test_figures_are_plotted() -> None:
    pytest.importorskip("matplotlib")
    scans = [rotation_scan(DATA, LOADINGS, 0.1, DEGREES, beta) for beta in (1.0, 10.0)]
    lines = plot_rotation(scans).axes[0].lines
    assert len(lines) == 3
    assert np.asarray(lines[0].get_ydata()).min() == pytest.approx(-0.477, abs=1e-3)
    assert len(plot_overcomplete([overcomplete_scan(DATA, 0.1, [0, 0.5, 1])]).axes[0].lines) == 2


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("plots"))):
        plot_rotation([rotation_scan(DATA, LOADINGS, 0.1, DEGREES)])


def test_invalid_settings_raise_errors() -> None:
    with pytest.raises(InvalidInputError, match="beta must be above 0"):
        MODEL.gap(0.0)
    with pytest.raises(InvalidInputError, match="noise_variance must be above 0"):
        FactorAnalysis(LOADINGS, 0.0)
    with pytest.raises(InvalidInputError, match="loadings must be"):
        FactorAnalysis(np.ones(3), 1.0)
    with pytest.raises(InvalidInputError, match="share must be in"):
        overcomplete(1.5)
