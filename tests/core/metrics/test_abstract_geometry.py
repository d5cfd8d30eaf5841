"""Cross-condition generalisation, parallelism and shattering: limits, reference implementations, invariances."""

import numpy as np
import pytest

import disentmetrics as dm

CCGP, PARALLELISM, SHATTERING = dm.metrics.ccgp, dm.metrics.parallelism, dm.metrics.shattering_dimension


def grid(*sizes: int, repeats: int = 40) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T.repeat(repeats, axis=0)


def test_ccgp_is_least_squares_on_all_contexts_but_one() -> None:
    factors = grid(3, 4)
    rng = np.random.default_rng(0)
    codes = np.column_stack([factors[:, 0] * (1 + 0.5 * factors[:, 1]), factors[:, 1]]) + rng.normal(size=(480, 2))
    accuracy = CCGP(codes, factors).details["accuracy"]
    design = np.column_stack([codes, np.ones(480)])
    for k, c in ((0, 1), (1, 0)):
        hits = []
        for a in range(factors[:, k].max() + 1):
            for b in range(a):
                pair = np.isin(factors[:, k], (a, b))
                side = np.where(factors[:, k] == a, 1.0, -1.0)
                for context in range(factors[:, c].max() + 1):
                    learns, asked = pair & (factors[:, c] != context), pair & (factors[:, c] == context)
                    weights = np.linalg.lstsq(design[learns], side[learns], rcond=None)[0]
                    hits.append(((design[asked] @ weights > 0) == (side[asked] > 0)).mean())
        assert accuracy[k, c] == pytest.approx(np.mean(hits), abs=1e-4)


def test_invertible_linear_maps_of_the_code_do_not_change_the_scores() -> None:
    factors = grid(3, 4, 5, repeats=20)
    rng = np.random.default_rng(1)
    codes = np.sin(factors + 0.3 * rng.normal(size=factors.shape)) + factors
    mapped = codes @ rng.normal(size=(3, 3)) + [1.0, -5.0, 100.0]
    for metric in (CCGP, PARALLELISM, SHATTERING):
        assert metric(mapped, factors).value == pytest.approx(metric(codes, factors).value, abs=1e-4)
        assert metric(np.hstack([codes, mapped]), factors).value == pytest.approx(
            metric(codes, factors).value, abs=1e-3
        )


def test_one_latent_per_condition_shatters_everything_and_generalises_nothing() -> None:
    factors = grid(2, 2, repeats=200)
    rng = np.random.default_rng(2)
    apart = np.eye(4)[factors[:, 0] * 2 + factors[:, 1]] + 0.1 * rng.normal(size=(800, 4))
    linear = factors + 0.1 * rng.normal(size=(800, 2))
    assert [SHATTERING(apart, factors).parts[part].value for part in ("factors", "parity")] == pytest.approx([1, 1])
    assert CCGP(apart, factors).value < 0.9
    assert PARALLELISM(apart, factors).value == pytest.approx(0.0, abs=0.05)
    shattering = SHATTERING(linear, factors)
    assert shattering.parts["factors"].value == pytest.approx(1.0)
    assert shattering.parts["parity"].value == pytest.approx(0.5, abs=0.05)
    assert shattering.value == pytest.approx(5 / 6, abs=0.02)
    assert [CCGP(linear, factors).value, PARALLELISM(linear, factors).value] == pytest.approx([1, 1], abs=0.01)


@pytest.mark.parametrize("protocol", ["default", "bernardi2020"])
def test_a_reversed_direction_is_antiparallel_and_misleads_the_decoder(protocol: str) -> None:
    factors = grid(2, 2, repeats=100)
    turned = np.where(factors[:, 1] == 0, 1.0, -1.0) * (factors[:, 0] - 0.5)
    codes = np.column_stack([turned, factors[:, 1]])
    assert PARALLELISM(codes, factors, protocol=protocol).details["cosine"][0, 1] == pytest.approx(-1.0, abs=0.01)
    assert CCGP(codes, factors).details["accuracy"][0, 1] == 0.0


def test_the_mean_cosine_is_the_plain_one() -> None:
    factors = grid(3, 2, repeats=30)
    codes = factors + np.random.default_rng(3).normal(size=factors.shape)
    standard = (codes - codes.mean(0)) / codes.std(0)
    mean = np.array([[standard[(factors == (a, c)).all(axis=1)].mean(0) for c in range(2)] for a in range(3)])
    cosines = []
    for a in range(3):
        for b in range(a):
            first, second = mean[a, 0] - mean[b, 0], mean[a, 1] - mean[b, 1]
            cosines.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    cosine = PARALLELISM(codes, factors, protocol="bernardi2020").details["cosine"]
    assert cosine[0, 1] == pytest.approx(np.mean(cosines), abs=1e-9)


def test_noise_in_the_means_lowers_the_published_parallelism_and_not_the_corrected_one() -> None:
    rng = np.random.default_rng(4)
    factors = rng.integers((5, 6), size=(600, 2))
    codes = np.column_stack([factors, 2 * rng.normal(size=(600, 6))])
    assert PARALLELISM(codes, factors, protocol="bernardi2020").value < 0.8
    assert PARALLELISM(codes, factors).value == pytest.approx(1.0, abs=0.1)


def test_noise_is_at_chance_and_one_factor_is_refused() -> None:
    rng = np.random.default_rng(5)
    factors = rng.integers((3, 4), size=(2_000, 2))
    codes = rng.normal(size=(2_000, 4))
    assert CCGP(codes, factors).value == pytest.approx(0.5, abs=0.03)
    assert SHATTERING(codes, factors).value == pytest.approx(0.5, abs=0.03)
    assert PARALLELISM(codes, factors).value == 0.0
    for metric in (CCGP, PARALLELISM, SHATTERING):
        assert "2 or more factors" in (metric(codes, factors[:, :1]).undefined or "")


def test_rows_of_one_group_are_on_one_side_of_a_split() -> None:
    """Rows of a group share a random code and their conditions: leakage would decode noise."""
    rng = np.random.default_rng(6)
    group = np.arange(40).repeat(12)
    factors = rng.integers(2, size=(40, 2))[group]
    codes = rng.normal(size=(40, 15))[group]
    representation = dm.Representation(codes, factors, groups=group)
    assert SHATTERING.score(representation).value < 0.7
