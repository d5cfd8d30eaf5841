"""smallNORB: photographs of toys, read from the six files of LeCun, Huang and Bottou (2004).

The files are not in the order of a grid, so rows are found by their labels. Train and test hold
different instances; both together are the whole grid of 48,600 images. Of each stereo pair the
image of the first camera is used.
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
    """Read smallNORB from a folder, or fetch it.

    Parameters
    ----------
    target : str
        Path of the folder with the six files (three for a split), compressed or unpacked; fetched if empty.
    split : {"", "train", "test"}
        All ten instances of each category, or the five of one split.
    size : str or int
        New height and width, such as 64; 96 by default.
    verify, progress
        See ``load_published``.

    Returns
    -------
    PublishedDataSet
        Which toy of its category, ``instance``, is a factor; disentanglement_lib draws it at random, as
        ``?nuisance=instance`` does.

    Raises
    ------
    InvalidInputError
        If an option is wrong or a file is missing.
    CorruptFileError
        If a file is not the published one, is damaged or of another layout.
    DownloadError
        If a file cannot be fetched.
    StorageError
        If the images cannot be unpacked for want of room.
    """
    stems = SPLITS[one_of("split", split, tuple(SPLITS))]
    manifest = read_manifest(NAME)
    side = side_of(manifest, size)
    parts = {key: [f"{stem}-{content}" for stem in named for content in CONTENTS] for key, named in SPLITS.items()}
    found = locate_split(manifest, target, split=split, splits=parts, verify=verify, progress=progress)
    labels = np.concatenate([_labels(manifest, found, stem) for stem in stems])
    space, order = _grid(manifest, labels, found)
    images = [_images(manifest, found, stem, progress=progress) for stem in stems]
    fingerprint = f"{found.fingerprint}-{split}" if split else found.fingerprint
    rows = JoinedRows(images)
    if rows.shape[0] != len(labels):
        raise CorruptFileError(f"each image of smallnorb must have labels; got {rows.shape[0]} and {len(labels)}")
    return PublishedDataSet(manifest, fingerprint, rows, space=space, order=order, size=side)


def _labels(manifest: Manifest, found: Located, stem: str) -> NDArray[np.int64]:
    """Return indices (n, 5) of category, instance, elevation, azimuth and lighting of each image."""
    category, others = (
        _array(manifest, found, f"{stem}-{content}", n_columns) for content, n_columns in (("cat", 1), ("info", 4))
    )
    path = found.paths[f"{stem}-info"]
    if len(category) != len(others):
        raise CorruptFileError(f"{path} must label {len(category)} images; it labels {len(others)}")
    azimuth, odd = np.divmod(others[:, 2], _AZIMUTH_STEP)
    labels = np.stack([category[:, 0], others[:, 0], others[:, 1], azimuth, others[:, 3]], axis=1)
    if odd.any() or (labels < 0).any() or (labels >= manifest.space.sizes).any():
        raise CorruptFileError(
            f"the labels of {path} must be indices below {manifest.space.sizes}, azimuths even; "
            f"they lie in {labels.min(axis=0).tolist()} .. {labels.max(axis=0).tolist()}"
        )
    return labels


def _array(manifest: Manifest, found: Located, part: str, n_columns: int) -> NDArray[np.int64]:
    path, file = found.paths[part], found.files[part]
    with open_content(path, file, n_columns) as content:
        fits = math.prod(content.shape[1:]) == n_columns and 0 < content.shape[0] <= manifest.space.n_combinations
        if content.dtype != np.int32 or not fits:
            raise CorruptFileError(
                f"{path} must hold int32 labels, {n_columns} a row; got {content.dtype} of shape {content.shape}"
            )
        return np.concatenate(list(content.blocks)).astype(np.int64)


def _grid(manifest: Manifest, labels: NDArray[np.int64], found: Located) -> tuple[FactorSpace, NDArray[np.int64]]:
    """Return the space of the instances that there are, and the image of each of its combinations."""
    column = manifest.space.position("instance")
    whole = manifest.space["instance"]
    instances, index = np.unique(labels[:, column], return_inverse=True)
    there = Factor("instance", len(instances), whole.kind, tuple(str(whole.values[i]) for i in instances))
    space = FactorSpace([there if factor.name == "instance" else factor for factor in manifest.space])
    labels = labels.copy()
    labels[:, column] = index
    rows = space.rows_of(labels)
    if len(rows) != space.n_combinations or len(np.unique(rows)) != len(rows):
        raise CorruptFileError(
            f"the labels in {next(iter(found.paths.values())).parent} must name each combination of "
            f"{' x '.join(space.names)} once; {len(rows)} images have {len(np.unique(rows))} combinations "
            f"of {space.n_combinations}"
        )
    return space, np.argsort(rows)


def _images(manifest: Manifest, found: Located, stem: str, *, progress: bool) -> Observations:
    path, file = found.paths[f"{stem}-dat"], found.files[f"{stem}-dat"]
    height, width, _ = manifest.shape
    with open_content(path, file, 2 * height * width) as content:
        n, pair = content.shape[0], content.shape[1:]
        if pair != (2, height, width) or content.dtype != np.uint8:
            raise CorruptFileError(
                f"{path} must hold pairs of images, uint8 of shape (n, 2, {height}, {width}); "
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
