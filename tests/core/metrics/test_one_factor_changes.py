"""Z-max-variance and OMES, and the rows that differ in a single factor."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.statistics.traversals import cells, traversals

METRICS = pytest.mark.parametrize("name", ["z_max_var", "omes"])


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def ordinal(codes: np.ndarray, factors: np.ndarray) -> dm.Representation:
    return dm.Representation(codes, factors, kinds={f"factor_{k}": "ordinal" for k in range(factors.shape[1])})


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=20)
def test_a_cell_contains_the_rows_that_agree_in_all_other_factors(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers((2, 3, 2), size=(n, 3))
    factors[rng.random(factors.shape) < 0.1] = -1
    space = dm.FactorSpace([dm.Factor(f"v{k}", size, "ordinal") for k, size in enumerate((2, 3, 2))])
    table = cells(dm.Representation(np.zeros((n, 1)), factors, space=space), 1)
    varied = [k for k in (0, 2) if len(set(factors[:, k]) - {-1}) > 1]
    expected: dict[tuple[int, ...], set[int]] = {}
    for row in np.flatnonzero((factors[:, [*varied, 1]] >= 0).all(axis=1)):
        expected.setdefault(tuple(factors[row, varied]), set()).add(int(row))
    members: dict[int, set[int]] = {}
    for row, cell in zip(table.rows, table.cell, strict=True):
        members.setdefault(int(cell), set()).add(int(row))
    assert sorted(map(sorted, members.values())) == sorted(map(sorted, expected.values()))
    assert (np.diff(table.run) >= 0).all()
    assert (table.run_value[table.run] == factors[table.rows, 1]).all()


def test_many_factors_do_not_overflow_the_key() -> None:
    rng = np.random.default_rng(0)
    factors = np.repeat(rng.integers(1000, size=(50, 12)), 2, axis=0)
    factors[1::2, 0] = (factors[::2, 0] + 1) % 1000
    table = cells(ordinal(np.zeros((100, 1)), factors), 0)
    assert table.share_that_varies == 1.0
    assert len(table.runs_in_cell) == 50


def test_a_traversal_changes_one_factor_in_order() -> None:
    factors = grid(3, 4, 5).repeat(2, axis=0)
    drawn = traversals(ordinal(np.zeros((120, 1)), factors), 1, 1000, np.random.default_rng(0))
    assert drawn is not None
    assert drawn.rows.shape == (15, 4)
    walked = factors[drawn.rows]
    assert (walked[:, :, 1] == np.arange(4)).all()
    assert (walked[:, :, [0, 2]] == walked[:, :1, [0, 2]]).all()


@METRICS
def test_a_random_sample_of_a_large_grid_is_refused_in_a_sentence(name: str) -> None:
    factors = np.random.default_rng(0).integers((3, 6, 40, 32, 32), size=(5_000, 5))
    score = getattr(dm.metrics, name).score(ordinal(factors.astype(float), factors))
    assert "agree in all factors but one" in (score.undefined or "")
    assert "full grid" in (score.undefined or "")


@METRICS
def test_a_factor_that_never_changes_alone_is_left_out_and_named(name: str) -> None:
    rows = grid(3, 4, 5)
    factors = np.c_[rows, rows.sum(axis=1)]  # the sum changes with each of the others, never alone
    score = getattr(dm.metrics, name).score(ordinal(rows.astype(float), np.c_[rows[:, :2], rows[:, 2] % 2, rows[:, 2]]))
    assert score.undefined is not None or any("left out" in note for note in score.notes)
    whole = getattr(dm.metrics, name).score(ordinal(rows.astype(float), factors))
    assert whole.undefined is not None


@METRICS
def test_perfect_codes_score_one_on_a_grid_of_any_size(name: str) -> None:
    for sizes in ((2, 2), (2, 7, 3), (12, 8, 6)):
        factors = grid(*sizes).repeat(20, axis=0)
        score = getattr(dm.metrics, name).score(ordinal(factors @ np.diag([1.0, -100, 0.01][: len(sizes)]), factors))
        assert score.value == pytest.approx(1.0, abs=1e-9)


def test_z_max_var_of_noise_is_chance_since_votes_are_scored_on_other_rows() -> None:
    values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        factors = grid(4, 5, 6, 3)
        values.append(dm.metrics.z_max_var.score(ordinal(rng.normal(size=(360, 6)), factors), seed=seed).value)
    assert np.mean(values) == pytest.approx(0.25, abs=0.03)


def test_z_max_var_votes_for_the_latent_that_varies_most() -> None:
    """Reference implementation as a loop over cells: the limit of many votes of many rows."""
    rng = np.random.default_rng(0)
    factors = grid(4, 5, 6)
    codes = factors @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(120, 4))
    votes = np.zeros((4, 3))
    for k in range(3):
        others = np.delete(factors, k, axis=1)
        for cell in np.unique(others, axis=0):
            of_cell = codes[(others == cell).all(axis=1)]
            votes[(of_cell.var(axis=0) / codes.var(axis=0)).argmax(), k] += len(of_cell)
    expected = votes.max(axis=1).sum() / votes.sum()
    score = dm.metrics.z_max_var.score(
        ordinal(codes, factors), "carbonneau2022", n_rows=2_000, n_train=3_000, n_test=3_000, rescale=False
    )
    assert score.value == pytest.approx(expected, abs=0.03)


def test_known_failure_of_z_max_var_every_latent_may_change_with_a_factor() -> None:
    factors = grid(5, 5, 5)
    mixed = factors @ (np.full((3, 3), 0.6) + 0.4 * np.eye(3))
    assert dm.metrics.z_max_var.score(ordinal(mixed, factors)).value == 1.0


def published_omes(codes: np.ndarray, factors: np.ndarray, *, pool_max: bool) -> float:
    """Every pair of rows that differs in factor k alone, and the scores as the paper writes them."""
    n_codes, n_factors = codes.shape[1], factors.shape[1]
    moved = np.zeros((n_codes, n_factors))
    differ = factors[:, None] != factors[None]
    for k in range(n_factors):
        first, second = np.nonzero(differ[:, :, k] & (differ.sum(axis=2) == 1))
        for j in range(n_codes):
            moved[j, k] = 1 - abs(np.corrcoef(codes[first, j], codes[second, j])[0, 1])
    scores = []
    for k in range(n_factors):
        terms = []
        for j in range(n_codes):
            overlap = 1 - np.abs(np.eye(n_factors)[k] - moved[j]).mean()
            multiple = 1 - np.abs(np.eye(n_codes)[j] - moved[:, k]).mean()
            terms.append((overlap * moved[j, k], multiple * moved[j, k]))
        both = np.array(terms)
        pooled = both.max(axis=0) if pool_max else np.average(both, axis=0, weights=moved[:, k])
        scores.append(pooled.mean())
    return float(np.mean(scores))


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_omes_as_published_is_the_limit_of_its_draws(pooling: str) -> None:
    rng = np.random.default_rng(0)
    factors = grid(4, 3, 5)
    codes = np.c_[factors, factors[:, 0] + 0.5 * factors[:, 1], rng.normal(size=60)]
    expected = published_omes(codes, factors, pool_max=pooling == "max")
    ours = dm.metrics.omes.score(ordinal(codes, factors), "dapueto2024", pooling=pooling)
    assert ours.value == pytest.approx(expected, abs=1e-9)


def test_why_a_perfect_code_falls_short_in_the_published_form() -> None:
    """Partners never share the value, so their latents have correlation -1 / (n - 1), and the sign is dropped."""
    factors = grid(4, 5)
    score = dm.metrics.omes.score(ordinal(factors.astype(float), factors), "dapueto2024")
    # per factor: A (1 - mean(1 - A, 0)) with A = 1 - 1 / (n - 1)
    assert score.value == pytest.approx(np.mean([a * (1 + a) / 2 for a in (2 / 3, 3 / 4)]), abs=1e-12)
    binary = grid(2, 2).repeat(10, axis=0)
    assert dm.metrics.omes.score(ordinal(binary.astype(float), binary), "dapueto2024").value == pytest.approx(0.0)


def test_the_change_of_omes_is_the_total_effect_of_sobol() -> None:
    """Closed form: z = a + b + a b of independent, centred factors of variance 1."""
    factors = grid(4, 5)
    a, b = ((v - v.mean()) / v.std() for v in factors.T)
    score = dm.metrics.omes.score(ordinal(np.c_[a + b + a * b, a], factors))
    assert score.details["change"] == pytest.approx(np.array([[2 / 3, 2 / 3], [1, 0]]), abs=1e-12)


def test_omes_of_an_incomplete_grid_is_that_of_the_full_grid() -> None:
    rng = np.random.default_rng(0)
    factors = grid(6, 8, 5, 4)
    codes = factors + np.c_[factors[:, 1], np.zeros((960, 3))]
    whole = dm.metrics.omes.score(ordinal(codes, factors)).value
    kept = rng.random(960) < 0.7
    assert dm.metrics.omes.score(ordinal(codes[kept], factors[kept])).value == pytest.approx(whole, abs=0.02)


def test_a_continuous_factor_is_cut_into_a_few_bins() -> None:
    rng = np.random.default_rng(0)
    factors = rng.random((3_000, 3))
    codes = 10 * factors
    assert dm.metrics.z_max_var(codes, factors).value == 1.0
    assert dm.metrics.omes(codes, factors).value > 0.75
    assert dm.metrics.omes(codes, factors, n_bins=100).undefined is not None
