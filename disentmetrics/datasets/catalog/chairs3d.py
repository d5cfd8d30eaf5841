"""3D Chairs: renderings of chairs, from the archive of Aubry, Maturana, Efros, Russell and Sivic (2014).

Factors are told by the names of folders and files alone: ``MODEL/renders/image_007_p020_t104_r096.png`` is a chair
seen from an elevation (p) of 20 degrees and an azimuth (t) of 104.
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
    """Read 3D Chairs from its archive, or the folder that was unpacked from it, an image at a time.

    Parameters
    ----------
    target : str
        Path of ``rendered_chairs.tar``, or of the folder ``rendered_chairs`` that was unpacked from it.
    crop : str or int
        Side of the square in the middle that is kept, such as 400; nothing is cut off by default.
    size : str or int
        New height and width, such as 64; by default images stay 600 x 600.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet
        A complete grid if every model was rendered from every side.

    Raises
    ------
    InvalidInputError
        If an option is wrong or there is no such file.
    CorruptFileError
        If the archive is damaged or of another layout.
    """
    manifest = read_manifest(NAME)
    found = locate(manifest, target, verify=verify, progress=progress, unpacked_folder=True)
    path, _ = found.only
    files = ArchivedFiles(path)
    told = [(name, match.groups()) for name in files.names if (match := _FILE.fullmatch(name))]
    if not told:
        raise CorruptFileError(
            f"{path} must hold files such as MODEL/renders/image_007_p020_t104_r096.png; there are none"
        )
    columns = np.array([parts for _, parts in told]).T
    known = [np.unique(column, return_inverse=True) for column in columns]
    factors = []
    for factor, (values, _) in zip(manifest.space, known, strict=True):
        labels = tuple(map(str, values)) if factor.kind == "categorical" else tuple(map(float, values))
        factors.append(Factor(factor.name, len(labels), factor.kind, labels))
    rows = CroppedRows(ImageRows([name for name, _ in told], files.read), crop, size)
    return CustomDataSet(
        rows,
        np.stack([index.ravel() for _, index in known], axis=1),
        space=FactorSpace(factors),
        name=NAME,
        fingerprint="-".join([found.fingerprint, *rows.options]),
    )
