"""MNIST and Fashion-MNIST: on small files of the original layout."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.published import idx
from disentmetrics.datasets.published.idx import read_idx
from disentmetrics.datasets.published.manifest import ManifestFile, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError

rng = np.random.default_rng(0)
IMAGES = {"train": rng.integers(0, 256, (7, 28, 28), np.uint8), "t10k": rng.integers(0, 256, (4, 28, 28), np.uint8)}
LABELS = {"train": np.array([3, 0, 9, 3, 3, 1, 0], np.uint8), "t10k": np.array([9, 9, 3, 2], np.uint8)}


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write(folder: Path, *, packed: bool = True) -> None:
    for part, images in IMAGES.items():
        for kind, array in (("images-idx3", images), ("labels-idx1", LABELS[part])):
            name, content = f"{part}-{kind}-ubyte", idx_bytes(array)
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Callable[[ManifestFile, Path], ManifestFile]
) -> Path:
    """Write the four files of either data set, and publish them."""
    write(tmp_path)

    def manifest(name: str) -> object:
        whole = read_manifest(name)
        return replace(whole, files=tuple(published(file, tmp_path / file.name) for file in whole.files))

    published_now = {name: manifest(name) for name in ("mnist", "fashion-mnist")}
    monkeypatch.setattr(idx, "read_manifest", published_now.__getitem__)
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_images_and_labels_of_both_splits(name: str, folder: Path) -> None:
    whole = dm.load_dataset(f"{name}:{folder}")
    test = dm.load_dataset(f"{name}:{folder}?split=test")
    assert (whole.fingerprint, test.fingerprint) == (f"{name}-original-idx", f"{name}-original-idx-test")
    assert whole.nuisances == read_manifest(name).nuisances
    for data, parts in ((whole, ("train", "t10k")), (test, ("t10k",))):
        draws = data.full_grid()
        assert np.array_equal(
            data.observations(draws.factors, draws.nuisance)[..., 0], np.concatenate([IMAGES[p] for p in parts])
        )
        assert draws.factors[:, 0].tolist() == np.concatenate([LABELS[p] for p in parts]).tolist()
    with pytest.raises(InvalidInputError, match="do not occur"):
        whole.draws([[8]])


@pytest.mark.parametrize(("stem", "split"), [("t10k", "test"), ("train", "train")])
def test_the_split_that_is_there_is_named(stem: str, split: str, folder: Path) -> None:
    for path in folder.glob("*ubyte.gz"):
        if not path.name.startswith(stem):
            path.unlink()
    asked = ["", "?split=train" if split == "test" else "?split=test"]
    for option in asked:
        with pytest.raises(InvalidInputError, match=f"there is none at .*use split={split}$"):
            dm.load_dataset(f"mnist:{folder}{option}")
    assert len(dm.load_dataset(f"mnist:{folder}?split={split}")) == len(IMAGES[stem])
    next(folder.glob("*labels*.gz")).unlink()
    for option in (*asked, f"?split={split}"):
        with pytest.raises(InvalidInputError, match=f"there is none at {folder}$"):
            dm.load_dataset(f"mnist:{folder}{option}")


def test_unpacked_files_are_as_good_if_their_content_is_published(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_manifest("mnist")
    digests = {f.name: hashlib.sha256(gzip.decompress((folder / f.name).read_bytes())).hexdigest() for f in whole.files}
    files = tuple(replace(f, content_sha256=digests[f.name]) for f in whole.files)
    monkeypatch.setattr(idx, "read_manifest", lambda _: replace(whole, files=files))
    assert dm.load_dataset(f"mnist:{folder}").fingerprint == "mnist-original-idx"  # recompressed
    for path in folder.glob("*.gz"):
        path.unlink()
    write(folder, packed=False)
    assert dm.load_dataset(f"mnist:{folder}").fingerprint == "mnist-original-idx"


def test_other_files_are_read_only_without_verification(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(CorruptFileError, match=r"bytes found, 9912422 expected.*add \?verify=false"):
        dm.load_dataset(f"mnist:{tmp_path}")
    assert dm.load_dataset(f"mnist:{tmp_path}?verify=false").fingerprint.startswith("mnist-file-")
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"some text"))
    with pytest.raises(CorruptFileError, match="must be a complete file of layout idx"):
        dm.load_dataset(f"mnist:{tmp_path}?verify=false")


def test_a_missing_file_and_an_invalid_split_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="train-images-idx3-ubyte.gz; there is none at"):
        dm.load_dataset(f"mnist:{tmp_path}")
    with pytest.raises(InvalidInputError, match="option split must be .*train or test; got 'tset'; did you mean"):
        dm.load_dataset("mnist?split=tset")


WHOLE = idx_bytes(IMAGES["train"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not start with the header of an IDX file"),
        (b"\0\0\x0d\x01" + bytes(20), "does not start with the header of an IDX file"),
        (b"\0\0\x08\x03" + bytes([255] * 12), "its header specifies"),
        (WHOLE[:-1], "must contain 5488 values, as its header specifies; it contains 1 fewer"),
        (WHOLE + b"0", "it contains more"),
        (gzip.compress(WHOLE)[:-9], "must be a complete IDX file of bytes; reading it failed"),
        (gzip.compress(WHOLE)[:-8] + bytes(8), "must be a complete IDX file of bytes; reading it failed"),
        (b"\x1f\x8b" + bytes(30), "must be a complete IDX file of bytes; reading it failed"),
    ],
)
def test_damaged_files_are_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=message):
        read_idx(path)
    path.write_bytes(WHOLE)
    assert np.array_equal(read_idx(path), IMAGES["train"])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES["train"][:, :27], LABELS["train"], r"images of shape \(28, 28\)"),
        (IMAGES["train"], LABELS["t10k"], "one label per image"),
        (IMAGES["train"], LABELS["train"] + 1, r"must lie in 0 .. 9; got 10"),
    ],
)
def test_inconsistent_files_are_rejected(
    tmp_path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], message: str
) -> None:
    write(tmp_path, packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.ascontiguousarray(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(CorruptFileError, match=message):
        dm.load_dataset(f"mnist:{tmp_path}?verify=false&split=train")
