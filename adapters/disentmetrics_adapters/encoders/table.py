"""Scheme ``table``: precomputed codes, one row per point of the data set's grid."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import sha256_of
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, InvalidInputError, UntrustedFileError
from disentmetrics.factors import FactorSpace
from disentmetrics_adapters.encoders._options import existing_file, fingerprint_of


class TableEncoder:
    """Encoder that looks up codes in a table, at row ``space.rows_of(indices)``.

    Parameters
    ----------
    codes : Posterior or (n_combinations, n_codes) array
        In the order of the full grid, with the last factor varying fastest.
    space : FactorSpace
        The grid.

    Examples
    --------
    >>> from disentmetrics.factors import Factor
    >>> space = FactorSpace([Factor("x", 2, "ordinal"), Factor("y", 3, "ordinal")])
    >>> TableEncoder(np.arange(6.0)[:, None], space)(np.array([[1, 2], [0, 1]]))
    array([[5.], [1.]])
    """

    reads_factors = True

    def __init__(self, codes: Posterior | NDArray[np.floating], space: FactorSpace) -> None:
        table = codes.mean if isinstance(codes, Posterior) else codes
        if table.ndim != 2 or len(table) != space.n_combinations:
            raise InvalidInputError(
                f"codes must have shape ({space.n_combinations}, n_codes), one row per point of the "
                f"data set's full grid; got {table.shape}"
            )
        others = {"log_variance": codes.log_variance, "kl": codes.kl} if isinstance(codes, Posterior) else {}
        for name, array in others.items():
            if array is not None and array.shape != table.shape:
                raise InvalidInputError(
                    f"codes and {name} must have the same shape; got {table.shape} and {array.shape}"
                )
        self._codes, self._space = codes, space

    def __call__(self, indices: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Return the codes of factor indices (n, n_factors)."""
        rows = self._space.rows_of(indices)
        if isinstance(self._codes, Posterior):
            kl = self._codes.kl
            return Posterior(self._codes.mean[rows], self._codes.log_variance[rows], None if kl is None else kl[rows])
        return self._codes[rows]


def load(target: str, *, data: DataSet | None = None) -> Encoder:
    """Look up precomputed codes for the data set's full grid (.npz, .npy, .csv).

    The target contains one row per point of the grid, with the last factor varying
    fastest: an array ``codes`` (n, n_codes), and optionally ``log_variance``, with
    ``kl`` from the model's own prior where that is not N(0, 1), in .npz; a single
    array in .npy; numbers with an optional header line in .csv.
    (Codes with their own factors, without a data set, are scored with
    ``--codes`` instead.)

    Example
    -------
    table:codes.npz
    """
    file = existing_file(target, "the table of codes")
    if data is None:
        raise InvalidInputError("table: looks up codes by the factors of a data set; specify it by --data")
    return Fingerprinted(TableEncoder(_read(file), data.space), fingerprint_of("table", sha256_of(file)))


def _read(file: Path) -> Posterior | NDArray[np.floating]:
    readers = {".npz": _read_numpy, ".npy": _read_numpy, ".csv": _read_csv}
    if file.suffix.lower() not in readers:
        raise InvalidInputError(f"a table of codes must be one of {', '.join(readers)}; got {file}")
    try:
        return readers[file.suffix.lower()](file)
    except InvalidInputError:
        raise
    except Exception as error:  # numpy, zipfile and decompressors raise errors of a dozen kinds
        if "pickle" in str(error):
            raise UntrustedFileError(
                f"{file} contains Python objects, which are not loaded; save an array of numbers"
            ) from error
        raise CorruptFileError(f"{file} is damaged, or not a table of numbers: {error}") from error


def _read_numpy(file: Path) -> Posterior | NDArray[np.floating]:
    with file.open("rb") as stream:  # np.load leaves the file open when it fails
        loaded = np.load(stream, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _numbers(loaded, file)
        if "codes" not in loaded:
            raise InvalidInputError(
                f"{file} must contain an array 'codes'; it contains {', '.join(loaded) or 'nothing'}"
            )
        codes = _numbers(loaded["codes"], file)
        if "log_variance" not in loaded:
            return codes
        kl = _numbers(loaded["kl"], file) if "kl" in loaded else None
        return Posterior(codes, _numbers(loaded["log_variance"], file), kl)


def _read_csv(file: Path) -> NDArray[np.floating]:
    with file.open(encoding="utf-8-sig") as lines:
        first = lines.readline()
    try:
        np.array(first.split(","), np.float64)
        header = 0
    except ValueError:
        header = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # numpy warns about a file without rows
        return np.loadtxt(file, delimiter=",", skiprows=header, ndmin=2, encoding="utf-8-sig")


def _numbers(array: NDArray[np.generic], file: Path) -> NDArray[np.floating]:
    if np.issubdtype(array.dtype, np.floating):
        return array  # type: ignore[return-value]  # checked in the line above
    if np.issubdtype(array.dtype, np.integer):
        return array.astype(np.float64)
    raise InvalidInputError(f"codes must be numbers; {file} contains {array.dtype}")
