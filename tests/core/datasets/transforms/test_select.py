"""Selected values of factors, of full grids and of rows."""

import numpy as np
import pytest

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace


def table_of_rows(kind: str) -> DataSet:
    rng = np.random.default_rng(0)
    factors = rng.integers((2, 3), size=(200, 2)).astype(np.float64)
    factors[::10, 1] = -1
    shown = np.column_stack([factors, np.arange(200)]).astype(np.float64)
    space = FactorSpace([Factor("a", 2, "categorical", ("no", "yes")), Factor("b", 3, "ordinal")])
    if kind == "grid":
        return CustomDataSet(shown, factors.astype(np.int64), space=space, groups=np.arange(200) // 4, name="rows")
    mixed = np.column_stack([factors, np.where(np.arange(200) % 7, rng.normal(size=200), np.nan)])
    space = FactorSpace([*space, Factor("t", None, "continuous")])
    return CustomDataSet(shown, mixed, space=space, groups=np.arange(200) // 4, name="rows")


@pytest.mark.parametrize(
    ("kept", "kind"),
    [
        (range(39), "circular"),  # 39 looks like 0, so that these are the whole circle
        (range(1, 40), "circular"),
        (range(40), "circular"),
        (range(0, 39, 3), "circular"),
        (range(0, 40, 2), "ordinal"),
        (range(38), "ordinal"),
    ],
)
def test_a_circular_factor_with_equal_gaps_stays_circular(kept: range, kind: str) -> None:
    assert DSprites().select({"orientation": kept}).space["orientation"].kind == kind


@pytest.mark.parametrize("kind", ["grid", "mixed"])
def test_rows_of_a_table_are_selected(kind: str) -> None:
    base = table_of_rows(kind)
    every = base.full_grid()
    data = base.select({"b": [0, 2], "a": "yes"}).map(lambda shown: -shown, name="negative")
    whole = data.full_grid()
    shown = -data.observations(whole.factors, whole.nuisance)
    meant = np.flatnonzero((every.factors[:, 0] == 1) & np.isin(every.factors[:, 1], [0, 2]))
    assert np.array_equal(shown[:, 2], meant)
    assert np.array_equal(np.array([0, 2])[whole.factors[:, 0].astype(int)], shown[:, 1])
    assert every.groups is not None
    assert whole.groups is not None
    assert np.array_equal(whole.groups, every.groups[meant])
    assert data.space.names[0] == "b"
    assert data.fingerprint == f"{base.fingerprint}+select(b=0/2,a=1)+map(negative)"
    assert len(data) == len(meant)
    some = data.sample(10, np.random.default_rng(0))
    rows = -data.observations(some.factors, some.nuisance)[:, 2]
    assert len(set(rows)) == 10
    assert set(rows) <= set(meant)
    assert len(data.sample(500, np.random.default_rng(0), replace=True)) == 500
    assert set(data.sample_factors(100, np.random.default_rng(0))[:, 0]) == {0, 1}
    with pytest.raises(InvalidInputError, match=f"at most {len(meant)} distinct rows"):
        data.sample(len(meant) + 1, np.random.default_rng(0))
    one = data.draws(some.factors[:3])
    assert isinstance(one, Draws)
    assert np.array_equal(-data.observations(one.factors)[:, 1], np.array([0, 2])[some.factors[:3, 0].astype(int)])
    with pytest.raises(InvalidInputError, match="'b' must lie in 0 .. 1"):
        data.check_factors(some.factors + 2)
    with pytest.raises(InvalidInputError, match="'b' must be integers and lie in 0|must be whole numbers"):
        data.check_factors(some.factors + 0.5)
    with pytest.raises(InvalidInputError, match="one column for each of"):
        data.check_factors(some.factors[:, :0])


def test_rows_outside_a_selection_are_not_accessible() -> None:
    columns = {"a": ["x", "y", None, "x", "y", None], "b": ["p", "q", "p", "q", None, "p"]}
    data = CustomDataSet(np.eye(6), columns).select({"a": ["x", "y"]})
    assert data.observations([[1, -1]]).tolist() == [np.eye(6)[4].tolist()]  # a label that was not asked after
    for wrong in ([[-1, 0]], [[-7, 0]], [[2, 0]]):
        with pytest.raises(InvalidInputError, match=r"'a' must lie in 0 .. 1"):
            data.observations(wrong)
    with pytest.raises(InvalidInputError, match=r"'b' must lie in -1 .. 1; got -2"):
        data.observations([[0, -2]])


def test_selections_without_rows_are_rejected() -> None:
    rows = table_of_rows("grid").full_grid().factors
    assert len(np.unique(rows, axis=0)) == 8  # also of a missing label
    space = FactorSpace([Factor("a", 2, "categorical", ("a0", "a1")), Factor("b", 3, "ordinal", ("b0", "b1", "b2"))])
    fewer = CustomDataSet(np.eye(3), np.array([[0, 0], [1, 0], [1, 1]]), space=space)
    with pytest.raises(InvalidInputError, match="no row of custom does"):
        fewer.select({"a": 0, "b": [1, 2]})


def test_a_part_of_a_circle_keeps_its_angles() -> None:
    kept = range(0, 39, 3)
    orientation = DSprites().select({"orientation": kept}).space["orientation"]
    np.testing.assert_allclose(orientation.angles(np.arange(13)), 2 * np.pi * np.arange(13) / 13, atol=1e-12)
    hours = CustomDataSet(
        np.zeros((24, 2)), np.arange(24), space=FactorSpace([Factor("hour", 24, "circular", period=24)])
    )
    even = hours.select({"hour": range(0, 24, 2)}).space["hour"]
    assert (even.period, even.values) == (24, tuple(range(0, 24, 2)))
    assert hours.select({"hour": [0, 1, 5]}).space["hour"] == Factor("hour", 3, "ordinal", (0, 1, 5))
