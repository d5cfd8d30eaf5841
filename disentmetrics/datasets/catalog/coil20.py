"""COIL-20: photographs of 20 objects on a turntable (Nene, Nayar, Murase, 1996).

Factors: object (20) and angle (72, in steps of 5 degrees).
"""

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.arrays.image_files import what_failed
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.published.dataset import PublishedDataSet, digest_of, locate, side_of
from disentmetrics.datasets.published.layouts import BROKEN
from disentmetrics.datasets.published.manifest import Manifest, read_manifest
from disentmetrics.datasets.published.row_files import Blocks, cached_rows
from disentmetrics.errors import CorruptFileError

NAME = "coil20"

_FILE = re.compile(r"obj(\d{1,3})__(\d{1,3})\.png")  # objects are numbered from 1, angles from 0
_MAX_FILE_SIZE = 1 << 20  # bytes; an image has about 10 KiB


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(target: str = "", *, size: str | int = 0, verify: bool = True, progress: bool = False) -> PublishedDataSet:
    """Read COIL-20 from its archive or the unpacked folder, or download it.

    Parameters
    ----------
    target : str
        Path of the archive, or with ``verify=false`` of a folder with ``obj1__0.png`` ... ``obj20__71.png``;
        downloaded if empty.
    size
        See ``PublishedDataSet``.
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
    path, _ = located.only
    shape = (manifest.space.n_combinations, math.prod(manifest.shape))
    rows = cached_rows(f"{NAME}-{digest_of(path)}", shape, lambda: _blocks(path, manifest, progress=progress))
    return PublishedDataSet(manifest, located.fingerprint, rows, size=side)


def _blocks(path: Path, manifest: Manifest, *, progress: bool) -> Blocks:
    n_objects, n_angles = manifest.space.sizes
    with _readers(path) as readers, progress_bar(shown=progress) as bar:
        task = bar.add_task(f"unpacking {path.name}", total=n_objects * n_angles)
        for row in range(n_objects * n_angles):
            name = f"obj{row // n_angles + 1}__{row % n_angles}.png"
            if name not in readers:
                raise CorruptFileError(f"{path} must contain {n_objects} x {n_angles} images; {name} is missing")
            yield row, _decoded(readers[name], manifest, f"{name} in {path}").reshape(1, -1)
            bar.advance(task)


@contextmanager
def _readers(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Yield a function that returns the content of each image file, by file name."""
    if path.is_dir():
        yield {file.name: file.read_bytes for file in path.rglob("*.png")}
        return
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise CorruptFileError(f"{path} must be a complete zip archive; reading it failed: {error}") from error
    with archive:
        members = {PurePosixPath(m.filename).name: m for m in archive.infolist() if m.file_size <= _MAX_FILE_SIZE}
        yield {name: _reader(archive, member) for name, member in members.items() if _FILE.fullmatch(name)}


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archive.read(member)


def _decoded(read: Callable[[], bytes], manifest: Manifest, where: str) -> NDArray[np.uint8]:
    from PIL import Image

    height, width, _ = manifest.shape
    try:
        with Image.open(io.BytesIO(read()), formats=["PNG"]) as image:
            if image.size == (width, height) and image.mode == "L":
                return np.asarray(image)
            mode_and_size = f"{image.mode} of {image.size[1]} x {image.size[0]}"
    except (*BROKEN, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptFileError(
            f"{where} must be a complete PNG image; reading it failed: {what_failed(error)}"
        ) from error
    raise CorruptFileError(f"{where} must be a greyscale image (L) of {height} x {width}; it is {mode_and_size}")
