"""Example representations of the property suite."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.metrics.base import DEFECTS
from disentmetrics.statistics.symbols import are_symbols
from disentmetrics.testing.examples import DEFECTIVE, EXAMPLES, as_symbols, degenerate_tables, perfect, synergy


def correlations(table: dm.Representation) -> np.ndarray:
    n_codes = table.n_codes
    return np.asarray(np.abs(np.corrcoef(table.codes, table.factors, rowvar=False)[:n_codes, n_codes:]))


def test_there_is_an_example_of_every_defect() -> None:
    assert set(DEFECTIVE) == set(DEFECTS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_posterior_variances_are_given_on_request(name: str) -> None:
    plain, posterior = (EXAMPLES[name](50, np.random.default_rng(1), posterior=p) for p in (False, True))
    assert plain.log_variance is None
    assert posterior.log_variance is not None
    assert np.array_equal(plain.codes, posterior.codes)


def test_a_perfect_code_has_a_noiseless_latent_per_factor_and_noise_has_none() -> None:
    assert np.allclose(correlations(perfect(500, np.random.default_rng(0))).max(axis=0), 1)
    assert correlations(EXAMPLES["noise"](5_000, np.random.default_rng(0))).max() < 0.06


def test_latents_with_synergy_are_uninformative_alone() -> None:
    table = synergy(5_000, np.random.default_rng(0))
    assert correlations(table).max() < 0.06
    key, shifted = table.codes[:, :3], table.codes[:, 3:]
    assert np.array_equal((shifted - key) % (3, 6, 10), table.factors)


def test_quantised_codes_are_symbols() -> None:
    assert are_symbols(as_symbols(perfect(500, np.random.default_rng(0))))
    assert not are_symbols(perfect(500, np.random.default_rng(0)))


def test_degenerate_tables_are_of_the_kinds_that_break_formulas() -> None:
    tables = degenerate_tables(0)
    assert {"one code", "one factor", "one row", "constant codes", "constant factors", "missing labels"} <= set(tables)
    assert len(tables["one row"]) == 1
    assert tables["one factor"].n_factors == 1
    assert (tables["missing labels"].factors == -1).any()
    assert all(table.log_variance is not None for table in degenerate_tables(0, posterior=True).values())
