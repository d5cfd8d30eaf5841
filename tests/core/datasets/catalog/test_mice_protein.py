"""Mice protein, tested on a table in the published layout."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError

pd = pytest.importorskip("pandas", reason="tables are written by pandas")

N_MICE, N_TIMES = 8, 3
DESIGN = list(product(("Control", "Ts65Dn"), ("Memantine", "Saline"), ("C/S", "S/C")))
PROTEINS = [f"p{number}_N" for number in range(77)]
LEVELS = np.random.default_rng(0).normal(size=(N_MICE * N_TIMES, 77)).round(6)


def table(levels: np.ndarray = LEVELS) -> Any:
    design = [DESIGN[mouse] for mouse in range(N_MICE) for _ in range(N_TIMES)]
    frame = pd.DataFrame(levels, columns=PROTEINS)
    frame.insert(0, "MouseID", [f"{300 + mouse}_{time + 1}" for mouse in range(N_MICE) for time in range(N_TIMES)])
    for position, name in enumerate(("Genotype", "Treatment", "Behavior")):
        frame[name] = [row[position] for row in design]
    frame["class"] = [f"{g[0].lower()}-{b.replace('/', '')}-{t[0].lower()}" for g, t, b in design]
    return frame


def with_gaps() -> Any:
    levels = LEVELS.copy()
    levels[:5, 3] = levels[0, 7] = np.nan
    return table(levels)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def write_table(frame: Any) -> Path:
        path = tmp_path / "Data_Cortex_Nuclear.csv"
        frame.to_csv(path, sep=";", index=False)
        return path

    return write_table


def test_measurements_of_a_mouse_are_a_group(write: Callable[[Any], Path], tmp_path: Path) -> None:
    data = dm.load_dataset(f"mice-protein:{write(table())}?verify=false")
    assert isinstance(data, dm.CustomDataSet)
    assert data.space.sizes == (2, 2, 2)
    assert data.nuisances == ("mouse", "measurement")
    draws = data.full_grid()
    assert np.array_equal(data.observations(draws.factors, draws.nuisance), LEVELS)
    assert draws.groups is not None
    assert draws.groups.tolist() == [mouse for mouse in range(N_MICE) for _ in range(N_TIMES)]
    assert [tuple(row) for row in draws.factors[::N_TIMES].tolist()] == list(product((0, 1), repeat=3))
    assert data.inference == ("no level is missing",)
    table().to_excel(tmp_path / "mice.xlsx", index=False)
    excel = dm.load_dataset(f"mice-protein:{tmp_path / 'mice.xlsx'}?verify=false")
    assert np.array_equal(excel.observations(draws.factors, draws.nuisance), LEVELS)


def test_missing_levels_are_refused_unless_the_option_specifies_what_to_drop(write: Callable[[Any], Path]) -> None:
    path = write(with_gaps())
    with pytest.raises(
        InvalidInputError,
        match="6 of 1,848 levels are missing; specify what to drop: missing=columns keeps 75 of 77 proteins, "
        "missing=rows keeps 19 of 24 measurements",
    ):
        dm.load_dataset(f"mice-protein:{path}?verify=false")
    columns = dm.load_dataset(f"mice-protein:{path}?verify=false&missing=columns")
    rows = dm.load_dataset(f"mice-protein:{path}?verify=false&missing=rows")
    assert isinstance(rows, dm.CustomDataSet)
    assert (columns.observation_shape, len(columns)) == ((75,), 24)
    assert (rows.observation_shape, len(rows)) == ((77,), 19)
    assert rows.inference == ("6 of 1,848 levels are missing: 5 of 24 measurements were dropped",)
    assert columns.fingerprint != rows.fingerprint
    draws = rows.full_grid()
    assert np.array_equal(rows.observations(draws.factors, draws.nuisance), LEVELS[5:])
    with pytest.raises(InvalidInputError, match="option missing must be"):
        dm.load_dataset(f"mice-protein:{path}?verify=false&missing=mean")


def changed(column: str, value: object) -> Any:
    frame = table().astype({column: object})
    frame.loc[2, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table().drop(columns="Treatment"), "it lacks Treatment"),
        (table().drop(columns="p5_N"), "77 protein columns, whose names end in _N; got 76"),
        (changed("Genotype", "Ts65Dn"), "row 3 below the header has 'c-CS-m' for Ts65Dn, Memantine, C/S"),
        (changed("Behavior", "fear"), "must agree with Genotype"),
        (changed("MouseID", None), "column 'MouseID' .* must contain a name in every row"),
        (changed("p4_N", "high"), "must contain numbers"),
    ],
)
def test_other_tables_are_refused(write: Callable[[Any], Path], frame: Any, message: str) -> None:
    with pytest.raises((CorruptFileError, InvalidInputError), match=message):
        dm.load_dataset(f"mice-protein:{write(frame)}?verify=false")


def test_a_truncated_file_is_refused(write: Callable[[Any], Path]) -> None:
    path = write(table())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptFileError, match="must have 82 cells"):
        dm.load_dataset(f"mice-protein:{path}?verify=false")


def test_a_missing_published_checksum_is_reported(write: Callable[[Any], Path]) -> None:
    with pytest.raises(CorruptFileError, match="no checksum of it is published"):
        dm.load_dataset(f"mice-protein:{write(table())}")
