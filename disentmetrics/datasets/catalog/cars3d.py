"""Cars3D: renderings of cars, read from the archive of Reed, Zhang, Zhang and Lee (2015).

The archive holds a MATLAB file for each car. It is read as a stream and nothing is extracted from
it, so that no name in it can lead out of a folder.
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
from disentmetrics.datasets.published.row_files import Blocks, unpacked
from disentmetrics.errors import CorruptFileError, DisentmetricsError

NAME = "cars3d"
FOLDER = "cars"
LIST = "list.txt"

_PIECE = 1 << 20  # bytes
_LARGEST = 1 << 27  # bytes; a file of a car has about 6 MiB


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(target: str = "", *, size: str | int = 0, verify: bool = True, progress: bool = False) -> PublishedDataSet:
    """Read Cars3D from its archive or the folder of cars in it, or fetch it.

    Parameters
    ----------
    target : str
        Path of the archive, or with ``verify=false`` of the folder with list.txt and a file for each
        car; fetched if empty.
    size
        See ``PublishedDataSet``; a size of 64 is usual, 128 is that of the files.
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
        If the archive is not the published one, is damaged or of another layout.
    DownloadError
        If it cannot be fetched.
    StorageError
        If the images cannot be unpacked for want of room.
    """
    manifest = read_manifest(NAME)
    side = side_of(manifest, size)
    found = locate(manifest, target, verify=verify, progress=progress, unpacked_folder=True)
    path, file = found.only
    shape = (manifest.space.n_combinations, math.prod(manifest.shape))
    key = f"{NAME}-{digest_of(path)}"
    rows = unpacked(key, shape, lambda: _blocks(path, manifest, file, progress=progress))
    return PublishedDataSet(manifest, found.fingerprint, rows, size=side)


def _blocks(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> Blocks:
    names = _names(path, manifest)
    n_cars = len(names)
    waiting = {name: car for car, name in enumerate(names)}
    with _readable(path), progress_bar(shown=progress) as bar:
        task = bar.add_task(f"unpacking {path.name}", total=n_cars)
        for name, content in _files(path, ".mat"):
            if name not in waiting:
                continue  # the list leaves it out
            images = _car(content, file.images, manifest, f"{name}.mat in {path}")
            for view, image in enumerate(images):
                yield view * n_cars + waiting[name], image[None]
            del waiting[name]
            bar.advance(task)
    if waiting:
        raise CorruptFileError(f"{path} must hold a file for each car of {LIST}; there is none for {min(waiting)}")


def _names(path: Path, manifest: Manifest) -> list[str]:
    with _readable(path):
        listed = next((content for _, content in _files(path, LIST)), None)
    if listed is None:
        raise CorruptFileError(f"{path} must hold {FOLDER}/{LIST}, which numbers the cars; it does not")
    names = listed.decode("utf-8", "replace").split()
    n_cars = manifest.space["object_type"].size
    if len(names) != n_cars or len(set(names)) != n_cars:
        raise CorruptFileError(
            f"{LIST} in {path} must name {n_cars} cars, each once; it names {len(set(names))} in {len(names)} lines"
        )
    return names


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except DisentmetricsError:
        raise
    except (*BROKEN, tarfile.TarError) as error:
        raise CorruptFileError(f"{path} must be a whole archive of cars; reading it failed: {error}") from error


def _files(path: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files of cars, from a folder or the stream of an archive."""
    if path.is_dir():
        for found in sorted(path.rglob(f"*{ending}")):
            yield found.stem, found.read_bytes()
        return
    with gunzipped(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                if member.isreg() and place.parent.name == FOLDER and place.name.endswith(ending):
                    content = archive.extractfile(member)
                    if content is not None and member.size <= _LARGEST:
                        yield place.stem, content.read()
        while stream.read(_PIECE):  # at the end of the stream its checksum is compared
            pass


def _car(content: bytes, key: str, manifest: Manifest, where: str) -> NDArray[np.uint8]:
    """Return the images of a car by elevation and azimuth, flat."""
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
                return np.asarray(store[key][()]).T  # MATLAB's arrays have their axes the other way round
        return np.asarray(scipy.io.loadmat(file, variable_names=[key])[key])
    except (*BROKEN, MatReadError, TypeError, IndexError, AttributeError) as error:
        raise CorruptFileError(f"{where} must be a MATLAB file with {key!r}; reading it failed: {error}") from error
