"""smallNORB: photographs of 50 toys (LeCun, Huang, Bottou, 2004), read from the six published files.

Factors: category (5), instance (10), elevation (9), azimuth (18) and lighting (6).

The rows of the files are not in grid order and are sorted by their labels. The training and test
splits contain different instances; together they form the full grid of 48,600 images. Of each stereo
pair, the image of the first camera is used.
"""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.arrays.row_sources import Observations
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.options import one_of
from disentmetrics.datasets.published.dataset import Located, PublishedDataSet, digest_of, locate_split, side_of
from disentmetrics.datasets.published.layouts import open_content
from disentmetrics.datasets.published.manifest import Manifest, read_manifest
from disentmetrics.datasets.published.row_files import Blocks, JoinedRows, cached_rows
from disentmetrics.errors import CorruptFileError
from disentmetrics.factors import Factor, FactorSpace

NAME = "smallnorb"
SPLITS = {"": ("training", "testing"), "train": ("training",), "test": ("testing",)}
CONTENTS = ("dat", "cat", "info")

_AZIMUTH_STEP = 2  # azimuths are stored as 0, 2, 4 ... in units of 10 degrees


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(
    target: str = "",
    *,
    split: str = "",
    size: str | int = 0,
    verify: bool = True,
    progress: bool = False,
) -> PublishedDataSet:
    """Read smallNORB from a folder, or download it.

    Parameters
    ----------
    target : str
        Path of the folder with the six files (three for a split), compressed or unpacked; downloaded if empty.
    split : {"", "train", "test"}
        All ten instances of each category, or the five of one split.
    size : str or int
        Height and width to resize to, such as 64; 96 by default.
    verify, progress
        See ``load_published``.

    Returns
    -------
    PublishedDataSet
        The ``instance``, the toy within its category, is a factor; disentanglement_lib draws it at random, as
        ``?nuisance=instance`` does.

    Raises
    ------
    InvalidInputError
        If an option is wrong or a file is missing.
    CorruptFileError
        If a file is not the published one, is damaged or has another layout.
    DownloadError
        If a file cannot be downloaded.
    StorageError
        If there is not enough disk space to unpack the images.
    """
    stems = SPLITS[one_of("split", split, tuple(SPLITS))]
    manifest = read_manifest(NAME)
    side = side_of(manifest, size)
    parts = {key: [f"{stem}-{content}" for stem in of_key for content in CONTENTS] for key, of_key in SPLITS.items()}
    located = locate_split(manifest, target, split=split, splits=parts, verify=verify, progress=progress)
    labels = np.concatenate([_labels(manifest, located, stem) for stem in stems])
    space, order = _grid(manifest, labels, located)
    images = [_images(manifest, located, stem, progress=progress) for stem in stems]
    fingerprint = f"{located.fingerprint}-{split}" if split else located.fingerprint
    rows = JoinedRows(images)
    if rows.shape[0] != len(labels):
        raise CorruptFileError(f"each image of smallnorb must have labels; got {rows.shape[0]} and {len(labels)}")
    return PublishedDataSet(manifest, fingerprint, rows, space=space, order=order, size=side)


def _labels(manifest: Manifest, located: Located, stem: str) -> NDArray[np.int64]:
    """Return the indices (n, 5) of category, instance, elevation, azimuth and lighting of each image."""
    category, others = (
        _array(manifest, located, f"{stem}-{content}", n_columns) for content, n_columns in (("cat", 1), ("info", 4))
    )
    path = located.paths[f"{stem}-info"]
    if len(category) != len(others):
        raise CorruptFileError(f"{path} must label {len(category)} images; it labels {len(others)}")
    azimuth, odd = np.divmod(others[:, 2], _AZIMUTH_STEP)
    labels = np.stack([category[:, 0], others[:, 0], others[:, 1], azimuth, others[:, 3]], axis=1)
    if odd.any() or (labels < 0).any() or (labels >= manifest.space.sizes).any():
        raise CorruptFileError(
            f"the labels of {path} must be indices below {manifest.space.sizes}, azimuths even; "
            f"they range from {labels.min(axis=0).tolist()} to {labels.max(axis=0).tolist()}"
        )
    return labels


def _array(manifest: Manifest, located: Located, part: str, n_columns: int) -> NDArray[np.int64]:
    path, file = located.paths[part], located.files[part]
    with open_content(path, file, n_columns) as content:
        fits = math.prod(content.shape[1:]) == n_columns and 0 < content.shape[0] <= manifest.space.n_combinations
        if content.dtype != np.int32 or not fits:
            raise CorruptFileError(
                f"{path} must contain int32 labels, {n_columns} per row; got {content.dtype} of shape {content.shape}"
            )
        return np.concatenate(list(content.blocks)).astype(np.int64)


def _grid(manifest: Manifest, labels: NDArray[np.int64], located: Located) -> tuple[FactorSpace, NDArray[np.int64]]:
    """Return the factor space restricted to the instances present, and the image of each of its combinations."""
    column = manifest.space.position("instance")
    all_instances = manifest.space["instance"]
    instances, index = np.unique(labels[:, column], return_inverse=True)
    names = tuple(str(all_instances.values[i]) for i in instances)
    present = Factor("instance", len(instances), all_instances.kind, names)
    space = FactorSpace([present if factor.name == "instance" else factor for factor in manifest.space])
    labels = labels.copy()
    labels[:, column] = index
    rows = space.rows_of(labels)
    if len(rows) != space.n_combinations or len(np.unique(rows)) != len(rows):
        raise CorruptFileError(
            f"the labels in {next(iter(located.paths.values())).parent} must contain each combination of "
            f"{' x '.join(space.names)} once; {len(rows)} images have {len(np.unique(rows))} of the "
            f"{space.n_combinations} combinations"
        )
    return space, np.argsort(rows)


def _images(manifest: Manifest, located: Located, stem: str, *, progress: bool) -> Observations:
    path, file = located.paths[f"{stem}-dat"], located.files[f"{stem}-dat"]
    height, width, _ = manifest.shape
    with open_content(path, file, 2 * height * width) as content:
        n, pair = content.shape[0], content.shape[1:]
        if pair != (2, height, width) or content.dtype != np.uint8:
            raise CorruptFileError(
                f"{path} must contain pairs of images, uint8 of shape (n, 2, {height}, {width}); "
                f"got {content.dtype} of shape {content.shape}"
            )

    def blocks() -> Blocks:
        n_done = 0
        with open_content(path, file, 2 * height * width) as content, progress_bar(shown=progress) as bar:
            task = bar.add_task(f"unpacking {path.name}", total=n)
            for block in content.blocks:
                yield n_done, block[:, : height * width]
                n_done += len(block)
                bar.advance(task, len(block))

    return cached_rows(f"{NAME}-{digest_of(path)}", (n, height * width), blocks)
