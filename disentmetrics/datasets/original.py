"""Observations read from a published file, verified before use."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics.cache import cache_folder, locked, sha256_of
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.layouts import layout_of, opened
from disentmetrics.datasets.manifest import Manifest, ManifestFile
from disentmetrics.datasets.packed import open_packed, unpack, write_packed
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError
from disentmetrics.progress import progress_bar
from disentmetrics.suggest import did_you_mean


class OriginalDataSet(DataSet):
    """The binary images of a published file, at one bit a pixel.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    fingerprint : str
        Name of exactly this content.
    bits : (n_images, n_pixels / 8) uint8
        The whole grid, as ``numpy.packbits`` packs each image.
    """

    def __init__(self, manifest: Manifest, fingerprint: str, bits: NDArray[np.uint8]) -> None:
        self.name = manifest.name
        self.space = manifest.space
        self.observation_shape = manifest.shape
        self.fingerprint = fingerprint
        self._bits = bits

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images with these factors, black 0 and white 255."""
        return unpack(self._bits, self.space.rows_of(factors), self.observation_shape)


def load_original(
    manifest: Manifest,
    target: str = "",
    *,
    layout: str = "",
    verify: bool = True,
    progress: bool = False,
) -> OriginalDataSet:
    """Read a published data set from a path, or fetch it.

    The images are unpacked once and kept in the cache folder at one bit a pixel, beside the
    checksum that is verified whenever they are opened; in memory if the folder cannot be written.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    target : str
        Path of the file; fetched if empty.
    layout : str
        ``npz`` or ``hdf5``; the manifest's first if empty.
    verify : bool
        Whether the file must be the published one. If not, a file of the same layout is
        taken at your word, and its own checksum becomes part of the fingerprint.
    progress : bool
        Show bars.

    Returns
    -------
    OriginalDataSet

    Raises
    ------
    InvalidInputError
        If there is no such file or layout.
    CorruptFileError
        If a file at hand is not the published one, is damaged or is of another layout.
    UntrustedFileError
        If images or labels are pickled.
    DownloadError
        If the file cannot be fetched.
    """
    files = [file for file in manifest.files if layout in {"", file.layout}]
    if not files:
        layouts = [file.layout for file in manifest.files]
        raise InvalidInputError(
            f"{manifest.name} is published as {' and '.join(layouts)}; "
            f"got layout {layout!r}{did_you_mean(layout, layouts)}"
        )
    if not target:
        from disentmetrics.datasets.fetch import fetch  # the network's libraries are slow to import

        path, file = fetch(files[0], progress=progress), files[0]
        fingerprint = _published_name(manifest, file)
    else:
        path = Path(target).expanduser()
        file, fingerprint = _recognised(path, manifest, files, verify=verify)
    return OriginalDataSet(manifest, fingerprint, _packed(path, manifest, file, progress=progress))


def _published_name(manifest: Manifest, file: ManifestFile) -> str:
    return f"{manifest.name}-original-{file.layout}"


def _recognised(path: Path, manifest: Manifest, files: list[ManifestFile], *, verify: bool) -> tuple[ManifestFile, str]:
    if not path.is_file():
        raise InvalidInputError(f"the path of {manifest.name} must be that of a file; there is none at {path}")
    differences = []
    for file in files:
        difference = file.mismatch(path)
        if not difference and file.checksums:
            return file, _published_name(manifest, file)
        differences.append(f"not {file.name} ({difference or 'no published checksum of it is known'})")
    if verify:
        raise CorruptFileError(
            f"{path} is {' and '.join(differences)}, so it was not used; "
            "if you trust this file of the same layout, add ?verify=false"
        )
    found = layout_of(path)
    for file in files:
        if file.layout == found:
            return file, f"{manifest.name}-file-{sha256_of(path)[:12]}"
    raise CorruptFileError(
        f"{path} must be a whole file of layout {' or '.join(file.layout for file in files)}; "
        f"it is {found or 'neither'}; nothing was read"
    )


def _packed(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> NDArray[np.uint8]:
    n_images, n_bytes = manifest.space.n_combinations, int(np.prod(manifest.shape)) // 8
    kept = cache_folder() / "datasets" / f"{manifest.name}-{sha256_of(path)}.bits"
    bits = open_packed(kept, n_images, n_bytes)
    if bits is not None:
        return bits
    try:
        with locked(kept):
            bits = open_packed(kept, n_images, n_bytes)  # another process may have been at it
            if bits is None:
                write_packed(kept, _blocks(path, manifest, file, progress=progress))
                bits = open_packed(kept, n_images, n_bytes)
    except StorageError:
        bits = None
    if bits is None:
        bits = np.empty((n_images, n_bytes), np.uint8)
        n_done = 0
        for block in _blocks(path, manifest, file, progress=progress):
            bits[n_done : n_done + len(block)] = block
            n_done += len(block)
    return bits


def _blocks(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> Iterator[NDArray[np.uint8]]:
    with opened(path, file) as content, progress_bar(shown=progress) as bar:
        task = bar.add_task(f"unpacking {path.name}", total=content.shape[0])
        _check_images(path, manifest, content.shape, content.dtype)
        if content.labels is not None:
            _check_labels(path, manifest, file, content.labels)
        for block in content.blocks:
            white = block == manifest.white
            if not np.array_equal(white, block != 0):
                raise CorruptFileError(
                    f"the images of {path} must hold 0 and {manifest.white} alone; got {np.unique(block)}"
                )
            yield np.packbits(white.reshape(len(block), -1), axis=1)
            bar.advance(task, len(block))


def _check_images(path: Path, manifest: Manifest, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    height, width, *channels = manifest.shape
    whole = (manifest.space.n_combinations, height, width)
    if shape not in {whole, (*whole, *channels)} or dtype != np.uint8:
        raise CorruptFileError(
            f"the images of {path} must be uint8 of shape {whole}; got {dtype} of shape {shape}; nothing was read"
        )


def _check_labels(path: Path, manifest: Manifest, file: ManifestFile, labels: NDArray[np.generic]) -> None:
    rows = np.arange(manifest.space.n_combinations)
    by_name = dict(zip(manifest.space.names, manifest.space.indices_of(rows).T, strict=True))
    expected = np.stack([by_name.get(name, 0 * rows) for name in file.label_columns], axis=1)
    if not np.array_equal(labels, expected):
        raise CorruptFileError(
            f"the labels of {path} must number the grid {' x '.join(manifest.space.names)} with the last "
            "factor fastest, and do not; nothing was read"
        )
