import contextlib
import csv
import hashlib
import pickle
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy import sparse

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import (
    CorruptFileError,
    DisentmetricsError,
    InvalidInputError,
    MissingExtraError,
    UntrustedFileError,
)
from disentmetrics.io.labels import encode_factor
from disentmetrics.io.tables import RawTable, read_table
from disentmetrics.representation import Representation

CODES = np.array([[0.1, 3.0], [0.2, 4.0], [-1e-5, 5.0]])
SHAPES = ["square", "heart", None]
SIZES = [0.5, 1.0, 0.5]
COLUMNS = {"z0": CODES[:, 0], "z1": CODES[:, 1], "shape": SHAPES, "size": SIZES}


def labels(table: RawTable) -> dict[str, list[Any]]:
    """Return the factors' labels, None where missing."""
    found = {}
    for name, column in table.factors.items():
        encoded = encode_factor(name, column)
        values = encoded.factor.values
        found[name] = [
            (None if i < 0 else values[i]) if values else (None if np.isnan(i) else i) for i in encoded.indices.tolist()
        ]
    return found


def refused(error: type[Exception], message: str, source: Any, **options: Any) -> None:
    with pytest.raises(error, match=message) as caught:
        read_table(source, **options)
    assert "\n" not in str(caught.value)


# One table, written in every format.


def write_csv(path: Path, text: str = "z0,z1,shape,size\n0.1,3,square,0.5\n0.2,4,heart,1\n-1e-5,5,,0.5\n") -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def polars_frame(**columns: Any) -> Any:
    polars = pytest.importorskip("polars", reason="polars holds the table")
    return polars.DataFrame(columns or COLUMNS)


def pandas_frame(**columns: Any) -> Any:
    pandas = pytest.importorskip("pandas", reason="pandas holds the table")
    return pandas.DataFrame(columns or COLUMNS)


def arrow_table() -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="Arrow holds the table")
    return pyarrow.table(COLUMNS)


def write_parquet(path: Path) -> Path:
    polars_frame().write_parquet(path)
    return path


def write_xlsx(path: Path, *rows: list[Any], **more_sheets: list[list[Any]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl writes the workbook")
    pytest.importorskip("fastexcel", reason="fastexcel reads the workbook")
    book = openpyxl.Workbook()
    book.active.title = "first"
    for row in rows or (list(COLUMNS), *zip(*COLUMNS.values(), strict=True)):
        book.active.append(row)
    for name, content in more_sheets.items():
        sheet = book.create_sheet(name)
        for row in content:
            sheet.append(row)
    book.save(path)
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    factors = np.array([("square", 0.5), ("heart", 1.0), ("", 0.5)], dtype=[("shape", "U6"), ("size", "f8")])
    np.savez(path, **(arrays or {"codes": CODES, "factors": factors}))
    return path


def write_h5ad(path: Path) -> Path:
    """Write what anndata writes, by its on-disk specification."""
    with h5py.File(path, "w") as file:
        file.create_dataset("obsm/z", data=CODES)
        obs = file.create_group("obs")
        obs.attrs["column-order"] = np.array(["shape", "size"], dtype=object)
        obs.create_dataset("size", data=SIZES)
        shape = obs.create_group("shape")
        shape.attrs.update({"encoding-type": "categorical", "ordered": False})
        shape.create_dataset("codes", data=np.array([0, 1, -1], dtype=np.int8))
        shape.create_dataset("categories", data=np.array(["square", "heart"], dtype=object))
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".xlsx": write_xlsx,
    ".npz": write_npz,
    ".h5ad": write_h5ad,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_contains_the_same_table(suffix: str, tmp_path: Path) -> None:
    path = WRITERS[suffix](tmp_path / f"größe 三{suffix}")
    table = read_table(path)
    np.testing.assert_array_equal(table.codes, CODES)
    assert labels(table) == {"shape": SHAPES, "size": SIZES}
    assert table.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert table.source == path.name


@pytest.mark.parametrize("frame", [polars_frame, pandas_frame, arrow_table])
def test_every_data_frame_contains_the_same_table(frame: Any) -> None:
    table = read_table(frame())
    np.testing.assert_array_equal(table.codes, CODES)
    assert table.code_names == ("z0", "z1")
    assert labels(table) == {"shape": SHAPES, "size": SIZES}
    assert table.fingerprint == "memory"


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_truncated_file_is_refused_or_lacks_complete_rows(suffix: str, tmp_path: Path) -> None:
    whole = WRITERS[suffix](tmp_path / f"whole{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    n_cuts = 8 if suffix == ".xlsx" else 40  # each Excel file starts a process
    for n_bytes in range(0, len(whole) - 1, max(1, len(whole) // n_cuts)):
        path.write_bytes(whole[:n_bytes])
        with contextlib.suppress(DisentmetricsError):
            table = read_table(path)
            assert suffix == ".csv"  # text that ends after a complete row does not reveal that rows are missing
            assert len(table.codes) < len(CODES) or n_bytes > len(whole) - 6


# An altered byte may abort polars and hang libhdf5, and pytest with them: the formats carry no checksums.
@pytest.mark.parametrize("suffix", [".npz", ".xlsx"])
def test_an_altered_file_is_refused_or_read_without_a_crash(suffix: str, tmp_path: Path) -> None:
    whole = WRITERS[suffix](tmp_path / f"whole{suffix}").read_bytes()
    path = tmp_path / f"altered{suffix}"
    rng = np.random.default_rng(0)
    n_cases = 10 if suffix == ".xlsx" else 60  # each Excel file starts a process; test_fuzz has more
    for position in rng.integers(0, len(whole), n_cases):
        altered = bytearray(whole)
        altered[position] ^= int(rng.integers(1, 256))
        path.write_bytes(altered)
        with contextlib.suppress(DisentmetricsError):
            table = read_table(path)
            if suffix == ".npz":  # its parts carry checksums
                np.testing.assert_array_equal(table.codes, CODES)


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_empty_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    refused(CorruptFileError, "must contain a table; the file is empty", path)


def test_a_missing_file_and_an_unknown_kind_of_file_are_refused(tmp_path: Path) -> None:
    refused(InvalidInputError, "there is no file at", tmp_path / "no.csv")
    refused(InvalidInputError, r"one of these formats: \.npz, \.csv, .*got 'a\.xls'.*did you mean '\.xlsx'", "a.xls")
    refused(InvalidInputError, "a path, an eager data frame or an object with obsm and obs; got the int", 3)
    (tmp_path / "folder.csv").mkdir()
    refused(InvalidInputError, "must be a file", tmp_path / "folder.csv")


def test_the_extension_may_be_written_in_capitals(tmp_path: Path) -> None:
    assert len(read_table(write_csv(tmp_path / "TABLE.CSV")).codes) == 3


@pytest.mark.parametrize(("suffix", "package"), [(".parquet", "polars"), (".xlsx", "fastexcel")])
def test_a_missing_reader_names_the_install_command(
    suffix: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, package, None)
    refused(MissingExtraError, re.escape(install_command("tables")), path)


def test_text_files_need_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("polars", "pandas", "pyarrow", "fastexcel"):
        monkeypatch.setitem(sys.modules, package, None)
    assert read_table(write_csv(tmp_path / "a.csv")).codes.shape == (3, 2)


# Roles of columns.


def test_codes_are_the_only_numbered_family_in_order_of_its_numbers() -> None:
    names = ["PC10", "age", "PC2", "PC1"]
    table = read_table(polars_frame(**{name: np.array([j, 1.0]) for j, name in enumerate(names)}))
    assert table.code_names == ("PC1", "PC2", "PC10")
    assert table.codes[0].tolist() == [3.0, 2.0, 0.0]
    assert table.notes == (
        "codes: PC1, PC2, PC10 (the only numbered family of columns)",
        "factors: age (all other columns)",
    )


@pytest.mark.parametrize("names", [("z0", "z1"), ("z_0", "z_1"), ("code_0",), ("latent_1", "latent_2"), ("PC1",)])
def test_the_usual_names_of_codes_are_known(names: tuple[str, ...]) -> None:
    assert read_table(polars_frame(**dict.fromkeys([*names, "label"], (1.0, 2.0)))).code_names == names


def test_codes_must_be_specified_where_none_or_several_families_exist() -> None:
    refused(
        InvalidInputError,
        r"codes by codes= \(--code-columns\), such as .*columns: a, b",
        polars_frame(a=[1], b=[2]),
    )
    refused(InvalidInputError, r"\(z0 or PC1\)", polars_frame(z0=[1], PC1=[2], b=[2]))


def test_names_and_patterns_select_columns_in_the_specified_order() -> None:
    frame = polars_frame(**dict.fromkeys(["a_1", "b", "a_2", "g", "w", "[x]"], (1.0, 2.0)))
    table = read_table(frame, codes=["b", "a_*"], factors="[x]", groups="g", weights="w")
    assert table.code_names == ("b", "a_1", "a_2")
    assert list(table.factors) == ["[x]"]
    assert table.notes == ()


def test_all_other_columns_are_factors_by_default() -> None:
    frame = polars_frame(**dict.fromkeys(["z0", "lv", "g", "w", "a", "b"], (1.0, 2.0)))
    table = read_table(frame, log_variance="lv", groups="g", weights="w")
    assert list(table.factors) == ["a", "b"]
    assert table.log_variance is not None
    assert table.notes[-1] == "factors: a, b (all other columns)"


def test_columns_hold_divergences_from_the_own_prior_and_name_categorical_latents() -> None:
    columns = {"z0": [1.0, 2.0], "z1": [0.0, 2.0], "v0": [-1.0, -2.0], "v1": [-3.0, -3.0], "k0": [0.5, 0.7]}
    frame = polars_frame(**columns, k1=[0.0, 0.001], label=["a", "b"])
    table = read_table(frame, codes="z?", log_variance="v?", kl="k?", categorical_codes="z1")
    assert table.kl is not None
    assert table.kl.tolist() == [[0.5, 0.0], [0.7, 0.001]]
    assert table.categorical_codes.tolist() == [False, True]
    assert list(table.factors) == ["label"]
    representation = Representation.from_table(frame, codes="z?", log_variance="v?", kl="k?", categorical_codes=["z1"])
    assert representation.kl_name == "kl(own-prior)"
    assert representation.mean_kl is not None
    assert representation.mean_kl.tolist() == pytest.approx([0.6, 0.0005])
    assert representation.categorical_codes.tolist() == [False, True]
    with pytest.raises(InvalidInputError, match="categorical_codes must name latents; there is no 'z3'"):
        read_table(frame, codes="z?", factors="label", categorical_codes="z3")
    with pytest.raises(InvalidInputError, match="kl must have the shape of codes"):
        read_table(frame, codes="z?", factors="label", kl="k0")


def test_a_group_may_be_a_factor_too() -> None:
    table = read_table(polars_frame(z0=[1.0, 2.0], donor=["b", "a"]), groups="donor", factors=["donor"])
    assert table.groups is not None
    assert table.groups.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codes": "z_0"}, "codes must name a column of the DataFrame; there is no 'z_0'; did you mean 'z0'"),
        (
            {"factors": ["shap"]},
            "factors must name .* 'shap'; did you mean 'shape'.*columns: z0, z1, shape, size",
        ),
        ({"groups": "donor"}, "groups must name .* there is no 'donor'"),
        ({"codes": "q*"}, r"there is no 'q\*'"),
        (
            {"codes": ["z0", "size"], "factors": ["size"]},
            "belong to either codes or factors; .* specified for size",
        ),
        ({"log_variance": ["z1", "size"]}, "belong to either codes or log_variance; .* specified for z1"),
        ({"log_variance": "size"}, r"must have the shape of codes, \(3, 2\); got \(3, 1\)"),
        ({"groups": "z*"}, "groups must be one column; got z0, z1"),
        ({"groups": "shape"}, "must belong to a group; 'shape' has no value in 1 of 3 rows"),
        ({"codes": ["z0", "shape"]}, "codes must be real numbers; 'shape' contains str such as 'square'"),
        ({"weights": "shape"}, "weights must be real numbers"),
        ({"codes": "*"}, "must contain labels in addition to codes"),
    ],
)
def test_a_choice_that_cannot_be_satisfied_is_refused(options: dict[str, Any], message: str) -> None:
    refused(InvalidInputError, message, polars_frame(), **options)


def test_codes_with_gaps_are_refused_and_never_dropped() -> None:
    gaps = polars_frame(z0=[1.0, None, float("nan")], z1=[1.0, None, 2.0], a=[1, 2, 3])
    refused(InvalidInputError, "'z0' has no value in 2 of 3 rows, and so does 1 more", gaps)
    infinite = polars_frame(z0=[1.0, float("inf")], a=[1, 2])
    refused(InvalidInputError, "'z0' has infinity in 1 of 2 rows;", infinite)


@pytest.mark.parametrize("frame", [polars_frame, pandas_frame])
def test_a_table_without_rows_is_refused(frame: Any) -> None:
    refused(InvalidInputError, "at least one row; got none", frame(z0=np.empty(0), a=np.empty(0)))


def test_names_that_are_duplicated_or_not_text_are_refused() -> None:
    pandas = pytest.importorskip("pandas", reason="only pandas allows such names")
    refused(
        InvalidInputError,
        "unique; the DataFrame has a more than once",
        pandas.DataFrame([[1, 2]], columns=["a"] * 2),
    )
    refused(InvalidInputError, "must be text; the DataFrame has a column named 0", pandas.DataFrame([[1, 2]]))


def test_a_lazy_frame_must_be_collected_first() -> None:
    refused(InvalidInputError, "got the LazyFrame; collect it first", polars_frame().lazy())


@pytest.mark.parametrize(("dtype", "read"), [("Float32", "f4"), ("Int8", "f8"), ("Float64", "f8")])
def test_single_precision_is_retained_and_all_else_becomes_double(dtype: str, read: str) -> None:
    polars = pytest.importorskip("polars", reason="polars holds the table")
    frame = polars_frame(z0=[1, 2], a=[1, 2]).cast({"z0": getattr(polars, dtype)})
    assert read_table(frame).codes.dtype == np.dtype(read)


def test_nullable_pandas_columns_are_numbers() -> None:
    frame = pandas_frame(z0=[1, 2, 3], a=[1, 2, 3]).astype("Int64")
    assert read_table(frame).codes.tolist() == [[1], [2], [3]]
    frame.loc[1, "z0"] = None
    refused(InvalidInputError, "'z0' has no value in 1 of 3 rows", frame)


# Text files.


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_separator_line_end_and_byte_order_mark_are_detected(
    separator: str, line_end: str, mark: str, tmp_path: Path
) -> None:
    text = mark + "z0,z1,shape\n0.5,3,square\n0.5,4,heart\n".replace(",", separator).replace("\n", line_end)
    table = read_table(write_csv(tmp_path / "a.csv", text))
    assert table.code_names == ("z0", "z1")
    assert labels(table) == {"shape": ["square", "heart"]}


def test_quoted_cells_may_contain_separators_line_ends_and_quotes(tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "a.csv", 'z0,"a, b"\n1,"x, ""y"""\n2,"two\nlines"\n'))
    assert labels(table) == {"a, b": ['x, "y"', "two\nlines"]}


def test_ambiguous_separators_must_be_resolved_by_the_user(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", "a;z0,b\n1;2,3\n")
    refused(InvalidInputError, "may be separated by ',' or ';'; give separator=", path)
    assert list(read_table(path, codes="b", separator=",").factors) == ["a;z0"]


def test_a_tab_separated_file_may_have_other_separators_in_its_names(tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "a.tsv", "z0\ta,b;c\n1\tx\n"))
    assert list(table.factors) == ["a,b;c"]


@pytest.mark.parametrize("token", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "#N/A"])
def test_the_usual_tokens_are_missing_labels(token: str, tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "a.csv", f"z0,a,b\n1,x,1\n2,{token},{token}\n3,y,3\n"))
    assert labels(table) == {"a": ["x", None, "y"], "b": [1, None, 3]}
    path = write_csv(tmp_path / "b.csv", f"z0,a\n1,x\n{token},x\n")
    refused(InvalidInputError, "'z0' has no value in 1 of 2 rows", path)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".npz", ".h5ad", ".parquet", "frame", "objects"])
@pytest.mark.parametrize("mark", ["NA", "?", "-", ".", "None", "n/a", "<NA>", "missing", "nan", "low"])
def test_a_mark_among_numbers_and_names_is_missing_wherever_it_comes_from(
    suffix: str, mark: str, tmp_path: Path
) -> None:
    """Of numbers with a few marks, and of names with a few marks, in every container of labels."""
    ages: list[Any] = [20.5, 31.25, 47.0, 50.5, mark, 60.25]
    kinds = ["b", "a", mark, "c", "b", "a"]
    rows = [[float(row), age, kind] for row, (age, kind) in enumerate(zip(ages, kinds, strict=True))]
    path = tmp_path / f"a{suffix}"
    texts = np.array([str(age) for age in ages])
    source: Any = path
    if suffix == ".csv":
        write_csv(path, "z0,age,kind\n" + "".join(f"{z},{age},{kind}\n" for z, age, kind in rows))
    elif suffix == ".xlsx":
        write_xlsx(path, ["z0", "age", "kind"], *rows)
    elif suffix == ".npz":
        records = np.array(list(zip(texts, kinds, strict=True)), dtype=[("age", "U7"), ("kind", "U7")])
        np.savez(path, codes=np.arange(6.0), factors=records)
    elif suffix == ".h5ad":
        write_h5ad(path)
        with h5py.File(path, "a") as file:
            del file["obsm/z"], file["obs"]
            file["obsm/z"] = np.arange(6.0)[:, None]
            file.create_group("obs").attrs["column-order"] = np.array(["age", "kind"], dtype=object)
            file["obs/age"], file["obs/kind"] = texts.astype(object), np.array(kinds, dtype=object)
    elif suffix == ".parquet":
        polars_frame(z0=np.arange(6.0), age=texts, kind=kinds).write_parquet(path)
    else:
        source = (
            pandas_frame(z0=np.arange(6.0), age=ages, kind=kinds)
            if suffix == "objects"
            else polars_frame(z0=np.arange(6.0), age=texts, kind=kinds)
        )
    added = ["low"] if mark == "low" else []
    table = read_table(source, missing=added)
    age = encode_factor("age", table.factors["age"], kind="continuous", missing=added)
    np.testing.assert_array_equal(age.indices, [20.5, 31.25, 47.0, 50.5, np.nan, 60.25])
    kind = encode_factor("kind", table.factors["kind"], missing=added)
    assert (kind.factor.values, kind.n_missing) == (("a", "b", "c"), 1)
    if mark == "low":
        with pytest.raises(InvalidInputError, match="5 of 6 rows contain numbers and 1 other text: 'low' in 1 row"):
            encode_factor("age", read_table(source).factors["age"], kind="continuous")


def test_numbers_interrupted_in_an_unused_column_do_not_matter(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", "z0,a,b\n1,1,x\n2,low,y\n3,4,x\n")
    assert list(read_table(path, factors="b").factors) == ["b"]


def test_text_far_below_numbers_in_a_sheet_is_not_lost(tmp_path: Path) -> None:
    rows = [[row / 2, "low" if row == 1_500 else row + 0.25] for row in range(1_600)]
    table = read_table(write_xlsx(tmp_path / "a.xlsx", ["z0", "a"], *rows))
    with pytest.raises(InvalidInputError, match="1,599 of 1,600 rows contain numbers and 1 other text: 'low'"):
        encode_factor("a", table.factors["a"])


@pytest.mark.parametrize("label", ["309_1", "1e", "0x10", "12345678901234567890", "١", "1,5 kg"])
def test_labels_that_only_resemble_numbers_stay_text(label: str, tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "a.csv", f'z0,a\n1,"{label}"\n2,7\n'))
    assert labels(table) == {"a": [label, "7"]}


def test_a_column_that_turns_to_text_late_keeps_its_first_labels_as_written(tmp_path: Path) -> None:
    n_rows = 45_000
    written = [f"{i % 7:03d}" for i in range(n_rows)]
    written[-1] = "other"
    text = "z0,a\n" + "".join(f"{i},{label}\n" for i, label in enumerate(written))
    column = read_table(write_csv(tmp_path / "a.csv", text)).factors["a"]
    assert [column.categories[index] for index in column.indices] == written
    assert encode_factor("a", column, kind="categorical").factor.size == 8
    with pytest.raises(InvalidInputError, match="44,999 of 45,000 rows contain numbers and 1 other text: 'other'"):
        encode_factor("a", column)


@pytest.mark.parametrize("kind", [None, "categorical", "ordinal", "continuous"])
def test_identifiers_beyond_double_precision_are_names_unless_declared(kind: str | None, tmp_path: Path) -> None:
    identifiers = [2**53 + 3 * row for row in range(4)]
    table = read_table(write_csv(tmp_path / "a.csv", "z0,id\n" + "".join(f"1,{i}\n" for i in identifiers)))
    encoded = encode_factor("id", table.factors["id"], kind=kind)
    if kind == "continuous":
        assert "2 of 4 whole numbers beyond 2^53 are rounded" in encoded.notes[0]
    else:
        assert list(map(int, encoded.factor.values)) == identifiers


def test_groups_of_a_table_whose_names_are_nearly_equal_are_reported(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", "z0,a,donor\n1,x,d1\n2,y,D1\n")
    assert "'D1' and 'd1'" in read_table(path, groups="donor").group_notes[0]


def test_columns_without_a_name_are_left_out_with_a_note(tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "a.csv", ",z0,a,\n0,1,x,\n1,2,y,\n"))
    assert list(table.factors) == ["a"]
    assert table.notes[0] == "left out: 2 columns without a name"


def test_blank_lines_are_not_rows(tmp_path: Path) -> None:
    assert len(read_table(write_csv(tmp_path / "a.csv", "z0,a\n\n1,x\n\n2,y\n\n")).codes) == 2


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("z0,a\n", InvalidInputError, "at least one row"),
        ("z0,a\n1\n", CorruptFileError, "must have 2 cells separated by ','; row 1 below the header has 1"),
        ("z0,a\n1,x\n1,x,y\n", CorruptFileError, "row 2 below the header has 3"),
        ('z0,a\n1,"x\n', CorruptFileError, "truncated, altered"),
        ("z0,a,a\n1,2,3\n", InvalidInputError, "unique; a.csv has a more than once"),
        ("1,2\n3,4\n", InvalidInputError, "first line of .* must name the columns; got 1, 2"),
        ("z0;a\n1,5;x\n2,5;y\n", InvalidInputError, "'z0' contains str such as '1,5'; use decimal points"),
        ("z0;a\n1;0,5\n2;1\n", InvalidInputError, "must be written with decimal points; 'a' contains '0,5'"),
        ("z0;a\n1;0,5\n2;?\n", InvalidInputError, "must be written with decimal points; 'a' contains '0,5'"),
        ("z0,a\n1,x\nabc,y\n", InvalidInputError, "'z0' contains str such as 'abc'"),
        ("\n\n", InvalidInputError, "it contains no column"),
    ],
)
def test_a_text_file_that_is_not_a_table_is_refused(
    text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    refused(error, message, write_csv(tmp_path / "a.csv", text))


def test_text_of_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("z0,größe\n1,x\n".encode("latin-1"))
    refused(InvalidInputError, "must be text in UTF-8; it contains the invalid byte 0xf6", path)
    path.write_bytes("z0,a\n1,x\n".encode("utf-16"))
    refused(InvalidInputError, "must be text in UTF-8; it contains the invalid byte 0xff", path)


def test_a_separator_is_one_character(tmp_path: Path) -> None:
    refused(InvalidInputError, "must be one character; got '::'", write_csv(tmp_path / "a.csv"), separator="::")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    column=st.lists(cells.filter(lambda text: not text[0].isspace() and not text[0].isnumeric()), min_size=1),
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
)
def test_output_of_the_csv_module_is_read_back(column: list[str], numbers: list[float], tmp_path: Path) -> None:
    rows = [[repr(number), f"_{label}"] for number, label in zip(numbers, column, strict=False)]
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["z0", "a"], *rows])
    table = read_table(path, separator=",")
    assert table.codes[:, 0].tolist() == [float(number) for number, _ in rows]
    assert labels(table) == {"a": [label for _, label in rows]}


def test_a_long_text_file_is_read_in_pieces(tmp_path: Path) -> None:
    n_rows = 60_000
    path = write_csv(tmp_path / "a.csv", "z0,z1,a\n" + "0.125,0.25,x\n" * n_rows)
    tracemalloc.start()
    table = read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.codes.shape == (n_rows, 2)
    assert peak < 200 * n_rows  # as text alone, a row of three cells takes more


# npz.


def test_factors_of_an_npz_have_the_given_names(tmp_path: Path) -> None:
    factors = np.array([[0, 10], [1, 20], [1, 30]])
    arrays = {
        "codes": CODES,
        "factors": factors,
        "log_variance": -CODES,
        "groups": [5, 5, 7],
        "weights": [1, 2, 3],
    }
    plain = read_table(write_npz(tmp_path / "a.npz", **arrays))
    assert list(plain.factors) == ["factor_0", "factor_1"]
    assert plain.code_names == ("z0", "z1")
    named = read_table(
        write_npz(tmp_path / "b.npz", **arrays, factor_names=["x", "y"], code_names=np.array([b"u", b"v"]))
    )
    assert list(named.factors) == ["x", "y"]
    assert named.code_names == ("u", "v")
    np.testing.assert_array_equal(named.factors["y"], factors[:, 1])
    assert named.log_variance is not None
    np.testing.assert_array_equal(named.log_variance, -CODES)
    assert named.groups is not None
    assert named.groups.tolist() == [0, 0, 1]
    assert named.weights is not None
    assert named.weights.tolist() == [1, 2, 3]
    assert list(read_table(tmp_path / "b.npz", factors="y").factors) == ["y"]


def test_other_keys_of_an_npz_can_be_selected(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", mu=CODES, images=np.zeros((3, 4, 4)), y=[1, 2, 3], styles=CODES)
    table = read_table(path, codes="mu", factors=["y", "styles"])
    assert table.code_names == ("mu_0", "mu_1")
    assert list(table.factors) == ["y", "styles_0", "styles_1"]
    refused(InvalidInputError, r"codes by codes= \(--code-columns\).*its arrays: mu, images, y, styles", path)
    refused(InvalidInputError, "must contain labels in addition to codes; its arrays: mu", path, codes="mu")
    refused(
        InvalidInputError,
        r"'images' must have shape \(n_rows, n_columns\); got \(3, 4, 4\)",
        path,
        codes="images",
    )


def test_one_code_and_one_factor_may_be_flat(tmp_path: Path) -> None:
    table = read_table(write_npz(tmp_path / "a.npz", codes=CODES[:, 0], factors=np.array(["a", "nan", "b"])))
    assert table.codes.shape == (3, 1)
    assert labels(table) == {"factor_0": ["a", None, "b"]}


def test_single_precision_codes_stay_single(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", codes=CODES.astype(np.float32), factors=[1, 2, 3])
    assert read_table(path).codes.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"codes": CODES, "factors": [1, 2]}, "equally many rows; a.npz has 3 rows of codes and 2 of 'factor_0'"),
        ({"codes": CODES, "factors": [1, 2, 3], "groups": [1]}, "3 rows of codes and 1 of 'groups'"),
        ({"codes": CODES, "factors": [1, 2, 3], "weights": [1]}, "3 rows of codes and 1 of 'weights'"),
        (
            {"codes": CODES, "factors": [1, 2, 3], "log_variance": CODES[:2]},
            r"shape of codes, \(3, 2\); got \(2, 2\)",
        ),
        (
            {"codes": CODES, "factors": CODES, "factor_names": ["x"]},
            "each of the 2 columns of 'factors' .* got 1 names: x",
        ),
        ({"codes": CODES, "factors": CODES, "factor_names": ["x", "x"]}, "a unique name"),
        ({"codes": CODES[:0], "factors": []}, "codes must have at least one row"),
        (
            {"codes": np.array([["a"]]), "factors": [1]},
            "codes must be real numbers; 'z0' contains str such as 'a'",
        ),
        ({"codes": np.zeros((2, 1), complex), "factors": [1, 2]}, "'z0' contains complex"),
    ],
)
def test_an_npz_that_does_not_fit_together_is_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(InvalidInputError, message, write_npz(tmp_path / "a.npz", **arrays))


class Malice:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("key", ["codes", "factors", "factor_names"])
def test_a_pickle_in_an_npz_never_runs(key: str, tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    malice = np.array([Malice(executed)] * 3, dtype=object)
    path = write_npz(tmp_path / "a.npz", **{"codes": CODES, "factors": [1, 2, 3], key: malice})
    refused(UntrustedFileError, f"'{key}' contains pickled Python objects", path)
    assert not executed.exists()
    with np.load(path, allow_pickle=True) as archive:
        assert archive[key] is not None
    assert executed.exists()  # so that the probe could have failed


def test_a_pickle_by_the_name_of_npz_never_runs(tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(Malice(executed)))
    refused(CorruptFileError, "must be a complete .npz file", path)
    assert not executed.exists()


# Excel.


def test_the_first_sheet_is_read_unless_another_is_selected(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ["z0", "a"], [1, 2], other=[["z0", "a"], [3, 4]])
    assert read_table(path).codes.tolist() == [[1]]
    assert read_table(path).notes[0] == "sheet: first (the first of 2)"
    assert read_table(path, sheet="other").codes.tolist() == [[3]]
    refused(
        InvalidInputError,
        "there is no 'othr'; did you mean 'other'\\?; its sheets: first, other",
        path,
        sheet="othr",
    )


def test_excel_cells_are_read_as_cells_of_a_text_file(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "a.xlsx",
        ["z0", None, "a", "b", 2019],
        [1, "left out", "NA", "x", True],
        [2.5, None, 0.25, "y", False],
        [None, None, None, None, None],
        [3, None, 0.5, None, True],
    )
    table = read_table(path)
    assert table.codes.tolist() == [[1], [2.5], [3]]
    assert labels(table) == {"a": [None, 0.25, 0.5], "b": ["x", "y", None], "2019": ["True", "False", "True"]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["z0", "a", "a"], [1, 2, 3]], "unique; a.xlsx has a more than once"),
        ([["z0", "a"]], "at least one row"),
        ([[None]], "a sheet must name its columns"),
    ],
)
def test_a_sheet_that_is_not_a_table_is_refused(rows: list[list[Any]], message: str, tmp_path: Path) -> None:
    refused(InvalidInputError, message, write_xlsx(tmp_path / "a.xlsx", *rows))


# AnnData.


def annotated(**obsm: Any) -> Any:
    return SimpleNamespace(obsm=obsm, obs=pandas_frame(shape=SHAPES, size=SIZES))


def test_an_annotated_object_gives_obsm_as_codes_and_obs_as_labels() -> None:
    table = read_table(annotated(X_z=CODES))
    np.testing.assert_array_equal(table.codes, CODES)
    assert table.code_names == ("X_z_0", "X_z_1")
    assert labels(table) == {"shape": SHAPES, "size": SIZES}


@pytest.mark.parametrize("matrix", [sparse.csr_matrix(CODES), sparse.csc_array(CODES)])
def test_sparse_codes_are_read_unchanged(matrix: Any) -> None:
    np.testing.assert_array_equal(read_table(annotated(X_z=matrix)).codes, CODES)


def test_one_of_several_embeddings_must_be_chosen() -> None:
    adata = annotated(X_pca=CODES, X_umap=pandas_frame(u=CODES[:, 0], v=CODES[:, 1]))
    refused(InvalidInputError, "its arrays: X_pca, X_umap; its columns: shape, size", adata)
    table = read_table(adata, codes="X_umap", factors=["shape"], log_variance="X_pca", groups="size")
    assert table.code_names == ("u", "v")
    assert list(table.factors) == ["shape"]


def test_an_h5ad_file_gives_every_encoding_of_a_column(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        obs = file["obs"]
        obs.attrs["column-order"] = np.array(["text", "n", "flag", "dose", "old", "bad"], dtype=object)
        obs.create_dataset("text", data=np.array(["ä", "b", "b"], dtype=object))
        for name, values, kind in [("n", [1, 2, 2], "integer"), ("flag", [True, True, False], "boolean")]:
            group = obs.create_group(name)
            group.attrs["encoding-type"] = f"nullable-{kind}"
            group["values"], group["mask"] = values, [True, False, False]
        dose = obs.create_group("dose")
        dose.attrs.update({"encoding-type": "categorical", "ordered": True})
        dose["codes"], dose["categories"] = [1, 0, -1], np.array(["low", "high"], dtype=object)
        obs["__categories/old"] = np.array(["y", "x"], dtype=object)
        obs["old"] = [0, 1, 0]
        obs["old"].attrs["categories"] = obs["__categories/old"].ref
        obs.create_group("bad").attrs["encoding-type"] = "awkward-array"
        frame = file.create_group("obsm/frame")
        frame.attrs.update({"encoding-type": "dataframe", "column-order": np.array(["u"], dtype=object)})
        frame["u"] = [7.0, 8.0, 9.0]
    table = read_table(path, codes=["z", "frame"], factors=["text", "n", "flag", "dose", "old"])
    assert table.code_names == ("z_0", "z_1", "u")
    assert labels(table) == {
        "text": ["ä", "b", "b"],
        "n": [None, 2, 2],
        "flag": [None, "True", "False"],
        "dose": ["high", "low", None],
        "old": ["y", "x", "y"],
    }
    assert encode_factor("dose", table.factors["dose"]).factor.values == ("low", "high")
    refused(
        InvalidInputError, "/obs/bad of a.h5ad must be an array or a column; its encoding is awkward", path, codes="z"
    )


# The first example of a user.


def test_the_example_writes_principal_components_that_can_be_read(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "table_pca.py"
    if not example.is_file():
        pytest.skip("the examples are not installed")
    pytest.importorskip("polars", reason="the example reads with polars")
    rng = np.random.default_rng(0)
    genotype = np.arange(40) % 2
    signal = genotype[:, None] * [3, -3, 0] + rng.normal(size=(40, 3))
    rows = [
        f"m{i // 4}_{i % 4};{a!r};{b!r};{'' if i == 7 else repr(c)};{'AB'[genotype[i]]}"
        for i, (a, b, c) in enumerate(signal.tolist())
    ]
    path = write_csv(tmp_path / "my table.csv", "\n".join(["id;p_N;q_N;r_N;genotype", *rows, ""]))
    out = tmp_path / "codes.csv"
    options = ["--measured", "*_N", "--labels", "genotype", "--donor", "id", "--out", str(out)]
    subprocess.run([sys.executable, str(example), str(path), *options], check=True, timeout=120)
    table = read_table(out, groups="donor")
    assert table.code_names == ("PC1", "PC2", "PC3")
    assert labels(table) == {"genotype": ["AB"[g] for g in genotype]}
    assert table.groups is not None
    assert len(np.unique(table.groups)) == 10
    assert abs(np.corrcoef(table.codes[:, 0], genotype)[0, 1]) > 0.7
