"""Data sets of the Hugging Face library, created by the library itself."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor

datasets = pytest.importorskip("datasets")

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


@pytest.fixture
def pictures() -> Any:
    features = datasets.Features(
        picture=datasets.Image(),
        label=datasets.ClassLabel(names=["zebra", "cat", "unused"]),
        angle=datasets.Value("int64"),
        person=datasets.Value("string"),
    )
    columns = {
        "picture": [Image.fromarray(picture) for picture in PICTURES],
        "label": [0, 1, -1, None, 1],
        "angle": [0, 90, 0, None, 90],
        "person": ["a", "a", "b", "b", "c"],
    }
    return datasets.Dataset.from_dict(columns, features=features)


def test_images_and_class_labels(pictures: Any) -> None:
    data = dm.CustomDataSet.from_huggingface(pictures, factors=["label", "angle"], groups="person")
    whole = data.full_grid()
    assert np.array_equal(data.observations(whole.factors, whole.nuisance), PICTURES)
    assert data.space["label"] == Factor("label", 2, "categorical", ("zebra", "cat"))
    assert data.factors.tolist() == [[0, 0], [1, 1], [-1, 0], [-1, -1], [1, 1]]
    assert whole.groups is not None
    assert whole.groups.tolist() == [0, 0, 1, 1, 2]
    assert dm.CustomDataSet.from_huggingface(pictures).space.names == ("label", "angle", "person")
    assert dm.CustomDataSet.from_huggingface(pictures, size=(3, 2)).observation_shape == (3, 2, 3)
    encoded = dm.encode(lambda images: images.mean(axis=(1, 2)), data, full_grid=True)
    assert np.allclose(encoded.codes, PICTURES.mean(axis=(1, 2)))


def test_groups_may_be_class_labels(pictures: Any) -> None:
    data = dm.CustomDataSet.from_huggingface(pictures.select([0, 1, 4]), factors=["angle"], groups="label")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 1, 1]


def test_the_column_of_images_is_no_factor(pictures: Any) -> None:
    with pytest.raises(InvalidInputError, match="'picture' contains the images: remove it"):
        dm.CustomDataSet.from_huggingface(pictures, factors=["picture"])


@pytest.mark.parametrize("style", ["numpy", "torch", "pandas", None])
def test_the_format_that_was_set_does_not_matter(pictures: Any, style: str | None) -> None:
    if style == "torch":
        pytest.importorskip("torch")
    data = dm.CustomDataSet.from_huggingface(pictures.with_format(style))
    assert np.array_equal(data.observations(data.factors[:1]), PICTURES[:1])


def test_rows_that_were_chosen_and_shuffled(pictures: Any) -> None:
    data = dm.CustomDataSet.from_huggingface(pictures.select([4, 0]))
    whole = data.full_grid()
    assert np.array_equal(data.observations(whole.factors, whole.nuisance), PICTURES[[4, 0]])


def test_vectors_and_arrays() -> None:
    vectors = datasets.Dataset.from_dict({"x": [[0.5, 1.0], [2.0, 3.0]], "y": ["a", "b"]})
    data = dm.CustomDataSet.from_huggingface(vectors, image="x", factors=["y"])
    assert data.observations([[1]]).tolist() == [[2.0, 3.0]]
    features = datasets.Features(x=datasets.Array3D((6, 7, 3), "uint8"))
    arrays = datasets.Dataset.from_dict({"x": PICTURES}, features=features)
    data = dm.CustomDataSet.from_huggingface(arrays, image="x")
    assert np.array_equal(data.observations(data.factors[:1], [3])[0], PICTURES[3])


def test_invalid_input_is_rejected(pictures: Any) -> None:
    for given, options, message in (
        (
            datasets.DatasetDict(train=pictures),
            {},
            r"a single split must be given; got train: use dataset\['train'\]",
        ),
        (pictures.to_iterable_dataset(), {}, "must be a Hugging Face datasets.Dataset; got IterableDataset"),
        ([1, 2], {}, "got list"),
        (pictures.select([]), {}, "has no rows"),
        (pictures, {"image": "pictur"}, "there is no 'pictur'"),
        (pictures.remove_columns("picture"), {}, "found 0 columns of images"),
        (pictures, {"factors": ["labl"]}, "there is no 'labl'; did you mean"),
        (pictures, {"image": "angle", "size": 4}, "size applies only to images"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            dm.CustomDataSet.from_huggingface(given, **options)


def test_images_of_another_size_are_rejected(pictures: Any) -> None:
    small = datasets.Dataset.from_dict(
        {"picture": [Image.fromarray(PICTURES[0, :3])]}, features=datasets.Features(picture=datasets.Image())
    )
    both = datasets.concatenate_datasets([pictures.select_columns("picture"), small])
    data = dm.CustomDataSet.from_huggingface(both)
    with pytest.raises(InvalidInputError, match=r"row 0 has uint8 \(6, 7, 3\) and row 5 has uint8 \(3, 7, 3\)"):
        data.observations(data.factors, data.full_grid().nuisance)
