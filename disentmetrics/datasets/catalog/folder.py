"""Custom images: a folder of image files, with a table of factors or one subfolder per label.

The factors are inferred from the table; loaded as ``folder:path/to/images``.
"""

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.arrays.image_files import parse_size
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name="folder",
        summary="your images: a folder with labels.csv (or .tsv, .parquet, .xlsx), or with one subfolder per label",
        space=FactorSpace(()),
        offline=True,
        licence="yours",
        citation="yours",
        remarks=(
            "images are PNG, JPEG, BMP, GIF, WebP, TIFF or PPM, grey or RGB, of equal size unless size=64 is given",
            "the column image of the table (or the one given by image=) contains one file name per row",
            "all other columns (or those given by factors=a,b) are factors of inferred kind, or kinds=hour:circular:24",
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
    kinds: str = "",
    missing: str = "",
    size: str = "",
) -> CustomDataSet:
    """Load a folder of images.

    Parameters
    ----------
    target : str
        Path of the folder.
    table : str
        Path of the table within the folder; ``labels.csv`` (``.tsv``, ``.parquet``, ``.xlsx``) by default.
    image : str
        Column of image file names.
    factors : str
        Columns to use as factors, separated by commas; all others by default.
    groups : str
        Column that identifies clusters of rows, such as the person.
    kinds : str
        Kinds that override the inferred ones, such as ``hour:circular:24,label:categorical``.
    missing : str
        Further marks of missing labels, separated by commas.
    size : str
        Height and width to resize images to: ``64`` or ``48x64``.

    Returns
    -------
    CustomDataSet

    Raises
    ------
    InvalidInputError, CorruptFileError, MissingExtraError
        If the folder, the table or an image is invalid.
    """
    if not target:
        raise InvalidInputError("folder needs the path of a folder, such as folder:path/to/images; got none")
    return CustomDataSet.from_folder(
        target,
        table=table or None,
        image_column=image or None,
        factors=_listed(factors) or None,
        groups=groups or None,
        kinds=dict(map(_kind, _listed(kinds))) or None,
        missing=_listed(missing),
        size=parse_size(size),
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _kind(text: str) -> tuple[str, str]:
    name, colon, kind = text.partition(":")
    if not colon:
        raise InvalidInputError(f"option kinds must have the form factor:kind,factor:kind; got {text!r}")
    return name.strip(), kind.strip()
