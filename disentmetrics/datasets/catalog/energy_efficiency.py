"""Energy efficiency: a complete grid of 768 simulated buildings (Tsanas, Xifara, 2012).

Factors: relative compactness (12 shapes), orientation (4) and glazing (16). Observations: heating and
cooling load, or the eight columns of building features.
"""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.options import one_of
from disentmetrics.datasets.published.dataset import locate
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.errors import CorruptFileError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.io.published_tables import numbers, open_columns, positions

NAME = "energy-efficiency"
FEATURES = tuple(f"X{number}" for number in range(1, 9))
RESPONSES = ("Y1", "Y2")
OBSERVATIONS = {"responses": RESPONSES, "features": FEATURES, "all": (*FEATURES, *RESPONSES)}
AREAS = (0.0, 0.1, 0.25, 0.4)
LAYOUTS = ("none", "uniform", "north", "east", "south", "west")

_FIRST_ORIENTATION = 2  # the table numbers orientations from 2 to 5


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(
    target: str = "",
    *,
    observations: str = "responses",
    glazing: str = "joint",
    verify: bool = True,
    progress: bool = False,
) -> CustomDataSet:
    """Read the table of 768 buildings.

    Parameters
    ----------
    target : str
        Path of ``ENB2012_data.xlsx`` (or the same table as ``.csv``), or of its folder.
    observations : {"responses", "features", "all"}
        Columns used as observations: heating and cooling load, simulated from the factors; the eight
        features X1 to X8, which re-express the factors; or both.
    glazing : {"joint", "split"}
        One factor of 16 values, so that the 768 buildings are a complete grid of 12 x 4 x 16; or area and
        layout as two factors, with holes in the grid because a building without glazing has no layout.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet

    Raises
    ------
    InvalidInputError
        If an option is wrong or there is no such file.
    CorruptFileError
        If the file is damaged, or contains another table.
    MissingExtraError
        If the reader of Excel files is not installed.
    """
    manifest = read_manifest(NAME)
    observed = OBSERVATIONS[one_of("observations", observations, tuple(OBSERVATIONS))]
    joint = one_of("glazing", glazing, ("joint", "split")) == "joint"
    located = locate(manifest, target, verify=verify, progress=progress)
    path, _ = located.only
    source = open_columns(path, OBSERVATIONS["all"])
    table = {name: numbers(path, source, name) for name in OBSERVATIONS["all"]}
    for name, column in table.items():
        if not np.isfinite(column).all():
            raise CorruptFileError(f"column {name!r} of {path} must have a number in every row")
    shape, orientation, _ = manifest.space
    columns = [
        positions(path, "X1", table["X1"].tolist(), shape.values),
        positions(path, "X6", (table["X6"] - _FIRST_ORIENTATION).tolist(), range(orientation.size or 0)),
    ]
    area = positions(path, "X7", table["X7"].tolist(), AREAS)
    layout = positions(path, "X8", table["X8"].tolist(), range(len(LAYOUTS)))
    joint_factors = np.stack([*columns, _joint_glazing(path.name, area, layout)], axis=1)
    if not np.array_equal(np.sort(manifest.space.rows_of(joint_factors)), np.arange(manifest.space.n_combinations)):
        raise CorruptFileError(
            f"{path} must contain each of the {manifest.space.n_combinations} combinations of shape, orientation and "
            f"glazing once; it has {len(joint_factors)} rows"
        )
    options = [observations] * (observations != "responses") + ["split"] * (not joint)
    return CustomDataSet(
        np.stack([table[name] for name in observed], axis=1),
        joint_factors if joint else np.stack([*columns, area, layout], axis=1),
        space=manifest.space if joint else FactorSpace([shape, orientation, *_split_factors()]),
        name=NAME,
        fingerprint="-".join([located.fingerprint, *options]),
    )


def _joint_glazing(name: str, area: NDArray[np.int64], layout: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the joint factor: 0 for no glazing, then layouts within areas."""
    if ((area == 0) != (layout == 0)).any():
        raise CorruptFileError(f"buildings of {name} must have a glazing area exactly where they have a layout of it")
    return np.where(area == 0, 0, 1 + (area - 1) * (len(LAYOUTS) - 1) + layout - 1)


def _split_factors() -> tuple[Factor, Factor]:
    return (
        Factor("glazing_area", len(AREAS), "ordinal", AREAS),
        Factor("glazing_layout", len(LAYOUTS), "categorical", LAYOUTS),
    )
