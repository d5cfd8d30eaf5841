"""Which codes metrics read."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.metrics import find_metric
from disentmetrics.metrics.base import REGISTERED
from disentmetrics.scoring.presets import expand
from disentmetrics.statistics.resolution import at_resolution, resolution_of, sampled, with_resolution


def table(*, posterior: bool = False, n: int = 1_000) -> dm.Representation:
    v = np.random.default_rng(0).integers((5, 4), size=(n, 2))
    return dm.Representation(v * 1.0, v, log_variance=np.full(v.shape, -2.0) if posterior else None)


def test_without_a_posterior_only_information_is_estimated_at_a_resolution() -> None:
    known = table()
    assert sampled(known) is known
    assert resolution_of(known) == "step"
    blurred = at_resolution(known)
    assert blurred.codes != pytest.approx(known.codes, abs=0.01)
    assert np.abs(blurred.codes - known.codes).max() < 0.5
    assert blurred.unresolved is known or blurred.unresolved.codes is known.codes


def test_a_sample_has_the_variance_of_its_posterior_and_copies_have_their_own_noise() -> None:
    v = np.random.default_rng(0).normal(size=(20_000, 1))
    codes = np.hstack([v, v, -v])
    twins = dm.Representation(codes, None, log_variance=np.full(codes.shape, np.log([0.25, 4.0, 0.25])))
    noise = sampled(twins).codes - codes
    assert noise.std(axis=0) == pytest.approx([0.5, 2.0, 0.5], rel=0.02)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.03
    assert sampled(twins).log_variance is None
    assert resolution_of(sampled(twins)) == "posterior"


def test_rows_keep_their_noise_when_they_are_resampled_or_permuted() -> None:
    drawn = with_resolution(table(posterior=True))
    rows = np.arange(10, 500)
    assert np.array_equal(sampled(drawn.take(rows)).codes, sampled(drawn).codes[rows])
    permuted = drawn.shuffled(np.random.default_rng(0))
    assert np.array_equal(sampled(permuted).codes, sampled(drawn).codes)
    assert not np.array_equal(sampled(permuted).factors, sampled(drawn).factors)
    # What is taken from a table does not depend on what was computed from it before.
    fresh, used = table(posterior=True), table(posterior=True)
    sampled(used)
    assert np.array_equal(sampled(fresh.take(rows)).codes, sampled(used.take(rows)).codes)


def test_default_protocols_read_samples_and_published_ones_means() -> None:
    for name, metric in REGISTERED.items():
        for protocol, declared in metric.protocols.items():
            needs = declared.needs
            samples = (
                protocol == "default"
                and not (needs.log_variance or needs.symbols)
                and name not in {"active_units", "minimality", "hoyer_sparsity"}
            )
            assert declared.reads == ("sample" if samples else "mean"), f"{name}@{protocol}"


def collapsed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three latents that mix three factors, then three collapsed ones whose means are clean traces of the factors."""
    rng = np.random.default_rng(0)
    v = rng.integers((6, 4, 5), size=(2_000, 3))
    z = (v - v.mean(axis=0)) / v.std(axis=0)
    mixed = z @ np.array([[1, 0.6, 0.5], [-0.6, 1, 0.4], [0.5, -0.4, 1]]) + 0.3 * rng.normal(size=v.shape)
    codes = np.hstack([mixed / mixed.std(axis=0), 0.1 * z])  # traces of 0.005 nats
    return codes, v, np.tile(np.repeat([-3.0, 0.0], 3), (len(v), 1))


@pytest.mark.parametrize("name", [*expand("default", posterior=False), "mcc", "sap", "linear_r2"])
def test_traces_in_the_means_of_collapsed_latents_move_no_default_score(name: str) -> None:
    codes, v, log_variance = collapsed()
    metric, protocol = find_metric(name)
    without, with_traces = (
        np.mean(
            [metric(codes[:, :n], v, log_variance=log_variance[:, :n], protocol=protocol, seed=s).value for s in (0, 1)]
        )
        for n in (3, 6)
    )
    assert with_traces == pytest.approx(without, abs=0.05)


@pytest.mark.parametrize("name", ["mig", "dci", "mcc", "linear_r2"])
def test_read_from_means_those_traces_do(name: str) -> None:
    codes, v, log_variance = collapsed()
    metric = find_metric(name)[0]
    assert metric(codes, v).value - metric(codes, v, log_variance=log_variance).value > 0.1
