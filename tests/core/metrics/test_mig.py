import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

SIZES = (3, 6, 40, 32, 32)


def dsprites_like(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(SIZES, size=(n, 5))


@given(st.lists(st.integers(2, 200), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_perfect_code_scores_one_for_any_sizes_of_the_factors(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers(sizes, size=(5_000, len(sizes)))
    assert dm.metrics.mig(factors.astype(float), factors, protocol="spacing").value >= 0.99
    # The second most informative latent has chance information, of which the larger of several estimates is positive.
    score = dm.metrics.mig(factors.astype(float), factors)
    assert score.value >= 0.97
    assert score.details["average_maximal_information"][0] >= 0.98


def test_a_perfect_code_with_room_within_each_value_scores_one() -> None:
    """A room of 0.8 of the step leaves two standard deviations of the blur between neighbouring values."""
    factors = dsprites_like(10_000)
    codes = factors + np.random.default_rng(1).uniform(-0.4, 0.4, size=factors.shape)
    assert dm.metrics.mig(codes, factors, protocol="spacing").value >= 0.99
    assert dm.metrics.mig(codes, factors).value >= 0.97


def test_noise_scores_zero() -> None:
    factors = dsprites_like(10_000)
    codes = np.random.default_rng(1).normal(size=(10_000, 10))
    assert dm.metrics.mig(codes, factors).value < 0.003


def test_warps_outliers_and_dead_latents_do_not_change_the_default() -> None:
    factors = dsprites_like(5_000)
    codes = factors + np.random.default_rng(1).normal(size=factors.shape)
    plain = dm.metrics.mig(codes, factors).value
    spaced = dm.metrics.mig(codes, factors, protocol="spacing").value
    assert dm.metrics.mig(np.exp(codes / 5), factors, protocol="spacing").value == pytest.approx(spaced, abs=1e-9)
    assert dm.metrics.mig(np.exp(codes / 5), factors).value == pytest.approx(plain, abs=1e-3)
    assert dm.metrics.mig(np.hstack([codes, np.ones((5_000, 3))]), factors).value == plain
    broken = codes.copy()
    broken[17] = 1e9
    assert dm.metrics.mig(broken, factors).value == pytest.approx(plain, abs=1e-3)


def test_known_failure_two_factors_packed_into_one_latent_score_almost_one_and_a_note_reports_it() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(6_000, 3))
    codes = np.stack([3.0 * factors[:, 0] + factors[:, 1], factors[:, 2], rng.normal(size=6_000)], axis=1)
    assert dm.metrics.mig(codes, factors, protocol="spacing").value > 0.99
    score = dm.metrics.mig(codes, factors)
    assert score.value > 0.9
    assert any("z0 carries most of the entropy of factor_0 and factor_1" in note for note in score.notes)


def test_a_rotation_scores_low() -> None:
    factors = np.random.default_rng(0).integers(8, size=(5_000, 4))
    everywhere = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    assert dm.metrics.mig(factors.astype(float), factors).value > 0.99
    assert dm.metrics.mig(factors @ everywhere, factors).value < 0.02


def test_duplicating_every_latent_scores_zero() -> None:
    factors = dsprites_like(2_000)
    assert dm.metrics.mig(np.hstack([factors, factors]).astype(float), factors).value == 0.0


def test_locatello2019_is_the_histogram_of_disentanglement_lib() -> None:
    """Reference implementation of its source: 20 equal-width bins per latent, plug-in estimate, sorted."""
    factors = dsprites_like(3_000)
    codes = factors + np.random.default_rng(5).normal(size=factors.shape)
    binned = [np.digitize(z, np.histogram(z, 20)[1][:-1]) for z in codes.T]
    nats = np.array([[mutual_info_score(z, v) for v in factors.T] for z in binned])
    entropies = np.array([mutual_info_score(v, v) for v in factors.T])
    ranked = np.sort(nats, axis=0)
    expected = np.mean((ranked[-1] - ranked[-2]) / entropies)
    score = dm.metrics.mig(codes, factors, protocol="locatello2019")
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert score.details["mutual_information"] == pytest.approx(nats, abs=1e-9)


def test_why_twenty_bins_cap_a_perfect_code() -> None:
    """A factor with 40 values has log 40 nats, and 20 bins carry at most log 20."""
    factors = dsprites_like(20_000)
    score = dm.metrics.mig(factors.astype(float), factors, protocol="locatello2019")
    assert score.per_factor["factor_2"] < np.log(20) / np.log(40) + 0.01
    assert score.value == pytest.approx(0.889, abs=0.015)


def test_chen2018_counts_the_blur_of_the_posterior() -> None:
    factors = np.indices((4, 5, 6)).reshape(3, -1).T
    codes = factors.astype(float)
    sharp = dm.metrics.mig(codes, factors, log_variance=np.full(codes.shape, -8.0), protocol="chen2018")
    blurred = dm.metrics.mig(codes, factors, log_variance=np.zeros(codes.shape), protocol="chen2018")
    assert sharp.value == pytest.approx(1.0, abs=2e-3)
    assert 0.1 < blurred.value < 0.6
    assert "code:mean+logvar" in sharp.signature


def test_chen2018_agrees_with_its_sampled_estimator() -> None:
    """The published estimator: draw from each mixture and average minus log density, all components."""
    rng = np.random.default_rng(0)
    factors = np.indices((4, 5)).reshape(2, -1).T.repeat(15, axis=0)
    mean = factors + 0.3 * rng.normal(size=factors.shape)
    log_variance = rng.uniform(-3, -1, size=mean.shape)

    def sampled_entropy(rows: np.ndarray, code: int, n: int = 4_000) -> float:
        m, s = mean[rows, code], np.exp(log_variance[rows, code] / 2)
        drawn = rng.integers(len(m), size=n)
        z = m[drawn] + s[drawn] * rng.normal(size=n)
        density = (np.exp(-((z[:, None] - m) ** 2) / (2 * s**2)) / (s * np.sqrt(2 * np.pi))).mean(axis=1)
        return float(-np.log(density).mean())

    nats = np.zeros((2, 2))
    for j in range(2):
        whole = sampled_entropy(np.arange(len(mean)), j, 20_000)
        for k, size in enumerate((4, 5)):
            parts = [sampled_entropy(np.flatnonzero(factors[:, k] == v), j) for v in range(size)]
            nats[j, k] = whole - np.mean(parts)
    ours = dm.metrics.mig(mean, factors, log_variance=log_variance, protocol="chen2018")
    assert ours.details["mutual_information"] == pytest.approx(nats, abs=0.03)


def test_a_collapsed_latent_carries_nothing_and_the_signature_records_how_codes_are_read() -> None:
    """A latent of 0.001 nats can carry a clean trace of a factor in its mean."""
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(2_000, 2))
    codes = np.hstack([factors, 0.001 * factors[:, :1]]).astype(float)
    log_variance = np.array([-6.0, -6.0, 0.0]) * np.ones_like(codes)
    of_means = dm.metrics.mig(codes, factors)
    of_samples = dm.metrics.mig(codes, factors, log_variance=log_variance)
    masked = dm.metrics.mig(codes, factors, log_variance=log_variance, protocol="spacing")
    assert of_means.per_factor["factor_0"] == pytest.approx(0.0, abs=0.01)
    assert of_samples.value > 0.99
    assert masked.value > 0.99
    assert "|code:mean|resolution:step|" in of_means.signature
    assert "|code:sample|resolution:posterior|" in of_samples.signature
    assert "mask:kl>0.01" in masked.signature


def test_rows_without_a_label_are_left_out_for_that_factor_only() -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(4, size=(3_000, 2)).astype(float)
    holes = whole.copy()
    holes[:1_000, 1] = np.nan
    codes = whole + 0.2 * rng.normal(size=whole.shape)
    spaced, labelled = (dm.metrics.mig(codes, table, protocol="spacing").per_factor for table in (holes, whole))
    assert spaced["factor_0"] == labelled["factor_0"]
    some = dm.metrics.mig(codes[1_000:], whole[1_000:], protocol="spacing").per_factor
    assert spaced["factor_1"] == some["factor_1"]
    # The blur of all rows is estimated from those that have a label.
    assert dm.metrics.mig(codes, holes).per_factor == pytest.approx(
        {"factor_0": dm.metrics.mig(codes, whole).per_factor["factor_0"], "factor_1": some["factor_1"]}, abs=0.02
    )


@pytest.mark.parametrize("protocol", ["default", "locatello2019"])
def test_degenerate_tables_have_a_decided_outcome(protocol: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(100, 2))
    one = dm.metrics.mig(rng.normal(size=100), factors, protocol=protocol)
    assert one.undefined is not None
    assert "2 or more latents; got 1" in one.undefined
    still = dm.metrics.mig(rng.normal(size=(100, 2)), np.zeros((100, 2), int), protocol=protocol)
    assert still.undefined is not None
    assert "1 or more factors that take two values; got 0" in still.undefined
    assert dm.metrics.mig(np.ones((100, 2)), factors, protocol=protocol).value == 0.0
    partly = dm.metrics.mig(rng.normal(size=(100, 2)), np.c_[factors[:, 0], np.zeros(100, int)], protocol=protocol)
    assert np.isnan(partly.per_factor["factor_1"])
    assert partly.value == partly.per_factor["factor_0"]


def test_the_adjusted_estimator_excludes_collapsed_latents_like_its_siblings() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(2_000, 2))
    codes = np.column_stack(
        [factors, 1e-3 * factors[:, 0]]
    )  # the last latent is collapsed, yet its mean is a clean trace
    log_variance = np.array([-6.0, -6.0, 0.0]) * np.ones_like(codes)
    table = dm.Representation(codes, factors, log_variance=log_variance)
    masked = dm.metrics.mig(table, protocol="spacing", estimator="adjusted")
    sibling = dm.metrics.average_maximal_mi(table, protocol="chen2018", estimator="adjusted")
    assert masked.value > 0.99
    assert "mask:kl>0.01" in masked.signature
    assert "mask:kl>0.01" in sibling.signature
    assert (masked.details["mutual_information"][2] == 0).all()
    assert dm.metrics.mig(codes, factors, estimator="adjusted").value < 0.6
