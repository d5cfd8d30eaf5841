from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.io.labels import CategoricalColumn


def table(n: int = 40, **options: Any) -> dm.Representation:
    rng = np.random.default_rng(0)
    factors = {"shape": rng.choice(["square", "heart"], size=n), "x": rng.integers(4, size=n)}
    return dm.Representation(rng.normal(size=(n, 3)), factors, **options)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        ([[np.nan], [1.0]], [0, 1], {}, "codes must be finite; got NaN or infinity in 1 of 2 rows, in columns 0"),
        ([[np.inf], [1.0]], [0, 1], {}, "codes must be finite"),
        (np.empty((0, 3)), np.empty((0, 1)), {}, "at least one row"),
        (np.empty((3, 0)), [0, 1, 0], {}, r"shape \(n_samples, n_codes\)"),
        ([[1.0], [2.0]], [0, 1, 1], {}, "one row for each of the 2 rows"),
        ([["a"], ["b"]], [0, 1], {}, "must be real numbers"),
        ([[1j], [2j]], [0, 1], {}, "must be real numbers"),
        ([[1.0], [2.0]], [0, 1], {"log_variance": [[1.0, 2.0], [3.0, 4.0]]}, "log_variance must have the shape"),
        ([[1.0], [2.0]], [0, 1], {"log_variance": [[1.0], [np.nan]]}, "log_variance must be finite"),
        ([[1.0], [2.0]], [0, 1], {"groups": [1]}, "groups must have one row"),
        ([[1.0], [2.0]], [0, 1], {"weights": [1.0, -1.0]}, "not negative"),
        ([[1.0], [2.0]], [0, 1], {"weights": [0.0, 0.0]}, "not all 0"),
        ([[1.0], [2.0]], [0, 1], {"factor_names": ["a", "b"]}, "factor_names must name 1 factors"),
        ([[1.0], [2.0]], [0, 1], {"code_names": ["a", "b"]}, "code_names must name 1 latents"),
        ([[1.0], [2.0]], [0, 1], {"kinds": {"y": "ordinal"}}, "there is no factor y"),
        ([[1.0], [2.0]], [0, 1], {"categorical_codes": [1]}, "must be 1 booleans"),
    ],
)
def test_bad_arrays_are_refused_with_one_sentence(codes, factors, options, message) -> None:  # type: ignore[no-untyped-def] # wrong types are the point
    with pytest.raises(InvalidInputError, match=message):
        dm.Representation(codes, factors, **options)


def test_indices_of_a_given_space_must_fit_it() -> None:
    space = dm.FactorSpace([dm.Factor("x", 2, "ordinal")])
    with pytest.raises(InvalidInputError, match="integer indices 0 .. 1"):
        dm.Representation([[1.0], [2.0]], [[0], [2]], space=space)
    with pytest.raises(InvalidInputError, match="integer indices 0 .. 1"):
        dm.Representation([[1.0], [2.0]], [[0], [0.5]], space=space)
    assert dm.Representation([[1.0], [2.0]], [[0], [np.nan]], space=space).factors.tolist() == [[0], [-1]]


def test_strings_become_categories_and_missing_labels_stay_missing() -> None:
    codes = np.arange(4.0)
    representation = dm.Representation(codes, {"cell": ["b", "a", None, "b"]})
    assert representation.space["cell"].values == ("a", "b")
    assert representation.labels(0).tolist() == [1, 0, -1, 1]


def test_a_continuous_factor_is_discretised_into_bins_of_equal_frequency(rng: np.random.Generator) -> None:
    values = rng.normal(size=1_000)
    values[:100] = np.nan
    representation = dm.Representation(rng.normal(size=(1_000, 2)), {"t": values})
    assert representation.space["t"].kind == "continuous"
    counts = np.bincount(representation.labels(0) + 1)
    assert counts.tolist() == [100] + [90] * 10


def test_resampling_by_weight_retains_rows_in_proportion_to_their_weight(rng: np.random.Generator) -> None:
    weights = np.where(np.arange(20_000) % 2, 1.0, 0.25)
    representation = dm.Representation(np.arange(20_000.0), {"odd": np.arange(20_000) % 2}, weights=weights)
    kept = representation.resampled_by_weight(rng)
    assert kept.weights is None
    assert (kept.labels(0) == 1).sum() == 10_000
    assert abs((kept.labels(0) == 0).sum() - 2_500) < 5 * 45


def test_cached_values_are_computed_once_and_not_inherited_by_other_rows() -> None:
    calls = []

    def count(representation: dm.Representation, *, option: int) -> int:
        calls.append(option)
        return len(representation)

    original = table()
    assert [original.cached(count, option=o) for o in (1, 1, 2)] == [40, 40, 40]
    assert original.take(np.arange(7)).cached(count, option=1) == 7
    assert calls == [1, 2, 1]


def test_the_row_key_distinguishes_rows_but_not_codes(rng: np.random.Generator) -> None:
    factors = rng.integers(3, size=(50, 2))
    first, second = (dm.Representation(rng.normal(size=(50, 2)), factors) for _ in range(2))
    assert first.row_key == second.row_key
    assert first.take(np.arange(1, 50)).row_key != first.row_key


@pytest.mark.slow
def test_five_million_rows_are_scored_within_eight_gigabytes() -> None:
    import resource

    rng = np.random.default_rng(0)
    factors = rng.integers((3, 6, 40, 32, 32), size=(5_000_000, 5))
    codes = np.hstack([factors, rng.normal(size=(5_000_000, 5))]).astype(np.float32)
    card = dm.score(dm.Representation(codes, factors), interval=None, null=False)
    assert card["mig"].value > 0.99
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 8_000_000


def test_names_are_never_lost_and_masks_never_ignored() -> None:
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(9, 2)), rng.integers(2, size=(9, 2))
    with pytest.raises(InvalidInputError, match="factor names must be unique; got a, a"):
        dm.Representation(codes, factors, factor_names=["a", "a"])
    with pytest.raises(InvalidInputError, match="must not have masked values"):
        dm.Representation(np.ma.array(codes, mask=codes > 1), factors)
    with pytest.raises(InvalidInputError, match="omit factor_names"):
        dm.Representation(codes, {"a": factors[:, 0]}, factor_names=["b"])
    with pytest.raises(InvalidInputError, match="lists of names; got text"):
        dm.Representation(codes, factors, code_names="ab")


def test_groups_may_be_text_and_every_row_must_have_one() -> None:
    codes = np.arange(4.0)
    named = dm.Representation(codes, {"v": [0, 1, 0, 1]}, groups=["b", "a", "b", "c"])
    assert np.array_equal(np.asarray(named.groups), [1, 0, 1, 2])
    column = CategoricalColumn(np.array([2, 0, 2, 1]), ("a", "c", "b", "unused"), ordered=True)
    of_column = dm.Representation(codes, {"v": [0, 1, 0, 1]}, groups=column)
    assert np.array_equal(np.asarray(of_column.groups), [2, 0, 2, 1])
    for groups in (np.array(["b", None, "b", "c"], object), np.array([0.0, 1.0, np.nan, 1.0])):
        with pytest.raises(InvalidInputError, match="every row must belong to a group; 1 of 4 rows have none"):
            dm.Representation(codes, {"v": [0, 1, 0, 1]}, groups=groups)


def test_arrays_of_a_representation_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        table().factors[0, 0] = 7


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_data_frames_give_named_factors(frame: str) -> None:
    library = pytest.importorskip(frame, reason="this data frame library is not installed")
    columns = {"a": ["x", "y", "x"], "b": [1, 2, 1]}
    assert dm.Representation(np.arange(3.0), library.DataFrame(columns)).space.names == ("a", "b")
    if frame == "pandas":
        assert dm.Representation(np.arange(3.0), library.DataFrame(np.eye(3, dtype=int))).space.names == ("0", "1", "2")
        with pytest.raises(InvalidInputError, match="must be unique"):
            dm.Representation(np.arange(3.0), library.DataFrame(np.eye(3, dtype=int), columns=["a", "a", "b"]))


def test_labels_in_nested_lists_keep_their_types() -> None:
    rows = [["a", float("nan"), True], ["b", 1.5, False], ["nan", 2.5, True]]
    table = dm.Representation(np.zeros((3, 1)), rows)
    assert [(factor.kind, factor.values) for factor in table.space] == [
        ("categorical", ("a", "b")), ("continuous", ()), ("categorical", ("False", "True")),
    ]  # fmt: skip
    np.testing.assert_array_equal(table.factors, [[0, np.nan, 1], [1, 1.5, 0], [np.nan, 2.5, 1]])
    mixed = dm.Representation(np.zeros((2, 1)), [[True, 0.5], [False, 1.5]])
    assert [factor.kind for factor in mixed.space] == ["categorical", "continuous"]
    large = dm.Representation(np.zeros((2, 1)), [[2**60, 0.5], [2**60 + 1, 1.5]], kinds={"factor_0": "ordinal"})
    assert large.space["factor_0"].values == (2**60, 2**60 + 1)


def test_marks_of_missing_labels_can_be_added() -> None:
    labels = {"age": [20.5, -999, 31.0], "kind": ["a", "b", "low"]}
    table = dm.Representation(np.zeros((3, 1)), labels, missing=[-999, "low"])
    np.testing.assert_array_equal(table.factors, [[20.5, 0], [np.nan, 1], [31, np.nan]])
    assert table.take(np.array([0, 1])).notes == table.notes == (
        "factor age: read as missing labels: '-999' in 1 row", "factor kind: read as missing labels: 'low' in 1 row",
    )  # fmt: skip
    with pytest.raises(InvalidInputError, match="labels of a given space are indices, -1 where missing; omit missing"):
        dm.Representation(np.zeros((3, 1)), np.zeros((3, 2), int), space=table.space, missing="?")
