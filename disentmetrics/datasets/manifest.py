"""What is published of a data set: its files, checksums, factors, layout, licence and citation."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.errors import CorruptFileError
from disentmetrics.factors import Factor, FactorSpace

PACKAGE = "disentmetrics_data_manifests"
CHECKSUMS = ("sha256", "md5")


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """One published file.

    Attributes
    ----------
    name : str
        As published.
    layout : {"npz", "hdf5"}
        How it is read.
    images, labels : str
        Keys of the images and of their factor indices in the file; no labels if empty.
    label_columns : tuple of str
        Columns of the labels; one that is no factor is 0 throughout.
    urls : tuple of str
        The first that answers is used.
    n_bytes : int or None
        Size, if published.
    checksums : mapping of str to str
        Those of sha256 and md5 that are published; all must match.
    """

    name: str
    layout: str
    images: str
    labels: str
    label_columns: tuple[str, ...]
    urls: tuple[str, ...]
    n_bytes: int | None
    checksums: Mapping[str, str]

    def mismatch(self, path: Path) -> str:
        """Say how a file differs from the published one; empty if it does not."""
        found_bytes = path.stat().st_size
        if self.n_bytes not in {None, found_bytes}:
            return f"{found_bytes} bytes found, {self.n_bytes} expected"
        for algorithm, expected in self.checksums.items():
            found = digest_of(path, algorithm)
            if found != expected:
                return f"{algorithm} {found} found, {expected} expected"
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
    name, summary, licence, citation, remarks
        As in ``DataSetInfo``.
    space : FactorSpace
        The factors in the order of the file, the last varying fastest.
    shape : tuple of int
        Of one observation.
    white : int
        The value of a white pixel in the files; all others are 0.
    files : tuple of ManifestFile
        Each holds the whole data set; the first is the one fetched by default.
    """

    name: str
    summary: str
    licence: str
    citation: str
    remarks: tuple[str, ...]
    space: FactorSpace
    shape: tuple[int, ...]
    white: int
    files: tuple[ManifestFile, ...]

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Read a manifest from TOML; raise CorruptFileError if something is missing or wrong."""
        try:
            return _manifest_of(tomllib.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(
                f"a manifest must be TOML with the keys of {PACKAGE}/dsprites.toml; got {error!r}"
            ) from error

    @property
    def info(self) -> DataSetInfo:
        """Describe the data set; missing checksums are among the remarks."""
        gaps = tuple(gap for file in self.files for gap in file.gaps)
        return DataSetInfo(self.name, self.summary, self.space, False, self.licence, self.citation, self.remarks + gaps)


def _manifest_of(table: Mapping[str, Any]) -> Manifest:
    return Manifest(
        name=table["name"],
        summary=table["summary"],
        licence=table["licence"],
        citation=table["citation"],
        remarks=tuple(table.get("remarks", ())),
        space=FactorSpace([_factor_of(factor) for factor in table["factors"]]),
        shape=tuple(table["observations"]["shape"]),
        white=table["observations"]["white"],
        files=tuple(_file_of(file) for file in table["files"]),
    )


def _factor_of(table: Mapping[str, Any]) -> Factor:
    values = table["values"] if "values" in table else np.linspace(*table["linspace"]).tolist()
    return Factor(table["name"], len(values), table["kind"], tuple(values))


def _file_of(table: Mapping[str, Any]) -> ManifestFile:
    return ManifestFile(
        name=table["name"],
        layout=table["layout"],
        images=table["images"],
        labels=table.get("labels", ""),
        label_columns=tuple(table.get("label_columns", ())),
        urls=tuple(table["urls"]),
        n_bytes=table.get("bytes"),
        checksums={algorithm: table[algorithm] for algorithm in CHECKSUMS if algorithm in table},
    )


def manifests() -> Iterator[Manifest]:
    """Read every manifest there is; a new TOML file is found by itself."""
    resources: list[Traversable] = [r for r in files(PACKAGE).iterdir() if r.name.endswith(".toml")]
    for resource in sorted(resources, key=lambda r: r.name):
        yield Manifest.parse(resource.read_text(encoding="utf-8"))


def read_manifest(name: str) -> Manifest:
    """Read the manifest of this name, ``NAME.toml``."""
    return Manifest.parse((files(PACKAGE) / f"{name}.toml").read_text(encoding="utf-8"))


def digest_of(path: Path, algorithm: str) -> str:
    """Return the hexadecimal checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
