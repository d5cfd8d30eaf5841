"""Factor distributions: documented properties of their tables, including limiting cases."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import chisquare, norm

from disentmetrics.datasets.catalog.dsprites import SPACE as DSPRITES
from disentmetrics.datasets.transforms.distributions import (
    CONFIGURATIONS,
    _sigma_of,
    chen2018,
    correlated,
    correlation,
    held_out,
    marginals,
    only,
    without,
)
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace


def space(*sizes: int) -> FactorSpace:
    return FactorSpace([Factor("abcdef"[k], size, "ordinal") for k, size in enumerate(sizes)])


def names_used(design: Any) -> set[str]:
    return {name for names, _ in design.tables for name in names}


@given(st.integers(2, 20), st.integers(2, 20), st.floats(-0.99, 0.99))
def test_the_strength_is_the_correlation(n: int, m: int, strength: float) -> None:
    as_wide = correlated(space(n, m), "a", "b", sigma=min(_sigma_of(abs(strength), n, m), 1e8))
    if min(as_wide.marginal("a").min() * n, as_wide.marginal("b").min() * m) < 0.5:
        assert n != m
        with pytest.raises(InvalidInputError, match="do not pair up"):
            correlated(space(n, m), "a", "b", strength)
        return
    design = correlated(space(n, m, 2), "a", "b", strength)
    assert correlation(design, "a", "b") == pytest.approx(strength, abs=1e-9)
    joint = design.marginal("a", "b")
    assert joint == pytest.approx(joint[::-1, ::-1], abs=1e-12)  # neither end is preferred
    assert correlation(design, "a", "c") == pytest.approx(0, abs=1e-12)
    assert design.marginal("c") == pytest.approx([0.5, 0.5])


def test_strength_0_is_uniform_and_strength_1_is_the_diagonal() -> None:
    assert correlated(DSPRITES, "x", "y", 0).blocks == ()
    assert correlated(DSPRITES, "x", "y", 0).name == "correlate(x,y,0)"
    nearly_one = correlated(DSPRITES, "x", "y", 0.99999).marginal("x", "y")
    assert np.diag(nearly_one) == pytest.approx(1 / 32, abs=1e-3)
    assert correlated(DSPRITES, "x", "y", -0.5).marginal("x", "y") == pytest.approx(
        correlated(DSPRITES, "x", "y", 0.5).marginal("x", "y")[:, ::-1]
    )


@pytest.mark.parametrize("sigma", [0.1, 0.4, 2.0])
def test_sigma_gives_the_published_distribution(sigma: float) -> None:
    joint = correlated(DSPRITES, "x", "scale", sigma=sigma).marginal("scale", "x")
    a, b = np.linspace(0, 1, 32), np.linspace(0, 1, 6)[:, None]
    published = norm.pdf(a - b, scale=sigma)
    assert joint == pytest.approx(published / published.sum(), rel=1e-9)


@pytest.mark.parametrize("size", [2, 3, 10, 40, 200])
def test_every_value_of_factors_of_equal_size_keeps_half_its_uniform_probability(size: int) -> None:
    shares = [min(correlated(space(size, size), "a", "b", s).marginal("a")) * size for s in (0.1, 0.5, 0.9, 0.95, 0.99)]
    assert min(shares) > 0.5


def test_correlations_that_remove_values_are_rejected_unless_sigma_is_given() -> None:
    correlated(DSPRITES, "scale", "orientation", 0.95)
    for names, strength in ((("scale", "orientation"), 0.99), (("orientation", "scale"), -0.99)):
        with pytest.raises(InvalidInputError, match=r"value \d+ of orientation would keep 30%, .* use a weaker"):
            correlated(DSPRITES, *names, strength)
    assert min(correlated(DSPRITES, "scale", "orientation", sigma=0.02).marginal("orientation")) < 0.001


def test_stronger_correlations_have_narrower_ridges() -> None:
    at_most = [correlated(DSPRITES, "x", "y", s).marginal("x", "y")[0, 31] for s in (0, 0.2, 0.5, 0.8, 0.95)]
    assert at_most == sorted(at_most, reverse=True)


def test_samples_have_the_requested_correlation(rng: np.random.Generator) -> None:
    design = correlated(DSPRITES, "x", "y", 0.8)
    drawn = design.sample(50_000, rng)
    assert np.corrcoef(drawn[:, 3], drawn[:, 4])[0, 1] == pytest.approx(0.8, abs=0.01)
    counts = np.histogram2d(drawn[:, 3], drawn[:, 4], bins=(range(0, 33, 4), range(0, 33, 4)))[0]
    expected = 50_000 * design.marginal("x", "y").reshape(8, 4, 8, 4).sum(axis=(1, 3))
    common = expected > 5
    seen, meant = np.append(counts[common], counts[~common].sum()), np.append(expected[common], expected[~common].sum())
    assert chisquare(seen, meant).pvalue > 1e-3
    assert chisquare(np.bincount(drawn[:, 2], minlength=40)).pvalue > 1e-3  # the others stay uniform


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("x", "x", 0.5), {}, "two different factors"),
        (("x", "y"), {}, "either strength or sigma"),
        (("x", "y", 0.5), {"sigma": 1.0}, "either strength or sigma"),
        (("x", "wen", 0.5), {}, "no factor is named 'wen'; did you mean 'when'"),
        (("x", "y", 1.0), {}, "open interval \\(-1, 1\\); got 1.0"),
        (("x", "y", float("nan")), {}, "open interval"),
        (("x", "y"), {"sigma": 0.0}, "positive number; got 0.0"),
        (("x", "y"), {"sigma": float("inf")}, "positive number; got inf"),
    ],
)
def test_invalid_correlations_are_rejected(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        correlated(FactorSpace([*DSPRITES, Factor("when", 5, "ordinal")]), *arguments, **options)


def test_a_factor_of_one_value_cannot_be_correlated() -> None:
    with pytest.raises(InvalidInputError, match="'b' has fewer"):
        correlated(space(3, 1), "a", "b", 0.5)
    mixed = FactorSpace([Factor("x", 3, "ordinal"), Factor("t", None, "continuous")])
    with pytest.raises(InvalidInputError, match="'t' is continuous"):
        correlated(mixed, "x", "t", 0.5)
    with pytest.raises(InvalidInputError, match="'t' is continuous"):
        chen2018(mixed, "t", "x", "B")


@given(st.integers(3, 41), st.integers(3, 41))
def test_the_four_configurations_have_their_documented_properties(n: int, m: int) -> None:
    designs = {configuration: chen2018(space(n, m), "a", "b", configuration) for configuration in CONFIGURATIONS}
    tables = {c: design.marginal("a", "b") for c, design in designs.items()}
    correlations = {c: correlation(design, "a", "b") for c, design in designs.items()}
    independent = {c: np.outer(t.sum(axis=1), t.sum(axis=0)) for c, t in tables.items()}
    assert tables["A"] == pytest.approx(np.full((n, m), 1 / (n * m)))
    assert tables["B"] == pytest.approx(independent["B"])
    assert np.ptp(tables["B"].sum(axis=1)) > 0.01 / n
    assert correlations["C"] == pytest.approx(0, abs=1e-12)
    assert abs(tables["C"] - independent["C"]).max() > 0.01 / (n * m)
    assert correlations["D"] > 0.2
    for c in CONFIGURATIONS[1:]:
        assert tables[c].max() / tables[c].min() == pytest.approx(4)


@pytest.mark.parametrize(
    ("names", "kind"), [(("a", "b"), "E"), (("a", "a"), "B"), (("a", "c"), "B"), (("a", "z"), "A")]
)
def test_other_configurations_are_rejected(names: tuple[str, str], kind: Any) -> None:
    with pytest.raises(InvalidInputError):
        chen2018(space(4, 4, 2), *names, kind)


def test_marginals_equal_the_weights_and_factors_stay_independent(rng: np.random.Generator) -> None:
    design = marginals(DSPRITES, {"shape": [2, 1, 1], "scale": np.arange(6)})
    assert design.name == "weights(shape=2/1/1,scale=0/1/2/3/4/5)"
    assert design.marginal("shape", "scale") == pytest.approx(np.outer([0.5, 0.25, 0.25], np.arange(6) / 15))
    drawn = design.sample(30_000, rng)
    assert not (drawn[:, 1] == 0).any()
    assert chisquare(np.bincount(drawn[:, 1])[1:], 30_000 * np.arange(1, 6) / 15).pvalue > 1e-3
    long = marginals(DSPRITES, {"x": np.linspace(1, 2, 32)})
    assert long.name.startswith("weighted(x,")
    with pytest.raises(InvalidInputError, match="did you mean 'shape'"):
        marginals(DSPRITES, {"shpae": [1, 1, 1]})


def test_without_and_only_partition_the_grid(rng: np.random.Generator) -> None:
    small = space(3, 4, 5)
    box = {"a": [2], "c": range(2, 5)}
    train, test = without(small, box), only(small, box)
    grid = small.indices_of(np.arange(60))
    inside = (grid[:, 0] == 2) & (grid[:, 2] >= 2)
    assert np.array_equal(train.probability(grid) > 0, ~inside)
    assert np.array_equal(test.probability(grid) > 0, inside)
    assert train.is_uniform
    assert test.is_uniform
    assert (train.name, test.name) == ("without(a=2-2,c=2-4)", "only(a=2-2,c=2-4)")
    assert names_used(train) == {"a", "c"}
    counts = np.bincount(small.rows_of(train.sample(20_000, rng)), minlength=60)
    assert not counts[inside].any()
    assert chisquare(counts[~inside]).pvalue > 1e-3
    with pytest.raises(InvalidInputError, match="at least one combination positive weight"):
        train * test


@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 6), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_every_value_occurs_in_the_training_split(n: int, m: int, k: int, share: float, seed: int) -> None:
    small = space(n, m, k, 2)
    n_cells, largest = n * m * k, max(n, m, k)
    n_out = max(1, round(share * n_cells))
    if n_out > n_cells - largest:
        with pytest.raises(InvalidInputError, match="so that every value remains"):
            held_out(small, ["a", "b", "c"], share, seed)
        return
    train, test = held_out(small, ["a", "b", "c"], share, seed)
    assert test.support_size == 2 * n_out
    assert train.support_size + test.support_size == small.n_combinations
    assert all((train.marginal(name) > 0).all() for name in "abcd")
    with pytest.raises(InvalidInputError, match="at least one combination"):
        train * test
    assert train.is_uniform
    assert test.is_uniform
    assert (train.name, test.name) == (f"train(a,b,c,{share:.12g},{seed})", f"test(a,b,c,{share:.12g},{seed})")


def test_every_combination_is_held_out_by_some_seed_about_equally_often() -> None:
    often = sum(held_out(space(4, 4), ["a", "b"], 0.25, seed)[1].marginal("a", "b") > 0 for seed in range(800))
    assert chisquare(np.ravel(often)).pvalue > 1e-3
    assert np.ravel(often).min() > 100


def test_a_split_is_frozen() -> None:
    _, test = held_out(DSPRITES, ["shape", "scale"], 0.3, 7)
    assert np.argwhere(test.marginal("shape", "scale") > 0).tolist() == [[0, 3], [1, 0], [1, 1], [1, 2], [1, 4]]


@pytest.mark.parametrize(
    ("names", "share", "seed"),
    [
        (["a"], 0.2, 0),
        (["a", "b"], 0.0, 0),
        (["a", "b"], 1.0, 0),
        (["a", "b"], 0.9, 0),
        (["a", "b"], 0.2, -1),
        ([], 0.2, 0),
        (["a", "z"], 0.2, 0),
        (["a", "a"], 0.2, 0),
    ],
)
def test_invalid_splits_are_rejected(names: list[str], share: float, seed: int) -> None:
    with pytest.raises(InvalidInputError):
        held_out(space(4, 4), names, share, seed)


def test_tables_of_boxes_and_splits_are_bounded() -> None:
    wide = FactorSpace([Factor(name, 500, "ordinal") for name in "abc"])
    box = {name: range(100) for name in "abc"}
    for make in (without, only):
        with pytest.raises(InvalidInputError, match="at most 10,000,000 entries"):
            make(wide, box)
    with pytest.raises(InvalidInputError, match="at most 10,000,000 entries"):
        held_out(wide, ["a", "b", "c"], 0.1)
