"""Codes looked up in a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import CorruptFileError, InvalidInputError, UntrustedFileError

Codes = NDArray[np.floating]


@pytest.fixture
def codes(squares: DataSet, rng: np.random.Generator) -> Codes:
    return rng.normal(size=(len(squares), 2))


def looked_up(spec: str, data: DataSet, rows: Any) -> Any:
    encoder: Any = load_encoder(spec, data=data)
    assert encoder.reads_factors
    return encoder(data.space.indices_of(rows))


@pytest.mark.parametrize("name", ["my codes.npz", "codes.npy", "codes.csv", "header.csv", "bom.csv"])
def test_every_format_gives_the_codes_of_the_requested_rows(
    tmp_path: Path, squares: DataSet, codes: Codes, name: str
) -> None:
    file = tmp_path / name
    if name.endswith("npz"):
        np.savez(file, codes=codes)
    elif name.endswith("npy"):
        np.save(file, codes)
    else:
        np.savetxt(file, codes, delimiter=",", fmt="%.17g", header="z0,z1" if name == "header.csv" else "", comments="")
        if name == "bom.csv":
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    rows = np.array([107, 0, 3, 3])
    assert looked_up(f"table:{file}", squares, rows).tolist() == codes[rows].tolist()


def test_log_variances_next_to_the_codes_make_a_posterior(tmp_path: Path, squares: DataSet, codes: Codes) -> None:
    np.savez(tmp_path / "c.npz", codes=codes, log_variance=-codes)
    posterior = looked_up(f"table:{tmp_path}/c.npz", squares, np.array([5]))
    assert isinstance(posterior, Posterior)
    assert (posterior.log_variance == -codes[5]).all()
    assert posterior.kl is None
    np.savez(tmp_path / "own.npz", codes=codes, log_variance=-codes, kl=codes**2)
    own = looked_up(f"table:{tmp_path}/own.npz", squares, np.array([5]))
    assert isinstance(own, Posterior)
    assert own.kl is not None
    assert (own.kl == codes[5] ** 2).all()
    np.savez(tmp_path / "c.npz", codes=codes, log_variance=codes[:, :1])
    with pytest.raises(InvalidInputError, match="codes and log_variance must have the same shape"):
        load_encoder(f"table:{tmp_path}/c.npz", data=squares)


def test_the_fingerprint_is_the_content(tmp_path: Path, squares: DataSet, codes: Codes) -> None:
    fingerprints = set()
    for values in (codes, codes + 1):
        np.save(tmp_path / "c.npy", values)
        fingerprints.add(load_encoder(f"table:{tmp_path}/c.npy", data=squares).fingerprint)  # type: ignore[attr-defined]  # it carries one
    assert len(fingerprints) == 2


def test_without_a_data_set_there_is_nothing_to_look_up(tmp_path: Path, codes: Codes) -> None:
    np.save(tmp_path / "c.npy", codes)
    with pytest.raises(InvalidInputError, match="specify it by --data"):
        load_encoder(f"table:{tmp_path}/c.npy")


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ({"z": np.ones((108, 2))}, InvalidInputError, "must contain an array 'codes'; it contains z"),
        ({"codes": np.ones((107, 2))}, InvalidInputError, r"shape \(108, n_codes\).*got \(107, 2\)"),
        ({"codes": np.ones(108)}, InvalidInputError, r"got \(108,\)"),
        ({"codes": np.full((108, 2), "a")}, InvalidInputError, "codes must be numbers"),
        ({"codes": np.full((108, 2), None)}, UntrustedFileError, "contains Python objects"),
    ],
)
def test_tables_that_do_not_fit_report_the_requirement(
    tmp_path: Path, squares: DataSet, arrays: dict[str, Any], error: type[Exception], words: str
) -> None:
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(error, match=words):
        load_encoder(f"table:{tmp_path}/c.npz", data=squares)


@pytest.mark.parametrize("name", ["c.npz", "c.npy", "c.csv"])
@pytest.mark.parametrize("content", [b"a,b\nhello,1\n", b"\x93NUMPY\x01", b"PK\x03\x04 cut off"])
def test_damaged_tables_are_named(tmp_path: Path, squares: DataSet, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((CorruptFileError, UntrustedFileError), match=name):
        load_encoder(f"table:{tmp_path / name}", data=squares)


def test_other_formats_list_the_known_ones(tmp_path: Path, squares: DataSet) -> None:
    (tmp_path / "c.txt").touch()
    with pytest.raises(InvalidInputError, match=r"one of \.npz, \.npy, \.csv"):
        load_encoder(f"table:{tmp_path}/c.txt", data=squares)
