import datetime as dt
import itertools
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from disentmetrics.errors import InvalidInputError
from disentmetrics.io.labels import (
    MISSING,
    MISSING_OR_NAME,
    CategoricalColumn,
    EncodedFactor,
    encode_factor,
    factorise,
    mark_texts,
)

names = st.text(st.characters(codec="utf-8"), max_size=4).map(lambda text: f"_{text}")
numbers = st.floats(allow_nan=False, allow_infinity=False)
eighths = st.integers(0, 2_879).map(lambda n: n / 8)


def decoded(encoded: EncodedFactor) -> list[Any]:
    if encoded.factor.size is None:
        return [None if np.isnan(value) else value for value in encoded.indices.tolist()]
    return [None if index < 0 else encoded.factor.values[index] for index in encoded.indices.tolist()]


def with_one_label(labels: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    columns = st.lists(st.none() | labels, min_size=1)
    return columns.filter(lambda column: any(label is not None for label in column))


@given(with_one_label(names))
def test_values_at_indices_give_text_back(column: list[str | None]) -> None:
    encoded = encode_factor("label", column)
    assert decoded(encoded) == column
    assert encoded.factor.kind == "categorical"
    assert encoded.n_missing == column.count(None)


@pytest.mark.parametrize("kind", [None, "categorical", "ordinal", "circular:360", "continuous"])
@given(column=with_one_label(eighths))
def test_values_at_indices_give_numbers_back(kind: str | None, column: list[float | None]) -> None:
    assert decoded(encode_factor("label", column, kind=kind)) == column


@given(with_one_label(st.integers(-(2**63), 2**63 - 1)))
def test_values_at_indices_give_integers_back_exactly(column: list[int | None]) -> None:
    assert decoded(encode_factor("identifier", column, kind="categorical")) == column


@given(with_one_label(st.booleans()))
def test_values_at_indices_give_booleans_back_as_names(column: list[bool | None]) -> None:
    encoded = encode_factor("flag", column)
    assert decoded(encoded) == [None if flag is None else str(flag) for flag in column]
    assert encoded.factor.kind == "categorical"


@given(with_one_label(st.integers(0, 5)), st.randoms(use_true_random=False))
def test_order_of_rows_permutes_indices_and_changes_nothing_else(column: list[int | None], random: Any) -> None:
    order = list(range(len(column)))
    random.shuffle(order)
    before, after = encode_factor("v", column), encode_factor("v", [column[i] for i in order])
    np.testing.assert_array_equal(after.indices, before.indices[order])
    assert (after.factor, after.reason, after.n_missing) == (before.factor, before.reason, before.n_missing)


@given(with_one_label(numbers))
def test_continuous_numbers_are_used_as_they_are(column: list[float | None]) -> None:
    assert decoded(encode_factor("label", column, kind="continuous")) == column


@given(with_one_label(eighths | st.integers(-3, 3)))
def test_indices_follow_the_order_of_numbers(column: list[float | None]) -> None:
    encoded = encode_factor("v", column, kind="ordinal")
    assert encoded.indices.dtype == np.int64
    rows = [(label, index) for label, index in zip(column, encoded.indices, strict=True) if label is not None]
    assert all((a < b) == (i < j) for (a, i), (b, j) in itertools.combinations(rows, 2))


# The same column in every container.

LABELS = ["b", None, "a", "b"]
NUMBERS = [2, None, 1, 2]


def objects(labels: list[Any]) -> Any:
    return np.array(labels, dtype=object)


def masked(labels: list[Any]) -> Any:
    values = [0 if label is None else label for label in labels]
    fill = [labels[0] if label is None else label for label in labels]
    return np.ma.MaskedArray(fill if isinstance(labels[0], str) else values, [v is None for v in labels])


def pandas_series(labels: list[Any], dtype: Any = None) -> Any:
    pandas = pytest.importorskip("pandas", reason="a pandas column is encoded")
    return pandas.Series(labels, dtype=dtype)


def polars_series(labels: list[Any], dtype: str | None = None) -> Any:
    polars = pytest.importorskip("polars", reason="a polars column is encoded")
    return polars.Series(labels, dtype=getattr(polars, dtype) if dtype else None)


def arrow_column(labels: list[Any], *, encode: bool = False) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="an Arrow column is encoded")
    array = pyarrow.array(labels)
    return pyarrow.chunked_array([array.dictionary_encode() if encode else array])


@pytest.mark.parametrize(
    "dress",
    [
        objects,
        masked,
        lambda labels: ["b", float("nan"), *labels[2:]],
        tuple,
        lambda _: CategoricalColumn(np.array([1, -1, 0, 1]), ("a", "b")),
        pandas_series,
        lambda labels: pandas_series(labels, object),
        lambda labels: pandas_series(labels, "string"),
        lambda labels: pandas_series(labels, "category"),
        polars_series,
        lambda labels: polars_series(labels, "Categorical"),
        arrow_column,
        lambda labels: arrow_column(labels, encode=True),
    ],
)
def test_text_is_read_alike_from_every_container(dress: Any) -> None:
    encoded = encode_factor("shape", dress(LABELS))
    assert encoded.factor == encode_factor("shape", LABELS).factor
    assert encoded.indices.tolist() == [1, -1, 0, 1]
    assert encoded.reason == (
        "shape is categorical because its values are names (2 distinct); 1 of 4 rows without a label"
    )


@pytest.mark.parametrize(
    "dress",
    [
        objects,
        masked,
        lambda labels: np.array([np.nan if v is None else v for v in labels], dtype=np.float32),
        lambda labels: [Decimal("NaN") if v is None else Decimal(v) for v in labels],
        pandas_series,
        lambda labels: pandas_series(labels, "Int64"),
        polars_series,
        lambda labels: polars_series(labels, "Float32"),
        lambda labels: polars_series(labels, "Decimal"),
        arrow_column,
    ],
)
def test_numbers_are_read_alike_from_every_container(dress: Any) -> None:
    encoded = encode_factor("size", dress(NUMBERS), kind="ordinal")
    assert encoded.factor.values == (1, 2)
    assert encoded.indices.tolist() == [1, -1, 0, 1]


@pytest.mark.parametrize(
    "dress",
    [objects, masked, pandas_series, lambda v: pandas_series(v, "boolean"), polars_series, arrow_column],
)
def test_booleans_are_read_alike_from_every_container(dress: Any) -> None:
    column = [True, None, False, True]
    if dress is masked:
        column_read = np.ma.MaskedArray([True, True, False, True], [False, True, False, False])
    else:
        column_read = dress(column)
    encoded = encode_factor("flag", column_read)
    assert encoded.factor.values == ("False", "True")
    assert encoded.indices.tolist() == [1, -1, 0, 1]


def test_bytes_are_read_as_text() -> None:
    assert encode_factor("name", np.array(["é".encode(), b"a"])).factor.values == ("a", "é")


def test_pandas_missing_values_are_missing() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas has missing values of its own")
    encoded = encode_factor("v", [pandas.NA, "a", pandas.NaT, None])
    assert encoded.indices.tolist() == [-1, 0, -1, -1]


# Categories.


def test_declared_order_is_kept_and_unused_categories_are_not() -> None:
    order = ["low", "unused", "mid", "high"]
    pandas = pytest.importorskip("pandas", reason="an ordered categorical is encoded")
    column = pandas.Series(pandas.Categorical(["high", "low", None, "mid"], order, ordered=True))
    encoded = encode_factor("dose", column)
    assert encoded.factor.values == ("low", "mid", "high")
    assert encoded.indices.tolist() == [2, 0, -1, 1]
    assert encoded.factor.kind == "categorical"
    assert encoded.reason.startswith("dose is categorical because its values are 3 categories in their declared")
    assert encode_factor("dose", column, kind="ordinal").factor.kind == "ordinal"


def test_a_polars_enum_has_a_declared_order() -> None:
    polars = pytest.importorskip("polars", reason="an Enum is encoded")
    column = polars.Series(["b", "a", None], dtype=polars.Enum(["b", "unused", "a"]))
    assert encode_factor("v", column).factor.values == ("b", "a")


def test_categories_without_a_declared_order_are_sorted() -> None:
    column = CategoricalColumn(np.array([0, 1]), ("z", "a"))
    assert encode_factor("v", column).factor.values == ("a", "z")


def test_categories_that_are_numbers_stay_categorical_unless_overridden() -> None:
    column = CategoricalColumn(np.array([0, 1, -1, 0]), (10, 9))
    assert encode_factor("v", column).factor.values == (9, 10)
    assert encode_factor("v", column).factor.kind == "categorical"
    np.testing.assert_array_equal(encode_factor("v", column, kind="continuous").indices, [10, 9, np.nan, 10])


def test_a_column_of_names_that_all_differ_is_called_an_identifier() -> None:
    assert "as in an identifier" in encode_factor("mouse", ["m1", "m2", "m3"]).reason


# Kinds of numbers.


@pytest.mark.parametrize(
    ("column", "kind", "why"),
    [
        ([0, 0, 1, 1], "ordinal", "whole numbers that recur (2 distinct in 4 rows)"),
        (np.indices((4, 4))[0].ravel(), "ordinal", "whole numbers that recur (4 distinct in 16 rows)"),
        ([0.0, 0.0, 1.0, 1.0], "ordinal", "whole numbers that recur (2 distinct in 4 rows)"),
        (
            [0, 1, 2, 2, 3],
            "continuous",
            "that rarely recur (4 distinct in 5 rows, fewer than 2 rows per value)",
        ),
        (np.repeat([0.5, 1.0], 5), "ordinal", "numbers that recur (2 distinct in 10 rows)"),
        (
            np.repeat([0.5, 1.0], 4),
            "continuous",
            "rarely recur (2 distinct in 8 rows, fewer than 5 rows per value)",
        ),
        (np.repeat(np.arange(100), 2), "ordinal", "whole numbers that recur (100 distinct in 200 rows)"),
        (np.repeat(np.arange(101), 9), "continuous", "more than 100 distinct (101 distinct in 909 rows)"),
        ([3, 3, 3], "ordinal", "whole numbers that recur (1 distinct in 3 rows)"),
        (np.linspace(0, 1, 9), "continuous", "rarely recur"),
    ],
)
def test_the_kind_of_numbers_follows_a_rule_that_the_reason_states(column: Any, kind: str, why: str) -> None:
    encoded = encode_factor("v", column)
    assert encoded.factor.kind == kind
    assert why in encoded.reason


def test_missing_labels_do_not_count_as_rows_that_recur() -> None:
    assert encode_factor("v", [1, 2, 3, None, None, None]).factor.kind == "continuous"


def test_values_between_integers_are_retained() -> None:
    assert encode_factor("area", np.repeat([0.0, 0.1, 0.25], 5)).factor.values == (0.0, 0.1, 0.25)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float16, np.float32, np.int64])
def test_continuous_factors_are_double_precision(dtype: Any) -> None:
    encoded = encode_factor("v", np.arange(9).astype(dtype), kind="continuous")
    assert encoded.indices.dtype == np.float64
    assert encoded.factor.size is None
    assert encoded.reason == "v is continuous as specified"


def test_circular_is_never_inferred_but_can_be_specified() -> None:
    degrees = np.tile(np.arange(0, 360, 10), 5)
    assert encode_factor("angle", degrees).factor.kind == "ordinal"
    declared = encode_factor("angle", degrees, kind="circular:360")
    assert (declared.factor.kind, declared.factor.size, declared.factor.period) == ("circular", 36, 360)
    assert declared.reason == "angle is circular as specified, with period 360 (36 distinct values)"


# Circular factors.


def angles_of(encoded: EncodedFactor) -> Any:
    return encoded.factor.angles(np.where(encoded.indices < 0, np.nan, encoded.indices))


@pytest.mark.parametrize(
    ("column", "kind", "period", "size"),
    [
        (np.tile(np.arange(8, 21), 4), "circular:24", 24, 13),
        (np.tile(np.arange(8), 4), "circular", 8, 8),
        (np.tile([0.0, 90, 180, 270, 360], 5), "circular:360", 360, 4),
        (np.deg2rad(np.tile(45 * np.arange(-4, 5), 6)), "circular", 2 * np.pi, 8),
        (np.deg2rad(np.tile(45 * np.arange(9), 6)).astype(np.float32), "circular", 2 * np.pi, 8),
        (np.tile([0.0, 0.1, 0.3, 1.0, 1.1], 6), "circular:1", 1, 3),
        (np.linspace(-3, 3, 50), "circular", 2 * np.pi, None),
        (np.tile([-359, 1, 361], 5), "circular:360", 360, 1),
    ],
)
def test_circular_values_are_reduced_to_one_period(column: Any, kind: str, period: float, size: int | None) -> None:
    encoded = encode_factor("angle", column, kind=kind)
    assert (encoded.factor.kind, encoded.factor.period, encoded.factor.size) == ("circular", period, size)
    expected = 2 * np.pi * np.asarray(column, float) / period
    np.testing.assert_allclose(np.exp(1j * angles_of(encoded)), np.exp(1j * expected), atol=1e-6)
    n_values = len(np.unique(column))
    assert bool(encoded.notes) == (size is not None and n_values > size)


def test_values_that_coincide_on_the_circle_are_reported() -> None:
    encoded = encode_factor("angle", np.tile([0, 90, 360], 4), kind="circular:360")
    assert encoded.notes == ("factor angle: 3 values are 2 on a circle of period 360, such as 0 and 360",)


@pytest.mark.parametrize(
    ("column", "got"),
    [
        (np.tile(np.arange(8, 21), 4), "from 8 to 20"),  # hours of a day, or a full circle of 13
        ([0, 90, 0, 90], "from 0 to 90"),
        ([0, 1, 3, 0, 1, 3], "from 0 to 3"),
        (np.tile([0.0, 0.1, 0.9], 5), "from 0 to 0.9"),  # hues or radians
        (np.linspace(0, 360, 50), "from 0 to 360"),
        ([-3.5, 3.5], "from -3.5 to 3.5"),
    ],
)
def test_an_unknown_period_must_be_declared(column: Any, got: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"period of a circular factor must be declared .*{got}; .*circular:360"
    ):
        encode_factor("angle", column, kind="circular")


def test_a_circle_of_declared_categories_contains_those_that_do_not_occur() -> None:
    column = CategoricalColumn(np.array([0, 2, -1]), ("north", "east", "south", "west"), ordered=True)
    encoded = encode_factor("direction", column, kind="circular")
    assert encoded.factor.size == 4
    np.testing.assert_allclose(angles_of(encoded), [0, np.pi, np.nan])
    with pytest.raises(InvalidInputError, match="period of 4 categories is their number; got 360"):
        encode_factor("direction", column, kind="circular:360")


# Marks of missing labels.


@pytest.mark.parametrize("mark", [*MISSING, *MISSING_OR_NAME, " NA ", "? "])
def test_marks_among_numbers_and_names_are_missing_labels(mark: str) -> None:
    for column in ([50.5, mark, 47.25], ["b", mark, "a"], ["50.5", mark, "47"]):
        kind = "continuous" if column[0] == "50.5" else None
        encoded = encode_factor("v", column, kind=kind)
        assert encoded.n_missing == 1
        named = [] if mark.strip() in MISSING else [f"factor v: read as missing labels: {mark.strip()!r} in 1 row"]
        assert [*encoded.notes] == named


@pytest.mark.parametrize(
    "column", [["+", "-", "+", "-"], ["+", "-", "."], ["none", "None"], ["present", "missing"], ["None", "drug"]]
)
def test_marks_that_are_half_of_the_names_are_names(column: list[str]) -> None:
    encoded = encode_factor("v", column)
    assert (encoded.n_missing, encoded.factor.size) == (0, len(set(column)))


def test_marks_that_may_be_names_are_names_where_a_factor_is_declared_categorical() -> None:
    column = ["None", "low", "high", "NA"]
    assert encode_factor("dose", column).factor.values == ("high", "low")
    assert encode_factor("dose", column, kind="categorical").factor.values == ("None", "high", "low")


@pytest.mark.parametrize("column", [[1, -999, 2], [1.5, -999.0, 2.5], np.array([1, -999, 2]), ["a", "-999", "b"]])
@pytest.mark.parametrize("missing", [-999, "-999", ["-999.0", "x"], [-999.0]])
def test_the_caller_adds_marks_that_are_text_or_numbers(column: Any, missing: Any) -> None:
    encoded = encode_factor("v", column, missing=missing)
    assert encoded.n_missing == 1
    assert encoded.notes == ("factor v: read as missing labels: '-999' in 1 row",)


def test_a_mark_is_text_or_a_number() -> None:
    with pytest.raises(InvalidInputError, match="must be text or numbers; got None"):
        mark_texts([None])  # type: ignore[list-item] # a wrong type is the point


# Numbers that text interrupts.


def test_numbers_with_other_labels_are_refused_with_both_ways_out() -> None:
    column = [50.5] * 590 + ["low"] * 6 + ["< 5"] * 4
    with pytest.raises(InvalidInputError) as caught:
        encode_factor("age", column)
    assert str(caught.value) == (
        "factor 'age' must contain either numbers or names; 590 of 600 rows contain numbers and 10 other text: "
        "'low' in 6 rows, '< 5' in 4 rows; if it marks missing labels, add it to missing= (--missing 'low'); "
        "if all labels are names, declare kinds={'age': 'categorical'} (--kind age=categorical)"
    )
    assert encode_factor("age", column, missing=["low", "< 5"]).n_missing == 10
    assert encode_factor("age", column, kind="categorical").factor.values == ("50.5", "< 5", "low")


@pytest.mark.parametrize("kind", ["ordinal", "continuous", "circular:24"])
def test_text_that_is_declared_numeric_is_read_as_numbers(kind: str) -> None:
    assert encode_factor("v", ["1.5", "2", "?"], kind=kind).n_missing == 1
    with pytest.raises(InvalidInputError, match="2 of 3 rows contain numbers and 1 other text: 'low' in 1 row"):
        encode_factor("v", ["1.5", "2", "low"], kind=kind)


def test_whole_numbers_as_text_are_names_and_measurements_as_text_are_refused() -> None:
    clusters = ["0", "1", "10", "unassigned"] * 3
    assert encode_factor("cluster", clusters).factor.values == ("0", "1", "10", "unassigned")
    doses = ["0.5", "1.5"] * 5
    assert encode_factor("dose", doses).factor.values == ("0.5", "1.5")
    measured = [f"{value:.1f}" for value in np.linspace(20.1, 60, 50)]
    with pytest.raises(InvalidInputError, match="must not contain numbers written as text; got '20.1' and 49 more"):
        encode_factor("age", measured)
    with pytest.raises(InvalidInputError, match="50 of 51 rows contain numbers and 1 other text: 'low'"):
        encode_factor("age", [*measured, "low"])


# Values that are equal up to rounding, and names that are nearly equal.

LEVELS = np.linspace(0.5, 1, 6)


@pytest.mark.parametrize(
    "column",
    [
        np.where(np.arange(120) // 6 % 2, np.tile(LEVELS, 20), np.tile(LEVELS, 20).astype(np.float32)),
        np.tile([*LEVELS, 0.1 + 0.2 + 0.4], 20),  # 0.7000000000000001
        np.tile([*LEVELS * np.float32(1), np.nextafter(np.float32(0.7), np.float32(1))], 20).astype(np.float32),
        np.tile([-1, -0.5, 0, 1e-17, 0.5, 1, 2], 20),
    ],
)
@pytest.mark.parametrize("kind", [None, "ordinal", "categorical"])
def test_numbers_equal_up_to_rounding_are_one_value_with_a_note(column: Any, kind: str | None) -> None:
    encoded = encode_factor("scale", column, kind=kind)
    assert encoded.factor.size == 6
    assert (
        f"{len(np.unique(column))} values are merged into 6, because the others differ only by rounding"
        in (encoded.notes[0])
    )
    np.testing.assert_allclose(np.array(encoded.factor.values)[encoded.indices], column, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize(
    "column",
    [
        np.logspace(-12, 0, 13).repeat(10),  # doses
        2459000.5 + np.arange(20).repeat(10),  # days
        1e9 + np.arange(20).repeat(10),
        np.linspace(0, 1e-6, 20).repeat(10),
        (np.float32(1) + np.float32(2**-23) * np.arange(20, dtype=np.float32)).repeat(10),
    ],
)
def test_numbers_that_differ_by_more_than_rounding_stay_apart(column: Any) -> None:
    encoded = encode_factor("v", column)
    assert (encoded.factor.size, encoded.notes) == (len(np.unique(column)), ())


def test_dense_numbers_are_not_merged(rng: np.random.Generator) -> None:
    column = rng.random(200_000).astype(np.float32)
    encoded = encode_factor("v", column)
    assert (encoded.factor.kind, encoded.notes) == ("continuous", ())
    np.testing.assert_array_equal(encoded.indices, column)


def test_categories_that_are_numbers_equal_up_to_rounding_are_merged() -> None:
    column = CategoricalColumn(np.array([0, 1, 2, 3, 2]), (0.6, 0.3, 0.1 + 0.2, 0.1))
    encoded = encode_factor("v", column)
    assert decoded(encoded) == [0.6, 0.3, 0.3, 0.1, 0.3]
    assert "4 values are merged into 3" in encoded.notes[0]


def test_names_that_differ_in_blanks_or_capitals_stay_apart_with_a_note() -> None:
    encoded = encode_factor("shape", ["ball", "Ball", "ball ", "cube"])
    assert encoded.factor.size == 4
    (note,) = encoded.notes
    assert note == (
        "factor shape: names that differ only in blanks or capitals are different values: "
        "'Ball' and 'ball' and 'ball '; write them alike if they are one value"
    )


@pytest.mark.parametrize("container", [list, np.array, lambda column: np.array(column, dtype=object)])
def test_whole_numbers_beyond_double_precision_are_exact_or_reported(container: Any) -> None:
    identifiers = [2**60, 2**60 + 1, 2**60 + 3]
    encoded = encode_factor("id", container(identifiers))
    (note,) = encoded.notes
    assert note == (
        "factor id: 2 of 3 whole numbers beyond 2^53 are rounded to double precision, which makes 2 equal to others; "
        "declare an identifier categorical"
    )
    for kind in ("categorical", "ordinal"):
        assert encode_factor("id", container(identifiers), kind=kind).factor.values == tuple(identifiers)


def test_large_integers_next_to_fractions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=f"must not mix fractions .* got {2**60 + 1}; convert an identifier"):
        encode_factor("id", [2**60 + 1, 0.5, None])


# Refused columns, each with one sentence.


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ([None, None], None, "got 2 rows, none with a label"),
        ([np.nan], "continuous", "got 1 row, none with a label"),
        ([], None, "got 0 rows, none with a label"),
        ([1.0, np.inf, -np.inf], None, "must be finite; got 2 infinite labels"),
        (CategoricalColumn(np.array([0, 1]), (1.0, np.inf)), None, "must be finite; got 1 infinite label;"),
        (["a", 1], None, "1 of 2 rows contain numbers and 1 other text: 'a' in 1 row"),
        (["a", True], None, "of one type; got booleans such as True and text such as 'a'"),
        ([dt.date(2020, 1, 1)], None, r"real numbers; got date such as datetime.date\(2020, 1, 1\)"),
        (np.array(["2020-01-01"], dtype="datetime64[ns]"), None, "got dtype datetime64"),
        ([1j], None, "got dtype complex128 such as 1j"),
        ([[1], [2, 3]], None, "must be one column of labels"),
        (np.zeros((2, 2)), None, r"must be one column of shape \(n_rows,\); got shape \(2, 2\)"),
        ([{"a": 1}], None, "got objects such as {'a': 1}"),
        (["a"], "continuous", "must contain numbers to be continuous; got text such as 'a'"),
        (["a"], "ordinal", "must contain numbers or ordered categories to be ordinal; got text"),
        (["a"], "circular", "must contain numbers or ordered categories to be circular; got text"),
        ([True, False], "continuous", "must contain numbers to be continuous; got booleans"),
        ([2**70, None], None, "64-bit integers"),
        (["a"], "ordinals", "kind must be one of .* got 'ordinals'; did you mean 'ordinal'"),
    ],
)
def test_a_column_that_cannot_be_a_factor_is_refused(column: Any, kind: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        encode_factor("v", column, kind=kind)
    assert "'v'" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.none() | names))
def test_factorise_keeps_each_label_once_in_order_of_appearance(column: list[str | None]) -> None:
    factorised = factorise(column)
    assert list(factorised.categories) == list(dict.fromkeys(label for label in column if label is not None))
    assert [None if i < 0 else factorised.categories[i] for i in factorised.indices] == column


def test_a_factor_with_one_value_is_encoded_and_left_for_metrics_to_refuse() -> None:
    assert encode_factor("v", ["a", "a", None]).factor.size == 1


@pytest.mark.parametrize("n_distinct", [40, 5_000_000])
def test_five_million_numbers_are_encoded_within_two_seconds_of_processor_time(n_distinct: int) -> None:
    column = np.random.default_rng(0).integers(0, n_distinct, 5_000_000).astype(np.float64)
    before = time.process_time()
    encode_factor("v", column)
    assert time.process_time() - before < 2
