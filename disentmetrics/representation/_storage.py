"""Representations in HDF5 files: arrays with checksums, memory-mapped when read."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path, cache_folder
from disentmetrics.errors import CorruptFileError, DisentmetricsError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.io.hdf5 import own_object, rehearse
from disentmetrics.representation.provenance import Provenance

if TYPE_CHECKING:
    from disentmetrics.representation._representation import Representation

ARRAYS = ("codes", "factors", "log_variance", "kl", "groups", "weights")
"""The arrays of a representation that have one entry per row."""
_TABLES = ("codes", "factors", "log_variance", "kl")
_DAMAGE = (
    OSError, LookupError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError, MemoryError,
    RecursionError,
)  # fmt: skip
_FORMAT = "disentmetrics-representation-1"
_OVERHEAD = 1 << 16  # bytes of a file that are not arrays


def write_representation(representation: "Representation", path: Path) -> None:
    """Write a file completely or not at all."""
    arrays = {name: array for name in ARRAYS if (array := getattr(representation, name)) is not None}
    # HDF5 crashes if the disk fills up while it writes, so the space is reserved first.
    n_bytes = sum(array.nbytes for array in arrays.values()) + _OVERHEAD
    with atomic_path(path, n_bytes) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = _FORMAT
        file.attrs["about"] = json.dumps(
            {
                "factors": [factor.to_plain() for factor in representation.space],
                "code_names": list(representation.code_names),
                "sequential": representation.sequential,
                "categorical_codes": representation.categorical_codes.tolist(),
                "provenance": vars(representation.provenance),
                "inference": list(representation.inference),
                "notes": list(representation.notes),
            }
        )
        for name, array in arrays.items():
            stored = file.create_dataset(name, data=array)
            stored.attrs["sha256"] = array_sha256(array)


def read_representation(path: Path) -> dict[str, Any]:
    """Return the attributes of a saved representation, its arrays mapped into memory.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    CorruptFileError
        If it is truncated, altered, or not written by :func:`write_representation`.
    """
    if not path.is_file():
        raise InvalidInputError(f"{path} must be a saved representation; there is no such file")
    if cache_folder() not in path.resolve().parents:  # files in the cache are written by this package
        rehearse(path, ARRAYS, max_bytes=0)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != _FORMAT:
                raise CorruptFileError(
                    f"{path} must be a file written by Representation.save (format {_FORMAT}); "
                    f"its format is {file.attrs.get('format', 'unknown')!r}"
                )
            about = json.loads(file.attrs["about"])
            arrays = {name: _mapped(path, file, name) for name in ARRAYS}
        return {
            **arrays,
            "space": FactorSpace([Factor.from_plain(plain) for plain in about["factors"]]),
            "code_names": tuple(about["code_names"]),
            "sequential": bool(about.get("sequential", False)),  # older files have no such field
            "categorical_codes": np.array(about["categorical_codes"], dtype=bool),
            "provenance": Provenance(**about["provenance"]),
            "inference": tuple(about["inference"]),
            "notes": tuple(about.get("notes", ())),
        }
    except DisentmetricsError:
        raise
    except _DAMAGE as error:
        raise CorruptFileError(
            f"{path} must be a complete HDF5 file written by Representation.save; it could not be read "
            f"({error}); encode again"
        ) from error


def _mapped(path: Path, file: h5py.File, name: str) -> NDArray[Any] | None:
    if name not in file:
        if name in {"codes", "factors"}:
            raise CorruptFileError(f"{path} must contain codes and factors; {name} is missing; encode again")
        return None
    stored = own_object(file, name)
    n_axes = 2 if name in _TABLES else 1
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind not in "iuf" or len(stored.shape) != n_axes:
        # the bytes of other types are not numbers: those of text would be taken for addresses of objects
        raise CorruptFileError(f"{path} must contain {name} as numbers with {n_axes} axes; encode again")
    if stored.size and stored.id.get_offset() is None:
        raise CorruptFileError(f"{path} must contain {name} in one piece, without chunks or compression; encode again")
    if not stored.size:  # HDF5 allocates no storage for empty arrays, so they cannot be mapped
        return np.empty(stored.shape, stored.dtype)
    array = np.asarray(np.memmap(path, stored.dtype, "r", stored.id.get_offset(), stored.shape))
    if array_sha256(array) != stored.attrs["sha256"]:
        raise CorruptFileError(
            f"{path} was altered after it was written: {name} does not match its checksum; encode again"
        )
    return array


def array_sha256(array: NDArray[Any]) -> str:
    """Return the hexadecimal SHA-256 of an array's values, read in blocks of rows."""
    digest = hashlib.sha256()
    step = max(1, (1 << 24) // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()
