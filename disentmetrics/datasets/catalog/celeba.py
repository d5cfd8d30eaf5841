"""CelebA: photographs of faces with 40 binary attributes as factors (Liu, Luo, Wang, Tang, 2015).

Read from the published files, which have to be downloaded by hand.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.cropping import CroppedRows, crop_and_size
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.arrays.image_files import ImageRows
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.options import one_of
from disentmetrics.datasets.published.archives import ArchivedFiles
from disentmetrics.datasets.published.dataset import locate
from disentmetrics.datasets.published.manifest import Manifest, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError, did_you_mean
from disentmetrics.factors import FactorSpace

NAME = "celeba"
SPLITS = {"": None, "train": 0, "valid": 1, "test": 2}


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(
    target: str = "",
    *,
    split: str = "",
    attributes: str = "",
    people: bool = False,
    crop: str | int = 0,
    size: str | int = 0,
    verify: bool = True,
    progress: bool = False,
) -> CustomDataSet:
    """Read CelebA from a folder; images are decoded on demand.

    Parameters
    ----------
    target : str
        Path of the folder with ``img_align_celeba.zip`` (or, with ``verify=false``, the folder
        ``img_align_celeba`` unpacked from it) and ``list_attr_celeba.txt``.
    split : {"", "train", "valid", "test"}
        All images, or those of one split; requires ``list_eval_partition.txt``.
    attributes : str
        Attributes to use as factors, separated by commas, such as ``Smiling,Male``; all 40 by default.
    people : bool
        Whether the images of a person form a group; requires ``identity_CelebA.txt``.
    crop : str or int
        Side of the central square crop, such as 148; no crop by default.
    size : str or int
        Height and width to resize to, such as 64; by default images keep their size of 218 x 178.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet

    Raises
    ------
    InvalidInputError
        If an option is wrong or a file is missing.
    CorruptFileError
        If a file is not the published one, is damaged or has another layout.
    """
    manifest = read_manifest(NAME)
    split_number = SPLITS[one_of("split", split, tuple(SPLITS))]
    space = _selected_attributes(manifest.space, attributes)
    height, width, _ = manifest.shape
    crop_side, new_size = crop_and_size((height, width), crop, size)
    list_parts = ["attributes", *(["partition"] if split else []), *(["people"] if people else [])]
    lists = locate(manifest, target, parts=list_parts, verify=verify, progress=progress)
    archive = locate(manifest, target, parts=["images"], verify=verify, progress=progress, unpacked_folder=True)
    names, labels = _attributes(lists.paths["attributes"], manifest)
    kept = np.arange(len(names))
    if split_number is not None:
        kept = np.flatnonzero(_numbers(lists.paths["partition"], names) == split_number)
    groups = _numbers(lists.paths["people"], names)[kept] if people else None
    rows = CroppedRows(_images(archive.paths["images"], [names[row] for row in kept], manifest), crop_side, new_size)
    original = manifest.name + "-original"
    is_published = lists.fingerprint.startswith(original) and archive.fingerprint.startswith(original)
    prefix = original if is_published else f"{archive.fingerprint}-{lists.fingerprint.rpartition('-')[2]}"
    options = [split] * bool(split) + ["people"] * people + rows.options + list(space.names) * bool(attributes)
    data = CustomDataSet(
        rows,
        labels[kept][:, [manifest.space.position(name) for name in space.names]],
        space=space,
        groups=groups,
        name=NAME,
        fingerprint="-".join([prefix, *options]),
    )
    data.nuisances = manifest.nuisances
    return data


def _selected_attributes(space: FactorSpace, attributes: str) -> FactorSpace:
    names = [name.strip() for name in attributes.split(",") if name.strip()] or list(space.names)
    for name in names:
        if name not in space.names:
            raise InvalidInputError(
                f"attributes must be among the {len(space)} attributes of {NAME}; there is no {name!r}"
                f"{did_you_mean(name, space.names)}; available: {', '.join(space.names)}"
            )
    return FactorSpace([space[name] for name in names])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path} must be a text file; reading it failed: {error}") from error


def _attributes(path: Path, manifest: Manifest) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the images, and their attributes as (n, 40) of 0 and 1."""
    lines = _lines(path)
    head, rows = lines[:2], lines[2:]
    if len(head) < 2 or head[1].split() != [*manifest.space.names] or head[0].split() != [str(len(rows))] or not rows:
        raise CorruptFileError(
            f"{path} must contain the number of images, the names of the {len(manifest.space)} attributes and one line "
            f"per image; it has {len(rows)} lines of images"
        )
    names, labels = [], np.empty((len(rows), len(manifest.space)), np.int64)
    for row, line in enumerate(rows):
        name, *signs = line.split() or [""]
        if len(signs) != len(manifest.space) or not {"-1", "1"}.issuperset(signs):
            raise CorruptFileError(
                f"line {row + 3} of {path} must be a file name and {len(manifest.space)} values of -1 or 1"
            )
        names.append(name)
        labels[row] = [sign == "1" for sign in signs]
    return names, labels


def _numbers(path: Path, names: list[str]) -> NDArray[np.int64]:
    """Return the number given for each image (its split or person), in the order of ``names``."""
    lines = [line.split() for line in _lines(path)]
    if not all(len(line) == 2 and line[1].isdecimal() for line in lines) or [line[0] for line in lines] != names:
        raise CorruptFileError(f"{path} must have one line with file name and number for each of {len(names)} images")
    return np.array([int(line[1]) for line in lines], np.int64)


def _images(path: Path, names: list[str], manifest: Manifest) -> ImageRows:
    files = ArchivedFiles(path)
    stored = {name.rpartition("/")[2]: name for name in files.names}
    absent = [name for name in names if name not in stored]
    if absent:
        raise CorruptFileError(
            f"{path} must contain {len(names)} images; {len(absent)} are missing, such as {absent[0]}"
        )
    images = ImageRows([stored[name] for name in names], files.read)
    if images.shape[1:] != manifest.shape:
        raise CorruptFileError(
            f"images of {path} must have shape {manifest.shape}; {images.names[0]} has {images.shape[1:]}"
        )
    return images
