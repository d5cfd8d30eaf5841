"""Manifests of published data sets: files, checksums, factors, layout, licence and citation."""

import gzip
import hashlib
import json
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import numpy as np

from disentmetrics._utils.cache import atomic_path, cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSetInfo, Symmetry
from disentmetrics.errors import CorruptFileError, StorageError
from disentmetrics.factors import Factor, FactorSpace

PACKAGE = "disentmetrics_data_manifests"
CHECKSUMS = ("sha256", "md5")

_CHUNK_BYTES = 1 << 20
_MIN_CACHED_BYTES = 1 << 26  # checksums of smaller files are fast to compute and not cached
_KEYS = {
    "name", "summary", "homepage", "licence", "citation", "bibtex", "remarks", "manual", "nuisances",
    "n_observations", "observations", "factors", "symmetries", "files",
}  # fmt: skip
_FILE_KEYS = {
    "name", "part", "layout", "images", "labels", "label_columns", "label_values", "factor_names",
    "urls", "bytes", "content_sha256", *CHECKSUMS,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """One published file.

    Attributes
    ----------
    name : str
        File name as published.
    layout : str
        File layout, such as ``npz`` or ``hdf5``.
    part : str
        Part of the data set that the file contains. Files of the same part are alternatives, of which one suffices.
    images, labels : str
        Keys of the images and of their factors in the file, if the layout has keys; empty if there are no labels.
    label_columns : tuple of str
        Names of the label columns; a column that is not a factor must be 0 throughout.
    label_values : bool
        Whether labels are values, which are converted to the ranks of the sorted distinct values; else indices.
    factor_names : str
        Key of the names of the factors in the file; empty if there is none.
    urls : tuple of str
        Download URLs, tried in order.
    n_bytes : int or None
        Size, if published.
    checksums : mapping of str to str
        Published checksums, sha256 or md5 or both; all must match.
    content_sha256 : str
        SHA-256 of the uncompressed content, if published. A recompressed container, or the content itself, is then
        accepted as well.
    """

    name: str
    layout: str
    part: str = ""
    images: str = ""
    labels: str = ""
    label_columns: tuple[str, ...] = ()
    label_values: bool = False
    factor_names: str = ""
    urls: tuple[str, ...] = ()
    n_bytes: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    content_sha256: str = ""

    @property
    def is_verifiable(self) -> bool:
        """Whether a checksum is published, so that files can be verified."""
        return bool(self.checksums or self.content_sha256)

    def mismatch(self, path: Path, *, progress: bool = False) -> str:
        """Describe how a file differs from the published one; empty if it does not."""
        difference = self._difference(path, progress=progress)
        if self.content_sha256 and (difference or not self.checksums):
            sha256 = _content_sha256(path)
            difference = (
                f"{difference or 'different content'}, unpacked sha256 {sha256} found, {self.content_sha256} expected"
                if sha256 != self.content_sha256
                else ""
            )
        return difference

    def _difference(self, path: Path, *, progress: bool) -> str:
        n_bytes = path.stat().st_size
        if self.n_bytes not in {None, n_bytes}:
            return f"{n_bytes} bytes found, {self.n_bytes} expected"
        digests = digests_of(path, self.checksums, progress=progress)
        for algorithm, expected in self.checksums.items():
            if digests[algorithm] != expected:
                return f"{algorithm} {digests[algorithm]} found, {expected} expected"
        return ""

    @property
    def gaps(self) -> tuple[str, ...]:
        """Missing information, one sentence each."""
        missing = [algorithm for algorithm in CHECKSUMS if algorithm not in self.checksums]
        missing += ["size"] if self.n_bytes is None else []
        return tuple(f"no published {item} of {self.name} is known" for item in missing)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Description of a published data set.

    Attributes
    ----------
    name, summary, licence, citation, remarks, bibtex, nuisances, symmetries, n_observations
        See ``DataSetInfo``.
    space : FactorSpace
        The factors, of which the last varies fastest; empty if there are none or they are known only after loading.
    shape : tuple of int
        Shape of one observation.
    white : int or None
        Value of a white pixel in binary images, in which all other pixels are 0; None for other images.
    files : tuple of ManifestFile
        One file of each part is needed; by default the first of each part is downloaded.
    homepage : str
        Web page of the publisher.
    manual : tuple of str
        Instructions to obtain the data by hand, one sentence each.
    """

    name: str
    summary: str
    licence: str
    citation: str
    remarks: tuple[str, ...]
    space: FactorSpace
    shape: tuple[int, ...]
    white: int | None
    files: tuple[ManifestFile, ...]
    homepage: str = ""
    bibtex: str = ""
    manual: tuple[str, ...] = ()
    nuisances: tuple[str, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    n_observations: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Parse a manifest from TOML.

        Raises
        ------
        CorruptFileError
            If a key is missing, unknown or invalid.
        """
        try:
            return _manifest_of(tomllib.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(
                f"a manifest must be TOML with the keys of {PACKAGE}/dsprites.toml; got {error!r}"
            ) from error

    @property
    def parts(self) -> dict[str, tuple[ManifestFile, ...]]:
        """Alternative files by part, in order; one of each part is needed."""
        return {file.part: tuple(f for f in self.files if f.part == file.part) for file in self.files}

    @property
    def info(self) -> DataSetInfo:
        """Metadata of the data set; its notes include manual instructions and missing checksums."""
        gaps = tuple(gap for file in self.files for gap in file.gaps)
        return DataSetInfo(
            name=self.name,
            summary=self.summary,
            space=self.space,
            offline=False,
            licence=self.licence,
            citation=self.citation,
            remarks=self.remarks + self.manual + gaps,
            bibtex=self.bibtex,
            nuisances=self.nuisances,
            symmetries=self.symmetries,
            n_observations=self.n_observations,
            homepage=self.homepage,
        )


def _manifest_of(table: Mapping[str, Any]) -> Manifest:
    _refuse_unknown(table, _KEYS)
    observations = table["observations"]
    _refuse_unknown(observations, {"shape", "white"})
    space = FactorSpace([_factor_of(factor) for factor in table.get("factors", ())])
    return Manifest(
        name=table["name"],
        summary=table["summary"],
        licence=table["licence"],
        citation=table["citation"],
        remarks=tuple(table.get("remarks", ())),
        space=space,
        shape=tuple(observations["shape"]),
        white=observations.get("white"),
        files=tuple(_file_of(file) for file in table["files"]),
        homepage=table.get("homepage", ""),
        bibtex=table.get("bibtex", "").strip(),
        manual=tuple(table.get("manual", ())),
        nuisances=tuple(table.get("nuisances", ())),
        symmetries=tuple(_symmetry_of(symmetry) for symmetry in table.get("symmetries", ())),
        n_observations=table.get("n_observations"),
    )


def _refuse_unknown(table: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")


def _factor_of(table: Mapping[str, Any]) -> Factor:
    _refuse_unknown(table, {"name", "kind", "size", "values", "linspace", "period"})
    values = np.linspace(*table["linspace"]).tolist() if "linspace" in table else table.get("values", ())
    size = table.get("size", len(values) or None)
    return Factor(table["name"], size, table["kind"], tuple(values), table.get("period"))


def _symmetry_of(table: Mapping[str, Any]) -> Symmetry:
    _refuse_unknown(table, {"factor", "same", "given"})
    given = {name: tuple(indices) for name, indices in table.get("given", {}).items()}
    return Symmetry(table["factor"], tuple(table["same"]), given)


def _file_of(table: Mapping[str, Any]) -> ManifestFile:
    _refuse_unknown(table, _FILE_KEYS)
    return ManifestFile(
        name=table["name"],
        layout=table["layout"],
        part=table.get("part", ""),
        images=table.get("images", ""),
        labels=table.get("labels", ""),
        label_columns=tuple(table.get("label_columns", ())),
        label_values=table.get("label_values", False),
        factor_names=table.get("factor_names", ""),
        urls=tuple(table["urls"]),
        n_bytes=table.get("bytes"),
        checksums={algorithm: table[algorithm] for algorithm in CHECKSUMS if algorithm in table},
        content_sha256=table.get("content_sha256", ""),
    )


def manifest_names() -> list[str]:
    """Return the names of all manifests, sorted: ``NAME.toml`` describes the data set ``NAME``."""
    return sorted(r.name.removesuffix(".toml") for r in files(PACKAGE).iterdir() if r.name.endswith(".toml"))


def manifests() -> Iterator[Manifest]:
    """Read all manifests, sorted by name."""
    return map(read_manifest, manifest_names())


def read_manifest(name: str) -> Manifest:
    """Read the manifest ``NAME.toml``."""
    return Manifest.parse((files(PACKAGE) / f"{name}.toml").read_text(encoding="utf-8"))


def digests_of(path: Path, algorithms: Iterable[str], *, progress: bool = False) -> dict[str, str]:
    """Return hexadecimal checksums of a file, which is read at most once, in chunks.

    Checksums of large files are cached in the cache folder until the size or modification time changes.

    Parameters
    ----------
    path : Path
        The file.
    algorithms : iterable of str
        Names of hash algorithms, such as sha256.
    progress : bool
        Show a progress bar.
    """
    requested = set(algorithms)
    cache = _DigestCache(path)
    missing = sorted(requested - cache.digests.keys())
    if missing:
        hashers = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in missing}
        with path.open("rb") as file, progress_bar(shown=progress) as bar:
            task = bar.add_task(f"verifying {path.name}", total=path.stat().st_size)
            for chunk in _chunks(file):
                for hasher in hashers.values():
                    hasher.update(chunk)
                bar.advance(task, len(chunk))
        cache.add({algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()})
    return {algorithm: cache.digests[algorithm] for algorithm in requested}


class _DigestCache:
    """Checksums of the current state of a file; those of large files are stored in the cache folder."""

    def __init__(self, path: Path) -> None:
        status = path.stat()
        # The modification time can be set arbitrarily; the inode change time cannot, so both are part of the key.
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
        self._path = (
            cache_folder() / "datasets" / "digests" / f"{name}.json" if status.st_size >= _MIN_CACHED_BYTES else None
        )
        self.digests: dict[str, str] = {}
        if self._path is not None and self._path.is_file():
            try:
                self.digests = dict(json.loads(self._path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, RecursionError):
                self.digests = {}  # damaged cache entries are recomputed and rewritten

    def add(self, digests: Mapping[str, str]) -> None:
        self.digests |= digests
        if self._path is None:
            return
        try:
            with locked(self._path), atomic_path(self._path) as temporary:
                temporary.write_text(json.dumps(self.digests), encoding="utf-8")
        except StorageError:
            self._path = None  # recomputed next time


def _chunks(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _content_sha256(path: Path) -> str:
    """Return the SHA-256 of the decompressed content of a gzip file, or of any other file; empty if it is damaged."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if not is_gzip:
        return digests_of(path, ["sha256"])["sha256"]
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as content:
            for chunk in _chunks(content):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()
