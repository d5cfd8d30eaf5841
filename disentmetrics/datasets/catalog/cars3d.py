"""Cars3D: renderings of 183 cars (Reed, Zhang, Zhang, Lee, 2015), read from the published archive.

Factors: elevation (4), azimuth (24) and car (183).

The archive contains one MATLAB file per car. It is read as a stream and never extracted, so member
names in it cannot escape a folder.
"""

import io
import math
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.published.dataset import PublishedDataSet, digest_of, locate, side_of
from disentmetrics.datasets.published.layouts import BROKEN, gunzipped
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, read_manifest
from disentmetrics.datasets.published.row_files import Blocks, cached_rows
from disentmetrics.errors import CorruptFileError, DisentmetricsError

NAME = "cars3d"
FOLDER = "cars"
LIST = "list.txt"

_CHUNK = 1 << 20  # bytes
_MAX_FILE_SIZE = 1 << 27  # bytes; the file of one car has about 6 MiB


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(target: str = "", *, size: str | int = 0, verify: bool = True, progress: bool = False) -> PublishedDataSet:
    """Read Cars3D from its archive or the unpacked folder, or download it.

    Parameters
    ----------
    target : str
        Path of the archive, or with ``verify=false`` of the folder with list.txt and one file per
        car; downloaded if empty.
    size
        See ``PublishedDataSet``; 64 is customary, 128 is the size in the files.
    verify, progress
        See ``load_published``.

    Returns
    -------
    PublishedDataSet

    Raises
    ------
    InvalidInputError
        If an option is wrong or there is no such file.
    CorruptFileError
        If the archive is not the published one, is damaged or has another layout.
    DownloadError
        If it cannot be downloaded.
    StorageError
        If there is not enough disk space to unpack the images.
    """
    manifest = read_manifest(NAME)
    side = side_of(manifest, size)
    located = locate(manifest, target, verify=verify, progress=progress, unpacked_folder=True)
    path, file = located.only
    shape = (manifest.space.n_combinations, math.prod(manifest.shape))
    key = f"{NAME}-{digest_of(path)}"
    rows = cached_rows(key, shape, lambda: _blocks(path, manifest, file, progress=progress))
    return PublishedDataSet(manifest, located.fingerprint, rows, size=side)


def _blocks(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> Blocks:
    names = _car_names(path, manifest)
    n_cars = len(names)
    remaining = {name: car for car, name in enumerate(names)}
    with _readable(path), progress_bar(shown=progress) as bar:
        task = bar.add_task(f"unpacking {path.name}", total=n_cars)
        for name, content in _files(path, ".mat"):
            if name not in remaining:
                continue  # not in the list
            images = _car_images(content, file.images, manifest, f"{name}.mat in {path}")
            for view, image in enumerate(images):
                yield view * n_cars + remaining[name], image[None]
            del remaining[name]
            bar.advance(task)
    if remaining:
        raise CorruptFileError(
            f"{path} must contain one file for each car in {LIST}; there is none for {min(remaining)}"
        )


def _car_names(path: Path, manifest: Manifest) -> list[str]:
    """Return the names of the cars in the order of the list, which defines the factor's index."""
    with _readable(path):
        listed = next((content for _, content in _files(path, LIST)), None)
    if listed is None:
        raise CorruptFileError(f"{path} must contain {FOLDER}/{LIST}, which defines the order of the cars; it does not")
    names = listed.decode("utf-8", "replace").split()
    n_cars = manifest.space["object_type"].size
    if len(names) != n_cars or len(set(names)) != n_cars:
        raise CorruptFileError(
            f"{LIST} in {path} must list {n_cars} distinct cars; it lists {len(set(names))} in {len(names)} lines"
        )
    return names


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except DisentmetricsError:
        raise
    except (*BROKEN, tarfile.TarError) as error:
        raise CorruptFileError(f"{path} must be a complete archive of cars; reading it failed: {error}") from error


def _files(path: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Yield stem and content of the files with this ending, from a folder or from the stream of an archive."""
    if path.is_dir():
        for file in sorted(path.rglob(f"*{ending}")):
            yield file.stem, file.read_bytes()
        return
    with gunzipped(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                member_path = PurePosixPath(member.name)
                if member.isreg() and member_path.parent.name == FOLDER and member_path.name.endswith(ending):
                    content = archive.extractfile(member)
                    if content is not None and member.size <= _MAX_FILE_SIZE:
                        yield member_path.stem, content.read()
        while stream.read(_CHUNK):  # gzip verifies its checksum only at the end of the stream
            pass


def _car_images(content: bytes, key: str, manifest: Manifest, where: str) -> NDArray[np.uint8]:
    """Return the images of one car as (elevations * azimuths, n_values)."""
    elevations, azimuths, _ = manifest.space.sizes
    expected = (*manifest.shape, azimuths, elevations)
    images = _matlab_array(content, key, where)
    if images.shape != expected or images.dtype != np.uint8:
        raise CorruptFileError(
            f"{key!r} of {where} must be uint8 of shape {expected}; got {images.dtype} of shape {images.shape}"
        )
    return images.transpose(4, 3, 0, 1, 2).reshape(elevations * azimuths, -1)


def _matlab_array(content: bytes, key: str, where: str) -> NDArray[Any]:
    import h5py
    import scipy.io
    from scipy.io.matlab import MatReadError

    file = io.BytesIO(content)
    try:
        if b"MATLAB 7.3" in content[:128]:
            with h5py.File(file, "r") as store:
                return np.asarray(store[key][()]).T  # MATLAB stores arrays with their axes reversed
        return np.asarray(scipy.io.loadmat(file, variable_names=[key])[key])
    except (*BROKEN, MatReadError, TypeError, IndexError, AttributeError) as error:
        raise CorruptFileError(f"{where} must be a MATLAB file with {key!r}; reading it failed: {error}") from error
