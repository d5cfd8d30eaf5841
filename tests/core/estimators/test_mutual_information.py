import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import expected_mutual_information

from disentmetrics.estimators.mutual_information import (
    adjusted_information,
    contingency,
    entropy,
    equal_width_bins,
    expected_information,
    plug_in_information,
    quantile_bins,
)

tables = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 30)).filter(
    lambda table: table.sum() > 1
)


@given(tables)
def test_plug_in_information_is_scikit_learns(table: np.ndarray) -> None:
    assert plug_in_information(table) == pytest.approx(
        max(0.0, mutual_info_score(None, None, contingency=table)), abs=1e-9
    )


@given(tables)
def test_expected_information_is_scikit_learns(table: np.ndarray) -> None:
    kept = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    theirs = expected_mutual_information(kept, int(kept.sum()))
    assert expected_information(kept.sum(axis=1), kept.sum(axis=0)) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("n", "n_first", "n_second"), [(20_000, 2, 40), (50_000, 20, 10), (200_000, 7, 3)])
def test_the_series_for_large_counts_agrees_with_the_exact_sum(n: int, n_first: int, n_second: int) -> None:
    rng = np.random.default_rng(n)
    table = contingency(rng.integers(n_first, size=n), rng.integers(n_second, size=n), n_first, n_second)
    ours = expected_information(table.sum(axis=1), table.sum(axis=0))
    assert ours == pytest.approx(expected_mutual_information(table, n), abs=1e-3 * table.size / n)


@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_expected_information_is_the_mean_over_permutations(a: int, b: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(a, size=60), rng.integers(b, size=60)
    values = [plug_in_information(contingency(rng.permutation(first), second, a, b)) for _ in range(300)]
    table = contingency(first, second, a, b)
    error = np.std(values) / np.sqrt(300)
    assert abs(expected_information(table.sum(1), table.sum(0)) - np.mean(values)) <= 5 * error + 1e-12


def test_adjusted_information_is_all_of_a_relabelled_factor_and_nothing_of_a_constant() -> None:
    assert adjusted_information(np.eye(7, dtype=int)[::-1] * 3) == pytest.approx(np.log(7))
    assert adjusted_information(np.array([[3, 4, 5]])) == pytest.approx(0.0, abs=1e-12)


def test_entropy_of_a_fair_die_is_log_six() -> None:
    assert entropy(np.full(6, 10)) == pytest.approx(np.log(6))
    assert entropy(np.array([5, 0])) == 0.0


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6)), st.integers(1, 30))
def test_equal_width_bins_are_those_of_disentanglement_lib(values: np.ndarray, n_bins: int) -> None:
    reference = np.digitize(values, np.histogram(values, n_bins)[1][:-1])
    assert np.array_equal(equal_width_bins(values, n_bins), reference - 1)


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6)), st.integers(1, 12))
def test_quantile_bins_keep_equal_values_together_and_order(values: np.ndarray, n_bins: int) -> None:
    bins = quantile_bins(values, n_bins)
    order = np.argsort(values, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    same = values[order][1:] == values[order][:-1]
    assert (np.diff(bins[order])[same] == 0).all()
    assert bins.max() < n_bins
