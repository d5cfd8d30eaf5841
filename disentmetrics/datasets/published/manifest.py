"""What is published of a data set: its files, checksums, factors, layout, licence and citation."""

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

_PIECE = 1 << 20  # bytes
_REMEMBERED = 1 << 26  # bytes; smaller files are hashed in no time
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
        As published.
    layout : str
        How it is read, such as ``npz`` or ``hdf5``.
    part : str
        Which part of the data set it holds. Files of one part are alternatives, of which one is enough.
    images, labels : str
        Keys of the images and of their factors in the file, where the layout has keys; no labels if empty.
    label_columns : tuple of str
        Columns of the labels; one that is no factor is 0 throughout.
    label_values : bool
        Whether labels are values, of which the sorted distinct ones have the indices 0, 1, ...; else indices.
    factor_names : str
        Key of the names of the factors in the file; none if empty.
    urls : tuple of str
        The first that answers is used.
    n_bytes : int or None
        Size, if published.
    checksums : mapping of str to str
        Those of sha256 and md5 that are published; all must match.
    content_sha256 : str
        SHA-256 of the unpacked content, if published: a container that was compressed anew, or the
        content alone, is as good as the published file.
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
        """Whether a checksum is published, so that a file can be known to be this one."""
        return bool(self.checksums or self.content_sha256)

    def mismatch(self, path: Path, *, progress: bool = False) -> str:
        """Say how a file differs from the published one; empty if it does not."""
        difference = self._difference(path, progress=progress)
        if self.content_sha256 and (difference or not self.checksums):
            found = _content_sha256(path)
            difference = (
                f"{difference or 'another content'}, unpacked sha256 {found} found, {self.content_sha256} expected"
                if found != self.content_sha256
                else ""
            )
        return difference

    def _difference(self, path: Path, *, progress: bool) -> str:
        found_bytes = path.stat().st_size
        if self.n_bytes not in {None, found_bytes}:
            return f"{found_bytes} bytes found, {self.n_bytes} expected"
        found = digests_of(path, self.checksums, progress=progress)
        for algorithm, expected in self.checksums.items():
            if found[algorithm] != expected:
                return f"{algorithm} {found[algorithm]} found, {expected} expected"
        return ""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is not published, one sentence each."""
        unknown = [algorithm for algorithm in CHECKSUMS if algorithm not in self.checksums]
        unknown += ["size"] if self.n_bytes is None else []
        return tuple(f"no published {what} of {self.name} is known" for what in unknown)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A data set as published.

    Attributes
    ----------
    name, summary, licence, citation, remarks, bibtex, nuisances, symmetries, n_observations
        As in ``DataSetInfo``.
    space : FactorSpace
        The factors, the last varying fastest; empty if there are none, or they are known only after loading.
    shape : tuple of int
        Of one observation.
    white : int or None
        Of binary images, the value of a white pixel in the files, all others being 0; None for others.
    files : tuple of ManifestFile
        One file of each part is needed; the first of a part is the one fetched by default.
    homepage : str
        Where it is published.
    manual : tuple of str
        What to do by hand to get it, one sentence each.
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
        """Read a manifest from TOML; raise CorruptFileError if something is missing, unknown or wrong."""
        try:
            return _manifest_of(tomllib.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(
                f"a manifest must be TOML with the keys of {PACKAGE}/dsprites.toml; got {error!r}"
            ) from error

    @property
    def parts(self) -> dict[str, tuple[ManifestFile, ...]]:
        """The files by part, in order; one of each part is needed."""
        return {file.part: tuple(f for f in self.files if f.part == file.part) for file in self.files}

    @property
    def info(self) -> DataSetInfo:
        """Describe the data set; what to do by hand and missing checksums are among the remarks."""
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
    _refuse_unknown(table, {"name", "kind", "size", "values", "linspace"})
    values = np.linspace(*table["linspace"]).tolist() if "linspace" in table else table.get("values", ())
    size = table.get("size", len(values) or None)
    return Factor(table["name"], size, table["kind"], tuple(values))


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
    """Return hexadecimal checksums of a file, which is read once, in pieces.

    Those of a large file are remembered in the cache folder until its size or time of change differs.

    Parameters
    ----------
    path : Path
        The file.
    algorithms : iterable of str
        Such as sha256.
    progress : bool
        Show a bar.
    """
    wanted = set(algorithms)
    known = _Remembered(path)
    missing = sorted(wanted - known.digests.keys())
    if missing:
        hashers = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in missing}
        with path.open("rb") as file, progress_bar(shown=progress) as bar:
            task = bar.add_task(f"verifying {path.name}", total=path.stat().st_size)
            for piece in _pieces(file):
                for hasher in hashers.values():
                    hasher.update(piece)
                bar.advance(task, len(piece))
        known.add({algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()})
    return {algorithm: known.digests[algorithm] for algorithm in wanted}


class _Remembered:
    """Checksums of a file as it is now; those of a large one are kept in the cache folder."""

    def __init__(self, path: Path) -> None:
        status = path.stat()
        # The time of content may be set to anything, that of the inode only by changing it.
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
        self.kept = cache_folder() / "datasets" / "digests" / f"{name}.json" if status.st_size >= _REMEMBERED else None
        self.digests: dict[str, str] = {}
        if self.kept is not None and self.kept.is_file():
            try:
                self.digests = dict(json.loads(self.kept.read_text(encoding="utf-8")))
            except (OSError, ValueError):
                self.digests = {}  # reckoned anew, and written anew

    def add(self, digests: Mapping[str, str]) -> None:
        self.digests |= digests
        if self.kept is None:
            return
        try:
            with locked(self.kept), atomic_path(self.kept) as temporary:
                temporary.write_text(json.dumps(self.digests), encoding="utf-8")
        except StorageError:
            self.kept = None  # they are reckoned anew next time


def _pieces(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _content_sha256(path: Path) -> str:
    """Return the SHA-256 of what a gzip file holds, of any other file itself; empty if it is damaged."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed:
        return digests_of(path, ["sha256"])["sha256"]
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as content:
            for piece in _pieces(content):
                digest.update(piece)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()
