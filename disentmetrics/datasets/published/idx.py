"""Image-classification data in the IDX files of MNIST and Fashion-MNIST."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.options import one_of
from disentmetrics.datasets.published.dataset import locate_split
from disentmetrics.datasets.published.layouts import BROKEN, gunzipped
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.errors import CorruptFileError

SPLITS = {"": ("train", "t10k"), "train": ("train",), "test": ("t10k",)}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an array of bytes from an IDX file, optionally compressed by gzip.

    Raises
    ------
    CorruptFileError
        If the file is not an IDX file of bytes, or is truncated, too long or altered.
    """
    try:
        with gunzipped(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise ValueError("it does not start with the header of an IDX file of bytes")
            shape = [int.from_bytes(file.read(4), "big") for _ in range(head[3])]
            n_bytes = math.prod(shape)
            if n_bytes > 1 << 30:
                raise ValueError(f"its header specifies {n_bytes:,} bytes, more than the maximum of 1 GiB")
            content = file.read(n_bytes + 1)  # one byte more, to reach the end, where gzip verifies its checksum
    except BROKEN as error:
        raise CorruptFileError(f"{path} must be a complete IDX file of bytes; reading it failed: {error}") from error
    if len(content) != n_bytes:
        more = "more" if len(content) > n_bytes else f"{n_bytes - len(content)} fewer"
        raise CorruptFileError(f"{path} must contain {n_bytes} values, as its header specifies; it contains {more}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def load_idx(
    name: str, target: str = "", *, split: str = "", verify: bool = True, progress: bool = False
) -> CustomDataSet:
    """Read MNIST or Fashion-MNIST from a folder, or fetch it.

    Parameters
    ----------
    name : str
        Name of the manifest.
    target : str
        Path of the folder with the four files (two for one split), compressed or not; downloaded if empty.
    split : {"", "train", "test"}
        One split; if empty, both, the training split first.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet
        The only factor is the label; the nuisance selects among the images of a label.

    Raises
    ------
    InvalidInputError
        If an option is invalid or a file is missing.
    CorruptFileError
        If a file is not the published one, is damaged or has another layout.
    DownloadError
        If a file cannot be downloaded.
    """
    manifest = read_manifest(name)
    chosen = SPLITS[one_of("split", split, tuple(SPLITS))]
    parts = {
        key: [f"{stem}-{what}" for stem in stems for what in ("images", "labels")] for key, stems in SPLITS.items()
    }
    located = locate_split(manifest, target, split=split, splits=parts, verify=verify, progress=progress)
    images = [read_idx(located.paths[f"{part}-images"]) for part in chosen]
    labels = [read_idx(located.paths[f"{part}-labels"]) for part in chosen]
    (factor,) = manifest.space
    for part, part_images, part_labels in zip(chosen, images, labels, strict=True):
        _check(located.paths[f"{part}-images"], part_images, part_labels, manifest.shape, factor.size or 0)
    data = CustomDataSet(
        np.concatenate(images)[..., None],
        np.concatenate(labels)[:, None],
        space=manifest.space,
        name=name,
        fingerprint=f"{located.fingerprint}-{split}" if split else located.fingerprint,
    )
    data.nuisances = manifest.nuisances
    return data


def _check(
    path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], shape: tuple[int, ...], n_classes: int
) -> None:
    if images.shape[1:] != shape[:2] or labels.shape != images.shape[:1] or not len(images):
        raise CorruptFileError(
            f"{path} must contain images of shape {shape[:2]}, and the file of labels one label per image; "
            f"got images of shape {images.shape} and labels of shape {labels.shape}"
        )
    if labels.max() >= n_classes:
        raise CorruptFileError(f"labels of {path} must lie in 0 .. {n_classes - 1}; got {labels.max()}")
