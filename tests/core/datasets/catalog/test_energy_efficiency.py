"""Energy efficiency, tested on a table in the published layout."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError

pd = pytest.importorskip("pandas", reason="tables are written by pandas")
pytest.importorskip("polars", reason="the reader of such tables")

COMPACTNESS = (0.98, 0.9, 0.86, 0.82, 0.79, 0.76, 0.74, 0.71, 0.69, 0.66, 0.64, 0.62)  # in the order of the table


def rows() -> Iterator[dict[str, Any]]:
    glazings = [(0.0, 0), *product((0.1, 0.25, 0.4), range(1, 6))]
    for (area, layout), compactness, orientation in product(glazings, COMPACTNESS, (2, 3, 4, 5)):
        features = (
            compactness,
            500 / compactness,
            300,
            100,
            7 if compactness > 0.75 else 3.5,
            orientation,
            area,
            layout,
        )
        responses = (10 * compactness + area, 20 + layout + orientation / 10)
        yield dict(zip([*(f"X{n}" for n in range(1, 9)), "Y1", "Y2"], (*features, *responses), strict=True))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def write_table(frame: Any) -> Path:
        path = tmp_path / "ENB2012_data.xlsx"
        frame.to_excel(path, index=False)
        return path

    return write_table


TABLE = pd.DataFrame(rows())


def test_a_csv_file_gives_the_same_data(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "ENB2012_data.csv", index=False)
    for target in (tmp_path, tmp_path / "ENB2012_data.csv"):
        data = dm.load_dataset(f"energy-efficiency:{target}?verify=false")
        assert data.fingerprint.startswith("energy-efficiency-file-")
        assert np.allclose(data.observations([[11, 3, 15]]), [[9.8 + 0.4, 25.5]])


def test_the_table_is_a_complete_grid(write: Callable[[Any], Path]) -> None:
    data = dm.load_dataset(f"energy-efficiency:{write(TABLE)}?verify=false")
    assert data.space == read_manifest("energy-efficiency").space
    assert data.nuisances == ()
    assert len(data) == 768 == data.space.n_combinations
    assert np.allclose(data.observations([[0, 0, 0]]), [[6.2, 20.2]])
    assert np.allclose(data.observations([[11, 3, 15]]), [[9.8 + 0.4, 25.5]])  # 40 % west
    assert np.allclose(data.observations([[11, 3, 2]]), [[9.8 + 0.1, 22.5]])  # 10 % north
    encoded = dm.encode(lambda x: x, data, full_grid=True)
    assert encoded.provenance.population
    assert np.allclose(encoded.codes, TABLE[["Y1", "Y2"]])


def test_options_select_observed_columns_and_split_the_glazing(write: Callable[[Any], Path]) -> None:
    path = write(TABLE)
    data = dm.load_dataset(f"energy-efficiency:{path}?verify=false&observations=all&glazing=split")
    assert data.observation_shape == (10,)
    assert data.space.sizes == (12, 4, 4, 6)
    assert data.fingerprint.endswith("-all-split")
    draws = data.full_grid()
    assert np.allclose(data.observations(draws.factors, draws.nuisance), TABLE)
    with pytest.raises(InvalidInputError, match="do not occur"):
        data.draws([[0, 0, 0, 1]])
    for option in ("observations=al", "glazing=both"):
        with pytest.raises(InvalidInputError, match=f"option {option.partition('=')[0]} must be"):
            dm.load_dataset(f"energy-efficiency:{path}?verify=false&{option}")


def replaced(column: str, value: object) -> Any:
    frame = TABLE.astype({column: object}) if isinstance(value, str) else TABLE.copy()
    frame.loc[3, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (TABLE.drop(columns="X7"), "it lacks X7"),
        (TABLE.iloc[:-1], "each of the 768 combinations"),
        (pd.concat([TABLE, TABLE.iloc[:1]]), "each of the 768 combinations"),
        (replaced("X1", 0.63), "column 'X1' .* it contains 0.63"),
        (replaced("X6", 6), "column 'X6'"),
        (replaced("X8", 4), "exactly where they have a layout"),
        (replaced("Y1", np.nan), "column 'Y1' .* must have a number in every row"),
        (replaced("Y2", "much"), "column 'Y2' .* must contain numbers"),
    ],
)
def test_other_tables_are_refused(write: Callable[[Any], Path], frame: Any, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        dm.load_dataset(f"energy-efficiency:{write(frame)}?verify=false")


def test_a_truncated_file_is_refused(write: Callable[[Any], Path]) -> None:
    path = write(TABLE)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CorruptFileError):
        dm.load_dataset(f"energy-efficiency:{path}?verify=false")


def test_a_missing_published_checksum_is_reported(write: Callable[[Any], Path]) -> None:
    with pytest.raises(CorruptFileError, match=r"no checksum of it is published.*add \?verify=false"):
        dm.load_dataset(f"energy-efficiency:{write(TABLE)}")
    with pytest.raises(InvalidInputError, match="Download ENB2012_data.xlsx from the homepage"):
        dm.load_dataset("energy-efficiency")
