"""Data sets read from published files, which are verified before use."""

import hashlib
import logging
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.arrays.row_sources import Hdf5Rows, Observations
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.options import whole_number
from disentmetrics.datasets.published.layouts import Content, layout_of, open_content
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, digests_of
from disentmetrics.datasets.published.packed import open_packed, write_packed
from disentmetrics.datasets.published.row_files import Blocks, FileRows, PackedRows, cached_rows
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError, did_you_mean
from disentmetrics.factors import FactorSpace

_MAX_BYTES_PER_ROW = 1 << 17  # if reading one image decompresses more than this, images are unpacked once instead
logger = logging.getLogger("disentmetrics")


class PublishedDataSet(DataSet):
    """Images of a complete grid of factors, read on demand from published files.

    Parameters
    ----------
    manifest : Manifest
        Manifest of the data set.
    fingerprint : str
        Identifier of the exact content; options that change it are appended.
    rows : Observations
        One row per combination of factors.
    space : FactorSpace, optional
        Factors of the rows; by default those of the manifest.
    order : (n_rows,) int64, optional
        Row of each combination; by default rows are in grid order.
    size : str or int
        New height and width by area averaging; 0 keeps the original size.

    Raises
    ------
    InvalidInputError
        If the size is invalid.

    Examples
    --------
    >>> from disentmetrics.datasets.published.manifest import read_manifest
    >>> from disentmetrics.datasets.arrays.row_sources import ArrayRows
    >>> grey = ArrayRows(np.broadcast_to(np.uint8(127), (127_050, 64 * 64)))
    >>> data = PublishedDataSet(read_manifest("faces3d"), "grey", grey, size=32)
    >>> data.fingerprint, data.space.names
    ('grey-32', ('face', 'azimuth', 'elevation', 'lighting'))
    >>> data.observations([[49, 0, 5, 5]]).shape
    (1, 32, 32, 1)
    """

    def __init__(
        self,
        manifest: Manifest,
        fingerprint: str,
        rows: Observations,
        *,
        space: FactorSpace | None = None,
        order: NDArray[np.int64] | None = None,
        size: str | int = 0,
    ) -> None:
        self.name = manifest.name
        self.space = manifest.space if space is None else space
        self._rows = rows
        self._order = order
        self._stored_shape = manifest.shape
        side = side_of(manifest, size)
        self.observation_shape = (side, side, *manifest.shape[2:]) if side else manifest.shape
        self.nuisances = manifest.nuisances
        self.symmetries = manifest.symmetries
        self.fingerprint = f"{fingerprint}-{side}" if side else fingerprint

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images with these factors."""
        rows = self.space.rows_of(factors)
        images = self._rows.take(rows if self._order is None else self._order[rows])
        images = images.reshape(len(rows), *self._stored_shape)
        height, width, *_ = self.observation_shape
        return images if self.observation_shape == self._stored_shape else resized(images, (height, width))


def side_of(manifest: Manifest, size: str | int) -> int:
    """Return the new height and width of the images, or 0 if they keep their size; needs no file.

    Raises
    ------
    InvalidInputError
        If the size is not an integer from 0 to the smaller side of the images.
    """
    side = whole_number("size", size, 0, min(manifest.shape[:2]))
    return 0 if manifest.shape[:2] == (side, side) else side


def load_published(
    manifest: Manifest,
    target: str = "",
    *,
    layout: str = "",
    verify: bool = True,
    progress: bool = False,
    size: str | int = 0,
) -> PublishedDataSet:
    """Load a published data set from a path, or download it.

    Images that are stored uncompressed are read from the file on demand. Others are unpacked once into the cache
    folder together with checksums that are verified, binary images at one bit per pixel. If the cache folder is not
    writable, they are kept in memory, provided there are not too many.

    Parameters
    ----------
    manifest : Manifest
        Manifest of the data set.
    target : str
        Path of the file or of its folder; downloaded if empty.
    layout : str
        Layout of the file, such as ``npz`` or ``hdf5``; the first of the manifest if empty.
    verify : bool
        Whether the file must match the published checksums. If False, any file of the same layout is trusted without
        verification, and its own checksum becomes part of the fingerprint.
    progress : bool
        Show progress bars.
    size
        See ``PublishedDataSet``.

    Returns
    -------
    PublishedDataSet

    Raises
    ------
    InvalidInputError
        If the file or layout does not exist.
    CorruptFileError
        If a local file is not the published one, is damaged or has another layout.
    UntrustedFileError
        If the file, its images or labels are pickled.
    DownloadError
        If the file cannot be downloaded.
    StorageError
        If images must be unpacked and there is not enough space.
    """
    side = side_of(manifest, size)
    located = locate(manifest, target, layout=layout, verify=verify, progress=progress)
    path, file = located.only
    rows = _stored(path, manifest, file, progress=progress)
    return PublishedDataSet(manifest, located.fingerprint, rows, size=side)


@dataclass(frozen=True)
class Located:
    """Local files of a data set.

    Attributes
    ----------
    paths : dict of str to Path
        Path of each part.
    files : dict of str to ManifestFile
        Description of the file of each part (unverified, if verification is off).
    fingerprint : str
        Identifier of the exact content.
    """

    paths: dict[str, Path]
    files: dict[str, ManifestFile]
    fingerprint: str

    @property
    def only(self) -> tuple[Path, ManifestFile]:
        """Path and description of the file of a data set with a single part."""
        (part,) = self.paths
        return self.paths[part], self.files[part]


def locate(
    manifest: Manifest,
    target: str = "",
    *,
    layout: str = "",
    parts: Collection[str] | None = None,
    verify: bool = True,
    progress: bool = False,
    unpacked_folder: bool = False,
) -> Located:
    """Find the files of a data set at a path, or download them, and verify them.

    Parameters
    ----------
    manifest : Manifest
        Manifest of the data set.
    target : str
        Path of the file or of the folder with the files; downloaded if empty.
    layout : str
        Layout to choose among alternative files; if empty, any is accepted and the first is downloaded.
    parts : collection of str, optional
        Parts that are needed; all by default.
    verify : bool
        Whether the files must match the published checksums, see ``load_published``.
    progress : bool
        Show progress bars.
    unpacked_folder : bool
        Whether an unpacked folder is accepted in place of the archive.

    Returns
    -------
    Located

    Raises
    ------
    InvalidInputError, CorruptFileError, UntrustedFileError, DownloadError, StorageError
        As ``load_published``.
    """
    candidates = {part: files for part, files in manifest.parts.items() if parts is None or part in parts}
    if layout:
        layouts = sorted({file.layout for file in manifest.files})
        candidates = {part: tuple(f for f in files if f.layout == layout) for part, files in candidates.items()}
        if not all(candidates.values()):
            raise InvalidInputError(
                f"{manifest.name} is published as {' and '.join(f.layout for f in manifest.files)}; "
                f"got layout {layout!r}{did_you_mean(layout, layouts)}"
            )
    if not target:
        return _downloaded(manifest, candidates, progress=progress)
    root = Path(target).expanduser()
    paths, located, differs = {}, {}, False
    for part, files in candidates.items():
        paths[part] = _path_of(manifest, files, root, unpacked_folder=unpacked_folder)
        file = _verified(paths[part], files, verify=verify, progress=progress)
        located[part] = file or _of_same_layout(paths[part], files)
        differs |= file is None
    return Located(paths, located, _digest_name(manifest, paths) if differs else _published_name(manifest, located))


def locate_split(
    manifest: Manifest,
    target: str,
    *,
    split: str,
    splits: Mapping[str, Collection[str]],
    verify: bool,
    progress: bool,
) -> Located:
    """Locate the files of a split; if they are missing, the error names a split whose files exist.

    Parameters
    ----------
    manifest, target, verify, progress
        See ``locate``.
    split : str
        Name of the split, one of ``splits``.
    splits : mapping of str to collection of str
        Parts that each split needs.

    Returns
    -------
    Located

    Raises
    ------
    InvalidInputError, CorruptFileError, DownloadError, StorageError
        As ``locate``.
    """
    try:
        return locate(manifest, target, parts=splits[split], verify=verify, progress=progress)
    except InvalidInputError as error:
        folder = Path(target).expanduser()
        others = (name for name in splits if name not in {"", split} and target)
        available = next((n for n in others if all(_in_folder(manifest.parts[p], folder) for p in splits[n])), None)
        if available is None:
            raise
        raise InvalidInputError(f"{error}; the files of another split exist: use split={available}") from error


def _downloaded(manifest: Manifest, candidates: dict[str, tuple[ManifestFile, ...]], *, progress: bool) -> Located:
    if not all(files[0].urls for files in candidates.values()):
        raise InvalidInputError(
            f"{manifest.name} cannot be downloaded; give its path as {manifest.name}:/path. "
            + " ".join(manifest.manual)
            + (f" Homepage: {manifest.homepage}" if manifest.homepage else "")
        )
    from disentmetrics.datasets.published.fetch import fetch  # network libraries are slow to import

    paths = {part: fetch(files[0], folder=manifest.name, progress=progress) for part, files in candidates.items()}
    files = {part: alternatives[0] for part, alternatives in candidates.items()}
    return Located(paths, files, _published_name(manifest, files))


def _path_of(manifest: Manifest, files: tuple[ManifestFile, ...], root: Path, *, unpacked_folder: bool) -> Path:
    if root.is_file() and len(manifest.parts) == 1:
        return root
    path = _in_folder(files, root)
    if path is not None:
        return path
    if unpacked_folder and root.is_dir():
        return root
    file_or = "a file or " if len(manifest.parts) == 1 else ""
    raise InvalidInputError(
        f"the path of {manifest.name} must be {file_or}a folder with {' or '.join(file.name for file in files)}; "
        f"there is none at {root}"
    )


def _in_folder(files: tuple[ManifestFile, ...], folder: Path) -> Path | None:
    names = (name for file in files for name in (file.name, file.name.removesuffix(".gz")))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _verified(path: Path, files: tuple[ManifestFile, ...], *, verify: bool, progress: bool) -> ManifestFile | None:
    differences = []
    for file in files:
        if path.is_dir():
            differences.append("a folder, for which no checksum is published")
            break
        if not file.is_verifiable:
            differences.append(f"not verifiably {file.name} (no checksum of it is published)")
            continue
        difference = file.mismatch(path, progress=progress)
        if not difference:
            return file
        differences.append(f"not {file.name} ({difference})")
    if not verify:
        return None
    if path.is_file():
        layout_of(path)  # raises for a pickle, which verify=false would not allow either
    raise CorruptFileError(
        f"{path} must be the published file; it is {' and '.join(differences)} and was not used; "
        "if you trust it, add ?verify=false"
    )


def _of_same_layout(path: Path, files: tuple[ManifestFile, ...]) -> ManifestFile:
    if path.is_dir():
        return files[0]
    layout = layout_of(path)
    for file in files:
        if file.layout == layout:
            return file
    layouts = list(dict.fromkeys(file.layout for file in files))
    raise CorruptFileError(
        f"{path} must be a complete file of layout {' or '.join(layouts)}; "
        f"it is {layout or ('neither' if len(layouts) == 2 else 'not')}; nothing was read"
    )


def _published_name(manifest: Manifest, files: dict[str, ManifestFile]) -> str:
    layouts = dict.fromkeys(file.layout for file in files.values())
    return f"{manifest.name}-original-{'-'.join(layouts)}"


def _digest_name(manifest: Manifest, paths: dict[str, Path]) -> str:
    digests = [digest_of(path) for path in paths.values()]
    combined = digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
    return f"{manifest.name}-file-{combined[:12]}"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files of a folder."""
    if path.is_file():
        return digests_of(path, ["sha256"])["sha256"]
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listing = "\n".join(f"{digest_of(file)} {name}" for name, file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


@contextmanager
def _open_checked(path: Path, manifest: Manifest, file: ManifestFile) -> Iterator[Content]:
    """Open a file with one row per combination of factors, after checking shape, type and labels."""
    with open_content(path, file, math.prod(manifest.shape)) as content:
        _check_images(path, manifest, content)
        if content.labels is not None:
            _check_labels(path, manifest, file, content.labels)
        if content.factor_names not in {None, manifest.space.names}:
            raise CorruptFileError(
                f"the factors of {path} must be {', '.join(manifest.space.names)}; "
                f"they are {', '.join(content.factor_names or ())}; nothing was read"
            )
        yield content


def _stored(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> Observations:
    if manifest.white is not None:
        return PackedRows(_packed(path, manifest, file, progress=progress), manifest.shape)
    shape = (manifest.space.n_combinations, math.prod(manifest.shape))
    with _open_checked(path, manifest, file) as content:
        if content.offset is not None:
            return FileRows(path, shape, content.offset)
        is_hdf5 = file.layout == "hdf5"
        needs_no_unpacking = is_hdf5 and content.bytes_per_row <= _MAX_BYTES_PER_ROW

    if needs_no_unpacking:
        return _hdf5_rows(path, file.images)
    try:
        return cached_rows(
            f"{manifest.name}-{digest_of(path)}", shape, lambda: _blocks(path, manifest, file, progress=progress)
        )
    except StorageError as error:
        if not is_hdf5:
            raise
        logger.warning(
            "%s; until then, reading single images of %s is slow, as many of them share a chunk", error, path
        )
        return _hdf5_rows(path, file.images)


def _hdf5_rows(path: Path, key: str) -> Hdf5Rows:
    import h5py

    return Hdf5Rows(h5py.File(path, "r")[key])


def _packed(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> NDArray[np.uint8]:
    n_images, n_bytes = manifest.space.n_combinations, math.prod(manifest.shape) // 8
    cached = cache_folder() / "datasets" / f"{manifest.name}-{digest_of(path)}.bits"
    bits = open_packed(cached, n_images, n_bytes)
    if bits is not None:
        return bits
    try:
        with locked(cached):
            bits = open_packed(cached, n_images, n_bytes)  # another process may have written it meanwhile
            if bits is None:
                write_packed(cached, _packed_blocks(path, manifest, file, progress=progress))
                bits = open_packed(cached, n_images, n_bytes)
    except StorageError:
        bits = None
    if bits is None:
        bits = np.empty((n_images, n_bytes), np.uint8)
        n_done = 0
        for block in _packed_blocks(path, manifest, file, progress=progress):
            bits[n_done : n_done + len(block)] = block
            n_done += len(block)
    return bits


def _packed_blocks(
    path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool
) -> Iterator[NDArray[np.uint8]]:
    for _, block in _blocks(path, manifest, file, progress=progress):
        white = block == manifest.white
        if not np.array_equal(white, block != 0):
            raise CorruptFileError(
                f"the images of {path} must contain only 0 and {manifest.white}; got {np.unique(block)}"
            )
        yield np.packbits(white, axis=1)


def _blocks(path: Path, manifest: Manifest, file: ManifestFile, *, progress: bool) -> Blocks:
    n_done = 0
    with _open_checked(path, manifest, file) as content, progress_bar(shown=progress) as bar:
        task = bar.add_task(f"unpacking {path.name}", total=manifest.space.n_combinations)
        for block in content.blocks:
            yield n_done, block
            n_done += len(block)
            bar.advance(task, len(block))


def _check_images(path: Path, manifest: Manifest, content: Content) -> None:
    height, width, *channels = manifest.shape
    grey = (height, width) if channels == [1] else manifest.shape
    flat = (manifest.space.n_combinations, *grey)
    grid = (*manifest.space.sizes, *grey)
    allowed = {flat, grid, (*flat[:1], *manifest.shape), (*manifest.space.sizes, *manifest.shape)}
    if content.shape not in allowed or content.dtype != np.uint8:
        raise CorruptFileError(
            f"the images of {path} must be uint8 of shape {flat}; "
            f"got {content.dtype} of shape {content.shape}; nothing was read"
        )


def _check_labels(path: Path, manifest: Manifest, file: ManifestFile, labels: NDArray[np.generic]) -> None:
    rows = np.arange(manifest.space.n_combinations)
    by_name = dict(zip(manifest.space.names, manifest.space.indices_of(rows).T, strict=True))
    expected = np.stack([by_name.get(name, 0 * rows) for name in file.label_columns], axis=1)
    if file.label_values and labels.shape == expected.shape:
        labels = np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
    if not np.array_equal(labels, expected):
        raise CorruptFileError(
            f"the labels of {path} must enumerate the grid {' x '.join(manifest.space.names)} with the last "
            "factor fastest; they do not; nothing was read"
        )
