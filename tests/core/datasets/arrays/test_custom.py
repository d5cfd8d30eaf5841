"""Data given as rows: every row is returned unchanged, and combinations that do not occur are refused."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.arrays.custom import Combinations
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

MIXED = FactorSpace((Factor("shape", 3, "categorical"), Factor("x", None, "continuous")))
GRID = FactorSpace((Factor("a", 2, "ordinal"), Factor("b", 3, "ordinal")))


def images(n: int) -> NDArray[np.uint8]:
    """Images that all differ."""
    found = np.zeros((n, 4, 5, 3), np.uint8)
    found[:, 0, 0, 0], found[:, 0, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    return found


def rows_of(data: dm.CustomDataSet, draws: Any) -> list[int]:
    made = data.observations(draws.factors, draws.nuisance)
    return [int(low) + 256 * int(high) for low, high in made[:, 0, 0, :2]]


@given(st.integers(1, 60), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_the_full_grid_is_every_row_in_order(n: int, n_factors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = FactorSpace([Factor(f"f{k}", 3, "categorical") for k in range(n_factors)])
    data = dm.CustomDataSet(images(n), rng.integers(-1, 3, (n, n_factors)), space=space)
    whole = data.full_grid()
    assert rows_of(data, whole) == list(range(n)) == list(range(len(data)))
    for factors in np.unique(whole.factors, axis=0):  # the rank within each group counts from 0
        same = (whole.factors == factors).all(axis=1)
        if data.nuisances:
            assert whole.nuisance[same].tolist() == list(range(same.sum()))


def test_the_nuisance_picks_a_row_of_the_group() -> None:
    data = dm.CustomDataSet(images(5), {"shape": ["b", "a", "b", "b", "a"]})
    first, second = data.observations([[1]] * 4, [0, 1, 2, 3]), data.observations([[0]], [2**63 + 1])
    assert first[:, 0, 0, 0].tolist() == [0, 2, 3, 0]
    assert second[0, 0, 0, 0] == 4
    assert data.observations([[0]])[0, 0, 0, 0] == 1  # by default the first row


def test_missing_labels_stay_and_continuous_factors_are_looked_up_exactly() -> None:
    labels = np.array([[0, 0.1], [-1, 0.1], [0, np.nan], [-1, np.nan], [0, 0.1]])
    data = dm.CustomDataSet(images(5), labels, space=MIXED)
    assert np.isnan(data.factors[:, 1]).tolist() == [False, False, True, True, False]
    assert rows_of(data, data.full_grid()) == [0, 1, 2, 3, 4]
    assert data.full_grid().nuisance.tolist() == [0, 0, 0, 0, 1]
    with pytest.raises(InvalidInputError, match="1 of 1 requested do not occur, such as shape 0.0, x 0.1000001"):
        data.draws([[0, 0.1000001]])
    with pytest.raises(InvalidInputError, match="do not occur"):
        data.observations([[2, 0.1]])


@pytest.mark.parametrize("asked", [[[0, 0]], [[1, 2], [0, 0]], [[5, 9]], [[-1, 2]]])
def test_combinations_that_do_not_occur_are_rejected(asked: list[list[int]]) -> None:
    data = dm.CustomDataSet(images(2), [[0, 2], [1, 2]], space=GRID)
    message = "custom contains only the combinations of factors of its 2 rows; 1 of"
    with pytest.raises(InvalidInputError, match=message):
        data.draws(asked)


def test_values_that_occur_but_not_together_are_rejected() -> None:
    data = dm.CustomDataSet(images(3), [[0, 0], [1, 1], [0, 2]], space=GRID)
    for asked in ([[0, 1]], [[1, 0]], [[1, 2]]):
        with pytest.raises(InvalidInputError, match="1 of 1 requested do not occur"):
            data.observations(asked)


def test_draws_are_distinct_rows_in_ascending_order() -> None:
    data = dm.CustomDataSet(images(300), {"a": np.arange(300) % 7}, groups=np.arange(300) // 3)
    drawn = data.sample(100, np.random.default_rng(0))
    rows = rows_of(data, drawn)
    assert rows == sorted(set(rows))
    assert drawn.groups is not None
    assert drawn.groups.tolist() == [row // 3 for row in rows]
    assert rows_of(data, data.sample(300, np.random.default_rng(0))) == list(range(300))
    assert len(set(rows_of(data, data.sample(300, np.random.default_rng(0), replace=True)))) < 300
    with pytest.raises(InvalidInputError, match="at most 300 distinct rows can be drawn from custom; got n = 301"):
        data.sample(301, np.random.default_rng(0))


def test_every_row_is_drawn_equally_often() -> None:
    data = dm.CustomDataSet(images(6), {"a": [0, 0, 0, 0, 1, 1]})  # four of one combination, two of the other
    draws = [data.sample(1, np.random.default_rng(seed)) for seed in range(1200)]
    counts = np.bincount([rows_of(data, drawn)[0] for drawn in draws])
    assert ((counts - 200) ** 2 / 200).sum() < 20.5  # 0.999 quantile of chi-square with 5 degrees
    assert abs(data.sample_factors(3000, np.random.default_rng(0)).mean() - 1 / 3) < 0.04


def test_only_a_complete_grid_has_no_nuisance_and_is_the_population() -> None:
    cells = np.array([[1, 2], [0, 0], [0, 2], [1, 0], [0, 1], [1, 1]])
    complete = dm.CustomDataSet(images(6), cells, space=GRID)
    assert complete.nuisances == ()
    assert rows_of(complete, complete.full_grid()) == list(range(6))
    assert rows_of(complete, complete.draws(cells[::-1])) == [5, 4, 3, 2, 1, 0]
    for rows, labels in ((5, cells[:5]), (7, [*cells, [0, 0]]), (6, [*cells[:5], [-1, 0]])):
        assert dm.CustomDataSet(images(rows), labels, space=GRID).nuisances == ("observation",)

    def first_pixel(observations: NDArray[np.uint8]) -> NDArray[np.float64]:
        return observations[:, 0, 0, :1].astype(np.float64)

    encoded = dm.encode(first_pixel, complete, full_grid=True)
    assert encoded.provenance.population
    assert encoded.codes[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert not dm.encode(first_pixel, dm.CustomDataSet(images(6)), full_grid=True).provenance.population


def test_data_without_factors() -> None:
    data = dm.CustomDataSet(images(9))
    assert len(data.space) == 0
    assert data.nuisances == ("observation",)
    encoded = dm.encode(lambda x: x[:, 0, 0, :1].astype(float), data, n_samples=5, seed=1)
    assert sorted(encoded.codes[:, 0]) == encoded.codes[:, 0].tolist()
    assert len(set(encoded.codes[:, 0])) == 5
    assert dm.encode(lambda x: x[:, 0, 0, :1].astype(float), data, full_grid=True).codes[:, 0].tolist() == list(
        range(9)
    )


def test_kinds_are_inferred_with_their_reasons() -> None:
    data = dm.CustomDataSet(
        images(4), {"shape": ["b", "a", None, "a"], "angle": [0, 90, 0, 90]}, kinds={"angle": "circular:360"}
    )
    assert [(f.name, f.kind, f.values) for f in data.space] == [
        ("shape", "categorical", ("a", "b")), ("angle", "circular", (0, 90)),
    ]  # fmt: skip
    assert data.factors[:, 0].tolist() == [1, 0, -1, 0]
    assert "1 of 4 rows without a label" in data.inference[0]


class Recorded:
    """Rows that are generated when read, and record each read."""

    shape = (50, 4, 5, 3)
    dtype = np.dtype(np.uint8)

    def __init__(self) -> None:
        self.taken: list[int] = []

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        self.taken += rows.tolist()
        return images(50)[rows]


def test_the_fingerprint_names_exactly_this_content() -> None:
    labels = np.arange(6) % 2
    names = {
        dm.CustomDataSet(images(6), labels).fingerprint,
        dm.CustomDataSet(images(7)[1:], labels).fingerprint,
        dm.CustomDataSet(images(6), labels[::-1].copy()).fingerprint,
        dm.CustomDataSet(images(6), {"other": labels}).fingerprint,
        dm.CustomDataSet(images(6)).fingerprint,
        dm.CustomDataSet(images(6), labels, groups=[0, 0, 1, 1, 2, 2]).fingerprint,
    }
    assert len(names) == 6
    assert all(re.fullmatch(r"custom-[0-9a-f]{12}", name) for name in names)
    assert dm.CustomDataSet(images(6), labels).fingerprint == "custom-7c3631da313e"
    assert dm.CustomDataSet(images(6), name="mugs", fingerprint="mugs-2").fingerprint == "mugs-2"


@pytest.mark.parametrize(
    ("observations", "options", "message"),
    [
        (np.zeros((3, 4, 4, 3)), {}, r"got float64 of shape \(3, 4, 4, 3\); if values lie in 0..1, use \(255"),
        (np.zeros((3, 4, 4), np.uint8), {}, r"give grey images one channel: images\[..., None\]"),
        (np.zeros((3, 3, 8, 8), np.uint8), {}, r"channels last.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((3, 3, 4, 4), np.uint8), {}, r"channels last.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((3, 1, 2, 2), np.uint8), {}, r"channels last.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((3, 8, 8, 4), np.uint8), {}, r"1 channel \(grey\) or 3 \(RGB\).*4 channels.*images\[..., :3\]"),
        (np.zeros((3, 8, 8, 2), np.uint8), {}, r"1 channel \(grey\) or 3 \(RGB\).*2 channels.*images\[..., :1\]"),
        (np.zeros((3, 8, 8, 7), np.uint8), {}, r"1 channel \(grey\) or 3 \(RGB\).*reshape\(len\(images\), -1\)"),
        (np.zeros((0, 4)), {}, "at least one observation"),
        (np.zeros((4, 0)), {}, "at least one observation"),
        ([["a", "b"]], {}, "real numbers of shape"),
        ("images.npy", {}, "got the text 'images.npy'"),
        ([[1.0], [1.0, 2.0]], {}, "observations must be an array"),
        (np.ma.MaskedArray([[1.0], [2.0]], [[True], [False]]), {}, "masked values"),
        (np.zeros((3, 2)), {"factors": [0, 1]}, "one row for each of the 3 rows of observations; got 2"),
        (np.zeros((3, 2)), {"factors": {}}, "at least one column; pass None"),
        (np.zeros((3, 2)), {"kinds": {"a": "ordinal"}}, "labels of the named factors; got None"),
        (np.zeros((3, 2)), {"factors": [[3]] * 3, "space": FactorSpace((Factor("a", 3, "ordinal"),))}, "0 .. 2"),
        (np.zeros((3, 2)), {"groups": [0, 1]}, "groups must have one row"),
        (np.zeros((3, 2)), {"name": "my data"}, "name must consist of letters"),
        (np.zeros((3, 2)), {"fingerprint": "a|b"}, "fingerprint must consist of letters"),
    ],
)  # fmt: skip
def test_invalid_input_is_rejected_with_one_sentence(observations: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        dm.CustomDataSet(observations, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factors", [[0, 1], [[0.0]], [["a"]], [[0, 1]]])
def test_factors_of_a_wrong_shape_or_type_are_rejected(factors: Any) -> None:
    with pytest.raises(
        InvalidInputError, match=r"factors must be integers of shape \(n, 1\), with one column for each of a"
    ):
        dm.CustomDataSet(images(2), {"a": ["x", "y"]}).observations(factors)


def test_vectors_must_be_finite_when_they_are_read() -> None:
    data = dm.CustomDataSet(np.array([[0.0, 1.0], [2.0, np.nan]]))
    assert data.observations(np.empty((1, 0), int), [0]).tolist() == [[0.0, 1.0]]
    with pytest.raises(InvalidInputError, match="row 1 of custom contains NaN or infinity"):
        data.observations(np.empty((1, 0), int), [1])


@given(st.integers(1, 200), st.integers(1, 70), st.integers(0, 1000))
def test_combinations_of_many_factors_are_distinguished(n: int, n_factors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers(-1, 100, (n, n_factors)) * (rng.random((n, n_factors)) < 0.3)
    found = Combinations(factors)
    assert found.n == len(np.unique(factors, axis=0))
    order = rng.permutation(n)
    numbers = found.find(factors[order])
    picked = found.rows(numbers, found.rank[order].astype(np.uint64))
    assert picked.tolist() == order.tolist()


def test_the_place_of_an_observation_does_not_depend_on_the_batch() -> None:
    data = dm.CustomDataSet(images(100), {"a": np.arange(100) % 9, "b": np.linspace(0, 1, 100)})
    whole = data.full_grid()
    together = data.observations(whole.factors, whole.nuisance)
    apart = [data.observations(whole.factors[i : i + 1], whole.nuisance[i : i + 1])[0] for i in range(100)]
    assert np.array_equal(together, np.stack(apart))
