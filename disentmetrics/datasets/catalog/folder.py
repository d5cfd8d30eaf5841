"""Images of one's own: ``folder:path/to/images``."""

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.arrays.image_files import parse_size
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name="folder",
        summary="images of your own: a folder with labels.csv (or .tsv, .parquet, .xlsx), or one subfolder a label",
        space=FactorSpace(()),
        offline=True,
        licence="yours",
        citation="yours",
        remarks=(
            "images are PNG, JPEG, BMP, GIF, WebP, TIFF or PPM, grey or RGB, of one size (or give size=64)",
            "the table names a file in each row, in a column called image (or give image=)",
            "all other columns are factors (or give factors=a,b), whose kinds are inferred",
        ),
        nuisances=("observation",),
    )


def load(
    target: str,
    *,
    table: str = "",
    image: str = "",
    factors: str = "",
    groups: str = "",
    size: str = "",
) -> CustomDataSet:
    """Load a folder of images.

    Parameters
    ----------
    target : str
        The folder.
    table : str
        Name of the table in it, where it is not ``labels.csv`` (``.tsv``, ``.parquet``, ``.xlsx``).
    image : str
        Column that names the image files.
    factors : str
        Columns that are factors, with commas; all others by default.
    groups : str
        Column that names clusters of rows, such as the person.
    size : str
        Height and width to resize images to: ``64`` or ``48x64``.

    Returns
    -------
    CustomDataSet

    Raises
    ------
    InvalidInputError, CorruptFileError, MissingExtraError
        If folder, table or images are not as they must be.
    """
    if not target:
        raise InvalidInputError("folder needs the path of a folder, such as folder:path/to/images; got none")
    return CustomDataSet.from_folder(
        target,
        table=table or None,
        image_column=image or None,
        factors=[name.strip() for name in factors.split(",") if name.strip()] or None,
        groups=groups or None,
        size=parse_size(size),
    )
