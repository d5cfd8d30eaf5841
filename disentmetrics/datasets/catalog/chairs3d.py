"""3D Chairs: renderings of about 1,400 chairs (Aubry, Maturana, Efros, Russell, Sivic, 2014).

Factors: model, elevation and azimuth. They are encoded only in the names of folders and files:
``MODEL/renders/image_007_p020_t104_r096.png`` is a chair at an elevation (p) of 20 degrees and an azimuth (t) of 104.
"""

import re

import numpy as np

from disentmetrics.datasets.arrays.cropping import CroppedRows
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.arrays.image_files import ImageRows
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.published.archives import ArchivedFiles
from disentmetrics.datasets.published.dataset import locate
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.errors import CorruptFileError
from disentmetrics.factors import Factor, FactorSpace

NAME = "chairs3d"

_FILE = re.compile(r"(?:.*/)?([^/]+)/renders/image_\d+_p(\d{3})_t(\d{3})_r\d+\.png")


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(
    target: str = "", *, crop: str | int = 0, size: str | int = 0, verify: bool = True, progress: bool = False
) -> CustomDataSet:
    """Read 3D Chairs from its archive or the unpacked folder; images are decoded on demand.

    Parameters
    ----------
    target : str
        Path of ``rendered_chairs.tar``, or of the folder ``rendered_chairs`` unpacked from it.
    crop : str or int
        Side of the central square crop, such as 400; no crop by default.
    size : str or int
        Height and width to resize to, such as 64; by default images keep their size of 600 x 600.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet
        A complete grid if every model was rendered from every viewpoint.

    Raises
    ------
    InvalidInputError
        If an option is wrong or there is no such file.
    CorruptFileError
        If the archive is damaged or has another layout.
    """
    manifest = read_manifest(NAME)
    located = locate(manifest, target, verify=verify, progress=progress, unpacked_folder=True)
    path, _ = located.only
    files = ArchivedFiles(path)
    renderings = [(name, match.groups()) for name in files.names if (match := _FILE.fullmatch(name))]
    if not renderings:
        raise CorruptFileError(
            f"{path} must contain files such as MODEL/renders/image_007_p020_t104_r096.png; there are none"
        )
    columns = np.array([parts for _, parts in renderings]).T
    values_and_indices = [np.unique(column, return_inverse=True) for column in columns]
    factors = []
    for factor, (values, _) in zip(manifest.space, values_and_indices, strict=True):
        labels = tuple(map(str, values)) if factor.kind == "categorical" else tuple(map(float, values))
        period = 360.0 if factor.kind == "circular" else None
        factors.append(Factor(factor.name, len(labels), factor.kind, labels, period))
    rows = CroppedRows(ImageRows([name for name, _ in renderings], files.read), crop, size)
    return CustomDataSet(
        rows,
        np.stack([index.ravel() for _, index in values_and_indices], axis=1),
        space=FactorSpace(factors),
        name=NAME,
        fingerprint="-".join([located.fingerprint, *rows.options]),
    )
