"""CelebA, tested on small files in the published layout."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.datasets.catalog import celeba
from disentmetrics.datasets.published.manifest import ManifestFile, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError

NAMES = [f"{number:06d}.jpg" for number in range(1, 7)]
ATTRIBUTES = read_manifest("celeba").space.names
LABELS = np.random.default_rng(0).integers(0, 2, (6, 40))
SPLITS, PEOPLE = [0, 0, 1, 2, 0, 2], [2880, 17, 17, 5, 2880, 5]


def jpeg(number: int) -> bytes:
    """Return a smooth image in a distinct colour, which JPEG hardly changes."""
    image = np.full((218, 178, 3), 40 * number, np.uint8)
    image[:109, :, 0] += 20
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return file.getvalue()


JPEGS = {f"img_align_celeba/{name}": jpeg(number) for number, name in enumerate(NAMES)}


def pixels(number: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(jpeg(number))) as image:
        return np.asarray(image)


def texts() -> dict[str, str]:
    rows = [
        f"{name}  {'  '.join(str(2 * label - 1) for label in row)}" for name, row in zip(NAMES, LABELS, strict=True)
    ]
    return {
        "list_attr_celeba.txt": "\n".join(["6", f"{' '.join(ATTRIBUTES)} ", *rows]) + "\n",
        "list_eval_partition.txt": "".join(f"{name} {split}\n" for name, split in zip(NAMES, SPLITS, strict=True)),
        "identity_CelebA.txt": "".join(f"{name} {person}\n" for name, person in zip(NAMES, PEOPLE, strict=True)),
    }


def write(folder: Path, changed: dict[str, str] | None = None, images: dict[str, bytes] | None = None) -> None:
    for name, text in (texts() | (changed or {})).items():
        (folder / name).write_text(text, encoding="ascii")
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for name, content in (JPEGS if images is None else images).items():
            archive.writestr(name, content)


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Callable[[ManifestFile, Path], ManifestFile]
) -> Path:
    """Write the files, and publish them."""
    write(tmp_path)
    manifest = read_manifest("celeba")
    files = tuple(published(file, tmp_path / file.name) for file in manifest.files)
    monkeypatch.setattr(celeba, "read_manifest", lambda _: replace(manifest, files=files))
    return tmp_path


def test_images_and_attributes(folder: Path) -> None:
    data = dm.load_dataset(f"celeba:{folder}")
    draws = data.full_grid()
    assert data.fingerprint == "celeba-original"
    assert data.space.names == ATTRIBUTES
    assert data.nuisances == ("person", "photograph")
    assert np.array_equal(draws.factors, LABELS)
    assert np.array_equal(data.observations(draws.factors, draws.nuisance), np.stack([pixels(n) for n in range(6)]))


def test_splits_people_and_selected_attributes(folder: Path) -> None:
    data = dm.load_dataset(f"celeba:{folder}?split=train&people=true&attributes=Smiling,Male")
    draws = data.full_grid()
    assert data.fingerprint == "celeba-original-train-people-Smiling-Male"
    assert data.space.names == ("Smiling", "Male")
    assert draws.groups is not None
    assert draws.groups.tolist() == [1, 0, 1]
    columns = [ATTRIBUTES.index(name) for name in ("Smiling", "Male")]
    assert np.array_equal(draws.factors, LABELS[[0, 1, 4]][:, columns])
    assert np.array_equal(data.observations(draws.factors, draws.nuisance)[2], pixels(4))
    assert len(dm.load_dataset(f"celeba:{folder}?split=test")) == 2


def test_images_are_cropped_to_the_centre_and_resized(folder: Path) -> None:
    data = dm.load_dataset(f"celeba:{folder}?crop=148&size=2")
    draws = data.full_grid()
    assert data.fingerprint == "celeba-original-crop148-2"
    images = data.observations(draws.factors, draws.nuisance)
    assert images.shape == (6, 2, 2, 3)
    centre = pixels(3)[35:183, 15:163].astype(float)
    means = centre.reshape(2, 74, 2, 74, 3).mean(axis=(1, 3))
    assert np.abs(images[3] - means).max() <= 0.5
    for option in ("crop=179", "size=300", "split=tran", "attributes=Smilin", "people=perhaps"):
        with pytest.raises(InvalidInputError, match=option.partition("=")[0]):
            dm.load_dataset(f"celeba:{folder}?{option}")


def test_options_are_checked_before_files_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celeba, "locate", None)
    for option in ("crop=179", "crop=100&size=101", "size=big"):
        with pytest.raises(InvalidInputError, match="must be an integer from 0 to"):
            dm.load_dataset(f"celeba:{folder}?{option}")
    with pytest.raises(InvalidInputError, match="must be omitted or train or valid or test; got 'tran'"):
        dm.load_dataset(f"celeba:{folder}?split=tran")


def test_only_required_files_must_exist(folder: Path) -> None:
    for name in ("list_eval_partition.txt", "identity_CelebA.txt"):
        (folder / name).unlink()
    assert len(dm.load_dataset(f"celeba:{folder}")) == 6
    with pytest.raises(InvalidInputError, match="list_eval_partition.txt; there is none"):
        dm.load_dataset(f"celeba:{folder}?split=train")


def test_the_unpacked_folder_is_read_without_verification(folder: Path) -> None:
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        archive.extractall(folder)
    (folder / "img_align_celeba.zip").unlink()
    with pytest.raises(CorruptFileError, match="verify=false"):
        dm.load_dataset(f"celeba:{folder}")
    data = dm.load_dataset(f"celeba:{folder}?verify=false")
    draws = data.full_grid()
    assert data.fingerprint.startswith("celeba-file-")
    assert np.array_equal(data.observations(draws.factors, draws.nuisance)[5], pixels(5))


def test_altered_files_are_refused(folder: Path) -> None:
    write(folder, {"list_attr_celeba.txt": texts()["list_attr_celeba.txt"].replace(" 1", "-1", 1)})
    with pytest.raises(CorruptFileError, match="sha256 .* found, .* expected"):
        dm.load_dataset(f"celeba:{folder}")


ATTRIBUTE_TEXT = texts()["list_attr_celeba.txt"]


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"list_attr_celeba.txt": ATTRIBUTE_TEXT.replace("6\n", "7\n", 1)}, "", "must contain the number of images"),
        ({"list_attr_celeba.txt": ATTRIBUTE_TEXT.replace("Bald ", "")}, "", "the names of the 40 attributes"),
        ({"list_attr_celeba.txt": ATTRIBUTE_TEXT[:-30]}, "", "line 8 of .* a file name and 40 values of -1 or 1"),
        ({"list_attr_celeba.txt": ATTRIBUTE_TEXT.replace(" -1", " 0", 1)}, "", "a file name and 40 values of -1 or 1"),
        ({"list_attr_celeba.txt": "\n"}, "", "it has 0 lines of images"),
        ({"list_eval_partition.txt": "000001.jpg 0\n"}, "&split=train", "file name and number for each of 6"),
        ({"identity_CelebA.txt": "000001.jpg x\n" * 6}, "&people=true", "one line with file name and number"),
    ],
)  # fmt: skip
def test_tables_of_another_layout_are_refused(
    tmp_path: Path, changed: dict[str, str], options: str, message: str
) -> None:
    write(tmp_path, changed)
    with pytest.raises(CorruptFileError, match=message):
        dm.load_dataset(f"celeba:{tmp_path}?verify=false{options}")


def test_archives_of_another_layout_are_refused(tmp_path: Path) -> None:
    write(tmp_path, images=dict(list(JPEGS.items())[:4]))
    with pytest.raises(CorruptFileError, match="must contain 6 images; 2 are missing, such as 000005.jpg"):
        dm.load_dataset(f"celeba:{tmp_path}?verify=false")
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    write(tmp_path, images=dict.fromkeys(JPEGS, file.getvalue()))
    with pytest.raises(
        CorruptFileError, match=r"must have shape \(218, 178, 3\); img_align_celeba/000001.jpg has \(64, 64, 3\)"
    ):
        dm.load_dataset(f"celeba:{tmp_path}?verify=false")
    write(tmp_path, images=JPEGS | {"img_align_celeba/000002.jpg": jpeg(1)[:-300]})
    data = dm.load_dataset(f"celeba:{tmp_path}?verify=false")
    with pytest.raises(CorruptFileError, match="img_align_celeba/000002.jpg must be a complete image"):
        data.observations(data.full_grid().factors[1:2])
    archive = tmp_path / "img_align_celeba.zip"
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(CorruptFileError):
        dm.load_dataset(f"celeba:{tmp_path}?verify=false")


def test_it_must_be_downloaded_by_hand() -> None:
    with pytest.raises(InvalidInputError, match="celeba cannot be downloaded.*Download img_align_celeba.zip"):
        dm.load_dataset("celeba")
