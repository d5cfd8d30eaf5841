from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics


def test_axis_alignment_is_the_share_of_information_in_excess_of_other_latents(
    mixed: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    codes, factors = mixed(20_000)
    score = M.axis_alignment(codes, factors)
    nats = score.details["mutual_information"]
    ranked = np.sort(nats, axis=0)[::-1]
    expected = np.maximum(ranked[0] - ranked[1:].sum(axis=0), 0) / ranked[0]
    assert list(score.per_factor.values()) == pytest.approx(expected)
    assert score.per_factor["factor_0"] < 0.7
    assert score.per_factor["factor_3"] > 0.99
    many = np.hstack([codes, np.random.default_rng(9).normal(size=(20_000, 40))])
    assert M.axis_alignment(many, factors).value == pytest.approx(score.value, abs=1e-9)


def test_collapsed_latents_carry_nothing_if_posteriors_are_known() -> None:
    factors = np.random.default_rng(0).integers(4, size=(2_000, 2))
    codes = np.hstack([factors, 0.001 * factors[:, :1]]).astype(float)
    log_variance = np.array([-6.0, -6.0, 0.0]) * np.ones_like(codes)
    assert M.axis_alignment(codes, factors).value == pytest.approx(0.5, abs=0.01)
    sampled = M.axis_alignment(codes, factors, log_variance=log_variance)
    assert sampled.value > 0.99
    assert "resolution:posterior" in sampled.signature
    assert M.minimality(codes, factors, log_variance=log_variance).value > 0.99
    li = M.mig_sup(codes, factors, log_variance=log_variance, protocol="li2020")
    assert "averaged:2" in li.signature
    assert li.value > 0.98
